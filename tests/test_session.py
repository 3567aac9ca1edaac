"""Sessions on networks in closed form: what a step does to mask, clicks, withheld regions and history."""

import copy
import gc
import pickle
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from scipy import ndimage
from strategies import masks_of
from stub import stub_model

import focalrt
from focalrt import FocalrtError
from focalrt.geometry import Box
from focalrt.pipeline import LATE, predict
from focalrt.runs import Runs

HEIGHT, WIDTH = SHAPE = 24, 32
WHOLE = Box(0, 0, WIDTH, HEIGHT)
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
EMPTY = np.zeros(SHAPE, np.bool_)
DISC = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - np.array([12, 10])[:, None, None])) < 6
CLEAN, NOISY = stub_model(), stub_model(noise=2)  # noisy networks ask for changes far from the click
POLICIES = ("auto", "always", "never")
SHIPPED = [name for name, model in focalrt.installed().items() if model.shipped]

points = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.booleans())
masks = masks_of(SHAPE)


def box_of(draw):
    """Any box of at least a pixel inside the image."""
    x0, y0 = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
    return x0, y0, draw(st.integers(x0 + 1, WIDTH)), draw(st.integers(y0 + 1, HEIGHT))


def state(session):
    """Everything that a call which raises must leave as it was."""
    return session.mask.tobytes(), session.clicks, session.withheld.runs, session.can_undo, session.can_redo


# ------------------------------------------------------------ history, as a machine


class Editing(RuleBasedStateMachine):
    """Any sequence of steps, against a list of dense snapshots (mask, clicks, withheld) and a place in it."""

    @initialize(mask=st.none() | masks, policy=st.sampled_from(POLICIES), looks=st.booleans())
    def begin(self, mask, policy, looks):
        self.session = NOISY.session(IMAGE, mask, merge=policy)
        self.looks = looks  # at session.mask after every step, or only in the end: it is made when first asked for
        self.snapshots = [(EMPTY if mask is None else mask.copy(), (), EMPTY)]
        self.now = 0
        self.results = []

    def record(self, mask, clicks=None, withheld=EMPTY):
        """A step was done: what was undone is gone, and there is one more snapshot."""
        clicks = self.snapshots[self.now][1] if clicks is None else clicks
        self.snapshots = [*self.snapshots[: self.now + 1], (mask, clicks, withheld)]
        self.now += 1

    @rule(point=points, fraction=st.sampled_from([-0.5, 0, 0.25]), zoomed=st.booleans(), data=st.data())
    def click(self, point, fraction, zoomed, data):
        x, y, positive = point
        view = None
        if zoomed:
            x0, y0, x1, y1 = box_of(data.draw)
            view = min(x0, x), min(y0, y), max(x1, x + 1), max(y1, y + 1)
        before, clicks, _ = self.snapshots[self.now]
        result = self.session.click(x + fraction, y + fraction, positive, view=view)
        after = before ^ result.change.to_mask(WHOLE)
        self.record(after, (*clicks, (x + fraction, y + fraction, positive)), result.withheld.runs.to_mask(WHOLE))
        self.results.append((result, after))
        assert (result.changed is None) == (not result.change) == (result.outcome != "written")
        assert result.changed == result.change.box

    @rule(data=st.data())
    def paint(self, data):
        x0, y0, x1, y1 = box = box_of(data.draw)
        drawn = data.draw(masks_of((y1 - y0, x1 - x0)))
        mask = self.snapshots[self.now][0].copy()
        mask[y0:y1, x0:x1] = drawn
        assert self.session.paint(drawn, box).kind == "paint"
        self.record(mask)

    @rule(mask=masks)
    def set_mask(self, mask):
        assert self.session.set_mask(mask).kind == "set_mask"
        self.record(mask.copy(), clicks=())

    @precondition(lambda self: self.session.withheld)
    @rule(data=st.data())
    def accept(self, data):
        region = data.draw(st.sampled_from(list(self.session.withheld)))
        mask, _, withheld = self.snapshots[self.now]
        pixels = region.runs.to_mask(WHOLE)
        assert self.session.accept(region).changed == region.box
        self.record(mask ^ pixels, withheld=withheld & ~pixels)

    @rule()
    def accept_all(self):
        mask, _, withheld = self.snapshots[self.now]
        step = self.session.accept_all()
        assert (step is None) == (not withheld.any())
        if step is not None:
            self.record(mask ^ withheld)

    @rule()
    def reset(self):
        before, clicks, _ = self.snapshots[self.now]
        start = self.snapshots[0][0]
        step = self.session.reset()
        if clicks or (before != start).any():
            assert step.kind == "reset"
        if step is not None:  # also after a stroke that changed no pixel: the policy knows of it
            self.record(start, clicks=())

    @rule()
    def undo(self):
        step = self.session.undo()
        assert (step is None) == (self.now == 0)
        self.now = max(self.now - 1, 0)

    @rule()
    def redo(self):
        step = self.session.redo()
        last = len(self.snapshots) - 1
        assert (step is None) == (self.now == last)
        self.now = min(self.now + 1, last)

    @rule(
        call=st.sampled_from(
            [
                lambda session: session.click(WIDTH, 0),
                lambda session: session.click(0, 0, view=(5, 5, 9, 9)),
                lambda session: session.click(0, 0, "yes"),
                lambda session: session.click(float("nan"), 0, False),
                lambda session: session.set_mask(EMPTY.T),
                lambda session: session.set_mask(None),
                lambda session: session.paint(EMPTY, (0, 0, 5, 5)),
                lambda session: session.paint(np.ones((2, 2), np.bool_), (-1, 0, 1, 2)),
                lambda session: session.accept(0),
            ]
        )
    )
    def bad_call(self, call):
        with pytest.raises(FocalrtError):
            call(self.session)  # and the invariants hold afterwards

    @invariant()
    def as_the_snapshots_say(self):
        mask, clicks, withheld = self.snapshots[self.now]
        assert np.array_equal(self.session.runs.to_mask(WHOLE), mask)
        assert self.session.clicks == clicks
        assert np.array_equal(self.session.withheld.runs.to_mask(WHOLE), withheld)
        assert self.session.can_undo == (self.now > 0)
        assert self.session.can_redo == (self.now < len(self.snapshots) - 1)
        if self.looks:
            assert np.array_equal(self.session.mask, mask)
            assert not self.session.mask.flags.writeable

    def teardown(self):
        if hasattr(self, "session"):
            assert np.array_equal(self.session.mask, self.snapshots[self.now][0])
            for result, mask in self.results:  # a result tells of its own click for ever
                assert np.array_equal(result.mask, mask)


