"""An outpainting in the viewer: the scene as it grows, and a person who says what is to become of each view."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from scene_depth.extras import needs_viewer
from scene_depth.geometry.warp import Surfaces
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import OnProgress, Progress
from scene_depth_outpaint.finish import splats_of_view
from scene_depth_outpaint.review import Answer, Proposal, Verdict
from scene_depth_outpaint.state import OutpaintedView
from scene_depth_outpaint.step import brings

ANSWERS: dict[str, Answer] = {"Accept": "accept", "Again": "again", "Undo": "undo", "Stop": "stop"}
LOOK_UP = 0.2  # seconds between looks at whether somebody pressed Ctrl-C


class Watch:
    """The page, from the first views on; what it has is what ``outpaint_views`` calls.

    Args:
        port: Port of the page; the next free one if it is taken.
        folder: Folder of the page's files.
        prompt: What is asked of the generator; None if it takes no text.
        frozen: Splats of the start, shown as they are in place of the start's views.
        say: Is told where the page is.

    Raises:
        InputError: If there is no viewer.
    """

    def __init__(self, port: int, folder: Path, prompt: str | None, frozen: GaussianSplats | None, say: Callable[[str], None]):
        self._port, self._folder, self._prompt, self._frozen, self._say = port, folder, prompt, frozen, say
        self._page_class = _page_class()
        self._parts: dict[int, tuple[OutpaintedView, GaussianSplats | None]] = {}
        self._on_progress: OnProgress = lambda now: True
        self._last, self._ended = Progress("outpaint", 0, 1), False
        self._done, self._fitted = 0, frozen
        self.page: Any = None

    def following(self, on_progress: OnProgress) -> OnProgress:
        """What tells ``on_progress``, and asks it while an answer is awaited whether somebody wants to stop."""
        self._on_progress = on_progress

        def follow(now: Progress) -> bool | None:
            self._last = now
            return on_progress(now)

        return follow

    def show(self, views: Sequence[OutpaintedView], done: int, fitted: GaussianSplats | None) -> None:
        """Draws all views that are there, the first of them, which are done, by their fitted splats."""
        self._done, self._fitted = done, fitted
        splats = self._splats(views)
        if self.page is None:
            start = [view for view in views if view.report.kind == "start"]
            photos = [(f"{view.report.index:03d}.png", view.camera, view.image / np.float32(255)) for view in start]
            self.page = self._page_class(splats, photos, self._port, self._folder, self._prompt)
            self._say(self.page.address)
        else:
            self.page.show(splats, f"{len(views)} views; the next one is made")

    def review(self, proposal: Proposal) -> Verdict:
        """Asks whoever looks at the page; Ctrl-C stops."""
        report = proposal.view.report
        if self.page.by_itself and not report.refusals:
            return Verdict("accept")
        seam = [] if report.seam_jump is None else [f"step at the seam {report.seam_jump:.2%}"]
        lines = (
            f"View {proposal.number + 1} of {proposal.planned}, attempt {report.attempt + 1}",
            ", ".join([f"{report.new_share:.0%} new", *seam]),
            *(f"would be refused: {reason}" for reason in report.refusals),
        )
        self.page.ask(self._splats([*proposal.views, proposal.view]), proposal.view.camera, report.prompt, lines)
        waiting = replace(self._last, message="the page awaits an answer")
        while not self._ended and self._on_progress(waiting) is not False:
            found = self.page.answer(LOOK_UP)
            if found is not None:
                button, prompt = found
                return Verdict(ANSWERS[button], prompt if prompt != report.prompt else None)
        return Verdict("stop")

    def keep_open(self, splats: GaussianSplats) -> None:
        """Draws the result until Ctrl-C."""
        if self.page is not None:
            self.page.show(splats, f"{len(splats):,} splats, fitted to all views")
            self._say(f"{self.page.address} shows the result; Ctrl-C ends it")
            threading.Event().wait()

    def stop(self) -> None:
        """Ends the page, and what waits for an answer on it."""
        self._ended = True
        if self.page is not None:
            self.page.stop()

    def _splats(self, views: Sequence[OutpaintedView]) -> GaussianSplats:
        base = self._frozen if self._fitted is None else self._fitted
        shown = [] if base is None else [base]
        for view in views[self._done :]:
            if self._frozen is not None and view.report.kind == "start":
                continue
            if id(view) not in self._parts:
                kept = Surfaces().add(view.camera, view.depth, view.image, brings(view))
                self._parts[id(view)] = (view, splats_of_view(view, kept) if kept.any() else None)
            part = self._parts[id(view)][1]
            shown += [] if part is None else [part]
        present = {id(view) for view in views}
        self._parts = {key: value for key, value in self._parts.items() if key in present}
        return concatenate_splats(shown)


def _page_class() -> Any:
    with needs_viewer():
        from scene_depth_viewer.outpaint_page import OutpaintPage
    return OutpaintPage
