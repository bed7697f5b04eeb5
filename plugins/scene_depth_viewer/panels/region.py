"""Box and sphere: a gizmo on the page, typed numbers, and the JSON file that ``scene-depth heal`` takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from scene_depth_heal.regions import Box, Region, Sphere, read_region, write_region
from scipy.spatial.transform import Rotation

from scene_depth.rotations import matrices_to_quaternions
from scene_depth.splat_transforms import euler_rotation
from scene_depth_viewer.picking import Mode
from scene_depth_viewer.viser_versions import add_buttons, remove_tree
from scene_depth_viewer.wireframes import region_mesh

if TYPE_CHECKING:
    from scene_depth_viewer.viewer import Viewer

SHAPES = ("Hidden", "Box", "Sphere")
COLOR = (255, 140, 0)
GIZMO = 0.75  # length of the gizmo's arms in sizes of the region: they reach out of what it encloses
Vector = tuple[float, float, float]


class RegionFolder:
    """The region's folder. Its typed numbers are the region; the gizmo writes them and is placed by them.

    Args:
        viewer: The page.
        chosen_mode: What selecting does to the selection.
    """

    def __init__(self, viewer: Viewer, chosen_mode: Callable[[], Mode]):
        self._viewer, self._chosen_mode = viewer, chosen_mode
        self._gizmo: Any = None
        self._outline: Any = None
        gui, frame = viewer.server.gui, viewer.frame
        power = math.floor(math.log10(frame.radius) - 2)
        step, self._digits = 10.0**power, 1 - power
        size = round(0.5 * frame.radius, self._digits)
        with gui.add_folder("Region"):
            self.shape = gui.add_dropdown("Shape", options=list(SHAPES), initial_value="Hidden")
            self.center = gui.add_vector3("Centre", initial_value=_rounded(frame.center, self._digits), step=step)
            self.size = gui.add_vector3("Size", initial_value=(size, size, size), step=step, hint="Full lengths of the box")
            self.turn = gui.add_vector3("Turn", initial_value=(0.0, 0.0, 0.0), step=1.0, hint="Degrees about x, then y, then z")
            self.radius = gui.add_number("Radius", initial_value=size / 2, step=step, hint="Of the sphere")
            self.apply = gui.add_button("Select region", color="orange")
            self.file = gui.add_text("File", initial_value="region.json", hint="scene-depth heal --box FILE reads it")
            add_buttons(
                gui, "Region", ["Save", "Load"], viewer.guarded(lambda _, what: self.save() if what == "Save" else self.load())
            )
        for field in (self.shape, self.center, self.size, self.turn, self.radius):
            field.on_update(viewer.guarded(lambda event: self.draw()))
        self.apply.on_click(viewer.guarded(lambda event: self.select()))

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

    def draw(self) -> None:
        """Draws gizmo and outline anew."""
        if self._gizmo is not None:
            remove_tree(self._gizmo, self._outline)
        self._gizmo = self._outline = None
        if self.shape.value == "Hidden":
            return
        region, frame, scene = self.region(), self._viewer.frame, self._viewer.server.scene
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
        self._gizmo.on_update(lambda _: self._dragged())

    def select(self) -> None:
        """Selects the splats in the region."""
        session = self._viewer.session
        chosen = self.region().contains(session.splats.means.detach().double()).cpu()
        session.select(chosen, self._chosen_mode(), "region")
        if not bool(chosen.any()):
            self._viewer.complain(ValueError("No splat has its centre in the region."))

    def save(self) -> None:
        """Writes the region as JSON."""
        write_region(Path(self.file.value).expanduser(), self.region())

    def load(self) -> None:
        """Reads a region from JSON."""
        self.set_region(read_region(Path(self.file.value).expanduser()))

    def _dragged(self) -> None:
        self.center.value = _rounded(self._viewer.frame.to_scene(self._gizmo.position), self._digits)
        if self.shape.value == "Box":
            self.turn.value = _degrees(tuple(float(value) for value in self._gizmo.wxyz))


def add_region_folder(viewer: Viewer, chosen_mode: Callable[[], Mode]) -> RegionFolder:
    """Adds the folder."""
    return RegionFolder(viewer, chosen_mode)


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
