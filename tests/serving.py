"""An application behind a real HTTP server: in a thread of the test, or the command in a process of its own."""

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

from command import ENVIRONMENT

TOKEN = "a-token-for-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ADDRESS = re.compile(r"http://(127\.0\.0\.1|localhost):(\d+)/\?token=(\S+)\n")


@contextmanager
def served(app):
    """The address of an ASGI application while it is served."""
    import uvicorn

    from focalrt.serve.listen import bound

    listening = bound("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@contextmanager
def serving(arguments, cwd, **environment):
    """``focalrt serve`` at work: the process, and the port and the token that it told."""
    command = [sys.executable, "-m", "focalrt.cli", "serve", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=os.name == "posix",
    )
    try:
        told = ADDRESS.fullmatch(process.stdout.readline())
        assert told, process.communicate(timeout=60)
        yield process, int(told[2]), told[3]
    finally:
        process.terminate()
        process.communicate(timeout=60)
