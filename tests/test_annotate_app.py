"""The backend of ``focalrt annotate`` as its page meets it: every step, two tabs, a restart, and hostile requests.

The networks are the stub's, but for the program as a whole, which has the tests' tiny model and is killed.
"""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import quote

import cv2
import httpx
import numpy as np
import pytest
from annotating import HEIGHT, SHAPE, WIDTH, Page, dense, disc, drawn, flat, most_held, write_photo, write_sparse
from command import ENVIRONMENT
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient
from strategies import masks_of
from stub import stub_model
from tiny_model import write_tiny_model

from focalrt import upload
from focalrt.cli import main
from focalrt.errors import FocalrtError, ModelError
from focalrt.geometry import Box
from focalrt.imagefile import read_image
from focalrt.runs import Runs
from focalrt.serve.annotate import wire
from focalrt.serve.annotate.annotations import Sheet, joined
from focalrt.serve.annotate.app import POLICY, application
from focalrt.serve.annotate.command import bound_for, port_of
from focalrt.serve.annotate.lock import locked
from focalrt.serve.annotate.photo import shown_as_it_is
from focalrt.serve.annotate.sidecar import Sidecar
from focalrt.serve.guard import LOOPBACK, Guard
from focalrt.serve.listen import bound
from focalrt.serve.pool import Pool
from focalrt.upload import decode_photo

MODEL, NOISY = stub_model(), stub_model(noise=2)  # noisy networks ask for changes far from the click
STROKE = disc(40, 24, 6)


@pytest.fixture
def folder(tmp_path):
    write_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "in" / "b #1 ü.png", seed=1)
    return tmp_path


@pytest.fixture
def page(folder):
    page = Page(folder, MODEL)
    yield page
    page.close()


def painted(page, name="a.jpg", mask=STROKE):
    """An object with a stroke."""
    page.open(name)
    thing = page.create(name)
    page.step(name, thing, "paint", runs=flat(mask), erase=False)
    return thing


# ------------------------------------------------------------ what a page does


def test_an_image_opens_with_its_size_and_nothing_on_it(page):
    sheet = page.open("a.jpg")
    assert sheet.pop("photo")
    assert sheet == {"name": "a.jpg", "width": WIDTH, "height": HEIGHT, "objects": [], "created": {}, "notices": []}


def test_names_of_all_kinds_are_found(page):
    name = quote("in/b #1 ü.png", safe="/")
    assert page.open(name)["name"] == "in/b #1 ü.png"
    painted(page, name)
    page.saved()
    assert (page.bench.project.folder / "in" / "b #1 ü.png.ids.png").is_file()
    assert {image["name"]: image["objects"] for image in page.call("GET", "/api/project")["images"]} == {
        "a.jpg": 0,
        "in/b #1 ü.png": 1,
    }


def test_steps_are_those_of_a_session(folder):
    page = Page(folder, NOISY)
    session = NOISY.session(read_image(folder / "a.jpg"))
    page.open("a.jpg")
    thing = page.create("a.jpg", name="cup", colour="#ABCDEF")
    assert (thing["name"], thing["colour"]) == ("cup", "#abcdef")

    def same():
        np.testing.assert_array_equal(dense(thing["runs"]), session.mask)
        assert thing["withheld"] == [wire.flat(region.runs) for region in session.withheld]
        assert thing["clicks"] == [list(click) for click in session.clicks]
        assert (thing["can_undo"], thing["can_redo"]) == (session.can_undo, session.can_redo)

    answer = page.step("a.jpg", thing, "click", x=20.5, y=20, positive=True, view=[0, 0, 40, 40])
    result = session.click(20.5, 20, view=(0, 0, 40, 40))
    same()
    assert (answer["outcome"], answer["obeyed"]) == (result.outcome, result.obeyed)
    assert answer["target"] == list(result.target) and answer["focus"] == list(result.focus)
    assert set(answer["milliseconds"]) == set(result.milliseconds)
    page.step("a.jpg", thing, "paint", runs=flat(STROKE), erase=False)
    session.set_mask(session.mask | STROKE)
    assert dense(thing["runs"]).tolist() == session.mask.tolist()
    page.step("a.jpg", thing, "undo")
    session.undo()
    same()
    page.step("a.jpg", thing, "paint", runs=flat(STROKE), erase=False)
    session.paint((session.mask | STROKE)[18:30, 34:46], (34, 18, 46, 30))
    page.step("a.jpg", thing, "click", x=5, y=40, positive=False)
    session.click(5, 40, False)
    same()
    assert len(thing["withheld"]) > 1
    page.step("a.jpg", thing, "accept", region=1)
    session.accept(session.withheld[1])
    same()
    page.step("a.jpg", thing, "accept", region=None)
    session.accept_all()
    same()
    for verb in ("undo", "undo", "redo", "reset", "undo"):
        page.step("a.jpg", thing, verb)
        getattr(session, verb)()
        same()
    page.step("a.jpg", thing, "paint", runs=flat(STROKE), erase=True)
    assert not (dense(thing["runs"]) & STROKE).any()
    page.close()


