"""A model on disk: what its ``model.json`` says.

A model is a folder: ``segmentor.onnx``, ``refiner.onnx`` where its method has one, and ``model.json``, which holds

    format            1
    method            "focalclick", also where it is not told, or "ritm": how a click goes, and which networks there are
    variant           such as "hrnet18s-s1"
    side              of the Segmentor's input: 128 or 256; RITM's also 400 or 600
    radius            of the Segmentor's click disks, in pixels of the 256 grid, RITM's in pixels of the input
    refiner_radius    of the Refiner's disks, in pixels of the 256 grid
    threshold         probability above which a pixel is object
    sha256            {"segmentor.onnx": hex digest, "refiner.onnx": hex digest}
    trained, licence  two texts for people

A model of RITM has neither ``refiner.onnx`` nor ``refiner_radius``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .errors import ModelError, ModelNotFoundError
from .geometry import GRID

SEGMENTOR, REFINER, DESCRIPTION = "segmentor.onnx", "refiner.onnx", "model.json"
FOCALCLICK, RITM = "focalclick", "ritm"
LARGEST_DESCRIPTION = 1 << 20


class Method(NamedTuple):
    """What a model of a method has: files of networks, sides of the Segmentor's input to choose from, disks' radii."""

    files: tuple[str, ...]
    sides: tuple[int, ...]
    radii: tuple[str, ...]


METHODS = {
    FOCALCLICK: Method((SEGMENTOR, REFINER), (GRID // 2, GRID), ("radius", "refiner_radius")),
    RITM: Method((SEGMENTOR,), (GRID // 2, GRID, 400, 600), ("radius",)),
}


@dataclass(frozen=True)
class Description:
    """The content of a ``model.json``; the module tells its fields. Without a Refiner, ``refiner_radius`` is 0.

    ``threshold`` is the file's; :attr:`focalrt.Model.threshold` is that of a model in memory.
    """

    variant: str
    side: int
    radius: float
    refiner_radius: float
    threshold: float
    sha256: dict[str, str] = field(hash=False)
    trained: str
    licence: str
    method: str = FOCALCLICK

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the networks' files."""
        return METHODS[self.method].files


def read_description(folder: Path) -> Description:
    """Reads and checks ``model.json``. Raises ModelNotFoundError, ModelError."""
    path = folder / DESCRIPTION
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_DESCRIPTION)
    except OSError as error:
        raise ModelNotFoundError(f"no model in {str(folder)!r}: {DESCRIPTION} cannot be read ({error})") from error
    try:
        fields = json.loads(content)
        assert_fields(fields)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{str(path)!r} does not describe a model: {error}") from error
    method = fields.get("method", FOCALCLICK)
    radii: dict[str, Any] = {"refiner_radius": 0.0} | {name: float(fields[name]) for name in METHODS[method].radii}
    others = {name: fields[name] for name in ("variant", "side", "threshold", "sha256", "trained", "licence")}
    return Description(**others, **radii, method=method)


def assert_fields(fields: Any) -> None:
    """Raises ValueError naming the first field of a description that is missing or not as the module tells."""
    if not isinstance(fields, dict) or not is_integer(fields.get("format")) or fields["format"] != 1:
        raise ValueError('expected an object with "format": 1')
    method = fields.get("method", FOCALCLICK)
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"expected that method is {' or '.join(METHODS)}")
    files, sides, radii = METHODS[method]
    digests = fields.get("sha256")
    conditions = {
        "variant, trained and licence are texts": all(
            isinstance(fields.get(name), str) for name in ("variant", "trained", "licence")
        ),
        f"side is {' or '.join(map(str, sides))}": is_integer(fields.get("side")) and fields["side"] in sides,
        f"numbers from 0 to 100 stand for {' and '.join(radii)}": all(
            is_number(fields.get(name)) and 0 <= fields[name] <= 100 for name in radii
        ),
        "threshold is a number between 0 and 1": is_number(fields.get("threshold")) and 0 < fields["threshold"] < 1,
        f"sha256 holds a digest for {' and '.join(files)}": isinstance(digests, dict)
        and all(isinstance(digests.get(name), str) for name in files),
    }
    for condition, holds in conditions.items():
        if not holds:
            raise ValueError(f"expected that {condition}")


def is_integer(value: Any) -> bool:
    """Whether a JSON value is an integer (true and false are not)."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number (true and false are not)."""
    return is_integer(value) or isinstance(value, float)
