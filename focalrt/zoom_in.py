"""One click by RITM: one network looks at a crop about the object, and at what it said before.

Sofiiuk et al., "Reviving Iterative Training with Mask Guidance for Interactive Segmentation", 2021 (arXiv 2102.06583).
The released inference as its own tool begins ("zoom in", "fixed crop"): every crop, and the whole image, is stretched
to a square, which suits networks of static shapes. Where this differs on purpose:

- One pass. The released code averages the logits with those of the mirrored crop, at twice the price.
- A mask given by hand is a crop from the first click on; there, the first look is at the whole image.
- The crop holds every pixel of the mask and the last click, whatever its sign; nothing is lost outside it.
- Once the merge, an annotator or an undo made the mask other than what was predicted, the network sees the mask there.
- Boxes are half-open and rounded once, so a crop may be a pixel smaller.

What becomes of the prediction is the session's. Progressive Merge, which RITM has not, comes in from click 11 on, for a
mask given by hand from the first one on (``merge="auto"``); ``merge="never"`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import taps
from .geometry import Box, Click, expand
from .kernels.resample import sample_planes
from .networks import RitmNetwork
from .pipeline import EXPANSION, click_maps, crop, reached, sigmoid, spread
from .runs import Runs
from .stopwatch import Stopwatch
from .taps import Taps

LEAST_SIDE = 200  # pixels of a crop
KEPT = 0.5  # a crop stays while the one that would follow covers it so far
SMALLER = 4  # the network's logits are so many times smaller a side than its input


class Look(NamedTuple):
    """What the network says after a click.

    runs: the predicted mask. target: the box it looked at. small: float32 (S/4, S/4) logits over that box, as they come
    from the network; 40 KB for a side of 400, so a session keeps those of every click.
    """

    runs: Runs
    target: Box
    small: NDArray[np.float32]

    @property
    def focus(self) -> Box:
        """The target box: no second network looks closer."""
        return self.target

    @property
    def logits(self) -> NDArray[np.float32]:
        """Logits (S, S) over the target box."""
        return grown(self.small)

    @property
    def coarse(self) -> NDArray[np.float32]:
        """Probabilities (S, S) over the target box."""
        return sigmoid(self.logits)

    @property
    def kept(self) -> Look:
        """What the next click reads beside the mask: all of it."""
        return self

    def probability(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Of object, float32 of the image's shape: 0 outside the target box."""
        probability = np.zeros(shape, np.float32)
        probability[self.target.slices] = spread(self.coarse, self.target)
        return probability


def look(
    network: RitmNetwork,
    image: NDArray[np.uint8],
    mask: Runs,
    clicks: Sequence[Click],
    *,
    before: Look | None = None,
    view: Box | None = None,
    watch: Stopwatch | None = None,
) -> Look:
    """The prediction for the last of the clicks.

    image: read-only uint8 (H, W, 3), C-contiguous. mask: what the object was before this click. before: what the click
    before this one led to. view: stands for the whole image while the mask is empty.
    """
    watch = watch or Stopwatch()
    whole = view or Box(0, 0, image.shape[1], image.shape[0])
    target = crop_box(mask, clicks, whole, before, image.shape)
    watch.lap("target box")
    rows, columns = (taps.align_corners(length, network.side) for length in (target.height, target.width))
    maps = np.zeros((3, network.side, network.side), np.float32)
    previous(mask, before, target, rows, columns, maps[0])
    click_maps(clicks, target, network.side, network.radius, maps[1:])
    pixels = crop(image, target, rows, columns)
    watch.lap("target crop")
    small = network.segment(pixels, maps)
    watch.lap("segmentor")
    runs = Runs.from_logits(grown(small), network.threshold, target)
    watch.lap("coarse mask")
    return Look(runs, target, small)


def crop_box(
    mask: Runs, clicks: Sequence[Click], whole: Box, before: Look | None, shape: tuple[int, ...]
) -> Box:
    """``whole`` while the mask is empty; else about the mask, every positive click and the last one, 1.4 times as
    large, at least 200 pixels a side, inside the image. The box before stays while it holds all of those and the new
    one covers half of it.
    """
    box = reached(mask, clicks)
    if box is None:
        return whole
    fresh = expand(box, EXPANSION, LEAST_SIDE, Box(0, 0, shape[1], shape[0]))
    if before is not None and box.clip(before.target) == box and overlap(fresh, before.target) >= KEPT:
        return before.target
    return fresh


def overlap(a: Box, b: Box) -> float:
    """The product of what two boxes share of both along each axis, from 0 to 1."""
    both, either = a.clip(b), a.union(b)
    return both.width / either.width * (both.height / either.height)


def previous(
    mask: Runs, before: Look | None, target: Box, rows: Taps, columns: Taps, out: NDArray[np.float32]
) -> None:
    """The mask before the click as the network was trained to see it, added to ``out`` (S, S): its own probabilities,
    0 outside of the box that they were of. Pixels that are not as it predicted are 0 or 1, as the mask has them; where
    there is no prediction, that is every pixel.
    """
    unlike = mask if before is None else mask ^ before.runs
    (unlike & mask).sample(target, rows, columns, out)
    if before is None:
        return
    share = np.zeros_like(out)
    unlike.sample(target, rows, columns, share)
    soft = np.empty((1, *out.shape), np.float32)
    old = before.target
    down = through(rows, target.y0 - old.y0, old.height, SMALLER * len(before.small))
    across = through(columns, target.x0 - old.x0, old.width, SMALLER * len(before.small))
    sample_planes(before.coarse[None], *down, *across, soft)
    out += soft[0] * (1 - share)


def through(new: Taps, shift: int, pixels: int, side: int) -> Taps:
    """Taps of a new crop's pixels, as taps of the grid of that side that lies over the old crop's.

    shift: where the new crop begins in the old one. pixels: the old one's length; what lies beyond counts as 0, so rows
    of weights that reach there sum to less than 1.
    """
    grid = taps.align_corners(side, pixels)
    place = new.source.astype(np.int64) + shift
    inside = (place >= 0) & (place < pixels)
    place = np.clip(place, 0, pixels - 1)
    weight = grid.weight[place] * (new.weight * inside)[:, :, None]
    return Taps(grid.source[place].reshape(len(place), -1), weight.astype(np.float32).reshape(len(place), -1))


def grown(small: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (S/4, S/4) at the side of the network's input (S, S), as the released code enlarges them."""
    side = SMALLER * len(small)
    grow, out = taps.align_corners(len(small), side), np.empty((1, side, side), np.float32)
    sample_planes(small[None], *grow, *grow, out)
    return out.squeeze(0)
