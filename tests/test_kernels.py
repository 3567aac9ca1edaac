"""Every kernel against a plain statement of what it computes: dense, in NumPy or SciPy, slow and plain to see.

No oracle shares a line with the kernels. Where both round, values are compared within a tolerance; sets of pixels are
compared exactly.
"""

import copy
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from strategies import LARGEST, mask_pairs, masks, masks_of, pixels_of, seeds, shapes, sides, with_flipped_rectangles

from focalrt import ArgumentTypeError, ArgumentValueError, taps
from focalrt.geometry import Box
from focalrt.kernels import _jit
from focalrt.kernels import components as component_kernels
from focalrt.kernels import runs as run_kernels
from focalrt.kernels.disks import draw_disks
from focalrt.kernels.resample import sample_image, sample_planes
from focalrt.runs import Runs

INTERPRETED = bool(numba.config.DISABLE_JIT)  # some hundred times slower: smaller grids, no photos of 12 megapixels

needs_jit = pytest.mark.skipif(INTERPRETED, reason="numba's JIT is disabled: 12 megapixels take minutes")

EIGHT = np.ones((3, 3))  # neighbours, corners included


def pixels(runs, shape):
    """The runs painted one by one; a pixel outside the shape is an error."""
    mask = np.zeros(shape, np.bool_)
    for row, start, end in runs.spans.tolist():
        assert 0 <= row < shape[0]
        assert 0 <= start < end <= shape[1]
        mask[row, start:end] = True
    return mask


def assert_canonical(runs):
    """Sorted, none empty, no two touching: what makes equal sets have equal spans."""
    spans = runs.spans
    assert spans.dtype == np.int32
    assert spans.shape == (len(spans), 3)
    rows, starts, ends = spans.T
    assert np.all(starts < ends)
    same_row = rows[1:] == rows[:-1]
    assert np.all(rows[1:] >= rows[:-1])
    assert np.all(starts[1:][same_row] > ends[:-1][same_row])


def tents(places, inputs):
    """Bilinear weights as a dense matrix (places, inputs): of input k at place x, clamped to the axis, 1 - |x - k|."""
    clamped = np.clip(np.asarray(places, np.float64), 0, inputs - 1)
    return np.maximum(0, 1 - np.abs(clamped[:, None] - np.arange(inputs)))


def align_corners_matrix(inputs, outputs):
    """SPEC section 0: output i reads i (inputs - 1) / (outputs - 1), or 0 where there is one output."""
    return tents(np.arange(outputs) * ((inputs - 1) / (outputs - 1) if outputs > 1 else 0), inputs)


def halved_matrix(inputs, outputs):
    """SPEC section 1: the axis made twice as long as needed, and that one halved."""
    return align_corners_matrix(2 * outputs, outputs) @ align_corners_matrix(inputs, 2 * outputs)


def as_matrix(axis, inputs):
    """Taps as the dense matrix that their docstring describes."""
    matrix = np.zeros((len(axis.source), inputs))
    for output, (index, weight) in enumerate(zip(axis.source, axis.weight, strict=True)):
        for k, w in zip(index, weight, strict=True):
            matrix[output, k] += w
    return matrix


# ------------------------------------------------------------ taps

LAWS = {
    "align_corners": (taps.align_corners, align_corners_matrix),
    "halved": (taps.halved, halved_matrix),
}
laws = st.sampled_from(sorted(LAWS))
lengths = st.integers(1, 40)


@given(laws, lengths, lengths)
def test_taps_are_the_dense_matrix(law, inputs, outputs):
    taps_of, matrix_of = LAWS[law]
    axis = taps_of(inputs, outputs)
    assert axis.source.dtype == np.uint64
    assert axis.weight.dtype == np.float32
    np.testing.assert_allclose(as_matrix(axis, inputs), matrix_of(inputs, outputs), atol=1e-6)


