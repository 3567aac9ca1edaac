"""32 clients at once, each with 200 random operations on a session: every answer in order, every mask as replayed."""

import http.client
import json
import random
import re
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the service needs the serve extra")
pytest.importorskip("PIL", reason="the service needs the serve extra")
pytest.importorskip("onnx", reason="the tiny model is written with onnx, of the test extra")

import tiny_model
from onnx import helper
from serving import TOKEN, serving

import focalrt

CLIENTS, OPERATIONS = 32, 200
HEIGHT, WIDTH = 120, 160
MEBIBYTE = 1 << 20
MARGIN = 24 * MEBIBYTE  # of memory at the end over memory at the start; what is allocated in bits is not all given back

def png(pixels):
    """An image file's bytes; OpenCV takes BGR."""
    pixels = pixels.astype(np.uint8) * 255 if pixels.dtype == np.bool_ else pixels
    return cv2.imencode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def form(**parts):
    """A multipart form: bytes are files, the rest are texts."""
    content = b""
    for name, value in parts.items():
        file = '; filename="f"' if isinstance(value, bytes) else ""
        value = value if isinstance(value, bytes) else str(value).encode()
        content += f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n"
    return content + b"--b--\r\n", "multipart/form-data; boundary=b"


GARBAGE = [
    ("POST", "/sessions/{}/clicks", b'{"x": NaN, "y": 1}', "application/json"),
    ("POST", "/sessions/{}/clicks", b'{"x": 1e9, "y": "1"}', "application/json"),
    ("POST", "/sessions/{}/clicks", b'{"x": 160, "y": 1}', "application/json"),
    ("POST", "/sessions/{}/clicks", b"\xff" * 2000, "application/json"),
    ("POST", "/sessions/{}/clicks", b"[" * 20_000, "application/json"),
    ("POST", "/sessions/{}/accept", b'{"x": -5, "y": 1}', "application/json"),
    ("PUT", "/sessions/{}/mask", b"--b\r\nno form", "multipart/form-data; boundary=b"),
    ("PUT", "/sessions/{}/mask", *form(mask=b"no image")),
    ("PUT", "/sessions/{}/mask", *form(mask="no file")),
    ("POST", "/sessions", b"GIF89a", "image/gif"),
    ("GET", "/sessions/{}x", b"", "text/plain"),
    ("GET", "/sessions/{}/polygons?tolerance=nan", b"", "text/plain"),
    ("PATCH", "/sessions/{}", b"", "text/plain"),
    ("POST", "/../../etc/passwd", b"x" * 100, "text/plain"),
]


class Log:
    """What was done to a session, and the mask that it had in the end."""

    def __init__(self, image, mask, merge):
        self.image, self.mask, self.merge = image, mask, merge
        self.steps = []

    def replayed(self, model):
        """The mask that the Python API makes of it."""
        session = model.session(self.image, self.mask, merge=self.merge)
        for call, arguments in self.steps:
            if call == "accept":
                x, y = arguments
                arguments = next([region] for region in session.withheld if region.runs.holds(y, x))
            getattr(session, call)(*arguments)
        return session.mask


