"""Whatever a caller may hand in: it is taken, or refused by name before anything changes."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from stub import stub_model

import focalrt
from focalrt import ArgumentTypeError, ArgumentValueError, Box, FocalrtError, ModelNotFoundError
from focalrt.checks import told

HEIGHT, WIDTH = 24, 32
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MASK = np.zeros((HEIGHT, WIDTH), np.bool_)
MASK[8:16, 6:18] = True
NOISY = stub_model(noise=2)
FINE = None


@pytest.fixture
def session():
    """One with clicks, withheld regions, and steps to undo and to redo."""
    session = NOISY.session(IMAGE, MASK)
    session.click(26, 6)
    session.click(20, 20)
    session.undo()
    assert session.withheld and session.can_undo and session.can_redo
    return session


def state(session):
    """Everything that a call which raises must leave as it was."""
    return (
        session.mask.tobytes(),
        session.clicks,
        session.withheld.runs,
        session.can_undo,
        session.can_redo,
        session.probability().tobytes(),
    )


def assert_taken_or_refused(call, error, argument):
    """``error`` None: the call works. Otherwise it raises that, and the message begins with the argument's name."""
    if error is FINE:
        return call()
    with pytest.raises(error, match=f"^{argument}[:\\[]") as caught:
        call()
    assert isinstance(caught.value, FocalrtError)
    assert isinstance(caught.value, (TypeError, ValueError, FileNotFoundError))
    assert len(str(caught.value)) < 300
    return None


def table(*rows):
    """Rows of (what, value or call, expected error or FINE, further columns) as parameters with readable names."""
    return [pytest.param(*row, id=what) for what, *row in rows]


# ------------------------------------------------------------ images


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("image", "error"),
    table(
        ("1 x 1", IMAGE[:1, :1].copy(), FINE),
        ("1 x N", IMAGE[:1].copy(), FINE),
        ("N x 1", IMAGE[:, :1].copy(), FINE),
        ("2 x 2", IMAGE[:2, :2].copy(), FINE),
        ("a part of another", IMAGE[3:20, 5:30], FINE),
        ("every other column", IMAGE[:, ::2], FINE),
        ("BGR turned round", IMAGE[..., ::-1], FINE),
        ("upside down", IMAGE[::-1], FINE),
        ("Fortran order", np.asfortranarray(IMAGE), FINE),
        ("transposed", IMAGE.transpose(1, 0, 2), FINE),
        ("broadcast", np.broadcast_to(np.uint8(7), IMAGE.shape), FINE),
        ("read-only", frozen(IMAGE), FINE),
        ("a subclass", IMAGE.view(type("Photo", (np.ndarray,), {})), FINE),
        ("grey", IMAGE[..., 0], ArgumentValueError),
        ("one channel", IMAGE[..., :1], ArgumentValueError),
        ("RGBA", np.dstack([IMAGE, IMAGE[..., 0]]), ArgumentValueError),
        ("a batch", IMAGE[None], ArgumentValueError),
        ("channels first", IMAGE.transpose(2, 0, 1), ArgumentValueError),
        ("no rows", IMAGE[:0], ArgumentValueError),
        ("no columns", IMAGE[:, :0], ArgumentValueError),
        ("float32", IMAGE.astype(np.float32) / 255, ArgumentTypeError),
        ("float64", IMAGE / 255, ArgumentTypeError),
        ("16 bits", IMAGE.astype(np.uint16), ArgumentTypeError),
        ("int8", IMAGE.astype(np.int8), ArgumentTypeError),
        ("bool", IMAGE > 127, ArgumentTypeError),
        ("objects", IMAGE.astype(object), ArgumentTypeError),
        ("a list", IMAGE[:2, :2].tolist(), ArgumentTypeError),
        ("a file name", "photo.jpg", ArgumentTypeError),
        ("bytes", IMAGE.tobytes(), ArgumentTypeError),
        ("None", None, ArgumentTypeError),
    ),
)
def test_images(image, error):
    assert_taken_or_refused(lambda: NOISY.session(image), error, "image")
    if error is FINE:
        last = image.shape[1] - 1, image.shape[0] - 1
        found, wanted = NOISY.session(image), NOISY.session(np.array(image, order="C"))
        for session in (found, wanted):
            session.click(0, 0)
            session.click(*last, False)
        assert np.array_equal(found.mask, wanted.mask)
        assert found.mask.shape == image.shape[:2]


