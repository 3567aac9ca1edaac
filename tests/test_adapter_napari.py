"""napari on FocalClick: clicks, strokes and undo on a Labels layer, and the plugin's manifest.

napari's own layers, mouse and key events drive it where napari is installed (no window is needed); a stand-in of a
layer's documented surface does everywhere. npe2 validates the manifest where it is installed.
"""

import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stub import stub_model

import focalrt
from focalrt import ArgumentTypeError, ArgumentValueError, FocalrtError, MissingExtraError
from focalrt.adapters import napari as adapter
from focalrt.adapters.napari import LabelClicks, photo
from focalrt.geometry import Box

MANIFEST = Path(adapter.__file__).with_name("napari.yaml")
HEIGHT, WIDTH = 90, 120
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
MODEL = stub_model(noise=2)
OTHER = 9  # the label of another object


def labelled():
    """Two objects: label 3, a rectangle with a fault, and another."""
    data = np.zeros((HEIGHT, WIDTH), np.uint16)
    data[20:50, 30:70] = 3
    data[60:85, 80:115] = OTHER
    return data


# ------------------------------------------------------------ layers


class Event:
    """One of a layer's events: callbacks that can be connected."""

    def __init__(self):
        self.callbacks = []
        self.connect, self.disconnect = self.callbacks.append, self.callbacks.remove

    def __call__(self, value=None):
        for callback in [*self.callbacks]:
            callback(None)


class StandInLabels:
    """What LabelClicks uses of a Labels layer, and the brush, the mouse and the keys of a user."""

    def __init__(self, data):
        self.data, self.mode, self.preserve_labels, self._label = data, "pan_zoom", False, 3
        self.name, self.mouse_drag_callbacks, self.keymap = "objects", [], {}
        self.events = SimpleNamespace(paint=Event(), selected_label=Event())
        self.corner_pixels = np.array([[0, 0], [HEIGHT - 1, WIDTH - 1]])
        self.refreshed = 0

    @property
    def selected_label(self):
        return self._label

    @selected_label.setter
    def selected_label(self, label):
        self._label = label
        self.events.selected_label()

    def bind_key(self, keys, function, overwrite=False):
        self.keymap.pop(keys, None) if function is None else self.keymap.update({keys: function})

    def world_to_data(self, position):
        return tuple(position)

    def refresh(self):
        self.refreshed += 1


class StandIn:
    """A user of the stand-in."""

    def __init__(self, data, image=IMAGE):
        self.labels = StandInLabels(data)
        self.image = SimpleNamespace(data=image, rgb=image.ndim == 3, contrast_limits=[0, 255], name="photo")

    def mouse(self, row, column, button=1, modifiers=(), moves=()):
        event = SimpleNamespace(
            type="mouse_press", button=button, modifiers=modifiers, position=(row, column), pos=np.zeros(2)
        )
        running = [callback(self.labels, event) for callback in self.labels.mouse_drag_callbacks]
        running = [generator for generator in running if next(generator, "done") != "done"]
        for kind, place in [
            *(("mouse_move", move) for move in moves),
            ("mouse_release", moves[-1] if moves else (0, 0)),
        ]:
            event.type, event.pos = kind, np.array(place)
            running = [generator for generator in running if next(generator, "done") != "done"]

    def press(self, name):
        keys = dict(zip(("undo", "redo"), adapter.undo_redo_keys(), strict=True))
        self.labels.keymap[keys[name]](self.labels)

    def stroke(self, box, label):
        self.labels.data[box.slices] = label
        self.labels.events.paint()

    def fill(self, box, label):
        self.labels.events.paint()
        self.labels.data[box.slices] = label


class Napari:
    """The same user in napari."""

    def __init__(self, data, image=IMAGE):
        components = pytest.importorskip("napari.components", reason="napari is not installed")
        viewer = components.ViewerModel()
        self.image = viewer.add_image(image)
        self.labels = viewer.add_labels(data)
        self.labels.selected_label, self.labels.mode = 3, "pan_zoom"

    def mouse(self, row, column, button=1, modifiers=(), moves=()):
        interactions = import_module("napari.utils.interactions")
        event_of = import_module("napari.utils._test_utils").read_only_mouse_event
        steps = [("press", (0, 0)), *(("move", move) for move in moves), ("release", moves[-1] if moves else (0, 0))]
        for kind, place in steps:
            event = event_of(
                type=f"mouse_{kind}",
                button=button,
                modifiers=[*modifiers],
                position=(row, column),
                pos=np.array(place),
                is_dragging=kind == "move",
                view_direction=None,
                dims_displayed=[0, 1],
            )
            getattr(interactions, f"mouse_{kind}_callbacks")(self.labels, event)

    def press(self, name):
        handler = import_module("napari.utils.key_bindings").KeymapHandler()
        handler.keymap_providers = [self.labels]
        handler.press_key({"undo": "Control-Z", "redo": "Control-Shift-Z"}[name])

    def stroke(self, box, label):
        with self.labels.block_history():  # as napari groups the edits of one drag
            self.fill(box, label)

    def fill(self, box, label):
        rows, columns = (axis.ravel() for axis in np.mgrid[box.slices])
        self.labels.data_setitem((rows, columns), label)


