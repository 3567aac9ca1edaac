"""The protocol end to end: oracles that answer from the truth, interrupted runs, workers, a cluster, the commands."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the tiny model is written with onnx, of the test extra")

from command import ENVIRONMENT, run
from tiny_model import write_tiny_model

import focalrt
from focalrt.cli import main
from focalrt.errors import DatasetError, EvaluationError, ModelNotFoundError
from focalrt.evaluation import Rules, catalogue, evaluate
from focalrt.evaluation import run as running
from focalrt.evaluation.catalogue import fingerprint, has_policy, kept_method, open_method, split
from focalrt.evaluation.datasets import open_dataset
from focalrt.evaluation.defects import write_masks
from focalrt.evaluation.metrics import iou
from focalrt.evaluation.play import Job, click_through, first_mask, play
from focalrt.evaluation.record import MOST_CLICKS, Row
from focalrt.evaluation.robot import Robot
from focalrt.evaluation.sample import Example

SIDE = 40
TRUTH = np.zeros((SIDE, SIDE), np.int8)
TRUTH[10:20, 10:20] = 1  # 100 pixels


@dataclass
class Answering:
    """After k clicks the first ``step`` times k pixels of the object, which the image shows brightly."""

    step: int

    def session(self, image, mask=None):
        return AnsweringSession(image[..., 0] > 127, self.step, mask)


class AnsweringSession:
    def __init__(self, truth, step, mask):
        self.pixels, self.step, self.clicks = np.flatnonzero(truth), step, 0
        self.mask = np.zeros(truth.shape, bool) if mask is None else mask.copy()

    def click(self, x, y, positive):
        self.clicks += 1
        self.mask[:] = False
        self.mask.flat[self.pixels[: self.step * self.clicks]] = True


@dataclass
class Correcting:
    """Sets right whatever component of the error was clicked, and makes ``spoilt`` right pixels wrong."""

    spoilt: int = 0
    digest: str = "1.0"

    def session(self, image, mask=None):
        return CorrectingSession(image[..., 0] > 127, self.spoilt, mask)


class CorrectingSession:
    def __init__(self, truth, spoilt, mask):
        self.truth, self.spoilt = truth, spoilt
        self.mask = np.zeros(truth.shape, bool) if mask is None else mask.copy()

    def click(self, x, y, positive):
        wrong = (self.mask != self.truth).astype(np.uint8)
        right = np.flatnonzero(wrong == 0)
        labels = cv2.connectedComponents(wrong, connectivity=8)[1]
        assert labels[y, x]
        self.mask ^= labels == labels[y, x]
        self.mask.flat[right[: self.spoilt]] ^= True


class Failing:
    digest = "1.0"

    def session(self, image, mask=None):
        raise MemoryError("no room for it")


@dataclass
class Telling:
    """Another method, whose masks are told in another way."""

    method: object
    way: object

    def session(self, image, mask=None):
        return TellingSession(self.method.session(image, mask), self.way)


class TellingSession:
    def __init__(self, session, way):
        self.session, self.click, self.way = session, session.click, way

    @property
    def mask(self):
        return self.way(self.session.mask)


def white_on_black(truth):
    return np.repeat(np.where(truth == 1, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


@pytest.fixture
def photos(tmp_path):
    """Four photos of one bright object each."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        ids = np.zeros((SIDE, SIDE), np.uint8)
        ids[5 + number : 20, 5:25] = 1
        cv2.imwrite(str(folder / f"p{number}.jpg"), white_on_black(ids))
        ids[0, 0] = 255
        cv2.imwrite(str(folder / f"p{number}.png"), ids)
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


# ------------------------------------------------------------ arithmetic


def played(method, truth=TRUTH, initial=None, target=0.95):
    return click_through(method, Example(white_on_black(truth), truth), Robot(), initial, target)


