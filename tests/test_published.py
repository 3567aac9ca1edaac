"""The published mode: recorded sessions and boxes of the released code, and each of its slips on a case made for it."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import masks, pixels_of
from stub import StubNetworks

from focalrt import taps
from focalrt.errors import ArgumentTypeError, ArgumentValueError
from focalrt.evaluation.published import (
    ByPoints,
    Coarse,
    Edges,
    Point,
    Published,
    PublishedSession,
    coarse_pass,
    composition,
    disks,
    ends_or_whole,
    focus_crop,
    logit,
    merge,
    on_grid,
    pasted,
    refiner_pass,
    resize,
    roi_align,
    sigmoid,
    target_crop,
)
from focalrt.geometry import Box, Click
from focalrt.pipeline import refiner_input, segmentor_input
from focalrt.runs import Runs

LOOP = Path(os.environ.get("FOCALRT_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "reference" / "loop"
recorded = pytest.mark.skipif(
    not (LOOP / "geometry-vectors.npz").is_file(), reason=f"no recordings of the released loop in {LOOP}"
)
IMAGE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
WHOLE = Box(0, 0, 80, 60)


# ------------------------------------------------------------ recordings of the released code


class ClosedForm:
    """The network of the recordings: the previous mask and a bump at every click; the Refiner adds the photo."""

    def segment(self, image, previous, points):
        rows, columns = np.indices((256, 256), np.float32)
        logits = 5 * (2 * previous - 1)
        for point in points:
            away = np.square(rows - np.float32(point.row)) + np.square(columns - np.float32(point.column))
            bump = 10 * np.exp(-away / np.float32(2 * 22.0**2))
            logits = logits + bump if point.positive else logits - bump
        return Coarse(logits, np.empty((0, 64, 64), np.float32))

    def refine(self, image, points, coarse, region):
        return roi_align(coarse.logits, region) + np.float32(0.5) * (image.mean(axis=0) - np.float32(0.5))


def first_deepest(mask, truth, clicked):
    """The robot's click (positive, row, column), straight from REFERENCE section 5."""
    depths = []
    for error in ((truth == 1) & ~mask, (truth == 0) & mask):
        distance = cv2.distanceTransform(np.pad(error, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        depths.append(distance[1:-1, 1:-1])
        for row, column in clicked:
            depths[-1][row, column] = 0
    positive = bool(depths[0].max() > depths[1].max())
    row, column = np.argwhere(depths[not positive] == depths[not positive].max())[0].tolist()
    return positive, row, column


def unpacked(bits, shape):
    return np.unpackbits(bits)[: shape[0] * shape[1]].reshape(shape).astype(bool)


def box(top, bottom, left, right):
    return Box(int(left), int(top), int(right), int(bottom))


@recorded
@pytest.mark.parametrize("name", ["scratch", "scratch2", "init", "init2"])
def test_a_recorded_session_click_for_click(name):
    with np.load(LOOP / f"stubnet-{name}.npz") as file:
        record = dict(file)
    truth = record["gt"]
    mask = record["init_mask"] if record["init_mask"].size else None
    session = PublishedSession(ClosedForm(), record["image"], mask)
    clicked = []
    for number, row in enumerate(record["rows"], start=1):
        positive, at = bool(row[0]), (int(row[1]), int(row[2]))
        assert first_deepest(session.mask, truth, clicked) == (positive, *at)
        clicked.append(at)
        step = session.click(at[1], at[0], positive)
        assert step.target == box(*row[3:7])
        assert step.focus == box(*row[7:11])
        np.testing.assert_allclose(step.probabilities, record[f"prob_{number:02d}"], rtol=0, atol=5e-5)
        predicted = unpacked(record[f"pred_mask_bits_{number:02d}"], truth.shape)
        np.testing.assert_array_equal(step.probabilities > 0.5, predicted)
        np.testing.assert_array_equal(session.mask, unpacked(record[f"merged_mask_bits_{number:02d}"], truth.shape))
        known = truth >= 0
        union = (session.mask | (truth == 1)) & known
        assert (session.mask & (truth == 1)).sum() / union.sum() == pytest.approx(row[15])


@recorded
def test_recorded_boxes_and_merges_case_by_case():
    with np.load(LOOP / "geometry-vectors.npz") as file:
        record = dict(file)
    names = record["rows_columns"].tolist()
    assert len(record["rows"]) == 60
    for number, values in enumerate(record["rows"]):
        row = dict(zip(names, values.tolist(), strict=True))
        previous, logits = (record[f"{name}_{number:02d}"].astype(np.float32) for name in ("prev", "logit"))
        click = Click(int(row["x"]), int(row["y"]))
        within = box(*(row[f"g_{edge}"] for edge in ("y1", "y2", "x1", "x2")))
        assert focus_crop(logits, previous, click, within) == box(*(row[f"f_{e}"] for e in ("y1", "y2", "x1", "x2")))
        merged = merge(logits > 0, previous > 0.5, click)
        np.testing.assert_array_equal(merged, unpacked(record[f"merged_{number:02d}"], merged.shape))
        clicks = [Click(row[f"c{i}_x"], row[f"c{i}_y"], bool(row[f"c{i}_pos"])) for i in range(3)]
        roi = [int(row[f"roi_{edge}"]) for edge in ("rmin", "rmax", "cmin", "cmax")]
        expected = None if roi[0] < 0 else Box(roi[2], roi[0], roi[3] + 1, roi[1] + 1)
        assert target_crop(previous > np.float32(0.49), clicks) == expected


# ------------------------------------------------------------ 4.1: the target crop


def filled(shape, *boxes, inside=True, outside=False, dtype=np.bool_):
    """An array with one value in the boxes and another around them."""
    array = np.full(shape, outside, dtype)
    for part in boxes:
        array[part.slices] = inside
    return array


class Scripted:
    """Networks that answer click after click what they were told to, and keep what they were asked."""

    def __init__(self, *grids):
        self.grids, self.asked = list(grids), []

    def segment(self, image, previous, points):
        self.asked.append((image, previous, points))
        return Coarse(self.grids.pop(0), np.empty((0, 64, 64), np.float32))

    def refine(self, image, points, coarse, region):
        return roi_align(coarse.logits, region)


def grid(*boxes):
    """Coarse logits that are sure of themselves, but not quite: probabilities of 0.018 and 0.98."""
    return filled((256, 256), *boxes, inside=4, outside=-4, dtype=np.float32)


SQUARE = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)  # its pixels are those of the grid
ALL = Box(0, 0, 256, 256)
A, B = Box(40, 40, 90, 80), Box(150, 160, 200, 210)


@pytest.mark.parametrize("mask", [None, filled((60, 80), Box(30, 30, 50, 40))])
def test_the_first_click_is_never_cropped(mask):
    assert PublishedSession(ClosedForm(), IMAGE, mask).click(40, 35).target == WHOLE


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        # rows and columns 40 to 59: 28 about 49.5, from 35.5 to 63.5, halves to even, both ends in
        ([Click(50, 50)], (36, 36, 65, 65)),
        # columns 40 to 79: 56 about 59.5
        ([Click(79, 50)], (32, 36, 89, 65)),
        ([Click(79, 50), Click(50, 50)], (32, 36, 89, 65)),
        # negative clicks never count, nor does the last for being the last
        ([Click(50, 50), Click(79, 50, False)], (36, 36, 65, 65)),
        ([Click(0, 0), Click(99, 99), Click(50, 50, False)], (0, 0, 100, 100)),
    ],
)
def test_the_target_crop_holds_the_mask_and_all_positive_clicks(clicks, expected):
    assert target_crop(filled((100, 100), Box(40, 40, 60, 60)), clicks) == expected


