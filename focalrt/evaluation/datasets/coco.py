"""Sets that come with COCO's JSON of instances (Lin et al., ECCV 2014): COCO, LVIS, and many people's own.

Gupta et al., "LVIS: A Dataset for Large Vocabulary Instance Segmentation", CVPR 2019.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ...checks import told
from ...errors import DatasetError
from ..sample import Sample, Truth
from .coco_shapes import Shape, read_shape
from .folders import files, parts_within
from .found import Found, sample_name
from .maps import MOST_PIXELS

KINDS = {int: "an integer", str: "text", list: "a list"}


@dataclass(frozen=True)
class Photo:
    """An entry of ``images``: the parts of its path, and its size in pixels."""

    parts: tuple[str, ...]
    height: int
    width: int

    @property
    def name(self) -> str:
        """Its path without the ending, as a sample's name."""
        return sample_name(*PurePath(*self.parts).with_suffix("").parts)


@dataclass(frozen=True)
class Annotation:
    """An entry of ``annotations``."""

    ident: int
    image: int
    category: int
    crowd: bool
    shape: Shape


def coco(path: Path) -> Iterator[Found]:
    """Every annotation that is no crowd, called as its photo, ``.`` and the annotation's id.

    ::

        annotations/instances_<split>.json    its polygons, and run lengths as lists or text
        <split>/name.jpg                      photos as ``file_name`` names them, in <split>/, images/<split>/, images/
                                              or beside annotations/; LVIS's as ``coco_url`` ends,
                                              train2017/name.jpg or val2017/name.jpg

    ``path`` is the folder, where it holds one such file or one of ``val``; or the JSON file itself, of any name.
    Crowds are no samples: those of an object's category are ignored where they are not the object, as COCO's
    evaluation ignores what a method finds in them.
    """
    source = path if path.is_file() else instances_file(path / "annotations")
    photos, annotations = read_instances(source)
    folders = photo_folders(source)
    crowds: dict[tuple[int, int], tuple[Shape, ...]] = {}
    for annotation in annotations:
        if annotation.crowd:
            of_category = annotation.image, annotation.category
            crowds[of_category] = crowds.get(of_category, ()) + (annotation.shape,)
    for annotation in annotations:
        if not annotation.crowd:
            photo, shape = photos[annotation.image], annotation.shape
            truth = partial(truth_of, shape, crowds.get((annotation.image, annotation.category), ()))
            sample = Sample(f"{photo.name}.{annotation.ident}", photo_file(folders, photo, source), truth)
            yield Found(sample, shape.area)


def truth_of(shape: Shape, crowds: Sequence[Shape]) -> Truth:
    """A shape is the object; the pixels of crowds that it leaves are ignored."""
    mask = shape.mask()
    truth = mask.astype(np.int8)
    for crowd in crowds:
        truth[crowd.mask() & ~mask] = -1
    return truth


# ------------------------------------------------------------ files


def instances_file(folder: Path) -> Path:
    """The JSON to read: the only one, or the only one of a validation split. Raises DatasetError, OSError."""
    found = [path for path in files(folder, (".json",)).values() if path.name.startswith("instances_")]
    chosen = found if len(found) == 1 else [path for path in found if "val" in path.name]
    if len(chosen) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise DatasetError(f"{str(folder)!r}: expected one instances_*.json; found {names}. Give the path of the file")
    return chosen[0]


def photo_folders(source: Path) -> list[Path]:
    """Where the photos of a JSON file may lie, the likeliest first."""
    base = source.parent.parent if source.parent.name == "annotations" else source.parent
    split = source.stem.removeprefix("instances_")
    return [base / split, base / "images" / split, base / "images", base]


def photo_file(folders: Sequence[Path], photo: Photo, source: Path) -> Path:
    """A photo's file, in the first folder that has it. Raises DatasetError where none has."""
    for path in (folder.joinpath(*photo.parts) for folder in folders):
        if path.is_file():
            return path
    places = ", ".join(repr(str(folder)) for folder in folders)
    raise DatasetError(f"{str(source)!r} names the photo {'/'.join(photo.parts)!r}; it is in none of {places}")


# ------------------------------------------------------------ JSON


def read_instances(source: Path) -> tuple[dict[int, Photo], list[Annotation]]:
    """Photos by their ids, and annotations. Raises DatasetError where anything is not as COCO has it, OSError."""
    content = source.read_bytes()
    try:
        return instances_of(read_json(content, source), source)
    except RecursionError as error:
        raise DatasetError(f"{str(source)!r}: expected lists and objects a few levels deep; they are deeper") from error


def read_json(content: bytes, source: Path) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise DatasetError(f"{str(source)!r} is not JSON: {error}") from error


def instances_of(instances: Any, source: Path) -> tuple[dict[int, Photo], list[Annotation]]:
    """The same out of what the file holds."""
    photos: dict[int, Photo] = {}
    for number, record in enumerate(entry(instances, "images", list, repr(str(source)))):
        where = f"{str(source)!r}, images[{number}]"
        ident = entry(record, "id", int, where)
        if ident in photos:
            raise DatasetError(f"{where}: expected an id of its own; {ident} is another's too")
        photos[ident] = read_photo(record, where, source)
    annotations = [
        read_annotation(record, photos, f"{str(source)!r}, annotations[{number}]")
        for number, record in enumerate(entry(instances, "annotations", list, repr(str(source))))
    ]
    return photos, annotations


def read_photo(record: Any, where: str, source: Path) -> Photo:
    """An entry of ``images``."""
    height, width = entry(record, "height", int, where), entry(record, "width", int, where)
    if min(height, width) < 1 or height * width > MOST_PIXELS:
        raise DatasetError(f"{where}: expected 1 to {MOST_PIXELS} pixels; got {told(width)} x {told(height)}")
    return Photo(parts_within(photo_name(record, where), source), height, width)


def photo_name(record: Mapping[str, Any], where: str) -> str:
    """``file_name``; LVIS has an address in its place, whose end is the split of COCO and the file in it."""
    if "file_name" not in record and "coco_url" in record:
        return "/".join(entry(record, "coco_url", str, where).split("/")[-2:])
    return entry(record, "file_name", str, where)  # type: ignore[no-any-return]


def read_annotation(record: Any, photos: Mapping[int, Photo], where: str) -> Annotation:
    """An entry of ``annotations``."""
    image = entry(record, "image_id", int, where)
    if image not in photos:
        raise DatasetError(f"{where}: expected 'image_id' to be the id of an image; got {told(image)}")
    crowd = record.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DatasetError(f"{where}: expected 'iscrowd' to be 0 or 1; got {told(crowd)}")
    return Annotation(
        ident=entry(record, "id", int, where),
        image=image,
        category=entry(record, "category_id", int, where),
        crowd=bool(crowd),
        shape=read_shape(record.get("segmentation"), photos[image].height, photos[image].width, where),
    )


def entry(record: Any, key: str, kind: type, where: str) -> Any:
    """What a JSON object holds under a key. Raises DatasetError where it is missing or of another kind."""
    value = record.get(key) if isinstance(record, dict) else None
    if type(value) is not kind:
        raise DatasetError(f"{where}: expected {KINDS[kind]} as {key!r}; got {told(value)}")
    return value
