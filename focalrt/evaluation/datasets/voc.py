"""PASCAL VOC 2012's segmentation set (Everingham et al., IJCV 2015)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .folders import listed_file, listed_names
from .found import Found, each_object, sample_name
from .maps import areas_of, object_in, read_ids

BOUNDARY = 255


def voc(root: Path) -> Iterator[Found]:
    """Every object of the photos in val.txt, called ``name.id``.

    ::

        JPEGImages/name.jpg
        SegmentationObject/name.png            the palette's indices are the ids; 255, the rims of objects, is ignored
        ImageSets/Segmentation/val.txt         names
    """
    # The released reader of the field sees the palette's colours as grey values, and ignores 220, the grey of the
    # rims' colour. Up to index 15 all greys differ, so its samples are the same; beyond, it takes some objects for
    # one (1 and 16 are both 38).
    source = root / "ImageSets" / "Segmentation" / "val.txt"
    for name in listed_names(source):
        photo = listed_file(root / "JPEGImages", name, ".jpg", source)
        path = listed_file(root / "SegmentationObject", name, ".png", source)
        areas = areas_of(read_ids(path))
        areas.pop(BOUNDARY, None)
        yield from each_object(sample_name(name), photo, areas, partial(object_in, path, BOUNDARY))
