"""How far the solver may be off, per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.solver.completion import Solution
from scene_depth.depth.solver.problem import Problem

LAPLACE = 2**0.5  # standard deviation of a Laplace distribution whose mean absolute value is 1

# Coefficients of signs of error, fitted on real frames with masks of every kind
DISTANCE, DISAGREEMENT, MOVEMENT, PATH = 0.06, 0.13, 0.28, 0.001


def relative_sigma(problem: Problem, solution: Solution) -> NDArray[np.float32]:
    """Relative standard deviation of the completed depth, 0 where it is known.

    A gate tells the error that it expects. Without one, signs of error are summed: the distance to known depth, relative
    to the width; how far the geodesic neighbour and the first pass are from the result; the price of the path to the
    geodesic neighbour.

    Returns:
        1-sigma as a share of the depth  # [H, W]
    """
    if solution.expected is not None:
        return (LAPLACE * solution.expected).astype(np.float32)
    sigma = (
        DISTANCE * problem.distance / max(problem.known.shape)
        + DISAGREEMENT * np.abs(np.log(solution.nearest / solution.values))
        + MOVEMENT * np.abs(np.log(solution.first / solution.values))
        + PATH * np.log1p(solution.paths.cost)
    )
    return np.where(problem.known, 0, sigma).astype(np.float32)
