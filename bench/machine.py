"""What a benchmark ran on, how quick that is, and how its tables look."""

import argparse
import json
import platform
from pathlib import Path
from time import perf_counter

import cv2
import numba
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from focalrt.networks import start

SIDE = 1024  # of the matrices whose product is the yardstick

def machine():
    """Processor and versions, for the head of a table."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = {"NumPy": np, "Numba": numba, "OpenCV": cv2, "ONNX Runtime": onnxruntime}
    told = ", ".join(f"{name} {module.__version__}" for name, module in versions.items())
    processor = f"{len(names)} x {names[0]}" if names else platform.machine()
    return f"{processor}, Python {platform.python_version()}, {told}"

def product():
    """A network that is one product of two square matrices."""
    shape = (SIDE, SIDE)
    weight = numpy_helper.from_array(np.random.default_rng(0).random(shape, np.float32), "weight")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "product", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

def sgemm(threads, repeat=10):
    """GFLOP/s of ONNX Runtime's own matrix product, quickest of some: what a network could reach at best."""
    session = start(product().SerializeToString(), Path("product.onnx"), threads)
    feeds = {"x": np.random.default_rng(1).random((SIDE, SIDE), np.float32)}
    return 2e-9 * SIDE**3 / min(seconds(lambda: session.run(None, feeds)) for _ in range(repeat))

def yardsticks(threads, repeat):
    """GFLOP/s of :func:`sgemm` by thread count; prints the head of a table."""
    best = {count: sgemm(count) for count in threads}
    told = ", ".join(f"{rate:.0f} GFLOP/s at {count} thread(s)" for count, rate in best.items())
    print(f"median of {repeat}; sgemm {told}; {machine()}")
    return best


def options(told, variants):
    """The command line of a benchmark of variants, parsed."""
    parser = argparse.ArgumentParser(description=told, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", default=variants, metavar="VARIANT")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", metavar="FILE", help="also write everything measured here")
    return parser.parse_args()


def keep(path, **report):
    """Writes what was measured, and on what, as JSON; nothing without a path."""
    if path:
        Path(path).write_text(json.dumps({"machine": machine(), **report}, indent=2) + "\n", encoding="utf-8")


def seconds(call):
    """Of one call."""
    began = perf_counter()
    call()
    return perf_counter() - began

def table(rows, head):
    """Aligned text columns."""
    rows = [head, *rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
