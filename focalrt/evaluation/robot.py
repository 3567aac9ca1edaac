"""Who clicks: the robot user of the field's protocol, and a seeded one that errs like a person (SPEC section 6)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from .sample import Mask, Truth

DEEP = 0.5  # a person's click lies where the depth is more than this share of the largest
JITTER = 0.005  # standard deviation of a person's hand, in diagonals of the image
ELSEWHERE = 0.1  # how often a person goes for the second-largest error
AIMS = 8  # attempts of a hand to stay on the right side of the object's rim


class Aim(NamedTuple):
    """A click at a pixel: column, row, and whether it says "object"."""

    x: int
    y: int
    positive: bool


def depth(error: Mask) -> NDArray[np.float32]:
    """Euclidean distance of every pixel of an error to the nearest pixel outside it; beyond the image is outside.

    error: bool (H, W). Returns float32 (H, W), 0 where there is no error; exact but for the rounding of the root.
    """
    padded = cv2.copyMakeBorder(error.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return distance.astype(np.float32, copy=False)


def errors(mask: Mask, truth: Truth) -> tuple[Mask, Mask]:
    """False negatives and false positives, bool (H, W) each; ignored pixels are in neither."""
    return (truth == 1) & ~mask, (truth == 0) & mask


class Robot:
    """Clicks the deepest pixel of the larger error.

    Positive only where the deepest false negative lies strictly deeper than the deepest false positive; the first
    such pixel in reading order; never a pixel that was clicked before.
    """

    def aim(self, mask: Mask, truth: Truth, clicked: Collection[Aim]) -> Aim | None:
        """The next click, for a mask bool (H, W); None where no pixel is wrong but those clicked before."""
        depths = [depth(error) for error in errors(mask, truth)]
        for click in clicked:
            for plane in depths:
                plane[click.y, click.x] = 0
        missed, added = (float(plane.max()) for plane in depths)
        if missed == added == 0:
            return None
        positive = missed > added
        row, column = np.unravel_index(np.argmax(depths[0 if positive else 1]), truth.shape)
        return Aim(int(column), int(row), positive)


class Person:
    """Clicks somewhere in the deeper half of an error, with a trembling hand, and not always in the worst one.

    A robot that always finds the centre flatters every method (RClicks, arXiv 2410.11722). Every click is drawn from a
    generator seeded by ``seed`` and the sample's name, so a run can be repeated.
    """

    def __init__(self, seed: int, sample: str) -> None:
        """seed: 0 or more. sample: the name of what is clicked."""
        self._random = np.random.default_rng([seed, crc32(sample.encode())])

    def aim(self, mask: Mask, truth: Truth, clicked: Collection[Aim]) -> Aim | None:
        """The next click, for a mask bool (H, W); None where no pixel is wrong but those clicked before."""
        parts = worst_parts(mask, truth, clicked)
        if not parts:
            return None
        second = len(parts) > 1 and self._random.random() < ELSEWHERE
        positive, depths = parts[1 if second else 0]
        rows, columns = np.nonzero(depths > DEEP * depths.max())
        at = int(self._random.integers(len(rows)))
        column, row = self._tremble(int(columns[at]), int(rows[at]), truth)
        return Aim(column, row, positive)

    def _tremble(self, x: int, y: int, truth: Truth) -> tuple[int, int]:
        """A pixel near (x, y) of the same truth; (x, y) itself where a few attempts find none."""
        height, width = truth.shape
        spread = JITTER * float(np.hypot(height, width))
        for dx, dy in np.rint(self._random.normal(0, spread, (AIMS, 2))).astype(int).tolist():
            if 0 <= x + dx < width and 0 <= y + dy < height and truth[y + dy, x + dx] == truth[y, x]:
                return x + dx, y + dy
        return x, y


def worst_parts(mask: Mask, truth: Truth, clicked: Collection[Aim]) -> list[tuple[bool, NDArray[np.float32]]]:
    """The two connected errors that reach deepest, deepest first: whether it is missed object, and depths (H, W)."""
    parts: list[tuple[float, bool, NDArray[np.float32]]] = []
    for positive, error in zip((True, False), errors(mask, truth), strict=True):
        depths = depth(error)
        for click in clicked:
            depths[click.y, click.x] = 0
        count, labels = cv2.connectedComponents(error.view(np.uint8), connectivity=8)
        deepest = np.zeros(count, np.float32)
        np.maximum.at(deepest, labels.astype(np.int32, copy=False).ravel(), depths.ravel())
        for label in np.argsort(-deepest, kind="stable")[:2]:
            if deepest[label] > 0:
                parts.append((float(deepest[label]), positive, np.where(labels == label, depths, np.float32(0))))
    parts.sort(key=lambda part: (-part[0], part[1]))
    return [(positive, depths) for _, positive, depths in parts[:2]]
