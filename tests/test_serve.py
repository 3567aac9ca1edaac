"""The service over real HTTP: every answer is that of the Python API, every bad request is refused in a sentence."""

import http.client
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stub import StubNetworks, stub_model

pytest.importorskip("httpx", reason="the client of the tests, of the test extra")
pytest.importorskip("fastapi", reason="the service needs the serve extra")
pytest.importorskip("PIL", reason="the service needs the serve extra")

import httpx
from serving import BEARER, served

import focalrt
from focalrt import masks
from focalrt.model import Model
from focalrt.runs import Runs
from focalrt.serve import schema, work
from focalrt.serve.app import create_app
from focalrt.serve.service import Limits

TOKEN = BEARER["Authorization"].split()[1]
HEIGHT, WIDTH = 60, 80
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MASK = np.zeros((HEIGHT, WIDTH), np.bool_)
MASK[20:40, 30:50] = True
MODEL = stub_model(noise=2)


def png(pixels):
    """An image file's bytes; OpenCV takes BGR."""
    pixels = pixels.astype(np.uint8) * 255 if pixels.dtype == np.bool_ else pixels
    return cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


PHOTO, MASK_FILE = png(IMAGE), png(MASK)


def client_of(url, **options):
    return httpx.Client(base_url=url, headers=BEARER, timeout=60, **options)


@pytest.fixture(scope="module")
def client():
    with served(create_app(MODEL, TOKEN)) as url, client_of(url) as client:
        yield client


def begun(client, mask=None, merge="auto"):
    """A session, and its twin of the Python API."""
    files = {"image": PHOTO} | ({} if mask is None else {"mask": png(mask)})
    answer = client.post("/sessions", files=files, data={"merge": merge})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], MODEL.session(IMAGE, mask, merge=merge)


