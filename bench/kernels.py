"""Microseconds of every kernel, beside the same written with OpenCV, SciPy or NumPy calls, and the bytes it must move.

    python bench/kernels.py [--size 4000x3000] [--object 1000] [--repeat 100] [--json FILE]

The data are those of one click: an ellipse of that many pixels across, a prediction whose edge wavers about it, and a
target box 1.4 times as large. The other way works on dense masks of that box, and on the planes that networks give.
Each pair is timed by turns in one process and the least time counts, so a busy machine disturbs both alike; data are
warm, unlike those of ``click.py``. Bytes: what any method must read and write once; GB/s: the rate at which focalrt
does. Each pair is first checked to give the same, up to the rounding of OpenCV's interpolation.
"""

import argparse
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import cv2
import numpy as np
import plain
from click import scene
from machine import keep, machine, table
from scipy import ndimage

from focalrt import taps
from focalrt.geometry import GRID, Box, expand
from focalrt.kernels.disks import draw_disks
from focalrt.merge import Regions
from focalrt.pipeline import EXPANSION, LEAST_SIDE, crop, roi_align
from focalrt.runs import Runs

APART = 0.01  # mean absolute difference of two results that count as the same
COLUMNS = ["focalrt us", "the other us", "times", "kB", "GB/s"]
EIGHT = np.ones((3, 3))


class Pair(NamedTuple):
    """One thing in two ways, without arguments, and the bytes that it must move."""

    name: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    moved: int


class Scene(NamedTuple):
    """What the kernels work on: dense arrays of the box, and the runs of the same."""

    image: np.ndarray
    mask: np.ndarray
    box: Box
    focus: Box
    logits: np.ndarray
    before: Runs
    after: Runs

    @property
    def dense(self):
        """Mask before and after, bool, of the box."""
        return self.before.to_mask(self.box), self.after.to_mask(self.box)


