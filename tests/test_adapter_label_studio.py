"""Label Studio's backend: kept requests of its shape; its SDK and sessions as oracles; files of a fake Label Studio."""

import json
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

pytest.importorskip("PIL", reason="uploads are looked into with Pillow, of the serve extra")
pytest.importorskip("starlette", reason="the application needs the serve extra")
pytest.importorskip("httpx", reason="Starlette's test client needs httpx")

from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from stub import stub_model

import focalrt
from focalrt.adapters import label_studio_app, label_studio_files
from focalrt.adapters.label_studio import Backend, read_config
from focalrt.adapters.label_studio_app import application, main
from focalrt.adapters.label_studio_files import LabelStudioFiles
from focalrt.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    FocalrtError,
    ImageFileError,
    ImageTooLargeError,
    ModelError,
)
from focalrt.imagefile import to_image
from focalrt.masks import from_label_studio, to_label_studio
from focalrt.runs import Runs

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "tests/requests"
REQUESTS = {
    path.stem.removeprefix("label_studio_"): json.loads(path.read_text()) for path in KEPT.glob("label_studio_*.json")
}
FILE = b64decode(json.loads((KEPT / "cvat_first_click.json").read_text())["image"])  # the photo of all these requests
IMAGE = to_image(FILE, "photo")
HEIGHT, WIDTH = IMAGE.shape[:2]
MODEL = stub_model()
ON, OFF, LATER = (40, 29.75), (79.5, 12.25), (33.5, 43.625)  # of the keypoints, pixel centres at integers
DRAWN = np.zeros((HEIGHT, WIDTH), np.bool_)  # of the brush
DRAWN[14:46, 24:50] = DRAWN[20:30, 70:90] = True


def read(place, task):
    return FILE


def backend(**options):
    return Backend(MODEL, read, **options)


def changed(name, **changes):
    """A kept request whose first drawn item has other fields."""
    request = json.loads(json.dumps(REQUESTS[name]))
    request["params"]["context"]["result"][0] |= changes
    return request


def valued(name, **changes):
    """The same with other fields in its ``value``."""
    return changed(name, value=REQUESTS[name]["params"]["context"]["result"][0]["value"] | changes)


def the_mask(results):
    """The mask of the one region."""
    ((region,),) = (prediction["result"] for prediction in results)
    return from_label_studio(region["value"]["rle"], HEIGHT, WIDTH).to_mask(focalrt.Box(0, 0, WIDTH, HEIGHT))


def clicked(*clicks, mask=None, view=None):
    session = MODEL.session(IMAGE, mask)
    for place, positive in clicks:
        session.click(*place, positive, view=None if session.clicks else view)
    return session.mask


# ------------------------------------------------------------ kept requests


@pytest.mark.parametrize(
    ("name", "expected", "label"),
    [
        ("keypoint", clicked((ON, True)), "Orange"),
        ("keypoints", clicked((ON, True), (OFF, False), (LATER, True)), "Orange"),
        ("rectangle", clicked(((39.5, 29.5), True), view=(12, 2, 68, 58)), "Banana"),
        ("rectangle_and_keypoint", clicked(((39.5, 29.5), True), (OFF, False), view=(12, 2, 68, 58)), "Banana"),
        ("brush_and_keypoint", clicked(((76.3, 24.46), False), mask=DRAWN), "Banana"),
    ],
)
def test_a_request_is_a_session_with_what_was_drawn(name, expected, label):
    results = backend().predict(REQUESTS[name])
    np.testing.assert_array_equal(the_mask(results), expected)
    assert results[0]["result"][0]["value"]["brushlabels"] == [label]


def test_a_click_off_a_brush_region_corrects_it_and_leaves_the_rest():
    """The mask that begins is the annotator's, so that Progressive Merge holds from the first click on."""
    mask = the_mask(backend().predict(REQUESTS["brush_and_keypoint"]))
    assert not mask[24, 76]
    np.testing.assert_array_equal(mask[14:46, 24:50], DRAWN[14:46, 24:50])


def drawn(*items):
    """A request with these items, and the config and the task of the kept ones."""
    return REQUESTS["keypoint"] | {"params": {"context": {"result": list(items)}}}


def item(name, number=0, **value):
    """One item of a kept request, with other fields in its ``value``."""
    kept = REQUESTS[name]["params"]["context"]["result"][number]
    return kept | {"value": kept["value"] | value}


