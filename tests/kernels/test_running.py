"""Sharing a kernel's work among threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from scene_depth.kernels import EXACT, available_cores, kernel, run_rows, run_tasks, take_ticket, thread_count


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@kernel(EXACT)
def count_tasks(tickets, tasks, done):
    while True:
        task = take_ticket(tickets)
        if task >= tasks:
            break
        done[task] += 1


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("tasks", [0, 1, 3, 1000])
def test_each_task_is_done_once(threads: int, tasks: int) -> None:
    torch.set_num_threads(threads)
    done = np.zeros(tasks, np.int64)
    run_tasks(count_tasks, tasks, tasks, done)
    assert (done == 1).all()


@pytest.mark.parametrize("threads", [None, 1, 2, 7])
@pytest.mark.parametrize(("band", "width"), [(None, 10), (None, 10**5), (3, 10)])
def test_bands_cover_each_row_once(threads: int | None, band: int | None, width: int) -> None:
    torch.set_num_threads(4)
    bands: list[tuple[int, int]] = []
    run_rows(lambda first, end, found: found.append((first, end)), 2, 40, width, bands, threads=threads, band=band)
    rows = [row for first, end in bands for row in range(first, end)]
    assert sorted(rows) == list(range(2, 40))
    if band is not None:
        assert max(end - first for first, end in bands) == band
    else:
        assert len(bands) == (1 if width == 10 else min(threads or 4, 8))


def test_no_more_threads_work_than_were_asked_for() -> None:
    seen = set()
    run_rows(lambda first, end: seen.add(threading.get_ident()), 0, 50, 1, threads=1, band=1)
    assert seen == {threading.get_ident()}


def test_what_goes_wrong_in_a_band_is_raised() -> None:
    def fail(first: int, end: int) -> None:
        raise ZeroDivisionError(first)

    with pytest.raises(ZeroDivisionError):
        run_rows(fail, 0, 8, 1, threads=2, band=1)


def test_torch_says_how_many_threads_there_are() -> None:
    torch.set_num_threads(3)
    assert thread_count() == 3


@pytest.mark.parametrize(("asked", "count"), [("3", 3), ("", None), ("all", None)])
def test_without_torch_the_environment_or_the_cores_say_it(asked: str, count: int | None) -> None:
    program = "import sys; from scene_depth.kernels import thread_count; print(thread_count(), 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": asked}
    )
    assert done.stdout.split() == [str(count or available_cores()), "False"]
