"""Photos and sessions kept between requests, for clients that send everything anew with every click."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, Click
from ..model import Model
from ..runs import Runs
from ..session import Session

MOST_BYTES = 512 << 20  # of photos and sessions together: a dozen photos of 12 megapixels
MOST_SESSIONS = 4  # on one photo: people who click on it in turn do not undo each other's clicks


class Beginning(NamedTuple):
    """What a session begins with.

    mask: the pixels to correct. view: of the first click. threshold: probability above which a pixel is object; None
    for the model's own.
    """

    mask: Runs = Runs.empty()
    view: Box | None = None
    threshold: float | None = None


class Photo:
    """A decoded photo and the latest sessions on it. For one thread at a time: whoever holds its lock."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        """image: RGB, uint8 (H, W, 3), which nobody changes any more."""
        self.image = image
        self.lock = Lock()
        self._sessions: list[tuple[Beginning, Session]] = []  # the latest last

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), in pixels."""
        height, width, _ = self.image.shape
        return height, width

    @property
    def histories(self) -> list[tuple[Click, ...]]:
        """The clicks of every session, in the order in which they were made."""
        return [session.clicks for _, session in self._sessions]

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels and of what the sessions hold beside them."""
        own = self.image.nbytes
        return own + sum(session.nbytes - own for _, session in self._sessions)

    def session(self, model: Model, beginning: Beginning, clicks: Sequence[Click]) -> Session:
        """The session that began so, after these clicks: the same as a new one that makes them one by one.

        Of the sessions that began so, the one that has most of the first clicks in common goes on: its other clicks are
        undone, which is exact. Where there is none, a new one begins.
        """
        session = self._take(beginning, clicks) or self._begin(model, beginning)
        self._sessions = [*self._sessions, (beginning, session)][-MOST_SESSIONS:]
        while len(session.clicks) > in_common(session.clicks, clicks):
            session.undo()
        for click in clicks[len(session.clicks) :]:
            session.click(*click, view=None if session.clicks else beginning.view)
        return session

    def _take(self, beginning: Beginning, clicks: Sequence[Click]) -> Session | None:
        """Takes the session that has most clicks in common out of the list; None where none has any."""
        common = [in_common(session.clicks, clicks) if began == beginning else 0 for began, session in self._sessions]
        most = max(common, default=0)
        return self._sessions.pop(common.index(most))[1] if most else None

    def _begin(self, model: Model, beginning: Beginning) -> Session:
        height, width = self.shape
        mask = beginning.mask.to_mask(Box(0, 0, width, height)) if beginning.mask else None
        if beginning.threshold is not None:
            model = model.at_threshold(beginning.threshold)
        return model.session(self.image, mask)


class Photos:
    """The photos clicked on last, each under a key, no more than a number of bytes; any threads may share them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """most_bytes: of photos and sessions together; the photo used last stays even where it alone has more."""
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._kept: OrderedDict[Hashable, Photo] = OrderedDict()
        self._sizes: dict[Hashable, int] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that are kept between requests."""
        return sum(self._sizes.values())

    @contextmanager
    def use(self, key: Hashable, decode: Callable[[], NDArray[np.uint8]]) -> Iterator[Photo]:
        """The photo under a key, for this thread alone until the block ends.

        decode: returns the pixels, RGB, uint8 (H, W, 3); called where the photo is not kept. What it raises, is raised.
        A photo that nobody has clicked on by the end of the block is not kept.
        """
        photo = self._kept.get(key) or Photo(decode())
        with photo.lock:
            try:
                yield photo
            finally:
                self._keep(key, photo)

    def _keep(self, key: Hashable, photo: Photo) -> None:
        """Keeps the photo as the latest, and drops those that were not used for longest."""
        with self._lock:
            if not photo.histories:
                return
            self._kept[key], self._sizes[key] = photo, photo.nbytes
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and self.nbytes > self._most_bytes:
                oldest, _ = self._kept.popitem(last=False)
                del self._sizes[oldest]


def in_common(some: Sequence[Click], others: Sequence[Click]) -> int:
    """How many clicks two lists begin with alike."""
    pairs = enumerate(zip(some, others))
    return next((at for at, (one, other) in pairs if one != other), min(len(some), len(others)))
