"""The SAM family, in pairs of ONNX files (Kirillov et al., "Segment Anything", ICCV 2023).

The encoder has one input and one output, the embedding (1, 256, 64, 64). Its input, RGB with a long side of 1024, is

    float32 (height, width, 3), both free    from 0 to 255; the network normalises and pads it. Written by samexporter
                                             with --use-preprocess: AnyLabeling's files, MobileSAM's by Acly
    float32 (1, 3, 1024, 1024)               normalised, then padded with zeros on the right and at the bottom. Written
                                             by samexporter without, and by all that export SAM's encoder as it is

The decoder is what ``export_onnx_model.py`` of segment-anything and of MobileSAM writes: inputs ``image_embeddings``,
``point_coords``, ``point_labels``, ``mask_input``, ``has_mask_input`` and, except for NanoSAM's, ``orig_im_size``;
outputs ``iou_predictions`` and ``low_res_masks``. Its third output, ``masks``, is not asked for: an exporter may freeze
the proportions of its own example into it. It is made here instead, from the low-resolution logits, as SAM does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checks import check_click, check_image, check_mask, check_threads
from ..errors import ModelError, ModelNotFoundError
from ..geometry import Click
from ..masks.sam_logits import LOW, SIDE, fitted_size, over_image
from ..networks import run, start
from .sample import Mask

MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # of RGB from 0 to 255
STD = np.array([58.395, 57.12, 57.375], np.float32)
CERTAIN = 6.9  # logit of a given mask: a probability of 0.999
EMBEDDING = (1, 256, 64, 64)
PADDING = -1  # label of a point that is none; the exported prompt encoder wants one where there is no box

Shape = tuple[int | None, ...]  # None: a free size, which the caller chooses
RAW: Shape = (None, None, 3)
NORMALISED: Shape = (1, 3, SIDE, SIDE)
DECODER: dict[str, Shape] = {
    "image_embeddings": EMBEDDING,
    "point_coords": (1, None, 2),
    "point_labels": (1, None),
    "mask_input": (1, 1, LOW, LOW),
    "has_mask_input": (1,),
    "orig_im_size": (2,),
}
SCORES, LOGITS = "iou_predictions", "low_res_masks"


class Sam:
    """A :class:`.methods.Method`; keeps the embedding of the last image, so all objects of a photo share it."""

    def __init__(self, encoder: Path, decoder: Path, threads: int | None = 1) -> None:
        """Reads and checks both files. threads: processor threads; None takes every core, at most 4.

        Raises ModelNotFoundError, ModelError, ArgumentTypeError, ArgumentValueError.
        """
        threads = check_threads(threads)
        self._encoder, self._decoder = Encoder(encoder, threads), Decoder(decoder, threads)
        self._last: tuple[NDArray[np.uint8], NDArray[np.float32]] | None = None

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> SamSession:
        """A session on one image, from an earlier mask or from scratch; runs the encoder unless the image is the last.

        Raises ArgumentTypeError, ArgumentValueError, ModelError.
        """
        image = check_image(image)
        height, width, _ = image.shape
        mask = np.zeros((height, width), np.bool_) if mask is None else check_mask(mask, height, width).copy()
        last = self._last
        if last is None or not np.array_equal(last[0], image):
            last = self._last = image.copy(), self._encoder.embed(image)
        return SamSession(self._decoder, last[1], mask)


class SamSession:
    """One image, its clicks, and the logits of the mask, which the decoder sees again with the next click."""

    def __init__(self, decoder: Decoder, embedding: NDArray[np.float32], mask: Mask) -> None:
        """mask: bool (H, W); may be empty."""
        self._decoder, self._embedding, self._mask = decoder, embedding, mask
        self._from_mask = bool(mask.any())
        self._logits = mask_to_logits(mask) if self._from_mask else None
        self._clicks: list[Click] = []

    @property
    def mask(self) -> Mask:
        """The mask now, bool (H, W)."""
        return self._mask

    def click(self, x: int, y: int, positive: bool) -> None:
        """Decodes again, with one more click. Raises ArgumentTypeError, ArgumentValueError, ModelError."""
        shape = self._mask.shape
        self._clicks.append(check_click(x, y, positive, *shape))
        logits, scores = self._decoder.decode(self._embedding, self._clicks, self._logits, shape)
        self._logits = logits[choose(scores, len(self._clicks) + self._from_mask)]
        self._mask = over_image(self._logits, *shape) > 0


class Encoder:
    """Image to embedding; the module tells which networks will do."""

    def __init__(self, path: Path, threads: int | None) -> None:
        """Reads and checks the file. Raises ModelNotFoundError, ModelError."""
        self._network = open_network(path, threads)
        self._path, inputs, outputs = path, self._network.get_inputs(), self._network.get_outputs()
        self._raw = all(fits(value, RAW) for value in inputs)
        known = self._raw or all(fits(value, NORMALISED) for value in inputs)
        if not known or len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(
                f"{str(path)!r} is no encoder of the SAM family that is known here: it has the inputs {told(inputs)} "
                f"and the outputs {told(outputs)}; expected one float32 input, {RAW} or {NORMALISED} (None: free), "
                "and one output"
            )
        self._input = inputs[0].name

    def embed(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The embedding (1, 256, 64, 64) of an RGB image, uint8 (H, W, 3). Raises ModelError."""
        feed = fit(image)
        if not self._raw:
            feed = np.ascontiguousarray(pad((feed - MEAN) / STD).transpose(2, 0, 1)[None])
        (embedding,) = run(self._network, self._path, None, {self._input: feed})
        if embedding.shape != EMBEDDING or embedding.dtype != np.float32:
            raise ModelError(
                f"{str(self._path)!r} made an embedding of {embedding.dtype}, shape {embedding.shape}; expected "
                f"float32 {EMBEDDING}, as of a SAM encoder"
            )
        return embedding


