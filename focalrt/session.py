"""One image, one mask, its clicks and its history."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import checks
from .description import FOCALCLICK, RITM
from .errors import ArgumentValueError
from .geometry import Box, Click
from .merge import (
    Merge,
    Outcome,
    Policy,
    Region,
    Regions,
    check_policy,
    check_region,
    overwrite,
    progressive_merge,
)
from .networks import FocalClickNetworks, RitmNetwork
from .pipeline import LATE, Prediction, predict
from .runs import Runs
from .stopwatch import Stopwatch
from .zoom_in import Look, look

Kind = Literal["click", "paint", "set_mask", "accept", "reset"]
STEP_BYTES = 1024  # of a step's small objects


@dataclass(frozen=True)
class Result:
    """What a click did.

    outcome: ``written``; ``unchanged``, where nothing was written as the networks agree with the mask at the click;
    ``disobeyed``, where nothing was written as they contradict the click. Without a merge (clicks 1 to 10 from scratch,
    or the policy ``never``) whatever they predict is written, also where it contradicts the click.
    obeyed: whether the networks put the clicked pixel on the object or off it as the click says. If they do, the mask
    now has it there; if they do not and something was written, it has not.
    changed: the box of the pixels that changed, or None. change: those pixels.
    withheld: the regions that the prediction would change too, but the merge kept out, largest first.
    target, focus: the boxes that the Segmentor and the Refiner looked at; one box where there is no Refiner.
    milliseconds: of every step, in order; results that differ in these alone are equal.
    runs: the whole mask after the click. shape: (height, width) of the image.
    """

    outcome: Outcome
    obeyed: bool
    changed: Box | None
    withheld: Regions
    target: Box
    focus: Box
    milliseconds: Mapping[str, float] = field(compare=False)
    change: Runs = field(repr=False)
    runs: Runs = field(repr=False)
    shape: tuple[int, int]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask after the click: a new bool array (H, W) each time. ``session.mask`` costs no more than a look."""
        mask = np.zeros(self.shape, np.bool_)
        self.runs.flip(mask)
        return mask


@dataclass(frozen=True)
class Step:
    """One entry of the history: what was done, and the box of the pixels that changed (None for no pixel)."""

    kind: Kind
    changed: Box | None


class Context(NamedTuple):
    """All that a session knows beside the pixels of its mask.

    given: part of the mask was made by hand. withheld: what may be accepted now. view: of the last click. look: what
    that click led to, where the network reads what it said before.
    """

    clicks: tuple[Click, ...]
    given: bool
    withheld: Runs
    view: Box | None
    look: Look | None = None


class Entry(NamedTuple):
    """A step with what it takes to go back and forth: the inverted pixels, and the context on both sides."""

    step: Step
    change: Runs
    before: Context
    after: Context


