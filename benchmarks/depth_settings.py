"""Depth inpainters in the settings of Prior Depth Anything, and on real LiDAR beside IP-Basic.

    python -m benchmarks.depth_settings [lidar | settings] [--every 1] [--output out/depth_settings] [--processes 1] [--record]

Frames come from ``data`` in the folder named by SCENE_DEPTH_SHARED, or ``../shared/data``. Runs go on where they ended.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.depth_runs import rows_of
from benchmarks.results import machine, table, write_section
from benchmarks.shared_data import shared
from scene_depth.datasets.frames import FrameSource, find_frames
from scene_depth.evaluation.depth_protocols import NATIVE
from scene_depth.evaluation.depth_published import PRIORDA_SOURCE, priorda_columns
from scene_depth.evaluation.depth_report import summarize, summarize_mask
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthSettings
from scene_depth.evaluation.priorda import PRIORDA, SETTINGS
from scene_depth.io.atomic import check_writable

LIDAR = ("solver", "ip_basic", "nearest")
BEAMS = ("lidar64", "lidar16", "rand50")
"""What is left of accumulated truth or of a raw scan; errors are counted at the withheld points."""
HALF = 320
PLAIN, WITH_PRIOR = ("solver", "nearest", "linear", "geodesic"), "solver"


def main() -> int:
    """Runs one part, or both, and prints or records the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=("lidar", "settings"))
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("out/depth_settings"))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    check_writable(arguments.output)
    arguments.output.mkdir(parents=True, exist_ok=True)
    sources = find_frames(shared("data"))
    parts = {"lidar": ("depth on lidar", lidar_lines), "settings": ("settings of prior depth anything", settings_lines)}
    for name, (title, lines_of) in parts.items():
        if arguments.part in (None, name):
            lines = lines_of(sources, arguments)
            print("\n".join(lines))
            if arguments.record:
                write_section(title, lines)
    return 0


def lidar_lines(sources: Sequence[FrameSource], arguments: argparse.Namespace) -> list[str]:
    """KITTI at full size: one scan against accumulated truth, and withheld points."""
    kitti = [source for source in sources if source.name.startswith("kitti")]
    settings = DepthSettings(LIDAR, protocol="kitti", masks=(NATIVE, *BEAMS))
    rows = rows_of(kitti, settings, arguments.output / "lidar.jsonl", processes=arguments.processes)
    lines = [
        f"`python -m benchmarks.depth_settings lidar --record`, full size, {machine()}, one thread. Means over frames, "
        "REL with its 95 % interval.",
        "",
    ]
    titles = {NATIVE: "one scan against accumulated truth, all pixels with truth"}
    for mask in (NATIVE, *BEAMS):
        cells = []
        for name in LIDAR:
            chosen = _rows(rows, mask, name)
            errors = [row.all if mask == NATIVE else row.hidden for row in chosen]
            means = [1000 * _mean(e.rmse for e in errors), 1000 * _mean(e.mae for e in errors)]
            rel = summarize([e.abs_rel for e in errors])
            shown = _with_interval(rel.mean, rel.mean_interval)
            cells.append([name, str(len(errors)), *(f"{value:.0f}" for value in means), shown, *_cost(chosen)])
        title = titles.get(mask, f"{mask} of the points given, errors at the withheld ones")
        lines += [f"### {title}", "", *table(("method", "frames", "RMSE mm", "MAE mm", "REL %", "CPU s", "MB"), cells)]
    return lines


def settings_lines(sources: Sequence[FrameSource], arguments: argparse.Namespace) -> list[str]:
    """Every setting at half size: without a prior, and with the simulated one."""
    chosen = [source for source in sources if source.role == "eval"][:: arguments.every]
    masks = tuple(PRIORDA + name for name in SETTINGS)
    settings = DepthSettings(PLAIN, masks=masks, max_size=HALF)
    rows = rows_of(chosen, settings, arguments.output / "settings.jsonl", processes=arguments.processes)
    settings = DepthSettings((WITH_PRIOR,), masks=masks, prior="simulated", max_size=HALF)
    with_prior = rows_of(chosen, settings, arguments.output / "with_prior.jsonl", processes=arguments.processes)
    methods = [(name, rows, name) for name in PLAIN] + [("solver + simulated prior", with_prior, WITH_PRIOR)]
    options = f" --every {arguments.every}" if arguments.every > 1 else ""
    lines = [
        f"`python -m benchmarks.depth_settings settings{options} --record`, {len(chosen)} frames at half size (at most {HALF} "
        f"pixels), {machine()}, one thread. AbsRel in percent over hidden pixels: mean and 95 % interval. The simulated "
        "prior is made from the truth with 6 % smooth error, an upper bound for real ones.",
        "",
    ]
    cells = []
    for mask in masks:
        items = [summarize_mask(mask, name, _rows(found, mask, name)) for _, found, name in methods]
        shown = [_with_interval(item.hidden["abs_rel"].mean, item.hidden["abs_rel"].mean_interval) for item in items]
        share = items[0].known_share.mean
        known = "-" if share is None else f"{100 * share:.2f}"
        cells.append([mask.removeprefix(PRIORDA), known, *shown, *_cost(_rows(rows, mask, "solver"))])
    head = ("setting", "known %", *(title for title, _, _ in methods), "solver CPU s", "solver MB")
    lines += [*table(head, cells), "Published on NYUv2 (other frames, full size; not measured here), AbsRel in percent:", ""]
    names, columns = priorda_columns("NYUv2")
    lines += table(("setting", *names), [[setting, *(f"{value:.2f}" for value in values)] for setting, values in columns.items()])
    return [*lines, f"{PRIORDA_SOURCE}."]


def _rows(rows: Sequence[DepthRow], mask: str, inpainter: str) -> list[DepthRow]:
    return [row for row in rows if (row.mask, row.inpainter) == (mask, inpainter) and row.failure is None]


def _with_interval(mean: float | None, interval: tuple[float, float] | None) -> str:
    if mean is None:
        return "-"
    return f"{100 * mean:.2f}" + ("" if interval is None else f" ({100 * interval[0]:.1f}-{100 * interval[1]:.1f})")


def _mean(values: Iterable[float | None]) -> float:
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else float("nan")


def _cost(rows: Sequence[DepthRow]) -> list[str]:
    """Median processor seconds and MiB."""
    seconds = [row.cpu_seconds for row in rows if row.cpu_seconds is not None]
    memory = [row.peak_memory_mb for row in rows if row.peak_memory_mb is not None]
    return [f"{np.median(seconds):.2f}" if seconds else "-", f"{np.median(memory):.0f}" if memory else "-"]


if __name__ == "__main__":
    raise SystemExit(main())
