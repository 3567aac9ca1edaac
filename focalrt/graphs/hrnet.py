"""HRNet with an object-contextual head as a Segmentor (SPEC section 1), by the exact shortcuts of section 8.

Sun et al., "Deep High-Resolution Representation Learning for Visual Recognition", 2019 (arXiv 1908.07919);
Yuan et al., "Object-Contextual Representations for Semantic Segmentation", 2020 (arXiv 1909.11065).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from ..geometry import GRID
from .builder import Graph, Value
from .parameters import Source
from .refiner import WIDTH

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
STEM = 64
SLOPE = 0.2  # of the click branch's LeakyReLU
NET = "feature_extractor"


@dataclass(frozen=True)
class HRNet:
    """Width of the finest branch, residual blocks a branch, modules of stages 2 to 4, k of the head."""

    width: int
    blocks: int
    modules: tuple[int, int, int]
    keys: int


def segmentor(source: Source, net: HRNet, side: int) -> onnx.ModelProto:
    """Image, maps (1, 3, side, side) -> logits (1, 1, 256, 256), context (1, 32, side/4, side/4)."""
    g = Graph("segmentor", source)
    image, maps = g.input("image", (1, 3, side, side)), g.input("maps", (1, 3, side, side))
    merged = merge(g, branches(g, layer1(g, stem(g, image, maps), net.blocks), net))
    feature = contextual(g, merged, 2 * net.keys, net.keys)
    logits = g.conv(feature, f"{NET}.cls_head", 1, bias=True)
    g.output(g.resize(logits, GRID, "logits"))
    # RoIAlign is linear, so the Refiner's projection may come before it; its ReLU may not.
    name = "refiner.refine_fusion"
    projection = g.learnt(f"{name}.conv", WIDTH, 2 * net.keys, bias=True, norm=f"{name}.norm")
    g.output(g.apply(projection, feature, "context"))
    return g.model()


def stem(g: Graph, image: Value, maps: Value) -> Value:
    """Image, maps (1, 3, S, S) -> (1, 64, S/4, S/4); the clicks enter after the first convolution."""
    # The border is padded with zeros after normalisation: with that, only the division by STD commutes.
    mean = g.constant("image.mean", MEAN[:, None, None].astype(np.float32))
    centred = g.node("Sub", [image, mean], "image.centred", image.shape)
    first = g.learnt(f"{NET}.conv1", STEM, 3, 3, norm=f"{NET}.bn1").of_scaled(1 / STD)
    x = g.relu(g.apply(first, centred, f"{NET}.conv1", stride=2))
    x = g.add(x, clicks(g, maps), "clicks.added")
    return g.relu(g.conv(x, f"{NET}.conv2", STEM, 3, 2, norm=f"{NET}.bn2"))


def clicks(g: Graph, maps: Value) -> Value:
    """Maps (1, 3, S, S) -> (1, 64, S/2, S/2); the learnt scale acts by its absolute value."""
    x = g.conv(maps, "maps_transform.0", 16, bias=True)
    x = g.node("LeakyRelu", [x], "maps_transform.1", x.shape, alpha=SLOPE)
    scale = np.abs(g.parameter("maps_transform.3.scale", (1,)))
    second = g.learnt("maps_transform.2", STEM, 16, 3, bias=True).scaled(scale)
    return g.apply(second, x, "maps_transform.2", stride=2)


def layer1(g: Graph, x: Value, blocks: int) -> Value:
    """Bottlenecks (1, 64, n, n) -> (1, 256, n, n)."""
    for index in range(blocks):
        x = bottleneck(g, x, f"{NET}.layer1.{index}", 64)
    return x


def bottleneck(g: Graph, x: Value, name: str, width: int) -> Value:
    """1x1, 3x3, 1x1 with a shortcut -> 4 width channels; the shortcut is projected where widths differ."""
    y = g.relu(g.conv(x, f"{name}.conv1", width, norm=f"{name}.bn1"))
    y = g.relu(g.conv(y, f"{name}.conv2", width, 3, norm=f"{name}.bn2"))
    y = g.conv(y, f"{name}.conv3", 4 * width, norm=f"{name}.bn3")
    if x.shape != y.shape:
        x = g.conv(x, f"{name}.downsample.0", 4 * width, norm=f"{name}.downsample.1")
    return g.relu(g.add(y, x, f"{name}.add"))


def basic_block(g: Graph, x: Value, name: str) -> Value:
    """Two 3x3 convolutions with a shortcut, at one width and size."""
    width = x.shape[1]
    y = g.relu(g.conv(x, f"{name}.conv1", width, 3, norm=f"{name}.bn1"))
    y = g.conv(y, f"{name}.conv2", width, 3, norm=f"{name}.bn2")
    return g.relu(g.add(y, x, f"{name}.add"))


def conv_norm(g: Graph, x: Value, name: str, outputs: int, kernel: int = 3, stride: int = 1) -> Value:
    """The sequence (convolution, batch normalisation) called ``name``."""
    return g.conv(x, f"{name}.0", outputs, kernel, stride, norm=f"{name}.1")


def branches(g: Graph, x: Value, net: HRNet) -> list[Value]:
    """Stages 2 to 4: (1, 256, n, n) -> maps of w, 2w, 4w, 8w channels, sides n, n/2, n/4, n/8."""
    xs = [
        g.relu(conv_norm(g, x, f"{NET}.transition1.0", net.width)),
        g.relu(conv_norm(g, x, f"{NET}.transition1.1.0", 2 * net.width, stride=2)),
    ]
    xs = stage(g, xs, f"{NET}.stage2", net.modules[0], net.blocks)
    for number, modules in zip((3, 4), net.modules[1:], strict=True):
        coarsest = f"{NET}.transition{number - 1}.{len(xs)}.0"
        xs.append(g.relu(conv_norm(g, xs[-1], coarsest, 2 * xs[-1].shape[1], stride=2)))
        xs = stage(g, xs, f"{NET}.stage{number}", modules, net.blocks)
    return xs


def stage(g: Graph, xs: list[Value], name: str, modules: int, blocks: int) -> list[Value]:
    """In each module: residual blocks on every branch, then every branch receives the sum of all."""
    for module in range(modules):
        path = f"{name}.{module}"
        xs = [residual(g, x, f"{path}.branches.{index}", blocks) for index, x in enumerate(xs)]
        xs = [fuse(g, xs, target, f"{path}.fuse_layers.{target}") for target in range(len(xs))]
    return xs


def residual(g: Graph, x: Value, name: str, blocks: int) -> Value:
    """Basic blocks one after the other."""
    for block in range(blocks):
        x = basic_block(g, x, f"{name}.{block}")
    return x


def fuse(g: Graph, xs: list[Value], target: int, name: str) -> Value:
    """Branch ``target``'s share of every branch, summed in the branches' order."""
    parts = [share(g, x, xs[target], target - source, f"{name}.{source}") for source, x in enumerate(xs)]
    total = parts[0]
    for source, part in enumerate(parts[1:], start=1):
        total = g.add(total, part, f"{name}.{source}.add")
    return g.relu(total)


def share(g: Graph, x: Value, target: Value, halvings: int, name: str) -> Value:
    """``x``, which is ``halvings`` times finer than ``target`` (negative: coarser), at its width and size."""
    _, width, side, _ = target.shape
    if halvings < 0:
        return g.resize(conv_norm(g, x, name, width, kernel=1), side, f"{name}.resize")
    for step in range(halvings - 1):
        x = g.relu(conv_norm(g, x, f"{name}.{step}", x.shape[1], stride=2))
    return conv_norm(g, x, f"{name}.{halvings - 1}", width, stride=2) if halvings else x


def merge(g: Graph, xs: list[Value]) -> Value:
    """All branches at the finest one's size: (1, 15 w, n, n)."""
    side = xs[0].shape[2]
    resized = [g.resize(x, side, f"branches.{index}.resize") for index, x in enumerate(xs[1:], start=1)]
    return g.concat([xs[0], *resized], "branches")


