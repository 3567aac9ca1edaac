"""Label Studio's ML backend behind HTTP: ``python -m focalrt.adapters.label_studio_app``; needs the ``serve`` extra.

The surface is that of ``label_studio_ml/api.py``: GET ``/``, ``/health``; POST ``/setup``, ``/predict``, ``/webhook``;
basic authentication by ``BASIC_AUTH_USER`` and ``BASIC_AUTH_PASS``; errors as ``{"status": ..., "detail": ...}``.
Beyond it: bodies are JSON, which no page of another origin can send unasked, and have an end; nobody but this machine
is listened to unless there is a password; and where too many requests wait, others are told to come back.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from secrets import compare_digest
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ..errors import ArgumentValueError, FocalrtError, ModelError
from ..model import load
from ..serve.pool import Busy, Pool
from ..serve.refusal import Refusal
from .label_studio import Backend
from .label_studio_files import LabelStudioFiles

MOST_BODY = 32 << 20  # bytes of a request: brush regions are lists of numbers
WORKERS, QUEUE = 2, 30  # requests that are worked on, and that wait
LOOPBACK = ("127.0.0.1", "localhost")
PORT = 9090  # what Label Studio proposes


def application(backend: Backend, *, user: str | None = None, password: str | None = None) -> Starlette:
    """The ASGI application.

    user, password: what Label Studio must know; without both, whoever is on this machine is let in. Raises
    ArgumentValueError for one without the other.
    """
    if (user is None) != (password is None):
        raise ArgumentValueError("user, password: expected both or neither; got one, which would protect nothing")
    secret = None if user is None else f"{user}:{password}".encode()
    pool = Pool(WORKERS, QUEUE)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        pool.close()

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "UP", "model_class": "focalrt"})

    async def predict(request: Request) -> JSONResponse:
        body = await admitted(request)
        return JSONResponse({"results": await pool.run(backend.predict, body)})

    async def setup(request: Request) -> JSONResponse:
        await admitted(request)
        return JSONResponse({"model_version": backend.model_version})

    async def webhook(request: Request) -> JSONResponse:
        await admitted(request)
        return JSONResponse({"result": None, "status": "ok"}, 201)

    async def admitted(request: Request) -> Any:
        check_password(request, secret)
        return await read_json(request)

    return Starlette(
        routes=[
            Route("/", health),
            Route("/health", health),
            Route("/predict", predict, methods=["POST"]),
            Route("/setup", setup, methods=["POST"]),
            Route("/webhook", webhook, methods=["POST"]),
        ],
        middleware=[] if secret else [Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)],
        exception_handlers={Refusal: refused, FocalrtError: unfit, Busy: busy},
        lifespan=lifespan,
    )


def check_password(request: Request, secret: bytes | None) -> None:
    """Refuses strangers; takes as long for one wrong guess as for another."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    try:
        credentials = b64decode(shown, validate=True) if scheme.lower() == "basic" else b""
    except ValueError:
        credentials = b""
    if secret is not None and not compare_digest(credentials, secret):
        detail = "expected the user and password of BASIC_AUTH_USER and BASIC_AUTH_PASS"
        raise Refusal(401, detail, {"WWW-Authenticate": 'Basic realm="focalrt"'})


async def read_json(request: Request) -> Any:
    """The body, which ends before its limit, as JSON. Raises Refusal."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "Content-Type: expected application/json")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BODY:
            raise Refusal(413, f"the body: expected at most {MOST_BODY} bytes")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"the body: expected JSON ({error})") from None


async def refused(_: Request, error: Any) -> JSONResponse:
    """The response to a request that goes no further."""
    return JSONResponse({"status": error.status, "detail": error.detail}, error.status, error.headers)


async def unfit(_: Request, error: Exception) -> JSONResponse:
    """The response to a request that does not fit, or where the model fails."""
    status = 500 if isinstance(error, ModelError) else 400
    return JSONResponse({"status": status, "detail": str(error)}, status)


async def busy(_: Request, error: Any) -> JSONResponse:
    """The response where too many wait."""
    return JSONResponse({"status": 503, "detail": str(error)}, 503, {"Retry-After": str(error.retry_after)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the backend until it is stopped. Exit status: 1 something is missing or broken, 2 arguments do not fit."""
    options = parser().parse_args(arguments)
    environment = os.environ.get
    user, password = environment("BASIC_AUTH_USER") or None, environment("BASIC_AUTH_PASS") or None
    if bool(user) != bool(password):
        there, missing = ("USER", "PASS") if user else ("PASS", "USER")
        print(f"BASIC_AUTH_{there} without BASIC_AUTH_{missing}: set both or neither", file=sys.stderr)
        return 2
    if options.host not in LOOPBACK and not user:
        print(f"--host {options.host}: set BASIC_AUTH_USER and BASIC_AUTH_PASS to listen to others", file=sys.stderr)
        return 2
    try:
        files = LabelStudioFiles(
            environment("LABEL_STUDIO_URL") or environment("LABEL_STUDIO_HOST") or None,
            environment("LABEL_STUDIO_API_KEY") or environment("LABEL_STUDIO_ACCESS_TOKEN") or None,
            options.allow_host,
        )
        backend = Backend(load(options.model, threads=options.threads), files.read)
    except FocalrtError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, ArgumentValueError) else 1
    import uvicorn

    uvicorn.run(application(backend, user=user, password=password), host=options.host, port=options.port)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    top = argparse.ArgumentParser(
        prog="python -m focalrt.adapters.label_studio_app", description="Label Studio's ML backend"
    )
    top.add_argument("--model", metavar="NAME|FOLDER", help="model to use (see: focalrt models)")
    top.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all cores, at most 4)")
    top.add_argument("--host", default=LOOPBACK[0], help="address to listen on (default: %(default)s)")
    top.add_argument("--port", type=int, default=PORT, help="port to listen on (default: %(default)s)")
    top.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="fetch images from this host too; repeatable"
    )
    return top


if __name__ == "__main__":
    sys.exit(main())
