"""Closed rings of points with fewer of them: chords over what can be left out, as few as a tolerance allows.

Points are float64 (M, 2) that hold whole numbers below 2**25, so that what lies on which side of a chord is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel

MIDDLE, CORNER, MEETING, PASSED = 0, 1, 2, 3  # no corner; may be left out; may not; must be


@kernel
def near(points: NDArray[np.float64], roles: NDArray[np.uint8], i: int, j: int, tolerance: float) -> bool:
    """Whether every corner between i and j lies within the tolerance of the segment from i to j."""
    most = tolerance * tolerance
    dx, dy = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
    square = dx * dx + dy * dy
    for k in range(i + 1, j):
        if roles[k] == MIDDLE:
            continue
        x, y = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1]
        along = x * dx + y * dy
        if along >= square:
            x, y = points[k, 0] - points[j, 0], points[k, 1] - points[j, 1]
        if 0 < along < square:
            across = x * dy - y * dx
            if across * across > most * square:
                return False
        elif x * x + y * y > most:
            return False
    return True


@kernel
def fewest(
    points: NDArray[np.float64],
    roles: NDArray[np.uint8],
    first: int,
    last: int,
    tolerance: float,
    chords: NDArray[np.int64],
    errors: NDArray[np.float64],
    back: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    """Marks the points between first and last to keep: the ends of the fewest chords that stay within the tolerance.

    Of equally many chords those with the least sum of squared distances are taken. Dynamic programming after Imai and
    Iri: the wedge of directions that pass all corners so far within the tolerance tells which chords from a point are
    worth a look. chords, errors, back: as long as the points, scratch.
    """
    for n in range(first, last + 1):
        chords[n] = last + 1
    chords[first], errors[first] = 0, 0.0
    for i in range(first, last):
        if chords[i] > last:
            continue
        right_x = right_y = left_x = left_y = 0.0
        bounded = False
        xx = xy = yy = 0.0
        for j in range(i + 1, last + 1):
            dx, dy = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
            square = dx * dx + dy * dy
            candidate = chords[i] < chords[j] and (roles[j] != PASSED or j == last)
            if candidate and (not bounded or (right_x * dy >= right_y * dx and left_x * dy <= left_y * dx)):
                error = errors[i]
                if square > 0:
                    error += max(dx * dx * yy - 2 * dx * dy * xy + dy * dy * xx, 0.0) / square
                fewer = chords[i] + 1 < chords[j] or error < errors[j]
                if fewer and near(points, roles, i, j, tolerance):
                    chords[j], errors[j], back[j] = chords[i] + 1, error, i
            if roles[j] == MEETING:
                break
            if roles[j] == MIDDLE:
                continue
            xx, xy, yy = xx + dx * dx, xy + dx * dy, yy + dy * dy
            if square <= tolerance * tolerance:
                continue
            reach = np.sqrt(square - tolerance * tolerance)
            x, y = dx * reach + dy * tolerance, dy * reach - dx * tolerance
            if not bounded or right_x * y > right_y * x:
                right_x, right_y = x, y
            x, y = dx * reach - dy * tolerance, dy * reach + dx * tolerance
            if not bounded or left_x * y < left_y * x:
                left_x, left_y = x, y
            bounded = True
            if right_x * left_y < right_y * left_x:
                break
    n = back[last]
    while n > first:
        kept[n] = True
        n = back[n]


@kernel
def shorten(
    points: NDArray[np.float64],
    roles: NDArray[np.uint8],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    tolerances: NDArray[np.float64],
    chords: NDArray[np.int64],
    errors: NDArray[np.float64],
    back: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    """:func:`fewest` for several chains."""
    for n in range(firsts.shape[0]):
        fewest(points, roles, firsts[n], lasts[n], tolerances[n], chords, errors, back, kept)


@kernel
def at_least(keys: NDArray[np.int64], bound: int) -> int:
    """Number of ascending keys below the bound."""
    low, high = 0, keys.shape[0]
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < bound:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def cut_off(points: NDArray[np.float64], i: int, j: int, x: float, y: float) -> bool:
    """Whether (x, y), which is none of the points i to j, lies on the chord from i to j or between it and them."""
    inside = False
    k = j
    for m in range(i, j + 1):
        ax, ay = points[k, 0] - x, points[k, 1] - y
        bx, by = points[m, 0] - x, points[m, 1] - y
        side = ax * by - bx * ay
        if side == 0 and ax * bx <= 0 and ay * by <= 0:
            return True
        if (ay > 0) != (by > 0) and (side > 0) == (by > ay):
            inside = not inside
        k = m
    return inside


@kernel
def free(points: NDArray[np.float64], i: int, j: int, keys: NDArray[np.int64], order: NDArray[np.int64]) -> bool:
    """Whether the chord from i to j cuts off none of the points that it does not leave out.

    keys: y 2**32 + x of all points, ascending; order: their indices. Points at the places of i and j do not count.
    """
    x0 = x1 = points[j, 0]
    y0 = y1 = points[j, 1]
    for k in range(i, j):
        x0, x1 = min(x0, points[k, 0]), max(x1, points[k, 0])
        y0, y1 = min(y0, points[k, 1]), max(y1, points[k, 1])
    for row in range(int(y0), int(y1) + 1):
        end = (row << 32) + int(x1)
        n = at_least(keys, (row << 32) + int(x0))
        while n < keys.shape[0] and keys[n] <= end:
            k = order[n]
            x, y = points[k, 0], points[k, 1]
            at_end = (x == points[i, 0] and y == points[i, 1]) or (x == points[j, 0] and y == points[j, 1])
            if not i <= k <= j and not at_end and cut_off(points, i, j, x, y):
                return False
            n += 1
    return True


@kernel
def obstructed(
    points: NDArray[np.float64],
    firsts: NDArray[np.int64],
    lasts: NDArray[np.int64],
    keys: NDArray[np.int64],
    order: NDArray[np.int64],
    out: NDArray[np.bool_],
) -> None:
    """For several chords whether they are not :func:`free`; written to ``out``."""
    for n in range(firsts.shape[0]):
        out[n] = not free(points, firsts[n], lasts[n], keys, order)
