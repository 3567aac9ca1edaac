"""A request that goes no further."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse


class Refusal(Exception):
    """Why a request is refused: the status, one sentence for people, and further headers of the response."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """See the class."""
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers

    def response(self) -> JSONResponse:
        """``{"detail": "the sentence"}``, as every error of a service looks."""
        return JSONResponse({"detail": self.detail}, self.status, self.headers)
