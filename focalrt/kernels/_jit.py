"""The one decorator of all kernels."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])
Integer: TypeAlias = int | np.int64  # Numba makes one type of both; each other type would be compiled for itself

# No wrapper for callers in C, as there are none; NumPy's error model spares a branch at every division.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}


def kernel(function: Function) -> Function:
    """Compiles a pure function of arrays at its first call, without the GIL, and keeps the machine code on disk.

    Not parallel: Numba's bundled threading layer aborts the process when two host threads enter it. The cache on disk
    only ever saves time: what cannot be read there is compiled anew, what cannot be written is left out. Where no cache
    directory is writable (a read-only installation without a home) the code comes from one that can be read, as
    ``focalrt warmup`` left it in an image of a container.
    """
    try:
        compiled = numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # "cannot cache function: no locator available"
        compiled = numba.njit(**OPTIONS)(function)
    with suppress(Exception):  # no such directory, or a Numba whose own parts go by other names: it works without
        compiled._cache = kernel_cache()(function)
    return cast(Function, compiled)


@cache
def kernel_cache() -> type[Any]:
    """Numba's cache of one function, which lies in the first of its directories that can be written, or else is there.

    Numba's own raises what goes wrong with its files out of the call of the function, and reads no directory that it
    cannot write. A cache raises RuntimeError where there is no directory.
    """
    caching: Any = import_module("numba.core.caching")
    writable = tuple(caching.CompileResultCacheImpl._locator_classes)

    def ensure_cache_path(locator: Any) -> None:
        if not os.path.isdir(locator.get_cache_path()):
            raise FileNotFoundError(locator.get_cache_path())

    there = tuple(type(each.__name__, (each,), {"ensure_cache_path": ensure_cache_path}) for each in writable)

    class Files(caching.CompileResultCacheImpl):  # type: ignore[misc]
        _locator_classes = (*writable, *there)

    class KernelCache(caching.FunctionCache):  # type: ignore[misc]
        _impl_class = Files

        def load_overload(self, signature: Any, context: Any) -> Any:
            try:
                return super().load_overload(signature, context)
            except Exception:  # a file that may not be read, or is damaged
                with suppress(Exception):
                    self.flush()  # or a damaged index would keep all that follows from being saved
                return None

        def save_overload(self, signature: Any, data: Any) -> None:
            with suppress(Exception):  # the disk is full, or became read-only
                super().save_overload(signature, data)

    return KernelCache
