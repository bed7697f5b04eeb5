"""What the solver's gate has learnt: the log of a training as a table, and the gate that it gave on real frames.

    scene-depth train solver --output out/gate
    python -m benchmarks.solver_gate out/gate [--output out/solver_gate] [--record]

Ratios are mean relative errors over those of the energy alone, geometric means over frames: held-out procedural frames with the
faults of real depth maps (``scene_depth.datasets.frames.faults``), then the frames of the depth benchmark at half size.
A run goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.depth_inpainting import HALF
from benchmarks.depth_ratios import ratio_table
from benchmarks.depth_runs import digest_of, rows_of
from benchmarks.results import machine, write_section
from benchmarks.shared_data import shared_file
from scene_depth.datasets.frames import find_frames
from scene_depth.depth.solver.gate import FILE
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthSettings
from scene_depth.io.atomic import check_writable
from scene_depth.training.log import read_log
from scene_depth.training.loop import BEST

RATIO = "ratio_"
MEASURES = {"ratio": "error over that of the energy alone", "quantiles": "loss of the expected error's quantiles"}


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path, help="folder of a finished training")
    parser.add_argument("--record", action="store_true", help="write the section of RESULTS.md")
    parser.add_argument("--output", type=Path, default=Path("out/solver_gate"), help="folder that collects the rows")
    arguments = parser.parse_args()
    check_writable(arguments.output)
    report = json.loads((arguments.training / "report.json").read_text(encoding="utf-8"))
    validations = [line for line in read_log(arguments.training) if "validation" in line]
    lines = [*tables(report, validations), "", *on_frames(arguments.training / BEST / FILE, arguments.output)]
    print("\n".join(lines))
    if arguments.record:
        write_section("gate of the solver", lines)
    return 0


def tables(report: dict[str, Any], validations: list[dict[str, Any]]) -> list[str]:
    """The recipe in words, the course of the training, the last validation by mask."""
    config = report["config"]
    frames, held_out = (sum(source.get("options", source)["count"] for source in config[name]) for name in ("data", "held_out"))
    last = {name.removeprefix(RATIO): value for name, value in report["measures"].items() if name.startswith(RATIO)}
    kept = (
        " The shares are those of the gate before (`start=embedded`); the expected error alone was learnt."
        if config["start"]
        else ""
    )
    measure = "quantiles" if config["start"] else "ratio"
    return [
        f"`scene-depth train solver`, {report['parameters']:,} parameters, {frames} procedural frames with "
        f"{config['masks_a_frame']} masks each, {100 * config['faults']:.0f} % of them with the faults of real depth maps, "
        f"{100 * config['enlarged']:.0f} % enlarged by up to {config['largest']:g}, {report['steps']:,} steps in "
        f"{report['seconds']:.0f} s once the views are solved, {machine()}. No real frame was seen.{kept}",
        f"On {held_out} held-out procedural frames: {MEASURES[measure]}, and error over that of the energy alone by mask:",
        "",
        "| step | " + " | ".join(f"{line['step']:,}" for line in validations) + " |",
        "| --- |" + " ---: |" * len(validations),
        f"| {measure} | " + " | ".join(f"{line['validation'][measure]:.3f}" for line in validations) + " |",
        "",
        "| mask | ratio |",
        "| --- | ---: |",
        *(f"| {name} | {value:.3f} |" for name, value in last.items()),
    ]


def on_frames(gate: Path, folder: Path) -> list[str]:
    """The solver with that gate against the solver without, on real frames; nothing without the data."""
    data = shared_file("data")
    if data is None:
        return []
    sources = [source for source in find_frames(data) if source.role == "eval"]
    with_gate, without = f"solver[gate={gate.resolve()}]", "solver[gate=none]"
    rows: list[DepthRow] = []
    for name, journal in ((without, "none"), (with_gate, digest_of(gate))):
        rows += rows_of(sources, DepthSettings((name,), max_size=HALF), folder / f"{journal}.jsonl")
    lines, _ = ratio_table(rows, (without, with_gate), ("energy alone", "with gate"))
    return [f"{len(sources)} real frames at half size, AbsRel over hidden pixels:", "", *lines]


if __name__ == "__main__":
    sys.exit(main())
