"""The two ONNX graphs against recordings of the published code, PyTorch, and what they promise."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from parameters import random_parameters

import focalrt
from focalrt import graphs
from focalrt.errors import FocalrtError, ParameterError
from focalrt.graphs.folder import write_model

REPOSITORY = Path(__file__).resolve().parents[1]
REFERENCE = Path(os.environ.get("FOCALRT_REFERENCE", REPOSITORY.parent / "shared" / "reference"))
TOLERANCE = 1e-4  # largest absolute difference, relative to the largest absolute value expected
VARIANTS = list(graphs.VARIANTS)
PUBLISHED_MACS = {"hrnet18s-s1": 0.904e9, "hrnet18s-s2": 3.615e9}
PUBLISHED_REFINER_MACS = {"hrnet18s-s1": 0.1269e9, "hrnet18s-s2": 0.1363e9}
PUBLISHED_PARAMETERS = 4_220_047 + 11_330
PUBLISHED_UNUSED = 14_208  # f_pixel and f_object
STATISTICS = ("running_mean", "running_var")
CONTEXT = "feature_extractor.ocr_distri_head.object_context_block"

Array = NDArray[np.float32]


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def both(variant: str) -> dict[str, onnx.ModelProto]:
    parameters = random_parameters(variant)
    return {
        "segmentor": graphs.segmentor(parameters, variant),
        "refiner": graphs.refiner(parameters, variant),
    }


def run(model: onnx.ModelProto, **feeds: Array) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def assert_close(found: Array, wanted: Array) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


def axis_weights(start: float, end: float, side: int) -> NDArray[np.float64]:
    """(side, side): row p averages the bilinear samples of RoIAlign's bin p, edges in input pixels."""
    start, size = start - 0.5, (end - start) / side
    count = max(int(np.ceil(size)), 1)
    weights = np.zeros((side, side))
    for p in range(side):
        for k in range(count):
            at = start + (p + (k + 0.5) / count) * size
            if -1 <= at <= side:
                at = min(max(at, 0.0), side - 1.0)
                low = min(int(at), side - 2)
                weights[p, low] += (low + 1 - at) / count
                weights[p, low + 1] += (at - low) / count
    return weights


def roi_align(x: Array, box: NDArray[Any]) -> Array:
    """RoIAlign (aligned, adaptive) of (1, C, n, n) to its own size; box x1, y1, x2, y2 on the 256 grid."""
    side = x.shape[2]
    x1, y1, x2, y2 = (float(edge) * side / 256 for edge in box)
    return np.asarray(axis_weights(y1, y2, side) @ x @ axis_weights(x1, x2, side).T, np.float32)


# Parity with the published code


@pytest.fixture(scope="module")
def published() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    if not (REFERENCE / "fill.py").exists():
        pytest.skip(
            f"no recordings of the published code: {REFERENCE} has no fill.py (set FOCALRT_REFERENCE)"
        )
    spec = importlib.util.spec_from_file_location("fill", REFERENCE / "fill.py")
    assert spec is not None
    assert spec.loader is not None
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    variant = "hrnet18s-s2"
    parameters = fill.parameters(variant)
    return graphs.segmentor(parameters, variant), graphs.refiner(parameters, variant)


@pytest.mark.parametrize("fixture", [0, 1])
def test_agrees_with_published_code(published: tuple[onnx.ModelProto, onnx.ModelProto], fixture: int) -> None:
    segmentor, refiner = published
    with np.load(REFERENCE / f"hrnet18s-s2-fixture{fixture}.npz") as recording:
        recorded = {name: recording[name] for name in recording.files if not name.startswith("probe")}
    coarse = run(segmentor, image=recorded["image"], maps=recorded["coord_features"])
    assert_close(coarse["logits"], recorded["segmentor_logits"])

    box = recorded["focus_box_x1y1x2y2"][0, 1:]
    inside = {name: roi_align(value, box) for name, value in coarse.items()}
    disks = recorded.get("focus_click_maps")
    if disks is None:
        disks = click_disks(recorded["focus_points"][0])
    refined = run(refiner, image=recorded["focus_image"], disks=disks, **inside)
    assert_close(refined["refined"], recorded["refined_logits"])
    assert_close(refined["boundary"], recorded["boundary_logits"])


