"""labelme and X-AnyLabeling on FocalClick: requests of their own making, answered as a session would.

osam's and labelme's own code asks where it is installed; a stand-in of osam's documented shape asks everywhere. The
requests are kept in files, as osam itself writes them and as X-AnyLabeling builds them.
"""

import json
import sys
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from stub import stub_model

from focalrt import ArgumentTypeError, ArgumentValueError, FocalrtError, MissingExtraError
from focalrt.adapters import anylabeling, labelme
from focalrt.geometry import Box
from focalrt.masks import from_polygons

REQUESTS = Path(__file__).parent / "requests"
OSAM = json.loads((REQUESTS / "osam.json").read_text())["requests"]
MARKS = json.loads((REQUESTS / "x_anylabeling.json").read_text())["requests"]
HEIGHT, WIDTH = 90, 120
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MODEL = stub_model()
VIEW = (12, 2, 68, 58)  # 1.4 times the box of the requests
CLICKS = {  # what the requests of either file ask a session
    "points": [(40, 30, True), (80.5, 60.25, False)],
    "box": [(39.5, 29.5, True)],
    "box and points": [(39.5, 29.5, True), (80, 60, False)],
}


def by_session(clicks, mask=None, view=None, image=IMAGE):
    session = MODEL.session(image, mask)
    for number, click in enumerate(clicks):
        session.click(*click, view=None if number else view)
    return session


def expected(what):
    return by_session(CLICKS[what], view=None if what == "points" else VIEW)


# ------------------------------------------------------------ osam


class StandIn:
    """As much of osam's surface as a model meets: types that hold what they are given, and the list of models."""

    def __init__(self):
        metadata = {"license_name", "license_url", "source_url"}
        self.types = SimpleNamespace(
            Model=type("Model", (), {"_blobs": {}}),
            ModelMetadata=lambda **given: SimpleNamespace(**given) if set(given) == metadata else None,
            BoundingBox=SimpleNamespace,
            Annotation=SimpleNamespace,
            GenerateResponse=SimpleNamespace,
        )
        self.apis = SimpleNamespace(registered_model_types=[], generate=self.generate)

    def request(self, image, prompt, annotations):
        if prompt is not None:
            arrays = {key: prompt.get(key) for key in ("points", "point_labels")}
            prompt = SimpleNamespace(**{key: None if v is None else np.array(v) for key, v in arrays.items()})
        return SimpleNamespace(model=labelme.NAME, image=image, prompt=prompt, annotations=annotations)

    def generate(self, request):
        if not hasattr(self, "running"):
            self.running = next(kind for kind in self.apis.registered_model_types if kind.name == request.model)()
        return self.running.generate(request=request)


@pytest.fixture(params=["osam", "stand-in"])
def osam(request, monkeypatch):
    """osam with FocalClick registered; ``ask`` sends it a request."""
    monkeypatch.setattr(labelme, "load", lambda _: MODEL)
    if request.param == "osam":
        library = pytest.importorskip("osam", reason="osam is not installed")
        monkeypatch.setattr(library.apis, "registered_model_types", [*library.apis.registered_model_types])
        monkeypatch.setattr(library.apis, "running_model", None)
        request_of = library.types.GenerateRequest
    else:
        library = StandIn()
        monkeypatch.setitem(sys.modules, "osam", library)
        request_of = None
    labelme.register()

    def ask(prompt, image=IMAGE, annotations=None):
        if request_of is None:
            return library.apis.generate(library.request(image, prompt, annotations))
        return library.apis.generate(request_of(model="focalrt", image=image, prompt=prompt, annotations=annotations))

    return SimpleNamespace(library=library, ask=ask)


def dense(response):
    """The mask of a response in the frame of the image."""
    (annotation,) = response.annotations
    edges = annotation.bounding_box
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[edges.ymin : edges.ymax + 1, edges.xmin : edges.xmax + 1] = annotation.mask
    assert annotation.mask.dtype == np.bool_
    assert all(
        side.any() for side in (annotation.mask[0], annotation.mask[-1], annotation.mask.T[0], annotation.mask.T[-1])
    )
    assert 0 <= annotation.score <= 1
    return mask


@pytest.mark.parametrize("what", CLICKS)
def test_osam_gets_the_mask_of_a_session(osam, what):
    response = osam.ask(OSAM[what]["prompt"])
    assert response.model == labelme.NAME
    np.testing.assert_array_equal(dense(response), expected(what).mask)


def test_osam_repeats_cost_nothing(osam):
    calls = []
    for points in ([[40, 30]], [[40, 30], [80, 60]], [[40, 30], [90, 60]]):
        before = MODEL._networks.calls
        osam.ask({"points": points, "point_labels": [1] * len(points)}, IMAGE.copy())
        calls.append(MODEL._networks.calls - before)
    assert calls == [1, 1, 1]


