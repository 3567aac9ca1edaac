"""How COCO's JSON writes a shape: polygons, or lengths of runs down the columns (Lin et al., ECCV 2014).

pycocotools draws the polygons, so that masks are COCO's to the pixel. It is C and allocates what coordinates ask for,
so they are checked before it sees them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...checks import told
from ...errors import ArgumentTypeError, ArgumentValueError, DatasetError
from ...extras import imported
from ...masks.checks import check_counts
from ...masks.coco import decompressed
from ..sample import Mask

LONGEST_OUTLINE = 2**20  # in pixels; drawing takes memory by the pixel


@dataclass(frozen=True, eq=False)
class Shape:
    """Pixels of a plane of height x width, as :func:`read_shape` makes it.

    lengths: uint32, of the runs down the columns, one column after the other; the first run is outside the shape.
    """

    height: int
    width: int
    lengths: NDArray[np.uint32] = field(repr=False)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.lengths[1::2].sum())

    def mask(self) -> Mask:
        """The pixels, bool (H, W)."""
        inside: NDArray[np.bool_] = np.arange(len(self.lengths)) % 2 == 1
        return np.repeat(inside, self.lengths).reshape(self.height, self.width, order="F")


def read_shape(segmentation: Any, height: int, width: int, where: str) -> Shape:
    """The shape that a ``segmentation`` describes on height x width pixels.

    Raises DatasetError, saying ``where``, for any that does not; MissingExtraError where pycocotools is not there.
    """
    counts: list[int] | str | bytes
    if isinstance(segmentation, list) and segmentation:
        check_polygons(segmentation, height, width, where)
        counts = draw(segmentation, height, width)
    elif isinstance(segmentation, dict):
        counts = read_counts(segmentation, height, width, where)
    else:
        raise DatasetError(f"{where}: expected polygons or run lengths as 'segmentation'; got {told(segmentation)}")
    return Shape(height, width, filling(counts, height * width, where))


def check_polygons(polygons: list[Any], height: int, width: int, where: str) -> None:
    """Takes polygons of three points and more, none further from the image than its own size."""
    size, outline = np.array([width, height]), 0.0
    for polygon in polygons:
        if not is_list_of(polygon, {int, float}) or len(polygon) < 6 or len(polygon) % 2:
            raise DatasetError(f"{where}: expected polygons as numbers x, y, x, y, x, y, ...; got {told(polygon)}")
        try:
            points = np.array(polygon, np.float64).reshape(-1, 2)
        except OverflowError:
            points = np.full((1, 2), np.inf)
        if not ((points >= -size) & (points <= 2 * size)).all():
            raise DatasetError(f"{where}: expected coordinates on {width} x {height} pixels; got {told(polygon)}")
        outline += np.abs(points - np.roll(points, 1, 0)).max(1).sum()
    if outline > LONGEST_OUTLINE:
        raise DatasetError(f"{where}: expected an outline of at most {LONGEST_OUTLINE} pixels; it is longer")


def is_list_of(values: Any, kinds: set[type]) -> bool:
    """A list of nothing else; true and false are no numbers."""
    return isinstance(values, list) and set(map(type, values)) <= kinds


def draw(polygons: list[list[float]], height: int, width: int) -> bytes:
    """Run lengths of the union of polygons, as COCO's text."""
    mask = imported("pycocotools.mask", "drawing COCO's polygons", "eval")
    union: dict[str, bytes] = mask.merge(mask.frPyObjects(polygons, height, width))
    return union["counts"]


def read_counts(segmentation: dict[str, Any], height: int, width: int, where: str) -> list[int] | str:
    """Run lengths of this size, as a list or as COCO's text."""
    size: Any = segmentation.get("size")
    counts: Any = segmentation.get("counts")
    if size != [height, width]:
        raise DatasetError(f"{where}: expected run lengths of size [{height}, {width}]; got {told(size)}")
    if not isinstance(counts, str) and not is_list_of(counts, {int}):
        raise DatasetError(f"{where}: expected run lengths as 'counts', as a list or text; got {told(counts)}")
    checked: list[int] | str = counts
    return checked


def filling(counts: list[int] | str | bytes, pixels: int, where: str) -> NDArray[np.uint32]:
    """The same as numbers, which add up to all pixels."""
    try:
        lengths = decompressed(counts, "'counts'") if isinstance(counts, (str, bytes)) else counts
        return check_counts(lengths, "'counts'", pixels).astype(np.uint32)
    except (ArgumentTypeError, ArgumentValueError) as error:
        raise DatasetError(f"{where}: {error}") from error
