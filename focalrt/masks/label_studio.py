"""Label Studio's brush masks: the RGBA values of the image, row by row, packed as repeated values into a bit stream.

The code is rle-pack's (thi.ng/umbrella), which Label Studio's page and ``label_studio_sdk.converter.brush`` write: 32
bits for the number of values, 5 for the bits of a value - 1, four times 4 for the bits of a length - 1, then tokens: a
bit for a repeated value, two for the size of its length, the length - 1, the value.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentValueError
from ..kernels import bitstream as kernels
from ..runs import Runs
from .checks import check_runs, check_size, check_whole_numbers
from .counts import cut, to_counts

CHANNELS = 4
VALUE_BITS = 8
SIZES = np.array([3, 4, 8, 16])  # bits of a length - 1
HEADER_BYTES, HEADER_BITS = 7, 53
MOST_VALUES = 2**32 - 1


def to_label_studio(runs: Runs, height: int, width: int) -> list[int]:
    """The ``rle`` of a brush result, bytes as numbers: 255 in all four channels on the object, 0 off it.

    The bytes are those of ``label_studio_sdk.converter.brush.encode_rle``. Raises ArgumentTypeError,
    ArgumentValueError where the runs are none or leave the image.
    """
    height, width = checked_size(height, width)
    counts = to_counts(check_runs(runs, height, width).spans, height, width)
    lengths, values = CHANNELS * counts, np.arange(len(counts)) % 2 * 255
    stream = np.concatenate([header(CHANNELS * height * width), tokens(lengths[counts > 0], values[counts > 0])])
    packed: list[int] = np.packbits(stream).tolist()
    return packed if len(stream) % 8 else [*packed, 0]  # a whole byte of padding, as the converter does


def from_label_studio(rle: Sequence[int], height: int, width: int) -> Runs:
    """The pixels of a brush result's ``rle``: those whose alpha is not 0, as Label Studio shows them.

    Raises ArgumentTypeError, ArgumentValueError where it is none, or of another size.
    """
    height, width = checked_size(height, width)
    stream = check_whole_numbers(rle, "rle", 0, 255).astype(np.uint8)
    if len(stream) < HEADER_BYTES:
        raise ArgumentValueError(f"rle: expected at least {HEADER_BYTES} bytes; got {len(stream)}")
    values, sizes = read_header(stream)
    if values != CHANNELS * height * width:
        raise ArgumentValueError(
            f"rle: expected {CHANNELS * height * width} values, RGBA of {width} x {height} pixels; got {values}"
        )
    places = np.empty(len(stream) + 1, np.int64)
    turns = kernels.turns(stream, HEADER_BITS, sizes, values, places)
    if turns < 0:
        problem = {-1: "it ends before the last pixel: it was cut off", -2: "it holds more values than it announces"}
        raise ArgumentValueError(f"rle: {problem[turns]}")
    places[turns] = height * width
    pairs = places[: (turns + 1) // 2 * 2].reshape(-1, 2)
    return Runs(cut(pairs[:, 0], pairs[:, 1], width))


def checked_size(height: int, width: int) -> tuple[int, int]:
    """Sides of an image whose values the code can count."""
    height, width = check_size(height, width)
    if CHANNELS * height * width > MOST_VALUES:
        raise ArgumentValueError(f"Label Studio's code holds images of fewer than 2**30 pixels; got {height} x {width}")
    return height, width


def big_endian_bits(numbers: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The lowest bits, as many as told, of each number below 2**32, highest first, one after the other."""
    bits = np.unpackbits(numbers.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)
    kept: NDArray[np.uint8] = bits[np.arange(32) >= 32 - widths[:, None]]
    return kept


def header(values: int) -> NDArray[np.uint8]:
    """The bits before the tokens."""
    return big_endian_bits(np.array([values, VALUE_BITS - 1, *(SIZES - 1)]), np.array([32, 5, 4, 4, 4, 4]))


def read_header(stream: NDArray[np.uint8]) -> tuple[int, NDArray[np.int64]]:
    """Number of values, and the four sizes of lengths in bits. Raises ArgumentValueError where values have not 8."""
    value_bits = kernels.bits(stream, 32, 5) + 1
    if value_bits != VALUE_BITS:
        raise ArgumentValueError(f"rle: expected values of {VALUE_BITS} bits; got {value_bits}")
    sizes = np.array([kernels.bits(stream, 37 + 4 * n, 4) + 1 for n in range(len(SIZES))])
    return kernels.bits(stream, 0, 32), sizes


def tokens(lengths: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bits of repeated values; a length beyond 2**16 takes several tokens."""
    most = 1 << int(SIZES[-1])
    pieces = (lengths - 1) // most + 1
    run = np.repeat(np.arange(len(lengths)), pieces)
    last = np.cumsum(pieces) - 1
    piece_lengths = np.full(len(run), most)
    piece_lengths[last] = lengths - most * (pieces - 1)
    size = np.searchsorted(1 << SIZES[:-1], lengths)[run]
    length_bits = SIZES[size]
    codes = ((4 | size) << length_bits | piece_lengths - 1) << VALUE_BITS | values[run]
    return big_endian_bits(codes, 3 + length_bits + VALUE_BITS)
