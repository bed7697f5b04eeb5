"""``scene-depth insert``: put something into a splat scene, or paint one of its surfaces anew."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from rich.console import Console

from scene_depth.cli.progress import end_if_stopped, print_json, watch_progress
from scene_depth.depth.protocol import DepthInpainter
from scene_depth.errors import InputError
from scene_depth.io.atomic import check_output, check_writable
from scene_depth.io.images import write_image
from scene_depth.io.scenes import read_scene
from scene_depth.io.splat_files import read_splats, write_splats
from scene_depth.rendering import render
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress
from scene_depth_heal.edit_run import EditConfig, EditResult, PosedView
from scene_depth_heal.fill import as_array
from scene_depth_heal.insert_inputs import (
    PaintedFiles,
    PlacementSource,
    painted_view,
    posed_views,
    read_depth_image,
    read_painted,
)
from scene_depth_heal.insert_painted import insert_painted
from scene_depth_heal.object_depth import Upright
from scene_depth_heal.placement import insert_splats
from scene_depth_heal.repaint import retexture as retexture_surface
from scene_depth_heal.surface_point import scene_up
from scene_depth_heal.trained import check_finite, named_depth_inpainter, trained_splats

EDITED, REPORT, PICTURES = "edited.ply", "report.json", "views"
PICTURES_KEPT = 6
Edit = Callable[[GaussianSplats, OnProgress], EditResult]


def insert(
    scene: tyro.conf.Positional[Path],
    output: Path,
    splats: Path | None = None,
    painted: tuple[str, Path] | None = None,
    mask: Path | None = None,
    mask_white: Literal["object", "keep"] | None = None,
    mask_id: tuple[str, ...] = (),
    retexture: bool = False,
    shape: Literal["inpainted", "upright"] = "inpainted",
    inpainter: str = "solver",
    prior: str | None = None,
    depth_image: Path | None = None,
    ply: Path | None = None,
    placement: Annotated[PlacementSource, tyro.conf.arg(name="")] = PlacementSource(),  # noqa: B008
    config: Annotated[EditConfig, tyro.conf.arg(name="")] = EditConfig(),  # noqa: B008
    max_size: int = 640,
    fit_steps: int = 4000,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Insert an object into a splat scene, or give one of its surfaces another texture.

    Either from a picture of one view that was painted in (--painted), which becomes an object before the scene's surfaces
    or, with --retexture, their new colour; or from another file of splats (--ply), which by default stands on the surface
    at --pixel or below --at. Writes edited.ply (in the frame of the input, old splats bit for bit and first), report.json
    and pictures before and after. Ctrl-C keeps what was done.

    Args:
        scene: Posed photos: COLMAP folder, transforms.json, RGB-D folder or saved scene.
        output: Folder for the results; made if missing.
        splats: Trained splats of the scene; without them the scene's own splats.ply is taken, or one is fitted first.
        painted: Name of a view, and its picture with something painted in.
        mask: White where it was painted; by default what differs from the photo, or from the render.
        mask_white: What white in the mask is: what was painted (object), or the rest (keep).
        mask_id: Labels of what was painted, in a mask of several: numbers, or colours such as #ff0000.
        retexture: Keep the shape of what is there; the painted colours replace its own.
        shape: Of a painted object: inpainted from the surfaces around it, or an upright plane where it stands.
        inpainter: Depth inpainter by name, or module:attribute.
        prior: Monocular depth model that guides the solver, predicting from the painted picture.
        depth_image: Depth of the painted picture of any scale and shift; fitted to the known depth around the mask.
        ply: Splats to insert: .ply, .compressed.ply, .spz or .splat.
        placement: Where they go.
        config: Parameters of the fit of painted edits.
        max_size: Longer side of the pictures that are worked on, in pixels.
        fit_steps: Steps of the first fit, where there are no splats.
        device: "cpu" or "cuda"; by default CUDA if it is there.
        json: Print the report as JSON to standard output.
    """
    _check_options(painted, mask, retexture, shape, inpainter, prior, depth_image, ply, placement)
    inputs = tuple(path for path in (splats, ply) if path is not None)
    folder = check_writable(output)
    check_output(folder / EDITED, inputs=inputs)
    posed = read_scene(scene)
    views = posed_views(posed, max_size)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if painted is not None:
        files = read_painted(posed, *painted, mask, max_size, mask_white=mask_white, mask_id=mask_id)
        depth = None if retexture else _object_depth(files, shape, inpainter, prior, depth_image)
        edit = _painted_edit(files, views, depth, retexture, config)
    else:
        assert ply is not None
        edit = _ply_edit(posed, views, ply, placement, max_size)
    before = trained_splats(posed, splats, folder, steps=fit_steps, max_size=max_size, device=device, seed=config.seed)
    with watch_progress() as on_progress:
        result = edit(before, on_progress)
    named = {"splats": splats, "painted": painted, "mask": mask, "ply": ply, "part": placement.part, "max_size": max_size}
    result.report.parameters |= {name: value for name, value in named.items() if value is not None}
    _write(folder, before, result, views, inputs)
    if json:
        print_json(result.report)
    else:
        _print(result, folder)
    end_if_stopped(result.report)


