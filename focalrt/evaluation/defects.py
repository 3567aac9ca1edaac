"""Masks to be corrected, made from the truth by the law of DAVIS-585: superpixels added and removed.

FocalClick, section 4.1; SPEC section 6. Three things differ from the released script: the superpixels are those of
scikit-image, which stretches the colours of a photo to the full range first, where the script had fast_slic, with red
and blue swapped; ignored pixels are neither counted nor chosen; photos larger than those of DAVIS get their superpixels
at DAVIS's size.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from ..checks import check_image, told
from ..errors import ArgumentValueError, DatasetError
from ..extras import imported
from ..imagefile import write_image
from ..runs import Runs
from .metrics import iou
from .sample import Mask, Sample, Truth

Kind = Literal["boundary", "inside", "outside"]
KINDS: tuple[Kind, ...] = ("boundary", "inside", "outside")

COUNTS = (50, 100, 200, 300, 500, 700)  # of superpixels in the image
COMPACTNESS = 10.0
LONG_SIDE = 854  # of DAVIS's photos; at 320 superpixels come five times as fast, and are others: they share 58 % (IoU)
SQUARE, STEPS = np.ones((5, 5), np.uint8), 3  # how far the boundary band reaches to either side
LEAST = 5  # pixels; a smaller region gives way to the whole object
NAME = re.compile(r"[\w.-]+(/[\w.-]+)*")


@dataclass(frozen=True)
class Law:
    """Where defects fall, and how bad a mask should be.

    boundary, inside, outside: probabilities of the three regions. low, high: the IoU that is wanted. most: defects of
    one attempt. tries: attempts; what the last one gives is taken as it is. Raises ArgumentValueError.
    """

    boundary: float
    inside: float
    outside: float
    low: float = 0.75
    high: float = 0.85
    most: int = 10
    tries: int = 31  # the first and 30 fresh starts

    def __post_init__(self) -> None:
        if min(self.shares) < 0 or not isclose(sum(self.shares), 1):
            raise ArgumentValueError(f"law: expected three probabilities that add up to 1; got {self.shares}")
        if not 0 <= self.low <= self.high <= 1:
            raise ArgumentValueError(f"law: expected 0 <= low <= high <= 1; got {self.low} and {self.high}")
        if self.most < 1 or self.tries < 1:
            raise ArgumentValueError(f"law: expected at least one defect and one try; got {self.most} and {self.tries}")

    @property
    def shares(self) -> tuple[float, float, float]:
        """The probabilities in the order of ``KINDS``."""
        return self.boundary, self.inside, self.outside


RELEASED = Law(0.65, 0.25, 0.10)  # the script that made DAVIS-585; in the paper's text the last two change places


class Defect(NamedTuple):
    """One superpixel that went wrong.

    kind: the region that was drawn. x, y: the pixel that chose the superpixel; in that region, or in the object where
    the region has fewer than 5 pixels. added: whether the superpixel joined the mask, or left it. pixels: all of it.
    """

    kind: Kind
    x: int
    y: int
    added: bool
    pixels: Runs


class Defective(NamedTuple):
    """A mask to be corrected.

    mask: bool (H, W). iou: with the truth. defects: in order, from the truth to the mask. accepted: whether the IoU is
    the one wanted; where no attempt got there, the mask is that of the last.
    """

    mask: Mask
    iou: float
    defects: tuple[Defect, ...]
    accepted: bool


def sample_seed(seed: int, name: str) -> int:
    """The seed of one sample in a run that has a seed: the same in every process, on every machine."""
    return crc32(f"{seed} {name}".encode())


def corrupt(image: NDArray[np.uint8], truth: Truth, seed: int, law: Law = RELEASED) -> Defective:
    """A mask with defects: superpixels are added and removed until the IoU is the one wanted.

    An attempt that overshoots, or runs out of defects, starts again from the truth. Equal arguments give equal masks,
    as long as scikit-image and NumPy stay the same.

    image: RGB, uint8 (H, W, 3). truth: int8 (H, W): 1 object, 0 background, -1 ignored. seed: 0 or more.
    Raises ArgumentTypeError, ArgumentValueError; MissingExtraError.
    """
    image = check_image(image)
    if truth.shape != image.shape[:2] or not (truth == 1).any():
        raise ArgumentValueError(
            f"truth: expected the shape {image.shape[:2]} of the image and at least one object pixel (1); "
            f"got {told(truth)}"
        )
    superpixels, places, random = Superpixels(image), regions(truth), np.random.default_rng(seed)
    for _ in range(law.tries):
        found = attempt(truth, superpixels, places, random, law)
        if found.accepted:
            break
    return found


def regions(truth: Truth) -> dict[Kind, NDArray[np.intp]]:
    """The pixels that may choose a defect of each kind, as places in the flattened image.

    A band of 6 pixels to either side of the object's rim, what it leaves of the object, and what it leaves of the rest.
    """
    plane = (truth == 1).view(np.uint8)
    grown, core = (change(plane, SQUARE, iterations=STEPS) > 0 for change in (cv2.dilate, cv2.erode))
    planes = {"boundary": grown & ~core, "inside": core, "outside": ~grown}
    places = {kind: np.flatnonzero(planes[kind] & (truth >= 0)) for kind in KINDS}
    whole = np.flatnonzero(plane)
    return {kind: pixels if len(pixels) >= LEAST else whole for kind, pixels in places.items()}


def attempt(
    truth: Truth,
    superpixels: Superpixels,
    places: Mapping[Kind, NDArray[np.intp]],
    random: np.random.Generator,
    law: Law,
) -> Defective:
    """Adds defects to the truth until the IoU is not above the one wanted."""
    mask, reached = truth == 1, 1.0
    defects: list[Defect] = []
    while len(defects) < law.most and (not defects or reached > law.high):
        kind = KINDS[random.choice(len(KINDS), p=law.shares)]
        y, x = divmod(int(random.choice(places[kind])), truth.shape[1])
        pixels = superpixels.at(x, y, COUNTS[random.integers(len(COUNTS))])
        added = not mask[y, x]
        mask = mask | pixels if added else mask & ~pixels
        reached = iou(mask, truth)
        defects.append(Defect(kind, x, y, added, Runs.from_mask(pixels)))
    return Defective(mask, reached, tuple(defects), law.low <= reached <= law.high)


class Superpixels:
    """The superpixels of an image: SLIC in LAB (Achanta et al., TPAMI 2012), for each number of them when asked for."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        """image: RGB, uint8 (H, W, 3)."""
        height, width, _ = image.shape
        scale = min(1.0, LONG_SIDE / max(height, width))
        rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
        self._image = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
        self._rows = np.arange(height) * rows // height
        self._columns = np.arange(width) * columns // width
        self._labels: dict[int, NDArray[np.intp]] = {}

    def at(self, x: int, y: int, count: int) -> Mask:
        """The superpixel that holds a pixel, bool (H, W), of about ``count`` in the image."""
        if count not in self._labels:
            self._labels[count] = slic(self._image, count)
        labels = self._labels[count]
        same = labels == labels[self._rows[y], self._columns[x]]
        inside: Mask = same[np.ix_(self._rows, self._columns)]
        return inside


def slic(image: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """The number of every pixel's superpixel, (H, W)."""
    segmentation = imported("skimage.segmentation", "finding superpixels", "eval")
    labels: NDArray[np.intp] = segmentation.slic(image, count, COMPACTNESS, convert2lab=True, start_label=0)
    return labels


