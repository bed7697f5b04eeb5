"""Candidate depths for every hidden pixel, and features that tell which of them to believe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import Array, Mask
from scene_depth.depth.solver.problem import Problem, Solution
from scene_depth.kernels import EXACT, kernel

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
FAR = np.float32(1e9)  # "there is none"
LEAST = 1e-4  # disagreement below which its size says nothing more


@dataclass(frozen=True)
class Candidates:
    """What is there to choose from, at N pixels.

    Attributes:
        values: Log of relative inverse depth, in the order of ``CANDIDATES``  # [K, N]
        features: In the order of ``FEATURES``, of about size 1  # [F, N]
    """

    values: NDArray[np.float32]
    features: NDArray[np.float32]


def find_candidates(problem: Problem, solution: Solution, wanted: Mask) -> Candidates:
    """The energy's two passes, the nearest known pixel along colours and straight, and means of those in four directions.

    Args:
        problem: What is known.
        solution: The minimum of the energy.
        wanted: Pixels that there is a choice at  # [H, W]
    """
    at = np.flatnonzero(wanted)
    known, nearest, sources = problem.known, problem.nearest.ravel()[at], solution.paths.source.ravel()[at]
    straight = problem.values.ravel()[problem.nearest]
    around = find_neighbours(problem.values, known)
    radius = SOFT * problem.distance
    soft = (soften(np.log(plane), radius).ravel()[at] for plane in (straight, around.across(straight), around.mean(straight)))
    energy = np.log(solution.values)
    passes = (np.log(plane.ravel()[at]) for plane in (solution.first, solution.nearest))
    values = np.stack([energy.ravel()[at], *passes, *soft])
    apart = np.clip(values[1:] - values[0], -LARGEST, LARGEST)
    rough, rough_view = _roughness(problem)
    colors = problem.guide.reshape(len(problem.guide), -1)
    density = ndimage.uniform_filter(known.astype(np.float32), DENSITY_SIDE)
    own = (
        np.log(np.maximum(problem.distance.ravel()[at], 1)) / 3,
        np.log1p(solution.paths.cost.ravel()[at]) / 4,
        around.found.ravel()[at] / 4,
        np.log(_slope(energy).ravel()[at] + 1e-5) / 4,
        np.log(np.clip(around.gap.ravel()[at], 1, 2000)) / 4,
        np.log(density.ravel()[at] + 1e-3) / 4,
        5 * _distance_of_colors(colors[:, at], colors[:, nearest]),
        5 * _distance_of_colors(colors[:, at], colors[:, sources]),
        np.log(rough.ravel()[at] + LEAST) / 3,
        np.full(len(at), np.log(rough_view + LEAST) / 3),
        np.full(len(at), np.log(max(known.shape) / MIDDLE_SIDE)),
    )
    features = np.concatenate([10 * apart, np.log(np.abs(apart) + LEAST) / 3, np.stack(own)])
    return Candidates(values.astype(np.float32), features.astype(np.float32))


def _roughness(problem: Problem) -> tuple[Array, float]:
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


def _slope(values: Array) -> Array:
    """Change from pixel to pixel; 0 along a side of one pixel."""
    parts = [np.gradient(values, axis=axis) for axis in (0, 1) if values.shape[axis] > 1]
    return np.sqrt(sum((part**2 for part in parts), np.zeros_like(values)))


def _distance_of_colors(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    distance: NDArray[np.float32] = np.sqrt(((one - other) ** 2).sum(axis=0))
    return distance


@dataclass(frozen=True)
class Neighbours:
    """Known values in the four directions.

    Attributes:
        values: Value of the nearest known pixel; left, right, top, bottom  # [4, H, W]
        distances: How many pixels away it is, ``FAR`` if there is none  # [4, H, W]
    """

    values: NDArray[np.float32]
    distances: NDArray[np.float32]

    @property
    def found(self) -> NDArray[np.float32]:
        """Number of directions with a known pixel  # [H, W]"""
        count: NDArray[np.float32] = (self.distances < FAR).sum(axis=0).astype(np.float32)
        return count

    @property
    def gap(self) -> NDArray[np.float32]:
        """Pixels between two known ones of a row or column, the lesser of both; at least ``FAR`` if no pair is complete."""
        left, right, above, below = self.distances
        gap: NDArray[np.float32] = np.minimum(left + right, above + below)
        return gap

    def mean(self, fallback: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean of all directions, weighted by the inverse square of the distance; ``fallback`` where there is none  # [H, W]"""
        weights = np.where(self.distances < FAR, 1 / np.maximum(self.distances, 0.5) ** 2, 0)
        return _weighted(self.values, weights, fallback)

    def across(self, fallback: NDArray[np.float32]) -> NDArray[np.float32]:
        """On the line between the two known pixels of a row or a column, whichever are closer together.

        Args:
            fallback: Taken where the chosen line has no known pixel; one with a single one takes its value  # [H, W]

        Returns:
            # [H, W]
        """
        distances = self.distances
        weights = np.where(distances < FAR, 1 / np.maximum(distances, 0.5), 0)
        row = _weighted(self.values[:2], weights[:2], fallback)
        column = _weighted(self.values[2:], weights[2:], fallback)
        closer = np.minimum(distances[0] + distances[1], FAR) < np.minimum(distances[2] + distances[3], FAR)
        return np.where(closer, row, column)


def find_neighbours(values: NDArray[np.float32], known: Mask, *, own: bool = True) -> Neighbours:
    """Looks from every pixel in four directions.

    Args:
        values: Read where known  # [H, W]
        known: # [H, W]
        own: Whether a known pixel is its own neighbour at distance 0; if not, it sees the next one.
    """
    found = np.zeros((4, *known.shape), dtype=np.float32)
    distances = np.full((4, *known.shape), FAR, dtype=np.float32)
    for reverse in (False, True):
        step = slice(None, None, -1) if reverse else slice(None)
        _along_rows(values[:, step], known[:, step], own, found[0 + reverse][:, step], distances[0 + reverse][:, step])
        _down_columns(values[step], known[step], own, found[2 + reverse][step], distances[2 + reverse][step])
    return Neighbours(found, distances)


def _weighted(values: NDArray[np.float32], weights: NDArray[np.float32], fallback: NDArray[np.float32]) -> NDArray[np.float32]:
    total = weights.sum(axis=0)
    return np.where(total > 0, (weights * values).sum(axis=0) / np.where(total > 0, total, 1), fallback).astype(np.float32)


def soften(values: NDArray[np.float32], radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over a square around each pixel, cut at the border of the image.

    Args:
        values: # [H, W]
        radius: Half the side of the square, less half a pixel; rounded down to whole pixels  # [H, W]

    Returns:
        # [H, W]; a pixel with a radius below 1 keeps its value.
    """
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(np.cumsum(values, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    softened: NDArray[np.float32] = values.copy()
    _soften(sums, radius, softened)
    return softened


@kernel(EXACT)
def _along_rows(values, known, own, found, distances):
    """The last known pixel before each one of a row; with ``own`` the pixel itself counts."""
    height, width = known.shape
    for y in range(height):
        last, steps = np.float32(0), FAR
        for x in range(width):
            steps += np.float32(1)
            if own and known[y, x]:
                last, steps = values[y, x], np.float32(0)
            found[y, x], distances[y, x] = last, min(steps, FAR)
            if known[y, x]:
                last, steps = values[y, x], np.float32(0)


@kernel(EXACT)
def _down_columns(values, known, own, found, distances):
    """The same down each column, row by row."""
    height, width = known.shape
    last, steps = np.zeros(width, np.float32), np.full(width, FAR, np.float32)
    for y in range(height):
        for x in range(width):
            steps[x] += np.float32(1)
            if own and known[y, x]:
                last[x], steps[x] = values[y, x], np.float32(0)
            found[y, x], distances[y, x] = last[x], min(steps[x], FAR)
            if known[y, x]:
                last[x], steps[x] = values[y, x], np.float32(0)


@kernel(EXACT)
def _soften(sums, radius, softened):
    height, width = softened.shape
    for y in range(height):
        for x in range(width):
            r = int(radius[y, x])
            if r < 1:
                continue
            top, bottom, left, right = max(y - r, 0), min(y + r + 1, height), max(x - r, 0), min(x + r + 1, width)
            total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
            softened[y, x] = np.float32(total / ((bottom - top) * (right - left)))
