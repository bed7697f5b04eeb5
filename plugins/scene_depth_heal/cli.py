"""``scene-depth heal``: remove an object from a splat scene and repair the hole."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from scene_depth.cli.progress import end_if_stopped, print_json, watch_progress
from scene_depth.color.registry import load_image_inpainter
from scene_depth.io.atomic import check_writable
from scene_depth.io.images import write_image
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import write_splats
from scene_depth.options import with_options
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats
from scene_depth_heal.fill import as_array
from scene_depth_heal.inputs import SelectionSource, load_views, select
from scene_depth_heal.trained import named_depth_inpainter, trained_splats
from scene_depth_heal.workflow import HealConfig, HealResult, heal_views

HEALED, REPORT, PICTURES = "healed.ply", "report.json", "views"
PICTURES_KEPT = 8
UNSEEN_COLOR = np.array([1.0, 0.0, 1.0], dtype=np.float32)


def heal(
    scene: tyro.conf.Positional[Path],
    output: Path,
    splats: Path | None = None,
    selection: Annotated[SelectionSource, tyro.conf.arg(name="")] = SelectionSource(),  # noqa: B008
    grow: int = 0,
    inpainter: str = "solver",
    inpainter_options: tuple[str, ...] = (),
    prior: str | None = None,
    color: str = "exemplar",
    color_options: tuple[str, ...] = (),
    prompt: str | None = None,
    painted: tuple[tuple[str, Path], ...] = (),
    config: Annotated[HealConfig, tyro.conf.arg(name="")] = HealConfig(),  # noqa: B008
    max_size: int = 640,
    fit_steps: int = 4000,
    dry_run: bool = False,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Remove an object from a splat scene and repair the hole.

    Writes healed.ply (in the frame of the input, old splats bit for bit), report.json and pictures of the views with the
    most to repair: before, after the deletion with the unseen part marked, healed. Ctrl-C keeps what was done.

    Args:
        scene: Posed photos: COLMAP folder, transforms.json, RGB-D folder or saved scene.
        output: Folder for the results; made if missing.
        splats: Trained splats of the scene; without them the scene's own splats.ply is taken, or one is fitted first.
        selection: What to remove; by default what the scene's own masks show.
        grow: Steps by which the selection grows, or shrinks if negative.
        inpainter: Depth inpainter by name, or module:attribute.
        inpainter_options: Parameters of the depth inpainter as KEY=VALUE, such as weights=FOLDER for depthlab.
        prior: Monocular depth model that guides the solver.
        color: Image inpainter by name (exemplar, diffusion), or module:attribute.
        color_options: Parameters of the image inpainter as KEY=VALUE, such as model=FOLDER and, for a depth ControlNet that
            follows the new depth, controlnet=FOLDER for diffusion.
        prompt: What should be in the hole, for diffusion.
        painted: View name and picture of it edited elsewhere; that view becomes the first reference.
        config: Parameters of the workflow.
        max_size: Longer side of the pictures that are worked on, in pixels.
        fit_steps: Steps of the first fit, where there are no splats.
        dry_run: Stop after the report of what is unseen; nothing is invented.
        device: "cpu" or "cuda"; by default CUDA if it is there.
        json: Print the report as JSON to standard output.
    """
    folder = check_writable(output)
    depth_inpainter = named_depth_inpainter(with_options(inpainter, inpainter_options), prior)
    image_inpainter = load_image_inpainter(with_options(color, color_options), **({} if prompt is None else {"prompt": prompt}))
    posed = read_scene(scene)
    views = load_views(posed, max_size, selection, dict(painted))
    if painted and not config.references:
        config = replace(config, references=tuple(name for name, _ in painted))
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    trained = trained_splats(posed, splats, folder, steps=fit_steps, max_size=max_size, device=device, seed=config.seed)
    with watch_progress() as on_progress:
        removed = select(trained, views, selection, grow)
        result = heal_views(
            trained, removed, views, depth_inpainter, image_inpainter, config, on_progress=on_progress, dry_run=dry_run
        )
    _write(folder, trained, result, dry_run, inputs=() if splats is None else (splats,))
    if json:
        print_json(result.report)
    else:
        _print(result, folder, dry_run)
    end_if_stopped(result.report)


def _write(folder: Path, before: GaussianSplats, result: HealResult, dry_run: bool, inputs: tuple[Path, ...]) -> None:
    if not dry_run:
        write_splats(folder / HEALED, result.splats.to("cpu"), inputs=inputs)
    result.report.save(folder / REPORT)
    most = sorted(result.states, key=lambda state: -state.unseen_share)[:PICTURES_KEPT]
    for state in most:
        unseen = as_array(state.unseen)[..., None]
        pictures = [_picture(before, state.camera), np.where(unseen, UNSEEN_COLOR, as_array(state.rgb_after))]
        if not dry_run:
            pictures.append(_picture(result.splats, state.camera))
        name = re.sub(r"[^\w.-]+", "_", Path(state.name).stem)
        write_image(folder / PICTURES / f"{name}.png", np.concatenate(pictures, axis=1))


def _picture(splats: GaussianSplats, camera) -> np.ndarray:
    return as_array(render(splats, camera).rgb[0].clamp(0, 1))


def _print(result: HealResult, folder: Path, dry_run: bool) -> None:
    report, console = result.report, Console()
    table = Table("view", "unseen", "" if dry_run else "left unseen", title="truly unseen share of the picture")
    for name, share in sorted(report.unseen_before.items(), key=lambda item: -item[1])[:PICTURES_KEPT]:
        table.add_row(name, f"{100 * share:.2f} %", "" if dry_run else f"{100 * report.unseen_after[name]:.2f} %")
    console.print(table)
    console.print(f"{100 * report.unseen_share_of_hole:.0f} % of the hole was never seen by any view", highlight=False)
    if report.shadow_splats:
        share, shade = 100 * report.shadow_share_of_picture, report.shadow_shade
        words = f"{report.shadow_splats} splats carried its shadow and went with it: {share:.1f} % of {report.references[0].view}"
        console.print(f"{words}, lit {1 / shade:.2f} times as much", highlight=False)
    if not dry_run:
        frozen = "unchanged" if report.frozen_sha256_before == report.frozen_sha256_after else "CHANGED"
        console.print(f"{report.removed_splats} splats removed, {report.new_splats} new, {report.kept_splats} old ones {frozen}")
        console.print(f"{folder / HEALED}", highlight=False)
    console.print(f"{folder / PICTURES}", highlight=False)
