"""The guard before every service: names, origins, tokens, and bodies that are counted."""

import asyncio
import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette", reason="the guard is Starlette middleware, of the serve extra")

from focalrt.errors import ArgumentValueError
from focalrt.serve import body
from focalrt.serve.guard import LOOPBACK, MOST_TEXT, Guard

TOKEN = "secret-of-16-or-more"
HOST = "127.0.0.1:8000"
BEARER = {"authorization": f"Bearer {TOKEN}"}
COOKIE = {"cookie": f"focalrt-8000={TOKEN}"}
OWN = {"origin": f"http://{HOST}"}
UPLOAD = {"content-type": "multipart/form-data; boundary=x"}
MOST_BYTES = 3 << 20


async def echo(scope, receive, send):
    """Reads all of the body, and tells how much there was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"cache-control", b"private")]})
    await send({"type": "http.response.body", "body": f"{scope['path']} {size}".encode()})


def guarded(app=echo, **options):
    return Guard(app, TOKEN, LOOPBACK, MOST_BYTES, open_paths=["/health"], **options)


class Answer:
    """A response: status, headers (a list of pairs), content."""

    def __init__(self, messages):
        assert [message["type"] for message in messages] == ["http.response.start", "http.response.body"]
        self.status, self.content = messages[0]["status"], messages[1].get("body", b"")
        self.pairs = [(name.decode().lower(), value.decode()) for name, value in messages[0]["headers"]]
        self.headers = dict(self.pairs)

    @property
    def detail(self):
        told = json.loads(self.content)
        assert list(told) == ["detail"]
        return told["detail"]


async def exchange(guard, method="GET", path="/", headers=(), chunks=(b"",), query="", scheme="http"):
    """One request; ``headers``: a dict, or pairs; a Host is added where there is none."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    if "host" not in dict(pairs):
        pairs.insert(0, ("host", HOST))
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": scheme,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs if value is not None],
    }
    coming = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
    coming[-1]["more_body"] = False
    sent = []

    async def receive():
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await guard(scope, receive, send)
    return Answer(sent)


def ask(*arguments, guard=None, **options):
    return asyncio.run(exchange(guard or guarded(), *arguments, **options))


# ------------------------------------------------------------ names


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost", "LocalHost:80", "[::1]:8000", "[::1]", "127.0.0.1:1"]
)
def test_names_of_this_machine(host):
    assert ask(headers={"host": host} | BEARER).status == 200


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.",
        "localhost@evil.example",
        "localhost:80:80",
        "evil.example:127.0.0.1",
        "[::1",
        "::1",
        "[127.0.0.1]:8000]",
        ":8000",
        "0.0.0.0",
        "127.0.0.2",
        "localhost:8000/",
        "\u00e9",
    ],
)
def test_other_names(host):
    for path in ("/", "/health"):
        answer = ask("GET", path, {"host": host} | BEARER)
        assert answer.status == 421
        assert "--allow-host" in answer.detail


def test_another_name_that_is_allowed():
    guard = Guard(echo, TOKEN, [*LOOPBACK, "Labels.example"], MOST_BYTES)
    assert ask(guard=guard, headers={"host": "labels.EXAMPLE:443"} | BEARER).status == 200
    assert ask(guard=guard, headers={"host": "other.example"} | BEARER).status == 421


@pytest.mark.parametrize("name", ["host", "origin", "authorization", "content-type", "content-length"])
def test_a_header_that_comes_twice(name):
    first = {"host": HOST, **OWN, **BEARER, "content-type": "text/plain", "content-length": "0"}
    assert ask(headers=first).status == 200
    answer = ask(headers=[*first.items(), (name, first[name])])
    assert answer.status == 400 and name in answer.detail


# ------------------------------------------------------------ origins


@pytest.mark.parametrize("origin", [None, "http://127.0.0.1:8000", "HTTP://127.0.0.1:8000", "https://127.0.0.1:8000"])
def test_our_own_pages_and_programs(origin):
    assert ask("POST", headers={"origin": origin} | BEARER).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:3000",
        "http://localhost:8000",
        "http://127.0.0.1:8000.evil.example",
        "ftp://127.0.0.1:8000",
        "127.0.0.1:8000",
        "http://127.0.0.1:8000/",
        "http://127.0.0.1:8000, http://evil.example",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("shown", [BEARER, COOKIE])
def test_pages_of_other_origins(method, origin, shown):
    answer = ask(method, headers={"origin": origin} | shown)
    assert answer.status == 403
    assert "Origin" in answer.detail
    assert "access-control-allow-origin" not in answer.headers


def test_no_response_allows_other_origins():
    for answer in (ask(headers=BEARER), ask("OPTIONS", headers=BEARER), ask()):
        assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_with_the_cookie_a_change_needs_an_origin(method):
    assert ask(method, headers=COOKIE | OWN).status == 200
    assert ask(method, headers=BEARER).status == 200
    answer = ask(method, headers=COOKIE)
    assert answer.status == 403 and "Origin" in answer.detail


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
)
def test_the_cookie_of_pages_on_other_ports_is_not_enough(site, status):
    assert ask(headers=COOKIE | {"sec-fetch-site": site}).status == status


