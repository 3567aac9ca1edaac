"""The mask inside focalrt: the runs of its pixels, never a dense image (SPEC section 8)."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from .geometry import Box
from .kernels import components as component_kernels
from .kernels import grid as grid_kernels
from .kernels import runs as kernels
from .taps import Taps

XOR, AND, OR, MINUS = 0b0110, 0b1000, 0b1110, 0b0100  # bit 2 [in a] + [in b] tells whether such a pixel belongs


class Runs:
    """An immutable set of pixels.

    ``spans`` is a read-only int32 array (N, 3): row, first column, end column (half-open) of each horizontal run,
    sorted by row and column, no two touching. Equal sets have equal spans. Operations cost O(runs), whatever the image.
    """

    __slots__ = ("spans",)
    spans: NDArray[np.int32]

    def __init__(self, spans: NDArray[np.int32]) -> None:
        """Takes spans that already are sorted and apart; the array becomes read-only."""
        spans.flags.writeable = False
        self.spans = spans

    @classmethod
    def empty(cls) -> Runs:
        """No pixel."""
        return cls(np.empty((0, 3), np.int32))

    @classmethod
    def rectangle(cls, box: Box) -> Runs:
        """Every pixel of a box."""
        if box.width <= 0 or box.height <= 0:
            return cls.empty()
        spans = np.empty((box.height, 3), np.int32)
        spans[:, 0], spans[:, 1], spans[:, 2] = np.arange(box.y0, box.y1), box.x0, box.x1
        return cls(spans)

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> Runs:
        """The True pixels of a dense bool mask (H, W) whose first pixel lies at (top, left)."""
        view = np.ascontiguousarray(mask).view()
        view.flags.writeable = False  # one array type for the kernel, whatever the caller's flags
        spans = np.empty((kernels.count_runs(view) if view.size else 0, 3), np.int32)
        kernels.from_mask(view, top, left, spans)
        return cls(spans)

    @classmethod
    def from_grid(cls, grid: NDArray[np.float32], threshold: float, box: Box) -> Runs:
        """Where a float32 grid (L, L), read bilinearly (align_corners) over the box, exceeds the threshold.

        Exactly the pixels that resizing the grid to the box and comparing would give, without either image.
        """
        above = sides(grid, threshold)
        return cls(trace(grid, above, mixed_cells(above), threshold, box))

    @classmethod
    def from_logits(cls, logits: NDArray[np.float32], threshold: float, box: Box) -> Runs:
        """:meth:`from_grid` of the probabilities of float32 logits (L, L), which are made at the edge alone."""
        above = sides(logits, log(threshold / (1 - threshold)))
        mixed = mixed_cells(above)
        probabilities = np.empty_like(logits)
        grid_kernels.probabilities(logits, *mixed, probabilities)
        return cls(trace(probabilities, above, mixed, threshold, box))

    def to_mask(self, box: Box) -> NDArray[np.bool_]:
        """Dense bool mask (height, width) of the pixels inside the box."""
        mask = np.zeros((box.height, box.width), np.bool_)
        (self & Runs.rectangle(box)).flip(mask, box.y0, box.x0)
        return mask

    def flip(self, mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> None:
        """Inverts these pixels in a dense mask, in place; (top, left) is its first pixel."""
        kernels.flip(mask, self.spans, top, left)

    def sample(self, box: Box, rows: Taps, columns: Taps, out: NDArray[np.float32]) -> None:
        """The mask as 0 and 1 over a box, resampled and added to ``out`` (rows, columns)."""
        if self:
            kernels.sample(self.spans, box.y0, box.x0, *rows, *columns, out)

    def paste(self, other: Runs, box: Box) -> Runs:
        """These pixels outside a box; inside it the other's, which has none outside."""
        spans = np.empty((2 * len(self.spans) + len(other.spans), 3), np.int32)
        return Runs(spans[: kernels.paste(self.spans, other.spans, *box, spans)].copy())

    def __xor__(self, other: Runs) -> Runs:
        if not self or not other:
            return self or other
        return combine(self, other, XOR)

    def __and__(self, other: Runs) -> Runs:
        return combine(self, other, AND)

    def __or__(self, other: Runs) -> Runs:
        return combine(self, other, OR)

    def __sub__(self, other: Runs) -> Runs:
        return combine(self, other, MINUS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Runs) and np.array_equal(self.spans, other.spans)

    def __hash__(self) -> int:
        return hash(self.spans.tobytes())

    def __bool__(self) -> bool:
        return len(self.spans) > 0

    def __repr__(self) -> str:
        return f"<Runs: {self.area} pixels in {len(self.spans)} runs, {self.box}>"

    def holds(self, row: int, column: int) -> bool:
        """Whether the pixel belongs to the set."""
        return kernels.find(self.spans, row, column) >= 0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return kernels.extent(self.spans)[4] if self else 0

    @property
    def box(self) -> Box | None:
        """The smallest box that holds every pixel; None for no pixel."""
        return Box(*kernels.extent(self.spans)[:4]) if self else None

    def component(self, row: int, column: int) -> Runs:
        """The 8-connected component that holds the pixel; empty if the pixel is not in the set."""
        return self.parted(row, column)[0]

    def parted(self, row: int, column: int) -> tuple[Runs, Runs]:
        """The 8-connected component that holds the pixel, and all other pixels."""
        at = kernels.find(self.spans, row, column)
        if at < 0:
            return Runs.empty(), self
        inside, others = np.empty_like(self.spans), np.empty_like(self.spans)
        count = component_kernels.component(self.spans, at, np.empty(len(self.spans), np.int32), inside, others)
        return Runs(inside[:count].copy()), Runs(others[: len(others) - count].copy())


def combine(a: Runs, b: Runs, table: int) -> Runs:
    """The pixels that a truth table, such as ``XOR``, takes from two sets."""
    spans = np.empty((len(a.spans) + len(b.spans) + 1, 3), np.int32)
    return Runs(spans[: kernels.combine(a.spans, b.spans, table, spans)].copy())


def sides(grid: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Where a grid (L, L) exceeds a threshold; rows are filled up with False to a multiple of 8."""
    above = np.zeros((len(grid), -(-len(grid) // 8) * 8), np.bool_)
    np.greater(grid, threshold, out=above[:, : len(grid)])
    return above


def mixed_cells(above: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """The cells of a grid with corners on both sides: where those of each band begin, and their columns."""
    cells = len(above) - 1
    first, columns = np.empty(cells + 1, np.int32), np.empty(cells * cells, np.int16)
    return first, columns[: grid_kernels.mixed_cells(above, above.view(np.uint64), first, columns)]


def trace(
    grid: NDArray[np.float32],
    above: NDArray[np.bool_],
    mixed: tuple[NDArray[np.int32], NDArray[np.int16]],
    threshold: float,
    box: Box,
) -> NDArray[np.int32]:
    """The spans of what exceeds the threshold in a box; of the grid only the corners of the mixed cells count."""
    cells = len(grid) - 1
    rows = (box.height - 1) // cells + 1  # of pixels in a band, at most
    spans = np.empty((rows * (len(mixed[1]) // 2 + cells), 3), np.int32)
    count = grid_kernels.trace(grid, above, *mixed, threshold, box.y0, box.x0, box.height, box.width, spans)
    used: NDArray[np.int32] = spans[:count].copy()
    return used
