"""SAM's low-resolution logits: over a square of 1024 that an image fills from the top left, its longer side whole."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 1024  # of the square
LOW = 256  # side of its logits


def fitted_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of an image once its longer side is 1024, rounded as SAM does."""
    scale = SIDE / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def over_image(logits: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Logits (256, 256) read over the image, float32 (height, width), by SAM's two bilinear steps; object above 0."""
    square = cv2.resize(logits, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    down, across = fitted_size(height, width)
    pixels = cv2.resize(square[:down, :across], (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(pixels, np.float32)
