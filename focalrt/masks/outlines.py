"""The exact outline of a mask: the sides of its pixels joined into closed rings of corners."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import components, rings
from ..runs import Runs

DOWN = np.array([1, 0, 0], np.int32)
ONE_SHORTER = np.array([0, 0, 1], np.int32)


class Outlines(NamedTuple):
    """Closed rings of corners between pixels; each second side is horizontal, the mask lies to the right (y down).

    corners: int64 (N, 2), x and y, ring by ring. first: index of the first corner of each ring, and N.
    part: the 4-connected part of the mask that each ring bounds. touching: bool (N,), whether another ring, or the
    same part at another place, has a corner there too.
    """

    corners: NDArray[np.int64]
    first: NDArray[np.int64]
    part: NDArray[np.int32]
    touching: NDArray[np.bool_]


class Sides(NamedTuple):
    """Directed sides: where each begins and ends, (S, 2) of x and y; a run that it bounds; its heading.

    Headings are 0 right (above a run), 1 down (at its end), 2 left (below it), 3 up (at its start).
    """

    tails: NDArray[np.int64]
    heads: NDArray[np.int64]
    run: NDArray[np.int64]
    heading: NDArray[np.int64]


def outlines(runs: Runs) -> Outlines:
    """The rings of a mask. None passes a corner twice, none crosses another; they may meet in single corners.

    Where two pixels touch in a corner only, they are not joined there: each part whose pixels are connected by their
    sides has one ring around it, and one around each of its holes.
    """
    every = sides(runs)
    tail, head = place_numbers(every.tails, every.heads)
    following = np.empty(len(tail), np.int64)
    following[np.argsort(4 * head + (every.heading + 1) % 4)] = np.argsort(4 * tail + every.heading)  # turn right
    order, first = cut_into_rings(following, tail)
    part = side_connected(runs)[every.run[order[first[:-1]]]]
    touching = np.bincount(tail, minlength=1)[tail[order]] > 1
    return Outlines(every.tails[order], first, part, touching)


def next_corners(every: Outlines) -> NDArray[np.int64]:
    """The corner after each."""
    following = np.arange(1, len(every.corners) + 1)
    following[every.first[1:] - 1] = every.first[:-1]
    return every.corners[following]


def areas(every: Outlines) -> NDArray[np.int64]:
    """What each of at least one ring encloses, in pixels; negative for holes."""
    x, y = every.corners.T
    next_x, next_y = next_corners(every).T
    return np.add.reduceat(x * next_y - next_x * y, every.first[:-1]) // 2


def perimeters(every: Outlines) -> NDArray[np.int64]:
    """Length of each of at least one ring."""
    return np.add.reduceat(np.abs(next_corners(every) - every.corners).sum(axis=1), every.first[:-1])


def cut_into_rings(
    following: NDArray[np.int64], place: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sides, ring by ring, and the first of each ring, and the end."""
    count = len(following)
    order, path, passed = np.empty(count, np.int64), np.empty(count, np.int64), np.full(count, -1, np.int64)
    first = np.empty(count // 4 + 1, np.int64)  # a ring has four sides at least
    number = rings.cut(following, place, np.zeros(count, np.bool_), passed, path, order, first)
    return order, first[: number + 1]


def side_connected(runs: Runs) -> NDArray[np.int32]:
    """The number of the 4-connected part that each run belongs to."""
    labels = np.empty(len(runs.spans), np.int32)
    shortened = runs.spans - ONE_SHORTER  # touch, corners included, where the whole ones share a column
    shortened.flags.writeable = False  # one array type for the kernel
    components.label(shortened, labels)
    return labels


def sides(runs: Runs) -> Sides:
    """Every side of the mask's rings, as long as it goes."""
    below = Runs(runs.spans + DOWN)
    upper, lower = (runs - below).spans.astype(np.int64), (below - runs).spans.astype(np.int64)
    starts, start_runs = vertical(runs, 1)
    ends, end_runs = vertical(runs, 2)
    parts = [
        (upper[:, [1, 0]], upper[:, [2, 0]], run_at(runs, upper[:, 0], upper[:, 1])),
        (ends[:, [0, 1]], ends[:, [0, 2]], end_runs),
        (lower[:, [2, 0]], lower[:, [1, 0]], run_at(runs, lower[:, 0] - 1, lower[:, 1])),
        (starts[:, [0, 2]], starts[:, [0, 1]], start_runs),
    ]
    tails, heads, run = (np.concatenate(columns) for columns in zip(*parts))
    heading = np.repeat(np.arange(4), [len(part[2]) for part in parts])
    return Sides(tails, heads, run, heading)


def vertical(runs: Runs, end: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sides (x, top, bottom) at the starts (1) or the ends (2) of runs, and a run of each."""
    x, rows = runs.spans[:, end].astype(np.int64), runs.spans[:, 0].astype(np.int64)
    order = np.argsort(x, kind="stable")  # rows stay in order
    x, rows = x[order], rows[order]
    begins = np.flatnonzero(np.diff(x, prepend=-1) | (np.diff(rows, prepend=-1) - 1))
    lasts = np.append(begins[1:], len(x))[: len(begins)] - 1
    return np.stack([x[begins], rows[begins], rows[lasts] + 1], axis=1), order[begins]


def run_at(runs: Runs, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index of the run that holds each of the pixels."""
    row_starts = runs.spans[:, 0].astype(np.int64) << 32 | runs.spans[:, 1]
    return np.searchsorted(row_starts, rows << 32 | columns, side="right") - 1


def place_numbers(
    tails: NDArray[np.int64], heads: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The corners where sides begin and end, numbered; one number for one place."""
    keys = np.concatenate([tails, heads]) @ np.array([1, 1 << 31])
    numbers = np.unique(keys, return_inverse=True)[1]
    return numbers[: len(tails)], numbers[len(tails) :]
