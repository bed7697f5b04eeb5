"""Where splats start: widths from neighbours, points on true depth, scattered points in the common view, bad input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fit_scenes import blobs, rendered_scene, ring_cameras

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.config import FitConfig, SettledConfig
from scene_depth.fitting.initialization import (
    initial_splats,
    neighbour_distances,
    scattered_points,
    splats_at_points,
    viewing_distance,
)
from scene_depth.fitting.training_views import TrainingViews
from scene_depth.scene import PointCloud, Scene

SCENE = rendered_scene(blobs(), depth=True)


def starting(start: str, count: int) -> SettledConfig:
    return FitConfig(start=start, start_splats=count).settled("cpu")  # type: ignore[arg-type]


def views_of(scene: Scene) -> TrainingViews:
    return TrainingViews(scene.views, 48, with_depth=True)


def test_widths_are_mean_distances_to_three_neighbours() -> None:
    points = np.random.default_rng(0).random((50, 3))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    expected = np.sort(apart, axis=1)[:, 1:4].mean(axis=1)
    np.testing.assert_allclose(neighbour_distances(points), expected)
    splats = splats_at_points(points, np.full((50, 3), 0.25), opacity=0.3, scale=0.5)
    np.testing.assert_allclose(splats.scales.numpy(), 0.5 * np.repeat(expected[:, None], 3, 1), rtol=1e-5)
    np.testing.assert_allclose(splats.base_colors.numpy(), 0.25, atol=1e-6)
    np.testing.assert_allclose(splats.opacities.numpy(), 0.3, rtol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_or_repeated_points_get_positive_widths(count: int) -> None:
    splats = splats_at_points(np.zeros((count, 3)), np.zeros((count, 3)))
    assert bool(torch.isfinite(splats.log_scales).all())


def test_starts_at_the_points_of_the_scene() -> None:
    splats = initial_splats(SCENE, views_of(SCENE), starting("points", 1000))
    assert SCENE.points is not None
    np.testing.assert_allclose(splats.means.numpy(), SCENE.points.xyz, atol=1e-6)
    fewer = initial_splats(SCENE, views_of(SCENE), starting("points", 10))
    rows = {tuple(row) for row in splats.means.tolist()}
    assert len(fewer) == 10
    assert all(tuple(row) in rows for row in fewer.means.tolist())


def test_starts_on_depth_where_the_camera_sees_it() -> None:
    scene = SCENE.select([2])
    splats = initial_splats(scene, views_of(scene), starting("auto", 200))
    view = scene.views[0]
    pixels, depth = view.camera.project(splats.means)
    column, row = pixels[0].floor().long().T
    np.testing.assert_allclose(depth[0].numpy(), view.depth()[row, column], rtol=1e-4)
    np.testing.assert_allclose(splats.base_colors.numpy(), view.image()[row, column], atol=0.5 / 255 + 1e-5)
    np.testing.assert_allclose((pixels[0] - pixels[0].floor()).numpy(), 0.5, atol=1e-3)


def test_scattered_points_lie_where_several_cameras_look() -> None:
    scene = replace(SCENE, points=None)
    views = views_of(scene)
    xyz, rgb = scattered_points(views, 500, np.random.default_rng(0))
    assert xyz.shape == rgb.shape == (500, 3)
    seen = np.zeros(500)
    for camera in ring_cameras(10, 48, 40):
        pixels, depth = camera.project(torch.from_numpy(xyz))
        x, y = pixels[0].T.numpy()
        seen += (depth[0].numpy() > 0) & (x >= 0) & (x < 48) & (y >= 0) & (y < 40)
    assert seen.min() >= 2
    radius = np.linalg.norm(xyz, axis=1)
    inside, outside = (radius < 1).sum(), ((radius >= 1) & (radius < 2)).sum() / 7  # per volume; all cameras look at the origin
    assert inside > 2 * outside


def test_viewing_distance() -> None:
    assert viewing_distance(ring_cameras(12, 48, 40)) == pytest.approx(2.2, rel=0.05)
    poses = torch.eye(4, dtype=torch.float64).repeat(5, 1, 1)
    poses[:, 0, 3] = torch.arange(5, dtype=torch.float64)
    K = torch.tensor([[[50.0, 0, 24], [0, 50, 20], [0, 0, 1]]], dtype=torch.float64)
    parallel = [Cameras(pose[None], K, 48, 40) for pose in poses]
    assert viewing_distance(parallel) == pytest.approx(6.0)  # three times the spread of 2
    assert viewing_distance(parallel[:1]) == 1.0


def test_same_seed_same_splats() -> None:
    scene = replace(SCENE, points=None)
    for start in ("random", "depth"):
        one, two, other = (initial_splats(scene, views_of(scene), starting(start, 50), seed=seed) for seed in (3, 3, 4))
        assert one.sha256() == two.sha256() != other.sha256()


def test_bad_points_are_refused() -> None:
    bad = PointCloud(np.array([[0.0, 0, 0], [np.nan, 0, 0]]), np.zeros((2, 3), np.uint8))
    with pytest.raises(InputError, match=r"1 of 2 not finite.*point 1"):
        initial_splats(replace(SCENE, points=bad), views_of(SCENE), starting("points", 5))
    with pytest.raises(InputError, match=r"points\[1\]"):
        splats_at_points(bad.xyz, np.zeros((2, 3)))
    with pytest.raises(InputError, match="points: none"):
        splats_at_points(np.empty((0, 3)), np.empty((0, 3)))
    empty = PointCloud(np.empty((0, 3)), np.empty((0, 3), np.uint8))
    with pytest.raises(InputError, match="points: none"):
        initial_splats(replace(SCENE, points=empty), views_of(SCENE), starting("points", 5))
    without_depth = rendered_scene(blobs(), views=2)
    with pytest.raises(InputError, match="depth: no view"):
        initial_splats(without_depth, views_of(without_depth), starting("depth", 5))
