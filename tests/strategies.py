"""Hypothesis strategies for masks: bool arrays of a few pixels a side, of the kinds that tell algorithms apart.

Plain arrays shrink best and find the small counterexample; noise of every density, rectangles and blobs reach the
shapes (many components, holes, long borders) that hypothesis would hardly draw bit by bit.
"""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

LARGEST = 24

sides = st.integers(1, LARGEST)
shapes = st.tuples(sides, sides)
seeds = st.integers(0, 2**32 - 1)


def noise(shape):
    """Each pixel on its own, from none to all of them."""
    densities = st.sampled_from([0, 0.05, 0.2, 0.4, 0.5, 0.6, 0.8, 0.95, 1])
    return st.builds(lambda seed, density: np.random.default_rng(seed).random(shape) < density, seeds, densities)


def blobs(shape):
    """Smooth shapes with smooth holes."""

    def blob(seed, width):
        return ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), width) > 0

    return st.builds(blob, seeds, st.sampled_from([1, 2, 4]))


@st.composite
def with_flipped_rectangles(draw, mask, most=4):
    """The mask with up to ``most`` rectangles inverted: the edits that a click or a brush makes."""
    mask = mask.copy()
    height, width = mask.shape
    for _ in range(draw(st.integers(0, most))):
        top, bottom = sorted([draw(st.integers(0, height)), draw(st.integers(0, height))])
        left, right = sorted([draw(st.integers(0, width)), draw(st.integers(0, width))])
        mask[top:bottom, left:right] ^= True
    return mask


def masks_of(shape):
    """Masks of this shape, of any kind."""
    rectangles = with_flipped_rectangles(np.zeros(shape, np.bool_))
    return st.one_of(hnp.arrays(np.bool_, shape), noise(shape), blobs(shape), rectangles)


def masks():
    """One mask of any shape and kind."""
    return shapes.flatmap(masks_of)


@st.composite
def mask_pairs(draw):
    """Two masks of one shape: unrelated, or one an edit of the other."""
    first = draw(masks())
    second = draw(st.one_of(masks_of(first.shape), with_flipped_rectangles(first)))
    return first, second


@st.composite
def pixels_of(draw, mask):
    """(row, column) of a pixel of the mask's frame."""
    height, width = mask.shape
    return draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
