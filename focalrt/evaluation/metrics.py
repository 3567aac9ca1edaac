"""How good a mask is (SPEC section 6). Ignored pixels count in nothing."""

from __future__ import annotations

import cv2
import numpy as np

from .sample import Mask, Truth

BAND = 0.02  # width of the boundary band, in diagonals of the image


def iou(mask: Mask, truth: Truth) -> float:
    """Intersection over union with the object; 1 where both are empty. mask: bool (H, W). truth: int8 (H, W)."""
    return overlap(mask, truth == 1, truth >= 0)


def boundary_iou(mask: Mask, truth: Truth) -> float:
    """Intersection over union of the inner bands along both rims, 2 % of the image's diagonal wide, at least a pixel.

    Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021.
    """
    width = max(1, round(BAND * float(np.hypot(*mask.shape))))
    return overlap(band(mask, width), band(truth == 1, width), truth >= 0)


def harm(before: Mask, after: Mask, truth: Truth) -> int:
    """Number of pixels that were right before a click and are wrong after it."""
    right = truth == 1
    return int(np.count_nonzero((before != after) & (before == right) & (truth >= 0)))


def overlap(first: Mask, second: Mask, known: Mask) -> float:
    """Intersection over union of two sets of pixels, of those known; 1 where both are empty."""
    union = np.count_nonzero((first | second) & known)
    return np.count_nonzero(first & second & known) / union if union else 1.0


def band(mask: Mask, width: int) -> Mask:
    """The pixels of a mask from which a square of half side ``width`` reaches outside it, or outside the image."""
    side = 2 * width + 1
    square = np.ones((side, side), np.uint8)
    core = cv2.erode(mask.astype(np.uint8), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    inner: Mask = mask & (core == 0)
    return inner
