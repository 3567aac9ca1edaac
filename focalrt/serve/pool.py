"""Blocking work on a few threads, with a queue that has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from math import ceil
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


class Pool:
    """Runs functions on ``workers`` threads while at most ``queue`` more wait. To be used from one event loop."""

    def __init__(self, workers: int, queue: int) -> None:
        """workers: at least 1. queue: jobs that may wait for a thread or for their turn, 0 or more."""
        self.workers, self.most = workers, workers + queue
        self.jobs = 0  # that run or wait
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="focalrt")
        self._usual = 0.0  # seconds that a job takes

    async def run(
        self, function: Callable[..., T], *arguments: Any, turn: AbstractAsyncContextManager[Any] | None = None
    ) -> T:
        """What the function returns or raises.

        turn: an asyncio.Lock, say, held from before the function begins until it has ended; whoever waits for it takes
        a place in the queue, but no thread. Cancelled, a job that waits is dropped; one that runs goes on to its end,
        in its place and its turn, because a thread cannot be stopped. Raises Busy where the queue is full.
        """
        if self.jobs >= self.most:
            raise Busy(self.retry_after)
        self.jobs += 1
        job = Job(function, arguments)
        try:
            result: T = await asyncio.shield(asyncio.ensure_future(self._in_turn(job, turn or nullcontext())))
        except asyncio.CancelledError:
            job.wanted = False
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
            self._usual += LATEST * (job.seconds - self._usual)


class Job:
    """A function, its arguments, and whether anybody still waits for what it returns."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """See the class."""
        self._function, self._arguments = function, arguments
        self.wanted = True
        self.seconds = 0.0

    def __call__(self) -> Any:
        """Runs it, unless nobody waits."""
        if not self.wanted:
            return None
        began = perf_counter()
        try:
            return self._function(*self._arguments)
        finally:
            self.seconds = perf_counter() - began
