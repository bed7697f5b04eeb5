"""What a run of depth inpainting amounts to: summaries by mask and inpainter, as values and as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.datasets.frames import find_frames
from scene_depth.evaluation.depth_metrics import DepthErrors, DistanceErrors, EdgeScores, spearman
from scene_depth.evaluation.depth_protocols import DepthProtocol, check_protocol
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthRun, DepthSettings, run_depth
from scene_depth.io.json_reports import JsonReport, versions
from scene_depth.work import OnProgress

MEASURES = tuple(name for name in DepthErrors.__dataclass_fields__ if name != "pixels")
FLOOR = 1e-6
"""Errors below this count as this in geometric means, so that one perfect frame does not make them 0."""
REPEATS = 2000


@dataclass(frozen=True)
class Summary:
    """A measure over frames. Intervals are 95 % bootstrap percentiles over frames; None with fewer than two.

    Attributes:
        frames: Number of frames that have the measure.
        mean: Arithmetic mean.
        median: Median.
        geometric_mean: Geometric mean of max(value, ``FLOOR``); None if a value is negative.
        mean_interval: Interval of the mean.
        geometric_mean_interval: Interval of the geometric mean.
    """

    frames: int
    mean: float | None = None
    median: float | None = None
    geometric_mean: float | None = None
    mean_interval: tuple[float, float] | None = None
    geometric_mean_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class MaskSummary:
    """One inpainter under one mask over all frames.

    Attributes:
        mask, inpainter: Names.
        frames: Frames measured.
        failures: Frames on which the inpainter failed.
        hidden, known, seam, all: Every measure of ``DepthErrors`` by region.
        edges, boundaries: Precision, recall and F1.
        known_share: Share of the pixels that was given.
        distances: AbsRel and RMSE by range of true depth, "near-far" in metres.
        rim: The same by the distance to the nearest known pixel, "near-far" in pixels.
        classes: AbsRel and RMSE by name of the semantic class, over the frames that show it.
        spearman, ause, ratio_of_thirds, within_50, within_90: Quality of the uncertainty, within frames.
        seam_jump, seam_jump_beside: See ``SeamReport``.
        seconds, cpu_seconds, peak_memory_mb: Cost of one frame.
        known_exact: Whether known pixels came back bit for bit on every frame.
    """

    mask: str
    inpainter: str
    frames: int
    failures: int
    hidden: dict[str, Summary]
    known: dict[str, Summary]
    seam: dict[str, Summary]
    all: dict[str, Summary]
    edges: dict[str, Summary]
    boundaries: dict[str, Summary]
    known_share: Summary
    distances: dict[str, dict[str, Summary]]
    rim: dict[str, dict[str, Summary]]
    classes: dict[str, dict[str, Summary]]
    spearman: Summary
    ause: Summary
    ratio_of_thirds: Summary
    within_50: Summary
    within_90: Summary
    seam_jump: Summary
    seam_jump_beside: Summary
    seconds: Summary
    cpu_seconds: Summary
    peak_memory_mb: Summary
    known_exact: bool

    def headline(self, protocol: DepthProtocol) -> dict[str, Summary]:
        """The errors in the region that the protocol counts."""
        return self.all if protocol.region == "all" else self.hidden


@dataclass(frozen=True)
class InpainterSummary:
    """One inpainter over everything.

    Attributes:
        inpainter: Its name.
        geometric_mean_abs_rel: Geometric mean over masks of the geometric mean over frames, headline region.
        masks: Number of masks in it.
        spearman: Rank correlation of uncertainty and error over samples of all frames and masks together.
        ratio_of_thirds: By frame, all its masks together: error of each case's most uncertain third over that of its least
            uncertain third; then the mean over frames.
        failures: Number of failed rows.
    """

    inpainter: str
    geometric_mean_abs_rel: float | None
    masks: int
    spearman: float | None
    ratio_of_thirds: float | None
    failures: int


@dataclass(frozen=True)
class DepthReport(JsonReport):
    """Result of an evaluation of depth inpainting.

    Attributes:
        protocol: Name of the protocol.
        settings: What was run.
        complete: Whether every planned row is there.
        planned: Number of planned rows.
        summaries: By mask and inpainter.
        inpainters: Over all masks.
        skipped: By mask, the frames that lack what it needs.
        rows: Every single result, in the JSON file without its uncertainty samples.
        versions: Of this package and what the figures depend on.

    Example:
        >>> import scene_depth as sd
        >>> settings = sd.DepthSettings(("nearest",), masks=("rect",), max_size=64)
        >>> sd.evaluate_depth("scenes/table", settings, limit=1)
        DepthReport(1 of 1 results, standard: nearest AbsRel ...%)
    """

    protocol: str
    settings: DepthSettings
    complete: bool
    planned: int
    summaries: list[MaskSummary]
    inpainters: list[InpainterSummary]
    skipped: dict[str, list[str]]
    rows: list[DepthRow]
    versions: dict[str, str] = field(default_factory=versions)

    def __repr__(self) -> str:
        errors = (
            f"{item.inpainter} AbsRel {'none' if item.geometric_mean_abs_rel is None else f'{item.geometric_mean_abs_rel:.2%}'}"
            for item in self.inpainters
        )
        return f"DepthReport({len(self.rows)} of {self.planned} results, {self.protocol}: {', '.join(errors)})"

    def summary(self, mask: str, inpainter: str) -> MaskSummary | None:
        """The summary of that mask and inpainter, if there is one."""
        return next((item for item in self.summaries if (item.mask, item.inpainter) == (mask, inpainter)), None)

    @property
    def finished(self) -> bool:
        """Whether every planned row is there."""
        return self.complete

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values, without the uncertainty samples of the rows."""
        content = super().as_dict()
        for row in content["rows"]:
            row["uncertainty_samples"] = []
        return content


