"""SBD, the Semantic Boundaries Dataset (Hariharan et al., ICCV 2011)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError
from ..sample import Truth
from .folders import listed_file, listed_names
from .found import Found, each_object, sample_name
from .maps import areas_of, truth_of
from .matfile import read_field


def sbd(root: Path) -> Iterator[Found]:
    """Every instance of the photos in val.txt, called ``name.id``; nothing is ignored.

    ::

        img/name.jpg
        inst/name.mat    GTinst.Segmentation: 0 background, every other value one instance
        val.txt          names
    """
    source = root / "val.txt"
    for name in listed_names(source):
        photo = listed_file(root / "img", name, ".jpg", source)
        path = listed_file(root / "inst", name, ".mat", source)
        yield from each_object(sample_name(name), photo, areas_of(instances(path)), partial(instance, path))


def instances(path: Path) -> NDArray[np.uint16]:
    """The id map of a file, uint16 (H, W). Raises DatasetError where it does not hold one, OSError."""
    values = read_field(path, "GTinst", "Segmentation")
    if not ((values >= 0) & (values <= 65535) & (values == np.trunc(values))).all():
        raise DatasetError(f"{str(path)!r}: expected GTinst.Segmentation to hold integers from 0 to 65535")
    return values.astype(np.uint16)


def instance(path: Path, ident: int) -> Truth:
    """The truth of one instance."""
    return truth_of(instances(path), ident, None)
