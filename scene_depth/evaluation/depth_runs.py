"""Inpainters over frames and masks, split over processes; what was done before is not done again."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import tyro

from scene_depth.datasets.frames.frame import FrameSource
from scene_depth.datasets.frames.resize import limited_frame
from scene_depth.depth.masks import mask_seed
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import BackEnd, PriorInpainter
from scene_depth.depth.prior import MonocularMap
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_protocols import DepthCase, PriorKind, check_mask, check_protocol, make_case
from scene_depth.evaluation.depth_rows import DepthRow, FitOptions, evaluate_case
from scene_depth.io.plain_values import from_plain
from scene_depth.kernels import available_cores
from scene_depth.work import OnProgress, Progress

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
PRIOR_ALONE: Mapping[str, BackEnd] = MappingProxyType({"prior_global": "global", "prior_local": "local"})
"""Names for the prior itself, fitted to the known depth as a whole or pixel by pixel: what the prior is worth alone."""

Key = tuple[str, str, str]  # frame, mask, inpainter

SECONDS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "solver": (0.3, 5.5),
        "refined": (0.5, 7.0),
        "nearest": (0.1, 1.0),
        "linear": (0.1, 1.5),
        "geodesic": (0.1, 2.0),
        "harmonic": (0.2, 6.0),
        "harmonic_color": (0.2, 7.0),
        "colorization": (0.2, 16.0),
        "ip_basic": (0.1, 1.5),
        "auxiliary": (0.2, 3.0),
    }
)
"""Seconds of a result, with its measuring, on one common core: of any, and of a megapixel. Others are not known beforehand."""


@dataclass(frozen=True)
class DepthSettings:
    """What is run on every frame.

    Example:
        >>> import scene_depth as sd
        >>> sd.DepthSettings(("solver", "nearest"), masks=("rect", "lidar64")).all_masks
        ('rect', 'lidar64')
    """

    inpainters: Annotated[tuple[str, ...], tyro.conf.arg(name="inpainter")] = ("solver",)
    """Names of depth inpainters, to be compared; with parameters as in depthlab[num_inference_steps=10]."""
    protocol: str = "standard"
    """What is hidden, where errors are counted: standard, holes, priorda, depthlab-masks, depthlab-known-share, nyu500, kitti."""
    masks: tuple[str, ...] = ()
    """Masks in place of the protocol's: rand10, patch30, points500, nyu500, lidar64, silhouette, segment, rect, outpaint, sensor,
    strokes, circles, squares, mixture, sparse, object, native, input:NAME, priorda:NAME, ..."""
    prior: PriorKind = "none"
    """Monocular prior for inpainters that take one: made from the truth with 6 % smooth error, or what came with a frame."""
    fit: Annotated[FitOptions, tyro.conf.arg(name="")] = field(default_factory=FitOptions)
    max_size: int | None = None
    """Longer side to which larger frames are reduced, in pixels."""

    @property
    def all_masks(self) -> tuple[str, ...]:
        """The masks that are run."""
        return self.masks or check_protocol(self.protocol).masks

    def check(self) -> None:
        """Raises InputError if a name is unknown, a number out of range, or a prior is given that no inpainter takes."""
        check_protocol(self.protocol)
        for mask in self.all_masks:
            check_mask(mask)
        if self.max_size is not None and self.max_size < 16:
            raise InputError("max-size", self.max_size, "at least 16 pixels")
        if not self.inpainters:
            raise InputError("inpainter", "none", "one or more names")
        for name in self.inpainters:
            if name not in PRIOR_ALONE:
                _loaded(name)
            elif self.prior == "none":
                raise InputError("inpainter", name, "an inpainter that needs no prior, or a prior")
        if self.prior != "none" and not any(name in PRIOR_ALONE or _takes(name, "prior") for name in self.inpainters):
            raise InputError("prior", self.prior, f"none, since {', '.join(self.inpainters)} takes no prior")

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
        finished: Whether the run came to its end.
    """

    settings: DepthSettings
    rows: list[DepthRow]
    planned: int
    skipped: dict[str, list[str]]
    finished: bool = True


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
    order = [(source.name, mask, name) for source in sources for mask in settings.all_masks for name in settings.inpainters]
    rows = {key: done[key] for key in order if key in done}
    tasks = []
    for source in sources:
        for mask in settings.all_masks:
            missing = tuple(name for name in settings.inpainters if (source.name, mask, name) not in rows)
            if missing:
                tasks.append(_Task(source, mask, missing))
    planned, skipped, finished = len(order), dict[str, list[str]](), True
    try:
        with _results_of(tasks, settings, processes) as results:
            for task, new in results:
                if not new:
                    skipped.setdefault(task.mask, []).append(task.source.name)
                    planned -= len(task.inpainters)
                for row in new:
                    rows[row.frame, row.mask, row.inpainter] = row
                    if journal is not None:
                        append_row(journal, settings.fingerprint(), row)
                    failure = f" FAILED {row.failure}" if row.failure else ""
                    now = Progress("depth", len(rows), planned, f"{row.frame} {row.mask} {row.inpainter}{failure}")
                    if on_progress is not None and on_progress(now) is False:
                        raise KeyboardInterrupt
    except KeyboardInterrupt:
        finished = False
    return DepthRun(settings, [rows[key] for key in order if key in rows], planned, skipped, finished)


