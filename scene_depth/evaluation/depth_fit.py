"""Least-squares fit of a depth map to truth, for methods whose scale or shift is free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import measured_pairs

Space = Literal["linear", "inverse", "log"]
Freedom = Literal["scale", "scale-shift"]

ROBUST_STEPS = 30
TUKEY = 4.685  # 95 % efficiency for normal errors, in units of their standard deviation


@dataclass(frozen=True)
class DepthFit:
    """An affine map of depth, inverse depth or log depth: ``scale * x + shift``.

    Attributes:
        space: What x is.
        scale: Factor; 1 in log space with the shift alone free.
        shift: Offset in that space; in log space the logarithm of the scale of depth.
        near: Smallest depth the map gives: half the smallest truth, in the unit of depth.
        far: Largest depth the map gives: twice the largest truth.
    """

    space: Space
    scale: float
    shift: float
    near: float
    far: float

    def apply(self, depth: ArrayLike) -> NDArray[np.float64]:
        """The fitted depth, within [near, far] (affine maps can leave the positive numbers)."""
        fitted = self.scale * _into(np.asarray(depth, dtype=np.float64), self.space) + self.shift
        if self.space == "inverse":
            fitted = 1.0 / np.maximum(fitted, 1.0 / self.far)
        elif self.space == "log":
            fitted = np.exp(np.clip(fitted, np.log(self.near), np.log(self.far)))
        return np.clip(fitted, self.near, self.far)


def fit_depth(
    prediction: ArrayLike,
    truth: ArrayLike,
    valid: ArrayLike | None = None,
    *,
    space: Space = "linear",
    freedom: Freedom = "scale-shift",
    robust: bool = False,
) -> DepthFit:
    """Least squares of ``scale * x + shift`` to the truth, both in the chosen space.

    In inverse depth this is the alignment of MiDaS (Ranftl et al. 2020, section 6), in linear depth that of Marigold (Ke et al.
    2024, section 4.2), in log depth that of DepthFM (Gui et al. 2024). One factor in log space is a shift of the logarithm.

    Args:
        prediction: Depth with free scale, positive  # [...]
        truth: z-depth  # [...]
        valid: Pixels to fit; None takes all with finite positive truth  # [...]
        space: Where the residual is measured.
        freedom: Both numbers, or one factor of depth.
        robust: Withstand outliers: start at the alignment of medians and mean absolute deviations (Ranftl et al. 2020,
            equation 5, with medians for both), then iterate Tukey's weights of the residual over its median absolute
            deviation. Takes for granted that prediction and truth grow together.

    Raises:
        InputError: If there is no pixel to fit, or if input is wrong as in ``depth_errors``.
    """
    if space not in ("linear", "inverse", "log"):
        raise InputError("space", repr(space), "linear, inverse or log")
    if freedom not in ("scale", "scale-shift"):
        raise InputError("freedom", repr(freedom), "scale or scale-shift")
    d, g = measured_pairs(prediction, truth, valid)
    if d.size == 0:
        raise InputError("valid", "no pixel", "at least one pixel to fit")
    x, y = _into(d, space), _into(g, space)
    scale, shift = _by_medians(x, y, space, freedom) if robust else _solve(x, y, np.ones_like(x), space, freedom)
    for _ in range(ROBUST_STEPS if robust else 0):
        residual = np.abs(scale * x + shift - y)
        limit = TUKEY * MAD_TO_SIGMA * float(np.median(residual))
        if limit == 0.0:
            break
        weight = np.maximum(1.0 - (residual / limit) ** 2, 0.0) ** 2
        scale, shift = _solve(x, y, weight, space, freedom)
    return DepthFit(space, scale, shift, near=0.5 * float(g.min()), far=2.0 * float(g.max()))


def _into(depth: NDArray[np.float64], space: Space) -> NDArray[np.float64]:
    if space == "inverse":
        return 1.0 / depth
    return np.log(depth) if space == "log" else depth


def _solve(
    x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64], space: Space, freedom: Freedom
) -> tuple[float, float]:
    if freedom == "scale":
        if space == "log":
            return 1.0, float(np.average(y - x, weights=weight))
        return float(np.sum(weight * x * y) / np.sum(weight * x * x)), 0.0
    mean_x, mean_y = float(np.average(x, weights=weight)), float(np.average(y, weights=weight))
    variance = float(np.average((x - mean_x) ** 2, weights=weight))
    if variance <= 1e-24 * mean_x**2:  # a constant map: only the shift can be told
        return 0.0, mean_y
    scale = float(np.average((x - mean_x) * (y - mean_y), weights=weight)) / variance
    return scale, mean_y - scale * mean_x


def _by_medians(x: NDArray[np.float64], y: NDArray[np.float64], space: Space, freedom: Freedom) -> tuple[float, float]:
    if freedom == "scale":
        return (1.0, float(np.median(y - x))) if space == "log" else (float(np.median(y / x)), 0.0)
    middle_x, middle_y = float(np.median(x)), float(np.median(y))
    spread_x, spread_y = float(np.median(np.abs(x - middle_x))), float(np.median(np.abs(y - middle_y)))
    scale = spread_y / spread_x if spread_x > 0 else 0.0
    return scale, middle_y - scale * middle_x
