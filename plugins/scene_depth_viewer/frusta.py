"""The photos' cameras in the 3D scene of one browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import viser
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth_viewer.page_frame import PageFrame
from scene_depth_viewer.viser_versions import remove_tree

COLOR = (60, 120, 200)
DEPTH = 3.0  # about how deep viser draws a frustum, in its scale
BALL = 0.3  # radius of the ball at a frustum's tip, in its scale


class Frusta:
    """Frusta that can be clicked; those that the browser stands in are hidden, as their lines would cross its view.

    They carry no pictures, which would hide the scene from whoever stands at one, but a ball at the tip: the lines alone
    are too thin to hit.

    Args:
        scene: Of the browser.
        frame: The page's frame.
        cameras: Of the photos.
        clicked: Gets the number of a photo that was clicked.
    """

    def __init__(self, scene: viser.SceneApi, frame: PageFrame, cameras: Sequence[Cameras], clicked: Callable[[int], None]):
        self._scene, self._frame, self._cameras, self._clicked = scene, frame, cameras, clicked
        self._places = np.array([frame.pose(camera).position for camera in cameras]).reshape(-1, 3)
        self._nodes: list[Any] = []
        self._balls: list[Any] = []
        self._size = 0.0
        self._position: NDArray | None = None
        self._lock = threading.Lock()

    def draw(self, size: float) -> None:
        """Draws them in a size in page units; 0 draws none."""
        with self._lock:
            for node, ball in zip(self._nodes, self._balls, strict=True):
                remove_tree(node, ball)
            self._size = size
            drawn = range(len(self._cameras)) if size > 0 else ()
            self._nodes = [self._node(number) for number in drawn]
            self._balls = [self._ball(number) for number in drawn]
        if self._position is not None:
            self.hide_around(self._position)

    def hide_around(self, position: NDArray) -> None:
        """Hides those that a place on the page lies in, or nearly."""
        self._position = position
        near = np.linalg.norm(self._places - position, axis=1) < DEPTH * self._size
        with self._lock:
            for number, node in enumerate(self._nodes):
                if node.visible == bool(near[number]):
                    node.visible = not near[number]

    def _node(self, number: int) -> Any:
        camera = self._cameras[number]
        pose = self._frame.pose(camera)
        node = self._scene.add_camera_frustum(
            f"/photos/{number:04d}",
            fov=pose.fov,
            aspect=camera.width / camera.height,
            scale=self._size,
            color=COLOR,
            wxyz=pose.wxyz,
            position=pose.position,
        )
        node.on_click(partial(self._click, number))
        return node

    def _ball(self, number: int) -> Any:
        ball = self._scene.add_icosphere(f"/photos/{number:04d}/ball", radius=BALL * self._size, color=COLOR, subdivisions=1)
        ball.on_click(partial(self._click, number))
        return ball

    def _click(self, number: int, _: Any) -> None:
        self._clicked(number)