def test_osam_sends_another_image(osam):
    osam.ask(OSAM["points"]["prompt"])
    other = IMAGE[::-1].copy()
    response = osam.ask(OSAM["points"]["prompt"], other)
    np.testing.assert_array_equal(dense(response), by_session(CLICKS["points"], image=other).mask)


def test_an_annotation_is_the_mask_to_correct(osam):
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[30:60, 20:90] = True
    edges = osam.library.types.BoundingBox(xmin=20, ymin=30, xmax=89, ymax=59)
    given = osam.library.types.Annotation(bounding_box=edges, mask=mask[30:60, 20:90])
    response = osam.ask(OSAM["points"]["prompt"], annotations=[given])
    np.testing.assert_array_equal(dense(response), by_session(CLICKS["points"], mask).mask)


def test_an_empty_mask_is_no_annotation(osam):
    response = osam.ask({"points": [[40, 30]], "point_labels": [0]})
    assert not by_session([(40, 30, False)]).runs
    assert response.annotations == []


def test_osams_server_answers_400(osam):
    if isinstance(osam.library, StandIn):
        pytest.skip("the stand-in serves nothing")
    server = pytest.importorskip("osam._server", reason="osam's server needs fastapi")
    client = pytest.importorskip("fastapi.testclient", reason="osam's server needs fastapi").TestClient(server.app)
    _, photo = cv2.imencode(".png", IMAGE[..., ::-1])
    request = OSAM["points"] | {"image": b64encode(photo.tobytes()).decode()}
    answer = client.post("/api/generate", json=request)
    assert answer.status_code == 200 and len(answer.json()["annotations"]) == 1
    answer = client.post("/api/generate", json=request | OSAM["texts"])
    assert answer.status_code == 400 and answer.json()["detail"].startswith("prompt: expected points")


def test_a_point_on_the_canvas_edge(osam):
    response = osam.ask({"points": [[WIDTH, HEIGHT]], "point_labels": [1]})
    np.testing.assert_array_equal(dense(response), by_session([(WIDTH - 0.51, HEIGHT - 0.51, True)]).mask)


REFUSED = {
    "texts": ({"prompt": OSAM["texts"]["prompt"]}, "prompt"),
    "no prompt": ({"prompt": OSAM["no prompt"]["prompt"]}, "prompt"),
    "no image": ({"image": None}, "image"),
    "grey": ({"image": IMAGE[..., 0]}, "image"),
    "with alpha": ({"image": np.dstack([IMAGE, IMAGE[..., 0]])}, "image"),
    "off the image": ({"prompt": {"points": [[WIDTH + 1, 3]], "point_labels": [1]}}, "x"),
    "not a number": ({"prompt": {"points": [[float("nan"), 3]], "point_labels": [1]}}, "points"),
    "one corner": ({"prompt": {"points": [[4, 3]], "point_labels": [2]}}, "point_labels"),
    "two first corners": ({"prompt": {"points": [[4, 3], [9, 9]], "point_labels": [2, 2]}}, "point_labels"),
    "a box off the image": ({"prompt": {"points": [[400, 3], [500, 9]], "point_labels": [2, 3]}}, "points"),
    "no points": ({"prompt": {"points": np.empty((0, 2)), "point_labels": np.empty(0, int)}}, "points"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_osam_gets_a_value_error_and_nothing_stays(osam, what):
    request, argument = REFUSED[what]
    osam.ask({"points": [[40, 30]], "point_labels": [1]})
    before = MODEL._networks.calls
    with pytest.raises(ValueError, match=rf"^{argument}:") as caught:
        osam.ask(**{"prompt": OSAM["points"]["prompt"]} | request)
    assert isinstance(caught.value, FocalrtError) and len(str(caught.value)) < 300
    assert MODEL._networks.calls == before
    np.testing.assert_array_equal(dense(osam.ask(OSAM["points"]["prompt"])), expected("points").mask)
    assert MODEL._networks.calls == before + 1 + len(CLICKS["points"])  # the first click was kept, and ours are two


def annotations(types, *boxes_and_shapes):
    return [
        types.Annotation(
            bounding_box=types.BoundingBox(**dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))),
            mask=np.ones(shape, np.bool_),
        )
        for box, shape in boxes_and_shapes
    ]


@pytest.mark.parametrize(
    "given",
    [
        [((110, 80, 129, 99), (20, 20))],
        [((-5, 0, 4, 9), (10, 10))],
        [((0, 0, 9, 9), (10, 10)), ((20, 20, 29, 29), (10, 10))],
    ],
    ids=["beyond the image", "before the image", "two"],
)
def test_annotations_that_do_not_fit(osam, given):
    with pytest.raises(ArgumentValueError, match=r"^(box|annotations):"):
        osam.ask(OSAM["points"]["prompt"], annotations=annotations(osam.library.types, *given))


