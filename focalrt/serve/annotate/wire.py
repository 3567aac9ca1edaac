"""What goes between the page and its backend: runs as flat lists of row, start, end; objects and changes as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import checks
from ...errors import ArgumentTypeError, ArgumentValueError
from ...runs import Runs
from ...session import Result
from .thing import Thing


def flat(runs: Runs) -> list[int]:
    """``[row, start, end, row, start, end, ...]``, sorted, half-open."""
    numbers: list[int] = runs.spans.ravel().tolist()
    return numbers


def read_runs(numbers: Any, height: int, width: int) -> Runs:
    """Runs of a page, which may touch, overlap and come in any order, inside the image.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise ArgumentTypeError(f"runs: expected a list of integers [row, start, end, ...]; got {checks.told(numbers)}")
    if len(numbers) % 3 or not all(0 <= number <= max(height, width) for number in numbers):
        raise ArgumentValueError(f"runs: expected row, start, end of runs on the {width} x {height} image")
    rows, starts, ends = np.array(numbers, np.int64).reshape(-1, 3).T
    if (rows >= height).any() or (starts >= ends).any() or (ends > width).any():
        raise ArgumentValueError(f"runs: expected 0 <= row < {height} and 0 <= start < end <= {width} in each")
    return joined(rows * (width + 1) + starts, rows * (width + 1) + ends, width + 1)


def joined(starts: Any, ends: Any, stride: int) -> Runs:
    """Runs of places in reading order, a column more in each row than there are, so that rows never touch."""
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    first = np.append(True, starts[1:] > ends[:-1])[: len(starts)]
    starts, ends = starts[first], ends[np.append(first[1:], True)[: len(first)]]
    return Runs(np.ascontiguousarray(np.stack([starts // stride, starts % stride, ends % stride], 1), np.int32))


def read_fields(body: bytes, *required: str, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a JSON body: all the required ones, and no others than these.

    Raises ArgumentTypeError, ArgumentValueError.
    """
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ArgumentValueError(f"body: expected JSON; {error}") from None
    if not isinstance(fields, dict):
        raise ArgumentTypeError(f"body: expected a JSON object; got {checks.told(fields)}")
    missing, unknown = set(required) - set(fields), set(fields) - {*required, *optional}
    if missing or unknown:
        expected = ", ".join([*required, *(f"{name} (optional)" for name in optional)]) or "none"
        raise ArgumentValueError(f"body: expected the fields {expected}; got {checks.told(sorted(fields))}")
    return fields


def state(thing: Thing) -> dict[str, Any]:
    """What follows from an object's mask and history, alike in Object and Change."""
    return {
        "revision": thing.revision,
        "withheld": [flat(region.runs) for region in thing.withheld],
        "clicks": [[click.x, click.y, click.positive] for click in thing.clicks],
        "can_undo": thing.can_undo,
        "can_redo": thing.can_redo,
        "area": thing.runs.area,
    }


def described(thing: Thing) -> dict[str, Any]:
    """The page's Object."""
    return {"id": thing.id, "name": thing.name, "colour": thing.colour, "runs": flat(thing.runs), **state(thing)}


def change(thing: Thing, inverted: Runs, result: Result | None = None) -> dict[str, Any]:
    """The page's Change: the inverted pixels, not the mask. result: of a click; other steps have none."""
    told: Mapping[str, Any] = {"outcome": None, "obeyed": None, "target": None, "focus": None, "milliseconds": {}}
    if result is not None:
        told = {
            "outcome": result.outcome,
            "obeyed": result.obeyed,
            "target": result.target,
            "focus": result.focus,
            "milliseconds": {step: round(spent, 3) for step, spent in result.milliseconds.items()},
        }
    return {"changed": flat(inverted), **state(thing), **told}
