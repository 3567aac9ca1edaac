"""A checkpoint of FocalClick or RITM becomes a model, without PyTorch (SPEC sections 1 to 3 and 8).

Needs the ``convert`` extra.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from .checkpoint import read_checkpoint
from .checks import check_number
from .extras import imported

UNKNOWN_LICENCE = "not told: ask where the checkpoint came from"


def convert(
    checkpoint: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    variant: str | None = None,
    radius: float | None = None,
    licence: str = UNKNOWN_LICENCE,
    half: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Writes a model folder from a FocalClick or RITM checkpoint, published or your own; returns the folder.

    checkpoint: a file that ``torch.save`` wrote, or ``.safetensors``; nothing in it is executed.
    folder: appears whole or stays as it was.
    variant: such as "hrnet18s-s2" or "ritm-hrnet18s"; None sees it from the shapes and from what the checkpoint says of
    itself. radius: of the Segmentor's disks, as trained, in pixels of the grid; None takes the published one.
    licence: a text for ``model.json``. half: parameters are stored as float16, which halves the files and rounds masks'
    edges a little. progress: is told each step, in a few words.
    Raises OSError, CheckpointError, ParameterError, MissingExtraError, ArgumentTypeError, ArgumentValueError.
    """
    say = progress or silence
    imported("onnx", "converting a checkpoint", "convert")
    from .graphs import variant_of
    from .graphs.folder import write_model
    from .graphs.variants import known

    say(f"reading {os.fspath(checkpoint)}")
    read = read_checkpoint(checkpoint)
    name = variant or variant_of(read.parameters, read.config)
    disks = known(name).radius if radius is None else check_number(radius, "radius")
    say(f"building {name}, disks of radius {disks:g}, from {len(read.parameters)} arrays")
    source = origin(checkpoint)
    write_model(read.parameters, name, folder, radius=disks, trained=source, licence=licence, half=half)
    say(f"wrote {os.fspath(folder)}")
    return Path(folder)


def silence(step: str) -> None:
    """Tells nobody."""


def origin(checkpoint: str | os.PathLike[str]) -> str:
    """Where a model came from, in words."""
    path = Path(checkpoint)
    return f"elsewhere; converted from {path.name}, SHA-256 {sha256(path.read_bytes()).hexdigest()}"


def costs(checkpoint: str | os.PathLike[str], variant: str | None = None) -> str:
    """What the networks of a checkpoint cost as published, and as :func:`convert` writes them: two Markdown tables.

    Millions of multiply-adds and thousands of parameters, stage by stage; then what each exact shortcut saves (SPEC
    section 8). Raises as :func:`convert`.
    """
    imported("onnx", "converting a checkpoint", "convert")
    from .graphs import variant_of
    from .graphs.report import tables

    read = read_checkpoint(checkpoint)
    return tables(read.parameters, variant or variant_of(read.parameters, read.config))