@pytest.mark.parametrize(
    ("image", "hint"),
    table(
        ("grey", IMAGE[..., 0], "np.dstack"),
        ("RGBA", np.dstack([IMAGE, IMAGE[..., 0]]), r"image\[..., :3\]"),
        ("16 bits", IMAGE.astype(np.uint16), "// 257"),
        ("float", IMAGE / 255, r"\* 255"),
    ),
)
def test_a_refused_image_comes_with_the_way_out(image, hint):
    with pytest.raises(FocalrtError, match=hint):
        NOISY.session(image)


# ------------------------------------------------------------ clicks


@pytest.mark.parametrize(
    ("x", "y", "error", "argument"),
    table(
        ("top left", 0, 0, FINE, ""),
        ("top right", WIDTH - 1, 0, FINE, ""),
        ("bottom left", 0, HEIGHT - 1, FINE, ""),
        ("bottom right", WIDTH - 1, HEIGHT - 1, FINE, ""),
        ("on the left border", -0.5, 3, FINE, ""),
        ("on the top border", 3, -0.5, FINE, ""),
        ("just inside the right border", np.nextafter(WIDTH - 0.5, 0), 3, FINE, ""),
        ("just inside the bottom border", 3, np.nextafter(HEIGHT - 0.5, 0), FINE, ""),
        ("on the right border", WIDTH - 0.5, 3, ArgumentValueError, "x"),
        ("on the bottom border", 3, HEIGHT - 0.5, ArgumentValueError, "y"),
        ("just left of the image", np.nextafter(-0.5, -1), 3, ArgumentValueError, "x"),
        ("just above the image", 3, np.nextafter(-0.5, -1), ArgumentValueError, "y"),
        ("far outside", 1e300, 3, ArgumentValueError, "x"),
        ("far outside, an integer", 3, -(10**400), ArgumentValueError, "y"),
        ("rows and columns confused", 3, WIDTH - 1, ArgumentValueError, "y"),
        ("NaN", float("nan"), 3, ArgumentValueError, "x"),
        ("infinity", 3, float("inf"), ArgumentValueError, "y"),
        ("minus infinity", np.float32("-inf"), 3, ArgumentValueError, "x"),
        ("bool", True, 3, ArgumentTypeError, "x"),
        ("NumPy bool", 3, np.True_, ArgumentTypeError, "y"),
        ("text", "3", 3, ArgumentTypeError, "x"),
        ("None", 3, None, ArgumentTypeError, "y"),
        ("complex", 3 + 0j, 3, ArgumentTypeError, "x"),
        ("NumPy complex", 3, np.complex64(3), ArgumentTypeError, "y"),
        ("a pair", (3, 3), 3, ArgumentTypeError, "x"),
        ("an array", np.array([3.0]), 3, ArgumentTypeError, "x"),
        ("decimal", 3, Decimal(3), ArgumentTypeError, "y"),
        ("fraction", Fraction(7, 2), 3, FINE, ""),
        ("int8", np.int8(3), np.uint8(3), FINE, ""),
        ("int64", np.int64(3), np.int64(3), FINE, ""),
        ("float16", np.float16(3.5), 3, FINE, ""),
        ("float32", np.float32(3.5), 3, FINE, ""),
        ("float64", 3, np.float64(3.5), FINE, ""),
    ),
)
def test_places(session, x, y, error, argument):
    before = state(session)
    assert_taken_or_refused(lambda: session.click(x, y), error, argument)
    if error is FINE:
        click = session.clicks[-1]
        assert click == (x, y, True) and type(click.x) is type(click.y) is float
        assert 0 <= click.row < HEIGHT and 0 <= click.column < WIDTH
    else:
        assert state(session) == before


