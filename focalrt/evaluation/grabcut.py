"""GrabCut, driven by the clicks (Rother et al., "GrabCut", SIGGRAPH 2004): what was there before networks.

A disk about each click is certain; every other pixel is probably what the mask now says and, before there is a mask, a
larger disk about each positive click is probably the object. OpenCV then alternates colour models and cut. New islands
that nobody clicked are dropped: colour alone finds the object's like all over the photo.

OpenCV would find its first colour models by k-means from a random generator that all of OpenCV shares, so that a mask
would depend on whatever ran before. They are found here instead, as Rother et al. did (Orchard and Bouman, "Color
Quantization of Images", 1991): no chance is left, and nothing outside the session is touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, inf
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checks import check_click, check_image, check_mask
from .robot import Aim
from .sample import Mask

LONG_SIDE = 400  # pixels; larger photos are cut at this size: a cut at 854 takes seconds and is no better
ROUNDS = 3  # of colour models and cut after each click, or until nothing changes
CERTAIN = 0.03  # radius of the disk about a click, in long sides; at most half way to a click of the other kind
PROBABLE = 0.15  # radius of the first guess about a positive click, in short sides
COMPONENTS = 5  # of a colour model
LEAST_VARIANCE = 0.01  # of a component's colours; OpenCV cannot invert the covariance of a flat colour

Trimap = NDArray[np.uint8]  # (rows, columns) of cv2.GC_BGD, GC_FGD, GC_PR_BGD, GC_PR_FGD; odd is object


class GrabCut:
    """A :class:`.methods.Method` without parameters."""

    def session(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> GrabCutSession:
        """A session on one image, from an earlier mask or from scratch."""
        return GrabCutSession(image, mask)


class GrabCutSession:
    """One image and its mask, both also at the size of the cut."""

    def __init__(self, image: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> None:
        """image: RGB, uint8 (H, W, 3). mask: bool (H, W), or None. Raises ArgumentTypeError, ArgumentValueError."""
        image = check_image(image)
        self._shape = height, width = image.shape[:2]
        scale = min(1.0, LONG_SIDE / max(height, width))
        self._size = max(1, round(width * scale)), max(1, round(height * scale))
        self._image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        self._mask = np.zeros((height, width), np.bool_) if mask is None else check_mask(mask, height, width).copy()
        self._small = cv2.resize(self._mask.astype(np.float32), self._size, interpolation=cv2.INTER_AREA) > 0.5
        self._clicks: list[Aim] = []

    @property
    def mask(self) -> Mask:
        """The mask now, bool (H, W)."""
        return self._mask

    def click(self, x: int, y: int, positive: bool) -> None:
        """Cuts again, with one more click. Raises ArgumentTypeError, ArgumentValueError."""
        height, width = self._shape
        columns, rows = self._size
        click = check_click(x, y, positive, height, width)
        at = (2 * click.column + 1) * columns // (2 * width), (2 * click.row + 1) * rows // (2 * height)
        self._clicks.append(Aim(*at, click.positive))
        found = cut(self._image, trimap(self._small, self._clicks))
        self._small = without_islands(found, self._small, self._clicks)
        self._mask = cv2.resize(self._small.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def trimap(mask: Mask, clicks: Sequence[Aim]) -> Trimap:
    """What is certain and what is probable, for a mask bool (rows, columns) and clicks at its pixels."""
    plane = np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    if not mask.any():
        for click in clicks:
            if click.positive:
                cv2.circle(plane, (click.x, click.y), round(PROBABLE * min(mask.shape)), cv2.GC_PR_FGD, cv2.FILLED)
        plane[[0, -1]] = plane[:, [0, -1]] = cv2.GC_PR_BGD
    for click in clicks:
        others = (hypot(click.x - other.x, click.y - other.y) for other in clicks if other.positive != click.positive)
        radius = min(CERTAIN * max(mask.shape), min(others, default=inf) / 2)
        value = cv2.GC_FGD if click.positive else cv2.GC_BGD
        cv2.circle(plane, (click.x, click.y), int(radius), value, cv2.FILLED)
    return plane


def cut(image: NDArray[np.uint8], plane: Trimap) -> Mask:
    """The object, bool (rows, columns), by alternating colour models and cut from a trimap, which is left alone.

    image: uint8 (rows, columns, 3). Without a pixel on either side there is nothing to model: the trimap's own object.
    """
    plane = plane.copy()
    found: Mask = plane % 2 == 1
    if found.any() and not found.all():
        background, foreground = colour_model(image[~found]), colour_model(image[found])
        for _ in range(ROUNDS):
            before = found
            cv2.grabCut(image, plane, (0, 0, 0, 0), background, foreground, 1, cv2.GC_EVAL)
            found = plane % 2 == 1
            if (found == before).all() or found.all() or not found.any():
                break
    return found


class Cluster(NamedTuple):
    """Colours (N, 3) that are alike: their mean, covariance, and the axis along which they vary most, and how much."""

    colours: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    axis: NDArray[np.float64]
    spread: float

    @classmethod
    def of(cls, colours: NDArray[np.float64]) -> Cluster:
        """Mean and covariance; the axis is its main eigenvector."""
        mean = colours.mean(axis=0)
        covariance = (colours - mean).T @ (colours - mean) / len(colours)
        spreads, axes = np.linalg.eigh(covariance)
        return cls(colours, mean, covariance, axes[:, -1], float(spreads[-1]))


def colour_model(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A mixture of Gaussians of one or more colours (N, 3): weights, means and covariances (1, 65), as for OpenCV.

    The cluster that is widest along its main axis is split at its mean, until there are five or all are flat.
    """
    clusters = [Cluster.of(colours.astype(np.float64))]
    while len(clusters) < COMPONENTS:
        clusters.sort(key=lambda cluster: cluster.spread)
        if clusters[-1].spread < LEAST_VARIANCE:
            break
        widest = clusters.pop()
        beyond = (widest.colours - widest.mean) @ widest.axis > 0
        clusters += [Cluster.of(widest.colours[beyond]), Cluster.of(widest.colours[~beyond])]
    model = np.zeros((COMPONENTS, 13))
    for row, cluster in zip(model, clusters):
        row[0] = len(cluster.colours) / len(colours)
        row[1:4] = cluster.mean
        row[4:] = (cluster.covariance + LEAST_VARIANCE * np.eye(3)).ravel()
    return np.concatenate([model[:, 0], model[:, 1:4].ravel(), model[:, 4:].ravel()])[None]


def without_islands(found: Mask, before: Mask, clicks: Sequence[Aim]) -> Mask:
    """The 8-connected components of a mask that hold a positive click or a pixel of the mask before."""
    count, labels = cv2.connectedComponents(found.view(np.uint8), connectivity=8)
    wanted = np.zeros(count, np.bool_)
    wanted[labels[before]] = True
    wanted[[labels[click.y, click.x] for click in clicks if click.positive]] = True
    wanted[0] = False
    kept: Mask = wanted[labels]
    return kept
