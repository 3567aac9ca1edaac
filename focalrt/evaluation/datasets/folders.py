"""Files as data sets lay them out: photos and masks that belong together by name, and lists of names.

Hidden files are passed over (archives made on a Mac are full of them), and so are those with other endings.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath

from ...errors import DatasetError

PHOTOS = (".jpg", ".jpeg", ".png", ".bmp")
MASKS = (".png", ".bmp", ".jpg", ".jpeg")


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, in the order of names. Raises DatasetError where it is none, OSError."""
    try:
        with os.scandir(folder) as listing:
            return sorted((entry for entry in listing if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(f"expected a folder {str(folder)!r}; there is none") from error


def subfolders(folder: Path) -> list[str]:
    """The names of the folders in a folder."""
    return [entry.name for entry in entries(folder) if entry.is_dir()]


def files(folder: Path, endings: Sequence[str]) -> dict[str, Path]:
    """The files with one of these endings, in either case, by their names without it.

    Raises DatasetError where two files differ in nothing else, OSError.
    """
    found: dict[str, Path] = {}
    for path in (folder / entry.name for entry in entries(folder) if entry.is_file()):
        if path.suffix.lower() not in endings:
            continue
        if path.stem in found:
            raise DatasetError(f"{str(found[path.stem])!r} and {path.name!r} share a name; expected one of them")
        found[path.stem] = path
    return found


def pairs(
    photos: Path, masks: Path, photo_endings: Sequence[str] = PHOTOS, mask_endings: Sequence[str] = MASKS
) -> Iterator[tuple[str, Path, Path]]:
    """The photos of one folder with the masks of another: name without ending, photo, mask.

    Raises DatasetError, naming it, for a mask without a photo or a photo without a mask; OSError.
    """
    photo_files, mask_files = files(photos, photo_endings), files(masks, mask_endings)
    for name in sorted(photo_files.keys() | mask_files.keys()):
        if name not in photo_files:
            raise DatasetError(f"no photo for {str(mask_files[name])!r}: {wanted(name, photo_endings, photos)}")
        if name not in mask_files:
            raise DatasetError(f"no mask for {str(photo_files[name])!r}: {wanted(name, mask_endings, masks)}")
        yield name, photo_files[name], mask_files[name]


def wanted(name: str, endings: Sequence[str], folder: Path) -> str:
    """Says which files were looked for."""
    *others, last = (name + ending for ending in endings)
    return f"expected {', '.join(others) + ' or ' if others else ''}{last} in {str(folder)!r}"


def listed_names(path: Path) -> list[str]:
    """The lines of a text file that are not blank. Raises DatasetError where it is no text, OSError."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{str(path)!r} is no list of names, one on a line: {error}") from error
    return [line.strip() for line in lines if line.strip()]


def parts_within(name: str, source: Path) -> tuple[str, ...]:
    """The parts of a relative path that ``source`` names; both slashes part.

    Raises DatasetError for one that leaves the folder it is taken from: a list of names is no reason to open other
    files.
    """
    path = PureWindowsPath(name)
    if path.anchor or not path.parts or ".." in path.parts or "\0" in name:
        raise DatasetError(f"{str(source)!r} names {name!r}; expected the name of a file below the data set's folder")
    return path.parts


def listed_file(folder: Path, name: str, ending: str, source: Path) -> Path:
    """The file called ``name`` + ``ending`` that ``source`` lists. Raises DatasetError where it is not there."""
    path = folder.joinpath(*parts_within(name + ending, source))
    if not path.is_file():
        raise DatasetError(f"no file {str(path)!r}, and {str(source)!r} names it")
    return path
