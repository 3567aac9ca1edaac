"""What it takes to begin: import, first mask in a new process, first run on a machine, memory, and CPU while idle.

    python bench/start.py [--model NAME|FOLDER] [--repeat 5] [--size 4000x3000] [--json FILE]

Every figure comes from new processes with one thread; the least of the repeats counts. "First run" gives Numba an empty
cache folder, which is what a new installation has; CPU seconds tell it from the waiting on a busy machine.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import keep, machine, table

SITE = Path(__file__).parent.parent

CLICKS = """
import json, resource, sys, time
import numpy as np

model, width, height = sys.argv[1] or None, int(sys.argv[2]), int(sys.argv[3])
image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
cpu, began = time.process_time(), time.perf_counter()
import focalrt

imported = time.perf_counter()
loaded = focalrt.load(model, threads=1) if model else focalrt.load(threads=1)
ready = time.perf_counter()
session = loaded.session(image)
session.click(width // 2, height // 2)
session.mask
first, first_cpu = time.perf_counter(), time.process_time()


def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6


for k in range(6):
    session.click(width // 2 + 20 * k, height // 2, k % 2 == 0)
after = resident()
idle = time.process_time()
time.sleep(2)
print(json.dumps({
    "import focalrt, s": imported - began,
    "load the model, s": ready - imported,
    "first click and mask, s": first - ready,
    "import to first mask, s": first - began,
    "the same, CPU s": first_cpu - cpu,
    "CPU in 2 s after a click, ms": 1000 * (time.process_time() - idle),
    "resident after 7 clicks, MB": after,
}))
"""

IMPORTS = """
import resource, sys
import numpy, numba, onnxruntime

width, height = int(sys.argv[2]), int(sys.argv[3])
image = numpy.random.default_rng(0).integers(0, 256, (height, width, 3), numpy.uint8)
mask = numpy.ones((height, width), bool)
print(int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6)
"""


def answer(program, arguments, cache=None):
    """What a program prints in a process of its own, as JSON."""
    environment = os.environ | {"PYTHONPATH": str(SITE)} | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    command = [sys.executable, "-c", program, *arguments]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def least(runs):
    """The least of each figure."""
    return {name: min(run[name] for run in runs) for name in runs[0]}


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="", help="name or folder (default: the default model)")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--size", default="4000x3000", help="of the photo, pixels")
    parser.add_argument("--json", metavar="FILE", help="also write everything measured here")
    args = parser.parse_args()
    arguments = [args.model, *args.size.split("x")]
    with tempfile.TemporaryDirectory() as cache:
        first = answer(CLICKS, arguments, cache)
        later = least([answer(CLICKS, arguments, cache) for _ in range(args.repeat)])
    bare = answer(IMPORTS, arguments)
    print(f"{args.size}, one thread, least of {args.repeat}; {machine()}")
    rows = [[name, f"{first[name]:.3f}", f"{later[name]:.3f}"] for name in later]
    print(table(rows, ["", "first run", "warm cache"]))
    beyond = later["resident after 7 clicks, MB"] - bare
    print(f"resident beyond imports, image and mask: {beyond:.0f} MB")
    keep(args.json, start={"first run": first, "warm cache": later, "resident beyond, MB": beyond})


if __name__ == "__main__":
    main()
