"""CVAT's interactor: kept requests of its shape; its SDK, Nuclio's, and sessions as oracles."""

import importlib.util
import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("PIL", reason="uploads are looked into with Pillow, of the serve extra")

from hypothesis import given, settings
from hypothesis import strategies as st
from stub import stub_model

import focalrt
from focalrt.adapters import cvat, photos
from focalrt.adapters.cvat import Interactor, rows_of_digits
from focalrt.adapters.page import box_on_page, click_on_page
from focalrt.errors import ArgumentTypeError, ArgumentValueError, FocalrtError, ImageFileError
from focalrt.imagefile import to_image
from focalrt.masks import from_polygons

ROOT = Path(__file__).parents[1]
REQUESTS = {
    path.stem.removeprefix("cvat_"): json.loads(path.read_text())
    for path in (ROOT / "tests/requests").glob("cvat_*.json")
}
MODEL = stub_model()
HEIGHT, WIDTH = 64, 96


def pixels(request):
    """The photo of a request, decoded by itself."""
    return to_image(cvat.b64decode(request["image"]), "photo")


def png(shape=(HEIGHT, WIDTH), seed=0):
    """A photo as CVAT sends it, base64 of a file; PNG, so that no pixel changes on the way."""
    image = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    return b64encode(cv2.imencode(".png", image)[1]).decode()


def asking(positive=(), negative=(), box=(), image=None, **others):
    return {
        "image": image or png(),
        "pos_points": list(positive),
        "neg_points": list(negative),
        "obj_bbox": box,
    } | others


def whole_mask(reply, height=HEIGHT, width=WIDTH):
    """The mask of a reply in its place in the image, pixel by pixel as the reply tells."""
    mask = np.zeros((height, width), np.bool_)
    left, top, right, bottom = reply["bounds"]
    mask[top : bottom + 1, left : right + 1] = reply["mask"]
    return mask


def answered(interactor, request, height=HEIGHT, width=WIDTH):
    return whole_mask(json.loads(interactor.answer(request)), height, width)


def clicked(request, clicks, *, view=None, model=MODEL):
    """What a session makes of clicks at points of the page, (x, y, positive)."""
    session = model.session(pixels(request))
    for x, y, positive in clicks:
        session.click(x - 0.5, y - 0.5, positive, view=None if session.clicks else view)
    return session.mask


# ------------------------------------------------------------ kept requests, one by one


FIRST, SECOND, THIRD = (40.5, 30.25, True), (80, 12.75, False), (34, 44.125, True)
MIDDLE, VIEW = (40.5, 30.5, True), (12, 2, 69, 58)  # of the box 20.25, 10.5, 60.5, 50: pixels 20 to 61, 10 to 50


@pytest.mark.parametrize(
    ("name", "clicks", "view"),
    [
        ("first_click", [FIRST], None),
        ("second_click", [FIRST, SECOND], None),
        ("third_click", [FIRST, SECOND, THIRD], None),
        ("negative_first", [(*FIRST[:2], False)], None),
        ("box", [(40.5, 30, True)], VIEW),
        ("box_as_four_numbers", [(40.5, 30, True)], VIEW),
        ("box_and_click", [(40.5, 30, True), FIRST], VIEW),
    ],
)
def test_a_request_alone_is_a_session_with_these_clicks(name, clicks, view):
    request = REQUESTS[name]
    np.testing.assert_array_equal(answered(Interactor(MODEL), request), clicked(request, clicks, view=view))


def test_the_kept_requests_are_all_tested():
    assert set(REQUESTS) == {
        *("first_click", "second_click", "third_click", "negative_first", "nothing", "without_box"),
        *("box", "box_as_four_numbers", "box_and_click"),
    }


def test_nothing_to_click_is_an_empty_mask_that_the_page_can_read():
    assert json.loads(Interactor(MODEL).answer(REQUESTS["nothing"])) == {
        "mask": [[0]],
        "bounds": [0, 0, 0, 0],
        "points": [],
    }


def test_the_threshold_is_that_of_the_networks_for_this_request():
    request = REQUESTS["without_box"]
    strict = stub_model()
    strict._networks.threshold = request["threshold"]
    interactor = Interactor(MODEL)
    mask = answered(interactor, request)
    np.testing.assert_array_equal(mask, clicked(request, [FIRST], model=strict))
    assert mask.sum() < answered(interactor, request | {"threshold": None}).sum()
    assert MODEL._networks.threshold == 0.5


# ------------------------------------------------------------ the reply


