"""Runs of pixels: int32 (N, 3) arrays of row, start, end (half-open), sorted, no two touching (SPEC section 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def from_mask(mask: NDArray[np.bool_], top: int, left: int) -> NDArray[np.int32]:
    """The True pixels of a dense mask (H, W) whose first pixel is (top, left)."""
    height, width = mask.shape
    count = 0
    for i in range(height):
        before = False
        for j in range(width):
            count += mask[i, j] and not before
            before = mask[i, j]
    spans = np.empty((count, 3), np.int32)
    n = 0
    for i in range(height):
        start = -1
        for j in range(width):
            if mask[i, j]:
                if start < 0:
                    start = j
            elif start >= 0:
                spans[n, 0], spans[n, 1], spans[n, 2] = top + i, left + start, left + j
                n += 1
                start = -1
        if start >= 0:
            spans[n, 0], spans[n, 1], spans[n, 2] = top + i, left + start, left + width
            n += 1
    return spans


@kernel
def flip(mask: NDArray[np.bool_], spans: NDArray[np.int32], top: int, left: int) -> None:
    """Inverts, in place, the pixels of a dense mask whose first pixel is (top, left)."""
    for n in range(spans.shape[0]):
        row = spans[n, 0] - top
        for column in range(spans[n, 1] - left, spans[n, 2] - left):
            mask[row, column] = not mask[row, column]


@kernel
def combine(a: NDArray[np.int32], b: NDArray[np.int32], table: int) -> NDArray[np.int32]:
    """The pixels for which bit ``2 [in a] + [in b]`` of the truth table is set; bit 0 must not be."""
    out: NDArray[np.int32] = np.empty((a.shape[0] + b.shape[0], 3), np.int32)
    never = np.int64(2**31)
    i = j = n = 0
    while i < a.shape[0] or j < b.shape[0]:
        row = never
        if i < a.shape[0]:
            row = np.int64(a[i, 0])
        if j < b.shape[0]:
            row = min(row, np.int64(b[j, 0]))
        in_a = in_b = inside = 0
        start = np.int64(0)
        while True:
            edge_a = edge_b = never
            if i < a.shape[0] and a[i, 0] == row:
                edge_a = np.int64(a[i, 1 + in_a])
            if j < b.shape[0] and b[j, 0] == row:
                edge_b = np.int64(b[j, 1 + in_b])
            edge = min(edge_a, edge_b)
            if edge == never:
                break
            if edge_a == edge:
                i += in_a
                in_a = 1 - in_a
            if edge_b == edge:
                j += in_b
                in_b = 1 - in_b
            now = (table >> (2 * in_a + in_b)) & 1
            if now > inside:
                start = edge
            elif now < inside:
                out[n, 0], out[n, 1], out[n, 2] = row, start, edge
                n += 1
            inside = now
    used: NDArray[np.int32] = out[:n].copy()
    return used


@kernel
def find(spans: NDArray[np.int32], row: int, column: int) -> int:
    """Index of the run that holds the pixel, or -1."""
    low, high = 0, spans.shape[0]
    while low < high:
        middle = (low + high) // 2
        if spans[middle, 0] < row or (spans[middle, 0] == row and spans[middle, 2] <= column):
            low = middle + 1
        else:
            high = middle
    if low < spans.shape[0] and spans[low, 0] == row and spans[low, 1] <= column:
        return low
    return -1


@kernel
def first_at_least(values: NDArray[np.int32], bound: int) -> int:
    """Number of values below ``bound`` in an ascending array."""
    low, high = 0, values.shape[0]
    while low < high:
        middle = (low + high) // 2
        if values[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def sample(
    spans: NDArray[np.int32],
    top: int,
    left: int,
    row_source: NDArray[np.int32],
    row_weight: NDArray[np.float32],
    column_source: NDArray[np.int32],
    column_weight: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The 0/1 mask resampled by taps over the crop that begins at (top, left), float32 (rows, columns)."""
    out = np.zeros((row_source.shape[0], column_source.shape[0]), np.float32)
    for i in range(row_source.shape[0]):
        for p in range(row_source.shape[1]):
            row = top + row_source[i, p]
            n = first_at_least(spans[:, 0], row)
            while n < spans.shape[0] and spans[n, 0] == row:
                for q in range(column_source.shape[1]):
                    begin = first_at_least(column_source[:, q], spans[n, 1] - left)
                    end = first_at_least(column_source[:, q], spans[n, 2] - left)
                    for j in range(begin, end):
                        out[i, j] += row_weight[i, p] * column_weight[j, q]
                n += 1
    return out


