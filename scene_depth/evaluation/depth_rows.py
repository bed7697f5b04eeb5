"""One inpainter on one case: every measure of it, its time and its memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray

from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.evaluation.depth_fit import DepthFit, Freedom, Space, fit_depth
from scene_depth.evaluation.depth_metrics import (
    ClassErrors,
    DepthErrors,
    DistanceErrors,
    EdgeScores,
    UncertaintyScores,
    boundary_scores,
    depth_errors,
    errors_by_class,
    errors_by_distance,
    errors_by_rim,
    sobel_edge_scores,
    uncertainty_scores,
)
from scene_depth.evaluation.depth_protocols import DepthCase

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
SAMPLES = 256
"""Pairs of uncertainty and error kept of each case, so that correlation can be told over all cases together."""


@dataclass(frozen=True)
class FitOptions:
    """Whether and how predictions are fitted to the truth before they are measured."""

    space: Annotated[Literal["none"] | Space, tyro.conf.arg(name="fit")] = "none"
    """Fit predictions to the truth in that space before measuring, for methods without scale; none measures depth as it is."""
    freedom: Annotated[Freedom, tyro.conf.arg(name="fit-freedom")] = "scale-shift"
    """What the fit may change."""
    robust: Annotated[bool, tyro.conf.arg(name="fit-robust")] = False
    """Let the fit withstand outliers."""


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
        rim: The same by the distance to the nearest known pixel.
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
    rim: list[DistanceErrors] = field(default_factory=list)
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
    measured = _measured(row, case, prediction, fit or FitOptions())
    return replace(measured, seconds=seconds, cpu_seconds=cpu_seconds, peak_memory_mb=memory.megabytes)


def _measured(row: DepthRow, case: DepthCase, prediction: DepthPrediction, options: FitOptions) -> DepthRow:
    depth: NDArray[np.floating] = prediction.depth
    exact = bool(np.array_equal(depth[case.known], case.depth[case.known]))
    truth, regions, hidden = case.truth, case.regions, case.regions.hidden
    fit = None
    if options.space != "none":
        fit = fit_depth(depth, truth, regions.all, space=options.space, freedom=options.freedom, robust=options.robust)
        depth = fit.apply(depth)
    measured = replace(
        row,
        hidden=depth_errors(depth, truth, hidden),
        known=depth_errors(depth, truth, regions.known),
        seam=depth_errors(depth, truth, regions.seam),
        all=depth_errors(depth, truth, regions.all),
        edges=sobel_edge_scores(depth, truth, truth > 0, hidden),
        boundaries=boundary_scores(depth, truth, truth > 0, hidden),
        distances=errors_by_distance(depth, truth, hidden),
        rim=errors_by_rim(depth, truth, case.known, hidden),
        classes=[] if case.classes is None else errors_by_class(depth, truth, case.classes, case.class_names, valid=hidden),
        known_exact=exact,
        seam_jump=None if prediction.seam is None else prediction.seam.depth_jump,
        seam_jump_beside=None if prediction.seam is None else prediction.seam.depth_jump_beside,
        fit=fit,
    )
    if prediction.uncertainty is None:
        return measured
    uncertainty, true = prediction.uncertainty[hidden], truth[hidden].astype(np.float64)
    error = np.abs(depth[hidden] - true) / true
    chosen = np.random.default_rng(case.seed).permutation(error.size)[:SAMPLES]
    pairs = np.stack([uncertainty[chosen], error[chosen]], axis=1)
    return replace(
        measured,
        uncertainty=uncertainty_scores(uncertainty, error),
        uncertainty_samples=[[float(f"{value:.4g}") for value in pair] for pair in pairs],
    )


class PeakMemory:
    """Context manager: how much resident memory the block needed on top of what was in use when it began.

    Linux can reset its high-water mark, so every block is measured by itself. Elsewhere the mark only rises over the life of the
    process, and a block that stays below an earlier one shows 0. Memory that the allocator kept from what ran before is in use.

    Attributes:
        megabytes: The peak on top of the start, in MiB; None on systems that do not tell.
    """

    def __init__(self) -> None:
        self.megabytes: float | None = None
        self._start: float | None = None

    def __enter__(self) -> PeakMemory:
        try:
            _RESET.write_text("5")  # sets VmHWM to the present use
        except OSError:
            self._start = _high_water_mark()
        else:
            self._start = _status("VmRSS")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        end = _high_water_mark()
        if self._start is not None and end is not None:
            self.megabytes = max(0.0, end - self._start)


def _high_water_mark() -> float | None:
    mark = _status("VmHWM")
    if mark is not None:
        return mark
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _status(field: str) -> float | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(field + ":")]
    return int(found[0]) / 2**10 if found else None
