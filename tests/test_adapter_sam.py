"""SAM's predictor on FocalClick: the surface is segment-anything's, the answers are a session's.

Oracles: segment-anything's own signatures (kept in a file, compared with the library where it is installed), its own
upsampling of low-resolution logits, and sessions that make the same clicks.
"""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub import stub_model

import focalrt
from focalrt import ArgumentTypeError, ArgumentValueError, FocalrtError
from focalrt.adapters import prompts, sam
from focalrt.adapters.sam import SamPredictor
from focalrt.errors import NoCounterpartError, NoImageError
from focalrt.geometry import Box
from focalrt.imagefile import read_image
from focalrt.masks.sam_logits import fitted_size, over_image

ROOT = Path(__file__).parent.parent
SURFACE = json.loads((ROOT / "tests/requests/sam_predictor.json").read_text())
HEIGHT, WIDTH = 90, 120
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MODEL = stub_model(noise=2)
POINTS = np.array([[40, 30], [80, 60], [20.5, 70.25], [100, 20]])
LABELS = np.array([1, 0, 1, 1])


@pytest.fixture
def predictor():
    predictor = SamPredictor(MODEL)
    predictor.set_image(IMAGE)
    return predictor


def by_session(points, labels, mask=None, view=None, image=IMAGE):
    """The session that makes these clicks."""
    session = MODEL.session(image, mask)
    for number, ((x, y), label) in enumerate(zip(points, labels, strict=True)):
        session.click(float(x), float(y), bool(label), view=None if number else view)
    return session


def parameters(of):
    return [
        [p.name] if p.default is p.empty else [p.name, p.default] for p in inspect.signature(of).parameters.values()
    ]


# ------------------------------------------------------------ the surface


@pytest.mark.parametrize("method", SURFACE["signatures"])
def test_signatures_are_those_of_segment_anything(method):
    assert parameters(getattr(SamPredictor, method)) == SURFACE["signatures"][method]


def test_the_kept_signatures_are_those_of_the_library():
    theirs = pytest.importorskip("segment_anything", reason="the library itself is not installed").SamPredictor
    assert {method: parameters(getattr(theirs, method)) for method in SURFACE["signatures"]} == SURFACE["signatures"]
    assert {name for name in vars(theirs) if not name.startswith("__")} <= set(SURFACE["names"])


@pytest.mark.parametrize("name", SURFACE["names"])
def test_every_name_is_there_or_says_why_not(predictor, name):
    if name not in sam.NO_COUNTERPART:
        getattr(predictor, name)
        return
    with pytest.raises(NoCounterpartError, match=rf"SamPredictor\.{name} has no counterpart here: ") as caught:
        getattr(predictor, name)
    assert isinstance(caught.value, (FocalrtError, AttributeError))
    assert not hasattr(predictor, name)


def test_a_name_that_sam_has_not_either(predictor):
    with pytest.raises(AttributeError, match="no attribute 'prediction'") as caught:
        predictor.prediction  # noqa: B018
    assert not isinstance(caught.value, FocalrtError)


def test_what_the_model_is(predictor):
    assert predictor.model is MODEL
    assert predictor.device == "cpu"
    with pytest.raises(ArgumentTypeError, match=r"^sam_model: expected what focalrt.load"):
        SamPredictor("vit_b")


def test_without_an_image_it_raises_as_sam_does(predictor):
    predictor.reset_image()
    assert not predictor.is_image_set
    with pytest.raises(RuntimeError, match="An image must be set") as caught:
        predictor.predict(POINTS, LABELS)
    assert isinstance(caught.value, NoImageError)
    assert not SamPredictor(MODEL).is_image_set


@pytest.mark.parametrize(("multimask", "count"), [(True, 3), (False, 1)])
@pytest.mark.parametrize(("logits", "dtype"), [(False, np.bool_), (True, np.float32)])
def test_shapes_and_dtypes_are_those_of_sam(predictor, multimask, count, logits, dtype):
    masks, scores, low_res = predictor.predict(POINTS, LABELS, multimask_output=multimask, return_logits=logits)
    assert (masks.shape, masks.dtype) == ((count, HEIGHT, WIDTH), dtype)
    assert (scores.shape, scores.dtype) == ((count,), np.float32)
    assert (low_res.shape, low_res.dtype) == ((count, 256, 256), np.float32)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.isfinite(low_res).all()
    for array in (masks, scores, low_res):
        assert (array == array[:1]).all()
        array[...] = 0  # code written for SAM may write to them


