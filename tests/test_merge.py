"""Progressive Merge: the consequences (a) to (k) of SPEC section 5, each a property, and the regions it withholds.

The oracle for U is SciPy's labelling of the dense P XOR M. (j), here, is that XOR undoes itself; the history is
tested with the session.
"""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import ndimage
from strategies import mask_pairs, masks, pixels_of

from focalrt.geometry import Box
from focalrt.merge import Regions, overwrite, progressive_merge
from focalrt.runs import Runs

EIGHT = np.ones((3, 3))  # neighbours, corners included


@st.composite
def clicked_pairs(draw):
    """Prediction P, mask M and the click's pixel q = (row, column), in or out of P XOR M."""
    predicted, mask = draw(mask_pairs())
    return predicted, mask, draw(pixels_of(mask))


@st.composite
def changing_clicks(draw):
    """The same with q in P XOR M."""
    predicted, mask = draw(mask_pairs())
    different = np.argwhere(predicted ^ mask)
    assume(len(different))
    return predicted, mask, tuple(draw(st.sampled_from(different.tolist())))


def component(different, q):
    """U by definition: the pixels labelled as q is; none where q is not labelled."""
    labels, _ = ndimage.label(different, EIGHT)
    return (labels == labels[q]) & different[q]


def dense(runs, shape):
    return runs.to_mask(Box(0, 0, shape[1], shape[0]))


def merged(predicted, mask, q, positive=None):
    """(outcome, U, withheld) as dense masks; the click is one that the prediction obeys, unless told."""
    positive = bool(predicted[q]) if positive is None else positive
    merge = progressive_merge(Runs.from_mask(predicted), Runs.from_mask(mask), *q, positive)
    return merge.outcome, dense(merge.change, mask.shape), dense(merge.withheld, mask.shape)


# ------------------------------------------------------------ the consequences, in SPEC's order


@given(changing_clicks())
def test_a_outside_u_nothing_changes(case):
    predicted, mask, q = case
    u = component(predicted ^ mask, q)
    _, change, _ = merged(predicted, mask, q)
    np.testing.assert_array_equal((mask ^ change)[~u], mask[~u])


@given(changing_clicks())
def test_b_on_u_the_mask_is_inverted_which_is_the_prediction(case):
    predicted, mask, q = case
    u = component(predicted ^ mask, q)
    _, change, _ = merged(predicted, mask, q)
    np.testing.assert_array_equal((mask ^ change)[u], ~mask[u])
    np.testing.assert_array_equal((mask ^ change)[u], predicted[u])


@given(changing_clicks())
def test_c_u_is_connected_holds_the_click_and_cannot_grow(case):
    predicted, mask, q = case
    outcome, change, _ = merged(predicted, mask, q)
    assert outcome == "written"
    assert change[q]
    assert ndimage.label(change, EIGHT)[1] == 1
    neighbours = ndimage.binary_dilation(change, EIGHT)
    np.testing.assert_array_equal(neighbours & (predicted ^ mask), change)


@given(changing_clicks())
def test_d_the_second_merge_changes_nothing(case):
    predicted, mask, q = case
    _, change, withheld = merged(predicted, mask, q)
    outcome, again, still_withheld = merged(predicted, mask ^ change, q)
    assert outcome == "unchanged"
    assert not again.any()
    np.testing.assert_array_equal(still_withheld, withheld)


@given(masks(), st.data())
def test_e_a_prediction_that_is_the_mask_changes_nothing(mask, data):
    outcome, change, withheld = merged(mask, mask, data.draw(pixels_of(mask)))
    assert outcome == "unchanged"
    assert not change.any()
    assert not withheld.any()


