"""Rectangles, clicks and floods against scenes whose geometry is known."""

from __future__ import annotations

import math

import pytest
import torch
from scene_depth_heal.picking import combine, flood, hit, in_rectangle, on_front, screen_ray

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.splats import SH_C0, GaussianSplats, concatenate_splats


def patch(x: tuple[float, float], y: tuple[float, float], z: float, color: tuple[float, float, float]) -> GaussianSplats:
    """A flat grid of solid splats, 0.05 apart, facing z."""
    xs, ys = torch.arange(*x, 0.05), torch.arange(*y, 0.05)
    grid = torch.stack([*torch.meshgrid(xs, ys, indexing="ij"), torch.full((len(xs), len(ys)), z)], dim=-1).reshape(-1, 3)
    count = len(grid)
    return GaussianSplats(
        means=grid,
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.tensor([0.03, 0.03, 0.001]).log().repeat(count, 1),
        logit_opacities=torch.full((count,), 5.0),
        sh=((torch.tensor(color) - 0.5) / SH_C0).repeat(count, 1, 1),
    )


RED, BLUE = (0.8, 0.1, 0.1), (0.1, 0.1, 0.8)


@pytest.fixture
def camera() -> Cameras:
    """At the origin, looking along z; at z = 2 the picture spans x and y from -1 to 1."""
    return camera_from_fov(torch.eye(4, dtype=torch.float64), 2 * math.atan(0.5), 200, 200)


def test_modes() -> None:
    old, new = torch.tensor([1, 1, 0, 0]).bool(), torch.tensor([1, 0, 1, 0]).bool()
    assert combine(old, new, "set").tolist() == [1, 0, 1, 0]
    assert combine(old, new, "add").tolist() == [1, 1, 1, 0]
    assert combine(old, new, "remove").tolist() == [0, 1, 0, 0]
    assert combine(old, new, "intersect").tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("corners", [((0.51, 0.02), (0.98, 0.49)), ((0.98, 0.49), (0.51, 0.02)), ((0.98, 0.02), (0.51, 0.49))])
def test_a_rectangle_takes_what_projects_into_it(camera: Cameras, corners) -> None:
    wall = patch((-1.5, 1.5), (-1.5, 1.5), 2.0, RED)
    behind = patch((0.2, 0.3), (-0.3, -0.2), -2.0, RED)
    chosen = in_rectangle(concatenate_splats([wall, behind]), camera, corners, front_only=False)
    x, y = wall.means[:, 0], wall.means[:, 1]
    upper_right = (x > 0.01) & (x < 0.97) & (y > -0.97) & (y < -0.01)
    assert torch.equal(chosen[: len(wall)], upper_right)
    assert not chosen[len(wall) :].any()


def test_front_only_leaves_out_what_is_hidden(camera: Cameras) -> None:
    near, far = patch((-0.3, 0.3), (-0.3, 0.3), 2.0, RED), patch((-1.5, 1.5), (-1.5, 1.5), 4.0, BLUE)
    scene = concatenate_splats([near, far])
    everything = in_rectangle(scene, camera, ((0.0, 0.0), (1.0, 1.0)), front_only=False)
    assert everything.all()
    front = in_rectangle(scene, camera, ((0.0, 0.0), (1.0, 1.0)), front_only=True)
    assert front[: len(near)].all()
    edge = (far.means[:, :2].abs() / 4 * 2).amax(1)  # where the far splats project to, at the near patch's distance
    hidden = front[len(near) :]
    assert not hidden[edge < 0.25].any()
    assert hidden[(edge > 0.4) & (edge < 0.7)].all()


def test_nothing_outside_the_picture_is_in_front(camera: Cameras) -> None:
    assert not on_front(patch((3.0, 4.0), (0.0, 1.0), 2.0, RED), camera).any()


def test_rays_go_where_pixels_look() -> None:
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([1.0, 2.0, 3.0])
    K = torch.tensor([[150.0, 0, 30.0], [0, 120.0, 70.0], [0, 0, 1]], dtype=torch.float64)
    off_centre = Cameras(pose[None], K[None], 80, 100)
    origin, direction = screen_ray(off_centre, (10.5 / 80, 60.5 / 100))
    assert torch.equal(origin, pose[:3, 3])
    expected = torch.nn.functional.normalize(off_centre.ray_directions()[0, 60, 10], dim=0)
    assert torch.allclose(direction, expected, atol=1e-12)


def test_a_click_hits_the_first_solid_splat(camera: Cameras) -> None:
    near, far = patch((-0.3, 0.3), (-0.3, 0.3), 2.0, RED), patch((-1.5, 1.5), (-1.5, 1.5), 4.0, BLUE)
    veil = patch((-1.5, 1.5), (-1.5, 1.5), 1.0, BLUE).map(torch.clone)
    veil.logit_opacities.fill_(-3.0)  # 5 %
    scene = concatenate_splats([veil, far, near])
    found = hit(scene, *screen_ray(camera, (0.5, 0.5)))
    assert found is not None
    assert float(scene.means[found, 2]) == 2.0
    assert hit(near, *screen_ray(camera, (0.95, 0.95))) is None
    assert hit(near, torch.zeros(3), torch.tensor([0.0, 0.0, -1.0])) is None  # it lies behind


def test_a_flood_stops_at_colours_and_gaps(camera: Cameras) -> None:
    island = patch((-0.4, 0.0), (-0.3, 0.3), 2.0, RED)
    neighbour = patch((0.0, 0.3), (-0.3, 0.3), 2.0, BLUE)  # touches, another colour
    apart = patch((0.5, 0.9), (-0.3, 0.3), 2.0, RED)  # the same colour, behind a gap
    scene = concatenate_splats([island, neighbour, apart])
    chosen = flood(scene, *screen_ray(camera, (0.4, 0.5)))
    assert chosen[: len(island)].all()
    assert not chosen[len(island) :].any()
    both = flood(scene, *screen_ray(camera, (0.4, 0.5)), color_tolerance=1.0)
    assert both[: len(island) + len(neighbour)].all()
    assert not flood(scene, *screen_ray(camera, (0.5, 0.02))).any()


def test_a_flood_of_a_single_splat(camera: Cameras) -> None:
    alone = patch((0.0, 0.01), (0.0, 0.01), 2.0, RED)
    assert len(alone) == 1
    assert flood(alone, *screen_ray(camera, (0.5, 0.5))).tolist() == [True]
