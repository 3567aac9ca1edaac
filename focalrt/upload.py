"""Photos and masks that come from outside, as bytes: looked at before anything is decoded.

Pillow reads the header, of the formats below only, and OpenCV decodes what passes. A small file can cost much more than
its pixels, so three more things are bounded: the scans of a JPEG, each of which is a pass over the whole image; the
compressed texts of a PNG; and the tags of a TIFF, each of which may claim most of the file.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from struct import iter_unpack, unpack_from

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentValueError, ImageFileError, ImageTooLargeError
from .extras import imported
from .imagefile import to_image, to_mask

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
MOST_BYTES = 64 << 20  # of one file: a photo of 30 megapixels as PNG, any photo as JPEG
MOST_PIXELS = 89_478_485  # where Pillow begins to warn; beyond twice as many it refuses by itself
MOST_SCANS = 100  # of a JPEG; progressive ones have about ten
MOST_MARKERS = 10_000  # of a JPEG; restarts, which large images have many of, are not counted
MOST_TEXTS = 20  # compressed ones of a PNG, each of which may expand to 8 MB
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")  # of a JPEG; it begins a segment, or ends the image
SCAN, END = 0xDA, 0xD9
TIFF_SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}  # bytes of a value by its type; else 1


def read_photo(path: Path) -> bytes:
    """The content of a photo's file, for :func:`decode_photo`.

    Raises OSError, and ImageTooLargeError for too many bytes, before any of them is read.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ImageTooLargeError(
            f"{path.name}: expected at most {MOST_BYTES} bytes; got {size}. Save it smaller, or as JPEG"
        )
    return path.read_bytes()


def decode_photo(content: bytes, *, most_pixels: int = MOST_PIXELS) -> NDArray[np.uint8]:
    """A photo as RGB, uint8 (H, W, 3), upright by its EXIF orientation; grey, alpha and 16 bits are converted.

    content: a whole file. Raises ImageFileError where it is no image of the formats above, or damaged;
    ImageTooLargeError for too many bytes or pixels, before anything is decoded.
    """
    width, height = size_of(content, "image")
    if width * height > most_pixels:
        raise ImageTooLargeError(f"image: expected at most {most_pixels} pixels; got {width} x {height}")
    image = to_image(content, "image: what came")
    if sorted(image.shape[:2]) != sorted((height, width)):
        raise ImageFileError(f"image: its header says {width} x {height} pixels, the rest of the file does not")
    return image


def decode_mask(content: bytes, height: int, width: int) -> NDArray[np.bool_]:
    """A mask as bool (height, width): object is what is brighter than half of the brightest pixel.

    content: a whole file. Raises ImageFileError and ImageTooLargeError as for a photo, ArgumentValueError for an image
    of another size.
    """
    size = size_of(content, "mask")
    if sorted(size) != sorted((width, height)):  # in either order: decoding turns it upright
        raise ArgumentValueError(f"mask: expected {width} x {height} pixels; got {size[0]} x {size[1]}")
    mask = to_mask(content, "mask: what came")
    if mask.shape != (height, width):
        raise ArgumentValueError(f"mask: expected {width} x {height} pixels; got {mask.shape[1]} x {mask.shape[0]}")
    return mask


def size_of(content: bytes, argument: str) -> tuple[int, int]:
    """(width, height) by the header of an image file, before it is turned upright.

    Raises ImageFileError, ImageTooLargeError.
    """
    if len(content) > MOST_BYTES:
        raise ImageTooLargeError(f"{argument}: expected at most {MOST_BYTES} bytes; got {len(content)}")
    fault = FAULTS.get(content[:2], no_fault)(content)
    if fault:
        raise ImageFileError(f"{argument}: expected a file as cameras and image editors write them; got {fault}")
    pillow = imported("PIL.Image", "looking into an uploaded image", "serve")
    try:
        with pillow.open(BytesIO(content), formats=FORMATS) as header:
            width, height = header.size
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning):
        raise ImageTooLargeError(f"{argument}: its header asks for more pixels than any photo has") from None
    except Exception:  # a parser of hostile bytes raises errors of many kinds
        came = f"{len(content)} bytes that begin with {content[:12]!r}"
        raise ImageFileError(f"{argument}: expected a whole {', '.join(FORMATS)} file; got {came}") from None
    return width, height


def no_fault(content: bytes) -> str:
    """Formats that cost no more than their bytes and pixels."""
    return ""


def jpeg_fault(content: bytes) -> str:
    """A JPEG that is cut short, which older OpenCV decodes with a grey rest, or of more scans than encoders write."""
    at, scans = 2, 0
    for _ in range(MOST_MARKERS):
        marker = MARKER.search(content, at)
        if marker is None:
            return "a JPEG that is cut short"
        kind = content[marker.end() - 1]
        if kind == END:
            return ""
        scans += kind == SCAN
        if scans > MOST_SCANS:
            break
        at = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    return f"a JPEG of more than {MOST_SCANS} scans or {MOST_MARKERS} segments"


def png_fault(content: bytes) -> str:
    """A PNG of more compressed texts than anyone writes."""
    texts = sum(content.count(kind) for kind in (b"zTXt", b"iTXt", b"iCCP"))
    return f"a PNG of {texts} compressed texts" if texts > MOST_TEXTS else ""


def tiff_fault(content: bytes) -> str:
    """A TIFF whose tags together claim more bytes than the file has, or of a kind that is not looked into."""
    order = "<" if content[:2] == b"II" else ">"
    if len(content) < 8 or unpack_from(f"{order}H", content, 2)[0] != 42:
        return "not a TIFF of version 42"
    start = unpack_from(f"{order}I", content, 4)[0]
    count = int.from_bytes(content[start : start + 2], "little" if order == "<" else "big")
    directory = content[start + 2 : start + 2 + 12 * count]
    if not directory or len(directory) < 12 * count:
        return "a TIFF that is cut short"
    claimed = sum(TIFF_SIZES.get(kind, 1) * values for _, kind, values, _ in iter_unpack(f"{order}HHII", directory))
    return f"a TIFF whose tags claim {claimed} bytes" if claimed > len(content) else ""


FAULTS = {b"\xff\xd8": jpeg_fault, b"\x89P": png_fault, b"II": tiff_fault, b"MM": tiff_fault}
