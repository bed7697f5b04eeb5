"""What a command shows while a workflow runs, and how Ctrl-C ends it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scene_depth.cli.progress import progress_bar, stopped_by_signal
from scene_depth_heal.workflow import HealProgress, Tell


@contextmanager
def watched() -> Iterator[Tell]:
    """Gives a progress callback that moves a bar and stops the workflow when Ctrl-C was pressed."""
    with progress_bar() as show, stopped_by_signal() as stopped:

        def tell(now: HealProgress) -> bool:
            show(now.done, now.total, f"{now.stage}: {now.message}")
            return not stopped()

        yield tell