def test_the_latest_rectangle_counts():
    other = item("rectangle", x=70, y=70, width=20, height=20)
    mask = the_mask(backend().predict(drawn(other, item("rectangle"))))
    np.testing.assert_array_equal(mask, clicked(((39.5, 29.5), True), view=(12, 2, 68, 58)))


def test_several_brush_regions_are_one_mask_and_rectangles_begin_nothing_then():
    parts = [np.zeros_like(DRAWN) for _ in range(2)]
    parts[0][:, :60], parts[1][:, 60:] = DRAWN[:, :60], DRAWN[:, 60:]
    brushes = [item("brush", rle=to_label_studio(Runs.from_mask(part), HEIGHT, WIDTH)) for part in parts]
    request = drawn(brushes[0], item("rectangle"), item("brush_and_keypoint", 1), brushes[1])
    mask = the_mask(backend().predict(request))
    np.testing.assert_array_equal(mask, clicked(((76.3, 24.46), False), mask=DRAWN))


@pytest.mark.parametrize("name", ["no_context", "brush"])
def test_without_a_click_there_is_no_prediction(name):
    assert backend().predict(REQUESTS[name]) == []


def test_an_empty_mask_is_a_prediction_without_a_region():
    results = backend().predict(changed("keypoint", is_positive=False))
    assert results == [{"result": [], "model_version": f"focalrt {focalrt.__version__} stub"}]


def test_a_keypoint_is_on_the_object_where_it_does_not_tell():
    request = changed("keypoint")
    del request["params"]["context"]["result"][0]["is_positive"]
    np.testing.assert_array_equal(the_mask(backend().predict(request)), clicked((ON, True)))


def test_other_regions_of_the_annotation_are_left_alone():
    request = changed("keypoint")
    other = {"type": "choices", "value": {"choices": ["blurred"]}, "from_name": "quality", "to_name": "image"}
    request["params"]["context"]["result"].insert(0, other)
    np.testing.assert_array_equal(the_mask(backend().predict(request)), clicked((ON, True)))


def test_a_label_that_the_brush_does_not_have_becomes_its_first():
    results = backend().predict(valued("keypoint", keypointlabels=["Foreground"]))
    assert results[0]["result"][0]["value"]["brushlabels"] == ["Banana"]


def test_an_image_is_read_once_and_old_clicks_are_not_made_again():
    places = []

    def counting(place, task):
        places.append((place, task))
        return FILE

    ours = Backend(MODEL, counting)
    MODEL._networks.calls = 0
    for name in ("keypoint", "keypoints", "keypoint"):
        ours.predict(REQUESTS[name])
    assert places == [("/data/upload/3/disc.jpg", 7)]
    assert MODEL._networks.calls == 3


# ------------------------------------------------------------ Label Studio's own SDK


def test_the_converter_decodes_the_region():
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="needs label-studio-sdk")
    (prediction,) = backend().predict(REQUESTS["keypoints"])
    (region,) = prediction["result"]
    values = brush.decode_rle(region["value"]["rle"]).reshape(HEIGHT, WIDTH, 4)
    expected = clicked((ON, True), (OFF, False), (LATER, True))
    np.testing.assert_array_equal(values[..., 3] > 0, expected)
    layers = brush.decode_from_annotation("tag", [region | region["value"]])
    np.testing.assert_array_equal(layers["tag-Orange-0"] > 0, expected)


@pytest.mark.parametrize("name", ["keypoint", "rectangle", "brush_and_keypoint"])
def test_the_label_interface_accepts_the_prediction(name):
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="needs label-studio-sdk")
    objects = pytest.importorskip("label_studio_sdk.label_interface.objects")
    config = interface.LabelInterface(REQUESTS[name]["label_config"])
    (prediction,) = backend().predict(REQUESTS[name])
    assert config.validate_prediction(prediction, return_errors=True) == []
    objects.PredictionValue(**prediction)


def test_the_label_interface_finds_the_same_tags():
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason="needs label-studio-sdk")
    config = REQUESTS["setup"]["schema"]
    found = interface.LabelInterface(config).get_first_tag_occurence("BrushLabels", "Image")
    assert found == tuple(read_config(config)[:3])


# ------------------------------------------------------------ requests that do not fit


