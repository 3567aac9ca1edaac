"""The service as an application."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import FastAPI

from .. import __version__
from ..model import Model
from .guard import LOOPBACK, Guard
from .metrics import Measured
from .problems import add_problems
from .routes import open_router, router
from .service import Limits, Service


def create_app(
    model: Model, token: str, *, hosts: Collection[str] = LOOPBACK, limits: Limits | None = None
) -> FastAPI:
    """The service as an ASGI application, for any server that runs it in one process.

    token: what clients have to show, hosts: by which names they may call it (see :class:`focalrt.serve.guard.Guard`).
    Raises ArgumentValueError for a token that is no good.
    """
    limits = limits or Limits()
    service = Service(model, limits)
    app = FastAPI(
        title="focalrt",
        version=__version__,
        description="Click-based interactive segmentation: clicks on a photo become a mask.",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        lifespan=service.lifespan,
    )
    app.state.service = service
    app.include_router(open_router)
    app.include_router(router)
    add_problems(app)
    app.add_middleware(Guard, token=token, hosts=hosts, most_bytes=limits.upload_bytes, open_paths=["/health"])
    app.add_middleware(Measured, metrics=service.metrics)
    return app
