"""The embedded depth inpainter: piecewise planar surfaces in inverse depth, guided by the picture. Needs no weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.alignment import Fit, Space, apply_fit, fit_globally
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.prior import Prior, check_fit, read_prior
from scene_depth.depth.protocol import LAPLACE, DepthPrediction
from scene_depth.depth.scan_fill import cover_scan, scan_shines_through
from scene_depth.depth.solver.candidates import find_candidates, soften
from scene_depth.depth.solver.energy import DataParameters, Effort, EnergyParameters, finest_level
from scene_depth.depth.solver.gate import EMBEDDED, Gate, load_gate
from scene_depth.depth.solver.geodesic import GeodesicMap, geodesic_map
from scene_depth.depth.solver.minimize import minimize
from scene_depth.depth.solver.prior_error import error_along
from scene_depth.depth.solver.problem import BLUR, Problem, Solution, color_guide, lab
from scene_depth.depth.solver.sizes import AT_THE_END, SizedSolution, SizedSolver, halvings
from scene_depth.errors import InputError

BETWEEN_LEVELS = (0.5, 1.5)  # limits on values during the minimisation, as factors of the known range
NEAR = 0.09  # of the longer side: distance up to which each pixel is weighed by itself
# Of the distance beyond that: radius over which what the gate changed is averaged, lest it show as streaks.
AVERAGED = 0.35
# Coefficients of signs of error, fitted on real frames with masks of every kind
DISTANCE, DISAGREEMENT, MOVEMENT, PATH = 0.06, 0.13, 0.28, 0.001
BRITTLE = EnergyParameters(sigma=0.014, tau_jump=0.02, tau_bend=0.02, stiffness=7.0)
LEFT = 0.5  # of the reach of a prior's error: distance at which what the smooth field leaves has died out to a third
# Far from known depth a prior errs by so many times the misfit that its fit leaves on known depth; its error grows to that over
# this share of the longer side where it has no reach of its own. Both were fitted to a simulated prior on real frames.
PRIOR_ERROR, PRIOR_REACH = 2.0, 0.2
OF_RATIOS = DataParameters(slope=(10.0 / 40.0) ** 2)  # of the ratio of known depth to a prior, which is flat where they agree


@dataclass(frozen=True)
class SolverInpainter(DepthModel):
    """Completes depth by a robust, piecewise planar energy in inverse depth.

    Every pixel carries a plane in inverse depth, which is a plane in space under any pinhole camera. Planes of
    neighbours are pulled together where the picture and the known depth let them, and break where they do not. A small
    network then weighs the result against simpler candidates (``gate``).

    Attributes:
        prior: Monocular prediction of any scale and shift, a map that says what it is, or a model or function rgb -> prediction.
            The known depth is then continued along the prior's shape.
        prior_space: What the prior is up to scale and shift: "inverse" depth, "depth", "log" depth, or "auto" for what a map
            says of itself, else the one that fits the known depth best.
        fit: What of the prior is fitted to the known depth: "scale" for metric depth, scale and shift ("affine"), "auto" for
            what a map says of itself, else what carries farther over the known depth; or None for what a map says of itself,
            else scale and shift.
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
        processing_resolution: Pixels that the longer side of a picture may have to be solved as it is; a larger one is halved
            until it fits, solved, and brought to full size with what is known there. By default those above 1.5 megapixels are
            large; 0 solves all as they are.
    """

    name: ClassVar[str] = "solver"

    prior: Prior | None = None
    prior_space: Space | Literal["auto"] = "auto"
    fit: Fit | None = None
    threads: int | None = None
    price: float = 500.0
    reach: float = 100.0
    energies: tuple[EnergyParameters, ...] = (EnergyParameters(), BRITTLE)
    data: DataParameters = field(default_factory=DataParameters)
    second_hint: float = 0.01
    effort: Effort = field(default_factory=Effort)
    gate: Gate | str | os.PathLike[str] | None = EMBEDDED
    processing_resolution: int | None = None

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise InputError("threads", self.threads, "at least 1, or None for one a core")
        if not self.energies:
            raise InputError("energies", "none", "one set of constants or more")
        if self.processing_resolution is not None and self.processing_resolution < 0:
            raise InputError(
                "processing_resolution", self.processing_resolution, "a number of pixels, or 0 for the picture's own"
            )
        check_fit(self.fit)
        _ = self._gate  # what is wrong with a file is said at once

    @cached_property
    def _gate(self) -> Gate | None:
        if self.gate is None or isinstance(self.gate, Gate):
            return self.gate
        return None if self.gate == "none" else load_gate(self.gate)

    @property
    def harmonize(self) -> bool | None:
        return False  # the energy continues known depth

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view; nothing is random, and the camera is not needed.

        Points of a raw LiDAR scan that shine through what stands before them are not continued; see ``scan_fill``.
        """
        count = halvings(*view.shape, self.processing_resolution)
        hidden = np.zeros(view.shape, bool)
        if count == 0:
            hidden = scan_shines_through(color_guide(view.rgb, view.shape), view.depth, view.known)
        seen = replace(view, known=view.known & ~hidden) if hidden.any() else view
        if self.prior is not None:
            return self._predict_along(self.prior, seen, seed)
        inverse = 1.0 / np.where(seen.known, seen.depth, 1).astype(np.float64)
        picture = np.zeros((*view.shape, 1), np.float32) if view.rgb is None else view.rgb
        planes_of, blur = (_channels, 0.0) if view.rgb is None else (lab, BLUR)
        solver = SizedSolver(self._solve_with_sigma, planes_of, blur, self.energies[-1], self.data, self.threads)
        found = _prediction(solver(inverse, seen.known, picture, count, view.work), seen)
        if not hidden.any():
            return found
        depth = cover_scan(found.depth.astype(np.float64), view.depth, view.known, hidden).astype(view.depth.dtype)
        return replace(found, depth=depth, details={**found.details, "points_shining_through": int(hidden.sum())})

    def solve(self, problem: Problem) -> Solution:
        """Minimises the energy of a problem, without a prior, and weighs the result against other candidates."""
        solution = self._minimize(problem, self.data, self.energies)
        if self._gate is None:
            return solution
        hidden = ~problem.known
        candidates = find_candidates(problem, solution, hidden)
        mixed, error = self._gate.mix(candidates, self.threads)
        change, expected = (np.zeros(hidden.shape, dtype=np.float32) for _ in range(2))
        change[hidden], expected[hidden] = mixed - candidates.values[0], error
        change = soften(change, AVERAGED * np.maximum(problem.distance - NEAR * max(problem.known.shape), 0))
        return replace(solution, values=solution.values * np.exp(change), expected=expected)

    def _solve_with_sigma(self, problem: Problem) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        solution = self.solve(problem)
        return solution.values, relative_sigma(problem, solution)

    def _predict_along(self, prior: Prior, view: InpaintingInput, seed: int) -> DepthPrediction:
        """Fits a monocular prior, completes the ratio of known to fitted depth, and multiplies back.

        The guide of the ratio is the fitted prior itself, so that the correction changes where the prior has a border. The error
        of a prior that is fitted by its scale alone is a smooth field that returns to the scale far from known depth; what it
        leaves is completed, and dies out as the field does. A ratio is even, so that smaller sizes would only lose the guide.
        """
        predicted = read_prior(prior, view, self.prior_space, seed)
        values = predicted.values.astype(np.float64)
        fit = fit_globally(values, view.depth, view.known, predicted.space, predicted.resolve_fit(self.fit))
        details: dict[str, Any] = {"prior_fit": asdict(fit)}
        fitted, reach = 1.0 / apply_fit(fit, values, view.depth[view.known]), PRIOR_REACH / LEFT
        misfit = np.log(view.depth[view.known] * fitted[view.known])
        expected = PRIOR_ERROR * float(np.abs(misfit - np.median(misfit)).mean())
        if not fit.bounded:
            own, wrong = error_along(fit, values, view.depth, view.known, predicted.scaled)
            fitted, reach = 1.0 / (own * np.exp(wrong.log_ratio)), wrong.reach
            details["prior_error"] = {"scale": float(np.exp(wrong.log_scale)), "reach": wrong.reach}
        ratio = 1.0 / (np.where(view.known, view.depth, 1).astype(np.float64) * fitted)

        def solve(problem: Problem) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            found = self._minimize(problem, OF_RATIOS, self.energies[:1])
            left = np.exp(-problem.distance / max(LEFT * reach * max(problem.known.shape), 1.0))
            faded = found.values if fit.bounded else _faded(found.values, problem.unit, left)
            return faded, relative_sigma(problem, found) + np.float32(LAPLACE * expected) * (1 - left)

        solver = SizedSolver(solve, _channels, 0.0, self.energies[0], OF_RATIOS, self.threads, smallest=None)
        picture = np.log(fitted)[..., None].astype(np.float32)
        count = halvings(*view.shape, self.processing_resolution)
        return _prediction(solver(ratio, view.known, picture, count, view.work), view, fitted, details)

    def _minimize(self, problem: Problem, data: DataParameters, energies: Sequence[EnergyParameters]) -> Solution:
        """Minimises the energy, then again with a hint that continues the planes found first."""
        paths = geodesic_map(problem.guide, problem.known, problem.values, self.price)
        nearest = problem.values.ravel()[paths.source]
        if (nearest == nearest[0, 0]).all():
            return Solution(nearest, nearest, paths, nearest)  # the minimum is known, and rounding would only blur it
        between, (low, high) = problem.limits(*BETWEEN_LEVELS), problem.limits(*AT_THE_END)
        state = minimize(finest_level(problem, nearest, data), between, energies[0], self.effort, self.threads)
        first = np.clip(state[0], low, high)
        for energy in energies[1:]:
            hint = np.clip(_continue_planes(state, paths, self.reach), low, high)
            level = finest_level(problem, hint, replace(data, hint=self.second_hint))
            state = minimize(level, between, energy, self.effort, self.threads)
        return Solution(np.clip(state[0], low, high), first, paths, nearest)


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


