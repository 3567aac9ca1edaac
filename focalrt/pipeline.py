"""One click: target box, Segmentor, coarse mask, focus box, Refiner (SPEC section 4, a function per step).

Each step is a function of values; none knows the session. The merge that follows is ``merge.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import taps
from .geometry import GRID, Box, Click, expand, pixel, square, to_grid
from .kernels.disks import draw_disks
from .kernels.resample import sample_image, sample_planes
from .networks import FocalClickNetworks
from .runs import Runs
from .stopwatch import Stopwatch
from .taps import Taps

EXPANSION = 1.4  # of the target box and of the focus box
LEAST_SIDE = 10  # pixels of a target box
NOTHING = 10  # a set of fewer pixels has no box of its own
LOCAL = 0.2  # half side of the focus box about a click that changed little, in sides of the coarse mask
LATE = 10  # from scratch, clicks after this many use the prediction inside the focus box only


class Prediction(NamedTuple):
    """What the networks say after a click.

    runs: the predicted mask P. target, focus: the boxes that the Segmentor and the Refiner saw. logits, refined:
    float32 (256, 256) over the target box and over the focus box.
    """

    runs: Runs
    target: Box
    focus: Box
    logits: NDArray[np.float32]
    refined: NDArray[np.float32]

    @property
    def coarse(self) -> NDArray[np.float32]:
        """Probabilities (256, 256) over the target box."""
        return sigmoid(self.logits)

    @property
    def kept(self) -> None:
        """What the next click reads beside the mask: nothing."""

    def probability(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Of object, float32 of the image's shape: refined in the focus box, coarse about it, 0 outside the target."""
        probability = np.zeros(shape, np.float32)
        probability[self.target.slices] = spread(self.coarse, self.target)
        probability[self.focus.slices] = sigmoid(spread(self.refined, self.focus))
        return probability


def predict(
    networks: FocalClickNetworks,
    image: NDArray[np.uint8],
    mask: Runs,
    clicks: Sequence[Click],
    *,
    view: Box | None = None,
    from_scratch: bool = True,
    watch: Stopwatch | None = None,
) -> Prediction:
    """SPEC section 4, steps 1 to 6, for the last of the clicks.

    image: read-only uint8 (H, W, 3), C-contiguous. mask: what the object was before this click. view: stands for the
    whole image while the mask is empty. from_scratch: no part of the mask was given by hand.
    """
    watch = watch or Stopwatch()
    target = target_box(mask, clicks, view or Box(0, 0, image.shape[1], image.shape[0]), image.shape)
    watch.lap("target box")
    crop, maps = segmentor_input(networks, image, mask, clicks, target)
    watch.lap("target crop")
    logits, context = networks.segment(crop, maps)
    watch.lap("segmentor")
    coarse = Runs.from_logits(logits, networks.threshold, target)
    watch.lap("coarse mask")
    focus = focus_box(coarse, mask, clicks[-1], target)
    watch.lap("focus box")
    inputs = refiner_input(networks, image, clicks, logits, context, target, focus)
    watch.lap("focus crop")
    refined = networks.refine(*inputs)
    watch.lap("refiner")
    keep = mask if from_scratch and len(clicks) > LATE else coarse
    inside = Runs.from_grid(refined, log(networks.threshold / (1 - networks.threshold)), focus)
    predicted = keep.paste(inside, focus)
    watch.lap("refined mask")
    return Prediction(predicted, target, focus, logits, refined)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of logits; exactly 0.5 at 0, and nothing overflows."""
    probabilities: NDArray[np.float32] = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * logits))
    return probabilities


def target_box(mask: Runs, clicks: Sequence[Click], whole: Box, shape: tuple[int, ...]) -> Box:
    """Step 1: where the Segmentor looks. ``whole`` while the mask is empty; else about the mask, every positive click
    and the last one, 1.4 times as large, at least 10 pixels a side, inside the image.

    The box holds all of the mask, so no part of it lies beyond the prediction.
    """
    box = reached(mask, clicks)
    return whole if box is None else expand(box, EXPANSION, LEAST_SIDE, Box(0, 0, shape[1], shape[0]))


def reached(mask: Runs, clicks: Sequence[Click]) -> Box | None:
    """The smallest box that holds the mask, every positive click and the last one; None while the mask is empty."""
    box = mask.box
    if box is None:
        return None
    for click in clicks:
        if click.positive or click is clicks[-1]:
            box = box.union(pixel(click.row, click.column))
    return box


def segmentor_input(
    networks: FocalClickNetworks, image: NDArray[np.uint8], mask: Runs, clicks: Sequence[Click], target: Box
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Step 2: the crop (3, S, S) in [0, 1] and the maps (previous mask, positive disks, negative disks), (3, S, S)."""
    side = networks.side
    law = taps.align_corners if side == GRID else taps.halved
    rows, columns = law(target.height, side), law(target.width, side)
    maps = np.zeros((3, side, side), np.float32)
    mask.sample(target, rows, columns, maps[0])
    click_maps(clicks, target, GRID, networks.radius, maps[1:])
    return crop(image, target, rows, columns), maps


