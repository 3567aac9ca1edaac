"""Makes ``docs/picture.jpg``: a photo, a mask with a fault and the click that corrects it, the corrected mask.

    python docs/picture.py
"""

from pathlib import Path

import numpy as np

import focalrt
from focalrt.imagefile import read_image, write_image
from focalrt.overlay import draw

HERE = Path(__file__).parent
PHOTO = HERE / "photos" / "rocket.jpg"
FIRST = [(320, 200, True)]
CORRECTION = (320, 350, True)


def main():
    """Writes the picture."""
    image = read_image(PHOTO)
    before = focalrt.segment(image, FIRST).mask
    session = focalrt.load().session(image, before)
    session.click(*CORRECTION)
    gap = np.full((image.shape[0], 12, 3), 255, np.uint8)
    panels = [image, gap, draw(image, before, session.clicks), gap, draw(image, session.mask)]
    write_image(HERE / "picture.jpg", np.hstack(panels))


if __name__ == "__main__":
    main()
