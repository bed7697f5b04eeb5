"""Fitting: what a step costs, and how well scenes are fitted.

    python -m benchmarks.fit [SCENE ...] [--steps N] [--json FILE] [--record]

SCENE are folders that ``scene-depth fit`` reads; default: fox, llff_fern and redwood_livingroom in ``data`` of the folder
named by SCENE_DEPTH_SHARED, or of ``../shared``. The first one also serves to time the parts of a step. Times are CPU
seconds of the process over all threads; those of the parts are medians over views, beside
the least whole step. ``--record`` writes the section "Fitting" of RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.results import machine, write_section
from benchmarks.shared_data import shared_file
from scene_depth.evaluation.scene_scores import score_views
from scene_depth.fitting.config import DEFAULTS, FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.fitting.losses import l1_ssim_in_torch, photometric_loss
from scene_depth.fitting.parameters import trainable_splats
from scene_depth.fitting.training_views import TrainingViews
from scene_depth.io.scenes import read_scene
from scene_depth.rendering import render
from scene_depth.scene import Scene

SCENES = ("fox", "llff_fern", "redwood_livingroom")
SPLATS = 20_000
REPEATS = 30


def step_parts(scene: Scene, settle: int = 300) -> dict[str, float]:
    """CPU milliseconds of the parts of a step with 20,000 splats of SH degree 3, after some steps of fitting."""
    options = FitConfig(steps=settle, start_splats=SPLATS, density=None, sh_every=1, low_resolution_steps=0)
    config = options.settled("cpu")
    splats = fit(scene, config=config).splats
    views = TrainingViews(scene.views, config.max_size)
    trainable = trainable_splats(splats, config)
    parts: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.process_time()
        result = work(*arguments)
        parts.setdefault(name, []).append(1000 * (time.process_time() - started))
        return result

    for repeat in range(REPEATS):
        target = views.target(repeat % len(views))
        picture = target.image[None]
        image = timed("render", lambda camera: render(trainable.splats(), camera), target.camera)
        rgb = image.rgb.detach().requires_grad_()
        loss = timed("loss and its gradient", photometric_loss, rgb, picture)
        (gradient,) = torch.autograd.grad(loss, rgb)
        timed("the same loss in torch", lambda x, y: torch.autograd.grad(l1_ssim_in_torch(x, y), x), rgb, picture)
        timed("backward of the render", image.rgb.backward, gradient)
        timed("Adam", trainable.step)
    result = {name: float(np.median(values)) for name, values in parts.items()}
    own = [name for name in result if name != "the same loss in torch"]
    result["whole step"] = float(np.median(np.sum([parts[name] for name in own], axis=0)))
    result["whole step, minimum"] = float(np.min(np.sum([parts[name] for name in own], axis=0)))
    return result


def fit_scene(path: Path, config: FitConfig) -> dict[str, Any]:
    """Fits to seven of eight views and measures on the rest."""
    train, test = read_scene(path).split(8)
    result = fit(train, config=config)
    size = result.report.config["max_size"]
    held_out, fitted = (list(score_views(result.splats, part, max_size=size)) for part in (test, train))
    report = result.report
    return {
        "scene": path.name,
        "views": report.views,
        "width": report.width,
        "height": report.height,
        "splats": report.splats,
        "steps": report.steps,
        "psnr_test": float(np.mean([score.psnr for score in held_out])),
        "ssim_test": float(np.mean([score.ssim for score in held_out])),
        "psnr_train": float(np.mean([score.psnr for score in fitted])),
        "cpu_seconds": report.cpu_seconds,
        "wall_seconds": report.seconds,
    }


def lines(parts: dict[str, float], rows: list[dict[str, Any]]) -> list[str]:
    """The section of RESULTS.md."""
    text = [
        f"{machine()}. CPU time of the process; wall time on quiet cores is less, by up to their number.",
        "`python -m benchmarks.fit --record`",
        "",
        f"One step, {SPLATS} splats of SH degree 3, longer side {DEFAULTS['cpu']['max_size']} pixels, median CPU ms:",
        "",
        "| part | ms |",
        "|---|---|",
        *(f"| {name} | {value:.1f} |" for name, value in parts.items()),
        "",
        "Default parameters, every 8th view held out:",
        "",
        "| scene | size | views | splats | steps | test PSNR | test SSIM | train PSNR | CPU s | wall s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["scene"], f"{row['width']} x {row['height']}", row["views"], row["splats"], row["steps"]]
        cells += [f"{row['psnr_test']:.2f}", f"{row['ssim_test']:.3f}", f"{row['psnr_train']:.2f}"]
        cells += [f"{row['cpu_seconds']:.0f}", f"{row['wall_seconds']:.0f}"]
        text.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return text


def main() -> None:
    """Runs everything and prints it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", type=Path)
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--record", action="store_true")
    arguments = parser.parse_args()
    paths = arguments.scenes or [path for name in SCENES if (path := shared_file(f"data/{name}")) is not None]
    if not paths:
        parser.error("no scene found; name one, or set SCENE_DEPTH_SHARED")
    config = FitConfig() if arguments.steps is None else replace(FitConfig(), steps=arguments.steps)
    parts = step_parts(read_scene(paths[0]).split(8)[0])
    rows = [fit_scene(path, config) for path in paths]
    section = lines(parts, rows)
    print("\n".join(section))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"step_ms": parts, "scenes": rows}, indent=2), encoding="utf-8")
    if arguments.record:
        write_section("fitting", section)


if __name__ == "__main__":
    main()