@given(laws, lengths, lengths)
def test_taps_do_not_decrease_and_sum_to_one(law, inputs, outputs):
    """The first is what ``Runs.sample`` leans on: it searches the sources of a run's start."""
    axis = LAWS[law][0](inputs, outputs)
    assert np.all(axis.source[1:] >= axis.source[:-1])
    assert np.all(axis.source.max(axis=1) == axis.source[:, -1])
    assert np.all(axis.source.min(axis=1) == axis.source[:, 0])
    np.testing.assert_allclose(axis.weight.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("inputs", [1, 2, 3, 255, 256, 4000, 2**20])
def test_align_corners_meets_both_ends_whatever_the_size(inputs):
    axis = taps.align_corners(inputs, 256)
    assert axis.source[0, 0] == 0
    assert np.dot(axis.source[-1], axis.weight[-1]) == inputs - 1
    assert axis.source.min() >= 0
    assert axis.source.max() <= inputs - 1


@given(lengths)
def test_align_corners_to_the_same_size_is_the_identity(length):
    np.testing.assert_array_equal(as_matrix(taps.align_corners(length, length), length), np.eye(length))


# ------------------------------------------------------------ RoIAlign


def sampled_planes(planes, rows, columns):
    """What the kernel writes where nothing was before."""
    out = np.full((len(planes), len(rows.source), len(columns.source)), np.nan, np.float32)
    sample_planes(planes, *rows, *columns, out)
    return out


def sampled_image(image, top, left, rows, columns):
    """The same for a photo (H, W, 3)."""
    out = np.full((3, len(rows.source), len(columns.source)), np.nan, np.float32)
    sample_image(image.reshape(len(image), -1), top, left, *rows, *columns, out)
    return out


def roi_align_by_definition(plane, box, outputs):
    """Mask R-CNN's RoIAlign as torchvision does it with aligned=True and adaptive sampling, sample by sample.

    box: x0, y0, x1, y1 in pixels of the plane, edges at integers.
    """

    def bilinear(y, x):
        if not (-1 <= y <= plane.shape[0] and -1 <= x <= plane.shape[1]):
            return 0.0
        y, x = min(max(y, 0.0), plane.shape[0] - 1.0), min(max(x, 0.0), plane.shape[1] - 1.0)
        i, j = int(y), int(x)
        below, right = min(i + 1, plane.shape[0] - 1), min(j + 1, plane.shape[1] - 1)
        top = (1 - (x - j)) * plane[i, j] + (x - j) * plane[i, right]
        bottom = (1 - (x - j)) * plane[below, j] + (x - j) * plane[below, right]
        return (1 - (y - i)) * top + (y - i) * bottom

    x0, y0, x1, y1 = box
    bin_height, bin_width = (y1 - y0) / outputs, (x1 - x0) / outputs
    down, across = int(np.ceil(bin_height)), int(np.ceil(bin_width))
    out = np.empty((outputs, outputs))
    for i in range(outputs):
        for j in range(outputs):
            samples = [
                bilinear(
                    y0 - 0.5 + i * bin_height + (p + 0.5) * bin_height / down,
                    x0 - 0.5 + j * bin_width + (q + 0.5) * bin_width / across,
                )
                for p in range(down)
                for q in range(across)
            ]
            out[i, j] = np.mean(samples)
    return out


@st.composite
def regions(draw, side):
    """Boxes with edges at multiples of 1/8 inside a plane: exact sizes, so that no rounding decides on the samples."""
    ends = []
    for _ in range(2):
        start = draw(st.integers(0, 8 * side - 1))
        ends.append((start / 8, draw(st.integers(start + 1, 8 * side)) / 8))
    (x0, x1), (y0, y1) = ends
    return x0, y0, x1, y1


@given(st.data(), st.integers(1, 12), st.sampled_from([1, 2, 4, 7]), seeds)
def test_roi_align_is_its_definition(data, side, outputs, seed):
    """The plane is often longer than the output: then a bin takes more than one sample."""
    box = data.draw(regions(side))
    plane = np.random.default_rng(seed).random((1, side, side), np.float32)
    x0, y0, x1, y1 = box
    rows, columns = taps.roi_align(y0, y1, side, outputs), taps.roi_align(x0, x1, side, outputs)
    expected = roi_align_by_definition(plane[0], box, outputs)
    np.testing.assert_allclose(sampled_planes(plane, rows, columns)[0], expected, atol=2e-6)


@pytest.mark.parametrize("outputs", [3, 5, 6])
def test_roi_align_of_the_whole_plane_with_several_samples_a_bin(outputs):
    plane = np.random.default_rng(outputs).random((1, 17, 17), np.float32)
    axis = taps.roi_align(0, 17, 17, outputs)
    assert axis.source.shape == (outputs, 2 * -(-17 // outputs))
    expected = roi_align_by_definition(plane[0], (0, 0, 17, 17), outputs)
    np.testing.assert_allclose(sampled_planes(plane, axis, axis)[0], expected, atol=2e-6)


@given(st.integers(1, 40))
def test_roi_align_of_the_whole_plane_onto_its_own_size_is_the_identity(side):
    np.testing.assert_array_equal(as_matrix(taps.roi_align(0, side, side, side), side), np.eye(side))


# ------------------------------------------------------------ sample_image, sample_planes


@st.composite
def crops(draw):
    """A frame's shape, a box of at least one pixel in it, and a law for each axis with its number of outputs."""
    height, width = draw(shapes)
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    box = Box(x0, y0, draw(st.integers(x0 + 1, width)), draw(st.integers(y0 + 1, height)))
    law = draw(laws)
    return (height, width), box, law, draw(st.integers(1, 12)), draw(st.integers(1, 12))


@given(crops(), seeds)
def test_sample_image_is_two_matrix_products(crop, seed):
    shape, box, law, rows, columns = crop
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    image.flags.writeable = False
    taps_of, matrix_of = LAWS[law]
    sampled = sampled_image(image, box.y0, box.x0, taps_of(box.height, rows), taps_of(box.width, columns))
    pixels_of_crop = image[box.slices].astype(np.float64).transpose(2, 0, 1) / 255
    expected = matrix_of(box.height, rows) @ pixels_of_crop @ matrix_of(box.width, columns).T
    np.testing.assert_allclose(sampled, expected, atol=2e-6)


@pytest.mark.parametrize("value", [0, 1, 128, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (9, 7)])
def test_sample_image_of_one_colour_is_that_colour(shape, value):
    image = np.full((*shape, 3), value, np.uint8)
    image.flags.writeable = False
    rows, columns = taps.halved(shape[0], 8), taps.halved(shape[1], 8)
    np.testing.assert_allclose(sampled_image(image, 0, 0, rows, columns), value / 255, atol=1e-6)


@given(crops(), st.integers(0, 3), seeds)
def test_sample_planes_is_two_matrix_products(crop, channels, seed):
    (height, width), _, law, rows, columns = crop
    planes = np.random.default_rng(seed).standard_normal((channels, height, width)).astype(np.float32)
    taps_of, matrix_of = LAWS[law]
    sampled = sampled_planes(planes, taps_of(height, rows), taps_of(width, columns))
    expected = matrix_of(height, rows) @ planes.astype(np.float64) @ matrix_of(width, columns).T
    np.testing.assert_allclose(sampled, expected, atol=5e-6)


# ------------------------------------------------------------ draw_disks


def disks_by_definition(points, radius, shape):
    """SPEC section 1: 1 where the squared distance to any point is at most the squared radius."""
    rows, columns = np.indices(shape)
    plane = np.zeros(shape, np.bool_)
    for row, column in points:
        plane |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    return plane


coordinates = st.one_of(
    st.integers(-8, 32).map(float),  # distances that equal the radius exactly
    st.integers(-32, 128).map(lambda n: n / 4),
    st.floats(-8, 32).map(lambda x: round(x, 6)),  # so that no squared distance underflows to 0
    st.sampled_from([-1e9, -1e5, 1e5, 1e9]),  # a click far off a small box
)


def drawn(points, radius, grid, side):
    """Disks on a grid, resampled to that side."""
    plane = np.zeros((side, side), np.float32)
    draw_disks(np.array(points, np.float64).reshape(-1, 2), float(radius), *taps.align_corners(grid, side), plane)
    return plane


@given(st.lists(st.tuples(coordinates, coordinates), max_size=6), st.sampled_from([0, 2, 3, 5]), sides)
def test_disks_are_what_lies_within_the_radius(points, radius, side):
    np.testing.assert_array_equal(
        drawn(points, radius, side, side), disks_by_definition(points, radius, (side, side)).astype(np.float32)
    )


@given(st.lists(st.tuples(coordinates, coordinates), max_size=6), st.sampled_from([0, 2, 3, 5]), sides)
def test_halved_disks_are_two_matrix_products(points, radius, side):
    """Where two disks overlap they are no more than one."""
    down = align_corners_matrix(2 * side, side)
    expected = down @ disks_by_definition(points, radius, (2 * side, 2 * side)) @ down.T
    np.testing.assert_allclose(drawn(points, radius, 2 * side, side), expected, atol=2e-6)


@given(st.lists(st.tuples(coordinates, coordinates), max_size=30), st.floats(0, 9), sides)
def test_disks_are_those_of_each_pixel_against_each_point(points, radius, side):
    """To the last bit, with four taps as for the smaller networks, however many disks overlap."""
    axis = taps.align_corners(2 * side, side)
    plane = np.zeros((side, side), np.float32)
    draw_disks(np.array(points, np.float64).reshape(-1, 2), radius, *axis, plane)
    marks = disks_by_definition(points, radius, (2 * side, 2 * side))
    expected = np.zeros((side, side), np.float32)
    for p, q in np.ndindex(axis.source.shape[1], axis.source.shape[1]):
        part = marks[np.ix_(axis.source[:, p].astype(int), axis.source[:, q].astype(int))].astype(np.float32)
        expected += np.outer(axis.weight[:, p], axis.weight[:, q]) * part
    np.testing.assert_array_equal(plane, expected)


def test_radius_zero_draws_only_points_at_pixel_centres():
    assert np.argwhere(drawn([[1, 3], [2.5, 2.5]], 0, 5, 5)).tolist() == [[1, 3]]


# ------------------------------------------------------------ from_mask, flip, to_mask

offsets = st.integers(0, 9)


@given(masks())
def test_runs_of_a_mask_are_its_pixels(mask):
    runs = Runs.from_mask(mask)
    assert_canonical(runs)
    np.testing.assert_array_equal(pixels(runs, mask.shape), mask)
    assert runs.area == mask.sum()
    assert bool(runs) == mask.any()


@given(masks(), offsets, offsets)
def test_runs_of_a_crop_lie_where_the_crop_lies(mask, top, left):
    frame = np.pad(mask, ((top, 0), (left, 0)))
    assert Runs.from_mask(mask, top, left) == Runs.from_mask(frame)


@given(masks())
def test_runs_do_not_depend_on_the_memory_layout(mask):
    expected = Runs.from_mask(mask)
    for layout in (np.asfortranarray(mask), np.repeat(mask, 2, axis=1)[:, ::2], mask[::-1][::-1]):
        assert Runs.from_mask(layout) == expected


@given(masks())
def test_the_box_is_the_smallest_that_holds_every_pixel(mask):
    rows, columns = np.nonzero(mask)
    box = Runs.from_mask(mask).box
    if len(rows) == 0:
        assert box is None
    else:
        assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


@given(masks(), st.integers(-5, LARGEST), st.integers(-5, LARGEST), shapes)
def test_to_mask_cuts_a_box_out(mask, top, left, shape):
    """The box may reach beyond the pixels on any side, or lie off them."""
    box = Box(left, top, left + shape[1], top + shape[0])
    margin = 2 * LARGEST
    padded = np.pad(mask, margin)
    expected = padded[margin + top : margin + top + shape[0], margin + left : margin + left + shape[1]]
    np.testing.assert_array_equal(Runs.from_mask(mask).to_mask(box), expected)


@given(mask_pairs(), offsets, offsets)
def test_flip_inverts_those_pixels_in_place(pair, top, left):
    mask, change = pair
    flipped = mask.copy()
    Runs.from_mask(change, top, left).flip(flipped, top, left)
    np.testing.assert_array_equal(flipped, mask ^ change)


@given(st.integers(-3, 9), st.integers(-3, 9), st.integers(-3, 9), st.integers(-3, 9))
def test_rectangle_is_the_pixels_of_a_box_or_none(x0, y0, x1, y1):
    runs = Runs.rectangle(Box(x0, y0, x1, y1))
    assert_canonical(runs)
    inside = {(row, column) for row in range(y0, y1) for column in range(x0, x1)}
    assert {(row, k) for row, start, end in runs.spans.tolist() for k in range(start, end)} == inside


# ------------------------------------------------------------ what Runs are made of, and what not

SQUARE = Runs.rectangle(Box(1, 1, 4, 4))
FRAME = np.zeros((8, 8), np.bool_)
ROWS = taps.align_corners(8, 4)
FAR = 2**31


@given(masks(), st.sampled_from([1, 255]))
def test_a_mask_of_uint8_is_the_same_as_of_bool(mask, top):
    assert Runs.from_mask(mask.astype(np.uint8) * np.uint8(top)) == Runs.from_mask(mask)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8])
def test_a_mask_without_pixels_has_no_runs(shape, dtype):
    assert Runs.from_mask(np.zeros(shape, dtype)) == Runs.empty()


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


REFUSED = {
    "a list of spans": (ArgumentTypeError, "spans", lambda: Runs([[0, 0, 5]])),
    "spans of int64": (ArgumentTypeError, "spans", lambda: Runs(np.array([[0, 0, 5]]))),
    "spans of two columns": (ArgumentTypeError, "spans", lambda: Runs(np.zeros((3, 2), np.int32))),
    "flat spans": (ArgumentTypeError, "spans", lambda: Runs(np.zeros(3, np.int32))),
    "an empty run": (ArgumentValueError, "spans", lambda: Runs(np.array([[0, 5, 5]], np.int32))),
    "a run that ends before it begins": (ArgumentValueError, "spans", lambda: Runs(np.array([[0, 5, 1]], np.int32))),
    "runs that touch": (ArgumentValueError, "spans", lambda: Runs(np.array([[0, 0, 2], [0, 2, 4]], np.int32))),
    "runs out of order": (ArgumentValueError, "spans", lambda: Runs(np.array([[0, 5, 6], [0, 1, 2]], np.int32))),
    "rows out of order": (ArgumentValueError, "spans", lambda: Runs(np.array([[1, 0, 2], [0, 0, 2]], np.int32))),
    "a mask of floats": (ArgumentTypeError, "mask", lambda: Runs.from_mask(FRAME.astype(np.float32))),
    "a mask of ids": (ArgumentValueError, "mask", lambda: Runs.from_mask(np.arange(9, dtype=np.uint8).reshape(3, 3))),
    "a mask of three channels": (ArgumentValueError, "mask", lambda: Runs.from_mask(np.dstack([FRAME] * 3))),
    "a flat mask": (ArgumentValueError, "mask", lambda: Runs.from_mask(FRAME[0])),
    "a list of rows": (ArgumentTypeError, "mask", lambda: Runs.from_mask(FRAME.tolist())),
    "a mask at half a pixel": (ArgumentTypeError, "top", lambda: Runs.from_mask(FRAME, 0.5)),
    "a mask too far right": (ArgumentValueError, "left", lambda: Runs.from_mask(FRAME, 0, FAR - 5)),
    "a mask too far down": (ArgumentValueError, "top", lambda: Runs.from_mask(FRAME, FAR)),
    "a rectangle of three edges": (ArgumentTypeError, "box", lambda: Runs.rectangle((0, 0, 4))),
    "a rectangle of floats": (ArgumentTypeError, "box", lambda: Runs.rectangle((0, 0, 4.0, 4))),
    "a rectangle too far off": (ArgumentValueError, "box", lambda: Runs.rectangle((0, 0, FAR, 1))),
    "a dense mask of no box": (ArgumentTypeError, "box", lambda: SQUARE.to_mask(None)),
    "a dense mask inside out": (ArgumentValueError, "box", lambda: SQUARE.to_mask((5, 5, 2, 2))),
    "a mask too small to flip in": (ArgumentValueError, "mask", lambda: SQUARE.flip(FRAME[:3])),
    "one that lies elsewhere": (ArgumentValueError, "mask", lambda: SQUARE.flip(FRAME, 2, 0)),
    "one that lies far off": (ArgumentValueError, "mask", lambda: SQUARE.flip(FRAME, -FAR + 1, 0)),
    "one of uint8": (ArgumentTypeError, "mask", lambda: SQUARE.flip(FRAME.view(np.uint8))),
    "one that is read-only": (ArgumentValueError, "mask", lambda: SQUARE.flip(frozen(FRAME))),
    "one of three channels": (ArgumentValueError, "mask", lambda: SQUARE.flip(np.dstack([FRAME] * 3))),
    "a grid of float64": (ArgumentTypeError, "grid", lambda: Runs.from_grid(np.zeros((4, 4)), 0, Box(0, 0, 8, 8))),
    "a grid that is not square": (
        ArgumentValueError,
        "grid",
        lambda: Runs.from_grid(np.zeros((4, 5), np.float32), 0, Box(0, 0, 8, 8)),
    ),
    "a grid of one value": (
        ArgumentValueError,
        "grid",
        lambda: Runs.from_logits(np.zeros((1, 1), np.float32), 0.5, Box(0, 0, 8, 8)),
    ),
    "a plane too small to sample to": (
        ArgumentValueError,
        "out",
        lambda: SQUARE.sample(Box(0, 0, 8, 8), ROWS, ROWS, np.zeros((4, 3), np.float32)),
    ),
    "pixels to paste outside the box": (ArgumentValueError, "other", lambda: SQUARE.paste(SQUARE, Box(0, 0, 3, 3))),
    "a mask to paste": (ArgumentTypeError, "other", lambda: SQUARE.paste(FRAME, Box(0, 0, 3, 3))),
    "a pixel between two": (ArgumentTypeError, "row", lambda: SQUARE.holds(1.5, 1)),
    "a pixel too far off": (ArgumentValueError, "column", lambda: SQUARE.component(1, 2**70)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_is_written(what):
    """Kernels check no bounds: whatever passes here would be read or written beyond the arrays."""
    error, argument, call = REFUSED[what]
    with pytest.raises(error, match=rf"^{argument}[: ]"):
        call()
    assert not FRAME.any() and SQUARE.area == 9


def test_spans_stay_the_callers_own():
    spans = np.array([[1, 0, 2], [0, 0, 2]], np.int32)
    with pytest.raises(ArgumentValueError):
        Runs(spans)
    spans[:] = [[0, 0, 2], [1, 0, 2]]
    for given_spans in (spans, spans[:], frozen(spans), np.asfortranarray(spans)):
        writeable = given_spans.flags.writeable
        runs = Runs(given_spans)
        assert runs.area == 4 and given_spans.flags.writeable == writeable
        assert not runs.spans.flags.writeable and not np.shares_memory(runs.spans, given_spans)


def test_no_view_of_the_callers_leads_past_the_check():
    spans = np.array([[0, 0, 2], [1, 0, 2]], np.int32)
    runs = Runs(spans[:])
    spans[1, 0] = 5
    assert runs == Runs.rectangle(Box(0, 0, 2, 2))


@pytest.mark.parametrize("name", ["xor", "and", "or", "minus"])
def test_runs_are_not_combined_with_anything_else(name):
    with pytest.raises(TypeError, match="unsupported operand"):
        OPERATIONS[name][0](SQUARE, FRAME.tolist())


@given(masks(), st.sampled_from([copy.copy, copy.deepcopy, lambda runs: pickle.loads(pickle.dumps(runs))]))
def test_copies_and_pickles_are_as_immutable(mask, copied):
    """A writable array would also be another type for every kernel, and compiled for anew."""
    again = copied(Runs.from_mask(mask))
    assert again == Runs.from_mask(mask) and hash(again) == hash(Runs.from_mask(mask))
    assert_canonical(again)
    assert not again.spans.flags.writeable and again.spans.flags.c_contiguous


def test_a_box_may_be_any_four_integers():
    for box in (Box(0, 0, 8, 8), (0, 0, 8, 8), [0, 0, 8, 8], np.array([0, 0, 8, 8])):
        assert SQUARE.to_mask(box).sum() == Runs.rectangle(box).area - 55 == 9


# ------------------------------------------------------------ combine

OPERATIONS = {
    "xor": (lambda a, b: a ^ b, np.logical_xor),
    "and": (lambda a, b: a & b, np.logical_and),
    "or": (lambda a, b: a | b, np.logical_or),
    "minus": (lambda a, b: a - b, lambda a, b: a & ~b),
}


@pytest.mark.parametrize("name", sorted(OPERATIONS))
@given(pair=mask_pairs())
def test_combine_is_the_operation_on_dense_masks(name, pair):
    on_runs, on_masks = OPERATIONS[name]
    a, b = pair
    result = on_runs(Runs.from_mask(a), Runs.from_mask(b))
    assert_canonical(result)
    np.testing.assert_array_equal(pixels(result, a.shape), on_masks(a, b))
    assert result == Runs.from_mask(on_masks(a, b))


@given(masks())
def test_a_mask_combined_with_itself_or_with_nothing(mask):
    runs, nothing = Runs.from_mask(mask), Runs.empty()
    assert runs ^ runs == runs - runs == runs & nothing == nothing - runs == nothing
    assert runs & runs == runs | runs == runs ^ nothing == nothing | runs == runs - nothing == runs


def test_combine_joins_runs_that_touch():
    left, right = Runs.rectangle(Box(0, 0, 5, 2)), Runs.rectangle(Box(5, 0, 9, 2))
    for joined in (left | right, left ^ right):
        assert joined == Runs.rectangle(Box(0, 0, 9, 2))


def test_combine_at_the_largest_coordinates():
    """Rows and columns are 32-bit: the last of them must not read as beyond the end."""
    top = 2**31 - 1
    corner = Runs(np.array([[top, top - 4, top]], np.int32))
    half = Runs(np.array([[top, top - 2, top]], np.int32))
    assert (corner - half).spans.tolist() == [[top, top - 4, top - 2]]
    assert (corner & half).spans.tolist() == [[top, top - 2, top]]


# ------------------------------------------------------------ find, holds


@given(masks())
def test_find_is_a_look_into_the_dense_mask(mask):
    """Of every pixel, and of those just outside the frame."""
    runs = Runs.from_mask(mask)
    padded = np.pad(mask, 1)
    for (row, column), inside in np.ndenumerate(padded):
        row, column = row - 1, column - 1
        index = run_kernels.find(runs.spans, row, column)
        assert runs.holds(row, column) == (index >= 0) == inside
        if index >= 0:
            found_row, start, end = runs.spans[index]
            assert found_row == row
            assert start <= column < end


# ------------------------------------------------------------ paste


@given(mask_pairs(), st.data())
def test_paste_takes_the_box_from_the_other(pair, data):
    """Canonical, too: runs that meet at the box's sides become one."""
    mask, other = pair
    height, width = mask.shape
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(x0, y0, data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height)))
    inside = np.zeros_like(mask)
    inside[box.slices] = other[box.slices]
    expected = np.where(pixels(Runs.rectangle(box), mask.shape), other, mask)
    pasted = Runs.from_mask(mask).paste(Runs.from_mask(inside), box)
    assert_canonical(pasted)
    assert pasted == Runs.from_mask(expected)


# ------------------------------------------------------------ sample


@given(crops(), st.data())
def test_sampled_mask_is_two_matrix_products(crop, data):
    """Runs reach beyond the crop on every side; no more than the crop may be read."""
    shape, box, law, rows, columns = crop
    mask = data.draw(masks_of(shape))
    taps_of, matrix_of = LAWS[law]
    sampled = np.zeros((rows, columns), np.float32)
    Runs.from_mask(mask).sample(box, taps_of(box.height, rows), taps_of(box.width, columns), sampled)
    expected = matrix_of(box.height, rows) @ mask[box.slices] @ matrix_of(box.width, columns).T
    np.testing.assert_allclose(sampled, expected, atol=2e-6)


@pytest.mark.parametrize("law", sorted(LAWS))
def test_a_full_mask_sampled_is_one_and_an_empty_one_zero(law):
    box = Box(3, 2, 40, 31)
    rows, columns = LAWS[law][0](box.height, 16), LAWS[law][0](box.width, 16)
    sampled = np.zeros((16, 16), np.float32)
    Runs.empty().sample(box, rows, columns, sampled)
    assert not sampled.any()
    Runs.rectangle(Box(0, 0, 50, 50)).sample(box, rows, columns, sampled)
    np.testing.assert_allclose(sampled, 1, atol=1e-6)


# ------------------------------------------------------------ from_grid

GRID_SIDES = (2, 5, 33) if INTERPRETED else (2, 5, 33, 256)
# Thirds, sevenths and elevenths of cells of levels such as 1 and -0.5 meet the threshold exactly, but for rounding.
BOX_SIZES = [(1, 1), (1, 30), (30, 1), (2, 2), (2, 30), (4, 5), (5, 5), (30, 17), (13, 29), (45, 97), (61, 90)]
LARGE_BOX_SIZES = [] if INTERPRETED else [(256, 256), (255, 257), (511, 300), (700, 600), (1, 1786), (900, 2)]


def place_on_grid(cells, count):
    """The cell in which each of ``count`` pixels lies, and the share of the cell that is behind it."""
    steps = max(count - 1, 1)
    place = np.arange(count) * cells
    cell = np.minimum(place // steps, cells - 1)
    return cell, (place - cell * steps) / steps


def from_grid_by_definition(grid, threshold, height, width):
    """Every pixel bilinearly, down first, then across; a tie is outside.

    Between two ends on one side of the threshold all counts as that side: without this, rounding could push a value off
    the side where both its ends lie.
    """
    grid = grid.astype(np.float64)
    band, share = place_on_grid(len(grid) - 1, height)
    upper, lower = grid[band], grid[band + 1]
    values = upper + share[:, None] * (lower - upper)
    above = np.where((upper > threshold) == (lower > threshold), upper > threshold, values > threshold)
    cell, share = place_on_grid(len(grid) - 1, width)
    value = values[:, cell] + share * (values[:, cell + 1] - values[:, cell])
    return np.where(above[:, cell] == above[:, cell + 1], above[:, cell], value > threshold)


def grid_of(kind, side, threshold, seed=0):
    """A float32 grid (side, side) whose values lie about the threshold."""
    rng = np.random.default_rng([seed, side])
    noise = rng.standard_normal((side, side))
    values = {
        "noise": noise,
        "smooth": 9 * ndimage.gaussian_filter(noise, side / 16),
        "quantised": np.round(noise * 2) / 2,  # a third of the corners is a tie
        "steep": noise * 10.0 ** rng.integers(-6, 6, (side, side)),
        "below": np.full((side, side), -0.25),
        "tie": np.zeros((side, side)),
        "above": np.full((side, side), 0.25),
        "checkerboard": np.where(np.indices((side, side)).sum(axis=0) % 2, 1.0, -1.0),
        "uneven checkerboard": np.where(np.indices((side, side)).sum(axis=0) % 2, 1.0, -3.0),
        "checkerboard with ties": np.indices((side, side)).sum(axis=0) % 2,
    }
    return (values[kind] + threshold).astype(np.float32)


GRID_KINDS = [
    "noise",
    "smooth",
    "quantised",
    "steep",
    "below",
    "tie",
    "above",
    "checkerboard",
    "uneven checkerboard",
    "checkerboard with ties",
]


def read_grid(grid, threshold, height, width):
    """``Runs.from_grid`` over a box off the origin, checked for form, as a dense mask of the box."""
    box = Box(7, 3, 7 + width, 3 + height)
    runs = Runs.from_grid(grid, threshold, box)
    assert_canonical(runs)
    mask = pixels(runs, (box.y1, box.x1))
    assert not mask[: box.y0].any()
    assert not mask[:, : box.x0].any()
    return mask[box.slices]


def sizes_for(side):
    """The largest only where the grid is, too: elsewhere they tell nothing new."""
    return BOX_SIZES + (LARGE_BOX_SIZES if side == 256 else [])


@pytest.mark.parametrize("threshold", [0.0, 0.5])
@pytest.mark.parametrize("side", GRID_SIDES)
@pytest.mark.parametrize("kind", GRID_KINDS)
def test_from_grid_is_its_definition(kind, side, threshold):
    grid = grid_of(kind, side, threshold)
    for height, width in sizes_for(side):
        expected = from_grid_by_definition(grid, threshold, height, width)
        assert np.array_equal(read_grid(grid, threshold, height, width), expected), (height, width)


@pytest.mark.parametrize("threshold", [0.0, 0.5])
@pytest.mark.parametrize("side", GRID_SIDES)
@pytest.mark.parametrize("kind", GRID_KINDS)
def test_from_grid_is_a_resize_and_a_comparison(kind, side, threshold):
    """The same without any rule for rounding: two matrix products, equal but where the value is the threshold's."""
    grid = grid_of(kind, side, threshold)
    for height, width in sizes_for(side):
        rows, columns = align_corners_matrix(side, height), align_corners_matrix(side, width)
        value = rows @ grid.astype(np.float64) @ columns.T
        clear = np.abs(value - threshold) > 1e-9 * max(1, np.abs(grid).max())
        differs = read_grid(grid, threshold, height, width) != (value > threshold)
        assert not (differs & clear).any(), (height, width)


@st.composite
def small_grids(draw):
    """Grids of few values, so that ties, saddles and levels abound."""
    side = draw(st.integers(2, 6))
    return draw(hnp.arrays(np.float32, (side, side), elements=st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 3.0])))


