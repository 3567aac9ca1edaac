"""The released code's way from clicks to masks, slips included, so that a published checkpoint gives its published row.

What ClickSEG (Chen et al., FocalClick, CVPR 2022) runs at every click, from REFERENCE section 4, on dense arrays;
numbers in brackets are its sections. ``Slip`` marks what the paper does not say or says otherwise;
:mod:`focalrt.pipeline` and :mod:`focalrt.merge` do without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checks import check_click, check_image, check_mask, check_number, told
from ..errors import ArgumentValueError
from ..geometry import GRID, Box, Click
from ..networks import FocalClickNetworks
from .sample import Mask

Plane = NDArray[np.float32]  # one, (H, W), or several, (..., H, W)

BOX_THRESHOLD = 0.49  # both boxes are drawn with it, whatever the mask's threshold is (4)
EXPANSION = 1.4  # of the target crop and of the focus crop
LEAST_SIDE = 10  # pixels of a target crop
NOTHING = 10  # a set of fewer pixels has no box of its own
LOCAL = 0.2  # half side of the focus crop about a click that changed little, in extents of the coarse mask
LATE = 10  # later clicks change the focus crop only


class Point(NamedTuple):
    """A click on the 256 x 256 grid: row and column, fractional and maybe outside it, and the click's sign."""

    row: float
    column: float
    positive: bool


class Edges(NamedTuple):
    """Where a rectangle begins and ends; not always at whole numbers."""

    top: float
    bottom: float
    left: float
    right: float


class Coarse(NamedTuple):
    """The Segmentor's answer: logits, float32 (256, 256), and what it hands on to the Refiner."""

    logits: Plane
    context: Plane


class Answers(Protocol):
    """What the loop asks of the networks: as the released ones, they take clicks as points."""

    def segment(self, image: Plane, previous: Plane, points: Sequence[Point]) -> Coarse:
        """The Segmentor, on the target crop.

        image: RGB in [0, 1], float32 (3, 256, 256). previous: probabilities, float32 (256, 256).
        """

    def refine(self, image: Plane, points: Sequence[Point], coarse: Coarse, region: Edges) -> Plane:
        """The Refiner, on the focus crop: logits, float32 (256, 256).

        image: RGB in [0, 1], float32 (3, 256, 256). region: the focus crop on the grid of the target crop, in [0, 256].
        """


class Published:
    """A method that does, click by click, what the released code did; for its published numbers, not for work."""

    def __init__(self, networks: FocalClickNetworks, threshold: float = 0.5) -> None:
        """networks: with the published parameters. threshold: probability above which a pixel is object.

        The published rows have 0.5, the command line of the release defaults to 0.49. Raises ArgumentTypeError,
        ArgumentValueError where it is no number between 0 and 1.
        """
        if not 0 < check_number(threshold, "threshold") < 1:
            raise ArgumentValueError(f"threshold: expected a number between 0 and 1, as 0.5; got {told(threshold)}")
        self._answers, self._threshold = ByPoints(networks), float(threshold)

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> PublishedSession:
        """A session on one image, from an earlier mask or from scratch."""
        return PublishedSession(self._answers, image, mask, self._threshold)


class Step(NamedTuple):
    """What the released code knows after a click.

    target: where the coarse prediction was put. focus: where the Refiner looked. probabilities: float32 (H, W), before
    any merge.
    """

    target: Box
    focus: Box
    probabilities: Plane


