"""How kernels are compiled, and how their machine code is kept on disk.

A kernel's code is kept with a fingerprint of everything it was compiled from (``fingerprint``), so that a change of a
function that it calls, of an option or of a constant of another module is seen. Code lies where numba puts it: in
``NUMBA_CACHE_DIR`` if that is set, else beside the module, else in the user's cache folder.

Only what Python calls is kept. Kept code that called other kept code would link to that one's, where the process that
compiled both ran its own, perhaps rounded differently; so a process gets the same bits whether it compiles or loads.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numba.extending
from numba.core.caching import FunctionCache

from scene_depth.kernels.fingerprint import fingerprint

log = logging.getLogger(__name__)

intrinsic: Any = numba.extending.intrinsic  # kernels call intrinsics without the typing context

Decorator = Callable[[Callable[..., Any]], Any]


@dataclass(frozen=True)
class Options:
    """How a family of kernels is compiled. All release the interpreter lock and divide by zero as numpy does.

    Attributes:
        fast_math: LLVM's fast-math flags: in what the compiler may round differently from IEEE 754 in the order written.
        bare: Without reference counts, which cost atomic operations in inner loops. Such a kernel cannot create arrays;
            scratch memory comes from ``simd_memory.stack_floats``.
    """

    fast_math: tuple[str, ...] = ()
    bare: bool = False

    def for_numba(self) -> dict[str, Any]:
        """Keywords of ``numba.njit``."""
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(self.fast_math) or False}
        return {**options, "_nrt": False} if self.bare else options


EXACT = Options()  # the same bits on every machine
FUSED = Options(("contract",))  # a product and a sum may be one instruction
REORDERED = Options(("contract", "nsz", "arcp", "reassoc"))  # sums may be reordered too, but infinities and NaN stay
FAST = Options(("fast",))  # and there are no infinities and NaN
BARE = Options(("contract",), bare=True)


def kernel(options: Options) -> Decorator:
    """Decorator of a function that Python calls; its machine code is kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        compiled = numba.njit(**options.for_numba())(function)
        compiled._cache = _KeptCode(compiled)
        return compiled

    return decorate


def inlined(options: Options) -> Decorator:
    """Decorator of a function that kernels call; compiled into each call."""
    decorator: Decorator = numba.njit(forceinline=True, **options.for_numba())
    return decorator


def subroutine(options: Options) -> Decorator:
    """Decorator of a function that kernels call, compiled once a kernel: for what is not worth the time to inline."""
    decorator: Decorator = numba.njit(**options.for_numba())
    return decorator


class _KeptCode(FunctionCache):
    """numba's cache of one function, opened at the first call, whose key holds the fingerprint.

    Where nothing can be read or written the kernel is compiled in every process, and one line says so.
    """

    _cache_path = ""

    def __init__(self, compiled: Any):
        self._compiled = compiled
        self._opened: bool | None = None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context) if self._can_open() else None
        except OSError as problem:
            _say_not_kept(str(problem))
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            if self._can_open():
                super().save_overload(sig, data)
        except OSError as problem:
            _say_not_kept(str(problem))

    def _can_open(self) -> bool:
        if self._opened is None:
            try:
                super().__init__(self._compiled.py_func)
                self._opened = True
            except (RuntimeError, OSError):
                _say_not_kept("no cache folder can be written")
                self._opened = False
        return self._opened

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), fingerprint(self._compiled))


@functools.cache  # once a process for each reason
def _say_not_kept(reason: str) -> None:
    log.warning("compiled kernels are not kept, so that every start takes longer: %s; set NUMBA_CACHE_DIR", reason)
