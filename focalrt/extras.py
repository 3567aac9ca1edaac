"""Packages that the core does without, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import MissingExtraError


def imported(module: str, purpose: str, extra: str) -> Any:
    """A module that an extra brings. Raises MissingExtraError, which says what it is for and how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError(f"{purpose} needs the {extra!r} extra: pip install 'focalrt[{extra}]'") from error
