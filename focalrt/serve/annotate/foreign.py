"""Masks that other programs made: COCO files, id maps, and plain masks."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import masks, upload
from ...errors import AnnotationError, ArgumentValueError, ImageFileError
from ...extras import imported
from .annotations import DEFAULT_NAME, MOST_OBJECTS, Annotation, from_document, numbered, parsed

VOID = 255  # the border that PASCAL VOC draws about objects, in images with a palette


def read_foreign(
    content: bytes, file_name: str, height: int, width: int
) -> tuple[dict[int, Annotation], list[str]]:
    """The objects of a file: a COCO document, or an image that is an id map or a mask; numbered from 1. And why
    annotations were left out.

    file_name: the photo's path as a document may have it; height, width: its size. Raises AnnotationError,
    ArgumentValueError for an image of another size, ImageFileError.
    """
    if content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        objects, faults = from_document(parsed(content), file_name, height, width)
        return numbered((each.name, each.runs) for each in objects.values()), faults
    return read_id_map(content, height, width), []


def read_id_map(content: bytes, height: int, width: int) -> dict[int, Annotation]:
    """The objects of an image whose values are ids, or of a mask. Raises as :func:`read_foreign`."""
    ids = ids_of(content, height, width)
    values = np.bincount(ids.ravel(), minlength=2).nonzero()[0]
    if len(values) > MOST_OBJECTS + 1:
        raise AnnotationError(f"{len(values)} values; a mask or an id map has at most {MOST_OBJECTS} objects")
    return numbered((DEFAULT_NAME, runs) for _, runs in sorted(masks.from_id_map(ids).items()))


def ids_of(content: bytes, height: int, width: int) -> NDArray[Any]:
    """The pixels of an image as ids, uint8 or uint16 (H, W), by its mode.

    With a palette: the indices, less the void 255. Grey: the values; but those of a soft-edged mask, nine tenths black
    or white and with greys between, become 0 and 1. Colours: numbered, black being background.
    """
    size = upload.size_of(content, "mask")
    if size != (width, height):
        raise ArgumentValueError(f"mask: expected {width} x {height} pixels; got {size[0]} x {size[1]}")
    mode, pixels = decoded(content)
    if mode == "P":
        pixels = np.where(pixels == VOID, 0, pixels)
    if mode in ("LA", "RGB", "RGBA"):
        pixels = colours(pixels[..., :-1] if mode.endswith("A") else pixels)
    if pixels.ndim != 2 or pixels.dtype.kind not in "bui" or pixels.min() < 0 or pixels.max() >= 2**16:
        raise ImageFileError(f"mask: expected a palette, grey or colours of 8 or 16 bits; got an image of mode {mode}")
    return (pixels > 127).astype(np.uint8) if is_soft(pixels) else pixels.astype(np.uint16)


def decoded(content: bytes) -> tuple[str, NDArray[Any]]:
    """Mode and values of an image as Pillow tells them; OpenCV would turn a palette into colours."""
    pillow = imported("PIL.Image", "looking into an uploaded mask", "serve")
    try:
        with pillow.open(BytesIO(content), formats=upload.FORMATS) as image:
            return image.mode, np.asarray(image)
    except Exception:  # a parser of hostile bytes raises errors of many kinds
        raise ImageFileError("mask: the file is cut short, or damaged") from None


def colours(pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """Colours as ids: grey ones as they are, others by the order of their values, black as 0."""
    if (pixels == pixels[..., :1]).all():
        grey: NDArray[np.uint8] = pixels[..., 0]
        return grey
    codes = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    values = np.unique(codes)
    if len(values) > MOST_OBJECTS:
        raise AnnotationError(f"{len(values)} colours; a mask or an id map has at most {MOST_OBJECTS}: this is a photo")
    ids: NDArray[np.int64] = np.searchsorted(values, codes) + int(values[0] != 0)
    return ids


def is_soft(pixels: NDArray[Any]) -> bool:
    """Whether this is one mask, from 0 to 255, with values between at its edge."""
    if pixels.dtype != np.uint8 or pixels.max() != 255:
        return False
    counts = np.bincount(pixels.ravel(), minlength=256)
    return bool(counts[1:255].any() and counts[0] + counts[255] >= 0.9 * pixels.size)
