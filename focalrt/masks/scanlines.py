"""The pixels inside polygons, row by row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentValueError
from ..runs import Runs

MOST_CROSSINGS = 2**23  # of sides and rows, some 400 MiB; a mask of half as many runs has no more


class Slopes(NamedTuple):
    """Sides of polygons, from the upper end to the lower: x and y of both, and the number of the polygon; each (S,)."""

    x0: NDArray[np.float64]
    y0: NDArray[np.float64]
    x1: NDArray[np.float64]
    y1: NDArray[np.float64]
    polygon: NDArray[np.int64]


def fill(polygons: list[list[NDArray[np.float64]]], height: int, width: int) -> Runs:
    """Pixels whose middle lies in a polygon: inside an odd number of its rings, each an array (N, 2) of x, y.

    A middle on a left or upper side is inside, on a right or lower one outside, so that polygons with a common side
    share no pixel and leave none out. Costs O(n log n) in the crossings of sides with rows of the image.

    Raises ArgumentValueError for more than 2**23 crossings.
    """
    lines = np.sort(crossings(slopes(polygons), height, width)).reshape(-1, 2)
    lines = lines[lines[:, 0] < lines[:, 1]] % (height * (width + 1))  # of whichever polygon
    lines = lines[np.argsort(lines[:, 0])]
    reached = np.maximum.accumulate(lines[:, 1])
    apart = np.flatnonzero(lines[1:, 0] > reached[:-1])
    starts = lines[np.concatenate([[0], apart + 1])[: len(lines)], 0]
    ends = reached[np.concatenate([apart, [-1]])[: len(lines)]]
    rows = starts // (width + 1)
    return Runs(np.stack([rows, starts - rows * (width + 1), ends - rows * (width + 1)], axis=1).astype(np.int32))


def slopes(polygons: list[list[NDArray[np.float64]]]) -> Slopes:
    """The sides of all rings of the polygons."""
    rings = [ring for polygon in polygons for ring in polygon] or [np.empty((0, 2))]
    numbers = np.repeat(np.arange(len(polygons)), [sum(len(ring) for ring in polygon) for polygon in polygons])
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    sides = np.concatenate([np.concatenate(rings), ends], axis=1)
    upwards = sides[:, 1] > sides[:, 3]
    sides[upwards] = sides[upwards][:, [2, 3, 0, 1]]
    x0, y0, x1, y1 = sides.T
    return Slopes(x0, y0, x1, y1, numbers)


def crossings(sides: Slopes, height: int, width: int) -> NDArray[np.int64]:
    """For each side and each row whose middle it crosses the first column inside or out behind it, as one number.

    The number is (polygon height + row) (width + 1) + column.
    """
    first = np.clip(np.ceil(sides.y0 - 0.5), 0, height).astype(np.int64)
    counts = np.clip(np.ceil(sides.y1 - 0.5), 0, height).astype(np.int64) - first
    total = int(counts.sum())
    if total > MOST_CROSSINGS:
        raise ArgumentValueError(
            f"polygons: expected sides that cross at most {MOST_CROSSINGS} rows of the image in all; got {total}"
        )
    side = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(total) - (np.cumsum(counts) - counts - first)[side]
    x = (row + 0.5 - sides.y0[side]) * (sides.x1 - sides.x0)[side] / (sides.y1 - sides.y0)[side] + sides.x0[side]
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    numbers: NDArray[np.int64] = (sides.polygon[side] * height + row) * (width + 1) + column
    return numbers