TestEditing = Editing.TestCase
TestEditing.settings = settings(stateful_step_count=25)


def test_undo_and_redo_return_the_step_and_nothing_where_there_is_none():
    session = CLEAN.session(IMAGE)
    assert session.undo() is None and session.redo() is None
    changed = session.click(10, 12).changed
    assert changed is not None
    assert session.undo() == session.redo() == focalrt.Step("click", changed)


def test_a_reset_can_be_undone_and_a_second_one_does_nothing():
    session = CLEAN.session(IMAGE, DISC)
    session.click(25, 5)
    clicked = state(session)
    assert session.reset().kind == "reset"
    assert np.array_equal(session.mask, DISC) and session.clicks == ()
    assert session.reset() is None
    session.undo()
    assert state(session)[:3] == clicked[:3]


# ------------------------------------------------------------ a call = the clicks one by one


@given(st.lists(points, min_size=1, max_size=13), st.none() | masks, st.sampled_from(POLICIES), st.booleans())
@settings(max_examples=25)
def test_segment_is_the_clicks_one_by_one(clicks, mask, policy, zoomed):
    x, y, _ = clicks[0]
    view = (x - 3, y - 2, x + 5, y + 4) if zoomed else None
    session = NOISY.session(IMAGE, mask, merge=policy)
    result = session.click(*clicks[0], view=view)
    for click in clicks[1:]:
        result = session.click(*click)
    at_once = focalrt.segment(IMAGE, clicks, mask, model=NOISY, view=view, merge=policy)
    assert np.array_equal(at_once.mask, session.mask)
    assert (at_once.outcome, at_once.changed, at_once.target, at_once.focus) == (
        result.outcome,
        result.changed,
        result.target,
        result.focus,
    )
    assert at_once.withheld.runs == session.withheld.runs


