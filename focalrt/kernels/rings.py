"""Sides of pixels, each followed by another, cut into rings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def cut(
    following: NDArray[np.int64],
    place: NDArray[np.int64],
    seen: NDArray[np.bool_],
    passed: NDArray[np.int64],
    path: NDArray[np.int64],
    order: NDArray[np.int64],
    first: NDArray[np.int64],
) -> int:
    """Writes the sides, ring by ring, to ``order``, and where each ring begins, and the last ends, to ``first``.

    Returns how many rings there are. Wherever a walk comes back to a corner that it has passed, what lies between is a
    ring of its own, so that no ring passes a corner twice. following: the side after each, a permutation. place: the
    number of the corner where each side begins. seen: False; passed: -1; path: any; all as long as the sides.
    """
    count = following.shape[0]
    rings = done = 0
    first[0] = 0
    for start in range(count):
        side, depth = start, 0
        while depth > 0 or not seen[side]:
            closed = passed[place[side]]
            if closed >= 0:
                for n in range(closed, depth):
                    order[done] = path[n]
                    passed[place[path[n]]] = -1
                    done += 1
                rings += 1
                first[rings] = done
                depth = closed
            if not seen[side]:
                seen[side] = True
                passed[place[side]] = depth
                path[depth] = side
                depth += 1
                side = following[side]
    return rings
