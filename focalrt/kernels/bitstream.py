"""Label Studio's brush strokes: a stream of bits that repeats or lists 8-bit RGBA values (thi.ng's rle-pack)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._jit import kernel


@kernel
def bits(stream: NDArray[np.uint8], at: int, count: int) -> int:
    """The number written in ``count`` bits from bit ``at`` on, highest first."""
    number = 0
    for n in range(at, at + count):
        number = 2 * number + ((int(stream[n // 8]) >> (7 - n % 8)) & 1)
    return number


@kernel
def turns(
    stream: NDArray[np.uint8], at: int, sizes: NDArray[np.int64], values: int, places: NDArray[np.int64]
) -> int:
    """Writes the pixels, in reading order, at which alpha, every fourth value, turns from 0 to more or back.

    Tokens begin at bit ``at``: a bit that tells a repeated value from a list, two for one of the four ``sizes``, that
    many for the length - 1, then the value or the list. Alpha of 0 is assumed before the first pixel. Returns the
    number of turns, at most one a byte; -1 where the stream ends before the values do, -2 where it holds more of them.
    """
    end = 8 * stream.shape[0]
    n = i = inside = 0
    while i < values:
        if at + 3 > end:
            return -1
        repeated, size = bits(stream, at, 1), sizes[bits(stream, at + 1, 2)]
        at += 3 + size
        if at > end:
            return -1
        length = bits(stream, at - size, size) + 1
        if i + length > values:
            return -2
        written, step = (1, length) if repeated else (length, 1)
        if at + 8 * written > end:
            return -1
        for _ in range(written):
            painted = int(bits(stream, at, 8) > 0)
            if (i + step) // 4 > i // 4 and painted != inside:
                places[n] = i // 4
                n += 1
                inside = painted
            i += step
            at += 8
    return n
