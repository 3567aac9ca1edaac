"""Masks with superpixel defects: the law of DAVIS-585, on made-up photos; the superpixels are scikit-image's own."""

import sys
from collections import Counter
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.segmentation import slic

from focalrt import ArgumentValueError, DatasetError, ImageFileError, MissingExtraError
from focalrt.evaluation import defects
from focalrt.evaluation.defects import (
    COUNTS,
    RELEASED,
    Defect,
    Defective,
    Distribution,
    Law,
    Superpixels,
    attempt,
    corrupt,
    regions,
    sample_seed,
    write_masks,
)
from focalrt.evaluation.sample import Sample
from focalrt.geometry import Box
from focalrt.imagefile import write_image
from focalrt.runs import Runs

seeds = st.integers(0, 2**32 - 1)


def photo(height, width, seed=0):
    """Patches of colour with noise."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, (max(1, height // 8), max(1, width // 8), 3), dtype=np.uint8)
    smooth = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, 3)
    return np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def ellipse(height, width, ignored=0):
    """An ellipse in the middle; a rim of that many pixels is ignored."""
    truth = np.zeros((height, width), np.int8)
    plane = np.zeros((height, width), np.uint8)
    cv2.ellipse(plane, (width // 2, height // 2), (width // 4, height // 4), 0, 0, 360, 1, cv2.FILLED)
    truth[plane > 0] = 1
    if ignored:
        rim = (cv2.dilate(plane, np.ones((3, 3)), iterations=ignored) > 0) & (plane == 0)
        truth[rim] = -1
    return truth


@st.composite
def truths(draw):
    """Small truths: an object rectangle, and perhaps ignored pixels."""
    height, width = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    top, left = draw(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)))
    truth = np.zeros((height, width), np.int8)
    truth[top : draw(st.integers(top + 1, height)), left : draw(st.integers(left + 1, width))] = 1
    row = draw(st.integers(0, height))
    truth[row : row + draw(st.integers(0, 5))] = -1
    assume((truth == 1).any())
    return truth


def overlap(mask, truth):
    """IoU by definition, over known pixels."""
    known = truth >= 0
    union = ((mask | (truth == 1)) & known).sum()
    return (mask & (truth == 1)).sum() / union


def dense(runs, shape):
    return runs.to_mask(Box(0, 0, shape[1], shape[0]))


# ------------------------------------------------------------ the law


@given(truths(), seeds)
def test_the_mask_is_the_truth_with_whole_superpixels_added_and_removed(truth, seed):
    image = photo(*truth.shape)
    cells = {count: slic(image, n_segments=count, compactness=10, start_label=0) for count in COUNTS}
    found = corrupt(image, truth, seed)
    mask = truth == 1
    for defect in found.defects:
        pixels = dense(defect.pixels, truth.shape)
        assert any((pixels == (labels == labels[defect.y, defect.x])).all() for labels in cells.values())
        assert defect.added == (not mask[defect.y, defect.x])
        mask[pixels] = defect.added
    np.testing.assert_array_equal(found.mask, mask)


@given(truths(), seeds)
def test_the_iou_and_when_an_attempt_ends(truth, seed):
    found = corrupt(photo(*truth.shape), truth, seed)
    assert found.iou == pytest.approx(overlap(found.mask, truth), abs=1e-12)
    assert found.accepted == (0.75 <= found.iou <= 0.85)
    assert 1 <= len(found.defects) <= 10
    assert found.iou <= 0.85 or len(found.defects) == 10
    mask = truth == 1
    for defect in found.defects[:-1]:
        mask[dense(defect.pixels, truth.shape)] = defect.added
        assert overlap(mask, truth) > 0.85


@given(truths(), seeds)
def test_seeds_lie_in_their_region(truth, seed):
    """The band is what a square of half side 6 reaches from either side of the rim; the image's border is no rim."""
    plane = (truth == 1).astype(np.uint8)
    grown = ndimage.maximum_filter(plane, 13, mode="constant", cval=0) > 0
    core = ndimage.minimum_filter(plane, 13, mode="constant", cval=1) > 0
    planes = {"boundary": grown & ~core, "inside": core, "outside": ~grown}
    for defect in corrupt(photo(*truth.shape), truth, seed).defects:
        region = planes[defect.kind] & (truth >= 0)
        wanted = region if region.sum() >= 5 else plane > 0
        assert wanted[defect.y, defect.x]


@given(truths(), seeds)
def test_equal_arguments_give_equal_masks_and_leave_them_alone(truth, seed):
    image, before = photo(*truth.shape), truth.copy()
    first, second = (corrupt(image, truth, seed) for _ in range(2))
    np.testing.assert_array_equal(first.mask, second.mask)
    assert first[1:] == second[1:]
    np.testing.assert_array_equal(truth, before)
    np.testing.assert_array_equal(image, photo(*truth.shape))