# ------------------------------------------------------------ policies


def predicted(model, session, click, from_scratch):
    """The networks' answer P to a click that is not made yet, as a dense mask."""
    clicks = [*session.clicks, focalrt.Click(*click)]
    return predict(model._networks, IMAGE, session.runs, clicks, from_scratch=from_scratch).runs.to_mask(WHOLE)


def written(before, prediction, click, merges):
    """SPEC section 5, on dense masks."""
    x, y, positive = click
    change = before ^ prediction
    if not merges:
        return prediction
    if not change[y, x] or prediction[y, x] != positive:
        return before
    labels, _ = ndimage.label(change, np.ones((3, 3)))
    return np.where(labels == labels[y, x], prediction, before)


def assert_policy(session, clicks, given, merges):
    """Makes the clicks; ``merges(number)``: whether click 1, 2, ... should. How often the policy made a difference."""
    differences = 0
    for number, click in enumerate(clicks, 1):
        before = session.mask.copy()
        prediction = predicted(NOISY, session, click, not given)
        expected = written(before, prediction, click, merges(number))
        result = session.click(*click)
        assert np.array_equal(session.mask, expected)
        withheld = expected ^ prediction if merges(number) else EMPTY
        assert np.array_equal(result.withheld.runs.to_mask(WHOLE), withheld)
        differences += not np.array_equal(*(written(before, prediction, click, merge) for merge in (True, False)))
    return differences


def always(number):
    return True


def never(number):
    return False


def late(number):
    return number > 10


CLICKS = [tuple(map(int, row)) for row in np.random.default_rng(3).integers(0, (WIDTH, HEIGHT, 2), (14, 3))]
CLICKS = [(x, y, bool(positive)) for x, y, positive in CLICKS]


def painted(policy):
    session = NOISY.session(IMAGE, merge=policy)
    session.paint(np.ones((6, 6), np.bool_), (10, 10, 16, 16))
    return session


def replaced(mask):
    session = NOISY.session(IMAGE)
    session.set_mask(mask)
    return session


@pytest.mark.parametrize(
    ("begin", "given", "merges"),
    [
        pytest.param(lambda: NOISY.session(IMAGE), False, late, id="auto from scratch"),
        pytest.param(lambda: NOISY.session(IMAGE, EMPTY), False, late, id="auto, an empty mask is from scratch"),
        pytest.param(lambda: NOISY.session(IMAGE, DISC), True, always, id="auto on a given mask"),
        pytest.param(lambda: painted("auto"), True, always, id="auto after paint"),
        pytest.param(lambda: replaced(DISC), True, always, id="auto after set_mask"),
        pytest.param(lambda: replaced(EMPTY), False, late, id="auto after an empty set_mask"),
        pytest.param(lambda: NOISY.session(IMAGE, merge="always"), False, always, id="always from scratch"),
        pytest.param(lambda: NOISY.session(IMAGE, DISC, merge="always"), True, always, id="always on a given mask"),
        pytest.param(lambda: NOISY.session(IMAGE, merge="never"), False, never, id="never from scratch"),
        pytest.param(lambda: NOISY.session(IMAGE, DISC, merge="never"), True, never, id="never on a given mask"),
        pytest.param(lambda: painted("never"), True, never, id="never after paint"),
    ],
)
def test_when_a_click_merges(begin, given, merges):
    assert assert_policy(begin(), CLICKS, given, merges) > 3


def test_paint_makes_later_clicks_merge_until_it_is_undone():
    session = NOISY.session(IMAGE)
    session.click(10, 12)
    session.paint(np.zeros((1, 1), np.bool_), (31, 23, 32, 24))
    assert assert_policy(session, [(20, 6, True)], True, always)
    session.undo()
    session.undo()
    assert assert_policy(session, [(20, 6, True)], False, late)


