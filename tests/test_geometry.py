"""Boxes: every law that the pipeline leans on, as a property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from focalrt.geometry import GRID, Box, expand, pixel, square, to_grid


@st.composite
def boxes(draw, low=-30, high=60):
    """Boxes of at least one pixel."""
    x0, y0 = draw(st.integers(low, high - 1)), draw(st.integers(low, high - 1))
    return Box(x0, y0, draw(st.integers(x0 + 1, high)), draw(st.integers(y0 + 1, high)))


ratios = st.sampled_from([1, 1.25, 1.4, 2, 3])
leasts = st.sampled_from([1, 10])
FAR = Box(-1000, -1000, 1000, 1000)  # clips nothing here


def pixels(box):
    """The definition of a box."""
    return {(row, column) for row in range(box.y0, box.y1) for column in range(box.x0, box.x1)}


def contains(outer, inner):
    return outer.x0 <= inner.x0 and outer.y0 <= inner.y0 and inner.x1 <= outer.x1 and inner.y1 <= outer.y1


def mirrored(box):
    """The box seen in a mirror at the origin, both axes."""
    return Box(-box.x1, -box.y1, -box.x0, -box.y0)


def transposed(box):
    return Box(box.y0, box.x0, box.y1, box.x1)


# ------------------------------------------------------------ pixels, union, clip


def test_sides_and_slices_of_a_box():
    box = Box(x0=3, y0=5, x1=10, y1=7)
    assert (box.width, box.height) == (7, 2)
    assert box.slices == (slice(5, 7), slice(3, 10))


@given(boxes(), st.integers(-35, 65), st.integers(-35, 65))
def test_holds_its_pixels_and_no_others(box, row, column):
    assert box.holds(row, column) == ((row, column) in pixels(box))


@given(st.integers(-30, 30), st.integers(-30, 30))
def test_the_box_of_a_pixel_holds_just_that_pixel(row, column):
    assert pixels(pixel(row, column)) == {(row, column)}


@given(boxes(), boxes(), boxes())
def test_union_does_not_depend_on_order(a, b, c):
    assert a.union(b) == b.union(a)
    assert a.union(b).union(c) == a.union(b.union(c))
    assert a.union(a) == a


@given(boxes(), boxes())
def test_union_is_the_smallest_box_that_holds_both(a, b):
    union = a.union(b)
    assert contains(union, a)
    assert contains(union, b)
    assert union.x0 in (a.x0, b.x0)
    assert union.y0 in (a.y0, b.y0)
    assert union.x1 in (a.x1, b.x1)
    assert union.y1 in (a.y1, b.y1)


@given(boxes(), boxes())
def test_clip_keeps_the_common_pixels(box, frame):
    assert pixels(box.clip(frame)) == pixels(box) & pixels(frame)


@given(boxes(), boxes())
def test_clip_stays_inside_even_where_nothing_is_left(box, frame):
    clipped = box.clip(frame)
    assert contains(frame, clipped)
    assert clipped.width >= 0
    assert clipped.height >= 0


@given(boxes(), boxes())
def test_clip_twice_is_clip_once(box, frame):
    assert box.clip(frame).clip(frame) == box.clip(frame)


# ------------------------------------------------------------ square


@given(st.integers(-30, 30), st.integers(-30, 30), st.integers(0, 40))
def test_square_lies_about_the_middle_of_a_pixel(row, column, half_side):
    x0, y0, x1, y1 = square(row, column, half_side)
    assert (x1 - x0, y1 - y0) == (2 * half_side, 2 * half_side)
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == (column + 0.5, row + 0.5)


def test_square_of_half_a_pixel_is_the_pixel():
    assert square(5, 3, 0.5) == (3, 5, 4, 6) == pixel(5, 3)


# ------------------------------------------------------------ expand


@pytest.mark.parametrize(
    ("edges", "ratio", "least", "expected"),
    [
        ((10, 20, 20, 30), 1.4, 1, (8, 18, 22, 32)),
        ((10, 20, 11, 21), 1.4, 10, (6, 16, 16, 26)),  # 5.5 and 15.5, 15.5 and 25.5: halves to even
        ((10, 20, 20, 21), 1.4, 10, (8, 16, 22, 26)),  # each side by its own rule
        ((-5, 90, 5, 110), 1.4, 1, (0, 86, 7, 100)),  # clipped
    ],
)
def test_expand_by_hand(edges, ratio, least, expected):
    assert expand(edges, ratio, least, Box(0, 0, 100, 100)) == expected


@given(boxes(), ratios, leasts, boxes())
def test_expand_holds_what_lies_inside_the_frame(box, ratio, least, frame):
    assert contains(expand(box, ratio, least, frame), box.clip(frame)) or not pixels(box.clip(frame))


@given(boxes(), ratios, leasts, boxes())
def test_expand_never_leaves_the_frame(box, ratio, least, frame):
    assert contains(frame, expand(box, ratio, least, frame))


@given(boxes(), ratios, leasts)
def test_expand_reaches_the_least_length(box, ratio, least):
    expanded = expand(box, ratio, least, FAR)
    assert expanded.width >= least
    assert expanded.height >= least


@given(boxes(), ratios, leasts, boxes())
def test_expand_is_clipped_after_rounding(box, ratio, least, frame):
    assert expand(box, ratio, least, frame) == expand(box, ratio, least, FAR).clip(frame)


@given(boxes(), ratios, leasts)
def test_expand_is_as_long_as_asked_and_keeps_the_centre(box, ratio, least):
    """Each edge is rounded on its own, hence half a pixel an edge."""
    expanded = expand(box, ratio, least, FAR)
    for low, high, new_low, new_high in (
        (box.x0, box.x1, expanded.x0, expanded.x1),
        (box.y0, box.y1, expanded.y0, expanded.y1),
    ):
        reach = max(ratio * (high - low), least) / 2
        assert abs((low + high) / 2 - reach - new_low) <= 0.5
        assert abs((low + high) / 2 + reach - new_high) <= 0.5


@given(boxes(), ratios, leasts)
def test_expand_commutes_with_mirror_and_transposition(box, ratio, least):
    """Halves to even make rounding symmetric about the origin, which rounding up would not be."""
    expanded = expand(box, ratio, least, FAR)
    assert expand(mirrored(box), ratio, least, FAR) == mirrored(expanded)
    assert expand(transposed(box), ratio, least, FAR) == transposed(expanded)


# ------------------------------------------------------------ to_grid


@given(boxes())
def test_to_grid_takes_corners_of_the_box_to_corners_of_the_grid(box):
    assert to_grid(box.x0, box.y0, box) == (0, 0)
    assert to_grid(box.x1, box.y1, box) == (GRID, GRID)


@given(boxes(), st.floats(-50, 80), st.floats(-50, 80), st.floats(-50, 80))
def test_to_grid_is_linear_in_each_coordinate(box, x, y, other):
    row, column = to_grid(x, y, box)
    assert to_grid(other, y, box)[0] == row
    assert to_grid(x, other, box)[1] == column
    assert column == pytest.approx((x - box.x0) / box.width * 256, abs=1e-9)
    assert row == pytest.approx((y - box.y0) / box.height * 256, abs=1e-9)


def test_to_grid_is_the_identity_on_a_box_of_the_grid_s_size():
    assert to_grid(17.25, 3.5, Box(0, 0, GRID, GRID)) == (3.5, 17.25)
