"""Saving behind the response: one thread writes the newest state of whatever changed."""

from __future__ import annotations

import logging
from threading import Condition, Thread
from typing import Protocol

logger = logging.getLogger(__name__)

PAUSE = 1.0  # seconds until a failed attempt is repeated


class Saved(Protocol):
    """Something that can be written to the disk. Told apart by identity."""

    def save(self) -> None:
        """Writes the state of this moment; raises an error with a sentence where that fails."""


class Saver:
    """Writes each thing that was put in, once for any number of changes that come while it waits.

    What cannot be written stays and is tried again until it can, or until the end.
    """

    def __init__(self) -> None:
        self._waiting: dict[Saved, None] = {}
        self._writing: Saved | None = None
        self._closing = False
        self._errors: dict[Saved, str] = {}
        self._bell = Condition()
        self._thread = Thread(target=self._run, name="focalrt-saver", daemon=True)
        self._thread.start()

    def put(self, thing: Saved) -> None:
        """Has it written, soon."""
        with self._bell:
            self._waiting[thing] = None
            self._bell.notify_all()

    @property
    def pending(self) -> int:
        """How many things have changes that are not on the disk."""
        with self._bell:
            return self._count()

    @property
    def error(self) -> str | None:
        """Why something of this cannot be written at present."""
        with self._bell:
            return next(iter(self._errors.values()), None)

    def flush(self, seconds: float | None = None) -> bool:
        """Waits until everything put in so far is on the disk; False where that took too long."""
        with self._bell:
            return self._bell.wait_for(lambda: not self._count(), seconds)

    def close(self) -> list[str]:
        """Writes what is left, trying each once, and ends the thread; returns why some could not be written."""
        with self._bell:
            first, self._closing = not self._closing, True
            self._bell.notify_all()
        self._thread.join()
        for error in self._errors.values() if first else ():
            logger.error("not saved: %s", error)
        return list(self._errors.values())

    def _count(self) -> int:
        return len(self._waiting.keys() | ({self._writing} if self._writing is not None else set()))

    def _run(self) -> None:
        while self._take():
            assert self._writing is not None
            error = self._attempt(self._writing)
            with self._bell:
                self._done(self._writing, error)
                if error:
                    self._bell.wait_for(lambda: self._closing, PAUSE)

    def _take(self) -> bool:
        """Begins with the thing that has waited longest; False at the end."""
        with self._bell:
            self._bell.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return False
            self._writing = next(iter(self._waiting))
            del self._waiting[self._writing]
            return True

    def _attempt(self, thing: Saved) -> str:
        try:
            thing.save()
        except Exception as error:  # whatever it is, the thread must live to save the others, and this one later
            return f"{type(error).__name__}: {error}"
        return ""

    def _done(self, thing: Saved, error: str) -> None:
        self._writing = None
        self._errors.pop(thing, None)
        if error:
            self._errors[thing] = error
            if not self._closing:
                self._waiting[thing] = None
        self._bell.notify_all()
