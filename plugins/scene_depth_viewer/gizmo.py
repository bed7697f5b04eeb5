"""Handles on the page's scene: a region that one shifts by arrows and, if it is a box, turns by rings."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from scene_depth_heal.selection import Box, Region
from scipy.spatial.transform import Rotation

from scene_depth_viewer.drawing import region_mesh
from scene_depth_viewer.page import Page, Vector
from scene_depth_viewer.viser_versions import remove_tree

ARMS = 0.75  # length of the arrows in sizes of the region: they reach out of what it encloses


class Gizmo:
    """The handles of one region, with its outline.

    Args:
        page: Where they stand.
        name: Of the node in the page's scene.
        color: Of the outline, 0 to 255.
        dragged: Gets where a person has put it: its centre in scene units, and its turn in degrees about x, then y, then z.
    """

    def __init__(self, page: Page, name: str, color: tuple[int, int, int], dragged: Callable[[Vector, Vector], None]):
        self._page, self._name, self._color, self._tell = page, name, color, dragged
        self._handles: Any = None
        self._outline: Any = None
        self._lock = threading.Lock()

    def show(self, place: Callable[[], Region | None]) -> None:
        """Draws the handles at a region, in place of those before; None takes them away.

        Args:
            place: Gives the region. It is asked when its turn comes, so that what is drawn last is the newest.
        """
        with self._lock:
            region = place()
            if self._handles is not None:
                remove_tree(self._handles, self._outline)
            self._handles = self._outline = None
            if region is None:
                return
            frame, scene, is_box = self._page.frame, self._page.server.scene, isinstance(region, Box)
            vertices, faces = region_mesh(region, frame.ratio)
            # Splats are drawn last: without a depth test the handles leave no depth, and even those behind would cover them.
            self._handles = handles = scene.add_transform_controls(
                self._name,
                scale=ARMS * frame.ratio * (max(region.size) if isinstance(region, Box) else 2 * region.radius),
                disable_rotations=not is_box,
                depth_test=True,
                wxyz=region.rotation if isinstance(region, Box) else (1.0, 0.0, 0.0, 0.0),
                position=frame.to_page(region.center),
            )
            outline = f"{self._name}/outline"
            self._outline = scene.add_mesh_simple(outline, vertices=vertices, faces=faces, color=self._color, side="double")
            handles.on_update(lambda _: self._page.try_to(partial(self._dragged, handles)))

    def _dragged(self, handles: Any) -> None:
        self._tell(as_vector(self._page.frame.to_scene(handles.position)), degrees(handles.wxyz))


def degrees(wxyz: Any) -> Vector:
    """Angles of ``euler_rotation``, about the fixed axes x, y, z, of a unit quaternion, w first."""
    w, x, y, z = (float(value) for value in wxyz)
    return as_vector(Rotation.from_quat([x, y, z, w]).as_euler("xyz", degrees=True), 3)


def as_vector(values: Any, digits: int | None = None) -> Vector:
    """Three numbers as a field of the panel takes them, rounded to so many digits after the point."""
    x, y, z = (float(value) if digits is None else round(float(value), digits) for value in torch.as_tensor(values))
    return x, y, z
