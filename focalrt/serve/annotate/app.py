"""The addresses of the annotation page and its backend."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ...errors import FocalrtError, ImageFileError, ImageTooLargeError, ModelError
from ..pool import Busy, Pool
from . import actions, folder
from .desk import StaleError, UnknownObjectError
from .project import UnknownImageError
from .workbench import Workbench

PAGE = Path(__file__).parent / "page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ID = re.compile(r"[0-9]{1,6}")
STATUS = {
    UnknownImageError: 404,
    UnknownObjectError: 404,
    ImageTooLargeError: 413,
    ImageFileError: 415,
    ModelError: 500,
}


def application(bench: Workbench, model: str, models: Sequence[str], pool: Pool) -> Starlette:
    """The page and its backend, without a guard.

    model: the name of the one in use. models: of those that are installed. pool: of threads. Pool and workbench are
    closed with the application.
    """
    backend = Backend(bench, model, models, pool)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        pool.close()
        bench.close()

    image = "/api/images/{name:path}"
    one = image + "/objects/{id}"
    return Starlette(
        routes=[
            Route("/", backend.page),
            Route("/page/{file}", backend.page),
            Route("/api/project", backend.project),
            Route("/api/saved", backend.saved),
            Route("/api/coco", backend.coco),
            Route(image + "/photo", backend.photo),
            Route(image + "/mask.png", backend.id_map),
            Route(image + "/coco", backend.image_coco),
            Route(image + "/open", backend.image(actions.open_image), methods=["POST"]),
            Route(image + "/import", backend.image(actions.add_file), methods=["POST"]),
            Route(image + "/objects", backend.image(actions.create), methods=["POST"]),
            Route(one, backend.object(actions.describe), methods=["PATCH"]),
            Route(one, backend.object(actions.delete), methods=["DELETE"]),
            Route(one + "/restore", backend.object(actions.restore), methods=["POST"]),
            *(Route(f"{one}/{step}", backend.object(act), methods=["POST"]) for step, act in actions.STEPS.items()),
        ],
        exception_handlers={
            StaleError: stale,
            FocalrtError: refused,
            Busy: busy,
            OSError: broken,
            HTTPException: no_such_address,
            Exception: broken,
        },
        lifespan=lifespan,
    )


class Backend:
    """The endpoints. Nothing that reads a file, decodes or computes runs on the event loop."""

    def __init__(self, bench: Workbench, model: str, models: Sequence[str], pool: Pool) -> None:
        """See :func:`application`."""
        self._bench, self._model, self._models, self._run = bench, model, models, pool.run

    async def page(self, request: Request) -> Response:
        """The page, its scripts and its styles: files of one folder, by their names."""
        path = PAGE / request.path_params.get("file", "index.html")
        if path.suffix not in TYPES or path not in PAGE.iterdir():
            raise HTTPException(404)
        return FileResponse(path, media_type=TYPES[path.suffix])

    async def project(self, request: Request) -> Response:
        """The folder and its images."""
        overview = await self._run(folder.overview, self._bench)
        return JSONResponse({**overview, "model": self._model, "models": list(self._models)})

    async def saved(self, request: Request) -> Response:
        """How many images have changes that are not on the disk, and why."""
        return JSONResponse({"pending": self._bench.saver.pending, "error": self._bench.saver.error})

    async def coco(self, request: Request) -> Response:
        """One COCO document of the folder."""
        return JSONResponse(await self._run(folder.coco, self._bench))

    async def photo(self, request: Request) -> Response:
        """A photo, for the browser."""
        content, kind = await self._run(actions.photo, self._bench, request.path_params["name"])
        return Response(content, media_type=kind)

    async def id_map(self, request: Request) -> Response:
        """An image's objects as a PNG."""
        content = await self._run(actions.id_map, self._bench, request.path_params["name"])
        return Response(content, media_type="image/png")

    async def image_coco(self, request: Request) -> Response:
        """An image's objects as COCO."""
        return JSONResponse(await self._run(actions.coco, self._bench, request.path_params["name"]))

    def image(self, action: Callable[[Workbench, str, bytes], Any]) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that does something with an image."""

        async def endpoint(request: Request) -> Response:
            name = request.path_params["name"]
            return JSONResponse(await self._run(action, self._bench, name, await request.body()))

        return endpoint

    def object(self, action: Callable[[Workbench, str, int, bytes], Any]) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint that does something with an object."""

        async def endpoint(request: Request) -> Response:
            name, id = request.path_params["name"], request.path_params["id"]
            if not ID.fullmatch(id):
                raise HTTPException(404)
            answer = await self._run(action, self._bench, name, int(id), await request.body())
            return Response(status_code=204) if answer is None else JSONResponse(answer)

        return endpoint


async def stale(request: Request, error: Exception) -> Response:
    """A page that shows an older state gets the newer one."""
    assert isinstance(error, StaleError)
    return JSONResponse({"detail": str(error), "object": error.described}, 409)


async def refused(request: Request, error: Exception) -> Response:
    """What does not fit is refused with the error's own sentence."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 400)
    return JSONResponse({"detail": str(error)}, status)


async def busy(request: Request, error: Exception) -> Response:
    """Too much to do; the page tries again."""
    assert isinstance(error, Busy)
    return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(error.retry_after)})


async def broken(request: Request, error: Exception) -> Response:
    """The disk, or this program, failed."""
    return JSONResponse({"detail": f"{type(error).__name__}: {error}"}, 500)


async def no_such_address(request: Request, error: Exception) -> Response:
    """No such address, or not with this method."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": f"{request.method} {request.url.path[:200]}: {error.detail}"}, error.status_code)
