"""A grid (L, L) read bilinearly (align_corners) over a box of pixels, at full resolution, as runs (SPEC section 8).

A cell of the grid with its four corners on one side of the threshold is uniform, so only the others, the mixed cells,
are interpolated: down to the pixel's row first, where the values along the row are linear, and the one crossing in
closed form. A tie is outside.
"""

from __future__ import annotations

from math import exp

import numpy as np
from numpy.typing import NDArray

from ._jit import Integer, kernel


@kernel
def mixed_cells(
    above: NDArray[np.bool_], words: NDArray[np.uint64], first: NDArray[np.int32], cells: NDArray[np.int16]
) -> int:
    """The cells whose corners are not all on one side: those of band b become ``cells[first[b]:first[b + 1]]``.

    above: (L, W), on which side every corner lies, W >= L a multiple of 8. words: its memory, eight corners each, so
    that uniform ones are passed by at once. first: (L,), cells: room for all (L - 1)^2. Returns their number.
    """
    bands = first.shape[0] - 1
    none, every, neither = np.uint64(0), np.uint64(0x0101010101010101), np.uint64(2)
    n = 0
    for band in range(bands):
        first[band] = n
        last = words[band, 0]
        for w in range(words.shape[1]):
            word = words[band, w]
            uniform = word == words[band + 1, w] and word in (none, every)
            if uniform and word == last:
                continue
            last = word if uniform else neither
            for cell in range(max(8 * w - 1, 0), min(8 * w + 7, bands)):
                corners = int(above[band, cell]) + int(above[band, cell + 1])
                corners += int(above[band + 1, cell]) + int(above[band + 1, cell + 1])
                cells[n] = cell
                n += 0 < corners < 4
    first[bands] = n
    return n


@kernel
def probabilities(
    logits: NDArray[np.float32], first: NDArray[np.int32], cells: NDArray[np.int16], out: NDArray[np.float32]
) -> None:
    """1 / (1 + exp(-logit)) at the corners of the mixed cells; ``out`` (L, L) is not touched elsewhere."""
    for band in range(logits.shape[0] - 1):
        for m in range(first[band], first[band + 1]):
            for row in range(band, band + 2):
                for column in range(cells[m], cells[m] + 2):
                    tail = exp(-abs(np.float64(logits[row, column])))
                    out[row, column] = (1.0 if logits[row, column] > 0 else tail) / (1 + tail)


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
def at_line(
    grid: NDArray[np.float32], above: NDArray[np.bool_], threshold: float, band: int, line: Integer, share: float
) -> tuple[float, bool]:
    """Value on a grid line ``share`` of the way down a band, and whether it counts as above the threshold.

    Between two corners on one side it does not leave that side, whatever rounding makes of the value.
    """
    upper, lower = np.float64(grid[band, line]), np.float64(grid[band + 1, line])
    value = upper + share * (lower - upper)
    if above[band, line] == above[band + 1, line]:
        return float(value), bool(above[band, line])
    return float(value), bool(value > threshold)


@kernel
def crossing(
    a: float, b: float, rising: bool, threshold: float, cell: Integer, cells: int, steps: int, low: int, high: int
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
def toggle(spans: NDArray[np.int32], n: Integer, row: int, start: int, at: int) -> tuple[Integer, int]:
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
def trace(
    grid: NDArray[np.float32],
    above: NDArray[np.bool_],
    first: NDArray[np.int32],
    cells: NDArray[np.int16],
    threshold: float,
    top: int,
    left: int,
    height: int,
    width: int,
    spans: NDArray[np.int32],
) -> Integer:
    """The runs of the pixels above the threshold, of a box that begins at (top, left); how many there are.

    Only the corners of mixed cells are read. spans: room for one run more than half the mixed cells of each row.
    """
    bands = grid.shape[0] - 1
    rows, columns = first_pixels(bands, height), first_pixels(bands, width)
    row_steps, column_steps = max(height - 1, 1), max(width - 1, 1)
    zero: Integer = np.int64(0)
    n = zero
    for band in range(bands):
        for i in range(rows[band], rows[band + 1]):
            share = (i * bands - band * row_steps) / row_steps
            start = left if at_line(grid, above, threshold, band, zero, share)[1] else -1
            for m in range(first[band], first[band + 1]):
                cell = np.int64(cells[m])
                a, above_a = at_line(grid, above, threshold, band, cell, share)
                b, above_b = at_line(grid, above, threshold, band, cell + 1, share)
                if above_a != above_b:
                    low, high = columns[cell], columns[cell + 1]
                    at = crossing(a, b, above_b, threshold, cell, bands, column_steps, low, high)
                    n, start = toggle(spans, n, top + i, start, left + at)
            if start >= 0:
                n, start = toggle(spans, n, top + i, start, left + width)
    return n
