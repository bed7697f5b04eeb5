"""The tab that edits: delete, heal, export."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene_depth_heal.workflow import HealConfig

from scene_depth.color.registry import IMAGE_INPAINTERS
from scene_depth.depth.registry import DEPTH_INPAINTERS
from scene_depth.errors import InputError
from scene_depth.io.splat_files import ACCEPTED, lost_in, splat_format
from scene_depth.registry import Registry
from scene_depth.work import Progress
from scene_depth_viewer.viser_versions import send_file

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer

SPANS = {"hole": (0, 10), "fill": (10, 40), "fit": (40, 100)}  # percent of the bar
OPTIONS_HINT = "KEY=VALUE,KEY=VALUE, such as weights=FOLDER"
PREVIEW_SECONDS = 1.5  # between two previews, and as much longer as sending takes


def add_edit_panel(viewer: Viewer) -> None:
    """Adds the tab's contents."""
    gui = viewer.server.gui
    delete = gui.add_button("Delete", color="red", hint="Removes the selected splats; heal repairs the hole")
    delete.on_click(viewer.guarded(lambda event: viewer.session.delete()))
    HealFolder(viewer)
    _add_export(viewer)


class HealFolder:
    """Runs heals beside the page, with progress, previews and cancel.

    Args:
        viewer: The page.
    """

    def __init__(self, viewer: Viewer):
        self._viewer, self._next_preview = viewer, 0.0
        gui = viewer.server.gui
        with gui.add_folder("Heal"):
            self.depth = gui.add_dropdown("Depth", options=DEPTH_INPAINTERS.names(), initial_value="solver")
            self.depth_options = gui.add_text("Depth options", initial_value="", hint=OPTIONS_HINT)
            self.color = gui.add_dropdown("Colour", options=IMAGE_INPAINTERS.names(), initial_value="exemplar")
            self.color_options = gui.add_text("Colour options", initial_value="", hint=OPTIONS_HINT)
            self.steps = gui.add_number("Steps", initial_value=300, min=0, max=5000, step=50, hint="Of the fit of new splats")
            self.most = gui.add_number("Photos", initial_value=4, min=1, max=50, step=1, hint="Most photos to fill from")
            self.start = gui.add_button("Heal", color="green", hint="Repairs what is selected or was deleted")
            self.bar = gui.add_progress_bar(0.0, visible=False, animated=True)
            self.text = gui.add_markdown("" if viewer.session.photos else "*Without photos a scene cannot be healed.*")
            self.stop = gui.add_button("Cancel", visible=False)
        self.start.disabled = not viewer.session.photos
        self.start.on_click(viewer.guarded(self._begin))
        self.stop.on_click(viewer.guarded(lambda event: viewer.session.cancel()))

    def _begin(self, event: Any) -> None:
        config = HealConfig(steps=int(self.steps.value), most_references=int(self.most.value))
        threading.Thread(target=self._run, args=(config, event.client), daemon=True).start()

    def _run(self, config: HealConfig, client: Any) -> None:
        if self._viewer.session.busy:
            return
        self._show(True)
        self._next_preview = 0.0
        try:
            depth = _chosen(DEPTH_INPAINTERS, self.depth.value, self.depth_options.value)
            color = _chosen(IMAGE_INPAINTERS, self.color.value, self.color_options.value)
            result = self._viewer.session.heal(depth, color, config, self._tell)
        except Exception as error:  # shown on the page; the thread has nobody else to tell
            self.text.content = ""
            self._viewer.complain(error, client)
        else:
            seconds, report = sum(result.report.seconds.values()), result.report
            healed = f"{report.removed_splats:,} splats out, {report.new_splats:,} new, {seconds:.0f} s"
            self.text.content = healed if report.finished else "Cancelled; the scene is as before."
        finally:
            self._show(False)

    def _show(self, running: bool) -> None:
        self.bar.visible = self.stop.visible = running
        self.start.disabled = running
        self.bar.value = 0.0

    def _tell(self, now: Progress) -> None:
        low, high = SPANS.get(now.stage, (0, 100))
        self.bar.value = float(low + (high - low) * now.done / max(1, now.total))
        self.text.content = f"{now.stage} {now.done} of {now.total}: {now.message}"
        started = time.monotonic()
        if now.stage == "hole" or now.snapshot is None or started < self._next_preview:
            return
        self._viewer.session.show_preview(now.snapshot())
        self._next_preview = started + PREVIEW_SECONDS + 5 * (time.monotonic() - started)


def _chosen(registry: Registry, name: str, options: str) -> str:
    """Name with options, as ``Registry.load`` takes it; a page can send only what was offered."""
    if name not in registry.names():
        raise InputError(registry.what, name, ", ".join(registry.names()))
    return f"{name}[{options.strip()}]" if options.strip() else name


def _add_export(viewer: Viewer) -> None:
    gui, session = viewer.server.gui, viewer.session
    stem = "scene" if session.source is None else session.source.name.split(".")[0]
    with gui.add_folder("Export"):
        file = gui.add_text("File", initial_value=f"{stem}-edited.ply", hint=f"The extension says the format: {ACCEPTED}")
        save = gui.add_button("Save", hint="To this file, on the machine that serves the page")
        download = gui.add_button("Download", hint="To this browser's downloads")

    def tell(event: Any, what: str) -> None:
        lost = lost_in(splat_format(file.value), session.splats)
        event.client.add_notification(what, "; ".join([f"{len(session.splats):,} splats", *lost]), color="green")

    def write(event: Any) -> None:
        path = session.export(Path(file.value).expanduser())
        tell(event, f"Saved {path.resolve()}")

    def send(event: Any) -> None:
        name = Path(file.value).name
        send_file(event.client, name, session.exported(name))
        tell(event, f"Sent {name}")

    save.on_click(viewer.guarded(write))
    download.on_click(viewer.guarded(send))
