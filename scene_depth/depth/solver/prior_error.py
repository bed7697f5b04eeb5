"""How wrong a metric prior is where nothing is known: its error is a smooth field, told by the part of the view that is known.

Gaussian process regression (kriging; Rasmussen and Williams 2006, chapters 2 and 5) of the logarithm of known over predicted
depth, on medians over a coarse grid. How far its error reaches, how smooth it is and how much of it is rough is what makes the
known part likeliest; far from known depth the error is its mean, the scale, which is the prior's own unless known depth
contradicts that; it is held whatever known depth says where it is the scene's for sure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky
from scipy.ndimage import map_coordinates
from scipy.spatial.distance import cdist

from scene_depth.arrays import MAD_TO_SIGMA, Array, Mask
from scene_depth.depth.alignment import GlobalFit, apply_fit

CELLS = 24  # along the longer side
LEAST_FILLED = 0.1  # of a cell that must be known
REACHES = 0.6 * 0.7 ** np.arange(9)  # candidates for the length of correlation, of the longer side
ROUGHNESS = (0.003, 0.03, 0.3, 3.0)  # candidates for the variance of a cell of its own, of that of the smooth field
LEAST_CELLS = 8
FAR = 3.0  # robust standard deviations up to which a cell counts as it is
SURE = 3.0  # standard deviations by which the scale must differ from 1 to be taken for wrong
LEAST_SPREAD = 1e-4


@dataclass(frozen=True)
class PriorError:
    """The error of a prior.

    Attributes:
        log_ratio: Expected logarithm of true over predicted depth  # [H, W]
        log_scale: Its mean; 0 if the known depth does not contradict the prior's own scale.
        reach: Its length of correlation, as a share of the longer side; 0 if too little is known to tell.
    """

    log_ratio: NDArray[np.float64]
    log_scale: float
    reach: float


def error_along(
    fit: GlobalFit, values: Array, depth: Array, known: Mask, hold_scale: bool = False
) -> tuple[NDArray[np.float64], PriorError]:
    """The depth that a prior means as it is, and its error.

    Args:
        fit: What its values are; its scale is not used.
        values: Of the prior  # [H, W]
        depth: Read where known  # [H, W]
        known: True = measured, at least one  # [H, W]
        hold_scale: As for ``estimate_prior_error``.
    """
    own = apply_fit(replace(fit, scale=1.0, shift=0.0), values, depth[known])
    return own, estimate_prior_error(np.log(np.where(known, depth, 1) / own), known, hold_scale)


def estimate_prior_error(log_ratio: Array, known: Mask, hold_scale: bool = False) -> PriorError:
    """Continues the error of a prior beyond the known pixels.

    Args:
        log_ratio: Logarithm of known over predicted depth, read where known  # [H, W]
        known: True = measured, at least one  # [H, W]
        hold_scale: Whether the scale is the prior's own, whatever known depth says.
    """
    places, values = _cell_medians(log_ratio, known)
    size = max(known.shape)
    if len(values) < LEAST_CELLS:
        scale = float(np.median(log_ratio[known]))
        return PriorError(np.full(known.shape, scale), scale, 0.0)
    middle = float(np.median(values))
    spread = max(MAD_TO_SIGMA * float(np.median(np.abs(values - middle))), LEAST_SPREAD)
    values = np.clip(values, middle - FAR * spread, middle + FAR * spread)
    distance = cdist(places, places) / size
    candidates = list(product(KERNELS, REACHES.tolist(), ROUGHNESS))
    likelihoods = [_process(kernel(distance, reach), rough, values)[0] for kernel, reach, rough in candidates]
    kernel, reach, rough = candidates[int(np.argmax(likelihoods))]
    _, factor, mean, deviation = _process(kernel(distance, reach), rough, values)
    if hold_scale or abs(mean) <= SURE * deviation:
        mean = 0.0
    weights = cho_solve((factor, True), values - mean)
    rows, columns = (np.linspace(0, side - 1, max(2, round(CELLS * side / size))) for side in known.shape)
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    coarse = mean + (kernel(cdist(grid.reshape(-1, 2), places) / size, reach) @ weights).reshape(grid.shape[:2])
    steps = [np.arange(side) * (count - 1) / max(side - 1, 1) for side, count in zip(known.shape, coarse.shape, strict=True)]
    field = map_coordinates(coarse, np.meshgrid(*steps, indexing="ij"), order=1, mode="nearest")
    return PriorError(field, mean, reach)


def _cell_medians(log_ratio: Array, known: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean place and median of the known pixels of each cell  # [N, 2], [N]"""
    side = max(1, -(-max(known.shape) // CELLS))
    places, values = [], []
    for top in range(0, known.shape[0], side):
        for left in range(0, known.shape[1], side):
            window = slice(top, top + side), slice(left, left + side)
            inside = np.argwhere(known[window])
            if len(inside) >= max(1, LEAST_FILLED * side * side):
                places.append(inside.mean(axis=0) + np.array([top, left]))
                values.append(np.median(log_ratio[window][known[window]]))
    return np.array(places, np.float64).reshape(-1, 2), np.array(values, np.float64)


def _matern(distance: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    scaled = np.sqrt(3.0) * distance / reach
    similar: NDArray[np.float64] = (1.0 + scaled) * np.exp(-scaled)
    return similar


def _squared_exponential(distance: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    similar: NDArray[np.float64] = np.exp(-0.5 * (distance / reach) ** 2)
    return similar


KERNELS = (_squared_exponential, _matern)


def _process(
    covariance: NDArray[np.float64], rough: float, values: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], float, float]:
    """Restricted log likelihood, Cholesky factor, mean, and the standard deviation of the mean."""
    count = len(values)
    factor = cholesky(covariance + rough * np.eye(count), lower=True)
    ones = cho_solve((factor, True), np.ones(count))
    weight = float(ones.sum())
    mean = float(ones @ values) / weight
    rest = values - mean
    variance = max(float(rest @ cho_solve((factor, True), rest)) / (count - 1), LEAST_SPREAD**2)
    determinant = 2.0 * float(np.log(np.diag(factor)).sum())
    likelihood = -0.5 * ((count - 1) * np.log(variance) + determinant + np.log(weight))
    return likelihood, factor, mean, float(np.sqrt(variance / weight))