def describe_plan(
    sources: Sequence[FrameSource], settings: DepthSettings, processes: int | None = None, journal: Path | None = None
) -> str:
    """How many results a run gives and about how many minutes it takes, by the size of its first frame, in one sentence."""
    done = {} if journal is None else read_journal(journal, settings.fingerprint())
    masks, names = settings.all_masks, settings.inpainters
    counts = {n: sum((source.name, mask, n) not in done for source in sources for mask in masks) for n in names}
    total, left = len(sources) * len(masks) * len(names), sum(counts.values())
    said = f"{len(sources)} frames, {len(masks)} masks, {len(names)} inpainters: at most {total:,} results"
    if left < total:
        said += f", {total - left:,} of them done before"
    try:
        height, width = limited_frame(sources[0].load(), settings.max_size).truth.shape
    except InputError:  # the run says it of that frame
        return said
    costs = {name: SECONDS.get(name.split("[")[0]) for name in names}
    workers = max(1, min(available_cores() if processes is None else processes, len(sources) * len(masks)))
    seconds = sum(counts[name] * (cost[0] + cost[1] * height * width / 1e6) for name, cost in costs.items() if cost) / workers
    minutes = f"{seconds / 60:.0f} minutes" if seconds >= 90 else "a minute or two" if seconds >= 20 else "a few seconds"
    unknown = [name for name, cost in costs.items() if cost is None]
    if len(unknown) == len(names):
        return f"{said}; how long {', '.join(unknown)} takes is seen after the first"
    without = f" without {', '.join(unknown)}, seen after the first" if unknown else ""
    return f"{said}, about {minutes}{without} ({width} x {height} pixels, {workers} at a time)"


def read_journal(path: Path, fingerprint: str) -> dict[Key, DepthRow]:
    """Rows of earlier runs with the same settings, by frame, mask and inpainter; failures are left out, to be tried again.

    A line that was cut short by the end of a run, or written by another version, is passed over.
    """
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            content = json.loads(line)
            if content["settings"] == fingerprint:
                row = from_plain(DepthRow, content["row"], place="row", whole=True)
                rows[row.frame, row.mask, row.inpainter] = row
        except (ValueError, KeyError, TypeError):  # InputError is a ValueError
            continue
    return {key: row for key, row in rows.items() if row.failure is None}


def append_row(path: Path, fingerprint: str, row: DepthRow) -> None:
    """Adds a row to a journal, in place of a last line that was cut short."""
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps({"settings": fingerprint, "row": asdict(row)}, allow_nan=False).encode() + b"\n")


def case_inpainter(name: str, case: DepthCase, threads: int | None = None) -> ExactInpainter:
    """The inpainter for a case; one that takes a prior is given that of the case.

    Args:
        name: A name of ``load_depth_inpainter`` or of ``PRIOR_ALONE``.
        case: The case.
        threads: Number of threads for inpainters that let it be chosen; None leaves it to them.
    """
    if name in PRIOR_ALONE and case.prior is not None:
        return ExactInpainter(PriorInpainter(MonocularMap(case.prior, "inverse"), PRIOR_ALONE[name]), name)
    options: dict[str, Any] = {"threads": threads} if threads is not None and _takes(name, "threads") else {}
    if case.prior is not None and _takes(name, "prior"):
        prior = case.prior if name.startswith("solver") else MonocularMap(case.prior, "inverse")
        return load_depth_inpainter(name, prior=prior, **options)
    return _loaded(name, **options)


@lru_cache(maxsize=16)
def _loaded(name: str, **options: Any) -> ExactInpainter:
    return load_depth_inpainter(name, **options)


@lru_cache(maxsize=64)
def _takes(name: str, option: str) -> bool:
    """Whether an inpainter's factory has that option; None is its default for both that are asked for here."""
    try:
        load_depth_inpainter(name, **{option: None})
    except InputError:
        return False
    return True


@contextmanager
def _results_of(
    tasks: Sequence[_Task], settings: DepthSettings, processes: int | None
) -> Iterator[Iterator[tuple[_Task, list[DepthRow]]]]:
    """The tasks with their rows, as they are done. Leaving the block early ends the workers."""
    if processes == 0 or not tasks:
        yield ((task, _run(task, settings)) for task in tasks)
        return
    before = set(multiprocessing.active_children())
    with _environment(dict.fromkeys(THREADS, "1")):
        workers = max(1, min(processes or available_cores(), len(tasks)))
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
    futures = {executor.submit(_run, task, settings, 1): task for task in tasks}
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
        name, seed, failure = task.source.name, mask_seed(task.source.name, task.mask), f"frame not read: {error}"
        return [DepthRow(name, "", task.mask, inpainter, seed, 0, 0, 0.0, failure=failure) for inpainter in task.inpainters]
    if case is None:
        return []
    return [evaluate_case(case, case_inpainter(name, case, threads), name, settings.fit) for name in task.inpainters]


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends the workers
    import torch

    torch.set_num_threads(1)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
