"""The mask inside focalrt: the runs of its pixels, never a dense image (SPEC section 8)."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import NDArray

from . import checks
from .errors import ArgumentTypeError, ArgumentValueError
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
    Rows and columns are integers of 32 bits. What does not fit raises ArgumentTypeError or ArgumentValueError.
    """

    __slots__ = ("spans",)
    spans: NDArray[np.int32]

    def __init__(self, spans: NDArray[np.int32]) -> None:
        """Copies spans that already are sorted and apart."""
        if not (isinstance(spans, np.ndarray) and spans.dtype == np.int32 and spans.ndim == 2 and spans.shape[1] == 3):
            raise ArgumentTypeError(f"spans: expected int32 (N, 3), row, start and end; got {checks.told(spans)}")
        own = np.array(spans, order="C")
        own.flags.writeable = False  # one array type for the kernels
        if not kernels.canonical(own):
            raise ArgumentValueError("spans: expected runs with start < end, sorted by row and start, no two touching")
        self.spans = own

    @classmethod
    def _of(cls, spans: NDArray[np.int32]) -> Runs:
        """Of spans that were just made, sorted and apart: they are not looked through again."""
        spans.flags.writeable = False
        runs = cls.__new__(cls)
        runs.spans = spans
        return runs

    def __reduce__(self) -> tuple[type[Runs], tuple[NDArray[np.int32]]]:
        return type(self), (self.spans,)  # arrays forget that they are read-only

    @classmethod
    def empty(cls) -> Runs:
        """No pixel."""
        return cls._of(np.empty((0, 3), np.int32))

    @classmethod
    def rectangle(cls, box: Box) -> Runs:
        """Every pixel of a box (x0, y0, x1, y1); none where it is empty or inside out."""
        x0, y0, x1, y1 = (checks.check_place(edge, "box") for edge in checks.check_edges(box, "box"))
        spans = np.empty((max(0, y1 - y0) if x0 < x1 else 0, 3), np.int32)
        spans[:, 0], spans[:, 1], spans[:, 2] = np.arange(y0, y0 + len(spans)), x0, x1
        return cls._of(spans)

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_] | NDArray[np.uint8], top: int = 0, left: int = 0) -> Runs:
        """The pixels of a dense mask (H, W) whose first pixel lies at (top, left).

        mask: bool, or uint8 with 0 and 1 or 0 and 255, as for :meth:`focalrt.Session.set_mask`.
        """
        view = np.ascontiguousarray(checks.check_plane(mask)).view()
        view.flags.writeable = False  # one array type for the kernel, whatever the caller's flags
        top, left = checks.check_place(top, "top"), checks.check_place(left, "left")
        checks.check_place(top + view.shape[0], "top + H")
        checks.check_place(left + view.shape[1], "left + W")
        if not view.size:
            return cls.empty()
        spans = np.empty((kernels.count_runs(view), 3), np.int32)
        kernels.from_mask(view, top, left, spans)
        return cls._of(spans)

    @classmethod
    def from_grid(cls, grid: NDArray[np.float32], threshold: float, box: Box) -> Runs:
        """Where a float32 grid (L, L), read bilinearly (align_corners) over the box, exceeds the threshold.

        Exactly the pixels that resizing the grid to the box and comparing would give, without either image. As in
        NumPy's ``grid > threshold``, the threshold is rounded to float32.
        """
        box, threshold = checks.check_frame(box), as_float32(checks.check_number(threshold, "threshold"))
        above = sides(checks.check_grid(grid), threshold)
        return cls._of(trace(grid, above, mixed_cells(above), threshold, box))

    @classmethod
    def from_logits(cls, logits: NDArray[np.float32], threshold: float, box: Box) -> Runs:
        """:meth:`from_grid` of the probabilities of float32 logits (L, L), which are made at the edge alone."""
        box, threshold = checks.check_frame(box), checks.check_threshold(threshold)
        above = sides(checks.check_grid(logits), as_float32(log(threshold / (1 - threshold))))
        mixed = mixed_cells(above)
        probabilities = np.empty_like(logits)
        grid_kernels.probabilities(logits, *mixed, probabilities)
        return cls._of(trace(probabilities, above, mixed, as_float32(threshold), box))

    def to_mask(self, box: Box) -> NDArray[np.bool_]:
        """Dense bool mask (height, width) of the pixels inside a box (x0, y0, x1, y1)."""
        frame = checks.check_frame(box)
        mask = np.zeros((frame.height, frame.width), np.bool_)
        kernels.flip(mask, (self & Runs.rectangle(frame)).spans, frame.y0, frame.x0)
        return mask

    def flip(self, mask: NDArray[np.bool_], top: int = 0, left: int = 0) -> None:
        """Inverts these pixels in a dense mask, in place: bool (H, W), writable; (top, left) is its first pixel.

        Raises ArgumentValueError, with the mask as it was, where it does not hold all of them.
        """
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise ArgumentTypeError(f"mask: expected a NumPy array, bool (H, W); got {checks.told(mask)}")
        if mask.ndim != 2 or not mask.flags.writeable:
            came = checks.told(mask) + ("" if mask.flags.writeable else ", read-only: copy it first")
            raise ArgumentValueError(f"mask: expected bool (H, W) that can be written; got {came}")
        top, left = checks.check_place(top, "top"), checks.check_place(left, "left")
        box, frame = self.box, Box(left, top, left + mask.shape[1], top + mask.shape[0])
        if box is not None and box != box.clip(frame):
            raise ArgumentValueError(f"mask: expected one that holds {tuple(box)}; got one of {tuple(frame)}")
        kernels.flip(mask, self.spans, top, left)

    def sample(self, box: Box, rows: Taps, columns: Taps, out: NDArray[np.float32]) -> None:
        """The mask as 0 and 1 over a box, resampled and added to ``out``, float32 (rows, columns)."""
        frame, shape = checks.check_frame(box), (len(rows.source), len(columns.source))
        if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != shape:
            raise ArgumentValueError(f"out: expected float32 {shape}; got {checks.told(out)}")
        if self:
            kernels.sample(self.spans, frame.y0, frame.x0, *rows, *columns, out)

    def paste(self, other: Runs, box: Box) -> Runs:
        """These pixels outside a box; inside it the other's, which has none outside."""
        frame = checks.check_frame(box)
        if not isinstance(other, Runs):
            raise ArgumentTypeError(f"other: expected Runs; got {checks.told(other)}")
        inner = other.box
        if inner is not None and inner != inner.clip(frame):
            raise ArgumentValueError(f"other: expected pixels of the box {tuple(frame)}; got some in {tuple(inner)}")
        spans = np.empty((2 * len(self.spans) + len(other.spans), 3), np.int32)
        return Runs._of(spans[: kernels.paste(self.spans, other.spans, *frame, spans)].copy())

    def __xor__(self, other: Runs) -> Runs:
        if not isinstance(other, Runs):
            return NotImplemented
        if not self or not other:
            return self or other
        return combine(self, other, XOR)

    def __and__(self, other: Runs) -> Runs:
        return combine(self, other, AND) if isinstance(other, Runs) else NotImplemented

    def __or__(self, other: Runs) -> Runs:
        return combine(self, other, OR) if isinstance(other, Runs) else NotImplemented

    def __sub__(self, other: Runs) -> Runs:
        return combine(self, other, MINUS) if isinstance(other, Runs) else NotImplemented

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
        return self._find(row, column) >= 0

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
        at = self._find(row, column)
        if at < 0:
            return Runs.empty(), self
        inside, others = np.empty_like(self.spans), np.empty_like(self.spans)
        count = component_kernels.component(self.spans, at, np.empty(len(self.spans), np.int32), inside, others)
        return Runs._of(inside[:count].copy()), Runs._of(others[: len(others) - count].copy())

    def _find(self, row: int, column: int) -> int:
        """Index of the run that holds the pixel, or -1."""
        return kernels.find(self.spans, checks.check_place(row, "row"), checks.check_place(column, "column"))


def combine(a: Runs, b: Runs, table: int) -> Runs:
    """The pixels that a truth table, such as ``XOR``, takes from two sets."""
    spans = np.empty((len(a.spans) + len(b.spans) + 1, 3), np.int32)
    return Runs._of(spans[: kernels.combine(a.spans, b.spans, table, spans)].copy())


def as_float32(threshold: float) -> float:
    """The float32 nearest to a threshold: corners and what lies between them are compared with the same number."""
    return float(np.float32(threshold))


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
