"""Between the scene's frame and the page's: one scale, so that browsers draw tiny and huge scenes alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scene_depth.cameras import Cameras, camera_from_fov, look_at
from scene_depth.rotations import matrices_to_quaternions, quaternions_to_matrices
from scene_depth.splats import GaussianSplats

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
RADIUS = 5.0  # of the scene on the page: far from float16's limits, in which viser sends covariances
SAMPLE = 50_000


@dataclass(frozen=True)
class PagePose:
    """A camera on the page, OpenCV axes.

    Attributes:
        wxyz: Rotation from the camera's axes to the page's, w first  # [4]
        position: In page units  # [3]
        fov: Vertical field of view in radians.
    """

    wxyz: tuple[float, float, float, float]
    position: tuple[float, float, float]
    fov: float


@dataclass(frozen=True)
class PageFrame:
    """The page's frame: axes and origin of the scene, its own unit.

    Attributes:
        ratio: Page units a scene unit.
        up: Upward direction, unit length  # [3]
        center: Middle of the scene in scene units  # [3]
        radius: Reach of the scene's bulk around it, in scene units.
    """

    ratio: float
    up: NDArray[np.float64]
    center: NDArray[np.float64]
    radius: float

    def to_page(self, points: NDArray[np.floating] | tuple[float, ...]) -> NDArray[np.float64]:
        """Page coordinates of scene points  # [..., 3]"""
        return np.asarray(points, dtype=np.float64) * self.ratio

    def to_scene(self, points: NDArray[np.floating] | tuple[float, ...]) -> NDArray[np.float64]:
        """Scene coordinates of page points  # [..., 3]"""
        return np.asarray(points, dtype=np.float64) / self.ratio

    def pose(self, camera: Cameras) -> PagePose:
        """Where the page's camera has to be to stand where a camera of the scene stands."""
        matrix = camera.camera_to_world[0].cpu().double()
        fov = 2 * math.atan(camera.height / (2 * float(camera.K[0, 1, 1])))
        w, x, y, z = matrices_to_quaternions(matrix[:3, :3]).tolist()
        px, py, pz = self.to_page(matrix[:3, 3].numpy()).tolist()
        return PagePose((w, x, y, z), (px, py, pz), fov)

    def camera(self, pose: PagePose, aspect: float, size: int) -> Cameras:
        """Camera of the scene that sees what the page sees, with ``size`` pixels on its longer side."""
        matrix = torch.eye(4, dtype=torch.float64)
        matrix[:3, :3] = quaternions_to_matrices(torch.tensor(pose.wxyz, dtype=torch.float64))
        matrix[:3, 3] = torch.from_numpy(self.to_scene(pose.position))
        width, height = (size, size / aspect) if aspect >= 1 else (size * aspect, size)
        return camera_from_fov(matrix, pose.fov, max(1, round(width)), max(1, round(height)))


def page_frame(splats: GaussianSplats, cameras: Sequence[Cameras], up: Axis | None = None) -> PageFrame:
    """The frame for a scene; up is by default what the cameras have in common, or -y, as most capture programs leave it."""
    means = splats.means.detach()[:: max(1, len(splats) // SAMPLE)].cpu().double().numpy()
    means = means[np.isfinite(means).all(axis=1)]
    center = np.median(means, axis=0) if len(means) else np.zeros(3)
    distance = np.linalg.norm(means - center, axis=1) if len(means) else np.ones(1)
    radius = float(np.quantile(distance, 0.8)) or 1.0
    down = np.array([0.0, 1.0, 0.0])
    if up is not None:
        down = np.eye(3)["xyz".index(up[-1])] * (1.0 if up.startswith("-") else -1.0)
    elif cameras:
        mean = np.mean([camera.camera_to_world[0, :3, 1].cpu().double().numpy() for camera in cameras], axis=0)
        down = mean if np.linalg.norm(mean) > 0.1 else down
    return PageFrame(RADIUS / radius, -down / np.linalg.norm(down), center, radius)


def start_camera(frame: PageFrame, cameras: Sequence[Cameras]) -> Cameras:
    """The camera closest to the middle of all cameras; without cameras, one that has the scene's bulk in its picture."""
    if cameras:
        centers = np.stack([camera.centers[0].cpu().double().numpy() for camera in cameras])
        return cameras[int(np.linalg.norm(centers - centers.mean(axis=0), axis=1).argmin())]
    side = np.cross(frame.up, [0.0, 0.0, 1.0] if abs(frame.up[2]) < 0.9 else [1.0, 0.0, 0.0])
    back = np.cross(side, frame.up)
    position = frame.center + frame.radius * (2.2 * back / np.linalg.norm(back) + 0.6 * frame.up)
    pose = look_at(torch.from_numpy(position), torch.from_numpy(frame.center), torch.from_numpy(frame.up))
    return camera_from_fov(pose, math.radians(50), 640, 480)


def frustum_size(frame: PageFrame, cameras: Sequence[Cameras]) -> float:
    """Scale of the cameras' frusta in page units: neighbours do not cover each other (viser draws them 2 to 3 times as deep)."""
    centers = np.stack([camera.centers[0].cpu().double().numpy() for camera in cameras])
    if len(centers) < 2:
        return 0.05 * RADIUS
    spacing = float(np.median(cKDTree(centers).query(centers, k=2)[0][:, 1])) * frame.ratio
    return float(np.clip(0.25 * spacing, 0.005 * RADIUS, 0.05 * RADIUS))


def orbit_distance(frame: PageFrame, camera: Cameras, splats: GaussianSplats) -> float:
    """Distance, in scene units, of what the middle of a camera's picture shows: the point to turn around."""
    means = splats.means.detach()[:: max(1, len(splats) // SAMPLE)].cpu().double()
    pixels, z = camera.project(means)
    size = torch.tensor([camera.width, camera.height], dtype=pixels.dtype)
    middle = (z[0] > 0) & ((pixels[0] / size - 0.5).abs() < 0.25).all(1)
    return float(z[0][middle].median()) if middle.any() else frame.radius
