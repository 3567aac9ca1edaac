"""The Refiner redraws the mask inside the focus box from the photo's own pixels (SPEC section 3).

Chen et al., "FocalClick: Towards Practical Interactive Image Segmentation", CVPR 2022 (arXiv 2204.02574).
"""

from __future__ import annotations

import numpy as np

from ..geometry import GRID
from .builder import Graph, Value
from .parameters import Convolution
from .segmentor import CONTEXT as WIDTH

NET = "refiner"


def refiner(g: Graph, side: int) -> None:
    """Image, disks, context, logits -> refined and boundary logits, (1, 1, 256, 256) each.

    Image (1, 3, 256, 256), disks (1, 2, 256, 256), logits (1, 1, 256, 256), context (1, 32, side/4, side/4),
    with the side of the Segmentor's input.
    """
    image, disks = g.input("image", (1, 3, GRID, GRID)), g.input("disks", (1, 2, GRID, GRID))
    context = g.input("context", (1, WIDTH, side // 4, side // 4))
    coarse = g.input("logits", (1, 1, GRID, GRID))
    x = details(g, image, disks, coarse)
    x = g.add(x, g.resize(g.relu(blocked(g, context)), x.shape[2], "context.resize"), "context.added")
    x = xception(g, xception(g, x, "refine_fusion2"), "refine_fusion3")
    detail, boundary = heads(g, x)
    g.output(blend(g, detail, boundary, coarse))
    g.output(boundary)


def blocked(g: Graph, context: Value) -> Value:
    """The context itself, out of a convolution that changes nothing.

    ONNX Runtime keeps its blocked layout behind convolutions only, and there it resizes in half the time that two
    matrix products take, without the way back and forth for the sum.
    """
    identity = g.fixed("identity", np.eye(WIDTH)[:, :, None, None])
    return g.node("Conv", [context, identity], "context.blocked", context.shape)


def details(g: Graph, image: Value, disks: Value, coarse: Value) -> Value:
    """The crop's pixels, clicks and coarse probabilities -> (1, 32, 128, 128)."""
    x = g.concat([image, disks, g.node("Sigmoid", [coarse], "probabilities", coarse.shape)], "crop")
    name = f"{NET}.image_conv1"
    x = g.relu(g.conv(x, f"{name}.conv", WIDTH, 3, 2, bias=True, norm=f"{name}.norm"))
    return xception(g, xception(g, x, "image_conv2"), "image_conv3")


def xception(g: Graph, x: Value, part: str) -> Value:
    """Depthwise 3x3, then 1x1, normalisation and ReLU; size and width stay."""
    name, width = f"{NET}.{part}", x.shape[1]
    x = g.conv(x, f"{name}.conv3x3", width, 3, groups=width, bias=True)
    return g.relu(g.conv(x, f"{name}.conv1x1", width, bias=True, norm=f"{name}.norm"))


def heads(g: Graph, x: Value) -> tuple[Value, Value]:
    """(1, 32, 128, 128) -> detail, boundary (1, 1, 256, 256), by one convolution and one resizing."""
    detail = g.learnt(f"{NET}.refine_pred", 1, WIDTH, 3, bias=True)
    boundary = g.learnt(f"{NET}.refine_trimap", 1, WIDTH, 3, bias=True)
    resized = g.resize(scattered(g, x, detail.beside(boundary), f"{NET}.heads"), GRID, f"{NET}.heads.resize")
    first, second = g.split(resized, {"detail": 1, "boundary": 1})
    return first, second


def scattered(g: Graph, x: Value, convolution: Convolution, name: str) -> Value:
    """A convolution whose few outputs would leave vector units idle: every position adds to its neighbours instead.

    That is a transposed convolution with the kernels turned, one dense product for all outputs and places of a kernel.
    """
    outputs, _, kernel, _ = convolution.weight.shape
    turned = np.flip(convolution.weight, (2, 3)).swapaxes(0, 1)
    inputs = [x, g.trained(f"{name}.weight", turned), *g.bias(name, convolution.bias)]
    window = {"kernel_shape": [kernel] * 2, "strides": [1, 1], "pads": [kernel // 2] * 4}
    return g.node("ConvTranspose", inputs, name, (1, outputs, *x.shape[2:]), **window)


def blend(g: Graph, detail: Value, boundary: Value, coarse: Value) -> Value:
    """Equation 1, s(b) d + (1 - s(b)) c, written c + s(b) (d - c)."""
    gate = g.node("Sigmoid", [boundary], "gate", boundary.shape)
    change = g.node("Sub", [detail, coarse], "change", coarse.shape)
    return g.add(coarse, g.node("Mul", [gate, change], "change.gated", coarse.shape), "refined")
