"""A person's way through the page, in a real Chromium that draws with SwiftShader.

The tests of the page with the older viser stand in this file too, so that one process runs them after these: two such
browsers at once take all cores for longer than any test waits.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from box_room import PILLARED
from nerfstudio_parser import nerfstudio_folder
from PIL import Image
from plyfile import PlyData
from room_scene import Room, room
from scene_depth_heal.hole import HealView
from scene_depth_heal.selection import Box, Sphere, read_region, write_region
from scene_depth_heal.session import EditSession
from scene_depth_outpaint.generators import load_generator
from scene_depth_outpaint.result import OutpaintConfig, OutpaintResult
from scene_depth_outpaint.watch import Watch
from scene_depth_outpaint.workflow import outpaint_views
from scene_depth_sparse import FLAG_NAMES, refine_pointmaps
from scene_depth_sparse.flags import COLORS, MISSING
from scene_depth_sparse.known import processed_pictures

from scene_depth.cameras import camera_from_fov, look_at
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.pointmaps import PointmapRun, PointmapView
from scene_depth.splats import GaussianSplats

OLD = version("viser").startswith("0.")
OF_THE_PAGE = ("test_viewer_server.py", "test_viewer_safety.py", "test_viewer_browser.py", "test_viewer_full_disk.py")
WITH_THE_OTHER = "import sys, pytest, viser; assert viser.__file__.startswith(sys.argv[1]); sys.exit(pytest.main(sys.argv[2:]))"

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage"]
PATIENCE = 60_000  # milliseconds; software rendering on a busy machine is slow
MIDDLE = (0.47, 0.45)  # of the scene on the page, off its very middle, where viser may draw what one turns around


@pytest.fixture(scope="module")
def the_room() -> Room:
    """With few splats: a browser without a GPU takes a second for a frame of the room that other tests use."""
    return room(columns=96, ball_splats=1000)


@pytest.fixture
def session(the_room: Room) -> EditSession:
    photos = [HealView(f"{index}.png", camera, the_room.picture(index)) for index, camera in enumerate(the_room.cameras)]
    return EditSession(the_room.splats, photos)


@pytest.fixture
def page(serve: Callable, tmp_path: Path) -> Iterator:
    """A page of a browser; it leaves a picture of its end, and nothing may have gone wrong in it.

    It goes before what served it, which it would miss.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser_path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser_path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=browser_path, args=FLAGS)
        opened = browser.new_page(viewport={"width": 800, "height": 450}, accept_downloads=True)
        opened.set_default_timeout(PATIENCE)
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        opened.screenshot(path=tmp_path / "page.png")
        browser.close()
    assert not errors


