"""Who clicks, and how masks are scored: hand-made cases, and the protocol written a second time, slowly."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage
from strategies import mask_pairs, masks, seeds

from focalrt.evaluation.metrics import boundary_iou, harm, iou
from focalrt.evaluation.robot import Aim, Person, Robot, worst_parts

SHARED = Path(os.environ.get("FOCALRT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
VECTORS = SHARED / "reference" / "loop" / "geometry-vectors.npz"


@st.composite
def situations(draw):
    """A mask, and a truth with ignored pixels."""
    mask, right = draw(mask_pairs())
    ignored = np.random.default_rng(draw(seeds)).random(mask.shape) < draw(st.sampled_from([0, 0.1, 0.9]))
    return mask, np.where(ignored, -1, right).astype(np.int8)


def plain_depth(error):
    """Exact squared distances to the nearest pixel outside, the frame included; by looking at every pair."""
    height, width = error.shape
    outside = [(r, c) for r in range(-1, height + 1) for c in range(-1, width + 1)
               if not (0 <= r < height and 0 <= c < width and error[r, c])]
    outside = np.array(outside)
    depth = np.zeros(error.shape, int)
    for r, c in zip(*np.nonzero(error), strict=True):
        depth[r, c] = ((outside - (r, c)) ** 2).sum(1).min()
    return depth


def plain_robot(mask, truth, clicked):
    """SPEC section 6, sentence by sentence."""
    depths = []
    for error in ((truth == 1) & ~mask, (truth == 0) & mask):
        depth = plain_depth(error)
        for click in clicked:
            depth[click.y, click.x] = 0
        depths.append(depth)
    positive = depths[0].max() > depths[1].max()
    depth = depths[0] if positive else depths[1]
    if depth.max() == 0:
        return None
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            if depth[row, column] == depth.max():
                return Aim(column, row, bool(positive))


@given(situations(), st.data())
def test_the_robot_is_its_definition(situation, data):
    mask, truth = situation
    places = st.tuples(st.integers(0, mask.shape[1] - 1), st.integers(0, mask.shape[0] - 1))
    clicked = [Aim(x, y, True) for x, y in data.draw(st.lists(places, max_size=4))]
    assert Robot().aim(mask, truth, clicked) == plain_robot(mask, truth, clicked)


def drawn(*lines):
    """``#`` object, ``.`` background, ``?`` ignored."""
    return np.array([[{"#": 1, ".": 0, "?": -1}[c] for c in line] for line in lines], np.int8)


def aim(mask, truth, clicked=()):
    return Robot().aim(mask == 1, truth, clicked)


def test_a_tie_between_both_errors_is_a_negative_click():
    mask, truth = drawn("...###"), drawn("###...")
    assert aim(mask, truth) == Aim(3, 0, False)


def test_a_strictly_deeper_miss_is_a_positive_click():
    mask, truth = drawn("......", ".....#", "......"), drawn("###...", "###...", "###...")
    assert aim(mask, truth) == Aim(1, 1, True)


def test_the_first_of_equally_deep_pixels_in_reading_order():
    assert aim(drawn("....", "...."), drawn("..##", "####")) == Aim(2, 0, True)


def test_beyond_the_border_is_outside():
    """In a full row of an otherwise unbounded error the middle is no deeper than the ends: the border pads."""
    truth = drawn("#####")
    assert aim(drawn("....."), truth) == Aim(0, 0, True)


def test_ignored_pixels_are_in_neither_error_and_bound_both():
    truth = drawn("#####", "##?##", "#####")
    assert aim(drawn(".....", ".....", "....."), truth) == Aim(0, 0, True)
    assert aim(drawn("#####", "#####", "#####"), drawn("?????", "?????", "?????")) is None


def test_a_clicked_pixel_is_not_clicked_again():
    mask, truth = drawn("...", "...", "..."), drawn("###", "###", "###")
    first = aim(mask, truth)
    assert first == Aim(1, 1, True)
    assert aim(mask, truth, [first]) == Aim(0, 0, True)


