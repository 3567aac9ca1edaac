"""Trained parameters -> the two ONNX models of a variant.

Parameters are arrays by name, with the names and shapes of published FocalClick checkpoints: one mapping
fills both networks. Needs ``onnx`` (the ``convert`` extra); nothing that runs a model imports this package.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from ..errors import ParameterError
from . import hrnet
from .hrnet import HRNet
from .parameters import Parameters, Shape, Source, check
from .refiner import refiner as refiner_graph

__all__ = ["VARIANTS", "Variant", "expected", "refiner", "segmentor"]


class Variant(NamedTuple):
    """A Segmentor and the side of its input: 128 (S1) or 256 (S2)."""

    net: HRNet
    side: int


HRNET18S = HRNet(width=18, blocks=2, modules=(1, 3, 2), keys=48)
VARIANTS = {
    "hrnet18s-s1": Variant(HRNET18S, 128),
    "hrnet18s-s2": Variant(HRNET18S, 256),
}


def segmentor(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """The Segmentor (SPEC sections 1 and 8). Raises ParameterError.

    image: RGB in [0, 1], (1, 3, S, S). maps: previous mask, positive and negative disks, (1, 3, S, S).
    -> logits (1, 1, 256, 256), and context (1, 32, S/4, S/4), which the Refiner takes after RoIAlign.
    """
    net, side = known(variant)
    return hrnet.segmentor(checked(parameters, variant), net, side)


def refiner(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """The Refiner (SPEC section 3), on the focus box. Raises ParameterError.

    image: RGB in [0, 1], (1, 3, 256, 256). disks: positive and negative, (1, 2, 256, 256). context
    (1, 32, S/4, S/4) and logits (1, 1, 256, 256): the Segmentor's, RoIAligned.
    -> refined and boundary logits, (1, 1, 256, 256) each.
    """
    return refiner_graph(checked(parameters, variant), known(variant).side)


def expected(variant: str) -> dict[str, Shape]:
    """Name and shape of every parameter that the two networks use. Raises ParameterError."""
    known(variant)
    return dict(asked_for(variant))


def known(variant: str) -> Variant:
    """The variant of that name."""
    if variant not in VARIANTS:
        raise ParameterError(f"unknown variant {variant!r}; known: {', '.join(VARIANTS)}")
    return VARIANTS[variant]


@cache
def asked_for(variant: str) -> dict[str, Shape]:
    """What both networks ask for while they are built: names and shapes are written in one place only."""
    shapes: dict[str, Shape] = {}

    def record(name: str, shape: Shape) -> NDArray[np.float64]:
        shapes[name] = shape
        return np.zeros(shape)

    net, side = known(variant)
    hrnet.segmentor(record, net, side)
    refiner_graph(record, side)
    return shapes


def checked(parameters: Parameters, variant: str) -> Source:
    """The parameters as a network asks for them, once they are known to fit."""
    arrays: dict[str, NDArray[Any]] = {name: np.asarray(array) for name, array in parameters.items()}
    check(arrays, expected(variant), variant)
    return lambda name, shape: arrays[name].astype(np.float64)
