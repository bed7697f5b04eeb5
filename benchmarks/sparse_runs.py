"""Pointmap results simulated from scenes with true depth: what a model of the DUSt3R family gets wrong, with the truth beside it.

Depth errors multiply the true depth: a factor a view, a smooth field everywhere, and in what no other view sees a larger smooth
field and a factor a surface, both of which grow with the distance to what other views see. Edges are blurred, cameras turned,
moved and of another focal length. A view never has a step where a region begins that no other view sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scene_depth_sparse.comparison import PosedDepth, compare_depth
from scipy import ndimage
from scipy.spatial.transform import Rotation

from scene_depth.arrays import Array, Mask
from scene_depth.cameras import Cameras
from scene_depth.pointmaps import PointmapRun, PointmapView
from scene_depth.scene import Scene

REACH = 0.04  # of the width: distance over which the errors of unmatched regions grow
TRULY_MATCHED = 0.01  # relative difference of true depth in another view
EDGE_STEP = 0.08
PRIOR_ERROR = 0.06


@dataclass(frozen=True)
class Level:
    """How wrong a simulated run is; standard deviations.

    Attributes:
        focal: Of the logarithm of the focal length.
        rotation: Of the rotation of each pose, in degrees.
        translation: Of the position of each pose, in medians of the distance to the next view.
        view: Of the logarithm of the depth of a view as a whole.
        matched: Of the smooth error of the logarithm of depth everywhere.
        unmatched: Of the smooth error where no other view sees the surface.
        surface: Of the factor of each surface there.
    """

    focal: float
    rotation: float
    translation: float
    view: float
    matched: float
    unmatched: float
    surface: float


LEVELS = {
    "mild": Level(0.01, 0.2, 0.01, 0.005, 0.01, 0.05, 0.03),
    "typical": Level(0.03, 0.7, 0.03, 0.015, 0.02, 0.10, 0.06),
    "wrong10": Level(0.03, 0.7, 0.03, 0.015, 0.02, 0.15, 0.15),
    "wrong20": Level(0.03, 0.7, 0.03, 0.015, 0.02, 0.30, 0.25),
    "bad": Level(0.06, 1.5, 0.06, 0.03, 0.04, 0.20, 0.12),
}


@dataclass(frozen=True)
class SimulatedRun:
    """A run and what is true of it.

    Attributes:
        run: As a reader would give it.
        depth: True z-depth of each view, 0 = not known  # [H, W]
        cameras: True cameras.
        unmatched: Pixels whose surface no other view sees  # [H, W] bool
        priors: A monocular prediction of each view, 6 % off, of another scale  # [H, W]
    """

    run: PointmapRun
    depth: tuple[NDArray[np.float32], ...]
    cameras: tuple[Cameras, ...]
    unmatched: tuple[Mask, ...]
    priors: tuple[NDArray[np.float32], ...]


def simulate_run(scene: Scene, level: Level, count: int, seed: int, width: int = 320) -> SimulatedRun:
    """Simulates what a model would give for evenly spaced views of a scene.

    Args:
        scene: Posed views with true depth.
        level: How wrong.
        count: Number of views.
        seed: Seed of everything random.
        width: Width of the processed pictures; each n-th pixel of the scene's is taken.
    """
    rng = np.random.default_rng(seed)
    views = [scene.views[i] for i in np.linspace(0, len(scene) - 1, count).round().astype(int)]
    stride = max(1, round(views[0].camera.width / width))
    cameras = [_strided(view.camera, stride) for view in views]
    depths = [np.ascontiguousarray(view.depth()[::stride, ::stride]) for view in views]
    images = [np.ascontiguousarray(view.image()[::stride, ::stride]) for view in views]
    posed = [PosedDepth.of(depth, camera) for depth, camera in zip(depths, cameras, strict=True)]
    unmatched = [_unmatched(i, posed) for i in range(count)]
    centers = torch.cat([camera.centers for camera in cameras])
    baseline = float(torch.cdist(centers, centers).fill_diagonal_(math.inf).amin(1).median()) if count > 1 else 0.0
    made, priors = [], []
    for view, camera, depth, image, alone in zip(views, cameras, depths, images, unmatched, strict=True):
        raw = depth * np.exp(_log_error(depth, alone, level, rng))
        raw = _blur_edges(raw, depth, rng.uniform(1.5, 2.0) * depth.shape[1] / 512).astype(np.float32)
        made.append(PointmapView(view.name, _perturbed(camera, level, baseline, rng), raw, image=image))
        prior = 1.3 * depth * np.exp(PRIOR_ERROR * 1.25 * _smooth_field(depth.shape, (3, 4), rng))
        priors.append(np.where(depth > 0, prior, np.median(prior[depth > 0])).astype(np.float32))
    return SimulatedRun(PointmapRun(tuple(made), "simulated"), tuple(depths), tuple(cameras), tuple(unmatched), tuple(priors))


def _strided(camera: Cameras, stride: int) -> Cameras:
    """The camera of every n-th pixel, whose centres stay where they are."""
    K = camera.K.clone()
    K[:, :2] /= stride
    K[:, :2, 2] += 0.5 - 0.5 / stride
    return replace(camera, K=K, width=-(-camera.width // stride), height=-(-camera.height // stride))


def _unmatched(i: int, views: list[PosedDepth]) -> Mask:
    seen = np.zeros(views[i].depth.shape, dtype=bool)
    for j, other in enumerate(views):
        if j != i:
            seen |= np.abs(compare_depth(views[i], other)) <= TRULY_MATCHED
    alone: Mask = ~seen & (views[i].depth > 0)
    return alone


def _smooth_field(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator) -> Array:
    """A smooth random field of zero mean and unit variance  # [H, W]"""
    nodes = rng.standard_normal((cells[0] + 1, cells[1] + 1))
    rows, columns = (np.linspace(0, cell, size) for cell, size in zip(cells, shape, strict=True))
    field: Array = ndimage.map_coordinates(nodes, np.meshgrid(rows, columns, indexing="ij"), order=3, mode="nearest")
    unit: Array = (field - field.mean()) / field.std()
    return unit


