"""Writes a model folder from trained parameters."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import ArgumentValueError
from . import VARIANTS, networks
from .storage import halved
from .variants import FOCALCLICK

DESCRIPTION = "model.json"
ALWAYS, ALL = {DESCRIPTION, "segmentor.onnx"}, {DESCRIPTION, "segmentor.onnx", "refiner.onnx"}  # of a model's files
MOST_NAMED = 3  # of the files that are in the way


def write_model(
    parameters: Mapping[str, NDArray[Any]],
    variant: str,
    folder: str | os.PathLike[str],
    *,
    radius: float,
    trained: str,
    licence: str,
    half: bool = False,
) -> None:
    """Writes an ONNX file for every network and ``model.json``; the folder appears whole or stays as it was.

    parameters: by published names, as for :func:`focalrt.graphs.networks`. folder: as :func:`check_place` allows.
    radius: of the Segmentor's disks, as trained. trained, licence: texts for ``model.json``. half: parameters are
    stored as float16, which halves the files. Raises ParameterError, ArgumentValueError, OSError.
    """
    check_place(Path(folder))
    contents = {
        f"{name}.onnx": (halved(model) if half else model).SerializeToString(deterministic=True)
        for name, model in networks(parameters, variant).items()
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    description = describe(variant, digests, radius=radius, trained=trained, licence=licence)
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        for name, content in contents.items():
            (part / name).write_bytes(content)
        (part / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        part.chmod(0o755)
        replace(target, part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def describe(
    variant: str, digests: Mapping[str, str], *, radius: float, trained: str, licence: str
) -> dict[str, Any]:
    """The content of ``model.json``, which :mod:`focalrt.description` explains. digests: of the networks, by file."""
    _, side, _, method = VARIANTS[variant]
    return {
        "format": 1,
        "method": method,
        "variant": variant,
        "side": side,
        "radius": radius,
        **({"refiner_radius": 5} if method == FOCALCLICK else {}),
        "threshold": 0.5,
        "sha256": dict(digests),
        "trained": trained,
        "licence": licence,
    }


def check_place(folder: Path) -> None:
    """Raises ArgumentValueError where something else than a model or an empty folder would have to go.

    A folder of a checkpoint's name often holds the run that made it.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        found = "is a link" if folder.is_symlink() else "is a file"
    else:
        entries = list(os.scandir(folder))
        files = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
        if not entries or (len(files) == len(entries) and ALWAYS <= files <= ALL):
            return
        strange = sorted({entry.name for entry in entries} - (files & ALL)) or sorted(files)
        found = f"holds {', '.join(map(repr, strange[:MOST_NAMED]))}{' and more' if strange[MOST_NAMED:] else ''}"
    raise ArgumentValueError(
        f"folder: {str(folder)!r} {found}; expected the files of a model and nothing else, an empty folder, or "
        "nothing at all. Give another folder (--out on the command line), or move away what is there"
    )


def replace(folder: Path, new: Path) -> None:
    """Renames ``new`` to ``folder``; a model that was there goes once that is done, and comes back where it fails."""
    check_place(folder)  # again: building takes seconds
    if not folder.exists():
        new.rename(folder)
        return
    old = new.with_name(f"{new.name}.old")
    folder.rename(old)
    try:
        new.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