def test_the_kept_requests_are_those_of_osam():
    types = pytest.importorskip("osam", reason="osam is not installed").types
    for request in OSAM.values():
        image = np.zeros((2, 2, 3), np.uint8)
        again = types.GenerateRequest.model_validate(request | {"image": image})
        assert json.loads(again.model_dump_json(exclude={"image"})) == request


def test_labelmes_own_session_proposes_the_mask(osam):
    if isinstance(osam.library, StandIn):
        pytest.skip("labelme asks the real osam")
    automation = pytest.importorskip("labelme._automation", reason="labelme is not installed")
    assist = automation.AiAssistSession(model_name="focalrt:latest", output_format="mask")
    for kind, what in (("points", "points"), ("box", "box")):
        prompt = {key: np.array(OSAM[what]["prompt"][key]) for key in ("points", "point_labels")}
        proposal = assist.propose_shapes(image=IMAGE, image_id="1", prompt_kind=kind, existing_shapes=[], **prompt)
        (shape,) = proposal.new_shapes
        (x0, y0), _ = shape.points.astype(int)
        mask = expected(what).mask
        np.testing.assert_array_equal(mask[y0:, x0:][: len(shape.mask), : shape.mask.shape[1]], shape.mask)
        assert shape.mask.sum() == mask.sum()


def test_labelme_has_nothing_to_download(osam):
    kind = osam.library.apis.registered_model_types[0]
    assert kind.__module__ == "focalrt.adapters.labelme"
    assert kind._blobs == {}
    if hasattr(kind, "get_size"):
        assert kind.get_size() == 0  # None would start a download


def test_the_launcher_puts_focalclick_into_labelme(monkeypatch, tmp_path):
    library = StandIn()
    monkeypatch.setitem(sys.modules, "osam", library)
    monkeypatch.setattr(labelme, "load", lambda _: MODEL)
    library.apis.registered_model_types.append(type("EfficientSam10m", (), {"name": labelme.OFFERED}))
    kinds = "[(kind.name, kind.__name__) for kind in osam.apis.registered_model_types]"
    program = f"import json, osam, sys; told = sys.argv[1:], {kinds}"
    package = tmp_path / "labelme"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(f"{program}\nopen({str(tmp_path / 'told')!r}, 'w').write(json.dumps(told))")
    monkeypatch.delitem(sys.modules, "labelme", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["focalrt", "photo.jpg"])
    labelme.main()
    sys.modules.pop("labelme", None)
    arguments, (first, _) = json.loads((tmp_path / "told").read_text())
    assert arguments == ["photo.jpg"]
    assert first == [labelme.OFFERED, "FocalClick"]  # the first of a name is the one that osam takes


def test_without_osam(monkeypatch):
    monkeypatch.setitem(sys.modules, "osam", None)
    with pytest.raises(MissingExtraError, match="pip install 'focalrt"):
        labelme.register()


@pytest.mark.parametrize("name", ["focalrt", "a:b:c", 3])
def test_a_name_that_osam_would_not_find(name):
    with pytest.raises(ArgumentValueError, match=r"^name: expected one such as 'focalrt:latest'"):
        labelme.register(name=name)


# ------------------------------------------------------------ X-AnyLabeling


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(anylabeling, "load", lambda _: MODEL)
    return anylabeling.FocalClick({"model_id": "focalclick", "display_name": "FocalClick", "params": {}})


def drawn(shapes):
    """The mask of shapes, checked to be as X-AnyLabeling reads them."""
    for shape in shapes:
        assert shape["label"] == "AUTOLABEL_OBJECT"
        assert shape["shape_type"] == "polygon"
        assert shape["points"][0] == shape["points"][-1] and len(shape["points"]) > 3
        assert 0 <= shape["score"] <= 1
    json.dumps(shapes, allow_nan=False)
    return from_polygons([shape["points"][:-1] for shape in shapes], HEIGHT, WIDTH)


def close(runs, mask):
    """IoU of runs and a mask."""
    pixels = runs.to_mask(Box(0, 0, WIDTH, HEIGHT))
    return (pixels & mask).sum() / (pixels | mask).sum()


@pytest.mark.parametrize("what", CLICKS)
def test_the_server_gets_the_mask_of_a_session(model, what):
    answer = model.predict(IMAGE[..., ::-1], MARKS[what])  # BGR
    clicks = [(int(x), int(y), on) if what == "points" else (x, y, on) for x, y, on in CLICKS[what]]
    session = by_session(clicks, view=None if what == "points" else VIEW)
    assert answer["replace"] is False and answer["description"] == ""
    assert close(drawn(answer["shapes"]), session.mask) > (0.97 if MARKS[what]["epsilon_factor"] < 0.01 else 0.9)