def _edges(depth: Array) -> Mask:
    """Pixels beside a step of the depth; unknown pixels are no step  # [H, W]"""
    nearest = ndimage.minimum_filter(np.where(depth > 0, depth, np.inf), 3)
    farthest = ndimage.maximum_filter(depth, 3)
    step: Mask = (farthest > (1 + EDGE_STEP) * nearest) & (depth > 0)
    return step


def _log_error(depth: Array, alone: Mask, level: Level, rng: np.random.Generator) -> Array:
    surfaces, count = ndimage.label((depth > 0) & ~_edges(depth))
    factors = np.concatenate([[0.0], rng.normal(0, level.surface, count)])
    far = 1 - np.exp(-ndimage.distance_transform_edt(alone) / (REACH * depth.shape[1]))
    growing = level.unmatched * _smooth_field(depth.shape, (3, 4), rng) + factors[surfaces]
    error: Array = rng.normal(0, level.view) + level.matched * _smooth_field(depth.shape, (6, 8), rng) + far * growing
    return error


def _blur_edges(raw: Array, depth: Array, sigma: float) -> Array:
    known = (depth > 0).astype(np.float64)
    blurred = ndimage.gaussian_filter(raw * known, sigma) / np.maximum(ndimage.gaussian_filter(known, sigma), 1e-9)
    near_edge = ndimage.binary_dilation(_edges(depth), iterations=2) & (depth > 0)
    return np.where(near_edge, blurred, raw)


def _perturbed(camera: Cameras, level: Level, baseline: float, rng: np.random.Generator) -> Cameras:
    pose, K = camera.camera_to_world.double().clone(), camera.K.double().clone()
    turn = Rotation.from_rotvec(rng.normal(0, math.radians(level.rotation) / math.sqrt(3), 3))
    pose[0, :3, :3] = pose[0, :3, :3] @ torch.from_numpy(turn.as_matrix())
    pose[0, :3, 3] += torch.from_numpy(rng.normal(0, level.translation * baseline / math.sqrt(3), 3))
    K[0, 0, 0], K[0, 1, 1] = K[0, 0, 0] * (factor := math.exp(rng.normal(0, level.focal))), K[0, 1, 1] * factor
    return replace(camera, camera_to_world=pose, K=K)
