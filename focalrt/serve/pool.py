"""Blocking work on a few threads, with a queue that has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from math import ceil
from threading import Event
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST_ADVICE = 60  # seconds after which to try again, at most
LATEST = 0.1  # the weight of the latest job in the usual time of one


class Busy(Exception):
    """Every thread is at work and the queue is full. ``retry_after``: seconds until there should be room."""

    def __init__(self, retry_after: int) -> None:
        """See the class."""
        super().__init__(f"too much to do at the moment; try again in {retry_after} s")
        self.retry_after = retry_after


class Unwanted(Exception):
    """Nobody waits any more for what a job would return."""

    def __init__(self) -> None:
        """See the class."""
        super().__init__("whoever asked has gone")


class Pool:
    """Runs functions on ``workers`` threads while at most ``queue`` more wait. To be used from one event loop."""

    def __init__(self, workers: int, queue: int) -> None:
        """workers: at least 1. queue: jobs that may wait for a thread or for their turn, 0 or more."""
        self.workers, self.most = workers, workers + queue
        self.jobs = 0  # that run or wait
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="focalrt")
        self._usual = 0.0  # seconds that a job takes

    async def run(
        self,
        function: Callable[..., T],
        *arguments: Any,
        turn: AbstractAsyncContextManager[Any] | None = None,
        gone: Event | None = None,
    ) -> T:
        """What the function returns or raises.

        turn: an asyncio.Lock, say, held from before the function begins until it has ended; whoever waits for it takes
        a place in the queue, but no thread. gone: set, by cancelling too, when nobody waits for the result any more. A
        job that waits then is dropped when it would have begun; one that runs goes on to its end, in its place and its
        turn, because a thread cannot be stopped. Raises Busy where the queue is full, Unwanted for what was dropped.
        """
        if self.jobs >= self.most:
            raise Busy(self.retry_after)
        self.jobs += 1
        gone = gone or Event()
        job = Job(function, arguments, gone)
        try:
            result: T = await asyncio.shield(asyncio.ensure_future(self._in_turn(job, turn or nullcontext())))
        except asyncio.CancelledError:
            gone.set()
            raise
        return result

    @property
    def retry_after(self) -> int:
        """Whole seconds in which the work at hand should be done, at least 1."""
        return min(max(ceil(self._usual * self.jobs / self.workers), 1), LONGEST_ADVICE)

    def close(self) -> None:
        """Waits for the jobs that run, and drops those that wait."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _in_turn(self, job: Job, turn: AbstractAsyncContextManager[Any]) -> Any:
        try:
            async with turn:
                return await asyncio.get_running_loop().run_in_executor(self._threads, job)
        finally:
            self.jobs -= 1
            if job.seconds:  # what was dropped says nothing about the others
                self._usual += LATEST * (job.seconds - self._usual)


class Job:
    """A function, its arguments, and whether anybody still waits for what it returns."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...], gone: Event) -> None:
        """gone: set once nobody waits."""
        self._function, self._arguments, self._gone = function, arguments, gone
        self.seconds = 0.0

    def __call__(self) -> Any:
        """Runs it. Raises Unwanted instead where nobody waits."""
        if self._gone.is_set():
            raise Unwanted
        began = perf_counter()
        try:
            return self._function(*self._arguments)
        finally:
            self.seconds = perf_counter() - began
