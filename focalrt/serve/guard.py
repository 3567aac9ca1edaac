"""Who may speak to a service of this package, and how much they may say; for any Starlette or FastAPI application.

    app.add_middleware(Guard, token=token, hosts=LOOPBACK, most_bytes=upload.MOST_BYTES)

What is checked of a request, in this order:

1. ``Host`` is one of ``hosts``, whatever the port: a name that a foreign page points at this machine gets nowhere.
2. ``Origin``, where there is one, is this service; ``null`` is not.
3. The token: as ``Authorization: Bearer TOKEN`` (programs), or in a cookie (browsers). A browser gets the cookie by
   opening any page with ``?token=TOKEN`` once, and is sent on to the same address without it; after a link on a page of
   another origin by a page, for a redirect would be that page's request and come without the cookie. Browsers send a
   cookie to every port of a host; so with the cookie, a request that changes something must tell its origin, too.
4. The body: uploads (multipart, image) have at most ``most_bytes``, others 1 MiB, counted as they come, whatever
   ``Content-Length`` says; all bodies under way together have at most four times ``most_bytes``.

A refusal is JSON, ``{"detail": "a sentence"}``. Every response gets the headers that keep it out of frames, caches and
foreign pages, where the application has not set them itself. WebSockets are closed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from secrets import compare_digest
from urllib.parse import quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import ArgumentValueError
from .body import Account, Body, too_large
from .refusal import Onward, Refusal

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
NOTHING_LOADS = "default-src 'none'; frame-ancestors 'none'"  # the Content-Security-Policy of a service without pages
TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")  # what an address, a header and a cookie hold as it is
HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::[0-9]+)?")
UPLOADS = ("multipart/form-data", "image/", "application/octet-stream")
MOST_TEXT = 1 << 20  # bytes of a body that is no upload
AT_ONCE = 4  # largest uploads that may be under way together
READING = ("GET", "HEAD", "OPTIONS")
ALONE = ("host", "origin", "authorization", "content-length", "content-type")  # headers that may not come twice


class Guard:
    """ASGI middleware: see the module."""

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        hosts: Collection[str],
        most_bytes: int,
        *,
        open_paths: Collection[str] = (),
        policy: str = NOTHING_LOADS,
    ) -> None:
        """Guards ``app``.

        token: the secret, 16 to 200 of letters, digits and ``-._~``. hosts: names and addresses, without port, by
        which clients may call the service. most_bytes: of one upload, as it is sent. open_paths: paths that need no
        token. policy: the Content-Security-Policy. Raises ArgumentValueError for another token.
        """
        check_token(token)
        self._app = app
        self._token = token
        self._hosts = frozenset(host.lower() for host in hosts)
        self._most_bytes = most_bytes
        self._open_paths = frozenset(open_paths)
        self._headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }
        self._account = Account(AT_ONCE * most_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] == "http":
            await self._answer(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request and its response."""
        try:
            limit = self._check(HTTPConnection(scope))
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)
            return
        body = Body(receive, send, limit, self._account)
        try:
            await self._app(scope, body.receive, body.send)
        except Exception:
            if not body.unanswered:
                raise
        finally:
            body.close()
        if body.unanswered:
            await body.unanswered.response()(scope, receive, send)

    def _check(self, request: HTTPConnection) -> int:
        """Raises Refusal for a request that goes no further; returns the bytes that its body may have."""
        for name in ALONE:
            if len(request.headers.getlist(name)) > 1:
                raise Refusal(400, f"{name}: expected one header of that name")
        self._check_host(request)
        check_origin(request)
        if request.scope["path"] not in self._open_paths:
            self._check_token(request)
        return self._check_length(request)

    def _check_host(self, request: HTTPConnection) -> None:
        """Refuses requests to a name that is not ours."""
        host = request.headers.get("host", "")
        if bare(host) not in self._hosts:
            raise Refusal(421, f"Host {host[:80]!r} is not served here; the option --allow-host allows another name")

    def _check_token(self, request: HTTPConnection) -> None:
        """Refuses strangers; raises the welcome of whoever shows the token in the address."""
        shown_in_address = request.query_params.get("token") if request.scope["method"] in READING else None
        if "authorization" in request.headers:
            scheme, _, shown = request.headers["authorization"].partition(" ")
            if scheme.lower() != "bearer" or not self._is_token(shown.strip()):
                raise Refusal(401, "Authorization: expected Bearer and the right token", {"WWW-Authenticate": "Bearer"})
        elif shown_in_address is not None and self._is_token(shown_in_address):
            raise self._welcome(request)
        elif self._is_token(request.cookies.get(cookie_name(request), "")):
            check_own_page(request)  # an old address among the bookmarks does no harm
        elif shown_in_address is not None:
            raise Refusal(401, "token: not the one that the service told when it began")
        else:
            advice = "open the address that the service told when it began, or send Authorization: Bearer TOKEN"
            raise Refusal(401, f"no token: {advice}", {"WWW-Authenticate": "Bearer"})

    def _is_token(self, shown: str) -> bool:
        """Whether it is the token; takes as long for one wrong guess as for another."""
        return compare_digest(shown.encode(), self._token.encode())

    def _welcome(self, request: HTTPConnection) -> Refusal:
        """The answer to the right token in an address: a cookie, and the way to the same address without the token.

        A redirect keeps what follows "#"; after a link on a page of another origin it has to be a page of our own.
        """
        rest = urlencode([(name, value) for name, value in request.query_params.multi_items() if name != "token"])
        path = "/" + quote(request.scope["path"].lstrip("/"))  # two slashes would lead to another host
        attributes = "HttpOnly; SameSite=Strict; Path=/" + ("; Secure" if request.scope["scheme"] == "https" else "")
        cookie = f"{cookie_name(request)}={self._token}; {attributes}"
        address = f"{path}?{rest}" if rest else path
        if comes_from_elsewhere(request):
            return Onward(address, {"Set-Cookie": cookie})
        return Refusal(303, "the token is in a cookie now", {"Location": address, "Set-Cookie": cookie})

    def _check_length(self, request: HTTPConnection) -> int:
        """Refuses a Content-Length beyond what the body may have; returns that."""
        upload = request.headers.get("content-type", "").lower().startswith(UPLOADS)
        limit = self._most_bytes if upload else min(MOST_TEXT, self._most_bytes)
        length = request.headers.get("content-length", "0")
        if not re.fullmatch("[0-9]{1,18}", length):
            raise Refusal(400, "Content-Length: expected a number of bytes")
        if int(length) > limit:
            raise too_large(limit)
        return limit

    def _with_headers(self, send: Send) -> Send:
        """Adds what every response carries."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        return sending


def check_token(token: str) -> None:
    """Raises ArgumentValueError for a token that is easy to guess, or that a cookie does not hold as it is."""
    if not TOKEN.fullmatch(token):
        raise ArgumentValueError("token: expected 16 to 200 letters, digits and -._~")


def check_origin(request: HTTPConnection) -> None:
    """Refuses pages of other origins, and pages that hide theirs."""
    origin = request.headers.get("origin")
    host = request.headers["host"].lower()
    if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):  # https: of a proxy
        raise Refusal(403, f"Origin {origin[:80]!r} is not this service; pages of other origins may not use it")


def comes_from_elsewhere(request: HTTPConnection) -> bool:
    """Whether a browser says that a page of another origin began this."""
    return request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none")


def check_own_page(request: HTTPConnection) -> None:
    """Of requests with the cookie, refuses those that a page of another origin may have caused."""
    if comes_from_elsewhere(request):
        raise Refusal(403, "a page of another origin asked for this; only the service's own pages may")
    if request.scope["method"] not in READING and "origin" not in request.headers:
        raise Refusal(403, "no Origin: with the cookie, only the service's own pages may change something")


def bare(host: str) -> str:
    """A host in lower case, without its port and, where it is an IPv6 address, without brackets."""
    parts = HOST.fullmatch(host)
    return parts[1].strip("[]").lower() if parts else ""


def cookie_name(request: HTTPConnection) -> str:
    """One for every port: browsers keep the cookies of all ports of a host together."""
    port = request.headers["host"].rpartition(":")[2]
    return f"focalrt-{port}" if port.isdigit() else "focalrt"
