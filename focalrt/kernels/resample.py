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
    row_source: NDArray[np.int32],
    row_weight: NDArray[np.float32],
    column_source: NDArray[np.int32],
    column_weight: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The crop of a photo (H, W, 3) that begins at (top, left), resampled to float32 (3, rows, columns) in [0, 1]."""
    rows, columns, taps = row_source.shape[0], column_source.shape[0], row_source.shape[1]
    out = np.empty((3, rows, columns), np.float32)
    scale = np.float32(1 / 255)
    for i in range(rows):
        for j in range(columns):
            red = green = blue = np.float32(0)
            for p in range(taps):
                row = top + row_source[i, p]
                for q in range(taps):
                    column = left + column_source[j, q]
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
    row_source: NDArray[np.int32],
    row_weight: NDArray[np.float32],
    column_source: NDArray[np.int32],
    column_weight: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Float planes (C, H, W) resampled to float32 (C, rows, columns)."""
    channels, rows, columns = planes.shape[0], row_source.shape[0], column_source.shape[0]
    out = np.empty((channels, rows, columns), np.float32)
    line = np.empty(planes.shape[2], np.float32)
    for channel in range(channels):
        for i in range(rows):
            line[:] = 0
            for p in range(row_source.shape[1]):
                weight, row = row_weight[i, p], row_source[i, p]
                for k in range(line.shape[0]):
                    line[k] += weight * planes[channel, row, k]
            for j in range(columns):
                total = np.float32(0)
                for q in range(column_source.shape[1]):
                    total += column_weight[j, q] * line[column_source[j, q]]
                out[channel, i, j] = total
    return out
