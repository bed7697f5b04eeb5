"""A person's way through the page, in a real Chromium that draws with SwiftShader."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plyfile import PlyData
from room_scene import Room
from scene_depth_heal.regions import Sphere, write_region
from scene_depth_viewer.session import EditSession

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--headless=new", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-dev-shm-usage"]
PATIENCE = 60_000  # milliseconds; software rendering on a busy machine is slow


@pytest.fixture
def page(tmp_path: Path) -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser_path = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if browser_path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=browser_path, args=FLAGS)
        opened = browser.new_page(viewport={"width": 720, "height": 420}, accept_downloads=True)
        opened.set_default_timeout(PATIENCE)
        yield opened
        browser.close()


class Person:
    """Who uses the page."""

    def __init__(self, page):
        self.page = page

    def opens(self, address: str) -> None:
        self.page.goto(address)
        self.page.get_by_role("button", name="Reset view").wait_for()

    def turns_to(self, tab: str) -> None:
        self.page.get_by_role("tab", name=tab).click()

    def presses(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).filter(visible=True).click()

    def reads(self, text: str) -> None:
        self.page.get_by_text(text).filter(visible=True).first.wait_for()

    def has_done(self, act: str) -> None:
        """Waits until the status names the act as the last one."""
        self.page.locator("em").get_by_text(act, exact=True).wait_for()

    def tries(self, act: Callable[[], None], label: str) -> None:
        """Acts again until the status names it: a slow page may not have armed a tool yet when the mouse comes."""
        done = self.page.locator("em").get_by_text(label, exact=True)
        ends = time.monotonic() + PATIENCE / 1000
        while not done.is_visible():
            assert time.monotonic() < ends, f"{label} did nothing"
            act()
            self.page.wait_for_timeout(1500)

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

    def drags(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=4)
        mouse.move(*end, steps=4)
        mouse.up()

    def sees(self, condition: Callable[[np.ndarray], bool], x: int = 335, y: int = 190) -> np.ndarray:
        """Waits until the mean colour around a place meets a condition."""
        ends = time.monotonic() + PATIENCE / 1000
        while True:
            picture = np.asarray(Image.open(BytesIO(self.page.screenshot())).convert("RGB")) / 255
            color = picture[y - 5 : y + 6, x - 5 : x + 6].mean(axis=(0, 1))
            if condition(color):
                return color
            assert time.monotonic() < ends, f"colour {color} at ({x}, {y})"
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
    person.types("File", str(region))
    person.presses("Load")
    person.presses("Select region")
    person.reads(f"{int(the_room.ball.sum()):,}")
    assert bool((session.selection == the_room.ball).all())
    person.sees(lambda color: color[0] > 0.6 and color[1] > 0.2 and color[2] < 0.2)  # tinted

    person.turns_to("Edit")
    person.presses("Delete")
    person.reads(f"{len(kept):,}")
    person.sees(lambda color: not red(color))

    person.types("Steps", "20")
    person.presses("Heal")
    person.reads(" new, ")
    healed = session.splats
    person.has_done("heal")
    assert len(healed) > len(kept)
    wall = person.sees(lambda color: color.min() > 0.2)
    assert np.ptp(wall) < 0.35  # the wall's grey, not the ball's red

    person.presses("Undo")
    person.reads(f"{len(kept):,}")
    person.presses("Redo")
    person.reads(f"{len(healed):,}")

    person.types("File", str(exported))
    person.presses("Save")
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
    person.sees(lambda color: color[2] > 1.5 * color[0], x=60)  # far is blue
    person.chooses("Show", "Splats")
    person.chooses("Compare", "Split")
    person.sees(red, x=330)
    person.chooses("Compare", "Off")
    assert next(iter(viewer.clients.values())).photo == 0

    person.turns_to("Select")
    person.chooses("Tool", "Rectangle")
    person.tries(lambda: person.drags((290, 170), (370, 250)), "rectangle")
    front = the_room.splats.means[:, 2] < 2.5
    assert session.selection.any()
    assert bool((the_room.ball & front)[session.selection].all())  # neither the ball's back nor the wall behind
    person.chooses("Tool", "Flood")
    person.tries(lambda: page.mouse.click(340, 200), "flood")
    assert session.selection[the_room.ball].float().mean() > 0.95
    assert not session.selection[~the_room.ball].any()
