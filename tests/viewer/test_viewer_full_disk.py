"""``scene-depth view`` on a full disk: each act ends with one notice, what was there stays, and all works once there is space."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from room_scene import Room, room
from scene_depth_heal.hole import HealView
from scene_depth_heal.session import EditSession
from write_events import changes_in, contents, file_size_limit

from scene_depth.cli.app import main
from scene_depth.io.splat_files import read_splats

pytest.importorskip("viser", reason="viser is not installed")

from scene_depth_viewer import opening
from scene_depth_viewer.page import Controls
from scene_depth_viewer.viewer import Viewer

FILES = {"room-edited.ply", "region.json", "camera_path.json"}


class Browser:
    """Stands for a client of viser; keeps the notices and files that it is sent."""

    def __init__(self, gui: Any):
        self.gui, self.notices, self.files = gui, list[tuple[str, str, str | None]](), list[str]()

    def add_notification(self, title: str, body: str, color: str | None = None, auto_close: int = 0) -> None:
        self.notices.append((title, body, color))

    def send_file_download(self, name: str, content: bytes) -> None:
        self.files.append(name)


class Acts:
    """Presses buttons of the page and changes its fields, as an event of a browser does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.clicks, self.fields, self.browser = dict[str, Callable](), dict[str, Any](), Browser(None)
        for kind in ("button", "buttons", "number", "text"):
            monkeypatch.setattr(Controls, kind, self._recorded(getattr(Controls, kind)))

    def _recorded(self, plain: Callable) -> Callable:
        def make(controls: Controls, label: str, *args: Any, **options: Any) -> Any:
            if (click := next(filter(callable, args), None)) is not None:
                self.clicks[label] = controls._guarded(click)
            self.fields[label] = plain(controls, label, *args, **options)
            return self.fields[label]

        return make

    def press(self, label: str, *what: str) -> list[tuple[str, str, str | None]]:
        """Presses a button and gives the notices that come of it."""
        before = len(self.browser.notices)
        self.clicks[label](SimpleNamespace(client_id=0, client=self.browser), *what)
        return self.browser.notices[before:]

    def save_all(self, video: str, replace: bool) -> list[list[tuple[str, str, str | None]]]:
        """Writes every kind of file that the page writes."""
        told, self.fields["Video file"].value = [], video
        for label, *what in (("Save",), ("Region", "Save"), ("Path", "Save"), ("Render video",)):
            notices = self.press(label, *what)
            told.append(notices or (self.press("Replace") if replace else []))
        return told


@contextmanager
def full(root: Path, size: int | None) -> Iterator[None]:
    """A disk that takes no new file, or none above a size."""
    if size is None:
        with changes_in(root, "full", 0):
            yield
    else:
        with file_size_limit(size):
            yield


@pytest.fixture(scope="module")
def small_room() -> Room:
    return room(48, 200)


@pytest.fixture
def session(small_room: Room, tmp_path: Path) -> EditSession:
    photos = [HealView(f"{i}.png", small_room.cameras[i], small_room.picture(i)) for i in range(2)]
    return EditSession(small_room.splats, photos, source=tmp_path / "room.ply")


@pytest.fixture
def view(session: EditSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable], Any]:
    """``view(act)`` runs the command with ``act(viewer, acts)`` in place of a person, who then presses Ctrl-C."""
    acts, running = Acts(monkeypatch), list[Viewer]()

    def run(act: Callable[[Viewer, Acts], None]) -> None:
        def meet() -> None:
            viewer = running[0]
            acts.browser.gui = viewer.server.gui
            monkeypatch.setattr(viewer, "view_of", lambda event: SimpleNamespace(camera=lambda: viewer.start))
            for label, value in {"Width": 32, "Height": 24, "Seconds": 0.1, "Frames/s": 20.0, "Steps": 2, "Photos": 1}.items():
                acts.fields[label].value = value
            for _ in range(2):
                acts.press("Keys", "Add")
            act(viewer, acts)
            raise KeyboardInterrupt

        monkeypatch.setattr("scene_depth_viewer.cli.threading", SimpleNamespace(Event=lambda: SimpleNamespace(wait=meet)))
        assert main(["view", "room", "--export-dir", str(tmp_path / "exports"), "--port", "8930", "--picture-size", "64"]) == 130

    class Kept(Viewer):
        def __init__(self, *args: Any, **options: Any):
            super().__init__(*args, **options)
            running.append(self)

    monkeypatch.setattr(opening, "open_session", lambda *args: session)
    monkeypatch.setattr("scene_depth_viewer.viewer.Viewer", Kept)
    return run


@pytest.mark.parametrize(("size", "video"), [(None, "path.gif"), (30, "path.gif"), (30, "path.mp4")])
def test_files_on_a_full_disk(
    view: Callable, session: EditSession, tmp_path: Path, size: int | None, video: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def act(viewer: Viewer, acts: Acts) -> None:
        with full(tmp_path, size):
            told = acts.save_all(video, replace=False)
        assert contents(tmp_path) in ({}, {"exports": ""})
        told = [*told, *acts.save_all(video, replace=False)]
        assert [color for ((_, _, color),) in told[:4]] == ["red"] * 4, told
        there = contents(tmp_path)
        assert set(there) == {f"exports/{name}" for name in FILES | {video}}
        with full(tmp_path, size):
            again = acts.save_all(video, replace=True)
        reason = "No space left on device" if size is None else "File too large"
        assert all(len(notices) == 1 and reason in notices[0][1] and notices[0][2] == "red" for notices in (*told[:4], *again))
        assert contents(tmp_path) == there

    view(act)
    assert "Traceback" not in capfd.readouterr().err


def test_a_heal_needs_no_disk_and_is_saved_when_there_is_space(
    view: Callable,
    session: EditSession,
    small_room: Room,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tmp").mkdir()

    def act(viewer: Viewer, acts: Acts) -> None:
        session.select(small_room.ball)
        with full(tmp_path, None):
            acts.press("Heal")
            while session.history.labels[-1] != "heal" or session.busy:  # ends with the test's own time
                assert not acts.browser.notices, acts.browser.notices
                time.sleep(0.05)
            monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
            ((title, body, color),) = acts.press("Download")
            assert (title, color) == ("file", "red")
            assert "No space left on device" in body
            ((_, _, color),) = acts.press("Save")
            assert color == "red"
        assert not acts.browser.files
        assert contents(tmp_path) == {"tmp": ""}
        acts.press("Save")
        acts.press("Download")

    view(act)
    assert len(read_splats(tmp_path / "exports" / "room-edited.ply")) == len(session.splats)
    assert "Traceback" not in capfd.readouterr().err
