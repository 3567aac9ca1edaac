"""Masks that other programs left about a photo: beside it, or in a COCO document of the whole folder."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import AnnotationError, ArgumentValueError, ImageFileError
from .annotations import Annotation, from_document, image_record, numbered, parsed
from .foreign import read_foreign
from .sidecar import DOCUMENT, ID_MAP, MASK, beside, read_beside

FOLDER_FILES = ("annotations.json", "*coco*.json", "*instances*.json")
MOST_FOLDER_BYTES = 32 << 20
COPIED = "Before it is overwritten, a copy is kept."


def found_beside(photo: Path, root: Path, height: int, width: int) -> tuple[dict[int, Annotation], list[str]]:
    """The objects of the first file about a photo that has any, and sentences on where they come from, or why not.

    photo: where it lies. root: the folder that is annotated. height, width: of the photo.
    """
    told = []
    file_name = photo.relative_to(root).as_posix()
    for path in (beside(photo, DOCUMENT), beside(photo, ID_MAP), beside(photo, MASK), photo.with_suffix(MASK)):
        try:
            content = read_beside(path)
            objects, faults = read_foreign(content, file_name, height, width) if content is not None else ({}, [])
        except (OSError, AnnotationError, ArgumentValueError, ImageFileError) as error:
            told.append(f"{path.name} cannot be used: {error}. {after(path)}".rstrip())
            continue
        if objects:
            return objects, [*told, f"The objects come from {path.name}.", *left_out(faults)]
    objects, more = found_in_folder(photo, root, height, width)
    return objects, [*told, *more]


def left_out(faults: list[str]) -> list[str]:
    """A sentence on annotations that cannot be read, if there are any."""
    return [f"{len(faults)} of its annotations cannot be used, the first for this: {faults[0]}."] if faults else []


def after(path: Path) -> str:
    """What becomes of a file that cannot be used, once the objects are saved."""
    if not path.name.endswith((DOCUMENT, ID_MAP)):
        return ""  # nothing is written there
    return "It is replaced, and what it leads to stays as it is." if path.is_symlink() else COPIED


def found_in_folder(photo: Path, root: Path, height: int, width: int) -> tuple[dict[int, Annotation], list[str]]:
    """The same from COCO documents of many images, in the photo's folder or the one that is annotated."""
    told = []
    file_name = photo.relative_to(root).as_posix()
    for path in folder_files([photo.parent, root]):
        try:
            status = path.stat()
            document = folder_document(path, status.st_size, status.st_mtime_ns)
            if is_about(document, file_name):
                objects, faults = from_document(document, file_name, height, width)
                told += [f"The objects come from {path.name}, which stays as it is.", *left_out(faults)]
                return numbered((each.name, each.runs) for each in objects.values()), told
        except (OSError, AnnotationError) as error:
            told.append(f"{path.name} cannot be used: {error}.")
    return {}, told


def folder_files(folders: list[Path]) -> Iterator[Path]:
    """COCO documents of whole folders, by the names that people give them."""
    for folder in dict.fromkeys(folders):
        for path in sorted({path for pattern in FOLDER_FILES for path in folder.glob(pattern)}):
            owner = path.with_name(path.name.removesuffix(DOCUMENT))
            if owner == path or not owner.exists():  # else it belongs to one photo
                yield path


@lru_cache(maxsize=1)
def folder_document(path: Path, size: int, changed: int) -> dict[str, Any]:
    """A document of at most 32 MB, kept while it is the last that was asked for and does not change."""
    if size > MOST_FOLDER_BYTES:
        raise AnnotationError(f"expected at most {MOST_FOLDER_BYTES} bytes; got {size}. Import it where it is needed")
    return parsed(read_beside(path) or b"")


def is_about(document: dict[str, Any], file_name: str) -> bool:
    """Whether a document has one image of that name."""
    try:
        image_record(document, file_name)
    except AnnotationError:
        return False
    return True
