"""What the networks' own probabilities say of a mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def expected_iou(probability: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """The expected intersection of mask and object over their expected union, each pixel on its own; in [0, 1].

    probability: float32 (H, W), of object. mask: bool (H, W). 0 for an empty mask. Not calibrated, a lead at best: on
    80 photos of DAVIS and ECSSD its correlation with the true IoU, after one click or after five, was 0.29.
    """
    inside = float(probability[mask].sum(dtype=np.float64))
    union = float(mask.sum()) + float(probability.sum(dtype=np.float64)) - inside
    return inside / union if union else 0.0
