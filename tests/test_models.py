"""Model folders: whole, damaged, foreign; found by name, by folder, or not at all."""

import copy
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the tiny networks are written with onnx, of the test extra")

from command import run
from onnx import TensorProto, helper, numpy_helper
from tiny_model import (
    blank_network,
    network,
    tiny_alone,
    tiny_refiner,
    tiny_segmentor,
    write_tiny_model,
    write_tiny_ritm,
)

import focalrt
from focalrt import ModelError, ModelNotFoundError
from focalrt.evaluation.catalogue import fingerprint, open_method
from focalrt.networks import FocalClickNetworks, RitmNetwork, answers
from focalrt.zoo import shipped_folder

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
NETWORKS = ("segmentor.onnx", "refiner.onnx")
SHIPPED = [name for name, model in focalrt.installed().items() if model.shipped]


@pytest.fixture
def tiny(tmp_path):
    return write_tiny_model(tmp_path / "tiny")


def assert_no_model(folder, *words, error=ModelError):
    """Loading fails with this error, whose message has the words."""
    with pytest.raises(error) as caught:
        focalrt.load(folder)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert len(message) < 2000 and "\n  File" not in message


# ------------------------------------------------------------ a good one


@pytest.mark.parametrize("side", [128, 256])
def test_a_whole_model_segments(tmp_path, side):
    model = focalrt.load(write_tiny_model(tmp_path, side), threads=1)
    session = model.session(IMAGE)
    assert session.click(30, 20).outcome == "written"
    assert session.mask[20, 30] and not session.mask.all()
    session.click(30, 20, False)
    assert not session.mask[20, 30]
    assert (model.description.variant, model.description.side) == ("tiny", side)
    assert repr(model) == "<focalrt.Model tiny, threshold 0.5>"


def test_another_threshold_is_another_model_of_the_same_networks(tiny):
    """A pixel belongs where its probability is higher: a lower threshold takes more, and the first model stays."""
    model = focalrt.load(tiny, threads=1)
    areas = []
    for each in (model.at_threshold(0.3), model, model.at_threshold(0.7)):
        session = each.session(IMAGE)
        session.click(30, 20)
        np.testing.assert_array_equal(session.mask, session.probability() > each.threshold)
        areas.append(session.mask.sum())
    assert areas[0] > areas[1] > areas[2]


def test_a_model_tells_its_own_threshold_and_its_description_that_of_the_file(tiny):
    model = focalrt.load(tiny, threads=1)
    other = model.at_threshold(0.3)
    assert (model.threshold, other.threshold) == (0.5, 0.3)
    assert model.description.threshold == other.description.threshold == 0.5
    assert repr(other) == "<focalrt.Model tiny, threshold 0.3>"


@pytest.mark.parametrize("threshold", [0, 1, -0.1, float("nan"), "0.5", True])
def test_a_threshold_lies_between_0_and_1(tiny, threshold):
    with pytest.raises(focalrt.FocalrtError, match="threshold"):
        focalrt.load(tiny, threads=1).at_threshold(threshold)


def test_a_loaded_model_needs_its_folder_no_more(tiny):
    model = focalrt.load(tiny)
    shutil.rmtree(tiny)
    assert model.session(IMAGE).click(30, 20).outcome == "written"


def test_digests_in_capitals_and_further_fields_are_fine(tiny):
    description = json.loads((tiny / "model.json").read_text())
    description["sha256"] = {name: digest.upper() for name, digest in description["sha256"].items()}
    description["notes"] = ["anything"]
    (tiny / "model.json").write_text(json.dumps(description))
    assert focalrt.load(tiny).description.variant == "tiny"


def test_one_model_is_the_same_for_any_number_of_threads(tiny):
    masks = [focalrt.segment(IMAGE, [(30, 20)], model=focalrt.load(tiny, threads=n)).mask for n in (None, 1, 2)]
    assert all(np.array_equal(mask, masks[0]) for mask in masks)


# ------------------------------------------------------------ networks that are not what they should be