@pytest.fixture(params=[StandIn, Napari], ids=["stand-in", "napari"])
def user(request, monkeypatch):
    try:
        import_module("app_model.types")
    except ImportError:
        keys = SimpleNamespace(KeyMod=SimpleNamespace(CtrlCmd=1, Shift=2), KeyCode=SimpleNamespace(KeyZ=4))
        monkeypatch.setitem(sys.modules, "app_model.types", keys)
    return request.param(labelled())


@pytest.fixture
def clicks(user):
    clicks = LabelClicks(MODEL, user.image, user.labels)
    yield clicks
    clicks.close()


def as_drawn(session, number=3):
    """The layer that a session's mask makes, over the other object."""
    data = np.where(labelled() == OTHER, OTHER, 0)
    data[session.mask & (data == 0)] = number
    return data


# ------------------------------------------------------------ clicks


def test_a_click_is_the_sessions(user, clicks):
    user.mouse(20, 90)
    user.mouse(40.25, 50.5, button=2)
    expected = MODEL.session(IMAGE, labelled() == 3)
    expected.click(90, 20)
    expected.click(50.5, 40.25, False)
    assert clicks.session.clicks == expected.clicks
    np.testing.assert_array_equal(clicks.session.mask, expected.mask)
    np.testing.assert_array_equal(user.labels.data, as_drawn(expected))
    assert (user.labels.data != labelled()).any()


@pytest.mark.parametrize(
    ("button", "modifiers", "positive"), [(1, (), True), (2, (), False), (1, ("Alt",), False), (1, ("Shift",), True)]
)
def test_what_the_mouse_says(user, clicks, button, modifiers, positive):
    user.mouse(20, 90, button, modifiers)
    assert clicks.session.clicks == ((90, 20, positive),)


def test_a_hand_may_tremble_but_not_drag(user, clicks):
    user.mouse(20, 90, moves=[(1, 0), (2, 1)])
    user.mouse(30, 90, moves=[(1, 0), (30, 1)])
    assert clicks.session.clicks == ((90, 20, True),)


def test_other_modes_and_buttons_are_napari_s(user, clicks):
    user.mouse(20, 90, button=3)
    user.labels.mode = "paint" if isinstance(user, StandIn) else "pick"
    user.mouse(20, 90)
    assert clicks.session.clicks == ()


def test_another_object_is_never_written(user, clicks):
    for row, column in [(70, 95), (75, 80), (60, 79)]:
        user.mouse(row, column)
    assert (clicks.session.mask & (labelled() == OTHER)).any()
    np.testing.assert_array_equal(user.labels.data == OTHER, labelled() == OTHER)
    np.testing.assert_array_equal(user.labels.data, as_drawn(clicks.session))


def test_what_is_in_sight_is_the_view_of_a_first_click(user, clicks):
    user.labels.selected_label = 4
    user.labels.corner_pixels = np.array([[10, 70], [49, 109]])
    user.mouse(20, 90)
    expected = MODEL.session(IMAGE)
    expected.click(90, 20, view=(70, 10, 110, 50))
    whole = MODEL.session(IMAGE)
    whole.click(90, 20)
    np.testing.assert_array_equal(clicks.session.mask, expected.mask)
    assert clicks.session.runs != whole.runs
    user.mouse(80, 10)  # beyond what is in sight
    assert len(clicks.session.clicks) == 2


def test_a_click_off_the_image_is_refused_and_changes_nothing(user, clicks):
    with pytest.raises(ArgumentValueError, match=r"^x: expected a place on the 120 x 90 image"):
        clicks.click(20, WIDTH + 5)
    assert clicks.session.clicks == ()
    np.testing.assert_array_equal(user.labels.data, labelled())


# ------------------------------------------------------------ undo


def test_undo_and_redo_are_the_sessions(user, clicks):
    states = [user.labels.data.copy()]
    user.mouse(20, 90)
    states.append(user.labels.data.copy())
    clicks.accept()
    states.append(user.labels.data.copy())
    user.stroke(Box(5, 5, 15, 12), 3)
    states.append(user.labels.data.copy())
    user.mouse(70, 95)
    for state in reversed(states):
        user.press("undo")
        np.testing.assert_array_equal(user.labels.data, state)
    assert not clicks.session.can_undo
    user.press("undo")
    for state in states[1:]:
        user.press("redo")
        np.testing.assert_array_equal(user.labels.data, state)


