"""Scores of DepthFM against its number of steps and members."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.prior import MonocularMap
from scene_depth.errors import InputError
from scene_depth.evaluation.monocular_scores import MonocularScores, monocular_scores

Predict = Callable[[NDArray[np.float32], int, int], MonocularMap]  # (rgb [H, W, 3], steps, members)
STEPS, ENSEMBLES = (1, 2, 4, 10), (1, 2, 5, 10)


@dataclass(frozen=True)
class SweepRow:
    """Means over frames of one number of steps and members.

    Attributes:
        steps, ensemble: Euler steps and members.
        abs_rel, delta1: After the fit in log space, ratios.
        ratio_of_thirds, ause: Of the uncertainty; None without one.
        seconds: Wall time a frame.
    """

    steps: int
    ensemble: int
    abs_rel: float
    delta1: float
    ratio_of_thirds: float | None
    ause: float | None
    seconds: float


def sweep(
    predict: Predict,
    frames: Iterable[tuple[NDArray[np.float32], NDArray[np.floating], NDArray[np.bool_]]],
    steps: Sequence[int] = STEPS,
    ensembles: Sequence[int] = ENSEMBLES,
) -> list[SweepRow]:
    """Scores for every pair of a number of steps and a number of members.

    Args:
        predict: The model, (rgb, steps, members) -> log depth.
        frames: Picture, truth and valid pixels, each  # [H, W, 3], [H, W], [H, W]
        steps: Numbers of steps.
        ensembles: Numbers of members.

    Raises:
        InputError: If there is no frame.
    """
    listed = list(frames)
    if not listed:
        raise InputError("frames", "none", "one or more")
    rows = []
    for count in steps:
        for members in ensembles:
            started = time.perf_counter()
            maps = [predict(rgb, count, members) for rgb, _, _ in listed]
            seconds = (time.perf_counter() - started) / len(listed)
            found = [monocular_scores(one, truth, valid) for one, (_, truth, valid) in zip(maps, listed, strict=True)]
            rows.append(_row(count, members, found, seconds))
    return rows


def _row(steps: int, ensemble: int, found: Sequence[MonocularScores], seconds: float) -> SweepRow:
    certain = [one.uncertainty for one in found if one.uncertainty is not None]
    return SweepRow(
        steps,
        ensemble,
        _mean([one.errors.abs_rel for one in found]) or 0.0,
        _mean([one.errors.delta1 for one in found]) or 0.0,
        _mean([one.ratio_of_thirds for one in certain]),
        _mean([one.ause for one in certain]),
        seconds,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def sweep_table(rows: Sequence[SweepRow]) -> list[str]:
    """The rows as a table in Markdown; AbsRel and delta1 in percent."""
    lines = ["| steps | members | AbsRel % | δ1 % | error, uncertain / certain third | AUSE | s a frame |"]
    lines.append("| ---: |" + " ---: |" * 6)
    for row in rows:
        ratio, ause = ("" if value is None else f"{value:.2f}" for value in (row.ratio_of_thirds, row.ause))
        scores = f"{100 * row.abs_rel:.2f} | {100 * row.delta1:.1f} | {ratio} | {ause} | {row.seconds:.2f}"
        lines.append(f"| {row.steps} | {row.ensemble} | {scores} |")
    return lines
