"""Cameras against geometry and against nothing but their definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_samples import random_pose

from scene_depth.cameras import Cameras, camera_from_fov, concatenate_cameras, look_at
from scene_depth.errors import InputError

K = torch.tensor([[20.0, 0.0, 11.3], [0.0, 21.5, 9.4], [0.0, 0.0, 1.0]], dtype=torch.float64)


def cameras(count: int = 3, seed: int = 0) -> Cameras:
    random = np.random.default_rng(seed)
    poses = torch.stack([torch.from_numpy(random_pose(random)) for _ in range(count)])
    return Cameras(poses, K.expand(count, 3, 3).clone(), 24, 18)


def test_projection_is_the_textbooks() -> None:
    batch, points = cameras(), torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    pixels, depth = batch.project(points)
    for index in range(3):
        in_camera = torch.linalg.inv(batch.camera_to_world[index]) @ torch.cat([points, torch.ones(50, 1)], 1).T
        homogeneous = K @ in_camera[:3]
        torch.testing.assert_close(pixels[index].T, homogeneous[:2] / homogeneous[2])
        torch.testing.assert_close(depth[index], in_camera[2])


def test_world_to_camera_is_the_inverse() -> None:
    batch = cameras()
    torch.testing.assert_close(batch.world_to_camera, torch.linalg.inv(batch.camera_to_world))
    torch.testing.assert_close(batch.centers, batch.camera_to_world[:, :3, 3])


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_unprojected_depth_projects_to_the_pixel_centres(seed: int) -> None:
    batch = cameras(2, seed)
    depth = torch.rand(2, 18, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.5
    points = batch.unproject(depth).reshape(2, -1, 3)
    pixels, z = batch.project(points)
    torch.testing.assert_close(pixels, batch.pixel_centers().reshape(1, -1, 2).expand(2, -1, 2))
    torch.testing.assert_close(z, depth.reshape(2, -1))


def test_the_first_pixel_centre_is_at_a_half() -> None:
    assert cameras().pixel_centers()[0, 0].tolist() == [0.5, 0.5]
    assert cameras().pixel_centers()[-1, -1].tolist() == [23.5, 17.5]


def test_resizing_keeps_directions() -> None:
    batch = cameras()
    points = torch.randn(20, 3, dtype=torch.float64)
    before, _ = batch.project(points)
    resized = batch.resized(48, 27)
    after, _ = resized.project(points)
    torch.testing.assert_close(after, before * torch.tensor([2.0, 1.5], dtype=torch.float64))
    assert (resized.width, resized.height) == (48, 27)


def test_cropping_moves_pixels() -> None:
    batch = cameras()
    points = torch.randn(20, 3, dtype=torch.float64)
    before, depth = batch.project(points)
    cropped = batch.cropped(5, -3, 10, 30)
    after, same_depth = cropped.project(points)
    torch.testing.assert_close(after, before - torch.tensor([5.0, -3.0], dtype=torch.float64))
    torch.testing.assert_close(depth, same_depth)
    assert (cropped.width, cropped.height) == (10, 30)


def test_choosing_and_joining() -> None:
    batch = cameras(4)
    assert len(batch[2]) == 1
    torch.testing.assert_close(batch[2].camera_to_world[0], batch.camera_to_world[2])
    torch.testing.assert_close(batch[[3, 1]].camera_to_world, batch.camera_to_world[[3, 1]])
    torch.testing.assert_close(concatenate_cameras([batch[:2], batch[2:]]).camera_to_world, batch.camera_to_world)
    with pytest.raises(InputError, match="cameras of one image size"):
        concatenate_cameras([batch, batch.resized(8, 8)])
    with pytest.raises(InputError, match="one or more cameras"):
        concatenate_cameras([])


def test_precision_is_that_of_the_tensors() -> None:
    assert cameras().to(dtype=torch.float32).project(torch.zeros(1, 3))[0].dtype == torch.float32
    assert cameras().project(torch.zeros(1, 3))[0].dtype == torch.float64


def test_field_of_view() -> None:
    camera = camera_from_fov(torch.eye(4, dtype=torch.float64), math.radians(60), 40, 30)
    edge = torch.tensor([[0.0, math.tan(math.radians(30)), 1.0]], dtype=torch.float64)
    torch.testing.assert_close(camera.project(edge)[0][0, 0], torch.tensor([20.0, 30.0], dtype=torch.float64))


def test_looking_at_a_point() -> None:
    position, target, up = (torch.tensor(v, dtype=torch.float64) for v in ([1.0, 2, 3], [0.0, 0, 1], [0.0, 0, 1]))
    pose = look_at(position, target, up)
    camera = Cameras(pose[None], K[None], 24, 18)
    pixels, depth = camera.project(target[None])
    torch.testing.assert_close(pixels[0, 0], K[:2, 2])
    torch.testing.assert_close(depth[0, 0], (target - position).norm())
    above = camera.project((target + 0.1 * up)[None])[0][0, 0]
    assert above[1] < pixels[0, 0, 1]  # up is up in the picture
    assert abs(above[0] - pixels[0, 0, 0]) < 1e-9


def test_points_on_the_camera_plane_stay_finite() -> None:
    batch = cameras(1)
    assert torch.isfinite(batch.project(batch.centers)[0]).all()


def test_gradients_reach_the_pose() -> None:
    batch = cameras(1)
    pose = batch.camera_to_world.clone().requires_grad_()
    Cameras(pose, batch.K, 24, 18).project(torch.ones(3, 3, dtype=torch.float64))[0].sum().backward()
    assert pose.grad is not None
    assert pose.grad.abs().sum() > 0


def scaled(poses: torch.Tensor) -> torch.Tensor:
    poses[1, :3, :3] *= 1.1
    return poses


def mirrored(poses: torch.Tensor) -> torch.Tensor:
    poses[1, :3, 0] *= -1
    return poses


def not_a_number(poses: torch.Tensor) -> torch.Tensor:
    poses[1, 0, 3] = math.nan
    return poses


def singular(poses: torch.Tensor) -> torch.Tensor:
    poses[1, :3, 2] = 0
    return poses


def no_last_row(poses: torch.Tensor) -> torch.Tensor:
    poses[1, 3, 3] = 0
    return poses


@pytest.mark.parametrize("damage", [scaled, mirrored, not_a_number, singular, no_last_row], ids=lambda f: f.__name__)
def test_poses_must_be_rigid(damage) -> None:
    batch = cameras()
    with pytest.raises(InputError, match=r"camera_to_world\[1\] is .*finite rigid pose"):
        Cameras(damage(batch.camera_to_world.clone()), batch.K, 24, 18)


def test_other_wrong_arguments() -> None:
    batch = cameras()
    for poses, intrinsics, size, message in [
        (batch.camera_to_world[0], batch.K, (24, 18), "camera_to_world: shape"),
        (batch.camera_to_world, batch.K[:2], (24, 18), "K: shape"),
        (batch.camera_to_world.int(), batch.K, (24, 18), "floating point"),
        (batch.camera_to_world, batch.K, (0, 18), "at least one pixel"),
        (batch.camera_to_world, -batch.K, (24, 18), r"K\[0\] is "),
        (batch.camera_to_world, batch.K * math.nan, (24, 18), "finite numbers and positive focal lengths"),
    ]:
        with pytest.raises(InputError, match=message):
            Cameras(poses, intrinsics, *size)
    with pytest.raises(InputError, match=r"depth: shape \(3, 24, 18\); expected \(3, 18, 24\)"):
        batch.unproject(torch.ones(3, 24, 18))