@given(st.lists(points, max_size=12), masks, st.sampled_from(POLICIES))
@settings(max_examples=20)
def test_clicks_write_what_the_policy_says(clicks, mask, policy):
    given_mask = bool(mask.any())
    merges = {"always": always, "never": never, "auto": always if given_mask else late}[policy]
    assert_policy(NOISY.session(IMAGE, mask, merge=policy), clicks, given_mask, merges)


def test_a_negative_first_click_takes_from_a_given_mask():
    session = CLEAN.session(IMAGE, DISC)
    result = session.click(10, 12, False)
    assert result.outcome == "written"
    assert not session.mask[12, 10] and not (session.mask & ~DISC).any()


@pytest.mark.parametrize("mask", [None, EMPTY], ids=["no mask", "empty mask"])
def test_a_negative_first_click_on_nothing_changes_nothing(mask):
    session = CLEAN.session(IMAGE, mask)
    result = session.click(10, 12, False)
    assert (result.outcome, result.changed) == ("unchanged", None)
    assert not session.mask.any()
    assert len(session.clicks) == 1 and session.can_undo


@pytest.mark.parametrize(("mask", "policy"), [(None, "always"), (DISC, "auto")], ids=["no mask", "mask"])
def test_networks_that_disobey_write_nothing(mask, policy):
    """They say object everywhere; the click says that here is none. It is kept, and what they say is withheld."""

    class Stubborn:
        def __getattr__(self, name):
            return getattr(CLEAN._networks, name)

        def refine(self, image, disks, context, logits):
            return np.ones_like(logits)

        def segment(self, image, maps):
            logits, context = CLEAN._networks.segment(image, maps)
            return np.ones_like(logits), context

    session = focalrt.Model(Stubborn()).session(IMAGE, mask, merge=policy)
    before = session.mask.copy()
    result = session.click(25, 5, False)
    assert (result.outcome, result.changed) == ("disobeyed", None)
    assert np.array_equal(session.mask, before)
    assert session.clicks == ((25, 5, False),) and session.can_undo
    withheld = result.withheld.runs.to_mask(WHOLE)
    assert withheld[result.target.slices].any() and not (withheld & before).any()
    session.accept_all()
    assert session.mask[result.target.slices].all()


@pytest.mark.parametrize(("policy", "outcome"), [("auto", "written"), ("never", "written"), ("always", "disobeyed")])
def test_a_result_tells_whether_the_click_was_obeyed(policy, outcome):
    """Also where nothing keeps the networks from writing against the click."""

    class Contrary:
        def __getattr__(self, name):
            return getattr(CLEAN._networks, name)

        def refine(self, image, disks, context, logits):
            return np.ones_like(logits)

    session = focalrt.Model(Contrary()).session(IMAGE, merge=policy)
    result = session.click(25, 5, False)
    assert (result.outcome, result.obeyed) == (outcome, False)
    assert session.mask[5, 25] == (outcome == "written")
    result = session.click(25, 5)
    assert result.obeyed and session.mask[5, 25]


def test_clicking_on_after_all_was_removed():
    session = CLEAN.session(IMAGE, DISC)
    session.set_mask(EMPTY)
    assert session.click(20, 8).target == WHOLE
    assert session.mask[8, 20]


# ------------------------------------------------------------ view


@pytest.mark.parametrize(
    ("view", "target"),
    [
        ((4, 3, 20, 18), (4, 3, 20, 18)),
        ((-9, -9, 20, 18), (0, 0, 20, 18)),
        ((4, 3, 999, 999), (4, 3, WIDTH, HEIGHT)),
        ((10, 12, 11, 13), (10, 12, 11, 13)),
        (np.array([4, 3, 20, 18]), (4, 3, 20, 18)),
    ],
)
def test_the_first_click_looks_at_the_view(view, target):
    assert CLEAN.session(IMAGE).click(10, 12, view=view).target == target


def test_a_view_has_no_use_once_there_is_a_mask():
    results = [CLEAN.session(IMAGE, DISC).click(20, 12, view=view) for view in (None, (15, 8, 25, 16))]
    assert results[0].target == results[1].target
    assert np.array_equal(results[0].mask, results[1].mask)


