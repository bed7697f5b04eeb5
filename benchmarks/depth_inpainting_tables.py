"""Tables of the benchmark of depth inpainting, as lines of Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.datasets.frames import DepthFrame
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.evaluation.depth_protocols import KNOWN_SHARES
from scene_depth.evaluation.depth_published import PUBLISHED
from scene_depth.evaluation.depth_report import FLOOR, DepthReport, pooled_spearman, ratio_of_thirds, summarize_mask
from scene_depth.evaluation.depth_rows import DepthRow

SOLVER = "solver"
REPEATS = 2000  # bootstrap samples


@dataclass(frozen=True)
class Comparison:
    """Geometric means of AbsRel and what follows from them.

    Attributes:
        masks, methods: Names; the solver is the first method.
        means: Geometric mean over frames, NaN where a method was not run  # [masks, methods]
        ratio: Solver over the baseline that is best over all masks, geometric means over masks; baselines that were not run
            on every mask are left out of this choice.
        interval: 95 % bootstrap interval of that ratio over frames.
        best: Name of that baseline.
        frames: Number of frames of each mask.
    """

    masks: list[str]
    methods: list[str]
    means: NDArray[np.float64]
    ratio: float
    interval: tuple[float, float]
    best: str
    frames: list[int]


def compare(rows: Sequence[DepthRow], methods: Sequence[str], masks: Sequence[str]) -> Comparison:
    """Compares the first method with the others."""
    frames = list(dict.fromkeys(row.frame for row in rows))
    logs = np.full((len(frames), len(masks), len(methods)), np.nan)
    for row in rows:
        if row.failure is None and row.hidden.abs_rel is not None and row.mask in masks and row.inpainter in methods:
            place = frames.index(row.frame), masks.index(row.mask), methods.index(row.inpainter)
            logs[place] = np.log(max(row.hidden.abs_rel, FLOOR))
    present = [index for index in range(len(masks)) if np.isfinite(logs[:, index]).any()]
    logs = logs[:, present]
    over_frames = _means(logs)
    over_masks = over_frames.mean(axis=0)
    best = 1 + int(np.nanargmin(over_masks[1:]))
    pair = logs[:, :, [0, best]]
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(REPEATS):
        again = _means(pair[rng.integers(0, len(frames), len(frames))]).mean(axis=0)
        if np.isfinite(again).all():
            ratios.append(np.exp(again[0] - again[1]))
    low, high = np.percentile(ratios, [2.5, 97.5])
    counts = [int(np.isfinite(logs[:, index, 0]).sum()) for index in range(len(present))]
    chosen = [masks[index] for index in present]
    ratio = float(np.exp(over_masks[0] - over_masks[best]))
    return Comparison(chosen, list(methods), np.exp(over_frames), ratio, (float(low), float(high)), methods[best], counts)


def _means(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over the first axis of what is not NaN; NaN where there is nothing."""
    present = np.isfinite(logs)
    count = present.sum(axis=0)
    total = np.where(present, logs, 0.0).sum(axis=0)
    means = np.full(count.shape, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means


def comparison_lines(comparison: Comparison) -> list[str]:
    """The table of geometric means, the last columns against the best baseline of each mask."""
    lines = _header(["mask", *comparison.methods, "solver / best", "frames"])
    for index, mask in enumerate(comparison.masks):
        values = comparison.means[index]
        least = np.nanmin(values)
        cells = [f"**{_percent(value)}**" if value == least else _percent(value) for value in values]
        ratio = values[0] / np.nanmin(values[1:])
        lines.append(_line([mask, *cells, f"{ratio:.2f}", str(comparison.frames[index])]))
    cells = [_percent(value) for value in np.exp(np.log(comparison.means).mean(axis=0))]
    lines.append(_line(["**all masks**", *cells, f"**{comparison.ratio:.2f}**", ""]))
    low, high = comparison.interval
    lines += [
        "",
        f"Over all masks the solver has {comparison.ratio:.3f} of the error of the best baseline, {comparison.best} "
        f"(95 % bootstrap over frames: {low:.2f} to {high:.2f}).",
    ]
    return lines


def measure_lines(report: DepthReport, methods: Sequence[str]) -> list[str]:
    """Means over frames of the usual measures, and cost."""
    lines = _header(["mask", "method", "AbsRel %", "d1 %", "RMSE m", "MAE m", "seam AbsRel %", "boundary F1 %", "CPU s", "MB"])
    for item in report.summaries:
        if item.inpainter not in methods:
            continue
        numbers = [
            _show(item.hidden["abs_rel"].mean, 100, 2),
            _show(item.hidden["delta1"].mean, 100, 1),
            _show(item.hidden["rmse"].mean, 1, 3),
            _show(item.hidden["mae"].mean, 1, 3),
            _show(item.seam["abs_rel"].mean, 100, 2),
            _show(item.boundaries["f1"].mean, 100, 1),
            _show(item.cpu_seconds.median, 1, 2),
            _show(item.peak_memory_mb.median, 1, 0),
        ]
        lines.append(_line([item.mask, item.inpainter, *numbers]))
    return lines


def uncertainty_lines(rows: Sequence[DepthRow]) -> list[str]:
    """How well the solver's uncertainty ranks its errors, and how many of them are within what it says of 50 and 90 %."""
    heads = ["mask", "Spearman, mean over frames", "error of most over least uncertain third", "AUSE"]
    lines = _header([*heads, "within its 50 %, %", "within its 90 %, %"])
    for mask in dict.fromkeys(row.mask for row in rows):
        item = summarize_mask(mask, SOLVER, [row for row in rows if row.mask == mask])
        cells = [item.spearman.mean, item.ratio_of_thirds.mean, item.ause.mean]
        shares = [item.within_50.mean, item.within_90.mean]
        lines.append(_line([mask, *(_show(value, 1, 2) for value in cells), *(_show(value, 100, 0) for value in shares)]))
    pooled, ratio = pooled_spearman(rows), ratio_of_thirds(rows)
    cases = [row.uncertainty.ratio_of_thirds for row in rows if row.uncertainty and row.uncertainty.ratio_of_thirds]
    lines += [
        "",
        f"Over all masks and frames together: Spearman {_show(pooled, 1, 2)}. Mean error of the most over that of the least "
        f"uncertain third: {_show(ratio, 1, 1)} averaged over frames, {np.mean(cases):.1f} averaged over single cases "
        f"(median {np.median(cases):.1f}).",
    ]
    return lines


def prior_lines(plain: Sequence[DepthRow], with_prior: Sequence[DepthRow], masks: Sequence[str]) -> list[str]:
    """The solver without and with a prior, and the prior alone; geometric and plain means of AbsRel."""
    names = [("solver", plain, SOLVER), ("solver + prior", with_prior, SOLVER)]
    names += [("prior, one fit", with_prior, "prior_global"), ("prior, local fits", with_prior, "prior_local")]
    lines = _header(["mask", *(f"{title}: GM / mean" for title, _, _ in names), "with / without"])
    for mask in masks:
        summaries = []
        for _, rows, inpainter in names:
            chosen = [row for row in rows if (row.mask, row.inpainter) == (mask, inpainter)]
            summaries.append(summarize_mask(mask, inpainter, chosen).hidden["abs_rel"])
        if any(summary.geometric_mean is None for summary in summaries):
            continue
        cells = [f"{_show(item.geometric_mean, 100, 2)} / {_show(item.mean, 100, 2)}" for item in summaries]
        ratio = (summaries[1].geometric_mean or 0.0) / (summaries[0].geometric_mean or 1.0)
        lines.append(_line([mask, *cells, f"{ratio:.2f}"]))
    return lines


def known_share_lines(rows: Sequence[DepthRow], methods: Sequence[str]) -> list[str]:
    """DepthLab's table 3 beside the same shares here, AbsRel % / d1 %."""
    lines = _header(["NYUv2 frames", *(f"{share} %" for share in KNOWN_SHARES)])
    for figures in PUBLISHED["depthlab-known-share"]:
        cells = []
        for share in KNOWN_SHARES:
            values = figures.values[f"{share} %"]
            cells.append(f"{100 * values['abs_rel']:.1f}" + (f" / {100 * values['delta1']:.1f}" if "delta1" in values else ""))
        lines.append(_line([f"{figures.method} (paper, its own frames)", *cells]))
    for kind, words in (("rand", "random pixels"), ("patch", "random squares")):
        for method in methods:
            cells = []
            for share in KNOWN_SHARES:
                chosen = [row for row in rows if (row.mask, row.inpainter) == (f"{kind}{share}", method)]
                item = summarize_mask(f"{kind}{share}", method, chosen)
                cells.append(f"{_show(item.hidden['abs_rel'].mean, 100, 2)} / {_show(item.hidden['delta1'].mean, 100, 1)}")
            lines.append(_line([f"{method}, {words}", *cells]))
    return lines


def published_example_lines(frame: DepthFrame, reference: NDArray[np.floating], rows: Sequence[DepthRow]) -> list[str]:
    """DepthLab's own example against the output that its authors ship."""
    hidden = frame.valid & (frame.object_mask if frame.object_mask is not None else True)
    shipped = depth_errors(np.where(hidden, reference, 1.0), frame.truth, hidden)
    lines = _header(["method", "AbsRel %", "d1 %", "RMSE"])
    for name, errors in [("DepthLab, as shipped", shipped), *((row.inpainter, row.hidden) for row in rows)]:
        lines.append(_line([name, _show(errors.abs_rel, 100, 1), _show(errors.delta1, 100, 1), _show(errors.rmse, 1, 2)]))
    return lines


def _percent(value: float) -> str:
    return f"{100 * value:.2f}" if np.isfinite(value) else "-"


def _show(value: float | None, factor: float, digits: int) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"


def _header(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---", *["---:"] * (len(cells) - 1)])]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
