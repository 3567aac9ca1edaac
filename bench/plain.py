"""The steps of a click, without the networks, as one would write them with NumPy and OpenCV on dense masks.

The same results as focalrt's up to rounding, restricted to the boxes where that is the obvious thing to do; the
yardstick of ``bench/click.py``.
"""

import cv2
import numpy as np

GRID = 256


def bounding_box(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def expand(box, frame):
    x0, y0, x1, y1 = box
    x, y, width, height = (x0 + x1) / 2, (y0 + y1) / 2, 1.4 * (x1 - x0), 1.4 * (y1 - y0)
    return (
        max(round(x - width / 2), frame[0]),
        max(round(y - height / 2), frame[1]),
        min(round(x + width / 2), frame[2]),
        min(round(y + height / 2), frame[3]),
    )


def resize(plane, width, height):
    """Bilinear with align_corners."""
    across, down = (plane.shape[1] - 1) / max(width - 1, 1), (plane.shape[0] - 1) / max(height - 1, 1)
    matrix = np.array([[across, 0, 0], [0, down, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def target_box(mask, click):
    box = bounding_box(mask)
    row, column = click
    box = min(box[0], column), min(box[1], row), max(box[2], column + 1), max(box[3], row + 1)
    return expand(box, (0, 0, mask.shape[1], mask.shape[0]))


def disk(click, box):
    rows, columns = np.mgrid[:GRID, :GRID]
    row = (click[0] - box[1]) * GRID / (box[3] - box[1])
    column = (click[1] - box[0]) * GRID / (box[2] - box[0])
    return ((rows - row) ** 2 + (columns - column) ** 2 <= 25).astype(np.float32)


def target_crop(image, mask, click, box, side):
    x0, y0, x1, y1 = box
    crop = resize(image[y0:y1, x0:x1].astype(np.float32) / 255, GRID, GRID)
    previous = resize(mask[y0:y1, x0:x1].astype(np.float32), GRID, GRID)
    maps = np.stack([previous, disk(click, box), np.zeros((GRID, GRID), np.float32)], axis=2)
    if side != GRID:
        crop, maps = resize(crop, side, side), resize(maps, side, side)
    return np.ascontiguousarray(crop.transpose(2, 0, 1)), np.ascontiguousarray(maps.transpose(2, 0, 1))


def coarse_mask(logits, box):
    probabilities = 1 / (1 + np.exp(-logits))
    return resize(probabilities, box[2] - box[0], box[3] - box[1]) > 0.5


def component(difference, click):
    _, labels = cv2.connectedComponents(difference.astype(np.uint8), connectivity=8)
    number = labels[click]
    return labels == number if number else np.zeros_like(difference)


def focus_box(coarse, mask, click, box):
    x0, y0, x1, y1 = box
    change = component(coarse ^ mask[y0:y1, x0:x1], (click[0] - y0, click[1] - x0))
    whole = bounding_box(coarse)
    extent = max(whole[2] - whole[0], whole[3] - whole[1])
    x, y, half = click[1] + 0.5, click[0] + 0.5, 0.2 * extent
    near = x - half, y - half, x + half, y + half
    if not change.any():
        return expand(near, box)
    found = bounding_box(change)
    little = 3 * (found[3] - found[1]) < whole[3] - whole[1] or 3 * (found[2] - found[0]) < whole[2] - whole[0]
    return expand(near if little else (found[0] + x0, found[1] + y0, found[2] + x0, found[3] + y0), box)


def focus_crop(image, click, logits, context, box, focus):
    x0, y0, x1, y1 = focus
    crop = resize(image[y0:y1, x0:x1].astype(np.float32) / 255, GRID, GRID)
    maps = disk(click, focus), np.zeros((GRID, GRID), np.float32)
    return crop, maps, roi_align(logits, box, focus), roi_align(context.transpose(1, 2, 0), box, focus)


def roi_align(planes, box, focus):
    side = planes.shape[0]
    down, across = side / (box[3] - box[1]), side / (box[2] - box[0])
    rows = (focus[1] - box[1]) * down - 0.5 + (np.arange(side) + 0.5) * (focus[3] - focus[1]) * down / side
    columns = (focus[0] - box[0]) * across - 0.5 + (np.arange(side) + 0.5) * (focus[2] - focus[0]) * across / side
    columns, rows = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    return cv2.remap(planes, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def refined_mask(coarse, refined, box, focus):
    predicted = coarse.copy()
    inside = resize(refined, focus[2] - focus[0], focus[3] - focus[1]) > 0
    predicted[focus[1] - box[1] : focus[3] - box[1], focus[0] - box[0] : focus[2] - box[0]] = inside
    return predicted


def merge(predicted, mask, click, box):
    """Progressive Merge inside the target box, written into ``mask``."""
    x0, y0, x1, y1 = box
    before = mask[y0:y1, x0:x1]
    change = component(predicted ^ before, (click[0] - y0, click[1] - x0))
    mask[y0:y1, x0:x1] = before ^ change
