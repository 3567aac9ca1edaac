"""Boxes, clicks, and where a pixel of a box lies on the network's grid (SPEC sections 0 and 4)."""

from __future__ import annotations

from math import floor
from typing import NamedTuple

GRID = 256  # side L of the square network plane


class Box(NamedTuple):
    """A half-open rectangle of pixels: columns ``x0 <= x < x1`` and rows ``y0 <= y < y1``, integers."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.y1 - self.y0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the box in an array whose first two axes are rows and columns."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def holds(self, row: int, column: int) -> bool:
        """Whether the pixel lies in the box."""
        return self.y0 <= row < self.y1 and self.x0 <= column < self.x1

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def clip(self, to: Box) -> Box:
        """The part inside ``to``; never less than no pixels."""
        x0, y0 = min(max(self.x0, to.x0), to.x1), min(max(self.y0, to.y0), to.y1)
        return Box(x0, y0, max(x0, min(self.x1, to.x1)), max(y0, min(self.y1, to.y1)))


def nearest(place: float) -> int:
    """The integer nearest to a place, halves up; ``floor(place + 0.5)`` would round the sum."""
    whole = floor(place)
    return whole + (place - whole >= 0.5)


class Click(NamedTuple):
    """A point in image pixels, pixel centres at integers, and whether it lies on the object."""

    x: float
    y: float
    positive: bool = True

    @property
    def row(self) -> int:
        """Row of the pixel that holds the point."""
        return nearest(self.y)

    @property
    def column(self) -> int:
        """Column of the pixel that holds the point."""
        return nearest(self.x)


def pixel(row: int, column: int) -> Box:
    """The box of one pixel."""
    return Box(column, row, column + 1, row + 1)


def square(row: float, column: float, half_side: float) -> tuple[float, float, float, float]:
    """Edges ``(x0, y0, x1, y1)`` of the square of that half side about the middle of a pixel, not rounded."""
    x, y = column + 0.5, row + 0.5
    return x - half_side, y - half_side, x + half_side, y + half_side


def expand(edges: tuple[float, float, float, float], ratio: float, least: float, within: Box) -> Box:
    """The edges moved away from their centre until both sides are ``ratio`` times as long, and at least ``least``
    pixels; then rounded to the nearest integer (halves to even) and clipped.
    """
    x0, y0, x1, y1 = edges
    width, height = max(ratio * (x1 - x0), least), max(ratio * (y1 - y0), least)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    box = Box(round(x - width / 2), round(y - height / 2), round(x + width / 2), round(y + height / 2))
    return box.clip(within)


def to_grid(x: float, y: float, box: Box, side: int = GRID) -> tuple[float, float]:
    """(row, column) on the grid of an image position, as published: ``(r - r0) side / h``, which is not the
    align_corners map of the pixels; the networks are trained with it (SPEC section 4, step 2).
    """
    return (y - box.y0) * side / box.height, (x - box.x0) * side / box.width