def test_what_a_caller_writes_into_an_answer_changes_no_other(predictor):
    for array in predictor.predict(POINTS[:1], LABELS[:1]):
        array[...] = 1
    again, _, _ = predictor.predict(POINTS[:2], LABELS[:2])
    np.testing.assert_array_equal(again[0], by_session(POINTS[:2], LABELS[:2]).mask)


# ------------------------------------------------------------ points


def test_the_mask_is_that_of_a_session(predictor):
    masks, _, _ = predictor.predict(POINTS, LABELS)
    np.testing.assert_array_equal(masks[0], by_session(POINTS, LABELS).mask)
    assert masks.any() and not masks.all()


@settings(max_examples=8)
@given(st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=5))
def test_an_answer_does_not_depend_on_the_calls_before(calls):
    """Whatever begins alike, goes on, goes back or repeats."""
    predictor = SamPredictor(MODEL)
    predictor.set_image(IMAGE)
    for call in calls:
        if call:
            masks, _, _ = predictor.predict(POINTS[call], LABELS[call])
            np.testing.assert_array_equal(masks[0], by_session(POINTS[call], LABELS[call]).mask)


def test_a_call_costs_only_the_clicks_that_are_new():
    model = stub_model()
    predictor = SamPredictor(model)
    predictor.set_image(IMAGE)
    calls = []
    for count in (1, 2, 3, 3, 2, 4):
        before = model._networks.calls
        predictor.predict(POINTS[:count], LABELS[:count])
        calls.append(model._networks.calls - before)
    # going back from three points to two, the last click's probabilities are asked for again
    assert calls == [1, 1, 1, 0, 1, 2]


def test_points_may_come_in_any_numbers():
    predictor = SamPredictor(MODEL)
    predictor.set_image(IMAGE)
    expected = by_session(POINTS, LABELS).mask
    for points, labels in [
        (POINTS.astype(np.float32), LABELS.astype(np.float32)),
        (POINTS.tolist(), LABELS.tolist()),
        (POINTS, LABELS == 1),
    ]:
        np.testing.assert_array_equal(predictor.predict(points, labels)[0][0], expected)


def test_a_point_on_the_canvas_edge_is_on_the_last_pixel(predictor):
    at_edge, _, _ = predictor.predict(np.array([[WIDTH, HEIGHT]]), np.array([1]))
    np.testing.assert_array_equal(at_edge[0], by_session([[WIDTH - 0.51, HEIGHT - 0.51]], [1]).mask)


# ------------------------------------------------------------ images


