"""FocalClick in napari: clicks on a Labels layer, for the selected label, with the session's undo.

:func:`click_widget` is what the plugin manifest ``napari.yaml`` names. :class:`LabelClicks` connects one session to one
layer and knows nothing of windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import checks
from ..errors import ArgumentTypeError, ArgumentValueError, FocalrtError
from ..extras import imported
from ..geometry import Box, nearest
from ..model import Model, load
from ..runs import Runs
from ..session import Session
from ..zoo import DEFAULT, installed

LEFT, RIGHT = 1, 2  # buttons of napari's mouse events
STILL = 3  # pixels of the screen that a hand may move in a click
PURPOSE = "clicking in napari"
BUTTONS = {"undo": "undo", "redo": "redo", "accept what was withheld": "accept", "back to the start": "reset"}


class LabelClicks:
    """A session on the selected label of a Labels layer, for as long as it is that label's turn.

    In the layer's pan/zoom mode a left click says *on the object*, a right click or one with Alt *off it*. Strokes of
    napari's brush, eraser and fill become steps of the session, and the layer's undo and redo keys the session's. The
    label's pixels are the mask to correct. Another object's pixels are never written. A change of the selected label
    begins a new session.
    """

    def __init__(self, model: Model, image: Any, labels: Any, tell: Callable[[str], object] = str) -> None:
        """Connects itself; :meth:`close` ends that.

        model: a loaded one. image, labels: layers of one plane and one size. tell: is told in words what a click did.
        Raises ArgumentTypeError, ArgumentValueError, and then nothing is connected.
        """
        self._model, self._labels, self._tell = model, labels, tell
        self._photo = photo(image)
        check_labels(labels, self._photo.shape[:2])
        self._begin()
        self._preserved, labels.preserve_labels = labels.preserve_labels, True
        labels.mouse_drag_callbacks.append(self._pressed)
        labels.events.paint.connect(self._painted)
        labels.events.selected_label.connect(self._selected)
        for keys, action in zip(undo_redo_keys(), (self.undo, self.redo), strict=True):
            labels.bind_key(keys, lambda layer, action=action: action(), overwrite=True)

    def close(self) -> None:
        """Leaves the layer as it was found, but for its labels."""
        labels = self._labels
        labels.mouse_drag_callbacks.remove(self._pressed)
        labels.events.paint.disconnect(self._painted)
        labels.events.selected_label.disconnect(self._selected)
        for keys in undo_redo_keys():
            labels.bind_key(keys, None)
        labels.preserve_labels = self._preserved

    @property
    def session(self) -> Session:
        """That of the selected label, after all that napari's tools drew."""
        if self._labels.data is not self._data:
            check_labels(self._labels, self._photo.shape[:2])
            self._begin()
        if self._drawn:
            self._take_strokes()
        return self._session

    def click(self, row: float, column: float, positive: bool = True) -> None:
        """One click at a place in the layer's data, pixel centres at integers. Raises Argument*Error."""
        view = in_sight(self._labels)
        holds = view.holds(nearest(row), nearest(column))
        result = self.session.click(column, row, positive, view=view if holds else None)
        self._show(result.changed)
        withheld = f", {len(result.withheld)} regions withheld" if result.withheld else ""
        self._tell(f"{result.outcome}{withheld}")

    def undo(self) -> None:
        """Takes back the last step: a click, a stroke, accepted regions, a reset."""
        self._took("undone", self.session.undo())

    def redo(self) -> None:
        """Does the last undone step again."""
        self._took("done again", self.session.redo())

    def accept(self) -> None:
        """Writes all that the merge withheld."""
        self._took("accepted", self.session.accept_all())

    def reset(self) -> None:
        """Back to the label as the session found it."""
        self._took("back at the start", self.session.reset())

    def _selected(self, event: Any = None) -> None:
        """A session for another label; the background's turn is the eraser's, which draws on the last one."""
        if self._labels.selected_label not in (0, self._number):
            self._begin()

    def _begin(self) -> None:
        """A session on what the selected label is now."""
        self._number, self._data, self._drawn = self._labels.selected_label, self._labels.data, False
        self._session = self._model.session(self._photo, self._mine())

    def _mine(self) -> NDArray[np.bool_]:
        """Where the layer has the label; what it has elsewhere is kept."""
        mine: NDArray[np.bool_] = self._data == self._number
        self._others = np.where(mine, 0, self._data)
        return mine

    def _took(self, what: str, step: Any) -> None:
        self._tell(f"{step.kind} {what}" if step else f"nothing {what}")
        self._show(step.changed if step else None)

    def _show(self, box: Box | None) -> None:
        """Writes what the session has in a box into the layer."""
        if box is None:
            return
        others = self._others[box.slices]
        mine = self._session.mask[box.slices] & (others == 0)
        self._data[box.slices] = np.where(mine, self._number, others)
        self._labels.refresh()

    def _painted(self, event: Any = None) -> None:
        """What napari tells: of a stroke when it is drawn, of a fill before it is, so that one is found later."""
        self._take_strokes()
        self._drawn = True

    def _take_strokes(self) -> None:
        """What napari's tools drew until now, as a step of the session."""
        self._drawn = False
        mine = self._mine()
        box = Runs.from_mask((mine ^ self._session.mask) & (self._others == 0)).box
        if box is not None:
            self._session.paint(mine[box.slices], box)

    def _pressed(self, layer: Any, event: Any) -> Iterator[None]:
        """The mouse callback: a press and a release at nearly one place of the screen are a click, not a drag."""
        if layer.mode != "pan_zoom" or event.button not in (LEFT, RIGHT):
            return
        pressed = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(event.pos - pressed).max() <= STILL:
            row, column = layer.world_to_data(event.position)
            self.click(row, column, event.button == LEFT and "Alt" not in event.modifiers)


