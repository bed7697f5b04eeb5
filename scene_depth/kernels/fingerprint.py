"""A hash of everything that a kernel's machine code is made from.

That is the byte code and the compile options of the kernel and of all compiled functions that it reaches, the values of
the globals that they read, their own module's or another's, which numba bakes in as constants, the sources of this
package, which build instructions by hand, and the versions of what compiles. Text that no code depends on, such as
comments, is not part of it.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.dispatcher import Dispatcher


def fingerprint(compiled: Any) -> str:
    """Hash of a function that a decorator of ``compiling`` has made.

    Raises:
        TypeError: If a function reads a global whose value cannot be written down.
    """
    reader = _Reader()
    reader.add_compiled(compiled)
    return reader.digest.hexdigest()


@functools.cache
def _foundation() -> bytes:
    """Versions of what compiles, and the sources of this package."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {np.__version__}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.digest()


class _Reader:
    def __init__(self) -> None:
        self.digest = hashlib.sha256(_foundation())
        self.seen: set[int | tuple[int, int]] = set()

    def add_compiled(self, compiled: Any) -> None:
        """A compiled function with all it reaches, once."""
        function = compiled.py_func
        self._write("function", function.__module__, function.__qualname__)
        if id(compiled) in self.seen:
            return
        self.seen.add(id(compiled))
        for name, option in sorted(compiled.targetoptions.items()):
            self._add_value(name, option)
        self._add_value("defaults", (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()))
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self._add_value(name, cell.cell_contents)
        self._add_code(function.__code__, function.__globals__)

    def _add_code(self, code: CodeType, known: dict[str, Any]) -> None:
        self._write("code", code.co_code, code.co_names, code.co_varnames, code.co_freevars)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                self._add_code(constant, known)
            else:
                self._add_value("constant", constant)
        for name in code.co_names:  # of globals, and of attributes: one that is both is taken for both
            if name in known:
                self._add_global(name, known[name], code)

    def _add_global(self, name: str, value: Any, code: CodeType) -> None:
        if not isinstance(value, ModuleType):
            self._add_value(name, value)
            return
        self._write(name, value.__name__)
        if (id(code), id(value)) in self.seen:
            return
        self.seen.add((id(code), id(value)))
        for attribute in code.co_names:  # of the module, as in ``layout.WIDTH``
            if attribute in vars(value):
                self._add_global(f"{name}.{attribute}", vars(value)[attribute], code)

    def _add_value(self, name: str, value: Any) -> None:
        self._write(name, type(value).__qualname__)
        if isinstance(value, Dispatcher):
            self.add_compiled(value)
        elif isinstance(value, np.ndarray):
            self._write(value.dtype.str, value.shape, value.tobytes())
        elif isinstance(value, tuple):
            for index, part in enumerate(value):
                self._add_value(f"{name}[{index}]", part)
        elif isinstance(value, (set, frozenset)):
            self._write(sorted(map(repr, value)))
        elif value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic, numba.types.Type)):
            self._write(repr(value))
        elif callable(value):  # numba knows it by its name: a class, a ufunc, an instruction of this package
            self._write(getattr(value, "__module__", None), getattr(value, "__qualname__", None) or repr(value))
        else:
            raise TypeError(f"a kernel reads {name}, a {type(value).__qualname__}, which its fingerprint cannot hold")

    def _write(self, *parts: Any) -> None:
        self.digest.update(repr(parts).encode())
