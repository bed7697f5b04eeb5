"""The solver with and without its network, on the frames of the depth benchmark at half size.

    python -m benchmarks.refined WEIGHTS [--every 1] [--output out/refined] [--record]

WEIGHTS is a folder that ``scene-depth train refined`` wrote (``OUT/weights``; its configuration lies beside it). ``--every N``
takes every N-th frame with the role eval. A run goes on where it was interrupted, as long as WEIGHTS are the same.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.depth_inpainting import HALF
from benchmarks.depth_ratios import mean_ratio, ratio_table
from benchmarks.depth_runs import digest_of, rows_of
from benchmarks.results import machine, table, write_section
from benchmarks.shared_data import shared
from benchmarks.training_command import training_command
from scene_depth.datasets.frames import find_frames
from scene_depth.depth.refined.network import FILE
from scene_depth.evaluation.depth_protocols import HOLES
from scene_depth.evaluation.depth_rows import DepthRow
from scene_depth.evaluation.depth_runs import DepthSettings
from scene_depth.io.atomic import check_writable
from scene_depth.training.log import read_log
from scene_depth.training.refined import PRESETS

SOLVER = "solver"
LARGEST_ON_HOLES, LARGEST_ON_A_MASK = 0.95, 1.02  # ratios that would make it the default inpainter


def main() -> int:
    """Runs both and prints the table."""
    arguments = _arguments()
    folder = check_writable(arguments.output)
    sources = [source for source in find_frames(shared("data")) if source.role == "eval"][:: arguments.every]
    refined = f"refined[weights={arguments.weights.resolve()}]"
    rows: list[DepthRow] = []
    for name, journal in ((SOLVER, "solver"), (refined, digest_of(arguments.weights / FILE))):
        rows += rows_of(sources, DepthSettings((name,), max_size=HALF), folder / f"{journal}.jsonl")
    lines = [*_heading(arguments, len(sources)), *_verdict(rows, refined), *_training(arguments.weights.parent)]
    print("\n".join(lines))
    if arguments.record:
        write_section("refined", lines)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The solver with and without its network.")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("out/refined"))
    parser.add_argument("--record", action="store_true")
    return parser.parse_args()


def _heading(arguments: argparse.Namespace, frames: int) -> list[str]:
    options = f" --every {arguments.every}" if arguments.every > 1 else ""
    return [
        f"`python -m benchmarks.refined WEIGHTS{options} --record`, {frames} real frames, longer side {HALF} pixels, {machine()}",
        "AbsRel over hidden pixels; refined over solver as geometric mean over frames, the worst frame, and means of both.",
        "",
    ]


def _verdict(rows: list[DepthRow], refined: str) -> list[str]:
    lines, ratios = ratio_table(rows, (SOLVER, refined), (SOLVER, "refined"))
    holes, worst = mean_ratio(ratios, HOLES), max(ratios, key=lambda mask: ratios[mask])
    good = holes <= LARGEST_ON_HOLES and ratios[worst] <= LARGEST_ON_A_MASK
    verdict = "may become the default" if good else "does not become the default"
    asked = f"asked: {LARGEST_ON_HOLES} on holes, {LARGEST_ON_A_MASK} at most on any mask"
    return [*lines, f"So it {verdict} ({asked}; {holes:.3f}, and {ratios[worst]:.3f} on {worst})."]


def _training(folder: Path) -> list[str]:
    """How the weights were trained and how they do on held-out procedural frames."""
    report = folder / "report.json"
    if not report.is_file():
        return []
    content = json.loads(report.read_text(encoding="utf-8"))
    train, data, measures = content["config"]["train"], content["config"]["data"], content["measures"]
    masks, seconds = content["config"]["masks_a_frame"], content["seconds"]
    lines = [
        "",
        f"Weights by {training_command('refined', PRESETS['default'], folder)}: {content['parameters']:,} parameters, "
        f"{content['steps']} steps of {train['batch_size']} examples, "
        f"{data['count']} procedural frames with {masks} masks each, {seconds:.0f} s.",
    ]
    held_out = ", ".join(f"{name.removeprefix('ratio_')} {value:.2f}" for name, value in measures.items() if name != "ratio")
    course = [(line["step"], line["validation"]["ratio"]) for line in read_log(folder) if "validation" in line]
    lines += [f"On held-out procedural frames refined / solver is {measures['ratio']:.3f}: {held_out}.", ""]
    return [
        *lines,
        *table(("step", *(f"{step:,}" for step, _ in course)), [["all masks", *(f"{ratio:.3f}" for _, ratio in course)]]),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