def ok(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def runs_of(listed):
    return Runs(np.array(listed, np.int32).reshape(-1, 3))


def box_of(box):
    return None if box is None else list(box)


def assert_same(told, session):
    """What every answer tells of a session."""
    assert told["area"] == session.runs.area
    assert (told["can_undo"], told["can_redo"]) == (session.can_undo, session.can_redo)
    assert told["withheld_regions"] == len(session.withheld)
    assert len(told["withheld"]) == min(len(session.withheld), schema.MOST_REGIONS)
    for region, listed in zip(session.withheld, told["withheld"]):
        assert (listed["area"], listed["box"]) == (region.area, list(region.box))
        assert region.runs.holds(listed["y"], listed["x"])


def assert_step(told, step, before, session):
    assert told["step"] == (step.kind if step else None)
    assert runs_of(told["change"]) == before ^ session.runs
    assert told["changed"] == box_of((before ^ session.runs).box)
    assert_same(told, session)


def refused(answer, status):
    """The sentence of a refusal, which is short and repeats no input."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert list(told) == ["detail"]
    assert 10 < len(told["detail"]) <= 300
    return told["detail"]


# ------------------------------------------------------------ sessions


def test_a_session_as_it_begins(client):
    name, session = begun(client, MASK)
    told = ok(client.get(f"/sessions/{name}"))
    assert (told["id"], told["width"], told["height"]) == (name, WIDTH, HEIGHT)
    assert told["box"] == list(session.runs.box) and told["clicks"] == []
    assert_same(told, session)
    assert told["bytes"] == session.nbytes and told["expires"] == 1800


@pytest.mark.parametrize("merge", ["auto", "always", "never"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["from scratch", "from a mask"])
def test_clicks(client, mask, merge):
    name, session = begun(client, mask, merge)
    for click in ({"x": 30, "y": 20}, {"x": 60.5, "y": -0.25, "positive": True}, {"x": 34, "y": 24, "positive": False}):
        before = session.runs
        told = ok(client.post(f"/sessions/{name}/clicks", json=click))
        result = session.click(**click)
        assert (told["outcome"], told["obeyed"]) == (result.outcome, result.obeyed)
        assert (told["target"], told["focus"]) == (list(result.target), list(result.focus))
        assert list(told["milliseconds"]) == list(result.milliseconds)
        assert told["step"] == "click"
        assert runs_of(told["change"]) == before ^ session.runs
        assert told["changed"] == box_of(result.changed)
        assert_same(told, session)
    told = ok(client.get(f"/sessions/{name}"))
    assert [tuple(each.values()) for each in told["clicks"]] == list(session.clicks)


def test_a_view(client):
    name, session = begun(client)
    told = ok(client.post(f"/sessions/{name}/clicks", json={"x": 30, "y": 20, "view": [20, 10, 200, 50]}))
    session.click(30, 20, view=(20, 10, 200, 50))
    assert told["target"] == [20, 10, WIDTH, 50]
    assert told["area"] == session.runs.area


def test_every_other_step(client):
    name, session = begun(client, MASK, "always")

    def step(path, act, method="POST", **content):
        before = session.runs
        told = ok(client.request(method, f"/sessions/{name}/{path}", **content))
        assert_step(told, act(), before, session)

    client.post(f"/sessions/{name}/clicks", json={"x": 60, "y": 50})
    session.click(60, 50)
    assert len(session.withheld) > 3
    for region in list(session.withheld)[1:]:
        y, x, _ = region.runs.spans[-1].tolist()
        step("accept", lambda region=region: session.accept(region), json={"x": x, "y": y})
    step("undo", session.undo)
    step("redo", session.redo)
    step("redo", session.redo)
    step("accept-all", session.accept_all)
    step("accept-all", session.accept_all)
    stroke = np.eye(9, 12, dtype=np.bool_)
    step(
        "paint",
        lambda: session.paint(stroke, (60, 3, 72, 12)),
        files={"mask": png(stroke)},
        data={"box": "60,3,72,12"},
    )
    step("mask", lambda: session.set_mask(~MASK), "PUT", files={"mask": png(~MASK)})
    step("reset", session.reset)
    step("reset", session.reset)
    for _ in range(7):
        step("undo", session.undo)


def test_masks_go_out_as_png_rle_and_polygons(client):
    name, session = begun(client, MASK)
    for x, y, positive in ((60, 50, True), (40, 30, False)):
        client.post(f"/sessions/{name}/clicks", json={"x": x, "y": y, "positive": positive})
        session.click(x, y, positive)
    answer = client.get(f"/sessions/{name}/mask.png")
    assert answer.headers["content-type"] == "image/png"
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels, session.mask * np.uint8(255))
    assert ok(client.get(f"/sessions/{name}/rle")) == masks.to_coco(session.runs, HEIGHT, WIDTH)
    for tolerance in (0, 1, 2.5):
        told = ok(client.get(f"/sessions/{name}/polygons", params={"tolerance": tolerance}))
        assert (told["width"], told["height"]) == (WIDTH, HEIGHT)
        expected = masks.to_polygons(session.runs, tolerance)
        assert len(told["polygons"]) == len(expected)
        for polygon, (outline, holes) in zip(told["polygons"], expected):
            np.testing.assert_allclose(polygon["outline"], outline)
            assert [len(hole) for hole in polygon["holes"]] == [len(hole) for hole in holes]
        if tolerance == 0:
            outlines = [(np.array(each["outline"]), [np.array(h) for h in each["holes"]]) for each in told["polygons"]]
            assert masks.from_polygons([masks.Polygon(o, tuple(h)) for o, h in outlines], HEIGHT, WIDTH) == session.runs


def test_a_deleted_session_is_gone(client):
    name, _ = begun(client)
    answer = client.delete(f"/sessions/{name}")
    assert answer.status_code == 204 and answer.content == b"" and "content-type" not in answer.headers
    for method, path, content in (
        ("DELETE", "", {}),
        ("GET", "", {}),
        ("GET", "/mask.png", {}),
        ("GET", "/rle", {}),
        ("GET", "/polygons", {}),
        ("POST", "/clicks", {"json": {"x": 1, "y": 1}}),
        ("POST", "/accept", {"json": {"x": 1, "y": 1}}),
        ("POST", "/undo", {}),
        ("PUT", "/mask", {"files": {"mask": MASK_FILE}}),
    ):
        assert name in refused(client.request(method, f"/sessions/{name}{path}", **content), 404)


# ------------------------------------------------------------ without a session


@pytest.mark.parametrize("mask", [None, MASK], ids=["from scratch", "from a mask"])
def test_segment(client, mask):
    clicks = [(30, 20), (60.5, 40, True), (34, 24, False)]
    files = {"image": PHOTO} | ({} if mask is None else {"mask": MASK_FILE})
    data = {"click": ["30,20", "60.5,40,+", "34,24,-"], "merge": "always"}
    expected = focalrt.segment(IMAGE, clicks, mask, model=MODEL, merge="always")
    told = ok(client.post("/segment", files=files, data=data))
    assert told["mask"] == masks.to_coco(expected.runs, HEIGHT, WIDTH)
    assert (told["outcome"], told["obeyed"]) == (expected.outcome, expected.obeyed)
    assert told["area"] == expected.runs.area
    assert (told["target"], told["focus"]) == (list(expected.target), list(expected.focus))
    answer = client.post("/segment?form=png", files=files, data=data)
    assert answer.headers["content-type"] == "image/png"
    pixels = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels, expected.mask * np.uint8(255))
    told = ok(client.post("/segment?form=polygons&tolerance=2", files=files, data=data | {"view": "0,0,50,50"}))
    assert len(told["mask"]["polygons"]) == len(masks.to_polygons(expected.runs, 2))


def test_about_health_and_description(client):
    assert ok(client.get("/")) == {"focalrt": focalrt.__version__, "model": "stub", "description": "/openapi.json"}
    assert ok(httpx.get(f"{client.base_url}/health")) == {"status": "ok"}
    described = ok(client.get("/openapi.json"))
    assert described["openapi"].startswith("3.")
    assert "/sessions/{session}/clicks" in described["paths"]
    assert client.get("/docs").status_code == 404


def test_a_browser_shows_the_token_once(client):
    with httpx.Client(base_url=client.base_url, follow_redirects=True) as browser:
        assert browser.get("/").status_code == 401
        assert browser.get("/", params={"token": TOKEN}).url.query == b""
        assert browser.get("/").status_code == 200
        assert browser.post("/sessions", files={"image": PHOTO}).status_code == 403
        own = {"Origin": str(client.base_url)}
        assert browser.post("/sessions", files={"image": PHOTO}, headers=own).status_code == 201


def test_metrics(client):
    name, _ = begun(client)
    client.get(f"/sessions/{name}")
    client.get("/nowhere/at/all")
    client.request("BREW", "/")
    text = client.get("/metrics").text
    assert re.search(r'focalrt_requests_total{method="GET",route="/sessions/{session}",status="200"} [1-9]', text)
    assert re.search(r'focalrt_requests_total{method="other",route="/?[a-z]*",status="405"} 1', text)
    assert re.search(r"focalrt_sessions [1-9]", text) and re.search(r"focalrt_session_bytes [1-9]", text)
    assert "focalrt_jobs 0.0" in text and "focalrt_most_jobs 34.0" in text
    assert name not in text and "nowhere" not in text and "BREW" not in text


# ------------------------------------------------------------ bad requests

CLICKS = [
    ("[1, 2]", "valid dictionary"),
    ("{}", "x: field required"),
    ('{"x": 1}', "y: field required"),
    ('{"x": "1", "y": 2}', "x: input should be a valid number"),
    ('{"x": true, "y": 2}', "x: input should be a valid number"),
    ('{"x": null, "y": 2}', "x: "),
    ('{"x": NaN, "y": 2}', "x: input should be a finite number"),
    ('{"x": 1, "y": Infinity}', "y: input should be"),
    ('{"x": 1e999, "y": 2}', "x: input should be"),
    ('{"x": 1e300, "y": 2}', "x: input should be less"),
    (f'{{"x": {"9" * 4000}, "y": 2}}', "x: "),
    ('{"x": -1, "y": 2}', "x: input should be greater"),
    (f'{{"x": {WIDTH}, "y": 2}}', f"x: expected a place on the {WIDTH} x {HEIGHT} image"),
    ('{"x": 1, "y": 2, "positive": "yes"}', "positive: input should be a valid boolean"),
    ('{"x": 1, "y": 2, "positive": 1}', "positive: input should be a valid boolean"),
    ('{"x": 1, "y": 2, "z": 3}', "z: extra inputs"),
    ('{"x": 1, "y": 2, "view": [0, 0, 1]}', "view"),
    ('{"x": 1, "y": 2, "view": [0, 0, 1, 1.5]}', "view"),
    ('{"x": 1, "y": 2, "view": [0, 0, 1, 1e30]}', "view"),
    ('{"x": 1, "y": 2, "view": [5, 5, 9, 9]}', "view: expected a box that holds the click"),
    ('{"x": 1, "y": 2', "JSON decode error"),
    ("", ""),
    ("[" * 50_000, ""),
]


@pytest.mark.parametrize(("content", "told"), CLICKS, ids=[content[:30] for content, _ in CLICKS])
def test_clicks_that_are_none(client, content, told):
    name, session = begun(client, MASK)
    answer = client.post(
        f"/sessions/{name}/clicks", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert told.lower() in refused(answer, answer.status_code).lower()
    assert ok(client.get(f"/sessions/{name}"))["area"] == session.runs.area


def test_a_click_that_is_no_json(client):
    name, _ = begun(client)
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = client.post(f"/sessions/{name}/clicks", content='{"x": 1, "y": 1}', headers={"content-type": kind})
        refused(answer, 422)


FORMS = [
    ({}, {"click": "1,1"}, "image: field required"),
    ({"image": b""}, {"click": "1,1"}, "image: expected a"),
    ({"image": b"no image"}, {"click": "1,1"}, "image: expected a"),
    ({"image": PHOTO[:-30]}, {"click": "1,1"}, "image: what came is not an image"),
    ({"image": PHOTO}, {}, "click: field required"),
    ({"image": PHOTO}, {"click": "1"}, "click.0: string should match"),
    ({"image": PHOTO}, {"click": "nan,1"}, "click.0: string should match"),
    ({"image": PHOTO}, {"click": "1e9,1"}, "click.0: string should match"),
    ({"image": PHOTO}, {"click": "80,1"}, "clicks[0]: x: expected a place"),
    ({"image": PHOTO}, {"click": ["1,1"] * 101}, "click: list should have at most 100 items"),
    ({"image": PHOTO}, {"click": "1,1", "merge": "sometimes"}, "merge: input should be 'auto'"),
    ({"image": PHOTO}, {"click": "1,1", "view": "1,2,3"}, "view: string should match"),
    ({"image": PHOTO}, {"click": "1,1", "view": "5,5,9,9"}, "view: expected a box that holds"),
    ({"image": PHOTO, "mask": PHOTO[:100]}, {"click": "1,1"}, "mask: "),
    ({"image": PHOTO, "mask": png(MASK[1:])}, {"click": "1,1"}, "mask: expected 80 x 60 pixels; got 80 x 59"),
]


@pytest.mark.parametrize(("files", "data", "told"), FORMS)
def test_forms_that_are_none(client, files, data, told):
    assert told in refused(client.post("/segment", files=files or {"other": b"x"}, data=data), 422).lower()


@pytest.mark.parametrize("query", ["form=jpeg", "form=png&tolerance=nan", "tolerance=-1", "tolerence=2"])
def test_queries_that_are_none(client, query):
    refused(client.post(f"/segment?{query}", files={"image": PHOTO}, data={"click": "1,1"}), 422)


def test_a_form_that_is_cut_short(client):
    whole = client.build_request("POST", "/segment", files={"image": PHOTO}, data={"click": "1,1"})
    content = whole.read()
    for end in (0, 10, 100, len(content) // 2, len(content) - 10):
        headers = {"content-type": whole.headers["content-type"]}
        answer = client.post("/segment", content=content[:end], headers=headers)
        assert answer.status_code in (400, 422)
        refused(answer, answer.status_code)


def test_steps_that_do_not_fit(client):
    name, _ = begun(client, MASK)
    path = f"/sessions/{name}"
    for x, told in ((1, "no region that can be accepted"), (-1, "x: input should be"), (1.5, "x: input should be")):
        assert told in refused(client.post(f"{path}/accept", json={"x": x, "y": 1}), 422)
    for box, told in (
        ("0,0,80,61", "box: expected 0 <= x0 < x1 <= 80"),
        ("0,0,1000000,9", "box: expected 0 <= x0 < x1 <= 80"),
        ("0,0,10,10", "mask: expected 10 x 10 pixels; got 80 x 60"),
        ("", "box: "),
    ):
        answer = client.post(f"{path}/paint", files={"mask": MASK_FILE}, data={"box": box})
        assert told in refused(answer, 422)
    assert "mask: expected 80 x 60" in refused(client.put(f"{path}/mask", files={"mask": png(MASK.T)}), 422)
    refused(client.put(f"{path}/mask", json={"size": [60, 80], "counts": "0"}), 422)
    assert ok(client.get(path))["can_undo"] is False


@pytest.mark.parametrize("path", ["/../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/sessions/..%2f..%2fhealth", "/%00"])
def test_paths_lead_nowhere_else(client, path):
    answer = client.get(path)
    assert refused(answer, 404)


def test_what_an_address_does_not_take(client):
    answer = client.put("/sessions")
    assert "does not take PUT" in refused(answer, 405)
    assert answer.headers["allow"] == "POST"
    assert client.patch("/sessions/x").headers["allow"] == "DELETE, GET"


def test_ten_megabytes_of_clicks(client):
    name, _ = begun(client)
    clicks = json.dumps([{"x": 1, "y": 1}] * 600_000).encode()
    assert len(clicks) > 10_000_000
    headers = {"content-type": "application/json"}
    assert "at most 1048576 bytes" in refused(
        client.post(f"/sessions/{name}/clicks", content=clicks, headers=headers), 413
    )
    refused(client.post(f"/sessions/{name}/clicks", content=iter([clicks]), headers=headers), 413)
    refused(client.post("/segment", files={"image": PHOTO, "click": (None, b"1,1" * 4_000_000)}), 400)


def test_too_many_pixels_and_bytes():
    limits = Limits(pixels=HEIGHT * WIDTH - 1, upload_bytes=2 << 20)
    with served(create_app(MODEL, TOKEN, limits=limits)) as url, client_of(url) as client:
        assert "at most 4799 pixels" in refused(client.post("/sessions", files={"image": PHOTO}), 413)
        assert "at most 2097152 bytes" in refused(client.post("/sessions", files={"image": bytes(3 << 20)}), 413)
        assert len(re.findall('_total{.*status="413"} 1', client.get("/metrics").text)) == 2


def test_a_mask_that_is_noise(client, monkeypatch):
    monkeypatch.setattr(work, "MOST_RUNS", 100)
    stripes = np.zeros((HEIGHT, WIDTH), np.bool_)
    stripes[:, ::2] = True
    name, _ = begun(client)
    assert "at most 100 runs" in refused(client.put(f"/sessions/{name}/mask", files={"mask": png(stripes)}), 422)
    assert "at most 100 runs" in refused(client.post("/sessions", files={"image": PHOTO, "mask": png(stripes)}), 422)
    ok(client.put(f"/sessions/{name}/mask", files={"mask": png(stripes.T[:HEIGHT, :WIDTH].repeat(2, 1)[:, :WIDTH])}))
    assert "at most 100 runs" in refused(client.get(f"/sessions/{name}/rle"), 422)  # few across, many down
    assert client.get(f"/sessions/{name}/mask.png").status_code == 200
    monkeypatch.setattr(work, "MOST_OUTLINED", 10)
    assert "at most 10 runs" in refused(client.get(f"/sessions/{name}/polygons"), 422)


def test_a_change_of_too_many_runs_is_not_listed(client, monkeypatch):
    monkeypatch.setattr(schema, "MOST_CHANGED", 20)
    name, _ = begun(client)
    told = ok(client.put(f"/sessions/{name}/mask", files={"mask": MASK_FILE}))
    assert len(told["change"]) == 20
    told = ok(client.put(f"/sessions/{name}/mask", files={"mask": png(~MASK)}))
    assert told["change"] is None and told["changed"] == [0, 0, WIDTH, HEIGHT]


def test_an_error_inside_is_told_as_one(monkeypatch):
    class Broken(StubNetworks):
        def refine(self, *_):
            raise ZeroDivisionError

    with served(create_app(Model(Broken()), TOKEN)) as url, client_of(url) as client:
        name = client.post("/sessions", files={"image": PHOTO}).json()["id"]
        assert "inside the service" in refused(client.post(f"/sessions/{name}/clicks", json={"x": 1, "y": 1}), 500)
        assert ok(client.get(f"/sessions/{name}"))["clicks"] == []


# ------------------------------------------------------------ overload


class Slow(StubNetworks):
    """Networks that take their time, one call as long as another."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds, self.at_once, self.most_at_once, self.lock = seconds, 0, 0, threading.Lock()

    def segment(self, image, maps):
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.seconds)
        with self.lock:
            self.at_once -= 1
        return super().segment(image, maps)


