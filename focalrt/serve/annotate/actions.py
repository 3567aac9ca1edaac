"""What each request does: plain functions of the workbench, the names in the address, and the body.

They return what goes back as JSON, and run on the pool's threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ... import checks
from ...errors import ArgumentTypeError, ArgumentValueError
from ...session import Result
from ...upload import read_photo
from . import wire
from .annotations import check_colour, check_name
from .desk import Desk
from .photo import shown_as_it_is, to_png
from .sidecar import encoded
from .thing import Thing
from .workbench import Workbench

LONGEST_KEY = 64

Answer = dict[str, Any]


def open_image(bench: Workbench, name: str, body: bytes) -> Answer:
    """Opens an image, and takes in what other programs wrote beside it since."""
    wire.read_fields(body)
    bench.refresh(name)
    with bench.at(name) as desk:
        return sheet(desk)


def sheet(desk: Desk) -> Answer:
    """An image with its objects."""
    return {
        "name": desk.name,
        "photo": desk.stamp,
        "width": desk.width,
        "height": desk.height,
        "objects": [wire.described(desk.things[id]) for id in sorted(desk.things)],
        "created": dict(desk.created),
        "notices": desk.notices,
    }


def photo(bench: Workbench, name: str) -> tuple[bytes, str]:
    """A photo as a browser can show it, and its media type.

    Raises OSError, and ImageFileError for one that is too large or cannot be decoded.
    """
    content = read_photo(bench.project.photo(name))
    kind = shown_as_it_is(content)
    if kind is not None:
        return content, kind
    bench.refresh(name)  # what is open may be an older photo
    with bench.at(name) as desk:
        pixels = desk.photo
    return to_png(pixels), "image/png"


def id_map(bench: Workbench, name: str) -> bytes:
    """A PNG whose pixels are the objects' ids."""
    with bench.at(name) as desk:
        ids = desk.id_map()
    return encoded(ids)


def coco(bench: Workbench, name: str) -> Answer:
    """COCO's document of an image."""
    with bench.at(name) as desk:
        return desk.document()


def add_file(bench: Workbench, name: str, body: bytes) -> Answer:
    """Adds the objects of a COCO document, an id map or a mask; the notices are about the file."""
    with bench.at(name) as desk:
        told = desk.add_file(body)
        return {**sheet(desk), "notices": told}


def create(bench: Workbench, name: str, body: bytes) -> Answer:
    """A new object; asked for again by the same key, that which the key has made."""
    fields = wire.read_fields(body, optional=("key", "name", "colour"))
    key, (title, colour) = check_key(fields.get("key")), check_description(fields)
    with bench.at(name) as desk:
        return wire.described(desk.create(title, colour, key))


def describe(bench: Workbench, name: str, id: int, body: bytes) -> Answer:
    """Another name or colour for an object."""
    title, colour = check_description(wire.read_fields(body, optional=("name", "colour")))
    with bench.at(name) as desk:
        return wire.described(desk.describe(id, title, colour))


def delete(bench: Workbench, name: str, id: int, body: bytes) -> None:
    """Takes an object away."""
    with bench.at(name) as desk:
        desk.delete(id)


def restore(bench: Workbench, name: str, id: int, body: bytes) -> Answer:
    """Brings a deleted object back."""
    wire.read_fields(body)
    with bench.at(name) as desk:
        return wire.described(desk.restore(id))


def check_key(key: Any) -> str | None:
    """What a page's request for a new object is known by, if told. Raises ArgumentTypeError, ArgumentValueError."""
    if key is not None and not isinstance(key, str):
        raise ArgumentTypeError(f"key: expected a string, or null; got {checks.told(key)}")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise ArgumentValueError(f"key: expected 1 to {LONGEST_KEY} characters; got {len(key)}")
    return key


def check_description(fields: Answer) -> tuple[str | None, str | None]:
    """Name and colour, each of which may be missing. Raises ArgumentTypeError, ArgumentValueError."""
    title, colour = fields.get("name"), fields.get("colour")
    return (
        None if title is None else check_name(title),
        None if colour is None else check_colour(colour),
    )


# ------------------------------------------------------------ steps


def read_step(body: bytes, *required: str, optional: tuple[str, ...] = ()) -> Answer:
    """The fields of a step: those told, and the revision. Raises ArgumentTypeError, ArgumentValueError."""
    fields = wire.read_fields(body, "revision", *required, optional=optional)
    if type(fields["revision"]) is not int:
        raise ArgumentTypeError(f"revision: expected an integer; got {checks.told(fields['revision'])}")
    return fields


def click(bench: Workbench, name: str, id: int, body: bytes) -> Answer:
    """A click."""
    fields = read_step(body, "x", "y", "positive", optional=("view",))
    if not isinstance(fields["positive"], bool):
        raise ArgumentTypeError(f"positive: expected true or false; got {checks.told(fields['positive'])}")

    def act(thing: Thing) -> Result:
        return thing.click(fields["x"], fields["y"], fields["positive"], fields.get("view"))

    with bench.at(name) as desk:
        return wire.change(*desk.step(id, fields["revision"], act))


def paint(bench: Workbench, name: str, id: int, body: bytes) -> Answer:
    """A stroke of the brush, or of the eraser."""
    fields = read_step(body, "runs", "erase")
    erase = fields["erase"]
    if not isinstance(erase, bool):
        raise ArgumentTypeError(f"erase: expected true or false; got {checks.told(erase)}")
    with bench.at(name) as desk:
        stroke = wire.read_runs(fields["runs"], desk.height, desk.width)
        return wire.change(*desk.step(id, fields["revision"], lambda thing: thing.paint(stroke, erase)))


def accept(bench: Workbench, name: str, id: int, body: bytes) -> Answer:
    """Writes a withheld region, or all."""
    fields = read_step(body, "region")
    region = fields["region"]
    if region is not None and type(region) is not int:
        raise ArgumentTypeError(f"region: expected the number of a withheld region, or null; got {checks.told(region)}")
    with bench.at(name) as desk:
        return wire.change(*desk.step(id, fields["revision"], lambda thing: thing.accept(region)))


def travel(act: Callable[[Thing], None], bench: Workbench, name: str, id: int, body: bytes) -> Answer:
    """A step that needs nothing but the object: through its history, or back to its beginning."""
    fields = read_step(body)
    with bench.at(name) as desk:
        return wire.change(*desk.step(id, fields["revision"], act))


STEPS: Mapping[str, Callable[[Workbench, str, int, bytes], Answer]] = {
    "click": click,
    "paint": paint,
    "accept": accept,
    "undo": partial(travel, Thing.undo),
    "redo": partial(travel, Thing.redo),
    "reset": partial(travel, Thing.reset),
}
