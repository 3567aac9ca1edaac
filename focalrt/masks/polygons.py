"""Polygons: the outline of a mask with few vertices, and the mask that polygons cover."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import check_number, told
from ..errors import ArgumentTypeError, ArgumentValueError
from ..runs import Runs
from .checks import MOST_OUTLINED_RUNS, MOST_SIDE, check_run_count, check_runs, check_size
from .outlines import areas, outlines
from .scanlines import fill
from .simplify import simplified

FARTHEST = 2**31  # pixels from the image's corner


class Polygon(NamedTuple):
    """An outline with holes.

    outline: float64 (N, 2), x and y of at least three vertices, the first not repeated, clockwise as one sees them (y
    down). holes: such arrays, the other way round. Pixel (row, column) covers [column, column + 1] x [row, row + 1],
    as in COCO, CVAT and labelme: half a pixel more in x and y than the frame of clicks, whose integers are middles.
    """

    outline: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()


def to_polygons(runs: Runs, tolerance: float = 1.0) -> list[Polygon]:
    """The outlines of a mask with as few vertices as the tolerance, in pixels, allows; the largest polygon first.

    Every point of the mask's outline lies within the tolerance of the polygons', and the reverse; 0 gives the outline
    itself. Each set of pixels that are connected by their sides becomes a polygon, however small; pixels that only
    touch at a corner do not join. The polygons are valid: no ring passes a point twice, none crosses another, holes lie
    inside; rings may meet at single vertices. Vertices lie on corners of pixels or the middles of sides.

    Raises ArgumentTypeError, ArgumentValueError where the runs are none, or more than 2**20, or the tolerance is
    negative.
    """
    check_run_count(len(check_runs(runs, MOST_SIDE, MOST_SIDE).spans), MOST_OUTLINED_RUNS)
    tolerance = check_number(tolerance, "tolerance")
    if tolerance < 0:
        raise ArgumentValueError(f"tolerance: expected at least 0 pixels; got {told(tolerance)}")
    if not runs:
        return []
    every = outlines(runs)
    ring_areas = areas(every)
    part_areas = np.bincount(every.part, ring_areas)
    outline: list[NDArray[np.float64]] = [np.empty((0, 2))] * len(part_areas)
    holes: list[list[NDArray[np.float64]]] = [[] for _ in part_areas]
    for ring, part, area in zip(simplified(every, tolerance), every.part.tolist(), ring_areas.tolist()):
        if area > 0:
            outline[part] = ring
        else:
            holes[part].append(ring)
    return [Polygon(outline[part], tuple(holes[part])) for part in np.argsort(-part_areas, kind="stable").tolist()]


def from_polygons(polygons: Sequence[Any] | Polygon, height: int, width: int) -> Runs:
    """The pixels of an image of that size that lie in any of the polygons.

    polygons: a list; each is a :class:`Polygon`, an array or list (N, 2) of x, y, or flat, [x, y, x, y, ...], as COCO
    keeps them. A pixel is inside where its middle is: within an odd number of the rings of one polygon, or on a side
    that is a left or upper one. Polygons may cross themselves, each other and the border of the image.

    Raises ArgumentTypeError, ArgumentValueError for polygons of fewer than three points, for coordinates that are not
    finite or beyond 2**31, and for sides that cross more than 2**23 rows in all.
    """
    height, width = check_size(height, width)
    listed = [polygons] if isinstance(polygons, Polygon) else polygons
    if not isinstance(listed, (list, tuple, np.ndarray)):
        raise ArgumentTypeError(f"polygons: expected a list of polygons; got {told(listed)}")
    return fill([check_polygon(polygon, f"polygons[{n}]") for n, polygon in enumerate(listed)], height, width)


def check_polygon(polygon: Any, argument: str) -> list[NDArray[np.float64]]:
    """The rings of a polygon."""
    if not isinstance(polygon, Polygon):
        return [check_ring(polygon, argument)]
    if not isinstance(polygon.holes, (list, tuple)):
        raise ArgumentTypeError(f"{argument}.holes: expected a tuple of arrays (N, 2); got {told(polygon.holes)}")
    holes = [check_ring(hole, f"{argument}.holes[{n}]") for n, hole in enumerate(polygon.holes)]
    return [check_ring(polygon.outline, f"{argument}.outline"), *holes]


def check_ring(ring: Any, argument: str) -> NDArray[np.float64]:
    """At least three points, float64 (N, 2)."""
    accepted = "a list or an array (N, 2) of x, y, or flat, [x, y, x, y, ...]"
    if not isinstance(ring, (list, tuple, np.ndarray)):
        raise ArgumentTypeError(f"{argument}: expected {accepted}; got {told(ring)}")
    try:
        numbers = np.asarray(ring)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentTypeError(f"{argument}: expected {accepted}; got {told(ring)}") from None
    if numbers.size and numbers.dtype.kind not in "iuf":
        raise ArgumentTypeError(f"{argument}: expected {accepted}, of numbers; got {told(ring)}")
    flat = numbers.ndim == 1 and numbers.size % 2 == 0
    if not flat and (numbers.ndim != 2 or numbers.shape[1] != 2):
        raise ArgumentValueError(f"{argument}: expected {accepted}; got numbers of the shape {numbers.shape}")
    points = numbers.reshape(-1, 2).astype(np.float64)
    if len(points) < 3:
        raise ArgumentValueError(
            f"{argument}: expected at least three points; got {len(points)} (one polygon is passed as [polygon])"
        )
    if not (np.abs(points) <= FARTHEST).all():
        raise ArgumentValueError(f"{argument}: expected finite coordinates, at most {FARTHEST}")
    return points
