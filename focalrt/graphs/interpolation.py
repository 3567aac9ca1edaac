"""Bilinear interpolation as matrices, for where its products can be joined with others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def align_corners(inputs: int, outputs: int) -> Matrix:
    """(outputs, inputs): the first and the last output are the first and the last input (SPEC section 0)."""
    return hats(np.linspace(0, inputs - 1, outputs), inputs)


def half_pixel(inputs: int, outputs: int) -> Matrix:
    """(outputs, inputs): without align_corners; pixels are areas, and the first ones begin at one place."""
    return hats((np.arange(outputs) + 0.5) * inputs / outputs - 0.5, inputs)


def hats(at: NDArray[np.float64], inputs: int) -> Matrix:
    """(outputs, inputs): what each input weighs in a sample at these coordinates, clamped to the edge."""
    distance: Matrix = np.abs(np.clip(at, 0, inputs - 1)[:, None] - np.arange(inputs))
    return np.clip(1 - distance, 0, None)


def shifted(matrix: Matrix, rows: int) -> Matrix:
    """Row i is the matrix's row i + rows, or zero outside of it."""
    count = len(matrix)
    return np.pad(matrix, ((count, count), (0, 0)))[count + rows : 2 * count + rows]