def test_nothing_wrong_is_nothing_to_click():
    truth = drawn("##.", "??.")
    assert aim(truth, truth) is None


# ------------------------------------------------------------ people


@given(situations(), st.integers(0, 2**31))
def test_a_person_clicks_a_pixel_and_says_something_that_is_wrong_somewhere(situation, seed):
    mask, truth = situation
    click = Person(seed, "sample").aim(mask, truth, ())
    wrong = ((truth == 1) & ~mask, (truth == 0) & mask)
    assert (click is None) == (not wrong[0].any() and not wrong[1].any())
    assume(click is not None)
    assert wrong[0 if click.positive else 1].any()
    assert truth[click.y, click.x] == click.positive
    assert click == Person(seed, "sample").aim(mask, truth, ())


def test_seeds_and_samples_click_elsewhere():
    truth = np.ones((100, 100), np.int8)
    mask = np.zeros((100, 100), bool)
    clicks = {Person(seed, name).aim(mask, truth, ()) for seed in range(5) for name in "ab"}
    assert len(clicks) == 10
    rows = np.array([click.y for click in clicks])
    assert 20 < rows.min() < rows.max() < 80  # in the deeper half


def test_now_and_then_the_second_largest_error():
    truth = np.zeros((60, 120), np.int8)
    truth[10:50, 10:50], truth[20:40, 80:100] = 1, 1
    mask = np.zeros(truth.shape, bool)
    aims = [Person(seed, "sample").aim(mask, truth, ()) for seed in range(400)]
    elsewhere = sum(click.x > 60 for click in aims)
    assert 20 <= elsewhere <= 64  # 40 expected, standard deviation 6


@given(situations())
def test_the_worst_parts_are_components_deepest_first(situation):
    mask, truth = situation
    parts = worst_parts(mask, truth, ())
    depths = [part[1].max() for part in parts]
    assert depths == sorted(depths, reverse=True)
    everything = []
    for positive, error in ((True, (truth == 1) & ~mask), (False, (truth == 0) & mask)):
        labels, count = ndimage.label(error, np.ones((3, 3)))
        depth = np.sqrt(plain_depth(error))
        everything += [(depth[labels == k].max(), positive) for k in range(1, count + 1)]
    everything.sort(key=lambda part: (-part[0], part[1]))
    assert np.allclose(depths, [part[0] for part in everything[:2]])
    assert [part[0] for part in parts] == [part[1] for part in everything[:2]]


# ------------------------------------------------------------ scores


@given(situations())
def test_iou_counts_pixels(situation):
    mask, truth = situation
    both = either = 0
    for m, t in zip(mask.ravel(), truth.ravel(), strict=True):
        if t >= 0:
            both += bool(m and t)
            either += bool(m or t)
    assert iou(mask, truth) == (both / either if either else 1.0)


def test_iou_by_hand():
    assert iou(drawn("##?.") == 1, drawn("#.?#")) == pytest.approx(1 / 3)
    assert iou(drawn("..") == 1, drawn("..")) == 1.0
    assert iou(drawn("..") == 1, drawn("??")) == 1.0


def plain_band(mask, width):
    """Pixels of the mask with a pixel outside it, or outside the image, within ``width`` in both directions."""
    padded = np.pad(mask, width)
    near = ndimage.minimum_filter(padded.astype(np.uint8), 2 * width + 1, mode="constant")
    inner = near[width : padded.shape[0] - width, width : padded.shape[1] - width]
    return mask & (inner == 0)


@given(situations())
def test_boundary_iou_is_the_iou_of_the_bands(situation):
    mask, truth = situation
    width = max(1, round(0.02 * math.hypot(*mask.shape)))
    whole = np.where(truth < 0, mask, truth == 1)  # where nobody knows, the mask is right
    bands = plain_band(mask, width), plain_band(whole, width)
    counted = (truth >= 0) | ndimage.maximum_filter(truth == 1, 2 * width + 1, mode="constant")
    union = ((bands[0] | bands[1]) & counted).sum()
    assert boundary_iou(mask, truth) == ((bands[0] & bands[1] & counted).sum() / union if union else 1.0)