def test_the_target_crop_has_at_least_ten_pixels_and_one():
    assert target_crop(filled((100, 100), Box(50, 20, 51, 60)), []) == (45, 12, 56, 69)


def test_no_mask_has_no_target_crop():
    assert target_crop(np.zeros((100, 100), np.bool_), [Click(3, 4)]) is None


def test_once_the_mask_is_empty_the_answer_for_the_whole_image_goes_into_the_last_crop():
    networks = Scripted(grid(A), grid(), grid(ALL))
    session = PublishedSession(networks, SQUARE)
    session.click(60, 60)
    emptied = session.click(70, 70, False)
    assert emptied.target == target_crop(filled((256, 256), A), [Click(60, 60)])
    assert not session.mask.any()
    step = session.click(200, 220)
    image, _, points = networks.asked[-1]
    np.testing.assert_array_equal(image, SQUARE.transpose(2, 0, 1) / np.float32(255))
    assert points[-1] == (220, 200, True)
    assert step.target == emptied.target
    np.testing.assert_array_equal(session.mask, filled((256, 256), step.target))


def test_a_mask_that_never_was_leaves_the_whole_image():
    session = PublishedSession(Scripted(grid(), grid(A)), SQUARE)
    session.click(60, 60)
    assert session.click(70, 70).target == ALL
    np.testing.assert_array_equal(session.mask, filled((256, 256), A))


