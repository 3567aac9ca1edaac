"""The objects of one image, and the COCO JSON that the disk holds of them.

COCO's annotations are the objects that have a pixel: whole masks as compressed RLE, which may overlap. What COCO has no
place for (colours, objects still without a pixel, the id map that belongs to the file) lies under the one key
``focalrt``. Polygons and uncompressed RLE of other programs' files are read too.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ... import checks, masks
from ...errors import AnnotationError, ArgumentTypeError, ArgumentValueError
from ...runs import Runs

EXTRA = "focalrt"
FORMAT = 1
MOST_OBJECTS = 1000
LARGEST_ID = 2**16 - 1  # of an id map of 16 bits
LONGEST_NAME = 100
DEFAULT_NAME = "object"
COLOUR = re.compile(r"#[0-9a-f]{6}")
COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45", "#ffe119", "#469990")


class Annotation(NamedTuple):
    """One object. id: also its value in the id map, 1 to 65535. colour: ``#rrggbb``. runs: its pixels, maybe none."""

    id: int
    name: str
    colour: str
    runs: Runs


Annotations = Mapping[int, Annotation]


def check_name(name: Any) -> str:
    """A name for an object. Raises ArgumentTypeError, ArgumentValueError."""
    if not isinstance(name, str):
        raise ArgumentTypeError(f"name: expected a string; got {checks.told(name)}")
    if not name.strip() or name != cleaned(name):
        raise ArgumentValueError(
            f"name: expected a line of 1 to {LONGEST_NAME} characters, not only spaces; got {checks.told(name)}"
        )
    return name


def check_colour(colour: Any) -> str:
    """A colour ``#rrggbb``, in lower case. Raises ArgumentTypeError, ArgumentValueError."""
    if not isinstance(colour, str):
        raise ArgumentTypeError(f"colour: expected a string #rrggbb; got {checks.told(colour)}")
    if not COLOUR.fullmatch(colour.lower()):
        raise ArgumentValueError(f"colour: expected #rrggbb, hexadecimal; got {checks.told(colour)}")
    return colour.lower()


def cleaned(name: str) -> str:
    """What of a foreign name can be an object's: one line of text, not too long."""
    return "".join(character for character in name if is_text(character))[:LONGEST_NAME]


def is_text(character: str) -> bool:
    """Whether a character can be part of a name: no control character, line break, or half of a pair."""
    return unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")


def fresh_ids(taken: Collection[int]) -> Iterator[int]:
    """Ids that are free: those above all others, so that new objects lie on top, and gaps once there are none."""
    top = max(taken, default=0)
    return (id for id in chain(range(top + 1, LARGEST_ID + 1), range(1, top)) if id not in taken)


def colour_of(number: int) -> str:
    """The colour that an object gets by its id."""
    return COLOURS[(number - 1) % len(COLOURS)]


def numbered(parts: Iterable[tuple[str, Runs]]) -> dict[int, Annotation]:
    """Names and pixels as objects 1, 2, ... in this order. Raises AnnotationError for more than 1000."""
    objects = {id: Annotation(id, name, colour_of(id), runs) for id, (name, runs) in enumerate(parts, 1)}
    if len(objects) > MOST_OBJECTS:
        raise AnnotationError(f"{len(objects)} objects in one image; at most {MOST_OBJECTS} are accepted")
    return objects


def id_map(objects: Annotations, height: int, width: int) -> NDArray[Any]:
    """The objects' ids as pixels, uint8 or uint16 (H, W); 0 is background, and higher ids lie above lower ones."""
    return masks.to_id_map({id: objects[id].runs for id in sorted(objects)}, height, width)


# ------------------------------------------------------------ to COCO


class Sheet(NamedTuple):
    """The objects of an image of that size, in pixels."""

    objects: Annotations
    height: int
    width: int

    @property
    def drawn(self) -> list[Annotation]:
        """Those that have a pixel, by their ids."""
        return [self.objects[id] for id in sorted(self.objects) if self.objects[id].runs]


