"""Trained parameters -> the two ONNX models of a variant.

Parameters are arrays by name, with the names and shapes of published FocalClick checkpoints: one mapping
fills both networks. Needs ``onnx`` (the ``convert`` extra); nothing that runs a model imports this package.
"""

from __future__ import annotations

from functools import lru_cache

import onnx

from .builder import Graph
from .parameters import Parameters, Shape, Source, asked_for
from .refiner import refiner as write_refiner
from .segmentor import Backbone
from .segmentor import segmentor as write_segmentor
from .variants import SIDES, VARIANTS, Variant, filled, known, variant_of

__all__ = ["VARIANTS", "Variant", "expected", "refiner", "segmentor", "variant_of"]


def segmentor(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """The Segmentor (SPEC sections 1, 2 and 8). Raises ParameterError.

    image: RGB in [0, 1], (1, 3, S, S). maps: previous mask, positive and negative disks, (1, 3, S, S).
    -> logits (1, 1, 256, 256), and context (1, 32, S/4, S/4), which the Refiner takes after RoIAlign.
    """
    net, side, source = filled(parameters, variant, both_ask_for)
    g = Graph("segmentor", source)
    write_segmentor(g, net, side)
    return g.model()


def refiner(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """The Refiner (SPEC section 3), on the focus box. Raises ParameterError.

    image: RGB in [0, 1], (1, 3, 256, 256). disks: positive and negative, (1, 2, 256, 256). context
    (1, 32, S/4, S/4) and logits (1, 1, 256, 256): the Segmentor's, RoIAligned.
    -> refined and boundary logits, (1, 1, 256, 256) each.
    """
    _, side, source = filled(parameters, variant, both_ask_for)
    g = Graph("refiner", source)
    write_refiner(g, side)
    return g.model()


def expected(variant: str) -> dict[str, Shape]:
    """Name and shape of every parameter that the two networks use. Raises ParameterError."""
    return dict(both_ask_for(known(variant).net))


@lru_cache(maxsize=16)
def both_ask_for(net: Backbone) -> dict[str, Shape]:
    """What both networks ask for while they are written; no shape hangs on the side."""

    def write(source: Source) -> None:
        write_segmentor(Graph("segmentor", source), net, SIDES["s1"])
        write_refiner(Graph("refiner", source), SIDES["s1"])

    return asked_for(write)
