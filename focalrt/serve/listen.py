"""From an application to a process that answers at an address."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from ipaddress import ip_address
from secrets import token_urlsafe

import uvicorn
from starlette.types import ASGIApp

WAITING = 128  # connections that the system keeps until the service takes them
PATIENCE = 10  # seconds that requests under way are given at the end


def bound(host: str, port: int) -> socket.socket:
    """A socket for a host and a port; port 0 takes any that is free. Raises OSError where that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named, asyncio sends small packets at once; without, many an answer takes 40 ms more
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two processes listen at one address
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(WAITING)  # from now on, clients wait to be answered, and are not turned away
    except OSError as error:
        listening.close()
        raise OSError(f"cannot listen at {host} port {port}: {error.strerror or error}") from error
    return listening


def new_token() -> str:
    """A token that nobody guesses."""
    return token_urlsafe(24)


def address(listening: socket.socket, token: str) -> str:
    """What a browser is given to open."""
    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"


def is_local(listening: socket.socket) -> bool:
    """Whether nobody but this machine reaches a socket."""
    return ip_address(listening.getsockname()[0]).is_loopback


def run(app: ASGIApp, listening: socket.socket) -> None:
    """Answers until the process is interrupted. Quiet: warnings and errors alone are logged, to standard error."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=PATIENCE,
    )
    with suppress(KeyboardInterrupt):  # uvicorn ends in order, and then passes the interrupt on
        uvicorn.Server(config).run(sockets=[listening])
