"""COCO's run lengths, down the columns: as numbers and as the string of ``pycocotools.mask``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import told
from ..errors import ArgumentTypeError, ArgumentValueError
from ..runs import Runs
from .checks import check_counts, check_runs, check_size
from .columns import transposed
from .counts import from_counts, to_counts

BITS = 5  # of a number, in each character
MOST_CHARACTERS = 7  # a count; pycocotools keeps them in 32 bits


def to_coco(runs: Runs, height: int, width: int) -> dict[str, Any]:
    """COCO RLE, compressed: ``{"size": [height, width], "counts": str}``, what ``pycocotools.mask.encode`` gives.

    Raises ArgumentTypeError, ArgumentValueError where the runs are none or leave the image.
    """
    counts = column_counts(runs, height, width)
    return {"size": [int(height), int(width)], "counts": compressed(counts)}


def to_coco_counts(runs: Runs, height: int, width: int) -> list[int]:
    """COCO RLE, uncompressed: lengths of the runs off and on the object in turn, off first, down the columns.

    They are what ``{"size": [height, width], "counts": ...}`` takes. Raises as :func:`to_coco`.
    """
    counts: list[int] = column_counts(runs, height, width).tolist()
    return counts


def from_coco(rle: Mapping[str, Any]) -> Runs:
    """The pixels of COCO RLE, ``{"size": [height, width], "counts": ...}``, compressed (str, bytes) or not (list).

    Raises ArgumentTypeError, ArgumentValueError for anything else, and for counts that do not fill the size.
    """
    if not isinstance(rle, Mapping) or "size" not in rle or "counts" not in rle:
        raise ArgumentTypeError(f"rle: expected a dict with 'size' and 'counts'; got {told(rle)}")
    size = rle["size"]
    if not isinstance(size, (list, tuple, np.ndarray)) or len(size) != 2:
        raise ArgumentTypeError(f"rle['size']: expected [height, width]; got {told(size)}")
    height, width = check_size(*size)
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        counts = decompressed(counts, "rle['counts']")
    spans = from_counts(check_counts(counts, "rle['counts']", height * width), height)
    return transposed(Runs(spans))


def coco_annotation(runs: Runs, height: int, width: int) -> dict[str, Any]:
    """The fields of a COCO annotation that follow from the mask: segmentation (compressed RLE), bbox, area, iscrowd.

    bbox is [x, y, width, height]; ids and category are the caller's. Raises as :func:`to_coco`.
    """
    segmentation = to_coco(runs, height, width)
    box = runs.box
    bbox = [box.x0, box.y0, box.width, box.height] if box is not None else [0, 0, 0, 0]
    return {"segmentation": segmentation, "bbox": bbox, "area": runs.area, "iscrowd": 0}


def column_counts(runs: Runs, height: int, width: int) -> NDArray[np.int64]:
    """Run lengths down the columns."""
    height, width = check_size(height, width)
    return to_counts(transposed(check_runs(runs, height, width)).spans, width, height)


def compressed(counts: NDArray[np.int64]) -> str:
    """The string of run lengths: from the fourth on their change since the last but one, in groups of five bits.

    Groups run from the lowest bits up, in as few as keep the sign; 32 marks that another follows, 48 makes it ASCII.
    """
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    magnitudes: NDArray[np.int64] = np.where(numbers < 0, ~numbers, numbers)
    more = np.array([magnitudes >> (BITS * n - 1) > 0 for n in range(1, MOST_CHARACTERS)])
    groups: NDArray[np.int64] = 1 + np.count_nonzero(more, axis=0)
    number = np.repeat(np.arange(len(numbers)), groups)
    group = np.arange(len(number)) - (np.cumsum(groups) - groups)[number]
    codes = (numbers[number] >> (BITS * group)) & 31 | (group + 1 < groups[number]) << BITS
    return bytes((codes + 48).astype(np.uint8)).decode("ascii")


def decompressed(text: str | bytes, argument: str) -> NDArray[np.int64]:
    """The run lengths of such a string; they may be out of range. Raises ArgumentValueError."""
    try:
        characters = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise ArgumentValueError(f"{argument}: expected ASCII characters; got {told(text)}") from None
    codes = np.frombuffer(characters, np.uint8).astype(np.int64) - 48
    if not len(codes):
        raise ArgumentValueError(f"{argument}: expected at least one count; got an empty string")
    if codes.min() < 0 or codes.max() > 63:
        raise ArgumentValueError(f"{argument}: expected the characters '0' to 'o'; got {told(text)}")
    if codes[-1] >= 32:
        raise ArgumentValueError(f"{argument}: expected whole counts; the string was cut off in the middle of one")
    last = np.flatnonzero(codes < 32)
    first = np.concatenate([[0], last[:-1] + 1])
    groups = last - first + 1
    if groups.max() > MOST_CHARACTERS:
        raise ArgumentValueError(f"{argument}: expected at most {MOST_CHARACTERS} characters a count")
    group = np.arange(len(codes)) - np.repeat(first, groups)
    numbers = np.add.reduceat((codes & 31) << (BITS * group), first)
    numbers -= (codes[last] >> 4) << (BITS * groups)  # bit 16 of the last is the sign
    for second in (1, 2):
        numbers[second::2] = np.cumsum(numbers[second::2])
    return numbers
