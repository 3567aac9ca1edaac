"""One object of an open image: its name, its colour, its mask, and the session that changes it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ArgumentValueError
from ...geometry import Box, Click
from ...merge import Regions
from ...model import Model
from ...runs import Runs
from ...session import Result, Session
from .annotations import Annotation

DIGEST_BYTES = 6  # a revision stays an exact number in JavaScript


class Thing:
    """An object that can be worked on. Its session is made by the first step; until then it costs its runs.

    It belongs to one thread at a time.
    """

    def __init__(self, annotation: Annotation, model: Model, photo: NDArray[np.uint8]) -> None:
        """photo: RGB, uint8 (H, W, 3), shared by the objects of an image."""
        self.id, self.name, self.colour, self._runs = annotation
        self._model, self._photo = model, photo
        self._session: Session | None = None

    @property
    def annotation(self) -> Annotation:
        """What of the object goes to the disk."""
        return Annotation(self.id, self.name, self.colour, self.runs)

    @property
    def runs(self) -> Runs:
        """Its pixels."""
        return self._runs if self._session is None else self._session.runs

    @property
    def clicks(self) -> tuple[Click, ...]:
        """The clicks in force."""
        return () if self._session is None else self._session.clicks

    @property
    def withheld(self) -> Regions:
        """The regions that can be accepted."""
        return Regions(Runs.empty()) if self._session is None else self._session.withheld

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo since the image was opened."""
        return self._session is not None and self._session.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._session is not None and self._session.can_redo

    @property
    def revision(self) -> int:
        """A digest of what a page shows of the object beside name and colour: mask, withheld regions, clicks.

        Being made of the content, it needs no place on the disk, and holds over restarts and between tabs: a page
        whose revision is the same shows the same.
        """
        parts = (self.runs.spans.tobytes(), self.withheld.runs.spans.tobytes(), repr(self.clicks).encode())
        told = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for part in parts:
            told.update(len(part).to_bytes(8, "little") + part)
        return int.from_bytes(told.digest(), "little")

    # ------------------------------------------------------------ steps

    def click(self, x: Any, y: Any, positive: Any, view: Any) -> Result:
        """A click; see :meth:`Session.click`."""
        return self._started().click(x, y, positive, view=view)

    def paint(self, stroke: Runs, erase: bool) -> None:
        """Adds the pixels of a stroke by hand, or takes them away."""
        box = stroke.box
        if box is None:
            raise ArgumentValueError("runs: expected a stroke of at least one pixel")
        drawn = self.runs - stroke if erase else self.runs | stroke
        self._started().paint(drawn.to_mask(box), box)

    def accept(self, region: int | None) -> None:
        """Writes a withheld region by its number, or all of them."""
        if region is None:
            self._started().accept_all()
        elif 0 <= region < len(self.withheld):
            self._started().accept(self.withheld[region])
        else:
            raise ArgumentValueError(f"region: expected one of the {len(self.withheld)} withheld; got {region}")

    def undo(self) -> None:
        """Takes the last step back, if there is one."""
        if self._session is not None:
            self._session.undo()

    def redo(self) -> None:
        """Does the last undone step again, if there is one."""
        if self._session is not None:
            self._session.redo()

    def reset(self) -> None:
        """Back to the mask that the object had when its image was opened."""
        if self._session is not None:
            self._session.reset()

    def _started(self) -> Session:
        if self._session is None:
            height, width, _ = self._photo.shape
            mask = self._runs.to_mask(Box(0, 0, width, height)) if self._runs else None
            self._session = self._model.session(self._photo, mask)
        return self._session
