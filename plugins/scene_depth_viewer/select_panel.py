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
from scene_depth_heal.selection import Box, Region, Sphere, read_region, write_region
from scipy.spatial.transform import Rotation

from scene_depth.io.splat_files import splat_origin
from scene_depth.rotations import matrices_to_quaternions
from scene_depth.splat_transforms import euler_rotation
from scene_depth_viewer.drawing import region_mesh
from scene_depth_viewer.page import Page, Vector
from scene_depth_viewer.screen_tools import ScreenTools
from scene_depth_viewer.viser_versions import remove_tree

SHAPES = ("Hidden", "Box", "Sphere")
COLOR = (255, 140, 0)
GIZMO = 0.75  # length of the gizmo's arms in sizes of the region: they reach out of what it encloses


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
        self._gizmo: Any = None
        self._outline: Any = None
        controls, frame = page.controls, page.frame
        power = math.floor(math.log10(frame.radius) - 2)
        step, self._digits = 10.0**power, 1 - power
        size = round(0.5 * frame.radius, self._digits)
        with controls.folder("Region"):
            self.shape = controls.dropdown("Shape", SHAPES, "Hidden", self.draw)
            self.center = controls.vector("Centre", _rounded(frame.center, self._digits), step, self.draw)
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
            return Sphere(_vector(self.center.value), float(self.radius.value))
        quat = matrices_to_quaternions(euler_rotation(*self.turn.value))
        return Box(_vector(self.center.value), _vector(self.size.value), tuple(quat.tolist()))

    def set_region(self, region: Region) -> None:
        """Writes a region's numbers and draws it."""
        self.center.value = region.center
        if isinstance(region, Sphere):
            self.shape.value, self.radius.value = "Sphere", float(region.radius)
        else:
            self.shape.value, self.size.value, self.turn.value = "Box", region.size, _degrees(region.rotation)
        self.draw()

    def draw(self, event: Any = None) -> None:
        """Draws gizmo and outline anew."""
        if self._gizmo is not None:
            remove_tree(self._gizmo, self._outline)
        self._gizmo = self._outline = None
        if self.shape.value == "Hidden":
            return
        region, frame, scene = self.region(), self._page.frame, self._page.server.scene
        vertices, faces = region_mesh(region, frame.ratio)
        is_box = isinstance(region, Box)
        # Splats are drawn last: without a depth test the gizmo leaves no depth, and even those behind it would cover it.
        self._gizmo = scene.add_transform_controls(
            "/region",
            scale=GIZMO * frame.ratio * (max(region.size) if isinstance(region, Box) else 2 * region.radius),
            disable_rotations=not is_box,
            depth_test=True,
            wxyz=region.rotation if isinstance(region, Box) else (1.0, 0.0, 0.0, 0.0),
            position=frame.to_page(region.center),
        )
        self._outline = scene.add_mesh_simple("/region/outline", vertices=vertices, faces=faces, color=COLOR, side="double")
        self._gizmo.on_update(lambda _: self._page.try_to(self._dragged))

    def select(self, event: Any) -> None:
        """Selects the splats in the region."""
        session = self._page.session
        chosen = self.region().contains(session.splats.means.detach().double()).cpu()
        session.select(chosen, self._chosen_mode(), "region")
        if not bool(chosen.any()):
            self._page.complain(ValueError("No splat has its centre in the region."))

    def keep(self, event: Any, what: str) -> None:
        """Writes the region as JSON, or reads one."""
        path = self._page.folder.file(self.file.value, [".json"])
        origin = np.array(splat_origin(self._page.session.original))  # files have the coordinates of the scene's files
        if what == "Load":
            region = read_region(path)
            self.set_region(replace(region, center=_vector(np.array(region.center) - origin)))
        else:
            region = self.region()
            region = replace(region, center=_vector(np.array(region.center) + origin))
            self._page.write(event, path, lambda: write_region(path, region))

    def _dragged(self) -> None:
        self.center.value = _rounded(self._page.frame.to_scene(self._gizmo.position), self._digits)
        if self.shape.value == "Box":
            self.turn.value = _degrees(tuple(float(value) for value in self._gizmo.wxyz))


def _degrees(wxyz: tuple[float, ...]) -> Vector:
    """Angles of ``euler_rotation``, about the fixed axes x, y, z."""
    w, x, y, z = wxyz
    return _rounded(Rotation.from_quat([x, y, z, w]).as_euler("xyz", degrees=True), 3)


def _rounded(values: Any, digits: int) -> Vector:
    x, y, z = (round(float(value), digits) for value in values)
    return x, y, z


def _vector(values: Any) -> Vector:
    x, y, z = (float(value) for value in torch.as_tensor(values))
    return x, y, z
