"""Clicks to a good mask: the field's protocol, its data sets and its report (SPEC section 6).

    from focalrt.evaluation import evaluate

    evaluation = evaluate("photos", ["hrnet18s-s1", "grabcut"], workers=2)
    print(evaluation.scores())

Guard a script with ``if __name__ == "__main__":`` where it asks for several workers. Needs the ``eval`` extra.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .play import Rules
    from .run import Evaluation, evaluate

__all__ = ["Evaluation", "Rules", "evaluate"]


def __getattr__(name: str) -> Any:
    if name == "Rules":
        from .play import Rules

        return Rules
    if name in __all__:
        from . import run

        return getattr(run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
