"""Candidate depths for every hidden pixel, and features that tell which of them to believe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.depth.solver.completion import Solution
from scene_depth.depth.solver.neighbours import find_neighbours
from scene_depth.depth.solver.problem import Problem
from scene_depth.depth.solver.softening import soften

CANDIDATES = ("planes", "first pass", "geodesic", "nearest", "across", "around")
FEATURES = (
    *(f"{name} against planes" for name in CANDIDATES[1:]),
    *(f"size of {name} against planes" for name in CANDIDATES[1:]),
    "distance",
    "path",
    "directions",
    "slope",
    "gap",
    "density",
    "color of nearest",
    "color of geodesic",
    "roughness",
    "roughness of the view",
    "side",
)
LARGEST = 1.0  # of disagreements in log inverse depth, beyond which they say nothing more
DENSITY_SIDE = 15  # pixels of the window in which known pixels are counted
ROUGHNESS_REACH = 8.0  # pixels over which roughness is averaged
SOFT = 0.35  # of the distance to known depth: radius over which candidates of single pixels, rows and columns are averaged
MIDDLE_SIDE = 400.0  # pixels of the longer side of a middle-sized view
LEAST = 1e-4  # disagreement below which its size says nothing more


@dataclass(frozen=True)
class Candidates:
    """What is there to choose from.

    Attributes:
        values: Log of relative inverse depth, in the order of ``CANDIDATES``  # [K, H, W]
        features: In the order of ``FEATURES``, of about size 1  # [F, H, W]
    """

    values: NDArray[np.float32]
    features: NDArray[np.float32]


def find_candidates(problem: Problem, solution: Solution) -> Candidates:
    """The energy's two passes, the nearest known pixel along colours and straight, and means of those in four directions.

    Args:
        problem: What is known.
        solution: The minimum of the energy.
    """
    known = problem.known
    straight = problem.values.ravel()[problem.nearest]
    around = find_neighbours(problem.values, known)
    radius = SOFT * problem.distance
    soft = (soften(np.log(plane), radius) for plane in (straight, around.across(straight), around.mean(straight)))
    values = np.stack([*(np.log(plane) for plane in (solution.values, solution.first, solution.nearest)), *soft])
    apart = np.clip(values[1:] - values[0], -LARGEST, LARGEST)
    rough, rough_view = _roughness(problem)
    flat_guide = problem.guide.reshape(len(problem.guide), -1)
    own = (
        np.log(np.maximum(problem.distance, 1)) / 3,
        np.log1p(solution.paths.cost) / 4,
        around.found / 4,
        np.log(_slope(values[0]) + 1e-5) / 4,
        np.log(np.clip(around.gap, 1, 2000)) / 4,
        np.log(ndimage.uniform_filter(known.astype(np.float32), DENSITY_SIDE) + 1e-3) / 4,
        5 * _distance_of_colors(problem.guide, flat_guide[:, problem.nearest]),
        5 * _distance_of_colors(problem.guide, flat_guide[:, solution.paths.source]),
        np.log(rough + LEAST) / 3,
        np.full(known.shape, np.log(rough_view + LEAST) / 3),
        np.full(known.shape, np.log(max(known.shape) / MIDDLE_SIDE)),
    )
    features = np.concatenate([10 * apart, np.log(np.abs(apart) + LEAST) / 3, np.stack(own)])
    return Candidates(values.astype(np.float32), features.astype(np.float32))


def _roughness(problem: Problem) -> tuple[NDArray[np.floating], float]:
    """How badly known pixels are told by the known ones around them, in log inverse depth: nearby  # [H, W]; all over"""
    known = problem.known
    others = find_neighbours(problem.values, known, own=False).mean(problem.values)
    error = np.abs(np.log(others[known] / problem.values[known]))
    everywhere = float(np.minimum(error, LARGEST).mean())
    weights = known.astype(np.float32)
    planes = np.zeros(known.shape, dtype=np.float32)
    planes[known] = np.minimum(error, LARGEST)
    total, share = (ndimage.gaussian_filter(p, ROUGHNESS_REACH, truncate=3.0, mode="constant") for p in (planes, weights))
    return np.where(share > 1e-6, total / np.maximum(share, 1e-6), everywhere), everywhere


def _slope(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Change from pixel to pixel; 0 along a side of one pixel."""
    parts = [np.gradient(values, axis=axis) for axis in (0, 1) if values.shape[axis] > 1]
    return np.sqrt(sum((part**2 for part in parts), np.zeros_like(values)))


def _distance_of_colors(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.sqrt(((one - other) ** 2).sum(axis=0))
