"""What was seen while one method clicked through one sample; a line of JSON each."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import NamedTuple

MOST_CLICKS = 20  # of a sample, as everywhere in the field
LARGEST = 2**53  # no pixel count and no time comes near it, and any sum of such numbers is finite


class Move(NamedTuple):
    """One click and what came of it.

    x, y, positive: the click, in pixels. iou, boundary: IoU and boundary IoU after it. harm: pixels that were right
    before it and wrong after it, ignored ones aside. milliseconds: what the method took; the robot and the metrics
    are not in it.
    """

    x: int
    y: int
    positive: bool
    iou: float
    boundary: float
    harm: int
    milliseconds: float


class Row(NamedTuple):
    """What is compared: one line of a table.

    method: as :mod:`.methods` names it. merge: the policy. clicks: ``robot``, or ``human-N`` with the seed N.
    """

    method: str
    merge: str
    clicks: str


@dataclass(frozen=True)
class Record:
    """One sample clicked through, or why it failed.

    row: what clicked. sample: its name. area: object pixels of the truth. before: IoU of the mask it began with (0 from
    scratch). moves: clicks in order. error: what went wrong, where something did; such a record counts in no mean.
    inputs: SHA-256 of what was clicked, as :func:`.play.inputs_of` takes it.
    """

    row: Row
    sample: str
    area: int = 0
    before: float = 0.0
    moves: tuple[Move, ...] = ()
    error: str | None = None
    inputs: str = ""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self) | {"row": list(self.row), "moves": [list(move) for move in self.moves]})

    @classmethod
    def from_json(cls, line: str) -> Record:
        """The record of such a line. Raises ValueError for any other line."""
        try:
            fields = json.loads(line)
            moves = tuple(Move(*move) for move in fields.pop("moves"))
            record = cls(row=Row(*fields.pop("row")), moves=moves, **fields)
            fits = record.fits()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            fits = False
        if not fits:
            raise ValueError(f"expected a record as a line of JSON; got {line[:80]!r}")
        return record

    def fits(self) -> bool:
        """Whether it holds texts and numbers where it should. Raises TypeError for some that does not."""
        texts = [*self.row, self.sample, self.inputs, *([] if self.error is None else [self.error])]
        numbers = [self.area, self.before, *(number for move in self.moves for number in move)]
        return all(isinstance(text, str) for text in texts) and all(0 <= number < LARGEST for number in numbers)
