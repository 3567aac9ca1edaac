"""int8 versions, of networks whose files hold float32 and float16."""

import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="quantising needs onnx")
focalrt = pytest.importorskip("focalrt", reason="focalrt is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from focalrt.graphs.storage import halved  # noqa: E402
from train import quantise  # noqa: E402


def network():
    """Two convolutions, the first of them with more than a few weights."""
    rng = np.random.default_rng(0)
    arrays = {"first": rng.normal(size=(64, 3, 5, 5)), "second": rng.normal(size=(1, 64, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["x"], "one", pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["x"], ["y"], "between"),
        helper.make_node("Conv", ["y", "second"], ["logits"], "two"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 8, 8))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 1, 8, 8))
    trained = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "network", [image], [logits], trained)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture
def inputs():
    rng = np.random.default_rng(1)
    return [{"image": rng.random((1, 3, 8, 8), np.float32)} for _ in range(4)]


def test_a_file_of_half_the_size_becomes_one_that_can_be_quantised(inputs):
    half = halved(network())
    assert "Cast" in {node.op_type for node in half.graph.node}
    wide = quantise.widened(half)
    assert [node.op_type for node in wide.graph.node] == ["Conv", "Relu", "Conv"]
    np.testing.assert_array_equal(quantise.answers(wide, inputs), quantise.answers(half, inputs))
    assert "Cast" in {node.op_type for node in half.graph.node}, "and is not changed itself"


def test_int8_answers_nearly_alike_and_spares_what_it_is_told(inputs):
    model = network()
    exact = quantise.answers(model, inputs)
    for kept in ((), ["two"]):
        int8 = quantise.quantised(model, inputs, "minmax", kept)
        told = [node for node in int8.graph.node if node.op_type == "DequantizeLinear"]
        assert any(name.startswith("second") for node in told for name in node.input) == (not kept)
        assert 0 < quantise.disagreement(exact, quantise.answers(int8, inputs)) < 0.02


def test_costs_tell_the_worst_layer_first(inputs):
    found = quantise.costs(network(), inputs, "minmax")
    assert set(found) == {"one", "two"}
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_a_model_that_ships_becomes_one_in_int8(packs, tmp_path):
    out = tmp_path / "int8"
    layer = "feature_extractor.backbone.patch_embed1.proj"
    options = {"model": "segformerb0-s1", "packs": packs, "out": out, "photos": 2, "layers": layer}
    quantise.main([word for name, value in options.items() for word in (f"--{name}", str(value))])
    description = json.loads((out / "model.json").read_text())
    assert description["variant"] == "segformerb0-s1-int8"
    assert "1 layers in float32" in description["trained"]
    image = np.full((80, 100, 3), 90, np.uint8)
    image[20:60, 30:70] = 220
    masks = [focalrt.load(name).session(image).click(50, 40).mask for name in (out, "segformerb0-s1")]
    assert (masks[0] & masks[1]).sum() > 0.8 * (masks[0] | masks[1]).sum()
