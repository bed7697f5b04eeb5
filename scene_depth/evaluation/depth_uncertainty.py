"""Whether a predicted uncertainty tells where the error is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from scene_depth.errors import InputError

SPARSIFICATION_STEPS = 100


@dataclass(frozen=True)
class UncertaintyScores:
    """Quality of an uncertainty as a ranking of errors. None where it cannot be told (no pixel, no spread).

    Attributes:
        pixels: Number of pixels.
        spearman: Rank correlation of uncertainty and error.
        ause: Area under the sparsification error, normalised by the mean error: 0 = as good as the true error (Ilg et al. 2018,
            "Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow", section 5).
        error_most_uncertain_third: Mean error of the third of pixels with the largest uncertainty.
        error_least_uncertain_third: Mean error of the third with the smallest.
        ratio_of_thirds: The first over the second (DepthFM reports 3.21, Gui et al. 2024).
        within_one_sigma: Share of pixels with error <= uncertainty; meaningful if both are in the same unit.
    """

    pixels: int
    spearman: float | None = None
    ause: float | None = None
    error_most_uncertain_third: float | None = None
    error_least_uncertain_third: float | None = None
    ratio_of_thirds: float | None = None
    within_one_sigma: float | None = None


def uncertainty_scores(uncertainty: ArrayLike, error: ArrayLike) -> UncertaintyScores:
    """Compares a predicted uncertainty with the true error of the same pixels.

    Args:
        uncertainty: Relative standard deviation, not negative  # [N]
        error: True error |d - g| / g, not negative  # [N]

    Raises:
        InputError: If the shapes differ or a value is negative or not finite.
    """
    u, e = _checked(uncertainty, error)
    if u.size == 0:
        return UncertaintyScores(pixels=0)
    most, least = _thirds(u, e)
    return UncertaintyScores(
        pixels=int(u.size),
        spearman=spearman(u, e),
        ause=area_under_sparsification_error(u, e),
        error_most_uncertain_third=most,
        error_least_uncertain_third=least,
        ratio_of_thirds=most / least if most is not None and least else None,
        within_one_sigma=float(np.mean(e <= u)),
    )


def spearman(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rank correlation, ties share their mean rank; None if one of both is constant."""
    ranks = [stats.rankdata(np.asarray(values, dtype=np.float64)) for values in (first, second)]
    centred = [rank - rank.mean() if rank.size else rank for rank in ranks]
    norm = float(np.sqrt(np.sum(centred[0] ** 2) * np.sum(centred[1] ** 2)))
    return float(np.sum(centred[0] * centred[1]) / norm) if norm > 0 else None


def sparsification_curve(
    uncertainty: ArrayLike, error: ArrayLike, *, steps: int = SPARSIFICATION_STEPS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean error of what is left when the most uncertain pixels are dropped (Ilg et al. 2018, section 5).

    Args:
        uncertainty, error: As in ``uncertainty_scores``  # [N]
        steps: Number of fractions.

    Returns:
        Dropped fractions 0, 1/steps, ... (steps - 1)/steps  # [steps]
        Mean error of the rest over the mean error of all, dropping by uncertainty  # [steps]
        The same dropping by the error itself, the best possible  # [steps]
    """
    u, e = _checked(uncertainty, error)
    fractions = np.arange(steps) / steps
    left = np.maximum(u.size - np.floor(fractions * u.size).astype(int), 1)
    curves = []
    for key in (u, e):
        means = np.cumsum(e[np.argsort(key, kind="stable")]) / np.arange(1, e.size + 1)
        curves.append(means[left - 1] / means[-1] if e.size and means[-1] > 0 else np.ones(steps))
    return fractions, curves[0], curves[1]


def area_under_sparsification_error(uncertainty: ArrayLike, error: ArrayLike) -> float | None:
    """AUSE: area between the curve by uncertainty and the best possible curve; None without error or without spread."""
    if not np.any(np.asarray(error) > 0) or np.ptp(np.asarray(uncertainty)) == 0:
        return None
    fractions, curve, oracle = sparsification_curve(uncertainty, error)
    return float(np.sum(np.diff(fractions) * 0.5 * ((curve - oracle)[1:] + (curve - oracle)[:-1])))


def _thirds(u: NDArray[np.float64], e: NDArray[np.float64]) -> tuple[float | None, float | None]:
    third = u.size // 3
    if third == 0 or np.ptp(u) == 0:  # an uncertainty without spread ranks nothing
        return None, None
    ordered = e[np.argsort(u, kind="stable")]
    return float(np.mean(ordered[-third:])), float(np.mean(ordered[:third]))


def _checked(uncertainty: ArrayLike, error: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    u, e = np.asarray(uncertainty, dtype=np.float64).ravel(), np.asarray(error, dtype=np.float64).ravel()
    if u.shape != e.shape:
        raise InputError("uncertainty", f"{u.size} values", f"{e.size}, as many as errors")
    for name, values in (("uncertainty", u), ("error", e)):
        bad = int(np.count_nonzero(~(np.isfinite(values) & (values >= 0))))
        if bad:
            raise InputError(name, f"{bad} of {values.size} values negative or not finite", "finite values of at least 0")
    return u, e
