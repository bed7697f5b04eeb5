"""The top of the page: what there is, and undo and redo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene_depth.errors import InputError
from scene_depth_viewer.controls import plain_text

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer


def add_status_panel(viewer: Viewer) -> None:
    """Adds the counts of splats and the undo buttons."""
    session = viewer.session
    text = viewer.server.gui.add_markdown(_status(viewer))

    def step(event: Any, what: str) -> None:
        if not (session.undo() if what == "Undo" else session.redo()):
            raise InputError(what.lower(), "no further step", "a step in the history")

    def refresh() -> None:
        text.content = _status(viewer)

    viewer.controls.buttons("History", ["Undo", "Redo"], step)
    session.listen(refresh)


def _status(viewer: Viewer) -> str:
    session = viewer.session
    splats, selection = session.shown()
    chosen = 0 if selection is None else int(selection.sum())
    last = f"last step: *{plain_text(session.history.labels[-1])}*"
    what = "*as opened*" if session.before else "*healing*" if session.busy else last
    return f"**{len(splats):,}** splats, **{chosen:,}** selected  \n{what}"
