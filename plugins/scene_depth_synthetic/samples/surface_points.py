"""What a capture has seen: sparse points as structure from motion would find them, and what stays hidden behind the object."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.geometry.visibility import count_sightings
from scene_depth.scene import PointCloud
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.samples.capture import Picture

TOLERANCE = 0.01  # relative difference of depths that still counts as the same surface
LEAST_SIGHTINGS = 2


def sparse_points(cameras: Cameras, pictures: Sequence[Picture], *, count: int, seed: int) -> PointCloud:
    """Random surface points that two or more views see, coloured by one of them.

    Args:
        cameras: One for each picture.
        pictures: Views with the object.
        count: About how many points.
        seed: Of the choice.
    """
    dice, each = Dice(seed, 7), -(-count // len(pictures))
    positions, colors = [], []
    for index, picture in enumerate(pictures):
        height, width = picture.depth.shape
        chosen = np.array([dice.below(height * width) for _ in range(each)])
        chosen = np.unique(chosen[picture.depth.ravel()[chosen] > 0])
        world = _world_points(cameras[index], picture.depth).reshape(-1, 3)[chosen]
        seen = _sightings(world, cameras, pictures, range(len(pictures)), blocked=False)
        positions.append(world[seen >= LEAST_SIGHTINGS])
        colors.append(picture.image.reshape(-1, 3)[chosen][seen >= LEAST_SIGHTINGS])
    return PointCloud(np.concatenate(positions), np.concatenate(colors))


def unseen_shares(
    cameras: Cameras, pictures: Sequence[Picture], cleared: Sequence[Picture], training: Sequence[int]
) -> list[float | None]:
    """Share of each view's object pixels behind which there is a surface that no training view has seen.

    Args:
        cameras: One for each picture.
        pictures, cleared: Views with the object and without it.
        training: Indices of the views that are for training.

    Returns:
        For each view a number in [0, 1], or None where the object is not in sight.
    """
    shares: list[float | None] = []
    for index, (picture, truth) in enumerate(zip(pictures, cleared, strict=True)):
        behind = picture.mask & (truth.depth > 0)
        if not picture.mask.any():
            shares.append(None)
            continue
        world = _world_points(cameras[index], truth.depth)[behind]
        seen = _sightings(world, cameras, pictures, training, blocked=True)
        shares.append(float((seen == 0).sum()) / float(picture.mask.sum()))
    return shares


def _world_points(camera: Cameras, depth: NDArray[np.float32]) -> NDArray[np.float64]:
    return camera.unproject(torch.from_numpy(depth).double()[None])[0].numpy()


def _sightings(
    points: NDArray[np.float64], cameras: Cameras, pictures: Sequence[Picture], views: Sequence[int], *, blocked: bool
) -> NDArray[np.int64]:
    masks = [torch.from_numpy(pictures[i].mask if blocked else np.zeros_like(pictures[i].mask)) for i in views]
    depths = [torch.from_numpy(pictures[i].depth) for i in views]
    chosen = [cameras[i] for i in views]
    return count_sightings(torch.from_numpy(points), chosen, depths, masks, TOLERANCE).numpy()
