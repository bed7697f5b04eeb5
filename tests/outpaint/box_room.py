"""A box room whose true depth and colours are known from everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.scene import View


@dataclass(frozen=True)
class Room:
    """A room 4 x 3 x 4 units large, with a pillar in it if asked.

    Attributes:
        size: Pixels along the side of its pictures.
        pillar: Whether an upright box stands before the far wall.
    """

    size: int = 64
    pillar: bool = False

    def camera(self, yaw: float = 0.0, position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Cameras:
        """A camera of 90 degrees."""
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
        pose[:3, 3] = position
        return camera_from_fov(torch.from_numpy(pose), math.radians(90), self.size, self.size)

    def seen(self, camera: Cameras) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Colours and z-depth from a camera inside."""
        rays, center = camera.ray_directions()[0].double().numpy(), camera.centers[0].double().numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(rays > 0, (np.array([2, 1.5, 2]) - center) / rays, (np.array([-2, -1.5, -2]) - center) / rays).min(-1)
            if self.pillar:
                ends = np.stack([(np.array(side) - center) / rays for side in ((-0.3, -2, 1.0), (0.3, 2, 1.3))])
                near, far = ends.min(0).max(-1), ends.max(0).min(-1)
                z = np.where((near < far) & (near > 0) & (near < z), near, z)
        rgb = 0.5 + 0.4 * np.sin(4 * (center + rays * z[..., None]))
        return (np.rint(255 * rgb) / 255).astype(np.float32), z.astype(np.float32)

    def view(self, yaw: float = 0.0, position: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> View:
        """What a camera sees, as a view."""
        camera = self.camera(yaw, position)
        rgb, depth = self.seen(camera)
        return View("start.png", camera, load_image=lambda: rgb, load_depth=lambda: depth)


ROOM, PILLARED = Room(), Room(pillar=True)
