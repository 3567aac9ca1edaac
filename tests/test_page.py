"""The page of ``focalrt annotate`` in a real browser, on real photos, beside what the Python API makes of its steps.

Every test also asserts that the page asked nobody but its own server, and that the browser had no complaint.
"""

import glob
import json
import shutil
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright.sync_api", reason="the page is driven with playwright, of the test extra")
pytest.importorskip("starlette", reason="focalrt annotate needs the serve extra")

from browsing import DESKTOP, PHONE, PHOTOS, TOKEN, Tab, annotating, browser_path, dense, replayed
from playwright import sync_api
from test_cli import with_orientation

import focalrt
from focalrt import masks
from focalrt.imagefile import read_image

if browser_path() is None:
    pytest.skip("no chromium or google-chrome on the path", allow_module_level=True)


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def model():
    return focalrt.load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("photos")


@pytest.fixture(scope="module")
def address(folder):
    shutil.copy(PHOTOS / "rocket.jpg", folder / "a first.jpg")
    with annotating(folder) as (_, address):
        yield address


@pytest.fixture
def photo(folder, request):
    """A photo that only this test uses; its name."""
    name = f"{request.node.name.replace('[', ' ').replace(']', '')}.jpg"
    shutil.copy(PHOTOS / "chelsea.jpg", folder / name)
    return name


@pytest.fixture
def tabs(browser, address):
    """Opens tabs on an image; in the end looks at what they asked and complained about."""
    contexts, opened = {}, []

    def tab(image, device=DESKTOP, **options):
        key = str((device, options))
        if key not in contexts:
            contexts[key] = browser.new_context(**device, **options)
        opened.append(Tab(contexts[key], address, image))
        return opened[-1]

    yield tab
    for each in opened:
        assert {urlsplit(url)[:2] for url in each.requests} == {urlsplit(address)[:2]}
        assert [text for text in each.complaints if not any(part in text for part in each.expected)] == []
    for context in contexts.values():
        context.close()


@pytest.fixture
def tab(tabs, photo):
    return tabs(photo)


def pixels(photo=PHOTOS / "chelsea.jpg"):
    return read_image(photo)


def import_mask(tab, mask):
    content = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()
    tab.page.set_input_files("#file", {"name": "given.png", "mimeType": "image/png", "buffer": content})
    tab.until("document.querySelector('#notice .text').textContent.includes('given.png')")
    tab.idle()


def copies(folder, *names):
    """Photos under these names in the folder."""
    for name in names:
        shutil.copy(PHOTOS / "chelsea.jpg", folder / name)
    return names


def held_back(tab, pattern, answered=False):
    """Holds the next request for such an address back, or its answer; returns a function that waits until it is held.

    That function returns the route, and the answer or None.
    """
    held = []
    tab.page.context.route(
        pattern, lambda route: held.append((route, route.fetch() if answered else None)), times=1
    )

    def wait():
        while not held:
            tab.page.wait_for_timeout(10)
        return held[0]

    return wait


def lose_answer(tab, pattern):
    """Has the server take the next request for such an address, and its answer lost."""
    fall_silent(tab, pattern, "answer", times=1)


def fall_silent(tab, pattern, lost="question", **options):
    """Loses the requests for such an address, until ``unroute``; of the first, the "question" or only the "answer"."""
    asked = []

    def lose(route):
        if lost == "answer" and not asked:
            route.fetch()
        asked.append(route)
        route.abort()

    tab.page.context.route(pattern, lose, **options)


def delete_unheard(tab):
    """Deletes the image's first object; the server does not hear of it until ``unroute("**/objects/1")``."""
    tab.expected += ("ERR_FAILED",)
    fall_silent(tab, "**/objects/1")
    tab.page.keyboard.press("Delete")
    tab.until("document.querySelector('#notice').textContent.includes('kept here')")


def with_an_object_each(tabs, *images):
    """Makes an object in each image; returns a tab on the first of them."""
    for image in reversed(images):
        tab = tabs(image)
        tab.press("n")
    return tab


def choose(tab, image):
    """Clicks an image in the list."""
    tab.page.locator("#images button").filter(has_text=image).click()


def shows(tab, image):
    """Waits until that image is open, and no other on its way."""
    tab.until(f"decodeURIComponent(location.hash) === '#{image}' && !document.body.matches('.opening')")


def objects_of(tab, image):
    """The objects of any image as the server has them."""
    tab.image = image
    return tab.objects()


