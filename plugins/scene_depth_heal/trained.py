"""What every edit starts from: trained splats of a scene, checked, and a depth inpainter by its name."""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path

import torch

from scene_depth.cli.progress import end_if_stopped, watch_progress
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import MonocularInpainter, load_monocular_model
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.io.splat_files import read_splats, splats_beside, write_splats
from scene_depth.scene import Scene
from scene_depth.splats import PARAMETERS, GaussianSplats

SPLATS = "splats.ply"


def trained_splats(
    scene: Scene, given: Path | None, folder: Path, *, steps: int, max_size: int, device: str, seed: int
) -> GaussianSplats:
    """The splats named, else those that lie with the scene, else a fit of it, which is kept in the output folder.

    Args:
        scene: Posed photos.
        given: File of splats, or None.
        folder: Where a fit is kept.
        steps, max_size, seed: Of the fit.
        device: Where to fit, and where the splats go.

    Raises:
        InputError: If a file cannot be read or holds values that are not finite.
        KeyboardInterrupt: If the fit was stopped; what it reached is in the folder.
    """
    path = given or splats_beside(scene.source)
    if path is not None:
        return check_finite(read_splats(path), path).to(device)
    print("no splats given: fitting the scene first", file=sys.stderr)
    size = min(max_size, 480) if device == "cpu" else max_size
    with watch_progress("fit") as on_progress:
        result = fit(scene, config=FitConfig(steps=steps, max_size=size), seed=seed, device=device, on_progress=on_progress)
    write_splats(folder / SPLATS, result.splats)
    end_if_stopped(result.report)
    return result.splats


def check_finite(splats: GaussianSplats, path: str | PathLike[str] | None = None) -> GaussianSplats:
    """The splats themselves.

    Raises:
        InputError: If there is none, or one has a parameter that is NaN or infinite.
    """
    if len(splats) == 0:
        raise InputError("splats", "none", "one or more splats", file=path)
    for name in PARAMETERS:
        bad = ~torch.isfinite(getattr(splats, name)).reshape(len(splats), -1).all(dim=1)
        if bool(bad.any()):
            accepted = "finite numbers; `scene-depth inspect FILE --fix OUT` repairs files"
            raise InputError(name, f"{int(bad.sum())} of {len(splats)} splats with NaN or infinity", accepted, file=path)
    return splats


def named_depth_inpainter(inpainter: str, prior: str | None) -> ExactInpainter:
    """A depth inpainter by name; with a prior, the solver along that monocular model's prediction.

    Raises:
        InputError: If there is no such inpainter or model, or another inpainter than the solver is to take a prior.
    """
    if prior is None:
        return load_depth_inpainter(inpainter)
    if inpainter != "solver":
        raise InputError("prior", f"with the inpainter {inpainter!r}", "the inpainter 'solver', which takes a prior")
    return ExactInpainter(MonocularInpainter(load_monocular_model(prior)), "solver")