class Person:
    """Who uses the page."""

    def __init__(self, page):
        self.page = page

    def opens(self, address: str) -> None:
        self.page.goto(address)
        self.page.get_by_role("button", name="Reset view").wait_for()

    def closes_notices(self) -> None:
        """Notices lie over the scene and take what is clicked there. They also go by themselves, while one reaches for them."""
        self.page.locator(".mantine-Notification-closeButton").evaluate_all("all => all.forEach(button => button.click())")

    def turns_to(self, tab: str) -> None:
        self.page.get_by_role("tab", name=tab).click()

    def presses(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).filter(visible=True).click()

    def reads(self, text: str, patience: int = PATIENCE) -> None:
        try:
            self.page.get_by_text(text).filter(visible=True).first.wait_for(timeout=patience)
        except Exception as error:
            raise AssertionError(f"{text!r} is not in {self.page.locator('body').inner_text()!r}") from error

    def has_done(self, act: str) -> None:
        """Waits until the status names the act as the last one."""
        self.page.locator("em").get_by_text(act, exact=True).wait_for()

    def tries(self, act: Callable[[], None], done: Callable[[], bool]) -> None:
        """Acts again until it is done: a slow page may not have armed a tool yet when the mouse comes."""
        ends = time.monotonic() + PATIENCE / 1000
        while not done():
            assert time.monotonic() < ends, f"{act} did nothing"
            self.closes_notices()
            act()
            for _ in range(3):
                self.page.wait_for_timeout(500)
                if done():
                    return

    def waits(self, done: Callable[[], bool]) -> None:
        """Waits for what the program does."""
        ends = time.monotonic() + 2 * PATIENCE / 1000
        while not done():
            assert time.monotonic() < ends
            self.page.wait_for_timeout(100)

    def opens_folder(self, label: str) -> None:
        self.page.get_by_text(label, exact=True).filter(visible=True).first.click()

    def types(self, label: str, text: str) -> None:
        field = self.field(label)
        field.fill(text)
        field.press("Enter")
        field.blur()

    def chooses(self, label: str, option: str) -> None:
        self.field(label).click()
        self.page.get_by_role("option", name=option, exact=True).filter(visible=True).click()

    def field(self, label: str):
        """The input beside a label; viser links the two in some components only."""
        row = self.page.get_by_text(label, exact=True).filter(visible=True).locator("xpath=ancestor::*[.//input][1]")
        return row.locator("input:visible").first

    def pixel(self, place: tuple[float, float]) -> tuple[int, int]:
        """Pixel of the page at a place given in widths and heights of the scene's part of it."""
        box = self.page.locator("canvas").last.bounding_box()
        return round(box["x"] + place[0] * box["width"]), round(box["y"] + place[1] * box["height"])

    def clicks(self, place: tuple[float, float]) -> None:
        self.page.mouse.click(*self.pixel(place))

    def drags(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse, (x, y), (to_x, to_y) = self.page.mouse, self.pixel(start), self.pixel(end)
        mouse.move(x, y)
        mouse.down()
        mouse.move((x + to_x) / 2, (y + to_y) / 2, steps=4)
        mouse.move(to_x, to_y, steps=4)
        mouse.up()

    def sees(self, condition: Callable[[np.ndarray], bool], place: tuple[float, float] = MIDDLE) -> np.ndarray:
        """Waits until the mean colour around a place meets a condition."""
        ends = time.monotonic() + PATIENCE / 1000
        while True:
            picture = np.asarray(Image.open(BytesIO(self.page.screenshot())).convert("RGB")) / 255
            x, y = self.pixel(place)
            color = picture[y - 5 : y + 6, x - 5 : x + 6].mean(axis=(0, 1))
            if condition(color):
                return color
            assert time.monotonic() < ends, f"colour {color} at {place}"
            time.sleep(0.3)


def red(color: np.ndarray) -> bool:
    return color[0] > 2.5 * max(color[1], color[2])


@pytest.mark.slow
def test_select_delete_heal_undo_export(page, serve: Callable, session: EditSession, the_room: Room, tmp_path: Path) -> None:
    kept = the_room.splats.select(~the_room.ball)
    region, exported = tmp_path / "ball.json", tmp_path / "healed.ply"
    write_region(region, Sphere((0.0, 0.0, 2.5), 0.5))
    person = Person(page)
    person.opens(serve(session).address)
    person.reads(f"{len(the_room.splats):,}")
    person.sees(red)

    person.turns_to("Select")
    person.types("File", region.name)
    person.presses("Load")
    person.presses("Select region")
    person.reads(f"{int(the_room.ball.sum()):,}")
    assert bool((session.selection == the_room.ball).all())
    person.sees(lambda color: color[2] > 0.5 and color[1] > 0.4)  # tinted
    person.chooses("Shape", "Hidden")

    person.turns_to("Edit")
    person.presses("Delete")
    person.reads(f"{len(kept):,}")
    person.sees(lambda color: not red(color))

    person.types("Steps", "20")
    person.presses("Heal")
    person.reads(" new, ", 4 * PATIENCE)
    healed = session.splats
    person.has_done("heal")
    assert len(healed) > len(kept)
    person.sees(lambda color: min(color[0], color[2]) > 2 * color[1])  # invented, tinted until it is confirmed
    person.presses("Confirm")
    wall = person.sees(lambda color: color.min() > 0.2)
    assert np.ptp(wall) < 0.35  # the wall's grey, not the ball's red

    person.presses("Undo")
    person.has_done("heal")
    person.presses("Undo")
    person.reads(f"{len(kept):,}")
    person.presses("Redo")
    person.reads(f"{len(healed):,}")

    exported.write_bytes(b"what was there")
    person.types("File", f"../{exported.name}")
    person.presses("Save")
    person.reads("a plain name such as")
    person.types("File", exported.name)
    person.presses("Save")
    person.presses("Keep")
    assert exported.read_bytes() == b"what was there"
    person.presses("Save")
    person.presses("Replace")
    person.reads("Saved")
    with page.expect_download() as download:
        person.presses("Download")
    sent = tmp_path / "sent.ply"
    download.value.save_as(sent)
    assert sent.read_bytes() == exported.read_bytes()
    vertices = PlyData.read(str(exported))["vertex"]
    assert len(vertices) == len(healed)
    for number, name in enumerate("xyz"):
        assert np.array_equal(vertices[name][: len(kept)], kept.means[:, number].numpy())
    assert all(np.isfinite(vertices[entry.name]).all() for entry in vertices.properties)


@pytest.mark.slow
def test_rectangle_flood_and_a_photo(page, serve: Callable, session: EditSession, the_room: Room) -> None:
    person = Person(page)
    viewer = serve(session)
    person.opens(viewer.address)
    person.sees(red)
    person.chooses("Show", "Depth")
    person.sees(lambda color: color[2] > 1.5 * color[0], (0.08, 0.45))  # far is blue
    person.chooses("Show", "Splats")
    person.chooses("Compare", "Side by side")
    for quarter in (0.25, 0.75):
        person.sees(red, (quarter, 0.5))  # the panel covers neither the scene nor the photo
    person.chooses("Compare", "Off")
    view = next(iter(viewer.clients.values()))
    person.tries(lambda: None, lambda: view.photo == 0)  # the page's last word on its camera may still be under way

    behind = look_at(torch.tensor([0.0, -0.6, -1.6]), torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.0, -1.0, 0.0]))
    view.jump(camera_from_fov(behind, 0.9, 640, 480))

    def frustum() -> tuple[float, float]:
        """Where the camera is drawn now: the page may still be on its way when it is first asked."""
        screen = view.camera()
        pixel = screen.project(the_room.cameras[4].centers.to(screen.K))[0][0, 0]
        return tuple((pixel / screen.K.new_tensor([screen.width, screen.height])).tolist())

    person.tries(lambda: person.clicks(frustum()), lambda: view.photo == 4)
    person.sees(red)
    there = the_room.cameras[4].camera_to_world.double()

    def stands() -> bool:
        """Whether the page has said that it stands at the photo."""
        return float((view.camera().camera_to_world.double() - there).abs().max()) < 0.01

    def drags_from_the_photo() -> None:
        """A drag that came before the tool was armed has turned the view."""
        if not stands():
            view.jump(the_room.cameras[4], 4)
            person.waits(stands)
        person.drags((0.4, 0.4), (0.52, 0.6))

    person.waits(stands)
    person.turns_to("Select")
    person.chooses("Tool", "Rectangle")
    person.tries(drags_from_the_photo, lambda: session.history.labels[-1] == "rectangle")
    front = the_room.splats.means[:, 2] < 2.5
    assert session.selection.any()
    assert bool((the_room.ball & front)[session.selection].all())  # neither the ball's back nor the wall behind
    person.chooses("Tool", "Flood")
    person.tries(lambda: person.clicks((0.47, 0.48)), lambda: session.history.labels[-1] == "flood")
    assert session.selection[the_room.ball].float().mean() > 0.95
    assert not session.selection[~the_room.ball].any()
    person.chooses("Tool", "Object")
    person.tries(lambda: person.clicks((0.47, 0.48)), lambda: session.history.labels[-1] == "object")
    chosen = session.selection
    assert (chosen & the_room.ball).sum() / (chosen | the_room.ball).sum() > 0.9
    if not OLD:  # keys came with viser 1.1
        person.tries(lambda: page.keyboard.press("Control+z"), lambda: session.history.labels[-1] == "flood")
        page.keyboard.press("b")
        person.tries(lambda: None, lambda: viewer.tools.tool.value == "Brush")


