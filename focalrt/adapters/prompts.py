"""What prompts a model elsewhere, an image, points and a box, as what a session takes.

Of SAM and the tools about it, which place pixel centres at integers as focalrt does; :mod:`.page` is for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nextafter
from typing import Any

import numpy as np

from .. import checks
from ..errors import ArgumentValueError
from ..geometry import Box, Click
from .page import begin_with_box
from .photos import Photo


def check_photo(image: Any, last: Photo | None = None) -> Photo:
    """A photo of an image, uint8 (H, W, 3), RGB: the last one with its sessions where it is the same, else of a copy.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    pixels = checks.check_image(image)
    return last if last is not None and np.array_equal(pixels, last.image) else Photo(checks.check_image(pixels.copy()))


def check_point(x: Any, y: Any, positive: bool, height: int, width: int) -> Click:
    """The click at a point, pixel centres at integers.

    Canvases end at x = width, half a pixel beyond the last pixel: what lies there is taken for that pixel's edge.
    Raises ArgumentTypeError, ArgumentValueError.
    """
    x, y = checks.check_number(x, "x"), checks.check_number(y, "y")
    return checks.check_click(within(x, width), within(y, height), positive, height, width)


def within(place: float, size: int) -> float:
    """The place, or the last pixel's edge for one less than half a pixel beyond it."""
    return nextafter(size - 0.5, -inf) if size - 0.5 <= place <= size else place


def check_corners(corners: Sequence[Any], height: int, width: int, argument: str = "box") -> Box:
    """The pixels of the image inside a box.

    corners: x0, y0, x1, y1 of its corner pixels, pixel centres at integers, rounded; they may lie off the image, as
    people draw them. Raises ArgumentTypeError, ArgumentValueError.
    """
    edges = [checks.check_number(corner, argument) for corner in corners]
    x0, y0, x1, y1 = np.clip(np.round(edges), -1, max(height, width)).astype(int).tolist()
    box = Box(x0, y0, x1 + 1, y1 + 1).clip(Box(0, 0, width, height))
    if box.width <= 0 or box.height <= 0:
        raise ArgumentValueError(
            f"{argument}: expected x0 <= x1 and y0 <= y1, partly on the {width} x {height} image; got {edges}"
        )
    return box


def begin(clicks: Sequence[Click], box: Box | None, height: int, width: int) -> tuple[list[Click], Box | None]:
    """The clicks to make, and the view of the first: what :func:`.begin_with_box` has in place of a box.

    The click in the middle of the box comes first where no other lies on the object; the view is None where it would
    not hold the first click. Raises ArgumentValueError where there is nothing to click.
    """
    if box is None:
        if not clicks:
            raise ArgumentValueError("points: expected at least one, or a box; FocalClick begins with a click")
        return list(clicks), None
    middle, view = begin_with_box(box, height, width)
    if not any(click.positive for click in clicks):
        clicks = [middle, *clicks]
    return list(clicks), view if view.holds(clicks[0].row, clicks[0].column) else None