def test_the_server_sends_bgr_and_the_application_rgb(model, monkeypatch):
    seen = []
    segment = MODEL._networks.segment
    monkeypatch.setattr(MODEL._networks, "segment", lambda crop, maps: seen.append(crop) or segment(crop, maps))
    red = np.zeros_like(IMAGE)
    red[..., 0] = 255
    model.predict(red[..., ::-1], MARKS["box"])
    model.unload()
    model.set_auto_labeling_marks(MARKS["box"]["marks"])
    model.predict_shapes(red)
    assert [crop.mean(axis=(1, 2)).round(3).tolist() for crop in seen] == [[1, 0, 0], [1, 0, 0]]


@pytest.mark.parametrize("what", CLICKS)
def test_the_application_gets_the_same(model, what):
    model.set_auto_labeling_marks(MARKS[what]["marks"])
    model.set_mask_fineness(MARKS[what]["epsilon_factor"])
    result = model.predict_shapes(IMAGE, "photo.jpg")
    assert result.shapes == model.predict(IMAGE[..., ::-1], MARKS[what])["shapes"]
    assert result.replace is False


def test_a_coarser_polygon_has_fewer_points(model):
    def vertices(fineness):
        answer = model.predict(IMAGE[..., ::-1], MARKS["points"] | {"epsilon_factor": fineness})
        return sum(len(shape["points"]) for shape in answer["shapes"])

    assert vertices(0) > vertices(0.01) > vertices(0.03)


def test_without_marks_or_image_there_are_no_shapes(model):
    assert model.predict(IMAGE, MARKS["no marks"])["shapes"] == []
    assert model.predict_shapes(IMAGE) == ([], False, "")
    model.set_auto_labeling_marks(MARKS["points"]["marks"])
    assert model.predict_shapes(None).shapes == []


def test_nothing_left_of_a_mask_is_no_shape(model):
    assert model.predict(IMAGE, {"marks": [{"type": "point", "data": [40, 30], "label": 0}]})["shapes"] == []


def test_unloaded_it_loads_again(model):
    before = model.predict(IMAGE, MARKS["points"])
    model.unload()
    assert model.predict(IMAGE, MARKS["points"]) == before


def test_its_metadata_are_what_the_server_tells(model):
    told = model.get_metadata()
    assert told["display_name"] == "FocalClick"
    assert {widget["name"] for widget in told["widgets"]} >= {"button_add_point", "button_remove_point"}
    json.dumps(told)


POINT = {"type": "point", "data": [40, 30], "label": 1}
BOX = {"type": "rectangle", "data": [20, 10, 59, 49], "label": 1}
BROKEN = {
    "a word": "marks",
    "a mark that is none": [7],
    "no type": [{"data": [1, 2]}],
    "an unknown type": [{"type": "auto_grid"}],
    "a type that is a list": [{"type": [], "data": [1, 2]}],
    "three numbers": [{"type": "point", "data": [1, 2, 3]}],
    "words": [{"type": "point", "data": ["a", "b"]}],
    "not finite": [{"type": "point", "data": [float("nan"), 1]}],
    "off the image": [POINT, {"type": "point", "data": [1, HEIGHT + 1]}],
    "label 7": [POINT | {"label": 7}],
    "two boxes": [BOX, BOX],
    "a box off the object": [BOX | {"label": 0}],
    "a box off the image": [BOX | {"data": [300, 300, 400, 400]}],
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_marks_are_refused_and_nothing_stays(model, what):
    good = model.predict(IMAGE, MARKS["points"])
    before = MODEL._networks.calls
    with pytest.raises((ArgumentTypeError, ArgumentValueError)) as caught:
        model.predict(IMAGE, {"marks": BROKEN[what]})
    assert len(str(caught.value)) < 300
    assert model.predict(IMAGE, MARKS["points"]) == good
    assert MODEL._networks.calls == before


@pytest.mark.parametrize("fineness", [-1, 2, float("nan"), "fine", None])
def test_a_fineness_that_is_none(model, fineness):
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"^epsilon_factor:"):
        model.predict(IMAGE, MARKS["points"] | {"epsilon_factor": fineness})
    with pytest.raises((ArgumentTypeError, ArgumentValueError), match=r"^epsilon_factor:"):
        model.set_mask_fineness(fineness)


def test_a_refused_image(model):
    with pytest.raises(ArgumentValueError, match=r"^image:"):
        model.predict(IMAGE[..., 0], MARKS["points"])