def to_document(sheet: Sheet, file_name: str, **extra: Any) -> dict[str, Any]:
    """The COCO document of one image, in which annotations have the objects' ids. extra: more for ``focalrt``."""
    document = joined({file_name: sheet})
    for each, record in zip(sheet.drawn, document["annotations"], strict=True):
        record["id"] = each.id
    told = [{"id": each.id, "name": each.name, "colour": each.colour} for _, each in sorted(sheet.objects.items())]
    return {**document, EXTRA: {"format": FORMAT, "objects": told, **extra}}


def joined(sheets: Mapping[str, Sheet]) -> dict[str, Any]:
    """One COCO document of many images, by their file names; everything is numbered from 1."""
    names = sorted({each.name for sheet in sheets.values() for each in sheet.drawn})
    categories = {name: id for id, name in enumerate(names, 1)}
    images = [
        {"id": id, "file_name": file_name, "width": sheet.width, "height": sheet.height}
        for id, (file_name, sheet) in enumerate(sheets.items(), 1)
    ]
    annotations = [
        {
            "id": 0,
            "image_id": id,
            "category_id": categories[each.name],
            **masks.coco_annotation(each.runs, sheet.height, sheet.width),
        }
        for id, sheet in enumerate(sheets.values(), 1)
        for each in sheet.drawn
    ]
    for id, record in enumerate(annotations, 1):
        record["id"] = id
    return {
        "info": {"description": "Made by focalrt annotate"},
        "licenses": [],
        "images": images,
        "categories": [{"id": id, "name": name, "supercategory": ""} for name, id in categories.items()],
        "annotations": annotations,
    }


# ------------------------------------------------------------ from COCO


