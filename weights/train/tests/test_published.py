"""focalrt's published mode on the ONNX networks against the loop here on PyTorch: written apart, the same moves."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from train import export
from train.evaluate import Session, clicks_to, component, corrupt, iou, merge, read_sample, robot_click
from train.nets import build, load_weights

ROOT = Path(__file__).resolve().parents[3]
VAL = Path(os.environ.get("FOCALRT_SHARED", ROOT.parent / "shared")) / "data" / "val"
PARAMETERS = ROOT / "weights" / "parameters" / "hrnet18s-s1" / "hrnet18s-s1.npz"
PHOTOS = ["davis/drift-straight_00004", "ecssd/0281", "ecssd/0002"]
CLICKS, GOAL = 12, 0.9  # beyond the tenth, where the rules change
NOISE = 1e-4  # of probabilities: two float32 runtimes, and RoIAlign before or after a projection


@pytest.fixture(scope="module")
def net():
    pytest.importorskip("focalrt", reason="focalrt is not installed")
    net = load_weights(build("hrnet18s-s1"), PARAMETERS).eval()
    net.radius = 5
    return net


@pytest.fixture(scope="module")
def published(net, tmp_path_factory):
    """Of the parameters as they are: what ships holds them in float16 after exact rewrites, which rounds once more."""
    pytest.importorskip("onnx", reason="export needs onnx")
    from focalrt.evaluation.published import Published
    from focalrt.networks import FocalClickNetworks

    folder = tmp_path_factory.mktemp("models") / "float32"
    export.main(["--parameters", str(PARAMETERS), "--out", str(folder)])
    return Published(FocalClickNetworks(folder, threads=1))


class Clicked:
    """One of the two loops, clicked by the robot: the clicks, the IoU and the probabilities after each."""

    def __init__(self, truth, initial):
        self.truth, self.known, self.free = truth, truth >= 0, np.ones(truth.shape, bool)
        self.mask = np.zeros(truth.shape, bool) if initial is None else initial.copy()
        self.clicks, self.boxes, self.probabilities, self.ious = [], [], [], []

    def run(self):
        while len(self.clicks) < CLICKS and not any(value >= GOAL for value in self.ious):
            click = robot_click(self.mask, self.truth, self.free)
            self.free[click[1:]] = False
            self.clicks.append(click)
            self.click(*click)
            self.ious.append(iou(self.mask, self.truth == 1, self.known))
        return self


class Theirs(Clicked):
    def __init__(self, net, image, truth, initial):
        super().__init__(truth, initial)
        self.session, self.merges = Session(net, image, initial), initial is not None

    def click(self, positive, row, column):
        probabilities = self.session.click(positive, row, column)
        predicted = probabilities > 0.5
        if self.merges:
            predicted = self.session.seen = self.merged(predicted, (row, column))
        self.mask = predicted
        self.probabilities.append(probabilities)
        self.boxes.append(self.session.boxes)

    def merged(self, predicted, at):
        """As :func:`merge`, but where that leaves a click on an unchanged pixel alone, the released code's flood."""
        if predicted[at] != self.mask[at]:
            return merge(predicted, self.mask, at)
        assert merge(predicted, self.mask, at) is self.mask
        unchanged = component(predicted ^ self.mask, at)
        return self.mask & ~unchanged if self.mask[at] else self.mask | unchanged


class Ours(Clicked):
    def __init__(self, method, image, truth, initial):
        super().__init__(truth, initial)
        self.session = method.session(image, initial)

    def click(self, positive, row, column):
        step = self.session.click(column, row, positive)
        self.mask = self.session.mask
        self.probabilities.append(step.probabilities)
        self.boxes.append(tuple((box.y0, box.y1, box.x0, box.x1) for box in (step.target, step.focus)))


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("start", ["scratch", "mask"])
def test_the_same_clicks_and_scores_on_photos(net, published, photo, start):
    if not (VAL / f"{photo}.jpg").exists():
        pytest.skip(f"no {photo}.jpg in {VAL}")
    folder, name = photo.split("/")
    image, truth = read_sample(VAL / folder, name, 1)
    initial = corrupt(image, truth == 1, seed=zlib.crc32(f"{name}/1".encode())) if start == "mask" else None
    theirs = Theirs(net, image, truth, initial).run()
    ours = Ours(published, image, truth, initial).run()
    assert ours.clicks == theirs.clicks
    assert ours.boxes == theirs.boxes
    for our, their in zip(ours.probabilities, theirs.probabilities):
        assert np.abs(our - their).max() < NOISE
    assert ours.ious == pytest.approx(theirs.ious, abs=1e-4)
    for level in (0.85, 0.9):
        assert clicks_to(ours.ious, level, CLICKS) == clicks_to(theirs.ious, level, CLICKS)