def disc(x, y, radius, shape=(300, 451)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(rows - y, columns - x) < radius


# ------------------------------------------------------------ masks


def test_clicks_strokes_and_history_give_the_mask_of_the_api(tab, model):
    tab.place(0, 0)
    asked = len(tab.requests)
    tab.click(230, 150)
    tab.click(60, 60, button="right")
    tab.click(330, 210)
    assert "pixels" in tab.notice() or "network" in tab.notice()
    tab.press("Control+z", "Control+z", "Control+y", "p", "]")
    tab.stroke((40, 250), (120, 270), (180, 220))
    tab.press("e")
    tab.stroke((200, 150), (260, 160))
    tab.press("Control+z", "Control+Shift+z", "c")
    tab.click(300, 60)
    actions = [action for _, action, _ in tab.steps]
    assert actions == ["click"] * 3 + ["undo"] * 2 + ["redo"] + ["paint"] * 2 + ["undo", "redo", "click"]
    assert not [url for url in tab.requests[asked:] if url.endswith("/open")]  # the page lives by the changes
    session = replayed(model.session(pixels()), tab.steps)
    exported = tab.export()
    np.testing.assert_array_equal(exported == 1, session.mask)
    assert set(np.unique(exported)) == {0, 1}
    assert session.mask.any()


def test_the_screen_shows_the_mask_by_its_changes(tab, model):
    places = tab.place(230, 150), tab.place(100, 100)
    asked = len(tab.requests)
    tab.page.mouse.click(*places[0])
    tab.page.mouse.click(*places[1], button="right")
    tab.idle()
    assert not [url for url in tab.requests[asked:] if url.endswith("/open")]
    mask = replayed(model.session(pixels()), tab.steps).mask
    clear = cv2.dilate(mask.astype(np.uint8), np.ones((13, 13))) == 0  # of the outline, and of the clicks
    inside = cv2.erode(mask.astype(np.uint8), np.ones((13, 13))) == 1
    for x, y in ((230, 150), (100, 100)):
        clear &= ~disc(x, y, 8)
        inside &= ~disc(x, y, 8)
    seen = tab.shown()
    assert inside.sum() > 1000
    assert (seen[inside] > 100).all()
    withheld = np.zeros_like(clear)
    for runs in tab.objects()[0]["withheld"]:
        withheld |= dense(runs, 451, 300)
    assert (seen[clear & (cv2.dilate(withheld.astype(np.uint8), np.ones((13, 13))) == 0)] == 0).all()


def test_the_first_click_tells_what_is_on_the_screen(tab, model):
    x, y = tab.place(230, 150)
    tab.page.mouse.move(x, y)
    for _ in range(4):
        tab.page.mouse.wheel(0, -300)
    tab.page.mouse.click(x, y)
    tab.idle()
    (_, _, body), = tab.steps
    assert abs(body["x"] - 230) < 0.3  # zoomed at the pointer, whose place comes rounded
    assert abs(body["y"] - 150) < 0.3
    x0, y0, x1, y1 = body["view"]
    assert 0 < x0 < 230 < x1 < 451
    assert 0 < y0 < 150 < y1 < 300
    np.testing.assert_array_equal(tab.export() == 1, replayed(model.session(pixels()), tab.steps).mask)


def test_space_and_drag_pans_and_does_not_click(tab):
    tab.page.keyboard.press("+")
    tab.page.mouse.move(600, 400)
    tab.page.keyboard.down("Space")
    tab.page.mouse.down()
    tab.page.mouse.move(500, 300, steps=4)
    tab.page.mouse.up()
    tab.page.keyboard.up("Space")
    tab.page.keyboard.press("c")
    tab.page.mouse.click(500, 300)
    tab.idle()
    (_, _, dragged), = tab.steps
    scale = 1.25 * tab.page.evaluate("1") * (tab.place(100, 0)[0] - tab.place(0, 0)[0]) / 100
    middle = tab.page.locator("#stage").bounding_box()
    cx, cy = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
    assert dragged["x"] == pytest.approx(225.5 + (600 - cx) / scale - 0.5, abs=0.1)
    assert dragged["y"] == pytest.approx(150 + (400 - cy) / scale - 0.5, abs=0.1)


def test_a_pressed_button_gives_space_and_enter_back_to_the_photo(tab):
    tab.page.locator("[data-tool=remove]").click()
    tab.press("n", "Enter")
    assert [body["positive"] for _, _, body in tab.steps] == [False]
    tab.page.locator("#boxes").click()
    tab.page.mouse.move(600, 400)
    tab.page.keyboard.down("Space")
    assert tab.page.locator("#stage.grab").count() == 1
    tab.page.keyboard.up("Space")
    assert tab.page.locator("#boxes").is_checked()


def test_another_tool_or_image_ends_the_stroke_of_the_keyboard(tab):
    tab.press("p", "Enter", "ArrowRight", "c", "ArrowRight")
    tab.press("e", "Enter", "ArrowRight", "PageDown")
    assert [action for _, action, _ in tab.steps] == ["paint", "paint"]


def test_a_mask_is_imported_and_corrected_with_a_negative_click_first(tab, model):
    given = disc(225, 150, 110)
    import_mask(tab, given)
    tab.click(150, 90, button="right")
    (_, _, body), = tab.steps
    assert body["positive"] is False
    np.testing.assert_array_equal(tab.export() == 1, replayed(model.session(pixels(), given), tab.steps).mask)


def test_withheld_changes_are_accepted_by_a_click_and_by_a_key(tab, model):
    given = disc(90, 80, 30) | disc(360, 220, 40) | disc(225, 150, 20)
    import_mask(tab, given)
    tab.click(225, 150)
    tab.click(360, 220, button="right")
    session = replayed(model.session(pixels(), given), tab.steps)
    count = len(session.withheld)
    assert count > 1
    assert tab.page.locator("#accept .badge").inner_text() == str(count)
    region = session.withheld[1]
    row, column = np.argwhere(region.mask)[len(np.argwhere(region.mask)) // 2] + (region.box.y0, region.box.x0)
    tab.page.keyboard.down("Alt")
    tab.click(int(column), int(row))
    tab.page.keyboard.up("Alt")
    tab.press("a")
    assert [body["region"] for _, action, body in tab.steps if action == "accept"] == [1, None]
    session = replayed(model.session(pixels(), given), tab.steps)
    assert not session.withheld
    np.testing.assert_array_equal(tab.export() == 1, session.mask)


def test_a_click_that_changes_nothing_is_told(tab):
    import_mask(tab, disc(225, 150, 100))
    for x, y in ((5, 5), (445, 5), (5, 295), (445, 295), (225, 20), (225, 280)):
        tab.click(x, y)
        outcome = tab.notice()
        if "did not follow" in outcome:
            assert outcome.startswith("The network did not follow this click; nothing changed.")
            return
        tab.press("Control+z")
    pytest.skip("the shipped network follows each of these clicks")


def test_a_click_that_is_written_against_what_it_says_is_told(tab):
    """Before the merge begins the whole prediction is written; the network may contradict the click that led to it."""
    told = tab.page.evaluate(
        """async () => {
          const { outcome } = await import("/page/sentences.js");
          const change = { outcome: "written", area: 12, withheld: [] };
          return [true, false].map((obeyed) => outcome("click", { ...change, obeyed }, { name: "Cup" }));
        }"""
    )
    assert told == [
        {"text": "Cup: 12 pixels.", "trouble": False},
        {"text": "Cup: 12 pixels, but not as this click says.", "trouble": True},
    ]


def test_an_upright_photo(tabs, folder):
    content = cv2.imencode(".jpg", pixels()[:200, :300, ::-1])[1].tobytes()
    (folder / "turned.jpg").write_bytes(with_orientation(content, 6))
    tab = tabs("turned.jpg")
    assert tab.size == (200, 300)
    tab.click(100, 150)
    (_, _, body), = tab.steps
    assert (round(body["x"]), round(body["y"])) == (100, 150)


# ------------------------------------------------------------ objects and images


def test_several_objects_with_names_and_colours(tab):
    tab.click(150, 120)
    tab.press("n")
    tab.click(330, 120)
    assert tab.names() == ["Object 1", "Object 2"]
    tab.press("1", "F2")
    tab.page.keyboard.type("Left eye")
    tab.press("Enter")
    tab.page.locator("#objects .colour").first.fill("#123456")
    tab.idle()
    first, second = tab.objects()
    assert (first["name"], first["colour"]) == ("Left eye", "#123456")
    assert second["name"] == "Object 2"
    assert second["colour"] != first["colour"]
    assert {click[0] < 230 for click in first["clicks"]} == {True}
    tab.click(140, 130)
    assert tab.steps[-1][0] == first["id"]
    exported = tab.export()
    assert set(np.unique(exported)) == {0, first["id"], second["id"]}


def test_what_is_done_before_the_object_is_made_stays(tab, model):
    held = []
    tab.page.context.route("**/objects", lambda route: held.append(route), times=1)
    tab.page.keyboard.press("n")
    tab.page.keyboard.press("F2")
    tab.page.keyboard.type("Cat")
    tab.page.keyboard.press("Enter")
    tab.page.mouse.click(*tab.place(230, 150))
    tab.until("document.querySelector('#saved').textContent === 'Saving …'")
    held[0].continue_()
    tab.idle()
    assert tab.names() == ["Cat"] == [each["name"] for each in tab.objects()]
    np.testing.assert_array_equal(tab.export() == 1, replayed(model.session(pixels()), tab.steps).mask)


def test_a_deleted_object_comes_back(tab):
    tab.click(150, 120)
    before = tab.objects()
    tab.press("Delete")
    assert tab.objects() == []
    assert tab.names() == []
    tab.press("Control+z")
    assert tab.objects() == before
    assert tab.names() == ["Object 1"]


def test_deleted_objects_come_back_one_by_one_the_last_first(tab):
    for x in (100, 200, 300):
        tab.press("n")
        tab.click(x, 120)
    before = tab.objects()
    tab.page.keyboard.down("Delete")
    for _ in range(5):
        tab.page.keyboard.down("Delete")  # held: the browser says that it repeats
    tab.page.keyboard.up("Delete")
    tab.idle()
    assert tab.names() == ["Object 1", "Object 2"]
    tab.press("Delete", "Delete")
    assert tab.names() == []
    tab.press("Control+z", "Control+z", "Control+z")
    assert tab.objects() == before
    tab.press("3", "Delete", "1", "2")
    tab.click(50, 50)
    tab.press("Control+z")
    assert tab.names() == ["Object 1", "Object 2"]  # it is the click that was the last thing done
    assert [each["runs"] for each in tab.objects()] == [each["runs"] for each in before[:2]]


def test_the_notice_of_a_deletion_undoes_that_and_nothing_else(tab):
    button = tab.page.locator("#notice button")
    gone = "document.querySelector('#notice button').hidden"
    tab.click(230, 150)
    tab.press("n", "n", "2", "Delete", "2", "Delete")
    assert tab.names() == ["Object 1"]
    button.click()
    tab.idle()
    assert tab.names() == ["Object 1", "Object 3"]
    tab.until(gone)  # though the deletion before can be undone yet
    tab.press("Delete", "Control+z")
    tab.until(gone)
    tab.press("Delete", "1")
    button.wait_for()
    tab.page.locator("#objects .colour").evaluate(
        """field => {
          field.dispatchEvent(new Event("change"));
          document.querySelector("#notice button").click();  // before the page has come to take it away
        }"""
    )
    tab.until(gone)
    tab.idle()
    assert tab.names() == ["Object 1"]
    assert len(tab.objects()[0]["clicks"]) == 1


def test_the_notice_of_a_deletion_undoes_nothing_in_another_image(tabs, folder):
    a, b = copies(folder, "notice a.jpg", "notice b.jpg")
    tab = with_an_object_each(tabs, a, b)
    tab.press("Delete")
    tab.page.locator("#notice button").wait_for()
    choose(tab, b)
    shows(tab, b)
    tab.until("document.querySelector('#notice button').hidden")


def test_an_answer_from_before_a_deletion_brings_no_object_back(tab):
    tab.click(150, 120)
    held = []
    tab.page.context.route("**/open", lambda route: held.append((route, route.fetch())), times=1)
    tab.page.evaluate("dispatchEvent(new Event('focus'))")
    tab.page.wait_for_timeout(100)
    while not held:
        tab.page.wait_for_timeout(10)
    tab.press("Delete")
    (route, answer), = held
    route.fulfill(response=answer)
    tab.page.wait_for_timeout(100)
    assert tab.names() == []


def test_a_hostile_name_is_text(tab):
    name = '<img src=x onerror="document.title=1"><script>alert(1)</script>'
    tab.press("n", "F2")
    tab.page.keyboard.type(name)
    tab.press("Enter")
    assert tab.names() == [name]
    tab.press("Delete")
    assert name in tab.notice()
    tab.press("Control+z")
    tab.reload()
    assert tab.names() == [name]
    assert tab.page.locator("#lists img, #notice img").count() == 0
    assert tab.page.title() != "1"


def test_coco_of_image_and_folder(tab, photo):
    tab.click(150, 120)
    for selector in ("#export-coco", "#export a:last-child"):
        tab.page.locator("#export summary").click()
        with tab.page.expect_download() as download:
            tab.page.locator(selector).click()
        document = json.loads(Path(download.value.path()).read_bytes())
        assert photo in [Path(image["file_name"]).name for image in document["images"]]
        assert document["annotations"]


def test_coco_goes_round_by_a_drop(tab, folder):
    tab.click(150, 120)
    document = json.dumps(tab.api("coco"))
    mask = tab.export() == 1
    tab.press("Delete")
    dropped = tab.page.evaluate_handle(
        "text => { const data = new DataTransfer(); data.items.add(new File([text], 'given.json')); return data; }",
        document,
    )
    tab.page.dispatch_event("#stage", "drop", {"dataTransfer": dropped})
    tab.until("document.querySelectorAll('#objects li').length === 1")
    assert tab.names() == ["Object 1"]
    np.testing.assert_array_equal(tab.export() > 0, mask)


def test_a_file_that_is_no_mask_is_refused_with_a_sentence(tab):
    tab.expected = ("400", "415")
    tab.page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"no image"})
    tab.page.wait_for_selector("#notice.trouble")
    assert tab.notice()
    assert tab.names() == []


