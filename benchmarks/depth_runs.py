"""Depth inpainters on frames, with a line of progress for every row and rows that outlive an interruption."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from scene_depth.datasets.frames import FrameSource
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthSettings, run_depth
from scene_depth.work import Progress


def rows_of(sources: Sequence[FrameSource], settings: DepthSettings, journal: Path, *, processes: int = 1) -> list[DepthRow]:
    """Runs the inpainters, going on where the journal ends.

    Args:
        sources: The frames.
        settings: What to run on them.
        journal: File of the rows that are done.
        processes: See ``run_depth``.

    Raises:
        KeyboardInterrupt: If the run was interrupted; the journal has what is done.
    """
    result = run_depth(sources, settings, processes=processes, journal=journal, on_progress=print_progress)
    if not result.finished:
        raise KeyboardInterrupt
    return list(result.rows)


def digest_of(weights: Path) -> str:
    """Name of a journal for these weights, so that rows of others are not taken for theirs."""
    return sha256(weights.read_bytes()).hexdigest()[:8]


def print_progress(now: Progress) -> None:
    """One line for each row, on standard error."""
    print(f"{now.done}/{now.total} {now.message}", file=sys.stderr, flush=True)
