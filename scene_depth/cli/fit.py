"""``scene-depth fit``: splats from posed photos."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro

from scene_depth.cli.inputs import SceneOptions, open_scene, open_splats
from scene_depth.cli.progress import end_if_stopped, report_console, say_first, watch_progress
from scene_depth.errors import InputError
from scene_depth.evaluation.scene_scores import ViewScore, score_views
from scene_depth.fitting.checkpoint import load_state, save_state
from scene_depth.fitting.config import CameraRefinement, FitConfig, Rates
from scene_depth.fitting.density import MCMC, Default, Guided
from scene_depth.fitting.fit import FitResult
from scene_depth.fitting.fit import fit as fit_splats
from scene_depth.fitting.frozen import join_frozen
from scene_depth.io.images import write_image
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.saved_scene import write_saved_scene
from scene_depth.io.splat_files import write_splats
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats

SPLATS, REPORT, CHECKPOINT, TEST_RENDERS, SCENE = "splats.ply", "report.json", "checkpoint.pt", "test", "refined_scene"
NAMES = (SPLATS, REPORT, CHECKPOINT, TEST_RENDERS, SCENE)
RENDERS_KEPT = 4


@dataclass(frozen=True)
class Quality(FitConfig):
    """Parameters of the fit but for those that are groups of their own."""

    density: Annotated[Guided | MCMC | Default | None, tyro.conf.Fixed, tyro.conf.Suppress] = None
    rates: Annotated[Rates, tyro.conf.Fixed, tyro.conf.Suppress] = field(default_factory=Rates)
    cameras: Annotated[CameraRefinement | None, tyro.conf.Fixed, tyro.conf.Suppress] = None


@dataclass(frozen=True)
class DensityOptions(Guided, Default):
    """The options of all kinds of density control."""

    density: Literal["guided", "mcmc", "default", "none"] = "guided"
    """"guided" (3DGS-MCMC that adds splats where pictures pull), "mcmc", "default" (of the reference trainer), or "none"."""

    def strategy(self) -> Guided | MCMC | Default | None:
        """The chosen one.

        Raises:
            InputError: If an option was given that it does not have.
        """
        kinds: dict[str, type[Guided | MCMC | Default]] = {"guided": Guided, "mcmc": MCMC, "default": Default}
        chosen = kinds.get(self.density)
        own = () if chosen is None else tuple(entry.name for entry in fields(chosen))
        for entry in fields(self):
            if entry.name not in (*own, "density") and getattr(self, entry.name) != entry.default:
                raise InputError(entry.name, f"given for --density {self.density}", f"one of {', '.join(own) or 'no options'}")
        return None if chosen is None else chosen(**{name: getattr(self, name) for name in own})


@dataclass(frozen=True)
class CameraOptions(CameraRefinement):
    """Whether and how cameras are refined."""

    refine_cameras: bool = False
    """Refine poses and focal lengths with the splats; OUTPUT/refined_scene gets the scene with the refined cameras."""

    def refinement(self) -> CameraRefinement | None:
        """The refinement, if it was asked for.

        Raises:
            InputError: If an option of it was given without ``refine_cameras``.
        """
        values = {entry.name: getattr(self, entry.name) for entry in fields(CameraRefinement)}
        chosen = CameraRefinement(**values)
        if not self.refine_cameras and chosen != CameraRefinement():
            name = next(entry.name for entry in fields(CameraRefinement) if values[entry.name] != entry.default)
            raise InputError(name, values[name], "--refine-cameras with it, which is what it is an option of")
        return chosen if self.refine_cameras else None


@dataclass(frozen=True)
class Sources:
    """How the photos are read, and what is fitted beside them."""

    scene_options: SceneOptions = ()
    test_every: int = 8
    """Hold out every n-th view, of the views sorted by name, and measure on it; 0 holds out none."""
    initial: Path | None = None
    """Splats to start from."""
    frozen: Path | None = None
    """Splats that are rendered with the new ones and stay as they are; splats.ply gets the new ones only."""


def fit(
    scene: tyro.conf.Positional[Path],
    output: Path,
    resume: bool = False,
    overwrite: bool = False,
    save_every: float = 2.0,
    json: bool = False,
    seed: int = 0,
    device: str | None = None,
    sources: Annotated[Sources, tyro.conf.arg(name="scene")] = Sources(),
    config: Annotated[Quality, tyro.conf.arg(name="quality")] = Quality(),
    density: Annotated[DensityOptions, tyro.conf.arg(name="density control")] = DensityOptions(),
    rates: Annotated[Rates, tyro.conf.arg(name="learning rates")] = Rates(),  # noqa: B008
    cameras: Annotated[CameraOptions, tyro.conf.arg(name="cameras")] = CameraOptions(),
) -> None:
    """Fit Gaussian splats to posed photos.

    Writes splats.ply, report.json, checkpoint.pt and a few test views (photo beside render) into the output folder. With
    --refine-cameras also refined_scene: the refined cameras with the photos where they are, for all commands that read scenes.
    Ctrl-C ends the fit and keeps what was done, in OUTPUT/unfinished if a finished result stands in OUTPUT; the same command
    with --resume goes on from there, also after a crash.

    Args:
        scene: COLMAP folder, transforms.json, RGB-D folder or saved scene.
        output: Folder for the results; made if missing.
        resume: Go on from checkpoint.pt in the output folder.
        overwrite: Replace files in the output folder that something else wrote; never those that are read.
        save_every: Minutes between two checkpoints while the fit runs; 0 saves at its end alone.
        json: Print the report as JSON to standard output.
        seed: Of all randomness.
        device: "cpu" or "cuda"; by default CUDA if it is there.
        sources: What is held out, where to start, what stays.
        config: Size, steps and loss.
        density: How the number of splats changes.
        rates: How far a step goes.
        cameras: Whether poses and focal lengths are refined too.
    """
    inputs = tuple(path for path in (sources.initial, sources.frozen) if path is not None)
    folder = claim_folder(output, "fit", NAMES, scenes=(scene,), inputs=inputs, overwrite=overwrite)
    everything = open_scene(scene, sources.scene_options)
    train, test = everything.split(sources.test_every) if sources.test_every > 0 else (everything, None)
    initial, frozen = (
        None if path is None else open_splats(path, scene=everything) for path in (sources.initial, sources.frozen)
    )
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    settled = config.settled(kind)
    say_first(f"{len(train)} photos of at most {settled.max_size} pixels, {settled.steps:,} steps on {kind}")
    with watch_progress("fit") as on_progress:
        result = fit_splats(
            train,
            initial=initial,
            config=replace(config, density=density.strategy(), rates=rates, cameras=cameras.refinement()),
            frozen=frozen,
            on_progress=on_progress,
            resume=load_state(folder.find(CHECKPOINT)) if resume else None,
            seed=seed,
            device=device,
            on_state=partial(save_state, folder.unfinished / CHECKPOINT) if save_every > 0 else None,
            state_seconds=60 * save_every,
        )
    place = folder.place(result.report.finished)
    with folder.stage() as stage:
        stage.finished = result.report.finished
        result = _kept(result, stage.path, everything, test, frozen)
    if json:
        print(result.report.as_json())
    else:
        _tell(result, place)
    end_if_stopped(result.report)


def _kept(result: FitResult, folder: Path, scene: Scene, test: Scene | None, frozen: GaussianSplats | None) -> FitResult:
    """Writes the results, the splats first, and adds the measures on test views to the report."""
    write_splats(folder / SPLATS, result.splats)
    if result.state is not None:
        save_state(folder / CHECKPOINT, result.state)
    if result.cameras:
        views = tuple(replace(view, load_depth=None) for view in scene.with_cameras(result.cameras).views)
        write_saved_scene(folder / SCENE, replace(scene, views=views), reference_images="absolute")
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
    console = report_console()
    console.print(f"{report.splats:,} splats after {report.steps:,} steps in {report.seconds:.0f} s.")
    if report.psnr_test is not None:
        console.print(
            f"Photos that the fit did not see are shown with a PSNR of {report.psnr_test:.1f} dB and an SSIM of "
            f"{report.ssim_test:.3f} (more is better)."
        )
    if report.cameras is not None:
        turned, moved = report.cameras["turned_degrees"], report.cameras["moved"]
        console.print(
            f"Cameras were turned by {turned['median']:.3g} degrees and moved by {moved['median']:.3g} {report.unit}s (medians). "
            f"The scene with them is {folder / SCENE}; the files that were read stay as they are, and so do held-out cameras."
        )
    console.print(f"Written: {folder / SPLATS}")