def _check_options(
    painted: tuple[str, Path] | None,
    mask: Path | None,
    retexture: bool,
    shape: str,
    inpainter: str,
    prior: str | None,
    depth_image: Path | None,
    ply: Path | None,
    placement: PlacementSource,
) -> None:
    if (painted is None) == (ply is None):
        found = "both" if painted else "neither"
        raise InputError("painted, ply", found, "one of --painted VIEW PICTURE and --ply FILE")
    shaping = {
        "--depth-image": depth_image is not None,
        "--prior": prior is not None,
        "--shape": shape != "inpainted",
        "--inpainter": inpainter != "solver",
    }
    given = [name for name, is_given in shaping.items() if is_given]
    if ply is not None and (mask is not None or retexture or given):
        raise InputError("ply", "also options of a painted picture", "--ply with options of its place alone")
    if painted is not None and placement.given:
        raise InputError("painted", "also options of a place", "--painted alone; the picture says where it is")
    if retexture and given:
        raise InputError("retexture", f"also {given[0]}", "--retexture alone: the shape stays as it is")
    if len(given) > 1:
        raise InputError("shape of the object", " and ".join(given), "one of them")


def _object_depth(
    files: PaintedFiles, shape: str, inpainter: str, prior: str | None, depth_image: Path | None
) -> DepthInpainter | None:
    """What gives a painted object its depth; None for an upright one, which needs the trained scene."""
    if depth_image is not None:
        return read_depth_image(depth_image, files)
    return None if shape == "upright" else named_depth_inpainter(inpainter, prior)


def _painted_edit(
    files: PaintedFiles, views: list[PosedView], depth: DepthInpainter | None, retexture: bool, config: EditConfig
) -> Edit:
    def edit(splats: GaussianSplats, on_progress: OnProgress) -> EditResult:
        painted, notes = painted_view(files, splats)
        if retexture:
            result = retexture_surface(splats, views, painted, config, on_progress=on_progress)
        else:
            shape = depth or Upright(_vertical(splats, views))
            result = insert_painted(splats, views, painted, shape, config, on_progress=on_progress)
        result.report.notes.extend(notes)
        return result

    return edit


def _vertical(splats: GaussianSplats, views: list[PosedView]) -> tuple[float, float, float]:
    up, _ = scene_up(splats, [view.camera for view in views])
    if up is None:
        raise InputError("shape", "upright in a scene whose vertical nothing tells", "--depth-image, --prior or inpainted")
    return (float(up[0]), float(up[1]), float(up[2]))


def _ply_edit(scene: Scene, views: list[PosedView], ply: Path, source: PlacementSource, max_size: int) -> Edit:
    placement = source.placement(scene, max_size)
    added = source.chosen(check_finite(read_splats(ply), ply), ply)
    return lambda splats, on_progress: insert_splats(splats, views, added, placement, on_progress=on_progress)


def _write(folder: Path, before: GaussianSplats, result: EditResult, views: list[PosedView], inputs: tuple[Path, ...]) -> None:
    write_splats(folder / EDITED, result.splats.to("cpu"), inputs=inputs)
    result.report.save(folder / REPORT)
    names = list(dict.fromkeys([result.report.edit.get("view"), *result.report.shows_in]))[:PICTURES_KEPT]
    for view in views:
        if view.name in names:
            pictures = [_picture(before, view), _picture(result.splats, view)]
            name = re.sub(r"[^\w.-]+", "_", Path(view.name).stem)
            write_image(folder / PICTURES / f"{name}.png", np.concatenate(pictures, axis=1))


def _picture(splats: GaussianSplats, view: PosedView) -> NDArray[np.float32]:
    return as_array(render(splats, view.camera).rgb[0].clamp(0, 1))


def _print(result: EditResult, folder: Path) -> None:
    report, console = result.report, Console()
    frozen = "unchanged" if report.frozen_sha256_before == report.frozen_sha256_after else "CHANGED"
    removed = f"{report.removed_splats} splats replaced, " if report.removed_splats else ""
    console.print(f"{removed}{report.new_splats} new, {report.kept_splats} old ones {frozen}", highlight=False)
    for name, value in report.checks.items():
        console.print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}", highlight=False)
    for note in report.notes:
        console.print(note, highlight=False)
    console.print(f"{folder / EDITED}", highlight=False)
    console.print(f"{folder / PICTURES}", highlight=False)
