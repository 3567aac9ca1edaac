"""The surface of Segment Anything's predictor, so that code written for it runs on FocalClick.

After ``segment_anything/predictor.py`` of facebookresearch/segment-anything 1.0: the same methods, arguments, frames,
shapes and dtypes. What FocalClick has no counterpart for is listed in :data:`NO_COUNTERPART` and in ``docs/sam.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..errors import ArgumentTypeError, ArgumentValueError, NoCounterpartError, NoImageError
from ..geometry import Box, Click
from ..masks.sam_logits import LOW, SIDE, fitted_size, over_image
from ..model import Model
from ..runs import Runs
from .photos import Beginning, Photo
from .prompts import begin, check_corners, check_photo, check_point
from .score import expected_iou

CANDIDATES = 3  # masks that SAM returns with multimask_output
LEAST = 1e-6  # a probability nearer to 0 or 1 is taken for this far from it, so that logits stay finite
LARGEST = 1e6  # of a logit that comes in: its sign is what counts

NO_COUNTERPART = {
    "features": "FocalClick looks at a new crop for every click and has no embedding of the whole image",
    "get_image_embedding": "FocalClick looks at a new crop for every click and has no embedding of the whole image",
    "set_torch_image": "there is no resized image to prepare; call set_image",
    "predict_torch": "there are no tensors and no batches of prompts; call predict for each",
    "transform": "points, boxes and images are taken in pixels of the image",
    "input_size": "there is no resized image",
}


class Answer(NamedTuple):
    """What the last call of ``predict`` was asked and returned, for one that hands its logits back."""

    beginning: Beginning
    clicks: tuple[Click, ...]
    mask: Runs
    logits: NDArray[np.float32]


class SamPredictor:
    """SAM's predictor around a FocalClick model: ``SamPredictor(focalrt.load())``. For one thread at a time."""

    def __init__(self, sam_model: Model) -> None:
        """sam_model: what :func:`focalrt.load` returns. Raises ArgumentTypeError."""
        if not isinstance(sam_model, Model):
            raise ArgumentTypeError(f"sam_model: expected what focalrt.load() returns; got {checks.told(sam_model)}")
        self.model = sam_model
        self._photo: Photo | None = None
        self._answer: Answer | None = None

    def __getattr__(self, name: str) -> Any:
        reason = NO_COUNTERPART.get(name)
        if reason is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise NoCounterpartError(f"SamPredictor.{name} has no counterpart here: {reason}")

    @property
    def device(self) -> str:
        """Always ``cpu``."""
        return "cpu"

    @property
    def is_image_set(self) -> bool:
        """Whether ``predict`` can be called."""
        return self._photo is not None

    @property
    def original_size(self) -> tuple[int, int]:
        """(height, width) of the image, in pixels. Raises NoImageError."""
        return self._image().shape

    def set_image(self, image: NDArray[np.uint8], image_format: str = "RGB") -> None:
        """Takes a copy of an image; no network runs yet.

        image: uint8 (H, W, 3). image_format: ``RGB`` or ``BGR``. Raises ArgumentTypeError, ArgumentValueError, and then
        the image set before stays.
        """
        if not isinstance(image_format, str) or image_format not in ("RGB", "BGR"):
            raise ArgumentValueError(f"image_format: expected 'RGB' or 'BGR'; got {checks.told(image_format)}")
        pixels = checks.check_image(image)
        self._photo = check_photo(pixels if image_format == "RGB" else pixels[..., ::-1])
        self._answer = None

    def reset_image(self) -> None:
        """Forgets the image."""
        self._photo = self._answer = None

    def predict(
        self,
        point_coords: NDArray[Any] | None = None,
        point_labels: NDArray[Any] | None = None,
        box: NDArray[Any] | None = None,
        mask_input: NDArray[Any] | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
    ) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]:
        """The mask after these clicks: the same as a session that makes them in this order.

        point_coords: (N, 2), x and y in pixels of the image, pixel centres at integers as in SAM, on the image.
        point_labels: (N,), 1 on the object, 0 off it. A call whose points begin with those of the last call costs only
        the clicks that are new.
        box: (4,) or (1, 4), the corner pixels x0, y0, x1, y1. FocalClick takes no boxes: the first click looks at 1.4
        times the box in place of the whole image, and where no point lies on the object, a click in the middle of the
        box comes first.
        mask_input: the mask to begin with. Logits (1, 256, 256) that the last call returned stand for its mask in full
        resolution, and where the points begin with those of that call too, this one goes on from it. Other logits of
        this shape and frame (SAM's own too) are read as SAM upsamples them, object above 0. A bool array (H, W) or
        (1, H, W) of the image's size is taken as it is. Progressive Merge then keeps what is not clicked.
        multimask_output: FocalClick has one answer. Three equal masks come with True, as many as code for SAM expects.
        return_logits: float32 logits in place of bool masks, object above 0, within +-13.8.

        Returns masks (C, H, W); scores (C,), the IoU that the networks expect of the mask by their own probabilities
        (not calibrated: use it to compare, not as a measure); low_res_masks, float32 logits (C, 256, 256) in the frame
        of SAM's, the image in the top left of a square.
        Raises NoImageError; ArgumentTypeError and ArgumentValueError, which change nothing.
        """
        photo = self._image()
        points = check_points(point_coords, point_labels, *photo.shape)
        clicks, view = begin(points, check_box_prompt(box, *photo.shape), *photo.shape)
        beginning = self._beginning(clicks, mask_input, view)
        session = photo.session(self.model, beginning, clicks)
        probability = session.probability()
        agreed = agreeing(probability, session.mask)
        logits = low_res(agreed)
        self._answer = Answer(beginning, session.clicks, session.runs, logits)
        masks = logit(agreed) if return_logits else session.mask
        score = np.float32(expected_iou(probability, session.mask))
        count = CANDIDATES if multimask_output else 1
        return repeat(masks, count), repeat(score, count), repeat(logits, count)

    def _image(self) -> Photo:
        if self._photo is None:
            raise NoImageError("An image must be set with .set_image(...) before mask prediction.")
        return self._photo

    def _beginning(self, clicks: Sequence[Click], mask_input: Any, view: Box | None) -> Beginning:
        """What the session begins with: nothing, a mask, or what the last call began with where this one goes on."""
        last = self._answer
        if mask_input is None:
            return Beginning(view=view)
        if last is None or not np.array_equal(mask_input, last.logits[None]):
            return Beginning(Runs.from_mask(check_mask_input(mask_input, *self.original_size)), view)
        goes_on = tuple(clicks[: len(last.clicks)]) == last.clicks
        return last.beginning if goes_on else Beginning(last.mask, view)


