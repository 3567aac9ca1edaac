"""SegFormer as a Segmentor (SPEC section 2): its decoder by the exact shortcuts of section 8.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", 2021 (arXiv
2105.15203), section 3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from .attention import attention
from .builder import Graph, Value
from .interpolation import half_pixel
from .mit import FIRST_PATCH, NET, embed, levels, mix_ffn, normed_tokens
from .parameters import Convolution, Linear, Parameters
from .segmentor import of_centred

DECODER = "feature_extractor.decode_head"
FUSION = f"{DECODER}.linear_fuse"


@dataclass(frozen=True)
class SegFormer:
    """Widths of the stages, blocks in them, and the decoder's width e."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    channels: int

    prediction = f"{DECODER}.linear_pred"
    unused = ("maps_transform.", "refiner.feature_gate.")  # the clicks have a patch embedding of their own; no gate

    def coarse(self, g: Graph, image: Value, maps: Value, heads: Convolution, name: str) -> Value:
        """Centred image and maps (1, 3, S, S) -> the heads' outputs (1, .., S/4, S/4)."""
        (kernel, stride), width = FIRST_PATCH, self.widths[0]
        patches = f"{NET}.patch_embed1"
        first = of_centred(g.learnt(f"{patches}.proj", width, 3, kernel, bias=True))
        x = normed_tokens(g, g.apply(first, image, f"{patches}.proj", stride), patches)
        clicks = embed(g, maps, f"{NET}.patch_embed_side1", width, kernel, stride)
        found = levels(g, x, clicks, self, attention, mix_ffn)
        feature = decoded(g, found, self.channels)
        both = g.project_to_channels(heads.pointwise(), feature, f"{name}.rows")
        side = math.isqrt(feature.shape[0])
        return g.reshape(both, (1, both.shape[0], side, side), name)

    def fitted(self, parameters: Parameters) -> SegFormer:
        """With the decoder's width that the parameters have: a size's name does not tell it."""
        shape = np.shape(parameters.get(f"{FUSION}.conv.weight", ()))
        fits = len(shape) == 4 and shape[0] > 0 and shape == (shape[0], 4 * shape[0], 1, 1)
        return replace(self, channels=shape[0]) if fits else self


def read(parameters: Parameters) -> SegFormer:
    """The net that these parameters belong to. Raises KeyError where they are of another family."""
    stages = range(1, 5)
    widths = tuple(len(parameters[f"{NET}.patch_embed{stage}.proj.weight"]) for stage in stages)
    prefixes = [f"{NET}.block{stage}." for stage in stages]
    depths = tuple(len({n[len(p) :].split(".")[0] for n in parameters if n.startswith(p)}) for p in prefixes)
    net = SegFormer(widths, depths, len(parameters[f"{FUSION}.conv.weight"]))
    return net.fitted(parameters)


def decoded(g: Graph, found: list[Value], channels: int) -> Value:
    """The levels -> the feature, tokens (S/4 x S/4, e).

    Each level's linear layer and its share of the fusing one are one matrix, applied at the level's own size; the
    results are grown, first their rows, then the columns of all at once, and summed.
    """
    fine, *coarse = shares(g, [level.shape[1] for level in found], channels)
    side = math.isqrt(found[0].shape[0])
    rows, columns = [], []
    for number, (share, level) in enumerate(zip(coarse, found[1:], strict=True), start=2):
        name, n = f"{DECODER}.linear_c{number}", math.isqrt(level.shape[0])
        grow = half_pixel(n, side)
        small = g.reshape(g.project(share, level, name), (n, n * channels), f"{name}.map")
        tall = g.matmul(g.fixed(f"rows.{n}", grow), small, f"{name}.rows")
        rows.append(g.reshape(tall, (side, n, channels), f"{name}.tall"))
        columns.append(grow)
    stacked = g.concat(rows, f"{DECODER}.rows")
    grown = g.matmul(g.fixed("columns", np.concatenate(columns, axis=1)), stacked, f"{DECODER}.grown")
    coarser = g.reshape(grown, (side * side, channels), f"{DECODER}.coarser")
    return g.relu(g.add(g.project(fine, found[0], f"{DECODER}.linear_c1"), coarser, FUSION))


def shares(g: Graph, widths: list[int], channels: int) -> list[Linear]:
    """What each level, from the finest, adds to the feature; all biases are with the finest.

    Weights of bilinear sampling sum to 1, so a bias passes through it.
    """
    fuse = g.learnt(f"{FUSION}.conv", channels, 4 * channels, norm=f"{FUSION}.bn")
    parts = [part.pointwise() for part in fuse.split([channels] * 4)][::-1]  # the checkpoint's begin with the coarsest
    layers = [g.linear(f"{DECODER}.linear_c{number}.proj", channels, width) for number, width in enumerate(widths, 1)]
    fine, *coarse = (part.of(layer) for part, layer in zip(parts, layers, strict=True))
    return [fine.shifted(np.sum([share.bias for share in coarse], axis=0)), *(share.unbiased() for share in coarse)]
