"""One method clicks through one sample (SPEC section 6)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..checks import check_mask
from ..errors import ArgumentValueError, DatasetError, EvaluationError
from ..imagefile import read_mask
from .catalogue import kept_method
from .defects import corrupt, sample_seed
from .methods import Method
from .metrics import boundary_iou, harm, iou
from .record import MOST_CLICKS, Move, Record, Row
from .robot import Aim, Person, Robot
from .sample import Example, Mask, Sample, Truth, told

SCRATCH, CORRUPT = "scratch", "corrupt"


class User(Protocol):
    """Who looks at the mask and clicks: :class:`.robot.Robot`, :class:`.robot.Person`."""

    def aim(self, mask: Mask, truth: Truth, clicked: Collection[Aim]) -> Aim | None:
        """The next click; None where there is nothing left to click."""


@dataclass(frozen=True)
class Rules:
    """What is the same for every row of a run.

    start: ``scratch``; ``corrupt``, the truth with defects; the name of masks that come with the data set (``sp``,
    ``stm``); or a folder that holds ``SAMPLE.png`` for every sample. seed: of the defects, 0 or more. target: the IoU
    at which a sample is done, from 0.95, the highest that is counted to, to 1. threads: of the networks, in every
    process.
    Raises ArgumentValueError.
    """

    start: str = SCRATCH
    seed: int = 0
    target: float = 0.95
    threads: int = 1

    def __post_init__(self) -> None:
        if not 0.95 <= self.target <= 1:
            raise ArgumentValueError(f"target: expected an IoU from 0.95 to 1; got {self.target}")
        if self.seed < 0:
            raise ArgumentValueError(f"seed: expected 0 or more; got {self.seed}")


@dataclass(frozen=True)
class Job:
    """One record to be made; can be pickled.

    method: None for one of the catalogue, by the row's name. digest: of the catalogue's networks, as
    :func:`.catalogue.fingerprint` tells it where the run begins.
    """

    row: Row
    sample: Sample
    rules: Rules
    method: Method | None = None
    digest: str = ""

    def opened(self) -> Method:
        """The method. Raises what opening one of the catalogue raises."""
        return self.method or kept_method(self.row.method, self.row.merge, self.rules.threads, self.digest)


def play(job: Job) -> Record:
    """Does the job; what goes wrong is in the record, so that one bad file does not end a run."""
    row, sample, rules = job.row, job.sample, job.rules
    try:
        example = sample.read()
        initial = first_mask(sample, example, rules)
        moves = click_through(job.opened(), example, user(row.clicks, sample.name), initial, rules.target)
        inputs = inputs_of(sample, rules.start)
    except Exception as error:  # of any kind: methods are anybody's code
        return Record(row, sample.name, error=f"{type(error).__name__}: {error}")
    before = 0.0 if initial is None else iou(initial, example.truth)
    return Record(row, sample.name, int(np.count_nonzero(example.truth == 1)), before, moves, inputs=inputs)


def inputs_of(sample: Sample, start: str) -> str:
    """SHA-256 of what a record is about: the photo's file, the truth, and the mask to begin with, where one is given.

    By content, so that a data set may be copied and moved; reading takes milliseconds where clicking takes seconds.
    Raises DatasetError, ImageFileError, OSError.
    """
    found = sha256(sample.photo.read_bytes())
    for plane in (sample.truth(), given_mask(sample, start)):
        if plane is not None:
            found.update(f" {plane.shape} ".encode() + plane.tobytes())
    return found.hexdigest()


def user(clicks: str, sample: str) -> User:
    """``robot``, or ``human-N``: a person drawn with the seed N."""
    return Robot() if clicks == "robot" else Person(int(clicks.removeprefix("human-")), sample)


def first_mask(sample: Sample, example: Example, rules: Rules) -> Mask | None:
    """The mask that the clicks begin with, bool (H, W); None from scratch. Raises DatasetError, OSError."""
    if rules.start == CORRUPT:
        return corrupt(example.image, example.truth, sample_seed(rules.seed, sample.name)).mask
    mask = given_mask(sample, rules.start)
    if mask is not None and mask.shape != example.truth.shape:
        raise DatasetError(
            f"{sample.name}: the mask to begin with is {told(mask.shape)} pixels, the photo {told(example.truth.shape)}"
        )
    return mask


def given_mask(sample: Sample, start: str) -> Mask | None:
    """The mask that a data set or a folder has for a sample, as it is there; None where none is asked for."""
    if start in (SCRATCH, CORRUPT):
        return None
    return sample.masks[start]() if start in sample.masks else read_mask(mask_file(sample, start))


def mask_file(sample: Sample, folder: str) -> Path:
    """Where a folder of masks has that of a sample."""
    return Path(folder) / f"{sample.name}.png"


def check_start(samples: Sequence[Sample], start: str) -> None:
    """Raises EvaluationError where the samples are to begin with masks and none of them has one."""
    if start in (SCRATCH, CORRUPT) or not samples:
        return
    if not any(start in sample.masks or mask_file(sample, start).is_file() for sample in samples):
        found = f"holds no {samples[0].name}.png, nor that of another" if Path(start).is_dir() else "is no folder"
        own = ", ".join(sorted({name for sample in samples for name in sample.masks})) or "none"
        raise EvaluationError(
            f"start: {start!r} {found}; expected a folder that holds SAMPLE.png for the samples, or the name of masks "
            f"that come with the data set (this one has {own})"
        )


def click_through(
    method: Method, example: Example, user: User, initial: Mask | None = None, target: float = 0.95
) -> tuple[Move, ...]:
    """Clicks until the IoU reaches the target, nothing is left to click, or 20 clicks were made.

    The first click's milliseconds include opening the image: what a person would wait for. The method comes warm, as
    :func:`.catalogue.kept_method` hands it out; one of your own comes as it is. Raises what the method raises, and
    ArgumentTypeError, ArgumentValueError where its mask is none of the image.
    """
    truth = example.truth
    mask: Mask = np.zeros(truth.shape, np.bool_) if initial is None else initial
    first = None if initial is None else initial.copy()  # anybody's code may write to it
    began = perf_counter()
    session = method.session(example.image, first)
    opening = perf_counter() - began
    clicked: list[Aim] = []
    moves: list[Move] = []
    while len(moves) < MOST_CLICKS and (not moves or moves[-1].iou < target):
        aim = user.aim(mask, truth, clicked)
        if aim is None:
            break
        began = perf_counter()
        session.click(*aim)
        seen = np.array(session.mask)
        spent = 1000 * (perf_counter() - began + opening)
        after = checked(seen, truth)
        moves.append(Move(*aim, iou(after, truth), boundary_iou(after, truth), harm(mask, after, truth), spent))
        clicked.append(aim)
        mask, opening = after, 0.0
    return tuple(moves)


def checked(mask: NDArray[Any], truth: Truth) -> Mask:
    """What a method calls its mask, as bool (H, W). Raises ArgumentTypeError, ArgumentValueError."""
    height, width = truth.shape
    return check_mask(mask, height, width, "the method's mask")


def last_mask(job: Job, record: Record) -> tuple[Example, Mask]:
    """The example, and the mask after the last click of a record, by clicking again. Raises as click_through does."""
    example = job.sample.read()
    session = job.opened().session(example.image, first_mask(job.sample, example, job.rules))
    for move in record.moves:
        session.click(move.x, move.y, move.positive)
    return example, checked(np.array(session.mask), example.truth)