@given(small_grids(), st.sampled_from([0.0, 0.5]), st.integers(1, 20), st.integers(1, 20))
def test_small_grids_of_few_values(grid, threshold, height, width):
    expected = from_grid_by_definition(grid, threshold, height, width)
    np.testing.assert_array_equal(read_grid(grid, threshold, height, width), expected)


@given(small_grids(), st.integers(1, 12), st.integers(1, 12))
def test_from_grid_commutes_with_transposition_off_ties(grid, height, width):
    """Rows are read before columns, yet neither is special. Sevenths keep every pixel off the threshold."""
    grid = grid + np.float32(1 / 7)
    cells = len(grid) - 1
    rows, columns = align_corners_matrix(cells + 1, height), align_corners_matrix(cells + 1, width)
    clear = np.abs(rows @ grid.astype(np.float64) @ columns.T) > 1e-9
    differs = read_grid(grid, 0.0, height, width) != read_grid(np.ascontiguousarray(grid.T), 0.0, width, height).T
    assert not (differs & clear).any()


@pytest.mark.parametrize(("left", "right", "width"), [(3.5, -2.75, 26), (2.25, -1.25, 43), (-3.75, 3.5, 30)])
def test_a_crossing_that_division_puts_one_pixel_late(left, right, width):
    """The threshold is met at a pixel, but the place computed for it lies just beyond: its own value decides."""
    grid = np.array([[left, right], [left, right]], np.float32)
    np.testing.assert_array_equal(read_grid(grid, 0.0, 1, width), from_grid_by_definition(grid, 0.0, 1, width))


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 1 / 3])
def test_a_threshold_between_two_float32_is_the_nearest_one_everywhere(threshold):
    """Also along the cells, where values are of 64 bits: as NumPy compares the corners, so all that lies between."""
    tie, more = np.float32(threshold), np.float32(threshold + 0.1)
    grid, box = np.array([[tie, more], [tie, more]]), Box(0, 0, 2, 2)
    np.testing.assert_array_equal(Runs.from_grid(grid, threshold, box).to_mask(box), grid > threshold)
    np.testing.assert_array_equal(read_grid(grid, threshold, 5, 7)[:, 0], False)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7])