def test_other_seeds_give_other_masks():
    image, truth = photo(64, 96), ellipse(64, 96)
    masks = {corrupt(image, truth, seed).mask.tobytes() for seed in range(6)}
    assert len(masks) == 6


def test_most_masks_of_an_ordinary_photo_are_as_bad_as_wanted():
    image, truth = photo(96, 128), ellipse(96, 128)
    found = [corrupt(image, truth, seed) for seed in range(8)]
    assert sum(mask.accepted for mask in found) >= 7


class Pixels:
    """In place of superpixels: single pixels, and the counts that were asked for."""

    def __init__(self, shape):
        self.shape, self.counts = shape, Counter()

    def at(self, x, y, count):
        self.counts[count] += 1
        mask = np.zeros(self.shape, np.bool_)
        mask[y, x] = True
        return mask


def chi_square(seen, expected):
    return sum((seen[key] - wanted) ** 2 / wanted for key, wanted in expected.items())


PAPER = Law(0.65, 0.10, 0.25)  # as the paper's text has it, not the script


@pytest.mark.parametrize("law", [RELEASED, PAPER])
def test_kinds_and_sizes_are_drawn_by_the_law(law):
    """Single pixels never spoil this mask, so all 10 defects of every attempt are drawn, whatever came of them."""
    truth = ellipse(80, 80)
    pixels, places, random = Pixels(truth.shape), regions(truth), np.random.default_rng(5)
    kinds, total = Counter(), 0
    for _ in range(300):
        found = attempt(truth, pixels, places, random, law)
        assert len(found.defects) == 10
        kinds.update(defect.kind for defect in found.defects)
        total += 10
    shares = {"boundary": law.boundary, "inside": law.inside, "outside": law.outside}
    assert chi_square(kinds, {kind: share * total for kind, share in shares.items()}) < 13.8  # 2 degrees, 0.1 %
    assert chi_square(pixels.counts, dict.fromkeys(COUNTS, total / 6)) < 20.5  # 5 degrees, 0.1 %
    other = PAPER if law is RELEASED else RELEASED
    wrong = {"boundary": other.boundary, "inside": other.inside, "outside": other.outside}
    assert chi_square(kinds, {kind: share * total for kind, share in wrong.items()}) > 100


def test_the_law_is_that_of_the_script():
    assert RELEASED.shares == (0.65, 0.25, 0.10)


def test_31_attempts_and_no_more():
    """An object of one pixel that every superpixel holds alone: each removal leaves nothing, and no attempt can end."""
    image, truth = np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.int8)
    tries = 0

    def counting(*arguments):
        nonlocal tries
        tries += 1
        return attempt(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(defects, "attempt", counting)
        found = corrupt(image, truth, 0)
    assert tries == 31
    assert (found.accepted, found.iou, len(found.defects)) == (False, 0.0, 1)
    assert not found.mask.any()


@pytest.mark.parametrize(
    "change",
    [
        {"boundary": 0.7},
        {"boundary": -0.1, "inside": 1.0},
        {"low": 0.9},
        {"high": 1.1},
        {"low": -0.1},
        {"most": 0},
        {"tries": 0},
    ],
)
def test_a_law_that_is_none(change):
    with pytest.raises(ArgumentValueError, match="law: expected"):
        replace(RELEASED, **change)


# ------------------------------------------------------------ hostile sizes, ignored pixels


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 300), (10, 10), (3, 3)])
@pytest.mark.parametrize("size", ["one pixel", "all"])
def test_any_size_gives_a_mask(shape, size):
    truth = np.zeros(shape, np.int8)
    truth[0, : 1 if size == "one pixel" else None] = 1
    if size == "all":
        truth[:] = 1
    for image in (photo(*shape), np.zeros((*shape, 3), np.uint8)):
        found = corrupt(image, truth, 1)
        assert found.mask.shape == shape
        assert found.mask.dtype == np.bool_
        assert found.iou == pytest.approx(overlap(found.mask, truth))


def test_ignored_pixels_choose_no_defect_and_do_not_count():
    truth = ellipse(96, 96, ignored=8)
    image = photo(96, 96)
    for seed in range(8):
        found = corrupt(image, truth, seed)
        assert found.iou == pytest.approx(overlap(found.mask, truth))
        assert all(truth[defect.y, defect.x] >= 0 for defect in found.defects)