def flipped(content):
    """One bit in the middle is another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGES = {
    "half": lambda content: content[: len(content) // 2],
    "a byte short": lambda content: content[:-1],
    "a bit flipped": flipped,
    "longer": lambda content: content + b"\0",
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_damaged_network(tiny, name, damage):
    path = tiny / name
    path.write_bytes(damage(path.read_bytes()))
    assert_no_model(tiny, str(path), "damaged or was altered", "install or convert the model again")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_missing_network(tiny, name):
    (tiny / name).unlink()
    assert_no_model(tiny, str(tiny / name), error=ModelNotFoundError)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folder_where_a_network_should_be(tiny, name):
    (tiny / name).unlink()
    (tiny / name).mkdir()
    assert_no_model(tiny, str(tiny / name), error=ModelNotFoundError)


def segmentor(inputs=(), outputs=(), kind=TensorProto.FLOAT):
    """A network with the Segmentor's signature, but for these; a shape of None takes an input or output away."""
    right_inputs = {"image": (1, 3, 128, 128), "maps": (1, 3, 128, 128)}
    right_outputs = {"logits": (1, 1, 256, 256), "context": (1, 32, 32, 32)}
    changed = [right | dict(other) for right, other in ((right_inputs, inputs), (right_outputs, outputs))]
    return blank_network(*({name: shape for name, shape in values.items() if shape} for values in changed), kind)


FOREIGN = {
    "the other network": tiny_refiner(),
    "that of another side": tiny_segmentor(256),
    "maps by another name": segmentor({"maps": None, "clicks": (1, 3, 128, 128)}),
    "no maps": segmentor({"maps": None}),
    "an input more": segmentor({"more": (1,)}),
    "four channels": segmentor({"image": (1, 4, 128, 128)}),
    "a batch of any size": segmentor({"image": ("batch", 3, 128, 128)}),
    "no context": segmentor((), {"context": None}),
    "a small context": segmentor((), {"context": (1, 32, 16, 16)}),
    "small logits": segmentor((), {"logits": (1, 1, 32, 32)}),
    "float64": segmentor(kind=TensorProto.DOUBLE),
    "float16": segmentor(kind=TensorProto.FLOAT16),
}


@pytest.mark.parametrize("network", FOREIGN.values(), ids=FOREIGN)
def test_a_network_of_another_signature(tmp_path, network):
    folder = write_tiny_model(tmp_path, segmentor=network)
    assert_no_model(folder, str(folder / "segmentor.onnx"), "not the network expected", "maps")


def test_a_segmentor_where_the_refiner_should_be(tmp_path):
    folder = write_tiny_model(tmp_path, refiner=tiny_segmentor())
    assert_no_model(folder, str(folder / "refiner.onnx"), "not the network expected", "disks")


def test_an_output_more_is_fine(tmp_path):
    folder = write_tiny_model(tmp_path, segmentor=segmentor((), {"boundary": (1, 1, 256, 256)}))
    assert focalrt.load(folder).session(IMAGE).click(30, 20).target == (0, 0, 60, 40)


def with_weights_elsewhere():
    """A network that reads its weights from another file."""
    model = tiny_segmentor()
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "weights")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")
    return model


def with_an_unknown_operator():
    node = helper.make_node("Divine", ["image"], ["logits"], domain="elsewhere")
    return network([node], {"image": (1, 3, 128, 128)}, {"logits": (1, 1, 256, 256)}, {})


UNREADABLE = {
    "no ONNX": b"this is no network",
    "an HTML page": b"<!DOCTYPE html><title>404</title>",
    "nothing": b"",
    "half of one": tiny_segmentor().SerializeToString()[:300],
    "an unknown operator": with_an_unknown_operator(),
    "weights in another file": with_weights_elsewhere(),
}


@pytest.mark.parametrize("network", UNREADABLE.values(), ids=UNREADABLE)
def test_a_network_that_cannot_be_run(tmp_path, monkeypatch, network):
    """The digest is right: such a file was made so. Nor does a network get at files beside it."""
    folder = write_tiny_model(tmp_path, segmentor=network)
    (folder / "weights.bin").write_bytes(np.zeros(9, np.float32).tobytes())
    monkeypatch.chdir(folder)
    assert_no_model(folder, str(folder / "segmentor.onnx"))


# ------------------------------------------------------------ networks that do not do what they declare


def sliced(whole, output):
    """The last nodes of a network: the first rows of what it would answer."""
    return [helper.make_node("Slice", [whole, "zero", "rows", "axis"], [output])]


def beyond(whole, output):
    """The same, where ONNX Runtime itself gives up: there is but one number to take, and none at the missing rows."""
    return [
        helper.make_node("Sub", ["size", "rows"], ["missing"]),
        helper.make_node("Gather", ["nought", "missing"], ["nothing"]),
        helper.make_node("Add", [whole, "nothing"], [output]),
    ]