def test_next_and_previous_image(tab, photo):
    tab.click(150, 120)
    tab.press("PageDown")
    tab.until(f"document.querySelector('#name').textContent !== '{photo}'")
    tab.opened()
    tab.press("PageUp")
    tab.until(f"document.querySelector('#name').textContent === '{photo}'")
    tab.page.wait_for_selector("#objects li")
    assert tab.names() == ["Object 1"]


def test_photos_that_do_not_open_are_marked_and_left_behind(browser, tmp_path):
    for name in ("b.jpg", "d.jpg"):
        shutil.copy(PHOTOS / "chelsea.jpg", tmp_path / name)
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(b"no photo")
    name = "document.querySelector('#name').textContent"
    with annotating(tmp_path) as (_, address):
        tab = Tab(browser.new_context(**DESKTOP), address, "b.jpg")
        counts = "[...document.querySelectorAll('#images .count')].map(e => e.textContent)"
        tab.page.keyboard.press("PageDown")
        tab.until(f"String({counts}) === ',,!,'")
        assert tab.page.evaluate(name) == "b.jpg"
        tab.page.keyboard.press("PageDown")
        tab.until(f"{name} === 'd.jpg' && !document.body.matches('.opening')")
        tab.page.keyboard.press("PageDown")
        tab.until(f"String({counts}) === '!,,!,'")
        tab.page.goto("about:blank")
        (tmp_path / "c.jpg").unlink()
        shutil.copy(PHOTOS / "chelsea.jpg", tmp_path / "c.jpg")
        tab.page.goto(f"{address}#a.jpg")
        tab.page.wait_for_selector("#notice.trouble")
        tab.page.keyboard.press("PageUp")
        tab.until(f"{name} === 'd.jpg'")
    tab.page.context.close()


def test_of_images_that_are_chosen_while_one_opens_the_last_is_next(tabs, folder):
    for letter in "abc":
        shutil.copy(PHOTOS / "chelsea.jpg", folder / f"turn {letter}.jpg")
    tab = tabs("turn a.jpg")
    held = []
    tab.page.context.route("**/turn%20b.jpg/open", lambda route: held.append(route), times=1)
    row = tab.page.locator("#images button")
    row.filter(has_text="turn b.jpg").click()
    row.filter(has_text="turn a.jpg").click()
    row.filter(has_text="turn c.jpg").click()
    held[0].continue_()
    tab.until("location.hash === '#turn%20c.jpg' && !document.body.matches('.opening')")
    assert [url for url in tab.requests if url.endswith("/open")][-1].endswith("turn%20c.jpg/open")
    assert sum(url.endswith("turn%20a.jpg/open") for url in tab.requests) == 1


