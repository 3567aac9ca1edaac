"""What the conversions may be handed, checked before anything is allocated for it."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import told
from ..errors import ArgumentTypeError, ArgumentValueError
from ..geometry import Box
from ..runs import Runs

MOST_SIDE, MOST_PIXELS = 2**20, 2**30  # the largest image that OpenCV reads
MOST_RUNS = 2**24  # 192 MiB of spans; noise of 50 megapixels has fewer
MOST_OUTLINED_RUNS = 2**20  # of a mask that becomes polygons: 1 GiB at most


def check_size(height: Any, width: Any) -> tuple[int, int]:
    """Sides of an image: at least 1 pixel, at most 2**20, and no more than 2**30 pixels in all."""
    for name, side in (("height", height), ("width", width)):
        if isinstance(side, (bool, np.bool_)) or not isinstance(side, Integral):
            raise ArgumentTypeError(f"{name}: expected a whole number of pixels; got {told(side)}")
        if not 1 <= int(side) <= MOST_SIDE:
            raise ArgumentValueError(f"{name}: expected 1 to {MOST_SIDE} pixels; got {told(side)}")
    height, width = int(height), int(width)  # NumPy's integers would overflow in the product
    if height * width > MOST_PIXELS:
        raise ArgumentValueError(f"expected an image of at most {MOST_PIXELS} pixels; got {height} x {width}")
    return height, width


def check_runs(runs: Any, height: int, width: int, argument: str = "runs") -> Runs:
    """Runs that lie inside the image."""
    if not isinstance(runs, Runs):
        raise ArgumentTypeError(f"{argument}: expected Runs, as session.runs or Runs.from_mask gives; got {told(runs)}")
    box = runs.box
    if box is not None and box != box.clip(Box(0, 0, width, height)):
        raise ArgumentValueError(f"{argument}: expected pixels of the {width} x {height} image; got some in {box}")
    return runs


def check_run_count(count: int, most: int = MOST_RUNS) -> None:
    """No more runs than memory is meant for: few numbers can stand for very many."""
    if count > most:
        raise ArgumentValueError(f"expected a mask of at most {most} runs; got {count}: smooth it first")


def check_whole_numbers(values: Any, argument: str, least: int, most: int) -> NDArray[np.int64]:
    """A flat list or array of whole numbers in a range, as int64; 3.0, which JSON may hold, is one."""
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise ArgumentTypeError(f"{argument}: expected a list of whole numbers; got {told(values)}")
    try:
        numbers = np.asarray(values)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentTypeError(f"{argument}: expected a flat list of whole numbers; got {told(values)}") from None
    if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iuf"):
        raise ArgumentTypeError(f"{argument}: expected a flat list of whole numbers; got {told(values)}")
    wrong = ~((numbers >= least) & (numbers <= most) & (numbers == np.floor(numbers)))
    if wrong.any():
        at = int(np.argmax(wrong))
        came = told(values[at])
        raise ArgumentValueError(f"{argument}[{at}]: expected a whole number, {least} to {most}; got {came}")
    return numbers.astype(np.int64)


def check_counts(values: Any, argument: str, pixels: int) -> NDArray[np.int64]:
    """Run lengths that add up to the number of pixels."""
    counts = check_whole_numbers(values, argument, 0, pixels)
    total = int(counts.sum())
    if total != pixels:
        raise ArgumentValueError(f"{argument}: expected counts that add up to {pixels} pixels; got {total}")
    return counts
