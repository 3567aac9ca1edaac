"""Images of Label Studio's tasks, fetched from Label Studio itself and from hosts that were named, and nowhere else.

What a task may tell, and where that is fetched (as ``label_studio_sdk`` does, in memory and within bounds):

    /data/upload/..., /data/local-files/?d=..., upload/...    Label Studio, with its token
    s3://..., gs://..., azure-blob://...                      Label Studio, which sends on to the storage
    http://..., https://...                                   that host, if it is Label Studio's or was allowed by name
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection
from http.client import HTTPException, HTTPMessage
from time import monotonic
from typing import IO, Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import ArgumentValueError, FocalrtError, ImageFileError, ImageTooLargeError
from ..upload import MOST_BYTES

STORAGES = ("s3:", "gs:", "azure-blob:")
FILES = ("/data/", "/storage-data/", "/tasks/")  # where Label Studio serves files
PATIENCE = 10.0  # seconds without a byte
LONGEST = 30.0  # seconds for a whole file
CHUNK = 1 << 20
AS_THEY_ARE = "!#$%&'()*+,/:;=?@[]~"  # characters that are not quoted in an address


class LabelStudioFiles:
    """Reads images for :class:`.label_studio.Backend`."""

    def __init__(self, url: str | None = None, token: str | None = None, allowed: Collection[str] = ()) -> None:
        """url: of Label Studio, http(s)://host[:port][/path]. token: of one of its users, of either kind that Label
        Studio makes. allowed: names of other hosts that images may be fetched from.

        Raises ArgumentValueError for an address that is none, and for a token that no header can hold.
        """
        if url is not None and not is_web(url):
            raise ArgumentValueError(f"url: expected Label Studio's address, as http://localhost:8080; got {url!r}")
        if token is not None and not is_printable(token):
            raise ArgumentValueError(
                f"token: expected one line of printable ASCII; got {len(token)} characters, not all of that "
                "kind; copy it anew, as Label Studio shows it"
            )
        self._url = (url or "").rstrip("/")
        self._token = token
        self._allowed = frozenset(host.lower() for host in allowed)

    def read(self, place: str, task: Any) -> bytes:
        """The content of a file, at most ``upload.MOST_BYTES``.

        place: as a task tells it. task: the task's id, needed for storages. Raises ArgumentValueError for a place that
        is not to be fetched from, ImageFileError where fetching fails, ImageTooLargeError.
        """
        try:
            address = self._address(place, task)
        except UnicodeEncodeError:
            told = f"{place[:200]!r} of task {str(task)[:200]!r}"
            raise ArgumentValueError(f"the task's image: expected text; got half a surrogate pair in {told}") from None
        redirects = Redirects(is_web if self._is_file(address) else self._allows)
        return fetch(Request(address, headers=self._headers(address)), redirects, place)

    def _address(self, place: str, task: Any) -> str:
        """Where a place is fetched from."""
        if place.startswith(STORAGES):
            source = urlsafe_b64encode(place.encode()).decode()
            return f"{self._label_studio()}/tasks/{quote(str(task), safe='')}/presign/?fileuri={source}"
        path = f"/data/{place.lstrip('/')}" if place.startswith(("upload/", "/upload/")) else place
        address = quote(self._label_studio() + path if path.startswith("/") else path, safe=AS_THEY_ARE)
        if self._is_file(address) or (self._allows(address) and not path.startswith("/")):
            return address
        raise ArgumentValueError(
            f"the task's image: expected a file in Label Studio or on an allowed host; got {place[:200]!r}; the option "
            "--allow-host allows another host"
        )

    def _label_studio(self) -> str:
        if not self._url:
            raise ArgumentValueError(
                "the task's image lies in Label Studio: tell its address and a token when the backend starts, in "
                "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY"
            )
        return self._url

    def _is_label_studio(self, address: str) -> bool:
        """Whether scheme, host and port are Label Studio's."""
        return bool(self._url) and origin(address) == origin(self._url)

    def _is_file(self, address: str) -> bool:
        """Whether Label Studio serves files there; it may send on to its storage, wherever that is."""
        served = self._is_label_studio(address) and address.startswith(tuple(self._url + path for path in FILES))
        return served and ".." not in unquote(urlsplit(address).path).split("/")

    def _allows(self, address: str) -> bool:
        """Whether an address, told by a task or by a host that sends on to it, may be fetched from."""
        return is_web(address) and (self._is_label_studio(address) or urlsplit(address).hostname in self._allowed)

    def _headers(self, address: str) -> dict[str, str]:
        """The token, for Label Studio only."""
        if not self._token or not self._is_label_studio(address):
            return {}
        if self._token.count(".") != 2:  # the older kind
            return {"Authorization": f"Token {self._token}"}
        body = json.dumps({"refresh": self._token}).encode()
        refresh = Request(f"{self._url}/api/token/refresh/", body, {"Content-Type": "application/json"})
        try:
            access = json.loads(fetch(refresh, Redirects(self._is_label_studio), "the token"))["access"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ImageFileError(f"Label Studio does not take the token ({error})") from None
        if not isinstance(access, str) or not is_printable(access):  # http.client's error would tell it
            raise ImageFileError("Label Studio does not take the token (its answer is no line of printable ASCII)")
        return {"Authorization": f"Bearer {access}"}


class Redirects(HTTPRedirectHandler):
    """Follows to addresses that may be fetched from, and keeps the token from other hosts."""

    def __init__(self, allows: Callable[[str], bool]) -> None:
        """allows: tells of an address whether it may be fetched from."""
        self._allows = allows

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The request to follow with. Raises ArgumentValueError for an address that is not to be fetched from."""
        if not self._allows(newurl):
            raise ArgumentValueError(f"the task's image: its host sends on to {newurl[:200]!r}, which is not allowed")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is not None and origin(newurl) != origin(req.full_url):
            following.remove_header("Authorization")
        return following


def fetch(request: Request, redirects: Redirects, name: str) -> bytes:
    """The body of the response. Raises ImageFileError, ImageTooLargeError, and what the redirects raise."""
    until = monotonic() + LONGEST
    content = bytearray()
    try:
        with build_opener(redirects).open(request, timeout=PATIENCE) as response:
            while chunk := response.read1(CHUNK):
                content += chunk
                if len(content) > MOST_BYTES:
                    raise ImageTooLargeError(f"{name[:200]!r}: expected at most {MOST_BYTES} bytes")
                if monotonic() > until:
                    raise TimeoutError(f"not whole after {LONGEST:g} s")
    except FocalrtError:
        raise
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address to follow to that is none
        raise ImageFileError(f"{name[:200]!r} cannot be fetched: {error}") from None
    return bytes(content)


def origin(address: str) -> tuple[str, str] | None:
    """Scheme, and host with port, of http(s)://host[:port]...; None for everything else."""
    try:
        parts = urlsplit(address)
        web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, half an IPv6 address
        return None
    return (parts.scheme, parts.netloc) if web else None


def is_web(address: str) -> bool:
    """Whether it is an address on the web."""
    return origin(address) is not None


def is_printable(token: str) -> bool:
    """Whether a header can hold it: ASCII, and no line break or other control character."""
    return token.isascii() and token.isprintable()
