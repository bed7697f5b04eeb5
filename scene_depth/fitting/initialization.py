"""The splats that fitting starts from: at known points, on known depth, or scattered where the cameras look."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.config import SettledConfig
from scene_depth.fitting.training_views import TrainingViews
from scene_depth.scene import PointCloud, Scene
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats

NEAR, FAR = 0.25, 4.0  # of the distance that the cameras look at: where splats are scattered
BATCHES = 64  # of candidates, before a scene counts as having no common volume


def initial_splats(scene: Scene, views: TrainingViews, config: SettledConfig, seed: int = 0) -> GaussianSplats:
    """Splats to start a fit of a scene from.

    Where ``config.start_splats`` is None, their number is half of ``config.max_splats``, or a quarter where they are scattered:
    splats that grow from few find surfaces better than many that start everywhere.

    Args:
        scene: Scene with points, or with depth, or with neither.
        views: Its views at the size of fitting; colours are taken from them.
        config: Says where they start, how many, how opaque and how wide. "auto" takes depth where there is any, else points,
            else random.
        seed: Of the random choices.

    Raises:
        InputError: If the scene lacks what ``config.start`` asks for, or points are not finite.
    """
    rng = np.random.default_rng([seed, 0])
    start, has_points = config.start, scene.points is not None and len(scene.points) > 0
    if start == "auto":
        with_depth = any(view.load_depth is not None for view in scene.views)
        start = "depth" if with_depth else "points" if has_points else "random"
    count = config.start_splats or max(1, config.max_splats // (4 if start == "random" else 2))
    if start == "points":
        if not has_points:
            raise InputError("points", "none", "a scene with points, or another start: depth, random", file=scene.source)
        xyz, rgb = _chosen_points(scene.points, count, rng, scene)
    elif start == "depth":
        xyz, rgb = points_on_depth(scene, views, count, rng)
    else:
        xyz, rgb = scattered_points(views, count, rng)
    return splats_at_points(xyz, rgb, opacity=config.start_opacity, scale=config.start_scale)


def splats_at_points(
    xyz: NDArray[np.floating],
    rgb: NDArray[np.floating],
    *,
    opacity: float = 0.1,
    scale: float = 1.0,
    largest: float | None = None,
) -> GaussianSplats:
    """Round splats at points, as the reference trainer starts: as wide as the mean distance to three neighbours.

    Args:
        xyz: Points in scene units  # [N, 3]
        rgb: sRGB in [0, 1]  # [N, 3]
        opacity: Opacity of all, between 0 and 1.
        scale: Factor of the widths.
        largest: Largest width before the factor, in scene units; None for no limit.

    Returns:
        Splats of SH degree 0, float32.

    Raises:
        InputError: If there is no point, or a point or colour is not finite.
    """
    if len(xyz) == 0:
        raise InputError("points", "none", "one or more points")
    for name, values in (("points", xyz), ("colours", rgb)):
        good = np.isfinite(values).all(axis=1)
        if not good.all():
            index = int(np.argmin(good))
            raise InputError(
                f"{name}[{index}]", values[index].tolist(), f"finite numbers ({len(good) - good.sum()} of {len(good)} are not)"
            )
    widths = np.minimum(neighbour_distances(xyz), np.inf if largest is None else largest) * scale
    quats = torch.zeros(len(xyz), 4)
    quats[:, 0] = 1
    return GaussianSplats(
        means=torch.from_numpy(np.ascontiguousarray(xyz, np.float32)),
        quats=quats,
        log_scales=torch.from_numpy(np.log(widths).astype(np.float32))[:, None].repeat(1, 3),
        logit_opacities=torch.full((len(xyz),), float(np.log(opacity / (1 - opacity)))),
        sh=torch.from_numpy(((rgb - 0.5) / SH_C0).astype(np.float32))[:, None],
    )


def neighbour_distances(xyz: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean distance of each point to its three nearest neighbours, positive  # [N]"""
    span = float(np.ptp(xyz, axis=0).max()) if len(xyz) > 1 else 0.0
    smallest = max(span, 1e-3) * 1e-6  # repeated points
    if len(xyz) == 1:
        return np.full(1, 1.0)
    neighbours = min(4, len(xyz))
    distances, _ = cKDTree(xyz).query(xyz, k=neighbours)
    widths: NDArray[np.float64] = np.maximum(distances[:, 1:].mean(axis=1), smallest)
    return widths


