"""Compiling kernels: what they share, and a disk cache that notices every change of their sources."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numba.extending
from numba.core.caching import FunctionCache

intrinsic: Any = numba.extending.intrinsic  # kernels call intrinsics without the typing context

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
_BARE: dict[str, Any] = {**OPTIONS, "_nrt": False}


@functools.cache
def sources_fingerprint() -> str:
    """Hash of all sources that a kernel can be compiled from."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


class _SourcesCache(FunctionCache):
    """numba's cache, which alone would not see a change in a module that the kernel's module imports."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple:
        return (*super()._index_key(sig, codegen), sources_fingerprint())


def kernel(function: Callable) -> Any:
    """Decorator of a compiled entry point: releases the GIL, is cached on disk.

    The cache lies where numba puts it: in ``NUMBA_CACHE_DIR`` if that is set, else beside the module, else in the user's
    cache folder. Where none of these can be written, the kernel is compiled again in every process.
    """
    return _cached(numba.njit(**OPTIONS)(function), function)


def device_function(function: Callable) -> Any:
    """Decorator of a function that kernels call; compiled into each of them."""
    return numba.njit(forceinline=True, **OPTIONS)(function)


def bare_kernel(function: Callable) -> Any:
    """A kernel without reference counts, which cost atomic operations in inner loops.

    It cannot create arrays; scratch memory comes from ``simd_memory.stack_floats``.
    """
    return _cached(numba.njit(**_BARE)(function), function)


def bare_function(function: Callable) -> Any:
    """A function that bare kernels call; compiled into each of them."""
    return numba.njit(**{**_BARE, "forceinline": True})(function)


def bare_subroutine(function: Callable) -> Any:
    """A function that bare kernels call, compiled once for all calls: for what is not worth the time to inline."""
    return numba.njit(**_BARE)(function)


def _cached(compiled: Any, function: Callable) -> Any:
    try:
        compiled._cache = _SourcesCache(function)
    except RuntimeError:
        warnings.warn("compiled kernels cannot be kept: no cache folder can be written; set NUMBA_CACHE_DIR", stacklevel=3)
    return compiled
