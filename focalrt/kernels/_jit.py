"""The one decorator of all kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compiles a pure function of arrays at its first call, without the GIL, and keeps the machine code on disk.

    Not parallel: Numba's bundled threading layer aborts the process when two host threads enter it. Where no cache
    directory is writable (a read-only installation without a home) the code is compiled anew in each process.
    """
    try:
        return cast(Function, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # "cannot cache function: no locator available"
        return cast(Function, numba.njit(nogil=True)(function))