def evaluate_depth(
    data: str | PathLike[str],
    settings: DepthSettings | None = None,
    *,
    limit: int | None = None,
    processes: int | None = 0,
    on_progress: OnProgress | None = None,
) -> DepthReport:
    """Measures depth inpainters on RGB-D frames with truth: parts of the depth are hidden and predicted.

    Args:
        data: Folder of frames; see ``find_frames`` for the layouts.
        settings: Which inpainters are run under which masks; the solver under the standard ones by default.
        limit: Take only the first frames.
        processes: Number of processes of one thread each; 0 runs in this one with its threads, None takes one for each core.
        on_progress: Called after every result.

    Returns:
        Summaries by mask and inpainter; ``complete`` is False if it was stopped.

    Raises:
        InputError: If there are no frames, or a setting is not valid.

    Example:
        >>> import scene_depth as sd
        >>> settings = sd.DepthSettings(("nearest", "linear"), masks=("rect",), max_size=64)
        >>> report = sd.evaluate_depth("scenes/table", settings, limit=1)
        >>> report.planned, report.complete
        (2, True)
    """
    sources = find_frames(data)[:limit]
    return report_of(run_depth(sources, settings or DepthSettings(), processes=processes, on_progress=on_progress))


def report_of(run: DepthRun) -> DepthReport:
    """Summarizes a run."""
    protocol = check_protocol(run.settings.protocol)
    masks, names = run.settings.all_masks, run.settings.inpainters
    cells: dict[tuple[str, str], list[DepthRow]] = defaultdict(list)
    for row in run.rows:
        cells[row.mask, row.inpainter].append(row)
    summaries = [summarize_mask(mask, name, cells[mask, name]) for mask in masks for name in names if cells[mask, name]]
    return DepthReport(
        protocol=protocol.name,
        settings=run.settings,
        complete=run.finished and len(run.rows) == run.planned,
        planned=run.planned,
        summaries=summaries,
        inpainters=[_over_all(name, protocol, summaries, run.rows) for name in names],
        skipped=run.skipped,
        rows=run.rows,
    )


def summarize_mask(mask: str, inpainter: str, rows: Sequence[DepthRow]) -> MaskSummary:
    """Summary of the rows of one mask and inpainter, one row a frame."""
    good = [row for row in rows if row.failure is None]
    scores, certain = ("precision", "recall", "f1"), [row.uncertainty for row in good if row.uncertainty is not None]
    return MaskSummary(
        mask,
        inpainter,
        frames=len(good),
        failures=len(rows) - len(good),
        hidden=_summaries([row.hidden for row in good]),
        known=_summaries([row.known for row in good]),
        seam=_summaries([row.seam for row in good]),
        all=_summaries([row.all for row in good]),
        edges=_summaries([row.edges for row in good if row.edges is not None], scores),
        boundaries=_summaries([row.boundaries for row in good if row.boundaries is not None], scores),
        known_share=summarize([row.known_share for row in good]),
        distances=_by_distance([row.distances for row in good]),
        rim=_by_distance([row.rim for row in good]),
        classes=_by_class(good),
        spearman=summarize([item.spearman for item in certain]),
        ause=summarize([item.ause for item in certain]),
        ratio_of_thirds=summarize([item.ratio_of_thirds for item in certain]),
        within_50=summarize([item.within_50 for item in certain]),
        within_90=summarize([item.within_90 for item in certain]),
        seam_jump=summarize([row.seam_jump for row in good]),
        seam_jump_beside=summarize([row.seam_jump_beside for row in good]),
        seconds=summarize([row.seconds for row in good]),
        cpu_seconds=summarize([row.cpu_seconds for row in good]),
        peak_memory_mb=summarize([row.peak_memory_mb for row in good]),
        known_exact=all(row.known_exact is not False for row in good),
    )


