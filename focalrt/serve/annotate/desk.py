"""One open image: its photo, its objects with their sessions, what was deleted, and whether all is on the disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from ...errors import AnnotationError, ArgumentValueError, FocalrtError, ImageFileError
from ...model import Model
from ...runs import Runs
from ...session import Result
from ...upload import decode_photo, read_photo
from .annotations import (
    DEFAULT_NAME,
    MOST_OBJECTS,
    Annotation,
    Annotations,
    Sheet,
    colour_of,
    fresh_ids,
    id_map,
    merged,
    to_document,
)
from .foreign import read_foreign
from .found import COPIED, found_beside, left_out
from .sidecar import Sidecar, read_beside
from .thing import Thing
from .wire import described


class UnknownObjectError(FocalrtError, LookupError):
    """The image has no object of that number, or no longer."""


class StaleError(FocalrtError):
    """A page that shows an older state of an object asks for a change of it. described: the page's Object, now."""

    def __init__(self, thing: Thing) -> None:
        """``thing``: the object."""
        super().__init__(f"{thing.name!r} was changed elsewhere, in another tab or program; this is how it is now")
        self.described = described(thing)  # here, while nobody else can change it


class Desk:
    """An image that is open. Its methods but ``save`` are for the thread that holds its ``lock``.

    closed: nothing may be done with it any more; the workbench opens the image anew.
    """

    def __init__(self, photo: Path, root: Path, model: Model) -> None:
        """Reads the photo and what lies beside it. root: the folder that is annotated.

        Raises OSError, ImageFileError.
        """
        self.lock = Lock()
        self.closed = False
        self.name = photo.relative_to(root).as_posix()
        self.stamp = stamp_of(photo)
        self.photo = decode_photo(read_photo(photo))
        self.height, self.width, _ = self.photo.shape
        self.things: dict[int, Thing] = {}
        self.created: dict[str, int] = {}  # a page's key of a request for an object -> the id that it got
        self.notices: list[str] = []
        self._model = model
        self._sidecar = Sidecar(photo, self.height, self.width)
        self._saving = Lock()
        self._version = self._saved = 0
        self._deleted: dict[int, Thing] = {}
        self._take(self._read(root))

    def _read(self, root: Path) -> Annotations:
        """The objects on the disk: this program's, or else those of the first file of another that has any."""
        try:
            objects = self._sidecar.load()
        except (OSError, AnnotationError):  # told by found_beside, which looks at the same file
            objects = None
        if objects is None:
            objects, self.notices = found_beside(self._sidecar.photo, root, self.height, self.width)
        elif self._sidecar.behind():
            self._version += 1
        return objects

    # ------------------------------------------------------------ what there is

    @property
    def dirty(self) -> bool:
        """Whether something of it is not on the disk."""
        return self._saved != self._version

    @property
    def objects(self) -> Annotations:
        """What should be on the disk."""
        return {id: thing.annotation for id, thing in self.things.items()}

    def thing(self, id: int) -> Thing:
        """An object by its number. Raises UnknownObjectError."""
        if id not in self.things:
            raise UnknownObjectError(f"{self.name} has no object {id}; it may have been deleted in another tab")
        return self.things[id]

    def document(self) -> dict[str, Any]:
        """COCO's document of it."""
        return to_document(Sheet(self.objects, self.height, self.width), self.name)

    def id_map(self) -> NDArray[Any]:
        """Its objects' ids as pixels, uint8 or uint16 (H, W)."""
        return id_map(self.objects, self.height, self.width)

    # ------------------------------------------------------------ what one can do

    def step(self, id: int, revision: Any, act: Callable[[Thing], Result | None]) -> tuple[Thing, Runs, Result | None]:
        """Changes the mask of an object; returns it, the inverted pixels, and what ``act`` returned.

        revision: of the object as the asking page shows it. Raises UnknownObjectError, StaleError, and what ``act``
        raises; then nothing has changed.
        """
        thing = self.thing(id)
        if revision != thing.revision:
            raise StaleError(thing)
        before = thing.runs
        result = act(thing)
        inverted = before ^ thing.runs
        self._version += bool(inverted)
        return thing, inverted, result

    def create(self, name: str | None, colour: str | None, key: str | None = None) -> Thing:
        """A new object without a pixel, once for each key: a page asks again where it missed the answer.

        Raises ArgumentValueError where there are too many, UnknownObjectError where the key's was deleted since.
        """
        if key in self.created:
            return self.thing(self.created[key])
        (id,) = self._fresh(1)
        if key is not None:
            self.created[key] = id
        return self._add(Annotation(id, name or DEFAULT_NAME, colour or colour_of(id), Runs.empty()))

    def describe(self, id: int, name: str | None, colour: str | None) -> Thing:
        """Gives an object another name or colour, where told. Raises UnknownObjectError."""
        thing = self.thing(id)
        thing.name, thing.colour = name or thing.name, colour or thing.colour
        self._version += 1
        return thing

    def delete(self, id: int) -> None:
        """Takes an object away, which ``restore`` brings back while the image is open. Raises UnknownObjectError."""
        self._deleted[id] = self.thing(id)
        del self.things[id]
        self._version += 1

    def restore(self, id: int) -> Thing:
        """Brings a deleted object back, with its history. Raises UnknownObjectError, ArgumentValueError."""
        if id not in self._deleted:
            raise UnknownObjectError(f"{self.name} has no deleted object {id}")
        (fresh,) = self._fresh(1)
        thing = self._deleted.pop(id)
        thing.id = fresh if id in self.things else id  # taken, where another program drew an object meanwhile
        self.things[thing.id] = thing
        self._version += 1
        return thing

    def add_file(self, content: bytes) -> list[str]:
        """Adds the objects of a COCO document, an id map or a mask; returns what to say of those that were left out.

        Raises as ``read_foreign``; ArgumentValueError.
        """
        objects, faults = read_foreign(content, self.name, self.height, self.width)
        for id, each in zip(self._fresh(len(objects)), objects.values(), strict=True):
            self._add(each._replace(id=id, colour=colour_of(id)))
        return left_out(faults)

    def _fresh(self, count: int) -> list[int]:
        """So many ids that no object has or had while the image was open. Raises ArgumentValueError."""
        if len(self.things) + count > MOST_OBJECTS:
            raise ArgumentValueError(
                f"objects: an image has at most {MOST_OBJECTS}; {len(self.things)} are there, and {count} would be more"
            )
        return list(islice(fresh_ids({*self.things, *self._deleted}), count))

    def _add(self, annotation: Annotation) -> Thing:
        thing = self.things[annotation.id] = Thing(annotation, self._model, self.photo)
        self._version += 1
        return thing

    # ------------------------------------------------------------ the disk

    def outdated(self) -> bool:
        """Whether the photo that is open is another than the one on the disk; not where that is gone."""
        return stamp_of(self._sidecar.photo) not in ("", self.stamp)

    def refresh(self) -> None:
        """Shows what another program wrote into the document beside the photo, and writes nothing itself.

        Where something is still to be saved, that takes theirs in. A document that cannot be read may be half written:
        then all stays as it is. Raises OSError.
        """
        with self._saving, self.lock:
            if self.closed or self.dirty or not self._sidecar.changed():
                return
            with suppress(AnnotationError, ArgumentValueError, ImageFileError):
                objects, self.notices = self._written()
                self._take(objects)

    def _written(self) -> tuple[Annotations, list[str]]:
        """The objects of the document that is there, whosever it is, and what to say of that.

        Raises OSError, and AnnotationError, ArgumentValueError or ImageFileError where it cannot be read.
        """
        try:
            objects = self._sidecar.load()
            return (self.objects, self.notices) if objects is None else (objects, [])  # None: gone again
        except AnnotationError:  # written by another program, at best
            document = self._sidecar.document
            objects, faults = read_foreign(read_beside(document) or b"", self.name, self.height, self.width)
            told = f"The objects come from {document.name}, which another program wrote. {COPIED}"
            return objects, [told, *left_out(faults)]

    def save(self) -> None:
        """Writes what it holds now, and takes in what another program wrote meanwhile; takes the lock when it needs it.

        Raises OSError.
        """
        with self._saving:
            with self.lock:
                version, written = self._version, self.objects
                if self.closed:
                    return
            there = self._sidecar.save(written)
            with self.lock:
                self._take(merged(written, self.objects, there))
                self._saved = version

    def close(self) -> bool:
        """Closes it, unless it is in use or has something that is not on the disk; tells whether it did."""
        if not self.lock.acquire(blocking=False):
            return False
        self.closed = not self.dirty
        self.lock.release()
        return self.closed

    def _take(self, objects: Annotations) -> None:
        """Makes these its objects; the history of those whose mask stays is kept."""
        before, self.things = self.things, {}
        for id, each in objects.items():
            if id in before and before[id].runs == each.runs:
                self.things[id] = before[id]
                self.things[id].name, self.things[id].colour = each.name, each.colour
            else:
                self.things[id] = Thing(each, self._model, self.photo)


def stamp_of(photo: Path) -> str:
    """What tells a file from one that replaced it, short of its content; "" where there is none."""
    try:
        status = photo.stat()
    except OSError:
        return ""
    return f"{status.st_mtime_ns}-{status.st_size}"
