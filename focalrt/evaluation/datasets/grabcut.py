"""GrabCut and Berkeley, in the folders that RITM hands out: a photo, and a mask of one object with an unsure rim.

Rother et al., "GrabCut", SIGGRAPH 2004; McGuinness and O'Connor, "A comparative evaluation of interactive segmentation
algorithms", Pattern Recognition 2010.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ..sample import Sample, Truth
from .folders import pairs
from .found import Found, sample_name
from .maps import read_mask_colours

UNSURE = 128


def grabcut(root: Path) -> Iterator[Found]:
    """One sample a photo, called as the photo.

    ::

        data_GT/name.jpg        a photo (or .jpeg, .png, .bmp)
        boundary_GT/name.bmp    its mask (or .png, .jpg, .jpeg): 128 ignored, brighter the object, darker background
    """
    return trimaps(root / "data_GT", root / "boundary_GT")


def berkeley(root: Path) -> Iterator[Found]:
    """One sample a photo, called as the photo.

    ::

        images/name.jpg    a photo (or .jpeg, .png, .bmp)
        masks/name.png     its mask (or .bmp, .jpg, .jpeg): 128 ignored, brighter the object, darker background
    """
    return trimaps(root / "images", root / "masks")


def trimaps(photos: Path, masks: Path) -> Iterator[Found]:
    """One sample a photo, its mask in another folder under the same name."""
    for name, photo, mask in pairs(photos, masks):
        yield Found(Sample(sample_name(name), photo, partial(trimap, mask)))


def trimap(path: Path) -> Truth:
    """128 is ignored, what is brighter the object; of colours, the blue channel counts, as in the released reader."""
    blue = read_mask_colours(path)[..., 2]
    truth = (blue > UNSURE).astype(np.int8)
    truth[blue == UNSURE] = -1
    return truth
