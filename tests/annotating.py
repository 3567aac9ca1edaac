"""A folder of small photos, a workbench on it, and a page's requests, for the tests of ``focalrt annotate``."""

import tracemalloc
from urllib.parse import unquote

import cv2
import numpy as np
from starlette.testclient import TestClient

from focalrt.runs import Runs
from focalrt.serve.annotate.annotations import Annotation
from focalrt.serve.annotate.app import application
from focalrt.serve.annotate.project import Project
from focalrt.serve.annotate.workbench import Workbench
from focalrt.serve.pool import Pool

HEIGHT, WIDTH = SHAPE = 48, 64


def write_photo(path, shape=SHAPE, seed=0):
    """A photo of blurred noise; JPEG, PNG, ... by the file's name. Returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    done, content = cv2.imencode(path.suffix, cv2.blur(pixels, (5, 5)))
    assert done
    path.write_bytes(content.tobytes())
    return path


def write_sparse(path, size, begin=b""):
    """A file of that many bytes that takes no room: after the first ones, zeros. Returns the path."""
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)
    return path


def most_held(act):
    """The most bytes that Python's objects held at once while ``act`` ran."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def disc(x, y, radius, shape=SHAPE):
    """A mask, bool (H, W)."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(rows - y, columns - x) < radius


def drawn(id, mask, name="cup", colour="#112233"):
    """An object."""
    return Annotation(id, name, colour, Runs.from_mask(mask))


def dense(runs, shape=SHAPE):
    """Flat runs of the wire as a mask."""
    mask = np.zeros(shape, np.bool_)
    for row, start, end in np.array(runs, int).reshape(-1, 3):
        assert not mask[row, start:end].any()
        mask[row, start:end] = True
    return mask


def flat(mask):
    """A mask as flat runs of the wire."""
    return Runs.from_mask(mask).spans.ravel().tolist()


class Page:
    """What the page does, without a browser: it keeps each object's mask by the changes that it is told."""

    def __init__(self, folder, model, **options):
        """``options``: of the workbench."""
        self.bench = Workbench(Project(folder), model, **options)
        self.client = TestClient(application(self.bench, "tiny", ["tiny"], Pool(2, 8)), raise_server_exceptions=False)

    def call(self, method, path, body=None, status=200, **options):
        """A request whose answer has that status; its JSON."""
        kind = "content" if isinstance(body, bytes) else "json"
        answer = self.client.request(method, path, **({} if body is None else {kind: body}), **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def open(self, name, **options):
        """Opens an image."""
        return self.call("POST", f"/api/images/{name}/open", **options)

    def create(self, image, **fields):
        """A new object."""
        return self.call("POST", f"/api/images/{image}/objects", fields)

    def step(self, name, thing, action, status=200, **fields):
        """A step of an object, as the page last saw it; brings what the page shows up to date."""
        path = f"/api/images/{name}/objects/{thing['id']}/{action}"
        answer = self.call("POST", path, {"revision": thing["revision"], **fields}, status)
        if status == 200:
            shown = dense(thing["runs"], self.shape(name)) ^ dense(answer["changed"], self.shape(name))
            thing.update({key: answer[key] for key in thing if key in answer}, runs=flat(shown))
            assert answer["area"] == shown.sum()
        return answer

    def shape(self, name):
        """(height, width) of an image."""
        with self.bench.at(unquote(name)) as desk:
            return desk.height, desk.width

    def saved(self):
        """Waits until everything is on the disk."""
        assert self.bench.saver.flush(10)
        assert self.call("GET", "/api/saved") == {"pending": 0, "error": None}

    def close(self):
        """Ends like the program."""
        assert self.bench.close() == []