def cut(model, output, feed, plane, size, last):
    """A network that has one row to answer, and not ``size``, once a plane of that input is not all 0."""
    whole = f"{output}.whole"
    for node in model.graph.node:
        node.output[:] = [whole if name == output else name for name in node.output]
    model.graph.node.extend(
        [
            helper.make_node("Gather", [feed, "plane"], ["clicks"], axis=1),
            helper.make_node("ReduceMax", ["clicks"], ["most"], keepdims=0),
            helper.make_node("Ceil", ["most"], ["any"]),
            helper.make_node("Mul", ["any", "loss"], ["lost"]),
            helper.make_node("Add", ["lost", "length"], ["left"]),
            helper.make_node("Cast", ["left"], ["scalar"], to=TensorProto.INT64),
            helper.make_node("Reshape", ["scalar", "one"], ["rows"]),
            *last(whole, output),
        ]
    )
    constants = {"plane": plane, "one": [1], "zero": [0], "axis": [2], "size": [size]}
    numbers = {"loss": 1 - size, "length": size, "nought": [0]}
    arrays = {name: np.array(value, np.int64) for name, value in constants.items()}
    arrays |= {name: np.array(value, np.float32) for name, value in numbers.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


# where the output comes from, which plane of an input tells of negative clicks, and what the output then is
UNRELIABLE = {
    "logits": ("segmentor", tiny_segmentor, ("logits", "maps", 2, 256), "(1, 1, 1, 256)"),
    "context": ("segmentor", tiny_segmentor, ("context", "maps", 2, 32), "(1, 32, 1, 32)"),
    "refined": ("refiner", tiny_refiner, ("refined", "disks", 1, 256), "(1, 1, 1, 256)"),
    "RITM's logits": ("segmentor", tiny_alone, ("logits", "maps", 2, 32), "(1, 1, 1, 32)"),
}


def unreliable(folder, which, last):
    """A model that answers as it should until there is a negative click; its session, in the middle of its history."""
    name, write, where, _ = UNRELIABLE[which]
    network = cut(write(), *where, last)
    if write is tiny_alone:
        write_tiny_ritm(folder, network=network)
    else:
        write_tiny_model(folder, **{name: network})
    session = focalrt.load(folder, threads=1).session(IMAGE)
    session.click(30, 20)
    session.click(34, 22)
    session.undo()
    return session


def state(session):
    return session.mask.tobytes(), session.clicks, session.withheld.runs, session.can_undo, session.can_redo


@pytest.mark.parametrize("which", UNRELIABLE)
def test_an_output_of_another_shape_than_declared_is_told_and_changes_nothing(tmp_path, which):
    """ONNX Runtime hands it out with a warning at most, and kernels would read beyond it."""
    name, *_, shape = UNRELIABLE[which]
    session = unreliable(tmp_path / "tiny", which, sliced)
    before, probability = state(session), session.probability()
    with pytest.raises(ModelError, match="does not answer as it declares") as caught:
        session.click(26, 18, False)
    assert str(tmp_path / "tiny" / f"{name}.onnx") in str(caught.value) and f"float32 {shape}" in str(caught.value)
    assert state(session) == before and np.array_equal(session.probability(), probability)
    assert session.redo().kind == "click" and session.click(24, 18).outcome == "written"
    with pytest.raises(ModelError, match="does not answer as it declares"):
        focalrt.segment(IMAGE, [(30, 20), (26, 18, False)], model=focalrt.load(tmp_path / "tiny"))


@pytest.mark.parametrize("which", UNRELIABLE)
def test_a_network_that_fails_on_an_input_is_told_and_changes_nothing(tmp_path, which):
    session = unreliable(tmp_path / "tiny", which, beyond)
    before = state(session)
    with pytest.raises(ModelError, match="cannot be run on this input"):
        session.click(26, 18, False)
    assert state(session) == before and session.redo().kind == "click"


def test_what_memory_does_not_hold_is_no_fault_of_the_model(tmp_path):
    class Full:
        def run(self, names, feeds):
            raise MemoryError

    with pytest.raises(MemoryError):
        answers(Full(), tmp_path / "segmentor.onnx", {}, {"logits": (1, 1, 256, 256)})


# ------------------------------------------------------------ model.json


def test_a_description_can_be_hashed_and_holds_numbers_of_one_type(tiny):
    """Kernels are compiled for each type of their arguments; converted models have 5.0 where others have 5."""
    described = [focalrt.load(tiny, threads=1).description, focalrt.installed(tiny.parent)["tiny"].description]
    content = json.loads((tiny / "model.json").read_text())
    (tiny / "model.json").write_text(json.dumps(content | {"radius": 5.0, "refiner_radius": 5.0}))
    described.append(focalrt.load(tiny, threads=1).description)
    assert len({*described}) == 1 and isinstance(described[0], focalrt.Description)
    for each in described:
        assert (type(each.radius), type(each.refiner_radius), type(each.threshold)) == (float, float, float)


def test_a_missing_description(tiny):
    (tiny / "model.json").unlink()
    assert_no_model(tiny, str(tiny), "model.json", error=ModelNotFoundError)


CONTENTS = {
    "empty": b"",
    "blank": b" \n",
    "no JSON": b"format: 1",
    "half": b'{"format": 1, "variant": "ti',
    "binary": bytes(range(256)),
    "not UTF-8": b'{"format": 1, "variant": "\xff"}',
    "null": b"null",
    "a number": b"1",
    "a list": b"[1]",
    "no field": b"{}",
    "deeply nested": b"[" * 100_000 + b"]" * 100_000,
    "a deeply nested field": b'{"format": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "huge": b'{"format": 1, "variant": "' + b"x" * 3_000_000 + b'"}',
    "a huge number": b'{"format": ' + b"1" * 100_000 + b"}",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_a_description_that_is_none(tiny, content):
    (tiny / "model.json").write_bytes(content)
    assert_no_model(tiny, str(tiny / "model.json"), "does not describe a model")


NAN, INFINITY, MISSING = float("nan"), float("inf"), "missing"
DIGEST = "0" * 64
WRONG = {
    "format": [0, 2, "1", None, [1], MISSING],
    "method": ["RITM", "", None, 1, ["focalclick"], {}, True],
    "variant": [None, 5, ["tiny"], MISSING],
    "side": [64, 0, -128, 512, "128", None, [128], 128.5, 128.0, True, MISSING],
    "radius": [-1, 101, "5", None, True, NAN, INFINITY, 10**400, [5], MISSING],
    "refiner_radius": [-0.1, "5", None, False, NAN, MISSING],
    "threshold": [0, 1, -0.5, 1.5, "0.5", None, True, NAN, INFINITY, MISSING],
    "sha256": [None, DIGEST, [], {}, {"segmentor.onnx": DIGEST}, dict.fromkeys(NETWORKS, 5), MISSING],
    "trained": [None, 5, MISSING],
    "licence": [None, ["Apache-2.0"], MISSING],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param(field, value, id=f"{field} {str(value)[:20]}")
        for field, values in WRONG.items()
        for value in values
    ],
)
def test_a_wrong_field(tiny, field, value):
    description = json.loads((tiny / "model.json").read_text())
    if value is MISSING:
        del description[field]
    else:
        description[field] = value
    (tiny / "model.json").write_text(json.dumps(description))
    assert_no_model(tiny, str(tiny / "model.json"), field)


# ------------------------------------------------------------ a model of RITM


def test_a_model_of_ritm_is_one_network(tmp_path):
    folder = write_tiny_ritm(tmp_path / "tiny")
    model = focalrt.load(folder, threads=1)
    assert isinstance(model._networks, RitmNetwork)
    assert (model.description.method, model.description.files) == ("ritm", ("segmentor.onnx",))
    assert (model.description.side, model.description.refiner_radius) == (128, 0)
    session = model.session(IMAGE)
    result = session.click(30, 20)
    assert result.outcome == "written" and result.focus == result.target == (0, 0, 60, 40)
    assert session.mask[20, 30] and not session.mask.all()
    session.click(30, 20, False)
    assert not session.mask[20, 30]


def test_a_description_that_tells_no_method_is_of_focalclick(tiny):
    assert "method" not in json.loads((tiny / "model.json").read_text())
    model = focalrt.load(tiny, threads=1)
    assert (model.description.method, model.description.files) == ("focalclick", NETWORKS)
    assert isinstance(model._networks, FocalClickNetworks)


def redescribed(folder, changes):
    """The folder, some fields of its ``model.json`` changed."""
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(description | changes))
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "focalclick"},
        {"side": 64},
        {"side": 300},
        {"side": 512},
        {"side": "400"},
        {"radius": -1},
        {"radius": None},
        {"threshold": 1},
        {"sha256": {"refiner.onnx": DIGEST}},
        {"sha256": {"segmentor.onnx": 5}},
        {"trained": None},
    ],
    ids=str,
)
def test_a_wrong_field_of_a_model_of_ritm(tmp_path, changes):
    folder = redescribed(write_tiny_ritm(tmp_path / "tiny"), changes)
    wrong = next(iter(changes))
    assert_no_model(folder, "does not describe a model", "refiner_radius" if wrong == "method" else wrong)