@pytest.mark.slow
def test_repair_brush_clone_stamp_object_and_move(
    page, serve: Callable, session: EditSession, the_room: Room, tmp_path: Path
) -> None:
    person, viewer, labels = Person(page), serve(session, inpainters=("nearest",), colors=("membrane",)), session.history
    ball, exported = the_room.splats.means[the_room.ball], tmp_path / "edited.ply"
    person.opens(viewer.address)
    person.sees(red)
    view = next(iter(viewer.clients.values()))

    def place(point: tuple[float, float, float]) -> tuple[float, float]:
        screen = view.camera()
        column, row = screen.project(screen.K.new_tensor([point]))[0][0, 0].tolist()
        return column / screen.width, row / screen.height

    def repairs(percent: str, point: tuple[float, float, float]) -> GaussianSplats:
        strokes = labels.labels.count("repair") + 1
        person.types("Brush", percent)
        person.tries(lambda: person.clicks(place(point)), lambda: session.busy or labels.labels.count("repair") == strokes)
        person.waits(lambda: not session.busy)
        person.reads("was never seen")
        return session.splats

    def goes_back_to(splats: GaussianSplats) -> None:
        person.presses("Undo")
        person.waits(lambda: session.splats is splats)

    def picks(x: float) -> None:
        picked = labels.labels.count("object") + 1
        person.tries(lambda: person.clicks(place((x, 0.0, 2.1))), lambda: labels.labels.count("object") == picked)

    person.turns_to("Edit")
    person.types("Steps", "5")
    person.turns_to("Select")
    person.chooses("Tool", "Repair brush")
    nibbled = repairs("4", (-0.2, 0.0, 2.1))
    repairs("24", (0.0, 0.0, 2.05))
    assert labels.labels == ["open", "repair", "repair"]
    person.sees(lambda color: min(color[0], color[2]) > 2 * color[1], place((0.0, 0.0, 2.05)))  # invented behind the ball
    goes_back_to(nibbled)
    goes_back_to(session.original)
    person.sees(red)

    person.chooses("Tool", "Clone stamp")
    person.types("Brush", "4")
    person.tries(lambda: person.clicks(place((-1.2, -0.6, 4))), lambda: page.get_by_text("This is copied").count() > 0)
    person.tries(lambda: person.clicks(place((-1.2, 0.6, 4))), lambda: labels.labels[-1] == "clone")
    copies = session.splats.means[-3:]
    assert (copies - torch.tensor([-1.2, 0.6, 4.0])).norm(dim=1).max() < 0.4

    person.chooses("Tool", "Object")
    picks(0.0)
    person.chooses("Mode", "Add")
    picks(-0.2)
    picks(0.2)
    is_ball = torch.cdist(session.splats.means, ball).amin(dim=1) < 0.01
    assert (session.selection & is_ball).sum() / (session.selection | is_ball).sum() > 0.9

    person.turns_to("Edit")
    person.opens_folder("Move")
    person.types("By", "0.5")
    chosen, before = session.selection, session.splats.means
    person.presses("Move")
    person.has_done("move")
    moved = session.splats.means
    assert torch.allclose(moved[chosen], before[chosen] + torch.tensor([0.5, 0.0, 0.0]), atol=1e-3)
    assert torch.equal(moved[~chosen], before[~chosen])
    person.sees(lambda color: color[2] > 0.5 and color[1] > 0.4, place((0.5, 0.0, 2.05)))  # there, and still selected
    person.sees(lambda color: not red(color) and color[2] < 0.5, place((-0.2, 0.0, 2.1)))
    if not OLD:
        person.tries(lambda: page.keyboard.press("Control+z"), lambda: labels.labels[-1] == "object")
        person.tries(lambda: page.keyboard.press("Control+y"), lambda: labels.labels[-1] == "move")
    person.types("File", exported.name)
    person.presses("Save")
    person.waits(exported.is_file)
    vertices = PlyData.read(str(exported))["vertex"]
    for number, name in enumerate("xyz"):
        assert np.array_equal(vertices[name], moved[:, number].numpy())


