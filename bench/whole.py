"""Milliseconds of a whole click, per variant, thread count and image size: both networks, and everything else.

    python bench/whole.py [VARIANT ...] [--threads N ...] [--repeat 20] [--json FILE]

A click on the rim of a given ellipse of 60 % of the image's sides, taken back and repeated. Variants that do not ship
get random parameters: both networks run, but an ellipse takes the place of what they answer, for all variants alike,
so that each is timed on the same masks. Needs the ``convert`` extra.
"""

import tempfile
from pathlib import Path
from statistics import median, quantiles

import cv2
import numpy as np
from machine import keep, options, seconds, table, yardsticks
from variants import PUBLISHED, parameters_of

from focalrt import Model
from focalrt.graphs.folder import write_model
from focalrt.imagefile import read_image
from focalrt.networks import FocalClickNetworks

PHOTO = Path(__file__).resolve().parents[1] / "docs" / "photos" / "coffee.jpg"
SIZES = {"0.4 MP": (854, 480), "12 MP": (4000, 3000), "50 MP": (8300, 6000)}
NETWORKS = ("segmentor", "refiner")
SHARE = 0.6  # of the image's sides


def ellipse(height, width, across, down, at=(0.5, 0.5)):
    """1 in the middle, 0 on the rim, less outside: float32 (height, width)."""
    rows, columns = np.ogrid[:height, :width]
    x, y = (columns / (width - 1) - at[0]) / (across / 2), (rows / (height - 1) - at[1]) / (down / 2)
    return (1 - x**2 - y**2).astype(np.float32)


class Answered(FocalClickNetworks):
    """Networks that run, and an ellipse in place of what they say."""

    def segment(self, image, maps):
        """The context is the network's own."""
        _, context = super().segment(image, maps)
        return 20 * ellipse(256, 256, 0.75, 0.72, at=(0.51, 0.5)), context

    def refine(self, image, disks, context, logits):
        """The given logits come back."""
        super().refine(image, disks, context, logits)
        return logits


def scene(width, height):
    """A photo of that size, an ellipse as the mask, and a click just outside its rim."""
    image = cv2.resize(read_image(PHOTO), (width, height), interpolation=cv2.INTER_CUBIC)
    return image, ellipse(height, width, SHARE, SHARE) >= 0, (round(width * (0.505 + SHARE / 2)), height // 2)


def measured(model, image, mask, click, repeat):
    """Milliseconds of the networks, of the rest and of the call: median and quartiles."""
    session = model.session(image, mask)
    session.mask  # noqa: B018  the painted view is part of the work
    laps = {"segmentor": [], "refiner": [], "rest": [], "whole": []}
    for _ in range(repeat + 2):
        results = []
        laps["whole"].append(1000 * seconds(lambda results=results: results.append(session.click(*click))))
        steps = results[0].milliseconds
        for name in NETWORKS:
            laps[name].append(steps[name])
        laps["rest"].append(laps["whole"][-1] - sum(steps[name] for name in NETWORKS))
        session.undo()
    return {name: [median(lap[2:]), *quantiles(lap[2:], n=4)[::2]] for name, lap in laps.items()}


def rows_of(variant, threads, repeat, folder):
    """One entry per image size."""
    texts = {"trained": "", "licence": ""}
    write_model(parameters_of(variant), variant, folder, radius=5, **texts)
    model = Model(Answered(folder, threads))
    return [
        {"variant": variant, "threads": threads, "image": name, "milliseconds": measured(model, *scene(*size), repeat)}
        for name, size in SIZES.items()
    ]


def line(row):
    """A row of the table."""
    spent = row["milliseconds"]
    told = [f"{spent[name][0]:.2f}" for name in (*NETWORKS, "rest")]
    middle, low, high = spent["whole"]
    return [row["variant"], str(row["threads"]), row["image"], *told, f"{middle:.1f}", f"{low:.1f} to {high:.1f}"]


def main():
    """Measures and prints."""
    args = options(__doc__, PUBLISHED)
    best = yardsticks(args.threads, args.repeat)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row
            for variant in args.variants
            for threads in args.threads
            for row in rows_of(variant, threads, args.repeat, Path(folder) / variant)
        ]
    head = ["variant", "threads", "image", *NETWORKS, "rest", "whole", "half lie in"]
    print(table([line(row) for row in rows], head))
    keep(args.json, sgemm=best, clicks=rows)


if __name__ == "__main__":
    main()