def test_overload_is_answered_at_once_and_never_piles_up():
    """60 clicks at once on 2 workers and a queue of 6: what fits is done, the rest told to come back."""
    networks = Slow(0.2)
    limits = Limits(workers=2, queue=6)
    with served(create_app(Model(networks), TOKEN, limits=limits)) as url, client_of(url) as client:
        names = [client.post("/sessions", files={"image": PHOTO}).json()["id"] for _ in range(12)]
        busy = []  # whether the networks were at work when /health had answered

        def click(number):
            return client.post(f"/sessions/{names[number % 12]}/clicks", json={"x": 1, "y": 1})

        def look():
            while not done.is_set():
                assert client.get("/health").status_code == 200
                busy.append(networks.at_once > 0)

        done = threading.Event()
        looking = threading.Thread(target=look)
        looking.start()
        with ThreadPoolExecutor(60) as threads:
            answers = list(threads.map(click, range(60)))
        done.set()
        looking.join()
        statuses = [answer.status_code for answer in answers]
        assert set(statuses) == {200, 503}
        assert statuses.count(200) >= 8
        assert networks.most_at_once == 2
        for answer in answers:
            if answer.status_code == 503:
                assert "try again" in refused(answer, 503)
                assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert any(busy)  # the event loop goes on meanwhile
        clicked = sum(len(ok(client.get(f"/sessions/{name}"))["clicks"]) for name in names)
        assert clicked == statuses.count(200)  # what was refused was not done


