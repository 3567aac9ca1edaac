"""Trained parameters in half the bytes: stored as float16, float32 again when the network is loaded."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .builder import FIXED

SMALL = 256  # numbers of an array that is not worth a node: biases, scales
LARGEST = 65504  # of float16


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its trained arrays in float16, each under ``NAME.half`` and cast back by a node.

    ONNX Runtime casts while it opens the file, so a run costs what it did. Numbers are rounded to 11 significant bits;
    small arrays, those that hold numbers beyond 65504, and what no training changes stay as they are.
    """
    kept, nodes = [], []
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if not worth(tensor) or np.abs(array).max() > LARGEST:
            kept.append(tensor)
            continue
        name, half = tensor.name, f"{tensor.name}.half"
        kept.append(numpy_helper.from_array(array.astype(np.float16), half))
        nodes.append(helper.make_node("Cast", [half], [name], f"{name}.cast", to=TensorProto.FLOAT))
    graph = helper.make_graph(
        [*nodes, *model.graph.node], model.graph.name, model.graph.input, model.graph.output, kept
    )
    return helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name=model.producer_name
    )


def worth(tensor: onnx.TensorProto) -> bool:
    """Whether it is a trained float32 array that is not small."""
    trained = not tensor.name.startswith(FIXED) and tensor.data_type == TensorProto.FLOAT
    return trained and int(np.prod(tensor.dims)) > SMALL