XML = '<View><Image name="i" value="$x"/><BrushLabels name="b" toName="{}"><Label value="A"/></BrushLabels></View>'


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "expected the project's XML"),
        ("", "expected the project's XML"),
        ("<View>", "expected the project's XML"),
        ("\ud800", "expected the project's XML"),
        ("<View/>", "expected <Image"),
        (XML.format("other"), "expected <Image"),
        (XML.format("i").replace("$x", "x"), "expected <Image"),
        (XML.format("i").replace('<Label value="A"/>', ""), "expected <Image"),
        ('<!DOCTYPE v [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><v>&b;</v>', "document type is not allowed"),
    ],
)
def test_a_project_without_a_brush_is_told_what_it_needs(config, message):
    with pytest.raises(FocalrtError, match=message):
        read_config(config)


def test_the_interface_that_the_page_shows_is_accepted():
    page = (ROOT / "docs/label_studio.md").read_text()
    config = page.partition("```xml\n")[2].partition("```")[0]
    assert read_config(config) == ("brush", "image", "image", ["Cup"])


def test_the_first_brush_of_an_image_counts():
    text_first = XML.format("i").replace(
        "<View>", '<View><Text name="t" value="$t"/><BrushLabels name="c" toName="t"/>'
    )
    assert read_config(text_first) == ("b", "i", "x", ["A"])


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ([], ArgumentTypeError, "the request: expected a JSON object"),
        (REQUESTS["keypoint"] | {"params": 3}, ArgumentTypeError, "params: expected a JSON object"),
        (REQUESTS["keypoint"] | {"params": {"context": []}}, ArgumentTypeError, "context: expected a JSON object"),
        (REQUESTS["keypoint"] | {"params": {"context": {"result": {}}}}, ArgumentTypeError, "result: expected a list"),
        (REQUESTS["keypoint"] | {"params": {"context": {"result": [1]}}}, ArgumentTypeError, "result: expected a JSON"),
        (REQUESTS["keypoint"] | {"tasks": []}, ArgumentValueError, "tasks: expected the one"),
        (REQUESTS["keypoint"] | {"tasks": [{}, {}]}, ArgumentValueError, "tasks: expected the one"),
        (REQUESTS["keypoint"] | {"tasks": [{"data": {}}]}, ArgumentTypeError, "data.image: expected where the image"),
        (changed("keypoint", original_width=10), ArgumentValueError, "the request says 10 x 64, the image has 96 x 64"),
        (changed("keypoint", original_width=[]), ArgumentValueError, "expected the image's size in pixels"),
        (changed("keypoint", original_width=-1), ArgumentValueError, "expected the image's size in pixels"),
        (changed("keypoints", original_width=95), ArgumentValueError, "the same for all that was drawn"),
        (changed("keypoint", image_rotation=90), ArgumentValueError, "image_rotation: expected 0"),
        (changed("keypoint", is_positive="yes"), ArgumentTypeError, "is_positive: expected true or false"),
        (changed("keypoint", value=None), ArgumentTypeError, "x: expected a number"),
        (valued("keypoint", x=float("nan")), ArgumentValueError, "x: expected a finite number"),
        (valued("keypoint", x=101), ArgumentValueError, "x: expected a place on the image"),
        (valued("rectangle", width=0), ArgumentValueError, "box: expected one on the 96 x 64 image"),
        (valued("rectangle", x=1e308, width=1e308), ArgumentValueError, "box: expected one on the 96 x 64 image"),
        (valued("rectangle", rotation=30), ArgumentValueError, "rotation: expected a rectangle that is not turned"),
        (valued("brush_and_keypoint", rle="abc"), ArgumentTypeError, "rle"),
        (valued("brush_and_keypoint", rle=[0, 0, 1]), ArgumentValueError, "rle"),
    ],
)
def test_a_request_that_does_not_fit_is_an_error_and_leaves_nothing(request_, error, message):
    ours = backend()
    with pytest.raises(error, match=message):
        ours.predict(request_)
    assert ours.nbytes == 0


def test_too_many_keypoints_are_refused():
    request = changed("keypoint")
    request["params"]["context"]["result"] *= 101
    with pytest.raises(ArgumentValueError, match="at most 100 keypoints; got 101"):
        backend().predict(request)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)
places = st.sampled_from(
    [
        *[(name,) for name in ("tasks", "label_config", "params")],
        *[("params", "context", "result", 0, name) for name in ("type", "value", "is_positive", "original_height")],
        *[("params", "context", "result", 0, "value", name) for name in ("x", "rle", "keypointlabels", "brushlabels")],
    ]
)


