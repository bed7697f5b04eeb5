"""The page of an outpainting: the scene as it grows, and what a person says of each view."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from scene_depth_heal.hole import HealView
from scene_depth_heal.session import EditSession

from scene_depth.arrays import Picture
from scene_depth.cameras import Cameras
from scene_depth.splats import GaussianSplats
from scene_depth_viewer.page import Page, plain_text
from scene_depth_viewer.viewer import add_view_tab

ACCEPT, AGAIN, UNDO, STOP = "Accept", "Again", "Undo", "Stop"
HELP = (
    "Accept takes the view. Again makes it anew with another seed, Undo the one before it; both with the prompt below. Stop "
    "keeps what was accepted, and the same command goes on from there."
)


class OutpaintPage(Page):
    """Shows the splats of all views so far and asks for an answer to the next one.

    Args:
        splats: Of the start.
        views: Names, cameras and pictures of the start.
        port: Port to listen on; the next free one is taken if it is in use.
        export_dir: Folder of the page's files.
        prompt: What is asked of the generator; None if it takes no text.
    """

    def __init__(
        self,
        splats: GaussianSplats,
        views: Sequence[tuple[str, Cameras, Picture]],
        port: int,
        export_dir: Path,
        prompt: str | None,
    ):
        self._prompt, self._answers = prompt, queue.Queue[tuple[str, str]]()
        self._waits = False
        photos = [HealView(name, camera, torch.from_numpy(picture)) for name, camera, picture in views]
        super().__init__(EditSession(splats, photos, undo_bytes=1), port=port, export_dir=export_dir)

    @property
    def by_itself(self) -> bool:
        """Whether views that keep to all limits are to be accepted without asking."""
        return bool(self._auto.value)

    def add_panels(self) -> None:
        """Adds the question with its buttons, and the tab that says what is shown."""
        tabs = self.server.gui.add_tab_group()
        with tabs.add_tab("Outpaint"):
            self._text = self.controls.gui.add_markdown("The first view is made.")
            self.controls.buttons("Answer", [ACCEPT, AGAIN], self._answered, HELP)
            self.controls.buttons("Or", [UNDO, STOP], self._answered, HELP)
            self._field: Any = None
            if self._prompt is not None:
                self._field = self.controls.text("Prompt", self._prompt, "For Again and Undo")
            self._auto = self.controls.checkbox(
                "By itself", False, hint="Ask only where a limit is broken, from the next view on"
            )
        with tabs.add_tab("View"):
            add_view_tab(self)

    def show(self, splats: GaussianSplats, said: str) -> None:
        """Draws the scene as it is now."""
        self.session.replace(splats, said)
        self._text.content = plain_text(said)

    def ask(self, splats: GaussianSplats, camera: Cameras, prompt: str, lines: Sequence[str]) -> None:
        """Draws the scene with a view that waits for an answer, from where that view stands."""
        self.session.replace(splats, "proposal")
        self._text.content = "  \n".join(map(plain_text, lines))
        if self._field is not None:
            self._field.value = prompt
        for view in self.views():
            view.jump(camera)
        while not self._answers.empty():
            self._answers.get_nowait()  # to what was asked before
        self._waits = True

    def answer(self, seconds: float) -> tuple[str, str] | None:
        """The button that was pressed and the prompt, waited for so long; None if none was."""
        try:
            found = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        self._waits = False
        self._text.content = "The next view is made." if found[0] != STOP else "The splats are fitted."
        return found

    def _answered(self, event: Any, what: str) -> None:
        if self._waits:
            self._answers.put((what, "" if self._field is None else str(self._field.value)))