@pytest.mark.parametrize(("step", "count"), [(100, 1), (50, 2), (5, 19), (10, 10), (4, 20), (19, 5)])
def test_an_oracle_needs_the_clicks_that_arithmetic_predicts(step, count):
    moves = played(Answering(step))
    assert len(moves) == count
    assert [move.iou for move in moves] == [min(step * k, 100) / 100 for k in range(1, count + 1)]


def test_an_iou_of_exactly_the_target_is_enough():
    assert len(played(Answering(19))) == 5  # 0.95 after five clicks
    assert len(played(Answering(19), target=0.96)) == 6
    assert len(played(Answering(1))) == MOST_CLICKS


def test_one_click_for_every_wrong_component():
    truth = TRUTH.copy()
    truth[30:35, 30:35] = 1
    initial = truth == 1
    initial[10:13, 10:13], initial[25:27, 2:4], initial[30:35, 30:35] = False, True, False
    moves = played(Correcting(), truth, initial, target=1.0)
    assert [(move.x, move.y, move.positive) for move in moves] == [(32, 32, True), (11, 11, True), (2, 25, False)]
    assert moves[-1].iou == moves[-1].boundary == 1
    assert [move.harm for move in moves] == [0, 0, 0]


def test_harm_is_told_for_every_click():
    assert [move.harm for move in played(Correcting(spoilt=7), target=1.0)][:2] == [7, 7]


AT_THE_TOP = np.roll(TRUTH, (-10, -10), (0, 1))  # so that Correcting takes right pixels of the object away, too


@pytest.mark.parametrize("top", [1, 255])
def test_masks_of_bytes_are_counted_as_those_of_bool(top):
    in_bytes = Telling(Correcting(spoilt=7), lambda mask: np.where(mask, top, 0).astype(np.uint8))
    moves = [played(method, AT_THE_TOP, target=1.0) for method in (Correcting(spoilt=7), in_bytes)]
    assert [move.harm for move in moves[0]][:2] == [7, 7]
    assert [move[:6] for move in moves[1]] == [move[:6] for move in moves[0]]


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (lambda mask: mask.astype(np.uint8) * 7, "ArgumentValueError: the method's mask: uint8 masks hold 0 and 1"),
        (lambda mask: mask.astype(np.float32), "ArgumentTypeError: the method's mask: expected bool, or uint8"),
        (lambda mask: mask[1:], "ArgumentValueError: the method's mask: expected the shape (40, 40)"),
        (lambda mask: None, "ArgumentValueError: the method's mask: expected the shape (40, 40)"),
    ],
    ids=["other values", "floats", "another size", "none"],
)
def test_what_is_no_mask_is_told_in_the_record(photos, way, told):
    (record,) = evaluate(photos, {"mine": Telling(Correcting(), way)}, limit=1).records
    assert record.error.startswith(told)


def test_a_method_may_draw_on_the_mask_that_it_is_given(photos):
    class Drawing(Correcting):
        def session(self, image, mask=None):
            session = super().session(image, mask)
            session.mask = mask
            return session

    drawing, copying = (
        evaluate(photos, {"mine": method}, rules=Rules("corrupt")).records
        for method in (Drawing(spoilt=7), Correcting(spoilt=7))
    )
    assert without_times(drawing) == without_times(copying)


def test_a_mask_that_is_right_already_gets_no_click():
    assert played(Correcting(), initial=TRUTH == 1) == ()


def test_a_good_mask_gets_one_click_at_least():
    initial = TRUTH == 1
    initial[19, 19] = False  # 0.99
    assert len(played(Correcting(), initial=initial)) == 1


def test_an_image_is_opened_with_a_copy_of_nothing_and_the_first_mask():
    class Watching(Answering):
        def session(self, image, mask=None):
            self.seen = mask
            return super().session(image, mask)

    method = Watching(100)
    played(method)
    assert method.seen is None
    initial = TRUTH == 0
    played(method, initial=initial)
    assert np.array_equal(method.seen, initial)


