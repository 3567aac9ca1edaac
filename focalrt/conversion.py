"""A checkpoint of FocalClick or RITM becomes a model, without PyTorch (SPEC sections 1 to 3 and 8).

Needs the ``convert`` extra.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from .checkpoint import read_checkpoint
from .checks import BRIEF, check_number, check_path
from .description import REFINER, SEGMENTOR, assert_fields
from .errors import ArgumentValueError
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
    folder: appears whole or stays as it was. A model that lies there is replaced; anything else is in the way.
    variant: such as "hrnet18s-s2" or "ritm-hrnet18s"; None sees it from the shapes and from what the checkpoint says of
    itself. radius: of the Segmentor's disks, as trained, from 0 to 100 pixels of the grid, RITM's of its input; None
    takes the one that a checkpoint of RITM tells, else the published one.
    licence: a text for ``model.json``. half: parameters are stored as float16, which halves the files and rounds masks'
    edges a little. progress: is told each step, in a few words.
    Raises OSError, CheckpointError, ParameterError, MissingExtraError, ArgumentTypeError, ArgumentValueError.
    """
    check_path(checkpoint, "checkpoint", "a file's path")
    check_path(folder, "folder", "a folder's path")
    say = progress or silence
    imported("onnx", "converting a checkpoint", "convert")
    from .graphs.folder import check_place, write_model
    from .graphs.variants import radius_of

    check_place(Path(folder))
    given = None if radius is None else check_number(radius, "radius")
    say(f"reading {os.fspath(checkpoint)}")
    found = find(checkpoint, variant)
    disks, source = radius_of(found.variant, found.config) if given is None else given, origin(checkpoint)
    check_fields(found.variant, disks, source, licence)
    say(f"building {found.variant}, disks of radius {disks:g}, from {len(found.parameters)} arrays")
    write_model(found.parameters, found.variant, folder, radius=disks, trained=source, licence=licence, half=half)
    path = os.fspath(folder)
    say(f"wrote {path if os.path.dirname(path) else os.path.join(os.curdir, path)}")  # a bare name may be a model's
    return Path(folder)


class Found(NamedTuple):
    """What a checkpoint holds.

    parameters: by published names. config: what the file tells of the network. variant: as both tell, or as given.
    """

    parameters: dict[str, NDArray[Any]]
    config: Mapping[str, Any] | None
    variant: str


def find(checkpoint: str | os.PathLike[str], variant: str | None) -> Found:
    """Reads a checkpoint. Raises OSError, CheckpointError, ParameterError."""
    from .graphs.parameters import without_prefix
    from .graphs.variants import check_config, variant_of

    read = read_checkpoint(checkpoint)
    parameters = without_prefix(read.parameters)
    name = variant or variant_of(parameters, read.config)
    check_config(name, read.config)
    return Found(parameters, read.config, name)


def check_fields(variant: str, radius: float, trained: str, licence: str) -> None:
    """Raises ArgumentValueError where a ``model.json`` with these could not be loaded."""
    from .graphs.folder import describe

    digests = dict.fromkeys((SEGMENTOR, REFINER), "")  # not known yet
    try:
        assert_fields(describe(variant, digests, radius=radius, trained=trained, licence=licence))
    except ValueError as error:
        came = f"radius {BRIEF.repr(radius)}, licence {BRIEF.repr(licence)}"
        raise ArgumentValueError(f"{error}; got {came}") from error


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
    check_path(checkpoint, "checkpoint", "a file's path")
    imported("onnx", "converting a checkpoint", "convert")
    from .graphs.report import tables

    found = find(checkpoint, variant)
    return tables(found.parameters, found.variant)
