"""``scene-depth outpaint``: grow a scene outward from a picture, a text, views or splats."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from scene_depth.arrays import Mask
from scene_depth.cli.inputs import SceneOptions, open_scene, open_splats
from scene_depth.cli.progress import end_if_stopped, print_json, report_console, say_first, watch_progress
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import with_prior
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_tables import text_table
from scene_depth.io.images import read_image, read_mask
from scene_depth.io.output_folder import claim_folder
from scene_depth.io.scenes import SPLATS as SPLAT_ENDINGS
from scene_depth.io.scenes import write_scene
from scene_depth.io.splat_files import splats_beside, with_origin, write_splats
from scene_depth.options import with_options
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats
from scene_depth_outpaint.generators import Pictures, check_prompts, load_generator, picture_of_prompt, takes_prompt
from scene_depth_outpaint.panorama import panorama_views, sample
from scene_depth_outpaint.planner import PlannedStep
from scene_depth_outpaint.result import OutpaintConfig, OutpaintResult
from scene_depth_outpaint.sky import SkyInpainter, with_sky
from scene_depth_outpaint.start import picture_view, scene_views, splat_view
from scene_depth_outpaint.state import PLAN, STEPS, put_folder, undo_step
from scene_depth_outpaint.watch import Watch
from scene_depth_outpaint.workflow import outpaint_views, waiting_folder

SPLATS, REPORT, SCENE, COLMAP = "splats.ply", "report.json", "scene", "colmap"
NAMES = (SPLATS, REPORT, SCENE, COLMAP, STEPS, PLAN)
WAITS, REFUSED = 3, 4  # exit codes
UNKNOWN = "unknown"  # depth is what tells the sky


@dataclass(frozen=True)
class Start:
    """What is there already."""

    image: Path | None = None
    """Picture to begin with."""
    depth: Path | None = None
    """Its depth: PNG, npy, EXR and what else is read; unknown pixels are 0."""
    panorama: bool = False
    """The picture shows everything around (equirectangular, twice as wide as high): six views of 90 degrees. Its depth is along
    each ray."""
    sky: str | None = None
    """Where there is sky, which is put on a layer far beyond the scene: an image, white on it; or unknown, for parts of unknown
    depth that reach the upper border."""
    camera: Path | None = None
    """Its intrinsics, and its pose if it has one: JSON or text. Of splats, where to look at them from."""
    views: tuple[str, ...] = ()
    """Of a scene, the views to begin with; by default up to 12 of them."""
    scene_options: SceneOptions = ()
    splats: Path | None = None
    """Splats of a scene; they stay as they are, bit for bit, beside the new ones."""
    text_to_image: str = "stabilityai/stable-diffusion-2-1"
    """Folder or hub id of the diffusers pipeline that makes the first picture, where the start is a prompt alone."""
    size: int = 512
    """Side of that picture in pixels."""

    def read(self, scene: Path | None, prompt: str, prior: str | None, seed: int) -> tuple[list[View], Scene | None, list[str]]:
        """The views to begin with, the scene that they are of, and what a person should know.

        Raises:
            InputError: If there is not one start, or it cannot be read.
        """
        if (scene is not None) + (self.image is not None) > 1:
            raise InputError("start", "a scene and --image", "one of the two")
        if scene is not None:
            if scene.suffix.lower() in SPLAT_ENDINGS:
                return [splat_view(self.splats_of(scene, None) or open_splats(scene), self.camera, scene.name)], None, []
            posed = open_scene(scene, self.scene_options)
            return scene_views(posed, self.views, self.splats_of(scene, posed)), posed, []
        if self.image is not None and self.panorama:
            views, notes = panorama_views(read_image(self.image), self.image.name, self.depth, prior, seed)
            return views, None, notes
        if self.image is not None:
            view, notes = picture_view(read_image(self.image), self.image.name, self.depth, self.camera, prior, seed)
            return [view], None, notes
        if not prompt:
            raise InputError("start", "none", "a scene, --image FILE or --prompt TEXT")
        if self.depth is None and prior is None:
            accepted = "a monocular model that makes it (--prior MODEL)"
            raise InputError("depth", "none of the picture that the prompt will give", accepted)
        rgb = picture_of_prompt(self.text_to_image, prompt, self.size, seed) / 255.0
        view, notes = picture_view(rgb.astype("float32"), "prompt.png", self.depth, self.camera, prior, seed)
        return [view], None, notes

    def put_sky_far(self, views: list[View], inpainter: ExactInpainter) -> tuple[list[View], ExactInpainter]:
        """The views with their sky on the far layer, and the inpainter that leaves it there.

        Raises:
            InputError: If the image of the sky is missing, or does not fit.
        """
        if self.sky is None:
            return views, inpainter
        skies: list[Mask | None] = [None] * len(views)
        if self.sky != UNKNOWN:
            white = read_mask(Path(self.sky))
            skies = [white] * len(views)
            if self.panorama:
                skies = [sample(white.astype(np.float32), view.camera, order=0) > 0 for view in views]
        far_views, far = with_sky(views, skies)
        return far_views, ExactInpainter(SkyInpainter(inpainter, far), inpainter.name)

    def splats_of(self, path: Path, scene: Scene | None) -> GaussianSplats | None:
        """The splats of the start, if it has any."""
        if scene is None:
            return open_splats(path) if path.suffix.lower() in SPLAT_ENDINGS else None
        found = self.splats or splats_beside(scene.source)
        return None if found is None else open_splats(found, scene=scene)


@dataclass(frozen=True)
class Invention:
    """What invents colour and depth."""

    color: str = "exemplar"
    """exemplar, membrane, diffusion, or module:attribute; none for geometry alone; pictures for a folder of pictures made
    elsewhere, 001.png and so on by step."""
    color_options: tuple[str, ...] = ()
    """Parameters of it as KEY=VALUE: model=FOLDER for diffusion, folder=DIR for pictures."""
    prompt: str = ""
    """What should be seen. Without a picture or a scene, what the first picture shows."""
    prompts: tuple[tuple[int, str], ...] = ()
    """The same for single steps: number and text."""
    inpainter: str = "solver"
    """Depth inpainter by name, or module:attribute."""
    inpainter_options: tuple[str, ...] = ()
    """Parameters of the depth inpainter as KEY=VALUE."""
    prior: tuple[str, ...] = ()
    """Monocular model that leads the depth, and options of it as KEY=VALUE; fit=scale for one that is metric."""

    def prior_name(self) -> str | None:
        """The model with its options behind it."""
        return with_options(self.prior[0], self.prior[1:]) if self.prior else None


def outpaint(
    scene: tyro.conf.Positional[Path | None] = None,
    trajectory: str | None = None,
    output: Path = Path("outpainted"),
    undo: bool = False,
    dry_run: bool = False,
    overwrite: bool = False,
    view: bool = False,
    port: int = 8080,
    json: bool = False,
    start: Annotated[Start, tyro.conf.arg(name="start")] = Start(),
    invention: Annotated[Invention, tyro.conf.arg(name="colour and depth")] = Invention(),
    config: Annotated[OutpaintConfig, tyro.conf.arg(name="quality")] = OutpaintConfig(),  # noqa: B008
) -> int:
    """Grow a scene outward from a picture, a text, views or splats.

    Writes every view into OUTPUT/steps/NNN as soon as it is made (camera.json, image.png, depth.npy, known.png, report.json); at
    the end splats.ply, a scene folder, a COLMAP model and report.json. The same command goes on where it was stopped or killed.
    Exit code 3: a picture is awaited; 4: a view was refused.

    Args:
        scene: Scene of posed photos, or a splat file, to begin with; or --image, or --prompt alone.
        trajectory: A preset (lookaround, lookdown, rotate360, moveright, moveback, hemisphere, orbit, dolly, fly_through,
            panorama, circle; also with options, as "orbit[angle=20]"), a transforms.json, or a camera path.
        output: Folder for the results; made if missing.
        undo: Take back the last step, and do nothing else.
        dry_run: Only tell how much of every view is new.
        overwrite: Replace files in the output folder that something else wrote, and begin anew.
        view: Show the scene in the browser as it grows, and ask there about every view: accept it, make it again, take back the
            one before it, stop.
        port: Port of that page; the next free one if it is taken.
        json: Print the report as JSON to standard output.
        start: What is there already.
        invention: What invents colour and depth.
        config: Parameters of the workflow.
    """
    if undo:
        print(f"Taken back: step {undo_step(output):03d} of {output}")
        return 0
    if trajectory is None:
        raise InputError("trajectory", "none", "a preset, a transforms.json or a camera path (--trajectory)")
    prior, has_start = invention.prior_name(), scene is not None or start.image is not None
    color = with_options(invention.color, invention.color_options)
    asked = invention.prompt if has_start else ""
    generator = load_generator(color)
    check_prompts(generator, [asked, *(text for _, text in invention.prompts)])
    inpainter = _depth_inpainter(invention, prior)
    views, posed, notes = start.read(scene, invention.prompt, prior, config.seed)
    views, inpainter = start.put_sky_far(views, inpainter)
    if isinstance(generator, Pictures):
        generator.check(len(views), views[0].camera.width, views[0].camera.height)
    frozen = None if scene is None else start.splats_of(scene, posed)
    painted = generator.folder if isinstance(generator, Pictures) else None
    sky = None if start.sky in (None, UNKNOWN) else Path(str(start.sky))
    reads = (start.image, start.depth, start.camera, start.splats, sky, painted)
    made = None
    if not dry_run:
        made = claim_folder(output, "outpaint", NAMES, scenes=(scene,), inputs=reads, overwrite=overwrite).path
        if overwrite and (made / PLAN).exists():
            shutil.rmtree(made / STEPS, ignore_errors=True)
            (made / PLAN).unlink()
    watch = Watch(port, output, asked if takes_prompt(generator) else None, frozen, say_first) if view and not dry_run else None
    try:
        with watch_progress("outpaint") as on_progress:
            result = outpaint_views(
                views,
                trajectory,
                output=made,
                inpainter=inpainter,
                generator=generator,
                prompt=asked,
                prompts=dict(invention.prompts),
                config=config,
                frozen=frozen,
                on_progress=on_progress if watch is None else watch.following(on_progress),
                dry_run=dry_run,
                review=None if watch is None else watch.review,
                on_plan=_say_plan if not dry_run else None,
                on_views=None if watch is None else watch.show,
            )
        result.report.notes = [*notes, *result.report.notes]
        result.report.unit = posed.unit if posed is not None else result.report.unit
        if made is not None:
            _write(made, result, posed)
        code = _tell(result, output, made, json)
        if watch is not None and result.report.finished and result.splats is not None:
            watch.keep_open(result.splats)
        return code
    finally:
        if watch is not None:
            watch.stop()


def _tell(result: OutpaintResult, output: Path, made: Path | None, json: bool) -> int:
    """Prints the report, and what a person has to do; the exit code."""
    report = result.report
    if json:
        print_json(report)
    elif report.waits_for is None:
        _print(result, made)
    if report.waits_for is not None:
        place = waiting_folder(output, report)
        print(f"scene-depth: waiting for {report.waits_for}: paint {place}/image.png where mask.png is white", file=sys.stderr)
        return WAITS
    if report.refused is not None:
        print(f"scene-depth: {report.refused}", file=sys.stderr)
        return REFUSED
    end_if_stopped(report)
    return 0


def _depth_inpainter(invention: Invention, prior: str | None) -> ExactInpainter:
    inpainter = load_depth_inpainter(with_options(invention.inpainter, invention.inpainter_options))
    return inpainter if prior is None else with_prior(inpainter, prior)


def _say_plan(plan: Sequence[PlannedStep]) -> None:
    shares = [step.new_share for step in plan]
    span = f", {min(shares):.0%} to {max(shares):.0%} new each" if shares else ""
    say_first(f"{len(shares)} views are to be made{span}")


def _write(folder: Path, result: OutpaintResult, posed: Scene | None) -> None:
    origin = (0.0, 0.0, 0.0) if posed is None else posed.origin
    if result.splats is not None:
        write_splats(folder / SPLATS, with_origin(result.splats.to("cpu"), origin))
    if result.scene is not None:
        for name, kind in ((SCENE, "scene"), (COLMAP, "colmap")):
            with put_folder(folder / name) as new:
                write_scene(new, result.scene, format=kind)
    result.report.save(folder / REPORT)


def _print(result: OutpaintResult, folder: Path | None) -> None:
    report, console = result.report, report_console()
    made = {view.planned: view for view in report.steps if view.kind == "step" and view.reached}
    rows = []
    for number, step in enumerate(result.plan):
        view = made.get(number)
        seam = "" if view is None or view.seam_jump is None else f"{100 * view.seam_jump:.2f}"
        index = "" if view is None else f"{view.index:03d}"
        new = "" if view is None else f"{100 * view.new_share:.0f}"
        rows.append((str(step.waypoint), "way" if step.between else "", f"{100 * step.new_share:.0f}", index, new, seam))
    title = f"Views along {report.trajectory}, shares in %"
    console.print(text_table(title, ["camera", "", "foreseen new", "step", "new", "jump at the seam"], rows))
    for note in report.notes:
        console.print(note)
    if report.start_psnr is not None:
        console.print(f"{report.splats:,} splats; they show the start with a PSNR of {report.start_psnr:.1f} dB.")
    if folder is not None:
        console.print(f"Written: {folder}")
