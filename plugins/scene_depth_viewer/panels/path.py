"""The tab of the camera path: key frames, play, video."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene_depth.errors import InputError
from scene_depth_viewer.camera_path import CameraPath, Key, camera_of, key_of, read_path, write_path
from scene_depth_viewer.pictures import picture, to_bytes
from scene_depth_viewer.video import Frame, check_video, video_suffixes, write_video
from scene_depth_viewer.viser_versions import add_buttons

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer


class Cancelled(Exception):
    """A video that was cancelled."""


class PathPanel:
    """The tab's contents.

    Args:
        viewer: The page.
    """

    def __init__(self, viewer: Viewer):
        self._viewer, self._path = viewer, CameraPath()
        self._playing, self._rendering, self._stop = threading.Event(), threading.Lock(), threading.Event()
        gui = viewer.server.gui
        self.text = gui.add_markdown(self._summary())
        add_buttons(gui, "Keys", ["Add", "Drop", "Clear"], viewer.guarded(self._edit), "Add takes this view; drop, the last key")
        self.seconds = gui.add_number("Seconds", initial_value=2.0, min=0.1, max=60.0, step=0.1, hint="Between two keys")
        self.closed = gui.add_checkbox("Closed", initial_value=False, hint="Back to the first key")
        add_buttons(gui, "Play", ["Play", "Stop"], viewer.guarded(self._play))
        with gui.add_folder("Video"):
            self.width = gui.add_number("Width", initial_value=960, min=16, max=7680, step=2)
            self.height = gui.add_number("Height", initial_value=540, min=16, max=4320, step=2)
            self.fps = gui.add_number("Frames/s", initial_value=24.0, min=1, max=120, step=1)
            kinds = ", ".join(suffix or "a folder" for suffix in video_suffixes())
            self.video = gui.add_text("Video file", initial_value=f"path{video_suffixes()[0]}", hint=kinds)
            self.render = gui.add_button("Render video", hint="What View shows, along the path")
            self.bar = gui.add_progress_bar(0.0, visible=False)
            self.cancel = gui.add_button("Cancel video", visible=False)
        with gui.add_folder("File", expand_by_default=False):
            self.file = gui.add_text("Path file", initial_value="camera_path.json", hint="scene-depth render --path reads it")
            add_buttons(gui, "Path", ["Save", "Load"], viewer.guarded(self._keep))
        self._connect()

    def _connect(self) -> None:
        guarded = self._viewer.guarded
        self.render.on_click(guarded(self._render))
        self.cancel.on_click(guarded(lambda event: self._stop.set()))
        for field in (self.seconds, self.closed, self.fps):
            field.on_update(guarded(lambda event: self._changed()))

    def _edit(self, event: Any, what: str) -> None:
        keys = self._path.keys
        if what == "Add":
            self._path.keys = [*keys, key_of(self._viewer.view_of(event).camera())]
        else:
            self._path.keys = keys[:-1] if what == "Drop" else []
        self._changed()

    def _changed(self) -> None:
        self._path.seconds, self._path.fps = float(self.seconds.value), float(self.fps.value)
        self._path.closed = self.closed.value
        frames = self._path.frames() if len(self._path.keys) > 1 else []
        self._viewer.drawing.draw_path(self._path.keys, frames)
        self.text.content = self._summary(len(frames))

    def _summary(self, frames: int = 0) -> str:
        return f"**{len(self._path.keys)}** keys, {frames} frames, {frames / self._path.fps:.1f} s"

    def _play(self, event: Any, what: str) -> None:
        self._playing.clear()
        if what == "Stop":
            return
        view, frames, fps = self._viewer.view_of(event), self._path.frames(), self._path.fps
        self._playing.set()
        started = time.monotonic()
        while self._playing.is_set():
            number = int((time.monotonic() - started) * fps)
            view.follow(frames[min(number, len(frames) - 1)])
            if number >= len(frames) - 1:
                return
            time.sleep(1 / min(fps, 30))

    def _render(self, event: Any) -> None:
        path, frames = Path(self.video.value).expanduser(), self._path.frames()
        check_video(path)
        if not self._rendering.acquire(blocking=False):
            raise InputError("video", "another one that is still rendered", "one at a time")
        try:
            self._stop.clear()
            self.bar.visible = self.cancel.visible = True
            write_video(path, self._pictures(frames), self._path.fps)
            event.client.add_notification(f"Saved {path.resolve()}", f"{len(frames)} frames", color="green")
        except Cancelled:
            event.client.add_notification("Video", "Cancelled; nothing was written.", auto_close=4000)
        finally:
            self.bar.visible = self.cancel.visible = False
            self._rendering.release()

    def _pictures(self, frames: list[Key]) -> Iterator[Frame]:
        viewer, (width, height) = self._viewer, (int(self.width.value), int(self.height.value))
        splats, _ = viewer.session.shown()
        for number, key in enumerate(frames):
            if self._stop.is_set():
                raise Cancelled
            camera = camera_of(key, width, height)
            yield to_bytes(picture(splats, None, camera, viewer.settings.rendered, viewer.photo_depths))
            self.bar.value = 100 * (number + 1) / len(frames)

    def _keep(self, event: Any, what: str) -> None:
        file = Path(self.file.value).expanduser()
        if what == "Save":
            write_path(file, self._path, int(self.width.value), int(self.height.value))
            return
        self._path = read_path(file)
        self.seconds.value, self.fps.value, self.closed.value = self._path.seconds, self._path.fps, self._path.closed
        self._changed()


def add_path_panel(viewer: Viewer) -> PathPanel:
    """Adds the tab's contents."""
    return PathPanel(viewer)