def test_one_session_takes_one_click_at_a_time():
    networks = Slow(0.05)
    with served(create_app(Model(networks), TOKEN)) as url, client_of(url) as client:
        name = client.post("/sessions", files={"image": PHOTO}).json()["id"]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda k: ok(client.post(f"/sessions/{name}/clicks", json={"x": k, "y": 1})), range(8)))
        assert networks.most_at_once == 1
        assert sorted(click["x"] for click in ok(client.get(f"/sessions/{name}"))["clicks"]) == list(range(8))


def test_what_waits_for_a_session_that_is_deleted_is_refused():
    with served(create_app(Model(Slow(0.3)), TOKEN)) as url, client_of(url) as client:
        name = client.post("/sessions", files={"image": PHOTO}).json()["id"]
        with ThreadPoolExecutor(3) as threads:
            clicks = [
                threads.submit(client.post, f"/sessions/{name}/clicks", json={"x": 1, "y": 1}) for _ in range(3)
            ]
            time.sleep(0.15)
            assert client.delete(f"/sessions/{name}").status_code == 204
            assert sorted(each.result().status_code for each in clicks) == [200, 404, 404]
        assert "focalrt_sessions 0.0" in client.get("/metrics").text


class Gated(StubNetworks):
    """Networks that wait to be let go on."""

    def __init__(self):
        super().__init__()
        self.begun, self.open = threading.Event(), threading.Event()

    def segment(self, image, maps):
        self.begun.set()
        assert self.open.wait(30)
        return super().segment(image, maps)