class Client:
    """One connection, one session at a time, and a log of each."""

    def __init__(self, port, seed):
        self.random, self.connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.busy = 0
        self.statuses, self.logs = set(), []
        self.begin()

    def ask(self, method, path, content=b"", kind="application/json"):
        """A well-formed answer: (status, JSON or bytes). Comes back where the service is busy."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        while True:
            self.connection.request(method, path, content, headers)
            response = self.connection.getresponse()
            body, status = response.read(), response.status
            self.statuses.add(status)
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            told = json.loads(body) if response.headers["Content-Type"] == "application/json" else body
            if status >= 400:
                assert list(told) == ["detail"] and 10 < len(told["detail"]) <= 300
            if status != 503:
                return status, told
            assert int(response.headers["Retry-After"]) >= 1
            self.busy += 1
            time.sleep(self.random.uniform(0.1, 0.5))  # sooner than told, to keep the pressure up

    def done(self, *call):
        """An answer that has to be a success."""
        status, told = self.ask(*call)
        assert status in (200, 201, 204), (call, told)
        return told

    def pixels(self, *shape):
        """Random pixels in blocks, or a random ellipse."""
        if len(shape) == 3 or self.random.random() < 0.3:
            rng = np.random.default_rng(self.random.getrandbits(32))
            small = rng.integers(0, 256, (*(1 + side // 16 for side in shape[:2]), *shape[2:]), np.uint8)
            large = cv2.resize(small, shape[1::-1], interpolation=cv2.INTER_NEAREST)
            return large if len(shape) == 3 else large > 127
        height, width = shape
        y, x = np.ogrid[:height, :width]
        a, b = self.random.uniform(0, height), self.random.uniform(0, width)
        return ((y - a) / (1 + height / 4)) ** 2 + ((x - b) / (1 + width / 4)) ** 2 < 1

    def begin(self):
        """A new session, and a new log."""
        image = self.pixels(HEIGHT, WIDTH, 3)
        mask = self.pixels(HEIGHT, WIDTH) if self.random.random() < 0.5 else None
        merge = self.random.choice(["auto", "always", "never"])
        earlier = {} if mask is None else {"mask": png(mask)}
        self.name = self.done("POST", "/sessions", *form(image=png(image), merge=merge, **earlier))["id"]
        self.logs.append(Log(image, mask, merge))

    def end(self):
        """The last look at the mask; then the session is deleted."""
        content = self.done("GET", f"/sessions/{self.name}/mask.png")
        self.logs[-1].final = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) == 255
        self.done("DELETE", f"/sessions/{self.name}")
        assert self.ask("GET", f"/sessions/{self.name}")[0] == 404

    def step(self, call, *arguments):
        """A step that the service has done."""
        self.logs[-1].steps.append((call, arguments))

    def operate(self):
        """One random operation."""
        path = f"/sessions/{self.name}"
        kinds = "click undo redo set_mask paint accept accept_all reset look garbage anew"
        kind = self.random.choices(kinds.split(), [35, 14, 9, 6, 8, 6, 2, 2, 6, 10, 2])[0]
        x, y = self.random.randrange(WIDTH), self.random.randrange(HEIGHT)
        if kind == "click":
            positive = self.random.random() < 0.6
            told = self.done("POST", f"{path}/clicks", json.dumps({"x": x, "y": y, "positive": positive}).encode())
            assert told["outcome"] in ("written", "unchanged", "disobeyed")
            self.step("click", x, y, positive)
        elif kind in ("undo", "redo", "reset", "accept_all"):
            told = self.done("POST", f"{path}/{kind.replace('_', '-')}")
            assert set(told) >= {"step", "changed", "change", "area"}
            self.step(kind)
        elif kind == "set_mask":
            mask = self.pixels(HEIGHT, WIDTH)
            assert self.done("PUT", f"{path}/mask", *form(mask=png(mask)))["area"] == mask.sum()
            self.step(kind, mask)
        elif kind == "paint":
            box = (x, y, self.random.randint(x + 1, WIDTH), self.random.randint(y + 1, HEIGHT))
            mask = self.pixels(box[3] - y, box[2] - x)
            self.done("POST", f"{path}/paint", *form(mask=png(mask), box=",".join(map(str, box))))
            self.step(kind, mask, box)
        elif kind == "accept":
            regions = self.done("GET", path)["withheld"]
            if regions:
                place = self.random.choice(regions)
                self.done("POST", f"{path}/accept", json.dumps({"x": place["x"], "y": place["y"]}).encode())
                self.step(kind, place["x"], place["y"])
        elif kind == "look":
            self.done("GET", path + self.random.choice(["", "/rle", "/mask.png"]))
        elif kind == "garbage":
            method, where, *content = self.random.choice(GARBAGE)
            status, _ = self.ask(method, where.format(self.name), *content)
            assert 400 <= status < 500
        else:
            self.end()
            self.begin()

    def work(self, operations):
        """So many operations, and the end."""
        for _ in range(operations):
            self.operate()
        self.end()
        self.connection.close()
        return self


def measured(port):
    """What the service tells of itself: gauges by name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    text = connection.getresponse().read().decode()
    connection.close()
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+) (\S+)$", text, re.MULTILINE)}


def round_of(port, operations, seed):
    """All clients at work at once; the clients, and the most memory that sessions held."""
    with ThreadPoolExecutor(CLIENTS) as threads:
        working = [threads.submit(lambda k=k: Client(port, 1000 * seed + k).work(operations)) for k in range(CLIENTS)]
        most = 0.0
        while not all(each.done() for each in working):
            most = max(most, measured(port)["focalrt_session_bytes"])
            time.sleep(0.2)
    return [each.result() for each in working], most


@pytest.fixture
def model_folder(tmp_path, monkeypatch):
    """Networks that cost next to nothing: the Refiner does without the context."""
    monkeypatch.setattr(tiny_model, "WINDOW", 5)
    nodes = [
        helper.make_node("Concat", ["logits", "image", "disks"], ["all"], axis=1),
        helper.make_node("Conv", ["all", "weights"], ["refined"]),
    ]
    weights = np.array([1, 0.5, -0.3, -0.2, 0.5, -0.5], np.float32).reshape(1, 6, 1, 1)
    shapes = {"image": 3, "disks": 2, "logits": 1}
    inputs = {name: (1, channels, 256, 256) for name, channels in shapes.items()} | {"context": (1, 32, 32, 32)}
    refiner = tiny_model.network(nodes, inputs, {"refined": (1, 1, 256, 256)}, {"weights": weights})
    return tiny_model.write_tiny_model(tmp_path / "tiny", refiner=refiner)


def test_32_clients_with_200_operations_each(tmp_path, model_folder):
    options = ["--model", model_folder, "--token", TOKEN, "--workers", 2, "--threads", 1, "--queue", 12]
    with serving(options, tmp_path) as (_, port, _):
        round_of(port, 10, 1)  # whatever is made once is made
        start = measured(port)
        clients, most = round_of(port, OPERATIONS, 2)
        end = measured(port)
    model = focalrt.load(model_folder, threads=1)
    logs = [log for client in clients for log in client.logs]
    for log in logs:
        np.testing.assert_array_equal(log.final, log.replayed(model))
    assert sum(len(log.steps) for log in logs) > CLIENTS * OPERATIONS / 2
    assert len({log.final.tobytes() for log in logs}) > len(logs) / 2
    assert {200, 201, 204, 400, 404, 405, 422} <= set.union(*(client.statuses for client in clients))
    assert end["focalrt_sessions"] == end["focalrt_session_bytes"] == end["focalrt_jobs"] == 0
    assert most > 0
    assert end["process_open_fds"] <= start["process_open_fds"] + 2
    assert end["process_resident_memory_bytes"] <= start["process_resident_memory_bytes"] + MARGIN
