"""A checkpoint becomes a model: through a .safetensors file written here, by the call and by the command."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="conversion needs onnx, of the convert extra")

from command import run
from parameters import random_parameters

import focalrt
from focalrt import conversion, graphs
from focalrt.checkpoint import read_checkpoint
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


MODEL = {"model.json": "{}", "refiner.onnx": "R", "segmentor.onnx": "S"}


def looks_like_a_model(folder):
    """The files of a model, of a few bytes; returns the folder."""
    folder.mkdir()
    for name, text in MODEL.items():
        (folder / name).write_text(text)
    return folder


def contents(folder):
    return {path.name: path.read_text() if path.is_file() else None for path in folder.iterdir()}


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


def test_a_model_that_goes_by_an_installed_name_is_told_by_a_path_that_loads(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steps = []
    focalrt.convert(checkpoint, "hrnet18s-s1", variant="hrnet18s-s1", radius=7, progress=steps.append)
    path = steps[-1].removeprefix("wrote ")
    assert path == os.path.join(".", "hrnet18s-s1")
    assert focalrt.load(path, threads=1).description.radius == 7
    with pytest.raises(focalrt.ArgumentValueError, match="a folder here"):
        focalrt.load("hrnet18s-s1")


@pytest.mark.parametrize(("variant", "radius", "expected"), [("hrnet18s-s2", None, 5), ("hrnet18s-s1", 5, 5)])
def test_the_radius_is_the_published_one_or_yours(checkpoint, tmp_path, variant, radius, expected):
    focalrt.convert(checkpoint, tmp_path / "model", variant=variant, radius=radius, licence="CC0")
    description = focalrt.load(tmp_path / "model", threads=1).description
    assert (description.variant, description.radius, description.licence) == (variant, expected, "CC0")


def test_parameters_may_be_stored_in_half_the_bytes(checkpoint, tmp_path):
    """The same masks but for their edges, from files of half the size."""
    models = [
        focalrt.convert(checkpoint, tmp_path / str(half), variant="hrnet18s-s1", half=half) for half in (False, True)
    ]
    sizes = [sum(path.stat().st_size for path in folder.glob("*.onnx")) for folder in models]
    assert sizes[1] < 0.55 * sizes[0]
    masks = [focalrt.load(folder, threads=1).session(IMAGE).click(40, 30).mask for folder in models]
    assert (masks[0] != masks[1]).mean() < 0.02


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
    kept = looks_like_a_model(tmp_path / "model")
    with pytest.raises(focalrt.ParameterError) as caught:
        focalrt.convert(path, kept, variant="hrnet18s-s1")
    assert all(name in str(caught.value) for name in ("conv1.weight", "refine_pred.bias", "stranger"))
    assert contents(kept) == MODEL
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


@pytest.mark.parametrize(
    "options", [{"radius": -3}, {"radius": 101}, {"licence": None}, {"licence": 5}], ids=lambda options: str(options)
)
def test_a_model_that_could_not_be_loaded_replaces_none(checkpoint, tmp_path, options):
    kept, steps = looks_like_a_model(tmp_path / "model"), []
    name, value = next(iter(options.items()))
    with pytest.raises(focalrt.ArgumentValueError, match=rf"expected .*{name}.*got .*{name} {value}"):
        focalrt.convert(checkpoint, kept, variant="hrnet18s-s1", progress=steps.append, **options)
    assert contents(kept) == MODEL
    assert not any(step.startswith("building") for step in steps)


def test_a_licence_beyond_all_numbers(checkpoint, tmp_path):
    with pytest.raises(focalrt.ArgumentValueError, match="licence of 16610 bits"):
        focalrt.convert(checkpoint, tmp_path / "model", variant="hrnet18s-s1", licence=10**5000)


@pytest.mark.parametrize("value", [None, 5, b"x", ["x"]])
def test_paths_that_are_none(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(focalrt.ArgumentTypeError, match=r"^checkpoint: expected a file's path, a string or Path; got "):
        focalrt.convert(value, "out")
    with pytest.raises(focalrt.ArgumentTypeError, match=r"^folder: expected a folder's path, a string or Path; got "):
        focalrt.convert("x", value)
    with pytest.raises(focalrt.ArgumentTypeError, match=r"^checkpoint: "):
        costs(value)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------ what lies in the way


def test_a_model_and_an_empty_folder_are_replaced(checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (looks_like_a_model(tmp_path / "model"), tmp_path / "empty"):
        focalrt.convert(checkpoint, folder, variant="hrnet18s-s1")
        assert focalrt.load(folder, threads=1).description.variant == "hrnet18s-s1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "model"]


def run_folder(path):
    path.mkdir()
    for name in ("1.pth", "2.pth", "3.pth", "log.txt"):
        (path / name).write_text(name)


def model_and_more(path):
    (looks_like_a_model(path) / "notes.txt").write_text("mine")


def networks_alone(path):
    path.mkdir()
    (path / "segmentor.onnx").write_text("S")


def folder_in_a_model(path):
    (looks_like_a_model(path) / "refiner.onnx").unlink()
    (path / "refiner.onnx").mkdir()


def link_in_a_model(path):
    (looks_like_a_model(path) / "refiner.onnx").unlink()
    (path / "refiner.onnx").symlink_to(path / "segmentor.onnx")


def link(path):
    path.symlink_to(looks_like_a_model(path.with_name("model")))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (run_folder, "holds '1.pth', '2.pth', '3.pth' and more"),
        (model_and_more, r"holds 'notes\.txt'; expected"),
        (networks_alone, r"holds 'segmentor\.onnx'; expected"),
        (folder_in_a_model, r"holds 'refiner\.onnx'; expected"),
        (link_in_a_model, r"holds 'refiner\.onnx'; expected"),
        (link, "is a link"),
        (lambda path: path.symlink_to("nowhere"), "is a link"),
        (lambda path: path.write_text("mine"), "is a file"),
    ],
    ids=["run", "model and more", "no description", "folder", "link inside", "link", "dead link", "file"],
)
def test_nothing_else_is_replaced(checkpoint, tmp_path, make, told):
    make(tmp_path / "exp1")
    before, steps = tree(tmp_path), []
    with pytest.raises(focalrt.ArgumentValueError, match=f"folder: .*exp1' {told}.*--out"):
        focalrt.convert(checkpoint, tmp_path / "exp1", variant="hrnet18s-s1", progress=steps.append)
    assert tree(tmp_path) == before
    assert not steps
    with pytest.raises(focalrt.ArgumentValueError, match=told):
        write_model(PARAMETERS, "hrnet18s-s1", tmp_path / "exp1", radius=2, trained="", licence="")
    assert tree(tmp_path) == before


def tree(folder):
    """Every path below, and what it is or holds."""
    return {
        path.relative_to(folder): os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


def test_what_comes_in_the_way_meanwhile_is_not_replaced_either(checkpoint, tmp_path, monkeypatch):
    folder = looks_like_a_model(tmp_path / "model")

    def build(parameters, variant):
        (folder / "notes.txt").write_text("mine")
        return graphs.networks(parameters, variant)

    monkeypatch.setattr(graphs.folder, "networks", build)
    with pytest.raises(focalrt.ArgumentValueError, match="notes"):
        focalrt.convert(checkpoint, folder, variant="hrnet18s-s1")
    assert contents(folder) == MODEL | {"notes.txt": "mine"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_old_model_comes_back_where_the_new_one_cannot_go(checkpoint, tmp_path, monkeypatch):
    folder, rename = looks_like_a_model(tmp_path / "model"), Path.rename

    def failing(path, target):
        if (path / "model.json").exists() and path != folder and not path.name.endswith(".old"):
            raise PermissionError("no room for it")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(PermissionError, match="no room"):
        focalrt.convert(checkpoint, folder, variant="hrnet18s-s1")
    assert contents(folder) == MODEL
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_command_spares_the_folder_of_a_run(tmp_path):
    """A checkpoint beside the folder of its name, and one without an ending, whose name is its own target."""
    for name in ("exp1.safetensors", "exp2"):
        write_safetensors(tmp_path / name, PARAMETERS)
    run_folder(tmp_path / "exp1")
    before = tree(tmp_path)
    for name, found in (("exp1.safetensors", "holds '1.pth'"), ("exp2", "is a file")):
        done = run(["convert", name, "--variant", "hrnet18s-s1"], tmp_path)
        assert done.returncode == 2
        assert found in done.stderr and "--out" in done.stderr
        assert tree(tmp_path) == before


# ------------------------------------------------------------ names and configs of people's own


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.net."])
def test_a_prefix_that_all_names_share_is_left_out(checkpoint, tmp_path, prefix):
    path = tmp_path / "mine.safetensors"
    write_safetensors(path, {prefix + name: array for name, array in PARAMETERS.items()})
    folders = [focalrt.convert(file, tmp_path / file.parent.name, variant="hrnet18s-s1") for file in (path, checkpoint)]
    for name in ("segmentor.onnx", "refiner.onnx"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    assert costs(path, "hrnet18s-s1") == costs(checkpoint, "hrnet18s-s1")


def test_a_prefix_of_some_names_is_theirs(tmp_path):
    some = {("module." if "conv" in name else "") + name: array for name, array in PARAMETERS.items()}
    path = write_safetensors(tmp_path / "some.safetensors", some)
    with pytest.raises(focalrt.ParameterError, match=r"unknown: module\."):
        focalrt.convert(path, tmp_path / "model", variant="hrnet18s-s1")


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


def numbers(table):
    """The rows of a Markdown table by their titles; their numbers."""
    rows = [line.split("|")[1:-1] for line in table.splitlines()[2:]]
    return {title.strip(" *"): [float(cell.replace(",", "")) for cell in cells] for title, *cells in rows}


def test_costs_are_the_published_ones_and_lower_after_conversion(checkpoint):
    stages, _ = costs(checkpoint, "hrnet18s-s1").split("\n\n")
    totals = numbers(stages)
    for network, published in (("segmentor", 904), ("refiner", 127)):
        assert totals[network][0] == pytest.approx(published, rel=0.01)  # SPEC section 9
        stages = [name for name in totals if name.startswith("refiner.") == (network == "refiner")]
        assert len(stages) > 3
    assert totals["segmentor"][1] < 0.8 * totals["segmentor"][0]
    assert totals["segmentor"][2] + totals["refiner"][2] == pytest.approx(4230, rel=0.01)


def test_what_shortcuts_save_is_what_the_networks_cost_less(checkpoint):
    stages, shortcuts = map(numbers, costs(checkpoint, "hrnet18s-s1").split("\n\n"))
    *each, together = shortcuts.values()
    assert list(shortcuts)[-1] == "together" and len(each) > 8
    assert [sum(column) for column in zip(*each)] == together
    for column, (before, after, unit) in enumerate([(0, 1, 1e6), (2, 3, 1e3)]):
        difference = sum(stages[network][before] - stages[network][after] for network in ("segmentor", "refiner"))
        assert together[column] / unit == pytest.approx(difference, abs=0.21)  # four numbers, rounded to 0.1
    assert all(any(saving) for title, saving in shortcuts.items() if "RoIAlign" not in title)


def test_the_command(checkpoint, tmp_path):
    done = run(["convert", checkpoint, "--variant", "hrnet18s-s1", "--report"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "**segmentor**" in done.stdout and "| **together** |" in done.stdout
    assert done.stderr.count("focalrt: ") == 3
    assert focalrt.load(tmp_path / "mine", threads=1).description.variant == "hrnet18s-s1"
    done = run(["convert", checkpoint, "--variant", "hrnet18s-s1", "--half", "-o", "half"], tmp_path)
    assert done.returncode == 0, done.stderr
    sizes = [(tmp_path / name / "segmentor.onnx").stat().st_size for name in ("mine", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    done = run(["convert", checkpoint, "-o", "other"], tmp_path)
    assert done.returncode == 1
    assert "pass the variant" in done.stderr
    assert not (tmp_path / "other").exists()


# ------------------------------------------------------------ RITM


RITM = random_parameters("ritm-hrnet18s", seed=5)
IMAGE = np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8)


@pytest.fixture(scope="module")
def ritm(tmp_path_factory):
    """A converted checkpoint of RITM: the folder."""
    path = write_safetensors(tmp_path_factory.mktemp("ritm") / "itermask.safetensors", RITM)
    return focalrt.convert(path, path.parent / "models" / "mine")


def test_a_checkpoint_of_ritm_is_seen_by_its_names(ritm):
    assert sorted(entry.name for entry in ritm.iterdir()) == ["model.json", "segmentor.onnx"]
    described = json.loads((ritm / "model.json").read_text())
    assert (described["method"], described["variant"]) == ("ritm", "ritm-hrnet18s")
    assert (described["side"], described["radius"], "refiner_radius" in described) == (400, 5, False)
    assert "itermask.safetensors" in described["trained"]


def test_the_whole_way_from_a_checkpoint_of_ritm_to_a_mask(ritm):
    """Random parameters: what is predicted means nothing, but every step can be taken back, to the pixel."""
    session = focalrt.load("mine", threads=1, models=ritm.parent).session(IMAGE, merge="always")
    states = [(session.mask.copy(), session.probability(), session.withheld.runs)]

    def did(step):
        states.append((session.mask.copy(), session.probability(), session.withheld.runs))
        return step

    first = did(session.click(40, 30))
    assert first.target == first.focus == (0, 0, 90, 60)
    did(session.click(70, 20, first.runs.holds(20, 70) is False))
    if session.withheld:
        did(session.accept(session.withheld[0]))
    did(session.paint(np.ones((9, 9), np.bool_), (5, 5, 14, 14)))
    did(session.click(20, 50, False))
    for way, order in ((session.undo, reversed(states[:-1])), (session.redo, iter(states[1:]))):
        for mask, probability, withheld in order:
            way()
            assert np.array_equal(session.mask, mask)
            assert np.array_equal(session.probability(), probability)
            assert session.withheld.runs == withheld
    assert not session.can_redo
    assert np.ptp(states[1][1]) > 0.01


def test_a_file_as_the_released_training_writes_it(ritm, tmp_path):
    torch = pytest.importorskip("torch", reason="torch writes the file (the train extra)")
    config = {
        "class": "isegm.model.is_hrnet_model.HRNetModel",
        "params": {
            "width": {"type": "builtin", "value": 18, "specified": True},
            "use_disks": {"type": "builtin", "value": True, "specified": True},
            "with_prev_mask": {"type": "builtin", "value": True, "specified": True},
            "norm_layer": {"type": "class", "value": "torch.nn.modules.batchnorm.BatchNorm2d", "specified": False},
            "norm_mean_std": {"type": "builtin", "value": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])},
        },
    }
    state = {name: torch.from_numpy(array) for name, array in RITM.items()}
    state["feature_extractor.bn1.num_batches_tracked"] = torch.tensor(5)
    torch.save({"state_dict": state, "config": config}, tmp_path / "ritm.pth")
    folder = focalrt.convert(tmp_path / "ritm.pth", tmp_path / "model")
    assert (folder / "segmentor.onnx").read_bytes() == (ritm / "segmentor.onnx").read_bytes()
    config["params"]["use_disks"]["value"] = False
    torch.save({"state_dict": state, "config": config}, tmp_path / "distance.pth")
    for variant in (None, "ritm-hrnet18s"):
        with pytest.raises(focalrt.ParameterError, match="use_disks = False"):
            focalrt.convert(tmp_path / "distance.pth", tmp_path / "other", variant=variant)


def with_config(monkeypatch, **told):
    """As if the next checkpoint's config told these."""
    params = {name: {"type": "builtin", "value": value, "specified": True} for name, value in told.items()}

    def read(path):
        return replace(read_checkpoint(path), config={"class": "isegm.model", "params": params})

    monkeypatch.setattr(conversion, "read_checkpoint", read)