# ------------------------------------------------------------ 4.2: the coarse pass


def test_the_networks_see_soft_probabilities():
    networks = Scripted(grid(A), grid(A))
    session = PublishedSession(networks, SQUARE)
    step = session.click(60, 60)
    session.click(70, 70)
    target = target_crop(filled((256, 256), A), [])
    np.testing.assert_array_equal(networks.asked[1][1], resize(step.probabilities[target.slices], 256, 256))
    assert 0.01 < networks.asked[1][1].min() < networks.asked[1][1].max() < 0.99


def test_merged_masks_decide_on_the_crop_but_the_networks_see_the_unmerged():
    """The click on A adds A alone; the networks' B is withheld, and yet shown to them again."""
    networks = Scripted(grid(A, B), grid(A, B))
    session = PublishedSession(networks, SQUARE, np.zeros((256, 256), np.bool_))
    step = session.click(60, 60)
    np.testing.assert_array_equal(session.mask, filled((256, 256), A))
    np.testing.assert_array_equal(step.probabilities > 0.5, filled((256, 256), A, B))
    target = target_crop(filled((256, 256), A), [Click(B.x0, B.y0)])
    assert session.click(B.x0, B.y0).target == target
    np.testing.assert_array_equal(networks.asked[1][1], resize(step.probabilities[target.slices], 256, 256))


def test_coarse_probabilities_are_interpolated_not_logits():
    logits = np.where(np.arange(256) < 128, np.float32(20), np.float32(-1)) * np.ones((256, 1), np.float32)
    wide = Box(0, 0, 511, 256)  # every second pixel lies in the middle between two of the grid
    between = sigmoid(pasted(logits, wide, wide))[0, 255]
    assert between == pytest.approx((1 + 1 / (1 + np.e)) / 2, abs=1e-6)


def test_nothing_is_known_outside_the_target_crop():
    logits = pasted(np.full((256, 256), 3, np.float32), Box(10, 20, 30, 50), WHOLE)
    np.testing.assert_array_equal(np.isfinite(logits), filled((60, 80), Box(10, 20, 30, 50)))
    assert logits.min() == -np.inf


# ------------------------------------------------------------ 4.3: the focus crop


def test_the_coarse_mask_is_drawn_where_logits_exceed_a_threshold_of_probabilities():
    logits = filled((100, 100), Box(20, 20, 60, 60), inside=0.48, outside=-5, dtype=np.float32)
    logits[30:40, 30:40] = 0.5
    # 30 to 39: 14 about 34.5, from 27.5 to 41.5, cut off
    nothing = np.zeros((100, 100), np.float32)
    assert focus_crop(logits, nothing, Click(35, 35), Box(0, 0, 100, 100)) == (27, 27, 41, 41)