class Decoder:
    """Embedding and prompts to masks; the module tells which networks will do."""

    def __init__(self, path: Path, threads: int | None) -> None:
        """Reads and checks the file. Raises ModelNotFoundError, ModelError."""
        self._network = open_network(path, threads)
        self._path, inputs, outputs = path, self._network.get_inputs(), self._network.get_outputs()
        self._inputs = {value.name for value in inputs}
        complete = self._inputs | {"orig_im_size"} == DECODER.keys()
        if (
            not complete
            or not all(fits(value, DECODER[value.name]) for value in inputs)
            or not {SCORES, LOGITS} <= {value.name for value in outputs}
        ):
            raise ModelError(
                f"{str(path)!r} is no decoder of the SAM family that is known here: it has the inputs {told(inputs)} "
                f"and the outputs {told(outputs)}; expected the float32 inputs {DECODER} (None: free; the last may be "
                f"missing) and the outputs {SCORES} and {LOGITS}, as export_onnx_model.py of segment-anything writes"
            )

    def decode(
        self,
        embedding: NDArray[np.float32],
        clicks: Sequence[Click],
        logits: NDArray[np.float32] | None,
        shape: tuple[int, int],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (N, 256, 256) of one or more masks over the square, and the IoU (N,) that the network expects of them.

        embedding: float32 (1, 256, 64, 64). logits: those of the mask before, (256, 256), or None. shape: height and
        width of the image. Raises ModelError.
        """
        (height, width), (rows, columns) = shape, fitted_size(*shape)
        points = [(click.x * columns / width, click.y * rows / height) for click in clicks] + [(0, 0)]
        feeds = {
            "image_embeddings": embedding,
            "point_coords": np.array([points], np.float32),
            "point_labels": np.array([[click.positive for click in clicks] + [PADDING]], np.float32),
            "mask_input": np.zeros((1, 1, LOW, LOW), np.float32) if logits is None else logits[None, None],
            "has_mask_input": np.array([logits is not None], np.float32),
            "orig_im_size": np.array(shape, np.float32),
        }
        feeds = {name: feed for name, feed in feeds.items() if name in self._inputs}
        scores, masks = run(self._network, self._path, [SCORES, LOGITS], feeds)
        if scores.ndim != 2 or masks.shape != (1, scores.shape[1], LOW, LOW) or not scores.size:
            raise ModelError(
                f"{str(self._path)!r} made {SCORES} {scores.shape} and {LOGITS} {masks.shape}; expected (1, N) and "
                f"(1, N, {LOW}, {LOW})"
            )
        return masks[0], scores[0]


def choose(scores: NDArray[np.float32], prompts: int) -> int:
    """Which of the decoder's masks to take.

    Of four, the first is meant for several prompts, and the others (whole and parts) for one that is ambiguous: SAM's
    own rule. Of any other number, the one that the network thinks best. prompts: clicks, and a given mask.
    """
    if len(scores) == 4:
        return 0 if prompts > 1 else 1 + int(np.argmax(scores[1:]))
    return int(np.argmax(scores))


def fit(plane: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A plane (H, W) or (H, W, 3) with a long side of 1024, in the same units.

    SAM shrinks with Pillow's bilinear filter; OpenCV's means over areas come within 0.3 of 255 of it on average.
    """
    rows, columns = fitted_size(*plane.shape[:2])
    law = cv2.INTER_AREA if max(plane.shape[:2]) > SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=law), np.float32)


def pad(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The plane in the upper left corner of a square of zeros, (1024, 1024) or (1024, 1024, 3)."""
    square = np.zeros((SIDE, SIDE, *plane.shape[2:]), np.float32)
    square[: plane.shape[0], : plane.shape[1]] = plane
    return square


def mask_to_logits(mask: Mask) -> NDArray[np.float32]:
    """The logits (256, 256) that stand for a mask bool (H, W): SAM takes masks in no other form."""
    low = cv2.resize(pad(fit(mask.astype(np.uint8))), (LOW, LOW), interpolation=cv2.INTER_AREA)
    return CERTAIN * (2 * np.asarray(low, np.float32) - 1)


def open_network(path: Path, threads: int | None) -> Any:
    """An ONNX Runtime session, whatever its signature. Raises ModelNotFoundError, ModelError."""
    try:
        return start(path.read_bytes(), path, threads)
    except OSError as error:
        raise ModelNotFoundError(f"no network in {str(path)!r}: {error}") from error


def fits(value: Any, expected: Shape) -> bool:
    """Whether a network's input is float32 and takes this shape; a free size must be free there too."""
    return (
        value.type == "tensor(float)"
        and len(value.shape) == len(expected)
        and all(not isinstance(size, int) or size == wanted for size, wanted in zip(value.shape, expected))
    )


def told(values: Sequence[Any]) -> str:
    """Inputs or outputs of a network, in words."""
    return ", ".join(f"{value.name} {value.type} {value.shape}" for value in values) or "none"
