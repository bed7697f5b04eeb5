"""One inpainter on one case: every measure of it as a plain record."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_edges import EdgeScores, boundary_scores, sobel_edge_scores
from scene_depth.evaluation.depth_fit import DepthFit, Freedom, Space, fit_depth
from scene_depth.evaluation.depth_metrics import (
    ClassErrors,
    DepthErrors,
    DistanceErrors,
    depth_errors,
    errors_by_class,
    errors_by_distance,
)
from scene_depth.evaluation.depth_protocols import DepthCase
from scene_depth.evaluation.depth_uncertainty import UncertaintyScores, uncertainty_scores
from scene_depth.evaluation.memory import PeakMemory

SAMPLES = 256
"""Pairs of uncertainty and error kept of each case, so that correlation can be told over all cases together."""


@dataclass(frozen=True)
class FitOptions:
    """Whether and how predictions are fitted to the truth before they are measured.

    Attributes:
        space: "none" measures depth as it is.
        freedom: Scale and shift, or scale alone.
        robust: Withstand outliers.
    """

    space: Literal["none"] | Space = "none"
    freedom: Freedom = "scale-shift"
    robust: bool = False


@dataclass(frozen=True)
class DepthRow:
    """What one inpainter did on one frame under one mask.

    Attributes:
        frame, dataset, mask, inpainter: Names.
        seed: Seed of mask and inpainter.
        width, height: Size of the view.
        known_share: Share of pixels given.
        hidden, known, seam, all: Errors by region, see ``Regions``.
        edges: Sobel edges inside the hidden region.
        boundaries: Occluding contours, free of scale, inside the hidden region.
        distances: Errors of the hidden region by true distance.
        classes: Errors of the hidden region by semantic class; none for a frame without classes.
        uncertainty: How well the uncertainty ranks the relative errors of the hidden region.
        uncertainty_samples: Random pairs of uncertainty and relative error.
        known_exact: Whether every known pixel came back bit for bit.
        seam_jump, seam_jump_beside: Relative step across the border, and between known pixels beside it.
        fit: The affine map that was applied before measuring.
        seconds: Wall time of the call.
        cpu_seconds: Processor time of the call, all threads.
        peak_memory_mb: Memory that the call needed on top of what was in use.
        failure: Why there is no prediction.
    """

    frame: str
    dataset: str
    mask: str
    inpainter: str
    seed: int
    width: int
    height: int
    known_share: float
    hidden: DepthErrors = field(default_factory=lambda: DepthErrors(0))
    known: DepthErrors = field(default_factory=lambda: DepthErrors(0))
    seam: DepthErrors = field(default_factory=lambda: DepthErrors(0))
    all: DepthErrors = field(default_factory=lambda: DepthErrors(0))
    edges: EdgeScores | None = None
    boundaries: EdgeScores | None = None
    distances: list[DistanceErrors] = field(default_factory=list)
    classes: list[ClassErrors] = field(default_factory=list)
    uncertainty: UncertaintyScores | None = None
    uncertainty_samples: list[list[float]] = field(default_factory=list)
    known_exact: bool | None = None
    seam_jump: float | None = None
    seam_jump_beside: float | None = None
    fit: DepthFit | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    failure: str | None = None


def evaluate_case(
    case: DepthCase, inpainter: DepthInpainter | Callable[..., Any], name: str, fit: FitOptions | None = None
) -> DepthRow:
    """Runs an inpainter on a case and measures it. What the inpainter raises becomes ``failure``.

    Args:
        case: The case; its prior is not passed on, an inpainter that uses one holds it already.
        inpainter: A depth inpainter, or a plain function f(rgb, depth, known) -> depth.
        name: Name for the row.
        fit: How to fit before measuring; None does not.
    """
    height, width = case.truth.shape
    row = DepthRow(case.frame, case.dataset, case.mask, name, case.seed, width, height, float(case.known.mean()))
    started, cpu_started = time.perf_counter(), time.process_time()
    with PeakMemory() as memory:
        try:
            prediction = inpaint_depth(inpainter, case.rgb, case.depth, case.known, camera=case.camera, seed=case.seed)
        except Exception as error:  # whatever a model raises is a result of the evaluation, and other rows go on
            return replace(row, failure=f"{type(error).__name__}: {error}")
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    measured = _measures(case, prediction, fit or FitOptions())
    return replace(row, seconds=seconds, cpu_seconds=cpu_seconds, peak_memory_mb=memory.megabytes, **measured)


def row_to_json(row: DepthRow) -> dict[str, Any]:
    """The row as plain JSON-able values."""
    return asdict(row)


def row_from_json(content: Mapping[str, Any]) -> DepthRow:
    """The row of ``row_to_json``.

    Raises:
        InputError: If something is missing or unknown.
    """
    values = dict(content)
    kinds: dict[str, Any] = {"edges": EdgeScores, "boundaries": EdgeScores, "uncertainty": UncertaintyScores, "fit": DepthFit}
    try:
        for region in ("hidden", "known", "seam", "all"):
            values[region] = DepthErrors(**values[region])
        for name, kind in kinds.items():
            values[name] = None if values[name] is None else kind(**values[name])
        values["distances"] = [
            DistanceErrors(item["near"], item["far"], DepthErrors(**item["errors"])) for item in values["distances"]
        ]
        values["classes"] = [ClassErrors(item["name"], DepthErrors(**item["errors"])) for item in values["classes"]]
        return DepthRow(**values)
    except (KeyError, TypeError) as error:
        raise InputError("row", f"{type(error).__name__}: {error}", "a row written by this version") from error


def _measures(case: DepthCase, prediction: DepthPrediction, options: FitOptions) -> dict[str, Any]:
    depth: NDArray[np.floating] = prediction.depth
    exact = bool(np.array_equal(depth[case.known], case.depth[case.known]))
    fit = None
    if options.space != "none":
        fit = fit_depth(depth, case.truth, case.regions.all, space=options.space, freedom=options.freedom, robust=options.robust)
        depth = fit.apply(depth)
    regions = case.regions
    truth = case.truth
    return {
        **{name: depth_errors(depth, truth, getattr(regions, name)) for name in ("hidden", "known", "seam", "all")},
        "edges": sobel_edge_scores(depth, truth, truth > 0, regions.hidden),
        "boundaries": boundary_scores(depth, truth, truth > 0, regions.hidden),
        "distances": errors_by_distance(depth, truth, regions.hidden),
        "classes": _classes(case, depth),
        "known_exact": exact,
        "seam_jump": None if prediction.seam is None else prediction.seam.depth_jump,
        "seam_jump_beside": None if prediction.seam is None else prediction.seam.depth_jump_beside,
        "fit": fit,
        **_uncertainty(case, depth, prediction.uncertainty),
    }


def _classes(case: DepthCase, depth: NDArray[np.floating]) -> list[ClassErrors]:
    if case.classes is None:
        return []
    return errors_by_class(depth, case.truth, case.classes, case.class_names, valid=case.regions.hidden)


def _uncertainty(case: DepthCase, depth: NDArray[np.floating], uncertainty: NDArray[np.float32] | None) -> dict[str, Any]:
    if uncertainty is None:
        return {}
    hidden = case.regions.hidden
    truth = case.truth[hidden].astype(np.float64)
    error = np.abs(depth[hidden] - truth) / truth
    chosen = np.random.default_rng(case.seed).permutation(error.size)[:SAMPLES]
    pairs = np.stack([uncertainty[hidden][chosen], error[chosen]], axis=1)
    return {
        "uncertainty": uncertainty_scores(uncertainty[hidden], error),
        "uncertainty_samples": [[float(f"{value:.4g}") for value in pair] for pair in pairs],
    }