@dataclass(frozen=True)
class Distribution:
    """What many masks with defects have in common.

    kinds: defects of each kind. added: how many of them joined a mask, rather than left it. sizes: masks by their
    number of defects. ious: of every mask, in order. accepted: masks whose IoU is the one wanted.
    """

    kinds: Mapping[Kind, int]
    added: int
    sizes: Mapping[int, int]
    ious: tuple[float, ...]
    accepted: int

    @classmethod
    def of(cls, masks: Iterable[Defective]) -> Distribution:
        """Counts; each mask is looked at once and let go."""
        kinds: Counter[Kind] = Counter()
        sizes: Counter[int] = Counter()
        ious = []
        added = accepted = 0
        for mask in masks:
            kinds.update(defect.kind for defect in mask.defects)
            sizes[len(mask.defects)] += 1
            ious.append(mask.iou)
            added += sum(defect.added for defect in mask.defects)
            accepted += mask.accepted
        return cls({kind: kinds[kind] for kind in KINDS}, added, dict(sorted(sizes.items())), tuple(ious), accepted)

    def __str__(self) -> str:
        """A table in plain text."""
        masks, defects = len(self.ious), sum(self.kinds.values())
        if not masks:
            return "no masks"
        edges = np.arange(21) / 20
        spread, _ = np.histogram(self.ious, edges)
        lines = [
            f"{masks} masks, {defects} defects",
            f"IoU: mean {np.mean(self.ious):.3f}, lowest {min(self.ious):.3f}, highest {max(self.ious):.3f}",
            *table("IoU", {f"{low:.2f} to {low + 0.05:.2f}": int(n) for low, n in zip(edges, spread) if n}, masks),
            *table("wanted IoU", {"reached": self.accepted, "not reached": masks - self.accepted}, masks),
            *table("defects in a mask", {str(size): count for size, count in self.sizes.items()}, masks),
            *table("where", self.kinds, defects),
            *table("what", {"added": self.added, "removed": defects - self.added}, defects),
        ]
        return "\n".join(lines)


def table(title: str, counts: Mapping[Any, int], total: int) -> list[str]:
    """A title, and a line with number and share for each entry."""
    return [title, *(f"  {name:<14}{count:>8}{count / total:>9.1%}" for name, count in counts.items())]


def write_masks(samples: Iterable[Sample], folder: Path, seed: int, law: Law = RELEASED) -> Distribution:
    """Writes ``folder/name.png``, 0 and 255, with defects for every sample; a ``/`` in a name makes a folder.

    Each file appears whole or not at all; what stops the work leaves those that are done. Raises DatasetError where a
    sample cannot be read or its name leads out of the folder, ImageFileError, OSError, MissingExtraError.
    """
    return Distribution.of(written(samples, folder, seed, law))


def written(samples: Iterable[Sample], folder: Path, seed: int, law: Law) -> Iterator[Defective]:
    """The masks, each after its file is there."""
    for sample in samples:
        target = place(folder, sample.name)
        image, truth = sample.read()
        found = corrupt(image, truth, sample_seed(seed, sample.name), law)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_image(target, found.mask.astype(np.uint8) * 255)
        yield found


def place(folder: Path, name: str) -> Path:
    """The file of a sample, inside the folder whatever the name. Raises DatasetError."""
    parts = name.split("/")
    if not NAME.fullmatch(name) or {".", ".."} & set(parts):
        raise DatasetError(f"sample {name!r}: expected a name of letters, digits, _ - . and / between them")
    return folder.joinpath(*parts[:-1], f"{parts[-1]}.png")
