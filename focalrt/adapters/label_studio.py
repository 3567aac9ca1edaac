"""Label Studio's interactive backend: what ``/predict`` gets while an annotator clicks, and the region it returns.

After ``label_studio_ml/api.py`` of HumanSignal/label-studio-ml-backend and its example ``segment_anything_model``. Of a
request this reads

    label_config              the project's, XML; the region belongs to its first BrushLabels of an Image
    tasks[0]["data"]          where the image lies
    params.context.result     what the annotator drew, in order, places in percent of the image:
        keypointlabels        a click, off the object where is_positive is false
        brushlabels           a mask to begin with; several are one
        rectanglelabels       a box to begin with, where there is no brush; the latest counts

and of these ``value``, ``original_width``, ``original_height``; other types are left alone. A request that does not fit
raises one of :mod:`focalrt.errors`; ``label_studio_app.py`` puts all this behind HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex
from typing import Any, NamedTuple
from xml.etree import ElementTree

from .. import __version__, checks
from ..errors import ArgumentTypeError, ArgumentValueError
from ..geometry import Box, Click
from ..masks import from_label_studio, to_label_studio
from ..model import Model
from ..runs import Runs
from ..upload import decode_photo
from .page import begin_with_box, box_on_page, click_on_page
from .photos import MOST_BYTES, Beginning, Photos

MOST_POINTS = 100  # of one request: without a session at hand every one is a click

Read = Callable[[str, Any], bytes]


class Brush(NamedTuple):
    """The control that a region belongs to: its name, the image's, the task's field of the image, the labels."""

    name: str
    image: str
    field: str
    labels: list[str]


class Prompt(NamedTuple):
    """What the annotator drew, in pixels of an image of that size; labels: of everything drawn, the latest last."""

    height: int
    width: int
    clicks: list[Click]
    box: Box | None
    mask: Runs
    labels: list[str]


class Backend:
    """Answers Label Studio's requests with one model. Any threads may call it."""

    def __init__(self, model: Model, read: Read, *, most_bytes: int = MOST_BYTES) -> None:
        """model: what :func:`focalrt.load` returns.

        read: the bytes of an image's file, for the place that a task tells and the task's id; called once for an image
        as long as it is kept. most_bytes: of images and sessions kept between requests.
        """
        self._model = model
        self._read = read
        self._photos = Photos(most_bytes)

    @property
    def nbytes(self) -> int:
        """Bytes of images and sessions that are kept now."""
        return self._photos.nbytes

    @property
    def model_version(self) -> str:
        """What Label Studio shows beside a prediction."""
        return f"focalrt {__version__} {self._model.description.variant}"

    def predict(self, request: Any) -> list[dict[str, Any]]:
        """The ``results`` of one request: a prediction with one brush region, or none where there was no click.

        Where the session of the last request with this image is still kept, only new clicks are made, and those that
        are gone are undone. Raises ArgumentTypeError, ArgumentValueError, ImageFileError, ImageTooLargeError, and what
        ``read`` raises.
        """
        body = mapping(request, "the request")
        prompt = read_prompt(mapping(body.get("params"), "params").get("context"))
        if prompt is None:
            return []
        brush = read_config(body.get("label_config"))
        task, place = read_task(body.get("tasks"), brush.field)
        with self._photos.use(place, lambda: decode_photo(self._read(place, task))) as photo:
            if photo.shape != (prompt.height, prompt.width):
                came = f"{prompt.width} x {prompt.height}, the image has {photo.shape[1]} x {photo.shape[0]}"
                raise ArgumentValueError(f"original_width, original_height: the request says {came}")
            clicks, beginning = plan(prompt)
            runs = photo.session(self._model, beginning, clicks).runs
        regions = [region(runs, prompt, brush)] if runs else []
        return [{"result": regions, "model_version": self.model_version}]


def read_prompt(context: Any) -> Prompt | None:
    """What was drawn; None where that is nothing to click for. Raises ArgumentTypeError, ArgumentValueError."""
    drawn = [mapping(item, "context.result") for item in items(mapping(context, "context").get("result"), "result")]
    kinds: dict[str, list[Mapping[str, Any]]] = {"keypoint": [], "rectangle": [], "brush": []}
    for item in drawn:
        kinds.get(str(item.get("type")).removesuffix("labels"), []).append(item)
    points, boxes, brushes = kinds.values()
    if not points and (brushes or not boxes):
        return None
    if len(points) > MOST_POINTS:
        raise ArgumentValueError(f"context.result: expected at most {MOST_POINTS} keypoints; got {len(points)}")
    height, width = image_size(points + boxes + brushes)
    mask = Runs.empty()
    for brush in brushes:
        mask = mask | from_label_studio(mapping(brush.get("value"), "value").get("rle", ()), height, width)
    return Prompt(
        height,
        width,
        [keypoint(point, height, width) for point in points],
        rectangle(boxes[-1], height, width) if boxes else None,
        mask,
        [label for item in drawn for label in labels_of(item)],
    )