def test_reset_goes_back_to_the_label_as_it_was(user, clicks):
    user.mouse(20, 90)
    user.stroke(Box(5, 5, 15, 12), 3)
    clicks.reset()
    np.testing.assert_array_equal(user.labels.data, labelled())


BOXES = st.tuples(st.integers(0, 60), st.integers(0, 110), st.integers(1, 40), st.integers(1, 40)).map(
    lambda edges: Box(edges[1], edges[0], min(edges[1] + edges[3], WIDTH), min(edges[0] + edges[2], HEIGHT))
)
STEPS = st.one_of(
    st.tuples(st.just("mouse"), st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1)),
    st.tuples(st.sampled_from(["stroke", "fill"]), BOXES, st.sampled_from([0, 3])),
    st.tuples(st.just("press"), st.sampled_from(["undo", "redo"])),
)


@settings(max_examples=10)
@given(steps=st.lists(STEPS, max_size=8))
def test_whatever_is_done_the_layer_shows_the_session(steps):
    """And all of it can be undone."""
    with pytest.MonkeyPatch.context() as patch:
        keys = SimpleNamespace(KeyMod=SimpleNamespace(CtrlCmd=1, Shift=2), KeyCode=SimpleNamespace(KeyZ=4))
        patch.setitem(sys.modules, "app_model.types", keys)
        user = StandIn(labelled())
        clicks = LabelClicks(MODEL, user.image, user.labels)
        for name, *arguments in steps:
            if name in ("stroke", "fill"):  # napari keeps the other label from being painted over
                arguments[0] = Box(
                    *(min(edge, limit) for edge, limit in zip(arguments[0], (79, 59, 80, 60), strict=True))
                )
            getattr(user, name)(*arguments)
            np.testing.assert_array_equal(user.labels.data, as_drawn(clicks.session))
        while clicks.session.can_undo:
            user.press("undo")
        np.testing.assert_array_equal(user.labels.data, labelled())


# ------------------------------------------------------------ strokes


@pytest.mark.parametrize("tool", ["stroke", "fill"])
@pytest.mark.parametrize("label", [3, 0])
def test_what_napari_draws_becomes_a_step(user, clicks, tool, label):
    box = Box(25, 15, 40, 30)
    getattr(user, tool)(box, label)
    drawn = labelled()
    drawn[box.slices] = label
    np.testing.assert_array_equal(clicks.session.mask, drawn == 3)
    assert clicks.session.can_undo
    user.press("undo")
    np.testing.assert_array_equal(user.labels.data, labelled())


def test_every_stroke_is_its_own_step(user, clicks):
    user.stroke(Box(2, 2, 6, 6), 3)
    after = user.labels.data.copy()
    user.stroke(Box(10, 2, 16, 6), 3)
    user.press("undo")
    np.testing.assert_array_equal(user.labels.data, after)


def test_a_stroke_that_changes_nothing_is_no_step(user, clicks):
    user.mouse(70, 95)
    assert (clicks.session.mask & (labelled() == OTHER)).any()  # pixels that the layer does not show
    user.labels.events.paint(value=[])
    clicks.undo()
    assert not clicks.session.can_undo


def test_a_stroke_over_another_object_is_kept(user, clicks):
    """Where the user lets napari paint over other labels."""
    user.labels.preserve_labels = False
    user.stroke(Box(82, 62, 90, 70), 3)
    user.mouse(20, 90)
    user.press("undo")
    assert (user.labels.data[62:70, 82:90] == 3).all()
    assert (user.labels.data == OTHER).sum() == (labelled() == OTHER).sum() - 64


# ------------------------------------------------------------ labels and layers


def test_another_label_has_its_own_session(user, clicks):
    user.mouse(20, 90)
    kept = user.labels.data.copy()
    user.labels.selected_label = OTHER
    np.testing.assert_array_equal(clicks.session.mask, labelled() == OTHER)
    assert clicks.session.clicks == ()
    user.press("undo")
    np.testing.assert_array_equal(user.labels.data, kept)


def test_the_background_is_the_eraser_of_the_last_label(user, clicks):
    user.labels.selected_label = 0
    user.stroke(Box(30, 20, 40, 50), 0)
    user.labels.selected_label = 3
    user.press("undo")
    np.testing.assert_array_equal(user.labels.data, labelled())


def test_other_data_in_the_layer_begin_a_new_session(user, clicks):
    user.mouse(20, 90)
    user.labels.data = np.flipud(labelled()).copy()
    np.testing.assert_array_equal(clicks.session.mask, np.flipud(labelled() == 3))
    user.press("undo")
    np.testing.assert_array_equal(user.labels.data, np.flipud(labelled()))