# ------------------------------------------------------------ a run


def without_times(records):
    return [
        (record.row, record.sample, record.area, record.before, record.error, [move[:6] for move in record.moves])
        for record in records
    ]


def test_a_run_has_a_record_for_every_row_and_sample(photos, tiny):
    done = evaluate(photos, [tiny, "grabcut"], merges=["auto", "never"], people=1, limit=2)
    users = ["robot", "human-0"]
    rows = [Row(tiny, merge, user) for merge in ("auto", "never") for user in users]
    assert list(done.rows) == rows + [Row("grabcut", "-", user) for user in users]
    names = ["p0.1", "p2.1"]
    assert [(record.row, record.sample) for record in done.records] == [(r, n) for r in done.rows for n in names]
    assert [record.error for record in done.records] == [None] * len(done.records)
    assert {record.area for record in done.records if record.sample == "p2.1"} == {13 * 20}
    assert all(record.moves for record in done.records)


def test_the_same_run_gives_the_same_table(photos, tiny):
    runs = [evaluate(photos, [tiny], people=1, rules=Rules("corrupt", seed=3), limit=2) for _ in range(2)]
    assert without_times(runs[0].records) == without_times(runs[1].records)
    assert runs[0].scores() == runs[1].scores()
    other = evaluate(photos, [tiny], rules=Rules("corrupt", seed=4), limit=2)
    assert [record.before for record in other.records] != [record.before for record in runs[0].records[:2]]


def test_workers_and_a_cluster_agree_to_the_digit(photos, tiny):
    distributed = pytest.importorskip("distributed", reason="distributed is in the cluster extra")
    methods = [tiny, f"coarse:{tiny}"]
    one = evaluate(photos, methods, rules=Rules("corrupt"))
    four = evaluate(photos, methods, rules=Rules("corrupt"), workers=4)
    assert without_times(four.records) == without_times(one.records)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        many = evaluate(photos, methods, rules=Rules("corrupt"), scheduler=cluster.scheduler_address)
    assert without_times(many.records) == without_times(one.records)
    assert one.scores() == four.scores() == many.scores()


def test_own_methods_travel_to_workers(photos):
    alone, together = (evaluate(photos, {"mine": Correcting()}, workers=workers) for workers in (1, 2))
    assert without_times(alone.records) == without_times(together.records)
    assert alone.rows == (Row("mine", "-", "robot"),)


def test_what_fails_is_told_and_the_rest_goes_on(photos):
    (photos / "p1.jpg").write_bytes(b"no image")
    done = evaluate(photos, {"failing": Failing(), "mine": Correcting()})
    errors = {(record.row.method, record.sample): record.error for record in done.records}
    assert errors["failing", "p0.1"] == "MemoryError: no room for it"
    assert "p1.jpg" in errors["mine", "p1.1"]
    assert [sample for (method, sample), error in errors.items() if method == "mine" and error is None] == [
        "p0.1", "p2.1", "p3.1"
    ]


# ------------------------------------------------------------ going on


def test_an_interrupted_run_goes_on_where_it_stopped(photos, tiny, tmp_path, monkeypatch):
    whole = evaluate(photos, [tiny], rules=Rules("corrupt"))
    made = []

    def play(job):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(job.sample.name)
        return original(job)

    original = running.play
    monkeypatch.setattr(running, "play", play)
    with pytest.raises(KeyboardInterrupt):
        evaluate(photos, [tiny], rules=Rules("corrupt"), out=tmp_path / "out")
    monkeypatch.setattr(running, "play", lambda job: (made.append(job.sample.name), original(job))[1])
    gone_on = evaluate(photos, [tiny], rules=Rules("corrupt"), out=tmp_path / "out")
    assert made == ["p0.1", "p1.1", "p2.1", "p3.1"]
    assert without_times(gone_on.records) == without_times(whole.records)
    assert gone_on.scores() == whole.scores()