def test_a_view_is_for_its_own_click_only():
    session = CLEAN.session(IMAGE)
    session.click(10, 12, False, view=(4, 3, 20, 18))  # leaves the mask empty
    assert session.click(10, 12).target == WHOLE
    session.undo()
    session.undo()
    assert session.click(10, 12).target == WHOLE


# ------------------------------------------------------------ withheld regions


def test_accepting_all_gives_the_prediction():
    session = NOISY.session(IMAGE, DISC)
    prediction = predicted(NOISY, session, (26, 6, True), False)
    result = session.click(26, 6)
    assert len(result.withheld) > 1
    assert not np.array_equal(session.mask, prediction)
    session.accept_all()
    assert np.array_equal(session.mask, prediction)
    assert not session.withheld and session.accept_all() is None


def test_accepting_one_by_one_gives_the_prediction_too():
    session = NOISY.session(IMAGE, DISC)
    prediction = predicted(NOISY, session, (26, 6, True), False)
    regions = session.click(26, 6).withheld
    for region in reversed(regions):
        session.accept(region)
    assert np.array_equal(session.mask, prediction)
    assert not session.withheld


def test_undo_of_accept_gives_the_regions_back():
    session = NOISY.session(IMAGE, DISC)
    session.click(26, 6)
    before, regions = session.mask.copy(), list(session.withheld)
    session.accept(regions[1])
    assert list(session.withheld) == [regions[0], *regions[2:]]
    session.undo()
    assert np.array_equal(session.mask, before)
    assert list(session.withheld) == regions


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(lambda session, region: session.accept(region), id="accepted"),
        pytest.param(lambda session, region: session.accept_all(), id="all accepted"),
        pytest.param(lambda session, region: session.paint(np.ones((1, 1), np.bool_), (0, 0, 1, 1)), id="painted"),
        pytest.param(lambda session, region: session.set_mask(DISC), id="replaced"),
        pytest.param(lambda session, region: session.reset(), id="reset"),
        pytest.param(lambda session, region: session.undo(), id="undone"),
    ],
)
def test_a_stale_region_is_refused(step):
    session = NOISY.session(IMAGE, DISC)
    region = session.click(26, 6).withheld[0]
    step(session, region)
    before = state(session)
    with pytest.raises(focalrt.ArgumentValueError, match=r"region: .*withheld"):
        session.accept(region)
    assert state(session) == before


def test_a_result_keeps_the_regions_that_the_session_has_written():
    session = NOISY.session(IMAGE, DISC)
    result = session.click(26, 6)
    assert list(result.withheld) == list(session.withheld)
    session.accept_all()
    assert len(result.withheld) > 0 == len(session.withheld)
    assert np.array_equal(result.mask ^ result.withheld.runs.to_mask(WHOLE), session.mask)


def test_regions_do_not_touch_and_tell_area_box_and_mask():
    regions = NOISY.session(IMAGE, DISC).click(26, 6).withheld
    assert [region.area for region in regions] == sorted((region.area for region in regions), reverse=True)
    together = EMPTY.copy()
    for region in regions:
        assert region.area == region.mask.sum()
        assert not together[region.box.slices][region.mask].any()
        together[region.box.slices] |= region.mask
    assert ndimage.label(together, np.ones((3, 3)))[1] == len(regions)


# ------------------------------------------------------------ probability


@given(st.lists(points, min_size=1, max_size=LATE), st.none() | masks)
@settings(max_examples=25)
def test_probability_on_the_right_side_of_one_half_wherever_the_prediction_is(clicks, mask):
    session = NOISY.session(IMAGE, mask)
    for click in clicks[:-1]:
        session.click(*click)
    prediction = predicted(NOISY, session, clicks[-1], mask is None or not mask.any())
    session.click(*clicks[-1])
    probability = session.probability()
    assert probability.shape == SHAPE and probability.dtype == np.float32
    assert probability.min() >= 0 and probability.max() <= 1
    clear = np.abs(probability - 0.5) > 1e-5  # rounding decides ties
    assert np.array_equal((probability > 0.5)[clear], prediction[clear])


