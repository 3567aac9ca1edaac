"""The ``.safetensors`` format: the header's length in 8 bytes, the header in JSON, and the arrays, end to end.

https://github.com/huggingface/safetensors describes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from .arrays import MOST_DESCRIBED, Shape, are_counts, check_shapes, converted, element_type, quoted

KINDS = {"F32": "float32", "F64": "float64", "F16": "float16", "BF16": "bfloat16", "I64": "int64"}


class Entry(NamedTuple):
    """One array: kind, shape, and where its bytes begin and end, counted from the end of the header."""

    kind: str
    shape: Shape
    begin: int
    end: int


def parse(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str] | None]:
    """Parameters and metadata. Raises CheckpointError."""
    length = int.from_bytes(content[:8], "little")
    if length > min(len(content) - 8, MOST_DESCRIBED):
        raise CheckpointError(
            f"begins as a .safetensors file with a header of {length} bytes, but has {len(content)} in all; "
            f"of a header at most {MOST_DESCRIBED} are read"
        )
    header = read_header(content[8 : 8 + length])
    metadata = read_metadata(header.pop("__metadata__", None))
    entries = {name: read_entry(name, described) for name, described in header.items()}
    if not entries:
        raise CheckpointError("holds no parameters")
    data = memoryview(content)[8 + length :]
    check_shapes({name: entry.shape for name, entry in entries.items()}, len(content))
    check_places(entries, len(data))
    return {name: read_array(name, entry, data) for name, entry in entries.items()}, metadata


def read_header(text: bytes) -> dict[str, Any]:
    """The header, a JSON object."""
    try:
        header: dict[str, Any] = json.loads(text.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"has a header that is no JSON, or not as .safetensors files have it ({error})") from None
    return header


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict; of two values under one name neither would be the right one."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("two values have the same name")
    return made


def read_metadata(metadata: Any) -> dict[str, str] | None:
    """Texts by names, where there are any."""
    if metadata is None:
        return None
    if type(metadata) is not dict or not all(type(text) is str for text in metadata.values()):
        raise CheckpointError("has __metadata__ that are no texts by names")
    return metadata


def read_entry(name: str, described: Any) -> Entry:
    """One array as the header describes it; the shape is still to be checked."""
    match described:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [begin, end], **rest} if not rest:
            if are_counts((begin, end)):
                return Entry(KINDS.get(dtype, quoted(dtype)), tuple(shape), begin, end)
    raise CheckpointError(f"does not describe {quoted(name)} by dtype, shape and data_offsets")


def check_places(entries: Mapping[str, Entry], size: int) -> None:
    """Refuses arrays that overlap, and bytes that belong to none."""
    reached = 0
    for begin, end in sorted((entry.begin, entry.end) for entry in entries.values()):
        if begin != reached or end < begin:
            raise CheckpointError("is damaged: its arrays overlap or leave gaps")
        reached = end
    if reached != size:
        raise CheckpointError(f"is damaged or cut short: its arrays have {reached} bytes, and it holds {size} for them")


def read_array(name: str, entry: Entry, data: memoryview) -> NDArray[Any]:
    """An array's elements; shape and place have been checked."""
    dtype = element_type(name, entry.kind, entry.shape, "<")
    raw = data[entry.begin : entry.end]
    if len(raw) != prod(entry.shape) * dtype.itemsize:
        raise CheckpointError(f"is damaged: {quoted(name)} has {len(raw)} bytes for the shape {entry.shape}")
    return converted(np.ndarray(entry.shape, dtype, raw), entry.kind)
