"""Clicks, strokes, polygons and colours against made-up scenes of which every splat is known."""

from __future__ import annotations

import math

import pytest
import torch
from scene_depth_heal.clicks import Click, select_by_clicks
from scene_depth_heal.picking import in_polygon, of_color
from scene_depth_heal.selection import drawn

import scene_depth as sd
from scene_depth.cameras import Cameras, camera_from_fov, look_at
from scene_depth.rotations import matrices_to_quaternions
from scene_depth.splats import SH_C0, GaussianSplats, concatenate_splats

STEP = 0.05
GREY, RED, BLUE = (0.5, 0.5, 0.5), (0.8, 0.2, 0.2), (0.2, 0.2, 0.8)


def sheet(corner, along, across, color, seed=0) -> GaussianSplats:
    """A flat patch of splats about ``STEP`` apart, slightly rough and mottled as fitted ones are."""
    rng = torch.Generator().manual_seed(seed)
    corner, along, across = (torch.tensor(each, dtype=torch.float64) for each in (corner, along, across))
    u, v = (torch.arange(STEP / 2, float(side.norm()), STEP) / side.norm() for side in (along, across))
    grid = torch.stack(torch.meshgrid(u, v, indexing="ij"), dim=-1).reshape(-1, 2).double()
    axes = torch.stack([along / along.norm(), across / across.norm(), torch.linalg.cross(along, across)], dim=1)
    axes[:, 2] /= axes[:, 2].norm()
    points = corner + grid[:, :1] * along + grid[:, 1:] * across
    points += (torch.rand(len(points), 3, generator=rng) - 0.5) * points.new_tensor([0.4, 0.4, 0.1]) * STEP @ axes.T
    count = len(points)
    shades = torch.tensor(color) + 0.04 * (torch.rand(count, 1, generator=rng) - 0.5)
    return GaussianSplats(
        means=points.float(),
        quats=matrices_to_quaternions(axes).float().repeat(count, 1),
        log_scales=torch.tensor([0.7 * STEP, 0.7 * STEP, 0.05 * STEP]).log().repeat(count, 1),
        logit_opacities=torch.full((count,), 3.0),
        sh=((shades - 0.5) / SH_C0)[:, None],
    )


def box(low, high, color, seed=10, hidden=None) -> GaussianSplats:
    """A box on z = 0 without its lower face, and without the face of number ``hidden``; z is up."""
    (x, y, z), (u, v, w) = low, high
    dx, dy, dz = (u - x, 0, 0), (0, v - y, 0), (0, 0, w - z)
    faces = [(low, dx, dz), ((x, v, z), dx, dz), (low, dy, dz), ((u, y, z), dy, dz), ((x, y, w), dx, dy)]
    return concatenate_splats([sheet(*face, color, seed + number) for number, face in enumerate(faces) if number != hidden])


def camera_at(x: float, y: float, z: float) -> Cameras:
    pose = look_at(torch.tensor([x, y, z]), torch.tensor([0.0, 0.0, 0.3]), torch.tensor([0.0, 0.0, 1.0]))
    return camera_from_fov(pose, math.radians(45), 160, 120)


def pixel_of(camera: Cameras, *point: float) -> tuple[float, float]:
    column, row = camera.project(torch.tensor([point], dtype=torch.float64))[0][0, 0].tolist()
    return column, row


FLOOR = sheet((-2, -2, 0), (4, 0, 0), (0, 4, 0), GREY)
CAMERA = camera_at(0.6, -2.5, 1.5)


def overlap(chosen: torch.Tensor, truth: torch.Tensor) -> float:
    return float((chosen & truth).sum() / (chosen | truth).sum())


@pytest.mark.parametrize("place", [(0.0, -0.4, 0.4), (0.1, 0.0, 0.7)])
def test_a_click_picks_a_box_on_a_floor_of_its_colour(place) -> None:
    scene = concatenate_splats([FLOOR, box((-0.4, -0.4, 0), (0.4, 0.4, 0.7), (0.52, 0.5, 0.5))])
    truth = torch.arange(len(scene)) >= len(FLOOR)
    chosen = sd.select(scene, sd.Click(CAMERA, pixel_of(CAMERA, *place)))
    assert overlap(chosen, truth) >= 0.9


def test_of_two_touching_boxes_the_clicked_colour_is_picked_and_a_refusing_click_takes_the_other_away() -> None:
    left, right = box((-0.6, -0.3, 0), (0, 0.3, 0.6), RED, hidden=3), box((0, -0.3, 0), (0.6, 0.3, 0.6), BLUE, 20, hidden=2)
    scene = concatenate_splats([FLOOR, left, right])
    number = torch.arange(len(scene))
    is_left = (number >= len(FLOOR)) & (number < len(FLOOR) + len(left))
    is_right = number >= len(FLOOR) + len(left)
    on_left, on_right = (pixel_of(CAMERA, x, -0.3, 0.3) for x in (-0.3, 0.3))
    assert overlap(select_by_clicks(scene, [Click(CAMERA, on_left)]), is_left) >= 0.9
    both = select_by_clicks(scene, [Click(CAMERA, on_left), Click(CAMERA, on_right)])
    assert overlap(both, is_left | is_right) >= 0.9
    less = select_by_clicks(scene, [Click(CAMERA, on_left), Click(CAMERA, on_right, belongs=False)])
    assert overlap(less, is_left) >= 0.9
    assert not less[is_right].float().mean() > 0.1


