"""Progressive Merge, and the changes that it keeps out (SPEC section 5; FocalClick, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast, get_args, overload

import numpy as np
from numpy.typing import NDArray

from .checks import told
from .errors import ArgumentTypeError, ArgumentValueError
from .geometry import Box
from .kernels import components as kernels
from .runs import Runs

Policy = Literal["auto", "always", "never"]
Outcome = Literal["written", "unchanged", "disobeyed"]


@dataclass(frozen=True)
class Region:
    """One connected set of pixels that the networks would invert and the merge left alone.

    area: number of pixels. box: the smallest that holds them. runs: the pixels themselves.
    """

    area: int
    box: Box
    runs: Runs = field(repr=False)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The pixels as a dense bool array of the box's size."""
        return self.runs.to_mask(self.box)


class Regions(Sequence[Region]):
    """The 8-connected components of a set of pixels, largest first, equals in reading order; made when asked for."""

    def __init__(self, runs: Runs) -> None:
        """``runs``: the pixels of all the regions together."""
        self.runs = runs
        self._table: tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]] | None = None

    def _components(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
        """Spans sorted by region, the first span of each region (and the end), areas, boxes."""
        if self._table is None:
            labels = np.empty(len(self.runs.spans), np.int32)
            count = kernels.label(self.runs.spans, labels)
            areas, boxes = kernels.measure(self.runs.spans, labels, count)
            order = np.argsort(-areas, kind="stable")
            rank = np.empty(count, np.int64)
            rank[order] = np.arange(count)
            spans = self.runs.spans[np.argsort(rank[labels], kind="stable")]
            first = np.concatenate([[0], np.cumsum(np.bincount(labels, minlength=count)[order])])
            self._table = spans, first, areas[order], boxes[order]
        return self._table

    def __len__(self) -> int:
        return len(self._components()[2])

    @overload
    def __getitem__(self, index: int) -> Region: ...
    @overload
    def __getitem__(self, index: slice) -> list[Region]: ...
    def __getitem__(self, index: int | slice) -> Region | list[Region]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        spans, first, areas, boxes = self._components()
        k = range(len(areas))[index]
        return Region(int(areas[k]), Box(*boxes[k].tolist()), Runs(spans[first[k] : first[k + 1]]))

    def __iter__(self) -> Iterator[Region]:
        return (self[k] for k in range(len(self)))

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The memory that it keeps alive: the spans, and the list of regions once it was asked for."""
        return self.runs.spans, *(self._table or ())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Regions) and self.runs == other.runs

    def __hash__(self) -> int:
        return hash(self.runs)

    def __reduce__(self) -> tuple[type[Regions], tuple[Runs]]:
        return type(self), (self.runs,)

    def __repr__(self) -> str:
        return f"<{len(self)} regions, {self.runs.area} pixels>"


class Merge(NamedTuple):
    """What a click writes.

    outcome: ``written``; ``unchanged``, where the prediction agrees with the mask at the click; ``disobeyed``, where it
    contradicts the click. change: the pixels to invert (U). withheld: the others that the prediction would invert.
    obeyed: the prediction has the clicked pixel as the click says, and so has the mask then.
    """

    outcome: Outcome
    change: Runs
    withheld: Runs
    obeyed: bool


def progressive_merge(predicted: Runs, mask: Runs, row: int, column: int, positive: bool) -> Merge:
    """Writes only the connected change that holds the click: U, the 8-connected component of P XOR M at (row, column).

    Nothing is written where the networks disobey the click, or have nothing to change there.
    """
    difference = predicted ^ mask
    change, withheld = difference.parted(row, column)
    if predicted.holds(row, column) != positive:
        return Merge("disobeyed", Runs.empty(), difference, False)
    if not change:
        return Merge("unchanged", change, difference, True)
    return Merge("written", change, withheld, True)


def overwrite(predicted: Runs, mask: Runs, row: int, column: int, positive: bool) -> Merge:
    """Writes the whole prediction: a click from scratch, before the merge begins."""
    change, obeyed = predicted ^ mask, predicted.holds(row, column) == positive
    unwritten: Outcome = "unchanged" if obeyed else "disobeyed"
    return Merge("written" if change else unwritten, change, Runs.empty(), obeyed)


def check_policy(merge: Any) -> Policy:
    """One of the merge policies. Raises ArgumentValueError."""
    if not isinstance(merge, str) or merge not in get_args(Policy):
        raise ArgumentValueError(f"merge: expected one of {', '.join(get_args(Policy))}; got {told(merge)}")
    return cast(Policy, merge)


def check_region(region: Any) -> Region:
    """A region that a result or a session listed. Raises ArgumentTypeError."""
    if not isinstance(region, Region):
        raise ArgumentTypeError(f"region: expected one of session.withheld; got {told(region)}")
    return region