@pytest.mark.parametrize("x", [-0.5, 0.0, np.nextafter(0.5, 0)])
def test_every_place_on_one_pixel_is_on_that_pixel(x):
    session = NOISY.session(IMAGE[:1, :1].copy())
    session.click(x, x)
    assert (session.clicks[0].row, session.clicks[0].column) == (0, 0)


@pytest.mark.parametrize(
    ("positive", "error"),
    table(
        ("True", True, FINE),
        ("False", False, FINE),
        ("1", 1, FINE),
        ("0", 0, FINE),
        ("NumPy bool", np.False_, FINE),
        ("NumPy integer", np.int8(1), FINE),
        ("2", 2, ArgumentTypeError),
        ("-1", -1, ArgumentTypeError),
        ("1.0", 1.0, FINE),
        ("0.5", 0.5, ArgumentTypeError),
        ("text", "yes", ArgumentTypeError),
        ("empty text", "", ArgumentTypeError),
        ("None", None, ArgumentTypeError),
        ("an array", np.array([True, False]), ArgumentTypeError),
    ),
)
def test_signs(session, positive, error):
    before = state(session)
    assert_taken_or_refused(lambda: session.click(3, 3, positive), error, "positive")
    if error is FINE:
        assert session.clicks[-1].positive is bool(positive)
    else:
        assert state(session) == before


@pytest.mark.parametrize(
    ("view", "error"),
    table(
        ("None", None, FINE),
        ("the whole image", (0, 0, WIDTH, HEIGHT), FINE),
        ("larger than the image", (-10, -10, 1000, 1000), FINE),
        ("the pixel", (3, 4, 4, 5), FINE),
        ("a list", [0, 0, 9, 9], FINE),
        ("an array", np.array([0, 0, 9, 9], np.int16), FINE),
        ("three numbers", (0, 0, 9), ArgumentTypeError),
        ("five numbers", (0, 0, 9, 9, 9), ArgumentTypeError),
        ("a number", 9, ArgumentTypeError),
        ("text", "0099", ArgumentTypeError),
        ("floats", (0.0, 0.0, 9.0, 9.0), ArgumentTypeError),
        ("bools", (False, False, 9, 9), ArgumentTypeError),
        ("Nones", (None, None, 9, 9), ArgumentTypeError),
        ("a table", np.zeros((4, 4), int), ArgumentTypeError),
        ("inverted", (9, 9, 0, 0), ArgumentValueError),
        ("empty", (3, 4, 3, 9), ArgumentValueError),
        ("outside", (100, 100, 120, 120), ArgumentValueError),
        ("beside the click", (4, 4, 9, 9), ArgumentValueError),
        ("ending at the click", (0, 0, 3, 4), ArgumentValueError),
    ),
)
def test_views(session, view, error):
    before = state(session)
    assert_taken_or_refused(lambda: session.click(3, 4, view=view), error, "view")
    assert error is FINE or state(session) == before


def test_a_number_of_any_size_is_refused_in_few_words(session):
    with pytest.raises(ArgumentTypeError) as caught:
        session.click("9" * 10000, 3)
    assert len(str(caught.value)) < 200


# ------------------------------------------------------------ masks

