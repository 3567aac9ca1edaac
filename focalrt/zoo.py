"""Models by name: those that come with the package, and those in folders of the user's.

A folder of models holds a folder for each, called by its name (see :mod:`.description`). A folder told in the call is
looked through first, then the package's own; where none is told, the package's own, then the folders that
``FOCALRT_MODELS`` lists, parted as in ``PATH``, in their order. Of two models that share a name, the first counts.
"fast" and "accurate" stand for models of the package, where no other goes by that name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .checks import check_path
from .description import DESCRIPTION, Description, read_description
from .errors import ArgumentValueError, ModelNotFoundError

VARIABLE = "FOCALRT_MODELS"
DEFAULT = "hrnet18s-s2"
ENDS = {"fast": "hrnet18s-s1-int8", "accurate": "hrnet18s-s2"}  # of the table in weights/README.md


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
    """Name, folder and whether it is shipped of every model, in the order in which they are looked for.

    Raises ModelNotFoundError where ``models`` is no folder, ArgumentTypeError.
    """
    shipped = shipped_folder()
    if models is None:
        places = [shipped, *(Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part)]
    else:
        places = [folder_of_models(models), shipped]
    for place in places:
        for path in sorted(place.glob(f"*/{DESCRIPTION}")):
            yield path.parent.name, path.parent, place is shipped


def folder_of_models(models: str | os.PathLike[str]) -> Path:
    """A folder, which may hold no model yet. Raises ModelNotFoundError, ArgumentTypeError."""
    check_path(models, "models", "a folder")
    if not os.path.isdir(models):
        raise ModelNotFoundError(f"models: there is no folder {os.fspath(models)!r}")
    return Path(models)


def installed(models: str | os.PathLike[str] | None = None) -> dict[str, Installed]:
    """Every model that can be loaded by name.

    models: a folder of models, in place of those that ``FOCALRT_MODELS`` lists. Raises ModelNotFoundError where there
    is no such folder, ModelError for a model whose ``model.json`` describes none.
    """
    found: dict[str, Installed] = {}
    for name, folder, shipped in named_folders(models):
        if name not in found:
            found[name] = Installed(folder, read_description(folder), shipped)
    return found


def find(model: str | os.PathLike[str] | None, models: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a model: one installed under that name, or the folder itself; or what "fast" or "accurate" mean.

    model: None for the default. models: as for :func:`installed`. Raises ModelNotFoundError, ArgumentTypeError, and
    ArgumentValueError for a name that is both an installed model and another one's folder here.
    """
    name = DEFAULT if model is None else model
    check_path(name, "model", "a name or a folder")
    every = list(named_folders(models))
    named = {each: folder for each, folder, _ in reversed(every)}
    shipped = {each: folder for each, folder, own in every if own}
    # os.path.isfile, unlike Path.is_file, says False for names no file can have; None means no folder here
    is_folder = model is not None and os.path.isfile(Path(name) / DESCRIPTION)
    if isinstance(name, str) and name in named:
        if is_folder and not os.path.samefile(name, named[name]):
            here, there = os.path.join(os.curdir, name), os.fspath(named[name])
            raise ArgumentValueError(
                f"model: {name!r} is an installed model and a folder here: take {here!r} or {there!r}"
            )
        return named[name]
    if is_folder:
        return Path(name)
    if name in ENDS and ENDS[name] in shipped:
        return shipped[ENDS[name]]
    raise ModelNotFoundError(
        f"model: no folder {str(name)!r} with a {DESCRIPTION}, and none of that name is installed "
        f"({', '.join(sorted(named)) or 'there is none at all: install focalrt again'}); {VARIABLE} lists folders of "
        "models"
    )
