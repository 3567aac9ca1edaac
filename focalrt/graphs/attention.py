"""Self-attention whose keys and values come from a smaller map (SPEC section 2), by exact shortcuts.

Xie et al., "SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers", 2021 (arXiv
2105.15203), section 3.1.
"""

from __future__ import annotations

import math

from .builder import Graph, Value
from .parameters import Linear

REDUCED_EPSILON = 1e-5


def attention(g: Graph, x: Value, name: str, heads: int, reduction: int) -> Value:
    """Tokens (n, d) -> (n, d): softmax(q kT / sqrt(d / heads)) v, keys and values of a smaller map.

    That map's side is ``reduction`` times smaller.
    """
    n, d = x.shape
    small = reduced(g, x, name, reduction)
    to_query, to_key, to_value, last = layers(g, name, d, heads)
    query = by_head(g, g.project(to_query, x, f"{name}.q"), heads)
    key = g.project_to_channels(to_key, small, f"{name}.k")
    value = by_head(g, g.project(to_value, small, f"{name}.v"), heads)
    transposed = g.reshape(key, (heads, d // heads, small.shape[0]), f"{name}.k.by_head")
    weights = g.softmax(g.matmul(query, transposed, f"{name}.scores"))
    mixed = g.transpose(g.matmul(weights, value, f"{name}.mixed"), (1, 0, 2), f"{name}.joined")
    return g.project(last, g.reshape(mixed, (n, d), f"{name}.rows"), f"{name}.proj")


def layers(g: Graph, name: str, d: int, heads: int) -> tuple[Linear, Linear, Linear, Linear]:
    """Queries, keys, values, and the layer after the product with the values.

    The scale is in q. k's bias adds the same to all scores of a query: softmax does not see it. The weights sum to 1,
    so v's bias passes through them unchanged and is in the last layer's.
    """
    query, (key, value) = g.linear(f"{name}.q", d, d), g.linear(f"{name}.kv", 2 * d, d).halves()
    last = g.linear(f"{name}.proj", d, d).of_shifted(value.bias)
    return query.scaled((d // heads) ** -0.5), key.unbiased(), value.unbiased(), last


def reduced(g: Graph, x: Value, name: str, reduction: int) -> Value:
    """Tokens (n, d) -> (n / reduction^2, d): the convolution's stride is its kernel's side, so it is one product of
    patches side by side.
    """
    if reduction == 1:
        return x
    n, d = x.shape
    side = math.isqrt(n) // reduction
    rows = g.reshape(x, (side, reduction, side, reduction * d), f"{name}.sr.rows")
    blocks = g.transpose(rows, (0, 2, 1, 3), f"{name}.sr.blocks")
    patches = g.reshape(blocks, (side * side, reduction * reduction * d), f"{name}.sr.patches")
    kernel = g.learnt(f"{name}.sr", d, d, reduction, bias=True)
    flat = Linear(kernel.weight.transpose(0, 2, 3, 1).reshape(d, -1), kernel.bias)
    return g.layer_norm(g.project(flat, patches, f"{name}.sr"), f"{name}.norm", REDUCED_EPSILON)


def by_head(g: Graph, x: Value, heads: int, axes: tuple[int, ...] = (1, 0, 2)) -> Value:
    """Tokens (n, d) as (n, heads, d / heads), in another order of the axes: (heads, n, d / heads)."""
    n, d = x.shape
    split = g.reshape(x, (n, heads, d // heads), f"{x.name}.split")
    return g.transpose(split, axes, f"{x.name}.by_head")
