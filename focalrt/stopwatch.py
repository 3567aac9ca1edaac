"""Milliseconds of each step of a click."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Starts when made; ``milliseconds`` holds one entry per lap, in order."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = perf_counter()

    def lap(self, step: str) -> None:
        """Books the time since the last lap on ``step``."""
        now = perf_counter()
        self.milliseconds[step] = 1000 * (now - self._last)
        self._last = now
