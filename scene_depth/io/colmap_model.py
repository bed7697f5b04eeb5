"""What a COLMAP model says: cameras, posed images and points with the images that see them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from scene_depth.io.distortion import LensCamera

MODEL_FILES = ("cameras", "images", "points3D")
NO_POINT = -1  # id of "this key point belongs to no 3D point"; all bits set in binary files


@dataclass(frozen=True)
class ColmapImage:
    """One posed image.

    Attributes:
        id: Number of the image in this model.
        name: Path below the image folder.
        quat: World to camera rotation, w first  # [4]
        translation: World to camera translation  # [3]
        camera_id: Number of its camera.
        keypoints: Image points, first pixel centre at (0.5, 0.5); left empty on reading  # [M, 2]
        keypoint_points: Numbers of their 3D points, or ``NO_POINT``  # [M]
    """

    id: int
    name: str
    quat: NDArray[np.float64]
    translation: NDArray[np.float64]
    camera_id: int
    keypoints: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))
    keypoint_points: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class ColmapPoints:
    """3D points and their tracks.

    Attributes:
        ids: Numbers of the points  # [P]
        xyz: Positions  # [P, 3]
        rgb: Colours  # [P, 3]
        errors: Mean reprojection errors in pixels  # [P]
        track_ends: Where the track of each point ends in the two arrays below  # [P]
        track_images: Numbers of the images  # [T]
        track_keypoints: Indices of the key points in those images  # [T]
    """

    ids: NDArray[np.int64]
    xyz: NDArray[np.float64]
    rgb: NDArray[np.uint8]
    errors: NDArray[np.float64]
    track_ends: NDArray[np.int64]
    track_images: NDArray[np.int64]
    track_keypoints: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ColmapModel:
    """A whole model; cameras by number, images in file order."""

    cameras: dict[int, LensCamera]
    images: tuple[ColmapImage, ...]
    points: ColmapPoints


def no_points() -> ColmapPoints:
    """A model without 3D points."""
    empty = np.zeros(0, np.int64)
    return ColmapPoints(empty, np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0), empty, empty, empty)


def camera_parameters(camera: LensCamera) -> list[float]:
    """Parameters in the order of COLMAP's files."""
    focal = [camera.fx] if camera.model.focal_lengths == 1 else [camera.fx, camera.fy]
    return [*focal, camera.cx, camera.cy, *camera.coefficients]
