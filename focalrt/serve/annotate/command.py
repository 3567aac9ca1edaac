"""The command ``focalrt annotate``."""

from __future__ import annotations

import argparse
import os
import socket
import webbrowser
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING
from zlib import crc32

from ...errors import ArgumentValueError
from ...extras import imported

if TYPE_CHECKING:
    from .workbench import Workbench

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 20_000, 10_000
WORKERS, QUEUE = 4, 64  # threads for requests, and requests that wait for one


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds it to the command line. Imports nothing: whoever asks for another command does not pay for this."""
    told = "draw and correct masks in the browser, on this machine alone"
    command = commands.add_parser("annotate", help=told, description=told[0].upper() + told[1:] + ".")
    command.set_defaults(command=run_annotate)
    command.add_argument("path", metavar="FOLDER|IMAGE", help="photos; masks are saved beside them")
    told = "of the page (default: one that follows from the folder, or where that is taken one that is free)"
    command.add_argument("--port", type=int, metavar="N", help=told)
    command.add_argument("--token", metavar="TEXT", help="secret in the page's address (default: a new one)")
    command.add_argument("--no-browser", action="store_true", help="print the page's address, and open nothing")
    command.add_argument("--model", metavar="NAME|FOLDER", help="model to use (see: focalrt models)")
    command.add_argument("--threads", type=int, metavar="N", help="processor threads (default: all cores, at most 4)")
    command.add_argument("--models", metavar="DIR", help="folder of models (default: those that FOCALRT_MODELS lists)")


def run_annotate(arguments: argparse.Namespace) -> int:
    """Serves the page until it is interrupted; returns 1 where something could not be saved in the end."""
    for module in ("starlette", "uvicorn", "PIL"):
        imported(module, "focalrt annotate", "serve")

    from ...model import load
    from ..guard import check_token
    from ..listen import new_token
    from .project import Project
    from .workbench import Workbench

    if arguments.port is not None and not 0 <= arguments.port < 2**16:
        raise ArgumentValueError(f"--port: expected 1 to 65535, or 0 for one that is free; got {arguments.port}")
    token = arguments.token or new_token()
    check_token(token)
    project = Project(arguments.path)
    model = load(arguments.model, threads=arguments.threads, models=arguments.models)
    with bound_for(project.folder, arguments.port) as listening:
        bench = Workbench(project, model)
        try:
            serve(bench, listening, token, arguments)
        finally:
            lost = bench.close()
    return 1 if lost else 0


def bound_for(folder: Path, port: int | None) -> socket.socket:
    """A socket at a port; None: the folder's own, at which the browser finds what it keeps for the page, if it is free.

    Raises OSError where there is none.
    """
    from ..listen import bound

    if port is None:
        with suppress(OSError):  # taken
            return bound(HOST, port_of(folder))
    return bound(HOST, port or 0)


def port_of(folder: Path) -> int:
    """The same for a folder at every start, 20000 to 29999: systems give no such port to programs that take any."""
    return FIRST_PORT + crc32(os.fsencode(folder)) % PORTS


def serve(bench: Workbench, listening: socket.socket, token: str, arguments: argparse.Namespace) -> None:
    """Tells the page's address, opens it, and answers until a signal comes."""
    from ... import upload
    from ...zoo import DEFAULT, named_folders
    from ..guard import LOOPBACK, Guard
    from ..listen import address, run
    from ..pool import Pool
    from .app import POLICY, application

    models = sorted({name for name, _, _ in named_folders(arguments.models)})
    app = application(bench, str(arguments.model or DEFAULT), models, Pool(WORKERS, QUEUE))
    app.add_middleware(Guard, token=token, hosts=LOOPBACK, most_bytes=upload.MOST_BYTES, policy=POLICY)
    page = address(listening, token)
    print(f"focalrt: {bench.project.folder}: {page} (end with Ctrl+C)", flush=True)
    if not arguments.no_browser:
        Thread(target=webbrowser.open, args=(page,), daemon=True).start()  # browsers in a terminal do not return
    run(app, listening)