def check_points(coords: Any, labels: Any, height: int, width: int) -> list[Click]:
    """The clicks of ``point_coords`` and ``point_labels``; none for None."""
    if coords is None and labels is None:
        return []
    places, kinds = numbers(coords, "point_coords"), numbers(labels, "point_labels", "biuf")
    if kinds.ndim != 1 or places.shape != (len(kinds), 2):
        raise ArgumentValueError(
            f"point_coords, point_labels: expected the shapes (N, 2) and (N,); got {places.shape} and {kinds.shape}"
        )
    if not np.isin(kinds, (0, 1)).all():
        raise ArgumentValueError(f"point_labels: expected 1 (on the object) and 0 (off it); got {checks.told(kinds)}")
    clicks = []
    for number, (x, y) in enumerate(places.tolist()):
        try:
            clicks.append(check_point(x, y, bool(kinds[number]), height, width))
        except ArgumentValueError as error:
            raise ArgumentValueError(f"point_coords[{number}]: {error}") from None
    return clicks


def check_box_prompt(box: Any, height: int, width: int) -> Box | None:
    """The pixels of ``box`` that lie on the image; None for None."""
    if box is None:
        return None
    corners = numbers(box, "box")
    if corners.shape not in ((4,), (1, 4)):
        raise ArgumentValueError(f"box: expected four numbers x0, y0, x1, y1; got {checks.told(corners)}")
    return check_corners(corners.ravel().tolist(), height, width)


def check_mask_input(mask_input: Any, height: int, width: int) -> NDArray[np.bool_]:
    """The mask that ``mask_input`` stands for."""
    array = numbers(mask_input, "mask_input", "biuf")
    if array.dtype == np.bool_:
        mask = array[0] if array.ndim == 3 and len(array) == 1 else array
        return checks.check_mask(mask, height, width, "mask_input")
    if array.shape != (1, LOW, LOW) or not np.isfinite(array).all():
        raise ArgumentValueError(
            f"mask_input: expected finite logits (1, {LOW}, {LOW}), or a bool mask ({height}, {width}); "
            f"got {checks.told(array)}"
        )
    logits = np.clip(array[0], -LARGEST, LARGEST).astype(np.float32)
    return over_image(logits, height, width) > 0


def numbers(value: Any, argument: str, kinds: str = "iuf") -> NDArray[Any]:
    """An array of real numbers, from whatever NumPy reads as one; kinds: the dtypes to take, by NumPy's letters."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # lists of unequal lengths
        array = np.empty(0, object)
    if array.dtype.kind not in kinds:
        raise ArgumentTypeError(f"{argument}: expected an array of numbers; got {checks.told(value)}")
    return array


def agreeing(probability: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The networks' probability, float32 (H, W), moved to the mask's side of a half where the merge overruled it."""
    half, above = np.float32(0.5), np.nextafter(np.float32(0.5), np.float32(1))
    agreed: NDArray[np.float32] = np.where(mask, np.maximum(probability, above), np.minimum(probability, half))
    return agreed


def logit(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits, float32, of the same shape; 0 exactly at a half."""
    bounded = np.clip(probability, LEAST, 1 - LEAST)
    logits: NDArray[np.float32] = np.log(bounded / (1 - bounded))
    return logits


def low_res(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (256, 256) in SAM's frame of a probability (H, W): those of its mean over each cell."""
    height, width = fitted_size(*probability.shape)
    square = np.zeros((SIDE, SIDE), np.float32)
    square[:height, :width] = cv2.resize(probability, (width, height), interpolation=cv2.INTER_AREA)
    return logit(square.reshape(LOW, SIDE // LOW, LOW, SIDE // LOW).mean(axis=(1, 3)))


def repeat(array: Any, count: int) -> NDArray[Any]:
    """``count`` copies along a new first axis, each the caller's to write to."""
    copies: NDArray[Any] = np.repeat(np.asarray(array)[None], count, axis=0)
    return copies