class PublishedSession:
    """One image and its clicks. With a mask to begin from, every click is merged; from scratch none is."""

    def __init__(
        self,
        answers: Answers,
        image: NDArray[np.uint8],
        mask: NDArray[np.bool_] | None = None,
        threshold: float = 0.5,
    ) -> None:
        """image: RGB, uint8 (H, W, 3). mask: bool (H, W), or None. Raises ArgumentTypeError, ArgumentValueError."""
        checked = check_image(image)
        height, width, _ = checked.shape
        self._answers, self._threshold, self._merges = answers, np.float32(threshold), mask is not None
        self._image = np.ascontiguousarray(checked.transpose(2, 0, 1), dtype=np.float32) / np.float32(255)
        self._whole = Box(0, 0, width, height)
        self._mask = np.zeros((height, width), np.bool_) if mask is None else check_mask(mask, height, width).copy()
        self._previous = self._mask.astype(np.float32)
        # Slip (4.1, 4.7): a mask to begin from does not count here, so the first click always sees the whole image.
        self._seen = np.zeros((height, width), np.bool_)
        self._target = self._whole
        self._clicks: list[Click] = []

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask now, bool (H, W)."""
        return self._mask

    def click(self, x: int, y: int, positive: bool = True) -> Step:
        """The steps 4.1 to 4.6 for a click at a pixel.

        Where the focus crop has nothing in common with the target crop, the release stops with an error; here the
        Refiner looks at the target crop, so that an evaluation can go on. Raises ArgumentTypeError, ArgumentValueError.
        """
        click = check_click(x, y, positive, self._whole.height, self._whole.width)
        self._clicks.append(click)
        crop = target_crop(self._seen, self._clicks)
        # Slip (4.1): once the mask is empty the network sees the whole image, and its answer is squeezed into the crop
        # of an earlier click.
        self._target = target = self._target if crop is None else crop
        coarse = coarse_pass(self._answers, self._image, self._previous, self._clicks, crop or self._whole)
        logits = pasted(coarse.logits, target, self._whole)
        focus = focus_crop(logits, self._previous, click, target)
        refined = refiner_pass(self._answers, self._image, self._clicks, coarse, target, focus)
        self._previous = composition(logits, refined, self._previous, focus, len(self._clicks))
        predicted: Mask = self._previous > self._threshold
        if self._merges:
            # Slip (4.6): the merged mask decides on the next target crop; what the networks see as the previous mask
            # stays unmerged.
            self._mask = merge(predicted, self._mask, click)
            self._seen = self._mask
        else:
            self._mask, self._seen = predicted, self._previous > np.float32(BOX_THRESHOLD)
        return Step(target, focus, self._previous)


# ------------------------------------------------------------ 4.1 to 4.6


def target_crop(seen: Mask, clicks: Iterable[Click]) -> Box | None:
    """4.1: the box about the mask and the clicks on the object, 1.4 times as large, inside the image; None for no mask.

    Slip: the paper takes the new click; here all positive clicks count, and a negative one never does.
    """
    if not seen.any():
        return None
    marked = seen.copy()
    for click in clicks:
        if click.positive:
            marked[click.row, click.column] = True
    top, bottom, left, right = ends(marked)
    (y0, y1), (x0, x1) = grown(top, bottom, seen.shape[0]), grown(left, right, seen.shape[1])
    return Box(x0, y0, x1, y1)


def grown(first: float, last: float, size: int) -> tuple[int, int]:
    """Half-open ends, in [0, size], of 1.4 times the pixels first to last, at least 10, rounded with halves to even."""
    centre, length = (first + last) / 2, max(EXPANSION * (last - first + 1), LEAST_SIDE)
    return max(0, round(centre - length / 2)), min(size - 1, round(centre + length / 2)) + 1


def coarse_pass(answers: Answers, image: Plane, previous: Plane, clicks: Iterable[Click], crop: Box) -> Coarse:
    """4.2: the Segmentor on a crop of the image, float32 (3, H, W), and of the previous probabilities, (H, W)."""
    shown, before = (resize(cut(planes, crop), GRID, GRID) for planes in (image, previous))
    return answers.segment(shown, before, on_grid(clicks, crop))


def pasted(logits: Plane, target: Box, whole: Box) -> Plane:
    """4.2: coarse logits of the grid, resized as probabilities, in the place of the target crop: float32 (H, W).

    Slip (4.5): nothing is known outside the crop, so the logits are -inf there and an earlier mask is erased.
    """
    probabilities = np.zeros((whole.height, whole.width), np.float32)
    probabilities[target.slices] = resize(sigmoid(logits), target.height, target.width)
    return logit(probabilities)


def focus_crop(logits: Plane, previous: Plane, click: Click, target: Box) -> Box:
    """4.3: the box about what the click changed, or about the click where that is little; 1.4 times as large.

    logits: coarse, (H, W). previous: probabilities, (H, W). Slip: the threshold of probabilities, 0.49, is compared
    with the coarse logits, so the coarse mask is what exceeds 0.62.
    """
    coarse, before = logits > np.float32(BOX_THRESHOLD), previous > np.float32(BOX_THRESHOLD)
    box = extent = ends_or_whole(coarse)
    if before.any():
        box = ends_or_whole(part_at(click, coarse ^ before))
        height, width = extent.bottom - extent.top, extent.right - extent.left
        if box.bottom - box.top < height / 3 or box.right - box.left < width / 3:
            reach = LOCAL * max(height, width)
            box = Edges(click.row - reach, click.row + reach, click.column - reach, click.column + reach)
    focus = expanded(box, *logits.shape).clip(target)
    return focus if focus.width and focus.height else target


def ends(pixels: Mask) -> Edges:
    """First and last row and column of at least one pixel; both inclusive, so a side is one pixel short."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return Edges(int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1]))


