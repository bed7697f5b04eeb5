"""What the solver's gate has learnt: the log of a training as a table.

    scene-depth train solver --output out/gate
    python -m benchmarks.solver_gate out/gate [--record]

Ratios are mean relative errors on held-out procedural frames (with the faults of real depth maps, see
``scene_depth.datasets.procedural.imperfect``) over those of the energy alone, geometric means over frames.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.results import machine, write_section
from scene_depth.training.log import read_log

RATIO = "ratio_"


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path, help="folder of a finished training")
    parser.add_argument("--record", action="store_true", help="write the section of RESULTS.md")
    arguments = parser.parse_args()
    report = json.loads((arguments.training / "report.json").read_text(encoding="utf-8"))
    validations = [line for line in read_log(arguments.training) if "validation" in line]
    lines = tables(report, validations)
    print("\n".join(lines))
    if arguments.record:
        write_section("gate of the solver", lines)
    return 0


def tables(report: dict[str, Any], validations: list[dict[str, Any]]) -> list[str]:
    """The recipe in words, the course of the training, the last validation by mask."""
    config = report["config"]
    frames, held_out = (sum(source["count"] for source in config[name]) for name in ("data", "held_out"))
    last = {name.removeprefix(RATIO): value for name, value in report["measures"].items() if name.startswith(RATIO)}
    return [
        f"`scene-depth train solver`, {report['parameters']:,} parameters, {frames} procedural frames with "
        f"{config['masks_a_frame']} masks each, {100 * config['faults']:.0f} % of them with the faults of real depth maps, "
        f"{100 * config['enlarged']:.0f} % enlarged by up to {config['largest']:g}, "
        f"{report['steps']:,} steps in {report['seconds']:.0f} s once the views are solved, {machine()}. No real frame was seen.",
        f"Error on {held_out} held-out procedural frames over that of the energy alone:",
        "",
        "| step | " + " | ".join(f"{line['step']:,}" for line in validations) + " |",
        "| --- |" + " ---: |" * len(validations),
        "| all masks | " + " | ".join(f"{line['validation']['ratio']:.3f}" for line in validations) + " |",
        "",
        "| mask | ratio |",
        "| --- | ---: |",
        *(f"| {name} | {value:.3f} |" for name, value in last.items()),
    ]


if __name__ == "__main__":
    sys.exit(main())
