"""How well depth discontinuities are placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SOBEL_THRESHOLDS = (0.25, 0.5, 1.0)
"""Gradient magnitudes in metres of Hu et al. 2019, table 3; the Sobel kernel is not normalised."""

RATIO_THRESHOLDS = tuple(np.linspace(1.05, 1.25, 10))
"""Depth ratios of neighbours of Depth Pro."""


@dataclass(frozen=True)
class EdgeScores:
    """Agreement of edges. None where there is nothing to divide by.

    Attributes:
        precision: Share of predicted edge pixels that are true ones.
        recall: Share of true edge pixels that are predicted.
        f1: Harmonic mean of both.
    """

    precision: float | None
    recall: float | None
    f1: float | None


def sobel_edge_scores(
    prediction: NDArray[np.floating],
    truth: NDArray[np.floating],
    valid: NDArray[np.bool_],
    region: NDArray[np.bool_] | None = None,
    *,
    thresholds: Sequence[float] = SOBEL_THRESHOLDS,
) -> EdgeScores:
    """Edge precision and recall by Sobel gradients (Hu et al. 2019, "Revisiting Single Image Depth Estimation", section 4.2).

    An edge is a pixel where sqrt(gx^2 + gy^2) exceeds the threshold, gx and gy by the 3x3 Sobel kernel (1 2 1) on depth in
    metres. Edges must fall on the same pixel. Scores are means over those thresholds that have edges, as in the paper;
    DepthFM (Gui et al. 2024, Middlebury) and DiverseDepth report the same kind of score, without saying which thresholds.

    Args:
        prediction, truth: z-depth in metres  # [H, W]
        valid: Pixels with truth; an edge is looked for where the whole 3x3 window is valid  # [H, W]
        region: Pixels to count, for instance the hole; None counts all  # [H, W]
        thresholds: Gradient magnitudes, in metres.
    """
    countable = ndimage.binary_erosion(valid, np.ones((3, 3), bool), border_value=0)
    if region is not None:
        countable = countable & region
    true_gradient, predicted_gradient = (_sobel(np.where(valid, depth, 0.0))[countable] for depth in (truth, prediction))
    return _mean_scores([_scores(predicted_gradient > limit, true_gradient > limit) for limit in thresholds])


def boundary_scores(
    prediction: NDArray[np.floating],
    truth: NDArray[np.floating],
    valid: NDArray[np.bool_],
    region: NDArray[np.bool_] | None = None,
    *,
    thresholds: Sequence[float] = RATIO_THRESHOLDS,
) -> EdgeScores:
    """Occluding contours by depth ratios, free of scale (Depth Pro, Bochkovskii et al. 2024, section 3.3).

    Of two neighbours one occludes the other where the ratio of their depths exceeds t; the direction counts. Precision and recall
    of these relations, then the mean over thresholds weighted by t.

    Args:
        prediction, truth: z-depth in any unit  # [H, W]
        valid: Pixels with truth; both neighbours must be valid  # [H, W]
        region: Pixels of which at least one neighbour must be part; None counts all pairs  # [H, W]
        thresholds: Ratios above 1.
    """
    true_ratio, predicted_ratio = (_neighbour_log_ratios(depth, valid, region) for depth in (truth, prediction))
    scores, weights = [], []
    for limit in thresholds:
        bound = np.log(limit)
        predicted = np.concatenate([predicted_ratio > bound, predicted_ratio < -bound])
        true = np.concatenate([true_ratio > bound, true_ratio < -bound])
        scores.append(_scores(predicted, true))
        weights.append(limit)
    return _mean_scores(scores, weights)


def _sobel(depth: NDArray[np.floating]) -> NDArray[np.float64]:
    depth = depth.astype(np.float64)
    result: NDArray[np.float64] = np.hypot(
        ndimage.sobel(depth, axis=0, mode="nearest"), ndimage.sobel(depth, axis=1, mode="nearest")
    )
    return result


def _neighbour_log_ratios(
    depth: NDArray[np.floating], valid: NDArray[np.bool_], region: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    logarithm = np.log(np.where(valid, depth, 1.0).astype(np.float64))
    ratios = []
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1, :], np.s_[1:, :])):
        pairs = valid[first] & valid[second]
        if region is not None:
            pairs &= region[first] | region[second]
        ratios.append((logarithm[second] - logarithm[first])[pairs])
    return np.concatenate(ratios)


def _scores(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> EdgeScores:
    hits, found, wanted = (int(np.count_nonzero(edges)) for edges in (predicted & true, predicted, true))
    precision = hits / found if found else None
    recall = hits / wanted if wanted else None
    f1 = 2.0 * hits / (found + wanted) if found + wanted else None
    return EdgeScores(precision, recall, f1)


def _mean_scores(scores: Sequence[EdgeScores], weights: Sequence[float] | None = None) -> EdgeScores:
    weights = weights if weights is not None else [1.0] * len(scores)

    def mean(name: str) -> float | None:
        pairs = [(getattr(score, name), weight) for score, weight in zip(scores, weights, strict=True)]
        present = [(value, weight) for value, weight in pairs if value is not None]
        if not present:
            return None
        return float(np.average([value for value, _ in present], weights=[weight for _, weight in present]))

    return EdgeScores(mean("precision"), mean("recall"), mean("f1"))