def test_fields_that_a_model_of_ritm_has_no_use_for(tmp_path):
    """Old and new tools may write more."""
    folder = redescribed(write_tiny_ritm(tmp_path / "tiny"), {"refiner_radius": "none", "notes": ["anything"]})
    assert focalrt.load(folder).description.refiner_radius == 0


@pytest.mark.parametrize(
    "network",
    [
        tiny_segmentor(),
        tiny_refiner(),
        tiny_alone(256),
        blank_network({"image": (1, 3, 128, 128), "maps": (1, 3, 128, 128)}, {"logits": (1, 1, 128, 128)}),
        blank_network({"image": (1, 3, 128, 128), "maps": (1, 4, 128, 128)}, {"logits": (1, 1, 32, 32)}),
        blank_network({"image": (1, 3, 128, 128), "maps": (1, 3, 128, 128)}, {"mask": (1, 1, 32, 32)}),
    ],
    ids=["a FocalClick Segmentor", "a Refiner", "another side", "large logits", "four maps", "no logits"],
)
def test_a_network_that_is_not_ritms(tmp_path, network):
    folder = write_tiny_ritm(tmp_path / "tiny", network=network)
    assert_no_model(folder, str(folder / "segmentor.onnx"), "not the network expected", "maps")


def test_networks_of_one_method_are_not_taken_for_the_others(tmp_path, tiny):
    ritm = write_tiny_ritm(tmp_path / "ritm")
    with pytest.raises(ModelError, match="holds a model of ritm; here one of focalclick is needed"):
        FocalClickNetworks(ritm)
    with pytest.raises(ModelError, match="holds a model of focalclick; here one of ritm is needed"):
        RitmNetwork(tiny)