def ends_or_whole(pixels: Mask) -> Edges:
    """The ends of the pixels; of the image, and then exclusive, where there are fewer than 10 (4.3)."""
    height, width = pixels.shape
    return ends(pixels) if np.count_nonzero(pixels) >= NOTHING else Edges(0, height, 0, width)


def expanded(box: Edges, height: int, width: int) -> Box:
    """4.3: 1.4 times a box of inclusive ends, cut off towards zero and clipped to the image."""
    y, x = (box.top + box.bottom) / 2, (box.left + box.right) / 2
    down, across = EXPANSION * (box.bottom - box.top + 1), EXPANSION * (box.right - box.left + 1)
    edges = Box(int(x - across / 2), int(y - down / 2), int(x + across / 2), int(y + down / 2))
    return edges.clip(Box(0, 0, width, height))


def part_at(click: Click, changed: Mask) -> Mask:
    """The 8-connected part of the changed pixels that holds the click.

    Slip (4.3, 4.6): for a click on an unchanged pixel it is all unchanged pixels, which share the label 0.
    """
    labels = cv2.connectedComponents(changed.view(np.uint8), connectivity=8)[1]
    part: Mask = labels == labels[click.row, click.column]
    return part


def refiner_pass(
    answers: Answers, image: Plane, clicks: Iterable[Click], coarse: Coarse, target: Box, focus: Box
) -> Plane:
    """4.4: the Refiner's logits over the focus crop, float32 (height, width of the crop)."""
    down, across = GRID / target.height, GRID / target.width
    region = Edges(
        (focus.y0 - target.y0) * down,
        (focus.y1 - target.y0) * down,
        (focus.x0 - target.x0) * across,
        (focus.x1 - target.x0) * across,
    )
    shown = resize(cut(image, focus), GRID, GRID)
    refined = answers.refine(shown, on_grid(clicks, focus), coarse, region)
    return resize(refined, focus.height, focus.width)


def composition(logits: Plane, refined: Plane, previous: Plane, focus: Box, count: int) -> Plane:
    """4.5: the new probabilities (H, W): the refined logits inside the focus crop; outside it the coarse logits, or the
    previous probabilities once there are more than 10 clicks.

    Slip: that is all there is to the paper's "progressive" mode from scratch; nothing is merged by components.
    """
    base = logits.copy() if count <= LATE else logit(previous)
    base[focus.slices] = refined
    return sigmoid(base)


def merge(predicted: Mask, mask: Mask, click: Click) -> Mask:
    """4.6: the new mask, bool (H, W), of the changed part that holds the click.

    Slips: on a click whose pixel did not change, the unchanged pixels are the part, so that one on the background
    floods it and one on the object deletes it; and all of the part takes the sign of the change at the click.
    """
    part = part_at(click, predicted ^ mask)
    merged: Mask = mask & ~part if mask[click.row, click.column] else mask | part
    return merged


# ------------------------------------------------------------ the networks, asked by points


class ByPoints:
    """A model's networks as :class:`Answers`: draws the points, halves the input for S1, crops by RoIAlign."""

    def __init__(self, networks: FocalClickNetworks) -> None:
        """networks: loaded ones."""
        self._networks = networks

    def segment(self, image: Plane, previous: Plane, points: Sequence[Point]) -> Coarse:
        """As :meth:`Answers.segment`. Everything is made at 256 and resized to the side of the network."""
        side = self._networks.side
        maps = np.concatenate([previous[None], disks(points, self._networks.radius)])
        return Coarse(*self._networks.segment(resize(image, side, side), resize(maps, side, side)))

    def refine(self, image: Plane, points: Sequence[Point], coarse: Coarse, region: Edges) -> Plane:
        """As :meth:`Answers.refine`. Slip (0): the image is not normalised by mean and deviation, here nor there."""
        context, logits = roi_align(coarse.context, region), roi_align(coarse.logits, region)
        return self._networks.refine(image, disks(points, self._networks.refiner_radius), context, logits)


