"""The networks that ship: real masks on real photos. Floors lie below what weights/README.md reports."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

import focalrt
from focalrt.imagefile import decode, read_image
from focalrt.zoo import DEFAULT, ENDS, shipped_folder

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ROOT / "docs" / "photos"
ECSSD = Path(os.environ.get("FOCALRT_SHARED", ROOT.parent / "shared")) / "data" / "val" / "ecssd"

FLOORS = {  # mean IoU of the first click, 20 photos of ECSSD; a network that ships needs one
    "hrnet18s-s1": 0.79,
    "hrnet18s-s1-int8": 0.79,
    "hrnet18s-s2": 0.83,
    "hrnet18s-s2-int8": 0.83,
    "segformerb0-s1": 0.73,
    "segformerb0-s2": 0.79,
}
MODELS = sorted(name for name, model in focalrt.installed().items() if model.shipped)


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return focalrt.load(name)


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_the_default_and_both_ends_ship():
    assert {DEFAULT, *ENDS.values()} <= set(MODELS)


def test_files_are_the_ones_described(name):
    folder = shipped_folder() / name
    description = json.loads((folder / "model.json").read_text())
    assert description["variant"] == name
    for file, digest in description["sha256"].items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
    card = (shipped_folder() / "README.md").read_text(encoding="utf-8")
    assert f"## {name}" in card


def test_threads_do_not_change_the_mask():
    image = read_image(PHOTOS / "coffee.jpg")
    masks = [focalrt.load(threads=threads).session(image).click(300, 150).mask for threads in (1, 2)]
    assert iou(*masks) > 0.999


def test_clicks_matter(model):
    """A positive click adds its pixel, a negative one on the result removes it."""
    image = read_image(PHOTOS / "coffee.jpg")
    session = model.session(image)
    session.click(300, 200)
    assert session.mask[200, 300]
    assert 0.02 < session.mask.mean() < 0.6


def first_click_scores(model, paths):
    scores = []
    for path in paths:
        truth = decode(path.read_bytes(), -1, path.name) == 1
        row, column = deepest(truth)
        scores.append(iou(model.session(read_image(path.with_suffix(".jpg"))).click(column, row).mask, truth))
    return scores


@pytest.mark.skipif(not ECSSD.is_dir(), reason=f"no photos in {ECSSD}")
def test_first_clicks_find_obvious_objects_and_the_refiner_helps(name, model, monkeypatch):
    """Robot's first click on 20 photos of ECSSD that took no part in training."""
    paths = sorted(ECSSD.glob("*.png"))[::5]
    refined = first_click_scores(model, paths)
    monkeypatch.setattr(model._networks, "refine", lambda image, disks, context, logits: logits)
    coarse = first_click_scores(model, paths)
    assert len(refined) == 20
    assert np.mean(refined) > FLOORS[name]
    assert np.mean(refined) > np.mean(coarse)


def deepest(mask):
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return np.unravel_index(depth.argmax(), mask.shape)
