"""Parameters as NumPy arrays: which kinds there are, how large they may be, and how they become float32."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError

Shape: TypeAlias = tuple[int, ...]

MOST_DESCRIBED = 1 << 20  # bytes that name and describe the arrays; the largest published checkpoint takes 309 kB
MOST_DIMENSIONS = 8

ELEMENTS = {"float32": "f4", "float64": "f8", "float16": "f2", "bfloat16": "u2", "int64": "i8"}
"""What NumPy reads the elements of each kind as; bfloat16 is the upper half of a float32."""


def element_type(name: str, kind: str, shape: Shape, order: str) -> np.dtype[Any]:
    """What NumPy reads a parameter's elements as; order ``<`` or ``>``. Refuses what is not a parameter."""
    if kind not in ELEMENTS or (kind == "int64" and shape):
        raise CheckpointError(
            f"{quoted(name)} is of {kind}, shape {shape}; expected float32, float64, float16 or bfloat16, "
            "or an int64 scalar"
        )
    return np.dtype(order + ELEMENTS[kind])


def check_shapes(shapes: Mapping[str, tuple[Any, ...]], size: int) -> None:
    """Refuses what is no shape, and more elements in all, an empty side counted as 1, than the file has bytes.

    That is room for 16-bit arrays under two names each, and keeps small files from filling the memory.
    """
    for name, shape in shapes.items():
        if len(shape) > MOST_DIMENSIONS or not are_counts(shape):
            raise CheckpointError(f"{quoted(name)} has no shape: expected at most {MOST_DIMENSIONS} integers from 0 up")
    if sum(prod(max(side, 1) for side in shape) for shape in shapes.values()) > size:
        raise CheckpointError(f"has more elements in its arrays than bytes in all ({size})")


def are_counts(numbers: Iterable[Any]) -> bool:
    """Whether all are integers from 0 up."""
    return all(type(number) is int and number >= 0 for number in numbers)


def converted(raw: NDArray[Any], kind: str) -> NDArray[Any]:
    """A copy, C-contiguous: int64 where it was, else float32."""
    if kind == "bfloat16":
        bits = raw.astype(np.uint32, order="C")
        bits <<= 16
        return bits.view(np.float32)
    with np.errstate(all="ignore"):  # a float64 beyond the range of float32 becomes infinite
        return raw.astype(np.int64 if kind == "int64" else np.float32, order="C")


def quoted(text: str) -> str:
    """A text of the file in a message: shortened, and with nothing that a terminal obeys."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
