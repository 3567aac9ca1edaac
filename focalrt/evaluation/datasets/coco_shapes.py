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
from ...errors import DatasetError
from ...extras import imported
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
    if isinstance(segmentation, list) and segmentation:
        check_polygons(segmentation, height, width, where)
        lengths = draw(segmentation, height, width)
    elif isinstance(segmentation, dict):
        lengths = read_lengths(segmentation, height, width, where)
    else:
        raise DatasetError(f"{where}: expected polygons or run lengths as 'segmentation'; got {told(segmentation)}")
    return Shape(height, width, lengths.astype(np.uint32))


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


def draw(polygons: list[list[float]], height: int, width: int) -> NDArray[np.int64]:
    """Run lengths of the union of polygons."""
    mask = imported("pycocotools.mask", "drawing COCO's polygons", "eval")
    union = mask.merge(mask.frPyObjects(polygons, height, width))
    return lengths_of_text(union["counts"])


def read_lengths(segmentation: dict[str, Any], height: int, width: int, where: str) -> NDArray[np.int64]:
    """Lengths of runs that fill the plane, from a list or from COCO's text."""
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if size != [height, width]:
        raise DatasetError(f"{where}: expected run lengths of size [{height}, {width}]; got {told(size)}")
    if not isinstance(counts, str) and not is_list_of(counts, {int}):
        raise DatasetError(f"{where}: expected run lengths as 'counts', as a list or text; got {told(counts)}")
    try:
        lengths = lengths_of_text(counts.encode()) if isinstance(counts, str) else np.array(counts, np.int64)
    except (ValueError, OverflowError) as error:
        raise DatasetError(f"{where}: expected run lengths as 'counts'; got {told(counts)}: {error}") from error
    if (lengths < 0).any() or sum(lengths.tolist()) != height * width:
        raise DatasetError(f"{where}: expected runs of 0 and more, {height * width} pixels in all; got {told(counts)}")
    return lengths


def lengths_of_text(text: bytes) -> NDArray[np.int64]:
    """Run lengths out of COCO's text. Raises ValueError where it is none.

    A character holds six bits from ``0`` on: five of a number, lowest first, and whether more follow. The last one's
    highest bit is the sign. From the fourth number on, each is the difference to the last but one.
    """
    bits = np.frombuffer(text, np.uint8).astype(np.int64) - ord("0")
    last = np.flatnonzero(bits & 32 == 0)
    if ((bits < 0) | (bits > 63)).any() or (len(bits) and bits[-1] & 32):
        raise ValueError("it is cut short, or has characters without a meaning")
    first = np.concatenate([[0], last + 1])[:-1]
    if (last - first > 6).any():
        raise ValueError("it holds a number of more than 35 bits")
    shift = 5 * (np.arange(len(bits)) - np.repeat(first, last - first + 1))
    values: NDArray[np.int64] = np.add.reduceat((bits & 31) << shift, first) - ((bits[last] & 16) << (shift[last] + 1))
    values[1::2], values[2::2] = np.cumsum(values[1::2]), np.cumsum(values[2::2])
    return values
