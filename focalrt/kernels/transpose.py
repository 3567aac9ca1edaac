"""Runs across the rows of a mask turned into runs down its columns, without the pixels between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def by_column(edges: NDArray[np.int32], left: int, place: NDArray[np.int64], out: NDArray[np.int32]) -> None:
    """Runs down the columns (column, first row, end row), sorted, of the mask that turns where the edges lie.

    edges: spans of the upper sides of pixels at which a column enters or leaves the mask, in reading order. place:
    zeros, one more than columns from ``left`` on, written. out: half as many runs as the edges have pixels. A counting
    sort: no column is compared with another.
    """
    for n in range(edges.shape[0]):
        for column in range(edges[n, 1] - left, edges[n, 2] - left):
            place[column + 1] += 1
    for column in range(1, place.shape[0]):
        place[column] += place[column - 1]
    for n in range(edges.shape[0]):
        for column in range(edges[n, 1] - left, edges[n, 2] - left):
            at = place[column]
            out[at // 2, 0] = left + column
            out[at // 2, 1 + at % 2] = edges[n, 0]
            place[column] = at + 1