def counted(client, name):
    """A number that the service tells of itself."""
    text = client.get("/metrics").text
    return float(text.split(f"\n{name} ")[1].split("\n")[0]) if f"\n{name} " in text else 0.0


def come_to(client, name, number):
    """Waits until the service tells that number."""
    end = time.monotonic() + 30
    while counted(client, name) != number:
        assert time.monotonic() < end
        time.sleep(0.01)


@contextmanager
def impatient(client, method, path, **content):
    """A request whose client closes the connection at the end of the block, without the answer."""
    request = client.build_request(method, path, **content)
    connection = http.client.HTTPConnection(request.url.host, request.url.port, timeout=60)
    connection.request(method, path, request.read(), dict(request.headers))
    yield
    connection.close()
    for _ in range(3):  # whoever comes after that is answered after it was seen
        assert client.get("/health").status_code == 200


WAITING = {
    "/sessions/{session}/clicks": ("POST", {"json": {"x": 2, "y": 2}}),
    "/sessions/{session}/undo": ("POST", {}),
    "/sessions/{session}/mask": ("PUT", {"files": {"mask": MASK_FILE}}),
    "/sessions/{session}/rle": ("GET", {}),
    "/sessions": ("POST", {"files": {"image": PHOTO}}),
    "/segment": ("POST", {"files": {"image": PHOTO}, "data": {"click": "3,4"}}),
}


