"""Models by name: those that come with the package, and those in folders of the user's.

A folder of models holds a folder for each, called by its name (see :mod:`.networks`). ``FOCALRT_MODELS`` lists such
folders, parted as in ``PATH``. Where two models share a name, the package's own comes first, then the order of folders.
"fast" and "accurate" stand for models of the package, where no other goes by that name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from . import checks
from .errors import ArgumentTypeError, ModelNotFoundError
from .networks import DESCRIPTION, Description, read_description

VARIABLE = "FOCALRT_MODELS"
ENDS = {"fast": "hrnet18s-s1-int8", "accurate": "hrnet18s-s1"}  # of the table in weights/README.md


class Installed(NamedTuple):
    """A model that can be loaded by name.

    folder: where its files lie. description: what ``model.json`` says. shipped: whether it came with the package.
    """

    folder: Path
    description: Description
    shipped: bool

    @property
    def megabytes(self) -> float:
        """Size of its networks on disk."""
        return sum((self.folder / name).stat().st_size for name in self.description.files) / 1e6


def shipped_folder() -> Path:
    """Where the networks of this package lie: inside it, or beside it in a checkout."""
    inside = Path(__file__).parent / "weights"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "weights"


def named_folders(models: str | os.PathLike[str] | None = None) -> Iterator[tuple[str, Path, bool]]:
    """Name, folder and whether it is shipped of every model, in the order in which they are looked for."""
    listed = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    own = [Path(models)] if models is not None else listed
    for number, place in enumerate([shipped_folder(), *own]):
        for path in sorted(place.glob(f"*/{DESCRIPTION}")):
            yield path.parent.name, path.parent, number == 0


def installed(models: str | os.PathLike[str] | None = None) -> dict[str, Installed]:
    """Every model that can be loaded by name.

    models: a folder of models, in place of those that ``FOCALRT_MODELS`` lists. Raises ModelError for one whose
    ``model.json`` describes none.
    """
    found: dict[str, Installed] = {}
    for name, folder, shipped in named_folders(models):
        if name not in found:
            found[name] = Installed(folder, read_description(folder), shipped)
    return found


def find(model: str | os.PathLike[str], models: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a model: one installed under that name, or the folder itself; or what "fast" or "accurate" mean.

    models: as for :func:`installed`. Raises ModelNotFoundError, ArgumentTypeError.
    """
    for argument, value in (("model", model), ("models", models)):
        if not isinstance(value, (str, os.PathLike)) and (argument == "model" or value is not None):
            raise ArgumentTypeError(f"{argument}: expected a name or a folder; got {checks.told(value)}")
    named = {name: folder for name, folder, _ in reversed(list(named_folders(models)))}
    if isinstance(model, str) and model in named:
        return named[model]
    if os.path.isfile(Path(model) / DESCRIPTION):  # unlike Path.is_file, False for names no file can have
        return Path(model)
    if model in ENDS and ENDS[model] in named:
        return named[ENDS[model]]
    raise ModelNotFoundError(
        f"model: no folder {str(model)!r} with a {DESCRIPTION}, and none of that name is installed "
        f"({', '.join(sorted(named)) or 'there is none at all: install focalrt again'}); {VARIABLE} lists folders of "
        "models"
    )
