"""Runs of pixels: int32 (N, 3) arrays of row, start, end (half-open), sorted, no two touching (SPEC section 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import Integer, kernel


@kernel
def canonical(spans: NDArray[np.int32]) -> bool:
    """Whether every run ends behind its start, they are sorted by row and start, and no two touch."""
    for n in range(spans.shape[0]):
        if spans[n, 1] >= spans[n, 2]:
            return False
        if n > 0 and (
            spans[n, 0] < spans[n - 1, 0] or (spans[n, 0] == spans[n - 1, 0] and spans[n, 1] <= spans[n - 1, 2])
        ):
            return False
    return True


@kernel
def starts(mask: NDArray[np.bool_], row: int) -> int:
    """Number of runs in one row of a dense mask."""
    line = mask[row]
    before, here = line[:-1], line[1:]
    count = int(line[0])
    for j in range(here.shape[0]):
        count += here[j] > before[j]
    return count


@kernel
def count_runs(mask: NDArray[np.bool_]) -> int:
    """Number of runs of a dense mask (H, W) of at least one column."""
    count = 0
    for i in range(mask.shape[0]):
        count += starts(mask, i)
    return count


@kernel
def from_mask(mask: NDArray[np.bool_], top: int, left: int, spans: NDArray[np.int32]) -> None:
    """Writes the runs of a dense mask (H, W) whose first pixel is (top, left); ``spans`` has room for just those.

    A row is looked through no further than the end of its last run.
    """
    n = 0
    for i in range(mask.shape[0]):
        j = 0
        for _ in range(starts(mask, i)):
            while not mask[i, j]:
                j += 1
            spans[n, 0], spans[n, 1] = top + i, left + j
            while j < mask.shape[1] and mask[i, j]:
                j += 1
            spans[n, 2] = left + j
            n += 1


@kernel
def flip(mask: NDArray[np.bool_], spans: NDArray[np.int32], top: int, left: int) -> None:
    """Inverts, in place, the pixels of a dense mask whose first pixel is (top, left)."""
    for n in range(spans.shape[0]):
        line = mask[spans[n, 0] - top, spans[n, 1] - left : spans[n, 2] - left]
        for k in range(line.shape[0]):
            line[k] ^= True


@kernel
def extent(spans: NDArray[np.int32]) -> tuple[int, int, int, int, int]:
    """The smallest box of at least one run, x0, y0, x1, y1, and the number of pixels."""
    x0, x1, area = spans[0, 1], spans[0, 2], 0
    for n in range(spans.shape[0]):
        x0, x1 = min(x0, spans[n, 1]), max(x1, spans[n, 2])
        area += int(spans[n, 2] - spans[n, 1])
    return int(x0), int(spans[0, 0]), int(x1), int(spans[-1, 0]) + 1, area


@kernel
def edge(spans: NDArray[np.int32], k: Integer) -> Integer:
    """Place of the k-th edge of some runs in reading order, ``2^32 row + column + 2^31``; after the last, beyond all.

    Even edges begin a run, odd ones end it.
    """
    n = k >> 1
    beyond: Integer = np.int64(2**63 - 1)
    if n >= spans.shape[0]:
        return beyond
    place: Integer = (np.int64(spans[n, 0]) << 32) + np.int64(spans[n, 1 + (k & 1)]) + 2**31
    return place


@kernel
def combine(a: NDArray[np.int32], b: NDArray[np.int32], table: int, out: NDArray[np.int32]) -> Integer:
    """The pixels for which bit ``2 [in a] + [in b]`` of the truth table is set; bit 0 must not be.

    out: room for as many runs as a and b have together, and one more; written. Returns how many there are.
    """
    i: Integer = np.int64(0)
    j = n = state = inside = i
    next_a, next_b = edge(a, i), edge(b, j)
    while i < 2 * a.shape[0] or j < 2 * b.shape[0]:
        here = min(next_a, next_b)
        if next_a == here:
            state ^= 2
            i += 1
            next_a = edge(a, i)
        if next_b == here:
            state ^= 1
            j += 1
            next_b = edge(b, j)
        now = (table >> state) & 1
        out[n >> 1, 0] = here >> 32
        out[n >> 1, 1 + (n & 1)] = (here & 0xFFFFFFFF) - 2**31
        n += now ^ inside  # an edge of the result, or overwritten by the next
        inside = now
    return n >> 1


@kernel
def push(spans: NDArray[np.int32], n: Integer, row: Integer, start: Integer, end: Integer) -> Integer:
    """Adds a run, if it is not empty, behind the first n, or to the last where they touch; the new number."""
    if start >= end:
        return n
    if n > 0 and spans[n - 1, 0] == row and spans[n - 1, 2] == start:
        spans[n - 1, 2] = end
        return n
    spans[n, 0], spans[n, 1], spans[n, 2] = row, start, end
    return n + 1


@kernel
def paste(
    a: NDArray[np.int32],
    b: NDArray[np.int32],
    left: int,
    top: int,
    right: int,
    bottom: int,
    out: NDArray[np.int32],
) -> Integer:
    """The pixels of b, all of them inside a box, and those of a outside it.

    out: room for twice the runs of a and those of b, written. Returns how many there are.
    """
    n: Integer = np.int64(0)
    i = j = n
    while i < a.shape[0] or j < b.shape[0]:
        row = np.int64(a[i, 0] if j == b.shape[0] or (i < a.shape[0] and a[i, 0] < b[j, 0]) else b[j, 0])
        crossed = top <= row < bottom
        begin = i
        while i < a.shape[0] and a[i, 0] == row:
            start, end = np.int64(a[i, 1]), np.int64(a[i, 2])
            n = push(out, n, row, start, left if crossed and left < end else end)
            i += 1
        while j < b.shape[0] and b[j, 0] == row:
            n = push(out, n, row, np.int64(b[j, 1]), np.int64(b[j, 2]))
            j += 1
        while crossed and begin < i:
            start, end = np.int64(a[begin, 1]), np.int64(a[begin, 2])
            n = push(out, n, row, start if start > right else right, end)
            begin += 1
    return n


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
def cover(
    start: int,
    end: int,
    weight: float,
    source: NDArray[np.uint64],
    share: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Adds ``weight`` times a row that is 1 in [start, end) and 0 elsewhere, resampled by taps, to ``out`` (N,)."""
    last = source.shape[1] - 1
    low, high = 0, source.shape[0]
    while low < high:  # to the first output that reads beyond the start
        middle = (low + high) // 2
        if np.int64(source[middle, last]) < start:
            low = middle + 1
        else:
            high = middle
    for j in range(low, source.shape[0]):
        if np.int64(source[j, 0]) >= end:
            break
        if np.int64(source[j, 0]) >= start and np.int64(source[j, last]) < end:
            out[j] += weight
            continue
        for q in range(source.shape[1]):
            if start <= np.int64(source[j, q]) < end:
                out[j] += weight * share[j, q]


@kernel
def sample(
    spans: NDArray[np.int32],
    top: int,
    left: int,
    row_source: NDArray[np.uint64],
    row_weight: NDArray[np.float32],
    column_source: NDArray[np.uint64],
    column_weight: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """The 0/1 mask resampled by taps over the crop that begins at (top, left), added to ``out`` (rows, columns)."""
    first = 0
    for i in range(row_source.shape[0]):
        while first < spans.shape[0] and spans[first, 0] - top < np.int64(row_source[i, 0]):
            first += 1
        for p in range(row_source.shape[1]):
            row = top + np.int64(row_source[i, p])
            n = first
            while n < spans.shape[0] and spans[n, 0] <= row:
                if spans[n, 0] == row:
                    start, end = spans[n, 1] - left, spans[n, 2] - left
                    cover(start, end, row_weight[i, p], column_source, column_weight, out[i])
                n += 1
