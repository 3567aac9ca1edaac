"""Trained parameters, by the names of published checkpoints: whether they fit, and how they fold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ParameterError

Parameters: TypeAlias = Mapping[str, NDArray[Any]]
Shape: TypeAlias = tuple[int, ...]
Source: TypeAlias = Callable[[str, Shape], NDArray[np.float64]]
"""Gives the array of a name; the network, which asks, knows the shape. Folding is done in float64."""

EPSILON = 1e-5  # of every batch normalisation
UNUSED_ENDING = ".num_batches_tracked"
UNUSED_PARTS = (".f_pixel.", ".f_object.")  # attention over one region: its weight is 1 whatever they hold
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

    def split(self, count: int) -> tuple[Convolution, Convolution]:
        """Its parts over the first ``count`` inputs, with the bias, and over the others; they sum to it."""
        return (
            Convolution(self.weight[:, :count], self.bias),
            Convolution(self.weight[:, count:], np.zeros_like(self.bias)),
        )

    def beside(self, other: Convolution) -> Convolution:
        """The outputs of both, this one's first."""
        weight = np.concatenate([self.weight, other.weight])
        return Convolution(weight, np.concatenate([self.bias, other.bias]))


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


def check(parameters: Parameters, shapes: Mapping[str, Shape], variant: str) -> None:
    """Raises one ParameterError that names all that keeps the parameters from filling these shapes."""
    shared = [name for name in shapes if name in parameters]
    odd = [name for name in shared if parameters[name].shape != shapes[name]]
    wrong = [name for name in shared if not is_finite(parameters[name])]
    complaints = {
        "missing": [name for name in shapes if name not in parameters],
        "unknown": [name for name in parameters if name not in shapes and not is_unused(name)],
        "mis-shaped": [f"{name} is {parameters[name].shape}, expected {shapes[name]}" for name in odd],
        "not finite floating-point numbers": wrong,
    }
    found = [f"{len(names)} {kind}: {listed(names)}" for kind, names in complaints.items() if names]
    if found:
        raise ParameterError(f"these parameters do not fit {variant}: " + "; ".join(found))


def is_unused(name: str) -> bool:
    """Whether published checkpoints carry this parameter though no output depends on it (SPEC section 8)."""
    return name.endswith(UNUSED_ENDING) or any(part in name for part in UNUSED_PARTS)


def is_finite(array: NDArray[Any]) -> bool:
    """Whether all values are finite floating-point numbers."""
    return np.issubdtype(array.dtype, np.floating) and bool(np.isfinite(array).all())


def listed(names: Iterable[str]) -> str:
    """The names, or the first of them and how many more there are."""
    names = list(names)
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
