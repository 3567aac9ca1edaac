"""Several objects in one array: each pixel holds the number of its object, 0 none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import told
from ..errors import ArgumentTypeError, ArgumentValueError
from ..runs import Runs
from .checks import check_run_count, check_runs, check_size, check_whole_numbers
from .counts import cut

MOST_IDS = 2**16 - 1


def to_id_map(
    objects: Sequence[Runs] | Mapping[int, Runs], height: int, width: int
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The objects, painted one over the other, as (height, width): uint8, or uint16 where an id exceeds 255.

    A sequence is numbered from 1 on; a mapping tells the ids, 1 to 65535. 0 is background. Both types can be written
    as a PNG. Raises ArgumentTypeError, ArgumentValueError for ids or runs that do not fit.
    """
    height, width = check_size(height, width)
    numbered = check_objects(objects, height, width)
    ids: NDArray[Any] = np.zeros((height, width), np.uint8 if max(numbered, default=0) < 256 else np.uint16)
    for number, runs in numbered.items():
        for row, start, end in runs.spans.tolist():
            ids[row, start:end] = number
    return ids


def from_id_map(array: NDArray[Any], ignore: Sequence[int] = ()) -> dict[int, Runs]:
    """The pixels of each id of an integer array (H, W), in ascending order; 0 and the ids to ignore are left out.

    Raises ArgumentTypeError, ArgumentValueError for another array, a palette image of three channels for instance.
    """
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"array: expected a NumPy array of integers, (H, W); got {told(array)}")
    if array.ndim != 2 or not array.size:
        raise ArgumentValueError(f"array: expected integers (H, W), one id a pixel; got {told(array)}")
    height, width = check_size(*array.shape)
    left_out = [0, *check_whole_numbers(ignore, "ignore", -(2**63), 2**63 - 1).tolist()]
    starts, ids = runs_of_equal(array)
    check_run_count(len(starts))
    ends = np.append(starts[1:], height * width)
    order = np.argsort(ids, kind="stable")
    numbers, first = np.unique(ids[order], return_index=True)
    members = np.split(order, first[1:])
    return {
        int(number): Runs(cut(starts[of_it], ends[of_it], width))
        for number, of_it in zip(numbers, members)
        if int(number) not in left_out
    }


def check_objects(objects: Any, height: int, width: int) -> dict[int, Runs]:
    """Ids and runs, in the order in which they are painted."""
    if isinstance(objects, Mapping):
        items = list(objects.items())
    elif isinstance(objects, Sequence) and not isinstance(objects, (str, bytes)):
        items = list(enumerate(objects, 1))
    else:
        raise ArgumentTypeError(f"objects: expected a list of Runs, or a dict of id: Runs; got {told(objects)}")
    for number, runs in items:
        check_id(number)
        check_runs(runs, height, width, f"objects[{number}]")
    return {int(number): runs for number, runs in items}


def check_id(number: Any) -> None:
    """A whole number that 16 bits hold, and not 0; 3.0 is one."""
    is_number = isinstance(number, Real) and not isinstance(number, (bool, np.bool_))
    if not is_number or not 1 <= number <= MOST_IDS or number != int(number):
        kind = ArgumentValueError if is_number else ArgumentTypeError
        raise kind(f"objects: expected ids 1 to {MOST_IDS}, whole numbers; got {told(number)}")


def runs_of_equal(array: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Where, in reading order, another id than the pixel before begins, or a row; and which."""
    begins = np.ones(array.shape, np.bool_)
    np.not_equal(array[:, 1:], array[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    return starts, array[begins]
