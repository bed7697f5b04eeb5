"""How the ray tracer's functions are compiled.

Small functions carry :func:`device`; they are compiled into the few functions that Python calls, which :func:`kernel`
compiles and caches on disk. numba's cache only notices changes of the file that holds the outer function, so a digest
of all sources of this package is made part of the key: a changed texture must never be drawn by old machine code.

No ``fastmath``: every operation is an IEEE 754 addition, multiplication, division or square root in the order written
(``exact_math``), so that a picture has the same bits on every machine and for every number of threads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba


def source_digest() -> str:
    """SHA-256 of the Python sources of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


DIGEST = source_digest()


def device(function: Callable[..., Any]) -> Any:
    """Compiles a function for use inside kernels; ``function.py_func`` is the same arithmetic in plain Python."""
    return numba.njit(nogil=True, error_model="numpy")(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compiles a function that Python calls, cached on disk. It releases the interpreter lock.

    The function must have ``DIGEST`` among its closure variables: define it inside a function that takes it as an argument.
    """
    return numba.njit(nogil=True, error_model="numpy", cache=True)(function)