@pytest.mark.slow
def test_box_gizmo_and_a_camera_path(page, serve: Callable, session: EditSession, tmp_path: Path) -> None:
    file, video, side = tmp_path / "box.json", tmp_path / "path.gif", 1.0
    write_region(file, Box((0.0, 0.0, 2.5), (side, side, side)))
    person, viewer = Person(page), serve(session)
    person.opens(viewer.address)
    person.turns_to("Select")
    person.types("File", file.name)
    person.presses("Load")

    def camera():  # asked anew each time: a page on a busy machine may have lost its connection and come back
        page.wait_for_timeout(0 if viewer.clients else 3000)
        return next(iter(viewer.clients.values())).camera()

    points = session.splats.means.new_tensor([[0.68 * side, 0.0, 2.5], [0.9 * side, 0.0, 2.5]])
    arm, beyond = (camera().project(points)[0][0] / points.new_tensor([camera().width, camera().height])).tolist()
    person.sees(lambda color: color[0] > 0.6 and color[1] < 0.35 and color[2] > 0.2, arm)  # before the wall

    def moved() -> bool:
        person.presses("Save")
        person.presses("Replace")
        page.wait_for_timeout(300)
        return abs(read_region(file).center[0]) > 0.02

    person.tries(lambda: person.drags(arm, beyond), moved)
    box = read_region(file)
    assert box.center[0] > 0.02
    assert np.allclose(box.center[1:], (0.0, 2.5), atol=1e-3)
    assert box.size == (side, side, side)

    person.turns_to("Path")
    person.presses("Add")
    person.reads("keys, 0 frames")
    start = camera().centers
    # Below: viser says above, for as long as it takes a slow page to forget it, that no GPU draws.
    person.tries(lambda: person.drags((0.2, 0.8), (0.3, 0.75)), lambda: bool((camera().centers - start).norm() > 0.1))
    person.presses("Add")
    person.types("Seconds", "0.5")
    person.reads("keys, 13 frames")
    person.types("Width", "64")
    person.types("Height", "48")
    person.types("Video file", video.name)
    person.presses("Render video")
    person.reads("Saved")
    assert Image.open(video).n_frames > 5


