"""Images and gradients against gsplat's torch reference in float64."""

from __future__ import annotations

import pytest
import torch
from rendering_scenes import assert_agrees, compare_with_reference

from benchmarks.rasterizer_scenes import GARDEN, TRAINED, garden_cloud, pinhole, random_splats, splats_at_points, trained_scene
from scene_depth.cameras import Cameras, look_at

BACKGROUND = torch.tensor([0.2, 0.5, 0.7])


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize(("degree", "used"), [(3, 3), (3, 1), (2, 2), (1, 1), (0, 0)])
def test_random_splats(degree: int, used: int, antialiased: bool) -> None:
    cameras = pinhole(130, 99, fx=110, fy=140, cx=51.3, cy=60.2)
    splats = random_splats(700, seed=degree, degree=degree)
    assert_agrees(compare_with_reference(splats, cameras, sh_degree=used, antialiased=antialiased, background=BACKGROUND))


def test_several_cameras_add_up() -> None:
    positions = torch.tensor([[0.0, 0.0, 0.0], [0.8, -0.3, 0.2], [-1.0, 0.4, 1.0]], dtype=torch.float64)
    target, up = torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64), torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    poses = torch.stack([look_at(position, target, up) for position in positions])
    one = pinhole(96, 64, fx=80, fy=90, cx=40, cy=37)
    cameras = Cameras(poses, one.K.expand(3, 3, 3), 96, 64)
    assert_agrees(compare_with_reference(random_splats(500, seed=5), cameras, background=BACKGROUND))


def test_wide_view_where_the_jacobian_is_clamped() -> None:
    """Splats far beside the image, whose footprint is computed as if they were 15 % outside it."""
    splats = random_splats(800, seed=6, depth=(0.3, 3.0))
    assert_agrees(compare_with_reference(splats, pinhole(120, 80, fx=40, fy=45), near=0.25, far=2.5))


@pytest.mark.slow
@pytest.mark.parametrize("antialiased", [False, True])
def test_garden(shared, antialiased: bool) -> None:
    splats, cameras = splats_at_points(garden_cloud(shared(GARDEN)), 15_000, 320, 240)
    assert_agrees(compare_with_reference(splats, cameras, antialiased=antialiased))


@pytest.mark.slow
def test_trained_scene(shared) -> None:
    assert_agrees(compare_with_reference(*trained_scene(shared(TRAINED))))
