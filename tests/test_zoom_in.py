"""RITM's way of one click, on a network in closed form: boxes, what the network sees, sessions and their undo."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from strategies import masks_of, seeds

import focalrt
from focalrt.description import RITM, Description
from focalrt.geometry import Box, Click
from focalrt.model import Model
from focalrt.networks import RitmNetwork
from focalrt.pipeline import click_maps
from focalrt.runs import Runs
from focalrt.taps import align_corners
from focalrt.zoom_in import KEPT, LEAST_SIDE, Look, crop_box, grown, look, overlap, previous

SIDE = 64
HEIGHT, WIDTH = SHAPE = 90, 120
WHOLE = Box(0, 0, WIDTH, HEIGHT)
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
DISC = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([40, 50])[:, None, None])) < 16
POLICIES = ("auto", "always", "never")

masks = masks_of(SHAPE)
points = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.booleans())


class StubRitm(RitmNetwork):
    """The mask before, raised about positive clicks and lowered about negative ones, tilted by the photo.
    ``noise`` strews changes that no click asked for, the same for the same clicks.
    """

    def __init__(self, noise=0.0, side=SIDE):
        self.description = Description("stub", side, 5.0, 0.0, 0.5, {}, "not trained", "none", RITM)
        self.side, self.radius, self.threshold, self.noise = side, 5.0, 0.5, noise
        self.seen = []

    def segment(self, image, maps):
        assert image.shape == maps.shape == (3, self.side, self.side)
        assert image.dtype == maps.dtype == np.float32
        assert maps.min() >= 0 and maps.max() <= 1 + 1e-6
        self.seen.append(maps.copy())
        quarter = self.side // 4
        pooled = maps.reshape(3, quarter, 4, quarter, 4).mean((2, 4))
        logits = 4 * (2 * pooled[0] - 1) + 60 * ndimage.gaussian_filter(pooled[1] - 2 * pooled[2], 2)
        logits += 0.2 * (image.reshape(3, quarter, 4, quarter, 4).mean((0, 2, 4)) - 0.5)
        if self.noise:
            rng = np.random.default_rng(int(16 * (pooled[1] + 2 * pooled[2]).sum()))
            logits += self.noise * ndimage.gaussian_filter(rng.standard_normal((quarter, quarter)), 1) * 8
        return logits.astype(np.float32)


CLEAN, NOISY = Model(StubRitm()), Model(StubRitm(noise=2))


def resized(plane, shape):
    """Bilinear, align_corners, by matrices; float64."""

    def matrix(outputs, inputs):
        at = np.arange(outputs) * (inputs - 1) / max(outputs - 1, 1)
        return np.clip(1 - np.abs(at[:, None] - np.arange(inputs)), 0, None)

    return matrix(shape[0], plane.shape[0]) @ plane @ matrix(shape[1], plane.shape[1]).T


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def probability_of(seen, shape):
    """What a look says, laid out over the whole image: 0 outside of its box."""
    probability = np.zeros(shape)
    box = seen.target
    grid = sigmoid(resized(seen.small, (4 * len(seen.small),) * 2))
    probability[box.slices] = resized(grid, (box.height, box.width))
    return probability


def dense(runs, shape=SHAPE):
    return runs.to_mask(Box(0, 0, shape[1], shape[0]))


def look_at(box, seed=0, offset=0.0):
    """A look that said something smooth about a box."""
    small = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE // 4,) * 2), 2) * 20 + offset
    small = small.astype(np.float32)
    return Look(Runs.from_logits(grown(small), 0.5, box), box, small)


# ------------------------------------------------------------ the crop

SMALL = Runs.rectangle(Box(400, 300, 420, 330))
PHOTO = (1000, 2000, 3)
FULL = Box(0, 0, 2000, 1000)


@pytest.mark.parametrize(
    ("mask", "clicks", "box"),
    [
        (Runs.empty(), [Click(5, 5)], FULL),
        (SMALL, [Click(405, 305)], Box(310, 215, 510, 415)),  # at least 200 a side, about the middle
        (SMALL, [Click(405, 305), Click(100, 305, False)], Box(36, 215, 484, 415)),  # the last click, whatever its sign
        (SMALL, [Click(100, 305, False), Click(405, 305)], Box(310, 215, 510, 415)),  # an earlier one off the object
        (Runs.rectangle(Box(400, 300, 700, 600)), [Click(405, 305)], Box(340, 240, 760, 660)),  # 1.4 times as large
        (Runs.rectangle(Box(0, 0, 20, 20)), [Click(5, 5)], Box(0, 0, 110, 110)),  # inside the image
        (Runs.rectangle(Box(0, 0, 2000, 1000)), [Click(5, 5)], FULL),
    ],
)
def test_the_crop_is_about_the_object(mask, clicks, box):
    assert crop_box(mask, clicks, FULL, None, PHOTO) == box


@given(masks, st.lists(points, min_size=1, max_size=5), st.none() | seeds)
def test_a_crop_holds_the_mask_and_the_clicks_and_is_not_too_small(mask, clicks, seed):
    clicks = [Click(*click) for click in clicks]
    corner = None if seed is None else np.random.default_rng(seed).integers(0, 40, 2)
    before = None if corner is None else look_at(Box(*corner.tolist(), 100, 80))
    box = crop_box(Runs.from_mask(mask), clicks, WHOLE, before, SHAPE)
    assert box.clip(WHOLE) == box
    if mask.any():
        outside = mask.copy()
        outside[box.slices] = False
        assert not outside.any()
        assert all(box.holds(c.row, c.column) for c in clicks if c.positive or c is clicks[-1])
        assert (before is not None and box == before.target) or box.width >= min(LEAST_SIDE // 2, WIDTH)


@pytest.mark.parametrize(
    ("old", "kept"),
    [
        (Box(310, 215, 510, 415), True),  # the same
        (Box(310, 215, 710, 415), True),  # it would be half as wide
        (Box(310, 215, 711, 415), False),  # and less than half
        (Box(310, 215, 590, 495), True),  # 200 / 280 of both sides
        (Box(310, 215, 594, 499), False),  # 200 / 284 of both
        (Box(402, 215, 602, 415), False),  # the mask sticks out
        (FULL, False),
    ],
)
def test_a_crop_stays_while_the_next_one_covers_half_of_it(old, kept):
    box = crop_box(SMALL, [Click(405, 305)], FULL, look_at(old), PHOTO)
    assert box == (old if kept else Box(310, 215, 510, 415))


def test_a_crop_moves_to_a_click_outside_of_it():
    old = Box(310, 215, 510, 415)
    assert crop_box(SMALL, [Click(520, 305)], FULL, look_at(old), PHOTO) != old
    assert crop_box(SMALL, [Click(509, 305)], FULL, look_at(old), PHOTO) == old


def inclusive_iou(a, b):
    """The released rule, on boxes whose ends belong to them."""
    share = 1.0
    for low, high in ((0, 2), (1, 3)):
        inside = max(0, min(a[high] - 1, b[high] - 1) - max(a[low], b[low]) + 1)
        share *= inside / (max(a[high] - 1, b[high] - 1) - min(a[low], b[low]) + 1)
    return share


edges = st.lists(st.integers(0, 30), min_size=2, max_size=2, unique=True).map(sorted)
boxes = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), edges, edges)


@given(boxes, boxes)
def test_overlap_is_the_released_one(a, b):
    assert overlap(a, b) == pytest.approx(inclusive_iou(a, b))
    assert overlap(a, b) == overlap(b, a)
    assert overlap(a, a) == 1 > KEPT


# ------------------------------------------------------------ what the network sees


def taps_of(box):
    return align_corners(box.height, SIDE), align_corners(box.width, SIDE)


def previous_of(mask, before, target):
    out = np.zeros((SIDE, SIDE), np.float32)
    previous(mask, before, target, *taps_of(target), out)
    return out


TARGETS = st.sampled_from([WHOLE, Box(10, 5, 80, 77), Box(40, 30, 41, 31), Box(0, 0, 30, 90), Box(70, 60, 120, 90)])


@given(TARGETS, TARGETS, seeds)
def test_the_network_sees_its_own_probabilities_where_nothing_else_happened(old, new, seed):
    before = look_at(old, seed)
    wanted = resized(probability_of(before, SHAPE)[new.slices], (SIDE, SIDE))
    np.testing.assert_allclose(previous_of(before.runs, before, new), wanted, atol=1e-5)


@given(masks, TARGETS)
def test_without_a_prediction_it_sees_the_mask(mask, target):
    wanted = resized(mask[target.slices].astype(float), (SIDE, SIDE))
    np.testing.assert_allclose(previous_of(Runs.from_mask(mask), None, target), wanted, atol=1e-5)


@given(masks, TARGETS, TARGETS, seeds)
def test_where_the_mask_is_otherwise_it_sees_the_mask(mask, old, new, seed):
    """Exactly so where all pixels behind a grid point are, or none; between the two where some are."""
    before, runs = look_at(old, seed), Runs.from_mask(mask)
    found = previous_of(runs, before, new)
    unlike = mask ^ dense(before.runs)
    written = np.where(unlike, mask, probability_of(before, SHAPE))
    wanted = resized(written[new.slices], (SIDE, SIDE))
    share = resized(unlike[new.slices].astype(float), (SIDE, SIDE))
    clear = (share < 1e-9) | (share > 1 - 1e-9)
    np.testing.assert_allclose(found[clear], wanted[clear], atol=1e-5)
    assert found.min() >= -1e-6 and found.max() <= 1 + 1e-6
    assert np.abs(found - wanted).max() <= 0.5


def test_clicks_are_disks_on_the_square_however_long_the_crop():
    maps, box = np.zeros((2, SIDE, SIDE), np.float32), Box(10, 20, 138, 52)
    click_maps([Click(42, 28), Click(106.5, 44, False), Click(500, 500)], box, SIDE, 5, maps)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for plane, (row, column) in zip(maps, [((28 - 20) * 64 / 32, 16), ((44 - 20) * 2, (106.5 - 10) / 2)]):
        np.testing.assert_array_equal(plane, (rows - row) ** 2 + (columns - column) ** 2 <= 25)


@given(seeds)
def test_logits_are_enlarged_with_their_corners_in_place(seed):
    small = np.random.default_rng(seed).standard_normal((SIDE // 4,) * 2).astype(np.float32)
    np.testing.assert_allclose(grown(small), resized(small, (SIDE, SIDE)), atol=1e-5)


# ------------------------------------------------------------ a session, against the same on whole images


class OnWholeImages:
    """RITM's loop on arrays of the image's size, without merge: boxes as above, everything else written out."""

    def __init__(self, network):
        self.network, self.before = network, None
        self.mask, self.clicks = np.zeros(SHAPE, np.bool_), []

    def click(self, x, y, positive):
        self.clicks.append(Click(x, y, positive))
        box = crop_box(Runs.from_mask(self.mask), self.clicks, WHOLE, self.before, SHAPE)
        soft = np.zeros(SHAPE) if self.before is None else probability_of(self.before, SHAPE)
        rows, columns = np.mgrid[:SIDE, :SIDE]
        maps = [resized(soft[box.slices], (SIDE, SIDE))]
        for sign in (True, False):
            plane = np.zeros((SIDE, SIDE))
            for click in self.clicks:
                at = (click.y - box.y0) * SIDE / box.height, (click.x - box.x0) * SIDE / box.width
                if click.positive == sign:
                    plane[(rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= 25] = 1
            maps.append(plane)
        crop = [resized(IMAGE[box.slices][..., channel] / 255, (SIDE, SIDE)) for channel in range(3)]
        small = self.network.segment(np.array(crop, np.float32), np.clip(maps, 0, 1).astype(np.float32))
        self.before = Look(Runs.empty(), box, small)
        probability = probability_of(self.before, SHAPE)
        self.mask = probability > 0.5
        self.before = self.before._replace(runs=Runs.from_mask(self.mask))
        return probability


@given(st.lists(points, min_size=1, max_size=6))
@settings(max_examples=20)
def test_clicks_from_scratch_are_the_loop_on_whole_images(clicks):
    session, loop = NOISY.session(IMAGE), OnWholeImages(StubRitm(noise=2))
    for number, click in enumerate(clicks):
        probability = loop.click(*click)
        result = session.click(*click)
        if (np.abs(probability - 0.5) < 1e-4).any():  # rounding decides, and what follows from it
            break
        assert result.target == result.focus == loop.before.target
        np.testing.assert_array_equal(session.mask, loop.mask)
        np.testing.assert_allclose(session.probability(), probability, atol=1e-4)
        assert list(result.milliseconds) == ["target box", "target crop", "segmentor", "coarse mask", "merge", "paint"]
        assert len(session.clicks) == number + 1


def test_a_click_is_heard_and_obeyed():
    session = CLEAN.session(IMAGE)
    assert session.click(50, 40).outcome == "written"
    assert session.mask[40, 50] and not session.mask.all()
    assert session.click(50, 40, False).outcome == "written"
    assert not session.mask[40, 50]


def test_the_first_look_is_at_the_view():
    session = CLEAN.session(IMAGE)
    assert session.click(50, 40, view=(40, 30, 70, 60)).target == Box(40, 30, 70, 60)
    outside = np.ones(SHAPE, np.bool_)
    outside[30:60, 40:70] = False
    assert not session.mask[outside].any() and not session.probability()[outside].any()


def test_a_given_mask_is_seen_as_it_is_and_merged():
    network = StubRitm(noise=2)
    session = Model(network).session(IMAGE, DISC)
    result = session.click(50, 62)
    target = crop_box(Runs.from_mask(DISC), session.clicks, WHOLE, None, SHAPE)
    assert result.target == target
    np.testing.assert_allclose(network.seen[0][0], resized(DISC[target.slices] * 1.0, (SIDE, SIDE)), atol=1e-5)
    assert result.outcome == "written"
    assert ndimage.label(result.change.to_mask(WHOLE), np.ones((3, 3)))[1] == 1
    assert len(result.withheld) > 0


def test_what_the_merge_kept_out_is_not_shown_to_the_network():
    network = StubRitm(noise=2)
    session = Model(network).session(IMAGE, DISC, merge="always")
    region = session.click(50, 62).withheld[0]
    session.click(51, 62)
    assert region.area > 20
    box = session._context.look.target
    inside = np.zeros(SHAPE, np.bool_)
    inside[region.box.slices] = region.mask
    inside = ndimage.binary_erosion(inside)
    share = resized(inside[box.slices] * 1.0, (SIDE, SIDE)) > 1 - 1e-9
    assert set(np.round(network.seen[1][0][share], 5)) <= {0.0, 1.0}


def test_a_stroke_is_seen_as_it_was_drawn_and_the_rest_stays_soft():
    network = StubRitm()
    session = Model(network).session(IMAGE)
    session.click(50, 40)
    probability = session.probability()
    session.paint(np.ones((20, 30), np.bool_), (5, 60, 35, 80))
    session.click(51, 40)
    drawn = np.zeros(SHAPE)
    drawn[60:80, 5:35] = 1
    seen, box = network.seen[1][0], session._context.look.target
    share = resized(drawn[box.slices], (SIDE, SIDE))
    np.testing.assert_allclose(seen[share > 1 - 1e-9], 1, atol=1e-5)
    soft = resized(probability[box.slices], (SIDE, SIDE))
    np.testing.assert_allclose(seen[share < 1e-9], soft[share < 1e-9], atol=1e-5)


# ------------------------------------------------------------ history


steps = st.one_of(
    st.tuples(st.just("click"), points),
    st.tuples(st.just("paint"), seeds),
    st.tuples(st.just("set_mask"), seeds),
    *(st.tuples(st.just(kind), st.none()) for kind in ("accept", "accept_all", "reset", "undo", "redo", "undo")),
)


def apply(session, kind, value):
    """One step; what it returned."""
    if kind == "click":
        return session.click(*value)
    if kind == "accept":
        return session.accept(session.withheld[0]) if session.withheld else None
    if kind in ("paint", "set_mask"):
        rng = np.random.default_rng(value)
        drawn = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 6) > 0
        return session.set_mask(drawn) if kind == "set_mask" else session.paint(drawn[20:50, 30:90], (30, 20, 90, 50))
    return getattr(session, kind)()


def in_force(taken):
    """The steps that undo and redo leave: a list and a place in it."""
    kept, now = [], 0
    for kind, value, did in taken:
        if kind == "undo":
            now -= did
        elif kind == "redo":
            now += did
        elif did:
            kept, now = [*kept[:now], (kind, value)], now + 1
    return kept[:now]


@given(st.lists(steps, max_size=9), points, st.none() | masks, st.sampled_from(POLICIES))
@settings(max_examples=40)
def test_what_a_click_does_hangs_on_the_steps_in_force_alone(taken, last, mask, policy):
    """A session with any past, and one that went straight there, answer the next click alike."""
    session = NOISY.session(IMAGE, mask, merge=policy)
    done = [(kind, value, apply(session, kind, value) is not None) for kind, value in taken]
    straight = NOISY.session(IMAGE, mask, merge=policy)
    for kind, value in in_force(done):
        apply(straight, kind, value)
    np.testing.assert_array_equal(session.probability(), straight.probability())
    found, wanted = session.click(*last), straight.click(*last)
    assert found.runs == wanted.runs and found.change == wanted.change
    assert (found.outcome, found.target) == (wanted.outcome, wanted.target)
    np.testing.assert_array_equal(session.probability(), straight.probability())


@given(st.lists(points, min_size=1, max_size=4), st.none() | masks)
@settings(max_examples=20)
def test_probability_is_of_the_last_click_in_force(clicks, mask):
    session = NOISY.session(IMAGE, mask)
    after = [session.probability()]
    for click in clicks:
        session.click(*click)
        after.append(session.probability())
    calls = len(NOISY._networks.seen)
    for wanted in reversed(after):
        np.testing.assert_array_equal(session.probability(), wanted)
        session.undo()
    assert len(NOISY._networks.seen) == calls  # nothing is predicted again


def test_a_click_keeps_a_sixteenth_of_the_grid():
    session = Model(StubRitm(side=400)).session(IMAGE)
    session.click(50, 40)
    before = session.nbytes
    for x in range(20, 100, 4):
        session.click(x, 40)
    assert 20 * 40_000 < session.nbytes - before < 20 * 60_000


def test_a_failed_click_leaves_no_look_behind():
    class Broken(StubRitm):
        def segment(self, image, maps):
            if len(self.seen) == 1:
                raise RuntimeError("out of memory")
            return super().segment(image, maps)

    session = Model(Broken()).session(IMAGE)
    session.click(50, 40)
    mask, clicks, probability = session.mask.copy(), session.clicks, session.probability()
    with pytest.raises(RuntimeError, match="out of memory"):
        session.click(10, 10)
    np.testing.assert_array_equal(session.mask, mask)
    np.testing.assert_array_equal(session.probability(), probability)
    assert session.clicks == clicks


def test_segment_without_a_session_is_the_same():
    session = CLEAN.session(IMAGE)
    session.click(50, 40)
    session.click(80, 60)
    result = focalrt.segment(IMAGE, [(50, 40), (80, 60)], model=CLEAN)
    np.testing.assert_array_equal(result.mask, session.mask)


def test_the_image_is_read_as_the_network_wants_it():
    network = StubRitm()
    seen = []
    network.segment = lambda image, maps: seen.append(image) or np.zeros((SIDE // 4, SIDE // 4), np.float32)
    view = IMAGE.view()
    view.flags.writeable = False
    look(network, view, Runs.empty(), [Click(3, 3)])
    wanted = [resized(IMAGE[..., channel] / 255, (SIDE, SIDE)) for channel in range(3)]
    np.testing.assert_allclose(seen[0], wanted, atol=1e-5)
