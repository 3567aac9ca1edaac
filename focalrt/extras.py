"""Packages that the core does without, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import MissingExtraError


def imported(module: str, purpose: str, extra: str) -> Any:
    """A module that an extra brings. Raises MissingExtraError, which says what it is for and how to install it.

    Also where it is installed and cannot be imported, as for want of a library of its own: then that is told.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the {extra!r} extra: pip install 'focalrt[{extra}]'"
            + ("" if is_missing(module, error) else f"; {module} is there, but cannot be imported: {error}")
        ) from error


def is_missing(module: str, error: ImportError) -> bool:
    """Whether an import failed as the module itself, or a package that holds it, was not found."""
    return isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
