"""What the service does to sessions and masks: plain functions that take their time, for the pool's threads.

Most return the content of a response, so that the event loop has nothing left to do but send it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import IO, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from .. import masks, upload
from ..checks import check_box
from ..errors import ArgumentValueError
from ..merge import Policy, Region
from ..model import Model, segment
from ..runs import Runs
from ..session import Session, Step
from . import schema

MOST_RUNS = 1_000_000  # of a mask, across or down; that of an object in a photo has a few thousand
MOST_OUTLINED = 100_000  # runs of a mask that is made into polygons, which takes a second
Form = Literal["rle", "polygons", "png"]


def begin(model: Model, photo: IO[bytes], mask: IO[bytes] | None, merge: Policy, most_pixels: int) -> Session:
    """A session on an uploaded photo, with or without an earlier mask."""
    image = upload.decode_photo(photo.read(), most_pixels=most_pixels)
    return model.session(image, None if mask is None else decoded_mask(mask, *image.shape[:2]), merge=merge)


def decoded_mask(file: IO[bytes], height: int, width: int) -> NDArray[np.bool_]:
    """An uploaded mask of that size. Raises ArgumentValueError for one so ragged that it is noise."""
    mask = upload.decode_mask(file.read(), height, width)
    check_runs(int(np.count_nonzero(mask[:, 0]) + np.count_nonzero(mask[:, 1:] > mask[:, :-1])), MOST_RUNS)
    return mask


def check_runs(count: int, most: int) -> None:
    """Raises ArgumentValueError for so many runs that the mask is noise."""
    if count > most:
        raise ArgumentValueError(f"mask: expected at most {most} runs of pixels; got {count}")


# ------------------------------------------------------------ steps


def click(session: Session, request: schema.ClickRequest) -> bytes:
    """A click."""
    result = session.click(request.x, request.y, request.positive, view=request.view)
    answer = schema.Click(
        **told_step("click", result.change, session),
        outcome=result.outcome,
        obeyed=result.obeyed,
        target=result.target,
        focus=result.focus,
        milliseconds=dict(result.milliseconds),
    )
    return content(answer)


def step(session: Session, act: Callable[[Session], Step | None]) -> bytes:
    """Any other step."""
    before = session.runs
    done = act(session)
    return content(schema.Step(**told_step(done.kind if done else None, before ^ session.runs, session)))


def paint(session: Session, file: IO[bytes], box: str) -> bytes:
    """A stroke, uploaded as the mask of a box."""
    inside = check_box(integers(box), *session.shape)
    drawn = decoded_mask(file, inside.height, inside.width)
    return step(session, lambda each: each.paint(drawn, inside))


def set_mask(session: Session, file: IO[bytes]) -> bytes:
    """Another mask."""
    mask = decoded_mask(file, *session.shape)
    return step(session, lambda each: each.set_mask(mask))


def accept(session: Session, place: schema.PlaceRequest) -> bytes:
    """The withheld region that holds a pixel."""
    runs = session.withheld.runs.component(place.y, place.x)
    box = runs.box
    if box is None:
        raise ArgumentValueError(f"x, y: no region that can be accepted holds the pixel ({place.x}, {place.y})")
    return step(session, lambda each: each.accept(Region(runs.area, box, runs)))


# ------------------------------------------------------------ what there is


def state(session: Session, name: str, idle: float) -> bytes:
    """The state of a session."""
    height, width = session.shape
    answer = schema.State(
        id=name,
        width=width,
        height=height,
        box=session.runs.box,
        clicks=[schema.ClickState(**click._asdict()) for click in session.clicks],
        bytes=session.nbytes,
        expires=idle,
        **told(session),
    )
    return content(answer)


def told_step(kind: str | None, change: Runs, session: Session) -> dict[str, Any]:
    """The fields of :class:`schema.Step`."""
    few = len(change.spans) <= schema.MOST_CHANGED
    changed = {"step": kind, "changed": change.box, "change": change.spans.tolist() if few else None}
    return changed | told(session)


def told(session: Session) -> dict[str, Any]:
    """What every answer says of a session."""
    return {
        "area": session.runs.area,
        "withheld": [told_region(region) for region in session.withheld[: schema.MOST_REGIONS]],
        "withheld_regions": len(session.withheld),
        "can_undo": session.can_undo,
        "can_redo": session.can_redo,
    }


def told_region(region: Region) -> schema.Region:
    """A withheld region, with the first of its pixels."""
    y, x, _ = region.runs.spans[0].tolist()
    return schema.Region(x=x, y=y, area=region.area, box=region.box)


# ------------------------------------------------------------ masks


def png(runs: Runs, height: int, width: int) -> bytes:
    """A mask as PNG, grey, 0 and 255."""
    mask = np.zeros((height, width), np.bool_)
    runs.flip(mask)
    _, encoded = cv2.imencode(".png", mask.view(np.uint8) * np.uint8(255))
    return encoded.tobytes()


def rle(runs: Runs, height: int, width: int) -> schema.Rle:
    """A mask as COCO's run-length code. Raises ArgumentValueError where that has too many runs."""
    below = runs.spans + np.array([1, 0, 0], np.int32)
    check_runs((runs - Runs(below)).area, MOST_RUNS)  # the first pixels of the runs down the columns
    return schema.Rle(**masks.to_coco(runs, height, width))


