"""Click maps: disks on the grid (SPEC section 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def mark_disks(points: NDArray[np.float64], radius: float, marks: NDArray[np.bool_]) -> None:
    """Marks the grid points, of a plane (L, L) of False, whose squared distance to a point is at most the radius's.

    points: (N, 2) rows and columns, anywhere.
    """
    end = marks.shape[0] - 1
    for k in range(points.shape[0]):
        top, left = max(points[k, 0] - radius, 0.0), max(points[k, 1] - radius, 0.0)
        bottom, right = min(points[k, 0] + radius, float(end)), min(points[k, 1] + radius, float(end))
        if top > bottom or left > right:
            continue
        for i in range(int(np.floor(top)), int(np.ceil(bottom)) + 1):
            for j in range(int(np.floor(left)), int(np.ceil(right)) + 1):
                down, across = i - points[k, 0], j - points[k, 1]
                marks[i, j] |= down * down + across * across <= radius * radius


@kernel
def draw_disks(
    points: NDArray[np.float64],
    radius: float,
    source: NDArray[np.uint64],
    weight: NDArray[np.float32],
    plane: NDArray[np.float32],
) -> None:
    """The disks about some points of the grid as 0 and 1, resampled by the same taps down and across.

    A grid point lies in a disk when its squared distance to the point is at most the squared radius. points: (N, 2)
    rows and columns, anywhere. plane: (side, side) of 0; written where the box of a disk reaches. Costs one disk a
    point, wherever they lie.
    """
    side, taps = source.shape
    lines = int(source.max()) + 1
    marks = np.zeros((lines, lines), np.bool_)
    mark_disks(points, radius, marks)
    for k in range(points.shape[0]):
        for i in range(side):
            if source[i, 0] > points[k, 0] + radius or source[i, taps - 1] < points[k, 0] - radius:
                continue
            for j in range(side):
                if source[j, 0] > points[k, 1] + radius or source[j, taps - 1] < points[k, 1] - radius:
                    continue
                total = np.float32(0)
                for pair in range(taps * taps):
                    p, q = pair // taps, pair % taps
                    total += weight[i, p] * weight[j, q] * np.float32(marks[source[i, p], source[j, q]])
                plane[i, j] = total