def test_closed_it_leaves_the_layer_as_it_found_it(user):
    before = [*user.labels.mouse_drag_callbacks]
    clicks = LabelClicks(MODEL, user.image, user.labels)
    assert user.labels.preserve_labels
    clicks.close()
    assert user.labels.mouse_drag_callbacks == before
    assert not user.labels.preserve_labels
    assert not user.labels.keymap
    user.mouse(20, 90)
    user.stroke(Box(2, 2, 6, 6), 3)
    assert clicks.session.clicks == () and not clicks.session.can_undo


def test_it_tells_what_it_did(user):
    told = []
    clicks = LabelClicks(MODEL, user.image, user.labels, told.append)
    user.mouse(20, 90)
    clicks.undo()
    clicks.undo()
    assert told[0].startswith("written") and "regions withheld" in told[0]
    assert told[1:] == ["click undone", "nothing undone"]


# ------------------------------------------------------------ what is refused


def layer(data, rgb=False, limits=(0, 1)):
    return SimpleNamespace(data=data, rgb=rgb, contrast_limits=limits, name="photo")


@pytest.mark.parametrize(
    "image",
    [None, layer(np.zeros((3, HEIGHT, WIDTH))), layer([np.zeros((HEIGHT, WIDTH))]), layer(IMAGE)],
    ids=["none", "a stack", "a pyramid", "channels that are no colours"],
)
def test_an_image_that_is_not_one_plane(user, image):
    with pytest.raises(ArgumentTypeError, match=r"^image: expected a layer of one plane"):
        LabelClicks(MODEL, image, user.labels)
    assert not user.labels.preserve_labels


def test_labels_of_another_size(user):
    with pytest.raises(ArgumentValueError, match=r"^labels: expected the image's shape \(89, 120\)"):
        LabelClicks(MODEL, layer(IMAGE[1:], rgb=True), user.labels)
    with pytest.raises(ArgumentTypeError, match=r"^labels: expected a layer of one plane"):
        LabelClicks(MODEL, user.image, None)
    user.labels.selected_label = 0
    with pytest.raises(ArgumentValueError, match=r"^labels: select a label"):
        LabelClicks(MODEL, user.image, user.labels)
    assert not user.labels.preserve_labels


def test_without_napari(monkeypatch):
    monkeypatch.setitem(sys.modules, "napari.layers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'focalrt\[napari\]'") as caught:
        adapter.click_widget()
    assert isinstance(caught.value, (FocalrtError, ImportError))


# ------------------------------------------------------------ photos


def test_a_photo_is_what_the_layer_shows():
    grey = np.array([[0, 100], [200, 400]], np.uint16)
    np.testing.assert_array_equal(photo(layer(grey, limits=(100, 300)))[..., 0], [[0, 0], [128, 255]])
    np.testing.assert_array_equal(photo(layer(IMAGE, rgb=True)), IMAGE)
    np.testing.assert_array_equal(photo(layer(np.dstack([IMAGE, IMAGE[..., 0]]), rgb=True)), IMAGE)
    np.testing.assert_array_equal(photo(layer(IMAGE / 255, rgb=True)), IMAGE)
    np.testing.assert_array_equal(photo(layer(np.full((2, 2), np.nan), limits=(0, 0))), np.zeros((2, 2, 3), np.uint8))


# ------------------------------------------------------------ the plugin


def test_npe2_validates_the_manifest():
    npe2 = pytest.importorskip("npe2", reason="npe2 is not installed")
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    (widget,) = manifest.contributions.widgets
    commands = {command.id: command for command in manifest.contributions.commands}
    module, name = commands[widget.command].python_name.split(":")
    assert getattr(import_module(module), name) is adapter.click_widget
    assert manifest.name == focalrt.__name__


def test_the_panel_connects_and_lets_go(monkeypatch):
    pytest.importorskip("napari.layers", reason="napari is not installed")
    qt = pytest.importorskip("qtpy.QtWidgets", reason="napari has no window system to draw a panel with")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    application = qt.QApplication.instance() or qt.QApplication([])
    monkeypatch.setattr(adapter, "load", lambda _: MODEL)
    user = Napari(labelled())
    panel = adapter.Panel()
    panel.image.choices, panel.labels.choices = [user.image], [user.labels]
    panel.active.value = True
    user.mouse(20, 90)
    changed = user.labels.data.copy()
    assert panel.told.value.startswith("written")
    for button, expected in {"undo": labelled(), "redo": changed, "back to the start": labelled()}.items():
        (pressed,) = [widget for widget in panel.container if getattr(widget, "text", None) == button]
        pressed.changed.emit(True)
        np.testing.assert_array_equal(user.labels.data, expected)
    panel.active.value = False
    assert not user.labels.keymap
    user.labels.selected_label = 0
    panel.active.value = True
    (*_, notification) = import_module("napari.utils.notifications").notification_manager.records
    assert (notification.severity, notification.message[:22]) == ("error", "labels: select a label")
    assert panel.clicks is None and not panel.active.value
    assert application is not None
