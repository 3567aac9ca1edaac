"""How one output axis reads one input axis: the three resampling laws as sparse rows of weights.

Every resampling here is separable, so it is told by one :class:`Taps` for the rows and one for the columns; the kernels
in ``kernels/resample.py`` apply them to images and planes, :meth:`focalrt.runs.Runs.sample` to masks.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .kernels import taps as kernels


class Taps(NamedTuple):
    """Output ``i`` is the sum over k of ``weight[i, k]`` times input ``source[i, k]``.

    source: uint64 (outputs, K), K even, not decreasing along axis 0; unsigned, because an index that may be negative
    costs the kernels a comparison each. weight: float32 (outputs, K); rows sum to 1 for every law of this module, to
    less where part of what an output reads lies beyond the input and counts as 0 (:func:`.zoom_in.through`).
    """

    source: NDArray[np.uint64]
    weight: NDArray[np.float32]


def bilinear(start: float, shift: float, size: float, parts: int, inputs: int, outputs: int) -> Taps:
    """One bilinear sample an output, at ``start + (i + shift) size / parts``, clamped to the axis."""
    source, weight = np.empty((outputs, 2), np.uint64), np.empty((outputs, 2), np.float32)
    kernels.bilinear(start, shift, size, parts, inputs, source, weight)
    return Taps(source, weight)


def align_corners(inputs: int, outputs: int) -> Taps:
    """Bilinear, first onto first and last onto last: output i reads coordinate ``i (inputs-1) / (outputs-1)``.

    A single output reads coordinate 0 (SPEC section 0). A ratio of integers is rounded once, so nothing drifts.
    """
    return bilinear(0.0, 0.0, float(inputs - 1), max(outputs - 1, 1), inputs, outputs)


@lru_cache(maxsize=8)
def between_grids(inputs: int, outputs: int) -> Taps:
    """:func:`align_corners` between two planes of networks, which are few: kept, and read-only therefore."""
    axis = align_corners(inputs, outputs)
    for values in axis:
        values.flags.writeable = False
    return axis


def halved(inputs: int, outputs: int) -> Taps:
    """:func:`align_corners` to twice ``outputs``, then again to ``outputs``, in one step of four taps.

    What the S1 networks see: image and maps made at 256, halved to 128 (SPEC sections 1 and 8). Output i of the second
    step reads inputs 2i and 2i + 1.
    """
    fine, coarse = align_corners(inputs, 2 * outputs), between_grids(2 * outputs, outputs)
    weight = fine.weight.reshape(outputs, 2, 2) * coarse.weight[:, :, None]
    return Taps(fine.source.reshape(outputs, 4), weight.reshape(outputs, 4))


def roi_align(start: float, end: float, inputs: int, outputs: int) -> Taps:
    """RoIAlign along one axis (He et al., Mask R-CNN; aligned, adaptive sampling; SPEC section 3).

    The region ``[start, end]``, in input pixels with edges at integers, is cut into ``outputs`` bins; each is the mean
    of ``ceil(bin size)`` bilinear samples, at coordinates half a pixel less, clamped to the axis.
    """
    size = (end - start) / outputs
    samples = max(1, ceil(size))
    source, weight = bilinear(start - 0.5, 0.5, size, samples, inputs, outputs * samples)
    return Taps(source.reshape(outputs, 2 * samples), weight.reshape(outputs, 2 * samples) / np.float32(samples))