@pytest.mark.slow
def test_an_outpainting_asks_about_its_views(page, tmp_path: Path) -> None:
    pytest.importorskip("scene_depth_viewer.outpaint_page", reason="viser is not installed")
    greys: list[tuple[int, str]] = []

    def paint(rgb, hole, *, prompt: str = "", seed: int = 0):
        greys.append((seed, prompt))
        return np.where(hole[..., None], np.float32(0.1 * len(greys)), rgb)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        watch = Watch(probe.getsockname()[1], tmp_path, "grey", None, lambda said: None)
    done: list[OutpaintResult] = []

    def run() -> None:
        config = OutpaintConfig(fit_steps=0, least_new=0.05)
        loop = outpaint_views(
            [PILLARED.view()], "rotate360[views=24]", output=tmp_path / "out", inpainter=load_depth_inpainter("solver"),
            generator=load_generator(paint), prompt="grey", prompts={}, config=config, frozen=None,
            on_progress=watch.following(lambda now: len(greys) < 9), dry_run=False, review=watch.review, on_views=watch.show,
        )  # fmt: skip
        done.append(loop)

    thread, person = threading.Thread(target=run, daemon=True), Person(page)
    try:
        thread.start()
        person.waits(lambda: watch.page is not None)
        person.opens(watch.page.address)
        person.reads("View 1 of ")
        person.presses("Accept")
        person.reads("View 2 of ")
        person.types("Prompt", "a wall")
        person.presses("Again")
        person.reads("attempt 2")
        person.presses("Undo")
        person.reads("View 1 of ")
        assert [prompt for _, prompt in greys] == ["grey", "grey", "a wall", "grey"]
        assert len({seed for seed, _ in greys}) == 4
        person.types("Prompt", "a door")
        person.presses("Again")
        person.reads("attempt 3")
        person.field("By itself").check(force=True)
        person.waits(lambda: watch.page.by_itself)
        person.presses("Accept")
        thread.join(PATIENCE / 1000)
    finally:
        page.goto("about:blank")  # the page would miss its server
        watch.stop()
    assert done
    assert [view.report.prompt for view in done[0].views[1:3]] == ["a door", "grey"]
    assert len(list((tmp_path / "out" / "steps").iterdir())) == len(done[0].views) > 3


