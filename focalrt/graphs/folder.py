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

from . import VARIANTS, networks
from .storage import halved
from .variants import FOCALCLICK


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

    parameters: by published names, as for :func:`focalrt.graphs.networks`. radius: of the Segmentor's disks, as
    trained. trained, licence: texts for ``model.json``. half: parameters are stored as float16, which halves the files.
    Raises ParameterError.
    """
    contents = {
        f"{name}.onnx": (halved(model) if half else model).SerializeToString(deterministic=True)
        for name, model in networks(parameters, variant).items()
    }
    method = VARIANTS[variant].method
    description = {
        "format": 1,
        "method": method,
        "variant": variant,
        "side": VARIANTS[variant].side,
        "radius": radius,
        **({"refiner_radius": 5} if method == FOCALCLICK else {}),
        "threshold": 0.5,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "trained": trained,
        "licence": licence,
    }
    target = Path(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        for name, content in contents.items():
            (part / name).write_bytes(content)
        (part / "model.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        part.chmod(0o755)
        replace(target, part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def replace(folder: Path, new: Path) -> None:
    """Renames ``new`` to ``folder``; what was there goes only once that is done."""
    old = new.with_name(f"{new.name}.old")
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