@pytest.mark.parametrize(("probability", "expected"), [(0.485, (27, 27, 41, 41)), (0.495, (0, 0, 100, 100))])
def test_the_previous_mask_is_drawn_at_049(probability, expected):
    """It is the coarse mask, or empty; a click on its unchanged pixels then takes all the others that are unchanged."""
    part = Box(30, 30, 40, 40)
    logits = filled((100, 100), part, inside=2, outside=-2, dtype=np.float32)
    previous = filled((100, 100), part, inside=probability, outside=0, dtype=np.float32)
    assert focus_crop(logits, previous, Click(35, 35), Box(0, 0, 100, 100)) == expected


def change_of(part):
    """Coarse logits for a square of 40 in an image of 100, and a previous mask that lacks a part of it."""
    square = filled((100, 100), Box(30, 30, 70, 70))
    return np.where(square, np.float32(5), np.float32(-5)), (square & ~filled((100, 100), part)).astype(np.float32)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        # 30 to 49, an extent of 19 of 39: 28 about 39.5
        (Box(30, 30, 50, 50), (25, 25, 53, 53)),
        # 30 to 43, an extent of 13 of 39, is not less than a third
        (Box(30, 30, 44, 44), (26, 26, 46, 46)),
        # an extent of 12 is, in one direction too: 7.8 to either side of the click, 1.4 (15.6 + 1) about it
        (Box(30, 30, 43, 43), (20, 20, 43, 43)),
        (Box(30, 30, 43, 60), (20, 20, 43, 43)),
        # fewer than ten pixels are as good as the whole image
        (Box(31, 31, 34, 34), (0, 0, 100, 100)),
    ],
)
def test_the_focus_crop_is_about_the_change_or_about_the_click(part, expected):
    logits, previous = change_of(part)
    assert focus_crop(logits, previous, Click(32, 32), Box(0, 0, 100, 100)) == expected


def test_a_click_on_an_unchanged_pixel_looks_at_all_unchanged_pixels():
    logits, previous = change_of(Box(30, 30, 50, 50))
    assert focus_crop(logits, previous, Click(5, 90), Box(0, 0, 100, 95)) == (0, 0, 100, 95)


def test_the_focus_crop_lies_in_the_target_crop():
    logits, previous = change_of(Box(30, 30, 50, 50))
    assert focus_crop(logits, previous, Click(32, 32), Box(28, 27, 40, 100)) == (28, 27, 40, 53)


def test_a_focus_crop_beside_the_target_crop_becomes_the_target_crop():
    """The released code ends with an error there."""
    logits, previous = change_of(Box(30, 30, 43, 43))
    assert focus_crop(logits, previous, Click(32, 32), Box(60, 60, 90, 90)) == (60, 60, 90, 90)


@pytest.mark.parametrize(("columns", "expected"), [(9, (0, 20, 0, 30)), (10, (4, 4, 5, 14))])
def test_fewer_than_ten_pixels_have_no_box(columns, expected):
    assert ends_or_whole(filled((20, 30), Box(5, 4, 5 + columns, 5))) == expected


# ------------------------------------------------------------ 4.5 and 4.6: composition and merge


@pytest.mark.parametrize(("count", "beside"), [(10, 0.0), (11, 0.75)])
def test_later_clicks_change_the_focus_crop_only(count, beside):
    """Until then an earlier mask beside the target crop is erased."""
    previous = np.full((60, 80), 0.75, np.float32)
    logits = pasted(np.full((256, 256), 3, np.float32), Box(10, 10, 50, 50), WHOLE)
    focus = Box(20, 20, 40, 30)
    probabilities = composition(logits, np.full((10, 20), -3, np.float32), previous, focus, count)
    inside, outside = probabilities[focus.slices], probabilities[~filled((60, 80), Box(10, 10, 50, 50))]
    np.testing.assert_allclose(inside, 1 / (1 + np.exp(3)), rtol=1e-6)
    np.testing.assert_allclose(outside, beside, rtol=1e-6)
    ring = filled((60, 80), Box(10, 10, 50, 50)) & ~filled((60, 80), focus)
    np.testing.assert_allclose(probabilities[ring], 1 / (1 + np.exp(-3)) if count == 10 else 0.75, rtol=1e-6)


