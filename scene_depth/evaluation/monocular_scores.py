"""Scores of a monocular model of log depth under the protocol of DepthFM, and their change with steps and members."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.monocular import MonocularMap
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_fit import DepthFit, fit_depth
from scene_depth.evaluation.depth_metrics import (
    DepthErrors,
    EdgeScores,
    UncertaintyScores,
    depth_errors,
    sobel_edge_scores,
    uncertainty_scores,
)

Predict = Callable[[NDArray[np.float32], int, int], MonocularMap]  # (rgb [H, W, 3], steps, members)
STEPS, ENSEMBLES = (1, 2, 4, 10), (1, 2, 5, 10)


@dataclass(frozen=True)
class MonocularScores:
    """One prediction against truth.

    Attributes:
        errors: After a least-squares fit of scale and shift in log space to all valid pixels; AbsRel and delta1 are what
            Gui et al. 2024 report.
        edges: Sobel edges of the fitted depth; for truth in metres.
        uncertainty: How well the spread of the members ranks the relative error; None without one. ``ratio_of_thirds`` is
            the paper's 3.21, though the paper does not say where it cuts.
        fit: The fit.
    """

    errors: DepthErrors
    edges: EdgeScores
    uncertainty: UncertaintyScores | None
    fit: DepthFit


def monocular_scores(predicted: MonocularMap, truth: NDArray[np.floating], valid: NDArray[np.bool_]) -> MonocularScores:
    """Measures a prediction of log depth.

    Args:
        predicted: Log depth of free scale and shift  # [H, W]
        truth: z-depth, positive where valid  # [H, W]
        valid: Pixels with truth, one or more  # [H, W]

    Raises:
        InputError: If the prediction is of another space or size, or no pixel is valid.
    """
    if predicted.space != "log":
        raise InputError("prediction", f"of space {predicted.space!r}", "log depth")
    values = predicted.values.astype(np.float64)
    relative = np.exp(np.clip(values - values.mean(), -300, 300))
    fit = fit_depth(relative, truth, valid, space="log")
    fitted = fit.apply(relative)
    uncertainty = None
    if predicted.uncertainty is not None:
        error = np.abs(fitted[valid] / truth[valid].astype(np.float64) - 1.0)
        uncertainty = uncertainty_scores(abs(fit.scale) * predicted.uncertainty[valid].astype(np.float64), error)
    return MonocularScores(depth_errors(fitted, truth, valid), sobel_edge_scores(fitted, truth, valid), uncertainty, fit)


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