def test_files_go_to_the_image_that_they_were_dropped_on(tabs, folder):
    a, b = copies(folder, "drop a.jpg", "drop b.jpg")
    tab = tabs(a)
    masks = [cv2.imencode(".png", disc(x, 150, 20).astype(np.uint8) * 255)[1].tolist() for x in (80, 220, 360)]
    dropped = tab.page.evaluate_handle(
        """masks => {
          const data = new DataTransfer();
          masks.forEach((mask, k) => data.items.add(new File([new Uint8Array(mask)], `${k}.png`)));
          return data;
        }""",
        masks,
    )
    wait = held_back(tab, "**/import")
    tab.page.dispatch_event("#stage", "drop", {"dataTransfer": dropped})
    route, _ = wait()
    choose(tab, b)
    route.continue_()
    shows(tab, b)
    tab.until("performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/import')).length === 3")
    tab.idle()
    assert tab.names() == []
    assert tab.page.locator("#images button").filter(has_text=a).locator(".count").inner_text() == "3"
    assert len(objects_of(tab, a)) == 3
    assert objects_of(tab, b) == []
    choose(tab, a)
    shows(tab, a)
    tab.idle()
    assert len(tab.names()) == 3


def test_what_is_deleted_or_brought_back_while_a_file_is_imported_stays_so(tab):
    tab.press("n", "n", "2", "Delete")
    wait = held_back(tab, "**/import", answered=True)
    content = cv2.imencode(".png", disc(90, 80, 30).astype(np.uint8) * 255)[1].tobytes()
    tab.page.set_input_files("#file", {"name": "given.png", "mimeType": "image/png", "buffer": content})
    route, answer = wait()
    for key in ("Control+z", "1", "Delete"):
        tab.page.keyboard.press(key)
    tab.page.wait_for_timeout(100)
    route.fulfill(response=answer)
    tab.until("document.querySelectorAll('#objects li').length === 2")
    tab.idle()
    assert sorted(tab.names()) == sorted(each["name"] for each in tab.objects())
    assert "Object 2" in tab.names()


def test_an_object_whose_deletion_waits_does_not_come_back_by_itself(tab):
    tab.expected = ("500",)
    tab.press("n", "n", "1")
    wait = held_back(tab, "**/click")
    tab.page.mouse.click(*tab.place(230, 150))
    route, _ = wait()
    for key in ("2", "Delete"):
        tab.page.keyboard.press(key)
    route.fulfill(status=500, json={"detail": "no."})  # after which the page asks how things are
    tab.until("document.querySelector('#notice .text').textContent === 'no.'")
    tab.idle()
    assert tab.names() == ["Object 1"] == [each["name"] for each in tab.objects()]


def test_what_another_program_wrote_or_a_new_photo_shows_when_the_page_is_looked_at(tab, folder, photo):
    tab.click(150, 120)
    given = disc(90, 80, 30)
    document = tab.api("coco")
    del document["focalrt"]
    document["annotations"][0]["segmentation"] = masks.to_coco(focalrt.runs.Runs.from_mask(given), *given.shape)
    (folder / f"{photo}.coco.json").write_text(json.dumps(document))
    tab.page.evaluate("dispatchEvent(new Event('focus'))")
    tab.until("document.querySelector('#notice').textContent.includes('another program wrote')")
    assert tab.page.locator("#objects .area").inner_text() == f"{given.sum():,} px"
    assert list(folder.glob(f"{glob.escape(photo)}*kept*")) == []
    asked = len(tab.requests)
    (folder / photo).write_bytes(cv2.imencode(".jpg", pixels()[:, ::-1, ::-1])[1].tobytes())
    tab.page.evaluate("dispatchEvent(new Event('focus'))")
    tab.page.wait_for_timeout(100)
    tab.opened()
    assert [url for url in tab.requests[asked:] if url.endswith("/photo")]


# ------------------------------------------------------------ nothing is lost


def test_a_reload_keeps_everything(tab):
    tab.click(150, 120)
    tab.click(300, 200, button="right")
    tab.press("n")
    tab.click(330, 120)
    before, mask = tab.objects(), tab.export()
    tab.reload()
    assert tab.page.locator("#name").inner_text() == tab.image
    assert tab.names() == ["Object 1", "Object 2"]
    assert tab.objects() == before
    np.testing.assert_array_equal(tab.export(), mask)
    tab.press("1", "Control+z")
    assert len(tab.objects()[0]["clicks"]) == 1


def test_two_tabs(tabs, photo):
    one = tabs(photo)
    one.click(150, 120)
    two = tabs(photo)
    two.expected = ("409",)
    one.click(300, 200)
    before = one.objects()
    two.click(200, 100)
    assert "another tab" in two.notice()
    assert two.objects() == before  # the stale click changed nothing
    two.click(200, 100)
    assert len(two.objects()[0]["clicks"]) == 3
    one.page.evaluate("dispatchEvent(new Event('focus'))")
    area = f"{two.objects()[0]['area']:,} px"
    one.until(f"document.querySelector('#objects .area').textContent === '{area}'")


def test_a_silent_server_and_a_reload_lose_no_step(tab, model):
    tab.expected = ("ERR_FAILED",)
    tab.click(230, 150)
    tab.page.context.route("**/click", lambda route: route.abort())
    tab.page.mouse.click(*tab.place(330, 210))
    tab.until("document.querySelector('#notice').textContent.includes('kept here')")
    tab.page.mouse.click(*tab.place(100, 220), button="right")
    tab.until("document.querySelector('#notice').textContent.includes('2 steps')")
    tab.reload()
    tab.page.context.unroute("**/click")
    tab.idle()
    assert len(tab.objects()[0]["clicks"]) == 3
    assert [action for _, action, _ in tab.steps] == ["click"] * 3
    np.testing.assert_array_equal(tab.export() == 1, replayed(model.session(pixels()), tab.steps).mask)


def test_steps_that_a_reload_left_unsent_stay_with_their_image(tabs, folder):
    a, b = copies(folder, "unsent a.jpg", "unsent b.jpg")
    tab = with_an_object_each(tabs, a, b)
    delete_unheard(tab)
    wait = held_back(tab, "**/unsent%20a.jpg/photo")
    tab.page.reload()
    route, _ = wait()
    choose(tab, b)
    route.continue_()
    tab.page.context.unroute("**/objects/1")
    shows(tab, b)
    tab.idle()
    assert tab.names() == ["Object 1"]
    assert len(objects_of(tab, b)) == 1
    assert objects_of(tab, a) == []


def test_unsent_steps_of_an_image_that_does_not_open_wait_until_it_does(tabs, folder):
    a, b = copies(folder, "unopened a.jpg", "unopened b.jpg")
    tab = with_an_object_each(tabs, a)
    tab.expected = ("500",)
    delete_unheard(tab)
    tab.page.context.route(
        "**/unopened%20a.jpg/open", lambda route: route.fulfill(status=500, json={"detail": "no."}), times=1
    )
    tab.page.reload()
    tab.until("document.querySelector('#notice .text').textContent === 'no.'")
    tab.page.context.unroute("**/objects/1")
    choose(tab, b)
    shows(tab, b)
    tab.press("n")
    assert len(objects_of(tab, b)) == len(objects_of(tab, a)) == 1
    choose(tab, a)
    shows(tab, a)
    tab.idle()
    assert tab.names() == objects_of(tab, a) == []
    assert len(objects_of(tab, b)) == 1


