"""The page without a browser: it is served, its panels are there, and browsers are followed in threads of their own."""

from __future__ import annotations

import base64
import math
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest
from room_scene import Room
from scene_depth_heal.session import EditSession
from scene_depth_viewer.newest import NewestWorker
from scene_depth_viewer.page_frame import page_frame
from scene_depth_viewer.pictures import PhotoDepths

from scene_depth.errors import InputError

viser = pytest.importorskip("viser", reason="viser is not installed")

from scene_depth_viewer import drawing  # noqa: E402
from scene_depth_viewer.client_view import ClientView, ViewSettings  # noqa: E402
from scene_depth_viewer.path_panel import PathPanel  # noqa: E402
from scene_depth_viewer.viser_versions import OLD, sent_together  # noqa: E402


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Labels of everything that is put on panels."""
    found: list[str] = []
    kinds = [name for name in dir(viser.GuiApi) if name.startswith("add_") and name not in ("add_markdown", "add_progress_bar")]
    for name in kinds:
        plain = getattr(viser.GuiApi, name)

        def recorded(self, *args, plain=plain, **options):
            found.extend(arg for arg in args[:1] if isinstance(arg, str))
            return plain(self, *args, **options)

        monkeypatch.setattr(viser.GuiApi, name, recorded)
    return found


def test_the_page_is_served_with_its_panels(serve: Callable, session: EditSession, labels: list[str]) -> None:
    viewer = serve(session)
    assert viewer.address.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(viewer.address, timeout=20) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read()
    for label in (
        "Show",
        "Before",
        "Compare",
        "With",
        "Gizmo",
        "Mode",
        "Tool",
        "Region",
        "Delete",
        "Heal",
        "Export",
        "Keys",
        "Render video",
    ):
        assert label in labels


def test_a_page_that_is_there_is_not_built(serve: Callable, session: EditSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """viser looks for its build tools among all processes, and fails when one ends while it looks."""

    def search() -> None:
        raise AssertionError("viser looks for its build tools")

    monkeypatch.setattr("viser._client_autobuild.ensure_client_is_built", search)
    serve(session)


def test_a_notebook_shows_a_link_and_the_splats_where_viser_can(serve: Callable, session: EditSession) -> None:
    viewer = serve(session)
    shown = viewer._repr_html_()
    assert f'href="{viewer.address}"' in shown
    if OLD:
        assert "<iframe" not in shown
        return
    document = unescape(shown.partition('srcdoc="')[2].partition('"')[0])
    assert "__VISER_EMBED_DATA__=" in document
    assert not re.search(r'<script[^>]* src="(https?:)?//', document)  # it needs nobody else
    data = base64.b64decode(document.partition('__VISER_EMBED_DATA__="')[2].partition('"')[0])
    assert int.from_bytes(data[:8], "little") >= 32 * len(session.splats)  # bytes before packing: the splats are in it
    assert viewer._repr_html_() == shown


def test_splats_alone_have_no_photos_to_compare_with(serve: Callable, the_room: Room, labels: list[str]) -> None:
    serve(EditSession(the_room.splats))
    assert "Photo" not in labels
    assert "Compare" in labels  # with what was before
    assert "Heal" in labels
    assert "Select by masks" not in labels


def test_only_other_splats_are_drawn_anew(
    serve: Callable, session: EditSession, the_room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, nodes = [], []
    viewer = serve(session)
    settled, draw = viewer._splat_worker.wait, viewer.drawing.draw_splats
    assert settled(20)

    def drawn(splats):
        sent.append(len(splats))
        draw(splats)

    def add(scene, *args, add=drawing.add_splats, **options):
        nodes.append(scene)
        return add(scene, *args, **options)

    monkeypatch.setattr(viewer.drawing, "draw_splats", drawn)
    monkeypatch.setattr(drawing, "add_splats", add)
    viewer.settings.channel = "depth"
    viewer.refresh()
    assert settled(20)
    assert sent == []
    session.select(the_room.ball)
    assert settled(20)
    session.delete()
    assert settled(20)
    assert sent == [29836, 26836]
    in_place = hasattr(getattr(viser, "GaussianSplatHandle", None), "set_gaussians")  # does not blink
    assert nodes.count(viewer.server.scene) == (0 if in_place else 2)


class Browser:
    """Stands for a client of viser: it keeps what it is sent."""

    def __init__(self):
        self.pictures: list[np.ndarray] = []
        self.camera = SimpleNamespace(
            wxyz=np.array([1.0, 0, 0, 0]), position=np.zeros(3), fov=1.0, aspect=1.5, look_at=np.ones(3), on_update=self._listen
        )
        self.scene = SimpleNamespace(set_background_image=self._show, add_camera_frustum=self._frustum, add_icosphere=self._ball)
        self.frusta: list[SimpleNamespace] = []

    def _listen(self, callback) -> None:
        self.moved = callback

    def _show(self, image: np.ndarray, **_) -> None:
        self.pictures.append(image)

    def _frustum(self, name: str, **options) -> SimpleNamespace:
        node = SimpleNamespace(name=name, visible=True, remove=lambda: None, on_click=lambda callback: None, **options)
        self.frusta.append(node)
        return node

    def _ball(self, name: str, **options) -> SimpleNamespace:
        return SimpleNamespace(name=name, remove=lambda: None, on_click=lambda callback: None)

    def flush(self) -> None:
        pass

    @contextmanager
    def atomic(self):
        yield


@pytest.fixture
def view(session: EditSession, the_room: Room):
    browser, errors = Browser(), []
    settings = ViewSettings(channel="colour", size=96, frusta=0.01)
    frame = page_frame(the_room.splats, the_room.cameras)
    depths = PhotoDepths(the_room.splats, the_room.cameras)
    view = ClientView(browser, session, frame, settings, depths, errors.append, lambda number: None)  # type: ignore[arg-type]
    yield SimpleNamespace(view=view, browser=browser, settings=settings, frame=frame, errors=errors, session=session)
    view.stop()
    assert not errors


def settle(view) -> np.ndarray:
    assert view.view._worker.wait(60)
    return view.browser.pictures[-1]


def test_a_browser_gets_a_quick_picture_then_a_full_one(view, the_room: Room) -> None:
    view.view.jump(the_room.cameras[2])
    settle(view)
    assert [image.shape[:2] for image in view.browser.pictures[-2:]] == [(16, 24), (64, 96)]
    middle = view.browser.pictures[-1][32, 48].astype(float)
    assert middle[0] > 2 * middle[1]  # the red ball


def test_what_the_browser_draws_itself_needs_no_picture(view, the_room: Room) -> None:
    view.settings.channel = "splats"
    for camera in the_room.cameras:
        view.view.jump(camera)
        settle(view)
    assert [image.shape for image in view.browser.pictures] == [(1, 1, 3)]  # once, plain


def test_a_photo_is_compared_until_the_browser_leaves_it(view, the_room: Room) -> None:
    view.settings.comparison, view.settings.share = "blend", 1.0
    view.view.jump(the_room.cameras[4], 4)
    view.browser.moved(None)
    photo = settle(view)
    assert view.view.photo == 4
    scene_fov = 2 * math.atan(72 / 2 / 92)
    assert view.browser.camera.fov == pytest.approx(scene_fov)
    column, row = 48, 32  # the photo's principal point is off its centre, so it lies where its pixel's ray goes
    sized = view.view.camera()
    ray = sized.ray_directions()[0, row, column].double()
    own = the_room.cameras[4]
    in_photo = own.K[0] @ own.camera_to_world[0, :3, :3].T @ ray
    x, y = (in_photo[:2] / in_photo[2]).tolist()
    assert np.allclose(photo[row, column] / 255, view.session.photos[4].rgb[int(y), int(x)], atol=0.06)
    view.browser.camera.position = view.browser.camera.position + 0.5
    view.browser.moved(None)
    settle(view)
    assert view.view.photo is None


def test_the_scene_is_compared_with_what_it_was_before(view, the_room: Room) -> None:
    view.session.select(the_room.ball)
    view.session.delete()
    view.view.jump(the_room.cameras[2])

    def shown(how: str, share: float) -> np.ndarray:
        view.settings.comparison, view.settings.share = how, share
        view.view.redraw()
        row = settle(view)[32].astype(float)
        return row[:, 0] > 2 * row[:, 1]  # where the ball shows

    view.settings.against = "opened"
    wide = shown("split", 1.0)
    assert wide[48]
    assert not shown("split", 0.0).any()
    half = shown("split", 0.5)
    assert np.array_equal(half[:48], wide[:48])
    assert not half[48:].any()
    beside = shown("side by side", 0.5)
    assert np.array_equal(beside[:48], wide[24:72])  # each half shows the middle
    assert not beside[48:].any()


def test_a_late_word_from_before_a_jump_does_not_lose_the_photo(view, the_room: Room) -> None:
    before = view.browser.camera.position
    view.view.jump(the_room.cameras[4], 4)
    there = view.browser.camera.position
    for position in (there, before, there):
        view.browser.camera.position = position
        view.browser.moved(None)
    settle(view)
    assert view.view.photo == 4


def test_a_word_of_the_browser_while_it_is_placed_does_not_lead_it_elsewhere(view, the_room: Room) -> None:
    class Interrupted(SimpleNamespace):
        words = 2

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "look_at" and self.words:
                vars(self).update(words=self.words - 1, position=np.array([5.0, 5, 5]), look_at=np.zeros(3))

    view.browser.camera = Interrupted(**vars(view.browser.camera))
    view.view.jump(the_room.cameras[4])
    assert view.browser.camera.words == 0
    assert np.allclose(view.browser.camera.position, view.frame.pose(the_room.cameras[4]).position)
    assert np.allclose(view.view.camera().centers.numpy(), the_room.cameras[4].centers.numpy(), atol=1e-5)
    settle(view)


def test_frusta_hide_where_the_browser_stands(view, the_room: Room) -> None:
    assert len(view.browser.frusta) == len(the_room.cameras)
    view.view.jump(the_room.cameras[1])
    view.browser.moved(None)
    assert [node.visible for node in view.browser.frusta] == [True, False, True, True, True, True]
    settle(view)


def test_the_newest_request_wins_and_errors_do_not_end_the_work() -> None:
    begun, done, errors = threading.Event(), [], []
    go = threading.Event()

    def work(number: int, outdated: Callable[[], bool]) -> None:
        begun.set()
        assert go.wait(20)
        if number == 3:
            raise InputError("three", 3, "others")
        done.append((number, outdated()))

    worker: NewestWorker[int] = NewestWorker(work, errors.append)
    worker.submit(0)
    assert begun.wait(20)
    for number in range(1, 4):
        worker.submit(number)
    assert done == []  # asking never waits for the work, which cannot end before it is let go
    assert not errors
    go.set()
    assert worker.wait(20)
    worker.submit(4)
    assert worker.wait(20)
    assert done == [(0, True), (4, False)]
    assert [error.field for error in errors] == ["three"]
    worker.stop()
    worker.submit(5)
    assert worker.wait(1)  # nothing is left to do


def test_an_error_while_much_is_sent_at_once_does_not_keep_later_messages(serve: Callable, session: EditSession) -> None:
    server = serve(session).server
    with pytest.raises(ValueError, match="in the middle"), sent_together(server):
        raise ValueError("in the middle")
    done = threading.Event()

    def send() -> None:
        with sent_together(server):
            done.set()

    threading.Thread(target=send, daemon=True).start()
    assert done.wait(10)


def test_acts_that_come_together_leave_the_newest_on_the_page(
    serve: Callable, session: EditSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each act has a thread of its own: one that was slow must not show what was true before the other."""
    page = serve(session)
    panel = PathPanel(page)
    view = SimpleNamespace(camera=lambda: page.start)
    monkeypatch.setattr(page, "view_of", lambda event: view)
    panel._edit(None, "Add")
    slow, draw = threading.Event(), page.drawing.draw_path

    def draw_path(keys, frames) -> None:
        if not slow.is_set():
            slow.set()
            time.sleep(0.5)
        draw(keys, frames)

    monkeypatch.setattr(page.drawing, "draw_path", draw_path)
    adding = threading.Thread(target=panel._edit, args=(None, "Add"))
    adding.start()
    assert slow.wait(10)
    panel.seconds.value = 0.5
    panel._changed(None)
    adding.join()
    assert panel.text.content == "**2** keys, 13 frames, 0.5 s"
