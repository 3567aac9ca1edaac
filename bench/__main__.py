"""The benchmarks that need no arguments, one after the other: tables on the screen, and one JSON.

    python bench [--quick] [--json FILE]

With 1, 2 and 4 threads, as far as there are cores. Each runs in a process of its own. ``--quick`` takes few repeats and
the two smallest variants: for a look, or for ``regression.py``. Needs the ``convert`` extra; compares with PyTorch and
OpenVINO where they are installed.

``operators.py`` for one network, ``page.py`` with photos and a browser, and ``sam.py`` with a pair of files run by
themselves.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from focalrt.networks import available_threads

HERE = Path(__file__).parent
SMALL = ["hrnet18s-s1", "segformerb0-s1"]
THREADS = [str(threads) for threads in (1, 2, 4) if threads <= available_threads()]
PARTS = {  # arguments of a whole run, of a quick one
    "click.py": ([], ["--repeat", "8"]),
    "kernels.py": ([], ["--repeat", "20"]),
    "variants.py": (["--threads", *THREADS], [*SMALL, "--repeat", "8"]),
    "whole.py": (["--threads", *THREADS], [*SMALL, "--repeat", "5"]),
    "start.py": ([], ["--repeat", "2"]),
}


def main():
    """Runs them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="also write everything measured here")
    args = parser.parse_args()
    report = {}
    with tempfile.TemporaryDirectory() as folder:
        for script, arguments in PARTS.items():
            path = Path(folder) / f"{script}.json"
            print(f"\n== {script}", flush=True)
            command = [sys.executable, str(HERE / script), *arguments[args.quick], "--json", str(path)]
            subprocess.run(command, check=True)
            report |= json.loads(path.read_text(encoding="utf-8"))
    if args.json:
        Path(args.json).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