@given(st.sampled_from(["keypoint", "rectangle", "brush_and_keypoint"]), places, values)
def test_whatever_a_field_holds_the_answer_is_a_list_or_an_error(name, place, value):
    request = json.loads(json.dumps(REQUESTS[name]))
    *way, last = place
    inside = request
    for step in way:
        inside = inside[step]
    inside[last] = value
    try:
        results = backend().predict(request)
    except FocalrtError:
        return
    json.dumps(results)


# ------------------------------------------------------------ over HTTP


@pytest.fixture(scope="module")
def client():
    with TestClient(application(backend()), "http://localhost:9090") as client:
        yield client


def test_the_surface_of_a_backend(client):
    """Paths, methods and answers as ``label_studio_ml/api.py`` has them."""
    assert client.get("/health").json() == {"status": "UP", "model_class": "focalrt"}
    assert client.get("/").json()["status"] == "UP"
    version = f"focalrt {focalrt.__version__} stub"
    assert client.post("/setup", json=REQUESTS["setup"]).json() == {"model_version": version}
    told = client.post("/webhook", json=REQUESTS["webhook"])
    assert (told.status_code, told.json()["status"]) == (201, "ok")
    answer = client.post("/predict", json=REQUESTS["keypoint"])
    assert answer.status_code == 200
    assert set(answer.json()) == {"results"}
    np.testing.assert_array_equal(the_mask(answer.json()["results"]), clicked((ON, True)))
    assert client.post("/predict", json=REQUESTS["no_context"]).json() == {"results": []}


def test_errors_have_a_status_and_a_detail(client):
    answer = client.post("/predict", json=REQUESTS["keypoint"] | {"tasks": []})
    assert answer.status_code == 400
    assert answer.json()["status"] == 400
    assert "tasks: expected the one" in answer.json()["detail"]


def test_a_network_that_fails_is_no_fault_of_the_request(monkeypatch):
    def fail(*_, **__):
        raise ModelError("segmentor.onnx: it failed")

    monkeypatch.setattr("focalrt.session.predict", fail)
    with TestClient(application(backend()), "http://localhost:9090") as client:  # remembers no answer
        answer = client.post("/predict", json=REQUESTS["keypoint"])
    assert (answer.status_code, answer.json()) == (500, {"status": 500, "detail": "segmentor.onnx: it failed"})


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"\xff", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b"{}", JSON | {"Host": "attacker.example"}, 400),
    ],
)
def test_a_body_that_is_no_json_is_refused(client, content, headers, status):
    answer = client.post("/predict", content=content, headers=headers)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_a_body_has_an_end(client, monkeypatch):
    monkeypatch.setattr(label_studio_app, "MOST_BODY", 100)
    answer = client.post("/predict", json=REQUESTS["keypoint"])
    assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_the_password_of_basic_authentication():
    with TestClient(application(backend(), user="studio", password="söcret")) as client:
        assert client.get("/health").status_code == 200
        for credentials in (None, ("studio", "secret"), ("", "söcret")):
            answer = client.post("/setup", json=REQUESTS["setup"], auth=credentials)
            assert (answer.status_code, answer.json()["status"]) == (401, 401)
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
        for header in ("Basic ???", "Basic", "Bearer abc"):
            headers = {"Authorization": header}
            assert client.post("/setup", json=REQUESTS["setup"], headers=headers).status_code == 401
        right = b64encode("studio:söcret".encode()).decode()
        answer = client.post("/setup", json=REQUESTS["setup"], headers={"Authorization": f"Basic {right}"})
        assert answer.status_code == 200


def test_the_command_does_not_listen_to_others_without_a_password(monkeypatch, capsys):
    for name in ("BASIC_AUTH_USER", "BASIC_AUTH_PASS"):
        monkeypatch.delenv(name, raising=False)
    assert main(["--host", "0.0.0.0"]) == 2
    assert "BASIC_AUTH_USER" in capsys.readouterr().err


