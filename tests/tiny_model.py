"""Model folders of the right signature in a few kilobytes: for everything that reads files or starts a process.

The Segmentor raises the previous mask in a square about each positive click and lowers it about each negative one; the
Refiner returns its logits, tilted by the photo. Not trained, but every input has a say in the output.
"""

import hashlib
import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper

GRID = 256
WINDOW = 33  # of the square about a click, on the Segmentor's input


def write_tiny_model(folder, side=128, **networks):
    """Writes the three files of a model; ``networks``: ``segmentor`` or ``refiner``, to write instead of the tiny one.

    A network is an ONNX model or bytes; its digest in ``model.json`` is right in any case. Returns the folder.
    """
    networks = {"segmentor": tiny_segmentor(side), "refiner": tiny_refiner(side)} | networks
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, network in networks.items():
        content = network if isinstance(network, bytes) else network.SerializeToString()
        (folder / f"{name}.onnx").write_bytes(content)
        digests[f"{name}.onnx"] = hashlib.sha256(content).hexdigest()
    description = {
        "format": 1,
        "variant": "tiny",
        "side": side,
        "radius": 5,
        "refiner_radius": 5,
        "threshold": 0.5,
        "sha256": digests,
        "trained": "not at all",
        "licence": "none",
    }
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def write_tiny_ritm(folder, side=128, network=None):
    """Writes the two files of a model of RITM: the tiny Segmentor, its logits left small, or another network.

    Returns the folder.
    """
    content = (network or tiny_alone(side)).SerializeToString()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "segmentor.onnx").write_bytes(content)
    description = {
        "format": 1,
        "method": "ritm",
        "variant": "tiny",
        "side": side,
        "radius": 5,
        "threshold": 0.5,
        "sha256": {"segmentor.onnx": hashlib.sha256(content).hexdigest()},
        "trained": "not at all",
        "licence": "none",
    }
    (folder / "model.json").write_text(json.dumps(description))
    return folder


def tiny_alone(side=128):
    """Image, maps (1, 3, S, S) -> logits (1, 1, S/4, S/4)."""
    model = tiny_segmentor(side)
    window = {"kernel_shape": [4, 4], "strides": [4, 4]}
    nodes = [node for node in model.graph.node if node.output[0] in ("near", "all", "small")]
    nodes.append(helper.make_node("AveragePool", ["small"], ["logits"], **window))
    constants = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer[:2]}
    inputs = {"image": (1, 3, side, side), "maps": (1, 3, side, side)}
    return network(nodes, inputs, {"logits": (1, 1, side // 4, side // 4)}, constants)


def tiny_segmentor(side=128):
    """Image, maps (1, 3, S, S) -> logits (1, 1, 256, 256), context (1, 32, S/4, S/4)."""
    # channels of "all": red, green, blue; previous, positive, negative; the last three again, as means of a window
    weights = np.array([0.2, 0.2, 0.2, 8, 0, 0, 0, 600, -1200])
    window = {"kernel_shape": [WINDOW] * 2, "pads": [WINDOW // 2] * 4, "count_include_pad": 1}
    nodes = [
        helper.make_node("AveragePool", ["maps"], ["near"], **window),
        helper.make_node("Concat", ["image", "maps", "near"], ["all"], axis=1),
        helper.make_node("Conv", ["all", "weights", "bias"], ["small"]),
        helper.make_node("Resize", ["small", "", "", "grid"], ["logits"], mode="linear"),
        helper.make_node("AveragePool", ["image"], ["quarter"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["quarter", "spread"], ["context"]),
    ]
    constants = {
        "weights": weights.astype(np.float32).reshape(1, 9, 1, 1),
        "bias": np.array([-4], np.float32),
        "grid": np.array([1, 1, GRID, GRID]),
        "spread": np.full((32, 3, 1, 1), 1 / 3, np.float32),
    }
    inputs = {"image": (1, 3, side, side), "maps": (1, 3, side, side)}
    return network(nodes, inputs, {"logits": (1, 1, GRID, GRID), "context": (1, 32, side // 4, side // 4)}, constants)


def tiny_refiner(side=128):
    """Image (1, 3, 256, 256), disks (1, 2, 256, 256), RoIAligned context and logits -> refined (1, 1, 256, 256)."""
    nodes = [
        helper.make_node("Resize", ["context", "", "", "grid"], ["wide"], mode="linear"),
        helper.make_node("Concat", ["logits", "image", "disks", "wide"], ["all"], axis=1),
        helper.make_node("Conv", ["all", "weights"], ["refined"]),
    ]
    weights = np.array([1, 0.3, 0.3, 0.3, 0.5, -0.5] + [-0.9 / 32] * 32, np.float32).reshape(1, 38, 1, 1)
    constants = {"weights": weights, "grid": np.array([1, 32, GRID, GRID])}
    inputs = {
        "image": (1, 3, GRID, GRID),
        "disks": (1, 2, GRID, GRID),
        "context": (1, 32, side // 4, side // 4),
        "logits": (1, 1, GRID, GRID),
    }
    return network(nodes, inputs, {"refined": (1, 1, GRID, GRID)}, constants)


def network(nodes, inputs, outputs, constants, kind=TensorProto.FLOAT):
    """An ONNX model, old enough for every ONNX Runtime that the package supports."""

    def declared(values):
        return [helper.make_tensor_value_info(name, kind, shape) for name, shape in values.items()]

    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", declared(inputs), declared(outputs), initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def blank_network(inputs, outputs, kind=TensorProto.FLOAT):
    """A network of this signature that answers zeros; for signatures that are not those of a model."""
    of_kind = helper.tensor_dtype_to_np_dtype(kind)
    nodes = [helper.make_node("Identity", [f"{name}.zeros"], [name]) for name in outputs]
    zeros = {f"{name}.zeros": np.zeros(shape, of_kind) for name, shape in outputs.items()}
    return network(nodes, inputs, outputs, zeros, kind)
