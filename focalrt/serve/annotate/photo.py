"""A photo as a browser can show it: upright, and of the same pixels that the networks see."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


def shown_as_it_is(content: bytes) -> str | None:
    """The media type of a file that every browser shows as OpenCV decodes it; None for one to be converted.

    Browsers turn JPEG upright by EXIF as OpenCV does; of PNG and WebP with EXIF they do not agree. Transparent pixels
    have colours of their own for OpenCV, and that of the page for a browser.
    """
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n") and b"eXIf" not in content and not is_transparent_png(content):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP" and b"EXIF" not in content:
        return None if is_transparent_webp(content) else "image/webp"
    return None


def is_transparent_png(content: bytes) -> bool:
    """Whether a PNG may have transparent pixels: by an alpha channel, a palette, or one colour."""
    return content[25:26] in (b"\x04", b"\x06") or b"tRNS" in content


def is_transparent_webp(content: bytes) -> bool:
    """Whether a WebP says that it has an alpha channel: extended, or lossless alone."""
    place = {b"VP8X": 20, b"VP8L": 24}.get(content[12:16])
    return place is not None and bool(int.from_bytes(content[place : place + 1], "little") & 0x10)


def to_png(photo: NDArray[np.uint8]) -> bytes:
    """RGB, uint8 (H, W, 3), as a PNG, quickly rather than small."""
    _, content = cv2.imencode(".png", photo[..., ::-1], FAST)
    return content.tobytes()
