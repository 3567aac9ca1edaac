"""What callers may hand in, checked at once: every message names the argument, what came and what is accepted."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import inf, isfinite
from numbers import Integral, Real
from reprlib import Repr
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentTypeError, ArgumentValueError
from .geometry import Box, Click

SHOWN = 60  # characters of a value in an error
MOST_BITS = 1000  # of an integer that is shown: Python does not write very long ones
FARTHEST = 2**31 - 1  # row or column of a pixel, either way
LARGEST_GRID = 2**15  # sides of a plane whose cells are counted in 16 bits


class Brief(Repr):
    """The beginning of what ``repr`` gives, without the time that all of a large value takes."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxtuple = self.maxlist = self.maxset = self.maxfrozenset = self.maxdeque = self.maxdict = 12
        self.maxstring = self.maxlong = self.maxother = 2 * SHOWN  # cut in the middle, behind all that is shown

    def repr_bytes(self, value: bytes, level: int) -> str:
        """Bytes, as many as a string would have characters."""
        return repr(value[: self.maxstring])

    def repr_int(self, value: int, level: int) -> str:
        """An integer, or how long it is."""
        bits = value.bit_length()
        return super().repr_int(value, level) if bits <= MOST_BITS else f"of {bits} bits"


BRIEF = Brief()