def summarize(values: Sequence[float | None], *, seed: int = 0) -> Summary:
    """Summary of the values that are there; None and not finite ones are left out."""
    present = np.array([value for value in values if value is not None and np.isfinite(value)], dtype=np.float64)
    if not present.size:
        return Summary(frames=0)
    positive = bool((present >= 0).all())
    return Summary(
        frames=int(present.size),
        mean=float(present.mean()),
        median=float(np.median(present)),
        geometric_mean=geometric_mean(present) if positive else None,
        mean_interval=bootstrap_interval(present, lambda sample: sample.mean(axis=1), seed=seed),
        geometric_mean_interval=(
            bootstrap_interval(present, lambda sample: np.exp(np.log(np.maximum(sample, FLOOR)).mean(axis=1)), seed=seed)
            if positive
            else None
        ),
    )


def geometric_mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    """exp of the mean of ln max(value, ``FLOOR``)."""
    return float(np.exp(np.mean(np.log(np.maximum(np.asarray(values, dtype=np.float64), FLOOR)))))


def bootstrap_interval(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 0,
    repeats: int = REPEATS,
) -> tuple[float, float] | None:
    """95 % percentile bootstrap (Efron 1979).

    Args:
        values: One value a frame  # [N]
        statistic: From resampled values, one row a repeat, to one number each  # [R, N] -> [R]
        seed: Seed of the resampling.
        repeats: Number of resamplings.
    """
    if values.size < 2:
        return None
    chosen = np.random.default_rng(seed).integers(0, values.size, (repeats, values.size))
    low, high = np.percentile(statistic(values[chosen]), [2.5, 97.5])
    return float(low), float(high)


def pooled_spearman(rows: Sequence[DepthRow]) -> float | None:
    """Rank correlation of uncertainty and relative error over the samples of all rows, as many of each."""
    pairs = [np.array(row.uncertainty_samples) for row in rows if row.uncertainty_samples]
    if not pairs:
        return None
    together = np.concatenate(pairs)
    return spearman(together[:, 0], together[:, 1])


def ratio_of_thirds(rows: Sequence[DepthRow]) -> float | None:
    """Mean over frames of the error in the most over that in the least uncertain thirds of the frame's cases."""
    most: dict[str, float] = defaultdict(float)
    least: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.uncertainty is None or row.uncertainty.error_most_uncertain_third is None:  # both thirds are there, or none
            continue
        most[row.frame] += row.uncertainty.error_most_uncertain_third
        least[row.frame] += row.uncertainty.error_least_uncertain_third or 0.0
    ratios = [most[frame] / least[frame] for frame in most if least[frame] > 0]
    return float(np.mean(ratios)) if ratios else None


def _over_all(name: str, protocol: DepthProtocol, summaries: Sequence[MaskSummary], rows: Sequence[DepthRow]) -> InpainterSummary:
    means = [item.headline(protocol)["abs_rel"].geometric_mean for item in summaries if item.inpainter == name]
    present = [value for value in means if value is not None]
    own = [row for row in rows if row.inpainter == name]
    return InpainterSummary(
        inpainter=name,
        geometric_mean_abs_rel=geometric_mean(present) if present else None,
        masks=len(present),
        spearman=pooled_spearman(own),
        ratio_of_thirds=ratio_of_thirds(own),
        failures=sum(row.failure is not None for row in own),
    )


def _by_distance(rows: Sequence[Sequence[DistanceErrors]]) -> dict[str, dict[str, Summary]]:
    found: dict[tuple[float, float | None], list[DepthErrors]] = defaultdict(list)
    for row in rows:
        for item in row:
            found[item.near, item.far].append(item.errors)
    return {
        f"{near:g}-{'' if far is None else f'{far:g}'}": _summaries(found[near, far], ("abs_rel", "rmse"))
        for near, far in sorted(found, key=lambda item: item[0])
    }


def _by_class(rows: Sequence[DepthRow]) -> dict[str, dict[str, Summary]]:
    found: dict[str, list[DepthErrors]] = defaultdict(list)
    for row in rows:
        for item in row.classes:
            found[item.name].append(item.errors)
    return {name: _summaries(found[name], ("abs_rel", "rmse")) for name in sorted(found)}


def _summaries(scores: Sequence[DepthErrors | EdgeScores], names: Sequence[str] = MEASURES) -> dict[str, Summary]:
    return {name: summarize([getattr(item, name) for item in scores]) for name in names}
