"""One object of one photo: what a data set is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError
from ..imagefile import read_image

Truth = NDArray[np.int8]  # (H, W): 1 object, 0 background, -1 ignored
Mask = NDArray[np.bool_]


class Example(NamedTuple):
    """A sample in memory.

    image: RGB, uint8 (H, W, 3). truth: int8 (H, W): 1 object, 0 background, -1 ignored; it has an object pixel.
    """

    image: NDArray[np.uint8]
    truth: Truth


@dataclass(frozen=True)
class Sample:
    """Where an object comes from; small, and can be pickled, so it travels to worker processes.

    name: one of its own in the data set, made of letters, digits, ``_ - . /``; a file that belongs to the sample is
    called ``name.png``. photo: the image file. truth: reads the truth. masks: by name, readers of the masks to correct
    that come with the data set (DAVIS-585 has two).
    """

    name: str
    photo: Path
    truth: Callable[[], Truth]
    masks: Mapping[str, Callable[[], Mask]] = field(default_factory=dict)

    def read(self) -> Example:
        """Image and truth. Raises DatasetError, ImageFileError, OSError, each naming the file."""
        image, truth = read_image(self.photo), self.truth()
        if truth.shape != image.shape[:2]:
            raise DatasetError(
                f"{self.name}: the truth is {told(truth.shape)} pixels, the photo {str(self.photo)!r} "
                f"{told(image.shape)}; expected the same size"
            )
        if not (truth == 1).any():
            raise DatasetError(f"{self.name}: the truth has no object pixel")
        return Example(image, truth)


def told(shape: tuple[int, ...]) -> str:
    """Width x height."""
    return f"{shape[1]} x {shape[0]}"
