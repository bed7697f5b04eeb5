"""Depth inpainting: the embedded solver against every classical baseline, on every frame and mask, with and without a prior.

    python -m benchmarks.depth_inpainting [DATA] [--quick] [--full-every 1] [--output out/depth_inpainting] [--processes 1]

DATA is a folder of frames with truth (default: ``data`` in the folder named by SCENE_DEPTH_SHARED, or ``../shared/data``). Every
method is run on every frame and mask at half size, and those that are fast and not far behind at full size too. A run goes on
where it was interrupted; ``--fresh`` starts anew. ``--full-every N`` takes every N-th frame alone at full size. ``--quick`` takes
every third frame at half size for everyday use and leaves RESULTS.md alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.depth_inpainting_tables import (
    SOLVER,
    compare,
    comparison_lines,
    known_share_lines,
    measure_lines,
    prior_lines,
    published_example_lines,
    uncertainty_lines,
)
from benchmarks.results import machine, write_section
from benchmarks.shared_data import shared
from scene_depth.datasets.frames import FrameSource, find_frames
from scene_depth.evaluation.depth_protocols import HOLES, NATIVE, STANDARD
from scene_depth.evaluation.depth_report import DepthReport, report_of
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthSettings, run_depth
from scene_depth.io.atomic import atomic_path, check_writable
from scene_depth.work import Progress

BASELINES = ("nearest", "linear", "geodesic", "harmonic_color")
AT_HALF_SIZE = ("harmonic", "ip_basic", "colorization")
HALF = 320
"""Longer side of the frames at half size."""
WITH_PRIOR = (SOLVER, "prior_global", "prior_local")
PRIOR_MASKS = ("rand2", "lidar64", *HOLES)
DENSE = 0.5
"""Frames with truth on at least this share of pixels are dense; on the others most of a hole cannot be scored."""


def main() -> int:
    """Runs everything and writes the section of RESULTS.md."""
    arguments = _arguments()
    check_writable(arguments.output)
    every = find_frames(arguments.data)
    sources = [source for source in every if source.role == "eval"][:: 3 if arguments.quick else 1]
    if arguments.fresh:
        for journal in arguments.output.glob("*.jsonl"):
            journal.unlink()

    def run(name: str, chosen: Sequence[FrameSource], settings: DepthSettings) -> DepthReport:
        def on_progress(now: Progress) -> None:
            print(f"{name} {now.done}/{now.total} {now.message}", file=sys.stderr, flush=True)

        journal = arguments.output / f"{name}.jsonl"
        result = run_depth(chosen, settings, processes=arguments.processes, journal=journal, on_progress=on_progress)
        if not result.finished:
            raise KeyboardInterrupt
        return report_of(result)

    runs = Runs(
        half=run("half_size", sources, DepthSettings((SOLVER, *BASELINES, *AT_HALF_SIZE), max_size=HALF)),
        prior=run("simulated_prior", sources, DepthSettings(WITH_PRIOR, masks=PRIOR_MASKS, prior="simulated", max_size=HALF)),
        frame_prior=run("frame_prior", sources, DepthSettings(WITH_PRIOR, "holes", prior="frame", max_size=HALF)),
        shares=_of_nyu(run, sources),
        full=None if arguments.quick else run("full_size", sources[:: arguments.full_every], DepthSettings((SOLVER, *BASELINES))),
    )
    lines = [*_section(runs, arguments), *_example_lines(run, every, arguments.data)]
    print("\n".join(lines))
    for name, report in vars(runs).items():
        if report is not None:
            with atomic_path(arguments.output / f"{name}.json") as path:
                path.write_text(json.dumps(report.as_dict(), allow_nan=False), encoding="utf-8")
    if not arguments.quick:
        write_section("depth inpainting", lines)
    return 0


@dataclass(frozen=True)
class Runs:
    """Reports of everything that was run.

    Attributes:
        half: Every method on every frame and mask at half size.
        full: The faster methods at full size.
        prior, frame_prior: With a simulated prior and with the one that came with a frame, at half size.
        shares: Known shares on the NYUv2 frames at full size.
    """

    half: DepthReport
    full: DepthReport | None
    prior: DepthReport
    frame_prior: DepthReport
    shares: DepthReport | None


def _of_nyu(run: Callable[..., DepthReport], sources: Sequence[FrameSource]) -> DepthReport | None:
    nyu = [source for source in sources if source.name.startswith("nyu")]
    return run("known_share", nyu, DepthSettings((SOLVER, "nearest", "linear"), "depthlab-known-share")) if nyu else None


def _section(runs: Runs, arguments: argparse.Namespace) -> list[str]:
    options = " --quick" if arguments.quick else f" --full-every {arguments.full_every}" if arguments.full_every > 1 else ""
    half_rows = runs.half.rows
    best = compare(half_rows, (SOLVER, *BASELINES, *AT_HALF_SIZE), STANDARD).best
    frames = len({row.frame for row in half_rows})
    lines = [
        f"`python -m benchmarks.depth_inpainting{options}`, {frames} frames with the role eval, every mask by a fixed seed, "
        f"{machine()}, one thread.",
        "Errors are over hidden pixels with truth. GM: geometric mean over frames. Half size: the longer side has at most "
        f"{HALF} pixels; all methods on all frames and masks.",
        "",
        *_size_lines("half size", runs.half, (SOLVER, *BASELINES, *AT_HALF_SIZE)),
    ]
    if runs.full is not None:
        count = len({row.frame for row in runs.full.rows})
        lines += [f"At full size: {count} of the {frames} frames, all masks; without {', '.join(AT_HALF_SIZE)}.", ""]
        lines += _size_lines("full size", runs.full, (SOLVER, *BASELINES))
    for title, report in (("half size", runs.half), ("full size", runs.full)):
        if report is not None:
            lines += [f"### Other measures, means over frames, {title}; cost is the median of one frame", ""]
            lines += [*measure_lines(report, (SOLVER, best, "nearest")), ""]
            lines += [f"### Uncertainty of the solver, {title}", ""]
            lines += [*uncertainty_lines([row for row in report.rows if row.inpainter == SOLVER]), ""]
    lines += ["### With a monocular prior, AbsRel in percent, half size", ""]
    lines += ["Simulated: true inverse depth, blurred, times smooth noise of 6 %, under a random affine map: an upper bound.", ""]
    lines += [*prior_lines(half_rows, runs.prior.rows, PRIOR_MASKS), ""]
    lines += ["Uncertainty of the solver with that prior:", ""]
    lines += [*uncertainty_lines([row for row in runs.prior.rows if row.inpainter == SOLVER]), ""]
    with_own = {row.frame for row in runs.frame_prior.rows}
    if with_own:
        plain = [row for row in half_rows if row.frame in with_own]
        lines += [f"With the prediction that came with the frame ({', '.join(sorted(with_own))}):", ""]
        lines += [*prior_lines(plain, runs.frame_prior.rows, HOLES), ""]
    if runs.shares is not None:
        lines += ["### Known share, AbsRel % / d1 %, means, full size", ""]
        lines += [*known_share_lines(runs.shares.rows, runs.shares.settings.inpainters), ""]
    return lines


def _size_lines(title: str, report: DepthReport, methods: Sequence[str]) -> list[str]:
    """The comparison over all frames, and over those with dense truth."""
    dense = {row.frame for row in report.rows if row.mask == "rand50" and row.all.pixels >= DENSE * row.width * row.height}
    lines = [f"### AbsRel in percent, GM over frames, {title}", "", *comparison_lines(compare(report.rows, methods, STANDARD))]
    lines += ["", f"The same over the {len(dense)} frames with dense truth (native: all that have it):", ""]
    return [*lines, *comparison_lines(compare(_only(report.rows, dense), methods, STANDARD)), ""]


def _example_lines(run: Callable[..., DepthReport], every: Sequence[FrameSource], data: Path) -> list[str]:
    example = next((source for source in every if source.name == "depthlab_counter"), None)
    if example is None:
        return []
    rows = run("example", [example], DepthSettings((SOLVER, *BASELINES), masks=("object",))).rows
    reference = np.load(next(data.rglob(f"{example.name}/reference_published.npz")))["depth"]
    lines = ["### DepthLab's own example", "", "One picture; the reference is another estimate, not truth.", ""]
    return [*lines, *published_example_lines(example.load(), reference, rows)]


def _only(rows: Sequence[DepthRow], dense: set[str]) -> list[DepthRow]:
    return [row for row in rows if row.frame in dense or row.mask == NATIVE]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=shared("data"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--full-every", type=int, default=1)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("out/depth_inpainting"))
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
