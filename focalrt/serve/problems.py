"""Every error of the service as a status and ``{"detail": "a sentence"}``, which does not repeat what was sent."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ..errors import ArgumentTypeError, ArgumentValueError, ImageFileError, ImageTooLargeError
from .pool import Busy, Unwanted
from .refusal import Refusal
from .sessions import Full, UnknownSession

LONGEST = 300  # characters of a sentence
LATER = {"Retry-After": "30"}  # when memory may be free again
STATUS = {
    ArgumentTypeError: 422,
    ArgumentValueError: 422,
    ImageFileError: 422,
    ImageTooLargeError: 413,
    UnknownSession: 404,
    Unwanted: 499,  # reaches nobody but the counts, where it has the number that other servers give it
}


def add_problems(app: FastAPI) -> None:
    """Adds a handler for every error that a request may run into."""
    for kind in (*STATUS, Busy, Full, MemoryError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, answer)


def answer(request: Request, error: Exception) -> Response:
    """The response to a request that an error ended."""
    return refusal_of(request, error).response()


def refusal_of(request: Request, error: Exception) -> Refusal:
    """Status, sentence and headers for an error."""
    for kind in type(error).__mro__:
        if kind in STATUS:
            return Refusal(STATUS[kind], str(error)[:LONGEST])
    if isinstance(error, RequestValidationError):
        return Refusal(422, sentence(error)[:LONGEST])
    if isinstance(error, HTTPException):
        return of_framework(request, error)
    if isinstance(error, Busy):
        return Refusal(503, str(error), {"Retry-After": str(error.retry_after)})
    if isinstance(error, Full):
        return Refusal(503, str(error), LATER)
    if isinstance(error, MemoryError):
        return Refusal(503, "no memory for this at the moment; come back later", LATER)
    return Refusal(500, "an error inside the service; its log tells more", {"Connection": "close"})  # the server does


def sentence(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request: which field, and what it should be."""
    first, *others = error.errors()
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    told = f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return f"{told} (and {len(others)} more)" if others else told


def of_framework(request: Request, error: HTTPException) -> Refusal:
    """What the framework refuses by itself, in words."""
    if error.status_code == 405:
        told = f"this address does not take {request.method[:20]}"
        return Refusal(405, told, dict(error.headers or {}) | allowed(request))
    if error.status_code == 404:
        return Refusal(404, "there is nothing at this address; /openapi.json describes what there is")
    return Refusal(error.status_code, str(error.detail)[:LONGEST], error.headers)


def allowed(request: Request) -> dict[str, str]:
    """The header that lists all methods of an address; the framework knows those of one route only."""
    path = getattr(request.scope.get("route"), "path", "")
    methods = sorted(method.upper() for method in request.app.openapi()["paths"].get(path, ()))
    return {"Allow": ", ".join(methods)} if methods else {}