def test_bounds_are_the_smallest_and_the_mask_has_two_values():
    reply = json.loads(Interactor(MODEL).answer(REQUESTS["third_click"]))
    mask = np.array(reply["mask"])
    left, top, right, bottom = reply["bounds"]
    assert mask.shape == (bottom - top + 1, right - left + 1)
    assert set(mask.ravel().tolist()) == {0, 1}
    for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
        assert edge.any()


def test_points_are_the_outline_of_the_largest_part():
    reply = json.loads(Interactor(MODEL).answer(REQUESTS["third_click"]))
    mask = whole_mask(reply)
    number, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    largest = labels == 1 + np.argmax(statistics[1:number, cv2.CC_STAT_AREA])
    runs = from_polygons([np.array(reply["points"])], HEIGHT, WIDTH)
    outline = runs.to_mask(focalrt.Box(0, 0, WIDTH, HEIGHT))
    assert (outline & largest).sum() / (outline | largest).sum() > 0.9


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_rows_of_digits_are_the_json_of_the_mask(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    assert json.loads(rows_of_digits(mask)) == mask.astype(int).tolist()


def test_cvats_own_sdk_reads_the_mask_that_its_page_stores():
    """The page codes ``mask.flat()`` as run lengths, the first of zeros, and appends ``bounds``."""
    masks = pytest.importorskip("cvat_sdk.masks", reason="needs cvat-sdk")
    request = REQUESTS["third_click"]
    reply = json.loads(Interactor(MODEL).answer(request))
    flat = [value for row in reply["mask"] for value in row]
    turns = [at for at in range(1, len(flat)) if flat[at] != flat[at - 1]]
    lengths = np.diff([0, *turns, len(flat)]).tolist()
    stored = [*([0] if flat[0] else []), *lengths, *reply["bounds"]]
    expected = clicked(request, [FIRST, SECOND, THIRD])
    np.testing.assert_array_equal(masks.decode_mask(stored, image_width=WIDTH, image_height=HEIGHT), expected)
    assert stored == masks.encode_mask(np.array(expected))


# ------------------------------------------------------------ frames


def test_the_first_pixel_goes_from_0_to_1_and_the_far_edge_belongs_to_the_last():
    places = [0, 0.5, 0.99, 1, 5.5, WIDTH - 0.01, WIDTH]
    columns = [click_on_page(x, 0, True, HEIGHT, WIDTH).column for x in places]
    assert columns == [0, 0, 0, 1, 5, WIDTH - 1, WIDTH - 1]
    rows = [click_on_page(0, y, True, HEIGHT, WIDTH).row for y in (0, 1, HEIGHT)]
    assert rows == [0, 1, HEIGHT - 1]
    for x, y in ((-0.01, 0), (WIDTH + 0.01, 0), (0, -1), (0, HEIGHT + 1)):
        with pytest.raises(ArgumentValueError, match="expected a place on the image"):
            click_on_page(x, y, True, HEIGHT, WIDTH)


def test_a_box_holds_the_pixels_that_it_touches():
    assert box_on_page((20.25, 10.5), (60.5, 50), HEIGHT, WIDTH) == (20, 10, 61, 50)
    assert box_on_page((60.5, 10.5), (20.25, 50), HEIGHT, WIDTH) == (20, 10, 61, 50)
    assert box_on_page((3, 4), (5, 6), HEIGHT, WIDTH) == (3, 4, 5, 6)
    assert box_on_page((-1e308, -5), (1e308, 2.5), HEIGHT, WIDTH) == (0, 0, WIDTH, 3)
    for corners in (((5, 5), (5, 9)), ((-9, 0), (-1, 9)), ((WIDTH, 0), (WIDTH + 5, 9))):
        with pytest.raises(ArgumentValueError, match="expected one on the 96 x 64 image"):
            box_on_page(*corners, HEIGHT, WIDTH)


# ------------------------------------------------------------ the last click, which no request tells


points = st.tuples(st.integers(0, WIDTH), st.integers(0, HEIGHT), st.booleans())
actions = st.one_of(points, points, points, st.just("undo"), st.just("next object"))


@given(st.lists(actions, max_size=9), st.integers(0, 3))
@settings(max_examples=25)
def test_a_growing_and_shrinking_list_is_answered_in_the_true_order(actions, seed):
    interactor, clicks = Interactor(MODEL), []
    for action in actions:
        clicks = {"undo": clicks[:-1], "next object": []}.get(action, [*clicks, action])
        positive, negative = ([[x, y] for x, y, kind in clicks if kind == wanted] for wanted in (True, False))
        request = asking(positive, negative, image=png(seed=seed))
        np.testing.assert_array_equal(answered(interactor, request), clicked_on_page(request, clicks))


def clicked_on_page(request, clicks):
    """As ``clicked``, for points that may lie on the far edge."""
    session = MODEL.session(pixels(request))
    for x, y, positive in clicks:
        session.click(min(x, WIDTH - 0.01) - 0.5, min(y, HEIGHT - 0.01) - 0.5, positive)
    return session.mask


def test_a_point_that_is_taken_away_from_the_middle_leaves_the_others_in_order():
    clicks = [(20, 20, True), (30, 30, False), (50, 20, True), (60, 50, False), (70, 20, True)]
    interactor = Interactor(MODEL)
    for end in range(1, 6):
        interactor.answer(asked(clicks[:end]))
    rest = clicks[:2] + clicks[3:]
    np.testing.assert_array_equal(answered(interactor, asked(rest)), clicked(asked(rest), rest))


def asked(clicks, image=None):
    positive, negative = ([[x, y] for x, y, kind in clicks if kind == wanted] for wanted in (True, False))
    return asking(positive, negative, image=image)


def test_where_no_history_tells_points_go_one_on_the_object_and_one_off_it():
    positive, negative = [[20, 20], [50, 20], [70, 20]], [[30, 30]]
    alternating = [point for pair in zip_longest(positive, negative) for point in pair if point]
    clicks = [(x, y, [x, y] in positive) for x, y in alternating]
    assert [kind for _, _, kind in clicks] == [True, False, True, True]
    request = asking(positive, negative)
    np.testing.assert_array_equal(answered(Interactor(MODEL), request), clicked(request, clicks))


def test_two_people_on_one_photo_do_not_undo_each_other():
    here = [(20, 20, True), (30, 30, False), (50, 20, True)]
    there = [(70, 50, True), (60, 40, False), (80, 30, True)]
    interactor = Interactor(MODEL)
    MODEL._networks.calls = 0
    for end in range(1, 4):
        for clicks in (here[:end], there[:end]):
            interactor.answer(asked(clicks))
    assert MODEL._networks.calls == 6


def test_a_box_that_comes_later_keeps_the_order_of_the_clicks():
    clicks = [(30, 30, False), (25, 20, True), (50, 40, True)]
    interactor = Interactor(MODEL)
    for end in range(1, 4):
        interactor.answer(asked(clicks[:end]))
    request = asked(clicks) | {"obj_bbox": [[20.25, 10.5], [60.5, 50]]}
    expected = clicked(request, [(40.5, 30, True), *clicks], view=VIEW)
    np.testing.assert_array_equal(answered(interactor, request), expected)


# ------------------------------------------------------------ what is kept


@pytest.fixture
def decoded(monkeypatch):
    """Counts the photos that were decoded."""
    seen = []

    def counting(content):
        seen.append(len(content))
        return to_image(content, "photo")

    monkeypatch.setattr(cvat, "decode_photo", counting)
    return seen


def test_a_click_neither_decodes_the_photo_again_nor_makes_old_clicks_again(decoded):
    interactor = Interactor(MODEL)
    MODEL._networks.calls = 0
    for name in ("first_click", "second_click", "third_click", "second_click"):
        interactor.answer(REQUESTS[name])
    assert len(decoded) == 1
    assert MODEL._networks.calls == 3


def test_the_photos_that_were_not_used_for_longest_go(decoded):
    images = [png(seed=seed) for seed in range(4)]
    first = Interactor(MODEL)
    first.answer(asking([[20, 20]], image=images[0]))
    most = int(3.5 * first.nbytes)
    decoded.clear()
    interactor = Interactor(MODEL, most_bytes=most)
    for image in [*images[:3], images[0], images[3]]:
        interactor.answer(asking([[20, 20]], image=image))
        assert interactor.nbytes <= most
    assert len(decoded) == 4
    interactor.answer(asking([[20, 20]], image=images[0]))
    assert len(decoded) == 4
    interactor.answer(asking([[20, 20]], image=images[1]))
    assert len(decoded) == 5


def test_sessions_on_one_photo_are_bounded():
    interactor = Interactor(MODEL)
    image = png()
    sizes = []
    for x in range(10, 90, 8):
        interactor.answer(asking([[x, 20]], image=image))
        sizes.append(interactor.nbytes)
    assert len(set(sizes[: photos.MOST_SESSIONS])) == photos.MOST_SESSIONS
    assert max(sizes) < sizes[0] * (photos.MOST_SESSIONS + 1)


def test_threads_get_what_they_would_get_alone():
    def alone(seed):
        interactor = Interactor(MODEL)
        return [answered(interactor, asked(path(seed)[:end], png(seed=seed % 2))).sum() for end in (1, 2, 3)]

    def path(seed):
        return [(10 + 7 * seed, 20, True), (50, 50, False), (40, 10 + 4 * seed, True)]

    shared = Interactor(MODEL, most_bytes=1)

    def together(seed):
        return [answered(shared, asked(path(seed)[:end], png(seed=seed % 2))).sum() for end in (1, 2, 3)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(together, range(8))) == [alone(seed) for seed in range(8)]


# ------------------------------------------------------------ broken and hostile requests


HUGE = b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\xff\xff\xff\0\xff\xff\xff\x08\x02\0\0\0\0\0\0\0").decode()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": None}, ArgumentTypeError, "image: expected a file in base64"),
        ({"image": 7}, ArgumentTypeError, "image: expected a file in base64"),
        ({"image": "äöü"}, ArgumentTypeError, "image: expected a file in base64"),
        ({"image": "no base64!"}, ArgumentValueError, "image: expected a file in base64"),
        ({"image": ""}, ImageFileError, "image"),
        ({"image": b64encode(b"no image").decode()}, ImageFileError, "image"),
        ({"image": HUGE}, ImageFileError, "image"),
        ({"pos_points": "ab"}, ArgumentTypeError, r"pos_points: expected a list of \[x, y\]"),
        ({"pos_points": {"x": 1}}, ArgumentTypeError, "pos_points: expected a list"),
        ({"pos_points": [1, 2]}, ArgumentTypeError, "pos_points: expected a list"),
        ({"pos_points": [[1, 2, 3]]}, ArgumentTypeError, "pos_points: expected a list"),
        ({"neg_points": [["1", 2]]}, ArgumentTypeError, "neg_points: expected a number"),
        ({"neg_points": [[float("nan"), 2]]}, ArgumentValueError, "neg_points: expected a finite number"),
        ({"neg_points": [[10**400, 2]]}, ArgumentValueError, "neg_points: expected a finite number"),
        ({"pos_points": [[WIDTH + 1, 2]]}, ArgumentValueError, "x: expected a place on the image"),
        ({"pos_points": [[1, 2]] * 101}, ArgumentValueError, "at most 100 together"),
        ({"obj_bbox": [[1, 2]]}, ArgumentValueError, "obj_bbox: expected two corners"),
        ({"obj_bbox": [[1, 2], [1, 9]]}, ArgumentValueError, "box: expected one on the"),
        ({"obj_bbox": "abcd"}, ArgumentTypeError, "obj_bbox: expected a number"),
        ({"obj_bbox": [None] * 4}, ArgumentTypeError, "obj_bbox: expected a number"),
        ({"threshold": 0}, ArgumentValueError, "threshold: expected a number between 0 and 1"),
        ({"threshold": 1}, ArgumentValueError, "threshold: expected a number between 0 and 1"),
        ({"threshold": "high"}, ArgumentTypeError, "threshold: expected a number"),
    ],
)
def test_a_request_that_does_not_fit_is_an_error_and_leaves_nothing(change, error, message):
    interactor = Interactor(MODEL)
    with pytest.raises(error, match=message):
        interactor.answer(REQUESTS["first_click"] | change)
    assert interactor.nbytes == 0


