"""The sessions of a service: which stay, which go, and what they hold."""

import gc
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stub import stub_model

from focalrt.serve.sessions import GRACE, Full, Sessions, UnknownSession

MODEL = stub_model(noise=2)
IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
ONE = MODEL.session(IMAGE).nbytes


class Clock:
    """Tells the time that the test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def begun(sessions):
    """A new session, taken in."""
    return sessions.add(MODEL.session(IMAGE.copy()))


def used(sessions, held):
    with sessions.using(held.name) as same:
        assert same is held


def test_a_session_is_there_until_it_is_deleted(clock):
    sessions = Sessions(1 << 20, 100, clock)
    held = begun(sessions)
    assert len(sessions) == 1 and sessions.nbytes == held.nbytes == ONE
    used(sessions, held)
    sessions.delete(held.name)
    assert held.gone and len(sessions) == 0 and sessions.nbytes == 0
    for ask in (sessions.delete, lambda name: sessions.using(name).__enter__()):
        with pytest.raises(UnknownSession, match=held.name):
            ask(held.name)


def test_names_cannot_be_guessed(clock):
    sessions = Sessions(1 << 30, 100, clock)
    names = {begun(sessions).name for _ in range(100)}
    assert len(names) == 100 and all(len(name) >= 20 for name in names)


def test_a_session_expires_when_nobody_uses_it(clock):
    sessions = Sessions(1 << 20, 100, clock)
    first, second = begun(sessions), begun(sessions)
    clock.now = 99
    assert sessions.expire() == 0
    used(sessions, first)
    clock.now = 100
    assert sessions.expire() == 1
    assert second.gone and not first.gone
    clock.now = 199
    assert sessions.expire() == 1 and len(sessions) == 0


def test_a_session_in_use_neither_expires_nor_makes_room(clock):
    sessions = Sessions(2 * ONE, 100, clock)
    held = begun(sessions)
    with sessions.using(held.name), sessions.using(held.name):
        clock.now = 10**6
        assert sessions.expire() == 0
        begun(sessions)
        with pytest.raises(Full):
            begun(sessions)
    assert sessions.expire() == 0  # it has been used until now
    clock.now += 100
    assert sessions.expire() == 2


def test_the_longest_unused_make_room(clock):
    sessions = Sessions(3 * ONE, 10**6, clock)
    first, second, third = (begun(sessions) for _ in range(3))
    clock.now = 1
    used(sessions, first)
    clock.now = GRACE + 1
    begun(sessions)
    assert [each.gone for each in (first, second, third)] == [False, True, False]
    begun(sessions)
    assert [each.gone for each in (first, second, third)] == [False, True, True]
    begun(sessions)
    assert first.gone and len(sessions) == 3


def test_who_was_busy_lately_stays_and_nobody_leaves_in_vain(clock):
    sessions = Sessions(3 * ONE, 10**6, clock)
    old, young = begun(sessions), begun(sessions)
    clock.now = GRACE
    used(sessions, young)
    with pytest.raises(Full, match=r"2 sessions hold 0 of 0 MiB; delete those that are done"):
        sessions.make_room(2 * ONE + 1)
    assert not old.gone and not young.gone
    sessions.make_room(2 * ONE)
    assert old.gone and not young.gone


def test_a_session_larger_than_all_memory(clock):
    sessions = Sessions(ONE - 1, 100, clock)
    with pytest.raises(Full):
        begun(sessions)
    assert len(sessions) == 0


def test_a_session_that_grew_counts_as_it_is(clock):
    sessions = Sessions(2 * ONE, 10**6, clock)
    held = begun(sessions)
    held.nbytes = 2 * ONE + 1
    with pytest.raises(Full):
        sessions.make_room(0)
    clock.now = GRACE
    sessions.make_room(0)
    assert held.gone


@given(st.lists(st.tuples(st.sampled_from(["add", "use", "delete", "wait", "expire"]), st.integers(0, 5))))
def test_the_account_is_right_whatever_happens(steps):
    clock = Clock()
    sessions, all_held = Sessions(4 * ONE, 2 * GRACE, clock), []
    for step, number in steps:
        chosen = all_held[number % len(all_held)] if all_held else None
        if step == "wait":
            clock.now += number * GRACE / 4
        elif step == "expire":
            sessions.expire()
        elif step == "add":
            try:
                all_held.append(begun(sessions))
            except Full:
                assert sum(clock.now - each.used < GRACE for each in all_held if not each.gone) == 4
        elif chosen and not chosen.gone:
            used(sessions, chosen) if step == "use" else sessions.delete(chosen.name)
        staying = [each for each in all_held if not each.gone]
        assert len(sessions) == len(staying) <= 4
        assert sessions.nbytes == len(staying) * ONE


# ------------------------------------------------------------ what a session holds


def reachable_bytes(session):
    """Every object that a session alone leads to, by the garbage collector and sys.getsizeof."""
    seen, found, total = set(), [session], 0
    shared = {id(session._networks), id(type(session))}
    while found:
        each = found.pop()
        if id(each) in seen or id(each) in shared or isinstance(each, type) or callable(each):
            continue
        seen.add(id(each))
        total += sys.getsizeof(each)
        if isinstance(each, np.ndarray) and each.base is not None:
            found.append(each.base)
        slots = [getattr(each, name) for name in getattr(type(each), "__slots__", ()) if hasattr(each, name)]
        found += [*gc.get_referents(each), *slots]
    return total


@pytest.mark.parametrize("steps", [0, 1, 30, 120])
def test_the_bytes_of_a_session_are_those_that_it_leads_to(steps):
    rng = np.random.default_rng(steps)
    session = MODEL.session(np.ascontiguousarray(rng.integers(0, 256, (300, 400, 3), np.uint8)), merge="always")
    for number in range(steps):
        x, y = rng.integers(0, 400), rng.integers(0, 300)
        session.click(int(x), int(y), bool(rng.integers(0, 2)))
        if number % 7 == 0:
            session.undo()
        if number % 11 == 0:
            session.accept_all()
        if number % 50 == 0:
            session.set_mask(rng.random((300, 400)) < 0.5)
    held = session.nbytes
    truth = reachable_bytes(session)
    assert 0.9 * truth <= held <= 1.15 * truth
    session.mask  # noqa: B018
    assert session.nbytes == held + 300 * 400
