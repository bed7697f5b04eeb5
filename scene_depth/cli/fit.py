"""``scene-depth fit``: splats from posed photos."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console

from scene_depth.cli.progress import end_if_stopped, watch_progress
from scene_depth.evaluation.view_scores import ViewScore, score_views
from scene_depth.fitting.checkpoint import load_state, save_state
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import FitResult
from scene_depth.fitting.fit import fit as fit_splats
from scene_depth.fitting.frozen import join_frozen
from scene_depth.io.atomic import check_writable
from scene_depth.io.images import write_image
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats

SPLATS, REPORT, CHECKPOINT, TEST_RENDERS = "splats.ply", "report.json", "checkpoint.pt", "test"
RENDERS_KEPT = 4


def fit(
    scene: tyro.conf.Positional[Path],
    output: Path,
    config: Annotated[FitConfig, tyro.conf.arg(name="")] = FitConfig(),  # noqa: B008
    test_every: int = 8,
    initial: Path | None = None,
    frozen: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Fit Gaussian splats to posed photos.

    Writes splats.ply, report.json, checkpoint.pt and a few test views (photo beside render) into the output folder.
    Ctrl-C ends the fit and keeps what was done; the same command with --resume goes on from there.

    Args:
        scene: COLMAP folder, transforms.json, RGB-D folder or saved scene.
        output: Folder for the results; made if missing.
        config: Parameters of the fit.
        test_every: Hold out every n-th view, of the views sorted by name, and measure on it; 0 holds out none.
        initial: Splats to start from.
        frozen: Splats that are rendered with the new ones and stay as they are; splats.ply gets the new ones only.
        resume: Go on from checkpoint.pt in the output folder.
        seed: Of all randomness.
        device: "cpu" or "cuda"; by default CUDA if it is there.
        json: Print the report as JSON to standard output.
    """
    folder = check_writable(output)
    everything = read_scene(scene)
    train, test = everything.split(test_every) if test_every > 0 else (everything, None)
    sources = tuple(path for path in (initial, frozen) if path is not None)
    with watch_progress("fit") as on_progress:
        result = fit_splats(
            train,
            initial=None if initial is None else read_splats(initial),
            config=config,
            frozen=None if frozen is None else read_splats(frozen),
            on_progress=on_progress,
            resume=load_state(folder / CHECKPOINT) if resume else None,
            seed=seed,
            device=device,
        )
    result = _kept(result, folder, sources, test, None if frozen is None else read_splats(frozen))
    if json:
        print(result.report.as_json())
    else:
        _tell(result, folder)
    end_if_stopped(result.report)


def _kept(
    result: FitResult, folder: Path, sources: tuple[Path, ...], test: Scene | None, frozen: GaussianSplats | None
) -> FitResult:
    """Writes the results, the splats first, and adds the measures on test views to the report."""
    write_splats(folder / SPLATS, result.splats, inputs=sources)
    if result.state is not None:
        save_state(folder / CHECKPOINT, result.state)
    else:
        (folder / CHECKPOINT).unlink(missing_ok=True)  # it would be that of an earlier fit
    if test is not None:
        config = result.report.config
        scores = score_views(join_frozen(frozen, result.splats), test, max_size=config["max_size"], mask_use=config["mask_use"])
        result = replace(result, report=replace(result.report, **_measures(scores, folder / TEST_RENDERS)))
    result.report.save(folder / REPORT)
    return result


def _measures(scores: Iterator[ViewScore], folder: Path) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for number, score in enumerate(scores):
        rows.append({"name": score.name, "psnr": score.psnr, "ssim": score.ssim})
        if number < RENDERS_KEPT:
            name = re.sub(r"[^\w.-]+", "_", os.path.splitext(score.name)[0])
            write_image(folder / f"{name}.png", np.concatenate([score.photo, score.rendered], axis=1))
    means = {f"{key}_test": float(np.nanmean([row[key] for row in rows])) for key in ("psnr", "ssim")}
    return {"test": rows, **means}


def _tell(result: FitResult, folder: Path) -> None:
    report = result.report
    console = Console()
    done = (
        f"{report.steps} steps in {report.seconds:.0f} s ({report.cpu_seconds:.0f} s of processor time), {report.splats} splats"
    )
    console.print(done, highlight=False)
    if report.psnr_test is not None:
        console.print(f"held-out views: {report.psnr_test:.2f} dB, SSIM {report.ssim_test:.3f}", highlight=False)
    console.print(f"{folder / SPLATS}", highlight=False)
