"""Trained parameters, by the names of published checkpoints: whether they fit, and how they fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate, takewhile
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

Parameters: TypeAlias = Mapping[str, NDArray[Any]]
Shape: TypeAlias = tuple[int, ...]
Source: TypeAlias = Callable[[str, Shape], NDArray[np.float64]]
"""Gives the array of a name; the network, which asks, knows the shape. Folding is done in float64."""

EPSILON = 1e-5  # of every batch normalisation
COUNTER = ".num_batches_tracked"
MOST_NAMED = 20  # of each kind of misfit, in one message


class Convolution(NamedTuple):
    """What one convolution computes: weight (outputs, inputs / groups, k, k) and bias (outputs,), float64."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scaled(self, factor: NDArray[np.float64]) -> Convolution:
        """Followed by a multiplication; factor (outputs,) or (1,)."""
        return Convolution(self.weight * factor[:, None, None, None], self.bias * factor)

    def shifted(self, offset: NDArray[np.float64]) -> Convolution:
        """Followed by an addition; offset (outputs,)."""
        return Convolution(self.weight, self.bias + offset)

    def of_scaled(self, factor: NDArray[np.float64]) -> Convolution:
        """Preceded by a multiplication; factor (inputs,). Exact at the border too: zeros stay zeros."""
        return Convolution(self.weight * factor[:, None, None], self.bias)

    def split(self, counts: Iterable[int]) -> list[Convolution]:
        """Its parts over so many inputs each, the bias with the first; they sum to it."""
        ends = list(accumulate(counts))
        parts = np.split(self.weight, ends[:-1], axis=1)
        return [
            Convolution(part, np.zeros_like(self.bias) if index else self.bias) for index, part in enumerate(parts)
        ]

    def beside(self, other: Convolution) -> Convolution:
        """The outputs of both, this one's first."""
        weight = np.concatenate([self.weight, other.weight])
        return Convolution(weight, np.concatenate([self.bias, other.bias]))

    def pointwise(self) -> Linear:
        """A 1x1 convolution as what it does to the channels of one position."""
        return Linear(self.weight[:, :, 0, 0], self.bias)


class Linear(NamedTuple):
    """What one linear layer computes: weight (outputs, inputs) and bias (outputs,), float64."""

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]

    def scaled(self, factor: float) -> Linear:
        """Followed by a multiplication."""
        return Linear(self.weight * factor, self.bias * factor)

    def shifted(self, offset: NDArray[np.float64]) -> Linear:
        """Followed by an addition; offset (outputs,)."""
        return Linear(self.weight, self.bias + offset)

    def of_shifted(self, offset: NDArray[np.float64]) -> Linear:
        """Preceded by an addition; offset (inputs,)."""
        return Linear(self.weight, self.weight @ offset + self.bias)

    def of(self, other: Linear) -> Linear:
        """Preceded by another: one layer for both."""
        return Linear(self.weight @ other.weight, self.of_shifted(other.bias).bias)

    def halves(self) -> tuple[Linear, Linear]:
        """Its parts with the first half of the outputs and with the second."""
        count = len(self.bias) // 2
        return Linear(self.weight[:count], self.bias[:count]), Linear(self.weight[count:], self.bias[count:])

    def unbiased(self) -> Linear:
        """Without its bias."""
        return Linear(self.weight, np.zeros_like(self.bias))


def read_linear(source: Source, name: str, outputs: int, inputs: int) -> Linear:
    """The linear layer ``name``."""
    return Linear(source(f"{name}.weight", (outputs, inputs)), source(f"{name}.bias", (outputs,)))


def read_convolution(source: Source, name: str, shape: Shape, bias: bool, norm: str | None) -> Convolution:
    """The convolution ``name``, weight of that shape, batch normalisation ``norm`` after it folded in."""
    weight = source(f"{name}.weight", shape)
    outputs = shape[:1]
    plain = Convolution(weight, source(f"{name}.bias", outputs) if bias else np.zeros(outputs))
    if norm is None:
        return plain
    gain, offset, mean, variance = (
        source(f"{norm}.{part}", outputs) for part in ("weight", "bias", "running_mean", "running_var")
    )
    return plain.shifted(-mean).scaled(gain / np.sqrt(variance + EPSILON)).shifted(offset)


def without_prefix(parameters: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The parameters without what all names begin with, up to a dot; a network's own names have nothing in common.

    DataParallel writes ``module.`` before each, torch.compile ``_orig_mod.``, a module around the network its own name.
    """
    parts = zip(*(name.split(".")[:-1] for name in parameters))
    start = sum(len(part[0]) + 1 for part in takewhile(lambda part: len(set(part)) == 1, parts))
    return {name[start:]: array for name, array in parameters.items()}


def asked_for(write: Callable[[Source], object]) -> dict[str, Shape]:
    """What a writer asks its source for: names and shapes are written in one place only, the network."""
    shapes: dict[str, Shape] = {}

    def record(name: str, shape: Shape) -> NDArray[np.float64]:
        shapes[name] = shape
        return np.broadcast_to(np.float64(0), shape)

    write(record)
    return shapes


def fitting(parameters: Parameters, shapes: Mapping[str, Shape], unused: Iterable[str], variant: str) -> Source:
    """The parameters as a network asks for them. Raises one ParameterError that names all that does not fit.

    shapes: of all that the network asks for. unused: parts of the names of what published checkpoints carry besides.
    """
    arrays = {name: np.asarray(array) for name, array in parameters.items()}
    idle = (COUNTER, *unused)
    shared = [name for name in shapes if name in arrays]
    odd = [name for name in shared if arrays[name].shape != shapes[name]]
    complaints = {
        "missing": [name for name in shapes if name not in arrays],
        "unknown": [name for name in arrays if name not in shapes and not any(part in name for part in idle)],
        "mis-shaped": [f"{name} is {arrays[name].shape}, expected {shapes[name]}" for name in odd],
        "not finite floating-point numbers": [name for name in shared if not is_finite(arrays[name])],
    }
    found = [f"{len(names)} {kind}: {listed(names)}" for kind, names in complaints.items() if names]
    if found:
        raise ParameterError(f"these parameters do not fit {variant}: " + "; ".join(found))
    return lambda name, shape: arrays[name].astype(np.float64)


def is_finite(array: NDArray[Any]) -> bool:
    """Whether all values are finite floating-point numbers."""
    return np.issubdtype(array.dtype, np.floating) and bool(np.isfinite(array).all())


def listed(names: Iterable[str]) -> str:
    """The names, or the first of them and how many more there are."""
    names = list(names)
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
