"""Networks and parts of them, run and compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from parameters import draw

from focalrt.graphs import plain
from focalrt.graphs.builder import Value

TOLERANCE = 1e-4  # largest absolute difference, relative to the largest absolute value expected
EXACT = 1e-5  # the same, between two ways to compute one thing in float32

Array = NDArray[np.float32]


def session_of(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, **feeds: Array) -> dict[str, Array]:
    session = session_of(model)
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def assert_close(found: Array, wanted: Array, tolerance: float = TOLERANCE) -> None:
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()


def seeded(name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A source of parameters for parts of networks."""
    return draw(np.random.default_rng(sum(name.encode())), name, shape).astype(np.float64)


def output_of(write: Callable[[plain.PlainGraph], Value], **feeds: Array) -> Array:
    """What a part of a plain graph computes."""
    return outputs_of(plain.PlainGraph("part", seeded), write, **feeds)


def outputs_of(g: Any, write: Callable[[Any], Value], **feeds: Array) -> Array:
    """What a part of a graph of either kind computes."""
    value = write(g)
    g.output(value)
    return run(g.model(), **feeds)[value.name]


def noise(*shape: int) -> Array:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def axis_weights(start: float, end: float, side: int) -> NDArray[np.float64]:
    """(side, side): row p averages the bilinear samples of RoIAlign's bin p, edges in input pixels."""
    start, size = start - 0.5, (end - start) / side
    count = max(int(np.ceil(size)), 1)
    weights = np.zeros((side, side))
    for p in range(side):
        for k in range(count):
            at = start + (p + (k + 0.5) / count) * size
            if -1 <= at <= side:
                at = min(max(at, 0.0), side - 1.0)
                low = min(int(at), side - 2)
                weights[p, low] += (low + 1 - at) / count
                weights[p, low + 1] += (at - low) / count
    return weights


def roi_align(x: Array, box: NDArray[Any]) -> Array:
    """RoIAlign (aligned, adaptive) of (1, C, n, n) to its own size; box x1, y1, x2, y2 on the 256 grid."""
    side = x.shape[2]
    x1, y1, x2, y2 = (float(edge) * side / 256 for edge in box)
    return np.asarray(axis_weights(y1, y2, side) @ x @ axis_weights(x1, x2, side).T, np.float32)


def halved(x: Array) -> Array:
    """(.., 256, 256) -> (.., 128, 128), bilinear with align_corners."""
    at = np.arange(128) * 255 / 127
    low = np.minimum(at.astype(int), 254)
    rows = x[..., low, :] * (1 - (at - low))[:, None] + x[..., low + 1, :] * (at - low)[:, None]
    halves: Array = (rows[..., low] * (1 - (at - low)) + rows[..., low + 1] * (at - low)).astype(np.float32)
    return halves
