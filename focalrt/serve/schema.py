"""What goes in and out as JSON, with its frames, units and bounds; the OpenAPI description is made of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ..merge import Outcome
from ..session import Kind

FARTHEST = 1_000_000  # pixels from the corner of an image that any number may tell
MOST_CLICKS = 100  # of one stateless request
MOST_REGIONS = 100  # withheld ones that an answer lists
MOST_CHANGED = 100_000  # runs of changed pixels that an answer lists
OBEYED = "whether the networks put the clicked pixel on the object or off it, as the click says"

Edge = Annotated[int, Field(ge=-FARTHEST, le=FARTHEST)]
Place = Annotated[float, Field(ge=-0.5, le=FARTHEST, allow_inf_nan=False)]
Box = tuple[Edge, Edge, Edge, Edge]
Run = tuple[int, int, int]
Number = r"-?[0-9]{1,7}(\.[0-9]{1,17})?"
BOX_TEXT = r"^-?[0-9]{1,7}(,-?[0-9]{1,7}){3}$"
CLICK_TEXT = rf"^{Number},{Number}(,[+-])?$"

ClickText = Annotated[str, Field(pattern=CLICK_TEXT, max_length=60, examples=["300,150", "520,300,-"])]
BoxText = Annotated[str, Field(pattern=BOX_TEXT, max_length=40, examples=["0,0,640,480"])]


class Strict(BaseModel):
    """A request: numbers are numbers, and there is no field that is not asked for."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class ClickRequest(Strict):
    """A click. x, y: pixels of the image, pixel centres at integers, fractions allowed."""

    x: Place
    y: Place
    positive: bool = Field(True, description="on the object; false: off it")
    view: Annotated[list[Edge], Field(min_length=4, max_length=4)] | None = Field(
        None, description="x0, y0, x1, y1 of what is on the screen; takes the place of the image for an empty mask"
    )


class PlaceRequest(Strict):
    """A pixel of a region that was withheld."""

    x: Annotated[int, Field(ge=0, le=FARTHEST)]
    y: Annotated[int, Field(ge=0, le=FARTHEST)]


class Problem(BaseModel):
    """Why a request was refused, in a sentence."""

    detail: str


class About(BaseModel):
    """What runs here."""

    focalrt: str = Field(description="version of the package")
    model: str = Field(description="variant of the networks")
    description: str = Field(description="address of the OpenAPI description")


class Health(BaseModel):
    """The service answers, and its networks are loaded."""

    status: Literal["ok"] = "ok"


class ClickState(BaseModel):
    """A click in force."""

    x: float
    y: float
    positive: bool


class Region(BaseModel):
    """Connected pixels that the networks would invert and the merge left alone.

    x, y: one of them, to accept it by. area: pixels. box: x0, y0, x1, y1, half-open.
    """

    x: int
    y: int
    area: int
    box: Box


class State(BaseModel):
    """A session. box: of the mask's pixels, x0, y0, x1, y1, half-open; none for an empty mask."""

    id: str
    width: int
    height: int
    area: int = Field(description="pixels of the mask")
    box: Box | None
    clicks: list[ClickState]
    withheld: list[Region] = Field(description=f"the {MOST_REGIONS} largest")
    withheld_regions: int = Field(description="how many there are")
    can_undo: bool
    can_redo: bool
    bytes: int = Field(description="memory that it holds")
    expires: float = Field(description="seconds without use until it is gone")


class Step(BaseModel):
    """What a step did. step: none where there was nothing to do. changed: the box of the inverted pixels."""

    step: Kind | None
    changed: Box | None
    change: list[Run] | None = Field(
        description=f"the inverted pixels: row, first column, end column (half-open); none beyond {MOST_CHANGED} runs"
    )
    area: int = Field(description="pixels of the mask after it")
    withheld: list[Region] = Field(description=f"the {MOST_REGIONS} largest")
    withheld_regions: int = Field(description="how many there are")
    can_undo: bool
    can_redo: bool


class Click(Step):
    """What a click did. target, focus: the boxes that the networks looked at, x0, y0, x1, y1, half-open."""

    outcome: Outcome
    obeyed: bool = Field(description=OBEYED)
    target: Box
    focus: Box
    milliseconds: dict[str, float] = Field(description="of every step, in order")


class Rle(BaseModel):
    """COCO's compressed run-length code, down the columns. size: height, width."""

    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: str


class Polygon(BaseModel):
    """x, y of the vertices; a pixel covers [x, x + 1] x [y, y + 1]. holes: cut out of the outline."""

    outline: list[tuple[float, float]]
    holes: list[list[tuple[float, float]]]


class Polygons(BaseModel):
    """A mask as polygons, largest first."""

    width: int
    height: int
    polygons: list[Polygon]


class Segmented(BaseModel):
    """The mask after the last of some clicks, and what that click did."""

    outcome: Outcome
    obeyed: bool = Field(description=OBEYED)
    area: int
    box: Box | None
    target: Box
    focus: Box
    mask: Rle | Polygons
    milliseconds: dict[str, float]