def on_grid(clicks: Iterable[Click], crop: Box) -> list[Point]:
    """The clicks on the grid laid over a crop, those beside it too.

    Slip (0): one that lies above and to the left of the crop is taken for padding and dropped, however near it is.
    Slip (4.2): the map is not the align-corners one of the pixels.
    """
    down, across = GRID / crop.height, GRID / crop.width
    points = [Point((c.row - crop.y0) * down, (c.column - crop.x0) * across, c.positive) for c in clicks]
    return [point for point in points if point.row >= 0 or point.column >= 0]


def disks(points: Iterable[Point], radius: float) -> Plane:
    """Positive and negative disks (2, 256, 256): 1 where the distance to a click is at most the radius, else 0."""
    maps = np.zeros((2, GRID, GRID), np.float32)
    places = np.arange(GRID, dtype=np.float64)
    for point in points:
        down, across = ((places - at).astype(np.float32) for at in (point.row, point.column))
        near = np.square(down)[:, None] + np.square(across) <= np.float32(radius**2)
        maps[0 if point.positive else 1][near] = 1
    return maps


# ------------------------------------------------------------ dense arithmetic, all of it in float32, as released


def sigmoid(logits: Plane) -> Plane:
    """Probabilities of logits; infinite ones give 0 and 1."""
    with np.errstate(over="ignore"):
        probabilities: Plane = np.reciprocal(1 + np.exp(-logits))
    return probabilities


def logit(probabilities: Plane) -> Plane:
    """Logits of probabilities; infinite ones of 0 and 1."""
    with np.errstate(divide="ignore"):
        logits: Plane = np.log(probabilities / (1 - probabilities))
    return logits


def cut(planes: Plane, crop: Box) -> Plane:
    """The crop of planes (..., H, W)."""
    return planes[..., crop.y0 : crop.y1, crop.x0 : crop.x1]


def resize(planes: Plane, height: int, width: int) -> Plane:
    """Planes (..., H, W) to (..., height, width): bilinear, align_corners, no smoothing."""
    return read(planes, spaced(planes.shape[-2], height), spaced(planes.shape[-1], width))


def spaced(inputs: int, outputs: int) -> Plane:
    """The coordinates that the outputs read: first onto first, last onto last."""
    step = np.float32(inputs - 1) / np.float32(max(outputs - 1, 1))
    places: Plane = step * np.arange(outputs, dtype=np.float32)
    return places


def roi_align(planes: Plane, region: Edges) -> Plane:
    """RoIAlign (aligned) of square planes (..., S, S) to the same size.

    region: on the 256 grid, inside it; so no bin is larger than a pixel, and each is one sample at its middle.
    """
    side = planes.shape[-1]
    rows, columns = (
        binned(start * side / GRID, end * side / GRID, side)
        for start, end in ((region.top, region.bottom), (region.left, region.right))
    )
    return read(planes, rows, columns)


def binned(start: float, end: float, outputs: int) -> Plane:
    """The coordinates of the middles of equal bins from start to end; pixel edges, not middles, are whole there."""
    size = np.float32((end - start) / outputs)
    places: Plane = np.float32(start - 0.5) + (np.arange(outputs, dtype=np.float32) + np.float32(0.5)) * size
    return places


def read(planes: Plane, rows: Plane, columns: Plane) -> Plane:
    """Bilinear samples (..., rows, columns) of planes (..., H, W); beyond the edge, the edge."""
    left, right, across = neighbours(columns, planes.shape[-1])
    planes = (1 - across) * planes[..., left] + across * planes[..., right]
    above, below, down = neighbours(rows, planes.shape[-2])
    return (1 - down)[:, None] * planes[..., above, :] + down[:, None] * planes[..., below, :]


def neighbours(places: Plane, inputs: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Plane]:
    """The input before each place, the one after it, and the share of the latter."""
    inside = places.clip(0, inputs - 1)
    low = inside.astype(np.intp)
    return low, np.minimum(low + 1, inputs - 1), inside - low.astype(np.float32)
