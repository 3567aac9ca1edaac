"""Where bilinear resampling reads along one axis; the laws are in ``focalrt/taps.py``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def bilinear(
    start: float,
    shift: float,
    size: float,
    parts: int,
    inputs: int,
    source: NDArray[np.uint64],
    weight: NDArray[np.float32],
) -> None:
    """The two inputs about each place ``start + (i + shift) size / parts`` of an axis, clamped to it, and their shares.

    source, weight: (N, 2), written.
    """
    for i in range(source.shape[0]):
        place = min(max(start + (i + shift) * size / parts, 0.0), inputs - 1.0)
        low = min(int(place), max(inputs - 2, 0))
        source[i, 0], source[i, 1] = low, min(low + 1, inputs - 1)
        weight[i, 0], weight[i, 1] = 1 - (place - low), place - low
