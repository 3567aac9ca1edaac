"""What the whole folder is asked for: its photos, how far each is, and one COCO document of all."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from ...errors import AnnotationError
from .annotations import EXTRA, Sheet, from_document, image_record, is_own, joined, parsed, records, size_of
from .sidecar import DOCUMENT, beside, read_beside
from .workbench import Workbench

PATIENCE = 10.0  # seconds


def overview(bench: Workbench) -> dict[str, object]:
    """The folder and its images, for the page."""
    return {
        "folder": os.fsencode(bench.project.folder).decode("utf-8", "replace"),
        "images": [described(bench, name) for name in bench.project.names()],
    }


def described(bench: Workbench, name: str) -> dict[str, object]:
    """One image in the list: its name, how many objects the disk holds, and why it could not be opened, if so."""
    told: dict[str, object] = {"name": name, "objects": objects_beside(bench.project.folder / name)}
    return told | ({"error": bench.errors[name]} if name in bench.errors else {})


def objects_beside(photo: Path) -> int:
    """How many objects the document beside a photo has; 0 where there is none that can be read."""
    try:
        status = beside(photo, DOCUMENT).lstat()
        return count(beside(photo, DOCUMENT), status.st_size, status.st_mtime_ns)
    except (OSError, AnnotationError):
        return 0


@lru_cache(maxsize=100_000)
def count(document: Path, size: int, changed: int) -> int:
    """How many objects a document of this program has, as long as it does not change. Raises AnnotationError."""
    content = parsed(read_beside(document) or b"{}")
    return len(records(content[EXTRA], "objects")) if is_own(content) else 0


def coco(bench: Workbench) -> dict[str, object]:
    """One COCO document of all photos that have one of this program beside them, once every change is on the disk.

    Raises OSError where that takes too long.
    """
    if not bench.saver.flush(PATIENCE):
        raise OSError(f"not everything is on the disk yet; {bench.saver.error or 'try again'}")
    sheets = {name: sheet_beside(bench.project.folder / name) for name in bench.project.names()}
    return joined({name: sheet for name, sheet in sheets.items() if sheet is not None})


def sheet_beside(photo: Path) -> Sheet | None:
    """The objects that this program's document beside a photo has; None where there is none that can be read."""
    try:
        document = parsed(read_beside(beside(photo, DOCUMENT)) or b"{}")
        if not is_own(document):
            return None
        height, width = size_of(image_record(document, photo.name))
        objects, _ = from_document(document, photo.name, height, width)
        return Sheet(objects, height, width)
    except (OSError, AnnotationError):
        return None
