"""The tab that selects: screen tools, what changes a selection, and a region.

A region is a box or a sphere: a gizmo on the page, typed numbers, and the JSON file that ``scene-depth heal`` takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scene_depth_heal.picking import Mode
from scene_depth_heal.selection import Box, Region, Sphere, check_selection, read_region, write_region

from scene_depth.io.splat_files import splat_origin
from scene_depth.rotations import matrices_to_quaternions
from scene_depth.splat_transforms import euler_rotation
from scene_depth_viewer.gizmo import Gizmo, as_vector, degrees
from scene_depth_viewer.page import Page, Vector
from scene_depth_viewer.screen_tools import ScreenTools

SHAPES = ("Hidden", "Box", "Sphere")
COLOR = (255, 140, 0)


def add_select_panel(page: Page) -> ScreenTools:
    """Adds the tab's contents and gives its tools."""
    tools = ScreenTools(page)
    RegionFolder(page, tools.mode)
    _add_changes(page, tools.mode)
    return tools


def _add_changes(page: Page, chosen_mode: Callable[[], Mode]) -> None:
    controls, session = page.controls, page.session

    def resize(event: Any, what: str) -> None:
        session.grow_selection(1 if what == "Grow" else -1)

    def replace(event: Any, what: str) -> None:
        if what == "Invert":
            session.invert_selection()
        else:
            session.select(torch.full((len(session.splats),), what == "All"), "set", what.lower())

    controls.buttons("Extent", ["Grow", "Shrink"], resize, "By the splats that touch")
    controls.buttons("Change", ["All", "None", "Invert"], replace)
    if session.masks:
        controls.button(
            "Select by masks", lambda event: session.select_masked(chosen_mode()), hint="What the scene's own masks show"
        )


class RegionFolder:
    """The region's folder. Its typed numbers are the region; the gizmo writes them and is placed by them."""

    def __init__(self, page: Page, chosen_mode: Callable[[], Mode]):
        self._page, self._chosen_mode = page, chosen_mode
        self._gizmo = Gizmo(page, "/region", COLOR, self._dragged)
        controls, frame = page.controls, page.frame
        power = math.floor(math.log10(frame.radius) - 2)
        step, self._digits = 10.0**power, 1 - power
        size = round(0.5 * frame.radius, self._digits)
        with controls.folder("Region"):
            self.shape = controls.dropdown("Shape", SHAPES, "Hidden", self.draw)
            self.center = controls.vector("Centre", as_vector(frame.center, self._digits), step, self.draw)
            self.size = controls.vector("Size", (size, size, size), step, self.draw, "Full lengths of the box")
            self.turn = controls.vector("Turn", (0.0, 0.0, 0.0), 1.0, self.draw, "Degrees about x, then y, then z")
            self.radius = controls.number("Radius", size / 2, 0.0, step=step, changed=self.draw, hint="Of the sphere")
            controls.button("Select region", self.select, color="orange")
            self.file = controls.text("File", "region.json", f"scene-depth heal --box FILE reads it; in {page.folder.path}")
            controls.buttons("Region", ["Save", "Load"], self.keep)

    def region(self) -> Region:
        """The region that the numbers say; a box while hidden.

        Raises:
            InputError: If a length is not positive.
        """
        if self.shape.value == "Sphere":
            return Sphere(as_vector(self.center.value), float(self.radius.value))
        quat = matrices_to_quaternions(euler_rotation(*self.turn.value))
        return Box(as_vector(self.center.value), as_vector(self.size.value), tuple(quat.tolist()))

    def set_region(self, region: Region) -> None:
        """Writes a region's numbers and draws it."""
        self.center.value = region.center
        if isinstance(region, Sphere):
            self.shape.value, self.radius.value = "Sphere", float(region.radius)
        else:
            self.shape.value, self.size.value, self.turn.value = "Box", region.size, degrees(region.rotation)
        self.draw()

    def draw(self, event: Any = None) -> None:
        """Draws gizmo and outline anew."""
        self._gizmo.show(lambda: None if self.shape.value == "Hidden" else self.region())

    def select(self, event: Any) -> None:
        """Selects the splats in the region."""
        session = self._page.session
        chosen = self.region().contains(session.splats.means.detach().double()).cpu()
        session.select(check_selection(chosen, "region"), self._chosen_mode(), "region")

    def keep(self, event: Any, what: str) -> None:
        """Writes the region as JSON, or reads one."""
        path = self._page.folder.file(self.file.value, [".json"])
        origin = np.array(splat_origin(self._page.session.original))  # files have the coordinates of the scene's files
        if what == "Load":
            region = read_region(path)
            self.set_region(replace(region, center=as_vector(np.array(region.center) - origin)))
        else:
            region = self.region()
            region = replace(region, center=as_vector(np.array(region.center) + origin))
            self._page.write(event, path, lambda: write_region(path, region))

    def _dragged(self, center: Vector, turn: Vector) -> None:
        self.center.value = as_vector(center, self._digits)
        if self.shape.value == "Box":
            self.turn.value = turn
