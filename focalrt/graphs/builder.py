"""Writes an ONNX graph: batch 1, every shape known while it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .parameters import Convolution, Linear, Shape, Source, read_convolution, read_linear

OPSET, IR_VERSION = 17, 8  # old enough for every ONNX Runtime from 1.16 on
PRODUCER = "focalrt"
FIXED = "fixed."  # begins the names of the numbers that no training changes


class Value(NamedTuple):
    """A tensor of the graph: its name and its shape."""

    name: str
    shape: Shape


ABSENT = Value("", ())


class Graph:
    """Nodes and initializers so far.

    A node is named like its output, and like the checkpoint's module where there is one. Maps are float32
    (1, channels, height, width), tokens (positions, channels). ``source`` gives the trained parameters that are asked
    for.
    """

    def __init__(self, name: str, source: Source) -> None:
        self._name, self._source = name, source
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, NDArray[Any]] = {}

    def input(self, name: str, shape: Shape) -> Value:
        """Declares an input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return Value(name, shape)

    def output(self, value: Value) -> None:
        """Declares a value to be an output of the graph."""
        self._outputs.append(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, value.shape))

    def model(self) -> onnx.ModelProto:
        """The finished model. The graph gives its arrays away one by one, so that few of them are there twice."""
        initializers = [stored(self._initializers.pop(name), name) for name in list(self._initializers)]
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, initializers)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name=PRODUCER)

    # What was trained

    def parameter(self, name: str, shape: Shape) -> NDArray[np.float64]:
        """A trained array by name."""
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

    def linear(self, name: str, outputs: int, inputs: int) -> Linear:
        """The trained linear layer of that name; not yet a node."""
        return read_linear(self._source, name, outputs, inputs)

    # Layers

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

    def apply(
        self,
        convolution: Convolution,
        x: Value,
        name: str,
        stride: int = 1,
        groups: int = 1,
        padding: tuple[int, int] | None = None,
    ) -> Value:
        """A convolution, of ``x`` padded with zeros: by half the kernel where ``padding`` does not tell otherwise."""
        outputs, _, *kernel = convolution.weight.shape
        pads = [side // 2 for side in kernel] if padding is None else list(padding)
        height, width = (
            (side + 2 * pad - reach) // stride + 1 for side, pad, reach in zip(x.shape[2:], pads, kernel, strict=True)
        )
        inputs = [x, self.trained(f"{name}.weight", convolution.weight), *self.bias(name, convolution.bias)]
        window = {"kernel_shape": kernel, "strides": [stride] * 2, "pads": pads * 2}
        return self.node("Conv", inputs, name, (1, outputs, height, width), **window, group=groups)

    def project(self, linear: Linear, x: Value, name: str) -> Value:
        """A linear layer, of tokens (n, inputs) -> (n, outputs)."""
        inputs = [x, self.trained(f"{name}.weight", linear.weight.T), *self.bias(name, linear.bias)]
        return self.node("Gemm", inputs, name, (x.shape[0], len(linear.weight)))

    def project_to_channels(self, linear: Linear, x: Value, name: str) -> Value:
        """A linear layer, of tokens (n, inputs) -> (outputs, n): the product transposes for nothing."""
        inputs = [self.trained(f"{name}.weight", linear.weight), x, *self.bias(name, linear.bias[:, None])]
        return self.node("Gemm", inputs, name, (len(linear.weight), x.shape[0]), transB=1)

    def project_from_channels(self, linear: Linear, x: Value, name: str) -> Value:
        """A linear layer, of channels first (inputs, n) -> tokens (n, outputs)."""
        inputs = [x, self.trained(f"{name}.weight", linear.weight.T), *self.bias(name, linear.bias)]
        return self.node("Gemm", inputs, name, (x.shape[1], len(linear.weight)), transA=1)

    def layer_norm(self, x: Value, name: str, epsilon: float) -> Value:
        """The trained layer normalisation of that name, of tokens."""
        scale, offset = (self.parameter(f"{name}.{part}", x.shape[-1:]) for part in ("weight", "bias"))
        inputs = [x, self.trained(f"{name}.weight", scale), self.trained(f"{name}.bias", offset)]
        return self.node("LayerNormalization", inputs, name, x.shape, axis=-1, epsilon=epsilon)

    # Arithmetic

    def relu(self, x: Value) -> Value:
        """max(x, 0)."""
        return self.node("Relu", [x], f"{x.name}.relu", x.shape)

    def gelu(self, x: Value) -> Value:
        """The exact form, x (1 + erf(x / sqrt(2))) / 2, in the five operators that ONNX Runtime fuses into one."""
        y = self.node("Div", [x, self.fixed("sqrt2", np.sqrt(2))], f"{x.name}.scaled", x.shape)
        y = self.node("Erf", [y], f"{x.name}.erf", x.shape)
        y = self.node("Add", [y, self.fixed("one", np.ones(()))], f"{x.name}.gate", x.shape)
        y = self.node("Mul", [x, y], f"{x.name}.gated", x.shape)
        return self.node("Mul", [y, self.fixed("half", np.full((), 0.5))], f"{x.name}.gelu", x.shape)

    def softmax(self, x: Value, axis: int = -1) -> Value:
        """exp(x), scaled to sum to 1 along the axis."""
        return self.node("Softmax", [x], f"{x.name}.softmax", x.shape, axis=axis)

    def add(self, first: Value, second: Value, name: str) -> Value:
        """Sum; the second has the first's shape or broadcasts to it."""
        return self.node("Add", [first, second], name, first.shape)

    def matmul(self, first: Value, second: Value, name: str) -> Value:
        """Matrix product over the last two axes; the operand with fewer axes is the same for every matrix."""
        leading = max(first.shape[:-2], second.shape[:-2], key=len)
        return self.node("MatMul", [first, second], name, (*leading, first.shape[-2], second.shape[-1]))

    # Layout

    def concat(self, parts: Sequence[Value], name: str, axis: int = 1) -> Value:
        """One after the other along an axis; the channels of maps where it is not told."""
        shape = list(parts[0].shape)
        shape[axis] = sum(part.shape[axis] for part in parts)
        return self.node("Concat", parts, name, tuple(shape), axis=axis)

    def resize(self, x: Value, side: int, name: str, mode: str = "align_corners") -> Value:
        """Bilinear, to a square of that side; ``mode`` is ONNX's name for how coordinates map, or "half_pixel"."""
        shape = (*x.shape[:2], side, side)
        inputs = [x, ABSENT, ABSENT, self._integers("sizes", shape)]
        return self.node("Resize", inputs, name, shape, mode="linear", coordinate_transformation_mode=mode)

    def reshape(self, x: Value, shape: Shape, name: str) -> Value:
        """The same numbers in another shape."""
        return self.node("Reshape", [x, self._integers("shape", shape)], name, shape)

    def transpose(self, x: Value, axes: tuple[int, ...], name: str) -> Value:
        """The axes in another order."""
        return self.node("Transpose", [x], name, tuple(x.shape[axis] for axis in axes), perm=axes)

    def split(self, x: Value, parts: dict[str, int], axis: int = 1) -> list[Value]:
        """Parts along an axis, the channels of maps where it is not told: their names and lengths."""
        inputs = [x.name, self._integers("split", tuple(parts.values())).name]
        self._nodes.append(helper.make_node("Split", inputs, list(parts), f"{x.name}.split", axis=axis))
        return [
            Value(name, (*x.shape[:axis], length, *x.shape[axis + 1 :])) for name, length in parts.items()
        ]

    # Nodes and initializers

    def node(
        self, operator: str, inputs: Sequence[Value], name: str, shape: Shape, **attributes: Any
    ) -> Value:
        """Any operator with one output, whose shape the caller knows."""
        names = [value.name for value in inputs]
        self._nodes.append(helper.make_node(operator, names, [name], name, **attributes))
        return Value(name, shape)

    def trained(self, name: str, array: NDArray[np.float64]) -> Value:
        """An initializer made of trained parameters; under one name there is one."""
        if name in self._initializers:
            raise ValueError(f"initializer {name!r} is there already")
        return self._store(name, array)

    def bias(self, name: str, array: NDArray[np.float64]) -> list[Value]:
        """The bias of the layer ``name`` as an initializer; none where it is zero."""
        return [self.trained(f"{name}.bias", array)] if array.any() else []

    def fixed(self, name: str, array: NDArray[Any]) -> Value:
        """An initializer of numbers that no training changes; equal names stand for equal numbers."""
        return self._store(f"{FIXED}{name}", array)

    def _integers(self, kind: str, numbers: Shape) -> Value:
        """A shape or size as an initializer, named after its numbers so that equal ones are one."""
        return self._store(f"{FIXED}{kind}.{'x'.join(map(str, numbers))}", np.array(numbers, np.int64))

    def _store(self, name: str, array: NDArray[Any]) -> Value:
        self._initializers.setdefault(name, array)
        return Value(name, array.shape)


def stored(array: NDArray[Any], name: str) -> onnx.TensorProto:
    """An initializer's content: floating-point numbers as float32."""
    kind = np.float32 if np.issubdtype(array.dtype, np.floating) else array.dtype
    return numpy_helper.from_array(np.ascontiguousarray(array, kind), name)
