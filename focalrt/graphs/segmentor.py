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

    def coarse(self, g: Graph, image: Value, maps: Value, heads: Convolution) -> Value:
        """Centred image (less MEAN, not yet over STD) and maps (1, 3, S, S) -> heads' outputs, of side S/4."""


def segmentor(g: Graph, net: Backbone, side: int) -> None:
    """Image, maps (1, 3, side, side) -> logits (1, 1, 256, 256), context (1, 32, side/4, side/4)."""
    image, maps = g.input("image", (1, 3, side, side)), g.input("maps", (1, 3, side, side))
    # The border is padded with zeros after normalisation: with that, only the division by STD commutes.
    mean = g.fixed("mean", MEAN[:, None, None])
    centred = g.node("Sub", [image, mean], "image.centred", image.shape)
    both = net.coarse(g, centred, maps, heads(g, net))
    logits, context = g.split(both, {"logits.small": 1, "context": CONTEXT})
    g.output(g.resize(logits, GRID, "logits"))
    g.output(context)


def heads(g: Graph, net: Backbone) -> Convolution:
    """The logits' layer beside the Refiner's first layer of the feature, which is computed before RoIAlign.

    RoIAlign is linear and its weights sum to 1, so the projection and its normalisation commute with it; the ReLU that
    follows does not, and stays in the Refiner.
    """
    prediction = g.learnt(net.prediction, 1, net.channels, bias=True)
    name = "refiner.refine_fusion"
    projection = g.learnt(f"{name}.conv", CONTEXT, net.channels, bias=True, norm=f"{name}.norm")
    return prediction.beside(projection)
