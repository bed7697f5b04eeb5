"""The two passes of the solver on one problem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.solver.geodesic import GeodesicMap, geodesic_map
from scene_depth.depth.solver.minimize import Effort, EnergyParameters, minimize
from scene_depth.depth.solver.problem import DataParameters, Problem, finest_level

BETWEEN_LEVELS = (0.5, 1.5)  # limits on values during the minimisation, as factors of the known range
AT_THE_END = (0.7, 1.3)


@dataclass(frozen=True)
class Solution:
    """What the solver found; values in the problem's unit.

    Attributes:
        values: Relative inverse depth  # [H, W]
        first: The same after the first pass  # [H, W]
        paths: The geodesic map.
        nearest: Value of each pixel's geodesic source  # [H, W]
        expected: Expected absolute error of the log of the values, if a gate has mixed them  # [H, W]
    """

    values: NDArray[np.float32]
    first: NDArray[np.float32]
    paths: GeodesicMap
    nearest: NDArray[np.float32]
    expected: NDArray[np.float32] | None = None


def complete(
    problem: Problem,
    *,
    price: float,
    data: DataParameters,
    second_hint: float,
    reach: float,
    energies: Sequence[EnergyParameters],
    effort: Effort,
    threads: int | None,
) -> Solution:
    """Minimises the energy, then again with a hint that continues the planes found first.

    Args:
        problem: What is known.
        price: Pixels that a difference of 1 in the guide costs a geodesic path.
        data, second_hint: Data terms; the weight of the hint in later passes.
        reach: Distance in pixels over which the plane of a source dies out in later hints.
        energies: Constants of each minimisation, one or more.
        effort: How hard to minimise.
        threads: Number of threads, at most; None for ``kernels.thread_count()``.
    """
    paths = geodesic_map(problem.guide, problem.known, problem.values, price)
    nearest = problem.values.ravel()[paths.source]
    if (nearest == nearest[0, 0]).all():
        return Solution(nearest, nearest, paths, nearest)  # the minimum is known, and rounding would only blur it
    state = minimize(finest_level(problem, nearest, data), problem.limits(*BETWEEN_LEVELS), energies[0], effort, threads)
    low, high = problem.limits(*AT_THE_END)
    first = np.clip(state[0], low, high)
    for energy in energies[1:]:
        hint = np.clip(continued_planes(state, paths, reach), low, high)
        level = finest_level(problem, hint, replace(data, hint=second_hint))
        state = minimize(level, problem.limits(*BETWEEN_LEVELS), energy, effort, threads)
    return Solution(np.clip(state[0], low, high), first, paths, nearest)


def continued_planes(state: NDArray[np.float32], paths: GeodesicMap, reach: float) -> NDArray[np.float32]:
    """Each pixel's value on the plane of its geodesic source, whose slope dies out as exp(-distance / reach)  # [H, W]"""
    height, width = paths.source.shape
    source_y, source_x = np.divmod(paths.source, width)
    dx = (np.arange(width)[None, :] - source_x).astype(np.float32)
    dy = (np.arange(height)[:, None] - source_y).astype(np.float32)
    u, a, b = (plane.ravel()[paths.source] for plane in state)
    return u + (a * dx + b * dy) * np.exp(-np.hypot(dx, dy) / np.float32(reach))
