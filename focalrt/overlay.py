"""A mask and its clicks drawn over the photo."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import Click

OBJECT = (0, 122, 255)  # RGB
POSITIVE, NEGATIVE = (46, 204, 64), (255, 65, 54)


def draw(image: NDArray[np.uint8], mask: NDArray[np.bool_], clicks: Iterable[Click] = ()) -> NDArray[np.uint8]:
    """The photo with the mask tinted and outlined and each click as a dot, green on the object and red off it.

    image: RGB, uint8 (H, W, 3). mask: bool (H, W). Returns a new uint8 (H, W, 3).
    """
    size = max(image.shape[:2])
    seen: NDArray[np.uint8] = image.copy()
    seen[mask] = (0.55 * image[mask] + 0.45 * np.array(OBJECT)).astype(np.uint8)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(seen, outlines, -1, OBJECT, max(1, size // 400), cv2.LINE_AA)
    radius = max(3, size // 80)
    for click in clicks:
        place = (click.column, click.row)
        cv2.circle(seen, place, radius + max(1, radius // 3), (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(seen, place, radius, POSITIVE if click.positive else NEGATIVE, -1, cv2.LINE_AA)
    return seen