@pytest.mark.parametrize("mask", [None, DISC], ids=["no mask", "mask"])
def test_probability_without_a_click_is_the_mask(mask):
    session = CLEAN.session(IMAGE, mask)
    probability = session.probability()
    assert probability.dtype == np.float32
    assert np.array_equal(probability, session.mask)


def test_probability_is_of_the_last_click_in_force():
    session = NOISY.session(IMAGE, DISC)
    after = []
    for x, y, positive in CLICKS[:4]:
        session.click(x, y, positive)
        after.append(session.probability())
        session.accept_all()  # a step that is no click does not change it
        assert np.array_equal(session.probability(), after[-1])
    for expected in reversed(after):
        assert np.array_equal(session.probability(), expected)
        session.undo()
        if session.withheld:  # that was an accept; now the click
            session.undo()
    while session.can_redo:
        session.redo()
    assert np.array_equal(session.probability(), after[-1])
    session.set_mask(DISC)
    assert np.array_equal(session.probability(), DISC)


def test_probability_of_a_view_is_zero_outside():
    session = CLEAN.session(IMAGE)
    session.click(10, 12, view=(4, 3, 20, 18))
    outside = np.ones(SHAPE, np.bool_)
    outside[3:18, 4:20] = False
    probability = session.probability()
    assert not probability[outside].any() and probability[~outside].all()
    session.click(12, 12)
    session.undo()
    assert np.array_equal(session.probability(), probability)  # the view is part of what an undo restores


def test_probability_of_networks_that_are_very_sure():
    class Sure:
        def __getattr__(self, name):
            return getattr(CLEAN._networks, name)

        def refine(self, image, disks, context, logits):
            return np.where(logits > 0, np.float32(2000), np.float32(-2000))

    session = focalrt.Model(Sure()).session(IMAGE)
    session.click(10, 12)
    with np.errstate(all="raise"):
        probability = session.probability()
    assert set(np.unique(probability[session.runs.to_mask(WHOLE)])) == {1}


# ------------------------------------------------------------ arrays of the caller


def do_everything(session):
    """Every kind of step."""
    for x, y, positive in CLICKS[:3]:
        session.click(x, y, positive)
    session.accept_all()
    session.paint(np.ones((4, 4), np.bool_), (2, 2, 6, 6))
    session.probability()
    session.set_mask(DISC)
    session.click(25, 5)
    session.undo()
    session.redo()
    session.reset()


@pytest.mark.parametrize("writeable", [True, False], ids=["writeable", "read-only"])
def test_the_arrays_handed_in_are_not_changed(writeable):
    image, mask = IMAGE.copy(), DISC.copy()
    image.flags.writeable = mask.flags.writeable = writeable
    do_everything(NOISY.session(image, mask))
    assert np.array_equal(image, IMAGE) and image.flags.writeable == writeable
    assert np.array_equal(mask, DISC) and mask.flags.writeable == writeable


def test_an_image_is_copied_only_where_it_is_not_contiguous():
    assert np.shares_memory(CLEAN.session(IMAGE)._image, IMAGE)
    assert not np.shares_memory(CLEAN.session(IMAGE[..., ::-1])._image, IMAGE)


def test_masks_handed_in_may_change_afterwards():
    prior, drawn = DISC.copy(), np.ones((4, 4), np.bool_)
    session = CLEAN.session(IMAGE, prior)
    prior[:] = True
    assert np.array_equal(session.mask, DISC)
    session.paint(drawn, (20, 10, 24, 14))
    session.set_mask(prior)
    drawn[:], prior[:] = False, False
    assert session.mask.all()
    session.undo()
    assert np.array_equal(session.mask[10:14, 20:24], np.ones((4, 4)))
    session.undo()
    session.reset()
    assert np.array_equal(session.mask, DISC)


def test_a_mask_of_a_result_is_the_callers_own():
    session = CLEAN.session(IMAGE)
    result = session.click(10, 12)
    result.mask[:] = True
    assert np.array_equal(result.mask, session.mask) and not session.mask.all()


def test_a_look_at_the_mask_follows_the_session():
    session = CLEAN.session(IMAGE, DISC)
    look = session.mask
    session.set_mask(EMPTY)
    assert not look.any() and np.shares_memory(look, session.mask)


