"""Inpainters over frames and masks, split over processes; what was done before is not done again."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from scene_depth.datasets.frames.frame import FrameSource
from scene_depth.datasets.frames.resize import limited_frame
from scene_depth.depth.masks import mask_seed
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_inpainters import case_inpainter, check_inpainters
from scene_depth.evaluation.depth_priors import PriorKind
from scene_depth.evaluation.depth_protocols import check_mask, check_protocol, make_case
from scene_depth.evaluation.depth_rows import DepthRow, FitOptions, evaluate_case, row_from_json, row_to_json
from scene_depth.work import OnProgress, Progress

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class DepthSettings:
    """What is run on every frame.

    Attributes:
        inpainters: Names of ``load_depth_inpainter``.
        protocol: A name of ``PROTOCOLS``.
        masks: Masks in place of the protocol's; empty keeps those.
        prior: Which monocular prior inpainters that take one are given.
        fit: Whether predictions are fitted to the truth before they are measured.
        max_size: Longer side of the frames in pixels; None keeps them.

    Example:
        >>> import scene_depth as sd
        >>> sd.DepthSettings(("solver", "nearest"), masks=("rect", "lidar64")).all_masks
        ('rect', 'lidar64')
    """

    inpainters: tuple[str, ...] = ("solver",)
    protocol: str = "standard"
    masks: tuple[str, ...] = ()
    prior: PriorKind = "none"
    fit: FitOptions = field(default_factory=FitOptions)
    max_size: int | None = None

    @property
    def all_masks(self) -> tuple[str, ...]:
        """The masks that are run."""
        return self.masks or check_protocol(self.protocol).masks

    def check(self) -> None:
        """Raises InputError if a name is unknown or a number out of range."""
        check_protocol(self.protocol)
        for mask in self.all_masks:
            check_mask(mask)
        if self.max_size is not None and self.max_size < 16:
            raise InputError("max-size", self.max_size, "at least 16 pixels")
        check_inpainters(self.inpainters, self.prior)

    def fingerprint(self) -> str:
        """What a row depends on beside frame, mask and inpainter."""
        view = check_protocol(self.protocol).view
        return json.dumps([version("scene-depth"), view, self.prior, asdict(self.fit), self.max_size])


@dataclass(frozen=True)
class DepthRun:
    """Rows of a run.

    Attributes:
        settings: What was run.
        rows: One for every frame, mask and inpainter that is done, in the order of frames, masks, inpainters.
        planned: Number of rows of the whole run, skipped ones left out.
        skipped: By mask, the frames that lack what the mask needs.
        interrupted: Whether the run ended early.
    """

    settings: DepthSettings
    rows: list[DepthRow]
    planned: int
    skipped: dict[str, list[str]]
    interrupted: bool = False


@dataclass(frozen=True)
class _Task:
    source: FrameSource
    mask: str
    inpainters: tuple[str, ...]


def run_depth(
    sources: Sequence[FrameSource],
    settings: DepthSettings,
    *,
    processes: int | None = None,
    journal: Path | None = None,
    on_progress: OnProgress | None = None,
) -> DepthRun:
    """Runs every inpainter on every frame under every mask.

    An interrupt (Ctrl-C) ends the run and keeps what is done; call again with the same journal to go on.

    Args:
        sources: The frames.
        settings: What to run on them.
        processes: Number of processes, one thread each; None takes one for each core. 0 runs in this process, with as many
            threads as the inpainters like.
        journal: File that collects the rows, one JSON object a line, and gives those of an earlier run back.
        on_progress: Called after every row, with its frame, mask and inpainter as the message, and why it failed if it did;
            False ends the run.

    Raises:
        InputError: If a name is unknown, or a worker process dies (memory).
    """
    settings.check()
    if not sources:
        raise InputError("frames", "none", "one or more frames")
    done = {} if journal is None else read_journal(journal, settings.fingerprint())
    tasks = []
    for source in sources:
        for mask in settings.all_masks:
            missing = tuple(name for name in settings.inpainters if (source.name, mask, name) not in done)
            if missing:
                tasks.append(_Task(source, mask, missing))
    rows = {key: row for key, row in done.items() if _wanted(key, sources, settings)}
    planned = len(rows) + sum(len(task.inpainters) for task in tasks)
    skipped: dict[str, list[str]] = {}
    interrupted = False
    try:
        with _finished(tasks, settings, processes) as results:
            for task, new in results:
                if not new:
                    skipped.setdefault(task.mask, []).append(task.source.name)
                    planned -= len(task.inpainters)
                for row in new:
                    rows[row.frame, row.mask, row.inpainter] = row
                    if journal is not None:
                        append_row(journal, settings.fingerprint(), row)
                    if on_progress is not None and on_progress(_progress(len(rows), planned, row)) is False:
                        raise KeyboardInterrupt
    except KeyboardInterrupt:
        interrupted = True
    order = [(source.name, mask, name) for source in sources for mask in settings.all_masks for name in settings.inpainters]
    return DepthRun(settings, [rows[key] for key in order if key in rows], planned, skipped, interrupted)


def _progress(done: int, planned: int, row: DepthRow) -> Progress:
    failure = f" FAILED {row.failure}" if row.failure else ""
    return Progress("depth", done, planned, f"{row.frame} {row.mask} {row.inpainter}{failure}")


def read_journal(path: Path, fingerprint: str) -> dict[tuple[str, str, str], DepthRow]:
    """Rows of earlier runs with the same settings, by frame, mask and inpainter; failures are left out, to be tried again.

    A line that was cut short by the end of a run is passed over.
    """
    if not path.is_file():
        return {}
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            content = json.loads(line)
            if content["settings"] == fingerprint:
                row = row_from_json(content["row"])
                rows[row.frame, row.mask, row.inpainter] = row
        except (ValueError, KeyError, TypeError):  # InputError of a row of another version is a ValueError
            continue
    return {key: row for key, row in rows.items() if row.failure is None}


def append_row(path: Path, fingerprint: str, row: DepthRow) -> None:
    """Adds a row to a journal."""
    with path.open("a+b") as file:
        if file.tell() and not _ends_with_newline(path):
            file.write(b"\n")
        file.write(json.dumps({"settings": fingerprint, "row": row_to_json(row)}, allow_nan=False).encode() + b"\n")


@contextmanager
def _finished(
    tasks: Sequence[_Task], settings: DepthSettings, processes: int | None
) -> Iterator[Iterator[tuple[_Task, list[DepthRow]]]]:
    """The tasks with their rows, as they are done. Leaving the block early ends the workers."""
    if processes == 0 or not tasks:
        yield ((task, _run(task, settings)) for task in tasks)
        return
    before = set(multiprocessing.active_children())
    with _environment(dict.fromkeys(THREADS, "1")):
        workers = max(1, min(processes or _cores(), len(tasks)))
        executor = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start_worker)
        try:
            yield _as_completed(executor, tasks, settings)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            raise
        executor.shutdown()


def _as_completed(
    executor: ProcessPoolExecutor, tasks: Sequence[_Task], settings: DepthSettings
) -> Iterator[tuple[_Task, list[DepthRow]]]:
    futures: dict[Future[list[DepthRow]], _Task] = {executor.submit(_run, task, settings, 1): task for task in tasks}
    for future in as_completed(futures):
        try:
            yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise InputError(
                "processes", "a worker that was killed, most likely for memory", "fewer processes or a smaller max-size"
            ) from error


def _run(task: _Task, settings: DepthSettings, threads: int | None = None) -> list[DepthRow]:
    """The rows of one frame under one mask; none if the frame lacks what the mask needs."""
    try:
        frame = limited_frame(task.source.load(), settings.max_size)
        case = make_case(frame, task.mask, view=check_protocol(settings.protocol).view, prior=settings.prior)
    except InputError as error:  # one broken file of a large data set must not end the run
        return [_unreadable(task, name, error) for name in task.inpainters]
    if case is None:
        return []
    return [evaluate_case(case, case_inpainter(name, case, threads), name, settings.fit) for name in task.inpainters]


def _unreadable(task: _Task, inpainter: str, error: InputError) -> DepthRow:
    seed = mask_seed(task.source.name, task.mask)
    return DepthRow(task.source.name, "", task.mask, inpainter, seed, 0, 0, 0.0, failure=f"frame not read: {error}")


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends the workers
    import torch

    torch.set_num_threads(1)


def _wanted(key: tuple[str, str, str], sources: Sequence[FrameSource], settings: DepthSettings) -> bool:
    frame, mask, name = key
    return mask in settings.all_masks and name in settings.inpainters and any(source.name == frame for source in sources)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before: dict[str, Any] = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