def test_what_waits_for_a_client_that_has_gone_is_dropped():
    """One worker at work on one session while requests for it and for others wait, and their clients leave."""
    networks = Gated()
    limits = Limits(workers=1, queue=2 * len(WAITING))
    with served(create_app(Model(networks), TOKEN, limits=limits)) as url, client_of(url) as client:
        names = [client.post("/sessions", files={"image": PHOTO}).json()["id"] for _ in range(2)]
        with ThreadPoolExecutor(1) as threads, ExitStack() as leaving:
            leaving.callback(networks.open.set)
            first = threads.submit(client.post, f"/sessions/{names[0]}/clicks", json={"x": 1, "y": 1})
            assert networks.begun.wait(30)
            with ExitStack() as clients:
                for route, (method, content) in WAITING.items():
                    for path in {route.format(session=name) for name in names}:
                        clients.enter_context(impatient(client, method, path, **content))
                come_to(client, "focalrt_jobs", 11.0)
            networks.open.set()
            assert ok(first.result())["outcome"] == "written"
        come_to(client, "focalrt_jobs", 0.0)
        calls = networks.calls
        assert [ok(client.get(f"/sessions/{name}"))["clicks"] for name in names] == [
            [{"x": 1, "y": 1, "positive": True}],
            [],
        ]
        assert not ok(client.get(f"/sessions/{names[1]}"))["can_undo"]
        assert calls == 1 and counted(client, "focalrt_sessions") == 2
        for route, (method, _) in WAITING.items():
            label = f'{{method="{method}",route="{route}",status="499"}}'
            come_to(client, f"focalrt_requests_total{label}", 1 + ("{" in route))


