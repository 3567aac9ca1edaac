"""The addresses of the service. What takes time is in ``work``; what is here only passes it to the pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, File, Form, Query, Request, Response, UploadFile
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST

from .. import __version__
from ..errors import ArgumentValueError
from ..merge import Policy
from ..session import Session
from . import schema, work
from .pool import Unwanted
from .service import Errand, Service

JSON = "application/json"
PNG: dict[str, Any] = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
TEXT: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.Problem, "description": told}
    for status, told in {
        400: "Not HTTP, not JSON or not a form as it should be.",
        401: "No token, or a wrong one.",
        403: "A page of another origin asked.",
        408: "The body stopped coming.",
        413: "Too many bytes or pixels.",
        421: "The service is not called by that name.",
        422: "Something in the request does not fit; the detail says what.",
        503: "Too much to do, or too little memory: Retry-After tells when to come back.",
    }.items()
}
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": schema.Problem, "description": "No such session."}}


def service_of(request: Request) -> Service:
    """The service that a request is for."""
    return cast(Service, request.app.state.service)


async def errand_of(request: Request) -> AsyncIterator[Errand]:
    """What the service does for a request, whose client is watched meanwhile."""
    errand = Errand(service_of(request))
    watching = asyncio.create_task(errand.watch(request.receive))
    try:
        yield errand
    finally:
        watching.cancel()


def check_query(request: Request) -> None:
    """Raises ArgumentValueError for a parameter that the description does not have, and that would go unnoticed."""
    described = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    known = {each["name"] for each in described.get("parameters", ()) if each["in"] == "query"}
    for name in request.query_params:
        if name not in known:
            told = f"known are {', '.join(sorted(known))}" if known else "there is none"
            raise ArgumentValueError(f"{name[:40]!r}: no parameter of this address; {told}")


Here = Annotated[Service, Depends(service_of)]
Mine = Annotated[Errand, Depends(errand_of)]
Image = Annotated[UploadFile, File(description="a photo: JPEG, PNG, WebP, TIFF or BMP")]
Mask = Annotated[UploadFile, File(description="an image of that size; brighter than half of its brightest is object")]
EarlierMask = Annotated[
    UploadFile | None, File(description="an earlier mask to correct: an image of the photo's size, bright is object")
]
Merge = Annotated[Policy, Form(description="when a click may change only the connected region that holds it")]
Tolerance = Annotated[float, Query(ge=0, le=100, allow_inf_nan=False, description="of the polygons, in pixels")]

open_router = APIRouter()
router = APIRouter(dependencies=[Depends(HTTPBearer(auto_error=False)), Depends(check_query)], responses=PROBLEMS)


def as_json(content: bytes, status: int = 200) -> Response:
    """A response of JSON that is ready."""
    return Response(content, status, media_type=JSON)


# ------------------------------------------------------------ the service


@open_router.get("/health", response_model=schema.Health, responses={421: PROBLEMS[421], 403: PROBLEMS[403]})
async def health() -> schema.Health:
    """Whether the service answers; needs no token."""
    return schema.Health()


@router.get("/", response_model=schema.About)
async def about(here: Here) -> schema.About:
    """What runs here."""
    return schema.About(focalrt=__version__, model=here.model.description.variant, description="/openapi.json")


@router.get("/metrics", response_class=Response, responses={200: {"content": TEXT}})
async def metrics(here: Here) -> Response:
    """Counts, times, sessions and memory, for Prometheus."""
    return Response(here.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.post(
    "/segment",
    response_model=schema.Segmented,
    responses={200: {"content": PNG, "description": "The mask; image/png for form=png."}},
)
async def segment(
    here: Here,
    errand: Mine,
    image: Image,
    click: Annotated[
        list[schema.ClickText],
        Form(min_length=1, max_length=schema.MOST_CLICKS, description="x,y on the object, x,y,- off it, in pixels"),
    ],
    mask: EarlierMask = None,
    view: Annotated[schema.BoxText | None, Form(description="x0,y0,x1,y1 that the first click is about")] = None,
    merge: Merge = "auto",
    form: Annotated[work.Form, Query(description="of the mask in the answer")] = "rle",
    tolerance: Tolerance = 1.0,
) -> Response:
    """Clicks on a photo, at once: the mask after the last of them."""
    content = await errand.run(
        work.segmented,
        here.model,
        image.file,
        mask and mask.file,
        click,
        view,
        merge,
        form,
        tolerance,
        here.limits.pixels,
    )
    return Response(content, media_type="image/png" if form == "png" else JSON)


# ------------------------------------------------------------ sessions


@router.post("/sessions", status_code=201, response_model=schema.State)
async def begin(here: Here, errand: Mine, image: Image, mask: EarlierMask = None, merge: Merge = "auto") -> Response:
    """A session on a photo, from scratch or from an earlier mask."""
    here.sessions.make_room(0)  # before anything is decoded
    session = await errand.run(work.begin, here.model, image.file, mask and mask.file, merge, here.limits.pixels)
    if not errand.wanted:  # nobody would learn the session's name
        raise Unwanted
    held = here.sessions.add(session)
    return as_json(work.state(session, held.name, here.limits.idle), 201)


@router.get("/sessions/{session}", response_model=schema.State, responses=UNKNOWN)
async def state(here: Here, errand: Mine, session: str) -> Response:
    """A session as it is."""
    return as_json(await errand.on_session(session, work.state, session, here.limits.idle))


@router.delete("/sessions/{session}", status_code=204, response_class=Response, response_model=None, responses=UNKNOWN)
async def delete(here: Here, session: str) -> Response:
    """Lets a session go; what waits for its turn in it is refused."""
    here.sessions.delete(session)
    return Response(status_code=204)


@router.post("/sessions/{session}/clicks", response_model=schema.Click, responses=UNKNOWN)
async def click(errand: Mine, session: str, click: schema.ClickRequest) -> Response:
    """A click, and what it does."""
    return as_json(await errand.on_growing_session(session, work.click, click))


@router.post("/sessions/{session}/paint", response_model=schema.Step, responses=UNKNOWN)
async def paint(
    errand: Mine,
    session: str,
    mask: Mask,
    box: Annotated[schema.BoxText, Form(description="x0,y0,x1,y1 that the mask replaces, half-open; of its size")],
) -> Response:
    """A stroke made by hand: what lies in a box is replaced, the clicks stay in force."""
    return as_json(await errand.on_growing_session(session, work.paint, mask.file, box))


@router.put("/sessions/{session}/mask", response_model=schema.Step, responses=UNKNOWN)
async def set_mask(errand: Mine, session: str, mask: Mask) -> Response:
    """Another mask; the clicks so far end with it."""
    return as_json(await errand.on_growing_session(session, work.set_mask, mask.file))


@router.post("/sessions/{session}/accept", response_model=schema.Step, responses=UNKNOWN)
async def accept(errand: Mine, session: str, place: schema.PlaceRequest) -> Response:
    """Writes the withheld region that holds a pixel."""
    return as_json(await errand.on_growing_session(session, work.accept, place))


@router.post("/sessions/{session}/accept-all", response_model=schema.Step, responses=UNKNOWN)
async def accept_all(errand: Mine, session: str) -> Response:
    """Writes every withheld region, as one step."""
    return as_json(await errand.on_growing_session(session, work.step, Session.accept_all))


@router.post("/sessions/{session}/reset", response_model=schema.Step, responses=UNKNOWN)
async def reset(errand: Mine, session: str) -> Response:
    """Back to the mask that the session began with; can be undone."""
    return as_json(await errand.on_growing_session(session, work.step, Session.reset))


@router.post("/sessions/{session}/undo", response_model=schema.Step, responses=UNKNOWN)
async def undo(errand: Mine, session: str) -> Response:
    """Takes back the last step."""
    return as_json(await errand.on_session(session, work.step, Session.undo))


@router.post("/sessions/{session}/redo", response_model=schema.Step, responses=UNKNOWN)
async def redo(errand: Mine, session: str) -> Response:
    """Does the last undone step again."""
    return as_json(await errand.on_session(session, work.step, Session.redo))


@router.get("/sessions/{session}/mask.png", response_class=Response, responses=UNKNOWN | {200: {"content": PNG}})
async def mask_png(errand: Mine, session: str) -> Response:
    """The mask as PNG of the photo's size: grey, 0 and 255."""
    return Response(await errand.on_session(session, work.png_of), media_type="image/png")


@router.get("/sessions/{session}/rle", response_model=schema.Rle, responses=UNKNOWN)
async def mask_rle(errand: Mine, session: str) -> Response:
    """The mask as COCO's run-length code."""
    return as_json(await errand.on_session(session, work.rle_of))


@router.get("/sessions/{session}/polygons", response_model=schema.Polygons, responses=UNKNOWN)
async def mask_polygons(errand: Mine, session: str, tolerance: Tolerance = 1.0) -> Response:
    """The mask as polygons of few vertices, none of them further from the mask than the tolerance."""
    return as_json(await errand.on_session(session, work.polygons_of, tolerance))
