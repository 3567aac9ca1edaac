"""Writes an ONNX graph: batch 1, every shape known while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .parameters import Convolution, Shape, Source, read_convolution

OPSET, IR_VERSION = 17, 8  # old enough for every ONNX Runtime from 1.16 on
PRODUCER = "focalrt"


class Value(NamedTuple):
    """A tensor of the graph: its name and its shape."""

    name: str
    shape: Shape


class Graph:
    """Nodes and initializers so far.

    A node is named like its output, and like the checkpoint's module where there is one. Maps are float32
    (1, channels, height, width). ``source`` gives the trained parameters that are asked for.
    """

    def __init__(self, name: str, source: Source) -> None:
        self._name, self._source = name, source
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def input(self, name: str, shape: Shape) -> Value:
        """Declares an input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return Value(name, shape)

    def output(self, value: Value) -> None:
        """Declares a value to be an output of the graph."""
        self._outputs.append(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, value.shape))

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        initializers = list(self._initializers.values())
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, initializers)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name=PRODUCER)

    def parameter(self, name: str, shape: Shape) -> NDArray[np.float64]:
        """A trained array by name, for those that are not part of a convolution."""
        return self._source(name, shape)

    def learnt(
        self,
        name: str,
        outputs: int,
        inputs: int,
        kernel: int = 1,
        *,
        bias: bool = False,
        norm: str | None = None,
    ) -> Convolution:
        """The trained convolution of that name, batch normalisation ``norm`` folded in; not yet a node."""
        return read_convolution(self._source, name, (outputs, inputs, kernel, kernel), bias, norm)

    def conv(
        self,
        x: Value,
        name: str,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        bias: bool = False,
        norm: str | None = None,
    ) -> Value:
        """The trained convolution of that name (see :meth:`learnt`), of ``x``."""
        learnt = self.learnt(name, outputs, x.shape[1] // groups, kernel, bias=bias, norm=norm)
        return self.apply(learnt, x, name, stride, groups)

    def apply(self, convolution: Convolution, x: Value, name: str, stride: int = 1, groups: int = 1) -> Value:
        """A convolution, of ``x`` zero-padded by half the kernel."""
        outputs, _, kernel, _ = convolution.weight.shape
        padding = kernel // 2
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in x.shape[2:])
        inputs = [
            x,
            self.constant(f"{name}.weight", convolution.weight.astype(np.float32)),
            self.constant(f"{name}.bias", convolution.bias.astype(np.float32)),
        ]
        shape = (1, outputs, height, width)
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        return self.node("Conv", inputs, name, shape, **window, group=groups)

    def relu(self, x: Value) -> Value:
        """max(x, 0)."""
        return self.node("Relu", [x], f"{x.name}.relu", x.shape)

    def add(self, first: Value, second: Value, name: str) -> Value:
        """Sum; the second has the first's shape or broadcasts to it."""
        return self.node("Add", [first, second], name, first.shape)

    def concat(self, parts: Sequence[Value], name: str) -> Value:
        """Maps of one size, channels after channels."""
        channels = sum(part.shape[1] for part in parts)
        return self.node("Concat", parts, name, (1, channels, *parts[0].shape[2:]), axis=1)

    def resize(self, x: Value, side: int, name: str) -> Value:
        """Bilinear with align_corners (SPEC section 0), to a square of that side."""
        shape = (*x.shape[:2], side, side)
        absent = Value("", ())
        inputs = [x, absent, absent, self._integers("sizes", shape)]
        how = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
        return self.node("Resize", inputs, name, shape, **how)

    def reshape(self, x: Value, shape: Shape, name: str) -> Value:
        """The same numbers in another shape."""
        return self.node("Reshape", [x, self._integers("shape", shape)], name, shape)

    def halves(self, x: Value, first: str, second: str) -> tuple[Value, Value]:
        """The first half of the channels and the second, under these names."""
        shape = (1, x.shape[1] // 2, *x.shape[2:])
        self._nodes.append(helper.make_node("Split", [x.name], [first, second], f"{x.name}.split", axis=1))
        return Value(first, shape), Value(second, shape)

    def node(
        self, operator: str, inputs: Sequence[Value], name: str, shape: Shape, **attributes: Any
    ) -> Value:
        """Any operator with one output, whose shape the caller knows."""
        names = [value.name for value in inputs]
        self._nodes.append(helper.make_node(operator, names, [name], name, **attributes))
        return Value(name, shape)

    def constant(self, name: str, array: NDArray[Any]) -> Value:
        """An initializer; under one name there is one."""
        if name in self._initializers:
            raise ValueError(f"initializer {name!r} is there already")
        self._initializers[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return Value(name, array.shape)

    def _integers(self, kind: str, numbers: Shape) -> Value:
        """A shape or size as an initializer, named after its numbers so that equal ones are one."""
        name = f"{kind}.{'x'.join(map(str, numbers))}"
        if name in self._initializers:
            return Value(name, (len(numbers),))
        return self.constant(name, np.array(numbers, np.int64))