def parsed(content: bytes) -> dict[str, Any]:
    """A JSON object out of bytes. Raises AnnotationError."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise AnnotationError(f"expected COCO's JSON, with images and annotations; got {checks.told(document)}")
    return document


def is_own(document: Mapping[str, Any]) -> bool:
    """Whether this program wrote the document. Raises AnnotationError for one of a later format."""
    extra = document.get(EXTRA)
    if not isinstance(extra, dict):
        return False
    if extra.get("format") != FORMAT:
        raise AnnotationError(
            f"written in format {checks.told(extra.get('format'))}; this version of focalrt reads {FORMAT}"
        )
    return True


def from_document(
    document: Mapping[str, Any], file_name: str, height: int, width: int
) -> tuple[dict[int, Annotation], list[str]]:
    """The objects that a COCO document holds of the image of that name (a path, parted by /) and size; and why
    annotations of another program were left out, a sentence for each.

    Ids and colours are kept where this program wrote the document, and given anew otherwise. Raises AnnotationError
    where the document has no such image, or where what it says of it does not hold together; of another program's,
    where none of its annotations can be read.
    """
    found = named_records(document, file_name, height, width)
    parts, faults = [], []
    for name, record in found:
        try:
            parts.append((name, record_runs(record, height, width)))
        except AnnotationError as error:
            faults.append(str(error))
    own = is_own(document)
    if faults and (own or not parts):
        raise AnnotationError(faults[0])
    objects = numbered(parts)
    return (owned(document, [record for _, record in found], objects) if own else objects), faults


def named_records(
    document: Mapping[str, Any], file_name: str, height: int, width: int
) -> list[tuple[str, Mapping[str, Any]]]:
    """The annotations of an image of that size, each with the name of its category. Raises AnnotationError."""
    image = image_record(document, file_name)
    told_height, told_width = size_of(image)
    if (told_height, told_width) != (height, width):
        raise AnnotationError(
            f"made for an image of {told_width} x {told_height} pixels; {file_name} has {width} x {height}"
        )
    names = {str(record.get("id")): str(record.get("name")) for record in records(document, "categories")}
    found = [record for record in records(document, "annotations") if record.get("image_id") == image.get("id")]
    return [(cleaned(names.get(str(record.get("category_id")), "")) or DEFAULT_NAME, record) for record in found]


def owned(
    document: Mapping[str, Any], found: Sequence[Mapping[str, Any]], objects: Annotations
) -> dict[int, Annotation]:
    """The objects of an own document: with the ids and colours that it says, and those without a pixel."""
    runs: dict[int, Runs] = {}
    for record, each in zip(found, objects.values(), strict=True):
        id = record.get("id")
        if type(id) is not int or id in runs:
            raise AnnotationError(f"expected annotation ids that are integers, each once; got {checks.told(id)}")
        runs[id] = each.runs
    own: dict[int, Annotation] = {}
    for record in records(document[EXTRA], "objects"):
        id = record.get("id")
        if type(id) is not int or not 0 < id <= LARGEST_ID or id in own:
            raise AnnotationError(f"expected object ids from 1 to 65535, each once; got {checks.told(id)}")
        try:
            name, colour = check_name(record.get("name")), check_colour(record.get("colour"))
        except (ArgumentTypeError, ArgumentValueError) as error:
            raise AnnotationError(f"object {id}: {error}") from None
        own[id] = Annotation(id, name, colour, runs.pop(id, Runs.empty()))
    if runs or len(own) > MOST_OBJECTS:
        raise AnnotationError(f"annotations of unknown objects, or more than {MOST_OBJECTS} objects")
    return own


def image_record(document: Mapping[str, Any], file_name: str) -> Mapping[str, Any]:
    """What a COCO document says of an image: that of the same path, or else the only one of the same last name."""
    paths = [(str(record.get("file_name")).replace("\\", "/"), record) for record in records(document, "images")]
    same = [record for path, record in paths if path == file_name]
    alike = [record for path, record in paths if PurePosixPath(path).name == PurePosixPath(file_name).name]
    chosen = same or alike
    if len(chosen) != 1:
        raise AnnotationError(f"expected one image called {file_name}; {len(chosen)} of {len(paths)} are")
    return chosen[0]


def size_of(image: Mapping[str, Any]) -> tuple[int, int]:
    """(height, width) that a document tells of an image. Raises AnnotationError."""
    height, width = whole(image.get("height")), whole(image.get("width"))
    if height is None or width is None:
        told = ", ".join(checks.told(image.get(side)) for side in ("width", "height"))
        raise AnnotationError(f"expected the image's width and height; got {told}")
    return height, width


def whole(number: Any) -> int | None:
    """An integer, or a float that is whole, as some programs write it; None for anything else."""
    if type(number) is int or (type(number) is float and number.is_integer()):
        return int(number)
    return None


def records(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """A list of JSON objects. Raises AnnotationError."""
    listed = document.get(key)
    if not isinstance(listed, list) or not all(isinstance(record, dict) for record in listed):
        raise AnnotationError(f"expected a list of objects under {key!r}; got {checks.told(listed)}")
    return listed


def record_runs(record: Mapping[str, Any], height: int, width: int) -> Runs:
    """The pixels of COCO's annotation: RLE, compressed or not, or polygons. Raises AnnotationError."""
    segmentation = record.get("segmentation")
    try:
        if isinstance(segmentation, dict):
            if segmentation.get("size") != [height, width]:
                size = checks.told(segmentation.get("size"))
                raise AnnotationError(f"expected masks of size [{height}, {width}]; got {size}")
            return masks.from_coco(segmentation)
        if isinstance(segmentation, list):
            return masks.from_polygons(segmentation, height, width)
    except (ArgumentTypeError, ArgumentValueError) as error:
        raise AnnotationError(f"annotation {checks.told(record.get('id'))}: {error}") from None
    raise AnnotationError(f"expected RLE or polygons under 'segmentation'; got {checks.told(segmentation)}")


# ------------------------------------------------------------ two that wrote


def merged(base: Annotations, ours: Annotations, theirs: Annotations) -> dict[int, Annotation]:
    """Both sides' changes to what was common to them; nothing that either drew is lost.

    An object that only one side changed, made or deleted is as that side has it; deleted here and changed there, it
    stays. Where both changed it, theirs, which the disk holds, keeps the id, and ours becomes a new object.
    """
    both = dict(theirs)
    fresh = fresh_ids({*base, *ours, *theirs})
    for id in sorted({*base, *ours}):
        before, here, there = (side.get(id) for side in (base, ours, theirs))
        if here in (before, there):
            continue
        if there == before or there is None:
            if here is None:
                both.pop(id, None)
            else:
                both[id] = here
        elif here is not None:
            moved = here._replace(id=next(fresh))
            both[moved.id] = moved
    return both
