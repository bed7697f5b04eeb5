"""How the solver's kernels are compiled: the same bits in the process that compiles them and in all later ones.

Rounding is left to the compiler within limits (sums may be reordered, products fused). A kernel kept on disk that calls another
kept one links to that one's code, where the process that compiled both ran its own, rounded differently. So only entry points
are kept, and what they call is inlined, which is faster too.
"""

from __future__ import annotations

from typing import Any

import numba

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp", "reassoc"}}

kernel = numba.njit(cache=True, **OPTIONS)
"""Decorator of a kernel that Python calls."""
inlined = numba.njit(forceinline=True, **OPTIONS)
"""Decorator of a function that kernels call."""