# ------------------------------------------------------------ tokens


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_programs_show_the_token(value):
    assert ask(headers={"authorization": value}).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN.upper()}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": TOKEN},
        {"authorization": "Bearer \u00e9\u00ff"},
        {"authorization": "Bearer wrong", **COOKIE},
        {"cookie": f"focalrt={TOKEN}"},
        {"cookie": f"focalrt-8001={TOKEN}"},
        {"cookie": "focalrt-8000="},
        {"cookie": "focalrt-8000=\u00e9; ;;=;"},
        {"x-token": TOKEN},
    ],
)
def test_strangers(headers):
    answer = ask(headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.content.decode()


@given(st.text(st.characters(codec="latin-1")))
def test_no_other_token_will_do(text):
    if text.strip() != TOKEN:
        assert ask(headers={"authorization": f"Bearer {text}"}).status == 401
        assert ask(headers={"cookie": f"focalrt-8000={text}"}).status == 401


def test_what_is_open_needs_none():
    assert ask("GET", "/health").status == 200
    for path in ("/health/", "/healthy", "//health", "/x/../health"):
        assert ask("GET", path).status == 401


def onward(answer):
    """Where an answer goes by itself: a redirect, or a page."""
    if answer.status == 303:
        return answer.headers["location"]
    assert answer.status == 200
    pages = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: pages.append((tag, dict(attributes)))
    reader.feed(answer.content.decode())
    assert answer.headers["content-type"].startswith("text/html")
    (refresh,) = (attributes for tag, attributes in pages if tag == "meta")
    assert refresh["http-equiv"] == "refresh"
    seconds, _, address = refresh["content"].partition("; url=")
    assert seconds == "0" and [attributes["href"] for tag, attributes in pages if tag == "a"] == [address]
    return address


@pytest.mark.parametrize("site", ["none", "same-site", "cross-site"])
def test_the_address_may_be_followed_from_any_page_and_goes_on_as_our_own(site):
    """A browser counts a redirect as a request of the page that held the link; a page of ours begins anew."""
    answer = ask(headers={"sec-fetch-site": site}, query=f"token={TOKEN}")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert answer.status == (303 if site == "none" else 200), "a redirect keeps what follows #"
    assert ask("GET", onward(answer), {"cookie": cookie, "sec-fetch-site": "same-origin"}).status == 200


def test_an_old_token_in_the_address_does_not_shut_out_the_cookie():
    assert ask(headers=COOKIE, query="token=of-an-earlier-start").status == 200
    assert ask(headers=COOKIE | {"sec-fetch-site": "cross-site"}, query="token=of-an-earlier-start").status == 403
    assert ask(headers={"authorization": "Bearer wrong"}, query=f"token={TOKEN}").status == 401


@pytest.mark.parametrize("site", ["none", "cross-site"])
def test_the_token_in_the_address_becomes_a_cookie(site):
    answer = ask("GET", "/photos", {"sec-fetch-site": site}, query=f"a=1&token={TOKEN}&b=%26&a=2")
    assert onward(answer) == "/photos?a=1&b=%26&a=2"
    assert TOKEN not in answer.content.decode()
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    assert cookie == f"focalrt-8000={TOKEN}"
    assert set(attributes) == {"HttpOnly", "SameSite=Strict", "Path=/"}
    assert ask(headers={"cookie": cookie}).status == 200
    assert "Secure" in ask("GET", "/", query=f"token={TOKEN}", scheme="https").headers["set-cookie"]
    assert ask("GET", "/", {"host": "localhost"}, query=f"token={TOKEN}").headers["set-cookie"].startswith("focalrt=")


@pytest.mark.parametrize("site", ["none", "cross-site"])
@pytest.mark.parametrize("path", ["//evil.example", "///evil.example/", "/\\evil.example", "/\r\nb"])
def test_nobody_is_sent_elsewhere(path, site):
    address = onward(ask("GET", path, {"sec-fetch-site": site}, query=f"token={TOKEN}&a=%22%3E%3Cscript%3E%27%3B"))
    assert address.startswith("/") and address[1:2] not in ("/", "\\")
    assert not set(address) & set("\\\r\n\"'<>; ")


@pytest.mark.parametrize("query", ["token=", "token=no", f"token={TOKEN}x", f"token={TOKEN}&token=no", "token=%ff"])
def test_a_wrong_token_in_the_address(query):
    answer = ask(query=query)
    assert answer.status == 401 and "set-cookie" not in answer.headers


def test_the_address_is_for_pages_only():
    assert ask("POST", "/", OWN, query=f"token={TOKEN}").status == 401


@pytest.mark.parametrize("token", ["", "x" * 15, "x" * 201, "with spaces in it, 16", "semi;" * 4, "\u00e9" * 20])
def test_tokens_that_will_not_do(token):
    with pytest.raises(ArgumentValueError, match="token: expected 16 to 200"):
        Guard(echo, token, LOOPBACK, MOST_BYTES)


# ------------------------------------------------------------ bodies


@pytest.mark.parametrize(
    ("kind", "limit"), [(UPLOAD, MOST_BYTES), ({"content-type": "image/png"}, MOST_BYTES), ({}, MOST_TEXT)]
)
@pytest.mark.parametrize("length", ["told", "not told", "told wrong"])
def test_a_body_as_large_as_its_limit_and_one_byte_more(kind, limit, length):
    for size, status in ((limit, 200), (limit + 1, 413)):
        chunks = [b"x" * (1 << 16)] * (size >> 16) + [b"x" * (size % (1 << 16))]
        told = {"told": {"content-length": str(size)}, "not told": {}, "told wrong": {"content-length": "5"}}[length]
        answer = ask("POST", headers=BEARER | kind | told, chunks=chunks)
        assert answer.status == status
        if status == 413:
            assert answer.detail == f"the body: expected at most {limit} bytes"
        else:
            assert answer.content == f"/ {size}".encode()


@pytest.mark.parametrize("length", ["-1", "1e3", "", "five", "0x10", "\u00b2", "9" * 19, "1, 1"])
def test_a_length_that_is_none(length):
    assert ask("POST", headers=BEARER | {"content-length": length}).status == 400


def test_the_refusal_stands_whatever_the_application_makes_of_it():
    async def hushing(scope, receive, send):
        try:
            await echo(scope, receive, send)
        except Exception:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"all is well"})

    assert ask("POST", headers=BEARER, chunks=[b"x" * MOST_TEXT, b"x"], guard=guarded(hushing)).status == 413


