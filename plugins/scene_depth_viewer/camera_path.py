"""A camera path by key frames: smooth between them, saved as nerfstudio saves its paths."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation, RotationSpline

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.camera_paths import OPENGL_TO_OPENCV, read_camera_path

MOST_FRAMES = 20_000


@dataclass(frozen=True)
class Key:
    """A key frame.

    Attributes:
        camera_to_world: Pose, OpenCV axes, in scene units  # [4, 4]
        fov: Vertical field of view in radians.
    """

    camera_to_world: NDArray[np.float64]
    fov: float


@dataclass
class CameraPath:
    """Key frames in order, as far apart in time as ``seconds`` says.

    Attributes:
        keys: The key frames.
        seconds: Between two key frames.
        fps: Frames a second.
        closed: Whether the path returns to its start.
    """

    keys: list[Key] = field(default_factory=list)
    seconds: float = 2.0
    fps: float = 24.0
    closed: bool = False

    def frames(self) -> list[Key]:
        """The poses of all frames: positions on a C2 cubic spline, rotations on one of the same order, fov monotone.

        Raises:
            InputError: If there are no two key frames, or far too many frames.
        """
        if len(self.keys) < 2:
            raise InputError("camera path", f"{len(self.keys)} key frames", "two or more")
        keys = [*self.keys, self.keys[0]] if self.closed else self.keys
        count = round((len(keys) - 1) * self.seconds * self.fps) + 1
        if not 2 <= count <= MOST_FRAMES:
            raise InputError("camera path", f"{count} frames", f"2 to {MOST_FRAMES}: seconds x frames a second")
        times = np.linspace(0, len(keys) - 1, count)
        at = np.arange(len(keys), dtype=float)
        poses = np.stack([key.camera_to_world for key in keys])
        ends = "periodic" if self.closed else "natural"
        positions = CubicSpline(at, poses[:, :3, 3], bc_type=ends)(times)
        rotations = RotationSpline(at, Rotation.from_matrix(poses[:, :3, :3]))(times).as_matrix()
        fovs = PchipInterpolator(at, [key.fov for key in keys])(times)
        matrices = np.tile(np.eye(4), (count, 1, 1))
        matrices[:, :3, :3], matrices[:, :3, 3] = rotations, positions
        return [Key(matrix, float(fov)) for matrix, fov in zip(matrices, fovs, strict=True)]


def key_of(camera: Cameras) -> Key:
    """The key frame that stands where a camera stands."""
    fov = 2 * math.atan(camera.height / (2 * float(camera.K[0, 1, 1])))
    return Key(camera.camera_to_world[0].cpu().double().numpy(), fov)


def camera_of(key: Key, width: int, height: int) -> Cameras:
    """The camera of a frame, of a size in pixels."""
    return camera_from_fov(torch.from_numpy(np.ascontiguousarray(key.camera_to_world)), key.fov, width, height)


def write_path(path: str | PathLike[str], keys: Sequence[Key], fps: float, width: int, height: int) -> None:
    """Writes frames as nerfstudio's camera path, which ``scene-depth render --path`` and ``ns-render`` read.

    Args:
        path: JSON file.
        keys: The frames, or the key frames alone.
        fps: Frames a second.
        width, height: Of the pictures in pixels.
    """
    to_opengl = OPENGL_TO_OPENCV.numpy()
    content = {
        "camera_type": "perspective",
        "render_width": width,
        "render_height": height,
        "fps": fps,
        "seconds": len(keys) / fps,
        "camera_path": [
            {
                "camera_to_world": (key.camera_to_world @ to_opengl).ravel().tolist(),
                "fov": math.degrees(key.fov),
                "aspect": width / height,
            }
            for key in keys
        ],
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_keys(path: str | PathLike[str]) -> list[Key]:
    """Reads the cameras of a path as key frames.

    Raises:
        InputError: If the file is no camera path.
    """
    cameras, _ = read_camera_path(path)
    return [key_of(cameras[index]) for index in range(len(cameras))]
