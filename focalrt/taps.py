"""How one output axis reads one input axis: the three resampling laws as sparse rows of weights.

Every resampling here is separable, so it is told by one :class:`Taps` for the rows and one for the columns; the kernels
in ``kernels/resample.py`` apply them to images and planes, :meth:`focalrt.runs.Runs.sample` to masks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Taps(NamedTuple):
    """Output ``i`` is the sum over k of ``weight[i, k]`` times input ``source[i, k]``.

    source: int32 (outputs, K), not decreasing along axis 0. weight: float32 (outputs, K), rows that sum to 1.
    """

    source: NDArray[np.int32]
    weight: NDArray[np.float32]


def align_corners(inputs: int, outputs: int) -> Taps:
    """Bilinear, first onto first and last onto last: output i reads coordinate ``i (inputs-1) / (outputs-1)``.

    A single output reads coordinate 0 (SPEC section 0). Coordinates are ratios of integers, so nothing drifts.
    """
    steps = max(outputs - 1, 1)
    place = np.arange(outputs, dtype=np.int64) * (inputs - 1)
    low = place // steps
    share = (place % steps) / steps
    source = np.stack([low, np.minimum(low + 1, inputs - 1)], axis=1)
    return Taps(source.astype(np.int32), np.stack([1 - share, share], axis=1).astype(np.float32))


def halved(inputs: int, outputs: int) -> Taps:
    """:func:`align_corners` to twice ``outputs``, then again to ``outputs``, in one step of four taps.

    What the S1 networks see: image and maps made at 256, halved to 128 (SPEC sections 1 and 8).
    """
    fine, coarse = align_corners(inputs, 2 * outputs), align_corners(2 * outputs, outputs)
    source = fine.source[coarse.source].reshape(outputs, 4)
    weight = (fine.weight[coarse.source] * coarse.weight[:, :, None]).reshape(outputs, 4)
    return Taps(source, weight)


def roi_align(start: float, end: float, inputs: int, outputs: int) -> Taps:
    """RoIAlign along one axis (He et al., Mask R-CNN; aligned, adaptive sampling; SPEC section 3).

    The region ``[start, end]``, in input pixels with edges at integers, is cut into ``outputs`` bins; each is the mean
    of ``ceil(bin size)`` bilinear samples, at coordinates half a pixel less, clamped to the axis.
    """
    size = (end - start) / outputs
    samples = max(1, int(np.ceil(size)))
    steps = (np.arange(outputs * samples, dtype=np.float64) + 0.5) / samples
    place = np.clip(start - 0.5 + steps * size, 0, inputs - 1)
    low = np.minimum(place.astype(np.int64), max(inputs - 2, 0))
    share = place - low
    source = np.stack([low, np.minimum(low + 1, inputs - 1)], axis=1)
    weight = np.stack([1 - share, share], axis=1) / samples
    return Taps(
        source.reshape(outputs, 2 * samples).astype(np.int32), weight.reshape(outputs, 2 * samples).astype(np.float32)
    )