@pytest.mark.parametrize(("earlier", "removed"), [(9, [A, B]), (10, [A])])
def test_the_eleventh_click_of_a_session_is_the_first_late_one(earlier, removed):
    """A lies in its focus crop, B in the rest of its target crop."""
    session = PublishedSession(Scripted(*[grid(ALL)] * earlier, -grid(A, B)), SQUARE)
    for _ in range(earlier):
        session.click(60, 60)
    step = session.click(60, 60, False)
    assert step.target == ALL
    assert step.focus.union(A) == step.focus
    assert step.focus.clip(B) != B
    np.testing.assert_array_equal(session.mask, ~filled((256, 256), *removed))


def test_the_merge_takes_the_part_that_holds_the_click():
    mask = filled((20, 30), Box(0, 0, 10, 10))
    predicted = filled((20, 30), Box(0, 0, 15, 10), Box(20, 10, 30, 20))
    np.testing.assert_array_equal(merge(predicted, mask, Click(12, 3)), filled((20, 30), Box(0, 0, 15, 10)))


def test_a_click_on_an_unchanged_pixel_floods_or_deletes():
    mask, change = filled((20, 30), Box(0, 0, 10, 10)), Box(4, 4, 12, 12)
    predicted = mask ^ filled((20, 30), change)
    flooded = mask | ~filled((20, 30), change)
    np.testing.assert_array_equal(merge(predicted, mask, Click(25, 15)), flooded)
    np.testing.assert_array_equal(merge(predicted, mask, Click(1, 1)), mask & filled((20, 30), change))


@pytest.mark.parametrize(("column", "expected"), [(0, [0, 0, 0, 0]), (3, [1, 1, 1, 1])])
def test_the_whole_part_takes_the_sign_of_the_change_at_the_click(column, expected):
    mask, predicted = np.array([[True, True, False, False]]), np.array([[False, False, True, True]])
    assert merge(predicted, mask, Click(column, 0)).tolist() == [[bool(value) for value in expected]]


def test_pixels_that_meet_in_a_corner_are_one_part():
    predicted = np.eye(4, dtype=np.bool_)
    np.testing.assert_array_equal(merge(predicted, np.zeros((4, 4), np.bool_), Click(3, 3)), predicted)


@given(masks(), st.data())
def test_from_scratch_nothing_is_merged(mask, data):
    row, column = data.draw(pixels_of(mask))
    image = np.zeros((*mask.shape, 3), np.uint8)
    session = PublishedSession(ClosedForm(), image)
    step = session.click(column, row)
    np.testing.assert_array_equal(session.mask, step.probabilities > 0.5)


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, []), (0.49, [A])])
def test_the_threshold_of_the_mask_is_not_the_one_of_the_boxes(threshold, expected):
    """The second crop is about A even where the mask is empty."""
    unsure = filled((256, 256), A, inside=np.log(0.495 / 0.505), outside=-4, dtype=np.float32)
    session = PublishedSession(Scripted(unsure, unsure), SQUARE, threshold=threshold)
    session.click(60, 60)
    np.testing.assert_array_equal(session.mask, filled((256, 256), *expected))
    assert session.click(60, 60).target == target_crop(filled((256, 256), A), [])


# ------------------------------------------------------------ the networks, asked by points


