"""What lies beside a photo: its COCO JSON, the id map made of it, and copies of what would have been overwritten.

``photo.jpg.coco.json`` is the truth. It is written before ``photo.jpg.ids.png``, and tells the digests of the id map
that belongs to it and of the one before, so that an id map left behind by a process that was killed in between is told
from one that another program changed. Each file appears whole or stays as it was. Whatever this program did not write
there itself is copied to ``NAME.kept-DIGEST`` before it is overwritten.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, NamedTuple

import cv2
from numpy.typing import NDArray

from ...errors import AnnotationError
from ...imagefile import write_whole
from .annotations import EXTRA, Annotations, Sheet, from_document, id_map, is_own, merged, parsed, to_document
from .lock import locked

DOCUMENT = ".coco.json"
ID_MAP = ".ids.png"
MASK = ".mask.png"  # what `focalrt segment` writes
MOST_BYTES = 256 << 20  # of a file that is read; what others left is told apart and copied however large it is
PIECE = 1 << 20  # bytes


class Seen(NamedTuple):
    """A document of this program, as it was last on the disk.

    digest: of the file; "" for none yet. objects: what it holds. id_map, before: digests of the id map that belongs to
    it, and of the one that was there before.
    """

    digest: str
    objects: Annotations
    id_map: str
    before: str


class Sidecar:
    """The files beside one photo. Its methods are for one thread at a time; other processes may write meanwhile."""

    def __init__(self, photo: Path, height: int, width: int) -> None:
        """height, width: of the photo, in pixels."""
        self.photo, self.height, self.width = photo, height, width
        self.document = beside(photo, DOCUMENT)
        self.id_map = beside(photo, ID_MAP)
        self._seen = Seen("", {}, "", "")
        self._looked = ""  # digest of the document as it was last read or written, whosever it is

    def load(self) -> Annotations | None:
        """The objects on the disk; None where there is no document.

        Raises OSError, and AnnotationError for a document that is damaged, or not of this program and image.
        """
        content = read_beside(self.document)
        if content is None:
            return None
        self._looked = digest(content)
        self._seen = self._read(content)
        return self._seen.objects

    def changed(self) -> bool:
        """Whether the document on the disk is not the one that was last read or written here. Raises OSError."""
        return digest_of(self.document) not in ("", self._looked)

    def behind(self) -> bool:
        """Whether the id map is older than the document, as a process leaves it that is killed between the two."""
        there = digest_of(self.id_map)
        return there != self._seen.id_map and there in ("", self._seen.before)

    def save(self, objects: Annotations) -> Annotations:
        """Writes the objects, and with them what another process wrote meanwhile; returns what the disk then holds.

        Raises OSError; each file then is as it was, or whole and new.
        """
        with locked(self.photo):
            base = self._seen.objects
            if digest_of(self.document) not in ("", self._seen.digest):
                self._seen = self._theirs()
            objects = merged(base, objects, self._seen.objects)
            if not self._seen.digest or objects != self._seen.objects or self.behind():
                self._write(objects)
        return objects

    def _theirs(self) -> Seen:
        """What another process wrote; where that cannot be read, a copy is kept, and nothing counts as changed."""
        try:
            return self._read(read_beside(self.document) or b"")
        except AnnotationError:
            keep(self.document)
            return self._seen._replace(digest="")

    def _read(self, content: bytes) -> Seen:
        document = parsed(content)
        if not is_own(document):
            raise AnnotationError("written by another program")
        objects, _ = from_document(document, self.photo.name, self.height, self.width)
        told = document[EXTRA].get("id_map")
        told = told if isinstance(told, dict) else {}
        return Seen(digest(content), objects, str(told.get("sha256", "")), str(told.get("before", "")))

    def _write(self, objects: Annotations) -> None:
        pixels = encoded(id_map(objects, self.height, self.width))
        before = digest_of(self.id_map)
        if before not in ("", self._seen.id_map, self._seen.before):
            keep(self.id_map)
        told = {"file": self.id_map.name, "sha256": digest(pixels), "before": before}
        document = to_document(Sheet(objects, self.height, self.width), self.photo.name, id_map=told)
        content = json.dumps(document).encode()
        write_whole(self.document, content)
        if before != digest(pixels):
            write_whole(self.id_map, pixels)
        self._looked = digest(content)
        self._seen = Seen(self._looked, objects, digest(pixels), before)


def beside(photo: Path, suffix: str) -> Path:
    """The file that belongs to a photo: its whole name, for two photos may differ in nothing but their endings."""
    return photo.with_name(photo.name + suffix)


def encoded(ids: NDArray[Any]) -> bytes:
    """An id map, uint8 or uint16 (H, W), as a PNG."""
    _, content = cv2.imencode(".png", ids)
    return content.tobytes()


def read_beside(path: Path) -> bytes | None:
    """A file's content; None where there is none. Raises OSError; AnnotationError for a link, or too many bytes."""
    if path.is_symlink():
        raise AnnotationError(f"{path.name} is a link, and links are not followed")
    if not path.exists():
        return None
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise AnnotationError(f"{path.name} is no file of at most {MOST_BYTES} bytes")
    return path.read_bytes()


def digest(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str:
    """That of a file; "" where there is none, and for a link, which is replaced and what it leads to left alone."""
    if path.is_symlink() or not path.is_file():
        return ""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        for piece in pieces(file):
            sha.update(piece)
    return sha.hexdigest()


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The content of an open file, of which memory never holds more than one piece."""
    return iter(lambda: file.read(PIECE), b"")


def keep(path: Path) -> None:
    """Copies a file, whole or not at all, to a name that tells what it holds; the same content twice makes one copy.

    Raises OSError.
    """
    part = path.with_name(f".kept.{token_hex(8)}")
    sha = hashlib.sha256()  # of what is copied: another program may be writing
    try:
        with path.open("rb") as file, part.open("xb") as copy:
            for piece in pieces(file):
                sha.update(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(part, path.with_name(f"{path.name}.kept-{sha.hexdigest()[:12]}"))
    except BaseException:
        part.unlink(missing_ok=True)
        raise