def photo(layer: Any) -> NDArray[np.uint8]:
    """What an Image layer shows, RGB, uint8 (H, W, 3): colours, or grey between its contrast limits.

    Raises ArgumentTypeError for a layer that is not one plane in memory.
    """
    data = None if layer is None else layer.data
    if not isinstance(data, np.ndarray) or data.ndim != (3 if layer.rgb else 2):
        raise ArgumentTypeError(
            f"image: expected a layer of one plane in memory, (H, W) or RGB (H, W, 3); got {checks.told(data)}"
        )
    if layer.rgb and data.dtype == np.uint8:
        return np.ascontiguousarray(data[..., :3])
    low, high = (0, 1) if layer.rgb and data.dtype.kind == "f" else layer.contrast_limits
    scaled = np.nan_to_num((data.astype(np.float32) - low) / ((high - low) or 1))
    shades = (scaled.clip(0, 1) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(shades[..., :3]) if layer.rgb else np.dstack([shades] * 3)


def check_labels(layer: Any, shape: tuple[int, ...]) -> None:
    """Raises ArgumentTypeError, ArgumentValueError for a Labels layer that does not lie on such an image."""
    data = None if layer is None else layer.data
    if not isinstance(data, np.ndarray):
        raise ArgumentTypeError(f"labels: expected a layer of one plane in memory, (H, W); got {checks.told(data)}")
    if data.shape != shape:
        raise ArgumentValueError(f"labels: expected the image's shape {shape}; got {data.shape}")
    if layer.selected_label == 0:
        raise ArgumentValueError("labels: select a label to click for; 0 is the background")


def in_sight(layer: Any) -> Box:
    """The part of a plane that the canvas shows."""
    (top, left), (bottom, right) = np.asarray(layer.corner_pixels).tolist()
    return Box(left, top, right + 1, bottom + 1)


def undo_redo_keys() -> tuple[Any, Any]:
    """The keys that napari's Labels layer has for undo and redo."""
    keys = imported("app_model.types", PURPOSE, "napari")
    undo = keys.KeyMod.CtrlCmd | keys.KeyCode.KeyZ
    return undo, undo | keys.KeyMod.Shift


class Panel:
    """The widget's fields and buttons, and the session's layer while the box is ticked."""

    def __init__(self) -> None:
        """Raises MissingExtraError without napari."""
        layers = imported("napari.layers", PURPOSE, "napari")
        widgets = imported("magicgui.widgets", PURPOSE, "napari")
        self.model = widgets.ComboBox(label="model", choices=list(installed()), value=DEFAULT)
        self.image = widgets.create_widget(annotation=layers.Image, label="image")
        self.labels = widgets.create_widget(annotation=layers.Labels, label="labels")
        self.active = widgets.CheckBox(text="click on the labels")
        self.told = widgets.Label(value="left: on the object; right: off it")
        self.clicks: LabelClicks | None = None
        self.active.changed.connect(lambda on: self._connect() if on else self._disconnect())
        buttons = [self._button(widgets, text, name) for text, name in BUTTONS.items()]
        fields = [self.model, self.image, self.labels, self.active, *buttons, self.told]
        self.container = widgets.Container(widgets=fields)

    def _button(self, widgets: Any, text: str, name: str) -> Any:
        button = widgets.PushButton(text=text)
        button.changed.connect(
            lambda: getattr(self.clicks, name)() if self.clicks else self._tell("tick the box first")
        )
        return button

    def _tell(self, text: str) -> None:
        self.told.value = text

    def _connect(self) -> None:
        self._disconnect()
        try:
            model = load(installed()[self.model.value].folder)
            self.clicks = LabelClicks(model, self.image.value, self.labels.value, self._tell)
        except FocalrtError as error:
            self.active.value = False
            imported("napari.utils.notifications", PURPOSE, "napari").show_error(str(error))

    def _disconnect(self) -> None:
        if self.clicks is not None:
            self.clicks.close()
            self.clicks = None


def click_widget() -> Any:
    """What the manifest names: a new panel, as the magicgui Container that napari docks."""
    return Panel().container