@pytest.mark.parametrize(("given", "expected"), [(None, 3), (7, 7)])
def test_the_radius_that_a_checkpoint_of_ritm_tells(ritm, tmp_path, monkeypatch, given, expected):
    with_config(monkeypatch, use_disks=True, norm_radius=3)
    path = ritm.parent.parent / "itermask.safetensors"
    focalrt.convert(path, tmp_path / "model", radius=given)
    assert focalrt.load(tmp_path / "model", threads=1).description.radius == expected


@pytest.mark.parametrize(
    ("radius", "error"),
    [("5", focalrt.ParameterError), (True, focalrt.ParameterError), (260, focalrt.ArgumentValueError)],
)
def test_a_radius_that_is_none(ritm, tmp_path, monkeypatch, radius, error):
    with_config(monkeypatch, norm_radius=radius)
    path = ritm.parent.parent / "itermask.safetensors"
    with pytest.raises(error, match=f"radius {radius!r}"):
        focalrt.convert(path, tmp_path / "model")
    assert focalrt.convert(path, tmp_path / "model", radius=5).is_dir()


def test_focalclick_has_its_radii_by_its_pipeline(checkpoint, tmp_path, monkeypatch):
    """The base class of its released networks takes a radius too, and draws others."""
    with_config(monkeypatch, pipeline_version="s1", norm_radius=5)
    focalrt.convert(checkpoint, tmp_path / "model")
    assert focalrt.load(tmp_path / "model", threads=1).description.radius == 2


