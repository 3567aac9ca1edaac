"""A browser at the annotation page of a ``focalrt annotate`` of its own, for the tests of the page."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from command import ENVIRONMENT

from focalrt.geometry import Box
from focalrt.runs import Runs

PHOTOS = Path(__file__).resolve().parents[1] / "docs" / "photos"
TOKEN = "a-token-for-the-tests"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
STEPS = re.compile(r"/objects/(\d+)/(click|paint|accept|undo|redo|reset)$")
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def browser_path():
    """Where the system's browser is, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def annotating(folder, port=0):
    """The process ``focalrt annotate`` on a folder, and its address without the token."""
    command = [sys.executable, "-m", "focalrt.cli", "annotate", str(folder), "--no-browser"]
    command += ["--port", str(port), "--token", TOKEN]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        yield process, re.search(r"http://127\.0\.0\.1:\d+/", line).group()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def mask_of(png):
    """The pixels of a PNG's bytes, as they are."""
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


class Tab:
    """One tab of the page: what a user does to it, what it asked of the server, and what it complained about."""

    def __init__(self, context, address, image):
        self.page, self.address, self.image = context.new_page(), address, image
        self.steps = []  # (object's id, action, body) of each step that the server took
        self.requests, self.complaints = [], []
        self.expected = ()  # complaints that a test provokes
        self._fingers = context.new_cdp_session(self.page)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("response", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._hear(message))
        self.page.on("dialog", lambda dialog: dialog.accept())
        context.request.get(f"{address}?token={TOKEN}")  # leaves the cookie in the context
        self.page.goto(f"{address}#{image}")
        self.opened()

    def _note(self, response):
        found = STEPS.search(response.url)
        if found and response.status == 200:
            self.steps.append((int(found[1]), found[2], json.loads(response.request.post_data)))

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def until(self, condition):
        """Waits until an expression holds in the page; Playwright's own way is ``eval``, which the policy bars."""
        self.page.evaluate(
            f"""async () => {{
              const end = performance.now() + 60000;
              while (!({condition})) {{
                if (performance.now() > end) throw new Error("never came true: " + {json.dumps(condition)});
                await new Promise((resolve) => setTimeout(resolve, 10));
              }}
            }}"""
        )

    def opened(self):
        """Waits until an image is open."""
        self.until("document.querySelector('#name').textContent && !document.body.matches('.opening')")

    def reload(self):
        """Loads the page again."""
        self.page.reload()
        self.opened()

    def idle(self):
        """Waits until the server has answered everything, and the page shows it."""
        self.until("document.querySelector('#saved').textContent === 'Saved'")
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 20)))")

    def place(self, x, y):
        """Where a pixel of the photo is on the screen, by what the page says of its own layout."""
        box = self.page.locator("#stage").bounding_box()
        width, height = self.size
        zoom = min((box["width"] - 48) / width, (box["height"] - 48) / height)
        if box["width"] <= 600:
            zoom = min((box["width"] - 16) / width, (box["height"] - 16) / height)
        left, top = (box["width"] - width * zoom) / 2, (box["height"] - height * zoom) / 2
        return box["x"] + left + (x + 0.5) * zoom, box["y"] + top + (y + 0.5) * zoom

    @cached_property
    def size(self):
        """(width, height) of the photo."""
        opened = self.api("open", "POST")
        return opened["width"], opened["height"]

    def click(self, x, y, button="left", **options):
        """A click on a pixel of the photo that fits the stage; returns when it is answered."""
        self.page.mouse.click(*self.place(x, y), button=button, **options)
        self.idle()

    def stroke(self, *places):
        """A stroke through pixels of the photo; returns when it is answered."""
        self.draw(*places)
        self.idle()

    def draw(self, *places):
        """A stroke whose answer may have to be waited for."""
        self.page.mouse.move(*self.place(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.place(*place), steps=5)
        self.page.mouse.up()

    def touch(self, kind, *places):
        """Fingers on the screen: ``Start``, ``Move`` or ``End``."""
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._fingers.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    def press(self, *keys):
        """Keys, each answered."""
        for key in keys:
            self.page.keyboard.press(key)
            self.idle()

    def api(self, rest, method="GET"):
        """What the server answers for the image, with the page's cookie."""
        return self.page.evaluate(
            "([path, method]) => fetch(path, { method }).then(answer => answer.json())",
            [f"/api/images/{self.image}/{rest}", method],
        )

    def notice(self):
        """What the page says."""
        return self.page.locator("#notice .text").inner_text()

    def names(self):
        """The listed objects."""
        return self.page.locator("#objects .title").all_inner_texts()

    def objects(self):
        """The objects as the server has them."""
        return self.api("open", "POST")["objects"]

    def export(self):
        """The id map that a user downloads."""
        self.page.locator("#export summary").click()
        with self.page.expect_download() as download:
            self.page.locator("#export-mask").click()
        return mask_of(Path(download.value.path()).read_bytes())

    def shown(self):
        """The current object's mask as the page holds and draws it: the overlay's opacity at each pixel, (H, W)."""
        width, height = self.size
        points = [self.place(x, y) for x, y in ((0, 0), (width - 1, height - 1))]
        box = self.page.locator("#stage").bounding_box()
        corners = [(px - box["x"], py - box["y"]) for px, py in points]
        return np.array(self.page.evaluate(ALPHA, [*corners, width, height]), np.uint8).reshape(height, width)


ALPHA = """([[left, top], [right, bottom], width, height]) => {
  const canvas = document.querySelector("#overlay");
  const ratio = canvas.width / canvas.clientWidth;
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const at = (first, last, k, size) => Math.floor((first + ((last - first) * k) / (size - 1)) * ratio);
  const seen = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      seen.push(data[4 * (at(top, bottom, y, height) * canvas.width + at(left, right, x, width)) + 3]);
    }
  }
  return seen;
}"""


def replayed(session, steps):
    """The same steps by the Python API; returns the session."""
    height, width = session.shape
    for _, action, body in steps:
        if action == "click":
            session.click(body["x"], body["y"], body["positive"], view=body["view"])
        elif action == "paint":
            stroke = np.zeros((height, width), np.bool_)
            for row, start, end in np.array(body["runs"], int).reshape(-1, 3):
                stroke[row, start:end] = True
            box = Runs.from_mask(stroke).box
            after = session.mask & ~stroke if body["erase"] else session.mask | stroke
            session.paint(after[box.slices], box)
        elif action == "accept":
            session.accept_all() if body["region"] is None else session.accept(session.withheld[body["region"]])
        else:
            getattr(session, action)()
    return session


def dense(runs, width, height):
    """Flat runs as a mask."""
    return Runs(np.array(runs, np.int32).reshape(-1, 3)).to_mask(Box(0, 0, width, height))
