"""Outpaint: from one or several views along a trajectory, one view after the other; then splats of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import ExactInpainter, inpainter_name, parameters_of
from scene_depth.depth.monocular import with_prior
from scene_depth.depth.prior import Prior, model_name
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.io.json_reports import JsonReport, plain, versions
from scene_depth.scene import Scene, View
from scene_depth.showing import Shown
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress, Progress, Work
from scene_depth_outpaint.finish import Finished, finish
from scene_depth_outpaint.generators import Generator, check_prompts, generator_name, load_generator
from scene_depth_outpaint.picture_frame import frame_notes
from scene_depth_outpaint.planner import Frame, PlannedStep, plan_steps
from scene_depth_outpaint.review import Proposal, Review, Verdict, ask
from scene_depth_outpaint.state import (
    OutpaintedView,
    StepReport,
    camera_as_plain,
    camera_from_plain,
    check_settings,
    hash_of,
    read_views,
    step_folder,
    undo_step,
    write_plan,
    write_task,
    write_view,
)
from scene_depth_outpaint.step import Acceptance, Room, make_view
from scene_depth_outpaint.trajectory import Trajectory, between, load_trajectory

SEEDS_A_STEP = 100


@dataclass(frozen=True)
class OutpaintConfig:
    """How a scene is grown.

    Example:
        >>> import scene_depth as sd
        >>> sd.OutpaintConfig(most_new=0.4, fit_steps=0).least_new
        0.15
    """

    least_new: float = 0.15
    """Views of a path with a smaller share of new pixels are passed over, but for the last one."""
    most_new: float = 0.5
    """Views with a larger share are preceded by others that lead there."""
    accept: bool = True
    """Refuse views that break ``acceptance``; else they are reported alone."""
    acceptance: Acceptance = field(default_factory=Acceptance)
    """What a view must keep to."""
    retries: int = 2
    """Attempts with other seeds before a smaller step is tried."""
    smaller_steps: int = 2
    """How many times a step may be halved."""
    fit_steps: int = 40
    """Optimisation steps of the splats at the end, for each view; 0 leaves them as they are made."""
    fit_size: int = 512
    """Longer side of the pictures that they are fitted to, at most, in pixels."""
    seed: int = 0
    """Seed of all random choices."""

    def __post_init__(self) -> None:
        if not 0 <= self.least_new < self.most_new < 1:
            raise InputError("least_new, most_new", f"{self.least_new}, {self.most_new}", "shares with least_new below most_new")
        for name in ("retries", "smaller_steps", "fit_steps"):
            if getattr(self, name) < 0:
                raise InputError(name, getattr(self, name), "0 or more")


@dataclass(kw_only=True)
class OutpaintReport(JsonReport):
    """Record of an outpainting.

    Attributes:
        finished: Whether all planned views are there.
        start_views: Number of views that it began with.
        planned: Foreseen share of new pixels of every planned view, in order.
        steps: Record of every view.
        waits_for: Picture that is to be made elsewhere, for the run to go on.
        refused: Why the run ended before its last view.
        generator, inpainter, trajectory: What invented colour and depth, and where the cameras went.
        parameters: All parameters.
        splats: Splats made; ``frozen_splats`` were there before and are the same bits.
        start_psnr: PSNR in decibels of the start's first view rendered from all splats.
        unit: Of the scene.
        seconds: Wall time by stage, of this run.
        versions: Of what decides the numbers.
        notes: What a person should know.
    """

    finished: bool = True
    start_views: int = 0
    planned: list[float] = field(default_factory=list)
    steps: list[StepReport] = field(default_factory=list)
    waits_for: str | None = None
    refused: str | None = None
    generator: str = ""
    inpainter: str = ""
    trajectory: str = ""
    parameters: OutpaintConfig = field(default_factory=OutpaintConfig)
    splats: int = 0
    frozen_splats: int = 0
    start_psnr: float | None = None
    unit: str = "scene unit"
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False)
class OutpaintResult(Shown):
    """Outcome of an outpainting.

    Attributes:
        views: The start's views, then the new ones.
        plan: The views that were planned.
        scene: All views as a scene, with the points of their surfaces; None before there is any new view.
        splats: Splats that were there before, bit for bit and first, then those of all views; None in a dry run.
        report: What was done.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> result = sd.outpaint(view, "dolly[views=2]", color="none", dry_run=True)
        >>> len(result.views), result.report.start_views
        (1, 1)
    """

    views: tuple[OutpaintedView, ...]
    plan: tuple[PlannedStep, ...]
    scene: Scene | None
    splats: GaussianSplats | None
    report: OutpaintReport

    def __repr__(self) -> str:
        new = len(self.views) - self.report.start_views
        end = "finished" if self.report.finished else "stopped"
        return f"OutpaintResult({self.report.start_views} views of the start, {new} of {len(self.plan)} planned ones, {end})"

    def picture(self) -> NDArray[np.floating]:
        """The pictures of all views beside each other  # [H, W, 3]"""
        shown = [view.image[:: max(1, view.image.shape[0] // 160), :: max(1, view.image.shape[0] // 160)] for view in self.views]
        strip: NDArray[np.floating] = np.concatenate(shown, axis=1) / np.float32(255)
        return strip


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
        InputError: If an input does not fit; the message names it. Nothing long has run then.

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
    on_views: Callable[[Sequence[OutpaintedView]], None] | None = None,
) -> OutpaintResult:
    """``outpaint`` with everything loaded.

    ``on_plan`` is told the views to make before the first of them is made, ``on_views`` all views that are there whenever there
    are others.
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
    report.notes += frame_notes([(view.name, made.image) for view, made in zip(views, first, strict=True)])
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
    loop = _Loop(output, plan, generator, inpainter, config, prompt, prompts, track.prompts, work, report, review, on_views)
    with work.stage("views"):
        loop.run(first)
    report.steps = [view.report for view in loop.room.views]
    report.finished = not work.stopped and report.waits_for is None and report.refused is None
    done = Finished(None, None, None)
    if not work.stopped and report.waits_for is None:
        with work.stage("splats"):
            done = finish(loop.room, frozen, report.start_views, config.fit_steps, config.fit_size, config.seed, work)
        report.finished &= not work.stopped
    if done.splats is not None:
        report.frozen_splats = 0 if frozen is None else len(frozen)
        report.splats, report.start_psnr = len(done.splats) - report.frozen_splats, done.start_psnr
    report.seconds = work.seconds
    return OutpaintResult(tuple(loop.room.views), tuple(plan), done.scene, done.splats, report)


@dataclass
class _Loop:
    """Views under way."""

    folder: Path | None
    plan: Sequence[PlannedStep]
    generator: Generator
    inpainter: ExactInpainter
    config: OutpaintConfig
    prompt: str
    prompts: Mapping[int, str]
    own_prompts: Sequence[str]
    work: Work
    report: OutpaintReport
    review: Review | None
    on_views: Callable[[Sequence[OutpaintedView]], None] | None
    room: Room = field(default_factory=Room.empty)

    def run(self, first: Sequence[OutpaintedView]) -> None:
        """Makes all views that are not there yet; ends early if asked to, if a picture is awaited, or if a view is refused."""
        there = [] if self.folder is None else read_views(self.folder)
        for view in [*there, *first[len(there) :]]:
            if self.folder is not None and view.report.index >= len(there):
                write_view(self.folder, view)
            self.room.add(view)
        self._say_views()
        target, halved = self._next()
        first_attempt, prompt = 0, None
        while target < len(self.plan):
            if not self.work.report(Progress("outpaint", target, len(self.plan), self._message(target))):
                return
            made = self._proposed(target, halved, first_attempt, prompt)
            if made is None:
                return
            if made.report.refusals and self.config.accept and self.review is None:
                self.report.refused = f"step {made.report.index:03d} was refused: {'; '.join(made.report.refusals)}"
                return
            verdict = self._verdict(made, target)
            if verdict.answer == "stop":
                self.work.stopped = True
                return
            first_attempt, prompt = made.report.attempt + 1, verdict.prompt
            if verdict.answer == "accept":
                self._add(made)
                first_attempt, prompt = 0, None
            elif verdict.answer == "undo":
                taken = self._take_back()
                first_attempt = 0 if taken is None else taken.report.attempt + 1
            target, halved = self._next()
        self.work.report(Progress("outpaint", target, len(self.plan)))

    def _next(self) -> tuple[int, int]:
        """The planned view to make now, and how often its step was halved."""
        last = self.room.views[-1].report
        return (last.planned + 1, 0) if last.reached else (last.planned, self._halved(last.planned))

    def _proposed(self, target: int, halved: int, first_attempt: int, prompt: str | None) -> OutpaintedView | None:
        """The planned view, or a smaller step towards it where that would be refused; None if its picture is awaited."""
        step = self.plan[target]
        made = self._attempt(step.camera, step.waypoint, target, first_attempt, prompt, reached=True)
        before, share = self.room.views[-1].camera, 0.5
        while (
            made is not None
            and made.report.refusals
            and self.config.accept
            and halved < self.config.smaller_steps
            and self._may_be_smaller()
        ):
            halved += 1
            camera = between(before, step.camera, share)
            made = self._attempt(camera, step.waypoint, target, first_attempt, prompt, reached=False)
            share /= 2
        return made

    def _verdict(self, made: OutpaintedView, target: int) -> Verdict:
        if self.review is None:
            return Verdict("accept")
        verdict = ask(self.review, Proposal(made, target, len(self.plan), tuple(self.room.views)))
        check_prompts(self.generator, [verdict.prompt or ""])
        return verdict

    def _add(self, made: OutpaintedView) -> None:
        if self.folder is not None:
            write_view(self.folder, made)
        self.room.add(made)
        self._say_views()

    def _take_back(self) -> OutpaintedView | None:
        """Removes the last view that was made, here and in the folder; None if there is only the start."""
        if self.room.views[-1].report.kind == "start":
            return None
        if self.folder is not None:
            undo_step(self.folder)
        *kept, taken = self.room.views
        self.room = Room.empty()
        for view in kept:
            self.room.add(view)
        self._say_views()
        return taken

    def _say_views(self) -> None:
        if self.on_views is not None:
            self.on_views(self.room.views)

    def _halved(self, planned: int) -> int:
        return sum(not view.report.reached and view.report.planned == planned for view in self.room.views)

    def _may_be_smaller(self) -> bool:
        """A picture that was made elsewhere belongs to one camera."""
        return generator_name(self.generator) != "pictures"

    def _message(self, target: int) -> str:
        return f"view {target + 1} of {len(self.plan)}, about {self.plan[target].new_share:.0%} new"

    def _attempt(
        self, camera: Cameras, waypoint: int, planned: int, first_attempt: int, said: str | None, *, reached: bool
    ) -> OutpaintedView | None:
        """Makes a view, with other seeds if it is refused; None if its picture is awaited."""
        index = len(self.room.views)
        own = self.own_prompts[waypoint] if self.own_prompts else ""
        prompt = self.prompts.get(index, own or self.prompt) if said is None else said
        made: OutpaintedView | None = None
        for attempt in range(first_attempt, first_attempt + self.config.retries + 1):
            seed = self.config.seed + SEEDS_A_STEP * index + attempt
            asked = StepReport(index, "step", waypoint, planned, reached, prompt=prompt, seed=seed, attempt=attempt)
            found = make_view(
                self.room,
                camera,
                self.generator,
                self.inpainter,
                asked,
                acceptance=self.config.acceptance,
                led=self.inpainter.name != "solver" or prior_of(self.inpainter) is not None,
            )
            if not isinstance(found, OutpaintedView):
                self._ask_for_picture(index, camera, np.rint(found.rgb * 255).astype(np.uint8), found.known)
                return None
            same = made is not None and np.array_equal(made.image, found.image) and np.array_equal(made.depth, found.depth)
            made = found
            if same or not found.report.refusals or not self.config.accept:
                break
        return made

    def _ask_for_picture(self, index: int, camera: Cameras, image: NDArray[np.uint8], known: NDArray[np.bool_]) -> None:
        path = getattr(self.generator, "path", lambda number: f"{number:03d}.png")(index)
        self.report.waits_for = str(path)
        if self.folder is not None:
            place = write_task(self.folder, index, camera, image, known)
            self.report.notes.append(f"{place} holds the picture and the mask, white where it is new, of {path}")


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


def prior_of(inpainter: ExactInpainter) -> Any:
    """The monocular prior that leads an inpainter; None if none does."""
    return getattr(inpainter.inpainter, "prior", None)


def waiting_folder(folder: Path, report: OutpaintReport) -> Path:
    """Where the picture and the mask of the view that is awaited lie."""
    return step_folder(folder, len(report.steps))