@pytest.mark.parametrize("told", ["s1", "s2"])
def test_a_variant_that_the_config_contradicts_is_refused(checkpoint, tmp_path, monkeypatch, told):
    with_config(monkeypatch, pipeline_version=told)
    other = "hrnet18s-s1" if told == "s2" else "hrnet18s-s2"
    message = f"variant {other}: .*config tells pipeline_version '{told}'"
    with pytest.raises(focalrt.ParameterError, match=message):
        focalrt.convert(checkpoint, tmp_path / "model", variant=other)
    with pytest.raises(focalrt.ParameterError, match=message):
        costs(checkpoint, other)
    assert not (tmp_path / "model").exists()
    assert focalrt.convert(checkpoint, tmp_path / "model", variant=f"hrnet18s-{told}").is_dir()


def test_names_that_do_not_fit_a_network_of_ritm_are_told(tmp_path):
    broken = dict(RITM)
    del broken["feature_extractor.bn1.weight"]
    broken["rgb_conv.0.weight"] = np.zeros((9, 6, 1, 1), np.float32)
    path = write_safetensors(tmp_path / "broken.safetensors", broken)
    with pytest.raises(focalrt.ParameterError, match=r"1 missing: .*bn1\.weight; 1 unknown: rgb_conv\.0\.weight"):
        focalrt.convert(path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_the_report_of_a_network_of_ritm(ritm):
    table = costs(ritm.parent.parent / "itermask.safetensors")
    stages, shortcuts = map(numbers, table.split("\n\n"))
    assert stages["segmentor"][:2] == [8851.5, 6913.0] and "refiner" not in stages
    assert shortcuts["together"][0] == 8_851_498_616 - 6_913_003_928
    assert not any("Refiner" in title for title in shortcuts)
