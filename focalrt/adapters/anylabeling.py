"""FocalClick as a model of AnyLabeling and X-AnyLabeling: marks in, shapes out.

Two interfaces share one class. X-AnyLabeling-Server loads a model class and calls ``load``, ``predict`` and ``unload``
(CVHub520/X-AnyLabeling-Server, ``app/models/__init__.py``); the applications themselves call
``set_auto_labeling_marks``, ``predict_shapes`` and ``unload`` (CVHub520/X-AnyLabeling,
``services/auto_labeling/model.py``). A mark is ``{"type": "point", "data": [x, y], "label": 1 or 0}`` or
``{"type": "rectangle", "data": [x0, y0, x1, y1]}``, in whole pixels of the image; all of them come each time, and what
they repeat of the last time costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..errors import ArgumentTypeError, ArgumentValueError
from ..geometry import Box, Click
from ..masks import to_polygons
from ..model import Model, load
from ..session import Session
from .photos import Beginning, Photo
from .prompts import begin, check_corners, check_photo, check_point
from .score import expected_iou

LABEL = "AUTOLABEL_OBJECT"  # the applications ask the annotator for the real one
FINENESS = 0.001  # tolerance of a polygon in perimeters of the mask's box, as the applications have it in arc lengths

MARK = ("type", "data", "label")
NUMBERS = {"point": 2, "rectangle": 4}  # that a mark's data holds
WIDGETS = [
    {"name": "button_add_point", "value": None},
    {"name": "button_remove_point", "value": None},
    {"name": "button_add_rect", "value": None},
    {"name": "button_clear", "value": None},
    {"name": "button_finish_object", "value": None},
    {"name": "mask_fineness_slider", "value": 10},
]


class AutoLabelingResult(NamedTuple):
    """What ``predict_shapes`` returns.

    shapes: as in labelme's files, plain dictionaries. replace: whether they take the place of all others.
    """

    shapes: list[dict[str, Any]]
    replace: bool = False
    description: str = ""


class FocalClick:
    """The model. Calls may come from any thread, one at a time is answered; it holds the last image and its session."""

    def __init__(self, config: Mapping[str, Any] | None = None, on_message: Any = None) -> None:
        """config: that of the server or the application; ``params.model`` or ``model``: as for :func:`focalrt.load`.

        on_message: not used, as nothing is downloaded.
        """
        self.config = dict(config or {})
        self.params = dict(self.config.get("params") or {})
        self._marks: Any = []
        self._fineness = FINENESS
        self._lock = Lock()
        self._model: Model | None = None
        self._photo: Photo | None = None

    def load(self) -> None:
        """Loads the networks. Raises ModelNotFoundError, ModelError, ArgumentTypeError."""
        self._networks()

    def unload(self) -> None:
        """Forgets networks and image; ``load`` or the next prediction loads again."""
        with self._lock:
            self._model = self._photo = None

    def get_metadata(self) -> dict[str, Any]:
        """What X-AnyLabeling asks before it shows the model: name, buttons, parameters."""
        return {
            "display_name": self.config.get("display_name", "FocalClick"),
            "widgets": self.config.get("widgets") or WIDGETS,
            "params": self.params,
            "capabilities": self.config.get("capabilities", {}),
            "batch_processing_mode": self.config.get("batch_processing_mode", "default"),
        }

    def predict(self, image: NDArray[np.uint8], params: Mapping[str, Any]) -> dict[str, Any]:
        """For the server: the shapes of the mask after the marks.

        image: uint8 (H, W, 3), **BGR**. params: ``marks``; ``epsilon_factor``, the tolerance of a polygon in perimeters
        of the mask's box. Raises ArgumentTypeError, ArgumentValueError, and leaves all as it was.
        """
        pixels = checks.check_image(image)[..., ::-1]
        shapes = self._shapes(pixels, params.get("marks"), params.get("epsilon_factor", FINENESS))
        return {"shapes": shapes, "description": "", "replace": False}

    def set_auto_labeling_marks(self, marks: Any) -> None:
        """For the application: the marks that ``predict_shapes`` is to answer, checked there."""
        self._marks = marks

    def set_mask_fineness(self, epsilon: float) -> None:
        """For the application: the tolerance of polygons, in perimeters of the mask's box. Raises Argument*Error."""
        self._fineness = check_fineness(epsilon)

    def predict_shapes(self, image: NDArray[np.uint8] | None, filename: str | None = None) -> AutoLabelingResult:
        """For the application: the shapes of the mask after the marks set last.

        image: uint8 (H, W, 3), RGB; no shapes for None. filename: not used, images are compared.
        Raises ArgumentTypeError, ArgumentValueError, and leaves all as it was.
        """
        return AutoLabelingResult([] if image is None else self._shapes(image, self._marks, self._fineness))

    def _networks(self) -> Model:
        if self._model is None:
            self._model = load(self.params.get("model") or self.config.get("model"))
        return self._model

    def _shapes(self, image: Any, marks: Any, fineness: Any) -> list[dict[str, Any]]:
        tolerance = check_fineness(fineness)
        if not marks:
            return []
        with self._lock:
            return polygons(self._session(image, marks), tolerance)

    def _session(self, image: Any, marks: Any) -> Session:
        """The session after the marks, with all of them checked before the first is clicked."""
        model = self._networks()
        photo = check_photo(image, self._photo)
        points, box = check_marks(marks, *photo.shape)
        clicks, view = begin(points, box, *photo.shape)
        self._photo = photo
        return photo.session(model, Beginning(view=view), clicks)


