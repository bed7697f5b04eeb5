"""The tab of the camera path: key frames, play, video."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth_viewer.camera_path import (
    CameraPath,
    Frame,
    Key,
    camera_of,
    check_video,
    key_of,
    read_path,
    video_suffixes,
    write_path,
    write_video,
)
from scene_depth_viewer.page import Page
from scene_depth_viewer.pictures import picture, to_bytes
from scene_depth_viewer.viser_versions import notify


class Cancelled(Exception):
    """A video that was cancelled."""


class PathPanel:
    """The tab's contents."""

    def __init__(self, page: Page):
        self._page, self._path = page, CameraPath()
        self._playing, self._rendering, self._stop = threading.Event(), threading.Lock(), threading.Event()
        self._changing = threading.Lock()  # acts come in threads of their own: what is shown last has to be the newest
        controls, folder = page.controls, page.folder.path
        self.text = controls.gui.add_markdown(self._summary())
        controls.buttons("Keys", ["Add", "Drop", "Clear"], self._edit, "Add takes this view; drop, the last key")
        self.seconds = controls.number("Seconds", 2.0, 0.1, 60.0, 0.1, self._changed, "Between two keys")
        self.closed = controls.checkbox("Closed", False, self._changed, "Back to the first key")
        controls.buttons("Play", ["Play", "Stop"], self._play)
        with controls.folder("Video"):
            self.width = controls.number("Width", 960, 16, 7680, 2)
            self.height = controls.number("Height", 540, 16, 4320, 2)
            self.fps = controls.number("Frames/s", 24.0, 1, 120, 1, self._changed)
            kinds = ", ".join(suffix or "a folder" for suffix in video_suffixes())
            self.video = controls.text("Video file", f"path{video_suffixes()[0]}", f"{kinds}; in {folder}")
            controls.button("Render video", self._render, hint="What View shows, along the path")
            self.bar = controls.gui.add_progress_bar(0.0, visible=False)
            self.cancel = controls.button("Cancel video", lambda event: self._stop.set(), visible=False)
        with controls.folder("File", open_at_first=False):
            self.file = controls.text("Path file", "camera_path.json", f"scene-depth render --path reads it; in {folder}")
            controls.buttons("Path", ["Save", "Load"], self._keep)

    def _edit(self, event: Any, what: str) -> None:
        new = key_of(self._page.view_of(event).camera()) if what == "Add" else None
        with self._changing:
            keys = self._path.keys
            self._path.keys = [*keys, new] if new else keys[:-1] if what == "Drop" else []
            self._show()

    def _changed(self, event: Any) -> None:
        with self._changing:
            self._show()

    def _show(self) -> None:
        self._path.seconds, self._path.fps = float(self.seconds.value), float(self.fps.value)
        self._path.closed = self.closed.value
        frames = self._path.frames() if len(self._path.keys) > 1 else []
        self._page.drawing.draw_path(self._path.keys, frames)
        self.text.content = self._summary(len(frames))

    def _summary(self, frames: int = 0) -> str:
        return f"**{len(self._path.keys)}** keys, {frames} frames, {frames / self._path.fps:.1f} s"

    def _play(self, event: Any, what: str) -> None:
        self._playing.clear()
        if what == "Stop":
            return
        view, frames, fps = self._page.view_of(event), self._path.frames(), self._path.fps
        self._playing.set()
        started = time.monotonic()
        while self._playing.is_set():
            number = int((time.monotonic() - started) * fps)
            view.follow(frames[min(number, len(frames) - 1)])
            if number >= len(frames) - 1:
                return
            time.sleep(1 / min(fps, 30))

    def _render(self, event: Any) -> None:
        path, frames = self._page.folder.file(self.video.value, video_suffixes()), self._path.frames()
        check_video(path)
        self._page.write(event, path, lambda: self._write(path, frames, event.client))

    def _write(self, path: Path, frames: list[Key], client: Any) -> None:
        if not self._rendering.acquire(blocking=False):
            raise InputError("video", "another one that is still rendered", "one at a time")
        try:
            self._stop.clear()
            self.bar.visible = self.cancel.visible = True
            write_video(path, self._pictures(frames), self._path.fps)
            notify(client, f"Saved {path.resolve()}", f"{len(frames)} frames", "green")
        except Cancelled:
            notify(client, "Video", "Cancelled; nothing was written.")
        finally:
            self.bar.visible = self.cancel.visible = False
            self._rendering.release()

    def _pictures(self, frames: list[Key]) -> Iterator[Frame]:
        page, (width, height) = self._page, (int(self.width.value), int(self.height.value))
        splats, _ = page.session.shown()
        for number, key in enumerate(frames):
            if self._stop.is_set():
                raise Cancelled
            camera = camera_of(key, width, height)
            yield to_bytes(picture(splats, None, camera, page.settings.rendered, page.photo_depths))
            self.bar.value = 100 * (number + 1) / len(frames)

    def _keep(self, event: Any, what: str) -> None:
        file = self._page.folder.file(self.file.value, [".json"])
        if what == "Save":
            path, size = replace(self._path), (int(self.width.value), int(self.height.value))
            self._page.write(event, file, lambda: write_path(file, path, *size))
            return
        path = read_path(file)
        with self._changing:
            self._path = path
            self.seconds.value, self.fps.value, self.closed.value = path.seconds, path.fps, path.closed
            self._show()
