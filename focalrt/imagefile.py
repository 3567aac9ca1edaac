"""Photos and masks in files."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import ImageFileError

LOSSLESS = (".png", ".tif", ".tiff", ".bmp")
ENDINGS = (*LOSSLESS, ".jpg", ".jpeg", ".webp")  # of what is written; OpenCV has more, which lose pixels or are rare


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """A photo as RGB, uint8 (H, W, 3), upright by its EXIF orientation; grey, alpha and 16 bits are converted.

    Raises OSError where the file cannot be read, ImageFileError where it is no image.
    """
    return to_image(Path(path).read_bytes(), repr(os.fspath(path)))


def read_mask(path: str | os.PathLike[str]) -> NDArray[np.bool_]:
    """A mask as bool (H, W): object is what is brighter than half of the brightest pixel (0/1, 0/255, soft edges).

    Of 8 or 16 bits, grey, or colours, of which their brightness counts.
    Raises OSError where the file cannot be read, ImageFileError where it is no image.
    """
    return to_mask(Path(path).read_bytes(), repr(os.fspath(path)))


def to_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """What :func:`read_image` returns, of a file's content; ``name`` is for the message of an ImageFileError."""
    return np.ascontiguousarray(decode(content, cv2.IMREAD_COLOR, name)[..., ::-1])


def to_mask(content: bytes, name: str) -> NDArray[np.bool_]:
    """What :func:`read_mask` returns, of a file's content; ``name`` is for the message of an ImageFileError."""
    grey = decode(content, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH, name)  # else the low byte of 16 bits is lost
    mask: NDArray[np.bool_] = grey > grey.max() / 2
    return mask


def decode(content: bytes, mode: int, name: str) -> NDArray[Any]:
    """The pixels of an image file's content by OpenCV, which turns them upright. Raises ImageFileError."""
    encoded = np.frombuffer(content, np.uint8)
    try:
        pixels: Any = cv2.imdecode(encoded, mode) if len(encoded) else None
    except cv2.error:  # more pixels than OpenCV accepts
        pixels = None
    if pixels is None:
        raise ImageFileError(f"{name} is not an image that OpenCV can decode (JPEG, PNG, TIFF, WebP, BMP)")
    decoded: NDArray[Any] = pixels
    return decoded


def check_destination(path: str | os.PathLike[str]) -> None:
    """Raises what :func:`write_image` would, before there is anything to write: OSError, ImageFileError.

    Not what the size decides: a JPEG takes up to 65500 rows or columns, a WebP 16383.
    """
    target = Path(path)
    check_folder(target)
    ending_of(target)


def ending_of(target: Path) -> str:
    """Which of ``ENDINGS`` a file's name has, in any case. Raises ImageFileError.

    OpenCV gets this and never the name: half a surrogate pair, which stands for a byte that is no text, crashes it.
    """
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        raise ImageFileError(f"{str(target)!r}: expected a name that ends in {', '.join(ENDINGS)}; take .png")
    return ending


def check_folder(target: Path) -> None:
    """Raises FileNotFoundError where there is no folder for a file."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {str(target.parent)!r} to write {target.name!r} into")


def write_image(path: str | os.PathLike[str], pixels: NDArray[np.uint8]) -> None:
    """Writes grey (H, W) or RGB (H, W, 3) in the format that the file's name tells, whole or not at all.

    Raises OSError where that cannot be done, ImageFileError for a name that ends in none of ``ENDINGS`` and for more
    rows or columns than the format takes: 65500 of a JPEG, 16383 of a WebP.
    """
    check_destination(path)
    target = Path(path)
    write_whole(target, encode(pixels, ending_of(target), repr(os.fspath(path))))


def encode(pixels: NDArray[np.uint8], ending: str, name: str) -> bytes:
    """An image file's content by OpenCV; ``name`` is for the message of an ImageFileError."""
    try:
        done, content = cv2.imencode(ending, pixels if pixels.ndim == 2 else pixels[..., ::-1])
    except cv2.error:  # some versions raise where others return False
        done = False
    if not done:
        height, width = pixels.shape[:2]
        raise ImageFileError(
            f"{name}: OpenCV cannot write {width} x {height} pixels as {ending} (JPEG takes sides of up to 65500, "
            "WebP 16383); take .png"
        )
    encoded: bytes = content.tobytes()
    return encoded


def write_whole(target: Path, content: bytes) -> None:
    """Writes a file that appears whole or stays as it was, with the access rights of any new file. Raises OSError."""
    check_folder(target)
    begin = target.name.encode(errors="ignore")[:100].decode(errors="ignore")  # file systems count bytes
    part = target.with_name(f".{begin}.{token_hex(8)}")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # before the name points to it: a power cut loses neither
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