def test_probabilities_at_a_threshold_are_on_one_side_everywhere(threshold):
    """Logits whose probabilities are the float32 nearest to it: a tie is outside, at corners and between them."""
    at = np.float32(np.log(threshold / (1 - threshold)))
    logits, box = np.array([[at, at + 1], [at, at + 1]], np.float32), Box(0, 0, 2, 2)
    np.testing.assert_array_equal(Runs.from_logits(logits, threshold, box).to_mask(box), [[False, True]] * 2)


@given(small_grids())
def test_a_box_of_the_grid_s_size_reads_the_corners(grid):
    np.testing.assert_array_equal(read_grid(grid, 0.0, *grid.shape), grid > 0)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # by NumPy where it interprets kernels
@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", GRID_SIDES)
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_values_that_are_not_finite_harm_no_cell_but_their_own(strange, side, share):
    rng = np.random.default_rng(side)
    grid = grid_of("noise", side, 0.0)
    wrong = rng.random(grid.shape) < share
    wrong[-1, -1] = True
    grid[wrong] = strange
    cell_is_sound = ~(wrong[:-1, :-1] | wrong[:-1, 1:] | wrong[1:, :-1] | wrong[1:, 1:])
    for height, width in sizes_for(side):
        found = read_grid(grid, 0.0, height, width)
        expected = from_grid_by_definition(np.where(wrong, 0, grid), 0.0, height, width)
        band, cell = place_on_grid(side - 1, height)[0], place_on_grid(side - 1, width)[0]
        sound = cell_is_sound[np.ix_(band, cell)]
        assert np.array_equal(found & sound, expected & sound), (height, width)
    if np.isnan(strange):
        assert not (read_grid(grid, 0.0, side, side) & wrong).any()


