"""Metric depth and normals from normalised log depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.alignment import MAD_TO_SIGMA, GlobalFit, apply_fit, fit_globally
from scene_depth.depth.depthfm.inference import LogDepth
from scene_depth.geometry.normals import normals_from_depth


@dataclass(frozen=True)
class MetricDepth:
    """A prediction in the unit of known depth.

    Attributes:
        depth: z-depth  # [H, W]
        uncertainty: Relative standard deviation: that of the members, together with what the fit leaves at known pixels
            # [H, W]
        fit: ln d = scale * x + shift.
        normals: Unit normals in the camera's OpenCV frame, towards the camera; None without a camera  # [H, W, 3]
    """

    depth: NDArray[np.float64]
    uncertainty: NDArray[np.float32]
    fit: GlobalFit
    normals: NDArray[np.float32] | None = None


def metric_depth(
    prediction: LogDepth, depth: NDArray[np.floating], known: NDArray[np.bool_], camera: Cameras | None = None
) -> MetricDepth:
    """Fits scale and shift of log depth robustly to known pixels (the paper's evaluation fits by least squares, in the
    same space) and takes the exponential.

    Args:
        prediction: From ``predict_log_depth``  # [H, W]
        depth: z-depth, read where known  # [H, W]
        known: True = measured, at least one  # [H, W]
        camera: One pinhole camera of the same size, for normals.
    """
    fit = fit_globally(prediction.values, depth, known, "log")
    fitted = apply_fit(fit, prediction.values, depth[known])
    normals = None if camera is None else normals_from_depth(fitted, camera)
    return MetricDepth(fitted, relative_uncertainty(prediction, fit), fit, normals)


def relative_uncertainty(prediction: LogDepth, fit: GlobalFit) -> NDArray[np.float32]:
    """Standard deviation of log depth, which is the relative one of depth, in every pixel  # [H, W]"""
    rest = MAD_TO_SIGMA * fit.residual
    spread = np.zeros(prediction.values.shape) if prediction.uncertainty is None else fit.scale * prediction.uncertainty
    return np.hypot(spread, rest).astype(np.float32)
