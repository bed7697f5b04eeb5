"""What the commands of all packages share while long work runs: a bar, Ctrl-C, and reports as JSON.

A command watches a workflow with :func:`watch_progress`, prints its report, and calls :func:`end_if_stopped` at the end, which
makes a stopped command end with exit code 130.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from scene_depth.work import OnProgress, Progress


class Stoppable(Protocol):
    """A report that says whether the work was finished."""

    @property
    def finished(self) -> bool:
        """False if the work was stopped before its end."""
        ...


@contextmanager
def watch_progress(description: str = "") -> Iterator[OnProgress]:
    """Gives an ``on_progress`` that moves a bar on the terminal's error stream; nothing is drawn where there is no terminal.

    It returns False once Ctrl-C was pressed, which stops the work after the step under way; pressed again, Ctrl-C interrupts
    at once.

    Args:
        description: Text of the bar before the first step.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
        _stopped_by_signal() as stopped,
    ):
        task = bar.add_task(description, total=None)

        def on_progress(now: Progress) -> bool:
            bar.update(task, completed=now.done, total=now.total, description=describe_progress(now))
            return not stopped()

        yield on_progress


def save_snapshots(on_progress: OnProgress, save: Callable[[Any], object], minutes: float) -> OnProgress:
    """An ``on_progress`` that also saves the result as it stands, every so many minutes; 0 saves nothing."""
    last = time.monotonic()

    def step(now: Progress) -> bool | None:
        nonlocal last
        go_on = on_progress(now)
        if minutes > 0 and now.snapshot is not None and time.monotonic() - last >= 60 * minutes:
            save(now.snapshot())
            last = time.monotonic()
        return go_on

    return step


def describe_progress(now: Progress) -> str:
    """One line for a person: the stage, with its message or else its measures."""
    said = now.message or ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in now.measures.items())
    return ": ".join(part for part in (now.stage, said) if part)


def end_if_stopped(report: Stoppable) -> None:
    """Ends the command with exit code 130 if the work was stopped before its end.

    Raises:
        KeyboardInterrupt: Which the program turns into the exit code.
    """
    if not report.finished:
        raise KeyboardInterrupt


def say_first(plan: str) -> None:
    """Says on the error stream how long the work is that begins now: a person can still choose less of it."""
    print(plan, file=sys.stderr)


def report_console() -> Console:
    """What reports are printed with: tables as wide as the terminal, 80 columns where there is none; sentences are not broken."""
    return Console(width=None if sys.stdout.isatty() else 80, highlight=False, soft_wrap=True)


def print_json(report: Any, *, indent: int | None = None) -> None:
    """Prints a report on standard output: one with ``as_json`` as it says, a dataclass or plain values as strict JSON."""
    if hasattr(report, "as_json"):
        print(report.as_json())
        return
    content = dataclasses.asdict(report) if dataclasses.is_dataclass(report) and not isinstance(report, type) else report
    print(json.dumps(content, indent=indent, allow_nan=False))


@contextmanager
def sigterm_is_interrupt() -> Iterator[None]:
    """Lets SIGTERM, which schedulers and containers send before they kill, do what Ctrl-C does."""
    with _handled(lambda number, frame: signal.default_int_handler(number, None), signal.SIGTERM):
        yield


@contextmanager
def _stopped_by_signal() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether Ctrl-C was pressed or SIGTERM came; the second time, either interrupts at once."""
    pressed: list[int] = []

    def press(number: int, frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)
        print("ending after this step; press Ctrl-C again to end at once", file=sys.stderr)

    with _handled(press, signal.SIGINT, signal.SIGTERM):
        yield lambda: bool(pressed)


@contextmanager
def _handled(handler: Callable[[int, Any], None], *signals: int) -> Iterator[None]:
    """Handles signals inside the block; outside of the main thread, where that is not possible, they stay as they are."""
    former = {}
    try:
        for number in signals:
            former[number] = signal.signal(number, handler)
    except ValueError:
        pass
    try:
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)