def test_steps_with_nothing_to_do_change_nothing(page):
    page.open("a.jpg")
    thing = page.create("a.jpg")
    for verb in ("undo", "redo", "reset"):
        assert page.step("a.jpg", thing, verb)["changed"] == []
    assert page.step("a.jpg", thing, "accept", region=None)["changed"] == []
    page.step("a.jpg", thing, "accept", 400, region=0)
    page.step("a.jpg", thing, "paint", 400, runs=[], erase=False)


def test_a_network_that_fails_is_no_fault_of_the_page(page, monkeypatch):
    def fail(*_, **__):
        raise ModelError("segmentor.onnx: it failed")

    thing = painted(page)
    with monkeypatch.context() as patch:
        patch.setattr("focalrt.session.predict", fail)
        told = page.step("a.jpg", thing, "click", 500, x=3, y=3, positive=True)
    assert told == {"detail": "segmentor.onnx: it failed"}
    assert page.open("a.jpg")["objects"] == [thing]
    page.step("a.jpg", thing, "click", x=3, y=3, positive=True)


def test_objects_are_renamed_deleted_and_brought_back_with_their_history(page):
    thing = painted(page)
    path = f"/api/images/a.jpg/objects/{thing['id']}"
    renamed = page.call("PATCH", path, {"name": "Tässe 2"})
    assert renamed == thing | {"name": "Tässe 2"}
    assert page.call("PATCH", path, {"colour": "#00FF00"})["colour"] == "#00ff00"
    assert page.call("DELETE", path, status=204) is None
    assert page.open("a.jpg")["objects"] == []
    assert page.step("a.jpg", thing, "undo", 404)["detail"].startswith("a.jpg has no object 1")
    assert page.create("a.jpg")["id"] == 2  # the number is not given to another
    back = page.call("POST", path + "/restore")
    assert (back["name"], back["runs"], back["can_undo"]) == ("Tässe 2", thing["runs"], True)
    page.call("POST", path + "/restore", status=404)


def test_an_object_that_is_asked_for_again_by_the_same_key_is_made_once(page):
    page.open("a.jpg")
    thing = page.create("a.jpg", name="cup", key="one")
    page.step("a.jpg", thing, "paint", runs=flat(STROKE), erase=False)
    assert page.create("a.jpg", name="cup", key="one") == thing
    assert [page.create("a.jpg", **fields)["id"] for fields in ({"key": "other"}, {}, {"key": None})] == [2, 3, 4]
    assert page.open("a.jpg")["created"] == {"one": 1, "other": 2}
    page.call("DELETE", "/api/images/a.jpg/objects/1", status=204)
    page.call("POST", "/api/images/a.jpg/objects", {"key": "one"}, 404)
    assert [each["id"] for each in page.open("a.jpg")["objects"]] == [2, 3, 4]
    page.call("PATCH", "/api/images/a.jpg/objects/2", {"key": "other"}, 400)


def test_a_file_adds_its_objects(page):
    thing = painted(page)
    ids = np.where(disc(10, 10, 5), 7, disc(50, 10, 5) * 9).astype(np.uint8)
    image = cv2.imencode(".png", ids)[1].tobytes()
    sheet = page.call("POST", "/api/images/a.jpg/import", image)
    assert [each["id"] for each in sheet["objects"]] == [thing["id"], 2, 3]
    np.testing.assert_array_equal(dense(sheet["objects"][1]["runs"]), ids == 7)
    document = page.call("GET", "/api/images/a.jpg/coco")
    assert len(page.call("POST", "/api/images/a.jpg/import", json.dumps(document).encode())["objects"]) == 6
    page.call("POST", "/api/images/in%2Fb%20%231%20%C3%BC.png/import", json.dumps(document).encode(), 400)
    many = cv2.imencode(".png", np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(SHAPE))[1].tobytes()
    assert "at most 1000" in page.call("POST", "/api/images/a.jpg/import", many, 400)["detail"]


def test_what_an_imported_file_has_of_no_use_is_told(page):
    document = json.loads(foreign([STROKE, disc(10, 10, 5)]))
    document["annotations"][0]["segmentation"] = [[1, 1, 2, 2]]
    page.open("a.jpg")
    sheet = page.call("POST", "/api/images/a.jpg/import", json.dumps(document).encode())
    assert len(sheet["objects"]) == 1
    assert sheet["notices"][0].startswith("1 of its annotations cannot be used")
    assert page.open("a.jpg")["notices"] == []  # that was about the file


def test_masks_go_out_as_files(page):
    painted(page)
    content = page.client.get("/api/images/a.jpg/mask.png").content
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(content, np.uint8), -1) == 1, STROKE)
    assert page.call("GET", "/api/images/a.jpg/coco")["annotations"][0]["area"] == STROKE.sum()
    painted(page, quote("in/b #1 ü.png"))
    folder = page.call("GET", "/api/coco")
    assert [image["file_name"] for image in folder["images"]] == ["a.jpg", "in/b #1 ü.png"]
    assert [record["image_id"] for record in folder["annotations"]] == [1, 2]


