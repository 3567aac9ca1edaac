"""Data sets, read where they lie, in the layouts that people have on disk.

    from focalrt.evaluation.datasets import open_dataset

    for sample in open_dataset("photos").samples:
        image, truth = sample.read()

:data:`LAYOUTS` lists the layouts; the function behind each tells the tree that it expects. Opening lists folders and
reads id maps; photos are read one by one, by :meth:`.Sample.read`. Needs the ``eval`` extra.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from ...checks import told
from ...errors import ArgumentTypeError, ArgumentValueError, DatasetError
from ..sample import Sample
from .coco import coco
from .davis import davis, davis585, davis_tree
from .found import Found
from .grabcut import berkeley, grabcut
from .imagenet_s import imagenet_s
from .plain import plain
from .sbd import sbd
from .voc import voc

__all__ = ["LAYOUTS", "LEAST_AREA", "Dataset", "Layout", "open_dataset"]

LEAST_AREA = 100  # pixels; a smaller object is no fair task, and a published protocol decides for itself


@dataclass(frozen=True)
class Dataset:
    """Samples, each with a name of its own, sorted by it.

    name: the folder's, for tables. layout: one of :data:`LAYOUTS`. left_out: how many objects were smaller than their
    layout's least area, and are no samples.
    """

    name: str
    layout: str
    samples: tuple[Sample, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Layout:
    """One way to lay out a data set.

    tree: what is expected, on a line. marks: patterns of paths that all have to be there, to tell layouts apart.
    read: finds the samples; its docstring draws the tree. least_area: smaller objects are left out, in pixels; 0 where
    the field has agreed on the samples. alone: ending of a file that is a data set by itself.
    """

    tree: str
    marks: tuple[str, ...]
    read: Callable[[Path], Iterable[Found]]
    least_area: int = 0
    alone: str | None = None

    def missing(self, root: Path) -> list[str]:
        """The marks that are not there; none where ``root`` can be read."""
        if root.is_file():
            return [] if root.suffix.lower() == self.alone else list(self.marks)
        return [mark for mark in self.marks if not any(root.glob(mark))]


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "plain": Layout(
            "name.jpg, name.png: an id map, 0 background, 255 ignored, every other value one object",
            ("[!.]*.[jJ][pP]*[gG]", "[!.]*.[pP][nN][gG]"),
            plain,
            LEAST_AREA,
        ),
        "grabcut": Layout(
            "data_GT/name.jpg, boundary_GT/name.bmp: 128 ignored, brighter the object",
            ("data_GT", "boundary_GT"),
            grabcut,
        ),
        "berkeley": Layout(
            "images/name.jpg, masks/name.png: 128 ignored, brighter the object",
            ("images", "masks"),
            berkeley,
        ),
        "davis": Layout(
            "img/name.jpg, gt/name.png: what is not black is the object (RITM's 345 frames of DAVIS; COCO-MVal)",
            ("img", "gt"),
            davis,
        ),
        "davis-tree": Layout(
            "JPEGImages/480p/<sequence>/<frame>.jpg, Annotations/480p/<sequence>/<frame>.png: DAVIS as released",
            ("JPEGImages/480p", "Annotations/480p"),
            davis_tree,
            LEAST_AREA,
        ),
        "davis585": Layout(
            "<sequence>/<frame>.jpg, objectN_<frame>.png, init_sp_objectN_<frame>.png, init_stm_objectN_<frame>.png",
            ("*/object*_*.png",),
            davis585,
        ),
        "sbd": Layout(
            "img/name.jpg, inst/name.mat, val.txt",
            ("img", "inst", "val.txt"),
            sbd,
        ),
        "voc": Layout(
            "JPEGImages/name.jpg, SegmentationObject/name.png, ImageSets/Segmentation/val.txt",
            ("JPEGImages", "SegmentationObject", "ImageSets/Segmentation/val.txt"),
            voc,
        ),
        "coco": Layout(
            "annotations/instances_<split>.json, <split>/name.jpg or images/name.jpg; or a JSON file by its own path",
            ("annotations/instances_*.json",),
            coco,
            LEAST_AREA,
            alone=".json",
        ),
        "imagenet-s": Layout(
            "validation/<class>/name.JPEG, validation-segmentation/<class>/name.png",
            ("validation", "validation-segmentation"),
            imagenet_s,
            LEAST_AREA,
        ),
    }
)


def open_dataset(path: str | os.PathLike[str], layout: str | None = None) -> Dataset:
    """The data set in a folder, or in a JSON file of COCO's form.

    layout: one of :data:`LAYOUTS`; None finds the one that fits. Raises DatasetError where none fits, or two, and where
    a file is missing or odd, naming it; ArgumentTypeError and ArgumentValueError where the arguments are no path and
    no layout; OSError where a file cannot be read.
    """
    root = check_path(path)
    name = detect(root) if layout is None else check_layout(root, layout)
    tree, least_area = LAYOUTS[name].tree, LAYOUTS[name].least_area
    found = sorted(LAYOUTS[name].read(root), key=lambda one: one.sample.name)
    if not found:
        raise DatasetError(f"{str(root)!r}, read as {name}, holds no object; expected {tree}")
    check_names(found)
    samples = tuple(one.sample for one in found if one.area is None or one.area >= least_area)
    if not samples:
        raise DatasetError(f"{str(root)!r}: all {len(found)} objects are smaller than {least_area} pixels")
    place = root.resolve()
    return Dataset(place.stem if place.is_file() else place.name, name, samples, len(found) - len(samples))


def check_names(found: Sequence[Found]) -> None:
    """Raises DatasetError where two samples, sorted by name, share one."""
    for (one, _), (other, _) in pairwise(found):
        if one.name == other.name:
            raise DatasetError(
                f"two samples are called {one.name!r}: of {str(one.photo)!r} and of {str(other.photo)!r}; rename one "
                "(all but letters, digits, '_', '-' and '.' counts as '_')"
            )


def check_path(path: object) -> Path:
    """A path where something lies."""
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentTypeError(f"path: expected a folder's path, a string or Path; got {told(path)}")
    root = Path(path)
    if not root.exists():
        raise DatasetError(f"no folder {str(root)!r}")
    return root


def detect(root: Path) -> str:
    """The layout of what lies there. Raises DatasetError where none fits, or two."""
    fitting = [name for name, layout in LAYOUTS.items() if not layout.missing(root)]
    if len(fitting) == 1:
        return fitting[0]
    looked_for = "\n".join(f"  {name}: {LAYOUTS[name].tree}" for name in fitting or LAYOUTS)
    raise DatasetError(
        f"{str(root)!r} fits {'several layouts' if fitting else 'no layout'}; say which it is, as in "
        f"layout={(fitting or ['plain'])[0]!r} (--layout on the command line). Looked for:\n{looked_for}"
    )


def check_layout(root: Path, layout: object) -> str:
    """The name of a layout that what lies there can be read as."""
    if not isinstance(layout, str):
        raise ArgumentTypeError(f"layout: expected a layout's name, or None; got {told(layout)}")
    if layout not in LAYOUTS:
        raise ArgumentValueError(f"layout: expected one of {', '.join(LAYOUTS)}; got {told(layout)}")
    missing = LAYOUTS[layout].missing(root)
    if missing:
        raise DatasetError(
            f"{str(root)!r} has no {', '.join(missing)}; the layout {layout} is\n  {LAYOUTS[layout].tree}"
        )
    return layout