def test_what_is_done_to_an_image_while_the_next_one_opens_stays_with_it(tabs, folder):
    a, b = copies(folder, "leaving a.jpg", "leaving b.jpg")
    tab = with_an_object_each(tabs, a, b)
    wait = held_back(tab, "**/leaving%20b.jpg/photo")
    choose(tab, b)
    route, _ = wait()
    delete_unheard(tab)
    route.continue_()
    tab.page.wait_for_timeout(200)
    tab.reload()
    assert tab.page.locator("#name").inner_text() == a
    tab.page.context.unroute("**/objects/1")
    tab.idle()
    assert tab.names() == objects_of(tab, a) == []
    assert len(objects_of(tab, b)) == 1


def test_an_undone_deletion_outlasts_a_silent_server_and_a_reload(tab):
    tab.expected = ("ERR_FAILED",)
    tab.press("n")
    tab.click(230, 150)
    before = tab.objects()
    tab.page.context.route("**/objects/2", lambda route: route.abort())
    tab.press("n")
    for key in ("Delete", "Control+z", "1"):
        tab.page.keyboard.press(key)
    tab.page.keyboard.press("Delete")
    tab.page.keyboard.press("Control+z")
    tab.until("document.querySelector('#notice').textContent.includes('4 steps')")
    tab.reload()
    assert sorted(tab.names()) == ["Object 1", "Object 2"]
    tab.page.context.unroute("**/objects/2")
    tab.idle()
    assert sorted(tab.names()) == ["Object 1", "Object 2"]
    assert [each["id"] for each in tab.objects()] == [1, 2]
    assert tab.objects()[:1] == before


def click_and_reload(tab, x, y):
    """A click that waits behind another unsent step of the only object, which a reload must keep."""
    tab.page.mouse.click(*tab.place(x, y))
    tab.until("document.querySelector('#notice').textContent.includes('2 steps')")
    tab.reload()
    assert tab.names() == ["Object 1"]


@pytest.mark.parametrize("lost", ["question", "answer"])
def test_an_object_that_is_being_brought_back_outlasts_a_reload_with_its_clicks(tab, lost):
    tab.expected = ("ERR_FAILED",)
    tab.click(230, 150)
    tab.press("Delete")
    fall_silent(tab, "**/restore", lost)
    tab.page.keyboard.press("Control+z")
    click_and_reload(tab, 330, 210)
    assert tab.page.locator("#objects .area").inner_text() != "0 px"
    tab.page.context.unroute("**/restore")
    tab.idle()
    assert tab.names() == ["Object 1"]
    (thing,) = tab.objects()
    assert [round(x) for x, _, _ in thing["clicks"]] == [230, 330]
    assert "another tab" not in tab.notice()


def test_a_deletion_that_a_reload_left_unsent_can_be_undone(tab):
    tab.click(230, 150)
    before = tab.objects()
    delete_unheard(tab)
    tab.reload()
    tab.page.keyboard.press("Control+z")
    tab.page.context.unroute("**/objects/1")
    tab.idle()
    assert tab.names() == ["Object 1"]
    assert tab.objects() == before


def test_steps_that_a_reload_left_unsent_of_an_object_that_is_gone_are_told(tabs, photo):
    tab = tabs(photo)
    tab.expected = ("ERR_FAILED",)
    tab.click(230, 150)
    tab.page.context.route("**/click", lambda route: route.abort())
    tab.page.mouse.click(*tab.place(330, 210))
    tab.until("document.querySelector('#notice').textContent.includes('1 step')")
    tabs(photo).press("Delete")
    tab.reload()
    tab.until("document.querySelector('#notice .text').textContent === 'Object 1 was deleted in another tab.'")
    assert tab.names() == []
    tab.reload()
    tab.idle()
    assert "another tab" not in tab.notice()  # said once


@pytest.mark.parametrize("lost", ["question", "answer"])
def test_a_new_object_that_is_unanswered_outlasts_a_reload_with_its_clicks(tab, lost):
    tab.expected = ("ERR_FAILED",)
    fall_silent(tab, "**/objects", lost)
    tab.page.keyboard.press("n")
    click_and_reload(tab, 230, 150)
    tab.page.context.unroute("**/objects")
    tab.idle()
    assert tab.names() == ["Object 1"]
    (thing,) = tab.objects()
    assert len(thing["clicks"]) == 1
    assert tab.page.locator("#objects .area").inner_text() == f"{thing['area']:,} px"


def test_a_new_object_whose_answer_is_lost_is_made_once(tab):
    tab.expected = ("ERR_FAILED",)
    lose_answer(tab, "**/objects")
    tab.page.keyboard.press("n")
    tab.page.mouse.click(*tab.place(230, 150))
    tab.idle()
    tab.press("n")
    assert tab.names() == ["Object 1", "Object 2"]
    assert [len(each["clicks"]) for each in tab.objects()] == [1, 0]


@pytest.mark.parametrize("then", ["click", "delete"])
def test_a_restoration_whose_answer_is_lost_is_done_once(tab, then):
    tab.expected = ("ERR_FAILED", "404")
    tab.click(230, 150)
    tab.press("Delete")
    lose_answer(tab, "**/restore")
    tab.page.keyboard.press("Control+z")
    if then == "click":
        tab.page.mouse.click(*tab.place(330, 210))
    else:
        tab.page.keyboard.press("Delete")
    tab.idle()
    assert "another tab" not in tab.notice()
    assert tab.names() == [each["name"] for each in tab.objects()]
    if then == "delete":
        tab.press("Control+z")
    (thing,) = tab.objects()
    assert len(thing["clicks"]) == (2 if then == "click" else 1)
    assert tab.page.locator("#objects .area").inner_text() == f"{thing['area']:,} px"


def test_a_restoration_that_the_server_forgot_is_told(browser, tmp_path):
    shutil.copy(PHOTOS / "chelsea.jpg", tmp_path / "cat.jpg")
    with annotating(tmp_path) as (process, address):
        tab = Tab(browser.new_context(**DESKTOP), address, "cat.jpg")
        tab.press("n", "Delete")
        process.kill()
        process.wait()
        tab.page.keyboard.press("Control+z")
        tab.until("document.querySelector('#notice').textContent.includes('1 step')")
    with annotating(tmp_path, urlsplit(address).port):
        tab.idle()
        tab.until("document.querySelector('#notice .text').textContent.includes('Object 1 was deleted')")
        assert tab.names() == tab.objects() == []
    tab.page.context.close()


def test_a_click_whose_answer_is_lost_counts_once(tab):
    tab.expected = ("ERR_FAILED", "409")
    tab.click(230, 150)
    lose_answer(tab, "**/click")
    tab.page.mouse.click(*tab.place(330, 210))
    tab.page.mouse.click(*tab.place(100, 220), button="right")
    tab.idle()
    assert "another tab" not in tab.notice()
    assert [positive for _, _, positive in tab.objects()[0]["clicks"]] == [True, True, False]


