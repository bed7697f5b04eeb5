"""Row bands: the same kernel on several threads, with the same bits whatever their number.

Kernels are compiled with ``nogil`` and called as ``kernel(first_row, end_row, *arrays)``. They write only rows
``first_row <= y < end_row`` of their outputs and read inputs that no call of the same round writes, so the split
into bands cannot change a result. Plain threads are used, not numba's own: its OpenMP layer aborts in forked
children (data loaders) and its workqueue layer aborts when two threads of a program (a viewer) solve at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SMALLEST_BAND = 32768  # pixels; below this the hand-over to a thread costs more than it saves


class RowBands:
    """Runs row kernels on a pool of threads that lives as long as the ``with`` block.

    Args:
        threads: Number of threads; None for one a core this process may use, at most 8.
    """

    def __init__(self, threads: int | None = None):
        self.threads = threads if threads is not None else min(8, available_cores())
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None

    def __enter__(self) -> RowBands:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, kernel: Callable[..., None], first: int, end: int, width: int, *arrays: Any) -> None:
        """Calls ``kernel(first_row, end_row, *arrays)`` on bands that together cover ``first <= y < end``."""
        count = min(self.threads, max(1, (end - first) * width // SMALLEST_BAND))
        if count == 1 or self._pool is None:
            kernel(first, end, *arrays)
            return
        edges = [first + (end - first) * i // count for i in range(count + 1)]
        waiting = [self._pool.submit(kernel, edges[i], edges[i + 1], *arrays) for i in range(1, count)]
        kernel(edges[0], edges[1], *arrays)
        for one in waiting:
            one.result()


def available_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
