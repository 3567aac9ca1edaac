"""The folder that is annotated: its photos, by names that lead nowhere else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...errors import AnnotationError
from .annotations import is_text
from .sidecar import ID_MAP, MASK

PHOTOS = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp"})
MOST_PHOTOS = 100_000


class UnknownImageError(AnnotationError):
    """No photo of that name is in the folder."""


class Project:
    """A folder of photos, or one photo in its folder.

    A photo's name is its path in the folder, parted by /. Hidden files and folders, those with names that are no text,
    links to folders and links that lead out of the folder are left out, and so are the id maps and masks that lie
    beside photos.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """``path``: a folder, or an image. Raises FileNotFoundError, AnnotationError."""
        given = Path(path)
        if not given.exists():
            raise FileNotFoundError(f"no folder and no image {str(path)!r}")
        self._only = None if given.is_dir() else given.name
        self.folder = (given if given.is_dir() else given.parent).resolve()
        if self._only is not None and given.suffix.lower() not in PHOTOS:
            raise AnnotationError(f"{str(path)!r}: expected a folder or an image ({', '.join(sorted(PHOTOS))})")
        self._names = frozenset(self.names())

    def names(self) -> list[str]:
        """The photos that there are now, sorted by name. Raises AnnotationError for more than 100,000."""
        found = [self._only] if self._only is not None else []
        for name in self._walk() if self._only is None else ():
            found.append(name)
            if len(found) > MOST_PHOTOS:
                raise AnnotationError(f"{self.folder}: more than {MOST_PHOTOS} photos; take a folder inside it")
        self._names = frozenset(found)
        return sorted(found, key=lambda name: (name.casefold(), name))

    def photo(self, name: str) -> Path:
        """Where a photo lies. Raises UnknownImageError for any name that is not listed."""
        if name not in self._names and name not in self.names():
            raise UnknownImageError(f"no image {name!r} in {self.folder}")
        path = self.folder / name
        if not self._inside(path):
            raise UnknownImageError(f"{name!r} leads out of {self.folder}, or is gone")
        return path

    def _walk(self) -> Iterator[str]:
        for folder, subfolders, files in os.walk(self.folder):
            subfolders[:] = filter(is_plain, subfolders)
            for name in photos_among(files):
                path = Path(folder, name)
                if not path.is_symlink() or self._inside(path):
                    yield path.relative_to(self.folder).as_posix()

    def _inside(self, path: Path) -> bool:
        """Whether this is a file that lies in the folder, links followed."""
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):  # gone, or links in a circle
            return False
        return real.is_file() and real.is_relative_to(self.folder)


def photos_among(files: list[str]) -> list[str]:
    """The photos of one folder: image files with names that a page can tell, less the masks of other photos."""
    images = {name for name in files if Path(name).suffix.lower() in PHOTOS and is_plain(name)}
    owners = images | {Path(name).stem for name in images}
    masks = {f"{owner}{MASK}" for owner in owners} | {f"{name}{ID_MAP}" for name in images}
    return sorted(images - masks)


def is_plain(name: str) -> bool:
    """Whether a file's or a folder's name is text without control characters, and not hidden."""
    return not name.startswith(".") and all(map(is_text, name))