def points_on_depth(
    scene: Scene, views: TrainingViews, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points at known depth, the same number of random pixels from each view, with their colours.

    Returns:
        Points in the world  # [N, 3]
        sRGB in [0, 1]  # [N, 3]
    """
    with_depth = [i for i, view in enumerate(scene.views) if view.load_depth is not None]
    if not with_depth:
        raise InputError("depth", "no view has any", "views with depth, or another start: points, random", file=scene.source)
    deep = TrainingViews([scene.views[i] for i in with_depth], views.max_size, with_depth=True, cache_bytes=0)
    xyz, rgb = [], []
    for i in range(len(deep)):
        target = deep.target(i)
        assert target.depth is not None
        pixels = np.flatnonzero(target.depth.numpy().ravel() > 0)
        share = (count * (i + 1)) // len(deep) - (count * i) // len(deep)
        pixels = rng.permutation(pixels)[:share]
        world = deep.camera(i).unproject(target.depth[None]).reshape(-1, 3).double().numpy()
        xyz.append(world[pixels])
        rgb.append(target.image.reshape(-1, 3).double().numpy()[pixels])
    if not sum(len(part) for part in xyz):
        raise InputError("depth", "no known pixel in any view", "views with known depth", file=scene.source)
    return np.concatenate(xyz), np.concatenate(rgb)


def scattered_points(
    views: TrainingViews, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points along random rays of random cameras, evenly in inverse depth, denser where many cameras look.

    Returns:
        Points in the world  # [N, 3]
        sRGB in [0, 1] of the pixels whose rays they lie on  # [N, 3]
    """
    cameras = [views.camera(i) for i in range(len(views))]
    distance = viewing_distance(cameras)
    xyz, rgb, found = [], [], 0
    for _ in range(BATCHES):
        points, colours = _points_on_rays(views, cameras, distance, 2 * count, rng)
        seen = _cameras_that_see(points, cameras)
        others = np.clip((seen - 1) / max(1.0, 0.5 * np.quantile(seen, 0.9)), 0, 1) if len(cameras) > 1 else np.ones(len(points))
        kept = rng.random(len(points)) < others
        xyz.append(points[kept])
        rgb.append(colours[kept])
        found += int(kept.sum())
        if found >= count:
            return np.concatenate(xyz)[:count], np.concatenate(rgb)[:count]
    if found == 0:
        raise InputError(
            "cameras", "no point that two of them see", "cameras with a common volume of view, or a scene with points"
        )
    return np.concatenate(xyz), np.concatenate(rgb)


def viewing_distance(cameras: list[Cameras]) -> float:
    """Median z-depth of the point nearest to all optical axes; a multiple of the cameras' spread if they look apart."""
    centers = np.stack([camera.centers[0].numpy() for camera in cameras])
    axes = np.stack([camera.camera_to_world[0, :3, 2].numpy() for camera in cameras])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]  # projections onto the planes across the axes
    spread = float(np.linalg.norm(centers - centers.mean(axis=0), axis=1).max())
    fallback = 3 * spread if spread > 0 else 1.0
    total = across.sum(axis=0)
    if np.linalg.eigvalsh(total)[0] < 1e-3 * len(cameras):  # axes as good as parallel
        return fallback
    focus = np.linalg.solve(total, (across @ centers[:, :, None]).sum(axis=0)[:, 0])
    distance = float(np.median(((focus - centers) * axes).sum(axis=1)))
    return distance if distance > 0.3 * spread else fallback


def _points_on_rays(
    views: TrainingViews, cameras: list[Cameras], distance: float, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    owners = rng.integers(len(cameras), size=count)
    depth = distance / rng.uniform(1 / FAR, 1 / NEAR, count)
    fractions = rng.random((count, 2))
    points, colours = np.empty((count, 3)), np.empty((count, 3))
    for i, camera in enumerate(cameras):
        mine = np.flatnonzero(owners == i)
        if len(mine) == 0:
            continue
        K, pose = camera.K[0].numpy(), camera.camera_to_world[0].numpy()
        pixels = fractions[mine] * [camera.width, camera.height]
        rays = np.column_stack([(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones(len(mine))])
        points[mine] = (rays * depth[mine, None]) @ pose[:3, :3].T + pose[:3, 3]
        column, row = pixels.astype(np.intp).T
        colours[mine] = views.target(i).image.numpy()[row, column]
    return points, colours


def _cameras_that_see(points: NDArray[np.float64], cameras: list[Cameras]) -> NDArray[np.int64]:
    """Number of cameras whose picture a point falls into, whatever lies before it  # [N]"""
    seen = np.zeros(len(points), np.int64)
    for camera in cameras:
        pixels, depth = camera.project(torch.from_numpy(points))
        size = torch.tensor([camera.width, camera.height], dtype=pixels.dtype)
        seen += ((depth[0] > 0) & (pixels[0] >= 0).all(-1) & (pixels[0] < size).all(-1)).numpy()
    return seen


def _chosen_points(
    points: PointCloud | None, count: int, rng: np.random.Generator, scene: Scene
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    assert points is not None
    bad = ~np.isfinite(points.xyz).all(axis=1)
    if bad.any():
        found = f"{int(bad.sum())} of {len(points)} not finite, the first is point {int(np.argmax(bad))}"
        raise InputError("points", found, "finite coordinates", file=scene.source)
    chosen = np.sort(rng.permutation(len(points))[:count])
    return points.xyz[chosen].astype(np.float64), points.rgb[chosen] / 255.0
