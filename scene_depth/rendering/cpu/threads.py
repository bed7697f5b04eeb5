"""Running one kernel on several threads.

Kernels release the GIL and take their work by tickets from a shared counter, so a kernel run is finished when the calling
thread finds no ticket left and the helpers that started have returned. A helper that has not started by then is not
needed. So calls from many threads, from inside each other and after a fork are all safe, and a busy pool only means less
help. numba's own ``prange`` is not used: its layers spin on a processor while idle, or may not be entered twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch


class _Helpers:
    """Threads of this process, started at the first need."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)  # a child process has no threads but its own

    def forget(self) -> None:
        self.pool: ThreadPoolExecutor | None = None

    def submit(self, function: Callable, *arguments: Any) -> Future:
        if self.pool is None:
            self.pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="scene_depth")
        return self.pool.submit(function, *arguments)


_HELPERS = _Helpers()


def run_on_threads(kernel: Callable, tasks: int, *arguments: Any) -> None:
    """Runs ``kernel(tickets, *arguments)`` on as many threads as torch uses, but no more than there are tasks.

    Args:
        kernel: A compiled kernel that releases the GIL and draws task numbers from ``tickets`` until they reach its end.
        tasks: Number of tasks that the kernel will find.
        arguments: The further arguments of the kernel.
    """
    if tasks <= 0:
        return
    tickets = np.zeros(1, np.int64)
    helpers = [_HELPERS.submit(kernel, tickets, *arguments) for _ in range(min(torch.get_num_threads(), tasks) - 1)]
    try:
        kernel(tickets, *arguments)
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()
