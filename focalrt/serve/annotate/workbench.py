"""The images that are open, as many as memory should hold, and their way to the disk."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from ...errors import ImageFileError
from ...model import Model
from .desk import Desk
from .project import Project
from .saver import Saver

MOST_PIXELS = 120_000_000  # of open photos together: ten of 12 megapixels, 360 MB


class Workbench:
    """Opens images when they are asked for, closes the least recently used once they are saved, and saves every change.

    Any thread may use it. An image decodes once; its objects' sessions share the pixels.
    """

    def __init__(self, project: Project, model: Model, *, most_pixels: int = MOST_PIXELS) -> None:
        """most_pixels: of open photos together; the one in use is open however large it is."""
        self.project, self.model = project, model
        self.saver = Saver()
        self._most_pixels = most_pixels
        self.errors: dict[str, str] = {}
        self._desks: OrderedDict[str, Desk] = OrderedDict()
        self._table = Lock()  # of the desks
        self._opening = Lock()  # photos decode one at a time, while those that are open are worked on

    @contextmanager
    def at(self, name: str) -> Iterator[Desk]:
        """An image, open, for this thread alone; what was done with it goes to the disk.

        Raises UnknownImageError, OSError, ImageFileError.
        """
        desk = self._locked(name)
        try:
            yield desk
        finally:
            if desk.dirty:
                self.saver.put(desk)
            desk.lock.release()

    def refresh(self, name: str) -> None:
        """Takes in what other programs did to an image that is open: another photo, or objects beside it.

        Raises OSError.
        """
        with self._table:
            desk = self._desks.get(name)
            if desk is not None and desk.outdated() and desk.close():  # else masks of the old photo are to be saved yet
                del self._desks[name]
                return
        if desk is not None:
            desk.refresh()

    def close(self) -> list[str]:
        """Writes what is left to write; returns why some of it could not be."""
        return self.saver.close()

    def _locked(self, name: str) -> Desk:
        while True:
            desk = self._used(name) or self._open(name)
            desk.lock.acquire()
            if not desk.closed:
                return desk
            desk.lock.release()

    def _used(self, name: str) -> Desk | None:
        """The image, if it is open, as the one used last."""
        with self._table:
            if name in self._desks:
                self._desks.move_to_end(name)
            return self._desks.get(name)

    def _open(self, name: str) -> Desk:
        with self._opening:
            desk = self._used(name)  # another thread may just have opened it
            if desk is None:
                desk = self._read(name)
                with self._table:
                    self._desks[name] = desk
                    self._make_room(desk)
        return desk

    def _read(self, name: str) -> Desk:
        photo = self.project.photo(name)
        try:
            desk = Desk(photo, self.project.folder, self.model)
        except (OSError, ImageFileError) as error:
            self.errors[name] = str(error)
            raise
        self.errors.pop(name, None)
        return desk

    def _make_room(self, wanted: Desk) -> None:
        """Closes saved images, the least recently used first, while there are too many pixels."""
        pixels = sum(desk.width * desk.height for desk in self._desks.values())
        for name, desk in list(self._desks.items()):
            if pixels > self._most_pixels and desk is not wanted and desk.close():
                pixels -= desk.width * desk.height
                del self._desks[name]