def test_a_killed_server_loses_nothing(browser, tmp_path):
    shutil.copy(PHOTOS / "chelsea.jpg", tmp_path / "cat.jpg")
    with annotating(tmp_path) as (process, address):
        tab = Tab(browser.new_context(**DESKTOP), address, "cat.jpg")
        tab.click(230, 150)
        mask = tab.export()
        process.kill()
        tab.page.mouse.click(*tab.page.evaluate("[300, 300]"))
        tab.until("document.querySelector('#notice').textContent.includes('does not answer')")
    with annotating(tmp_path, urlsplit(address).port):
        tab.idle()
        assert len(tab.steps) == 2
        assert len(tab.objects()[0]["clicks"]) == 1  # the click that the server did not get, on the mask that it kept
        tab.press("Control+z")
        np.testing.assert_array_equal(tab.export(), mask)
    tab.page.context.close()


@pytest.mark.parametrize("first", ["click", "stroke"])
def test_clicks_and_strokes_wait_out_a_restart_and_a_reload(browser, tmp_path, model, first):
    shutil.copy(PHOTOS / "chelsea.jpg", tmp_path / "cat.jpg")
    with annotating(tmp_path) as (_, address):
        tab = Tab(browser.new_context(**DESKTOP), address, "cat.jpg")
        tab.click(230, 150)
        before = tab.export() == 1
        tab.page.context.route("**/objects/*/*", lambda route: route.abort())
        for kind in ("click", "stroke", "click") if first == "click" else ("stroke", "click"):
            tab.page.keyboard.press("p" if kind == "stroke" else "c")
            if kind == "click":
                tab.page.mouse.click(*tab.place(330, 210))
            else:
                tab.draw((40, 250), (120, 270))
        tab.until("document.querySelector('#notice').textContent.includes('kept here')")
    with annotating(tmp_path, urlsplit(address).port):
        tab.reload()
        tab.steps.clear()
        tab.page.context.unroute("**/objects/*/*")
        tab.idle()
        actions = [action for _, action, _ in tab.steps]
        assert actions == (["click", "paint", "click"] if first == "click" else ["paint", "click"])
        np.testing.assert_array_equal(tab.export() == 1, replayed(model.session(pixels(), before), tab.steps).mask)
    tab.page.context.close()


def test_a_stroke_and_an_undo_wait_out_a_restart(browser, tmp_path):
    shutil.copy(PHOTOS / "chelsea.jpg", tmp_path / "cat.jpg")
    with annotating(tmp_path) as (process, address):
        tab = Tab(browser.new_context(**DESKTOP), address, "cat.jpg")
        tab.click(230, 150)
        before = tab.export()
        process.kill()
        process.wait()
        tab.page.keyboard.press("Control+z")
        tab.until("document.querySelector('#notice').textContent.includes('1 step')")
        assert tab.page.locator("#saved").inner_text() == "Not sent"
    with annotating(tmp_path, urlsplit(address).port) as (process, _):
        tab.idle()
        assert tab.notice() == "There is nothing to undo."  # and nobody says that it was undone
        np.testing.assert_array_equal(tab.export(), before)
        tab.click(330, 210)
        before = tab.export() == 1
        process.kill()
        process.wait()
        tab.steps.clear()
        tab.page.keyboard.press("p")
        tab.draw((40, 250), (120, 270))
        tab.until("document.querySelector('#notice').textContent.includes('1 step')")
    with annotating(tmp_path, urlsplit(address).port):
        tab.idle()
        assert tab.notice() == "Painted."
        (_, _, body), = tab.steps
        stroke = dense(body["runs"], 451, 300)
        assert stroke.any()
        np.testing.assert_array_equal(tab.export() == 1, before | stroke)
    tab.page.context.close()


@pytest.mark.parametrize("action", ["undo", "paint", "accept", "reset"])
def test_a_step_whose_answer_is_lost_is_done_once(tab, action):
    tab.expected = ("ERR_FAILED", "409")
    import_mask(tab, disc(90, 80, 30) | disc(360, 220, 40) | disc(225, 150, 20))
    tab.click(225, 150)
    tab.click(360, 220, button="right")
    clicks = len(tab.objects()[0]["clicks"])
    lose_answer(tab, f"**/{action}")
    if action == "paint":
        tab.page.keyboard.press("p")
        tab.draw((40, 250), (120, 270))
    elif action == "reset":
        tab.page.locator("#reset").click()
    else:
        tab.page.keyboard.press({"undo": "Control+z", "accept": "a"}[action])
    tab.idle()
    (now,) = tab.objects()
    assert "another tab" not in tab.notice()
    assert tab.page.locator("#objects .area").inner_text() == f"{now['area']:,} px"
    assert len(now["clicks"]) == {"undo": clicks - 1, "reset": 0}.get(action, clicks)
    tab.press("Control+y" if action == "undo" else "Control+z")
    assert len(tab.objects()[0]["clicks"]) == clicks


def test_nothing_is_called_saved_while_the_server_does_not_say_so(tab):
    tab.expected = ("ERR_FAILED",)
    tab.page.context.route("**/api/saved", lambda route: route.abort())
    tab.page.mouse.click(*tab.place(150, 120))
    tab.until("document.querySelector('#saved').textContent === 'No answer'")
    assert tab.page.locator("#saved").get_attribute("data-state") == "trouble"
    tab.page.context.unroute("**/api/saved")
    tab.idle()
    assert tab.page.locator("#saved").get_attribute("data-state") == "calm"


def test_a_long_stroke_is_no_larger_than_the_server_takes(tab):
    tab.press("n")
    (thing,) = tab.objects()
    area = tab.page.evaluate(
        """async ([image, id, revision]) => {
          const { takeStep } = await import("/page/wire.js");
          const runs = Array.from({ length: 600000 }, (_, k) => k % 3 === 2 ? 300 : 0);
          return (await takeStep(image, id, "paint", { revision, runs, erase: false })).area;
        }""",
        [tab.image, thing["id"], thing["revision"]],
    )
    assert area == 300


def test_a_link_on_a_page_of_another_origin_leads_in(browser, tabs, address, photo):
    tabs(photo)
    context = browser.new_context()
    page = context.new_page()
    page.goto(address.replace("127.0.0.1", "localhost"))
    assert "no token" in page.content()
    page.evaluate("address => { location.href = address; }", f"{address}?token={TOKEN}#{photo}")
    page.wait_for_selector("#objects", state="attached")
    page.wait_for_function("document.title.includes('focalrt')")
    assert TOKEN not in page.url
    context.close()


# ------------------------------------------------------------ without a mouse


def test_letters_work_on_keyboards_of_other_scripts(tab):
    tab.click(150, 120)
    type_key = """([key, code, ctrlKey, kind]) => document.querySelector("#stage").dispatchEvent(
      new KeyboardEvent(kind, { key, code, ctrlKey, bubbles: true, cancelable: true }))"""
    for letter in ("\u044f", "\u03b6", "\u05d6"):
        assert len(tab.objects()[0]["clicks"]) == 1
        tab.page.evaluate(type_key, [letter, "KeyZ", True, "keydown"])
        tab.idle()
        assert len(tab.objects()[0]["clicks"]) == 0
        tab.press("Control+y")
    tool = "document.querySelector('#stage').dataset.tool"
    tab.expected = ("willReadFrequently",)  # by these tests, which look at the canvas
    tab.page.evaluate(type_key, ["\u0440", "KeyH", False, "keydown"])
    tab.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))")
    assert not tab.shown().any()
    tab.page.evaluate(type_key, ["\u0440", "KeyH", False, "keyup"])
    tab.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))")
    assert tab.shown().any()
    tab.press("p")
    tab.page.evaluate(type_key, ["\u00f6", "KeyX", False, "keydown"])  # a letter of a Latin keyboard is that letter
    assert tab.page.evaluate(tool) == "brush"


