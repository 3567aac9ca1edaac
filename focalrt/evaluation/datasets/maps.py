"""Id maps and masks in files. Pillow decodes them, because OpenCV turns a palette's indices into its colours."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError
from ...extras import imported
from ..sample import Truth

MOST_PIXELS = 2**27  # a few kilobytes of PNG may claim to be gigabytes of pixels
MAPS = {"1": "1-bit grey", "L": "grey", "P": "palette", "I;16": "16-bit grey", "I": "16-bit grey"}
COLOURS = {"RGB": "colours", "RGBA": "colours with alpha"}
MASKS = {"1": "1-bit grey", "L": "grey", "LA": "grey with alpha", "P": "palette"} | COLOURS


def read_ids(path: Path) -> NDArray[np.uint16]:
    """A PNG id map, uint16 (H, W): the grey values, or the palette's indices and never its colours.

    Raises DatasetError where the file does not hold one, OSError.
    """
    return np.asarray(decode(path, ["PNG"], MAPS)).astype(np.uint16)


def read_colours(path: Path) -> NDArray[np.uint8]:
    """A PNG in colours, uint8 (H, W, 3), RGB. Raises DatasetError where the file does not hold one, OSError."""
    return np.asarray(decode(path, ["PNG"], COLOURS).convert("RGB"))


def read_mask_colours(path: Path) -> NDArray[np.uint8]:
    """A mask of 8 bits as uint8 (H, W, 3), RGB: grey values three times, a palette's colours.

    Raises DatasetError where the file does not hold one, OSError.
    """
    return np.asarray(decode(path, ["PNG", "BMP", "JPEG"], MASKS).convert("RGB"))


def decode(path: Path, formats: list[str], kinds: Mapping[str, str]) -> Any:
    """The Pillow image in a file, of one of these formats and of these modes, which ``kinds`` puts in words."""
    pillow = imported("PIL.Image", "reading masks from files", "eval")
    content = path.read_bytes()
    try:
        image = pillow.open(BytesIO(content), formats=formats)
        if image.width * image.height <= MOST_PIXELS:
            image.load()
    except Exception as error:  # Pillow's errors over damaged files share no base class but this
        raise DatasetError(f"{str(path)!r} is not a whole {' or '.join(formats)} image") from error
    if image.width * image.height > MOST_PIXELS:
        raise DatasetError(f"{str(path)!r} is {image.width} x {image.height}; expected at most {MOST_PIXELS} pixels")
    if image.mode not in kinds:
        got = (MAPS | MASKS).get(image.mode, image.mode)
        raise DatasetError(f"{str(path)!r}: expected {', '.join(dict.fromkeys(kinds.values()))}; got {got}")
    return image


def areas_of(ids: NDArray[np.uint16]) -> dict[int, int]:
    """Number of pixels of every id but 0, in the order of ids."""
    areas = np.bincount(ids.ravel())
    return {ident: int(areas[ident]) for ident in np.flatnonzero(areas).tolist() if ident}


def truth_of(ids: NDArray[np.uint16], ident: int, ignored: int | None) -> Truth:
    """The truth of one id, int8 (H, W): every other id is background, but for the ignored one."""
    truth: Truth = (ids == ident).astype(np.int8)
    if ignored is not None:
        truth[ids == ignored] = -1
    return truth


def object_in(path: Path, ignored: int | None, ident: int) -> Truth:
    """The truth of one id of the id map in a file."""
    return truth_of(read_ids(path), ident, ignored)
