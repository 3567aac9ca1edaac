"""How other tools talk to a session: translation only, every decision stays in :mod:`focalrt.session`."""
