"""The vocabulary of long work: how far it is, who is told, how long it took, and how it is stopped.

One rule for stopping: a workflow that is told to stop (its ``on_progress`` returns False, or Ctrl-C interrupts it) ends after
the step under way and returns what it has, with ``finished=False`` in its report. Only a command turns that into an exit code.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Progress:
    """How far long work is.

    Attributes:
        stage: What is being done: "hole", "fill", "fit", "train".
        done, total: Units of the stage.
        message: One line for a person; "" if the numbers say it all.
        measures: Numbers of this step by name, such as "loss".
        snapshot: Gives the result as it stands, such as the splats of a fit; later steps do not change it. None if there is
            none to show.

    Example:
        >>> import scene_depth as sd
        >>> def stop_after_ten(progress: sd.Progress) -> bool:
        ...     return progress.done < 10  # False stops the work
        >>> stop_after_ten(sd.Progress("fit", 10, 300))
        False
    """

    stage: str
    done: int
    total: int
    message: str = ""
    measures: Mapping[str, float] = field(default_factory=dict)
    snapshot: Callable[[], Any] | None = None


OnProgress = Callable[[Progress], bool | None]
"""Is called between steps; False stops the work."""


@dataclass
class Work:
    """One piece of long work under way.

    Attributes:
        on_progress: Who is told, if anyone.
        stopped: Whether somebody asked to stop.
        seconds: Wall time by stage.
        part_seconds: Wall time of parts of stages that were measured by themselves.
    """

    on_progress: OnProgress | None = None
    stopped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    part_seconds: dict[str, float] = field(default_factory=dict)

    def report(self, progress: Progress) -> bool:
        """Tells how far the work is; gives whether it is to go on."""
        if self.on_progress is not None and self.on_progress(progress) is False:
            self.stopped = True
        return not self.stopped

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures a stage; Ctrl-C inside it stops the work instead of leaving it."""
        start = time.perf_counter()
        try:
            yield
        except KeyboardInterrupt:
            self.stopped = True
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measures a part of a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.part_seconds[name] = self.part_seconds.get(name, 0.0) + time.perf_counter() - start
