"""Where an object can stand in a measured scene: on a level, free surface that many views see well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import sight
from scene_depth.scene import Scene
from scene_depth_synthetic.procedural.dice import Dice

SAME_SURFACE = 0.02  # relative depth difference between views on one surface
GRID = 72  # columns of the grid of pixels whose points describe the scene
CANDIDATES = 500
SHARE_OF_PICTURE = 0.3  # height of the object in the views that see it, as a share of their height
LEVEL = 0.97  # least cosine between a level surface's normal and up
NEARLY_UP = 0.8  # least cosine between the normals that decide what is up and the mean of the views' upward axes
SAME_DIRECTION = 0.995  # cosine from which normals count as one direction
FOOT_RIM, FOOT_REACH = 0.9, 1.35  # radii between which every sector of the foot must be carried
SECTORS = 8  # of the ring around the foot
ROUGH = 0.12  # largest deviation from a plane, in radii of the foot
INTRUSION = 0.04  # points inside the object's room, as a share of those below its foot
CLOSE_TO_BEST = 0.93
AXIS = (0.05, 0.35, 0.65, 1.0)  # heights along the object at which it must be in sight
MARGIN = 0.04  # of the picture's size, beside which a point does not count as in sight


Array = NDArray[np.float64]


@dataclass(frozen=True)
class Placement:
    """Where an object stands, in the frame and unit of the scene."""

    foot: tuple[float, float, float]  # point of the surface below its middle
    up: tuple[float, float, float]  # unit vector along its axis, away from the surface
    height: float  # its height
    level: bool  # whether the surface is level; on another one the object stands out from it
    views: tuple[str, ...]  # names of the views that see all of its axis


def find_placement(scene: Scene, slenderness: float, *, size: float | None = None, seed: int = 0) -> Placement:
    """A place for an object that many views see, near the middle of their pictures and before all surfaces.

    Points of a grid of pixels of all views describe the surfaces; random ones of them are tried as feet. One is good
    whose neighbourhood within the foot is a plane that carries it all round, above which no surface intrudes, and whose
    axis is in sight of views; level planes come first, and planes of any direction where there is none. Up is where most
    planes face that face about as the pictures' upward axes do. Among places about as good as the best the seed chooses.

    Args:
        scene: Views with depth.
        slenderness: Largest width of the object over its height.
        size: Height of the object in scene units; by default it fills 0.3 of the height of the pictures that see it.
        seed: Of the choice.

    Raises:
        InputError: If no depth is known, or nothing can stand anywhere in sight of two views.
    """
    depths = _depths(scene)
    cameras = [view.camera for view in scene.views]
    points = _surface_points(cameras, depths)
    dice = Dice(seed, 302)
    feet = points[[dice.below(len(points)) for _ in range(CANDIDATES)]]
    sights = [sight(torch.from_numpy(feet), *view, None, SAME_SURFACE).seen.numpy() for view in zip(cameras, depths, strict=True)]
    heights = [size or _fitting_height(foot, cameras, seen) for foot, seen in zip(feet, np.stack(sights, axis=1), strict=True)]
    surfaces = _Surfaces(points, cKDTree(points))
    grounds = [surfaces.ground(foot, 0.5 * slenderness * height) for foot, height in zip(feet, heights, strict=True)]
    up = _vertical(grounds, _upward(cameras))
    toward = np.mean([camera.centers[0].double().numpy() for camera in cameras], axis=0)
    for level in (True, False):
        found = []
        for foot, height, ground in zip(feet, heights, grounds, strict=True):
            if ground is None:
                continue
            axis = up if level else ground.normal * np.sign(ground.normal @ (toward - foot))
            if level and abs(ground.normal @ up) < LEVEL:
                continue
            foot = foot + axis * ground.top(axis, foot)
            if surfaces.is_free(foot, axis, height, 0.5 * slenderness * height, len(ground.around)):
                clear, score = _in_sight(foot, axis, height, cameras, depths)
                if len(clear) >= 2:
                    found.append((score, foot, axis, height, clear))
        if found:
            best = max(entry[0] for entry in found)
            _, foot, axis, height, clear = dice.choice([entry for entry in found if entry[0] >= CLOSE_TO_BEST * best])
            names = tuple(scene.views[index].name for index in clear)
            return Placement(_tuple(foot), _tuple(axis), float(height), level, names)
    lacking = "no surface that an object could stand on in sight of two views"
    raise InputError("scene", lacking, "overlapping views with depth", file=scene.source)


def _depths(scene: Scene) -> list[torch.Tensor]:
    depths = (view.depth() for view in scene.views)
    known = (np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32) for depth in depths)
    found = [torch.from_numpy(depth).double() for depth in known]
    if not any(bool((depth > 0).any()) for depth in found):
        raise InputError("depth", "no known pixel in any view", "a scene with measured depth", file=scene.source)
    return found


def _surface_points(cameras: list[Cameras], depths: list[torch.Tensor]) -> Array:
    """World points of a grid of pixels of all views  # [P, 3]"""
    found = []
    for camera, depth in zip(cameras, depths, strict=True):
        step = max(1, round(camera.width / GRID))
        world = camera.unproject(depth[None])[0][step // 2 :: step, step // 2 :: step]
        found.append(world[depth[step // 2 :: step, step // 2 :: step] > 0].numpy())
    return np.concatenate(found).astype(np.float64)


def _upward(cameras: list[Cameras]) -> Array:
    """Mean of what is up in the pictures, a unit vector  # [3]"""
    mean = -np.mean([camera.camera_to_world[0, :3, 1].double().numpy() for camera in cameras], axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))


def _fitting_height(foot: Array, cameras: list[Cameras], seen: NDArray[np.bool_]) -> float:
    """A height at which the object fills the wanted share of the pictures that see its foot."""
    extents = []
    for index in np.flatnonzero(seen):
        _, z = cameras[index].project(torch.from_numpy(foot[None]))
        extents.append(float(z[0, 0]) * cameras[index].height / float(cameras[index].K[0, 1, 1]))
    return SHARE_OF_PICTURE * float(np.median(extents)) if extents else 0.0


@dataclass(frozen=True)
class _Ground:
    """The plane below a foot: its unit normal of either sign, and the points that lie there  # [P, 3]"""

    normal: Array
    around: Array

    def top(self, axis: Array, foot: Array) -> float:
        """How far the ground's noise rises above the foot; lower, it would cut the object's lower rim."""
        return float(np.percentile((self.around - foot) @ axis, 95))


@dataclass(frozen=True)
class _Surfaces:
    """Points of all surfaces  # [P, 3]"""

    points: Array
    tree: cKDTree

    def ground(self, foot: Array, radius: float) -> _Ground | None:
        """The plane that carries a round foot on all sides; None where there is none."""
        if radius <= 0:
            return None
        around = self.points[self.tree.query_ball_point(foot, FOOT_REACH * radius)]
        if len(around) < 2 * SECTORS:
            return None
        middle = around.mean(axis=0)
        spread, directions = np.linalg.eigh(np.cov((around - middle).T))
        if spread[0] > (ROUGH * radius) ** 2:
            return None
        x, y = (around - foot) @ directions[:, 2], (around - foot) @ directions[:, 1]
        outside = x * x + y * y > (FOOT_RIM * radius) ** 2
        sectors = np.floor((np.arctan2(y, x) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
        if len(set(sectors[outside])) < SECTORS:
            return None
        return _Ground(directions[:, 0], around)

    def is_free(self, foot: Array, axis: Array, height: float, radius: float, below: int) -> bool:
        """Whether nothing is in the object's room, but for stray points: fewer than a share of those below it."""
        room = self.points[self.tree.query_ball_point(foot + 0.55 * height * axis, 0.55 * height + radius)] - foot
        rise = room @ axis
        inside = np.linalg.norm(room - rise[:, None] * axis, axis=1) < 1.15 * radius
        return int((inside & (rise > 0.08 * height) & (rise < 1.05 * height)).sum()) <= INTRUSION * below


def _vertical(grounds: list[_Ground | None], upward: Array) -> Array:
    """The direction near ``upward`` in which most planes face: floors and tables say better than cameras what is up  # [3]"""
    normals = [ground.normal * np.sign(ground.normal @ upward) for ground in grounds if ground is not None]
    normals = [normal for normal in normals if normal @ upward > NEARLY_UP]
    if not normals:
        return upward
    stacked = np.stack(normals)
    alike = stacked @ stacked.T > SAME_DIRECTION
    mean = stacked[alike[int(alike.sum(axis=1).argmax())]].mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


def _in_sight(
    foot: Array, axis: Array, height: float, cameras: list[Cameras], depths: list[torch.Tensor]
) -> tuple[list[int], float]:
    """Views that see the whole axis before all surfaces, and how well all together do: 1 a view with it in the middle."""
    points = torch.from_numpy(foot + height * np.array(AXIS)[:, None] * axis)
    clear, score = [], 0.0
    for index, (camera, depth) in enumerate(zip(cameras, depths, strict=True)):
        pixels, z = (values[0] for values in camera.project(points))
        size = torch.tensor([camera.width, camera.height], dtype=pixels.dtype)
        if not bool(((pixels > MARGIN * size) & (pixels < (1 - MARGIN) * size)).all() and (z > 0).all()):
            continue
        surface = depth[pixels[:, 1].long(), pixels[:, 0].long()]
        if bool(((surface == 0) | (z <= (1 + SAME_SURFACE) * surface)).all()):
            off_center = float((pixels.mean(dim=0) / size - 0.5).norm())
            clear.append(index)
            score += 1.0 - off_center
    return clear, score


def _tuple(values: Array) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
