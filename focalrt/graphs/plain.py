"""The networks without any shortcut of SPEC section 8, as published: what the others must equal.

They hold the layers that published checkpoints were trained with, dead ones included, so they also tell what a click
costs there. Nothing ships them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from ..geometry import GRID
from . import hrnet, mit, ocr, segformer
from .attention import REDUCED_EPSILON, by_head
from .builder import Graph, Value
from .hrnet import HRNet
from .mit import to_map
from .parameters import EPSILON, Parameters, Shape, Source, asked_for
from .refiner import details, xception
from .segformer import SegFormer
from .segmentor import CONTEXT, MEAN, STD
from .variants import FOCALCLICK, RITM, SIDES, Net, filled, known


class PlainGraph(Graph):
    """Batch normalisation is a node of its own."""

    def conv(
        self,
        x: Value,
        name: str,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        norm: str | None = None,
    ) -> Value:
        """The trained convolution of that name, then the normalisation."""
        y = super().conv(x, name, outputs, kernel, stride, groups=groups, bias=bias)
        if norm is None:
            return y
        parts = [f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]
        trained = [self.trained(part, self.parameter(part, (outputs,))) for part in parts]
        return self.node("BatchNormalization", [y, *trained], norm, y.shape, epsilon=EPSILON)

    def times(self, x: Value, factor: Value, name: str) -> Value:
        """Product; the factor has the same shape or broadcasts to it."""
        return self.node("Mul", [x, factor], name, x.shape)


def networks(parameters: Parameters, variant: str) -> dict[str, onnx.ModelProto]:
    """Every network of the variant, by name: :func:`segmentor` and, for FocalClick's, :func:`refiner`.

    Raises ParameterError.
    """
    return {name: written(parameters, variant, name) for name in WRITERS[known(variant).method]}


def segmentor(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """Image, maps (1, 3, S, S) -> logits (1, 1, 256, 256), feature (1, c, S/4, S/4); RITM's -> logits (1, 1, S, S).

    Raises ParameterError.
    """
    return written(parameters, variant, "segmentor")


def refiner(parameters: Parameters, variant: str) -> onnx.ModelProto:
    """Image (1, 3, 256, 256), disks (1, 2, 256, 256), feature (1, c, S/4, S/4), logits (1, 1, 256, 256) -> refined and
    boundary logits (1, 1, 256, 256). Raises ParameterError.
    """
    return written(parameters, variant, "refiner")


def written(parameters: Parameters, variant: str, name: str) -> onnx.ModelProto:
    """One network of the variant. Raises ParameterError."""
    (net, side, _, method), source = filled(parameters, variant, asks)
    g = PlainGraph(name, source)
    WRITERS[method][name](g, net, side)
    return g.model()


def expected(variant: str) -> dict[str, Shape]:
    """Name and shape of every parameter of the networks, dead ones included. Raises ParameterError."""
    net, _, _, method = known(variant)
    return asks(method, net)


def asks(method: str, net: Net) -> dict[str, Shape]:
    """What the networks ask for while they are written; no shape hangs on the side."""

    def write(source: Source) -> None:
        for name, writer in WRITERS[method].items():
            writer(PlainGraph(name, source), net, SIDES["s1"])

    return asked_for(write)


def write_segmentor(g: PlainGraph, net: Net, side: int) -> None:
    """The feature is an output, for the Refiner."""
    feature = write_feature(g, net, side)
    g.output(g.resize(g.conv(feature, net.prediction, 1, bias=True), GRID, "logits"))
    g.output(g.node("Identity", [feature], "feature", feature.shape))


def write_alone(g: PlainGraph, net: Net, side: int) -> None:
    """The logits are as large as the image."""
    feature = write_feature(g, net, side)
    g.output(g.resize(g.conv(feature, net.prediction, 1, bias=True), side, "logits"))


def write_feature(g: PlainGraph, net: Net, side: int) -> Value:
    """Image, maps (1, 3, side, side) -> (1, c, side/4, side/4). The image is normalised first."""
    image, maps = g.input("image", (1, 3, side, side)), g.input("maps", (1, 3, side, side))
    mean, std = (g.fixed(name, array[:, None, None]) for name, array in (("mean", MEAN), ("std", STD)))
    centred = g.node("Sub", [image, mean], "image.centred", image.shape)
    normalised = g.node("Div", [centred, std], "image.normalised", image.shape)
    if isinstance(net, HRNet):
        return hrnet_feature(g, net, normalised, maps)
    return segformer_feature(g, net, normalised, maps)


# HRNet


def hrnet_feature(g: PlainGraph, net: HRNet, image: Value, maps: Value) -> Value:
    """Normalised image and maps (1, 3, S, S) -> (1, 2k, S/4, S/4)."""
    xs = hrnet.branches(g, hrnet.layer1(g, stem(g, image, maps), net.blocks), net)
    side, width = xs[0].shape[2], net.channels
    grown = [g.resize(x, side, f"branches.{index}.resize") for index, x in enumerate(xs[1:], start=1)]
    merged = g.concat([xs[0], *grown], "branches")
    name, channels = f"{hrnet.NET}.aux_head", merged.shape[1]
    hidden = g.relu(g.conv(merged, f"{name}.0", channels, bias=True, norm=f"{name}.1"))
    logits = g.conv(hidden, f"{name}.3", 1, bias=True)
    name = f"{hrnet.NET}.conv3x3_ocr"
    x = g.relu(g.conv(merged, f"{name}.0", width, 3, bias=True, norm=f"{name}.1"))
    both = g.concat([region_attention(g, x, ocr.object_region(g, x, logits), net.keys), x], "context.features")
    return ocr.project(g, both, ocr.FUSION, width)


def stem(g: PlainGraph, image: Value, maps: Value) -> Value:
    """Normalised image, maps (1, 3, S, S) -> (1, 64, S/4, S/4)."""
    x = g.relu(g.conv(image, f"{hrnet.NET}.conv1", hrnet.STEM, 3, 2, norm=f"{hrnet.NET}.bn1"))
    of_maps = g.conv(hrnet.clicks(g, maps), "maps_transform.2", hrnet.STEM, 3, 2, bias=True)
    scale = g.trained("maps_transform.3.scale", g.parameter("maps_transform.3.scale", (1,)))
    scaled = g.times(of_maps, g.node("Abs", [scale], "maps_transform.3.factor", (1,)), "maps_transform.3")
    x = g.add(x, scaled, "clicks.added")
    return g.relu(g.conv(x, f"{hrnet.NET}.conv2", hrnet.STEM, 3, 2, norm=f"{hrnet.NET}.bn2"))


def region_attention(g: PlainGraph, x: Value, region: Value, keys: int) -> Value:
    """Attention of every position (1, 2k, n, n) to the one region (1, 2k, 1, 1): its softmax is over one number."""
    side, name = x.shape[2], ocr.CONTEXT
    query = ocr.project(g, ocr.project(g, x, f"{name}.f_pixel", keys), f"{name}.f_pixel", keys, step=2)
    key = ocr.project(g, ocr.project(g, region, f"{name}.f_object", keys), f"{name}.f_object", keys, step=2)
    value = g.reshape(ocr.project(g, region, f"{name}.f_down", keys), (keys, 1), f"{name}.value")
    pixels = g.transpose(g.reshape(query, (keys, side * side), f"{name}.query"), (1, 0), f"{name}.pixels")
    scores = g.matmul(pixels, g.reshape(key, (keys, 1), f"{name}.key"), f"{name}.scores")
    weights = g.softmax(g.times(scores, g.fixed("scale", np.full((), keys**-0.5)), f"{name}.scaled"))
    mixed = g.matmul(value, g.transpose(weights, (1, 0), f"{name}.weights"), f"{name}.mixed")
    return ocr.project(g, g.reshape(mixed, (1, keys, side, side), f"{name}.map"), f"{name}.f_up", x.shape[1])


# SegFormer


def segformer_feature(g: PlainGraph, net: SegFormer, image: Value, maps: Value) -> Value:
    """Normalised image and maps (1, 3, S, S) -> (1, e, S/4, S/4)."""
    x = mit.embed(g, image, f"{mit.NET}.patch_embed1", net.widths[0], *mit.FIRST_PATCH)
    clicks = mit.embed(g, maps, f"{mit.NET}.patch_embed_side1", net.widths[0], *mit.FIRST_PATCH)
    found = mit.levels(g, x, clicks, net, attention, mix_ffn)
    grown = []
    for number, level in reversed(list(enumerate(found, start=1))):
        name = f"{segformer.DECODER}.linear_c{number}"
        embedded = to_map(g, layer(g, level, f"{name}.proj", net.channels))
        grown.append(g.resize(embedded, image.shape[2] // 4, f"{name}.resize", mode="half_pixel"))
    name, merged = segformer.FUSION, g.concat(grown, f"{segformer.DECODER}.levels")
    return g.relu(g.conv(merged, f"{name}.conv", net.channels, norm=f"{name}.bn"))


def attention(g: Graph, x: Value, name: str, heads: int, reduction: int) -> Value:
    """Softmax(q kT / sqrt(d / heads)) v of tokens (n, d)."""
    n, d = x.shape
    small = reduced(g, x, name, reduction)
    query = by_head(g, layer(g, x, f"{name}.q", d), heads)
    both = g.split(layer(g, small, f"{name}.kv", 2 * d), {f"{name}.k": d, f"{name}.v": d})
    key, value = by_head(g, both[0], heads, axes=(1, 2, 0)), by_head(g, both[1], heads)
    scale = g.fixed(f"scale.{d // heads}", np.full((), (d // heads) ** -0.5))
    scores = g.matmul(query, key, f"{name}.scores")
    weights = g.softmax(g.node("Mul", [scores, scale], f"{name}.scaled", scores.shape))
    mixed = g.transpose(g.matmul(weights, value, f"{name}.mixed"), (1, 0, 2), f"{name}.joined")
    return layer(g, g.reshape(mixed, (n, d), f"{name}.joined.rows"), f"{name}.proj", d)


def reduced(g: Graph, x: Value, name: str, reduction: int) -> Value:
    """A convolution of the map whose stride is the side of its kernel, normalised."""
    if reduction == 1:
        return x
    kernel = g.learnt(f"{name}.sr", x.shape[1], x.shape[1], reduction, bias=True)
    small = g.apply(kernel, to_map(g, x), f"{name}.sr", reduction, padding=(0, 0))
    return g.layer_norm(mit.to_tokens(g, small), f"{name}.norm", REDUCED_EPSILON)


def mix_ffn(g: Graph, x: Value, name: str) -> Value:
    """Linear, 3x3 depthwise on the map, GELU, linear."""
    width, inner = x.shape[1], mit.RATIO * x.shape[1]
    plane = to_map(g, layer(g, x, f"{name}.fc1", inner))
    depthwise = g.conv(plane, f"{name}.dwconv.dwconv", inner, 3, groups=inner, bias=True)
    return layer(g, g.gelu(mit.to_tokens(g, depthwise)), f"{name}.fc2", width)


def layer(g: Graph, x: Value, name: str, outputs: int) -> Value:
    """The trained linear layer of that name, of tokens."""
    return g.project(g.linear(name, outputs, x.shape[1]), x, name)


# Refiner


def write_refiner(g: PlainGraph, net: Net, side: int) -> None:
    """It projects the feature itself, and each head is resized for itself."""
    image, disks = g.input("image", (1, 3, GRID, GRID)), g.input("disks", (1, 2, GRID, GRID))
    feature = g.input("feature", (1, net.channels, side // 4, side // 4))
    coarse = g.input("logits", (1, 1, GRID, GRID))
    x, name = details(g, image, disks, coarse), "refiner.refine_fusion"
    projected = g.relu(g.conv(feature, f"{name}.conv", CONTEXT, bias=True, norm=f"{name}.norm"))
    x = g.add(x, g.resize(projected, x.shape[2], f"{name}.resize"), "context.added")
    x = xception(g, xception(g, x, "refine_fusion2"), "refine_fusion3")
    detail, boundary = head(g, x, "refine_pred", "detail"), head(g, x, "refine_trimap", "boundary")
    gate = g.node("Sigmoid", [boundary], "gate", boundary.shape)
    rest = g.node("Sub", [g.fixed("one", np.ones(())), gate], "gate.rest", gate.shape)
    g.output(g.add(g.times(gate, detail, "detail.gated"), g.times(rest, coarse, "coarse.gated"), "refined"))
    g.output(boundary)


def head(g: PlainGraph, x: Value, part: str, output: str) -> Value:
    """(1, 32, 128, 128) -> (1, 1, 256, 256)."""
    return g.resize(g.conv(x, f"refiner.{part}", 1, 3, bias=True), GRID, output)


WRITERS: dict[str, dict[str, Callable[[PlainGraph, Net, int], None]]] = {
    FOCALCLICK: {"segmentor": write_segmentor, "refiner": write_refiner},
    RITM: {"segmentor": write_alone},
}
