"""Seeded random parameters by the names and shapes of a variant's networks; no file is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalrt.graphs import plain


def random_parameters(variant: str, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Float32 arrays that keep activations in range and every part of the networks at work, dead parts included."""
    rng = np.random.default_rng(seed)
    return {name: draw(rng, name, shape) for name, shape in plain.expected(variant).items()}


def draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """One array; layers keep their input's size, norms lie about the identity."""
    if len(shape) > 1:
        values = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    elif name.endswith(".scale"):
        values = np.full(shape, -0.37)  # its absolute value counts
    elif name.endswith("running_var"):
        values = rng.uniform(1.0, 3.0, shape)
    elif name.endswith(".weight"):
        values = rng.uniform(0.6, 1.4, shape)
    else:
        values = rng.standard_normal(shape) * 0.1
    return values.astype(np.float32)
