"""DAVIS in its three forms: RITM's 345 frames, the trees as released, and DAVIS-585 with its masks to correct.

Perazzi et al., CVPR 2016; Pont-Tuset et al., arXiv 1704.00675; DAVIS-585: Chen et al., CVPR 2022.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from ...errors import DatasetError
from ..sample import Mask, Sample, Truth
from .folders import files, listed_names, pairs, parts_within, subfolders
from .found import Found, each_object, sample_name
from .maps import areas_of, object_in, read_ids, read_mask_colours

OBJECT = 128  # a mask's pixels brighter than this are the object
VOID = 255
LISTS = ("ImageSets/2017/val.txt", "ImageSets/2016/val.txt", "ImageSets/480p/val.txt")
TRUTH = ""  # the kind of mask that is the truth, beside kinds like "sp"
MASK_NAME = re.compile(r"(init_(?P<kind>[A-Za-z0-9]+)_)?(?P<object>object[0-9]+_(?P<frame>[^_]+))")


def davis(root: Path) -> Iterator[Found]:
    """One sample a frame, called as the frame: RITM's 345 frames, and COCO-MVal, which has the same folders.

    ::

        img/name.jpg    a photo (or .jpeg, .png, .bmp)
        gt/name.png     its mask (or .bmp, .jpg, .jpeg): what is not black is the object

    COCO-MVal's released reader takes what is brighter than 128; for its masks, of 0 and 255, that is the same.
    """
    for name, photo, mask in pairs(root / "img", root / "gt"):
        yield Found(Sample(sample_name(name), photo, partial(not_black, mask)))


def davis_tree(root: Path) -> Iterator[Found]:
    """Every object of every frame, called ``sequence/frame.id``.

    ::

        JPEGImages/480p/<sequence>/<frame>.jpg
        Annotations/480p/<sequence>/<frame>.png    the palette's indices (2017) or grey values (2016) are the ids
        ImageSets/2017/val.txt                     names of sequences; or ImageSets/2016/val.txt, or
                                                   ImageSets/480p/val.txt, which names photos and masks

    All frames of the sequences in the first of these lists that is there; all sequences where there is none. 255 is the
    object where it is the only id (2016), else ignored (2017).
    """
    photos, maps = root / "JPEGImages" / "480p", root / "Annotations" / "480p"
    for sequence in sequences(root, maps):
        for frame, photo, path in pairs(photos / sequence, maps / sequence, (".jpg", ".jpeg"), (".png",)):
            areas = areas_of(read_ids(path))
            ignored = VOID if len(areas) > 1 and areas.pop(VOID, 0) else None
            truth = partial(object_in, path, ignored)
            yield from each_object(sample_name(sequence, frame), photo, areas, truth)


def sequences(root: Path, maps: Path) -> list[str]:
    """The sequences to read, sorted: those of a validation list, or all that have id maps."""
    for source in (root / name for name in LISTS):
        if source.is_file():
            return sorted({listed_sequence(line, source, maps) for line in listed_names(source)})
    return subfolders(maps)


def listed_sequence(line: str, source: Path, maps: Path) -> str:
    """The sequence on a line of a list: the line itself, or a photo's folder (``/JPEGImages/480p/bear/0.jpg ...``)."""
    parts = parts_within(line.split()[0].lstrip("/"), source)
    sequence = parts[0] if len(parts) == 1 else parts[-2]
    if not (maps / sequence).is_dir():
        raise DatasetError(f"no folder {str(maps / sequence)!r}, and {str(source)!r} names it")
    return sequence


def davis585(root: Path) -> Iterator[Found]:
    """One sample a mask, called ``sequence/objectN_frame``, with the masks to correct by kind.

    ::

        <sequence>/<frame>.jpg
        <sequence>/objectN_<frame>.png             the truth; in all masks, what is brighter than 128 is the object
        <sequence>/init_sp_objectN_<frame>.png     a mask to correct: superpixel defects
        <sequence>/init_stm_objectN_<frame>.png    a mask to correct: a video network's

    Kinds other than ``sp`` and ``stm``, or none, are taken too; but every sample needs the kinds that another has.
    """
    masks = masks_by_object(root)
    kinds = sorted(set().union(*masks.values()) - {TRUTH})
    for (sequence, name, frame), paths in masks.items():
        for kind in (TRUTH, *kinds):
            if kind not in paths:
                missing = root / sequence / (f"init_{kind}_{name}.png" if kind else f"{name}.png")
                raise DatasetError(f"no file {str(missing)!r}; expected masks of the same kinds for every object")
        photo = root / sequence / f"{frame}.jpg"
        if not photo.is_file():
            raise DatasetError(f"no photo {str(photo)!r} for {str(paths[TRUTH])!r}")
        to_correct = {kind: partial(bright, paths[kind]) for kind in kinds}
        yield Found(Sample(sample_name(sequence, name), photo, partial(bright_truth, paths[TRUTH]), to_correct))


def masks_by_object(root: Path) -> dict[tuple[str, str, str], dict[str, Path]]:
    """DAVIS-585's masks by kind, for every (sequence, objectN_frame, frame)."""
    masks: dict[tuple[str, str, str], dict[str, Path]] = {}
    for sequence in subfolders(root):
        for name, path in files(root / sequence, (".png",)).items():
            match = MASK_NAME.fullmatch(name)
            if match is None:
                raise DatasetError(f"{str(path)!r}: expected a name like object1_00000 or init_sp_object1_00000")
            of_object = masks.setdefault((sequence, match["object"], match["frame"]), {})
            of_object[match["kind"] or TRUTH] = path
    return masks


def not_black(path: Path) -> Truth:
    """What has a channel above 0 is the object: the masks of several objects are coloured, each in its own."""
    truth: Truth = (read_mask_colours(path).max(2) > 0).astype(np.int8)
    return truth


def bright(path: Path) -> Mask:
    """What is brighter than 128, bool (H, W); of colours, the blue channel counts, as in the released reader."""
    mask: Mask = read_mask_colours(path)[..., 2] > OBJECT
    return mask


def bright_truth(path: Path) -> Truth:
    """The same as a truth without ignored pixels."""
    return bright(path).astype(np.int8)
