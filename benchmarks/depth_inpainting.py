"""Depth inpainting: the embedded solver against every classical baseline, on every frame and mask, with and without a prior.

    python -m benchmarks.depth_inpainting [DATA] [--quick] [--output out/depth_inpainting] [--processes 1]

DATA is a folder of frames with truth (default: ``data`` in the folder named by SCENE_DEPTH_SHARED, or ``../shared/data``). A run
goes on where it was interrupted; ``--fresh`` starts anew. ``--quick`` takes every third frame at half size for everyday use and
leaves RESULTS.md alone.

Every baseline is measured on every frame and mask at half size; those that are not the best over all masks, and slow or
far behind, are left out at full size.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import machine, write_section
from scene_depth.datasets.frames import DepthFrame, FrameSource, find_frames
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.evaluation.depth_protocols import HOLES, KNOWN_SHARES, NATIVE, STANDARD
from scene_depth.evaluation.depth_published import PUBLISHED
from scene_depth.evaluation.depth_report import DepthReport, pooled_spearman, ratio_of_thirds, report_of, summarize_mask
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthSettings, run_depth
from scene_depth.evaluation.summaries import FLOOR
from scene_depth.io.atomic import atomic_path, check_writable

SOLVER = "solver"
BASELINES = ("nearest", "linear", "geodesic", "harmonic_color")
AT_HALF_SIZE = ("harmonic", "ip_basic", "colorization")
HALF = 320
"""Longer side of the frames at half size."""
WITH_PRIOR = (SOLVER, "prior_global", "prior_local")
PRIOR_MASKS = ("rand2", "lidar64", *HOLES)
DENSE = 0.5
"""Frames with truth on at least this share of pixels are dense; on the others most of a hole cannot be scored."""
REPEATS = 2000


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
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


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
    """How well the solver's uncertainty ranks its errors."""
    lines = _header(["mask", "Spearman, mean over frames", "error of most over least uncertain third", "AUSE"])
    for mask in dict.fromkeys(row.mask for row in rows):
        item = summarize_mask(mask, SOLVER, [row for row in rows if row.mask == mask])
        cells = [item.spearman.mean, item.ratio_of_thirds.mean, item.ause.mean]
        lines.append(_line([mask, *(_show(value, 1, 2) for value in cells)]))
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


def main() -> int:
    """Runs everything and writes the section of RESULTS.md."""
    arguments = _arguments()
    check_writable(arguments.output)
    every = find_frames(arguments.data)
    sources = [source for source in every if source.role == "eval"]
    size = None
    if arguments.quick:
        sources, size = sources[::3], HALF
    if arguments.fresh:
        for journal in arguments.output.glob("*.jsonl"):
            journal.unlink()

    def run(name: str, chosen: Sequence[FrameSource], settings: DepthSettings) -> DepthReport:
        def progress(done: int, planned: int, row: DepthRow) -> None:
            failure = f" FAILED {row.failure}" if row.failure else ""
            print(f"{name} {done}/{planned} {row.frame} {row.mask} {row.inpainter}{failure}", file=sys.stderr, flush=True)

        journal = arguments.output / f"{name}{'_quick' if arguments.quick else ''}.jsonl"
        result = run_depth(chosen, settings, processes=arguments.processes, journal=journal, progress=progress)
        if result.interrupted:
            raise KeyboardInterrupt
        return report_of(result)

    standard = run("standard", sources, DepthSettings((SOLVER, *BASELINES), max_size=size))
    half = run("half_size", sources, DepthSettings((SOLVER, *BASELINES, *AT_HALF_SIZE), max_size=HALF))
    prior = run("simulated_prior", sources, DepthSettings(WITH_PRIOR, masks=PRIOR_MASKS, prior="simulated", max_size=size))
    nyu = [source for source in sources if source.name.startswith("nyu")]
    share_methods = (SOLVER, "nearest", "linear")
    shares = run("known_share", nyu, DepthSettings(share_methods, "depthlab-known-share", max_size=size)) if nyu else None
    own_prior = run("frame_prior", sources, DepthSettings(WITH_PRIOR, "holes", prior="frame", max_size=size))
    lines = _section(arguments, standard, half, prior, shares, own_prior, every, run)
    print("\n".join(lines))
    reports = {
        "standard": standard,
        "half_size": half,
        "simulated_prior": prior,
        "frame_prior": own_prior,
        "known_share": shares,
    }
    for name, report in reports.items():
        if report is not None:
            with atomic_path(arguments.output / f"{name}.json") as path:
                path.write_text(json.dumps(report.to_json(), allow_nan=False), encoding="utf-8")
    if not arguments.quick:
        write_section("depth inpainting", lines)
    return 0


