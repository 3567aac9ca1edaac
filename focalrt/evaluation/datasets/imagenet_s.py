"""ImageNet-S (Gao et al., "Large-scale Unsupervised Semantic Segmentation", TPAMI 2022): its validation split."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..sample import Truth
from .folders import pairs, subfolders
from .found import Found, each_object, sample_name
from .maps import areas_of, read_colours, truth_of

IGNORED = 1000


def imagenet_s(root: Path) -> Iterator[Found]:
    """Every class of every photo, called ``folder/name.class``; the objects of a class are one sample.

    ::

        validation/<folder>/name.JPEG                 (or .jpg, .jpeg)
        validation-segmentation/<folder>/name.png     colours: the class is red + 256 green; 0 background, 1000 ignored
    """
    photos, maps = root / "validation", root / "validation-segmentation"
    for folder in sorted({*subfolders(photos), *subfolders(maps)}):
        for name, photo, path in pairs(photos / folder, maps / folder, (".jpg", ".jpeg"), (".png",)):
            areas = areas_of(classes(path))
            areas.pop(IGNORED, None)
            yield from each_object(sample_name(folder, name), photo, areas, partial(class_in, path))


def classes(path: Path) -> NDArray[np.uint16]:
    """The map of classes in a file, uint16 (H, W)."""
    colours = read_colours(path).astype(np.uint16)
    ids: NDArray[np.uint16] = colours[..., 0] + 256 * colours[..., 1]
    return ids


def class_in(path: Path, ident: int) -> Truth:
    """The truth of one class."""
    return truth_of(classes(path), ident, IGNORED)
