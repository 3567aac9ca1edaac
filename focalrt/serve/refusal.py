"""A request that goes no further."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from starlette.responses import HTMLResponse, JSONResponse, Response


class Refusal(Exception):
    """Why a request is refused: the status, one sentence for people, and further headers of the response."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        """See the class."""
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers

    def response(self) -> Response:
        """``{"detail": "the sentence"}``, as every error of a service looks."""
        return JSONResponse({"detail": self.detail}, self.status, self.headers)


class Onward(Refusal):
    """A request that goes no further because its answer is a page that goes to another address of the service."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        """``address``: from the path on."""
        super().__init__(200, f"to {address}", headers)
        self.address = address

    def response(self) -> Response:
        """The page, which follows its own link."""
        address = escape(self.address)
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={address}"><a href="{address}">Go on</a>'
        return HTMLResponse(page, self.status, self.headers)