def _section(
    arguments: argparse.Namespace,
    standard: DepthReport,
    half: DepthReport,
    prior: DepthReport,
    shares: DepthReport | None,
    own_prior: DepthReport,
    every: Sequence[FrameSource],
    run: Callable[[str, Sequence[FrameSource], DepthSettings], DepthReport],
) -> list[str]:
    methods = [SOLVER, *BASELINES]
    masks = list(STANDARD)
    dense = {row.frame for row in standard.rows if row.mask == "rand50" and row.all.pixels >= DENSE * row.width * row.height}
    comparison = compare(standard.rows, methods, masks)
    lines = [
        f"`python -m benchmarks.depth_inpainting{' --quick' if arguments.quick else ''}`, "
        f"{len({row.frame for row in standard.rows})} frames with the role eval, fixed seeds, {machine()}, one thread a frame.",
        "Errors are over hidden pixels with truth. GM: geometric mean over frames. All frames and masks were run with "
        f"all methods; {', '.join(AT_HALF_SIZE)} at half size only.",
        "",
        "### AbsRel in percent, GM over frames, full size",
        "",
        *comparison_lines(comparison),
        "",
        f"The same over the {len(dense)} frames with dense truth (native: all that have it):",
        "",
        *comparison_lines(compare(_only(standard.rows, dense), methods, masks)),
        "",
        *_half_size_lines(half, dense, masks),
        "### Other measures, means over frames; cost is the median of one frame",
        "",
        *measure_lines(standard, (SOLVER, comparison.best, "nearest")),
        "",
        "### Uncertainty of the solver",
        "",
        *uncertainty_lines([row for row in standard.rows if row.inpainter == SOLVER]),
        "",
        "### With a monocular prior, AbsRel in percent",
        "",
        "Simulated: true inverse depth, blurred, times smooth noise of 6 %, under a random affine map: an upper bound.",
        "",
        *prior_lines(standard.rows, prior.rows, PRIOR_MASKS),
        "",
    ]
    with_own = {row.frame for row in own_prior.rows}
    if with_own:
        plain = [row for row in standard.rows if row.frame in with_own]
        lines += [f"With the prediction that came with the frame ({', '.join(sorted(with_own))}):", ""]
        lines += [*prior_lines(plain, own_prior.rows, HOLES), ""]
    if shares is not None:
        lines += [
            "### Known share, AbsRel % / d1 %, means",
            "",
            *known_share_lines(shares.rows, shares.settings["inpainters"]),
            "",
        ]
    example = next((source for source in every if source.name == "depthlab_counter"), None)
    if example is not None:
        rows = run("example", [example], DepthSettings(tuple(methods), masks=("object",))).rows
        reference = np.load(example.folder / "reference_published.npz")["depth"]  # type: ignore[attr-defined]
        lines += ["### DepthLab's own example", "", "One picture; the reference is another estimate, not truth.", ""]
        lines += published_example_lines(example.load(), reference, rows)
    return lines


def _half_size_lines(half: DepthReport, dense: set[str], masks: Sequence[str]) -> list[str]:
    methods = [SOLVER, *BASELINES, *AT_HALF_SIZE]
    return [
        f"### AbsRel in percent, GM over frames, at most {HALF} pixels wide or high",
        "",
        *comparison_lines(compare(half.rows, methods, masks)),
        "",
        f"The same over the {len(dense)} frames with dense truth (native: all that have it):",
        "",
        *comparison_lines(compare(_only(half.rows, dense), methods, masks)),
        "",
    ]


def _only(rows: Sequence[DepthRow], dense: set[str]) -> list[DepthRow]:
    return [row for row in rows if row.frame in dense or row.mask == NATIVE]


def _arguments() -> argparse.Namespace:
    shared = Path(os.environ.get("SCENE_DEPTH_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=shared / "data")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("out/depth_inpainting"))
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


def _percent(value: float) -> str:
    return f"{100 * value:.2f}" if np.isfinite(value) else "-"


def _show(value: float | None, factor: float, digits: int) -> str:
    return "-" if value is None else f"{factor * value:.{digits}f}"


def _header(cells: Sequence[str]) -> list[str]:
    return [_line(cells), _line(["---", *["---:"] * (len(cells) - 1)])]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