def test_a_click_above_and_to_the_left_is_dropped_and_only_that():
    crop = Box(10, 10, 266, 138)
    clicks = [Click(9, 9), Click(9, 10), Click(10, 9, False), Click(10, 10), Click(300, 300)]
    expected = [(0, -1, True), (-2, 0, False), (0, 0, True), (580, 290, True)]
    assert on_grid(clicks, crop) == expected


@given(
    st.lists(st.builds(Point, st.floats(-9, 265), st.floats(-9, 265), st.booleans()), max_size=3),
    st.sampled_from([0, 2, 3, 5]),
)
def test_disks_hold_what_is_within_the_radius(points, radius):
    rows, columns = np.indices((256, 256))
    maps = disks(points, radius)
    for plane, positive in zip(maps, (True, False), strict=True):
        away = [np.hypot(rows - p.row, columns - p.column) for p in points if p.positive == positive]
        nearest = np.min(away, axis=0) if away else np.full((256, 256), np.inf)
        clear = np.abs(nearest - radius) > 1e-4
        np.testing.assert_array_equal(plane[clear], (nearest <= radius)[clear])


def test_the_radius_belongs_to_the_disk():
    maps = disks([Point(20, 30, True), Point(1.5, 254.5, False)], 5)
    assert maps[0, 20, 25] == maps[0, 16, 27] == 1
    assert maps[0].sum() == 81
    assert maps[0, 20, 24] == maps[0, 16, 26] == 0
    assert maps[1].any(axis=1).nonzero()[0].tolist() == [0, 1, 2, 3, 4, 5, 6]


class Listening(StubNetworks):
    """The stub, and what its networks were given last."""

    def segment(self, image, maps):
        self.segmentor = image, maps
        return super().segment(image, maps)

    def refine(self, image, disks, context, logits):
        self.refiner = image, disks, context, logits
        return super().refine(image, disks, context, logits)


@pytest.mark.parametrize("side", [128, 256])
def test_the_networks_see_what_the_runtime_shows_them(side):
    """For clicks that the release does not drop, and a previous mask without soft edges, both make the same inputs."""
    networks, target, focus = Listening(side=side, radius=3.0), Box(7, 11, 70, 53), Box(20, 12, 59, 31)
    mask = filled((60, 80), Box(20, 15, 60, 40))
    clicks = [Click(30, 30), Click(69, 12, False), Click(5, 40), Click(30, 25, False)]
    planes = IMAGE.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    coarse = coarse_pass(ByPoints(networks), planes, mask.astype(np.float32), clicks, target)
    refined = refiner_pass(ByPoints(networks), planes, clicks, coarse, target, focus)
    expected = (
        *segmentor_input(networks, IMAGE, Runs.from_mask(mask), clicks, target),
        *refiner_input(networks, IMAGE, clicks, coarse.logits, coarse.context, target, focus),
    )
    for ours, theirs in zip((*networks.segmentor, *networks.refiner), expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(refined, resize(networks.refine(*networks.refiner), 19, 39))


def matrix(axis_taps, inputs):
    """The dense matrix of one axis."""
    dense = np.zeros((len(axis_taps.source), inputs))
    np.add.at(dense, (np.arange(len(dense))[:, None], axis_taps.source), axis_taps.weight)
    return dense


sides = st.integers(1, 40)


@given(sides, sides, sides, sides)
def test_resize_reads_as_align_corners(height, width, rows, columns):
    planes = np.random.default_rng(height).random((2, height, width), np.float32)
    expected = matrix(taps.align_corners(height, rows), height) @ planes
    expected = expected @ matrix(taps.align_corners(width, columns), width).T
    resized = resize(planes, rows, columns)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, expected, rtol=0, atol=1e-5)


edges = st.lists(st.floats(0, 256), min_size=2, max_size=2).map(sorted)