def test_enter_that_ends_a_word_of_an_input_method_does_not_end_the_name(tab):
    tab.press("n", "F2")
    composing = """isComposing => document.querySelector("#objects .name").dispatchEvent(
      new KeyboardEvent("keydown", { key: "Enter", code: "Enter", isComposing, bubbles: true }))"""
    tab.page.evaluate(composing, True)
    assert tab.page.locator("#objects .renaming").count() == 1
    tab.page.evaluate(composing, False)
    assert tab.page.locator("#objects .renaming").count() == 0


def test_the_keyboard_alone(tab, model):
    keys = tab.page.keyboard
    tab.press("n", "ArrowLeft", "ArrowLeft", "Shift+ArrowUp", "Enter", "ArrowDown", "Shift+Enter", "Control+z", "p")
    tab.press("Enter", *["ArrowRight"] * 6, "Enter")
    actions = [action for _, action, _ in tab.steps]
    assert actions == ["click", "click", "undo", "paint"]
    first, second = (body for _, action, body in tab.steps if action == "click")
    assert (first["positive"], second["positive"]) == (True, False)
    assert first["x"] < 225 < 451
    assert first["y"] == pytest.approx(150 - 0.5 - 1)
    assert second["x"] == first["x"]
    np.testing.assert_array_equal(tab.export() == 1, replayed(model.session(pixels()), tab.steps).mask)
    keys.press("?")
    assert tab.page.locator("#help").is_visible()
    keys.press("Escape")
    assert not tab.page.locator("#help").is_visible()


def columns_and_rows(body):
    """Of a stroke: (first column, last column, first row, last row)."""
    rows, starts, ends = np.reshape(body["runs"], (-1, 3)).T
    return starts.min(), ends.max(), rows.min(), rows.max()


def test_the_mouse_does_not_go_on_with_the_stroke_of_the_keyboard(tab):
    tab.press("n", "p", "Enter", "ArrowRight")
    tab.page.mouse.move(*tab.place(30, 30))
    tab.page.mouse.move(*tab.place(60, 280), steps=3)
    tab.press("ArrowRight")
    tab.stroke((300, 40), (360, 60))
    tab.press("Enter")
    tab.page.keyboard.down("Alt")
    tab.stroke((60, 260), (90, 280))
    tab.page.keyboard.up("Alt")
    assert [action for _, action, _ in tab.steps] == ["paint"] * 3
    for body in (tab.steps[0][2], tab.steps[2][2]):
        left, right, top, bottom = columns_and_rows(body)
        assert 200 < left < right < 270
        assert 130 < top < bottom < 170
    left, right, top, bottom = columns_and_rows(tab.steps[1][2])
    assert 280 < left < right < 380
    assert 20 < top < bottom < 80


@pytest.mark.parametrize("fingers", [1, 2])
def test_fingers_beside_the_photo_do_not_go_on_with_the_stroke_of_the_keyboard(tabs, photo, fingers):
    tab = tabs(photo, PHONE)
    tab.press("n", "p", "Enter", "ArrowRight")
    _, top = tab.place(0, 0)
    beside = [(x, top - 80) for x in (60, 330)[:fingers]]
    tab.touch("Start", *beside)
    for down in (20, 50):
        tab.touch("Move", *((x, y + down) for x, y in beside))
    tab.touch("End")
    tab.idle()
    (_, action, body), = tab.steps
    left, right, top, bottom = columns_and_rows(body)
    assert action == "paint"
    assert 170 < left < right < 290
    assert 110 < top < bottom < 190


def test_an_object_that_is_deleted_during_a_stroke_comes_back_without_it(tab):
    tab.click(230, 150)
    before = tab.objects()
    tab.page.keyboard.press("p")
    tab.page.mouse.move(*tab.place(60, 60))
    tab.page.mouse.down()
    tab.page.mouse.move(*tab.place(90, 90), steps=3)
    tab.page.keyboard.press("Delete")
    tab.page.mouse.move(*tab.place(120, 90), steps=3)
    tab.page.mouse.up()
    tab.idle()
    assert tab.objects() == []
    assert "is deleted" in tab.notice()
    tab.press("Control+z")
    assert tab.objects() == before
    assert tab.page.locator("#objects .area").inner_text() == f"{before[0]['area']:,} px"


def test_every_control_is_reached_by_tab_is_named_and_shows_the_focus(tab):
    tab.press("n")
    wanted = tab.page.evaluate(
        "[...document.querySelectorAll('button, input, summary, #stage')]"
        ".filter(e => e.checkVisibility() && !e.closest('dialog, .menu')).length"
    )
    reached = set()
    tab.page.evaluate("document.activeElement.blur()")
    for _ in range(wanted + 2):
        tab.page.keyboard.press("Tab")
        told = tab.page.evaluate(
            """() => { const e = document.activeElement; if (e === document.body) return null;
              e.dataset.reached ??= String(Math.random());
              const style = getComputedStyle(e);
              const name = e.ariaLabel || e.innerText || e.labels?.[0]?.innerText;
              return [e.dataset.reached, style.outlineStyle, name]; }"""
        )
        if told is None:
            continue
        number, outline, name = told
        assert outline == "solid"
        assert name.strip()
        reached.add(number)
    assert len(reached) == wanted


def test_fingers(tabs, photo):
    tab = tabs(photo, PHONE)
    tab.page.touchscreen.tap(*tab.place(230, 150))
    tab.idle()
    place = tab.place(100, 220)
    tab.touch("Start", place)
    tab.page.wait_for_timeout(600)
    tab.touch("End")
    tab.idle()
    tab.touch("Start", (150, 400), (250, 400))
    tab.touch("Move", (100, 400), (300, 400))
    tab.touch("End")
    tab.page.touchscreen.tap(200, 400)
    tab.idle()
    first, second, third = (body for _, action, body in tab.steps if action == "click")
    assert (first["positive"], second["positive"], third["positive"]) == (True, False, True)
    assert (round(first["x"]), round(first["y"])) == (230, 150)
    assert (round(second["x"]), round(second["y"])) == (100, 220)
    assert third["view"] is not None  # two fingers zoomed
    tab.page.locator("[data-tool=brush]").tap()
    tab.touch("Start", (150, 380))
    for x in range(160, 240, 20):
        tab.touch("Move", (x, 390))
    tab.touch("End")
    tab.idle()
    assert tab.steps[-1][1] == "paint"
    tab.touch("Start", (150, 420))
    tab.page.wait_for_timeout(600)  # a finger that rests before its stroke
    tab.touch("Move", (230, 420))
    tab.touch("End")
    tab.idle()
    *_, (_, action, body) = tab.steps
    rows = np.reshape(body["runs"], (-1, 3))
    assert (action, len(tab.steps)) == ("paint", 5)
    assert np.ptp(rows[:, 1:]) > 80 / 2  # the photo is zoomed in, not by half


