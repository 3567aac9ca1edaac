"""The Segmentor's frame: what is the same around every backbone (SPEC sections 1, 2 and 8)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..geometry import GRID
from .builder import Graph, Value
from .parameters import Convolution

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
CONTEXT = 32  # channels of the context, and of the Refiner throughout


class Backbone(Protocol):
    """From the image and the maps to what one linear layer reads from the feature."""

    @property
    def channels(self) -> int:
        """Of the feature."""

    @property
    def prediction(self) -> str:
        """The 1x1 convolution from the feature to the logits, in a checkpoint's names."""

    @property
    def unused(self) -> tuple[str, ...]:
        """Parts of the names of what published checkpoints hold though no output depends on it (SPEC section 8)."""

    def coarse(self, g: Graph, image: Value, maps: Value, heads: Convolution, name: str) -> Value:
        """Centred image (less MEAN, not yet over STD) and maps (1, 3, S, S) -> heads' outputs, of side S/4."""


def segmentor(g: Graph, net: Backbone, side: int) -> None:
    """Image, maps (1, 3, side, side) -> logits (1, 1, 256, 256), context (1, 32, side/4, side/4)."""
    image, maps = inputs(g, side)
    both = net.coarse(g, image, maps, heads(g, net), "heads")
    logits, context = g.split(both, {"logits.small": 1, "context": CONTEXT})
    g.output(g.resize(logits, GRID, "logits"))
    g.output(context)


def alone(g: Graph, net: Backbone, side: int) -> None:
    """Image, maps (1, 3, side, side) -> logits (1, 1, side/4, side/4): the Segmentor of a method without a Refiner.

    Whoever makes the mask enlarges the logits; a sixteenth of the numbers is enough to keep.
    """
    image, maps = inputs(g, side)
    g.output(net.coarse(g, image, maps, prediction(g, net), "logits"))


def inputs(g: Graph, side: int) -> tuple[Value, Value]:
    """The centred image and the maps, (1, 3, side, side) each.

    The border is padded with zeros after normalisation: with that, only the division by STD commutes.
    """
    image, maps = g.input("image", (1, 3, side, side)), g.input("maps", (1, 3, side, side))
    mean = g.fixed("mean", MEAN[:, None, None])
    return g.node("Sub", [image, mean], "image.centred", image.shape), maps


def of_centred(convolution: Convolution) -> Convolution:
    """A convolution of the normalised image, as one of the centred image: the division by STD is in its weights."""
    return convolution.of_scaled(1 / STD)


def prediction(g: Graph, net: Backbone) -> Convolution:
    """The logits' layer."""
    return g.learnt(net.prediction, 1, net.channels, bias=True)


def heads(g: Graph, net: Backbone) -> Convolution:
    """The logits' layer beside the Refiner's first layer of the feature, which is computed before RoIAlign.

    RoIAlign is linear and its weights sum to 1, so the projection and its normalisation commute with it; the ReLU that
    follows does not, and stays in the Refiner.
    """
    name = "refiner.refine_fusion"
    projection = g.learnt(f"{name}.conv", CONTEXT, net.channels, bias=True, norm=f"{name}.norm")
    return prediction(g, net).beside(projection)