@pytest.mark.parametrize(("there", "missing"), [("USER", "PASS"), ("PASS", "USER")])
@pytest.mark.parametrize("empty", [False, True], ids=["unset", "empty"])
def test_half_a_password_is_refused(there, missing, empty, monkeypatch, capsys):
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: pytest.fail("it runs, open to everyone on this machine"))
    monkeypatch.setattr(label_studio_app, "load", lambda *_, **__: MODEL)
    monkeypatch.setenv(f"BASIC_AUTH_{there}", "söcret")
    monkeypatch.delenv(f"BASIC_AUTH_{missing}", raising=False)
    if empty:
        monkeypatch.setenv(f"BASIC_AUTH_{missing}", "")
    assert main([]) == 2
    assert f"BASIC_AUTH_{there} without BASIC_AUTH_{missing}: set both or neither" in capsys.readouterr().err
    with pytest.raises(ArgumentValueError, match="expected both or neither"):
        application(backend(), **{{"USER": "user", "PASS": "password"}[there]: "söcret"})


def test_the_command_tells_a_wrong_address_or_model(monkeypatch, capsys):
    monkeypatch.setenv("LABEL_STUDIO_URL", "localhost:8080")
    assert main([]) == 2
    assert "Label Studio's address" in capsys.readouterr().err
    monkeypatch.delenv("LABEL_STUDIO_URL")
    assert main(["--model", "no such model"]) == 1
    assert "no such model" in capsys.readouterr().err
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "secret\n")
    assert main([]) == 2
    told = capsys.readouterr().err
    assert "token: expected one line" in told and "secret" not in told


# ------------------------------------------------------------ files


