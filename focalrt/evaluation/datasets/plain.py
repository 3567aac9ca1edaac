"""A folder of photos, each with an id map beside it: the form to bring one's own photos in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ...errors import DatasetError
from .folders import pairs
from .found import Found, each_object, sample_name
from .maps import areas_of, object_in, read_ids

IGNORED = 255


def plain(root: Path) -> Iterator[Found]:
    """Every object of every photo, called ``name.id``.

    ::

        name.jpg    a photo (or .jpeg)
        name.png    its id map, grey or palette: 0 background, 255 ignored, every other value one object
    """
    for name, photo, path in pairs(root, root, (".jpg", ".jpeg"), (".png",)):
        areas = areas_of(read_ids(path))
        if areas.pop(IGNORED, 0) and not areas:
            raise DatasetError(
                f"{str(path)!r} holds nothing but 0 and 255, which is ignored; expected objects numbered from 1. "
                "Masks of 0 and 255 fit the layout 'berkeley': images/ and masks/"
            )
        yield from each_object(sample_name(name), photo, areas, partial(object_in, path, IGNORED))
