"""Scores of a monocular model of log depth under the protocol of DepthFM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.prior import MonocularMap
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
