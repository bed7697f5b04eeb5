"""The small picture that the network looks at: the view reduced, solved, and described by a few planes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from scene_depth.depth.solver.inpainter import SolverInpainter
from scene_depth.depth.solver.problem import Problem, Solution, color_guide, make_problem

WORKING_SIZE = 160  # pixels of the longer side
CHANNELS = 11
LARGEST = 3.0  # of slopes and disagreements in log inverse depth, beyond which they say nothing more

# Planes of the description, in this order
VALUE, NEAREST, KNOWN, DISTANCE, SLOPE_X, SLOPE_Y, PATH, MOVEMENT, RED, GREEN, BLUE = range(CHANNELS)


@dataclass(frozen=True)
class WorkingView:
    """A reduced view and what the solver makes of it.

    Attributes:
        planes: The description (``describe``)  # [CHANNELS, h, w]
        unit: Inverse depth whose logarithm counts as 0.
    """

    planes: NDArray[np.float32]
    unit: float


def working_view(
    solver: SolverInpainter, rgb: NDArray[np.floating] | None, inverse: NDArray[np.float64], known: NDArray[np.bool_]
) -> WorkingView:
    """Reduces a view, solves it and describes the result.

    Args:
        solver: Parameters of the solver; without a prior.
        rgb: sRGB in [0, 1], or None  # [H, W, 3]
        inverse: Inverse depth, read where known  # [H, W]
        known: At least one pixel  # [H, W]
    """
    size = working_size(known.shape[0], known.shape[1])
    share = reduced(known[None].astype(np.float64), size)[0]
    total = reduced(np.where(known, inverse, 0.0)[None], size)[0]
    few = share > 0
    small_rgb = None if rgb is None else reduced(np.moveaxis(rgb, -1, 0), size).transpose(1, 2, 0).astype(np.float32)
    values = np.divide(total, share, out=np.zeros_like(total), where=few)
    problem = make_problem(values, few, color_guide(small_rgb, size))
    return WorkingView(describe(problem, solver.solve(problem), small_rgb), problem.unit)


def working_size(height: int, width: int) -> tuple[int, int]:
    """The size of the reduced view; never larger than the view."""
    factor = min(1.0, WORKING_SIZE / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def reduced(planes: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64]:
    """Means over the areas of the larger pixels  # [C, H, W] -> [C, h, w]"""
    if planes.shape[1:] == size:
        return np.asarray(planes, dtype=np.float64)
    return adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(planes, dtype=np.float64))[None], size)[0].numpy()


def enlarged(planes: Tensor, size: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear, pixel areas aligned  # [C, h, w] -> [C, H, W]"""
    return interpolate(planes[None].float(), size=size, mode="bilinear", align_corners=False)[0].cpu().numpy()


def describe(problem: Problem, solution: Solution, rgb: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """What the network gets to see of a solved view.

    Planes: log inverse depth of the solver; the geodesic neighbour's less that; known or not; log of the distance to
    known depth; slopes of the first plane in 1/10 pixel; log of the price of the geodesic path; movement between the two
    passes; colour around 0 (0 without a picture).

    Returns:
        # [CHANNELS, h, w]
    """
    height, width = problem.known.shape
    planes = np.zeros((CHANNELS, height, width), dtype=np.float32)
    value = np.log(solution.values)
    planes[VALUE] = value
    planes[NEAREST] = np.log(solution.nearest) - value
    planes[KNOWN] = problem.known
    planes[DISTANCE] = np.log1p(problem.distance) / 4
    planes[SLOPE_X, :, :-1] = 10 * np.diff(value, axis=1)
    planes[SLOPE_Y, :-1, :] = 10 * np.diff(value, axis=0)
    planes[PATH] = np.log1p(solution.paths.cost) / 8
    planes[MOVEMENT] = np.log(solution.first) - value
    for plane in (NEAREST, SLOPE_X, SLOPE_Y, MOVEMENT):
        np.clip(planes[plane], -LARGEST, LARGEST, out=planes[plane])
    if rgb is not None:
        planes[RED:] = rgb.transpose(2, 0, 1) - 0.5
    return planes
