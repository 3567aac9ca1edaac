"""FocalClick as a model of osam, the package through which labelme asks its models.

After ``osam/types`` and ``osam/apis.py`` of wkentaro/osam 0.8: a model type has a name and answers a
``GenerateRequest`` with a ``GenerateResponse``; labelme finds it by its name in ``osam.apis.registered_model_types``.
A request holds the whole image and the whole list of points each time; what it repeats of the last one costs nothing.

``python -m focalrt.adapters.labelme [labelme's arguments]`` starts labelme with FocalClick in it. labelme offers a
fixed list of models, so FocalClick answers in place of one of them, in that process only: :data:`OFFERED`.
"""

from __future__ import annotations

import os
import runpy
from typing import Any

from .. import checks
from ..errors import ArgumentValueError
from ..extras import imported
from ..geometry import Box, Click
from ..model import Model, load
from ..runs import Runs
from ..session import Session
from .photos import Beginning, Photo
from .prompts import begin, check_corners, check_photo, check_point
from .score import expected_iou

NAME = "focalrt:latest"
OFFERED = "efficientsam:10m"  # "EfficientSam (speed)", the first that labelme offers
OFF, ON, FIRST_CORNER, SECOND_CORNER = range(4)  # osam's point labels
LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"


class FocalClick:
    """What osam asks of a model; :func:`register` makes a subclass of it and of ``osam.types.Model``.

    For one thread at a time, as osam's own. It holds the last image and its session.
    """

    name: str
    model: Model
    types: Any

    _blobs: dict[str, Any] = {}  # noqa: RUF012 -- osam's: what to download before use

    def __init__(self) -> None:
        self._photo: Photo | None = None

    def generate(self, request: Any) -> Any:
        """The mask after the points of a request, a ``GenerateRequest``; a ``GenerateResponse``.

        request.image: uint8 (H, W, 3), RGB. request.prompt.points: x, y in pixels of the image, pixel centres at
        integers, from -0.5 to W or H (where labelme's canvas ends). point_labels: 1 on the object, 0 off it, 2 and 3
        two corners of a box. request.annotations: none, or one whose mask is the one to correct.
        The response holds one annotation, its mask cropped to its box and ``score`` as :func:`.expected_iou` has it;
        none where nothing is left of the mask. Raises ArgumentTypeError and ArgumentValueError (osam expects a
        ValueError), and leaves all as it was.
        """
        if request.image is None:
            raise ArgumentValueError("image: expected uint8 (H, W, 3); FocalClick takes no embedding in its place")
        photo = check_photo(request.image, self._photo)
        points, box = check_prompt(request.prompt, *photo.shape)
        clicks, view = begin(points, box, *photo.shape)
        mask = check_annotations(request.annotations, *photo.shape)
        self._photo = photo
        return self._response(photo.session(self.model, Beginning(mask, view), clicks))

    def _response(self, session: Session) -> Any:
        box = session.runs.box
        annotations = []
        if box is not None:
            edges = self.types.BoundingBox(xmin=box.x0, ymin=box.y0, xmax=box.x1 - 1, ymax=box.y1 - 1)
            mask, score = session.runs.to_mask(box), expected_iou(session.probability(), session.mask)
            annotations.append(self.types.Annotation(bounding_box=edges, mask=mask, score=score))
        return self.types.GenerateResponse(model=self.name, annotations=annotations)


def register(model: str | os.PathLike[str] | None = None, *, name: str = NAME) -> Any:
    """Adds FocalClick to osam's models in this process, before any other of that name; returns the model type.

    model: as for :func:`focalrt.load`, loaded here. name: what osam's users ask for, with a tag after a colon.
    Raises MissingExtraError, ArgumentTypeError, ArgumentValueError, ModelNotFoundError, ModelError.
    """
    if not isinstance(name, str) or name.count(":") != 1:
        raise ArgumentValueError(f"name: expected one such as {NAME!r}, a tag after a colon; got {checks.told(name)}")
    osam = imported("osam", "labelme's model interface", "labelme")
    metadata = osam.types.ModelMetadata(
        license_name="Apache License 2.0", license_url=LICENCE, source_url="https://arxiv.org/abs/2204.02574"
    )
    members = {"__module__": __name__, "name": name, "metadata": metadata, "model": load(model), "types": osam.types}
    kind = type("FocalClick", (FocalClick, osam.types.Model), members)
    osam.apis.registered_model_types.insert(0, kind)
    return kind


def check_prompt(prompt: Any, height: int, width: int) -> tuple[list[Click], Box | None]:
    """The clicks and the box of an osam ``Prompt``."""
    if prompt is None or prompt.points is None or prompt.point_labels is None:
        raise ArgumentValueError("prompt: expected points and point_labels; FocalClick takes no texts")
    clicks: list[Click] = []
    corners: dict[int, tuple[float, float]] = {}
    for place, label in zip(prompt.points.tolist(), prompt.point_labels.tolist(), strict=True):
        x, y = (checks.check_number(number, "points") for number in place)
        if label in (FIRST_CORNER, SECOND_CORNER) and label not in corners:
            corners[label] = x, y
        elif label in (ON, OFF):
            clicks.append(check_point(x, y, label == ON, height, width))
        else:
            raise ArgumentValueError(f"point_labels: expected 0, 1, and one pair of 2 and 3; got another {label!r}")
    if not corners:
        return clicks, None
    if len(corners) == 1:
        raise ArgumentValueError("point_labels: a box has two corners, 2 and 3; got one of them")
    (x0, x1), (y0, y1) = (sorted(pair) for pair in zip(*corners.values(), strict=True))
    return clicks, check_corners((x0, y0, x1, y1), height, width, "points")


def check_annotations(annotations: Any, height: int, width: int) -> Runs:
    """The mask of the annotation to correct; empty for none."""
    if not annotations:
        return Runs.empty()
    if len(annotations) > 1 or annotations[0].mask is None:
        raise ArgumentValueError(f"annotations: expected none, or one with the mask to correct; got {len(annotations)}")
    edges = annotations[0].bounding_box
    box = checks.check_box((edges.xmin, edges.ymin, edges.xmax + 1, edges.ymax + 1), height, width)
    return Runs.from_mask(checks.check_mask(annotations[0].mask, box.height, box.width), box.y0, box.x0)


def main() -> None:
    """Starts labelme, with its arguments, with FocalClick in place of the model :data:`OFFERED`."""
    register(name=OFFERED)
    imported("labelme", "annotating with labelme", "labelme")
    runpy.run_module("labelme", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