def test_what_runs_for_a_client_that_has_gone_is_done_to_the_end():
    networks = Gated()
    with served(create_app(Model(networks), TOKEN)) as url, client_of(url) as client:
        name = client.post("/sessions", files={"image": PHOTO}).json()["id"]
        with impatient(client, "POST", f"/sessions/{name}/clicks", json={"x": 30, "y": 20}):
            assert networks.begun.wait(30)
        networks.open.set()
        told = ok(client.get(f"/sessions/{name}"))  # after its turn
        session = Model(StubNetworks()).session(IMAGE)
        session.click(30, 20)
        assert_same(told, session)
        assert [click["x"] for click in told["clicks"]] == [30]


def test_a_session_whose_name_nobody_would_learn_is_not_kept(monkeypatch):
    begun, gate, begin = threading.Event(), threading.Event(), work.begin

    def gated(*arguments):
        begun.set()
        assert gate.wait(30)
        return begin(*arguments)

    monkeypatch.setattr(work, "begin", gated)
    with served(create_app(MODEL, TOKEN)) as url, client_of(url) as client:
        with impatient(client, "POST", "/sessions", files={"image": PHOTO}):
            assert begun.wait(30)
        gate.set()
        come_to(client, 'focalrt_requests_total{method="POST",route="/sessions",status="499"}', 1.0)
        assert counted(client, "focalrt_sessions") == 0