class Session:
    """Clicks on one image until its mask is right. Made by :meth:`focalrt.Model.session`.

    A session belongs to one thread at a time; sessions of one model do not disturb each other. A call that raises
    leaves the session as it was. Beside image and mask a session holds, for each step, a few runs and a list of the
    clicks in force, and 40 KB per click with a model of RITM, which reads what it said before.

    A copy is a session of its own on the same image and model. A pickle holds the image, and loads the model anew.
    """

    def __init__(
        self,
        networks: FocalClickNetworks | RitmNetwork,
        image: NDArray[Any],
        mask: NDArray[Any] | None = None,
        *,
        merge: Policy = "auto",
    ) -> None:
        """See :meth:`focalrt.Model.session`."""
        self._networks = networks
        self._image = checks.check_image(image)
        self._policy = check_policy(merge)
        self._mask = Runs.empty() if mask is None else Runs.from_mask(checks.check_mask(mask, *self.shape))
        self._context = Context((), bool(self._mask), Runs.empty(), None)
        self._start = self._mask, self._context
        self._done: list[Entry] = []
        self._undone: list[Entry] = []
        self._dense: NDArray[np.bool_] | None = None
        self._predicted: tuple[Entry, Prediction | Look] | None = None
        self._regions = Regions(self._context.withheld)

    def __copy__(self) -> Session:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, _done=[*self._done], _undone=[*self._undone], _dense=None)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> Session:
        return copy(self)  # what copies share is never written

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_dense": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._image.flags.writeable = False  # which arrays forget

    # ------------------------------------------------------------ what there is

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image and the mask, in pixels."""
        height, width, _ = self._image.shape
        return height, width

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The mask: a read-only bool array (H, W), kept up to date. It changes with the session: copy it to keep it."""
        if self._dense is None:
            dense = np.zeros(self.shape, np.bool_)
            self._mask.flip(dense)
            self._dense = dense  # not before it is whole: flipping may be interrupted
        view: NDArray[np.bool_] = self._dense.view()
        view.flags.writeable = False
        return view

    @property
    def runs(self) -> Runs:
        """The mask as its runs; immutable."""
        return self._mask

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks in force, oldest first: (x, y, positive) in pixels of the image."""
        return self._context.clicks

    @property
    def withheld(self) -> Regions:
        """The regions that can be accepted now, largest first (SPEC section 5)."""
        if self._regions.runs is not self._context.withheld:
            self._regions = Regions(self._context.withheld)
        return self._regions

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone step to do again."""
        return bool(self._undone)

    @property
    def nbytes(self) -> int:
        """Bytes that the session keeps alive: image, masks, history and last prediction, to about 1 KiB a step."""
        entries = [*self._done, *self._undone]
        contexts = [self._context, self._start[1], *(context for entry in entries for context in entry[2:])]
        runs = [self._mask, self._start[0], *(entry.change for entry in entries), *(each.withheld for each in contexts)]
        arrays: list[NDArray[Any]] = [self._image, *(each.spans for each in runs)]
        if self._dense is not None:
            arrays.append(self._dense)
        if self._predicted is not None:
            prediction = self._predicted[1]
            arrays += [part for part in prediction if isinstance(part, np.ndarray)] + [prediction.runs.spans]
        looks = [each.look for each in contexts if each.look is not None]
        arrays += [array for look in looks for array in (look.runs.spans, look.small)]
        arrays += [*self._regions.arrays]
        clicks = {id(each.clicks): sys.getsizeof(each.clicks) for each in contexts}
        return sum({id(a): a.nbytes for a in arrays}.values()) + sum(clicks.values()) + STEP_BYTES * len(entries)

    def probability(self) -> NDArray[np.float32]:
        """The networks' probability of object after the last click in force, float32 (H, W) in [0, 1].

        Refined in the focus box, coarse in the rest of the target box, 0 outside; as predicted, before any merge.
        Without a click in force: the mask as 0 and 1. After an undo FocalClick's networks run again; raises ModelError
        where they fail.
        """
        prediction = self._last_prediction()
        if prediction is None:
            return self.mask.astype(np.float32)
        return prediction.probability(self.shape)

    # ------------------------------------------------------------ what one can do

    def click(self, x: float, y: float, positive: bool = True, *, view: Iterable[int] | None = None) -> Result:
        """A click on the object (or off it, ``positive=False``) and what follows from it.

        x, y: pixels of the image, fractions allowed, pixel centres at integers: x in [-0.5, width - 0.5).
        view: box (x0, y0, x1, y1) of what is on the annotator's screen; while the mask is empty it takes the place of
        the whole image, so that small things in large photos are not lost. It holds the click; otherwise it has no use.
        Raises ArgumentTypeError, ArgumentValueError, and ModelError where a network fails or does not answer as it
        declares.
        """
        click = checks.check_click(x, y, positive, *self.shape)
        seen = checks.check_view(view, click, *self.shape)
        watch = Stopwatch()
        after = self._context._replace(clicks=(*self.clicks, click), view=seen)
        prediction = self._predict(self._mask, after, watch)
        merge = progressive_merge if self._merges(after) else overwrite
        merged: Merge = merge(prediction.runs, self._mask, click.row, click.column, click.positive)
        watch.lap("merge")
        entry = self._do("click", merged.change, after._replace(withheld=merged.withheld, look=prediction.kept))
        self._predicted = entry, prediction
        watch.lap("paint")
        return Result(
            merged.outcome,
            merged.obeyed,
            entry.step.changed,
            self.withheld,
            prediction.target,
            prediction.focus,
            watch.milliseconds,
            merged.change,
            self._mask,
            self.shape,
        )

    def accept(self, region: Region) -> Step:
        """Writes one of the regions that the merge withheld (an element of ``session.withheld``).

        Raises ArgumentTypeError, and ArgumentValueError for a region that is no longer withheld.
        """
        runs = check_region(region).runs
        if not runs or runs & self._context.withheld != runs:
            raise ArgumentValueError(
                "region: expected one of session.withheld; got one that another step has written or made void"
            )
        return self._accept(runs)

    def accept_all(self) -> Step | None:
        """Writes every withheld region, as one step; None where there is none."""
        return self._accept(self._context.withheld) if self._context.withheld else None

    def set_mask(self, mask: NDArray[Any]) -> Step:
        """Replaces the whole mask: bool (H, W), or uint8 with 0 and 1 or 0 and 255. The clicks so far end with it.

        Raises ArgumentTypeError, ArgumentValueError.
        """
        runs = Runs.from_mask(checks.check_mask(mask, *self.shape))
        return self._do("set_mask", self._mask ^ runs, Context((), bool(runs), Runs.empty(), None)).step

    def paint(self, mask: NDArray[Any], box: Iterable[int]) -> Step:
        """Replaces what lies in a box by what an annotator drew there by hand. The clicks stay in force.

        box: (x0, y0, x1, y1) in pixels, half-open, inside the image. mask: bool (y1 - y0, x1 - x0), or uint8 as for
        ``set_mask``. From here on the policy ``auto`` merges. Raises ArgumentTypeError, ArgumentValueError.
        """
        inside = checks.check_box(box, *self.shape)
        drawn = Runs.from_mask(checks.check_mask(mask, inside.height, inside.width), inside.y0, inside.x0)
        change = (self._mask & Runs.rectangle(inside)) ^ drawn
        return self._do("paint", change, self._context._replace(given=True, withheld=Runs.empty())).step

    def reset(self) -> Step | None:
        """Back to the mask that the session began with, without clicks; can be undone. None where nothing changed."""
        mask, context = self._start
        if (self._mask, self._context) == self._start:
            return None
        return self._do("reset", self._mask ^ mask, context).step

    def undo(self) -> Step | None:
        """Takes back the last step; returns it, or None where there is none."""
        if not self._done:
            return None
        entry = self._done[-1]
        self._move(entry.change, entry.before)
        self._undone.append(self._done.pop())
        return entry.step

    def redo(self) -> Step | None:
        """Does the last undone step again; returns it, or None where there is none."""
        if not self._undone:
            return None
        entry = self._undone[-1]
        self._move(entry.change, entry.after)
        self._done.append(self._undone.pop())
        return entry.step

    # ------------------------------------------------------------ how

    def _predict(self, mask: Runs, after: Context, watch: Stopwatch | None = None) -> Prediction | Look:
        """The prediction for the last click of a context, by the method of the model."""
        return PREDICT[self._networks.description.method](self._networks, self._image, mask, after, watch)

    def _merges(self, after: Context) -> bool:
        """The policy: ``auto`` merges a mask given by hand from its first click on, others after 10 clicks."""
        if self._policy == "auto":
            return after.given or len(after.clicks) > LATE
        return self._policy == "always"

    def _last_prediction(self) -> Prediction | Look | None:
        """That of the last click in force: the one kept, or made again from the mask before that click."""
        if self._context.look is not None or not self.clicks:
            return self._context.look
        mask = self._mask
        for entry in reversed(self._done):
            mask = mask ^ entry.change
            if entry.step.kind == "click":
                break
        if self._predicted is None or self._predicted[0] is not entry:
            self._predicted = entry, self._predict(mask, entry.after)
        return self._predicted[1]

    def _accept(self, runs: Runs) -> Step:
        return self._do("accept", runs, self._context._replace(withheld=self._context.withheld ^ runs)).step

    def _do(self, kind: Kind, change: Runs, after: Context) -> Entry:
        """Adds a step to the history and takes it."""
        entry = Entry(Step(kind, change.box), change, self._context, after)
        self._move(change, after)
        self._done.append(entry)
        self._undone.clear()
        return entry

    def _move(self, change: Runs, context: Context) -> None:
        """Inverts the pixels and changes the context."""
        mask = self._mask ^ change
        if self._dense is not None:
            change.flip(self._dense)
        self._mask, self._context = mask, context


def predict_by_focalclick(
    networks: FocalClickNetworks, image: NDArray[np.uint8], mask: Runs, after: Context, watch: Stopwatch | None
) -> Prediction:
    """Two networks, which read the mask as it is."""
    return predict(networks, image, mask, after.clicks, view=after.view, from_scratch=not after.given, watch=watch)


def predict_by_ritm(
    network: RitmNetwork, image: NDArray[np.uint8], mask: Runs, after: Context, watch: Stopwatch | None
) -> Look:
    """One network, which reads what it said before."""
    return look(network, image, mask, after.clicks, before=after.look, view=after.view, watch=watch)


# what each method reads of a context; all else here is the same for both
PREDICT: dict[str, Callable[..., Prediction | Look]] = {FOCALCLICK: predict_by_focalclick, RITM: predict_by_ritm}
