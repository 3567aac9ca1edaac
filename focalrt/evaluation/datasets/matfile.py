"""One matrix out of a MATLAB 5 file (MathWorks, "MAT-File Format"): as much of the format as SBD needs.

SciPy reads all of a file and follows nested arrays by recursion in compiled code, so a file of 200 kilobytes can end
the process. This looks into one struct, without recursion, and nothing grows beyond the bytes that are there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError

HEADER = 128
ORDERS = {b"IM": "<", b"MI": ">"}
MOST_BYTES = 2**24  # that a compressed element may become; SBD's largest photos take two megabytes
MATRIX, COMPRESSED = 14, 15  # types of elements, beside those of NUMBERS
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
STRUCT, NUMERIC = 2, range(6, 16)  # classes of matrices


class Element(NamedTuple):
    """Bytes of one type; those of a matrix are elements again."""

    type: int
    data: memoryview


class Matrix(NamedTuple):
    """A matrix, its contents not read yet."""

    kind: int
    shape: tuple[int, ...]
    name: str
    contents: Iterator[Element]


def read_field(path: Path, name: str, field: str) -> NDArray[Any]:
    """The two-dimensional numbers in a field of a struct. Raises DatasetError where the file has none, OSError."""
    content = path.read_bytes()
    try:
        order = ORDERS[content[HEADER - 2 : HEADER]]
        for matrix in matrices(memoryview(content)[HEADER:], order):
            if matrix.kind == STRUCT and matrix.name == name:
                return values_of(field_of(matrix, field, order), order)
    except (ValueError, LookupError, struct.error, zlib.error) as error:
        raise DatasetError(f"{str(path)!r} is not a whole MATLAB 5 file with numbers in {name}.{field}") from error
    raise DatasetError(f"{str(path)!r} holds no struct {name}")


def matrices(data: memoryview, order: str) -> Iterator[Matrix]:
    """The matrices of a file, compressed ones inflated."""
    for element in elements(data, order):
        if element.type == COMPRESSED:
            inflated = zlib.decompressobj().decompress(element.data, MOST_BYTES)
            (element,) = islice(elements(memoryview(inflated), order), 1)
        if element.type == MATRIX:
            yield matrix_of(element, order)


def elements(data: memoryview, order: str) -> Iterator[Element]:
    """The elements that follow each other, read as they are asked for."""
    while data:
        kind, size = struct.unpack_from(f"{order}II", data)
        start, end = 8, 8 + size
        if kind >> 16:  # up to four bytes fit into the tag itself, which gives their number there
            kind, start, end = kind & 0xFFFF, 4, 4 + (kind >> 16)
        if end > len(data):
            raise ValueError("an element reaches beyond the file")
        yield Element(kind, data[start:end])
        data = data[end if kind == COMPRESSED else -(-end // 8) * 8 :]


def matrix_of(element: Element, order: str) -> Matrix:
    """What an element says about its matrix."""
    if element.type != MATRIX:
        raise ValueError(f"expected a matrix; got an element of type {element.type}")
    contents = elements(element.data, order)
    flags, shape, name = islice(contents, 3)
    kind = int(numbers(flags, order)[0]) & 0xFF
    return Matrix(kind, tuple(numbers(shape, order).tolist()), str(name.data, "latin-1"), contents)


def field_of(matrix: Matrix, name: str, order: str) -> Matrix:
    """A field of a struct: names come first, all of the same width, then a matrix for each."""
    width, names = islice(matrix.contents, 2)
    step, text = int(numbers(width, order)[0]), str(names.data, "latin-1")
    place = [text[at : at + step].split("\0")[0] for at in range(0, len(text), step)].index(name)
    (element,) = islice(matrix.contents, place, place + 1)
    return matrix_of(element, order)


def values_of(matrix: Matrix, order: str) -> NDArray[Any]:
    """The numbers of a matrix of two dimensions; the file keeps them by columns."""
    if matrix.kind not in NUMERIC or len(matrix.shape) != 2 or min(matrix.shape) < 1:
        raise ValueError(f"expected numbers in two dimensions; got class {matrix.kind}, shape {matrix.shape}")
    (element,) = islice(matrix.contents, 1)
    return numbers(element, order).reshape(matrix.shape, order="F")


def numbers(element: Element, order: str) -> NDArray[Any]:
    """The values in an element."""
    return np.frombuffer(element.data, np.dtype(order + NUMBERS[element.type]))