# ------------------------------------------------------------ looks


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(tabs, photo, scheme):
    page = tabs(photo, color_scheme=scheme).page
    value = "name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()"
    for ink, ground in (
        *((ink, ground) for ink in ("text", "quiet", "trouble") for ground in ("ground", "raised", "hover")),
        *((ink, ground) for ink in ("accent",) for ground in ("ground", "raised")),
        ("text", "tint"), ("quiet", "tint"), ("on-accent", "accent"), ("text", "stage"),
    ):
        assert contrast(page.evaluate(value, f"--{ink}"), page.evaluate(value, f"--{ground}")) >= 4.5, (ink, ground)


def contrast(one, other):
    """WCAG 2.2's ratio of two colours, #rgb or #rrggbb."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = np.array(list(bytes.fromhex(digits))) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768), (390, 844)])
def test_everything_fits_the_screen(tabs, photo, size):
    width, height = size
    device = PHONE if width < 500 else {"viewport": {"width": width, "height": height}}
    page = tabs(photo, device).page
    boxes = page.evaluate(
        "[...document.querySelectorAll('header button, header summary, .tools button, footer button, #stage')]"
        ".filter(e => e.checkVisibility()).map(e => { const b = e.getBoundingClientRect();"
        " return [e.id || e.dataset.tool, b.left, b.top, b.right, b.bottom]; })"
    )
    assert len(boxes) >= 14
    for name, left, top, right, bottom in boxes:
        assert left >= 0, name
        assert top >= 0, name
        assert right <= width, name
        assert bottom <= height, name
        if width < 500 and name in ("add", "remove", "brush", "eraser", "undo", "redo", "accept"):
            assert min(right - left, bottom - top) >= 44, name


SCREENS = """
  let ratio = 1;
  const asked = [];
  Object.defineProperty(window, "devicePixelRatio", { get: () => ratio });
  window.matchMedia = (query) => {
    asked.push(Object.assign(new EventTarget(), { media: query }));
    return asked.at(-1);
  };
  window.goTo = (density) => {
    ratio = density;
    const { media } = asked.at(-1);
    asked.at(-1).dispatchEvent(new Event("change"));
    return media;
  };
"""


def test_the_window_goes_to_a_screen_of_another_density(tab):
    """The headless browser tells a page nothing of such a change; this stands in for it."""
    tab.expected = ("willReadFrequently",)  # by these tests, which look at the canvas
    tab.click(230, 150)
    tab.page.add_init_script(SCREENS)
    tab.reload()
    seen = tab.shown() > 0
    for before, ratio in ((1, 2), (2, 1.5), (1.5, 1)):
        assert tab.page.evaluate("density => goTo(density)", ratio) == f"(resolution: {before}dppx)"
        tab.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))")
        widths = "['#photo', '#overlay'].map(id => document.querySelector(id).width)"
        width = tab.page.locator("#stage").bounding_box()["width"]
        assert tab.page.evaluate(widths) == [round(width * ratio)] * 2
        assert ((tab.shown() > 0) != seen).mean() < 0.02


def test_the_theme_can_be_chosen_and_is_kept(tab):
    ground = "getComputedStyle(document.body).backgroundColor"
    seen = [tab.page.evaluate(ground)]
    for _ in range(2):
        tab.page.locator("#theme").click()
        seen.append(tab.page.evaluate(ground))
    assert seen[0] == seen[1] != seen[2]
    tab.reload()
    assert tab.page.evaluate(ground) == seen[2]


def test_the_documented_keys_are_those_of_the_help(tab):
    """docs/annotate.md has a row for each row of the help: | `Ctrl` `Z` | undo |."""
    rows = tab.page.evaluate(
        "[...document.querySelectorAll('#help dt')].map(keys => [[...keys.children].map(key => key.textContent),"
        " keys.nextElementSibling.textContent])"
    )
    documented = (PHOTOS.parent / "annotate.md").read_text(encoding="utf-8")
    assert len(rows) > 30
    for keys, does in rows:
        assert f"| {' '.join(f'`{key}`' for key in keys)} | {does} |" in documented


# ------------------------------------------------------------ pixels in the browser


def random_masks(seed):
    rng = np.random.default_rng(seed)
    density = rng.choice([0.1, 0.5, 0.9], 2)
    return [rng.random((9, 12)) < share for share in density]


def runs_of(mask):
    return focalrt.runs.Runs.from_mask(mask).spans.ravel().tolist()


def test_sets_of_pixels_combine_like_masks(tab):
    for seed in range(20):
        a, b = random_masks(seed)
        made = tab.page.evaluate(
            """async ([a, b]) => {
              const { Rows, XOR, OR, AND, MINUS } = await import("/page/rows.js");
              const made = {};
              for (const [name, belongs] of Object.entries({ XOR, OR })) {
                const set = Rows.fromRuns(a);
                set.merge(Rows.fromRuns(b), belongs);
                made[name] = [set.toRuns(), set.area];
              }
              for (const [name, belongs] of Object.entries({ AND, MINUS })) {
                const set = Rows.fromRuns(a).combined(Rows.fromRuns(b), belongs);
                made[name] = [set.toRuns(), set.area];
              }
              return made;
            }""",
            [runs_of(a), runs_of(b)],
        )
        for name, mask in {"XOR": a ^ b, "OR": a | b, "AND": a & b, "MINUS": a & ~b}.items():
            assert made[name] == [runs_of(mask), mask.sum()], name


def test_an_outline_holds_the_pixels_and_no_others(tab):
    for seed in range(20):
        mask = random_masks(seed)[0]
        inside = tab.page.evaluate(
            """async ([runs, height, width]) => {
              const { Rows } = await import("/page/rows.js");
              const { outline } = await import("/page/outline.js");
              const path = outline(Rows.fromRuns(runs));
              const context = document.createElement("canvas").getContext("2d");
              const inside = [];
              for (let y = 0; y < height; y++)
                for (let x = 0; x < width; x++) inside.push(context.isPointInPath(path, x + 0.5, y + 0.5, "evenodd"));
              return inside;
            }""",
            [runs_of(mask), *mask.shape],
        )
        np.testing.assert_array_equal(np.reshape(inside, mask.shape), mask)


def test_a_stroke_is_what_lies_within_the_radius_of_its_line(tab):
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:30, :40] + 0.5
    for radius in (0.5, 3, 7.25):
        line = rng.uniform((-3, -3), (43, 33), (4, 2))
        line[2, 1] = line[1, 1]  # level
        runs = tab.page.evaluate(
            """async ([line, radius]) => {
              const { Stroke } = await import("/page/stroke.js");
              const stroke = new Stroke(radius, 40, 30);
              for (const [x, y] of line) stroke.to({ x, y });
              return stroke.rows.toRuns();
            }""",
            [line.tolist(), radius],
        )
        near = np.full(rows.shape, np.inf)
        for (ax, ay), (bx, by) in pairwise(line):
            along = ((columns - ax) * (bx - ax) + (rows - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
            along = np.clip(along, 0, 1)
            near = np.minimum(near, np.hypot(columns - ax - along * (bx - ax), rows - ay - along * (by - ay)))
        mask = dense(runs, 40, 30)
        sure = abs(near - radius) > 1e-9
        np.testing.assert_array_equal(mask[sure], (near <= radius)[sure])