@pytest.mark.parametrize("body", [None, [], "text", b"bytes", 7])
def test_a_body_that_is_no_object_is_an_error(body):
    with pytest.raises(ArgumentTypeError, match="the request: expected a JSON object"):
        Interactor(MODEL).answer(body)


def test_a_request_that_fails_changes_nothing_for_the_next():
    interactor = Interactor(MODEL)
    interactor.answer(REQUESTS["first_click"])
    with pytest.raises(FocalrtError):
        interactor.answer(REQUESTS["second_click"] | {"neg_points": [[1e9, 0]]})
    MODEL._networks.calls = 0
    mask = answered(interactor, REQUESTS["second_click"])
    assert MODEL._networks.calls == 1
    np.testing.assert_array_equal(mask, clicked(REQUESTS["second_click"], [FIRST, SECOND]))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)


@given(st.sampled_from(["image", "pos_points", "neg_points", "obj_bbox", "threshold"]), values)
def test_whatever_a_field_holds_the_answer_is_a_mask_or_an_error(field, value):
    try:
        reply = json.loads(Interactor(MODEL).answer(REQUESTS["second_click"] | {field: value}))
    except FocalrtError:
        return
    assert set(reply) == {"mask", "bounds", "points"}


# ------------------------------------------------------------ in Nuclio


