"""Outpaint: from one or several views along a trajectory, one view after the other; then splats of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scene_depth.cameras import Cameras
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import ExactInpainter, inpainter_name, parameters_of
from scene_depth.depth.monocular import with_prior
from scene_depth.depth.prior import Prior, model_name
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.io.json_reports import plain
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress, Work
from scene_depth_outpaint.finish import Finished
from scene_depth_outpaint.generators import Generator, check_prompts, generator_name, load_generator
from scene_depth_outpaint.growing import GrowingSplats
from scene_depth_outpaint.loop import Loop, OnViews, prior_of
from scene_depth_outpaint.picture_border import border_notes
from scene_depth_outpaint.planner import Frame, PlannedStep, plan_steps
from scene_depth_outpaint.prior_scale import scaled_to_start
from scene_depth_outpaint.result import OutpaintConfig, OutpaintReport, OutpaintResult
from scene_depth_outpaint.review import Review
from scene_depth_outpaint.state import (
    OutpaintedView,
    StepReport,
    camera_as_plain,
    camera_from_plain,
    check_settings,
    hash_of,
    step_folder,
    write_plan,
)
from scene_depth_outpaint.trajectory import Trajectory, load_trajectory


def outpaint(
    start: View | Scene | Sequence[View],
    trajectory: str | PathLike[str] | Cameras | Sequence[Cameras] | Trajectory,
    *,
    output: str | PathLike[str] | None = None,
    inpainter: str | Callable[..., Any] = "solver",
    prior: Prior | str | None = None,
    color: str | Callable[..., Any] = "exemplar",
    prompt: str = "",
    prompts: Mapping[int, str] | None = None,
    config: OutpaintConfig | None = None,
    frozen: GaussianSplats | None = None,
    review: Review | None = None,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
) -> OutpaintResult:
    """Grows a scene outward from posed pictures with depth, one view after the other.

    Args:
        start: Views with picture and depth, all of one size; depth may have gaps.
        trajectory: Where to go: a preset as "lookaround" or "orbit[angle=20]", a file of cameras, or cameras.
        output: Folder in which every view is kept in ``steps/NNN`` as soon as it is made. A run that was stopped or killed
            goes on from there, with the same bits as one that was not. None keeps nothing.
        inpainter: Depth inpainter: a name, an object or a plain function; see ``load_depth_inpainter``.
        prior: What leads the depth: a monocular model, its name as in "transformers:CHECKPOINT[fit=scale]", or a function f(rgb).
        color: What invents colours: "none", "pictures[folder=DIR]", or an image inpainter; see ``load_image_inpainter``.
        prompt: What should be seen, for generators that take a text.
        prompts: The same for single views, by number of their step.
        config: Parameters.
        frozen: Splats of the start, which stay as they are, bit for bit; the start's views get no splats then.
        review: Is shown every view before it becomes part of the scene, and says "accept", "again", "undo" or "stop", or gives a
            ``Verdict`` with another prompt. By default views are accepted that keep to the configuration's limits.
        on_progress: Called between views; False stops, and the result holds what is done so far.
        dry_run: Only plan, and report the share of new pixels of every view.

    Returns:
        All views with complete depth, and splats, in the frame and unit of the start.

    Raises:
        InputError: If an input does not fit; the message names it. Nothing long has run then. Also if ``review`` answers with
            something else, or with a prompt that ``color`` does not take; what was accepted before is kept.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> sd.outpaint(view, "moveright[distance=0.3,views=4]", dry_run=True)
        OutpaintResult(1 views of the start, 0 of ... planned ones, finished)
    """
    views = list(start.views) if isinstance(start, Scene) else [start] if isinstance(start, View) else list(start)
    result = outpaint_views(
        views,
        trajectory,
        output=None if output is None else Path(output),
        inpainter=load_depth_inpainter(inpainter) if prior is None else with_prior(load_depth_inpainter(inpainter), prior),
        generator=load_generator(color),
        prompt=prompt,
        prompts=prompts or {},
        config=config or OutpaintConfig(),
        frozen=frozen,
        review=review,
        on_progress=on_progress,
        dry_run=dry_run,
    )
    if isinstance(start, Scene):
        result.report.unit = start.unit
    return result


def outpaint_views(
    views: Sequence[View],
    trajectory: str | PathLike[str] | Cameras | Sequence[Cameras] | Trajectory,
    *,
    output: Path | None,
    inpainter: ExactInpainter,
    generator: Generator,
    prompt: str,
    prompts: Mapping[int, str],
    config: OutpaintConfig,
    frozen: GaussianSplats | None,
    on_progress: OnProgress | None,
    dry_run: bool,
    review: Review | None = None,
    on_plan: Callable[[Sequence[PlannedStep]], None] | None = None,
    on_views: OnViews | None = None,
) -> OutpaintResult:
    """``outpaint`` with everything loaded.

    ``on_plan`` is told the views to make before the first of them is made, ``on_views`` all views that are there whenever there
    are others, how many of them have fitted splats, and those.
    """
    work = Work(on_progress)
    first = _start_views(views, inpainter, config.seed)
    height, width = first[0].depth.shape
    track = load_trajectory(trajectory, [view.camera for view in first], float(first[0].depth[height // 2, width // 2]))
    check_prompts(generator, [prompt, *prompts.values(), *track.prompts])
    settings = _settings(first, track, generator, inpainter, config)
    report = OutpaintReport(
        start_views=len(first),
        generator=generator_name(generator),
        inpainter=inpainter_name(inpainter),
        trajectory=track.name,
        parameters=config,
    )
    report.notes += border_notes([(view.name, made.image) for view, made in zip(views, first, strict=True)])
    with work.stage("plan"):
        kept = None if output is None or dry_run else check_settings(output, settings)
        plan = _plan(first, track, config) if output is None or kept is None else _planned(kept, output)
    report.planned = [step.new_share for step in plan]
    if not plan:
        report.notes.append("the trajectory shows nothing new")
    if dry_run:
        report.seconds = work.seconds
        return OutpaintResult(tuple(first), tuple(plan), None, None, report)
    if on_plan is not None:
        on_plan(plan)
    if output is not None and kept is None:
        write_plan(output, settings, [_plain_step(step) for step in plan])
    inpainter, factor = scaled_to_start(inpainter, first, config.seed)
    if factor != 1:
        report.notes.append(f"the prior's depth is multiplied by {factor:.4g}, as the depth of the start asks for")
    growing = GrowingSplats(frozen, len(first), config, output, work)
    loop = Loop(
        output, plan, generator, inpainter, config, prompt, prompts, track.prompts, work, report, review, on_views, growing
    )
    with work.stage("views"):
        loop.run(first)
    report.steps = [view.report for view in loop.room.views]
    report.finished = not work.stopped and report.waits_for is None and report.refused is None
    done = Finished(None, growing.shown()[1], None)  # what is fitted so far
    if not work.stopped and report.waits_for is None:
        with work.stage("splats"):
            done = growing.finish(loop.room)
        report.finished &= not work.stopped
    if done.splats is not None:
        report.frozen_splats = 0 if frozen is None else len(frozen)
        report.splats, report.start_psnr = len(done.splats) - report.frozen_splats, done.start_psnr
    report.seconds = work.seconds
    return OutpaintResult(tuple(loop.room.views), tuple(plan), done.scene, done.splats, report)


def _start_views(views: Sequence[View], inpainter: ExactInpainter, seed: int) -> list[OutpaintedView]:
    """The views of the start with complete depth."""
    if not views:
        raise InputError("start", "no view", "one or more views with picture and depth")
    made = []
    for index, view in enumerate(views):
        if view.load_depth is None:
            accepted = "a depth, or a monocular model (--prior) to make one"
            raise InputError(f"view {view.name!r}: depth", "none", accepted)
        size, first = (view.camera.width, view.camera.height), views[0].camera
        if size != (first.width, first.height):
            found = f"{size[0]} x {size[1]}"
            raise InputError(f"view {view.name!r}: size", found, f"{first.width} x {first.height}, as {views[0].name!r}")
        image = np.rint(view.image() * 255).astype(np.uint8)
        depth = np.asarray(view.depth(), np.float32)
        known = np.isfinite(depth) & (depth > 0)
        camera = view.camera.to(dtype=torch.float64)
        prediction = inpaint_depth(inpainter, image / np.float32(255), depth, known, camera=camera, seed=seed)
        report = StepReport(index, "start", new_share=float((~known).mean()), seed=seed)
        made.append(OutpaintedView(camera, image, prediction.depth, known, report))
    return made


def _plan(first: Sequence[OutpaintedView], track: Trajectory, config: OutpaintConfig) -> list[PlannedStep]:
    return plan_steps([Frame(view.camera, view.depth) for view in first], track, config.least_new, config.most_new)


def _plain_step(step: PlannedStep) -> dict[str, Any]:
    own = {"new_share": step.new_share, "waypoint": step.waypoint, "between": step.between}
    return {**own, "camera": camera_as_plain(step.camera)}


def _planned(steps: Sequence[dict[str, Any]], folder: Path) -> list[PlannedStep]:
    try:
        return [
            PlannedStep(
                camera_from_plain(step["camera"], file=folder),
                float(step["new_share"]),
                int(step["waypoint"]),
                bool(step["between"]),
            )
            for step in steps
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("plan", f"unusable ({error})", "the plan that was written here", file=folder) from error


def _settings(
    first: Sequence[OutpaintedView], track: Trajectory, generator: Generator, inpainter: ExactInpainter, config: OutpaintConfig
) -> dict[str, Any]:
    """What a run that goes on must have in common with the one before. A prompt may differ: views can be asked for anew."""
    arrays = [(view.image, np.where(view.known, view.depth, 0), view.camera.K.numpy()) for view in first]
    poses = [view.camera.camera_to_world.numpy() for view in first]
    parameters = {name: value for name, value in parameters_of(generator).items() if name != "prompt"}
    content: dict[str, Any] = plain(asdict(config))
    own = {name: value for name, value in content.items() if not name.startswith("fit_")}
    return {
        "start pictures": hash_of(*(array for group in arrays for array in group), *poses),
        "trajectory": track.name,
        "cameras of the trajectory": hash_of(*(camera.camera_to_world.double().numpy() for camera in track.cameras)),
        "generator": [generator_name(generator), parameters],
        "inpainter": [inpainter_name(inpainter), parameters_of(inpainter.inpainter)],
        "prior": None if (prior := prior_of(inpainter)) is None else model_name(prior),
        **own,
    }


def waiting_folder(folder: Path, report: OutpaintReport) -> Path:
    """Where the picture and the mask of the view that is awaited lie."""
    return step_folder(folder, len(report.steps))