@given(clicked_pairs())
def test_f_inverting_both_masks_keeps_u(case):
    predicted, mask, q = case
    inverted = merged(~predicted, ~mask, q)
    for ours, theirs in zip(merged(predicted, mask, q), inverted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


SYMMETRIES = {
    "flipped up-down": np.flipud,
    "flipped left-right": np.fliplr,
    "transposed": np.transpose,
    "turned by a quarter": np.rot90,
    "turned by a half": lambda mask: np.rot90(mask, 2),
}


@pytest.mark.parametrize("name", SYMMETRIES)
@given(case=clicked_pairs())
def test_g_flips_and_transposition_commute_with_it(name, case):
    predicted, mask, q = case
    moved = SYMMETRIES[name]
    marked = np.zeros_like(mask)
    marked[q] = True
    moved_q = tuple(np.argwhere(moved(marked))[0].tolist())
    outcome, change, withheld = merged(predicted, mask, q)
    moved_outcome, moved_change, moved_withheld = merged(moved(predicted), moved(mask), moved_q)
    assert moved_outcome == outcome
    np.testing.assert_array_equal(moved_change, moved(change))
    np.testing.assert_array_equal(moved_withheld, moved(withheld))


@given(clicked_pairs())
def test_h_the_area_changes_by_no_more_than_u(case):
    predicted, mask, q = case
    _, change, _ = merged(predicted, mask, q)
    assert abs(int((mask ^ change).sum()) - int(mask.sum())) <= change.sum()


@given(mask_pairs(), st.randoms())
def test_i_merging_every_component_in_any_order_gives_the_prediction(pair, random):
    predicted, mask = pair
    labels, count = ndimage.label(predicted ^ mask, EIGHT)
    order = list(range(1, count + 1))
    random.shuffle(order)
    for label in order:
        q = tuple(np.argwhere(labels == label)[-1].tolist())
        outcome, change, _ = merged(predicted, mask, q)
        assert outcome == "written"
        mask = mask ^ change
    np.testing.assert_array_equal(mask, predicted)


@given(clicked_pairs(), st.booleans())
def test_j_the_change_undone_gives_the_mask_back(case, positive):
    predicted, mask, q = case
    before = Runs.from_mask(mask)
    merge = progressive_merge(Runs.from_mask(predicted), before, *q, positive)
    after = before ^ merge.change
    assert after ^ merge.change == before
    assert before ^ merge.change == after


@given(clicked_pairs(), st.booleans())
def test_k_what_is_withheld_is_every_other_component(case, positive):
    predicted, mask, q = case
    before = Runs.from_mask(mask)
    merge = progressive_merge(Runs.from_mask(predicted), before, *q, positive)
    u = dense(merge.change, mask.shape)
    labels, count = ndimage.label((predicted ^ mask) & ~u, EIGHT)
    regions = Regions(merge.withheld)
    assert {region.runs for region in regions} == {Runs.from_mask(labels == k) for k in range(1, count + 1)}
    result = before ^ merge.change
    for region in regions:
        assert not region.runs & merge.change
        result = result ^ region.runs
    np.testing.assert_array_equal(dense(result, mask.shape), predicted)


# ------------------------------------------------------------ outcomes


@given(clicked_pairs(), st.booleans())
def test_the_three_outcomes(case, positive):
    """Disobeyed comes first: a prediction that contradicts the click writes nothing, changed there or not."""
    predicted, mask, q = case
    different = predicted ^ mask
    outcome, change, withheld = merged(predicted, mask, q, positive)
    if predicted[q] != positive:
        expected, u = "disobeyed", np.zeros_like(mask)
    elif predicted[q] == mask[q]:
        expected, u = "unchanged", np.zeros_like(mask)
    else:
        expected, u = "written", component(different, q)
    assert outcome == expected
    np.testing.assert_array_equal(change, u)
    np.testing.assert_array_equal(withheld, different & ~u)


@pytest.mark.parametrize("positive", [True, False])
def test_a_click_on_unchanged_pixels_does_not_flood_the_image(positive):
    """The released code takes the unchanged pixels for the component (SPEC section 5)."""
    mask = np.full((6, 6), positive)
    predicted = mask.copy()
    predicted[4:, 4:] ^= True
    outcome, change, withheld = merged(predicted, mask, (0, 0), positive)
    assert outcome == "unchanged"
    assert not change.any()
    assert withheld.sum() == 4


def test_additions_and_removals_that_touch_are_one_change():
    """The released code writes only the sign of change found at the click; the paper's formula, ours, all of U."""
    mask = np.array([[True, True, False, False]])
    predicted = np.array([[True, False, True, False]])
    outcome, change, _ = merged(predicted, mask, (0, 2))
    assert outcome == "written"
    np.testing.assert_array_equal(mask ^ change, predicted)


def test_pixels_that_meet_in_a_corner_are_one_change():
    mask, predicted = np.zeros((4, 4), np.bool_), np.eye(4, dtype=np.bool_)
    _, change, withheld = merged(predicted, mask, (3, 3))
    np.testing.assert_array_equal(change, predicted)
    assert not withheld.any()


@given(clicked_pairs(), st.booleans())
def test_overwrite_writes_all_of_the_prediction(case, positive):
    predicted, mask, q = case
    merge = overwrite(Runs.from_mask(predicted), Runs.from_mask(mask), *q, positive)
    np.testing.assert_array_equal(dense(merge.change, mask.shape), predicted ^ mask)
    assert not merge.withheld
    assert merge.obeyed == (predicted[q] == positive)
    if (predicted ^ mask).any():
        assert merge.outcome == "written"
    else:
        assert merge.outcome == ("unchanged" if predicted[q] == positive else "disobeyed")


# ------------------------------------------------------------ regions


def components(mask):
    """(area, first pixel, dense pixels) of each component, largest first, equals in reading order."""
    labels, count = ndimage.label(mask, EIGHT)
    pieces = [labels == k for k in range(1, count + 1)]
    return sorted(pieces, key=lambda piece: (-piece.sum(), np.argwhere(piece)[0].tolist()))


@given(masks())
def test_regions_are_the_components_largest_first_then_in_reading_order(mask):
    found = [dense(region.runs, mask.shape) for region in Regions(Runs.from_mask(mask))]
    expected = components(mask)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(masks())
def test_area_box_and_mask_of_each_region(mask):
    for region, piece in zip(Regions(Runs.from_mask(mask)), components(mask), strict=True):
        rows, columns = np.nonzero(piece)
        assert region.area == len(rows)
        assert region.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert all(type(edge) is int for edge in region.box)
        np.testing.assert_array_equal(region.mask, piece[region.box.slices])


@given(masks())
def test_regions_are_disjoint_and_together_all_of_it(mask):
    runs = Runs.from_mask(mask)
    together = Runs.empty()
    for region in Regions(runs):
        assert not together & region.runs
        together = together | region.runs
    assert together == runs


@given(clicked_pairs(), st.booleans(), st.sampled_from([overwrite, progressive_merge]))
def test_a_click_is_obeyed_where_the_prediction_has_its_pixel_as_it_says(case, positive, merge):
    """Then the mask has it so; where something is written against the click, the mask does not."""
    predicted, mask, q = case
    merged = merge(Runs.from_mask(predicted), Runs.from_mask(mask), *q, positive)
    after = (mask ^ dense(merged.change, mask.shape))[q] == positive
    assert merged.obeyed == (predicted[q] == positive)
    if merged.obeyed or merged.outcome == "written":
        assert merged.obeyed == after
    else:
        assert merged.outcome == "disobeyed" and not merged.change


@given(masks(), st.data())
def test_regions_are_a_sequence(mask, data):
    regions = Regions(Runs.from_mask(mask))
    as_list = list(regions)
    assert len(regions) == len(as_list)
    assert bool(regions) == mask.any()
    for k in range(-len(as_list), len(as_list)):
        assert regions[k].runs == as_list[k].runs
    part = data.draw(st.slices(len(as_list)))
    assert [region.runs for region in regions[part]] == [region.runs for region in as_list[part]]
    assert [region.runs for region in reversed(regions)] == [region.runs for region in as_list[::-1]]


@given(mask_pairs())
def test_regions_are_equal_where_their_pixels_are(pair):
    first, second = (Runs.from_mask(mask) for mask in pair)
    regions = Regions(first)
    len(regions)  # the list is made, and no part of what is compared, hashed or pickled
    for same in (Regions(first), copy.deepcopy(regions), pickle.loads(pickle.dumps(regions))):
        assert same == regions and hash(same) == hash(regions) and list(same) == list(regions)
    assert pickle.dumps(regions) == pickle.dumps(Regions(first))
    assert (Regions(second) == regions) == (first == second)
    assert regions != first and regions != list(regions)


@given(masks())
def test_an_index_beyond_the_regions_is_an_error(mask):
    regions = Regions(Runs.from_mask(mask))
    for k in (len(regions), -len(regions) - 1):
        with pytest.raises(IndexError):
            regions[k]