@pytest.mark.parametrize("truth", [np.zeros((8, 8), np.int8), np.full((8, 8), -1, np.int8), np.ones((8, 9), np.int8)])
def test_a_truth_without_object_or_of_another_size(truth):
    with pytest.raises(ArgumentValueError, match="truth: expected the shape"):
        corrupt(photo(8, 8), truth, 0)


def test_superpixels_of_a_photo_larger_than_davis_part_it_too():
    """They are found at 854 pixels and grown: every pixel is in its own, and any two are equal or apart."""
    superpixels = Superpixels(photo(24, 2000))
    seen = np.zeros((24, 2000), np.int64)
    for y, x in np.random.default_rng(3).integers(0, (24, 2000), (40, 2)).tolist():
        mask = superpixels.at(x, y, 50)
        assert mask.shape == (24, 2000)
        assert mask[y, x]
        numbers = np.unique(seen[mask])
        assert len(numbers) == 1
        if numbers[0] == 0:
            seen[mask] = seen.max() + 1
    assert seen.max() > 5


def test_without_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'focalrt\[eval\]'"):
        corrupt(photo(8, 8), np.ones((8, 8), np.int8), 0)


# ------------------------------------------------------------ files


def test_the_seed_of_a_sample_stays_what_it_is():
    assert sample_seed(0, "bear/00000.1") == 1870546130  # CRC-32 of "0 bear/00000.1"
    assert len({sample_seed(seed, name) for seed in range(5) for name in ("a", "b", "1")}) == 15


def sample(folder, name, truth, seed=0):
    path = folder / f"photo{seed}.png"
    write_image(path, photo(*truth.shape, seed))
    return Sample(name, path, lambda: truth)


def test_masks_are_written_under_the_names_of_their_samples(tmp_path):
    truth = ellipse(48, 64)
    samples = [sample(tmp_path, name, truth, seed) for seed, name in enumerate(["a", "cat/0.1", "cat/b.png"])]
    out = tmp_path / "out"
    summary = write_masks(samples, out, seed=7)
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert written == ["a.png", "cat/0.1.png", "cat/b.png.png"]
    masks = []
    for each in samples:
        masks.append(corrupt(each.read().image, truth, sample_seed(7, each.name)))
        pixels = cv2.imread(str(out / f"{each.name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(pixels, np.where(masks[-1].mask, 255, 0))
    assert summary == Distribution.of(masks)
    assert summary != write_masks(samples, out, seed=8)


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "", ".", "a//b", "a/", "..", "a\\b", "C:/a", "a\0"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    before = sample(tmp_path, name, ellipse(16, 16))
    with pytest.raises(DatasetError, match="expected a name of letters"):
        write_masks([before], folder, 0)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "photo0.png"]


def test_what_stops_the_work_leaves_what_is_done(tmp_path):
    truth = ellipse(16, 16)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    samples = [sample(tmp_path, "good", truth), Sample("bad", bad, lambda: truth)]
    with pytest.raises(ImageFileError, match=r"bad\.png"):
        write_masks(samples, tmp_path / "out", 0)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.png"]


def test_a_distribution_counts_and_tells():
    def defect(kind, added):
        return Defect(kind, 0, 0, added, Runs.empty())

    none = np.zeros((1, 1), np.bool_)
    masks = [
        Defective(none, 0.80, (defect("boundary", True), defect("boundary", False)), True),
        Defective(none, 0.84, (defect("outside", True),), True),
        Defective(none, 0.40, (defect("inside", False),), False),
    ]
    summary = Distribution.of(iter(masks))
    assert summary == Distribution({"boundary": 2, "inside": 1, "outside": 1}, 2, {1: 2, 2: 1}, (0.80, 0.84, 0.40), 2)
    lines = [" ".join(line.split()) for line in str(summary).splitlines()]
    assert lines[:2] == ["3 masks, 4 defects", "IoU: mean 0.680, lowest 0.400, highest 0.840"]
    for line in (
        "0.40 to 0.45 1 33.3%",
        "0.80 to 0.85 2 66.7%",
        "not reached 1 33.3%",
        "1 2 66.7%",
        "boundary 2 50.0%",
        "removed 2 50.0%",
    ):
        assert line in lines
    assert str(Distribution.of([])) == "no masks"


def test_every_law_can_be_asked_for():
    """A law that wants the truth untouched takes what 10 defects give; one that wants it gone, too."""
    image, truth = photo(48, 48), ellipse(48, 48)
    assert corrupt(image, truth, 0, Law(0, 0, 1, low=0, high=1)).accepted
    found = corrupt(image, truth, 0, Law(0, 1, 0, low=0, high=0.5, most=100))
    assert found.accepted
    assert {defect.kind for defect in found.defects} == {"inside"}