def crop(image: NDArray[np.uint8], box: Box, rows: Taps, columns: Taps) -> NDArray[np.float32]:
    """A box of the image, float32 (3, rows, columns) in [0, 1]."""
    out = np.empty((3, len(rows.source), len(columns.source)), np.float32)
    sample_image(image.reshape(len(image), -1), box.y0, box.x0, *rows, *columns, out)
    return out


def click_maps(clicks: Sequence[Click], box: Box, grid: int, radius: float, maps: NDArray[np.float32]) -> None:
    """Draws positive and negative disks into two planes of 0, (2, side, side): those of a grid of so many points a side
    laid over the box, resampled where the side is another. radius: in points of the grid.
    """
    axis = taps.between_grids(grid, maps.shape[1])
    for plane, positive in zip(maps, (True, False), strict=True):
        points = [to_grid(click.x, click.y, box, grid) for click in clicks if click.positive == positive]
        if points:
            draw_disks(np.array(points, np.float64), radius, *axis, plane)


def focus_box(coarse: Runs, mask: Runs, click: Click, target: Box) -> Box:
    """Step 4: where the Refiner looks: about what the click changed, or about the click where that is little."""
    row, column = click.row, click.column
    extent = box_or(coarse, target)
    near = square(row, column, LOCAL * max(extent.height, extent.width))
    if not mask:
        return expand(extent, EXPANSION, 1, target)
    change = (coarse ^ mask).component(row, column)
    if not change:
        return expand(near, EXPANSION, 1, target)
    box = box_or(change, target)
    little = 3 * box.height < extent.height or 3 * box.width < extent.width
    return expand(near if little else box, EXPANSION, 1, target)


def box_or(runs: Runs, otherwise: Box) -> Box:
    """The box of a set of pixels; ``otherwise`` for fewer than 10, which count as nothing."""
    box = runs.box
    return otherwise if box is None or runs.area < NOTHING else box


def refiner_input(
    networks: FocalClickNetworks,
    image: NDArray[np.uint8],
    clicks: Sequence[Click],
    logits: NDArray[np.float32],
    context: NDArray[np.float32],
    target: Box,
    focus: Box,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Step 5's input: the focus crop (3, 256, 256) in [0, 1], its disks (2, 256, 256), and the Segmentor's context
    (32, S/4, S/4) and logits (256, 256), both RoIAligned to the focus box (SPEC section 3).
    """
    rows, columns = taps.align_corners(focus.height, GRID), taps.align_corners(focus.width, GRID)
    disks = np.zeros((2, GRID, GRID), np.float32)
    click_maps(clicks, focus, GRID, networks.refiner_radius, disks)
    aligned = roi_align(context, target, focus), roi_align(logits[None], target, focus)[0]
    return crop(image, focus, rows, columns), disks, *aligned


def roi_align(planes: NDArray[np.float32], target: Box, focus: Box) -> NDArray[np.float32]:
    """RoIAlign of the focus box on square planes (C, side, side) laid over the target box; same shape."""
    side = planes.shape[1]
    down, across = side / target.height, side / target.width
    rows = taps.roi_align((focus.y0 - target.y0) * down, (focus.y1 - target.y0) * down, side, side)
    columns = taps.roi_align((focus.x0 - target.x0) * across, (focus.x1 - target.x0) * across, side, side)
    out = np.empty_like(planes)
    sample_planes(planes, *rows, *columns, out)
    return out


def spread(grid: NDArray[np.float32], box: Box) -> NDArray[np.float32]:
    """A grid read bilinearly (align_corners) at every pixel of a box: float32 (height, width)."""
    rows, columns = taps.align_corners(len(grid), box.height), taps.align_corners(len(grid), box.width)
    plane = np.empty((1, box.height, box.width), np.float32)
    sample_planes(grid[None], *rows, *columns, plane)
    return plane.squeeze(0)
