"""Separable resampling by taps: out[i, j] = sum over p, q of rows.weight[i, p] columns.weight[j, q] in[row, column].

Each row of the output begins as one line, its input rows blended at full width, which runs through memory in order;
then every output reads its few places of the line. The first two taps of an axis, mostly all there are, go before the
loop over the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def sample_image(
    lines: NDArray[np.uint8],
    top: int,
    left: int,
    row_source: NDArray[np.uint64],
    row_weight: NDArray[np.float32],
    column_source: NDArray[np.uint64],
    column_weight: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """The crop of a photo that begins at (top, left), resampled to [0, 1].

    lines: the photo's rows (H, 3 W), red, green and blue of each pixel in turn. out: (3, rows, columns), written.
    """
    first, last = 3 * left, 3 * (left + np.intp(column_source[-1, -1]) + 1)
    line = np.empty(last - first, np.float32)
    scale, three, one, two = np.float32(1 / 255), np.uint64(3), np.uint64(1), np.uint64(2)
    for i in range(row_source.shape[0]):
        for p in range(0, row_source.shape[1], 2):
            upper = lines[top + np.intp(row_source[i, p]), first:last]
            lower = lines[top + np.intp(row_source[i, p + 1]), first:last]
            a, b = row_weight[i, p] * scale, row_weight[i, p + 1] * scale
            if p == 0:
                for k in range(line.shape[0]):
                    line[k] = a * np.float32(upper[k]) + b * np.float32(lower[k])
            else:
                for k in range(line.shape[0]):
                    line[k] += a * np.float32(upper[k]) + b * np.float32(lower[k])
        for j in range(column_source.shape[0]):
            at, to = three * column_source[j, 0], three * column_source[j, 1]
            a, b = column_weight[j, 0], column_weight[j, 1]
            red = a * line[at] + b * line[to]
            green = a * line[at + one] + b * line[to + one]
            blue = a * line[at + two] + b * line[to + two]
            for q in range(2, column_source.shape[1]):
                at, a = three * column_source[j, q], column_weight[j, q]
                red += a * line[at]
                green += a * line[at + one]
                blue += a * line[at + two]
            out[0, i, j], out[1, i, j], out[2, i, j] = red, green, blue


@kernel
def sample_planes(
    planes: NDArray[np.float32],
    row_source: NDArray[np.uint64],
    row_weight: NDArray[np.float32],
    column_source: NDArray[np.uint64],
    column_weight: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Float planes (C, H, W) resampled into ``out`` (C, rows, columns)."""
    line = np.empty(planes.shape[2], np.float32)
    for channel in range(planes.shape[0]):
        for i in range(row_source.shape[0]):
            upper, lower = planes[channel, row_source[i, 0]], planes[channel, row_source[i, 1]]
            a, b = row_weight[i, 0], row_weight[i, 1]
            for k in range(line.shape[0]):
                line[k] = a * upper[k] + b * lower[k]
            for p in range(2, row_source.shape[1]):
                other, c = planes[channel, row_source[i, p]], row_weight[i, p]
                for k in range(line.shape[0]):
                    line[k] += c * other[k]
            for j in range(column_source.shape[0]):
                a, b = line[column_source[j, 0]], line[column_source[j, 1]]
                out[channel, i, j] = column_weight[j, 0] * a + column_weight[j, 1] * b
            for q in range(2, column_source.shape[1]):
                for j in range(column_source.shape[0]):
                    out[channel, i, j] += column_weight[j, q] * line[column_source[j, q]]
