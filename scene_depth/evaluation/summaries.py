"""Summaries over frames: means that one hard frame does not decide, and intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FLOOR = 1e-6
"""Errors below this count as this in geometric means, so that one perfect frame does not make them 0."""
REPEATS = 2000


@dataclass(frozen=True)
class Summary:
    """A measure over frames. Intervals are 95 % bootstrap percentiles over frames; None with fewer than two.

    Attributes:
        frames: Number of frames that have the measure.
        mean: Arithmetic mean.
        median: Median.
        geometric_mean: Geometric mean of max(value, ``FLOOR``); None if a value is negative.
        mean_interval: Interval of the mean.
        geometric_mean_interval: Interval of the geometric mean.
    """

    frames: int
    mean: float | None = None
    median: float | None = None
    geometric_mean: float | None = None
    mean_interval: tuple[float, float] | None = None
    geometric_mean_interval: tuple[float, float] | None = None


def summarize(values: Sequence[float | None], *, seed: int = 0) -> Summary:
    """Summary of the values that are there; None and not finite ones are left out."""
    present = np.array([value for value in values if value is not None and np.isfinite(value)], dtype=np.float64)
    if not present.size:
        return Summary(frames=0)
    positive = bool((present >= 0).all())
    return Summary(
        frames=int(present.size),
        mean=float(present.mean()),
        median=float(np.median(present)),
        geometric_mean=geometric_mean(present) if positive else None,
        mean_interval=bootstrap_interval(present, lambda sample: sample.mean(axis=1), seed=seed),
        geometric_mean_interval=(
            bootstrap_interval(present, lambda sample: np.exp(np.log(np.maximum(sample, FLOOR)).mean(axis=1)), seed=seed)
            if positive
            else None
        ),
    )


def geometric_mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    """exp of the mean of ln max(value, ``FLOOR``)."""
    return float(np.exp(np.mean(np.log(np.maximum(np.asarray(values, dtype=np.float64), FLOOR)))))


def bootstrap_interval(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 0,
    repeats: int = REPEATS,
) -> tuple[float, float] | None:
    """95 % percentile bootstrap (Efron 1979).

    Args:
        values: One value a frame  # [N]
        statistic: From resampled values, one row a repeat, to one number each  # [R, N] -> [R]
        seed: Seed of the resampling.
        repeats: Number of resamplings.
    """
    if values.size < 2:
        return None
    chosen = np.random.default_rng(seed).integers(0, values.size, (repeats, values.size))
    low, high = np.percentile(statistic(values[chosen]), [2.5, 97.5])
    return float(low), float(high)
