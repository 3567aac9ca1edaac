"""A click becomes a mask, on any CPU: interactive segmentation with FocalClick, without a deep-learning framework.

    import focalrt

    model = focalrt.load()
    session = model.session(image)  # RGB, uint8 (H, W, 3)
    result = session.click(320, 240)
    session.mask  # bool (H, W)

Names are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import masks as masks
    from .conversion import convert
    from .description import Description
    from .errors import (
        AnnotationError,
        ArgumentTypeError,
        ArgumentValueError,
        CheckpointError,
        DatasetError,
        EvaluationError,
        FocalrtError,
        ImageFileError,
        ImageTooLargeError,
        MissingExtraError,
        ModelError,
        ModelNotFoundError,
        NoCounterpartError,
        NoImageError,
        ParameterError,
    )
    from .geometry import Box, Click
    from .merge import Outcome, Policy, Region, Regions
    from .model import Model, load, segment
    from .runs import Runs
    from .session import Result, Session, Step
    from .zoo import Installed, installed

_HOMES = {
    "conversion": ("convert",),
    "description": ("Description",),
    "errors": (
        "AnnotationError",
        "ArgumentTypeError",
        "ArgumentValueError",
        "CheckpointError",
        "DatasetError",
        "EvaluationError",
        "FocalrtError",
        "ImageFileError",
        "ImageTooLargeError",
        "MissingExtraError",
        "ModelError",
        "ModelNotFoundError",
        "NoCounterpartError",
        "NoImageError",
        "ParameterError",
    ),
    "geometry": ("Box", "Click"),
    "merge": ("Outcome", "Policy", "Region", "Regions"),
    "model": ("Model", "load", "segment"),
    "runs": ("Runs",),
    "session": ("Result", "Session", "Step"),
    "zoo": ("Installed", "installed"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("masks",)

__all__ = [
    "AnnotationError",
    "ArgumentTypeError",
    "ArgumentValueError",
    "Box",
    "CheckpointError",
    "Click",
    "DatasetError",
    "Description",
    "EvaluationError",
    "FocalrtError",
    "ImageFileError",
    "ImageTooLargeError",
    "Installed",
    "MissingExtraError",
    "Model",
    "ModelError",
    "ModelNotFoundError",
    "NoCounterpartError",
    "NoImageError",
    "Outcome",
    "ParameterError",
    "Policy",
    "Region",
    "Regions",
    "Result",
    "Runs",
    "Session",
    "Step",
    "convert",
    "installed",
    "load",
    "segment",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])
