"""How good the masks are: IoU after a robot's clicks, with and without the Refiner, by the package as it ships.

    python bench/quality.py FOLDER [--model NAME|FOLDER] [--clicks 5] [--limit N]

FOLDER holds ``name.jpg`` and ``name.png``, an id map of the same size: 0 background, 255 ignored, every other value one
object. The robot clicks the middle of the larger error (SPEC section 6); every object is clicked from scratch.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

import focalrt
from focalrt.imagefile import decode, read_image

LEAST = 100  # pixels; smaller objects are left out


class WithoutRefiner:
    """The same networks, whose Refiner hands the coarse logits through."""

    def __init__(self, networks):
        self._networks = networks

    def __getattr__(self, name):
        return getattr(self._networks, name)

    def refine(self, image, disks, context, logits):
        return logits


def samples(folder, limit):
    """(photo, truth, ignored) of every object, ``limit`` of them evenly spread."""
    objects = []
    for path in sorted(folder.glob("*.png")):
        areas = np.bincount(decode(path, cv2.IMREAD_UNCHANGED).ravel(), minlength=256)
        objects += [(path, ident) for ident in range(1, 255) if areas[ident] >= LEAST]
    if limit and limit < len(objects):
        objects = [objects[k * len(objects) // limit] for k in range(limit)]
    for path, ident in objects:
        ids = decode(path, cv2.IMREAD_UNCHANGED)
        yield read_image(path.with_suffix(".jpg")), ids == ident, ids == 255


def robot_click(mask, truth, ignored, free):
    """(x, y, positive): the pixel of the larger error that lies deepest in it."""
    depths = []
    for error in (truth & ~mask, mask & ~truth & ~ignored):
        padded = np.pad(error, 1).astype(np.uint8)
        depths.append(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1] * free)
    positive = bool(depths[0].max() > depths[1].max())
    row, column = np.unravel_index(np.argmax(depths[0 if positive else 1]), truth.shape)
    return int(column), int(row), positive


def iou(mask, truth, ignored):
    """Intersection over union of the pixels that count."""
    union = ((mask | truth) & ~ignored).sum()
    return (mask & truth).sum() / union if union else 1.0


def click_through(model, photo, truth, ignored, clicks):
    """IoU after each click."""
    session, free = model.session(photo), np.ones(truth.shape, bool)
    scores = []
    for _ in range(clicks):
        x, y, positive = robot_click(session.mask, truth, ignored, free)
        free[y, x] = False
        session.click(x, y, positive)
        scores.append(iou(session.mask, truth, ignored))
    return scores


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="hrnet18s-s1")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--limit", type=int, help="only so many objects, evenly spread")
    args = parser.parse_args()
    model = focalrt.load(args.model)
    models = {"with the Refiner": model, "without": focalrt.Model(WithoutRefiner(model._networks))}
    scores = {name: [] for name in models}
    for photo, truth, ignored in samples(args.folder, args.limit):
        for name, each in models.items():
            scores[name].append(click_through(each, photo, truth, ignored, args.clicks))
    count = len(scores["without"])
    print(f"{model.description.variant}, {args.folder.name}, {count} objects: mean IoU after 1 to {args.clicks} clicks")
    for name, rows in scores.items():
        print(f"{name:16}", *(f"{value:.3f}" for value in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()
