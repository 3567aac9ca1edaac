"""Milliseconds of every step of a click, beside the same steps written with NumPy and OpenCV.

    python bench/click.py [--model NAME|FOLDER] [--threads N] [--repeat 20] [--json FILE]

One click on the rim of an ellipse that is given as the mask, taken back and repeated, for images of 0.4 to 50
megapixels and objects of 200 and 1000 pixels and nearly the whole image; medians. Prints what it ran on.
"""

import argparse
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import plain
from machine import keep, machine, table

import focalrt

PHOTO = Path(__file__).parent.parent / "docs" / "photos" / "coffee.jpg"
SIZES = {"0.4 MP": (768, 512), "2 MP": (1920, 1080), "12 MP": (4000, 3000), "50 MP": (8300, 6000)}
OBJECTS = (200, 1000, None)  # pixels; None: nearly the whole image
NETWORKS = ("segmentor", "refiner")


def scene(size, extent):
    """A photo of that size, an ellipse as the mask, and a click just outside its rim."""
    width, height = size
    image = cv2.cvtColor(cv2.resize(cv2.imread(str(PHOTO)), size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_BGR2RGB)
    across = min(extent, width * 0.9) if extent else width * 0.9
    down = min(extent, height * 0.9) if extent else height * 0.9
    rows, columns = np.ogrid[:height, :width]
    mask = ((columns - width // 2) / (across / 2)) ** 2 + ((rows - height // 2) / (down / 2)) ** 2 <= 1
    return image, mask, (width // 2 + round(0.51 * across), height // 2)


def measure_ours(model, image, mask, click, repeat):
    """Median milliseconds of each step of focalrt, and of the whole call."""
    session = model.session(image, mask)
    session.mask  # noqa: B018  the painted view is part of the work
    laps, whole = [], []
    for _ in range(repeat + 2):
        began = perf_counter()
        result = session.click(*click)
        whole.append(1000 * (perf_counter() - began))
        laps.append(result.milliseconds)
        session.undo()
    steps = {step: median(lap[step] for lap in laps[2:]) for step in laps[0]}
    return steps, median(whole[2:])


def measure_plain(networks, image, mask, click, repeat):
    """The same for the plain way; the networks' own time is left out."""
    click = click[1], click[0]
    laps = []
    for _ in range(repeat + 1):
        written = mask.copy()
        lap, last = {}, [perf_counter()]

        def book(step, lap=lap, last=last):
            now = perf_counter()
            lap[step] = 1000 * (now - last[0])
            last[0] = now

        box = plain.target_box(mask, click)
        book("target box")
        crop, maps = plain.target_crop(image, mask, click, box, networks.side)
        book("target crop")
        logits, context = networks.segment(crop, maps)
        book("segmentor")
        coarse = plain.coarse_mask(logits, box)
        book("coarse mask")
        focus = plain.focus_box(coarse, mask, click, box)
        book("focus box")
        plain.focus_crop(image, click, logits, context, box, focus)
        book("focus crop")
        predicted = plain.refined_mask(coarse, logits, box, focus)
        book("refined mask")
        plain.merge(predicted, written, click, box)
        book("merge")
        laps.append(lap)
    return {step: median(lap[step] for lap in laps[1:]) for step in laps[0]}


def measured(model, name, extent, repeat):
    """One scene: milliseconds of each step, ours and the plain way's, and of the whole call."""
    image, mask, click = scene(SIZES[name], extent)
    ours, whole = measure_ours(model, image, mask, click, repeat)
    theirs = measure_plain(model._networks, image, mask, click, max(3, repeat // 4))
    rest, plain_rest = (sum(ms for step, ms in way.items() if step not in NETWORKS) for way in (ours, theirs))
    return {
        "image": name, "object": extent, "steps": ours, "plain": theirs, "call": whole,
        "rest": rest, "plain_rest": plain_rest, "times": plain_rest / rest,
    }


def show(row):
    """Prints the table of a scene."""
    width, height = SIZES[row["image"]]
    what = f"{row['object']} pixels, at most 90 % of the sides" if row["object"] else "90 % of the sides"
    print(f"\n{row['image']} ({width} x {height}), object of {what}")
    lines = [
        [step, f"{spent:.3f}", f"{row['plain'][step]:.3f}" if step in row["plain"] and step not in NETWORKS else ""]
        for step, spent in row["steps"].items()
    ]
    lines.append(["all but the networks", f"{row['rest']:.3f}", f"{row['plain_rest']:.3f}"])
    lines.append(["the call", f"{row['call']:.3f}", ""])
    print(table(lines, ["step", "focalrt ms", "NumPy/OpenCV ms"]))


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="name or folder (default: the default model)")
    parser.add_argument("--threads", type=int, default=1, help="of the networks (default 1); the rest uses one")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", metavar="FILE", help="also write everything measured here")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    model = focalrt.load(args.model, threads=args.threads) if args.model else focalrt.load(threads=args.threads)
    print(f"{model.description.variant}, {args.threads} thread(s), median of {args.repeat}; {machine()}")
    rows = []
    for name in SIZES:
        for extent in OBJECTS:
            rows.append(measured(model, name, extent, args.repeat))
            show(rows[-1])
    keep(args.json, steps=rows)


if __name__ == "__main__":
    main()