# ------------------------------------------------------------ from_logits


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize("side", GRID_SIDES)
@pytest.mark.parametrize("kind", GRID_KINDS)
def test_from_logits_reads_probabilities(kind, side, threshold):
    """In float64, with probabilities everywhere; within the rounding of a float32 either side will do."""
    logits = grid_of(kind, side, 0.0)
    probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
    for height, width in sizes_for(side):
        rows, columns = align_corners_matrix(side, height), align_corners_matrix(side, width)
        value = rows @ probabilities @ columns.T
        box = Box(7, 3, 7 + width, 3 + height)
        runs = Runs.from_logits(logits, threshold, box)
        assert_canonical(runs)
        found = pixels(runs, (box.y1, box.x1))[box.slices]
        assert not ((found != (value > threshold)) & (np.abs(value - threshold) > 1e-7)).any(), (height, width)


# ------------------------------------------------------------ components


def snake(height, width):
    """One path through every second row, back and forth."""
    mask = np.zeros((height, width), np.bool_)
    mask[::2] = True
    mask[1::4, -1] = mask[3::4, 0] = True
    return mask


def spiral(side):
    """One path from the edge to the middle; its turns do not touch."""
    mask = np.zeros((side, side), np.bool_)
    row, column, down, across = 0, 0, 0, 1
    mask[0, 0] = True

    def free(row, column):
        return not (0 <= row < side and 0 <= column < side and mask[row, column])

    while True:
        for _ in range(2):
            ahead = row + down, column + across
            if 0 <= ahead[0] < side and 0 <= ahead[1] < side and free(ahead[0] + down, ahead[1] + across):
                break
            down, across = across, -down
        else:
            return mask
        row, column = ahead
        mask[row, column] = True


