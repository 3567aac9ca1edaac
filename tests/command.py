"""The command line as a process of its own, on the checkout's code."""

import os
import subprocess
import sys
from pathlib import Path

import focalrt

ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(Path(focalrt.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
}


def run(arguments, cwd):
    """Runs ``focalrt`` with arguments in one string or a list; whatever happens, nobody is to see a traceback."""
    words = arguments.split() if isinstance(arguments, str) else map(str, arguments)
    command = [sys.executable, "-m", "focalrt.cli", *words]
    done = subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr
    return done