def check_fineness(value: Any) -> float:
    """A tolerance in perimeters."""
    fineness = checks.check_number(value, "epsilon_factor")
    if not 0 <= fineness <= 1:
        raise ArgumentValueError(f"epsilon_factor: expected 0 to 1; got {fineness:g}")
    return fineness


def check_marks(marks: Any, height: int, width: int) -> tuple[list[Click], Box | None]:
    """The clicks and the box of a list of marks."""
    if not isinstance(marks, (list, tuple)):
        raise ArgumentTypeError(f"marks: expected a list; got {checks.told(marks)}")
    clicks: list[Click] = []
    box = None
    for number, mark in enumerate(marks):
        kind, data, positive = check_mark(mark, f"marks[{number}]")
        if kind == "point":
            clicks.append(check_point(data[0], data[1], positive, height, width))
        elif box is not None or not positive:
            raise ArgumentValueError(f"marks[{number}]: expected one rectangle at most, about the object")
        else:
            x0, y0, x1, y1 = data
            box = check_corners((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), height, width, "marks")
    return clicks, box


def check_mark(mark: Any, where: str) -> tuple[str, list[float], bool]:
    """Type, data and label of a mark."""
    kind, data, label = (mark.get(key) for key in MARK) if isinstance(mark, dict) else (None, None, None)
    if not isinstance(kind, str) or not isinstance(data, (list, tuple)) or len(data) != NUMBERS.get(kind):
        raise ArgumentValueError(f"{where}: expected a point with data [x, y], or a rectangle with four numbers")
    if label not in (None, 0, 1):
        raise ArgumentValueError(f"{where}: expected the label 1 (on the object) or 0 (off it)")
    return kind, [checks.check_number(number, where) for number in data], label != 0


def polygons(session: Session, fineness: float) -> list[dict[str, Any]]:
    """The shapes of a mask, largest first: outlines, as the applications have no holes, with their first point again
    at the end, as the applications have it; pixel (x, y) covers x to x + 1.
    """
    box = session.runs.box
    if box is None:
        return []
    score = expected_iou(session.probability(), session.mask)
    tolerance = fineness * 2 * (box.width + box.height)
    return [
        {
            "label": LABEL,
            "shape_type": "polygon",
            "points": [*polygon.outline.tolist(), polygon.outline[0].tolist()],
            "score": score,
        }
        for polygon in to_polygons(session.runs, tolerance)
    ]