def comb(height, width):
    """Teeth that only the last row joins: as many numbers given as there are teeth, all but one taken back."""
    mask = np.zeros((height, width), np.bool_)
    mask[:, ::2] = mask[-1] = True
    return mask


CHECKERBOARD = np.indices((31, 40)).sum(axis=0) % 2 == 0
RINGS = np.maximum(*np.abs(np.indices((41, 41)) - 20)) % 2 == 0
SHAPES = {
    "empty": np.zeros((9, 9), np.bool_),
    "full": np.ones((9, 9), np.bool_),
    "single pixel": np.pad([[True]], 4),
    "checkerboard": CHECKERBOARD,
    "every second column": np.indices((20, 21))[1] % 2 == 0,
    "dots": (np.indices((20, 21)) % 2 == 0).all(axis=0),
    "snake": snake(41, 30),
    "spiral": spiral(43),
    "comb": comb(30, 41),
    "comb upside down": comb(30, 41)[::-1],
    "comb on its side": comb(41, 30).T,
    "rings": RINGS,
    "rings cut open": RINGS & (np.arange(41) != 20),
    "diagonals": np.indices((30, 30)).sum(axis=0) % 4 == 0,
    "other diagonals": (np.indices((30, 30)).sum(axis=0) % 4 == 0)[:, ::-1],
}


