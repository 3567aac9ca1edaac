"""The probes' own arithmetic, with a session that answers in closed form."""

from types import SimpleNamespace

import numpy as np
import pytest

from train import probes
from train.probes import Photo, negative, scores, spill, view_of


def photo():
    """Two squares of ten pixels a side in a photo of 40 x 60, and a column that nobody knows."""
    ids = np.zeros((40, 60), np.uint8)
    ids[5:15, 5:15], ids[20:30, 40:50], ids[:, 59] = 1, 2, 255
    return Photo(np.zeros((40, 60, 3), np.uint8), ids, "coco_mini", (1, 2))


class Everything:
    """A positive click takes both squares, a negative one the object under it away."""

    def __init__(self, ids, mask):
        self.ids = ids
        self.mask = np.zeros(ids.shape, bool) if mask is None else mask.copy()

    def click(self, x, y, positive=True, *, view=None):
        self.mask = self.ids % 255 > 0 if positive else self.mask & (self.ids != self.ids[y, x])
        return SimpleNamespace(outcome="written")


@pytest.fixture
def model():
    given = photo()
    return SimpleNamespace(session=lambda image, mask=None: Everything(given.ids, mask))


def test_a_view_is_about_the_object_and_inside_the_photo():
    mask = np.zeros((100, 100), bool)
    mask[40:50, 30:50] = True
    assert view_of(mask) == (0, 25, 80, 65)
    mask[0, 0] = True
    assert view_of(mask) == (0, 0, 100, 100)


def test_unknown_pixels_are_neither():
    truth = photo().truth(1)
    assert (truth == 1).sum() == 100 and (truth == -1).sum() == 40


def test_scores_after_each_click(model):
    found, first = scores(model, photo(), 1)
    assert found == [0.5, 1.0, 1.0]  # the second click takes the other square away
    assert first.sum() == 200


def test_half_of_the_first_mask_lies_on_the_neighbour(model):
    assert spill(model, [(photo(), 1)])[-1] == 0.5


def test_a_negative_click_takes_one_of_two(model):
    np.testing.assert_array_equal(negative(model, [(photo(), 1, 2)]), [1, 1, 0])


def test_cases_are_spread():
    assert probes.spread(list(range(10)), 3) == [0, 3, 6]
    assert probes.spread([1, 2], 3) == [1, 2]


def test_as_many_trained_on_as_held_out(packs, pack, monkeypatch):
    """Evenly spread over the others."""
    trained = [0, 1, 2, 3, 4, 5]
    monkeypatch.setattr(probes, "held_out", lambda pack: (pack.subset(trained), pack.subset([6, 7, 8])))
    watched, others = probes.looked_at(packs)
    assert [photo.origin for photo in watched] == pack.sets[6:]
    for found, number in zip(others, (0, 2, 4), strict=True):
        height, width = pack.sizes[number].tolist()
        np.testing.assert_array_equal(found.ids, pack.ids[number, :height, :width].numpy())