@pytest.mark.slow
def test_the_points_of_a_pointmap_run(page, tmp_path: Path) -> None:
    pointmap_page = pytest.importorskip("scene_depth_viewer.pointmap_page", reason="viser is not installed")
    seen = [PILLARED.view(yaw) for yaw in (20.0, 32.0)]
    views = [
        PointmapView(f"{i}.png", view.camera, view.depth() * np.float32(1 + 0.3 * i), image=view.image())
        for i, view in enumerate(seen)
    ]
    result = refine_pointmaps(PointmapRun(tuple(views), "simulated"), align=False)
    all_of_them, of_one = (sum(int((view.depth > 0).sum()) for view in part) for part in (result.views, result.views[:1]))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    served, person = (
        pointmap_page.PointmapPage(result, processed_pictures(result.run), FLAG_NAMES[:MISSING], COLORS, port, tmp_path),
        Person(page),
    )
    try:
        person.opens(served.address)
        person.turns_to("Pointmaps")
        person.reads(f"{all_of_them:,} points")
        person.chooses("Of", "0.png")
        person.reads(f"{of_one:,} points")
        person.presses("Stand there")
        person.waits(lambda: served.views()[0].photo == 0)
        person.sees(red, (0.6, 0.5))  # what another view contradicts
        person.chooses("In colours of", "Photo")
        person.sees(lambda color: not red(color), (0.6, 0.5))
        contradicted = int((result.views[0].flags == FLAG_NAMES.index("contradicted")).sum())
        assert contradicted > 0.3 * of_one
        person.field("contradicted").uncheck(force=True)
        person.reads(f"{of_one - contradicted:,} points")
        person.chooses("Points", "As given")
        person.waits(lambda: "As given" in served.session.history.labels[-1])
    finally:
        page.goto("about:blank")  # the page would miss its server
        served.stop()


@pytest.mark.slow
@pytest.mark.timeout(1200)  # of all these tests once more
def test_the_page_with_the_viser_that_nerfstudio_pins(tmp_path: Path) -> None:
    folder, here = nerfstudio_folder(), Path(__file__).parent
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    paths = os.pathsep.join([str(folder), *filter(None, [own.get("PYTHONPATH")])])
    options = ["-q", "-p", "no:cacheprovider", "-o", "timeout=300", "-k", "not nerfstudio", f"--basetemp={tmp_path / 'again'}"]
    run = subprocess.run(
        [sys.executable, "-c", WITH_THE_OTHER, str(folder), *options, *(str(here / name) for name in OF_THE_PAGE)],
        capture_output=True,
        text=True,
        check=False,
        cwd=here.parents[1],
        env={**own, "PYTHONPATH": paths},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    skipped = [line for line in run.stdout.splitlines() if line.startswith("SKIPPED")]
    if skipped:
        pytest.skip("; ".join(skipped))
