"""The command line, as a process of its own on a tiny model; and the image files that it reads and writes."""

import json
import os
import struct

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the tiny model is written with onnx, of the test extra")

from command import ENVIRONMENT, run
from stub import StubNetworks
from tiny_model import write_tiny_model

import focalrt
from focalrt.cli import main
from focalrt.errors import ImageFileError
from focalrt.imagefile import ENDINGS, LOSSLESS, read_image, read_mask, write_image

HEIGHT, WIDTH = 60, 80
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MASK = np.zeros((HEIGHT, WIDTH), np.bool_)
MASK[20:40, 30:50] = True


def encoded(ending, pixels):
    """An image file's bytes; OpenCV takes BGR."""
    return cv2.imencode(ending, pixels[..., ::-1] if pixels.ndim == 3 else pixels)[1].tobytes()


def with_orientation(jpeg, orientation):
    """The JPEG with an EXIF block of one entry: tag 0x0112, a short."""
    entry = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + entry
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with a model, a photo, a mask, and files that are none."""
    desk = tmp_path_factory.mktemp("desk")
    write_tiny_model(desk / "tiny")
    (desk / "photo.png").write_bytes(encoded(".png", IMAGE))
    (desk / "mask.png").write_bytes(encoded(".png", MASK.astype(np.uint8) * 255))
    (desk / "small.png").write_bytes(encoded(".png", MASK[1:].astype(np.uint8)))
    (desk / "notes.txt").write_text("no image")
    (desk / "empty.png").write_bytes(b"")
    (desk / "half.png").write_bytes((desk / "photo.png").read_bytes()[:50])
    (desk / "folder.png").mkdir()
    return desk


@pytest.fixture(scope="module")
def clicked(desk):
    """One run with all that ``segment`` writes."""
    clicks = "--click 30,20 --click 60.5,40,+ --click 34,24,-"
    return run(f"segment photo.png --model tiny {clicks} --out out.png --overlay seen.png --json", desk)


def session_of(desk, mask=None):
    return focalrt.load(desk / "tiny").session(IMAGE, mask)


@pytest.fixture(scope="module")
def expected(desk):
    """The same clicks by the API."""
    session = session_of(desk)
    results = [session.click(30, 20), session.click(60.5, 40), session.click(34, 24, False)]
    return session, results


def read_back(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


# ------------------------------------------------------------ what it does


def test_the_mask_is_that_of_the_api(desk, clicked, expected):
    assert clicked.returncode == 0, clicked.stderr
    mask = read_back(desk / "out.png")
    assert mask.dtype == np.uint8 and mask.shape == (HEIGHT, WIDTH)
    assert np.array_equal(mask, expected[0].mask * np.uint8(255))
    assert 0 < mask.mean() < 255


def test_the_overlay_is_the_photo_with_something_on_it(desk, clicked):
    overlay = read_back(desk / "seen.png")[..., ::-1]
    assert overlay.shape == IMAGE.shape
    same = (overlay == IMAGE).all(axis=2)
    assert same.any() and not same.all()
    red, green, _ = overlay[40, 60].astype(int)
    assert green > red  # a positive click
    red, green, _ = overlay[24, 34].astype(int)
    assert red > green  # a negative one


def test_json_tells_what_every_click_did(clicked, expected):
    session, results = expected
    told = json.loads(clicked.stdout)
    clicks = told.pop("clicks")
    assert told == {
        "mask": "out.png",
        "width": WIDTH,
        "height": HEIGHT,
        "area": session.runs.area,
        "box": list(session.runs.box),
    }
    assert len(clicks) == 3
    for click, place, result in zip(clicks, session.clicks, results):
        milliseconds = click.pop("milliseconds")
        assert list(milliseconds) == list(result.milliseconds)
        assert all(isinstance(spent, float) for spent in milliseconds.values())
        assert click == {
            "x": place.x,
            "y": place.y,
            "positive": place.positive,
            "outcome": result.outcome,
            "obeyed": result.obeyed,
            "changed": list(result.changed) if result.changed else None,
            "target": list(result.target),
            "focus": list(result.focus),
            "withheld": [{"area": region.area, "box": list(region.box)} for region in result.withheld],
        }


def test_a_mask_to_correct_a_merge_policy_and_a_place_by_default(desk):
    done = run("segment photo.png --model tiny --mask mask.png --merge always --threads 1 --click 36,30,-", desk)
    assert done.returncode == 0, done.stderr
    session = session_of(desk, MASK)
    session.click(36, 30, False)
    assert np.array_equal(read_back(desk / "photo.mask.png"), session.mask * np.uint8(255))
    assert f"{session.runs.area} pixels" in done.stdout and "photo.mask.png" in done.stdout


def test_numbers_below_zero(desk):
    """The first pixel reaches to -0.5, and a screen beyond the photo; neither is an option."""
    session = session_of(desk)
    session.click(-0.3, 5, view=(-10, -10, 500, 500))
    session.click(-0.25, 0.5, False)
    for arguments in (
        "--click -0.3,5 --view -10,-10,500,500 --click -.25,0.5,-",
        "--click=-0.3,5 --view=-10,-10,500,500 --click=-.25,0.5,-",
    ):
        done = run(f"segment photo.png --model tiny --out below.png {arguments}", desk)
        assert done.returncode == 0, done.stderr
        assert np.array_equal(read_back(desk / "below.png"), session.mask * np.uint8(255))


def test_a_click_that_the_networks_contradict_is_told(desk, monkeypatch, capsys):
    """Written or not, it must not look as if all had gone as the click says."""

    class Contrary(StubNetworks):
        def refine(self, image, disks, context, logits):
            return np.ones_like(logits)

        def segment(self, image, maps):
            logits, context = super().segment(image, maps)
            return np.ones_like(logits), context

    monkeypatch.setattr("focalrt.model.load_networks", lambda folder, threads: Contrary())
    monkeypatch.chdir(desk)
    for merge, outcome in (("never", "written, but not as it says"), ("always", "disobeyed")):
        assert main(["segment", "photo.png", "--model", "tiny", "--merge", merge, "--click", "5,5,-"]) == 0
        assert capsys.readouterr().out.strip().endswith(f"last click {outcome}")
    assert main(["segment", "photo.png", "--model", "tiny", "--click", "5,5"]) == 0
    assert capsys.readouterr().out.strip().endswith("last click written")


def test_a_view_is_for_the_first_click(desk):
    clicks = "--view 20,10,60,50 --click 30,20 --click 70,50"
    done = run(f"segment photo.png --model tiny {clicks} --json --out view.png", desk)
    assert json.loads(done.stdout)["clicks"][0]["target"] == [20, 10, 60, 50]


def test_a_photo_is_turned_upright(desk):
    jpeg = with_orientation(encoded(".jpg", IMAGE), 6)
    (desk / "turned.jpg").write_bytes(jpeg)
    corner = f"{HEIGHT - 1},{WIDTH - 1}"
    assert run(f"segment turned.jpg --model tiny --click {corner} --out upright.png", desk).returncode == 0
    mask = read_back(desk / "upright.png")
    assert mask.shape == (WIDTH, HEIGHT) and mask[-1, -1] == 255


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("grey", IMAGE[..., 0]),
        ("alpha", np.dstack([IMAGE[..., ::-1], IMAGE[..., 1]])),
        ("deep", IMAGE.astype(np.uint16) * 257),
    ],
)
def test_grey_alpha_and_sixteen_bits(desk, name, pixels):
    (desk / f"{name}.png").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    done = run(f"segment {name}.png --model tiny --click 30,20 --out {name}.out.png", desk)
    assert done.returncode == 0, done.stderr
    assert read_back(desk / f"{name}.out.png").shape == (HEIGHT, WIDTH)


def test_models_lists_what_is_installed(tmp_path):
    done = run("models", tmp_path)
    models = focalrt.installed()
    assert done.returncode == (0 if models else 1)
    for name, (_, description, _) in models.items():
        assert name in done.stdout and description.trained in done.stdout and description.licence in done.stdout


def test_models_of_a_folder_are_listed_and_used_by_name(desk):
    done = run("models --models .", desk)
    assert f"tiny  (tiny, 0.0 MB)\n    origin:  {'tiny'}\n" in done.stdout
    done = run("segment photo.png --models . --model tiny --click 30,20 --out named.png", desk)
    assert (done.returncode, done.stderr) == (0, "")


def test_warmup(desk):
    done = run("warmup --model tiny", desk)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("ready after ")


def test_version(tmp_path):
    done = run("--version", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"focalrt {focalrt.__version__}\n")


# ------------------------------------------------------------ what can go wrong

PHOTO, CLICK, TINY = "photo.png", "--click 30,20", "--model tiny"


def files_in(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        pytest.param(f"segment nowhere.png {CLICK} {TINY}", 1, "nowhere.png", id="no photo"),
        pytest.param(f"segment folder.png {CLICK} {TINY}", 1, "folder.png", id="a folder for a photo"),
        pytest.param(f"segment notes.txt {CLICK} {TINY}", 1, "notes.txt", id="a text for a photo"),
        pytest.param(f"segment empty.png {CLICK} {TINY}", 1, "empty.png", id="an empty photo"),
        pytest.param(f"segment half.png {CLICK} {TINY}", 1, "half.png", id="half a photo"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --mask nowhere.png", 1, "nowhere.png", id="no mask"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --mask notes.txt", 1, "notes.txt", id="a text for a mask"),
        pytest.param(f"segment {PHOTO} {CLICK} --model nowhere", 1, "nowhere", id="no model"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --out no/such/o.png", 1, "o.png", id="out in no folder"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --out notes.txt/o.png", 1, "o.png", id="out in a file"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --out folder.png", 1, "folder.png", id="a folder for out"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --out o.xyz", 1, "o.xyz", id="out of no known format"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --out o", 1, "take .png", id="out without an ending"),
        *(
            pytest.param(f"segment {PHOTO} {CLICK} {TINY} {option} o{ending}", 1, "take .png", id=f"{option} {ending}")
            for ending in (".gif", ".hdr", ".jp2", ".pfm", ".pic", ".sr")
            for option in ("--out", "--overlay")
        ),
        *(
            pytest.param(f"segment {PHOTO} {CLICK} {TINY} --out o{ending}", 2, "blur", id=f"a mask as {ending}")
            for ending in (".jpg", ".JPEG", ".webp")
        ),
        pytest.param(f"segment {PHOTO} --click 80,20 {TINY}", 2, "80 x 60 image", id="a click outside"),
        pytest.param(f"segment {PHOTO} --click nan,20 {TINY}", 2, "finite", id="a click nowhere"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --mask small.png", 2, "mask", id="a mask of another size"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --view 0,0,9,9", 2, "view", id="a view beside the click"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --view 0,0,9", 2, "view", id="a view of three numbers"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --threads 0", 2, "threads", id="no thread"),
        pytest.param(f"segment {PHOTO} {TINY}", 2, "--click", id="no click"),
        pytest.param(f"segment {PHOTO} --click 30 {TINY}", 2, "--click", id="half a click"),
        pytest.param(f"segment {PHOTO} --click 30,20,x {TINY}", 2, "--click", id="a sign that is none"),
        pytest.param(f"segment {PHOTO} --click a,b {TINY}", 2, "--click", id="letters for numbers"),
        pytest.param(f"segment {PHOTO} {CLICK} {TINY} --merge sometimes", 2, "--merge", id="no such policy"),
        pytest.param(f"segment {CLICK} --frobnicate {TINY}", 2, "usage", id="no such option"),
        pytest.param("", 2, "usage", id="no command"),
        pytest.param("warmup --model notes.txt", 1, "notes.txt", id="warmup without a model"),
    ],
)
def test_a_status_a_message_and_no_file(desk, monkeypatch, capfd, arguments, status, words):
    """In this process, to be quick; an exception that came through would be the traceback that nobody is to see."""
    monkeypatch.chdir(desk)
    before = files_in(desk)
    try:
        found = main(arguments.split())
    except SystemExit as leaving:  # how argparse refuses arguments
        found = leaving.code
    out, error = capfd.readouterr()
    assert (found, out) == (status, "")
    assert words in error and "focalrt: " in error.replace("focalrt segment: ", "focalrt: ")
    assert files_in(desk) == before


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(f"segment nowhere.png {CLICK} {TINY}", 1, id="something is missing"),
        pytest.param(f"segment {PHOTO} --click 80,20 {TINY}", 2, id="arguments that do not fit the photo"),
        pytest.param(f"segment {PHOTO} --click 30 {TINY}", 2, id="arguments that do not fit at all"),
    ],
)
def test_the_status_is_that_of_the_process(desk, arguments, status):
    done = run(arguments, desk)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.splitlines()[-1].startswith("focalrt")


@pytest.fixture
def odd(tmp_path, monkeypatch):
    """A folder with a photo whose name is not UTF-8, as Python tells it; and stdout refuses what is no text."""
    try:
        (tmp_path / "caf\udce9.png").write_bytes(encoded(".png", IMAGE))
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    monkeypatch.setitem(ENVIRONMENT, "PYTHONIOENCODING", "utf-8:strict")
    return tmp_path


def test_a_name_that_is_no_text(desk, odd):
    arguments = ["segment", "caf\udce9.png", "--model", desk / "tiny", "--click", "30,20", "--overlay", "\udcff.jpg"]
    done = run(arguments, odd)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("caf\\udce9.mask.png: ")
    session = session_of(desk)
    session.click(30, 20)
    assert np.array_equal(read_mask(odd / "caf\udce9.mask.png"), session.mask)
    assert read_image(odd / "\udcff.jpg").shape == IMAGE.shape
    done = run([*arguments, "--json"], odd)
    assert json.loads(done.stdout)["mask"] == "caf\udce9.mask.png"


@pytest.mark.parametrize("option", ["--out", "--overlay"])
def test_an_ending_that_is_no_text(desk, odd, option):
    done = run(["segment", "caf\udce9.png", "--model", desk / "tiny", "--click", "30,20", option, "o.\udcff"], odd)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("focalrt: 'o.\\udcff': expected ") and done.stderr.endswith("take .png\n")
    assert len(list(odd.iterdir())) == 1


def test_a_model_whose_name_is_no_text_is_listed(odd):
    write_tiny_model(odd / "tin\udcff")
    done = run("models --models .", odd)
    assert (done.returncode, done.stderr) == (0, "")
    assert "tin\\udcff  (tiny, 0.0 MB)\n    origin:  tin\\udcff\n" in done.stdout


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "out.png"
    write_image(path, IMAGE)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(path, IMAGE[::-1])
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("letter", "count"), [("m", 251), ("ö", 125), ("漢", 83)])
def test_a_name_as_long_as_file_systems_take(tmp_path, letter, count):
    """255 bytes, whatever the letters."""
    name = letter * count + ".png"
    write_image(tmp_path / name, IMAGE)
    write_image(tmp_path / name, IMAGE[::-1])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert np.array_equal(read_image(tmp_path / name), IMAGE[::-1])


# ------------------------------------------------------------ image files

TURNS = {  # what brings a photo of each EXIF orientation upright
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_orientations(tmp_path, orientation):
    jpeg = encoded(".jpg", IMAGE)
    (tmp_path / "photo.jpg").write_bytes(jpeg)
    (tmp_path / "turned.jpg").write_bytes(with_orientation(jpeg, orientation))
    upright = read_image(tmp_path / "turned.jpg")
    assert np.array_equal(upright, TURNS[orientation](read_image(tmp_path / "photo.jpg")))
    assert upright.flags.c_contiguous and upright.dtype == np.uint8


def test_a_photo_comes_back_as_it_was_written(tmp_path):
    write_image(tmp_path / "photo.png", IMAGE)
    assert np.array_equal(read_image(tmp_path / "photo.png"), IMAGE)


@pytest.mark.parametrize("ending", [*ENDINGS, ".PNG", ".Jpg"])
def test_formats_that_are_written(tmp_path, ending):
    smooth = cv2.blur(IMAGE, (9, 9))
    write_image(tmp_path / f"photo{ending}", smooth)
    read = read_image(tmp_path / f"photo{ending}")
    assert np.abs(read.astype(int) - smooth).mean() < 5
    assert ending.lower() not in LOSSLESS or np.array_equal(read, smooth)


@pytest.mark.parametrize(("ending", "longest"), [(".jpg", 65500), (".webp", 16383)])
def test_more_pixels_than_a_format_takes(tmp_path, ending, longest):
    path = tmp_path / f"long{ending}"
    with pytest.raises(ImageFileError, match=f"{longest + 1} x 1 pixels .*{longest}.*take .png"):
        write_image(path, np.zeros((1, longest + 1), np.uint8))
    assert not path.exists()
    write_image(path, np.zeros((1, longest), np.uint8))


def test_an_encoder_that_raises_is_one_that_cannot(tmp_path, monkeypatch):
    def refuse(*_):
        raise cv2.error("too large")

    monkeypatch.setattr("cv2.imencode", refuse)
    with pytest.raises(ImageFileError, match=r"80 x 60 pixels as \.png"):
        write_image(tmp_path / "mask.png", IMAGE)
    assert not list(tmp_path.iterdir())


def test_sixteen_bits_become_eight(tmp_path):
    (tmp_path / "deep.png").write_bytes(encoded(".png", IMAGE.astype(np.uint16) * 257))
    assert np.array_equal(read_image(tmp_path / "deep.png"), IMAGE)


def test_grey_becomes_three_equal_channels(tmp_path):
    write_image(tmp_path / "grey.png", IMAGE[..., 0])
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.dstack([IMAGE[..., 0]] * 3))


@pytest.mark.parametrize(
    "pixels",
    [
        pytest.param(MASK.astype(np.uint8), id="0 and 1"),
        pytest.param(MASK.astype(np.uint8) * 255, id="0 and 255"),
        pytest.param(MASK.astype(np.uint8) * 200 + 10, id="a soft one"),
        pytest.param(MASK.astype(np.uint16), id="16 bits, 0 and 1"),
        pytest.param(MASK.astype(np.uint16) * 255, id="16 bits, 0 and 255"),
        pytest.param(MASK.astype(np.uint16) * 65535, id="16 bits, 0 and 65535"),
        pytest.param(np.dstack([MASK.astype(np.uint8) * 255] * 3), id="RGB"),
        pytest.param(np.dstack([MASK.astype(np.uint16) * 200] * 3), id="RGB of 16 bits"),
        pytest.param(np.dstack([MASK.astype(np.uint16) * 65535] * 4), id="RGBA of 16 bits"),
    ],
)
@pytest.mark.parametrize("ending", [".png", ".tiff"])
def test_masks_in_files(tmp_path, ending, pixels):
    (tmp_path / f"mask{ending}").write_bytes(encoded(ending, pixels))
    mask = read_mask(tmp_path / f"mask{ending}")
    assert mask.dtype == np.bool_ and np.array_equal(mask, MASK)


@pytest.mark.parametrize("colour", [(1, 1, 1), (255, 255, 255), (224, 224, 192)])
def test_a_mask_of_a_palette(tmp_path, colour):
    image = pytest.importorskip("PIL.Image").fromarray(MASK.astype(np.uint8))
    image = image.convert("P")
    image.putpalette([0, 0, 0, *colour] + [0, 0, 0] * 254)
    image.save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), MASK)


def test_a_mask_of_sixteen_bits_that_is_soft(tmp_path):
    """Brighter than half of the brightest, of values whose low byte tells nothing."""
    soft = np.linspace(0, 1000, HEIGHT * WIDTH).round().astype(np.uint16).reshape(HEIGHT, WIDTH)
    (tmp_path / "mask.png").write_bytes(encoded(".png", soft))
    assert np.array_equal(read_mask(tmp_path / "mask.png"), soft > 500)


def test_an_empty_mask_in_a_file(tmp_path):
    write_image(tmp_path / "mask.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    assert not read_mask(tmp_path / "mask.png").any()


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_a_file_is_as_readable_as_any_other(tmp_path):
    (tmp_path / "other").touch()
    write_image(tmp_path / "mask.png", IMAGE)
    assert (tmp_path / "mask.png").stat().st_mode == (tmp_path / "other").stat().st_mode
