"""Splats on depth maps of surfaces whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scene_depth.cameras import Cameras, look_at
from scene_depth.errors import InputError
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.rotations import quaternions_to_matrices

WIDTH, HEIGHT = 48, 36


def camera() -> Cameras:
    position = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    pose = look_at(position, torch.tensor([0.0, 0.0, 4.0], dtype=torch.float64), torch.tensor([0.0, -1.0, 0.1]))
    K = torch.tensor([[50.0, 0, 20.0], [0, 55.0, 19.0], [0, 0, 1]], dtype=torch.float64)
    return Cameras(pose[None], K[None], WIDTH, HEIGHT)


def plane_depth(view: Cameras, normal: np.ndarray, offset: float) -> np.ndarray:
    """Depth of the world plane n . x = offset."""
    rays = view.ray_directions()[0].numpy()
    return (offset - view.centers[0].numpy() @ normal) / (rays @ normal)


def test_splats_lie_on_the_plane_flat_and_facing_it() -> None:
    view, normal = camera(), np.array([0.3, -0.2, -1.0]) / np.linalg.norm([0.3, -0.2, -1.0])
    depth = plane_depth(view, normal, -5.0)
    assert depth.min() > 0
    rgb = np.random.default_rng(0).random((HEIGHT, WIDTH, 3))
    splats = splats_on_depth(rgb, depth, np.ones_like(depth, dtype=bool), view, spread=0.6, thickness=0.1)
    assert len(splats) == HEIGHT * WIDTH
    np.testing.assert_allclose(splats.means.numpy() @ normal, -5.0, atol=1e-5)
    axes = quaternions_to_matrices(splats.quats.double()).numpy()
    np.testing.assert_allclose(np.abs(axes[:, :, 2] @ normal), 1.0, atol=1e-5)
    assert torch.linalg.det(torch.from_numpy(axes)).min() > 0.999
    np.testing.assert_allclose(splats.base_colors.numpy(), rgb.reshape(-1, 3), atol=1e-6)
    footprint = 0.6 * depth.ravel() / np.sqrt(50 * 55)
    np.testing.assert_allclose(splats.scales[:, 1].numpy(), footprint, rtol=1e-5)
    np.testing.assert_allclose(splats.scales[:, 2].numpy(), 0.1 * footprint, rtol=1e-5)
    assert (splats.scales[:, 0] >= splats.scales[:, 1] * 0.999).all()


def test_a_slanted_pixel_is_drawn_out_by_the_cosine() -> None:
    view = Cameras(torch.eye(4, dtype=torch.float64)[None], camera().K, WIDTH, HEIGHT)
    angle = np.deg2rad(60)
    depth = plane_depth(view, np.array([0.0, np.sin(angle), -np.cos(angle)]), -4.0 * np.cos(angle))
    splats = splats_on_depth(np.zeros((HEIGHT, WIDTH, 3)), depth, np.ones_like(depth, dtype=bool), view)
    middle = (HEIGHT // 2 + 1) * WIDTH + WIDTH // 2 - 4  # next to the principal point
    assert splats.scales[middle, 0] / splats.scales[middle, 1] == pytest.approx(2.0, rel=0.05)


def test_pixels_in_the_air_between_two_surfaces_get_no_splat() -> None:
    view = Cameras(torch.eye(4, dtype=torch.float64)[None], camera().K, WIDTH, HEIGHT)
    depth = np.full((HEIGHT, WIDTH), 4.0)
    depth[:, 20:] = 2.0
    depth[:, 20] = 3.0
    splats = splats_on_depth(np.zeros((HEIGHT, WIDTH, 3)), depth, np.ones_like(depth, dtype=bool), view)
    assert len(splats) == HEIGHT * (WIDTH - 1)
    assert not ((splats.means[:, 2] > 2.5) & (splats.means[:, 2] < 3.5)).any()


def test_only_chosen_pixels_of_known_depth_and_an_error_when_none_is_left() -> None:
    view, depth = camera(), np.full((HEIGHT, WIDTH), 4.0)
    depth[0] = 0.0
    where = np.zeros((HEIGHT, WIDTH), dtype=bool)
    where[:2] = True
    assert len(splats_on_depth(np.zeros((HEIGHT, WIDTH, 3)), depth, where, view)) == WIDTH
    where[1] = False
    with pytest.raises(InputError, match="where: no pixel"):
        splats_on_depth(np.zeros((HEIGHT, WIDTH, 3)), depth, where, view)
