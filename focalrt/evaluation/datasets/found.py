"""What the reader of a layout yields: samples under safe names, and their areas where those were read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..sample import Sample, Truth


class Found(NamedTuple):
    """A sample, and how many object pixels its truth has; None where the truth was not read on opening."""

    sample: Sample
    area: int | None = None


def sample_name(*parts: str) -> str:
    """Parts of a path joined by ``/``; all but letters, digits, ``_``, ``-`` and ``.`` becomes ``_``."""
    return "/".join(re.sub(r"[^\w.-]", "_", part) for part in parts)


def each_object(name: str, photo: Path, areas: Mapping[int, int], truth: Callable[[int], Truth]) -> Iterator[Found]:
    """A sample for each object of a photo, called ``name.id``; ``truth`` reads the truth of an id."""
    for ident, area in areas.items():
        yield Found(Sample(f"{name}.{ident}", photo, partial(truth, ident)), area)
