"""What a click of each tool does, without a browser: the clicks of made-up ones are handed over as viser does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from room_scene import Room
from scene_depth_heal.session import EditSession

pytest.importorskip("viser", reason="viser is not installed")

from scene_depth_viewer import screen_tools
from scene_depth_viewer.viser_versions import OLD


class Browsers:
    """Two browsers that stand at the third photo, and what the page tells them."""

    def __init__(self, viewer, room: Room, monkeypatch: pytest.MonkeyPatch):
        self.viewer, self.camera, self.notices = viewer, room.cameras[2], []
        self.armed: list[Callable] = []
        monkeypatch.setattr(screen_tools, "on_click", lambda scene, callback: self.armed.append(callback))
        monkeypatch.setattr(viewer, "views", list)
        for number in (7, 8):
            viewer.clients[number] = SimpleNamespace(camera=lambda: self.camera, stop=lambda: None)

    def at(self, points: torch.Tensor) -> tuple[float, float]:
        """Where the middle of points shows, as fractions of the screen."""
        x, y = self.camera.project(points.double())[0][0].mean(0).tolist()
        return x / self.camera.width, y / self.camera.height

    def click(self, place: tuple[float, float], browser: int = 7) -> None:
        def tell(title: str, body: str, *, color=None, auto_close_seconds=None) -> None:
            self.notices.append(f"{title}: {body}")
            assert auto_close_seconds > 0  # it goes away

        self.armed[-1](SimpleNamespace(client_id=browser, client=SimpleNamespace(add_notification=tell)), place)

    def heals(self) -> None:
        """Waits for the end of a heal that a click began."""
        for thread in threading.enumerate():
            if thread.daemon and getattr(thread, "_target", None) is not None and thread._target.__name__ == "_run":
                owner = getattr(thread._target, "__self__", None)
                if type(owner).__name__ == "HealFolder":
                    thread.join(120)


@pytest.fixture
def browsers(serve: Callable, session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch):
    found = Browsers(serve(session), the_room, monkeypatch)
    yield found
    found.viewer.clients.clear()


def test_tools_that_select(browsers: Browsers, session: EditSession, the_room: Room) -> None:
    tools, ball = browsers.viewer.tools, the_room.ball
    front = the_room.splats.means[ball & (the_room.splats.means[:, 2] < 2.2)]
    tools.choose("Object")
    browsers.click(browsers.at(front))
    assert session.history.labels[-1] == "object"
    assert (session.selection & ball).sum() / (session.selection | ball).sum() > 0.9
    before = session.selection
    tools.choose("Brush")
    browsers.click(browsers.at(front))
    assert 0 < int(session.selection.sum()) < int(before.sum())
    assert ball[session.selection].all()
    tools.choose("Colour")
    browsers.click(browsers.at(front))
    assert session.selection[ball].float().mean() > 0.9
    assert not session.selection[~ball].any()
    tools.choose("Polygon")
    x, y = browsers.at(front)
    corners = [(x - 0.1, y - 0.1), (x + 0.1, y - 0.1), (x + 0.1, y + 0.1), (x - 0.1, y + 0.1)]
    browsers.click(corners[0], browser=8)  # another browser's corner is none of this polygon
    for corner in [*corners, corners[0]]:
        browsers.click(corner)
    assert session.history.labels[-1] == "polygon"
    assert int(session.selection.sum()) > 50
    assert [notice for notice in browsers.notices if "4 corners" in notice]


def test_a_click_that_means_nothing_is_one_notice_and_the_selection_stays(
    browsers: Browsers, session: EditSession, the_room: Room
) -> None:
    session.select(the_room.ball)
    labels = list(session.history.labels)
    browsers.camera = browsers.camera.resized(browsers.camera.width, browsers.camera.height)
    pose = browsers.camera.camera_to_world.clone()
    pose[:, :3, :3] = pose[:, :3, :3] @ torch.diag(torch.tensor([-1.0, 1.0, -1.0], dtype=pose.dtype))  # looks away
    object.__setattr__(browsers.camera, "camera_to_world", pose)
    for tool in ("Object", "Brush", "Colour", "Repair brush", "Clone stamp"):
        browsers.viewer.tools.choose(tool)
        browsers.notices.clear()
        browsers.click((0.5, 0.02))
        assert len(browsers.notices) == 1, tool
    assert session.history.labels == labels
    assert torch.equal(session.selection, the_room.ball)


def test_the_repair_brush_takes_away_and_repairs_in_one_step(
    browsers: Browsers, session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, asked, plain = browsers.viewer, [], session.heal
    front = the_room.splats.means[the_room.ball & (the_room.splats.means[:, 2] < 2.2)]

    def heal(inpainter, color, config, *rest):
        asked.append(config.steps)
        return plain("nearest", color, type(config)(steps=2, most_references=1), *rest)

    monkeypatch.setattr(session, "heal", heal)
    viewer.tools.choose("Repair brush")
    browsers.click(browsers.at(front))
    browsers.heals()
    assert asked == [40]
    assert session.history.labels == ["open", "repair"]
    assert len(session.splats) != len(the_room.splats)
    assert session.undo()
    assert session.splats.sha256() == the_room.splats.sha256()


def test_the_clone_stamp_copies_from_one_click_to_another(browsers: Browsers, session: EditSession, the_room: Room) -> None:
    wall = the_room.splats.means[~the_room.ball]
    browsers.viewer.tools.choose("Clone stamp")
    browsers.click((0.1, 0.1))
    assert session.history.labels == ["open"]
    assert browsers.notices
    browsers.click((0.2, 0.2))
    assert session.history.labels == ["open", "clone"]
    copies = session.splats.means[-5:]
    assert torch.cdist(copies, wall).amin(dim=1).max() < 0.2
    session.undo()
    assert session.splats.sha256() == the_room.splats.sha256()


def test_a_page_that_closes_while_a_heal_runs_leaves_the_scene_as_it_was(
    serve: Callable, session: EditSession, the_room: Room
) -> None:
    viewer, started = serve(session), threading.Event()
    session.select(the_room.ball)
    before, results = session.splats, []

    def heal() -> None:
        from scene_depth_heal import HealConfig

        results.append(session.heal("nearest", "exemplar", HealConfig(steps=500), lambda now: started.set()))

    worker = threading.Thread(target=heal)
    worker.start()
    assert started.wait(60)
    viewer.stop()
    worker.join(120)
    assert not results[0].report.finished
    assert session.splats is before
    assert torch.equal(session.selection, the_room.ball)


@pytest.mark.skipif(OLD, reason="keys came with viser 1.1")
def test_keys(serve: Callable, session: EditSession) -> None:
    commands = serve(session).server.gui._command_handle_from_uuid.values()
    keys = {(command.hotkey, command.modifier) for command in commands}
    assert {("Z", "cmd/ctrl"), ("Y", "cmd/ctrl"), ("delete", None), ("escape", None), ("H", None), ("B", None)} <= keys
