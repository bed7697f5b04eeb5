"""The embedded depth inpainter: piecewise planar surfaces in inverse depth, guided by the picture. Needs no weights."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.alignment import Space
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.solver.candidates import find_candidates
from scene_depth.depth.solver.completion import Solution, complete
from scene_depth.depth.solver.features import color_guide
from scene_depth.depth.solver.gate import EMBEDDED, Gate, load_gate
from scene_depth.depth.solver.minimize import Effort, EnergyParameters
from scene_depth.depth.solver.prior import Prior, fitted_inverse, prior_values
from scene_depth.depth.solver.problem import DataParameters, Problem, make_problem
from scene_depth.depth.solver.softening import soften
from scene_depth.depth.solver.uncertainty import relative_sigma
from scene_depth.errors import InputError

NEAR = 0.09  # of the longer side: distance up to which each pixel is weighed by itself
# Of the distance beyond that: radius over which what the gate changed is averaged, lest it show as streaks.
AVERAGED = 0.35
BRITTLE = EnergyParameters(sigma=0.014, tau_jump=0.02, tau_bend=0.02, stiffness=7.0)


@dataclass(frozen=True)
class SolverInpainter(DepthModel):
    """Completes depth by a robust, piecewise planar energy in inverse depth.

    Every pixel carries a plane in inverse depth, which is a plane in space under any pinhole camera. Planes of
    neighbours are pulled together where the picture and the known depth let them, and break where they do not. A small
    network then weighs the result against simpler candidates (``gate``).

    Attributes:
        prior: Monocular prediction of any scale and shift, or a function rgb -> prediction. The known depth is then
            continued along the prior's shape.
        prior_space: What the prior is up to scale and shift: "inverse" depth, "depth", "log" depth, or "auto" for the
            one that fits the known depth best.
        threads: Number of threads; by default as many as torch uses, at most 8. The result does not depend on it.
        price: Pixels of length that a colour difference of 1 (black to white) costs a geodesic path.
        reach: Pixels over which a continued plane dies out.
        energies: Constants of the smoothness terms, one set for each minimisation; a later one takes its hint from the planes
            found before. The first by default is stiff, for large holes, the second breaks more easily, for fine structure.
        data: Constants of the data terms in the first pass.
        second_hint: Weight of the hint in later passes.
        effort: Iterations of the minimisation.
        gate: What weighs the candidates without a prior: "embedded", a file that ``scene-depth train solver`` wrote, a loaded
            gate, or "none" or None for the minimum of the energy as it is.
    """

    name: ClassVar[str] = "solver"

    prior: Prior | None = None
    prior_space: Space | Literal["auto"] = "auto"
    threads: int | None = None
    price: float = 500.0
    reach: float = 100.0
    energies: tuple[EnergyParameters, ...] = (EnergyParameters(), BRITTLE)
    data: DataParameters = field(default_factory=DataParameters)
    second_hint: float = 0.01
    effort: Effort = field(default_factory=Effort)
    gate: Gate | str | os.PathLike[str] | None = EMBEDDED
    _gate: Gate | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError("threads", self.threads, "at least 1, or None for one a core")
        if not self.energies:
            raise InputError("energies", "none", "one set of constants or more")
        named = "none" if self.gate is None else self.gate
        gate = named if isinstance(named, Gate) else None if named == "none" else load_gate(named)
        object.__setattr__(self, "_gate", gate)

    @property
    def harmonize(self) -> bool | None:
        return False  # the energy continues known depth

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view; nothing is random, and the camera is not needed."""
        return self._without_prior(view) if self.prior is None else solve_with_prior(self, view)

    def _without_prior(self, view: InpaintingInput) -> DepthPrediction:
        inverse = 1.0 / np.where(view.known, view.depth, 1).astype(np.float64)
        problem = make_problem(inverse, view.known, color_guide(view.rgb, view.known.shape))
        solution = self.solution(problem)
        return _prediction(view, solution.values * np.float64(problem.unit), relative_sigma(problem, solution), {})

    def solution(self, problem: Problem) -> Solution:
        """Minimises the energy of a problem, without a prior, and weighs the result against other candidates."""
        solution = complete(
            problem,
            price=self.price,
            data=self.data,
            second_hint=self.second_hint,
            reach=self.reach,
            energies=self.energies,
            effort=self.effort,
            threads=self.threads,
        )
        if self._gate is None:
            return solution
        candidates = find_candidates(problem, solution)
        mixed, expected = self._gate.mix(candidates, problem.known, self.threads)
        energy = candidates.values[0]
        change = soften(mixed - energy, AVERAGED * np.maximum(problem.distance - NEAR * max(problem.known.shape), 0))
        return replace(solution, values=np.exp(energy + change), expected=expected)


def solve_with_prior(inpainter: SolverInpainter, view: InpaintingInput) -> DepthPrediction:
    """Completes known depth along a monocular prior: fits it, completes the ratio of known to fitted, multiplies back.

    The guide of the ratio is the fitted prior itself, so that the correction changes where the prior has a border.

    Args:
        inpainter: Parameters, with a prior.
        view: Checked input.
    """
    assert inpainter.prior is not None
    values = prior_values(inpainter.prior, view.rgb, (view.known.shape[0], view.known.shape[1]))
    fitted, fit = fitted_inverse(values, view.depth, view.known, inpainter.prior_space)
    ratio = 1.0 / (np.where(view.known, view.depth, 1).astype(np.float64) * fitted)
    guide = np.log(fitted)[None].astype(np.float32)
    problem = make_problem(ratio, view.known, guide)
    solution = complete(
        problem,
        price=inpainter.price,
        data=DataParameters(slope=(10.0 / 40.0) ** 2),
        second_hint=inpainter.second_hint,
        reach=inpainter.reach,
        energies=inpainter.energies[:1],
        effort=inpainter.effort,
        threads=inpainter.threads,
    )
    details = {"prior_fit": {"space": fit.space, "scale": fit.scale, "shift": fit.shift, "residual": fit.residual}}
    return _prediction(view, solution.values * problem.unit * fitted, relative_sigma(problem, solution), details)


def _prediction(
    view: InpaintingInput, inverse: NDArray[np.float64], sigma: NDArray[np.float32], details: dict[str, Any]
) -> DepthPrediction:
    return DepthPrediction((1.0 / inverse).astype(view.depth.dtype), sigma, details=details)