def told(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    text = BRIEF.repr(value)
    return f"{type(value).__name__} {text if len(text) <= SHOWN else text[: SHOWN - 3] + '...'}"


def check_path(value: Any, argument: str, expected: str) -> None:
    """Raises ArgumentTypeError for what is no text and no path. expected: what it should name, in words."""
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentTypeError(f"{argument}: expected {expected}, a string or Path; got {told(value)}")


def check_image(image: Any) -> NDArray[np.uint8]:
    """A read-only, C-contiguous view of an RGB image, uint8 (H, W, 3); a copy only where it is not contiguous."""
    if not isinstance(image, np.ndarray):
        raise ArgumentTypeError(f"image: expected a NumPy array, uint8 (H, W, 3), RGB; got {told(image)}")
    hint = ""
    if image.ndim == 2:
        hint = "; for a grey image pass np.dstack([image] * 3)"
    elif image.ndim == 3 and image.shape[2] == 4:
        hint = "; drop the alpha channel with image[..., :3]"
    elif image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint16:
        hint = "; scale 16-bit values with (image // 257).astype(np.uint8)"
    elif image.ndim == 3 and image.shape[2] == 3 and image.dtype.kind == "f":
        hint = "; scale values in [0, 1] with (image * 255).round().astype(np.uint8)"
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        kind = ArgumentValueError if image.dtype == np.uint8 else ArgumentTypeError
        raise kind(f"image: expected uint8 (H, W, 3), RGB, at least one pixel; got {told(image)}{hint}")
    view: NDArray[np.uint8] = np.ascontiguousarray(image).view()
    view.flags.writeable = False
    return view


def check_mask(mask: Any, height: int, width: int, argument: str = "mask") -> NDArray[np.bool_]:
    """A bool array of that size; uint8 with the values 0 and 1, or 0 and 255, is taken too."""
    if not isinstance(mask, np.ndarray):
        raise ArgumentTypeError(f"{argument}: expected a NumPy array, bool ({height}, {width}); got {told(mask)}")
    if mask.shape != (height, width):
        raise ArgumentValueError(f"{argument}: expected the shape ({height}, {width}); got {told(mask)}")
    if mask.dtype == np.bool_:
        return mask
    if mask.dtype == np.uint8:
        top = mask.max(initial=0)
        object_pixels: NDArray[np.bool_] = mask == top if top else np.zeros_like(mask, np.bool_)
        if top in (0, 1, 255) and not mask[~object_pixels].any():
            return object_pixels
        raise ArgumentValueError(f"{argument}: uint8 masks hold 0 and 1, or 0 and 255; compare others, as in ids == 3")
    raise ArgumentTypeError(f"{argument}: expected bool, or uint8 with 0 and 1 or 0 and 255; got {told(mask)}")


def check_plane(mask: Any) -> NDArray[np.bool_]:
    """A bool array (H, W) of any size, of no pixels too; uint8 as for :func:`check_mask`."""
    if not isinstance(mask, np.ndarray):
        raise ArgumentTypeError(f"mask: expected a NumPy array, bool (H, W); got {told(mask)}")
    if mask.ndim != 2:
        raise ArgumentValueError(f"mask: expected bool (H, W); got {told(mask)}")
    return check_mask(mask, *mask.shape)


def check_grid(grid: Any) -> NDArray[np.float32]:
    """A square plane of at least 2 x 2 numbers, and no more a side than a cell's column can tell."""
    if not isinstance(grid, np.ndarray) or grid.dtype != np.float32:
        raise ArgumentTypeError(f"grid: expected float32 (L, L); got {told(grid)}")
    if grid.ndim != 2 or grid.shape[0] != grid.shape[1] or not 2 <= len(grid) <= LARGEST_GRID:
        raise ArgumentValueError(f"grid: expected float32 (L, L), L from 2 to {LARGEST_GRID}; got {told(grid)}")
    return grid


def check_place(value: Any, argument: str) -> int:
    """A row or a column, inside an image or not: an integer of 32 bits."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise ArgumentTypeError(f"{argument}: expected an integer; got {told(value)}")
    place = int(value)
    if not -FARTHEST <= place <= FARTHEST:
        raise ArgumentValueError(f"{argument}: expected an integer of 32 bits; got {told(place)}")
    return place


def check_number(value: Any, argument: str) -> float:
    """A finite real number; bool is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise ArgumentTypeError(f"{argument}: expected a number; got {told(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise ArgumentValueError(f"{argument}: expected a finite number; got {told(value)}")
    return number


def check_threshold(threshold: Any) -> float:
    """A probability between 0 and 1."""
    number = check_number(threshold, "threshold")
    if not 0 < number < 1:
        raise ArgumentValueError(f"threshold: expected a number between 0 and 1, as 0.5; got {number:g}")
    return number


def check_click(x: Any, y: Any, positive: Any, height: int, width: int) -> Click:
    """A click on the image: the middle of the first pixel is (0, 0), so x lies in [-0.5, width - 0.5)."""
    if not isinstance(positive, (bool, np.bool_)) and not (isinstance(positive, Real) and positive in (0, 1)):
        raise ArgumentTypeError(f"positive: expected True (on the object) or False (off it); got {told(positive)}")
    click = Click(check_number(x, "x"), check_number(y, "y"), bool(positive))
    for name, value, size in (("x", click.x, width), ("y", click.y, height)):
        if not -0.5 <= value < size - 0.5:
            raise ArgumentValueError(
                f"{name}: expected a place on the {width} x {height} image, -0.5 <= {name} < {size - 0.5}; "
                f"got {value:g}"
            )
    return click


def check_clicks(clicks: Any, height: int, width: int) -> list[Click]:
    """At least one (x, y) or (x, y, positive), all on the image."""
    if isinstance(clicks, (str, bytes)) or not isinstance(clicks, Iterable):
        raise ArgumentTypeError(f"clicks: expected a list of (x, y) or (x, y, positive); got {told(clicks)}")
    checked = []
    for number, click in enumerate(clicks):
        try:
            x, y, *rest = click
        except (TypeError, ValueError):
            rest = [None, None]
        if len(rest) > 1 or isinstance(click, (str, bytes)):
            raise ArgumentTypeError(f"clicks[{number}]: expected (x, y) or (x, y, positive); got {told(click)}")
        try:
            checked.append(check_click(x, y, rest[0] if rest else True, height, width))
        except (ArgumentTypeError, ArgumentValueError) as error:
            raise type(error)(f"clicks[{number}]: {error}") from None
    if not checked:
        raise ArgumentValueError("clicks: expected at least one")
    return checked


def check_edges(box: Any, argument: str) -> Box:
    """Four integers x0, y0, x1, y1."""
    try:
        edges = tuple(box)
    except TypeError:
        edges = ()
    if len(edges) != 4 or not all(isinstance(e, Integral) and not isinstance(e, (bool, np.bool_)) for e in edges):
        raise ArgumentTypeError(f"{argument}: expected four integers (x0, y0, x1, y1); got {told(box)}")
    return Box(*(int(edge) for edge in edges))


def check_frame(box: Any) -> Box:
    """A box anywhere, with x0 <= x1 and y0 <= y1."""
    frame = Box(*(check_place(edge, "box") for edge in check_edges(box, "box")))
    if frame.width < 0 or frame.height < 0:
        raise ArgumentValueError(f"box: expected x0 <= x1 and y0 <= y1; got {tuple(frame)}")
    return frame


def check_box(box: Any, height: int, width: int) -> Box:
    """A box, half-open, that lies inside the image and has at least one pixel."""
    edges = check_edges(box, "box")
    if not (0 <= edges.x0 < edges.x1 <= width and 0 <= edges.y0 < edges.y1 <= height):
        raise ArgumentValueError(
            f"box: expected 0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height}; got {told(tuple(edges))}"
        )
    return edges


def check_view(view: Any, click: Click, height: int, width: int) -> Box | None:
    """None, or a box that holds the click once it is clipped to the image."""
    if view is None:
        return None
    clipped = check_edges(view, "view").clip(Box(0, 0, width, height))
    if not clipped.holds(click.row, click.column):
        raise ArgumentValueError(
            f"view: expected a box that holds the click ({click.x:g}, {click.y:g}); got {told(view)}"
        )
    return clipped


def check_threads(threads: Any) -> int | None:
    """None, or at least 1."""
    if threads is None:
        return None
    if isinstance(threads, (bool, np.bool_)) or not isinstance(threads, Integral):
        raise ArgumentTypeError(f"threads: expected an integer, or None; got {told(threads)}")
    count = int(threads)
    if not 1 <= count <= 1024:
        raise ArgumentValueError(f"threads: expected at least 1 and at most 1024; got {told(count)}")
    return count
