"""The exact shortcuts of SPEC section 8 by name, and what each saves: counted on both graphs, node by node.

What differs between a published graph and the converted one, a node or a trained array, belongs to one shortcut, so
that all savings together are the difference of the graphs to the multiply-add.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import onnx

from . import attention, hrnet, mit, ocr, segformer
from .count import is_trained, multiply_adds, shapes_of
from .hrnet import HRNet
from .parameters import read_convolution
from .refiner import blend, blocked
from .refiner import heads as both_heads
from .segmentor import alone, of_centred
from .segmentor import heads as beside_logits
from .variants import FOCALCLICK, known


class Shortcut(NamedTuple):
    """One exact rewriting.

    title: what it does. by: the function that does it. touches: finds the keys (see :func:`items`) of what it takes
    away and of what it puts in its place, unless a shortcut before it in the list has them already.
    """

    title: str
    by: Callable[..., Any]
    touches: re.Pattern[str]


class Saving(NamedTuple):
    """Multiply-adds, trained numbers and operators; negative where the shortcut costs some to save time or others."""

    multiply_adds: int
    parameters: int
    operators: int

    def plus(self, other: Saving, sign: int = 1) -> Saving:
        """Sum, or difference."""
        return Saving(*(mine + sign * others for mine, others in zip(self, other, strict=True)))


NOTHING = Saving(0, 0, 0)
CONTEXT_BLOCK = r"object_context_block\."

FOLDED = [
    Shortcut(
        "batch normalisation folded into convolutions",
        read_convolution,
        re.compile(r"^BatchNormalization:|^Relu:|^Conv(Transpose)?:.*\.bias$|^Gemm:heads\.rows\.bias$"),
    ),
    Shortcut(
        "division of the image by its deviation folded into the first convolution",
        of_centred,
        re.compile(r":image\.normalised$"),
    ),
]
OF_HRNET = [
    Shortcut(
        "dead branches dropped: attention to one region, whose weight is 1",
        ocr.context,
        re.compile(CONTEXT_BLOCK + r"(f_pixel|f_object|query|pixels|key|scores|scaled|weights|mixed|value|map)"),
    ),
    *FOLDED,
    Shortcut("scale of the clicks folded into their convolution", hrnet.scaled, re.compile(r":maps_transform\.3")),
    Shortcut(
        "context of the one region as a bias",
        ocr.with_context,
        re.compile(CONTEXT_BLOCK + r"|ocr_distri_head\.conv_bn_dropout|:context\.features$"),
    ),
    Shortcut(
        "branches convolved at their own heights, then grown and summed",
        ocr.of_merged,
        re.compile(r":branches|feature_extractor\.(conv3x3_ocr|aux_head)\.0"),
    ),
]
OF_SEGFORMER = [
    Shortcut(
        "reduction as one product of patches",
        attention.reduced,
        re.compile(r"\.attn\.sr|\.norm1\.(channels|map)$"),
    ),
    *FOLDED,
    Shortcut(
        "attention's scale and its keys' and values' biases folded into other layers",
        attention.layers,
        re.compile(r"^Mul:.*\.attn\.scaled$|\.attn\.(kv|k|v)\.bias$"),
    ),
    Shortcut("attention's keys computed transposed", attention.attention, re.compile(r"\.attn\.")),
    Shortcut("products around the depthwise convolution transpose for nothing", mit.mix_ffn, re.compile(r"\.mlp\.")),
    Shortcut(
        "decoder: one matrix per level, at the level's own size",
        segformer.decoded,
        re.compile(r"decode_head\.(?!linear_pred)"),
    ),
]
OF_REFINER = [
    Shortcut(
        "context out of a convolution that changes nothing, so that it is resized in a blocked layout",
        blocked,
        re.compile(r":refiner\.refine_fusion\.resize$|:context\.(blocked|resize)$"),
    ),
    Shortcut(
        "both of the Refiner's heads at once",
        both_heads,
        re.compile(r":refiner\.(refine_pred|refine_trimap|heads)|:(detail|boundary)$"),
    ),
    Shortcut("Equation 1 with one product", blend, re.compile(r":(gate|change|refined|detail\.|coarse\.gated)")),
    Shortcut(
        "Refiner's layer of the feature moved before RoIAlign: 32 channels cross",
        beside_logits,
        re.compile(r"\.(cls_head|linear_pred|refine_fusion\.conv)|:(heads|feature$|logits)"),
    ),
]
ALONE = [
    Shortcut("logits left small for whoever makes the mask", alone, re.compile(r"\.cls_head|:logits")),
]


def shortcuts(variant: str) -> list[Shortcut]:
    """Those that apply to a variant, in the order in which they claim what differs. Raises ParameterError."""
    net, _, _, method = known(variant)
    of_net = OF_HRNET if isinstance(net, HRNet) else OF_SEGFORMER
    return [*of_net, *(OF_REFINER if method == FOCALCLICK else ALONE)]


def savings(
    variant: str, published: Mapping[str, onnx.ModelProto], converted: Mapping[str, onnx.ModelProto]
) -> dict[str, Saving]:
    """What each shortcut of the variant saves, by its title: over all networks, which are by name.

    Raises ParameterError; ValueError where graphs differ in what is no shortcut's.
    """
    listed = shortcuts(variant)
    saved = {shortcut.title: NOTHING for shortcut in listed}
    for network, model in published.items():
        before, after = items(model), items(converted[network])
        for key in dict.fromkeys([*before, *after]):
            difference = before.get(key, NOTHING).plus(after.get(key, NOTHING), -1)
            if difference != NOTHING:
                title = owner(key, listed).title
                saved[title] = saved[title].plus(difference)
    return saved


def owner(key: str, listed: list[Shortcut]) -> Shortcut:
    """The shortcut to which a difference belongs."""
    for shortcut in listed:
        if shortcut.touches.search(key):
            return shortcut
    raise ValueError(f"{key} differs between the published graph and the converted one, and no shortcut tells why")


def items(model: onnx.ModelProto) -> dict[str, Saving]:
    """What every node and every trained array costs, by ``OPERATOR:NAME``: a node's own, an array's reader's.

    Identity, which only names an output, is none of the operators.
    """
    shapes, found, readers = shapes_of(model), {}, {}
    for node in model.graph.node:
        found[f"{node.op_type}:{node.name}"] = Saving(multiply_adds(node, shapes), 0, node.op_type != "Identity")
        readers.update(dict.fromkeys(node.input, node.op_type))
    for array in model.graph.initializer:
        if is_trained(array):
            found[f"{readers[array.name]}:{array.name}"] = Saving(0, prod(array.dims), 0)
    return found