MASKS = table(
    ("bool", MASK, FINE),
    ("empty", MASK & False, FINE),
    ("full", MASK | True, FINE),
    ("read-only", frozen(MASK), FINE),
    ("upside down", MASK[::-1], FINE),
    ("Fortran order", np.asfortranarray(MASK), FINE),
    ("a plane of several", np.dstack([MASK] * 3)[..., 1], FINE),
    ("0 and 1", MASK.astype(np.uint8), FINE),
    ("0 and 255", MASK.astype(np.uint8) * 255, FINE),
    ("all 0", MASK.astype(np.uint8) * 0, FINE),
    ("all 255", MASK.astype(np.uint8) * 0 + 255, FINE),
    ("0 and 128", MASK.astype(np.uint8) * 128, ArgumentValueError),
    ("all 128", MASK.astype(np.uint8) * 0 + 128, ArgumentValueError),
    ("0, 1 and 255", np.resize(np.array([0, 1, 255], np.uint8), MASK.shape), ArgumentValueError),
    ("1 and 255", np.resize(np.array([1, 255], np.uint8), MASK.shape), ArgumentValueError),
    ("a row less", MASK[1:], ArgumentValueError),
    ("transposed", MASK.T, ArgumentValueError),
    ("with a channel", MASK[..., None], ArgumentValueError),
    ("no pixel", MASK[:0], ArgumentValueError),
    ("int64", MASK.astype(np.int64), ArgumentTypeError),
    ("int8", MASK.astype(np.int8), ArgumentTypeError),
    ("float", MASK.astype(np.float32), ArgumentTypeError),
    ("a list", MASK.tolist(), ArgumentTypeError),
    ("text", "mask.png", ArgumentTypeError),
    ("a number", 1, ArgumentTypeError),
)


@pytest.mark.parametrize(("mask", "error"), MASKS)
def test_masks_to_begin_with(mask, error):
    session = assert_taken_or_refused(lambda: NOISY.session(IMAGE, mask), error, "mask")
    assert error is not FINE or np.array_equal(session.mask, mask != 0)


@pytest.mark.parametrize(("mask", "error"), [*MASKS, pytest.param(None, ArgumentTypeError, id="None")])
def test_masks_to_go_on_with(session, mask, error):
    before = state(session)
    assert_taken_or_refused(lambda: session.set_mask(mask), error, "mask")
    if error is FINE:
        assert np.array_equal(session.mask, mask != 0)
    else:
        assert state(session) == before


def drawn(height, width, kind=np.bool_):
    return np.ones((height, width), kind)


@pytest.mark.parametrize(
    ("mask", "box", "error", "argument"),
    table(
        ("a stroke", drawn(5, 3), (2, 4, 5, 9), FINE, ""),
        ("a pixel", drawn(1, 1), (0, 0, 1, 1), FINE, ""),
        ("all", drawn(HEIGHT, WIDTH), (0, 0, WIDTH, HEIGHT), FINE, ""),
        ("0 and 255", drawn(5, 3, np.uint8) * 255, [2, 4, 5, 9], FINE, ""),
        ("a box as an array", drawn(5, 3), np.array([2, 4, 5, 9]), FINE, ""),
        ("rows and columns confused", drawn(3, 5), (2, 4, 5, 9), ArgumentValueError, "mask"),
        ("a mask of the whole image", MASK, (2, 4, 5, 9), ArgumentValueError, "mask"),
        ("float", drawn(5, 3, float), (2, 4, 5, 9), ArgumentTypeError, "mask"),
        ("0 and 7", drawn(5, 3, np.uint8) * 7, (2, 4, 5, 9), ArgumentValueError, "mask"),
        ("no mask", None, (2, 4, 5, 9), ArgumentTypeError, "mask"),
        ("partly left of the image", drawn(5, 3), (-1, 4, 2, 9), ArgumentValueError, "box"),
        ("partly below the image", drawn(5, 3), (2, 20, 5, 25), ArgumentValueError, "box"),
        ("outside", drawn(5, 3), (102, 104, 105, 109), ArgumentValueError, "box"),
        ("inverted", drawn(5, 3), (5, 9, 2, 4), ArgumentValueError, "box"),
        ("empty", drawn(5, 0), (2, 4, 2, 9), ArgumentValueError, "box"),
        ("floats", drawn(5, 3), (2.0, 4.0, 5.0, 9.0), ArgumentTypeError, "box"),
        ("three numbers", drawn(5, 3), (2, 4, 5), ArgumentTypeError, "box"),
        ("no box", drawn(5, 3), None, ArgumentTypeError, "box"),
        ("beyond all numbers", drawn(5, 3), (0, 0, 10**5000, 1), ArgumentValueError, "box"),
    ),
)
def test_strokes(session, mask, box, error, argument):
    before = state(session)
    assert_taken_or_refused(lambda: session.paint(mask, box), error, argument)
    assert error is FINE or state(session) == before


