"""What ``torch.save`` writes since PyTorch 1.6: a pickle that describes tensors, and their storages beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from .archive import read_archive
from .arrays import MOST_DESCRIBED, are_counts, check_shapes, converted, element_type, quoted
from .unpickler import RESAVE, Tensor, unpickle

MOST_VALUES = 10_000  # in a config; a published one has 65
MOST_NESTED = 16  # levels of a config; a published one has 5


def parse(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
    """Parameters and config. Raises CheckpointError."""
    records = read_archive(content)
    program = bytes(records["data.pkl"])
    if len(program) > MOST_DESCRIBED:
        raise CheckpointError(f"has a pickle of {len(program)} bytes; at most {MOST_DESCRIBED} are read; {RESAVE}")
    tensors, config = split(unpickle(program))
    check_shapes({name: tensor.shape for name, tensor in tensors.items()}, len(content))
    order = byte_order(records)
    return {name: read_tensor(name, tensor, records, order) for name, tensor in tensors.items()}, config


def split(root: Any) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """State dict and config of what ``torch.save`` was given."""
    if type(root) is not dict:
        raise CheckpointError(f"holds a {type(root).__name__}, expected a state dict; {RESAVE}")
    tensors, config = (root["state_dict"], root.get("config")) if "state_dict" in root else (root, None)
    if type(tensors) is not dict or not tensors:
        raise CheckpointError(f"holds no parameters; {RESAVE}")
    for name, tensor in tensors.items():
        if type(tensor) is not Tensor:
            raise CheckpointError(f"{quoted(name)} is a {type(tensor).__name__}, expected a tensor; {RESAVE}")
    if config is not None and type(config) is not dict:
        raise CheckpointError(f"config is a {type(config).__name__}, expected a dict")
    return tensors, plain(config, (), iter(range(MOST_VALUES)))


def plain(value: Any, path: tuple[str | int, ...], left: Iterator[int]) -> Any:
    """A copy of a part of the config; ``left`` ends after as many values as are taken.

    They are counted where they are reached: thirty lists, each twice in the next, are a billion.
    """
    if next(left, None) is None or len(path) > MOST_NESTED:
        raise CheckpointError(f"config has more than {MOST_VALUES} values or {MOST_NESTED} levels")
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return type(value)([plain(item, (*path, k), left) for k, item in enumerate(value)])
    if isinstance(value, dict):
        return {key: plain(item, (*path, key), left) for key, item in value.items()}
    place = "".join(f"[{quoted(step) if isinstance(step, str) else step}]" for step in path)
    raise CheckpointError(f"config{place} is a {type(value).__name__}; expected text, numbers, lists and dicts")


def byte_order(records: Mapping[str, memoryview]) -> str:
    """``<`` or ``>``, of the machine that wrote the file. PyTorch before 2.1 does not tell; it is ``<`` then."""
    told = bytes(records.get("byteorder", b"little")[:16])
    if told not in (b"little", b"big"):
        raise CheckpointError(f"has the byte order {told!r}, expected b'little' or b'big'")
    return "<" if told == b"little" else ">"


def read_tensor(name: str, tensor: Tensor, records: Mapping[str, memoryview], order: str) -> NDArray[Any]:
    """A tensor's elements; its shape has been checked."""
    kind, size = tensor.storage.kind, tensor.storage.size
    dtype = element_type(name, kind, tensor.shape, order)
    content = records.get(f"data/{tensor.storage.key}")
    if content is None or len(content) != size * dtype.itemsize:
        raise CheckpointError(f"is damaged: it does not hold the {size} elements of {kind} for {quoted(name)}")
    check_window(name, tensor)
    if 0 in tensor.shape:
        return np.empty(tensor.shape, np.float32)
    steps = tuple(stride * dtype.itemsize if side > 1 else 0 for stride, side in zip(tensor.strides, tensor.shape))
    window: NDArray[Any] = np.ndarray(tensor.shape, dtype, content, tensor.offset * dtype.itemsize, steps)
    return converted(window, kind)


def check_window(name: str, tensor: Tensor) -> None:
    """Refuses a tensor that leaves its storage, runs backwards, or holds an element twice, as expanded ones do."""
    if len(tensor.strides) != len(tensor.shape) or not are_counts((tensor.offset, *tensor.strides)):
        raise CheckpointError(f"{quoted(name)} has an offset or strides that are no integers from 0 up")
    if 0 in tensor.shape:
        return
    reach = 0
    for stride, side in sorted(zip(tensor.strides, tensor.shape)):
        if side > 1 and stride <= reach:
            raise CheckpointError(f"{quoted(name)} holds elements more than once; save its clone() instead")
        reach += stride * (side - 1)
    if tensor.offset + reach >= tensor.storage.size:
        raise CheckpointError(f"is damaged: {quoted(name)} leaves its storage")
