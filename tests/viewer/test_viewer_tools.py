"""What a click of each tool does, without a browser: the clicks of made-up ones are handed over as viser does."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from room_scene import Room, ball
from scene_depth_heal.history import HIDDEN
from scene_depth_heal.session import EditSession

from scene_depth.splats import concatenate_splats

pytest.importorskip("viser", reason="viser is not installed")

from scene_depth_viewer import screen_tools, viewer
from scene_depth_viewer.move_panel import MoveFolder
from scene_depth_viewer.viser_versions import OLD


class Browsers:
    """Two browsers that stand at the third photo, and what the page tells them."""

    def __init__(self, viewer, room: Room, monkeypatch: pytest.MonkeyPatch):
        self.viewer, self.camera, self.notices = viewer, room.cameras[2], []
        self.session = viewer.session
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
        self.armed[-1](self.event(browser), place)

    def event(self, browser: int = 7) -> SimpleNamespace:
        """An act of a person at a browser."""

        def tell(title: str, body: str, *, color=None, auto_close_seconds=None) -> None:
            self.notices.append(f"{title}: {body}")
            assert auto_close_seconds > 0  # it goes away

        return SimpleNamespace(client_id=browser, client=SimpleNamespace(add_notification=tell))

    def tell(self, count: int) -> None:
        """Waits until there are so many notices, some of which come from threads."""
        ends = time.monotonic() + 60
        while len(self.notices) < count and time.monotonic() < ends:
            time.sleep(0.02)

    def heals(self) -> None:
        """Waits for the end of a heal that a click began."""
        for thread in threading.enumerate():
            if thread.daemon and getattr(thread, "_target", None) is not None and thread._target.__name__ == "_run":
                owner = getattr(thread._target, "__self__", None)
                if type(owner).__name__ == "HealFolder":
                    thread.join(120)


@pytest.fixture
def browse(serve: Callable, the_room: Room, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """``browse(session)`` gives browsers at a page of the session."""
    opened: list[Browsers] = []

    def start(session: EditSession) -> Browsers:
        opened.append(Browsers(serve(session), the_room, monkeypatch))
        return opened[-1]

    yield start
    for found in opened:
        found.viewer.clients.clear()


@pytest.fixture
def browsers(browse: Callable, session: EditSession) -> Browsers:
    return browse(session)


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


def test_an_object_by_pictures(serve: Callable, session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    ball, asked = the_room.ball, []

    def by_color(rgb, pixels, belongs):
        asked.append(rgb.shape)
        column, row = pixels[0].astype(int)
        return np.abs(rgb - rgb[row, column]).max(axis=-1) < 0.15

    page = Browsers(serve(session, segment=by_color), the_room, monkeypatch)
    front = the_room.splats.means[ball & (the_room.splats.means[:, 2] < 2.2)]
    page.viewer.tools.choose("Object")
    page.click(page.at(front))
    assert len(asked) > 2
    assert session.selection[ball].float().mean() > 0.8
    assert not session.selection[~ball].any()
    assert [notice for notice in page.notices if "pictures are segmented" in notice]
    asked.clear()
    page.viewer.tools.segmented.value = False
    page.click(page.at(front))
    assert not asked
    assert (session.selection & ball).sum() / (session.selection | ball).sum() > 0.9
    page.viewer.clients.clear()


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
    assert len(browsers.notices) == 1
    assert re.search(r"out, [\d,]+ new, [\d.]+ s\. \d+ % of the hole was never seen .* 6 photos .* before", browsers.notices[0])
    assert session.past(before_heal=True) is session.original
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


def test_escape_ends_a_heal_that_runs_and_else_puts_the_tool_away(
    browse: Callable, session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[str, Callable] = {}
    monkeypatch.setattr(viewer, "add_key", lambda gui, label, key, modifier, act: keys.__setitem__(key, act))
    browsers, started, plain, seen = browse(session), threading.Event(), session.heal, []
    session.select(the_room.ball)
    before = session.splats

    def heal(inpainter, color, config, on_progress, *rest):
        def tell(now) -> None:
            if not started.is_set():
                started.set()
                while not session._stop.is_set():
                    time.sleep(0.02)
            on_progress(now)

        seen.append(plain("nearest", color, config, tell, *rest))
        return seen[0]

    monkeypatch.setattr(session, "heal", heal)
    browsers.viewer.tools.choose("Brush")
    browsers.viewer.repair(browsers.event())
    assert started.wait(60)
    keys["escape"](browsers.event())
    browsers.heals()
    assert not seen[0].report.finished
    assert session.splats is before
    assert browsers.viewer.tools.tool.value == "Brush"
    keys["escape"](browsers.event())
    assert browsers.viewer.tools.tool.value == "Off"


def test_a_page_that_closes_while_a_heal_runs_leaves_the_scene_as_it_was(
    browsers: Browsers, session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, results, plain, failed = threading.Event(), [], session.heal, []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    session.select(the_room.ball)
    before = session.splats

    def heal(inpainter, color, config, on_progress, *rest):
        def tell(now) -> None:
            started.set()
            on_progress(now)

        results.append(plain("nearest", color, config, tell, *rest))
        return results[0]

    monkeypatch.setattr(session, "heal", heal)
    browsers.viewer.repair(browsers.event())
    assert started.wait(60)
    browsers.viewer.clients.clear()
    browsers.viewer.stop()
    browsers.heals()
    assert not results[0].report.finished
    assert not failed
    assert session.splats is before
    assert torch.equal(session.selection, the_room.ball)


def test_edits_of_another_browser_wait_for_a_heal_with_one_notice_each(
    browsers: Browsers, session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, plain = threading.Event(), session.heal
    session.select(the_room.ball)

    def heal(inpainter, color, config, on_progress, *rest):
        def tell(now) -> None:
            assert going.wait(60)
            on_progress(now)

        return plain("nearest", color, type(config)(steps=1, most_references=1), tell, *rest)

    monkeypatch.setattr(session, "heal", heal)
    tools, front = browsers.viewer.tools, the_room.splats.means[the_room.ball & (the_room.splats.means[:, 2] < 2.2)]
    browsers.viewer.repair(browsers.event())
    for tool, clicks in (("Brush", 1), ("Repair brush", 1), ("Clone stamp", 2)):
        tools.choose(tool)
        browsers.notices.clear()
        for _ in range(clicks):
            browsers.click(browsers.at(front), browser=8)
        browsers.tell(clicks)
        assert "still running" in browsers.notices[-1]
        assert len(browsers.notices) == clicks  # the stamp's first says what is copied
    going.set()
    browsers.heals()
    assert session.history.labels == ["open", "select", "heal"]


def test_each_browser_stamps_from_its_own_place_and_marks_stay(browsers: Browsers, session: EditSession, the_room: Room) -> None:
    session.select(the_room.ball)
    session.mark(HIDDEN, "hide")
    browsers.viewer.tools.choose("Clone stamp")
    for browser in (7, 8):
        browsers.click((0.1, 0.1 * browser), browser)
    assert len(browsers.notices) == 2
    for browser, edits in ((7, 1), (8, 2)):
        browsers.click((0.3, 0.05 * browser), browser)
        assert session.history.labels[2:] == ["hide", *["clone"] * edits]
    assert len(session.splats) - len(session.shown()[0]) == int(the_room.ball.sum())


def test_clicks_on_an_object_go_on_only_while_nothing_else_has_selected(
    browsers: Browsers, session: EditSession, the_room: Room
) -> None:
    front = the_room.splats.means[the_room.ball & (the_room.splats.means[:, 2] < 2.2)]
    corner = (~the_room.ball).nonzero()[:5, 0]
    more = torch.zeros_like(the_room.ball)
    more[corner] = True
    browsers.viewer.tools.choose("Object")
    browsers.click(browsers.at(front))
    session.select(more, "add")  # as another browser does
    browsers.viewer.tools._mode.value = "Add"
    browsers.click(browsers.at(front), browser=8)
    assert session.selection[corner].all()
    assert session.selection[the_room.ball].float().mean() > 0.9


def test_a_stroke_over_everything_is_one_notice(browse: Callable, the_room: Room) -> None:
    patch = the_room.splats.select(~the_room.ball & ((the_room.splats.means[:, :2] - 1.0).norm(dim=1) < 0.3))
    browsers = browse(EditSession(patch))
    browsers.viewer.tools.radius.value = 25.0
    for tool in ("Brush", "Repair brush"):
        browsers.viewer.tools.choose(tool)
        browsers.notices.clear()
        browsers.click(browsers.at(patch.means))
        assert len(browsers.notices) == 1
        assert f"all {len(patch)} splats" in browsers.notices[0]
    assert browsers.session.history.labels == ["open"]


def test_splats_alone_that_cannot_be_healed_are_one_notice(browse: Callable) -> None:
    bare = ball(300)
    lying = bare.select(torch.arange(300) < 150)
    far = replace(lying, means=lying.means * 0.2 + torch.tensor([30.0, 0.0, 0.0]), log_scales=lying.log_scales - 1.6)
    full = torch.cartesian_prod(*3 * [torch.linspace(-1, 1, 12)])
    dense = replace(bare.select([0] * len(full)), means=full)
    dense = replace(dense, log_scales=dense.log_scales + 0.5)
    middle = full.norm(dim=1) < 0.3
    for splats, removed, says in (
        (concatenate_splats([bare, far]), torch.arange(450) >= 300, "nothing around it"),
        (dense, middle, "no free space"),
    ):
        browsers = browse(EditSession(splats, max_size=96))
        browsers.session.select(removed)
        browsers.viewer.repair(browsers.event())
        browsers.heals()
        assert len(browsers.notices) == 1
        assert says in browsers.notices[0]
        assert browsers.session.splats.sha256() == splats.sha256()
        assert not browsers.session.busy


def test_the_gizmo_of_the_selection_writes_the_move(browsers: Browsers, session: EditSession, the_room: Room) -> None:
    folder, ratio = MoveFolder(browsers.viewer), browsers.viewer.frame.ratio
    folder.shown.value = True
    session.select(the_room.ball)
    handles = folder._gizmo._handles
    assert np.allclose(np.array(handles.position) / ratio, (0, 0, 2.5), atol=0.03)
    handles.position = tuple(np.array(handles.position) + np.array([0.5, 0.0, 0.0]) * ratio)
    handles.wxyz = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))
    folder._gizmo._dragged(handles)
    assert np.allclose(folder.by.value, (0.5, 0, 0), atol=2e-2)
    assert np.allclose(folder.turn.value, (0, 0, 90), atol=1e-2)
    folder.change(browsers.event(), "Move")
    moved = session.splats.means[the_room.ball].mean(0)
    assert np.allclose(moved - the_room.splats.means[the_room.ball].mean(0), (0.5, 0, 0), atol=0.03)
    assert tuple(folder.by.value) == (0, 0, 0)
    assert np.allclose(np.array(folder._gizmo._handles.position) / ratio, (0.5, 0, 2.5), atol=0.03)
    session.select(torch.zeros_like(the_room.ball))
    assert folder._gizmo._handles is None


@pytest.mark.skipif(OLD, reason="keys came with viser 1.1")
def test_keys(serve: Callable, session: EditSession) -> None:
    commands = serve(session).server.gui._command_handle_from_uuid.values()
    keys = {(command.hotkey, command.modifier) for command in commands}
    assert {("Z", "cmd/ctrl"), ("Y", "cmd/ctrl"), ("delete", None), ("escape", None), ("H", None), ("B", None)} <= keys
