"""Running one kernel on several threads.

Kernels release the interpreter lock and take their work piece by piece, so a call is finished when the calling thread
finds no piece left and the helpers that started have returned. A helper that has not started by then is not needed. So
calls from many threads, from inside each other and after a fork are all safe, and a busy pool only means less help.
numba's own ``prange`` is not used: its layers spin on a processor while idle, abort in forked processes, or may not be
entered twice.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba.core import types
from numba.core.typing.templates import signature

from scene_depth.kernels.compiling import intrinsic

SMALLEST_BAND = 32768  # pixels; below this the hand-over to a thread costs more than a cheap kernel saves
MOST_BANDS = 8  # more threads of a cheap kernel wait for memory


def available_cores() -> int:
    """Cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_count() -> int:
    """Threads that a kernel runs on: as many as torch uses, so that ``torch.set_num_threads`` rules both.

    Where torch is not loaded, that is ``OMP_NUM_THREADS``, or one a core.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) > 0 else available_cores()


def run_tasks(kernel: Callable[..., None], tasks: int, *arguments: Any) -> None:
    """Runs ``kernel(tickets, *arguments)`` on several threads, but no more than there are tasks.

    Args:
        kernel: A kernel that draws task numbers with ``take_ticket(tickets)`` until they reach its end.
        tasks: Number of tasks that the kernel will find.
        arguments: The further arguments of the kernel.
    """
    if tasks > 0:
        tickets = np.zeros(1, np.int64)
        _share(lambda: kernel(tickets, *arguments), min(thread_count(), tasks))


def row_bands(first: int, end: int, width: int, threads: int | None = None) -> list[int]:
    """Where bands of rows begin for a cheap kernel, one band a thread, but few and none so small that the hand-over costs more.

    Args:
        first, end: Rows to cover.
        width: Pixels in a row.
        threads: Number of threads, at most; None for ``thread_count()``.

    Returns:
        First row of each band, and the end of the last one.
    """
    rows = end - first
    threads = min(MOST_BANDS, thread_count()) if threads is None else threads
    count = min(threads, max(1, rows * width // SMALLEST_BAND))
    return [first + rows * number // count for number in range(count + 1)]


def run_rows(
    kernel: Callable[..., None],
    first: int,
    end: int,
    width: int,
    *arguments: Any,
    threads: int | None = None,
    band: int | None = None,
) -> None:
    """Calls ``kernel(first_row, end_row, *arguments)`` on bands of rows that together cover ``first <= y < end``.

    The kernel must write only rows ``first_row <= y < end_row`` and read what no call of the same round writes: then the
    bits are the same for any bands and any number of threads.

    Args:
        kernel: The kernel.
        first, end: Rows to cover.
        width: Pixels in a row.
        arguments: The further arguments of the kernel.
        threads: Number of threads, at most; None for ``thread_count()``.
        band: Rows of a band, for a kernel whose rows take long or differ; None for a cheap kernel, see ``row_bands``.
    """
    if band is None:
        run_bands(kernel, row_bands(first, end, width, threads), *arguments)
    else:
        run_bands(kernel, [*range(first, end, band), end], *arguments, threads=threads)


def run_bands(kernel: Callable[..., None], edges: Sequence[int], *arguments: Any, threads: int | None = None) -> None:
    """``run_rows`` for given bands.

    Args:
        kernel, arguments: As there.
        edges: First row of each band, and the end of the last one.
        threads: Number of threads, at most; None for ``thread_count()``.
    """
    bands = iter(list(itertools.pairwise(edges)))

    def work() -> None:
        for top, bottom in bands:
            kernel(top, bottom, *arguments)

    _share(work, min(thread_count() if threads is None else threads, len(edges) - 1))


@intrinsic
def take_ticket(typing_context: Any, counter: Any) -> Any:
    """The value of an int64 counter before adding 1 to it, atomically."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, args: Any) -> ir.Value:
        address = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", address, ir.Constant(ir.IntType(64), 1), "monotonic")

    return signature(types.int64, counter), generate


class _Helpers:
    """Threads of this process, started at the first need."""

    def __init__(self) -> None:
        self.forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forget)  # a child process has no threads but its own

    def forget(self) -> None:
        self.pool: ThreadPoolExecutor | None = None

    def submit(self, work: Callable[[], None]) -> Future[None]:
        if self.pool is None:
            self.pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="scene_depth")
        return self.pool.submit(work)


_HELPERS = _Helpers()


def _share(work: Callable[[], None], threads: int) -> None:
    """Runs a function that draws its work from a common store on up to so many threads, of which this is one."""
    helpers = [_HELPERS.submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for helper in helpers:
            if not helper.cancel():
                helper.result()