@kernel
def first_pixels(cells: int, pixels: int) -> NDArray[np.int64]:
    """For each of the cells between grid lines laid over a row of pixels (align_corners) its first pixel, then the end.

    Pixel j lies at ``j cells / (pixels - 1)``; the last one belongs to the last cell.
    """
    steps = max(pixels - 1, 1)
    first = np.empty(cells + 1, np.int64)
    for cell in range(cells):
        first[cell] = min((cell * steps + cells - 1) // cells, pixels)
    first[cells] = pixels
    return first


@kernel
def mixed_cells(grid: NDArray[np.float32], threshold: float, band: int, cells: NDArray[np.int64]) -> int:
    """Writes the cells of a band of the grid whose four corners lie on both sides of the threshold; their number."""
    n = 0
    for cell in range(grid.shape[1] - 1):
        above = (
            int(grid[band, cell] > threshold)
            + int(grid[band, cell + 1] > threshold)
            + int(grid[band + 1, cell] > threshold)
            + int(grid[band + 1, cell + 1] > threshold)
        )
        if 0 < above < 4:
            cells[n] = cell
            n += 1
    return n


@kernel
def at_line(grid: NDArray[np.float32], threshold: float, band: int, line: int, share: float) -> tuple[float, bool]:
    """Value on a grid line ``share`` of the way down a band, and whether it counts as above the threshold.

    Between two corners on one side it does not leave that side, whatever rounding makes of the value.
    """
    upper, lower = np.float64(grid[band, line]), np.float64(grid[band + 1, line])
    value = upper + share * (lower - upper)
    if (upper > threshold) == (lower > threshold):
        return float(value), bool(upper > threshold)
    return float(value), bool(value > threshold)


@kernel
def crossing(
    a: float, b: float, rising: bool, threshold: float, cell: int, cells: int, steps: int, low: int, high: int
) -> int:
    """First of the pixels [low, high) on b's side of the threshold; high if none.

    The values run linearly from a on grid line ``cell`` to b on the next; pixel j lies at ``j cells / steps``. Its
    place follows from a division; rounding is settled by the value at the pixel itself.
    """
    guess = (cell + (threshold - a) / (b - a)) * steps / cells
    at = low
    if guess > low:  # not so for NaN
        at = int(np.ceil(min(guess, np.float64(high))))
    while at > low and (a + ((at - 1) * cells - cell * steps) / steps * (b - a) > threshold) == rising:
        at -= 1
    while at < high and (a + (at * cells - cell * steps) / steps * (b - a) > threshold) != rising:
        at += 1
    return at


@kernel
def toggle(spans: NDArray[np.int32], n: int, row: int, start: int, at: int) -> tuple[int, int]:
    """Ends the open run at pixel ``at``, or opens one there (start < 0: none is open). Returns (n, start).

    A run that ends where it began is dropped; one that begins where the last ended goes on.
    """
    if start >= 0:
        if at == start:
            return n, -1
        spans[n, 0], spans[n, 1], spans[n, 2] = row, start, at
        return n + 1, -1
    if n > 0 and spans[n - 1, 0] == row and spans[n - 1, 2] == at:
        return n - 1, int(spans[n - 1, 1])
    return n, at


@kernel
def count_at_most(grid: NDArray[np.float32], threshold: float, rows: NDArray[np.int64]) -> int:
    """A bound on the number of runs of :func:`from_grid`: each mixed cell of a band can toggle once a row."""
    mixed = np.empty(grid.shape[1], np.int64)
    most = 0
    for band in range(grid.shape[0] - 1):
        if rows[band + 1] > rows[band]:
            most += (rows[band + 1] - rows[band]) * ((mixed_cells(grid, threshold, band, mixed) + 2) // 2)
    return most


@kernel
def from_grid(
    grid: NDArray[np.float32], threshold: float, top: int, left: int, height: int, width: int
) -> NDArray[np.int32]:
    """Where a grid (L, L), read bilinearly with align_corners over a box of pixels, exceeds the threshold.

    A cell with all corners on one side is uniform, so only the others are interpolated: down to the pixel's row first,
    where the values along the row are linear, and the one crossing in closed form. A tie is outside.
    """
    cells = grid.shape[0] - 1
    rows, columns = first_pixels(cells, height), first_pixels(cells, width)
    row_steps, column_steps = max(height - 1, 1), max(width - 1, 1)
    spans: NDArray[np.int32] = np.empty((count_at_most(grid, threshold, rows), 3), np.int32)
    mixed = np.empty(cells, np.int64)
    n = 0
    for band in range(cells):
        count = mixed_cells(grid, threshold, band, mixed) if rows[band + 1] > rows[band] else 0
        for i in range(rows[band], rows[band + 1]):
            share = (i * cells - band * row_steps) / row_steps
            start = left if at_line(grid, threshold, band, 0, share)[1] else -1
            for m in range(count):
                cell = mixed[m]
                a, above_a = at_line(grid, threshold, band, cell, share)
                b, above_b = at_line(grid, threshold, band, cell + 1, share)
                if above_a != above_b:
                    low, high = columns[cell], columns[cell + 1]
                    at = crossing(a, b, above_b, threshold, cell, cells, column_steps, low, high)
                    n, start = toggle(spans, n, top + i, start, left + at)
            if start >= 0:
                n, start = toggle(spans, n, top + i, start, left + width)
    used: NDArray[np.int32] = spans[:n].copy()
    return used
