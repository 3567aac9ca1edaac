"""Separable resampling by taps: out[i, j] = sum over p, q of rows.weight[i, p] columns.weight[j, q] in[row, column]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def sample_image(
    image: NDArray[np.uint8],
    top: int,
    left: int,
    row_index: NDArray[np.int32],
    row_weight: NDArray[np.float32],
    column_index: NDArray[np.int32],
    column_weight: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The crop of a photo (H, W, 3) that begins at (top, left), resampled to float32 (3, rows, columns) in [0, 1]."""
    rows, columns, taps = row_index.shape[0], column_index.shape[0], row_index.shape[1]
    out = np.empty((3, rows, columns), np.float32)
    scale = np.float32(1 / 255)
    for i in range(rows):
        for j in range(columns):
            red = green = blue = np.float32(0)
            for p in range(taps):
                row = top + row_index[i, p]
                for q in range(taps):
                    column = left + column_index[j, q]
                    weight = row_weight[i, p] * column_weight[j, q]
                    red += weight * np.float32(image[row, column, 0])
                    green += weight * np.float32(image[row, column, 1])
                    blue += weight * np.float32(image[row, column, 2])
            out[0, i, j] = red * scale
            out[1, i, j] = green * scale
            out[2, i, j] = blue * scale
    return out


@kernel
def sample_planes(
    planes: NDArray[np.float32],
    row_index: NDArray[np.int32],
    row_weight: NDArray[np.float32],
    column_index: NDArray[np.int32],
    column_weight: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Float planes (C, H, W) resampled to float32 (C, rows, columns)."""
    channels, rows, columns = planes.shape[0], row_index.shape[0], column_index.shape[0]
    out = np.empty((channels, rows, columns), np.float32)
    for channel in range(channels):
        for i in range(rows):
            for j in range(columns):
                total = np.float32(0)
                for p in range(row_index.shape[1]):
                    row = row_index[i, p]
                    for q in range(column_index.shape[1]):
                        weight = row_weight[i, p] * column_weight[j, q]
                        total += weight * planes[channel, row, column_index[j, q]]
                out[channel, i, j] = total
    return out
