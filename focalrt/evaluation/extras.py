"""Packages that the core does without, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import EvaluationError


def imported(module: str, purpose: str, extra: str = "eval") -> Any:
    """A module of an extra. Raises EvaluationError, which says what it is for and how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise EvaluationError(f"{purpose} needs the {extra!r} extra: pip install 'focalrt[{extra}]'") from error
