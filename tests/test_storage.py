"""Parameters stored as float16: the same network, to float16's rounding and nothing else."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="graphs are written with onnx, of the test and convert extras")

from onnx import numpy_helper  # noqa: E402
from parameters import random_parameters  # noqa: E402

from focalrt import graphs  # noqa: E402
from focalrt.graphs.builder import FIXED  # noqa: E402
from focalrt.graphs.storage import LARGEST, SMALL, halved  # noqa: E402
from focalrt.networks import start  # noqa: E402


@pytest.fixture(scope="module", params=["hrnet18s-s1", "segformerb0-s1"])
def segmentor(request):
    return graphs.segmentor(random_parameters(request.param), request.param)


def rounded(model):
    """The same file with float32 numbers that float16 holds: what a cast must bring back."""
    copy = type(model).FromString(model.SerializeToString())
    for tensor in copy.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if not tensor.name.startswith(FIXED) and array.dtype == np.float32 and array.size > SMALL:
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16).astype(np.float32), tensor.name))
    return copy


def outputs(model):
    session = start(model.SerializeToString(), Path("network.onnx"), 1)
    rng = np.random.default_rng(3)
    return session.run(None, {value.name: rng.random(value.shape, np.float32) for value in session.get_inputs()})


def test_what_is_cast_back_is_what_was_rounded(segmentor):
    for half, whole in zip(outputs(halved(segmentor)), outputs(rounded(segmentor)), strict=True):
        np.testing.assert_array_equal(half, whole)


def test_the_file_is_half_as_large_and_valid(segmentor):
    half = halved(segmentor)
    onnx.checker.check_model(half, full_check=True)
    assert half.ByteSize() < 0.55 * segmentor.ByteSize()
    assert half.opset_import == segmentor.opset_import


def test_numbers_beyond_float16_are_kept():
    parameters = random_parameters("hrnet18s-s1")
    name = "feature_extractor.aux_head.0.weight"
    parameters[name] = parameters[name] * 1e7
    model = graphs.segmentor(parameters, "hrnet18s-s1")
    large = {t.name for t in model.graph.initializer if np.abs(numpy_helper.to_array(t)).max() > LARGEST}
    assert large
    assert large <= {tensor.name for tensor in halved(model).graph.initializer}
    assert all(np.isfinite(output).all() for output in outputs(halved(model)))


def test_the_given_model_stays_as_it_was(segmentor):
    before = segmentor.SerializeToString(deterministic=True)
    halved(segmentor)
    assert segmentor.SerializeToString(deterministic=True) == before
