"""The object-contextual head of HRNet, by the exact shortcuts of SPEC section 8.

Yuan et al., "Object-Contextual Representations for Semantic Segmentation", 2020 (arXiv 1909.11065).
"""

from __future__ import annotations

import numpy as np

from .builder import Graph, Value
from .interpolation import align_corners, shifted
from .parameters import Convolution

NET = "feature_extractor"
CONTEXT = f"{NET}.ocr_distri_head.object_context_block"
FUSION = f"{NET}.ocr_distri_head.conv_bn_dropout"


def feature(g: Graph, xs: list[Value], keys: int) -> Value:
    """The branches, sides n, n/2, n/4, n/8, -> the feature (1, 2k, n, n)."""
    width, merged, wide = 2 * keys, sum(x.shape[1] for x in xs), widened(g, xs)
    ocr, aux = f"{NET}.conv3x3_ocr", f"{NET}.aux_head"
    of_ocr = g.learnt(f"{ocr}.0", width, merged, 3, bias=True, norm=f"{ocr}.1")
    of_aux = g.learnt(f"{aux}.0", merged, merged, bias=True, norm=f"{aux}.1")
    x = g.relu(of_merged(g, of_ocr, wide, f"{ocr}.0"))
    logits = g.conv(g.relu(of_merged(g, of_aux, wide, f"{aux}.0")), f"{aux}.3", 1, bias=True)
    return with_context(g, x, object_region(g, x, logits), keys)


def widened(g: Graph, xs: list[Value]) -> list[Value]:
    """Every branch at the finest one's width, the heights as they are."""
    side = xs[0].shape[3]
    wide = [xs[0]]
    for index, x in enumerate(xs[1:], start=1):
        grow = g.fixed(f"columns.{x.shape[3]}to{side}", align_corners(x.shape[3], side).T)
        wide.append(g.matmul(x, grow, f"branches.{index}.wide"))
    return wide


def of_merged(g: Graph, convolution: Convolution, wide: list[Value], name: str) -> Value:
    """A k x k convolution of all branches, grown to the finest's size and concatenated, at their own heights.

    Growing the rows is linear, and so is the convolution: row i of the result is the sum over branches and over the
    kernel's rows dy of grown row i + dy of the branch's 1 x k convolution. All of it is one product with a matrix that
    grows, shifts (zeros beyond the border) and sums.
    """
    outputs, _, kernel, _ = convolution.weight.shape
    side = wide[0].shape[2]
    finest, *others = convolution.split(x.shape[1] for x in wide)
    rows, grow = [], []
    for index, (part, x) in enumerate(zip(others, wide[1:], strict=True), start=1):
        flat = g.apply(by_rows(part), x, f"{name}.{index}", padding=(0, kernel // 2))
        rows.append(g.reshape(flat, (outputs, kernel * x.shape[2], side), f"{name}.{index}.rows"))
        matrix = align_corners(x.shape[2], side)
        grow += [shifted(matrix, dy - kernel // 2) for dy in range(kernel)]
    stacked = g.concat(rows, f"{name}.rows")
    summed = g.matmul(g.fixed(f"grow.{kernel}", np.concatenate(grow, axis=1)), stacked, f"{name}.grown")
    coarser = g.reshape(summed, (1, outputs, side, side), f"{name}.coarser")
    return g.add(g.apply(finest, wide[0], f"{name}.0"), coarser, name)


def by_rows(convolution: Convolution) -> Convolution:
    """The rows of the kernels as outputs of their own: (outputs k, inputs, 1, k), without bias."""
    outputs, inputs, kernel, _ = convolution.weight.shape
    rows = convolution.weight.transpose(0, 2, 1, 3).reshape(outputs * kernel, inputs, 1, kernel)
    return Convolution(rows, np.zeros(outputs * kernel))


def object_region(g: Graph, x: Value, logits: Value) -> Value:
    """Mean of ``x`` (1, c, n, n), weighted by the softmax of the logits over all positions: (1, c, 1, 1)."""
    _, channels, height, width = x.shape
    count = height * width
    weights = g.softmax(g.reshape(logits, (1, count), "object_region.logits"))
    column = g.reshape(weights, (1, count, 1), "object_region.weights")
    rows = g.reshape(x, (1, channels, count), "object_region.features")
    return g.reshape(g.matmul(rows, column, "object_region.mean"), (1, channels, 1, 1), "object_region")


def with_context(g: Graph, x: Value, region: Value, keys: int) -> Value:
    """1x1 convolution, normalisation and ReLU of the context beside the features ``x`` (1, 2k, n, n), in their shape.

    The context is one vector per image, so its half of the convolution is a bias.
    """
    width = 2 * keys
    of_context, of_features = g.learnt(f"{FUSION}.0", width, 2 * width, norm=f"{FUSION}.1.0").split([width, width])
    offset = g.apply(of_context, context(g, region, keys), f"{FUSION}.0.context")
    return g.relu(g.add(g.apply(of_features, x, f"{FUSION}.0.features"), offset, FUSION))


def context(g: Graph, region: Value, keys: int) -> Value:
    """What every position learns from the one region (1, 2k, 1, 1), in the same shape: attention's weight is 1."""
    x = project(g, region, f"{CONTEXT}.f_down", keys)
    return project(g, x, f"{CONTEXT}.f_up", 2 * keys)


def project(g: Graph, x: Value, name: str, outputs: int, step: int = 0) -> Value:
    """1x1 convolution, normalisation and ReLU; ``step`` counts layers within the checkpoint's sequence."""
    return g.relu(g.conv(x, f"{name}.{step}", outputs, norm=f"{name}.{step + 1}.0"))
