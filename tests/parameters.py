"""Seeded random parameters by the names and shapes that a variant's networks expect; no file is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalrt import graphs

HEADS = ("cls_head.weight", "aux_head.3.weight", "refine_pred.weight", "refine_trimap.weight")


def random_parameters(variant: str, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Float32 arrays that keep activations in range and every part of the networks at work."""
    rng = np.random.default_rng(seed)
    return {name: draw(rng, name, shape) for name, shape in graphs.expected(variant).items()}


def draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One array; kernels are He-scaled, norms lie about the identity, heads are small."""
    if len(shape) == 4:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        values *= 0.1 if name.endswith(HEADS) else 1.0
    elif name.endswith(".scale"):
        values = np.full(shape, -0.37)  # its absolute value counts
    elif name.endswith("running_var"):
        values = rng.uniform(1.0, 3.0, shape)
    elif name.endswith(".weight"):
        values = rng.uniform(0.6, 1.4, shape)
    else:
        values = rng.standard_normal(shape) * 0.1
    return values.astype(np.float32)
