"""Trained parameters -> the ONNX models of a variant.

Parameters are arrays by name, with the names and shapes of published checkpoints: one mapping fills all of a variant's
networks. Needs ``onnx`` (the ``convert`` extra); nothing that runs a model imports this package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import onnx

from ..errors import ParameterError
from .builder import Graph
from .parameters import Parameters, Shape, Source, asked_for
from .refiner import refiner as write_refiner
from .segmentor import Backbone
from .segmentor import alone as write_alone
from .segmentor import segmentor as write_segmentor
from .variants import FOCALCLICK, RITM, VARIANTS, Variant, filled, known, variant_of

__all__ = ["VARIANTS", "Variant", "expected", "networks", "refiner", "segmentor", "variant_of"]

Writer: TypeAlias = Callable[[Graph, Backbone, int], None]
"""Writes a network around a backbone, for an input of that side."""

WRITERS: dict[str, dict[str, Writer]] = {
    FOCALCLICK: {"segmentor": write_segmentor, "refiner": lambda g, _, side: write_refiner(g, side)},
    RITM: {"segmentor": write_alone},
}
ANY_SIDE = 128  # no parameter's shape hangs on the side


def networks(parameters: Parameters, variant: str) -> dict[str, onnx.ModelProto]:
    """Every network of the variant, by name: :func:`segmentor` and, for FocalClick's, :func:`refiner`.

    Raises ParameterError.
    """
    return {name: written(parameters, variant, name) for name in WRITERS[known(variant).method]}


def segmentor(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """The Segmentor (SPEC sections 1, 2 and 8). Raises ParameterError.

    image: RGB in [0, 1], (1, 3, S, S). maps: previous mask, positive and negative disks, (1, 3, S, S).
    -> logits (1, 1, 256, 256), and context (1, 32, S/4, S/4), which the Refiner takes after RoIAlign. RITM's, which no
    Refiner follows -> logits (1, 1, S/4, S/4).
    """
    return written(parameters, variant, "segmentor")


def refiner(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """The Refiner (SPEC section 3), on the focus box. Raises ParameterError.

    image: RGB in [0, 1], (1, 3, 256, 256). disks: positive and negative, (1, 2, 256, 256). context
    (1, 32, S/4, S/4) and logits (1, 1, 256, 256): the Segmentor's, RoIAligned.
    -> refined and boundary logits, (1, 1, 256, 256) each.
    """
    return written(parameters, variant, "refiner")


def written(parameters: Parameters, variant: str, name: str) -> onnx.ModelProto:
    """One network of the variant. Raises ParameterError."""
    (net, side, _, method), source = filled(parameters, variant, asks)
    if name not in WRITERS[method]:
        raise ParameterError(f"{variant} has no {name}: the networks of {method} are {', '.join(WRITERS[method])}")
    g = Graph(name, source)
    WRITERS[method][name](g, net, side)
    return g.model()


def expected(variant: str) -> dict[str, Shape]:
    """Name and shape of every parameter that the variant's networks use. Raises ParameterError."""
    net, _, _, method = known(variant)
    return dict(asks(method, net))


@lru_cache(maxsize=16)
def asks(method: str, net: Backbone) -> dict[str, Shape]:
    """What the networks ask for while they are written."""

    def write(source: Source) -> None:
        for name, writer in WRITERS[method].items():
            writer(Graph(name, source), net, ANY_SIDE)

    return asked_for(write)
