"""The solver, and what a small network knows about scenes that no smoothness tells.

The network looks at a small picture: the view reduced, solved, and described by a few planes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from scene_depth.arrays import Array, Mask
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import LAPLACE, DepthPrediction
from scene_depth.depth.refined.network import (
    CHANNELS,
    DISTANCE,
    KNOWN,
    MOVEMENT,
    NEAREST,
    PATH,
    RED,
    SLOPE_X,
    SLOPE_Y,
    VALUE,
    RefiningNetwork,
    find_network,
    load_network,
)
from scene_depth.depth.solver import SolverInpainter
from scene_depth.depth.solver.problem import Problem, Solution, color_guide, make_problem
from scene_depth.errors import InputError

WORKING_SIZE = 160  # pixels of the longer side
LARGEST = 3.0  # of slopes and disagreements in log inverse depth, beyond which they say nothing more
LARGEST_CHANGE = 0.35  # of log depth: what a hole's far end may be off; more has been seen only where the network erred
FADE = 4.0  # pixels of the working view from known depth over which the correction sets in


@dataclass(frozen=True)
class RefinedInpainter(DepthModel):
    """The embedded solver, corrected in large holes.

    The network sees the view reduced to 160 pixels, with the solver's answer, and says how far that is off. It has no say
    at known pixels and little beside them, and its correction is limited.

    Attributes:
        weights: File, or folder with ``refined.npz``; from ``scene-depth train refined``; none comes with the package.
        solver: Parameters of the solver; without a prior.
        trust: Largest correction in standard deviations of the solver's own uncertainty: where the solver has no reason to
            doubt itself, a network that has never seen such a scene may not overrule it.
        network: A loaded network in place of ``weights``.
    """

    name: ClassVar[str] = "refined"
    find_weights = staticmethod(find_network)

    weights: str | os.PathLike[str] | None = None
    solver: SolverInpainter = field(default_factory=SolverInpainter)
    trust: float = 1.0
    network: RefiningNetwork | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.solver.prior is not None:
            raise InputError("solver.prior", "a prior", "none; a prior goes to the solver alone")
        if not self.trust > 0:
            raise InputError("trust", self.trust, "a number above 0")
        _ = self._loaded  # what is wrong with the weights is said at once

    @cached_property
    def _loaded(self) -> RefiningNetwork:
        return self.network or load_network(self.weights)

    @property
    def harmonize(self) -> bool | None:
        return False  # the solver continues known depth, and the correction sets in beside it

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view; nothing is random, and the camera is not needed."""
        solved = self.solver.predict(view, seed=seed)
        change, error = self._correction(view)
        assert solved.uncertainty is not None
        limit = np.minimum(self.trust * solved.uncertainty, LARGEST_CHANGE)
        change = np.clip(change, -limit, limit)
        corrected = (solved.depth * np.exp(-change)).astype(view.depth.dtype)
        weight = 1 - np.exp(-_distance(view.known) / FADE)
        sigma = (1 - weight) * solved.uncertainty + weight * LAPLACE * error
        details = {**solved.details, "largest_change": float(np.abs(change).max())}
        return DepthPrediction(corrected, sigma.astype(np.float32), details=details)

    def _correction(self, view: InpaintingInput) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Change of log inverse depth and expected error of log depth  # [H, W], [H, W]"""
        inverse = 1.0 / np.where(view.known, view.depth, 1).astype(np.float64)
        small = working_view(self.solver, view.rgb, inverse, view.known)
        with torch.no_grad():
            change, error = self._loaded(torch.from_numpy(small.planes)[None])
        size = (view.known.shape[0], view.known.shape[1])
        change, error = enlarged(torch.cat([change, error]), size)
        return np.where(view.known, 0, change).astype(np.float32), error


def _distance(known: Mask) -> Array:
    """Distance to known depth in pixels of the working view  # [H, W]"""
    height, width = known.shape
    distance: NDArray[np.float64] = ndimage.distance_transform_edt(~known)
    distance *= max(working_size(height, width)) / max(height, width)
    return distance


@dataclass(frozen=True)
class WorkingView:
    """A reduced view and what the solver makes of it.

    Attributes:
        planes: The description (``describe``)  # [CHANNELS, h, w]
        unit: Inverse depth whose logarithm counts as 0.
    """

    planes: NDArray[np.float32]
    unit: float


def working_view(solver: SolverInpainter, rgb: Array | None, inverse: NDArray[np.float64], known: Mask) -> WorkingView:
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


def reduced(planes: Array, size: tuple[int, int]) -> NDArray[np.float64]:
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