def polygons(runs: Runs, height: int, width: int, tolerance: float) -> schema.Polygons:
    """A mask as polygons. Raises ArgumentValueError for a mask of too many runs."""
    check_runs(len(runs.spans), MOST_OUTLINED)
    found = [
        schema.Polygon(outline=outline.tolist(), holes=[hole.tolist() for hole in holes])
        for outline, holes in masks.to_polygons(runs, tolerance)
    ]
    return schema.Polygons(width=width, height=height, polygons=found)


def png_of(session: Session) -> bytes:
    """The mask of a session as PNG."""
    return png(session.runs, *session.shape)


def rle_of(session: Session) -> bytes:
    """The mask of a session as COCO's run-length code."""
    return content(rle(session.runs, *session.shape))


def polygons_of(session: Session, tolerance: float) -> bytes:
    """The mask of a session as polygons."""
    return content(polygons(session.runs, *session.shape, tolerance))


def segmented(
    model: Model,
    photo: IO[bytes],
    mask: IO[bytes] | None,
    clicks: Sequence[str],
    view: str | None,
    merge: Policy,
    form: Form,
    tolerance: float,
    most_pixels: int,
) -> bytes:
    """Clicks on a photo, without a session: the mask as PNG, or JSON with the mask in another form."""
    image = upload.decode_photo(photo.read(), most_pixels=most_pixels)
    height, width = image.shape[:2]
    earlier = None if mask is None else decoded_mask(mask, height, width)
    points = [point(text) for text in clicks]
    result = segment(image, points, earlier, model=model, view=None if view is None else integers(view), merge=merge)
    if form == "png":
        return png(result.runs, height, width)
    shape = (result.runs, height, width)
    answer = schema.Segmented(
        outcome=result.outcome,
        obeyed=result.obeyed,
        area=result.runs.area,
        box=result.runs.box,
        target=result.target,
        focus=result.focus,
        mask=rle(*shape) if form == "rle" else polygons(*shape, tolerance),
        milliseconds=dict(result.milliseconds),
    )
    return content(answer)


# ------------------------------------------------------------ texts


def content(answer: BaseModel) -> bytes:
    """JSON."""
    return answer.model_dump_json().encode()


def integers(text: str) -> tuple[int, ...]:
    """``x0,y0,x1,y1``."""
    return tuple(int(number) for number in text.split(","))


def point(text: str) -> tuple[float, float, bool]:
    """``x,y`` or ``x,y,+`` for a click on the object, ``x,y,-`` off it."""
    x, y, *sign = text.split(",")
    return float(x), float(y), sign != ["-"]