def rotated(path, format):
    """A photo that EXIF says to turn by 90 degrees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)).save(path, format, exif=exif)


@pytest.mark.parametrize("kind", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("name", "options"), [("t.png", {}), ("t.webp", {}), ("t.webp", {"lossless": True})])
def test_transparent_pixels_are_shown_as_the_networks_see_them(folder, name, options, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    Image.fromarray(pixels).convert(kind).save(folder / name, **options)
    page = Page(folder, MODEL)
    shown = cv2.imdecode(np.frombuffer(page.client.get(f"/api/images/{name}/photo").content, np.uint8), -1)
    assert shown.shape == (20, 30, 3)
    np.testing.assert_array_equal(shown[..., ::-1], read_image(folder / name))
    page.close()


def test_a_header_that_is_cut_short_is_no_error():
    for whole in (b"RIFF\x00\x00\x00\x00WEBPVP8X\x00\x00\x00\x00\x10", b"RIFF....WEBPVP8L" + bytes(9)):
        for length in range(len(whole)):
            assert shown_as_it_is(whole[:length]) in (None, "image/webp")


@pytest.mark.parametrize(
    ("name", "format"), [("r.jpg", "JPEG"), ("r.png", "PNG"), ("r.webp", "WEBP"), ("r.tif", "TIFF")]
)
def test_the_browser_shows_the_pixels_that_the_networks_see(folder, name, format):
    rotated(folder / name, format)
    page = Page(folder, MODEL)
    sheet = page.open(name)
    answer = page.client.get(f"/api/images/{name}/photo")
    if format == "JPEG":  # turned by the browser
        assert (sheet["width"], sheet["height"]) == (20, 30)
        assert answer.content == (folder / name).read_bytes() and answer.headers["content-type"] == "image/jpeg"
    else:
        shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        assert shown.shape == (sheet["height"], sheet["width"], 3)
        with page.bench.at(name) as desk:
            np.testing.assert_array_equal(shown[..., ::-1], desk.photo)
    page.close()


def test_photos_that_any_browser_shows_alike_go_as_they_are(page, folder):
    for name, kind in (("c.webp", "image/webp"), ("c.png", "image/png"), ("c.JPEG", "image/jpeg")):
        content = write_photo(folder / name).read_bytes()
        answer = page.client.get(f"/api/images/{name}/photo")
        assert answer.content == content and answer.headers["content-type"] == kind


def test_images_that_cannot_be_read_are_listed_with_the_reason(page, folder):
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:300])
    (folder / "empty.png").write_bytes(b"")
    assert "broken.jpg" in {image["name"] for image in page.call("GET", "/api/project")["images"]}
    for name in ("broken.jpg", "empty.png"):
        detail = page.open(name, status=415)["detail"]
        (listed,) = (image for image in page.call("GET", "/api/project")["images"] if image["name"] == name)
        assert listed["error"] == detail
    write_photo(folder / "broken.jpg")
    page.open("broken.jpg")
    assert not any("error" in image for image in page.call("GET", "/api/project")["images"] if image["name"][0] == "b")


# ------------------------------------------------------------ runs on the wire


@given(masks_of(SHAPE), st.randoms(use_true_random=False))
def test_runs_of_a_page_may_touch_and_overlap_and_come_in_any_order(mask, random):
    pieces = [(row, start, end) for row, start, end in np.array(flat(mask), int).reshape(-1, 3).tolist()]
    for row, start, end in list(pieces):
        first, last = sorted(random.randint(start, end) for _ in range(2))
        pieces += [piece for piece in ((row, start, first), (row, first, last)) if piece[1] < piece[2]]
    random.shuffle(pieces)
    runs = wire.read_runs([number for piece in pieces for number in piece], *SHAPE)
    assert runs == Runs.from_mask(mask)
    assert wire.flat(runs) == flat(mask)


@pytest.mark.parametrize(
    "runs",
    [None, 3, "123", [1, 2], [[1, 2, 3]], [0, 0, 1.0], [0, 0, True], [0, 5, 5], [0, 5, 4], [-1, 0, 1]]
    + [[HEIGHT, 0, 1], [0, 0, WIDTH + 1], [0, -1, 2], [2**63, 0, 1], [0, 0, 10**30]],
)
def test_runs_that_leave_the_image_are_refused(runs):
    with pytest.raises(FocalrtError, match="runs: expected"):
        wire.read_runs(runs, *SHAPE)


def test_a_click_on_a_large_photo_gets_back_only_what_changed(tmp_path):
    shape = 3000, 4000
    cv2.imwrite(str(tmp_path / "large.jpg"), np.zeros((*shape, 3), np.uint8))
    page = Page(tmp_path, MODEL)
    page.open("large.jpg")
    path = f"/api/images/large.jpg/objects/{page.create('large.jpg')['id']}"
    large = [number for row in range(900, 2900) for number in (row, 900, 3900)]
    (thing,) = page.open("large.jpg")["objects"]
    painted = page.call("POST", path + "/paint", {"revision": thing["revision"], "runs": large, "erase": False})
    assert painted["changed"] == large
    body = {"revision": painted["revision"], "x": 300, "y": 300, "positive": True}
    answer = page.client.post(path + "/click", json=body)
    change = wire.read_runs(answer.json()["changed"], *shape)
    (after,) = page.open("large.jpg")["objects"]
    assert change and wire.read_runs(large, *shape) ^ change == wire.read_runs(after["runs"], *shape)
    assert change.area == answer.json()["area"] - painted["area"]
    others = sum(len(region) for region in answer.json()["withheld"])
    assert len(answer.content) < 6 * (len(answer.json()["changed"]) + others) + 1000
    assert len(answer.json()["changed"]) < len(large) / 3
    page.close()


# ------------------------------------------------------------ two tabs, two programs, a restart


def test_a_tab_that_shows_an_older_state_is_told_the_newer_one(page):
    one = painted(page)
    other = dict(one)
    page.step("a.jpg", one, "paint", runs=flat(disc(10, 10, 4)), erase=False)
    answer = page.step("a.jpg", other, "click", 409, x=10, y=10, positive=True)
    assert "changed elsewhere" in answer["detail"]
    assert answer["object"]["runs"] == one["runs"] and answer["object"]["revision"] == one["revision"]
    page.step("a.jpg", answer["object"], "undo")
    assert answer["object"]["revision"] == other["revision"]  # both tabs show the same again
    page.step("a.jpg", other, "redo")


def test_many_tabs_at_once_do_every_step_once(page):
    thing = painted(page)
    path = f"/api/images/a.jpg/objects/{thing['id']}/paint"

    def column(x):
        """Paints a column as a page does that begins anew after each conflict."""
        revision = thing["revision"]
        while True:
            body = {"revision": revision, "runs": [45, x, x + 1], "erase": False}
            answer = page.client.post(path, json=body)
            if answer.status_code == 200:
                return answer.json()["changed"]
            assert answer.status_code in (409, 503)
            revision = answer.json().get("object", {"revision": revision})["revision"]

    with ThreadPoolExecutor(4) as tabs:
        changes = list(tabs.map(column, range(12)))
    assert changes == [[45, x, x + 1] for x in range(12)]
    (now,) = page.open("a.jpg")["objects"]
    np.testing.assert_array_equal(dense(now["runs"])[45, :12], True)


def test_a_restart_loses_nothing_but_the_history(folder, page):
    thing = painted(page)
    page.call("PATCH", f"/api/images/a.jpg/objects/{thing['id']}", {"name": "cup", "colour": "#123456"})
    empty = page.create("a.jpg", name="to be drawn")
    page.saved()
    again = Page(folder, MODEL)
    cup, second = again.open("a.jpg")["objects"]
    assert (cup["id"], cup["name"], cup["colour"], cup["runs"]) == (thing["id"], "cup", "#123456", thing["runs"])
    assert not cup["can_undo"] and (second["id"], second["name"]) == (empty["id"], "to be drawn")
    again.step("a.jpg", thing, "paint", runs=[0, 0, 5], erase=False)  # a page that stayed open goes on
    again.close()


def test_an_id_map_that_a_killed_program_left_behind_is_written_when_its_image_is_opened(folder):
    Sidecar(folder / "a.jpg", *SHAPE).save({1: drawn(1, STROKE)})
    (folder / "a.jpg.ids.png").unlink()
    page = Page(folder, MODEL)
    page.open("a.jpg")
    page.close()
    np.testing.assert_array_equal(cv2.imread(str(folder / "a.jpg.ids.png"), cv2.IMREAD_UNCHANGED) == 1, STROKE)


def test_two_programs_on_one_folder_lose_nothing(folder, page):
    thing = painted(page)
    page.saved()
    other = Page(folder, MODEL)
    (theirs,) = other.open("a.jpg")["objects"]
    other.step("a.jpg", theirs, "paint", runs=flat(disc(10, 10, 4)), erase=False)
    added = other.create("a.jpg", name="theirs")
    other.saved()
    page.step("a.jpg", thing, "paint", runs=flat(disc(55, 40, 4)), erase=False)  # this tab has not heard of it
    page.saved()
    objects = {each["id"]: each for each in page.open("a.jpg")["objects"]}
    assert objects[thing["id"]]["runs"] == theirs["runs"] and objects[added["id"]]["name"] == "theirs"
    assert [each["runs"] for id, each in objects.items() if id > added["id"]] == [thing["runs"]]
    assert len(other.open("a.jpg")["objects"]) == 3
    assert page.step("a.jpg", thing, "undo", 409)["object"]["runs"] == theirs["runs"]
    page.saved()
    assert len(page.open("a.jpg")["objects"]) == 3
    other.close()


def test_masks_found_beside_a_photo_are_shown_and_saved_as_ours_once_they_change(folder):
    other = cv2.imencode(".png", STROKE.astype(np.uint8) * 255)[1].tobytes()
    (folder / "a.mask.png").write_bytes(other)
    page = Page(folder, MODEL)
    sheet = page.open("a.jpg")
    (thing,) = sheet["objects"]
    np.testing.assert_array_equal(dense(thing["runs"]), STROKE)
    assert sheet["notices"] == ["The objects come from a.mask.png."]
    page.saved()
    assert not (folder / "a.jpg.coco.json").exists()
    page.step("a.jpg", thing, "paint", runs=[0, 0, 3], erase=False)
    page.close()
    assert (folder / "a.jpg.coco.json").is_file() and (folder / "a.mask.png").read_bytes() == other
    assert Page(folder, MODEL).open("a.jpg")["objects"][0]["runs"] == thing["runs"]


def foreign(masks):
    """A COCO document of another program with these objects of a.jpg."""
    document = joined({"a.jpg": Sheet({id: drawn(id, mask) for id, mask in enumerate(masks, 1)}, *SHAPE)})
    return json.dumps(document).encode()


def test_looking_shows_what_another_program_wrote_and_writes_nothing(folder, page):
    document = folder / "a.jpg.coco.json"
    assert page.open("a.jpg")["objects"] == []
    for masks in ([STROKE], [STROKE, disc(10, 10, 5)]):
        document.write_bytes(foreign(masks))
        sheet = page.open("a.jpg")
        assert [dense(each["runs"]).tolist() for each in sheet["objects"]] == [mask.tolist() for mask in masks]
        assert "a.jpg.coco.json" in sheet["notices"][0] and "copy" in sheet["notices"][0]
        page.saved()
        assert sorted(path.name for path in folder.glob("a.jpg.*")) == [document.name]
        assert document.read_bytes() == foreign(masks)
    for half in (foreign(masks)[:-20], b""):  # the other program is about to write
        document.write_bytes(half)
        assert page.open("a.jpg")["objects"] == sheet["objects"]
        page.saved()
        assert document.read_bytes() == half
    document.write_bytes(foreign(masks))
    thing = page.open("a.jpg")["objects"][0]
    page.step("a.jpg", thing, "paint", runs=[0, 0, 3], erase=False)
    page.saved()
    (kept,) = folder.glob("a.jpg.coco.json.kept-*")
    assert kept.read_bytes() == foreign(masks)
    shown = page.open("a.jpg")["objects"]
    assert [each["runs"] for each in shown] == [thing["runs"], sheet["objects"][1]["runs"]]
    assert Page(folder, MODEL).open("a.jpg")["objects"][0]["runs"] == thing["runs"]


def test_a_photo_that_was_replaced_is_opened_anew(folder, page):
    thing = painted(page)
    page.saved()
    before = page.open("a.jpg")
    write_photo(folder / "a.jpg", seed=7)
    os.utime(folder / "a.jpg", (1, 1))  # another time, however fast this is
    after = page.open("a.jpg")
    assert after["photo"] != before["photo"]
    assert after["objects"][0]["runs"] == thing["runs"]
    assert not after["objects"][0]["can_undo"]
    with page.bench.at("a.jpg") as desk:
        np.testing.assert_array_equal(desk.photo, read_image(folder / "a.jpg"))
    (folder / "a.jpg").unlink()
    assert page.open("a.jpg") == after  # until it is back


def test_a_replaced_photo_that_the_browser_gets_converted_is_the_new_one(folder):
    write_photo(folder / "c.tif")
    page = Page(folder, MODEL)
    page.open("c.tif")
    write_photo(folder / "c.tif", seed=7)
    os.utime(folder / "c.tif", (1, 1))
    shown = page.client.get("/api/images/c.tif/photo").content
    shown = cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(shown[..., ::-1], read_image(folder / "c.tif"))
    page.close()


def test_a_photo_of_another_size_does_not_lose_the_masks_of_the_old_one(folder, page):
    painted(page)
    page.saved()
    document = (folder / "a.jpg.coco.json").read_bytes()
    write_photo(folder / "a.jpg", (HEIGHT + 1, WIDTH))
    sheet = page.open("a.jpg")
    assert sheet["height"] == HEIGHT + 1 and "made for an image of 64 x 48" in sheet["notices"][0]
    page.create("a.jpg")
    page.saved()
    assert document in [path.read_bytes() for path in folder.glob("a.jpg.coco.json.kept-*")]


def test_an_open_image_is_worked_on_while_another_decodes(folder, page, monkeypatch):
    thing = painted(page)
    begun, go = threading.Event(), threading.Event()

    def slow(content):
        begun.set()
        assert go.wait(10)
        return decode_photo(content)

    monkeypatch.setattr("focalrt.serve.annotate.desk.decode_photo", slow)
    with ThreadPoolExecutor(1) as other:
        opening = other.submit(page.open, quote("in/b #1 ü.png"))
        assert begun.wait(10)
        page.step("a.jpg", thing, "paint", runs=[0, 0, 3], erase=False)
        assert not opening.done()
        go.set()
        assert opening.result()["width"] == WIDTH


def test_a_damaged_document_is_told_kept_and_only_then_replaced(folder):
    document = folder / "a.jpg.coco.json"
    Sidecar(folder / "a.jpg", *SHAPE).save({1: drawn(1, STROKE)})
    document.write_bytes(document.read_bytes()[:-20])
    damaged = document.read_bytes()
    page = Page(folder, MODEL)
    sheet = page.open("a.jpg")
    assert "a.jpg.coco.json cannot be used: not JSON" in sheet["notices"][0] and "a.jpg.ids.png" in sheet["notices"][1]
    np.testing.assert_array_equal(dense(sheet["objects"][0]["runs"]), STROKE)  # out of the id map
    page.open("a.jpg")
    page.saved()
    assert document.read_bytes() == damaged
    page.create("a.jpg")
    page.close()
    (kept,) = folder.glob("a.jpg.coco.json.kept-*")
    assert kept.read_bytes() == damaged and json.loads(document.read_bytes())


@pytest.mark.parametrize("id", [1, [1], {"of": 1}, None], ids=str)
def test_a_document_whose_ids_a_script_muddled_is_told_kept_and_only_then_replaced(folder, id):
    document = folder / "a.jpg.coco.json"
    Sidecar(folder / "a.jpg", *SHAPE).save({1: drawn(1, STROKE), 2: drawn(2, disc(15, 15, 5))})
    edited = json.loads(document.read_bytes())
    edited["annotations"][1]["id"] = id
    document.write_text(json.dumps(edited))
    muddled = document.read_bytes()
    Sidecar(folder / "in" / "b #1 ü.png", *SHAPE).save({1: drawn(1, STROKE)})
    page = Page(folder, MODEL)
    assert [image["file_name"] for image in page.call("GET", "/api/coco")["images"]] == ["in/b #1 ü.png"]
    sheet = page.open("a.jpg")
    assert "a.jpg.coco.json cannot be used: expected annotation ids" in sheet["notices"][0]
    np.testing.assert_array_equal(dense(sheet["objects"][0]["runs"]), STROKE)  # out of the id map
    page.create("a.jpg")
    page.close()
    (kept,) = folder.glob("a.jpg.coco.json.kept-*")
    assert kept.read_bytes() == muddled
    assert len(Sidecar(folder / "a.jpg", *SHAPE).load()) == 3


def test_a_script_that_muddles_the_ids_of_an_open_image_stops_no_saving(folder, page):
    thing = painted(page)
    page.saved()
    document = folder / "a.jpg.coco.json"
    edited = json.loads(document.read_bytes())
    edited["annotations"] *= 2
    document.write_text(json.dumps(edited))
    muddled = document.read_bytes()
    page.step("a.jpg", thing, "paint", runs=[0, 0, 3], erase=False)
    page.saved()
    (kept,) = folder.glob("a.jpg.coco.json.kept-*")
    assert kept.read_bytes() == muddled
    assert flat(Sidecar(folder / "a.jpg", *SHAPE).load()[1].runs.to_mask(Box(0, 0, WIDTH, HEIGHT))) == thing["runs"]


def test_the_least_recently_used_images_are_closed_once_they_are_saved(folder):
    for number in range(5):
        write_photo(folder / f"{number}.jpg")
    page = Page(folder, MODEL, most_pixels=2 * HEIGHT * WIDTH)
    things = [painted(page, f"{number}.jpg", disc(20 + number, 20, 8)) for number in range(5)]
    page.saved()
    page.open("a.jpg")
    assert list(page.bench._desks) == ["4.jpg", "a.jpg"]
    for number, thing in enumerate(things):
        (now,) = page.open(f"{number}.jpg")["objects"]
        assert now["runs"] == thing["runs"] and now["revision"] == thing["revision"]
    page.close()


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_lost(folder, monkeypatch):
    monkeypatch.setattr("focalrt.serve.annotate.saver.PAUSE", 0.01)
    page = Page(folder, MODEL, most_pixels=1)
    (folder / "a.jpg.coco.json").mkdir()  # nothing can be written there, whatever this user's rights are
    thing = painted(page)
    assert not page.bench.saver.flush(0.1)
    saved = page.call("GET", "/api/saved")
    assert saved["pending"] == 1 and "a.jpg.coco.json" in saved["error"]
    page.open(quote("in/b #1 ü.png"))  # there is no room for both, but the first is not closed unsaved
    assert page.open("a.jpg")["objects"][0]["runs"] == thing["runs"]
    (folder / "a.jpg.coco.json").rmdir()
    page.close()
    assert Page(folder, MODEL).open("a.jpg")["objects"][0]["runs"] == thing["runs"]


# ------------------------------------------------------------ requests that are refused


def chunk(kind, content):
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


BOMB = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(10_000)))
    + chunk(b"IEND", b"")
)
CLICK = {"revision": 0, "x": 5, "y": 5, "positive": True}
BAD_CLICKS = {
    "no body": b"",
    "no JSON": b"{",
    "cut short": json.dumps(CLICK).encode()[:-9],
    "a list": b"[]",
    "deep": b"[" * 200_000,
    "not UTF-8": b'{"x": "\xff"}',
    "NaN": json.dumps(CLICK | {"x": float("nan")}).encode(),
    "infinity": json.dumps(CLICK | {"y": float("-inf")}).encode(),
    "too large a number": json.dumps(CLICK).replace('"x": 5', '"x": 1e999').encode(),
    "too many digits": json.dumps(CLICK).replace('"x": 5', '"x": ' + "9" * 10_000).encode(),
    "a string": json.dumps(CLICK | {"x": "5"}).encode(),
    "a truth value": json.dumps(CLICK | {"x": True}).encode(),
    "a list for x": json.dumps(CLICK | {"x": [5]}).encode(),
    "positive": json.dumps(CLICK | {"positive": 1}).encode(),
    "off the image": json.dumps(CLICK | {"x": WIDTH}).encode(),
    "view": json.dumps(CLICK | {"view": [0, 0, 1]}).encode(),
    "view elsewhere": json.dumps(CLICK | {"view": [20, 20, 30, 30]}).encode(),
    "view of text": json.dumps(CLICK | {"view": "0000"}).encode(),
    "revision": json.dumps(CLICK | {"revision": "1"}).encode(),
    "a field too few": json.dumps({"revision": 0, "x": 5, "y": 5}).encode(),
    "a field too many": json.dumps(CLICK | {"radius": 5}).encode(),
    "many clicks": json.dumps(CLICK | {"x": [[5, 5, True]] * 80_000}).encode(),
}


@pytest.mark.parametrize("body", BAD_CLICKS.values(), ids=BAD_CLICKS)
def test_bad_clicks_are_refused_and_change_nothing(page, body):
    page.open("a.jpg")
    thing = page.create("a.jpg")
    if b'"revision": 0' in body:
        body = body.replace(b'"revision": 0', b'"revision": %d' % thing["revision"])
    answer = page.call("POST", f"/api/images/a.jpg/objects/{thing['id']}/click", body, 400)
    assert len(answer["detail"]) > 10 and "Traceback" not in answer["detail"]
    assert page.open("a.jpg")["objects"] == [thing]


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": "  "}, {"name": "x" * 101}, {"name": "a\nb"}, {"name": "\x00"}, {"name": 3}]
    + [{"colour": "red"}, {"colour": "#12345"}, {"colour": "#gggggg"}, {"colour": 0}, {"id": 5}]
    + [{"key": ""}, {"key": "x" * 65}, {"key": 3}],
)
def test_bad_names_colours_and_keys_are_refused(page, fields):
    page.open("a.jpg")
    page.call("POST", "/api/images/a.jpg/objects", fields, 400)
    assert page.open("a.jpg")["objects"] == []


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"", 415), (b"hello", 415), (BOMB, 413), (b"{", 400), (b'{"images": []}', 400), (b"GIF89a" + bytes(50), 415)],
    ids=["nothing", "text", "bomb", "cut JSON", "no document", "GIF"],
)
def test_bad_files_are_refused(page, content, status):
    page.open("a.jpg")
    assert page.call("POST", "/api/images/a.jpg/import", content, status)["detail"]
    assert page.open("a.jpg")["objects"] == []


def test_a_photo_that_is_a_bomb_is_refused_before_it_is_decoded(page, folder):
    (folder / "bomb.png").write_bytes(BOMB)
    assert "pixels" in page.open("bomb.png", status=413)["detail"]


@pytest.mark.parametrize("begin", [b"", b"\xff\xd8\xff"], ids=["converted for the browser", "shown as it is"])
def test_a_photo_of_too_many_bytes_is_refused_before_it_is_read(page, folder, begin):
    write_sparse(folder / "scan.jpg", upload.MOST_BYTES + 1, begin)

    def ask():
        assert "scan.jpg: expected at most" in page.open("scan.jpg", status=413)["detail"]
        assert "scan.jpg: expected at most" in page.call("GET", "/api/images/scan.jpg/photo", status=413)["detail"]

    assert most_held(ask) < upload.MOST_BYTES // 4
    images = {image["name"]: image for image in page.call("GET", "/api/project")["images"]}
    assert "bytes" in images["scan.jpg"]["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/images/missing.jpg/open", 404),
        ("POST", "/api/images/..%2fa.jpg/open", 404),
        ("POST", "/api/images/../../etc/passwd/open", 404),
        ("GET", "/api/images/%2fetc%2fpasswd/photo", 404),
        ("GET", "/api/images/%00/photo", 404),
        ("GET", "/api/images/a.jpg%0a/photo", 404),
        ("GET", "/api/images/in/photo", 404),
        ("GET", "/page/..%2fapp.py", 404),
        ("GET", "/page/%2e%2e/app.py", 404),
        ("GET", "/page/missing.js", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/images/a.jpg/open", 405),
        ("POST", "/api/images/a.jpg/objects/1/undo", 400),
        ("DELETE", "/api/images/a.jpg/objects/77", 404),
        ("DELETE", "/api/images/a.jpg/objects/-1", 404),
        ("DELETE", "/api/images/a.jpg/objects/" + "9" * 5000, 404),
    ],
)
def test_addresses_that_lead_nowhere_are_refused(page, method, path, status):
    assert page.call(method, path, status=status)["detail"]


TOKEN = "a-token-of-the-tests"


@pytest.fixture
def guarded(page):
    """The application behind its guard, as the command starts it."""
    app = application(page.bench, "tiny", ["tiny"], Pool(2, 8))
    app.add_middleware(Guard, token=TOKEN, hosts=LOOPBACK, most_bytes=upload.MOST_BYTES, policy=POLICY)
    return TestClient(app, "http://127.0.0.1:8000", follow_redirects=False)


def test_only_the_page_gets_in(guarded):
    opened = "/api/images/a.jpg/open"
    assert guarded.post(opened).status_code == 401
    assert guarded.get("/?token=wrong").status_code == 401
    assert guarded.get(f"/?token={TOKEN}").status_code == 303
    own = {"origin": "http://127.0.0.1:8000"}
    assert guarded.post(opened, headers=own).status_code == 200
    assert guarded.get("/").status_code == 200
    for headers in ({"origin": "http://evil.example"}, {"origin": "null"}, own | {"host": "evil.example"}):
        answer = guarded.post(opened, headers=headers)
        assert 400 <= answer.status_code < 500 and answer.json()["detail"]
    assert guarded.post(opened, headers=own, content=b" " * (10 << 20)).status_code == 413  # 10 MB of clicks
    large = {"content-type": "application/octet-stream"} | own
    assert guarded.post("/api/images/a.jpg/import", headers=large, content=b"{" * (2 << 20)).status_code == 400
    assert "script-src 'self'" in guarded.get("/").headers["content-security-policy"]


# ------------------------------------------------------------ the program


class Program:
    """``focalrt annotate`` as a process of its own."""

    def __init__(self, folder, model, *arguments):
        """Starts it, and waits for its address."""
        command = [
            sys.executable,
            "-m",
            "focalrt.cli",
            "annotate",
            folder,
            "--model",
            model,
            "--no-browser",
            *arguments,
        ]
        self.process = subprocess.Popen(
            [*map(str, command)], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert "http://127.0.0.1:" in line, self.process.stderr.read()
        self.address = next(word for word in line.split() if word.startswith("http"))
        token = self.address.partition("token=")[2]
        self.client = httpx.Client(
            base_url=self.address.partition("/?")[0], headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    def post(self, path, **fields):
        """A request; its JSON."""
        answer = self.client.post(path, json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def end(self, number):
        """Ends it by a signal; what it had to say."""
        self.client.close()
        self.process.send_signal(number)
        out, error = self.process.communicate(timeout=30)
        return out + error


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_program_loses_nothing_when_it_is_killed_or_ended(folder, tmp_path_factory):
    model = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    objects = "/api/images/a.jpg/objects"
    program = Program(folder, model)
    thing = program.post(objects)
    thing |= program.post(f"{objects}/1/click", revision=thing["revision"], x=20, y=20, positive=True)
    for _ in range(200):
        if not program.client.get("/api/saved").json()["pending"]:
            break
        time.sleep(0.02)
    assert "Traceback" not in program.end(signal.SIGKILL)
    program = Program(folder, model)
    (again,) = program.post("/api/images/a.jpg/open")["objects"]
    assert again["area"] == thing["area"] > 0
    with locked(folder / "a.jpg"):  # so that it cannot be saved yet
        thing = program.post(f"{objects}/1/paint", revision=again["revision"], runs=[0, 0, 60], erase=False)
        program.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    assert "Traceback" not in program.end(signal.SIGTERM)  # what was answered is written on the way out
    assert sum(r["area"] for r in json.loads((folder / "a.jpg.coco.json").read_bytes())["annotations"]) == thing["area"]


def test_a_folder_has_a_port_of_its_own_unless_that_is_taken(folder, tmp_path):
    port = port_of(folder)
    assert 20_000 <= port < 30_000 and port == port_of(folder) != port_of(tmp_path / "other")
    with socket.socket() as taken:
        with suppress(OSError):  # by another program
            taken.bind(("127.0.0.1", port))
            taken.listen()
        with bound_for(folder, None) as listening:
            assert listening.getsockname()[1] not in (0, port)
    with bound_for(folder, 0) as listening:
        given = listening.getsockname()[1]
        with pytest.raises(OSError, match="cannot listen"):
            bound_for(folder, given)


def test_a_folder_keeps_its_port(folder):
    try:
        bound("127.0.0.1", port_of(folder)).close()
    except OSError:
        pytest.skip("another program has the port")
    for _ in range(2):
        with bound_for(folder, None) as listening:
            assert listening.getsockname()[1] == port_of(folder)


def test_the_command_says_what_it_cannot_do(folder, capsys):
    for words, status, told in (
        ([folder / "missing"], 1, "no folder and no image"),
        ([folder, "--port", "70000"], 2, "--port: expected"),
        ([folder, "--model", "missing"], 1, "model: no folder"),
    ):
        assert main(["annotate", "--no-browser", *map(str, words)]) == status
        assert told in capsys.readouterr().err