def contextual(g: Graph, merged: Value, width: int, keys: int) -> Value:
    """The object-contextual head: (1, 15 w, n, n) -> the feature (1, 2k, n, n).

    With one object region the attention to regions is 1, so the context is one vector per image and its half
    of the last convolution is a bias.
    """
    x = g.relu(g.conv(merged, f"{NET}.conv3x3_ocr.0", width, 3, bias=True, norm=f"{NET}.conv3x3_ocr.1"))
    attention = f"{NET}.ocr_distri_head.object_context_block"
    context = object_region(g, x, auxiliary(g, merged))
    for name, outputs in ((f"{attention}.f_down", keys), (f"{attention}.f_up", width)):
        context = g.relu(g.conv(context, f"{name}.0", outputs, norm=f"{name}.1.0"))
    name = f"{NET}.ocr_distri_head.conv_bn_dropout"
    of_context, of_features = g.learnt(f"{name}.0", width, 2 * width, norm=f"{name}.1.0").split(width)
    bias = g.apply(of_context, context, f"{name}.0.context")
    return g.relu(g.add(g.apply(of_features, x, f"{name}.0.features"), bias, name))


def auxiliary(g: Graph, merged: Value) -> Value:
    """(1, 15 w, n, n) -> the auxiliary logits (1, 1, n, n), which weigh the object region."""
    name = f"{NET}.aux_head"
    x = g.relu(g.conv(merged, f"{name}.0", merged.shape[1], bias=True, norm=f"{name}.1"))
    return g.conv(x, f"{name}.3", 1, bias=True)


def object_region(g: Graph, x: Value, logits: Value) -> Value:
    """Mean of ``x`` (1, c, n, n), weighted by the softmax of the logits over all positions: (1, c, 1, 1)."""
    _, channels, height, width = x.shape
    count = height * width
    flat = g.reshape(logits, (1, count), "object_region.logits")
    weights = g.node("Softmax", [flat], "object_region.softmax", flat.shape, axis=1)
    column = g.reshape(weights, (1, count, 1), "object_region.weights")
    rows = g.reshape(x, (1, channels, count), "object_region.features")
    mean = g.node("MatMul", [rows, column], "object_region.mean", (1, channels, 1))
    return g.reshape(mean, (1, channels, 1, 1), "object_region")