def prepare(size, extent):
    """The scene of ``click.py``, and logits whose edge wavers about the ellipse's, by 2 % of the box."""
    image, mask, _ = scene(size, extent)
    before, whole = Runs.from_mask(mask), Box(0, 0, *size)
    box = expand(before.box, EXPANSION, LEAST_SIDE, whole)
    signed = ndimage.distance_transform_edt(mask[box.slices]) - ndimage.distance_transform_edt(~mask[box.slices])
    rows, columns = np.ogrid[: box.height, : box.width]
    signed += 0.02 * box.width * np.sin(columns * (9 * np.pi / box.width)) * np.cos(rows * (9 * np.pi / box.height))
    logits = plain.resize((signed / 8).astype(np.float32), GRID, GRID)
    image.flags.writeable = False
    focus = Box(box.x0 + box.width // 2, box.y0 + box.height // 4, box.x1, box.y1 - box.height // 4)
    return Scene(image, mask, box, focus, logits, before, Runs.from_grid(logits, 0.0, box))


def resampling(data):
    """Photo, planes, mask and disks onto the networks' grids."""
    box, focus, pixels = data.box, data.focus, data.image[data.box.slices]
    context = np.random.default_rng(0).standard_normal((32, 32, 32)).astype(np.float32)
    before, _ = data.dense
    down, across = taps.align_corners(box.height, GRID), taps.align_corners(box.width, GRID)
    half_down, half_across = taps.halved(box.height, GRID // 2), taps.halved(box.width, GRID // 2)
    grid, point = taps.align_corners(GRID, GRID), np.array([[100.25, 120.5]])

    def mask_ours():
        out = np.zeros((GRID, GRID), np.float32)
        data.before.sample(box, down, across, out)
        return out

    def disk_ours():
        plane = np.zeros((GRID, GRID), np.float32)
        draw_disks(point, 5.0, *grid, plane)
        return plane

    def disk_theirs():
        rows, columns = np.ogrid[:GRID, :GRID]
        return ((rows - point[0, 0]) ** 2 + (columns - point[0, 1]) ** 2 <= 25).astype(np.float32)

    def photo_theirs():
        return plain.resize(pixels.astype(np.float32) / 255, GRID, GRID).transpose(2, 0, 1).copy()

    def halved_theirs():
        fine = plain.resize(pixels.astype(np.float32) / 255, GRID, GRID)
        return plain.resize(fine, GRID // 2, GRID // 2).transpose(2, 0, 1).copy()

    read = 3 * box.width * min(2 * GRID, box.height)
    return [
        Pair("photo at 256", lambda: crop(data.image, box, down, across), photo_theirs, read + 12 * GRID**2),
        Pair("photo at 128", lambda: crop(data.image, box, half_down, half_across), halved_theirs, read + 3 * GRID**2),
        Pair(
            "mask at 256",
            mask_ours,
            lambda: plain.resize(before.astype(np.float32), GRID, GRID),
            data.before.spans.nbytes + 4 * GRID**2,
        ),
        Pair(
            "RoIAlign of the context",
            lambda: roi_align(context, box, focus),
            lambda: plain.roi_align(context.transpose(1, 2, 0), box, focus).transpose(2, 0, 1).copy(),
            2 * context.nbytes,
        ),
        Pair(
            "RoIAlign of the logits",
            lambda: roi_align(data.logits[None], box, focus)[0],
            lambda: plain.roi_align(data.logits, box, focus),
            2 * data.logits.nbytes,
        ),
        Pair("a disk", disk_ours, disk_theirs, 4 * GRID**2),
    ]


def masks(data):
    """Sets of pixels: runs beside dense masks."""
    box, logits = data.box, data.logits
    before, after = data.dense
    difference, different = data.before ^ data.after, before ^ after
    row, column, _ = difference.spans[len(difference.spans) // 2].tolist()
    change = difference.component(row, column)
    changed, seed = change.to_mask(box), (row - box.y0, column - box.x0)
    half = data.after & Runs.rectangle(data.focus)
    left, top = data.focus.x0 - box.x0, data.focus.y0 - box.y0
    shown, shown_theirs = data.mask.copy(), data.mask.copy()

    def flip():
        change.flip(shown)
        return shown[box.slices]

    def flip_theirs():
        view = shown_theirs[box.slices]
        np.logical_xor(view, changed, out=view)
        return view

    def probable_theirs():
        return plain.resize(1 / (1 + np.exp(-logits)), box.width, box.height) > 0.5

    def component_theirs():
        _, labels = cv2.connectedComponents(different.view(np.uint8), connectivity=8)
        return labels == labels[seed]

    def paste_theirs():
        joined = before.copy()
        inside = slice(top, top + data.focus.height), slice(left, left + data.focus.width)
        joined[inside] = after[inside]
        return joined

    def regions_theirs():
        labels, count = ndimage.label(different, EIGHT)
        return np.sort(np.bincount(labels.ravel(), minlength=count + 1)[1:])[::-1]

    def runs_theirs():
        edges = np.diff(data.mask.view(np.int8), axis=1, prepend=np.int8(0), append=np.int8(0))
        (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
        return np.stack([rows, starts, ends], axis=1)

    spans, both = data.after.spans.nbytes, data.before.spans.nbytes + data.after.spans.nbytes
    return [
        Pair(
            "logits at full size",
            lambda: Runs.from_grid(logits, 0.0, box),
            lambda: plain.resize(logits, box.width, box.height) > 0,
            logits.nbytes + spans,
        ),
        Pair("probabilities at full size", lambda: Runs.from_logits(logits, 0.5, box), probable_theirs, logits.nbytes),
        Pair("XOR", lambda: data.before ^ data.after, lambda: before ^ after, both + difference.spans.nbytes),
        Pair("paste", lambda: data.before.paste(half, data.focus), paste_theirs, both + spans),
        Pair(
            "component of a pixel",
            lambda: difference.component(row, column),
            component_theirs,
            difference.spans.nbytes + change.spans.nbytes,
        ),
        Pair("areas of all components", lambda: [r.area for r in Regions(difference)], regions_theirs, both),
        Pair("box", lambda: data.after.box, lambda: box_theirs(after, box), spans),
        Pair("pixels inverted", flip, flip_theirs, change.spans.nbytes + 2 * change.area),
        Pair("runs of a mask", lambda: Runs.from_mask(data.mask).spans, runs_theirs, data.mask.nbytes),
    ]


def box_theirs(mask, box):
    """The smallest box of a dense mask that lies in a box."""
    x0, y0, x1, y1 = plain.bounding_box(mask)
    return x0 + box.x0, y0 + box.y0, x1 + box.x0, y1 + box.y0


def compare(pair, box, repeat):
    """The least microseconds of both, by turns, after a look at whether they give the same."""
    ours, theirs = pair.ours(), pair.theirs()
    if isinstance(ours, Runs):
        ours = ours.to_mask(box)
    apart = np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).mean()
    assert apart < APART, f"{pair.name}: the two ways differ by {apart:.3f} on average"
    least = [float("inf")] * 2
    for _ in range(repeat):
        for k, way in enumerate((pair.ours, pair.theirs)):
            began = perf_counter()
            way()
            least[k] = min(least[k], 1e6 * (perf_counter() - began))
    return least


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="4000x3000", help="of the photo, pixels")
    parser.add_argument("--object", type=int, default=1000, help="pixels across, at most 90 %% of the sides")
    parser.add_argument("--repeat", type=int, default=100)
    parser.add_argument("--json", metavar="FILE", help="also write everything measured here")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    data = prepare(tuple(map(int, args.size.split("x"))), args.object)
    print(f"{args.size}, object of {args.object} pixels, least of {args.repeat}; {machine()}")
    rows = {}
    for pair in resampling(data) + masks(data):
        ours, theirs = compare(pair, data.box, args.repeat)
        rows[pair.name] = [ours, theirs, theirs / ours, pair.moved / 1e3, pair.moved / ours / 1e3]
    lines = [[name, *(f"{number:.1f}" for number in numbers)] for name, numbers in rows.items()]
    print(table(lines, ["kernel", *COLUMNS]))
    keep(args.json, kernels={name: dict(zip(COLUMNS, numbers, strict=True)) for name, numbers in rows.items()})


if __name__ == "__main__":
    main()
