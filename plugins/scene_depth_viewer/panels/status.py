"""The top of the page: what there is, and undo and redo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer


def add_status_panel(viewer: Viewer) -> None:
    """Adds the counts of splats and the undo buttons."""
    gui, session = viewer.server.gui, viewer.session
    text = gui.add_markdown(_status(viewer))
    steps = gui.add_button_group("History", ["Undo", "Redo"])

    def step(event: Any) -> None:
        if not (session.undo() if steps.value == "Undo" else session.redo()):
            event.client.add_notification(steps.value, f"Nothing to {steps.value.lower()}.", auto_close=3000)

    def refresh() -> None:
        text.content = _status(viewer)

    steps.on_click(viewer.guarded(step))
    session.listen(refresh)


def _status(viewer: Viewer) -> str:
    session = viewer.session
    splats, selection = session.shown()
    chosen = 0 if selection is None else int(selection.sum())
    what = "as opened" if session.before else "healing" if session.busy else session.history.labels[-1]
    return f"**{len(splats):,}** splats, **{chosen:,}** selected · *{what}*"