def _prediction(
    found: SizedSolution, view: InpaintingInput, factor: NDArray[np.float64] | float = 1.0, details: dict[str, Any] | None = None
) -> DepthPrediction:
    """What was found for a view, as depth; ``factor`` is the inverse depth of which the values are a ratio."""
    depth = (1.0 / (found.values * np.float64(found.unit) * factor)).astype(view.depth.dtype)
    return DepthPrediction(depth, np.where(view.known, 0, found.sigma), details={**(details or {}), **found.details})


def _continue_planes(state: NDArray[np.float32], paths: GeodesicMap, reach: float) -> NDArray[np.float32]:
    """Each pixel's value on the plane of its geodesic source, whose slope dies out as exp(-distance / reach)  # [H, W]"""
    height, width = paths.source.shape
    source_y, source_x = np.divmod(paths.source, width)
    dx = (np.arange(width)[None, :] - source_x).astype(np.float32)
    dy = (np.arange(height)[:, None] - source_y).astype(np.float32)
    u, a, b = (plane.ravel()[paths.source] for plane in state)
    continued: NDArray[np.float32] = u + (a * dx + b * dy) * np.exp(-np.hypot(dx, dy) / np.float32(reach))
    return continued


def _faded(values: NDArray[np.float32], unit: float, left: NDArray[np.floating]) -> NDArray[np.float32]:
    """Ratios of which so much is left as of a prior's error, away from known depth  # [H, W]"""
    relative: NDArray[np.float32] = ((values * np.float64(unit)) ** left / unit).astype(np.float32)
    return relative


def _channels(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    planes: NDArray[np.float32] = np.ascontiguousarray(np.moveaxis(rows, -1, 0))
    return planes