def test_memory_for_sessions_has_an_end():
    one = MODEL.session(IMAGE).nbytes
    with served(create_app(MODEL, TOKEN, limits=Limits(session_bytes=3 * one))) as url, client_of(url) as client:
        names = [client.post("/sessions", files={"image": PHOTO}).json()["id"] for _ in range(3)]
        answer = client.post("/sessions", files={"image": PHOTO})
        assert "delete those that are done" in refused(answer, 503)
        assert answer.headers["retry-after"] == "30"
        assert client.delete(f"/sessions/{names[0]}").status_code == 204
        name = client.post("/sessions", files={"image": PHOTO}).json()["id"]
        assert ok(client.post(f"/sessions/{name}/clicks", json={"x": 30, "y": 20}))["outcome"] == "written"
        refused(client.post(f"/sessions/{name}/clicks", json={"x": 30, "y": 20}), 503)  # it has grown meanwhile
        ok(client.post(f"/sessions/{name}/undo"))
        for each in names[1:]:
            client.delete(f"/sessions/{each}")


def test_sessions_expire():
    with served(create_app(MODEL, TOKEN, limits=Limits(idle=0.4))) as url, client_of(url) as client:
        names = [client.post("/sessions", files={"image": PHOTO}).json()["id"] for _ in range(2)]
        end = time.monotonic() + 30
        while "focalrt_sessions 1.0" not in client.get("/metrics").text:
            ok(client.get(f"/sessions/{names[0]}"))
            assert time.monotonic() < end
            time.sleep(0.05)
        refused(client.get(f"/sessions/{names[1]}"), 404)
        while "focalrt_sessions 0.0" not in client.get("/metrics").text:
            assert time.monotonic() < end
            time.sleep(0.05)


# ------------------------------------------------------------ any bytes


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.sampled_from(["clicks", "paint", "mask", "accept", "undo", "rle", "polygons", "mask.png", "", "x"]),
    kind=st.sampled_from(["application/json", "multipart/form-data; boundary=b", "multipart/form-data", "text/plain"]),
    content=st.binary(max_size=200) | st.from_regex(rb"--b\r\nContent-Disposition: form-data; name=.{0,50}--b--"),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_any_bytes_are_answered_in_order(client, method, path, kind, content):
    name = begun(client)[0] if not hasattr(client, "name") else client.name
    client.name = name
    answer = client.request(method, f"/sessions/{name}/{path}", content=content, headers={"content-type": kind})
    assert answer.status_code < 500
    if answer.status_code >= 400:
        refused(answer, answer.status_code)