@pytest.mark.usefixtures("two_shipped")
def test_a_model_of_ritm_is_listed_with_the_others(tmp_path):
    folder = write_tiny_ritm(tmp_path / "mine" / "ritm", side=400)
    found = focalrt.installed(tmp_path / "mine")["ritm"]
    assert found.megabytes == (folder / "segmentor.onnx").stat().st_size / 1e6
    assert focalrt.load("ritm", models=tmp_path / "mine").description.side == 400
    done = run(["models", "--models", tmp_path / "mine"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ritm  (tiny, 0.0 MB)" in done.stdout


def test_a_model_of_ritm_can_be_evaluated_and_its_parts_cannot(tmp_path):
    folder = write_tiny_ritm(tmp_path / "tiny")
    method = open_method(str(folder), "auto", 1)
    assert method.session(IMAGE).click(30, 20, True).outcome == "written"
    assert len(fingerprint(str(folder)).split()[0]) == 64
    open_method(f"look-again:{folder}", "auto", 1).session(IMAGE).click(30, 20, True)
    for kind in ("coarse", "whole", "soft", "published"):
        with pytest.raises(ModelError, match="here one of focalclick is needed"):
            open_method(f"{kind}:{folder}", "auto", 1)


# ------------------------------------------------------------ names and folders


@pytest.fixture
def two_shipped(tmp_path, monkeypatch):
    """A package that comes with the models one (side 128) and two (side 256)."""
    write_tiny_model(tmp_path / "shipped" / "one")
    write_tiny_model(tmp_path / "shipped" / "two", 256)
    (tmp_path / "shipped" / "README.md").write_text("no model")
    monkeypatch.setattr("focalrt.zoo.shipped_folder", lambda: tmp_path / "shipped")
    monkeypatch.delenv("FOCALRT_MODELS", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.mark.usefixtures("two_shipped")
def test_shipped_models_are_listed_and_loaded_by_name():
    models = focalrt.installed()
    assert {name: model.description.side for name, model in models.items()} == {"one": 128, "two": 256}
    assert all(model.shipped and 0 < model.megabytes < 1 for model in models.values())
    assert focalrt.load("two").description.side == 256


@pytest.fixture
def two_folders(tmp_path, monkeypatch):
    """Folders of a user's models, listed in the environment: mine and one (side 256); mine again (side 128)."""
    for name, side in (("first/mine", 256), ("first/one", 256), ("second/mine", 128), ("second/other", 256)):
        write_tiny_model(tmp_path / name, side)
    monkeypatch.setenv("FOCALRT_MODELS", os.pathsep.join([str(tmp_path / "first"), "", str(tmp_path / "second")]))


@pytest.mark.usefixtures("two_shipped", "two_folders")
def test_models_of_the_users_come_after_those_of_the_package(tmp_path):
    models = focalrt.installed()
    assert list(models) == ["one", "two", "mine", "other"]
    assert [model.shipped for model in models.values()] == [True, True, False, False]
    assert models["mine"].folder == tmp_path / "first" / "mine"
    assert [focalrt.load(name).description.side for name in models] == [128, 256, 256, 256]


@pytest.mark.usefixtures("two_shipped", "two_folders")
def test_a_folder_of_models_as_an_argument_stands_for_those_listed(tmp_path):
    assert list(focalrt.installed(tmp_path / "second")) == ["mine", "other", "one", "two"]
    assert focalrt.load("mine", models=tmp_path / "second").description.side == 128
    (tmp_path / "nothing").mkdir()
    assert list(focalrt.installed(tmp_path / "nothing")) == ["one", "two"]
    with pytest.raises(ModelNotFoundError, match="mine"):
        focalrt.load("mine", models=tmp_path / "nothing")
    for models in (3, ["first"], True):
        with pytest.raises(focalrt.ArgumentTypeError, match="models"):
            focalrt.load("one", models=models)


@pytest.mark.usefixtures("two_shipped", "two_folders")
def test_a_folder_of_models_as_an_argument_comes_before_the_package(tmp_path, monkeypatch):
    """Also for the default; "fast" stays the package's own."""
    found = focalrt.installed(tmp_path / "first")
    assert not found["one"].shipped and found["two"].shipped
    assert focalrt.load("one", models=tmp_path / "first").description.side == 256
    monkeypatch.setattr("focalrt.zoo.DEFAULT", "one")
    monkeypatch.setattr("focalrt.zoo.ENDS", {"fast": "one"})
    assert focalrt.load(models=tmp_path / "first").description.side == 256
    assert focalrt.load().description.side == focalrt.load("fast", models=tmp_path / "first").description.side == 128


@pytest.mark.usefixtures("two_shipped")
def test_a_folder_of_models_that_is_not_there_is_told(tmp_path):
    for models in (tmp_path / "nowhere", str(tmp_path / "shipped" / "README.md"), "", "a\0b"):
        for look in (lambda models: focalrt.load("one", models=models), focalrt.installed):
            with pytest.raises(ModelNotFoundError, match=r"^models: "):
                look(models)


@pytest.mark.usefixtures("two_shipped", "two_folders")
def test_a_damaged_model_of_the_users_is_told(tmp_path):
    (tmp_path / "first" / "mine" / "model.json").write_text("{")
    with pytest.raises(ModelError, match="mine"):
        focalrt.installed()
    assert focalrt.load("one").description.side == 128


UNKNOWN = ["three", "", ".", "..", "no/such", "README.md", "one/model.json", "a\0b", "n" * 300]


@pytest.mark.usefixtures("two_shipped")
@pytest.mark.parametrize("name", UNKNOWN, ids=lambda name: repr(name[:20]))
def test_an_unknown_name_is_told_the_known_ones(name):
    assert_no_model(name, "one, two", error=ModelNotFoundError)


def test_fast_and_accurate_are_shipped_models_unless_others_have_these_names(tmp_path):
    fast, accurate = (focalrt.load(end, threads=1).description.variant for end in ("fast", "accurate"))
    assert {fast, accurate} <= set(SHIPPED) and fast != accurate
    write_tiny_model(tmp_path / "fast")
    assert focalrt.load("fast", threads=1, models=tmp_path).description.variant == "tiny"


@pytest.mark.usefixtures("two_shipped")
def test_a_name_of_an_installed_model_and_of_a_folder_here_is_refused_and_a_path_is_not(tmp_path):
    write_tiny_model(tmp_path / "here" / "one", 256)
    here, there = tmp_path / "here" / "one", tmp_path / "shipped" / "one"
    with pytest.raises(focalrt.ArgumentValueError, match=r"^model: 'one' is an installed model and a folder") as told:
        focalrt.load("one")
    assert repr(os.path.join(".", "one")) in str(told.value) and repr(str(there)) in str(told.value)
    for folder in (os.path.join(".", "one"), str(here), here, Path("one")):
        assert focalrt.load(folder).description.side == 256
    assert focalrt.load(str(there)).description.side == 128


@pytest.mark.usefixtures("two_shipped")
def test_the_default_is_no_folder_here(tmp_path, monkeypatch):
    """Whoever names no model means none that happens to lie where the program runs."""
    write_tiny_model(tmp_path / "here" / "one", 256)
    monkeypatch.setattr("focalrt.zoo.DEFAULT", "one")
    assert focalrt.load().description.side == 128


@pytest.mark.usefixtures("two_shipped")
def test_a_name_is_clear_where_the_folder_here_is_the_installed_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "shipped")
    assert focalrt.load("one").description.side == 128


@pytest.mark.usefixtures("two_shipped")
def test_a_folder_beside_the_caller_may_go_by_its_bare_name(tmp_path):
    write_tiny_model(tmp_path / "here" / "mine", 256)
    assert focalrt.load("mine").description.side == 256


def test_any_path_like_object(tiny):
    class Place:
        def __fspath__(self):
            return str(tiny)

    assert focalrt.load(Place()).description.variant == "tiny"
    assert focalrt.load(f"{tiny}{os.sep}").description.variant == "tiny"


# ------------------------------------------------------------ copies and pickles

WRITERS = {"focalclick": write_tiny_model, "ritm": write_tiny_ritm}


def clicked(model):
    session = model.session(IMAGE)
    session.click(30, 20)
    return session.click(20, 10, False)


@pytest.mark.parametrize("method", WRITERS)
def test_a_copy_of_a_model_shares_its_networks(tmp_path, method):
    model = focalrt.load(WRITERS[method](tmp_path / "tiny"), threads=1)
    shutil.rmtree(tmp_path / "tiny")
    for copied in (copy.copy(model), copy.deepcopy(model), copy.deepcopy([model])[0]):
        ours, theirs = vars(copied._networks), vars(model._networks)
        assert all(ours[name] is theirs[name] for name in theirs)
        assert clicked(copied) == clicked(model)


@pytest.mark.parametrize("method", WRITERS)
def test_a_pickled_model_is_loaded_anew(tmp_path, monkeypatch, method):
    """From its folder, told by a path that means the same elsewhere, with its threads and threshold."""
    monkeypatch.chdir(tmp_path)
    WRITERS[method](Path("tiny"))
    model = focalrt.load("tiny", threads=2).at_threshold(0.3)
    pickled = pickle.dumps(model)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = pickle.loads(pickled)
    assert (again.threshold, again._networks.threads) == (0.3, 2)
    assert again.description == model.description and clicked(again) == clicked(model)
    assert len(pickled) < 2000
    WRITERS[method](tmp_path / "tiny", 256)
    with pytest.raises(ModelError, match="another model than the one that was pickled"):
        pickle.loads(pickled)
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(ModelNotFoundError, match="tiny"):
        pickle.loads(pickled)


@pytest.mark.parametrize("method", WRITERS)
def test_a_pickled_session_goes_on_as_the_first_one(tmp_path, method):
    session = focalrt.load(WRITERS[method](tmp_path / "tiny")).session(IMAGE, merge="always")
    session.click(30, 20)
    session.click(20, 10)
    session.undo()
    again = pickle.loads(pickle.dumps(session))
    assert not again._image.flags.writeable and not again.runs.spans.flags.writeable
    for each in (session, again):
        each.redo()
        each.click(40, 30, False)
    assert again.runs == session.runs and again.clicks == session.clicks and again.withheld == session.withheld
    assert np.array_equal(again.probability(), session.probability())
    while session.undo():
        again.undo()
    assert again.runs == session.runs and not again.can_undo


# ------------------------------------------------------------ what comes with the package


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_loads_and_hears_a_click(name):
    model = focalrt.load(name, threads=1)
    assert (shipped_folder() / name / "model.json").is_file()
    assert model.description.variant == name
    assert model.session(IMAGE).click(30, 20).outcome in ("written", "unchanged", "disobeyed")