def test_errors_of_the_application_are_its_own():
    async def broken(scope, receive, send):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(headers=BEARER, guard=guarded(broken))


def test_bodies_under_way_are_counted_together():
    """The fifth upload of full size is told to come back; when the others have ended, there is room again."""

    async def play():
        gate = asyncio.Event()

        async def slow(scope, receive, send):
            while (await receive())["more_body"]:
                pass
            await gate.wait()
            await echo(scope, receive, send)

        guard = guarded(slow)
        upload = {"headers": BEARER | UPLOAD, "chunks": [bytes(MOST_BYTES)], "method": "POST"}
        tasks = [asyncio.create_task(exchange(guard, **upload)) for _ in range(4)]
        await asyncio.sleep(0)
        fifth = await exchange(guard, **(upload | {"chunks": [b"x"]}))
        gate.set()
        others = await asyncio.gather(*tasks)
        return fifth, others, await exchange(guard, **upload)

    fifth, others, later = asyncio.run(play())
    assert fifth.status == 503 and fifth.headers["retry-after"] == "1" and "try again" in fifth.detail
    assert {answer.status for answer in (*others, later)} == {200}


def test_a_body_that_stops_coming(monkeypatch):
    monkeypatch.setattr(body, "PATIENCE", 0.05)

    async def play():
        sent = []
        coming = [{"type": "http.request", "body": b"x", "more_body": True}]

        async def receive():
            return coming.pop() if coming else await asyncio.Event().wait()

        async def send(message):
            sent.append(message)

        headers = [(b"host", HOST.encode()), (b"authorization", BEARER["authorization"].encode())]
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
        await guarded()(scope, receive, send)
        return Answer(sent)

    answer = asyncio.run(play())
    assert answer.status == 408 and "nothing came for 0.05 s" in answer.detail


# ------------------------------------------------------------ the rest


def test_every_response_carries_the_headers():
    answers = [ask(headers=BEARER), ask(), ask("GET", "/health"), ask(headers={"host": "evil.example"})]
    answers += [ask(query=f"token={TOKEN}"), ask("POST", headers=BEARER, chunks=[bytes(MOST_TEXT), b"x"])]
    answers += [ask(headers={"sec-fetch-site": "cross-site"}, query=f"token={TOKEN}")]
    assert [answer.status for answer in answers] == [200, 401, 200, 421, 303, 413, 200]
    for answer in answers:
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert len(answer.headers) == len(answer.pairs)
    assert answers[0].headers["cache-control"] == "private"  # the application's own
    assert answers[1].headers["cache-control"] == "no-store"


def test_another_policy():
    answer = ask(headers=BEARER, guard=guarded(policy="default-src 'self'"))
    assert answer.headers["content-security-policy"] == "default-src 'self'"


def test_websockets_are_closed_and_the_lifespan_is_passed_on():
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    async def send(message):
        sent.append(message)

    for kind in ("websocket", "lifespan"):
        asyncio.run(guarded(app)({"type": kind, "headers": []}, None, send))
    assert seen == ["lifespan"]
    assert sent == [{"type": "websocket.close", "code": 1008}]
