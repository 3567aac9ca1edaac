"""``focalrt annotate``: a page that draws and corrects masks on the photos of a folder, and what stands behind it."""
