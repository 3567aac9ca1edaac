"""A model at work for many: its sessions, its threads, its counts, and what it takes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from threading import Event
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.types import Receive

from .. import upload
from ..model import Model
from .metrics import Metrics
from .pool import Pool
from .refusal import Refusal
from .sessions import Held, Sessions, UnknownSession

T = TypeVar("T")

LONGEST_NAP = 60.0  # seconds between two looks for sessions that have expired


@dataclass(frozen=True)
class Limits:
    """What the service takes on.

    workers: jobs at a time, each on a thread. queue: jobs that may wait; beyond, requests are refused. session_bytes:
    memory of all sessions. idle: seconds without use after which a session is gone. upload_bytes: of one request.
    pixels: of one photo.
    """

    workers: int = 2
    queue: int = 32
    session_bytes: int = 1 << 30
    idle: float = 1800.0
    upload_bytes: int = upload.MOST_BYTES
    pixels: int = upload.MOST_PIXELS


class Service:
    """What all requests share."""

    def __init__(self, model: Model, limits: Limits) -> None:
        """``model``: shared by all sessions."""
        self.model, self.limits = model, limits
        self.pool = Pool(limits.workers, limits.queue)
        self.sessions = Sessions(limits.session_bytes, limits.idle)
        self.metrics = Metrics(self.pool, self.sessions)

    async def expire(self) -> None:
        """Lets unused sessions go, for ever."""
        while True:
            await asyncio.sleep(min(self.limits.idle / 4, LONGEST_NAP))
            self.sessions.expire()

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """From the first request to the last."""
        expiring = asyncio.create_task(self.expire())
        yield
        expiring.cancel()
        with suppress(asyncio.CancelledError):
            await expiring
        self.pool.close()


class Errand:
    """What the service does for one request, unless the client closes the connection before it begins."""

    def __init__(self, service: Service) -> None:
        """``service``: shared with all other requests."""
        self._service = service
        self._gone = Event()

    async def watch(self, receive: Receive) -> None:
        """Returns when the client has gone. receive: of the request; what is left of its body is passed over."""
        with suppress(Refusal):  # of a body too large or too slow, which the guard answers
            while (await receive())["type"] != "http.disconnect":
                pass
        self._gone.set()

    @property
    def wanted(self) -> bool:
        """Whether the client still waits."""
        return not self._gone.is_set()

    async def run(
        self, function: Callable[..., T], *arguments: Any, turn: AbstractAsyncContextManager[Any] | None = None
    ) -> T:
        """Runs a function on the pool (see :meth:`.pool.Pool.run`). Raises Busy, Unwanted."""
        return await self._service.pool.run(function, *arguments, turn=turn, gone=self._gone)

    async def on_session(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        """Runs a function of a session, one at a time of each. Raises UnknownSession, Busy, Unwanted."""
        with self._service.sessions.using(name) as held:
            return await self.run(on_held, held, function, *arguments, turn=held.turn)

    async def on_growing_session(self, name: str, function: Callable[..., T], *arguments: Any) -> T:
        """The same for what adds to the session's memory. Raises Full, too."""
        with self._service.sessions.using(name):
            self._service.sessions.make_room(0)
            return await self.on_session(name, function, *arguments)


def on_held(held: Held, function: Callable[..., T], *arguments: Any) -> T:
    """Runs a function of a session whose turn has come, and keeps the account of its memory."""
    if held.gone:
        raise UnknownSession(held.name)
    try:
        return function(held.session, *arguments)
    finally:
        held.nbytes = held.session.nbytes
