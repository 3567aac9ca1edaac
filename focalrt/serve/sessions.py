"""The sessions that a service holds: as many as memory is meant for, and no longer than somebody uses them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_urlsafe
from time import monotonic

from ..session import Session

GRACE = 300.0  # seconds without use after which a session makes room for another, where memory is short


class UnknownSession(Exception):
    """No session of that name: never begun, deleted, expired, or gone to make room."""

    def __init__(self, name: str) -> None:
        """See the class."""
        super().__init__(f"no session {name[:40]!r}; it may have been deleted, or expired unused: begin another")


class Full(Exception):
    """The memory that is meant for sessions is taken, by sessions in use."""

    def __init__(self, held: int, sessions: int, most_bytes: int) -> None:
        """held: bytes of all sessions. most_bytes: what they may have."""
        taken = f"{sessions} sessions hold {held >> 20} of {most_bytes >> 20} MiB"
        super().__init__(f"no memory for this: {taken}; delete those that are done, or come back later")


class Held:
    """A session under its name, and what the service knows of it.

    turn: held by the request whose turn it is. gone: deleted; whoever still waits for a turn is too late.
    """

    def __init__(self, session: Session, now: float) -> None:
        """``now``: seconds on the clock of the sessions."""
        self.name = token_urlsafe(16)
        self.session = session
        self.nbytes = session.nbytes
        self.used = now
        self.users = 0
        self.turn = asyncio.Lock()
        self.gone = False


class Sessions:
    """All sessions of a service, longest unused first. To be used from one event loop."""

    def __init__(self, most_bytes: int, idle: float, clock: Callable[[], float] = monotonic) -> None:
        """most_bytes: of all sessions together. idle: seconds without use after which one expires."""
        self.most_bytes, self.idle = most_bytes, idle
        self._clock = clock
        self._held: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def nbytes(self) -> int:
        """Bytes of all sessions."""
        return sum(held.nbytes for held in self._held.values())

    def add(self, session: Session) -> Held:
        """Takes a session in. Raises Full."""
        held = Held(session, self._clock())
        self.make_room(held.nbytes)
        self._held[held.name] = held
        return held

    @contextmanager
    def using(self, name: str) -> Iterator[Held]:
        """A session that stays at least until its user is done with it. Raises UnknownSession."""
        held = self._find(name)
        held.users += 1
        try:
            yield held
        finally:
            held.users -= 1
            self._touch(held)

    def delete(self, name: str) -> None:
        """Lets a session go, at once; who waits for it gets UnknownSession, as does this for a name that is none."""
        self._let_go(self._find(name))

    def expire(self) -> int:
        """Lets the sessions go that nobody has used for too long; tells how many."""
        return self._let_all_go(self._unused_for(self.idle))

    def make_room(self, nbytes: int) -> None:
        """Lets sessions go, longest unused first, until there is room for so many bytes more.

        Those used within the last minutes stay. Raises Full where the others are not enough, and lets none go.
        """
        excess = self.nbytes + nbytes - self.most_bytes
        leaving = []
        for held in self._unused_for(min(GRACE, self.idle)):
            if excess <= 0:
                break
            leaving.append(held)
            excess -= held.nbytes
        if excess > 0:
            raise Full(self.nbytes, len(self), self.most_bytes)
        self._let_all_go(leaving)

    def _find(self, name: str) -> Held:
        if name not in self._held:
            raise UnknownSession(name)
        return self._held[name]

    def _touch(self, held: Held) -> None:
        """Puts a session where the latest used are, unless it is gone."""
        held.used = self._clock()
        if not held.gone:
            self._held[held.name] = self._held.pop(held.name)

    def _unused_for(self, seconds: float) -> list[Held]:
        now = self._clock()
        return [held for held in self._held.values() if not held.users and now - held.used >= seconds]

    def _let_go(self, held: Held) -> None:
        held.gone = True
        del self._held[held.name]

    def _let_all_go(self, leaving: list[Held]) -> int:
        for held in leaving:
            self._let_go(held)
        return len(leaving)