@pytest.fixture(scope="module")
def function():
    """``docs/cvat/main.py``."""
    found = importlib.util.spec_from_file_location("function", ROOT / "docs/cvat/main.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


class Response(SimpleNamespace):
    """Of Nuclio's shape, for where its SDK is not installed."""


@pytest.fixture
def context(function, monkeypatch):
    """A worker's context after ``init_context``."""
    monkeypatch.setattr(function.focalrt, "load", lambda threads: MODEL)
    context = SimpleNamespace(user_data=SimpleNamespace(), Response=Response)
    function.init_context(context)
    return context


def test_the_function_answers_requests(function, context):
    response = function.handler(context, SimpleNamespace(body=REQUESTS["first_click"]))
    assert response.status_code == 200
    assert response.content_type == "application/json"
    mask = whole_mask(json.loads(response.body))
    np.testing.assert_array_equal(mask, clicked(REQUESTS["first_click"], [FIRST]))


@pytest.mark.parametrize("body", [b"{", {}, {"image": "?"}])
def test_the_function_tells_what_is_wrong(function, context, body):
    response = function.handler(context, SimpleNamespace(body=body))
    assert response.status_code == 400
    assert "expected" in response.body
    assert "Traceback" not in response.body


def test_the_function_in_nuclios_own_sdk(function, monkeypatch):
    """Events as the processor packs them, the context of a worker, and the response as it goes back."""
    nuclio = pytest.importorskip("nuclio_sdk", reason="needs nuclio-sdk")
    monkeypatch.setattr(function.focalrt, "load", lambda threads: MODEL)
    context = nuclio.Context()
    function.init_context(context)

    def call(body):
        packed = {
            "body": body,
            "content_type": "application/json",
            "trigger": {"kind": "http", "name": "myHttpTrigger"},
        }
        packed |= {"fields": {}, "headers": {}} | dict.fromkeys(("id", "method", "path", "url"), "")
        packed |= dict.fromkeys(("size", "timestamp", "shard_id", "num_shards", "type", "type_version", "version"), 0)
        event = nuclio.Event.deserialize(packed, kind=nuclio.event.EventDeserializerKinds.msgpack)
        return nuclio.Response.from_entrypoint_output(json.dumps, function.handler(context, event))

    response = call(json.dumps(REQUESTS["second_click"]).encode())
    assert (response["status_code"], response["content_type"]) == (200, "application/json")
    mask = whole_mask(json.loads(response["body"]))
    np.testing.assert_array_equal(mask, clicked(REQUESTS["second_click"], [FIRST, SECOND]))
    assert call(b'{"image": ')["status_code"] == 400


def test_the_functions_description_is_what_cvat_reads():
    """By ``LambdaFunction`` of CVAT's ``lambda_manager/views.py``: names, types and the limits of the worker."""
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    description = yaml.safe_load((ROOT / "docs/cvat/function.yaml").read_text())
    annotations, spec = description["metadata"]["annotations"], description["spec"]
    assert json.loads(annotations["spec"] or "[]") == []
    assert annotations["type"] == "interactor"
    assert int(annotations["version"]) >= 2  # the page warns of older ones
    assert (int(annotations["min_pos_points"]), int(annotations["min_neg_points"])) == (0, 0)
    assert bool(annotations["startswith_box_optional"])
    assert "startswith_box" not in annotations
    assert (spec["handler"], spec["eventTimeout"]) == ("main:handler", "30s")
    assert spec["resources"]["limits"]["cpu"] == 2


def test_the_network_that_ships_through_the_function(function):
    """Three clicks on a photo at 600 x 400: the reply is the mask that the API gives."""
    model = focalrt.load(threads=1)
    interactor = Interactor(model)
    content = (ROOT / "docs/photos/coffee.jpg").read_bytes()
    clicks = [(300.5, 150.5, True), (520.5, 300.5, False), (250.5, 200.5, True)]
    for end in (1, 2, 3):
        request = asked(clicks[:end], b64encode(content).decode())
        mask = answered(interactor, request, 400, 600)
    np.testing.assert_array_equal(mask, clicked(request, clicks, model=model))
    assert mask.any()
