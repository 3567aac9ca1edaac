"""Trained parameters from files: what ``torch.save`` writes, and ``.safetensors``, read without PyTorch.

Nothing in a file is executed, and every size in it is compared with the size of the file before anything is made of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ..errors import CheckpointError
from . import safetensors, torchfile
from .unpickler import RESAVE

__all__ = ["Checkpoint", "read_checkpoint"]

MOST_BYTES = 2 << 30  # of a file; the largest published checkpoint has 183 MB

ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # a magic number, in a pickle of its own
PAGE = "a web page, as a failed download leaves it; download the file again"
OTHERS = {
    LEGACY: "a checkpoint in the form that PyTorch wrote before 1.6; where PyTorch is installed, write it again: "
    "torch.save(torch.load(path, map_location='cpu', weights_only=True), path)",
    b"\x80": f"a pickle that torch.save did not write; {RESAVE}",
    b"version https://git-lfs": "a pointer of Git LFS in place of the file; fetch it with git lfs pull",
    b"<!doctype": PAGE,
    b"<html": PAGE,
    b"<?xml": PAGE,
    b"\x1f\x8b": "compressed by gzip; unpack it first",
}
"""What else is found under the name of a checkpoint, by how it begins; lower case stands for upper case too."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file of trained parameters holds.

    parameters: by name, in the file's order: float32, C-contiguous, writable, and no memory in common; int64 counters
    (scalars such as ``num_batches_tracked``) are left as they are.
    config: what the file tells of the network, in str, int, float, bool, None, lists, tuples and dicts with str keys;
    None where it tells nothing. Of a ``.safetensors`` file, its metadata.
    """

    parameters: dict[str, NDArray[Any]] = field(repr=False)
    config: Mapping[str, Any] | None


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a file that ``torch.save`` wrote (PyTorch 1.6 or later), or a ``.safetensors`` file; the content decides.

    ``torch.save`` was given the published structure, a dict of ``state_dict`` and ``config``, or a bare state dict.
    Whatever else is in that dict, under keys that are text, is left out; an optimizer's state has numbers for keys, so
    the file is refused, and the error tells how to save it without. float16 and bfloat16 become float32 exactly;
    float64 is rounded. A float32 file takes twice its size in memory, and no file more than five times its size and
    100 MB.

    Raises OSError where the file cannot be read, CheckpointError where it is something else, is damaged, or holds what
    is not a parameter: integers other than int64 scalars, bool, complex, quantised and sparse tensors.
    """
    try:
        return Checkpoint(*parse(read_whole(path)))
    except CheckpointError as error:
        raise CheckpointError(f"{os.fspath(path)!r}: {error}") from None


def read_whole(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, no more than it is said to have: of an endless one, such as a device, nothing."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise CheckpointError(f"has {size} bytes; at most {MOST_BYTES} are read")
        return file.read(size)


def parse(content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any] | None]:
    """Parameters and config, by the format that the first bytes tell."""
    if content.startswith(ZIP):
        return torchfile.parse(content)
    if content[8:9] == b"{":
        return safetensors.parse(content)
    start = content[:512].lstrip().lower()
    for sign, kind in OTHERS.items():
        if content.startswith(sign) or start.startswith(sign):
            raise CheckpointError(f"is {kind}")
    begins = f"begins with {content[:16]!r}" if content else "is empty"
    raise CheckpointError(f"is neither a checkpoint of torch.save nor a .safetensors file: it {begins}")
