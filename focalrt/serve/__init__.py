"""The engine behind HTTP: the service, and what it has in common with the annotation page."""
