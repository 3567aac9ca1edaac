"""The one decorator of all kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])
Integer: TypeAlias = int | np.int64  # Numba makes one type of both; each other type would be compiled for itself

# No wrapper for callers in C, as there are none; NumPy's error model spares a branch at every division.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def kernel(function: Function) -> Function:
    """Compiles a pure function of arrays at its first call, without the GIL, and keeps the machine code on disk.

    Not parallel: Numba's bundled threading layer aborts the process when two host threads enter it. Where no cache
    directory is writable (a read-only installation without a home) the code is compiled anew in each process.
    """
    try:
        return cast(Function, numba.njit(cache=True, **OPTIONS)(function))
    except RuntimeError:  # "cannot cache function: no locator available"
        return cast(Function, numba.njit(**OPTIONS)(function))