def click_disks(points: Array, radius: float = 5.0) -> Array:
    """(1, 2, 256, 256) from (2N, 3) rows of row, column, order: N positive clicks, then N negative ones."""
    rows, columns = np.indices((256, 256), np.float32)
    maps = np.zeros((1, 2, 256, 256), np.float32)
    for index, (row, column, _) in enumerate(points):
        if max(row, column) >= 0:
            near = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
            maps[0, index // (len(points) // 2)][near] = 1
    return maps


# Agreement with PyTorch


def test_agrees_with_pytorch(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="the PyTorch networks need torch (the train extra)")
    monkeypatch.syspath_prepend(REPOSITORY / "weights")
    nets = pytest.importorskip("train.nets", reason="the PyTorch networks in weights/train are not there")
    parameters = random_parameters(variant, seed=1)
    network = nets.build(variant).eval()
    state = {name: torch.from_numpy(array) for name, array in parameters.items()}
    missing, unknown = network.load_state_dict(state, strict=False)
    assert not unknown
    assert all(
        name.endswith("num_batches_tracked") or ".f_pixel." in name or ".f_object." in name
        for name in missing
    )

    rng = np.random.default_rng(2)
    image, crop = (rng.random((1, 3, 256, 256), np.float32) for _ in range(2))
    maps = (rng.random((1, 3, 256, 256)) > 0.7).astype(np.float32)
    disks = (rng.random((1, 2, 256, 256)) > 0.95).astype(np.float32)
    box = np.array([[31.5, 12.25, 200.75, 256.0]], np.float32)
    side = graphs.VARIANTS[variant].side
    resize, torch_roi_align = nets.hrnet.resize, nets.roi.roi_align
    with torch.inference_mode():
        small, small_maps = (resize(torch.from_numpy(x), (side, side)) for x in (image, maps))
        clicks = network.maps_transform(small_maps)
        logits, _, feature = network.feature_extractor((small - network.mean) / network.std, clicks)
        logits = resize(logits, (256, 256))
        at = torch.from_numpy(box)
        inside = torch_roi_align(logits, at, 256, 1.0)
        feature = torch_roi_align(feature, at, side // 4, side / 4 / 256)
        inputs = (torch.from_numpy(crop), torch.from_numpy(disks), feature, inside)
        refined, boundary = network.refiner(*inputs)

    coarse = run(graphs.segmentor(parameters, variant), image=small.numpy(), maps=small_maps.numpy())
    assert_close(coarse["logits"], logits.numpy())
    found = run(
        graphs.refiner(parameters, variant),
        image=crop,
        disks=disks,
        context=roi_align(coarse["context"], box[0]),
        logits=roi_align(coarse["logits"], box[0]),
    )
    assert_close(found["refined"], refined.numpy())
    assert_close(found["boundary"], boundary.numpy())


# What the files promise


def shapes_of(values: Any) -> dict[str, tuple[int, ...]]:
    return {value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim) for value in values}


def all_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Shape of every value, as onnx infers it; 0 where it is not static."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    initializers = {array.name: tuple(array.dims) for array in graph.initializer}
    return shapes_of([*graph.input, *graph.output, *graph.value_info]) | initializers


def test_models_are_valid_and_named(both: dict[str, onnx.ModelProto]) -> None:
    for name, model in both.items():
        onnx.checker.check_model(model, full_check=True)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
        assert (model.ir_version, model.producer_name, model.graph.name) == (8, "focalrt", name)
        names = [node.name for node in model.graph.node]
        assert all(names)
        assert len(set(names)) == len(names)


def test_inputs_and_outputs(variant: str, both: dict[str, onnx.ModelProto]) -> None:
    side = graphs.VARIANTS[variant].side
    plane, context = (1, 1, 256, 256), (1, 32, side // 4, side // 4)
    segmentor, refiner = both["segmentor"].graph, both["refiner"].graph
    assert shapes_of(segmentor.input) == {"image": (1, 3, side, side), "maps": (1, 3, side, side)}
    assert shapes_of(segmentor.output) == {"logits": plane, "context": context}
    assert shapes_of(refiner.input) == {
        "image": (1, 3, 256, 256),
        "disks": (1, 2, 256, 256),
        "context": context,
        "logits": plane,
    }
    assert shapes_of(refiner.output) == {"refined": plane, "boundary": plane}


def test_all_shapes_are_static(both: dict[str, onnx.ModelProto]) -> None:
    for model in both.values():
        shapes = all_shapes(model)
        values = [name for node in model.graph.node for name in [*node.input, *node.output] if name]
        assert all(min(shapes[name], default=1) > 0 for name in values)


def test_no_initializer_twice_or_unused(both: dict[str, onnx.ModelProto]) -> None:
    for model in both.values():
        arrays = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
        assert len(arrays) == len(model.graph.initializer)
        contents = {(array.dtype.str, array.shape, array.tobytes()) for array in arrays.values()}
        assert len(contents) == len(arrays)
        assert set(arrays) <= {name for node in model.graph.node for name in node.input}
        assert {array.dtype for array in arrays.values()} <= {np.dtype(np.float32), np.dtype(np.int64)}


def test_no_dead_node(both: dict[str, onnx.ModelProto]) -> None:
    for model in both.values():
        read = {name for node in model.graph.node for name in node.input}
        read |= {value.name for value in model.graph.output}
        assert all(set(node.output) <= read for node in model.graph.node)


def test_bytes_are_deterministic(variant: str, both: dict[str, onnx.ModelProto]) -> None:
    parameters = random_parameters(variant)
    backwards = {name: parameters[name] for name in reversed(parameters)}
    for name, model in both.items():
        assert getattr(graphs, name)(backwards, variant).SerializeToString() == model.SerializeToString()


def multiply_adds(model: onnx.ModelProto) -> int:
    shapes, total = all_shapes(model), 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += int(np.prod(shapes[node.output[0]][2:]) * np.prod(shapes[node.input[1]]))
        elif node.op_type == "MatMul":
            total += int(np.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1])
    return total


def test_multiply_adds_are_not_above_published(variant: str, both: dict[str, onnx.ModelProto]) -> None:
    segmentor, refiner = multiply_adds(both["segmentor"]), multiply_adds(both["refiner"])
    assert 0.9 * PUBLISHED_MACS[variant] < segmentor <= PUBLISHED_MACS[variant]
    assert 0.9 * PUBLISHED_REFINER_MACS[variant] < refiner <= PUBLISHED_REFINER_MACS[variant]


# Parameters


def test_all_published_parameters_are_accounted_for(variant: str) -> None:
    trained = {name: s for name, s in graphs.expected(variant).items() if not name.endswith(STATISTICS)}
    assert sum(int(np.prod(shape)) for shape in trained.values()) == PUBLISHED_PARAMETERS - PUBLISHED_UNUSED


def test_every_parameter_of_a_published_checkpoint_is_used_or_accepted(variant: str) -> None:
    table = REFERENCE / "state_dict_keys" / "hrnet18s.tsv"
    if not table.exists():
        pytest.skip(f"no list of a published checkpoint's names: {table} (set FOCALRT_REFERENCE)")
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    listed = {name: tuple(int(n) for n in shape.split(",") if n) for name, shape, _ in rows}
    unused = {name for name in listed if name.endswith("num_batches_tracked")}
    unused |= {name for name in listed if name.startswith((f"{CONTEXT}.f_pixel.", f"{CONTEXT}.f_object."))}
    assert graphs.expected(variant) == {name: listed[name] for name in listed if name not in unused}


@pytest.mark.parametrize("name", list(graphs.expected(VARIANTS[0]))[::29])
def test_each_parameter_matters(name: str) -> None:
    """A sample of all: changing one changes the bytes of a network."""
    variant = VARIANTS[0]
    parameters = random_parameters(variant)
    changed = parameters | {name: parameters[name] * np.float32(1.5)}
    before, after = (
        graphs.segmentor(p, variant).SerializeToString() + graphs.refiner(p, variant).SerializeToString()
        for p in (parameters, changed)
    )
    assert before != after


@pytest.mark.parametrize("build", [graphs.segmentor, graphs.refiner])
def test_misfits_are_reported_together(build: Any) -> None:
    parameters: dict[str, NDArray[Any]] = dict(random_parameters("hrnet18s-s1"))
    del parameters["refiner.refine_pred.bias"], parameters["maps_transform.3.scale"]
    parameters["refiner.feature_gate.0.weight"] = np.zeros((1, 32, 1, 1), np.float32)
    parameters["feature_extractor.cls_head.weight"] = np.zeros((1, 256, 1, 1), np.float32)
    parameters["feature_extractor.bn1.bias"] = np.full(64, np.nan, np.float32)
    parameters["feature_extractor.bn2.bias"] = np.zeros(64, np.int64)
    with pytest.raises(ParameterError) as caught:
        build(parameters, "hrnet18s-s1")
    assert isinstance(caught.value, (FocalrtError, ValueError))
    message = str(caught.value)
    assert "hrnet18s-s1" in message
    missing, unknown, odd, wrong = message.split("; ")
    assert "2 missing: " in missing
    assert "refiner.refine_pred.bias" in missing
    assert "maps_transform.3.scale" in missing
    assert unknown == "1 unknown: refiner.feature_gate.0.weight"
    assert odd == "1 mis-shaped: feature_extractor.cls_head.weight is (1, 256, 1, 1), expected (1, 96, 1, 1)"
    assert wrong.startswith("2 not finite")
    assert wrong.endswith(": feature_extractor.bn1.bias, feature_extractor.bn2.bias")


def test_long_lists_of_misfits_are_cut() -> None:
    with pytest.raises(ParameterError, match=r"missing: .* and \d+ more") as caught:
        graphs.segmentor({}, "hrnet18s-s2")
    assert len(str(caught.value)) < 3000


def test_unused_published_parameters_change_nothing(both: dict[str, onnx.ModelProto], variant: str) -> None:
    extra = {
        "feature_extractor.bn1.num_batches_tracked": np.array(12345),
        f"{CONTEXT}.f_pixel.0.weight": np.ones((48, 96, 1, 1), np.float32),
        f"{CONTEXT}.f_object.3.0.bias": np.ones(48, np.float32),
    }
    model = graphs.segmentor(random_parameters(variant) | extra, variant)
    assert model.SerializeToString() == both["segmentor"].SerializeToString()


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_precisions_are_accepted(kind: type) -> None:
    """Folding sees the numbers as they are, so float16 gives what the same numbers give as float32."""
    variant = "hrnet18s-s1"
    given = {name: array.astype(kind) for name, array in random_parameters(variant).items()}
    plain = {name: array.astype(np.float32) for name, array in given.items()}
    for build in (graphs.segmentor, graphs.refiner):
        assert build(given, variant).SerializeToString() == build(plain, variant).SerializeToString()


def test_unknown_variant() -> None:
    for call in (lambda: graphs.segmentor({}, "hrnet99-s3"), lambda: graphs.expected("hrnet99-s3")):
        with pytest.raises(ParameterError, match=r"'hrnet99-s3'.*hrnet18s-s1.*hrnet18s-s2"):
            call()


# ------------------------------------------------------------ the model folder


def test_a_written_folder_is_a_model(variant: str, tmp_path: Path) -> None:
    write_model(random_parameters(variant), variant, tmp_path / "new", radius=5, trained="not", licence="none")
    model = focalrt.load(tmp_path / "new")
    assert model.description.variant == variant
    result = model.session(np.zeros((40, 50, 3), np.uint8)).click(20, 20)
    assert result.mask.shape == (40, 50)


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder, parameters = tmp_path / "model", random_parameters("hrnet18s-s1")
    write_model(parameters, "hrnet18s-s1", folder, radius=5, trained="first", licence="none")
    del parameters["feature_extractor.conv1.weight"]
    with pytest.raises(ParameterError, match=r"feature_extractor\.conv1\.weight"):
        write_model(parameters, "hrnet18s-s1", folder, radius=5, trained="second", licence="none")
    assert focalrt.load(folder).description.trained == "first"
    write_model(random_parameters("hrnet18s-s1", 1), "hrnet18s-s1", folder, radius=5, trained="third", licence="none")
    assert focalrt.load(folder).description.trained == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