def test_a_gap_in_depth_ends_an_object() -> None:
    near, far = sheet((-0.5, -0.6, 0.6), (1, 0, 0), (0, 0, 0.6), RED), sheet((-2, 0.6, 0), (4, 0, 0), (0, 0, 2), RED)
    scene = concatenate_splats([near, far])
    chosen = select_by_clicks(scene, [Click(CAMERA, pixel_of(CAMERA, 0, -0.6, 0.9))])
    assert overlap(chosen, torch.arange(len(scene)) < len(near)) >= 0.95


def test_clicks_that_pick_nothing_say_so() -> None:
    with pytest.raises(sd.InputError, match="no surface"):
        select_by_clicks(FLOOR, [Click(CAMERA, (1.0, 1.0))])
    with pytest.raises(sd.InputError, match="1 clicks among 2 values"):
        sd.select(FLOOR, [Click(CAMERA, (1.0, 1.0)), 3])  # type: ignore[list-item]
    with pytest.raises(sd.InputError, match="belong to it"):
        select_by_clicks(FLOOR, [Click(CAMERA, (80.0, 80.0), belongs=False)])
    with pytest.raises(sd.InputError, match="place in the picture"):
        Click(CAMERA, (170.0, 10.0))


def test_a_stroke_takes_the_front_splats_under_it() -> None:
    near, far = sheet((-0.5, -0.6, 0), (1, 0, 0), (0, 0, 1), RED), sheet((-2, 0.6, 0), (4, 0, 0), (0, 0, 2), BLUE)
    scene = concatenate_splats([near, far])
    ends = [pixel_of(CAMERA, x, -0.6, 0.5) for x in (-0.3, 0.3)]
    chosen = sd.select(scene, sd.Stroke(CAMERA, ends, radius=5))
    places = CAMERA.project(scene.means.double())[0][0]
    start, end = (torch.tensor(each, dtype=torch.float64) for each in ends)
    along = ((places - start) @ (end - start) / (end - start).square().sum()).clamp(0, 1)
    distance = (places - start - along[:, None] * (end - start)).norm(dim=1)
    is_near = torch.arange(len(scene)) < len(near)
    assert chosen[is_near & (distance < 4)].float().mean() > 0.97
    assert not chosen[~is_near | (distance > 6.5)].any()


def test_strokes_that_choose_nothing_or_everything_or_are_none_say_so() -> None:
    with pytest.raises(sd.InputError, match="stroke: no splat"):
        sd.select(FLOOR, sd.Stroke(CAMERA, [(80, 2)], radius=2))
    above = camera_at(0.01, 0.0, 8.0)
    with pytest.raises(sd.InputError, match=r"all .* splats"):
        sd.select(FLOOR, sd.Stroke(above, [(80, 60)], radius=150))
    with pytest.raises(sd.InputError, match=r"stroke\.pixels"):
        sd.Stroke(CAMERA, [], radius=2)
    with pytest.raises(sd.InputError, match=r"stroke\.radius"):
        sd.Stroke(CAMERA, [(1, 1)], radius=math.nan)


def test_clicks_and_strokes_are_in_the_frame_of_the_files_of_a_scene_about_another_origin() -> None:
    from dataclasses import replace

    shifted = replace(FLOOR, comments=("origin 10 20 30",))
    pose = CAMERA.camera_to_world.clone()
    pose[:, :3, 3] += pose.new_tensor([10.0, 20.0, 30.0])
    there = replace(CAMERA, camera_to_world=pose)
    here = drawn(FLOOR, sd.Stroke(CAMERA, [(80, 90)], 5))
    assert torch.equal(drawn(shifted, sd.Stroke(there, [(80, 90)], 5)), here)


def test_a_polygon_takes_what_projects_into_it() -> None:
    wall = sheet((-1, 0.6, 0), (2, 0, 0), (0, 0, 2), RED)
    corners = [pixel_of(CAMERA, x, 0.6, z) for x, z in ((-0.5, 0.2), (0.5, 0.2), (0.0, 0.9))]
    chosen = in_polygon(wall, CAMERA, [(x / 160, y / 120) for x, y in corners])
    x, z = wall.means[:, 0], wall.means[:, 2]
    sides = torch.stack([z - 0.2, (0.9 - z) / 0.7 * 0.5 - x.abs()])
    assert chosen[(sides > 0.05).all(0)].all()
    assert not chosen[(sides < -0.05).any(0)].any()
    with pytest.raises(sd.InputError, match="corners"):
        in_polygon(wall, CAMERA, [(0, 0), (1, 1)])


def test_a_range_of_colours() -> None:
    scene = concatenate_splats([sheet((0, 0, 0), (1, 0, 0), (0, 1, 0), RED), sheet((0, 0, 1), (1, 0, 0), (0, 1, 0), BLUE)])
    assert torch.equal(of_color(scene, torch.tensor(RED), 0.1), torch.arange(len(scene)) < len(scene) // 2)