class FakeLabelStudio(BaseHTTPRequestHandler):
    """Serves one file under every path that Label Studio has files at, and sends on from some."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        sent_on = self.server.sends_on.get(self.path.partition("?")[0])
        self.send_response(302 if sent_on else 404 if "missing" in self.path else 200)
        if sent_on:
            self.send_header("Location", sent_on)
        self.end_headers()
        if not sent_on:
            self.wfile.write(b"x" * 300 if "large" in self.path else FILE)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.server.seen.append((self.path, json.loads(self.rfile.read(length))))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.refreshed)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def studio():
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeLabelStudio) as server:
        server.seen, server.sends_on, server.refreshed = [], {}, b'{"access": "short.lived.token"}'
        server.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("/data/upload/3/disc.jpg", "/data/upload/3/disc.jpg"),
        ("upload/3/disc.jpg", "/data/upload/3/disc.jpg"),
        ("/upload/3/disc.jpg", "/data/upload/3/disc.jpg"),
        ("/data/upload/3/a disk ä.jpg", "/data/upload/3/a%20disk%20%C3%A4.jpg"),
        ("/data/local-files/?d=photos/disc.jpg", "/data/local-files/?d=photos/disc.jpg"),
        ("s3://bucket/disc.jpg", "/tasks/7/presign/?fileuri=czM6Ly9idWNrZXQvZGlzYy5qcGc="),
    ],
)
def test_files_of_label_studio_come_with_its_token(studio, place, path):
    assert LabelStudioFiles(studio.url, "a" * 40).read(place, 7) == FILE
    assert studio.seen == [(path, "Token " + "a" * 40)]


@pytest.mark.parametrize("place", ["/data/local-files/?d=photos/disc.jpg", "s3://bucket/disc.jpg", "gs://b/disc.jpg"])
def test_label_studios_sdk_asks_for_the_same(studio, place):
    files = pytest.importorskip(
        "label_studio_sdk._extensions.label_studio_tools.core.utils.io", reason="needs label-studio-sdk"
    )
    ours = LabelStudioFiles(studio.url, "a" * 40).read(place, 7)
    theirs = files.get_base64_content(place, hostname=studio.url, access_token="a" * 40, task_id=7)
    assert b64decode(theirs) == ours
    first, second = studio.seen
    assert first == second


def test_a_token_of_the_newer_kind_is_refreshed_first(studio):
    assert LabelStudioFiles(studio.url, "head.body.signature").read("/data/upload/3/disc.jpg", 7) == FILE
    assert studio.seen == [
        ("/api/token/refresh/", {"refresh": "head.body.signature"}),
        ("/data/upload/3/disc.jpg", "Bearer short.lived.token"),
    ]


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:1/x.jpg",
        "https://elsewhere.example/x.jpg",
        "http://127.0.0.1:99999/x.jpg",
        "//elsewhere.example/x.jpg",
        "/api/current-user/token",
        "/data/../api/current-user/token",
        "/data/%2e%2e/api/current-user/token",
        "upload/../../api/current-user/token",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x.jpg",
        "/etc/passwd",
        "etc/passwd",
        "http://[::1/x.jpg",
        "",
    ],
)
def test_other_places_are_not_fetched(studio, place):
    with pytest.raises(ArgumentValueError, match="expected a file in Label Studio or on an allowed host"):
        LabelStudioFiles(studio.url, "a" * 40).read(place, 7)
    assert studio.seen == []


def test_allowed_hosts_get_no_token(studio):
    ours = LabelStudioFiles("http://label.studio.example:8080", "a" * 40, ["127.0.0.1"])
    assert ours.read(f"{studio.url}/x.jpg", 7) == FILE
    assert studio.seen == [("/x.jpg", None)]


def test_label_studio_may_send_on_to_its_storage_without_the_token(studio):
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeLabelStudio) as storage:
        storage.seen, storage.sends_on = [], {}
        Thread(target=storage.serve_forever, args=[0.01], daemon=True).start()
        studio.sends_on["/tasks/7/presign/"] = f"http://127.0.0.1:{storage.server_port}/bucket/disc.jpg"
        assert LabelStudioFiles(studio.url, "a" * 40).read("s3://bucket/disc.jpg", 7) == FILE
        assert storage.seen == [("/bucket/disc.jpg", None)]
        storage.shutdown()


def test_others_may_not_send_on(studio):
    studio.sends_on["/x.jpg"] = "http://169.254.169.254/latest/meta-data"
    with pytest.raises(ArgumentValueError, match=r"sends on to 'http://169\.254\.169\.254"):
        LabelStudioFiles(allowed=["127.0.0.1"]).read(f"{studio.url}/x.jpg", 7)


def test_a_file_that_cannot_be_fetched_is_an_error(studio):
    with pytest.raises(ImageFileError, match="cannot be fetched: HTTP Error 404"):
        LabelStudioFiles(studio.url).read("/data/upload/3/missing.jpg", 7)
    with pytest.raises(ImageFileError, match="cannot be fetched"):
        LabelStudioFiles("http://127.0.0.1:1").read("/data/upload/3/disc.jpg", 7)
    with pytest.raises(ArgumentValueError, match="LABEL_STUDIO_URL"):
        LabelStudioFiles().read("/data/upload/3/disc.jpg", 7)


@pytest.mark.parametrize("place", ["http://[x", "http://127.0.0.1:99999999/", "//[", "gopher://x/"])
def test_a_host_that_sends_on_to_no_address_is_an_error(studio, place):
    studio.sends_on["/data/upload/3/disc.jpg"] = place
    with pytest.raises((ImageFileError, ArgumentValueError), match=r"cannot be fetched|sends on to"):
        LabelStudioFiles(studio.url, "a" * 40).read("/data/upload/3/disc.jpg", 7)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"access": null}',
        b'{"access": ["secret"]}',
        b'{"access": "secret\\nX: 1"}',
        '{"access": "sécret"}'.encode(),
        b'{"access": "\\ud800secret"}',
    ],
)
def test_an_answer_that_is_no_token_is_an_error_that_does_not_tell_it(studio, answer):
    studio.refreshed = answer
    with pytest.raises(ImageFileError, match="does not take the token") as caught:
        LabelStudioFiles(studio.url, "head.body.signature").read("/data/upload/3/disc.jpg", 7)
    assert "cret" not in str(caught.value)
    assert [path for path, _ in studio.seen] == ["/api/token/refresh/"]


@pytest.mark.parametrize("token", ["secret\n", "sec\rret", "sécret", "secret\0"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_told(token):
    with pytest.raises(ArgumentValueError, match="token: expected one line of printable ASCII") as caught:
        LabelStudioFiles("http://localhost:8080", token)
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "task"), [("s3://\ud800", 7), ("/data/\ud800", 7), ("http://127.0.0.1/\ud800", 7), ("s3://x", "\ud800")]
)
def test_places_that_are_no_text_are_refused(place, task):
    with pytest.raises(ArgumentValueError, match="expected text") as caught:
        LabelStudioFiles("http://127.0.0.1:1", allowed=["127.0.0.1"]).read(place, task)
    str(caught.value).encode()


def test_a_file_has_an_end(studio, monkeypatch):
    monkeypatch.setattr(label_studio_files, "MOST_BYTES", 200)
    with pytest.raises(ImageTooLargeError, match="at most 200 bytes"):
        LabelStudioFiles(studio.url).read("/data/upload/3/large.jpg", 7)
