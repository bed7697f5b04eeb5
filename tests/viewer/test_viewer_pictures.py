"""What the server draws for the page: channels, photos in other views, the page's frame, splats for viser."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from room_scene import Room
from scene_depth_heal.hole import HealView
from scene_depth_heal.selection import Box, Sphere
from scene_depth_viewer.drawing import page_splats, region_mesh
from scene_depth_viewer.page_frame import RADIUS, Axis, frustum_size, orbit_distance, page_frame, start_camera
from scene_depth_viewer.pictures import (
    TINT,
    UNSEEN,
    PhotoDepths,
    coarse_to_fine,
    compared,
    photo_seen_by,
    picture,
    side_by_side,
    tinted,
    to_bytes,
)

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.rendering import render
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splat_transforms import similarity_matrix, transform_splats


def test_channels_show_what_they_say(the_room: Room) -> None:
    camera, splats = the_room.cameras[2], the_room.splats
    image = render(splats, camera, background=torch.full((3,), 0.1))
    assert np.allclose(picture(splats, None, camera, "colour"), image.rgb[0].clamp(0, 1).numpy())
    assert np.allclose(picture(splats, None, camera, "alpha")[..., 1], image.alpha[0].numpy())
    depth = picture(splats, None, camera, "depth")
    ball, wall = image.depth[0] < 3, (image.depth[0] > 3.5) & image.depth_valid[0]
    assert depth[ball.numpy()][:, 0].mean() > 2 * depth[ball.numpy()][:, 2].mean()  # near is red
    assert depth[wall.numpy()][:, 2].mean() > 1.2 * depth[wall.numpy()][:, 0].mean()  # far is blue, the farthest nearly black


def test_selected_splats_are_tinted_and_others_untouched(the_room: Room) -> None:
    changed = tinted(the_room.splats, the_room.ball)
    assert torch.equal(changed.sh[~the_room.ball], the_room.splats.sh[~the_room.ball])
    colors = changed.base_colors[the_room.ball]
    expected = 0.35 * the_room.splats.base_colors[the_room.ball] + 0.65 * torch.tensor(TINT)
    assert torch.allclose(colors, expected, atol=1e-5)


def test_unseen_is_what_no_photo_shows(the_room: Room) -> None:
    """Behind the ball nobody has looked; the wall beside it every photo shows; outside all photos nothing is known."""
    camera = the_room.cameras[2]
    photos = PhotoDepths(the_room.splats, the_room.cameras)
    shown = picture(the_room.splats, the_room.ball, camera, "unseen", photos)
    marked = np.abs(shown - UNSEEN).sum(axis=-1) < 1.0
    front = render(the_room.splats, camera)
    ball = (front.depth[0] < 3).numpy() & front.depth_valid[0].numpy()
    assert marked[ball].mean() > 0.85  # at its rim the outer photos look past it
    kept = render(the_room.splats.select(~the_room.ball), camera)
    wall = kept.depth_valid[0].numpy() & ~ball
    assert marked[wall].mean() < 0.05
    whole = picture(the_room.splats, None, camera, "unseen", photos)
    assert (np.abs(whole - UNSEEN).sum(axis=-1) < 1.0)[ball].mean() < 0.05  # every photo shows the ball
    wide = camera_from_fov(camera.camera_to_world[0], 2.2, 120, 90)
    edges = picture(the_room.splats, None, wide, "unseen", photos)[:, :10]
    assert (np.abs(edges - UNSEEN).sum(axis=-1) < 1.0).mean() > 0.9


def test_a_quick_picture_comes_first_and_is_enough_when_the_camera_moved(the_room: Room) -> None:
    camera, shown = the_room.cameras[0], []

    def draw(sized: Cameras) -> np.ndarray:
        return np.zeros((sized.height, sized.width, 3), dtype=np.float32)

    coarse_to_fine(camera, draw, shown.append, lambda: False)
    assert [image.shape[:2] for image in shown] == [(18, 24), (72, 96)]
    coarse_to_fine(camera, draw, shown.append, lambda: True)
    assert [image.shape[:2] for image in shown[2:]] == [(18, 24)]


def test_a_photo_in_its_own_view_is_itself(photos: list[HealView]) -> None:
    view = photos[1]
    seen, reaches = photo_seen_by(view.rgb.numpy(), view.camera, view.camera)
    assert reaches.all()
    assert np.allclose(seen, view.rgb, atol=1e-5)


def test_a_photo_from_a_turned_wider_camera_is_where_a_render_of_it_would_be(the_room: Room) -> None:
    """The scene rendered from a second camera at the same place must agree with the first picture warped to it."""
    photo_camera = the_room.cameras[3].resized(384, 288)
    photo = render(the_room.splats, photo_camera).rgb[0].clamp(0, 1).numpy()
    turn = similarity_matrix(quaternions_to_matrices(torch.tensor([0.99, 0.05, 0.08, 0.03], dtype=torch.float64)))
    other = camera_from_fov(photo_camera.camera_to_world[0] @ turn, 1.2, 300, 250)
    seen, reaches = photo_seen_by(photo, photo_camera, other)
    expected = render(the_room.splats, other).rgb[0].clamp(0, 1).numpy()
    assert 0.1 < reaches.mean() < 0.9
    assert np.abs(seen - expected)[reaches].mean() < 0.02
    assert (seen[~reaches] == 0).all()


def test_blend_and_split(photos: list[HealView]) -> None:
    scene, photo = np.zeros((4, 10, 3), np.float32), np.full((4, 10, 3), 0.8, np.float32)
    reaches = np.ones((4, 10), dtype=bool)
    reaches[0] = False
    mixed = compared(scene, photo, reaches, "blend", 0.25)
    assert np.allclose(mixed[1:], 0.2)
    assert (mixed[0] == 0).all()
    for share in (0.0, 0.4, 1.0):
        split = compared(scene, photo, reaches, "split", share)
        assert split.shape == scene.shape
        edge = round(10 * share)
        assert np.allclose(split[1:, :edge], 0.8)
        assert (split[1:, edge + 1 :] == 0).all()
    assert compared(scene, photo, reaches, "off", 0.5) is scene


@pytest.mark.parametrize(("width", "height"), [(200, 100), (101, 300), (3, 2), (1, 1)])
def test_side_by_side_fits_into_any_window(width: int, height: int) -> None:
    left, right = np.zeros((30, 40, 3), np.float32), np.ones((30, 40, 3), np.float32)
    canvas = side_by_side(left, right, width, height)
    assert canvas.shape == (height, width, 3)
    if width > 10:
        assert (canvas[height // 2, width // 4] == 0).all()
        assert (canvas[height // 2, 3 * width // 4] == 1).all()


def test_bytes_are_rounded_and_clipped() -> None:
    assert to_bytes(np.array([[[-1.0, 0.5, 2.0]]], dtype=np.float32)).tolist() == [[[0, 128, 255]]]


@given(st.floats(1e-4, 1e4), st.floats(-100, 100))
def test_scenes_of_any_size_are_alike_on_the_page(scale: float, shift: float) -> None:
    torch.manual_seed(0)
    splats = page_scene()
    moved = transform_splats(splats, similarity_matrix(translation=(shift * scale, 0.0, 0.0), scale=scale))
    frame = page_frame(moved, [])
    page = page_splats(moved, frame.ratio)
    plain = page_splats(splats, page_frame(splats, []).ratio)
    assert np.allclose(page.covariances, plain.covariances, rtol=2e-2, atol=1e-8)
    spread = np.linalg.norm(page.centers - np.median(page.centers, axis=0), axis=1)
    assert np.quantile(spread, 0.8) == pytest.approx(RADIUS, rel=0.02)
    np.linalg.cholesky(page.covariances)  # viser 0.2.7 needs them positive definite
    assert np.isfinite(page.covariances.astype(np.float16)).all()  # viser 1 sends them so


def page_scene():
    from scene_depth.splats import GaussianSplats

    count = 200
    return GaussianSplats(
        means=torch.randn(count, 3),
        quats=torch.randn(count, 4),
        log_scales=torch.randn(count, 3) - torch.tensor([2.0, 2.0, 12.0]),  # thin as paper
        logit_opacities=torch.randn(count),
        sh=torch.randn(count, 1, 3),
    )


def test_splats_that_cannot_be_drawn_are_left_out() -> None:
    splats = page_scene().map(torch.clone)
    splats.means[0, 0], splats.quats[1], splats.logit_opacities[2] = math.nan, 0, -20
    splats.log_scales[3] = 30.0
    page = page_splats(splats, 1.0)
    assert len(page.centers) == 197
    assert np.isfinite(page.covariances.astype(np.float16)).all()


def test_page_and_scene_cameras_are_one(the_room: Room) -> None:
    frame = page_frame(the_room.splats, the_room.cameras)
    assert np.allclose(frame.up, [0, -1, 0], atol=0.05)
    camera = camera_from_fov(the_room.cameras[4].camera_to_world[0], 0.7, 640, 360)
    back = frame.camera(frame.pose(camera), 640 / 360, 640)
    assert torch.allclose(back.camera_to_world, camera.camera_to_world.double(), atol=1e-9)
    assert torch.allclose(back.K, camera.K.double(), atol=1e-6)
    tall = frame.camera(frame.pose(camera), 0.5, 640)
    assert (tall.width, tall.height) == (320, 640)


@pytest.mark.parametrize(("up", "axis"), [("z", [0, 0, 1]), ("-y", [0, -1, 0]), ("y", [0, 1, 0]), ("-x", [-1, 0, 0])])
def test_up_can_be_said(the_room: Room, up: Axis, axis: list[int]) -> None:
    frame = page_frame(the_room.splats, the_room.cameras, up)
    assert frame.up.tolist() == axis
    camera = start_camera(page_frame(the_room.splats, [], up), [])
    assert float(camera.camera_to_world[0, :3, 1].double() @ torch.tensor(axis).double()) < -0.9  # its y points down


def test_the_start_is_a_photo_in_the_middle_or_sees_the_scene(the_room: Room) -> None:
    frame = page_frame(the_room.splats, the_room.cameras)
    assert start_camera(frame, the_room.cameras) in the_room.cameras[2:4]
    assert orbit_distance(frame, the_room.cameras[2], the_room.splats) == pytest.approx(4, abs=1.7)
    assert 0 < frustum_size(frame, the_room.cameras) < 0.2 * frame.ratio  # cameras are 0.2 apart
    assert frustum_size(frame, the_room.cameras[:1]) > 0
    alone = page_frame(the_room.splats, [])
    camera = start_camera(alone, [])
    pixels, z = camera.project(the_room.splats.means.double())
    inside = (z[0] > 0) & (pixels[0] >= 0).all(1) & (pixels[0, :, 0] < camera.width) & (pixels[0, :, 1] < camera.height)
    assert inside.float().mean() > 0.7
    assert float(camera.camera_to_world[0, :3, 1] @ torch.from_numpy(alone.up)) < -0.9  # the picture's down is the scene's


def test_outlines_lie_on_their_regions() -> None:
    box, sphere = Box((1.0, 2.0, 3.0), (1.0, 2.0, 4.0)), Sphere((0.0, 0.0, 0.0), 1.5)
    vertices, faces = region_mesh(box, 2.0)
    assert faces.max() == len(vertices) - 1
    assert np.allclose(np.abs(vertices).max(axis=0), [1.0, 2.0, 4.0], rtol=0.05)
    inner = np.abs(vertices) / [1.0, 2.0, 4.0]
    assert ((inner > 0.9).sum(axis=1) >= 2).all()  # along edges only
    vertices, faces = region_mesh(sphere, 2.0)
    assert np.allclose(np.linalg.norm(vertices, axis=1), 3.0, rtol=0.02)


def test_tints_of_higher_bands_keep_their_share(the_room: Room) -> None:
    splats = replace(the_room.splats, sh=torch.ones(len(the_room.splats), 4, 3))
    changed = tinted(splats, the_room.ball)
    assert torch.allclose(changed.sh[the_room.ball, 1:], torch.tensor(0.35))
