"""One view after the other: attempts, smaller steps, the verdict on each, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.model import ExactInpainter
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress, Work
from scene_depth_outpaint.generators import Generator, check_prompts, generator_name
from scene_depth_outpaint.growing import GrowingSplats
from scene_depth_outpaint.planner import PlannedStep
from scene_depth_outpaint.result import OutpaintConfig, OutpaintReport
from scene_depth_outpaint.review import Proposal, Review, Verdict, ask
from scene_depth_outpaint.state import OutpaintedView, StepReport, read_views, undo_step, write_task, write_view
from scene_depth_outpaint.step import Room, make_view
from scene_depth_outpaint.trajectory import between

SEEDS_A_STEP = 100
OnViews = Callable[[Sequence[OutpaintedView], int, GaussianSplats | None], None]


@dataclass
class Loop:
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
    on_views: OnViews | None
    growing: GrowingSplats
    room: Room = field(default_factory=Room.empty)

    def run(self, first: Sequence[OutpaintedView]) -> None:
        """Makes all views that are not there yet; ends early if asked to, if a picture is awaited, or if a view is refused."""
        there = [] if self.folder is None else read_views(self.folder)
        for view in [*there, *first[len(there) :]]:
            if self.folder is not None and view.report.index >= len(there):
                write_view(self.folder, view)
            self.room.add(view)
        self._views_changed()
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
        self._views_changed()

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
        self._views_changed()
        return taken

    def _views_changed(self) -> None:
        """Fits splats where a group of views is whole, and tells who watches."""
        self.growing.follow(self.room)
        if self.on_views is not None:
            self.on_views(self.room.views, *self.growing.shown())

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


def prior_of(inpainter: ExactInpainter) -> Any:
    """The monocular prior that leads an inpainter; None if none does."""
    return getattr(inpainter.inpainter, "prior", None)
