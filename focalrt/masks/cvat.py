"""CVAT's masks: run lengths across the rows of the mask's box, then the box."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ArgumentValueError
from ..geometry import Box
from ..runs import Runs
from .checks import MOST_PIXELS, MOST_SIDE, check_counts, check_runs, check_size, check_whole_numbers
from .counts import from_counts, to_counts


def to_cvat(runs: Runs) -> list[int]:
    """The ``points`` of a CVAT mask: lengths of runs off and on the object in turn, then left, top, right, bottom.

    Runs go across the rows of the smallest box that holds the mask; its last column and row (right, bottom) belong to
    it. No pixel is ``[1, 0, 0, 0, 0]``, as ``cvat_sdk.masks.encode_mask`` has it. Raises ArgumentTypeError,
    ArgumentValueError where the runs are none or lie left of or above pixel (0, 0).
    """
    box = check_runs(runs, MOST_SIDE, MOST_SIDE).box or Box(0, 0, 1, 1)
    moved = runs.spans - np.array([box.y0, box.x0, box.x0], np.int32)
    counts: list[int] = to_counts(moved, box.height, box.width).tolist()
    return [*counts, box.x0, box.y0, box.x1 - 1, box.y1 - 1]


def from_cvat(points: Sequence[float], height: int, width: int) -> Runs:
    """The pixels of a CVAT mask of an image of that size; the box need not be the smallest.

    Raises ArgumentTypeError, ArgumentValueError where the points are none, the box leaves the image, or the counts do
    not fill it.
    """
    height, width = check_size(height, width)
    numbers = check_whole_numbers(points, "points", 0, MOST_PIXELS)
    if len(numbers) < 5:
        raise ArgumentValueError(
            f"points: expected run lengths, then left, top, right and bottom; got {len(numbers)} numbers"
        )
    left, top, right, bottom = numbers[-4:].tolist()
    if not (left <= right < width and top <= bottom < height):
        raise ArgumentValueError(
            f"points: expected to end in left <= right < {width} and top <= bottom < {height}, as left, top, right, "
            f"bottom; got {left}, {top}, {right}, {bottom}"
        )
    columns = right - left + 1
    spans = from_counts(check_counts(numbers[:-4], "points", columns * (bottom - top + 1)), columns)
    return Runs(spans + np.array([top, left, left], np.int32))