def components_by_definition(mask):
    """(labels from 1, count) by SciPy, numbered in reading order of the first pixels; 0 is outside."""
    labels, count = ndimage.label(mask, EIGHT)
    found, first = np.unique(labels[mask], return_index=True)
    number = np.zeros(count + 1, np.int64)
    number[found[np.argsort(first)]] = np.arange(1, count + 1)
    return number[labels], count


def assert_components(mask):
    runs = Runs.from_mask(mask)
    labels = np.empty(len(runs.spans), np.int32)
    count = component_kernels.label(runs.spans, labels)
    areas, boxes = component_kernels.measure(runs.spans, labels, count)
    expected, expected_count = components_by_definition(mask)
    painted = np.zeros(mask.shape, np.int64)
    for (row, start, end), label in zip(runs.spans.tolist(), labels.tolist(), strict=True):
        painted[row, start:end] = label + 1
    assert count == expected_count
    np.testing.assert_array_equal(painted, expected)
    np.testing.assert_array_equal(areas, np.bincount(expected.ravel(), minlength=count + 1)[1:])
    found = [(x.start, y.start, x.stop, y.stop) for y, x in ndimage.find_objects(expected)]
    assert [tuple(box) for box in boxes.tolist()] == found


@pytest.mark.parametrize("name", SHAPES)
def test_components_of_adversarial_shapes(name):
    assert_components(SHAPES[name])


def test_the_shapes_are_what_their_names_say():
    """One path or one piece where it should be; otherwise they would test nothing."""
    counts = {name: components_by_definition(mask)[1] for name, mask in SHAPES.items()}
    assert {counts[name] for name in ("snake", "spiral", "comb", "checkerboard", "full", "single pixel")} == {1}
    assert counts["empty"] == 0
    assert counts["dots"] == 110
    assert counts["rings"] == 11
    assert SHAPES["spiral"].sum() > 43 * 43 * 0.45


@given(masks())
def test_components_are_scipy_s(mask):
    assert_components(mask)


@given(masks(), st.data())
def test_parted_is_the_component_that_holds_the_pixel_and_the_rest(mask, data):
    row, column = data.draw(pixels_of(mask))
    labels, _ = ndimage.label(mask, EIGHT)
    inside, others = Runs.from_mask(mask).parted(row, column)
    own = mask & (labels == labels[row, column])
    assert inside == Runs.from_mask(own)
    assert others == Runs.from_mask(mask & ~own)


@pytest.mark.parametrize("density", [0.02, 0.2, 0.35, 0.41, 0.5, 0.7, 0.95])
def test_components_of_noise(density):
    """About 0.41 the pieces of 8-connected noise grow together: the longest borders, the most unions."""
    shape = (40, 60) if INTERPRETED else (300, 400)
    assert_components(np.random.default_rng(8).random(shape) < density)


@given(masks(), st.data())
def test_the_component_of_a_pixel(mask, data):
    row, column = data.draw(pixels_of(mask))
    component = Runs.from_mask(mask).component(row, column)
    labels, _ = ndimage.label(mask, EIGHT)
    assert_canonical(component)
    expected = mask & (labels == labels[row, column]) if mask[row, column] else np.zeros_like(mask)
    np.testing.assert_array_equal(pixels(component, mask.shape), expected)


# ------------------------------------------------------------ 12 megapixels

PHOTO = (3000, 4000)


def measured(runs):
    """Number, areas and boxes of the components."""
    labels = np.empty(len(runs.spans), np.int32)
    count = component_kernels.label(runs.spans, labels)
    areas, boxes = component_kernels.measure(runs.spans, labels, count)
    return count, areas.tolist(), boxes.tolist()


@needs_jit
def test_checkerboard_of_12_megapixels():
    """As many runs as there can be: six million, all of them one component through their corners."""
    half = PHOTO[0] * PHOTO[1] // 2
    mask = np.zeros(PHOTO, np.bool_)
    mask[::2, ::2] = mask[1::2, 1::2] = True
    runs, everything = Runs.from_mask(mask), Runs.rectangle(Box(0, 0, PHOTO[1], PHOTO[0]))
    assert (len(runs.spans), runs.area) == (half, half)
    assert measured(runs) == (1, [half], [[0, 0, PHOTO[1], PHOTO[0]]])
    others = everything ^ runs
    assert (len(others.spans), others.area) == (half, half)
    assert not runs & others
    assert runs | others == everything
    assert everything - others == runs
    runs.flip(mask)
    assert not mask.any()


@needs_jit
def test_dots_of_12_megapixels():
    """As many components as there can be: three million of one pixel each."""
    quarter = PHOTO[0] * PHOTO[1] // 4
    mask = np.zeros(PHOTO, np.bool_)
    mask[::2, ::2] = True
    runs = Runs.from_mask(mask)
    labels = np.empty(len(runs.spans), np.int32)
    count = component_kernels.label(runs.spans, labels)
    assert count == quarter
    np.testing.assert_array_equal(labels, np.arange(quarter))
    areas, boxes = component_kernels.measure(runs.spans, labels, count)
    assert areas.min() == areas.max() == 1
    np.testing.assert_array_equal(boxes[:, :2] + 1, boxes[:, 2:])


@needs_jit
def test_full_12_megapixels():
    mask = np.ones(PHOTO, np.bool_)
    runs = Runs.from_mask(mask)
    assert runs == Runs.rectangle(Box(0, 0, PHOTO[1], PHOTO[0]))
    assert (len(runs.spans), runs.area) == (PHOTO[0], PHOTO[0] * PHOTO[1])
    assert measured(runs) == (1, [PHOTO[0] * PHOTO[1]], [[0, 0, PHOTO[1], PHOTO[0]]])
    assert not runs ^ runs
    runs.flip(mask)
    assert not mask.any()


