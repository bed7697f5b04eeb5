"""Other splats in a scene: where they land, how they turn, and what stays as it was."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from floor_scene import FLOOR_Y, UP, blob, cameras, floor
from room_scene import cameras_on_an_arc, wall
from scene_depth_heal.place import Placement
from scene_depth_heal.placement import extent_along, insert_splats, place

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.rendering import render
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.scene import View
from scene_depth.splats import GaussianSplats

POINT = np.array([0.2, FLOOR_Y, 3.1])


@pytest.fixture(scope="module")
def views() -> list[View]:
    return [View(f"images/{index}.png", camera) for index, camera in enumerate(cameras())]


def solid_bottom(splats: GaussianSplats) -> float:
    """Largest y (lowest height) at which one splat alone is half opaque, one splat after the other."""
    bottoms = []
    for mean, quat, log_scale, opacity in zip(
        splats.means.double(), splats.quats.double(), splats.log_scales.double(), splats.opacities.double(), strict=True
    ):
        axes = quaternions_to_matrices(quat) * log_scale.exp()
        sigma = float((axes @ axes.T)[1, 1].sqrt())
        bottoms.append(float(mean[1]) + sigma * math.sqrt(2 * math.log(2 * float(opacity))))
    return max(bottoms)


def pixel_of(camera: Cameras, point: np.ndarray) -> tuple[float, float]:
    pixels, _ = camera.project(torch.from_numpy(point)[None])
    return float(pixels[0, 0, 0]), float(pixels[0, 0, 1])


@pytest.mark.parametrize("place_by", ["at", "pixel"])
def test_it_stands_on_the_surface(views: list[View], place_by: str) -> None:
    if place_by == "at":
        placement = Placement(at=(POINT[0], 0.7, POINT[2]))
    else:
        placement = Placement(pixel=("1", *pixel_of(views[1].camera, POINT)))
    result = insert_splats(floor(), views, blob(), placement)
    new = result.splats.select(slice(len(floor()), None))
    assert result.new == 600
    assert solid_bottom(new) == pytest.approx(FLOOR_Y, abs=0.005)
    middle = 0.5 * (new.means.amin(0) + new.means.amax(0))
    assert middle[[0, 2]].numpy() == pytest.approx(POINT[[0, 2]], abs=0.03)
    assert result.report.edit.lowest == pytest.approx(result.report.edit.surface_height)
    assert result.report.edit.up == pytest.approx(UP, abs=0.02)
    assert result.report.checks.views_that_show_it == 5


def test_the_scene_stays_bit_for_bit_and_sh_degrees_are_joined(views: list[View]) -> None:
    result = insert_splats(floor(), views, blob(degree=2), Placement(at=(0.0, 0.5, 3.0)))
    report, count = result.report, len(floor())
    assert report.frozen_sha256_before == report.frozen_sha256_after == floor().sha256()
    assert torch.equal(result.splats.means[:count], floor().means)
    assert result.splats.sh_degree == 2
    assert torch.equal(result.splats.sh[:count, :1], floor().sh)
    assert not result.splats.sh[:count, 1:].any()
    turned = result.splats.sh[count:]
    assert torch.equal(turned[:, 0], blob(degree=2).sh[:, 0])
    assert turned[:, 1:].norm() == pytest.approx(float(blob(degree=2).sh[:, 1:].norm()), rel=1e-4)


def test_a_turned_and_scaled_thing_looks_the_same_to_a_camera_that_moves_with_it(views: list[View]) -> None:
    placement = Placement(at=(0.0, 0.5, 3.0), scale=0.5, yaw=130.0, file_up="+x")
    placed = place(floor(), views, blob(degree=3), placement)
    K = torch.tensor([[80.0, 0, 32.0], [0, 80.0, 24.0], [0, 0, 1]], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 3] = torch.tensor([5.1, -1.9, -0.5])
    moved = placed.matrix @ pose
    moved[:3, :3] /= 0.5
    before = render(blob(degree=3), Cameras(pose[None], K[None], 64, 48)).rgb
    after = render(placed.splats, Cameras(moved[None], K[None], 64, 48)).rgb
    assert before.max() > 0.3
    assert (before - after).abs().max() < 2e-3


def test_yaw_turns_about_the_vertical_and_the_files_axis_points_up(views: list[View]) -> None:
    turn = place(floor(), views, blob(), Placement(at=(0.0, 0.5, 3.0), yaw=90.0, up="-y", file_up="+z")).matrix[:3, :3]
    assert (turn @ torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)).numpy() == pytest.approx(UP, abs=1e-9)
    unturned = place(floor(), views, blob(), Placement(at=(0.0, 0.5, 3.0), up="-y", file_up="+z")).matrix[:3, :3]
    side = unturned[:, 0].numpy()
    assert turn[:, 0].numpy() == pytest.approx(np.cross(UP, side), abs=1e-9)  # a quarter turn, counter-clockwise from above


def test_height_is_the_height_that_it_gets(views: list[View]) -> None:
    placed = place(floor(), views, blob(), Placement(at=(0.0, 0.5, 3.0), height=0.25))
    low, high = extent_along(placed.splats, placed.up)
    assert high - low == pytest.approx(0.25, rel=1e-4)


def test_a_transform_is_taken_as_it_is_or_dropped_onto_the_surface(views: list[View]) -> None:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor([-5.0, 2.2, 2.0])
    rows = tuple(tuple(row) for row in matrix.tolist())
    exact = insert_splats(floor(), views, blob(), Placement(transform=rows))
    assert torch.equal(exact.splats.means[-600:], (blob().means.double() + matrix[:3, 3]).float())
    dropped = insert_splats(floor(), views, blob(), Placement(transform=rows, stand="yes"))
    assert solid_bottom(dropped.splats.select(slice(len(floor()), None))) == pytest.approx(FLOOR_Y, abs=0.01)


def test_without_standing_the_origin_comes_to_the_point(views: list[View]) -> None:
    placed = place(floor(), views, blob(), Placement(at=(0.1, 0.2, 3.0), stand="no"))
    assert placed.matrix[:3, 3].numpy() == pytest.approx([0.1, 0.2, 3.0])


def test_on_a_wall_it_can_stand_along_the_normal_or_upright() -> None:
    background, views = wall(with_hole=False), [View(str(i), camera) for i, camera in enumerate(cameras_on_an_arc())]
    on_wall = place(background, views, blob(), Placement(pixel=("2", 40.0, 30.0), up="normal"))
    assert on_wall.up == pytest.approx([0, 0, -1], abs=0.01)
    assert extent_along(on_wall.splats, np.array([0, 0, -1.0]))[0] == pytest.approx(-4.0, abs=0.02)
    upright = place(background, views, blob(), Placement(pixel=("2", 40.0, 30.0)))
    assert upright.up @ UP > 0.99
    report = insert_splats(background, views, blob(), Placement(pixel=("2", 40.0, 30.0))).report
    assert "slopes by" in report.notes[0]


def test_strays_do_not_hold_it_up(views: list[View]) -> None:
    many = blob()
    many = many.select(torch.arange(1800) % 600)
    stray = replace(many.select([0]), means=many.means[:1] + torch.tensor([0.0, 0.5, 0.0]))
    low, _ = extent_along(many, UP)
    joined = replace(many, means=torch.cat([stray.means, many.means[1:]]))
    assert extent_along(joined, UP)[0] == pytest.approx(low, abs=0.005)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "placement: none"),
        ({"at": (0, 0, 3), "pixel": ("1", 3, 3)}, "placement: at and pixel"),
        ({"at": (0, math.nan, 3)}, "expected finite numbers"),
        ({"at": (0, 0, 3), "scale": 0.0}, "a scale above 0"),
        ({"at": (0, 0, 3), "height": -1.0}, "height is -1"),
        ({"at": (0, 0, 3), "height": 1.0, "scale": 2.0}, "height, scale"),
        ({"at": (0, 0, 3), "rotation": (0.0, 0.0, 0.0, 0.0)}, "rotation"),
        ({"transform": tuple(tuple(row) for row in np.eye(4)), "yaw": 3.0}, "transform: also yaw"),
        ({"at": (50.0, 0.0, 3.0)}, "at: .* radii of the scene"),
        ({"at": (0.0, 1.4, 3.0)}, "no surface of the scene below"),
        ({"at": (2.5, 0.5, 3.0)}, "no surface of the scene below"),
        ({"pixel": ("1", 200.0, 3.0)}, r"pixel: \(200, 3\)"),
        ({"pixel": ("1", 3.0, 1.0)}, "no opaque surface"),
        ({"pixel": ("9", 3.0, 1.0)}, "view is '9'"),
        ({"transform": ((1, 0, 0, 0), (0, 2, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))}, "matrix: stretch"),
    ],
)
def test_bad_places_are_named(views: list[View], arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        insert_splats(floor(), views, blob(), Placement(**arguments))


def test_splats_for_another_renderer_are_refused(views: list[View]) -> None:
    with pytest.raises(InputError, match="antialiased ones for a scene of ordinary"):
        insert_splats(floor(), views, replace(blob(), antialiased=True), Placement(at=(0.0, 0.5, 3.0)))