@given(edges, edges, st.sampled_from([32, 64, 256]))
def test_roi_align_reads_the_middles_of_bins(rows, columns, side):
    planes = np.random.default_rng(side).random((2, side, side), np.float32)
    scale = side / 256
    down = matrix(taps.roi_align(rows[0] * scale, rows[1] * scale, side, side), side)
    across = matrix(taps.roi_align(columns[0] * scale, columns[1] * scale, side, side), side)
    aligned = roi_align(planes, Edges(*rows, *columns))
    assert aligned.dtype == np.float32
    np.testing.assert_allclose(aligned, down @ planes @ across.T, rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_certainty_survives_the_way_there_and_back():
    probabilities = np.array([0, 1e-30, 0.25, 0.5, 1], np.float32)
    np.testing.assert_allclose(sigmoid(logit(probabilities)), probabilities, rtol=1e-5)
    np.testing.assert_array_equal(sigmoid(np.array([-np.inf, -1e4, 1e4, np.inf], np.float32)), [0, 0, 1, 1])


# ------------------------------------------------------------ sessions, and what callers hand in


@pytest.mark.parametrize("side", [128, 256])
@pytest.mark.parametrize("mask", [None, filled((60, 80), Box(30, 30, 50, 40))])
def test_a_session_of_a_model(side, mask):
    given = None if mask is None else mask.copy()
    session = Published(StubNetworks(side=side)).session(IMAGE, given)
    if given is not None:
        given[:] = False
        np.testing.assert_array_equal(session.mask, mask)
    seen = [session.mask]
    kept = [session.mask.copy()]
    for x, y, positive in ((60, 45, True), (20, 20, True), (41, 30, False)):
        session.click(x, y, positive)
        seen.append(session.mask)
        kept.append(session.mask.copy())
    assert seen[-1].dtype == np.bool_
    assert seen[1].any()
    assert not np.array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen, kept)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.filterwarnings("error")
def test_images_of_next_to_nothing(shape):
    image = np.full((*shape, 3), 255, np.uint8)
    for mask in (None, np.ones(shape, np.bool_), np.zeros(shape, np.bool_)):
        session = Published(StubNetworks()).session(image, mask)
        for positive in (True, False, True):
            session.click(shape[1] - 1, 0, positive)
        assert session.mask.shape == shape


@pytest.mark.parametrize("threshold", [0, 1, -0.5, np.nan, np.inf])
def test_a_threshold_lies_between_0_and_1(threshold):
    with pytest.raises(ArgumentValueError, match="threshold"):
        Published(StubNetworks(), threshold)


@pytest.mark.parametrize("threshold", ["0.5", None, True])
def test_a_threshold_is_a_number(threshold):
    with pytest.raises(ArgumentTypeError, match="threshold"):
        Published(StubNetworks(), threshold)


@pytest.mark.parametrize(
    ("image", "mask", "error", "argument"),
    [
        ("photo.jpg", None, ArgumentTypeError, "image"),
        (IMAGE[..., 0], None, ArgumentValueError, "image"),
        (IMAGE / 255, None, ArgumentTypeError, "image"),
        (IMAGE[:0], None, ArgumentValueError, "image"),
        (IMAGE, np.zeros((80, 60), np.bool_), ArgumentValueError, "mask"),
        (IMAGE, np.full((60, 80), 0.5), ArgumentTypeError, "mask"),
        (IMAGE, [[0]], ArgumentTypeError, "mask"),
    ],
)
def test_images_and_masks_are_checked(image, mask, error, argument):
    with pytest.raises(error, match=argument):
        Published(StubNetworks()).session(image, mask)


@pytest.mark.parametrize(("x", "y"), [(-1, 0), (80, 0), (0, 60), (np.nan, 0), ("0", 0)])
def test_a_click_beside_the_image_changes_nothing(x, y):
    networks = StubNetworks()
    session = Published(networks).session(IMAGE)
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"^[xy]: expected"):
        session.click(x, y)
    assert networks.calls == 0
    assert not session.mask.any()
    unmoved = Published(networks).session(IMAGE).click(40, 30)
    np.testing.assert_array_equal(session.click(40, 30).probabilities, unmoved.probabilities)
