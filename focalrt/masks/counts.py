"""Run lengths along one line: rows joined end to end, as every run-length code of the field counts them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_counts(spans: NDArray[np.int32], rows: int, columns: int) -> NDArray[np.int64]:
    """Lengths, int64, of the runs outside and inside in turn, outside first (0 if the first pixel is inside).

    They add up to ``rows * columns``; no other is 0.
    """
    turns = (spans[:, :1].astype(np.int64) * columns + spans[:, 1:]).ravel()
    joined = 2 * np.flatnonzero(turns[1:-1:2] == turns[2::2])  # one ends with a row, one begins the next
    turns = np.delete(turns, np.concatenate([joined + 1, joined + 2]))
    counts = np.diff(turns, prepend=0, append=rows * columns)
    return counts if counts[-1] else counts[:-1]


def from_counts(counts: NDArray[np.int64], columns: int) -> NDArray[np.int32]:
    """Spans of the runs inside, cut at the ends of rows; counts of 0 are passed over."""
    bounds = np.cumsum(counts)[: len(counts) // 2 * 2]
    pairs = bounds.reshape(-1, 2)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    apart = np.flatnonzero(pairs[1:, 0] > pairs[:-1, 1])
    starts = pairs[np.concatenate([[0], apart + 1])[: len(pairs)], 0]
    ends = pairs[np.concatenate([apart, [-1]])[: len(pairs)], 1]
    return cut(starts, ends, columns)


def cut(starts: NDArray[np.int64], ends: NDArray[np.int64], columns: int) -> NDArray[np.int32]:
    """Spans of the runs [start, end) along the line, sorted and apart; one that goes on in the next row is cut."""
    first = starts // columns
    pieces = (ends - 1) // columns - first + 1
    run = np.repeat(np.arange(len(starts)), pieces)
    row = np.arange(len(run)) - (np.cumsum(pieces) - pieces - first)[run]
    spans = np.empty((len(run), 3), np.int32)
    spans[:, 0] = row
    spans[:, 1] = np.maximum(starts[run] - row * columns, 0)
    spans[:, 2] = np.minimum(ends[run] - row * columns, columns)
    return spans
