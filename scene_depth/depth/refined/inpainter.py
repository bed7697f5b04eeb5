"""The solver, and what a small network knows about scenes that no smoothness tells."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import LAPLACE, DepthPrediction
from scene_depth.depth.refined.network import RefiningNetwork
from scene_depth.depth.refined.weights import find_network, load_network
from scene_depth.depth.refined.working_view import enlarged, working_size, working_view
from scene_depth.depth.solver import SolverInpainter
from scene_depth.errors import InputError

LARGEST_CHANGE = 0.35  # of log depth: what a hole's far end may be off; more has been seen only where the network erred
FADE = 4.0  # pixels of the working view from known depth over which the correction sets in


@dataclass(frozen=True)
class RefinedInpainter(DepthModel):
    """The embedded solver, corrected in large holes.

    The network sees the view reduced to 160 pixels, with the solver's answer, and says how far that is off. It has no say
    at known pixels and little beside them, and its correction is limited.

    Attributes:
        weights: File, or folder with ``refined.npz``; None takes the one that comes with the package.
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
        if self.network is None:
            object.__setattr__(self, "network", load_network(self.weights))

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
        assert self.network is not None
        inverse = 1.0 / np.where(view.known, view.depth, 1).astype(np.float64)
        small = working_view(self.solver, view.rgb, inverse, view.known)
        with torch.no_grad():
            change, error = self.network(torch.from_numpy(small.planes)[None])
        size = (view.known.shape[0], view.known.shape[1])
        change, error = enlarged(torch.cat([change, error]), size)
        return np.where(view.known, 0, change).astype(np.float32), error


def _distance(known: NDArray[np.bool_]) -> NDArray[np.floating]:
    """Distance to known depth in pixels of the working view  # [H, W]"""
    from scipy import ndimage

    height, width = known.shape
    return ndimage.distance_transform_edt(~known) * (max(working_size(height, width)) / max(height, width))
