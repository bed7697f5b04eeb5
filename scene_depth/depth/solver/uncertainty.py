"""How far the solver may be off, per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.solver.completion import Solution
from scene_depth.depth.solver.problem import Problem

# Coefficients of signs of error, fitted on real frames with masks of every kind
DISTANCE, DISAGREEMENT, MOVEMENT, PATH = 0.06, 0.13, 0.28, 0.001


def relative_sigma(problem: Problem, solution: Solution) -> NDArray[np.float32]:
    """Relative standard deviation of the completed depth, 0 where it is known.

    Signs of error: the distance to known depth, relative to the width; how far the geodesic neighbour and the first
    pass are from the result; the price of the path to the geodesic neighbour.

    Returns:
        1-sigma as a share of the depth  # [H, W]
    """
    sigma = (
        DISTANCE * problem.distance / max(problem.known.shape)
        + DISAGREEMENT * np.abs(np.log(solution.nearest / solution.values))
        + MOVEMENT * np.abs(np.log(solution.first / solution.values))
        + PATH * np.log1p(solution.paths.cost)
    )
    return np.where(problem.known, 0, sigma).astype(np.float32)
