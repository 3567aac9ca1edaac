"""Click maps: disks on the grid (SPEC section 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


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
    rows and columns, anywhere. plane: (side, side) of 0; written where the box of a disk reaches.
    """
    side, taps = source.shape
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
                    covered = False
                    for other in range(points.shape[0]):
                        down, right = source[i, p] - points[other, 0], source[j, q] - points[other, 1]
                        covered |= down * down + right * right <= radius * radius
                    total += weight[i, p] * weight[j, q] * np.float32(covered)
                plane[i, j] = total
