"""The completion problem in the solver's own unit, and the data terms of its energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.depth.solver.pyramid import AA, BB, UU, Level

RANGE = 1e6  # inverse depths this many times above or below the median are treated as at this limit (float32 squares)


@dataclass(frozen=True)
class Problem:
    """One image with some values known. Values are relative inverse depths: known ones have a median near 1.

    Attributes:
        values: Relative inverse depth, 0 where unknown  # [H, W]
        known: Where it is known; at least one pixel  # [H, W]
        guide: Planes whose differences hint at the borders of surfaces  # [channels, H, W]
        distance: Pixels to the nearest known pixel  # [H, W]
        nearest: Flat index of that pixel  # [H, W]
        unit: Inverse depth of the value 1, a power of two.
    """

    values: NDArray[np.float32]
    known: NDArray[np.bool_]
    guide: NDArray[np.float32]
    distance: NDArray[np.float32]
    nearest: NDArray[np.int64]
    unit: float

    def limits(self, below: float, above: float) -> tuple[float, float]:
        """The range of the known values, widened by factors."""
        inside = self.values[self.known]
        return below * float(inside.min()), above * float(inside.max())


def make_problem(inverse: NDArray[np.float64], known: NDArray[np.bool_], guide: NDArray[np.float32]) -> Problem:
    """Brings inverse depth into the solver's unit.

    The unit is a power of two, so that depth times a power of two gives the same bits times that power.

    Args:
        inverse: Inverse depth, read where known  # [H, W]
        known: Known pixels, at least one  # [H, W]
        guide: Guidance planes  # [channels, H, W]
    """
    unit = float(2.0 ** np.round(np.log2(np.median(inverse[known]))))
    values = np.where(known, np.clip(inverse / unit, 1.0 / RANGE, RANGE), 0.0).astype(np.float32)
    distance, nearest = ndimage.distance_transform_edt(~known, return_indices=True)
    return Problem(values, known, guide, distance.astype(np.float32), np.ravel_multi_index(nearest, known.shape), unit)


@dataclass(frozen=True)
class DataParameters:
    """Constants of the data terms; lengths in pixels.

    Attributes:
        known: Weight of a known value.
        hint: Weight of the pull towards the hint, one pixel from known ones.
        hint_power: Power of the distance with which it falls.
        slope: Weight of the pull of slopes towards 0, (L / D)^2 in the dossier of the energy.
    """

    known: float = 1000.0
    hint: float = 0.002
    hint_power: float = 1.5
    slope: float = (10.0 / 400.0) ** 2


def finest_level(problem: Problem, hint: NDArray[np.float32], weights: DataParameters) -> Level:
    """Data terms relative to the values: c (u - f)^2 / f^2, c_p (u - G)^2 / G^2 and slope weight times |g|^2 / G^2.

    Args:
        problem: Known values and guide.
        hint: G, a first guess of every value  # [H, W]
        weights: Constants.
    """
    height, width = problem.known.shape
    matrix, linear = np.zeros((6, height, width), dtype=np.float32), np.zeros((3, height, width), dtype=np.float32)
    squared = hint * hint
    pull = np.float32(weights.hint) / (np.maximum(problem.distance, 1) ** np.float32(weights.hint_power) * squared)
    data = np.where(problem.known, np.float32(weights.known) / np.where(problem.known, problem.values, 1) ** 2, 0)
    matrix[UU] = data + pull
    linear[0] = data * problem.values + pull * hint
    matrix[AA] = matrix[BB] = np.float32(weights.slope) / squared
    return Level(matrix, linear, problem.guide, hint, 1.0)