def test_a_look_at_the_mask_that_was_interrupted_is_made_anew(monkeypatch):
    session = CLEAN.session(IMAGE, DISC)

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Runs, "flip", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.mask  # noqa: B018
    assert np.array_equal(session.mask, DISC)
    session.paint(np.ones((2, 2), np.bool_), (0, 0, 2, 2))
    assert np.array_equal(session.mask, session.runs.to_mask(WHOLE))


# ------------------------------------------------------------ memory and threads


def test_a_hundred_clicks_take_little_memory():
    """Beside image and dense mask, 100 clicks on 3 megapixels keep less than 16 MB, of which 12 are six such masks.

    NumPy tells tracemalloc what it allocates. Numba does not, and the runs come from its kernels: every array of runs
    that the history keeps is added.
    """
    height, width = 1500, 2000
    image = np.zeros((height, width, 3), np.uint8)
    session = NOISY.session(image, merge="always")
    session.click(1000, 750)
    session.mask  # noqa: B018 - made before the count begins
    places = np.random.default_rng(0).integers(0, (width, height), (100, 2)).tolist()
    gc.collect()
    tracemalloc.start()
    for number, (x, y) in enumerate(places):
        session.click(x, y, number % 3 > 0)
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    kept = [runs for entry in session._done for runs in (entry.change, entry.before.withheld, entry.after.withheld)]
    spans = {id(runs.spans): runs.spans.nbytes for runs in kept}
    assert len(session.clicks) == 101
    assert grown + sum(spans.values()) < 16e6


@pytest.mark.parametrize("name", ["stub", *SHIPPED])
def test_two_threads_on_one_model_give_what_one_gives(name):
    model = NOISY if name == "stub" else focalrt.load(name, threads=1)
    sequences = [CLICKS[:6], CLICKS[6:12]]
    together = threading.Barrier(2)

    def clicked(clicks):
        session = model.session(IMAGE, DISC)
        for click in clicks:
            session.click(*click)
            session.accept_all()
        return session.mask

    def clicked_together(clicks):
        together.wait(60)
        return clicked(clicks)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(clicked_together, sequences))
    assert [mask.tobytes() for mask in found] == [clicked(clicks).tobytes() for clicks in sequences]


# ------------------------------------------------------------ equality and copies


def test_results_are_equal_where_all_but_the_times_is():
    results = [NOISY.session(IMAGE, DISC).click(20, 20) for _ in range(2)]
    for same in (results[1], copy.deepcopy(results[0]), pickle.loads(pickle.dumps(results[0]))):
        assert same == results[0] and hash(same) == hash(results[0])
    assert results[0].milliseconds != results[1].milliseconds
    assert NOISY.session(IMAGE, DISC).click(21, 20) != results[0]


def test_regions_are_listed_once_while_they_stay_the_same():
    session = NOISY.session(IMAGE, DISC)
    result = session.click(20, 20)
    assert session.withheld and session.withheld == session.withheld == result.withheld
    assert session.withheld is session.withheld is result.withheld
    session.accept(session.withheld[0])
    assert session.withheld != result.withheld
    session.undo()
    assert session.withheld == result.withheld


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda session: copy.deepcopy([session])[0]])
def test_a_copy_of_a_session_goes_its_own_way(copied):
    session = NOISY.session(IMAGE, DISC)
    session.click(20, 20)
    session.click(26, 6)
    session.undo()
    before, look = state(session), session.mask
    other = copied(session)
    assert state(other) == before and np.array_equal(other.probability(), session.probability())
    assert other._networks is session._networks and np.shares_memory(other._image, session._image)
    other.redo()
    other.click(3, 3)
    other.accept_all()
    assert state(session) == before and not np.shares_memory(other.mask, look)
    while session.undo():
        pass
    assert np.array_equal(session.mask, DISC) and len(other.clicks) == 3


def test_runs_of_a_session_are_its_mask():
    session = CLEAN.session(IMAGE, DISC)
    session.click(25, 5)
    assert session.runs == Runs.from_mask(session.mask)
    assert session.shape == SHAPE
