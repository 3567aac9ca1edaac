"""The Mix Transformer (MiT), SegFormer's encoder, with clicks (SPEC section 2).

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", 2021 (arXiv
2105.15203), section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeAlias

from .builder import Graph, Value

NET = "feature_extractor.backbone"
HEADS, REDUCTIONS = (1, 2, 5, 8), (8, 4, 2, 1)
RATIO = 4  # of the feed-forward part's inner width
EPSILON, PATCH_EPSILON = 1e-6, 1e-5
FIRST_PATCH, PATCH = (7, 4), (3, 2)  # kernel and stride of patch embeddings

Attention: TypeAlias = Callable[[Graph, Value, str, int, int], Value]
"""Tokens, the module's name, heads, reduction -> tokens."""
FeedForward: TypeAlias = Callable[[Graph, Value, str], Value]
"""Tokens, the module's name -> tokens."""


class Encoder(Protocol):
    """What tells one MiT from another."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the stages."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of the stages."""


def levels(
    g: Graph, x: Value, maps: Value, encoder: Encoder, attend: Attention, mix: FeedForward
) -> list[Value]:
    """Embedded image and maps, tokens (S/4 x S/4, w1) each -> four levels of tokens, sides S/4, S/8, S/16, S/32.

    The maps join on the way from the first stage to the second; the first level is without them.
    """
    found: list[Value] = []
    for number, (depth, width) in enumerate(zip(encoder.depths, encoder.widths, strict=True), start=1):
        if found:
            before = g.add(found[0], maps, "clicks.added") if number == 2 else found[-1]
            x = embed(g, to_map(g, before), f"{NET}.patch_embed{number}", width, *PATCH)
        for index in range(depth):
            x = block(g, x, f"{NET}.block{number}.{index}", number, attend, mix)
        found.append(g.layer_norm(x, f"{NET}.norm{number}", EPSILON))
    return found


def embed(g: Graph, x: Value, name: str, width: int, kernel: int, stride: int) -> Value:
    """A map -> tokens of overlapping patches."""
    return normed_tokens(g, g.conv(x, f"{name}.proj", width, kernel, stride, bias=True), name)


def normed_tokens(g: Graph, x: Value, name: str) -> Value:
    """The end of the patch embedding ``name``: the convolution's output (1, c, n, n) -> tokens (n n, c)."""
    return g.layer_norm(to_tokens(g, x), f"{name}.norm", PATCH_EPSILON)


def block(g: Graph, x: Value, name: str, stage: int, attend: Attention, mix: FeedForward) -> Value:
    """Attention, then the feed-forward part, each added to what it read normalised."""
    heads, reduction = HEADS[stage - 1], REDUCTIONS[stage - 1]
    normed = g.layer_norm(x, f"{name}.norm1", EPSILON)
    x = g.add(x, attend(g, normed, f"{name}.attn", heads, reduction), f"{name}.attended")
    normed = g.layer_norm(x, f"{name}.norm2", EPSILON)
    return g.add(x, mix(g, normed, f"{name}.mlp"), name)


def mix_ffn(g: Graph, x: Value, name: str) -> Value:
    """Tokens (n, d) -> (n, d): linear, 3x3 depthwise, GELU, linear; both products transpose for nothing."""
    (n, width), inner, side = x.shape, RATIO * x.shape[1], math.isqrt(x.shape[0])
    channels = g.project_to_channels(g.linear(f"{name}.fc1", inner, width), x, f"{name}.fc1")
    plane = g.reshape(channels, (1, inner, side, side), f"{name}.fc1.map")
    depthwise = g.conv(plane, f"{name}.dwconv.dwconv", inner, 3, groups=inner, bias=True)
    active = g.gelu(g.reshape(depthwise, (inner, n), f"{name}.channels"))
    return g.project_from_channels(g.linear(f"{name}.fc2", width, inner), active, f"{name}.fc2")


def to_map(g: Graph, x: Value) -> Value:
    """Tokens (n n, c) -> (1, c, n, n)."""
    side = math.isqrt(x.shape[0])
    channels = g.transpose(x, (1, 0), f"{x.name}.channels")
    return g.reshape(channels, (1, x.shape[1], side, side), f"{x.name}.map")


def to_tokens(g: Graph, x: Value) -> Value:
    """A map (1, c, n, n) -> tokens (n n, c)."""
    channels = g.reshape(x, (x.shape[1], x.shape[2] * x.shape[3]), f"{x.name}.flat")
    return g.transpose(channels, (1, 0), f"{x.name}.tokens")
