"""How good a mask is (SPEC section 6). Ignored pixels count as right, or in nothing."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .sample import Mask, Truth

BAND = 0.02  # width of the boundary band, in diagonals of the image


def iou(mask: Mask, truth: Truth) -> float:
    """Intersection over union with the object; 1 where both are empty. mask: bool (H, W). truth: int8 (H, W)."""
    return overlap(mask, truth == 1, truth >= 0)


def boundary_iou(mask: Mask, truth: Truth) -> float:
    """Intersection over union of the inner bands along both rims, 2 % of the image's diagonal wide, at least a pixel.

    Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR 2021. Where the truth is
    ignored, the mask counts as right: along an unsure rim, as of GrabCut and VOC, the object ends where the mask does,
    and not at the rim's inner edge. Ignored pixels count as far as a band's width from the object, so that a rim is all
    there and a mask gains nothing by what it fills further off.
    """
    width = max(1, round(BAND * float(np.hypot(*mask.shape))))
    sure, ignored = truth == 1, truth < 0
    near = cv2.dilate(sure.astype(np.uint8), square(width)) > 0
    return overlap(band(mask, width), band(sure | (mask & ignored), width), ~ignored | near)


def harm(before: Mask, after: Mask, truth: Truth) -> int:
    """Number of pixels that were right before a click and are wrong after it."""
    right = truth == 1
    return int(np.count_nonzero((before != after) & (before == right) & (truth >= 0)))


def overlap(first: Mask, second: Mask, counted: Mask) -> float:
    """Intersection over union of two sets of pixels, of those that count; 1 where both are empty."""
    union = np.count_nonzero((first | second) & counted)
    return np.count_nonzero(first & second & counted) / union if union else 1.0


def band(mask: Mask, width: int) -> Mask:
    """The pixels of a mask from which a square of half side ``width`` reaches outside it, or outside the image."""
    core = cv2.erode(mask.astype(np.uint8), square(width), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    inner: Mask = mask & (core == 0)
    return inner


def square(width: int) -> NDArray[np.uint8]:
    """All pixels so far from one in both directions, itself included."""
    return np.ones((2 * width + 1, 2 * width + 1), np.uint8)
