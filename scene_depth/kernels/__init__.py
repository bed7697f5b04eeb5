"""Compiled kernels: how they are compiled and kept, what they run on, and vectors to write them with (``simd*``).

Nothing outside this package knows the inside of numba::

    from scene_depth.kernels import EXACT, inlined, kernel

    @inlined(EXACT)
    def square(x): ...

    @kernel(EXACT)
    def add_squares(first, end, values, out): ...
"""

from scene_depth.kernels.compiling import BARE, EXACT, FAST, FUSED, REORDERED, Options, inlined, kernel, subroutine
from scene_depth.kernels.threads import available_cores, row_bands, run_bands, run_rows, run_tasks, take_ticket, thread_count

__all__ = [
    "BARE",
    "EXACT",
    "FAST",
    "FUSED",
    "REORDERED",
    "Options",
    "available_cores",
    "inlined",
    "kernel",
    "row_bands",
    "run_bands",
    "run_rows",
    "run_tasks",
    "subroutine",
    "take_ticket",
    "thread_count",
]
