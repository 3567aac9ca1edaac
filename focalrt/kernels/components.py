"""8-connected components of a set of runs, by union-find over runs of neighbouring rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def root(parent: NDArray[np.int32], n: int) -> int:
    """The representative of n's set, with every second link on the way shortened."""
    while parent[n] != n:
        parent[n] = parent[parent[n]]
        n = parent[n]
    return n


@kernel
def join(spans: NDArray[np.int32], parent: NDArray[np.int32]) -> None:
    """Unites the runs that touch; ``parent`` (N,) is written, and points from every run to an earlier one or itself.

    Half-open runs of neighbouring rows touch, corners included, when neither begins beyond the other's end.
    """
    above = 0
    for n in range(spans.shape[0]):
        own = parent[n] = n
        while above < n and (
            spans[above, 0] < spans[n, 0] - 1 or (spans[above, 0] == spans[n, 0] - 1 and spans[above, 2] < spans[n, 1])
        ):
            above += 1
        m = above
        while m < n and spans[m, 0] == spans[n, 0] - 1 and spans[m, 1] <= spans[n, 2]:
            other = root(parent, m)
            parent[max(own, other)] = own = min(own, other)
            m += 1


@kernel
def label(spans: NDArray[np.int32], parent: NDArray[np.int32]) -> int:
    """Writes to ``parent`` (N,) the component of each run, counted from 0 in reading order of their first pixels.

    Returns how many there are.
    """
    join(spans, parent)
    count = 0
    for n in range(spans.shape[0]):
        if parent[n] == n:
            parent[n] = count
            count += 1
        else:
            parent[n] = parent[parent[n]]
    return count


@kernel
def component(
    spans: NDArray[np.int32],
    at: int,
    parent: NDArray[np.int32],
    inside: NDArray[np.int32],
    others: NDArray[np.int32],
) -> int:
    """Parts the runs: those connected with run ``at`` go to ``inside``, the rest to ``others``; how many went inside.

    parent: (N,), inside, others: (N, 3), written.
    """
    join(spans, parent)
    own = root(parent, at)
    count = 0
    for n in range(spans.shape[0]):
        if root(parent, n) == own:
            for k in range(3):
                inside[count, k] = spans[n, k]
            count += 1
        else:
            for k in range(3):
                others[n - count, k] = spans[n, k]
    return count


@kernel
def measure(
    spans: NDArray[np.int32], labels: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Area (count,) and half-open box (count, 4) as x0, y0, x1, y1 of every component."""
    areas = np.zeros(count, np.int64)
    boxes = np.empty((count, 4), np.int32)
    for n in range(spans.shape[0]):
        k, row, start, end = labels[n], spans[n, 0], spans[n, 1], spans[n, 2]
        if areas[k] == 0:
            boxes[k, 0], boxes[k, 1], boxes[k, 2] = start, row, end
        boxes[k, 0] = min(boxes[k, 0], start)
        boxes[k, 2] = max(boxes[k, 2], end)
        boxes[k, 3] = row + 1
        areas[k] += end - start
    return areas, boxes
