"""Milliseconds of a SAM-class pair of ONNX files beside focalrt: the wait before the first mask, and each click.

    python bench/sam.py ENCODER.onnx DECODER.onnx [--threads N] [--repeat 5] [--json FILE] [PHOTO]

Both run in one process with the same threads. A SAM pair encodes an image once and decodes every click; focalrt encodes
nothing. Files: any pair that ``focalrt eval --model sam:ENCODER,DECODER`` takes.
"""

import argparse
from functools import partial
from pathlib import Path
from statistics import median

from machine import keep, seconds, table, yardsticks

import focalrt
from focalrt.evaluation.sam import Sam
from focalrt.imagefile import read_image

PHOTO = Path(__file__).resolve().parents[1] / "docs" / "photos" / "coffee.jpg"
CLICKS = ((0.5, 0.4, True), (0.5, 0.7, True), (0.1, 0.1, False))  # in shares of the sides


def once(method, image):
    """Milliseconds of opening an image, and of each click."""
    height, width, _ = image.shape
    held = []
    spent = [seconds(lambda: held.append(method.session(image.copy(), None)))]  # a copy: no embedding is kept for it
    for x, y, positive in CLICKS:
        spent.append(seconds(partial(held[0].click, int(x * width), int(y * height), positive)))
    return [1000 * lap for lap in spent]


def measured(method, image, repeat):
    """Medians."""
    laps = [once(method, image) for _ in range(repeat)]
    later = [ms for lap in laps for ms in lap[2:]]
    return {"first mask": median(lap[0] + lap[1] for lap in laps), "a later click": median(later)}


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path)
    parser.add_argument("decoder", type=Path)
    parser.add_argument("photo", nargs="?", type=Path, default=PHOTO)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="also write everything measured here")
    args = parser.parse_args()
    image = read_image(args.photo)
    methods = {"focalrt": focalrt.load(threads=args.threads), "SAM": Sam(args.encoder, args.decoder, args.threads)}
    for method in methods.values():
        measured(method, image, 1)  # kernels, caches
    best = yardsticks([args.threads], args.repeat)
    rows = {name: measured(method, image, args.repeat) for name, method in methods.items()}
    lines = [[name, *(f"{ms:.1f}" for ms in row.values())] for name, row in rows.items()]
    print(table(lines, ["", "first mask", "a later click"]))
    keep(args.json, sgemm=best, rows=rows)


if __name__ == "__main__":
    main()
