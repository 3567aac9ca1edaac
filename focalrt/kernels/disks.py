"""Click maps: disks on the grid (SPEC section 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def draw_disks(points: NDArray[np.float64], radius: float, plane: NDArray[np.float32]) -> None:
    """Sets to 1 what lies within ``radius`` of any point: squared distance to its fractional place <= radius squared.

    points: (N, 2) rows and columns, anywhere. plane: (H, W), written in place.
    """
    height, width = plane.shape
    for k in range(points.shape[0]):
        row, column = points[k, 0], points[k, 1]
        top, bottom = max(0.0, np.ceil(row - radius)), min(height - 1.0, np.floor(row + radius))
        left, right = max(0.0, np.ceil(column - radius)), min(width - 1.0, np.floor(column + radius))
        for i in range(int(top), int(bottom) + 1):
            for j in range(int(left), int(right) + 1):
                if (i - row) ** 2 + (j - column) ** 2 <= radius * radius:
                    plane[i, j] = 1