@needs_jit
def test_empty_12_megapixels():
    mask = np.zeros(PHOTO, np.bool_)
    runs = Runs.from_mask(mask)
    assert runs == Runs.empty()
    assert runs.box is None
    assert measured(runs) == (0, [], [])
    assert runs | runs == runs ^ runs == runs
    runs.flip(mask)
    assert not mask.any()


@needs_jit
def test_checkerboard_grid_over_12_megapixels():
    """Every cell mixed: the most runs that a prediction can have, half of the pixels up to the cells' borders."""
    grid = grid_of("checkerboard", 256, 0.0)
    runs = Runs.from_grid(grid, 0.0, Box(0, 0, PHOTO[1], PHOTO[0]))
    assert_canonical(runs)
    assert runs.area == pytest.approx(PHOTO[0] * PHOTO[1] / 2, rel=0.01)
    assert (runs ^ Runs.from_grid(-grid, 0.0, Box(0, 0, PHOTO[1], PHOTO[0]))).area > 0.99 * PHOTO[0] * PHOTO[1]


# ------------------------------------------------------------ the decorator


def test_kernels_are_compiled_without_a_cache_where_none_can_be_kept(monkeypatch):
    """Numba raises RuntimeError at decoration when no directory for its cache is writable."""
    asked = []

    def njit(**options):
        asked.append(options)

        def decorate(function):
            if options.get("cache"):
                raise RuntimeError("cannot cache function: no locator available")
            return function

        return decorate

    monkeypatch.setattr(_jit.numba, "njit", njit)
    assert _jit.kernel(lambda n: n + 1)(1) == 2
    assert asked == [{"cache": True, **_jit.OPTIONS}, _jit.OPTIONS]
    assert not {"parallel", "fastmath"} & set(_jit.OPTIONS)


WHERE_THE_CACHE_MAY_LIE = {
    "anywhere": {},  # Numba goes on to the package's own folder, or the user's
    "there alone": {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"},  # Numba 0.62; unknown before: no effect
}


@pytest.mark.parametrize("choice", WHERE_THE_CACHE_MAY_LIE)
def test_a_cache_folder_that_cannot_be_written_stops_nothing(choice, tmp_path):
    """A path below a regular file cannot be made, not even by root. One kernel, as each is compiled anew."""
    (tmp_path / "file").write_bytes(b"")
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "file" / "below"), **WHERE_THE_CACHE_MAY_LIE[choice]}
    code = "from focalrt.runs import Runs; import numpy as np; print(Runs.from_mask(np.eye(5, dtype=bool)).area)"
    process = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stdout) == (0, "5\n"), process.stderr


READER = """
import json, os, sys, tempfile
import numba, numba.core.caching, numpy, focalrt
from numba import njit
njit(lambda n: n + 1)(1)  # what Numba imports late is read while all may be read
{take_away}
from focalrt.kernels import runs as kernels
from focalrt.runs import Runs
area = Runs.from_mask(numpy.eye(5, dtype=bool)).area
print(json.dumps([area, len(kernels.from_mask.stats.cache_hits), len(kernels.from_mask.stats.cache_misses)]))
"""
REFUSE = """
def refuse(*_, **__):
    raise PermissionError("read-only")
tempfile.TemporaryFile = refuse  # how Numba tries whether it can write
"""
NOBODY = """
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
"""


def read_a_cache(cache, take_away):
    """[area, kernels loaded, kernels compiled], in a process that cannot write to a cache that another one left."""
    program = [sys.executable, "-c", READER.format(take_away=take_away)]
    source = os.path.dirname(os.path.dirname(_jit.__file__))
    settings = {"NUMBA_CACHE_DIR": str(cache), "HOME": str(cache / "nowhere"), "XDG_CACHE_HOME": str(cache / "nowhere")}
    path = os.pathsep.join([os.path.dirname(source), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        program, env=os.environ | settings | {"PYTHONPATH": path}, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_jit
def test_a_cache_that_can_only_be_read_is_read(tmp_path):
    assert read_a_cache(tmp_path, "") == [5, 0, 1]
    assert read_a_cache(tmp_path, REFUSE) == [5, 1, 0]
    for file in tmp_path.rglob("*.nbi"):
        file.write_bytes(b"damaged")
    assert read_a_cache(tmp_path, REFUSE)[0] == 5
    assert not list(tmp_path.rglob("*.tmp.*"))


@needs_jit
@pytest.mark.parametrize(("ending", "left"), [("nbi", 0), ("nbi", 40), ("nbc", 40)])
def test_a_torn_file_of_a_cache_is_made_anew(tmp_path, ending, left):
    read_a_cache(tmp_path, "")
    for file in tmp_path.rglob(f"*.{ending}"):
        file.write_bytes(file.read_bytes()[:left])
    assert read_a_cache(tmp_path, "") == [5, 0, 1]
    assert read_a_cache(tmp_path, "") == [5, 1, 0]


FULL = """
def full(*_):
    raise OSError(28, "No space left on device")
numba.core.caching.IndexDataCacheFile.save = full
"""


@needs_jit
def test_a_disk_that_fills_after_the_import_stops_nothing(tmp_path):
    assert read_a_cache(tmp_path, FULL) == [5, 0, 1]
    assert read_a_cache(tmp_path, "") == [5, 0, 1]
    assert read_a_cache(tmp_path, FULL) == [5, 1, 0]


@needs_jit
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_cache_that_root_left_is_read_by_others(tmp_path):
    """As in an image of a container; the folders above pytest's are root's alone."""
    if not all(folder.stat().st_mode & 1 for file in (_jit.__file__, numba.__file__) for folder in Path(file).parents):
        pytest.skip("others may not read the package itself")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        read_a_cache(cache, "")
        for path in (cache, *cache.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        assert read_a_cache(cache, NOBODY) == [5, 1, 0]


@needs_jit
def test_another_numba_than_the_one_known_stops_nothing(monkeypatch):
    monkeypatch.setattr("numba.core.caching.CompileResultCacheImpl._locator_classes", [])
    monkeypatch.setattr("numba.core.caching.FunctionCache", None)
    _jit.kernel_cache.cache_clear()
    assert _jit.kernel(lambda n: n + 1)(1) == 2


# ------------------------------------------------------------ strategies


@given(st.data())
def test_flipped_rectangles_leave_the_first_mask_alone(data):
    """The strategy copies: a test that changed its other input would prove nothing."""
    mask = np.zeros((5, 5), np.bool_)
    data.draw(with_flipped_rectangles(mask))
    assert not mask.any()