def test_bgr_is_rgb_turned_round(predictor):
    expected = predictor.predict(POINTS, LABELS)
    predictor.set_image(IMAGE[..., ::-1], image_format="BGR")
    for ours, theirs in zip(predictor.predict(POINTS, LABELS), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert predictor.original_size == (HEIGHT, WIDTH)


def test_the_image_is_copied(predictor):
    image = IMAGE.copy()
    predictor.set_image(image)
    image[...] = 0
    _, _, low_res = predictor.predict(POINTS, LABELS)
    predictor.set_image(IMAGE)
    np.testing.assert_array_equal(low_res, predictor.predict(POINTS, LABELS)[2])


def test_another_image_begins_anew(predictor):
    predictor.predict(POINTS, LABELS)
    other = IMAGE[::-1].copy()
    predictor.set_image(other)
    masks, _, _ = predictor.predict(POINTS, LABELS)
    np.testing.assert_array_equal(masks[0], by_session(POINTS, LABELS, image=other).mask)


def test_logits_of_another_image_are_only_logits(predictor):
    _, _, logits = predictor.predict(POINTS[:1], LABELS[:1])
    other = IMAGE[::-1].copy()
    predictor.set_image(other)
    masks, _, _ = predictor.predict(POINTS[:2], LABELS[:2], mask_input=logits[:1])
    given_mask = over_image(logits[0], HEIGHT, WIDTH) > 0
    np.testing.assert_array_equal(masks[0], by_session(POINTS[:2], LABELS[:2], given_mask, image=other).mask)


# ------------------------------------------------------------ boxes


@pytest.mark.parametrize("box", [np.array([20, 10, 59, 49]), np.array([[20.2, 9.7, 59.4, 49.3]]), [20, 10, 59, 49]])
def test_a_box_alone_is_a_click_in_its_middle_and_a_view_about_it(predictor, box):
    masks, _, _ = predictor.predict(box=box)
    expected = by_session([(39.5, 29.5)], [1], view=(12, 2, 68, 58))  # 40 pixels a side, 1.4 times as many
    np.testing.assert_array_equal(masks[0], expected.mask)


def test_a_box_with_points_on_the_object_is_a_view(predictor):
    masks, _, _ = predictor.predict(POINTS[:2], LABELS[:2], box=np.array([20, 10, 59, 49]))
    np.testing.assert_array_equal(masks[0], by_session(POINTS[:2], LABELS[:2], view=(12, 2, 68, 58)).mask)


def test_a_box_with_points_off_the_object_begins_with_its_middle(predictor):
    masks, _, _ = predictor.predict(POINTS[1:2], LABELS[1:2], box=np.array([20, 10, 59, 49]))
    expected = by_session([(39.5, 29.5), POINTS[1]], [1, 0], view=(12, 2, 68, 58))
    np.testing.assert_array_equal(masks[0], expected.mask)


def test_a_first_point_far_from_the_box_has_no_use_for_it(predictor):
    masks, _, _ = predictor.predict(POINTS[3:], LABELS[3:], box=np.array([0, 50, 20, 80]))
    np.testing.assert_array_equal(masks[0], by_session(POINTS[3:], LABELS[3:]).mask)


def test_corners_off_the_image_are_clipped():
    assert prompts.check_corners([-30, -1e300, 1e300, 20.4], 90, 120) == Box(0, 0, 120, 21)


# ------------------------------------------------------------ masks to begin with


def test_logits_handed_back_with_more_points_go_on(predictor):
    """As in SAM's notebook: every point so far, and the last logits."""
    _, scores, logits = predictor.predict(POINTS[:1], LABELS[:1])
    masks, _, _ = predictor.predict(
        POINTS[:2], LABELS[:2], mask_input=logits[np.argmax(scores)][None], multimask_output=False
    )
    np.testing.assert_array_equal(masks[0], by_session(POINTS[:2], LABELS[:2]).mask)


def test_logits_handed_back_with_other_points_stand_for_their_mask(predictor):
    before, _, logits = predictor.predict(POINTS[:2], LABELS[:2])
    masks, _, _ = predictor.predict(POINTS[2:], LABELS[2:], mask_input=logits[:1])
    np.testing.assert_array_equal(masks[0], by_session(POINTS[2:], LABELS[2:], before[0]).mask)


@pytest.mark.parametrize("axes", [(), (None,)])
def test_a_full_mask_is_one_to_correct(predictor, axes):
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[30:60, 20:90] = True
    masks, _, _ = predictor.predict(POINTS[:2], LABELS[:2], mask_input=mask[axes])
    np.testing.assert_array_equal(masks[0], by_session(POINTS[:2], LABELS[:2], mask).mask)


SHAPES = [(90, 120), (480, 640), (1, 7), (333, 1000), (1500, 70)]


@pytest.mark.parametrize("shape", SHAPES)
def test_other_logits_are_upsampled_as_sam_does(shape):
    torch = pytest.importorskip("torch", reason="the oracle is PyTorch's interpolation, as SAM calls it")
    logits = np.random.default_rng(1).standard_normal((256, 256)).astype(np.float32)
    down, across = (max(1, int(side * 1024 / max(shape) + 0.5)) for side in shape)
    square = torch.nn.functional.interpolate(torch.tensor(logits)[None, None], (1024, 1024), mode="bilinear")
    expected = torch.nn.functional.interpolate(square[..., :down, :across], shape, mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(over_image(logits, *shape), expected, atol=2e-4)


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_the_oracle_is_sams_own(shape):
    modelling = pytest.importorskip("segment_anything.modeling", reason="the library itself is not installed")
    torch = pytest.importorskip("torch")
    transforms = pytest.importorskip("segment_anything.utils.transforms")
    logits = np.random.default_rng(1).standard_normal((256, 256)).astype(np.float32)
    size = transforms.ResizeLongestSide.get_preprocess_shape(*shape, 1024)
    assert size == fitted_size(*shape)
    stand_in = type("Sam", (), {"image_encoder": type("Encoder", (), {"img_size": 1024})})
    theirs = modelling.Sam.postprocess_masks(stand_in, torch.tensor(logits)[None, None], size, shape)[0, 0].numpy()
    np.testing.assert_allclose(over_image(logits, *shape), theirs, atol=2e-4)


@pytest.mark.parametrize("shape", [(480, 640), (333, 1000), (1500, 700)])
def test_low_resolution_logits_stand_for_the_mask_to_sam_as_well(shape):
    rows, columns = np.indices(shape)
    disk = (rows - shape[0] / 2) ** 2 + (columns - shape[1] / 2) ** 2 < (min(shape) / 3) ** 2
    logits = sam.low_res(np.where(disk, np.float32(0.9), np.float32(0.1)))
    back = over_image(logits, *shape) > 0
    assert (back & disk).sum() / (back | disk).sum() > 0.98


def test_a_failed_call_leaves_nothing_behind(predictor, monkeypatch):
    predictor.predict(POINTS[:1], LABELS[:1])

    def broken(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(MODEL._networks, "segment", broken)
        with pytest.raises(MemoryError):
            predictor.predict(POINTS[:3], LABELS[:3])
    masks, _, _ = predictor.predict(POINTS[:3], LABELS[:3])
    np.testing.assert_array_equal(masks[0], by_session(POINTS[:3], LABELS[:3]).mask)


# ------------------------------------------------------------ logits and scores


def test_logits_agree_with_the_mask(predictor):
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[30:60, 20:90] = True  # a mask to correct: the merge overrules the networks elsewhere
    masks, _, _ = predictor.predict(POINTS[:2], LABELS[:2], mask_input=mask)
    logits, _, _ = predictor.predict(POINTS[:2], LABELS[:2], mask_input=mask, return_logits=True)
    np.testing.assert_array_equal(logits > 0, masks)
    session = by_session(POINTS[:2], LABELS[:2], mask)
    probability = session.probability()
    agree = (probability > 0.5) == session.mask
    assert not agree.all()
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[0][agree])), probability[agree], atol=2e-6)
    assert (np.abs(logits[0][~agree]) < 1e-6).all()