def test_a_band_is_a_fiftieth_of_the_diagonal_wide():
    truth = np.zeros((300, 400), np.int8)  # diagonal 500: 10 pixels
    truth[50:250, 50:350] = 1
    mask = truth == 1
    mask[100:200, 100:300] = False
    rim, rim_of_hole = 200 * 300 - 180 * 280, 120 * 220 - 100 * 200
    assert boundary_iou(mask, truth) == rim / (rim + rim_of_hole)


@given(situations())
def test_a_mask_that_is_right_where_the_truth_is_known_is_right_to_its_rim(situation):
    mask, truth = situation
    assert boundary_iou(np.where(truth >= 0, truth == 1, mask), truth) == 1


def test_a_mask_may_end_anywhere_in_an_unsure_rim_and_not_beyond_it():
    """As in GrabCut: a rim of 10 pixels that nobody knows, a band of 10 pixels."""
    rows, columns = np.ogrid[:300, :400]
    reach = np.maximum(abs(rows - 149.5) - 60, abs(columns - 199.5) - 110)  # beyond the sure object
    truth = np.where(reach <= 0, 1, np.where(reach <= 10, -1, 0)).astype(np.int8)
    found = {end: boundary_iou(reach <= end, truth) for end in (-6, -3, 0, 5, 10, 13, 16)}
    assert found[0] == found[5] == found[10] == 1
    assert found[-3] == pytest.approx(7 / 13, abs=0.02) and found[-6] == pytest.approx(4 / 16, abs=0.02)
    assert found[13] == pytest.approx(7 / 13, abs=0.02) and found[16] == pytest.approx(4 / 16, abs=0.02)


def test_a_mask_gains_nothing_by_filling_what_is_ignored():
    truth = np.zeros((300, 400), np.int8)  # a band of 10 pixels
    truth[100:200, 100:200], truth[:, 200:] = 1, -1
    mask = truth == 1
    mask[100:150, 100:110] = False  # part of the rim that is known
    filled = mask | (truth < 0)
    assert boundary_iou(filled, truth) < boundary_iou(mask, truth) < 1


@given(situations(), st.data())
def test_harm_is_what_was_right_and_is_wrong(situation, data):
    before, truth = situation
    after = before ^ (np.random.default_rng(data.draw(seeds)).random(before.shape) < 0.3)
    right = truth == 1
    expected = sum(b == r and a != r and t >= 0 for b, a, r, t in
                   zip(before.flat, after.flat, right.flat, truth.flat, strict=True))
    assert harm(before, after, truth) == expected
    assert harm(before, before, truth) == 0


@given(masks())
def test_a_perfect_click_does_no_harm(mask):
    truth = mask.astype(np.int8)
    assert harm(~mask, mask, truth) == 0
    assert harm(mask, ~mask, truth) == mask.size


# ------------------------------------------------------------ what the release did


@pytest.mark.skipif(not VECTORS.exists(), reason=f"no recorded cases in {VECTORS}")
def test_first_clicks_and_iou_of_the_release():
    with np.load(VECTORS) as recorded:
        columns = recorded["rows_columns"].tolist()
        for number, values in enumerate(recorded["rows"]):
            row = dict(zip(columns, values.tolist(), strict=True))
            mask, truth = recorded[f"logit_{number:02}"].astype(np.float32) > 0, recorded[f"gt_{number:02}"]
            expected = Aim(int(row["robot_x"]), int(row["robot_y"]), bool(row["robot_pos"]))
            assert Robot().aim(mask, truth, ()) == expected, number
            assert iou(mask, truth) == pytest.approx(row["iou"], abs=1e-6), number
