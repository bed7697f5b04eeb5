"""``scene-depth heal``: remove an object from a splat scene and repair the hole."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from scene_depth.cli.inputs import open_scene
from scene_depth.cli.progress import end_if_stopped, print_json, report_console, save_snapshots, say_first, watch_progress
from scene_depth.color.protocol import ImageInpainter
from scene_depth.color.registry import load_image_inpainter
from scene_depth.evaluation.depth_tables import text_table
from scene_depth.evaluation.placement import check_likeness
from scene_depth.io.images import write_image
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.splat_files import splat_origin, with_origin, write_splats
from scene_depth.options import with_options
from scene_depth.splats import GaussianSplats
from scene_depth_heal.hole import HealView, picture_of
from scene_depth_heal.inputs import SPLATS, DepthSource, SceneSource, is_splats_alone, load_views, photos_beside
from scene_depth_heal.masks import fit_masks
from scene_depth_heal.selection import SelectionSource, select
from scene_depth_heal.workflow import HealConfig, HealResult, heal_alone, heal_views

HEALED, REPORT, PICTURES = "healed.ply", "report.json", "views"
PICTURES_KEPT = 8
NAMES = (HEALED, REPORT, PICTURES, SPLATS)


@dataclass(frozen=True)
class Output:
    """What comes out."""

    output: Path
    """Folder for the results; made if missing."""
    dry_run: bool = False
    """Stop after the report of what is unseen; nothing is invented."""
    overwrite: bool = False
    """Replace files in the output folder that something else wrote; never those that are read."""
    save_every: float = 2.0
    """Minutes between two copies of the work so far, in OUTPUT/unfinished; 0 saves at the end alone."""
    json: bool = False
    """Print the report as JSON to standard output."""


@dataclass(frozen=True)
class Inpainters(DepthSource):
    """What invents depth and colour."""

    color: str = "exemplar"
    """Image inpainter by name (exemplar, diffusion), or module:attribute."""
    color_options: tuple[str, ...] = ()
    """Parameters of the image inpainter as KEY=VALUE, such as model=FOLDER and, for a depth ControlNet that follows the new
    depth, controlnet=FOLDER for diffusion."""
    prompt: str | None = None
    """What should be in the hole, for diffusion."""
    painted: tuple[tuple[str, Path], ...] = ()
    """View name and picture of it edited elsewhere; that view becomes the first reference."""

    def image_inpainter(self) -> ImageInpainter:
        """The inpainter of colour."""
        options = {} if self.prompt is None else {"prompt": self.prompt}
        return load_image_inpainter(with_options(self.color, self.color_options), **options)


def heal(
    scene: tyro.conf.Positional[Path],
    output: Annotated[Output, tyro.conf.arg(name="output")],
    selection: Annotated[SelectionSource, tyro.conf.arg(name="what to remove")] = SelectionSource(),  # noqa: B008
    source: Annotated[SceneSource, tyro.conf.arg(name="scene")] = SceneSource(),  # noqa: B008
    inpainters: Annotated[Inpainters, tyro.conf.arg(name="inpainters")] = Inpainters(),
    config: Annotated[HealConfig, tyro.conf.arg(name="quality")] = HealConfig(),  # noqa: B008
) -> None:
    """Remove an object from a splat scene and repair the hole.

    A file of splats alone is healed by what it shows from around the object: virtual views stand in for photos, and all that
    the splats do not show is invented.

    Writes healed.ply (in the frame of the input, old splats bit for bit), report.json and pictures of the views with the
    most to repair: before, after the deletion with the unseen part marked, healed. Ctrl-C keeps what was done.

    Args:
        scene: Posed photos: COLMAP folder, transforms.json, RGB-D folder or saved scene; or a file of splats alone.
        output: What comes out.
        selection: The object; by default what the scene's own masks show. Of splats alone, a box, sphere or indices.
        source: How the scene is read, its splats, and the size of its pictures.
        inpainters: What invents depth and colour.
        config: Parameters of the workflow.
    """
    depth_inpainter, image_inpainter = inpainters.depth_inpainter(), inpainters.image_inpainter()
    painted = dict(inpainters.painted)
    inputs = (source.splats, selection.masks, selection.indices, selection.box, selection.sphere, *painted.values())
    alone = is_splats_alone(scene)
    scenes, inputs = ((), (scene, *inputs)) if alone else ((scene,), inputs)
    folder = claim_folder(output.output, "heal", NAMES, scenes=scenes, inputs=inputs, overwrite=output.overwrite)
    if inpainters.painted and not config.references:
        config = replace(config, references=tuple(painted))
    with folder.stage() as stage:
        if alone:
            posed, views, likeness, notes = None, list[HealView](), None, list[str]()
            before = source.splats_alone(scene, selection, tuple(painted))
        else:
            posed = open_scene(scene, source.scene_options)
            views = load_views(posed, source.max_size, selection, painted)
        seen = f"{len(views)} photos" if views else "no photos; virtual views of the splats"
        size = max(views[0].camera.width, views[0].camera.height) if views else source.max_size
        work = f"; at most {config.most_references} of them are filled, then {config.steps} steps of fitting"
        say_first(f"{seen} at {size} pixels{'' if output.dry_run else work}")
        if posed is not None:
            before = source.trained_splats(posed, stage.path, config.seed)
            likeness = check_likeness(before, photos_beside(views), stop=source.check_placement)
            views, notes = fit_masks(before, views)
        with watch_progress() as on_progress:
            removed = select(before, views, selection)
            origin = splat_origin(before) if posed is None else posed.origin
            watched = save_snapshots(on_progress, partial(_save, folder.unfinished / HEALED, origin), output.save_every)
            run = partial(heal_alone, max_size=source.max_size) if posed is None else partial(heal_views, views=views)
            result = run(
                before,
                removed,
                depth_inpainter=depth_inpainter,
                image_inpainter=image_inpainter,
                config=config,
                on_progress=watched,
                dry_run=output.dry_run,
            )
        if posed is not None:
            result.report.describe_scene(posed)
        result.report.origin, result.report.likeness = origin, likeness
        result.report.notes = [*notes, *result.report.notes]
        result = replace(result, splats=with_origin(result.splats, origin))
        _write(stage.path, before, result, output.dry_run)
        stage.finished, place = result.report.finished, folder.place(result.report.finished)
    if output.json:
        print_json(result.report)
    else:
        _print(result, place, output.dry_run)
    end_if_stopped(result.report)


def _save(path: Path, origin: tuple[float, float, float], splats: GaussianSplats) -> None:
    write_splats(path, with_origin(splats.to("cpu"), origin))


def _write(folder: Path, before: GaussianSplats, result: HealResult, dry_run: bool) -> None:
    if not dry_run:
        write_splats(folder / HEALED, result.splats.to("cpu"))
    result.report.save(folder / REPORT)
    for state in sorted(result.states, key=lambda state: -state.unseen_share)[:PICTURES_KEPT]:
        pictures = [picture_of(before, state.camera), state.marked()]
        if not dry_run:
            pictures.append(picture_of(result.splats, state.camera))
        name = re.sub(r"[^\w.-]+", "_", Path(state.name).stem)
        write_image(folder / PICTURES / f"{name}.png", np.concatenate(pictures, axis=1))


def _print(result: HealResult, folder: Path, dry_run: bool) -> None:
    report, console = result.report, report_console()
    worst = sorted(report.unseen_before.items(), key=lambda item: -item[1])[:PICTURES_KEPT]
    rows = [(name, f"{100 * share:.2f}", "" if dry_run else f"{100 * report.unseen_after[name]:.2f}") for name, share in worst]
    seen = "photo has seen" if report.virtual_views is None else "virtual view shows"
    console.print(text_table(f"Share of the picture that no {seen}, %", ["view", "after the deletion", "left unseen"], rows))
    console.print(f"No {seen} {100 * report.unseen_share_of_hole:.0f} % of what the object hid; the rest is known.")
    if report.shadow_splats:
        view = report.references[0].view
        console.print(
            f"The object's shadow went with it: {report.shadow_splats:,} splats, {100 * report.shadow_share_of_picture:.1f} % of "
            f"{view}, which are now {1 / report.shadow_shade:.2f} times as bright."
        )
    for note in report.notes:
        console.print(note)
    if not dry_run:
        counts = f"{report.removed_splats:,} splats were removed and {report.new_splats:,} made"
        console.print(f"{counts}; {report.kept_as_they_were()}.")
        console.print(f"Written: {folder / HEALED}")
    console.print(f"Pictures: {folder / PICTURES}")
