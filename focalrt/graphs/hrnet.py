"""HRNet with an object-contextual head (SPEC section 1).

Sun et al., "Deep High-Resolution Representation Learning for Visual Recognition", 2019 (arXiv 1908.07919); clicks enter
in the stem: Sofiiuk et al., "Reviving Iterative Training with Mask Guidance for Interactive Segmentation", 2021 (arXiv
2102.06583).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import ocr
from .builder import Graph, Value
from .parameters import Convolution, Parameters
from .segmentor import of_centred

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

    prediction = f"{NET}.cls_head"
    unused = (".f_pixel.", ".f_object.")  # attention over one region: its weight is 1 whatever they hold

    @property
    def channels(self) -> int:
        """Of the feature."""
        return 2 * self.keys

    def coarse(self, g: Graph, image: Value, maps: Value, heads: Convolution, name: str) -> Value:
        """Centred image and maps (1, 3, S, S) -> the heads' outputs (1, .., S/4, S/4)."""
        x = layer1(g, stem(g, image, maps), self.blocks)
        return g.apply(heads, ocr.feature(g, branches(g, x, self), self.keys), name)

    def fitted(self, parameters: Parameters) -> HRNet:
        """This net: its name tells all of its shapes."""
        return self


def read(parameters: Parameters) -> HRNet:
    """The net that these parameters belong to. Raises KeyError where they are of another family."""
    width, keys = (parameters[f"{NET}.{name}.weight"].shape for name in ("transition1.0.0", "conv3x3_ocr.0"))
    stages = [count(parameters, f"{NET}.stage{number}.{{}}.branches.0.0.conv1.weight") for number in (2, 3, 4)]
    blocks = count(parameters, f"{NET}.layer1.{{}}.conv1.weight")
    return HRNet(width[0], blocks, (stages[0], stages[1], stages[2]), keys[0] // 2)


def count(parameters: Parameters, name: str) -> int:
    """How many of a module there are; ``name`` holds its number as {}."""
    return next(number for number in range(len(parameters) + 1) if name.format(number) not in parameters)


def stem(g: Graph, image: Value, maps: Value) -> Value:
    """Centred image, maps (1, 3, S, S) -> (1, 64, S/4, S/4); the clicks enter after the first convolution."""
    first = of_centred(g.learnt(f"{NET}.conv1", STEM, 3, 3, norm=f"{NET}.bn1"))
    x = g.relu(g.apply(first, image, f"{NET}.conv1", stride=2))
    of_maps = g.apply(scaled(g), clicks(g, maps), "maps_transform.2", stride=2)
    x = g.add(x, of_maps, "clicks.added")
    return g.relu(g.conv(x, f"{NET}.conv2", STEM, 3, 2, norm=f"{NET}.bn2"))


def clicks(g: Graph, maps: Value) -> Value:
    """Maps (1, 3, S, S) -> (1, 16, S, S)."""
    x = g.conv(maps, "maps_transform.0", 16, bias=True)
    return g.node("LeakyRelu", [x], "maps_transform.1", x.shape, alpha=SLOPE)


def scaled(g: Graph) -> Convolution:
    """The click branch's last convolution, times the absolute value of its learnt scale."""
    scale = np.abs(g.parameter("maps_transform.3.scale", (1,)))
    return g.learnt("maps_transform.2", STEM, 16, 3, bias=True).scaled(scale)


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