@pytest.mark.parametrize(
    ("region", "error"),
    table(
        ("one of another click", NOISY.session(IMAGE, MASK).click(2, 20).withheld[0], ArgumentValueError),
        ("a number", 0, ArgumentTypeError),
        ("None", None, ArgumentTypeError),
        ("a mask", MASK, ArgumentTypeError),
        ("all of them", NOISY.session(IMAGE, MASK).withheld, ArgumentTypeError),
    ),
)
def test_regions(session, region, error):
    before = state(session)
    assert_taken_or_refused(lambda: session.accept(region), error, "region")
    assert state(session) == before


# ------------------------------------------------------------ the rest


@pytest.mark.parametrize(
    ("merge", "error"),
    table(
        ("auto", "auto", FINE),
        ("always", "always", FINE),
        ("never", "never", FINE),
        ("sometimes", "sometimes", ValueError),
        ("capitals", "AUTO", ValueError),
        ("None", None, (TypeError, ValueError)),
        ("True", True, (TypeError, ValueError)),
        ("a list", ["auto"], (TypeError, ValueError)),
        ("an array", np.array(["auto", "never"]), (TypeError, ValueError)),
    ),
)
def test_policies(merge, error):
    assert_taken_or_refused(lambda: NOISY.session(IMAGE, merge=merge), error, "merge")


@pytest.mark.parametrize(
    ("threads", "error", "argument"),
    table(
        ("0", 0, ArgumentValueError, "threads"),
        ("-1", -1, ArgumentValueError, "threads"),
        ("very many", 10**9, ArgumentValueError, "threads"),
        ("beyond all numbers", 10**5000, ArgumentValueError, "threads"),
        ("True", True, ArgumentTypeError, "threads"),
        ("text", "2", ArgumentTypeError, "threads"),
        ("float", 2.0, ArgumentTypeError, "threads"),
        ("1", 1, ModelNotFoundError, "model"),
        ("NumPy integer", np.int64(2), ModelNotFoundError, "model"),
        ("None", None, ModelNotFoundError, "model"),
    ),
)
def test_threads(threads, error, argument):
    """Checked before the model is looked for."""
    assert_taken_or_refused(lambda: focalrt.load("no-such-model", threads=threads), error, argument)


@pytest.mark.parametrize("model", [False, 5, b"hrnet18s-s1", ["hrnet18s-s1"]])
def test_names_of_models(model):
    assert_taken_or_refused(lambda: focalrt.load(model), ArgumentTypeError, "model")


CLICKS = table(
    ("pairs", [(3, 4), (5, 6)], FINE, ""),
    ("pairs and triples", [(3, 4), (5, 6, False)], FINE, ""),
    ("lists", [[3, 4, 1]], FINE, ""),
    ("points of a session", [focalrt.Click(3, 4, False)], FINE, ""),
    ("an array", np.array([[3, 4], [5, 6]]), FINE, ""),
    ("a generator", ((k, k) for k in range(3)), FINE, ""),
    ("none", [], ArgumentValueError, "clicks"),
    ("None", None, ArgumentTypeError, "clicks"),
    ("a number", 5, ArgumentTypeError, "clicks"),
    ("text", "10,20", ArgumentTypeError, "clicks"),
    ("bytes", b"10,20", ArgumentTypeError, "clicks"),
    ("one pair, bare", (3, 4), ArgumentTypeError, "clicks"),
    ("one number", [(1,)], ArgumentTypeError, "clicks"),
    ("four numbers", [(1, 2, True, 4)], ArgumentTypeError, "clicks"),
    ("texts", ["12"], ArgumentTypeError, "clicks"),
    ("Nones", [None], ArgumentTypeError, "clicks"),
    ("a text for a number", [(3, 4), (3, "4")], ArgumentTypeError, "(clicks|y)"),
    ("a sign that is none", [(3, 4, "on")], ArgumentTypeError, "(clicks|positive)"),
    ("the last one outside", [(3, 4), (5, 6), (WIDTH, 0)], ArgumentValueError, "(clicks|x)"),
)


