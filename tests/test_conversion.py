"""A checkpoint becomes a model: through a .safetensors file written here, by the call and by the command."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="conversion needs onnx, of the convert extra")

from command import run
from parameters import random_parameters

import focalrt
from focalrt.conversion import costs
from focalrt.graphs.folder import write_model

PARAMETERS = random_parameters("hrnet18s-s1", seed=3)
TINY = Path(os.environ.get("FOCALRT_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "reference" / "tiny.pth"


def write_safetensors(path, parameters, metadata=None):
    """The format on a page: length of the header, the header, the numbers."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, array in parameters.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_safetensors(tmp_path_factory.mktemp("checkpoints") / "mine.safetensors", PARAMETERS)


def test_a_converted_checkpoint_is_the_model_of_its_parameters(checkpoint, tmp_path):
    steps = []
    folder = focalrt.convert(checkpoint, tmp_path / "model", variant="hrnet18s-s1", progress=steps.append)
    assert folder == tmp_path / "model"
    write_model(PARAMETERS, "hrnet18s-s1", tmp_path / "direct", radius=2, trained="", licence="")
    for name in ("segmentor.onnx", "refiner.onnx"):
        assert (folder / name).read_bytes() == (tmp_path / "direct" / name).read_bytes()
    description = focalrt.load(folder, threads=1).description
    assert (description.variant, description.radius) == ("hrnet18s-s1", 2)
    assert "mine.safetensors" in description.trained and "ask" in description.licence
    assert [step.split()[0] for step in steps] == ["reading", "building", "wrote"]


@pytest.mark.parametrize(("variant", "radius", "expected"), [("hrnet18s-s2", None, 5), ("hrnet18s-s1", 5, 5)])
def test_the_radius_is_the_published_one_or_yours(checkpoint, tmp_path, variant, radius, expected):
    focalrt.convert(checkpoint, tmp_path / "model", variant=variant, radius=radius, licence="CC0")
    description = focalrt.load(tmp_path / "model", threads=1).description
    assert (description.variant, description.radius, description.licence) == (variant, expected, "CC0")


def test_a_checkpoint_that_does_not_say_which_pipeline_asks_for_it(checkpoint, tmp_path):
    with pytest.raises(focalrt.ParameterError, match="hrnet18s-s1 or hrnet18s-s2"):
        focalrt.convert(checkpoint, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_all_misfits_are_reported_together_and_nothing_is_written(tmp_path):
    broken = dict(PARAMETERS)
    del broken["feature_extractor.conv1.weight"]
    broken["refiner.refine_pred.bias"] = np.zeros(7, np.float32)
    broken["stranger"] = np.zeros(1, np.float32)
    path = write_safetensors(tmp_path / "broken.safetensors", broken)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "kept.txt").write_text("kept")
    with pytest.raises(focalrt.ParameterError) as caught:
        focalrt.convert(path, tmp_path / "model", variant="hrnet18s-s1")
    assert all(name in str(caught.value) for name in ("conv1.weight", "refine_pred.bias", "stranger"))
    assert [entry.name for entry in (tmp_path / "model").iterdir()] == ["kept.txt"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"variant": "hrnet19"}, focalrt.ParameterError),
        ({"variant": "hrnet18s-s1", "radius": "5"}, focalrt.ArgumentTypeError),
        ({"variant": "hrnet18s-s1", "radius": float("nan")}, focalrt.ArgumentValueError),
    ],
)
def test_odd_options(checkpoint, tmp_path, options, error):
    with pytest.raises(error):
        focalrt.convert(checkpoint, tmp_path / "model", **options)
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError):
        focalrt.convert(tmp_path / "nowhere.pth", tmp_path / "model")
    (tmp_path / "page.pth").write_text("<!DOCTYPE html>")
    with pytest.raises(focalrt.CheckpointError, match="web page"):
        focalrt.convert(tmp_path / "page.pth", tmp_path / "model")


@pytest.mark.skipif(not TINY.exists(), reason=f"no recorded checkpoint in {TINY}")
def test_a_file_of_torch_save_is_read_and_found_not_to_be_a_network(tmp_path):
    with pytest.raises(focalrt.ParameterError, match="no known network"):
        focalrt.convert(TINY, tmp_path / "model")


def test_without_onnx_the_error_says_what_to_install(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(focalrt.MissingExtraError, match=r"focalrt\[convert\]"):
        focalrt.convert(checkpoint, tmp_path / "model", variant="hrnet18s-s1")


def test_costs_are_the_published_ones_and_lower_after_conversion(checkpoint):
    lines = costs(checkpoint, "hrnet18s-s1").splitlines()
    totals = {line.split("|")[1].strip(" *"): [float(cell) for cell in line.split("|")[2:6]] for line in lines[2:]}
    for network, published in (("segmentor", 904), ("refiner", 127)):
        assert totals[network][0] == pytest.approx(published, rel=0.01)  # SPEC section 9
        stages = [name for name in totals if name.startswith("refiner.") == (network == "refiner")]
        assert len(stages) > 3
    assert totals["segmentor"][1] < 0.8 * totals["segmentor"][0]
    assert totals["segmentor"][2] + totals["refiner"][2] == pytest.approx(4230, rel=0.01)


def test_the_command(checkpoint, tmp_path):
    done = run(["convert", checkpoint, "--variant", "hrnet18s-s1", "--report"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "**segmentor**" in done.stdout
    assert done.stderr.count("focalrt: ") == 3
    assert focalrt.load(tmp_path / "mine", threads=1).description.variant == "hrnet18s-s1"
    done = run(["convert", checkpoint, "-o", "other"], tmp_path)
    assert done.returncode == 1
    assert "pass the variant" in done.stderr
    assert not (tmp_path / "other").exists()