def test_the_score_is_the_expected_iou():
    probability = np.array([[0.9, 0.8], [0.3, 0.1]], np.float32)
    mask = np.array([[True, True], [False, False]])
    assert sam.expected_iou(probability, mask) == pytest.approx((0.9 + 0.8) / (2 + 0.3 + 0.1))
    assert sam.expected_iou(np.zeros((2, 2), np.float32), ~mask & mask) == 0
    assert sam.expected_iou(mask.astype(np.float32), mask) == 1


# ------------------------------------------------------------ what is refused

RAGGED = [[1, 2], [3]]
HUGE = np.full((1, 256, 256), 1e300)
REFUSED = {
    "nothing": ({}, ArgumentValueError, "points"),
    "no labels": ({"point_coords": POINTS}, ArgumentTypeError, "point_labels"),
    "no coords": ({"point_labels": LABELS}, ArgumentTypeError, "point_coords"),
    "no points": ({"point_coords": np.empty((0, 2)), "point_labels": []}, ArgumentValueError, "points"),
    "other lengths": ({"point_coords": POINTS, "point_labels": LABELS[:2]}, ArgumentValueError, "point_coords"),
    "a batch": ({"point_coords": POINTS[None], "point_labels": LABELS[None]}, ArgumentValueError, "point_coords"),
    "three numbers": ({"point_coords": [[1, 2, 3]], "point_labels": [1]}, ArgumentValueError, "point_coords"),
    "ragged": ({"point_coords": RAGGED, "point_labels": [1, 1]}, ArgumentTypeError, "point_coords"),
    "words": ({"point_coords": [["a", "b"]], "point_labels": [1]}, ArgumentTypeError, "point_coords"),
    "complex": ({"point_coords": [[1j, 2]], "point_labels": [1]}, ArgumentTypeError, "point_coords"),
    "not a number": ({"point_coords": [[np.nan, 2]], "point_labels": [1]}, ArgumentValueError, r"point_coords\[0\]"),
    "off the image": (
        {"point_coords": [[1, 1], [WIDTH + 1, 2]], "point_labels": [1, 1]},
        ArgumentValueError,
        r"point_coords\[1\]: x",
    ),
    "label 2": ({"point_coords": [[1, 1]], "point_labels": [2]}, ArgumentValueError, "point_labels"),
    "label -1": ({"point_coords": [[1, 1]], "point_labels": [-1]}, ArgumentValueError, "point_labels"),
    "three corners": ({"box": [1, 2, 3]}, ArgumentValueError, "box"),
    "two boxes": ({"box": [[1, 2, 3, 4], [1, 2, 3, 4]]}, ArgumentValueError, "box"),
    "box turned round": ({"box": [30, 30, 10, 10]}, ArgumentValueError, "box"),
    "box off the image": ({"box": [300, 300, 400, 400]}, ArgumentValueError, "box"),
    "box of nothing": ({"box": [np.inf, 1, 2, 3]}, ArgumentValueError, "box"),
    "box of words": ({"box": "left"}, ArgumentTypeError, "box"),
    "logits of 128": ({"mask_input": np.zeros((1, 128, 128))}, ArgumentValueError, "mask_input"),
    "logits of a mask": ({"mask_input": np.zeros((256, 256))}, ArgumentValueError, "mask_input"),
    "logits not finite": ({"mask_input": np.full((1, 256, 256), np.nan)}, ArgumentValueError, "mask_input"),
    "a mask of another size": ({"mask_input": np.zeros((3, 3), np.bool_)}, ArgumentValueError, "mask_input"),
    "a ragged mask": ({"mask_input": RAGGED}, ArgumentTypeError, "mask_input"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_leaves_nothing_behind(predictor, what):
    request, error, argument = REFUSED[what]
    if "mask_input" in request:
        request = request | {"point_coords": POINTS[:1], "point_labels": LABELS[:1]}
    _, _, logits = predictor.predict(POINTS[:1], LABELS[:1])
    with pytest.raises(error, match=rf"^{argument}[:,]") as caught:
        predictor.predict(**request)
    assert isinstance(caught.value, FocalrtError) and len(str(caught.value)) < 300
    masks, _, _ = predictor.predict(POINTS[:2], LABELS[:2], mask_input=logits[:1])
    np.testing.assert_array_equal(masks[0], by_session(POINTS[:2], LABELS[:2]).mask)


def test_huge_logits_are_taken(predictor):
    masks, _, _ = predictor.predict(POINTS[:1], LABELS[:1], mask_input=HUGE)
    np.testing.assert_array_equal(masks[0], by_session(POINTS[:1], LABELS[:1], np.ones((HEIGHT, WIDTH), np.bool_)).mask)


@pytest.mark.parametrize(
    ("arguments", "error", "argument"),
    [
        ((IMAGE[..., 0],), ArgumentValueError, "image"),
        ((IMAGE.astype(float),), ArgumentTypeError, "image"),
        (("photo.jpg",), ArgumentTypeError, "image"),
        (("photo.jpg", "BGR"), ArgumentTypeError, "image"),
        ((IMAGE, "rgb"), ArgumentValueError, "image_format"),
        ((IMAGE, IMAGE), ArgumentValueError, "image_format"),
    ],
    ids=["grey", "floats", "a path", "a path in BGR", "lower case", "an array"],
)
def test_a_refused_image_leaves_the_one_before(predictor, arguments, error, argument):
    with pytest.raises(error, match=rf"^{argument}:"):
        predictor.set_image(*arguments)
    masks, _, _ = predictor.predict(POINTS, LABELS)
    np.testing.assert_array_equal(masks[0], by_session(POINTS, LABELS).mask)


# ------------------------------------------------------------ as it ships


def test_code_of_sams_notebook_runs_on_a_photo():
    image = read_image(ROOT / "docs/photos/coffee.jpg")
    predictor = SamPredictor(focalrt.load())
    predictor.set_image(image)
    input_point, input_label = np.array([[300, 150]]), np.array([1])
    masks, scores, logits = predictor.predict(point_coords=input_point, point_labels=input_label, multimask_output=True)
    for mask, score in zip(masks, scores, strict=True):
        assert mask.shape == image.shape[:2] and 0 < score < 1
    mask_input = logits[np.argmax(scores), :, :]
    input_point, input_label = np.array([[300, 150], [520, 300]]), np.array([1, 0])
    masks, scores, _ = predictor.predict(
        point_coords=input_point, point_labels=input_label, mask_input=mask_input[None, :, :], multimask_output=False
    )
    expected = focalrt.segment(image, [(300, 150), (520, 300, False)]).mask
    np.testing.assert_array_equal(masks[0], expected)
    boxed, _, _ = predictor.predict(box=np.array([170, 10, 420, 310])[None, :], multimask_output=False)
    cup = boxed[0][10:311, 170:421]
    assert cup.sum() > 0.9 * boxed[0].sum() and cup.mean() > 0.4