def test_a_killed_command_goes_on(photos, tiny, tmp_path):
    """Killed without warning in the midst of the run, whatever was being written then."""
    arguments = ["eval", str(photos), "--model", tiny, "--out", "out"]
    killer = f"""
import os
from focalrt.cli import main
from focalrt.evaluation.run import Shelf

def add(self, record, kept=[], original=Shelf.add):
    original(self, record)
    kept.append(record)
    if len(kept) == 2:
        os._exit(9)

Shelf.add = add
main({arguments})
"""
    died = subprocess.run([sys.executable, "-c", killer], cwd=tmp_path, env=ENVIRONMENT, timeout=300)
    assert died.returncode == 9
    path = tmp_path / "out" / "records.jsonl"
    kept = path.read_bytes()
    assert kept.count(b"\n") == 2
    path.write_bytes(kept[:-30])  # the second line had not reached the disk whole
    done = run(arguments, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(evaluate(photos, [tiny]).scores())


@pytest.mark.parametrize(
    "changed",
    [
        {"rules": Rules(seed=1)},
        {"rules": Rules("corrupt")},
        {"limit": 2},
        {"rules": Rules(target=0.99)},
        {"rules": Rules(threads=2)},
    ],
    ids=["seed", "start", "samples", "target", "threads"],
)
def test_records_of_two_runs_do_not_mix(photos, tmp_path, changed):
    evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")
    with pytest.raises(EvaluationError, match=r"another run.* (rules|samples) is .* there, .* now\. Take another"):
        evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out", **changed)


def test_another_release_and_another_layout_are_other_runs(photos, tmp_path, monkeypatch):
    evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")
    found = open_dataset(photos)
    with pytest.raises(EvaluationError, match=r"another run[^;]*: layout is 'plain' there, 'davis' now"):
        evaluate(replace(found, layout="davis"), {"mine": Correcting()}, out=tmp_path / "out")
    monkeypatch.setattr(running, "__version__", "77.0")
    with pytest.raises(EvaluationError, match=r"another run[^;]*: focalrt is '[0-9].*' there, '77.0' now"):
        evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")


def test_an_own_method_that_was_edited_is_another_run(photos, tmp_path):
    evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")
    with pytest.raises(EvaluationError, match=r"another run[^;]*: networks is .*'1\.0'.* there, .*'1\.1'.* now"):
        evaluate(photos, {"mine": Correcting(spoilt=7, digest="1.1")}, out=tmp_path / "out")


@pytest.mark.parametrize("digest", [None, "", 3])
def test_records_of_an_own_method_without_a_digest_are_not_kept(photos, tmp_path, digest):
    method = Correcting(digest=digest)
    with pytest.raises(EvaluationError, match=r"^out: .*'mine' has the digest .*Give it one, or leave out the folder$"):
        evaluate(photos, {"mine": method}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [record.error for record in evaluate(photos, {"mine": method}).records] == [None] * 4


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_damaged_run_is_not_gone_on_with(photos, tmp_path, text):
    evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")
    (tmp_path / "out" / "run.json").write_text(text)
    with pytest.raises(EvaluationError, match=r"run\.json is damaged"):
        evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")


def made(monkeypatch):
    """The names of samples that are played from now on."""
    names, original = [], running.play
    monkeypatch.setattr(running, "play", lambda job: (names.append(job.sample.name), original(job))[1])
    return names


def test_what_changed_since_is_made_again_and_nothing_else(photos, tmp_path, monkeypatch):
    """A photo, a truth and a first mask, each of one sample."""
    masks = tmp_path / "masks"
    write_masks(open_dataset(photos).samples, masks, seed=1)
    options = {"methods": {"mine": Correcting()}, "rules": Rules(str(masks)), "out": tmp_path / "out"}
    evaluate(photos, **options)
    cv2.imwrite(str(photos / "p0.jpg"), cv2.imread(str(photos / "p0.jpg")), [cv2.IMWRITE_JPEG_QUALITY, 80])
    ids = cv2.imread(str(photos / "p1.png"), cv2.IMREAD_GRAYSCALE)
    ids[0, 1] = 255
    cv2.imwrite(str(photos / "p1.png"), ids)
    cv2.imwrite(str(masks / "p3.1.png"), np.zeros((SIDE, SIDE), np.uint8))
    names = made(monkeypatch)
    again = evaluate(photos, **options)
    assert names == ["p0.1", "p1.1", "p3.1"]
    fresh = evaluate(photos, **options | {"out": None})
    assert without_times(again.records) == without_times(fresh.records)
    del names[:]
    assert without_times(evaluate(photos, **options).records) == without_times(fresh.records)
    assert names == []


def test_a_data_set_may_be_copied_meanwhile(photos, tmp_path, monkeypatch):
    options = {"methods": {"mine": Correcting()}, "out": tmp_path / "out"}
    evaluate(photos, **options)
    names = made(monkeypatch)
    for path in shutil.copytree(photos, tmp_path / "elsewhere" / "photos").iterdir():
        os.utime(path, (1, 1))
    evaluate(tmp_path / "elsewhere" / "photos", **options)
    assert names == []


def test_another_model_under_the_same_name_is_another_run(photos, tmp_path):
    folder = tmp_path / "model"
    write_tiny_model(folder)
    before = fingerprint(str(folder))
    evaluate(photos, [str(folder)], limit=1, out=tmp_path / "out")
    write_tiny_model(folder, side=256)
    assert fingerprint(str(folder)) != before
    with pytest.raises(EvaluationError, match="another run"):
        evaluate(photos, [str(folder)], limit=1, out=tmp_path / "out")


def test_a_model_that_was_replaced_meanwhile_is_the_one_that_clicks(photos, tmp_path):
    """In one process, under one path: the networks behind a record are those whose digest is told."""
    folder, other = tmp_path / "model", write_tiny_model(tmp_path / "other", side=256)
    write_tiny_model(folder)
    first = evaluate(photos, [str(folder)])
    write_tiny_model(folder, side=256)
    second, expected = (evaluate(photos, [str(path)]) for path in (folder, other))
    moves = [[record[5] for record in without_times(run.records)] for run in (first, second, expected)]
    assert moves[1] == moves[2] != moves[0]


def test_other_numbers_beside_the_same_networks_are_another_model(tmp_path):
    """As after converting a checkpoint again with another radius."""
    described = write_tiny_model(tmp_path / "model") / "model.json"
    fields = json.loads(described.read_text())
    told = {fingerprint(str(tmp_path / "model"))}
    for change in ({"radius": 2}, {"refiner_radius": 2}, {"threshold": 0.4}):
        described.write_text(json.dumps(fields | change))
        told.add(fingerprint(str(tmp_path / "model")))
    assert len(told) == 4


def test_a_worker_with_other_files_refuses(photos, tiny):
    """Such as a machine of a cluster whose copy of the model is an older one."""
    sample, row = open_dataset(photos).samples[0], Row(tiny, "auto", "robot")
    assert play(Job(row, sample, Rules(), digest=fingerprint(tiny))).error is None
    error = play(Job(row, sample, Rules(), digest="0" * 64)).error
    assert error.startswith("EvaluationError: method") and "0" * 64 in error and fingerprint(tiny) in error


def test_what_failed_is_tried_again(photos, tmp_path):
    photo = (photos / "p1.jpg").read_bytes()
    (photos / "p1.jpg").write_bytes(b"no image")
    first = evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")
    assert sum(record.error is not None for record in first.records) == 1
    (photos / "p1.jpg").write_bytes(photo)
    again = evaluate(photos, {"mine": Correcting()}, out=tmp_path / "out")
    assert [record.error for record in again.records] == [None] * 4


@pytest.mark.parametrize("line", ["", "{", "[]", "null", '{"row": 1}', '{"row": ["a"], "moves": [], "sample": "x"}'])
def test_lines_that_are_no_records_are_dropped(photos, tmp_path, line):
    evaluate(photos, {"mine": Correcting()}, limit=2, out=tmp_path / "out")
    path = tmp_path / "out" / "records.jsonl"
    path.write_text(f"{line}\n{path.read_text()}")
    done = evaluate(photos, {"mine": Correcting()}, limit=2, out=tmp_path / "out")
    assert [record.error for record in done.records] == [None, None]


# ------------------------------------------------------------ where it begins


def test_masks_of_a_folder(photos, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for name in ("p0.1", "p1.1", "p2.1"):
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[10:20, 5:25] = 255
        cv2.imwrite(str(folder / f"{name}.png"), mask)
    cv2.imwrite(str(folder / "p3.1.png"), np.zeros((3, 3), np.uint8))
    done = evaluate(photos, {"mine": Correcting()}, rules=Rules(str(folder)))
    assert [round(record.before, 3) for record in done.records[:3]] == [0.667, 0.714, 0.769]
    assert "3 x 3" in done.records[3].error
    (folder / "p0.1.png").unlink()
    assert "p0.1.png" in evaluate(photos, {"mine": Correcting()}, rules=Rules(str(folder))).records[0].error


@pytest.mark.parametrize(("start", "told"), [(".", "holds no p0.1.png"), ("sp", "is no folder")])
def test_masks_that_are_not_there_are_told_before_anything_runs(photos, tmp_path, monkeypatch, start, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EvaluationError, match=rf"start: '{start}' {told}.*this one has none"):
        evaluate(photos, {"mine": Failing()}, rules=Rules(start), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_defects_begin_in_the_window(photos):
    done = evaluate(photos, {"mine": Correcting()}, rules=Rules("corrupt"))
    assert all(0 < record.before < 1 for record in done.records)


# ------------------------------------------------------------ methods by name


@pytest.mark.parametrize(
    ("name", "parts", "policy"),
    [
        ("hrnet18s-s1", ("", "hrnet18s-s1"), True),
        ("C:/models/x", ("", "C:/models/x"), True),
        ("coarse:hrnet18s-s1", ("coarse", "hrnet18s-s1"), True),
        ("coarse:", ("", "coarse:"), True),
        ("whole:D:/x", ("whole", "D:/x"), False),
        ("published-0.49:x", ("published-0.49", "x"), False),
        ("grabcut", ("grabcut", ""), False),
        ("sam:a,b", ("sam", "a,b"), False),
    ],
)
def test_names_of_methods(name, parts, policy):
    assert split(name) == parts
    assert has_policy(name) == policy


@pytest.mark.parametrize("name", ["nothing", "coarse:nothing", "sam:", "sam:only", "sam:a.onnx,b.onnx", ""])
def test_an_unknown_method_is_told_before_anything_runs(photos, name):
    with pytest.raises((ModelNotFoundError, EvaluationError)):
        evaluate(photos, [name])


KINDS = ["", "coarse:", "whole:", "soft:", "look-again:", "published:", "published-0.49:"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_method_clicks(photos, tiny, kind):
    image = cv2.imread(str(photos / "p0.jpg"))
    method = open_method(f"{kind}{tiny}", "auto", 1)
    session = method.session(image)
    session.click(12, 12, True)
    first = session.mask.copy()
    assert first.shape == (SIDE, SIDE) and first.dtype == bool and first[12, 12]
    session.click(30, 30, False)
    session.click(20, 8, True)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[8:16, 8:16] = True
    session = method.session(image, mask)
    assert iou(session.mask, mask.astype(np.int8)) == 1
    session.click(9, 9, False)
    assert not session.mask[9, 9]


def test_without_refiner_the_mask_is_the_coarse_one(tiny):
    image = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    model = focalrt.load(tiny, threads=1)
    coarse = open_method(f"coarse:{tiny}", "never", 1).session(image)
    whole = open_method(f"whole:{tiny}", "-", 1).session(image)
    refined = model.session(image)
    for session in (coarse, whole, refined):
        session.click(120, 120, True)  # the first click sees the whole image in any case
    assert iou(coarse.mask, whole.mask.astype(np.int8)) > 0.95
    assert not np.array_equal(coarse.mask, refined.mask)


def test_soft_masks_are_another_input_from_the_second_click_on(photos, tiny):
    image = cv2.imread(str(photos / "p0.jpg"))
    soft, plain = (open_method(f"{kind}{tiny}", "auto", 1).session(image) for kind in ("soft:", ""))
    for session in (soft, plain):
        session.click(12, 12, True)
    assert np.array_equal(soft.mask, plain.mask)
    for session in (soft, plain):
        session.click(30, 30, False)
    assert soft._networks.previous.shape == (128, 128)
    assert 0 < soft._networks.previous.min() < 0.5 < soft._networks.previous.max() < 1


def test_a_small_first_mask_is_looked_at_again(tiny):
    image = np.full((400, 400, 3), 90, np.uint8)
    again, plain = (open_method(f"{kind}{tiny}", "auto", 1).session(image) for kind in ("look-again:", ""))
    for session in (again, plain):
        session.click(200, 200, True)
    inner = again._session
    assert len(inner.clicks) == 1 and inner.can_undo
    assert 0 < again.mask.sum() < plain.mask.sum()  # its square is drawn on a smaller box


def test_methods_and_jobs_can_be_pickled(photos):
    found = running.open_dataset(photos)
    job = running.Job(Row("mine", "-", "robot"), found.samples[0], Rules(), Correcting())
    copy = pickle.loads(pickle.dumps(job))
    assert (copy.row, copy.sample.name, copy.rules) == (job.row, job.sample.name, job.rules)


# ------------------------------------------------------------ the clock


def test_a_method_of_the_catalogue_is_clicked_on_something_else_first(photos, monkeypatch):
    """Once, from scratch and from a mask; whatever a first click of a process waits for is over then."""
    opened = []

    class Watched(Answering):
        def session(self, image, mask=None):
            session = super().session(image, mask)
            opened.append((image, mask is not None, session))
            return session

    kept_method.cache_clear()
    monkeypatch.setattr(catalogue, "open_method", lambda *_: Watched(100))
    try:
        evaluate(photos, ["grabcut"], limit=2)
    finally:
        kept_method.cache_clear()
    of_photos = [image.shape == (SIDE, SIDE, 3) for image, _, _ in opened]
    assert of_photos == [False, False, True, True]
    assert [from_mask for _, from_mask, _ in opened] == [False, True, False, False]
    assert all(session.clicks for _, _, session in opened)


@pytest.mark.parametrize("kind", ["", "soft:"])
def test_no_kernel_is_compiled_or_loaded_inside_the_clock(photos, tiny, tmp_path, kind):
    """In a process that has none yet: what a kept method has not called before, no click of a run calls either."""
    program = f"""
import json, sys
from focalrt.evaluation.catalogue import fingerprint, kept_method
from focalrt.evaluation.datasets import open_dataset
from focalrt.evaluation.play import Job, Rules, play
from focalrt.evaluation.record import Row

def there():
    modules = [module for name, module in sys.modules.items() if name.startswith("focalrt.kernels.")]
    kernels = [each for module in modules for each in vars(module).values() if hasattr(each, "signatures")]
    return sorted({{(kernel.__module__, kernel.__name__, str(kernel.signatures)) for kernel in kernels}})

name = {kind + tiny!r}
digest = fingerprint(name)
kept_method(name, "auto", 1, digest)
before = there()
records = [
    play(Job(Row(name, "auto", "robot"), sample, Rules(start, target=1.0), digest=digest))
    for start in ("scratch", "corrupt")
    for sample in open_dataset({str(photos)!r}).samples[:2]
]
print(json.dumps([[len(record.moves) for record in records], len(before), before == there()]))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, timeout=300)
    clicks, count, same = json.loads(done.stdout)
    assert min(clicks) == MOST_CLICKS
    assert count > 10
    assert same


@pytest.mark.parametrize("kind", [*KINDS, "grabcut"])
def test_a_warm_method_clicks_as_a_fresh_one(photos, tiny, kind):
    name = kind if kind == "grabcut" else f"{kind}{tiny}"
    (record,) = evaluate(photos, [name], rules=Rules("corrupt"), limit=1).records
    sample = open_dataset(photos).samples[0]
    example = sample.read()
    fresh = click_through(open_method(name, "auto", 1), example, Robot(), first_mask(sample, example, Rules("corrupt")))
    assert [move[:6] for move in record.moves] == [move[:6] for move in fresh]


# ------------------------------------------------------------ the commands


def test_the_command_prints_the_tables_and_writes_the_report(photos, tiny, tmp_path):
    done = run(["eval", photos, "--model", tiny, "--corrupt", "--merge", "auto", "--merge", "never", "--out", "out"],
               tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    expected = evaluate(photos, [tiny], merges=["auto", "never"], rules=Rules("corrupt"))
    assert done.stdout.startswith(expected.scores())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["records.jsonl", "report.html", "run.json"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "p3.1" in page
    assert "never" in page
    assert json.loads((tmp_path / "out" / "run.json").read_text())["dataset"] == "photos"


def test_the_commands_exit_status(photos, tiny, tmp_path, capsys):
    assert main(["eval", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert main(["eval", str(photos), "--model", "nothing"]) == 1
    (photos / "p1.jpg").write_bytes(b"no image")
    assert main(["eval", str(photos), "--model", tiny]) == 1
    assert "p1.jpg" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["eval", str(photos), "--corrupt", "--from-mask", "sp"])


def test_written_defects_are_those_used_on_the_fly(photos, tmp_path, capsys):
    assert main(["corrupt", str(photos), "--out", str(tmp_path / "masks"), "--seed", "5"]) == 0
    assert re.search("boundary", capsys.readouterr().out)
    written = evaluate(photos, {"mine": Correcting()}, rules=Rules(str(tmp_path / "masks")))
    on_the_fly = evaluate(photos, {"mine": Correcting()}, rules=Rules("corrupt", seed=5))
    assert without_times(written.records) == without_times(on_the_fly.records)


def test_odd_arguments(photos):
    for changed in ({"workers": 0}, {"limit": 0}):
        with pytest.raises(EvaluationError):
            evaluate(photos, {"mine": Correcting()}, **changed)
    with pytest.raises(DatasetError):
        evaluate(photos / "p0.jpg", {"mine": Correcting()})


def test_a_scheduler_that_does_not_answer(photos, monkeypatch):
    pytest.importorskip("distributed", reason="distributed is in the cluster extra")
    monkeypatch.setattr(running, "PATIENCE", 1)
    with pytest.raises(EvaluationError, match=re.escape("tcp://127.0.0.1:9")):
        evaluate(photos, {"mine": Correcting()}, scheduler="tcp://127.0.0.1:9")


@pytest.mark.parametrize(
    ("missing", "options"),
    [("PIL", []), ("skimage", ["--corrupt"]), ("jinja2", ["--out", "out"]), ("matplotlib", ["--out", "out"])],
)
def test_a_missing_extra_is_told_by_name(photos, tiny, tmp_path, monkeypatch, capsys, missing, options):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["eval", str(photos), "--model", tiny, "--limit", "1", *options]) == 1
    assert "pip install 'focalrt[eval]'" in capsys.readouterr().err
