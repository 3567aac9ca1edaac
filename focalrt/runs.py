"""The mask inside focalrt: the runs of its pixels, never a dense image (SPEC section 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .geometry import Box
from .kernels import components as component_kernels
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
        return cls(kernels.from_mask(view, top, left))

    @classmethod
    def from_grid(cls, grid: NDArray[np.float32], threshold: float, box: Box) -> Runs:
        """Where a float32 grid (L, L), read bilinearly (align_corners) over the box, exceeds the threshold.

        Exactly the pixels that resizing the grid to the box and comparing would give, without either image.
        """
        return cls(kernels.from_grid(grid, threshold, box.y0, box.x0, box.height, box.width))

    def to_mask(self, box: Box) -> NDArray[np.bool_]:
        """Dense bool mask (height, width) of the pixels inside the box."""
        mask = np.zeros((box.height, box.width), np.bool_)
        (self & Runs.rectangle(box)).flip(mask, box.y0, box.x0)
        return mask

    def flip(self, mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> None:
        """Inverts these pixels in a dense mask, in place; (top, left) is its first pixel."""
        kernels.flip(mask, self.spans, top, left)

    def sample(self, box: Box, rows: Taps, columns: Taps) -> NDArray[np.float32]:
        """The mask as 0 and 1 over a box, resampled to float32 (rows, columns), in [0, 1] up to rounding."""
        return kernels.sample(self.spans, box.y0, box.x0, *rows, *columns)

    def __xor__(self, other: Runs) -> Runs:
        return Runs(kernels.combine(self.spans, other.spans, XOR))

    def __and__(self, other: Runs) -> Runs:
        return Runs(kernels.combine(self.spans, other.spans, AND))

    def __or__(self, other: Runs) -> Runs:
        return Runs(kernels.combine(self.spans, other.spans, OR))

    def __sub__(self, other: Runs) -> Runs:
        return Runs(kernels.combine(self.spans, other.spans, MINUS))

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
        return int((self.spans[:, 2] - self.spans[:, 1]).sum(dtype=np.int64))

    @property
    def box(self) -> Box | None:
        """The smallest box that holds every pixel; None for no pixel."""
        if not self:
            return None
        rows, starts, ends = self.spans.T
        return Box(int(starts.min()), int(rows[0]), int(ends.max()), int(rows[-1]) + 1)

    def component(self, row: int, column: int) -> Runs:
        """The 8-connected component that holds the pixel; empty if the pixel is not in the set."""
        at = kernels.find(self.spans, row, column)
        if at < 0:
            return Runs.empty()
        labels, _ = component_kernels.label(self.spans)
        return Runs(self.spans[labels == labels[at]])
