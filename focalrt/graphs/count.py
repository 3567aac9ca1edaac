"""What a network costs: multiply-adds of its products and trained parameters, stage by stage (SPEC section 9)."""

from __future__ import annotations

from itertools import takewhile
from math import prod
from typing import NamedTuple

import onnx
from onnx import TensorProto, helper

from .builder import FIXED
from .parameters import Shape

CONTAINERS = ("feature_extractor", "backbone", "refiner")  # parts of a name that hold stages
STATISTICS = (".running_mean", ".running_var")  # measured, not trained


class Cost(NamedTuple):
    """Multiply-adds of convolutions and matrix products; trained numbers as they are stored."""

    multiply_adds: int
    parameters: int


def total(model: onnx.ModelProto) -> Cost:
    """Of a whole network with static shapes."""
    costs = by_stage(model).values()
    return Cost(sum(cost.multiply_adds for cost in costs), sum(cost.parameters for cost in costs))


def by_stage(model: onnx.ModelProto) -> dict[str, Cost]:
    """By stage, such as ``feature_extractor.stage3``, ``feature_extractor.backbone.block1`` or ``refiner.image_conv1``.

    Resizing, normalisation and activations count nothing, as in published figures; matrix products that resize do.
    """
    shapes = shapes_of(model)
    costs: dict[str, Cost] = {}

    def spend(name: str, multiply_adds: int, parameters: int) -> None:
        before = costs.get(stage_of(name), Cost(0, 0))
        costs[stage_of(name)] = Cost(before.multiply_adds + multiply_adds, before.parameters + parameters)

    for node in model.graph.node:
        spend(node.name, multiply_adds(node, shapes), 0)
    for array in model.graph.initializer:
        if is_trained(array):
            spend(array.name, 0, prod(array.dims))
    return {stage: cost for stage, cost in costs.items() if any(cost)}


def is_trained(array: onnx.TensorProto) -> bool:
    """Whether an initializer holds trained numbers, or such as they were folded into."""
    return not array.name.startswith(FIXED) and not array.name.endswith(STATISTICS)


def multiply_adds(node: onnx.NodeProto, shapes: dict[str, Shape]) -> int:
    """Of one node."""
    inputs, output = [shapes.get(name, ()) for name in node.input], shapes[node.output[0]]
    if node.op_type == "Conv":  # every output position meets every weight
        return prod(output[2:]) * prod(inputs[1])
    if node.op_type == "ConvTranspose":  # every input position does
        return prod(inputs[0][2:]) * prod(inputs[1])
    if node.op_type == "MatMul":
        return prod(output) * inputs[0][-1]
    if node.op_type == "Gemm":
        transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
        return prod(output) * inputs[0][0 if transposed else 1]
    return 0


def stage_of(name: str) -> str:
    """A node's or a parameter's name as far as its stage."""
    parts = name.split(".")
    containers = len(list(takewhile(CONTAINERS.__contains__, parts)))
    return ".".join(parts[: containers + 1])


def shapes_of(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shape of every value."""
    arrays = {array.name: array for array in model.graph.initializer}
    sizes = [array for array in arrays.values() if array.data_type == TensorProto.INT64]  # what reshaping reads
    others = [
        helper.make_tensor_value_info(array.name, array.data_type, array.dims)
        for array in arrays.values()
        if array.data_type != TensorProto.INT64
    ]
    inputs = [*model.graph.input, *others]
    light = helper.make_graph(model.graph.node, model.graph.name, inputs, model.graph.output, sizes)
    inferred = onnx.shape_inference.infer_shapes(
        helper.make_model(light, opset_imports=model.opset_import), strict_mode=True, data_prop=True
    ).graph
    values = [*inferred.input, *inferred.output, *inferred.value_info]
    found = {value.name: tuple(side.dim_value for side in value.type.tensor_type.shape.dim) for value in values}
    return found | {name: tuple(array.dims) for name, array in arrays.items()}
