"""The command ``focalrt serve``."""

from __future__ import annotations

import argparse
import os
import socket
import sys

TOKEN = "FOCALRT_TOKEN"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds it to the command line. Imports nothing: whoever asks for another command does not pay for this one."""
    told = "sessions and masks over HTTP, for programs"
    serve = commands.add_parser("serve", help=told, description=told[0].upper() + told[1:] + ".")
    serve.set_defaults(command=run_serve)
    add_address(serve)
    serve.add_argument("--model", metavar="NAME|FOLDER", help="model to use (see: focalrt models)")
    serve.add_argument("--models", metavar="DIR", help="folder of models (default: those that FOCALRT_MODELS lists)")
    serve.add_argument("--workers", type=positive, default=2, metavar="N", help="jobs at a time (default: 2)")
    serve.add_argument("--threads", type=int, metavar="N", help="processor threads of each (default: its share of 4)")
    serve.add_argument("--queue", type=positive, default=32, metavar="N", help="jobs that may wait (default: 32)")
    serve.add_argument(
        "--memory", type=positive, default=1024, metavar="MIB", help="of all sessions together (default: 1024)"
    )
    serve.add_argument(
        "--idle", type=positive, default=1800, metavar="SECONDS", help="until an unused session is gone (default: 1800)"
    )


def add_address(command: argparse.ArgumentParser) -> None:
    """The options that tell where a service listens, and to whom."""
    command.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine only)"
    )
    command.add_argument("--port", type=port, default=8000, help="0 takes any that is free (default: 8000)")
    command.add_argument(
        "--token", help=f"the secret, 16 to 200 letters, digits and -._~ (default: {TOKEN}, or a new one)"
    )
    command.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="another name that clients call this service"
    )


def positive(text: str) -> int:
    """An integer of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1; got {text!r}")
    return number


def port(text: str) -> int:
    """A port, or 0."""
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"expected a port, 0 to 65535; got {text!r}")
    return int(text)


def run_serve(arguments: argparse.Namespace) -> int:
    """``focalrt serve``."""
    from ..extras import imported

    for package in ("fastapi", "python_multipart", "prometheus_client", "uvicorn"):
        imported(package, "focalrt serve", "serve")
    from ..model import load
    from ..networks import available_threads
    from .app import create_app
    from .listen import address, bound, run
    from .service import Limits

    token = token_of(arguments)
    limits = Limits(
        workers=arguments.workers,
        queue=arguments.queue,
        session_bytes=arguments.memory << 20,
        idle=arguments.idle,
    )
    threads = arguments.threads
    if threads is None:
        threads = max(1, available_threads() // arguments.workers)
    model = load(arguments.model, threads=threads, models=arguments.models)
    with bound(arguments.host, arguments.port) as listening:
        print(address(listening, token), flush=True)
        run(create_app(model, token, hosts=hosts_of(arguments, listening), limits=limits), listening)
    return 0


def token_of(arguments: argparse.Namespace) -> str:
    """The token: given, of the environment, or new. Raises ArgumentValueError for one that will not do."""
    from .guard import check_token
    from .listen import new_token

    token: str = arguments.token or os.environ.get(TOKEN) or new_token()
    check_token(token)
    return token


def hosts_of(arguments: argparse.Namespace, listening: socket.socket) -> set[str]:
    """The names that clients may use, and the address that a name stands for; tells where others than this machine can
    reach the service.
    """
    from .guard import LOOPBACK
    from .listen import is_local

    if not is_local(listening):
        names = " ".join(arguments.allow_host) or "no other name: see --allow-host"
        print(f"focalrt: open to the network at {arguments.host}, without encryption; called {names}", file=sys.stderr)
    return {*LOOPBACK, arguments.host, listening.getsockname()[0], *arguments.allow_host}