def image_size(drawn: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
    """(height, width) of the image, which all items tell alike."""
    if any(item.get("image_rotation") for item in drawn):
        raise ArgumentValueError("image_rotation: expected 0; turn the image upright before clicking")
    height, width = (drawn[0].get(side) for side in ("original_height", "original_width"))
    alike = all((item.get("original_height"), item.get("original_width")) == (height, width) for item in drawn)
    if not alike or not isinstance(height, int) or not isinstance(width, int) or min(height, width) < 1:
        raise ArgumentValueError(
            "original_width, original_height: expected the image's size in pixels, the same for all that was drawn"
        )
    return height, width


def keypoint(item: Mapping[str, Any], height: int, width: int) -> Click:
    """The click that a keypoint stands for; on the object, where it does not tell."""
    value = mapping(item.get("value"), "value")
    positive = item.get("is_positive", True)
    if positive not in (0, 1):
        raise ArgumentTypeError(f"is_positive: expected true or false; got {checks.told(positive)}")
    x, y = part(value, "x") * width, part(value, "y") * height
    return click_on_page(x, y, bool(positive), height, width)


def rectangle(item: Mapping[str, Any], height: int, width: int) -> Box:
    """The pixels of a rectangle."""
    value = mapping(item.get("value"), "value")
    if value.get("rotation"):
        raise ArgumentValueError("rotation: expected a rectangle that is not turned")
    left, top, across, down = (part(value, name) for name in ("x", "y", "width", "height"))
    return box_on_page((left * width, top * height), ((left + across) * width, (top + down) * height), height, width)


def part(value: Mapping[str, Any], name: str) -> float:
    """A place or a length in percent, as a share of the image's side."""
    return checks.check_number(value.get(name), name) / 100


def labels_of(item: Mapping[str, Any]) -> list[str]:
    """The labels of a region, under the name of its type."""
    labels = mapping(item.get("value"), "value").get(str(item.get("type")))
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []


def read_config(label_config: Any) -> Brush:
    """The first BrushLabels of an Image. Raises ArgumentTypeError, ArgumentValueError."""
    if not isinstance(label_config, str):
        raise ArgumentTypeError(f"label_config: expected the project's XML; got {checks.told(label_config)}")
    try:
        if "<!DOCTYPE" in label_config:  # where entities are declared, which may expand without end
            raise ValueError("a document type is not allowed")
        root = ElementTree.fromstring(label_config)
    except (ElementTree.ParseError, ValueError) as error:
        raise ArgumentValueError(f"label_config: expected the project's XML ({error})") from None
    images = {image.get("name"): image.get("value", "") for image in root.iter("Image")}
    for brush in root.iter("BrushLabels"):
        name, image = brush.get("name"), brush.get("toName")
        labels = [label.get("value", "") for label in brush.iter("Label")]
        if name and image and labels and images.get(image, "").startswith("$"):
            return Brush(name, image, images[image][1:], labels)
    raise ArgumentValueError(
        'label_config: expected <Image name="image" value="$image"/> and <BrushLabels toName="image"> with a Label'
    )


def read_task(tasks: Any, field: str) -> tuple[Any, str]:
    """The id of the one task that was clicked on, and where its image lies."""
    given = items(tasks, "tasks")
    if len(given) != 1:
        raise ArgumentValueError(f"tasks: expected the one that was clicked on; got {len(given)}")
    task = mapping(given[0], "tasks[0]")
    place = mapping(task.get("data"), "tasks[0].data").get(field)
    if not isinstance(place, str) or not place:
        raise ArgumentTypeError(f"tasks[0].data.{field}: expected where the image lies; got {checks.told(place)}")
    return task.get("id"), place


def plan(prompt: Prompt) -> tuple[list[Click], Beginning]:
    """The clicks that stand for a prompt, and what they begin with."""
    if prompt.mask or prompt.box is None:
        return prompt.clicks, Beginning(prompt.mask)
    middle, view = begin_with_box(prompt.box, prompt.height, prompt.width)
    return [middle, *prompt.clicks], Beginning(view=view)


def region(runs: Runs, prompt: Prompt, brush: Brush) -> dict[str, Any]:
    """A mask as a brush region, labelled as the latest that was drawn with one of the brush's labels."""
    label = next((label for label in reversed(prompt.labels) if label in brush.labels), brush.labels[0])
    return {
        "id": token_hex(5),
        "from_name": brush.name,
        "to_name": brush.image,
        "type": "brushlabels",
        "original_width": prompt.width,
        "original_height": prompt.height,
        "image_rotation": 0,
        "value": {
            "format": "rle",
            "rle": to_label_studio(runs, prompt.height, prompt.width),
            "brushlabels": [label],
        },
    }


def mapping(value: Any, argument: str) -> Mapping[str, Any]:
    """An object of JSON; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{argument}: expected a JSON object; got {checks.told(value)}")
    return value


def items(value: Any, argument: str) -> Sequence[Any]:
    """A list of JSON; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ArgumentTypeError(f"{argument}: expected a list; got {checks.told(value)}")
    return value
