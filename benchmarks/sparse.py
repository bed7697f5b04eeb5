"""Refinement of simulated pointmap results: depth where no other view confirms it, after against before, with the truth known.

    python -m benchmarks.sparse [--scenes NAME ...] [--levels NAME ...] [--views 3 6 12] [--seeds 5] [--no-prior] [--record]

Scenes are the three samples, and of the development data ``redwood_livingroom`` and ``hololens_office`` where those are there.
Depth is compared after one global scale. Rows go to ``out/sparse.jsonl``, and a run goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scene_depth_sparse import FLAG_NAMES, RefinedPointmaps, refine_pointmaps

from benchmarks.results import machine, table, write_section
from benchmarks.shared_data import shared_file
from benchmarks.sparse_runs import LEVELS, SimulatedRun, simulate_run
from scene_depth.arrays import Array, Mask
from scene_depth.depth.alignment import apply_fit, fit_globally
from scene_depth.io.scenes import read_scene

SAMPLES = Path(__file__).resolve().parents[1] / "scenes"
SHARED = {"redwood": "data/redwood_livingroom", "hololens": "data/hololens_office"}
MATCHED, EDGE = FLAG_NAMES.index("matched"), FLAG_NAMES.index("edge")
OFF = 0.05  # relative error from which a matched pixel is wrong
PRIOR_BELOW, PRIOR_MEAN, PLAIN_BELOW, PLAIN_MEAN, EDGES_BELOW = 0.92, 0.85, 1.02, 0.90, 0.75
OFF_BELOW = {"mild": 0.005, "typical": 0.04}
Row = dict[str, float | int | str]


def _told(words: Sequence[str]) -> list[str]:
    """The command without the file that keeps its runs, which is a place of this machine."""
    return [word for before, word in zip(["", *words], words, strict=False) if "--output" not in (before, word)]


def main() -> int:
    """Runs all and prints the tables."""
    arguments = _arguments()
    scenes = {name: path for name, path in _scenes().items() if name in arguments.scenes}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    rows = _rows(scenes, arguments)
    lines = [*_heading(arguments, scenes), *_tables(rows)]
    print("\n".join(lines))
    if arguments.record:
        write_section("sparse", lines)
    return 0


def measure_run(simulated: SimulatedRun, with_prior: bool = True) -> Row:
    """Figures of one simulated run: means over its views.

    Args:
        simulated: The run and its truth.
        with_prior: Whether it is also refined with the simulated monocular prior.

    Returns:
        Ratios of AbsRel after to before in flagged pixels ("plain", "prior"), on edges ("edges"), of a scale-and-shift fit of the
        prior to matched depth ("fitted"), the share of matched pixels off by 5 % ("off"), and whether they have the same bits.
    """
    started = time.perf_counter()
    plain = refine_pointmaps(simulated.run)
    row: Row = {"seconds": time.perf_counter() - started}
    raw = [view.depth for view in simulated.run.views]
    flagged, edges = (
        _masks(plain, simulated, lambda flags: flags != MATCHED),
        _masks(plain, simulated, lambda flags: flags == EDGE),
    )
    matched = _masks(plain, simulated, lambda flags: flags == MATCHED)
    row["flagged"] = float(np.mean([mask.mean() for mask in flagged]))
    row["before"] = _error(raw, raw, simulated, flagged)
    row["plain"] = _error([view.depth for view in plain.views], raw, simulated, flagged) / float(row["before"])
    if any(mask.any() for mask in edges):
        row["edges"] = _error([view.depth for view in plain.views], raw, simulated, edges) / _error(raw, raw, simulated, edges)
    if any(mask.any() for mask in matched):
        scale = _scale(raw, simulated)
        errors = [
            np.abs(depth / scale / np.maximum(true, 1e-9) - 1)[mask]
            for depth, true, mask in zip(raw, simulated.depth, matched, strict=True)
        ]
        row["off"] = float(np.mean([np.mean(part > OFF) for part in errors if len(part)]))
    same = [
        np.array_equal(view.depth[view.flags == MATCHED], depth[view.flags == MATCHED])
        for view, depth in zip(plain.views, raw, strict=True)
    ]
    row["same_bits"] = int(all(same))
    row["weight"] = float(plain.report.calibration["weight"])
    if with_prior:
        guided = refine_pointmaps(simulated.run, prior=list(simulated.priors))
        row["prior"] = _error([view.depth for view in guided.views], raw, simulated, flagged) / float(row["before"])
        fitted = [_fitted(*parts) for parts in zip(raw, simulated.priors, [v.flags == MATCHED for v in plain.views], strict=True)]
        row["fitted"] = _error(fitted, raw, simulated, flagged) / float(row["before"])
    return row


def _fitted(depth: NDArray[np.float32], prior: NDArray[np.float32], matched: Mask) -> NDArray[np.float32]:
    """The prior by scale and shift on matched depth."""
    known = matched if matched.any() else depth > 0
    return apply_fit(fit_globally(prior, depth, known, "auto", "affine"), prior, depth[known]).astype(np.float32)


def _masks(result: RefinedPointmaps, simulated: SimulatedRun, chosen: Callable[[NDArray[np.uint8]], Mask]) -> list[Mask]:
    return [
        chosen(view.flags) & (true > 0) & (view.source.depth > 0)
        for view, true in zip(result.views, simulated.depth, strict=True)
    ]


def _scale(raw: Sequence[Array], simulated: SimulatedRun) -> float:
    ratios = [
        depth[(depth > 0) & (true > 0)] / true[(depth > 0) & (true > 0)] for depth, true in zip(raw, simulated.depth, strict=True)
    ]
    return float(np.median(np.concatenate(ratios)))


def _error(depths: Sequence[Array], raw: Sequence[Array], simulated: SimulatedRun, masks: Sequence[Mask]) -> float:
    """AbsRel in the masks, mean over views, by the one scale of the raw run."""
    scale = _scale(raw, simulated)
    errors = [
        float(np.abs(depth[mask] / scale / true[mask] - 1).mean())
        for depth, true, mask in zip(depths, simulated.depth, masks, strict=True)
        if mask.any()
    ]
    return float(np.mean(errors))


def _rows(scenes: dict[str, Path], arguments: argparse.Namespace) -> list[Row]:
    done: dict[str, Row] = {}
    if arguments.output.is_file():
        done = {row["key"]: row for row in map(json.loads, arguments.output.read_text(encoding="utf-8").splitlines())}
    rows = []
    for name, path in scenes.items():
        scene = None
        for level in arguments.levels:
            for views in arguments.views:
                for seed in range(arguments.seeds):
                    key = f"{name} {level} {views} {seed} {arguments.width} {not arguments.no_prior}"
                    if key not in done:
                        scene = scene or read_scene(path)
                        simulated = simulate_run(scene, LEVELS[level], views, seed, arguments.width)
                        found = measure_run(simulated, not arguments.no_prior)
                        done[key] = {"key": key, "scene": name, "level": level, "views": views, "seed": seed, **found}
                        with arguments.output.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(done[key]) + "\n")
                    rows.append(done[key])
    return rows


def _tables(rows: Sequence[Row]) -> list[str]:
    """A row a level and number of views, then what is asked for."""
    head = (
        "level, views",
        "runs",
        "flagged %",
        "before %",
        "plain",
        "edges",
        "prior",
        "prior fitted",
        "off by 5 %, %",
        "same bits",
    )
    cells = []
    for level, views in dict.fromkeys((str(row["level"]), int(row["views"])) for row in rows):
        part = [row for row in rows if row["level"] == level and row["views"] == views]
        shown = [f"{100 * _mean(part, name):.1f}" for name in ("flagged", "before")]
        shown += [f"{_mean(part, name):.2f}" for name in ("plain", "edges", "prior", "fitted")]
        same = "yes" if all(row["same_bits"] for row in part) else "NO"
        shown = [cell.replace("nan", "") for cell in shown]
        cells.append([f"{level}, {views}", str(len(part)), *shown, f"{100 * _mean(part, 'off'):.2f}", same])
    return [*table(head, cells), *_verdict(rows)]


def _mean(rows: Sequence[Row], name: str) -> float:
    values = [float(row[name]) for row in rows if name in row]
    return float(np.mean(values)) if values else float("nan")


def _verdict(rows: Sequence[Row]) -> list[str]:
    groups = [
        [row for row in rows if row["level"] == level and row["views"] == views]
        for level, views in dict.fromkeys((row["level"], row["views"]) for row in rows)
    ]
    easy = [
        group
        for group in groups
        if (group[0]["level"], group[0]["views"] != 3) in (("mild", True), ("mild", False), ("typical", True))
    ]
    many = [group for group in groups if group[0]["views"] != 3]

    def worst(name: str, chosen: Sequence[Sequence[Row]]) -> float:
        return max((_mean(group, name) for group in chosen), default=float("nan"))

    def middle(name: str, chosen: Sequence[Sequence[Row]]) -> float:
        return float(np.mean([_mean(group, name) for group in chosen])) if chosen else float("nan")

    behind = max((_mean(group, "prior") - _mean(group, "fitted") for group in groups), default=float("nan"))
    lines = [
        f"- without weights: worst {worst('plain', groups):.2f} (asked: {PLAIN_BELOW}), mean of mild 3, 6, 12 and typical 6, 12 "
        f"{middle('plain', easy):.2f} ({PLAIN_MEAN})",
        f"- edges at 6 and 12 views: worst {worst('edges', many):.2f} ({EDGES_BELOW})",
        f"- with the prior: worst {worst('prior', groups):.2f} ({PRIOR_BELOW}), mean {middle('prior', groups):.2f} "
        f"({PRIOR_MEAN}); minus scale and shift of the prior at worst {behind:+.2f} (below 0)",
    ]
    for level, most in OFF_BELOW.items():
        off = [_mean(group, "off") for group in groups if group[0]["level"] == level]
        if off:
            lines.append(f"- matched pixels off by more than 5 % at {level}: {100 * float(np.mean(off)):.2f} % ({100 * most:g})")
    return [line for line in lines if "nan" not in line]


def _heading(arguments: argparse.Namespace, scenes: dict[str, Path]) -> list[str]:
    return [
        f"`python -m benchmarks.sparse {' '.join(_told(sys.argv[1:]))}`, scenes {', '.join(scenes)}, {arguments.width} pixels "
        f"wide, seeds {arguments.seeds}, {machine()}",
        "",
        "AbsRel of the pixels that no other view confirms, after over before; means over views and runs.",
        "",
    ]


def _scenes() -> dict[str, Path]:
    found = {name: SAMPLES / name for name in ("room", "street", "table")}
    for name, relative in SHARED.items():
        if (path := shared_file(relative)) is not None:
            found[name] = path
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Refinement of simulated pointmap results.")
    parser.add_argument("--scenes", nargs="+", default=list(_scenes()))
    parser.add_argument("--levels", nargs="+", default=list(LEVELS), choices=list(LEVELS))
    parser.add_argument("--views", nargs="+", type=int, default=[3, 6, 12])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--no-prior", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("out/sparse.jsonl"))
    parser.add_argument("--record", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