@pytest.mark.parametrize(("clicks", "error", "argument"), CLICKS)
def test_lists_of_clicks(clicks, error, argument):
    model = stub_model()
    assert_taken_or_refused(lambda: focalrt.segment(IMAGE, clicks, model=model), error, argument)
    assert error is FINE or model._networks.calls == 0


@pytest.mark.parametrize(
    ("changed", "error", "argument"),
    table(
        ("image", {"image": IMAGE[..., 0]}, ArgumentValueError, "image"),
        ("mask", {"mask": MASK.T}, ArgumentValueError, "mask"),
        ("view", {"view": (10, 10, 12, 12)}, ArgumentValueError, "view"),
        ("merge", {"merge": "sometimes"}, ArgumentValueError, "merge"),
        ("model", {"model": "hrnet18s-s1"}, ArgumentTypeError, "model"),
    ),
)
def test_segment_checks_all_before_the_networks_run(changed, error, argument):
    model = stub_model()
    arguments = {"image": IMAGE, "clicks": [(3, 4), (5, 6)], "model": model} | changed
    assert_taken_or_refused(lambda: focalrt.segment(**arguments), error, argument)
    assert model._networks.calls == 0


# ------------------------------------------------------------ what the messages tell


class Costly:
    """An element that counts how often anyone wants to see it."""

    seen = 0

    def __repr__(self):
        Costly.seen += 1
        return "costly"


@pytest.mark.parametrize(
    "value",
    table(
        ("a list", [Costly()] * 10_000),
        ("rows of pixels", [[[Costly()] * 3] * 1000] * 1000),
        ("many levels", [[[[[[Costly()] * 100] * 100] * 100] * 100] * 100]),
        ("a mapping", {number: [Costly()] * 1000 for number in range(100)}),
    ),
)
def test_a_large_value_is_told_by_its_beginning(value):
    Costly.seen = 0
    text = told(value)
    assert text.startswith(type(value).__name__) and text.endswith("...") and len(text) < 80
    assert Costly.seen < 2000


@pytest.mark.parametrize(
    ("value", "text"),
    table(
        ("a number", 0.5, "float 0.5"),
        ("a string", "photo.jpg", "str 'photo.jpg'"),
        ("a long string", "a" * 10**6, f"str '{'a' * 56}..."),
        ("long bytes", b"a" * 10**6, f"bytes b'{'a' * 55}..."),
        ("a pair", (1, [2, None]), "tuple (1, [2, None])"),
        ("a box", Box(1, 2, 3, 4), "Box Box(x0=1, y0=2, x1=3, y1=4)"),
        ("a large integer", 10**50, f"int {10**50}"),
        ("one that Python does not write", 10**5000, "int of 16610 bits"),
        ("one in a list", [10**5000], "list [of 16610 bits]"),
        ("an array", np.zeros((2, 3)), "an array of float64, shape (2, 3)"),
    ),
)
def test_a_value_in_a_few_words(value, text):
    assert told(value) == text


def test_a_click_beyond_all_numbers():
    session = NOISY.session(IMAGE)
    for x in (10**5000, -(10**5000)):
        with pytest.raises(ArgumentValueError, match=r"^x: .*bits"):
            session.click(x, 3)
