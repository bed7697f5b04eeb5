"""Sky stays on its far layer outside the depth inpainter; a panorama is six views that agree with it and with each other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from box_room import ROOM
from scene_depth_outpaint import OutpaintConfig, outpaint
from scene_depth_outpaint.panorama import FACES, face_camera, panorama_views, sample
from scene_depth_outpaint.sky import SkyInpainter, grow_sky, joined_with_top, with_sky
from scene_depth_outpaint.trajectory import turned

from scene_depth.cameras import camera_from_fov
from scene_depth.cli.app import main
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import parameters_of
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_image, write_mask
from scene_depth.scene import View

SHAPE = (48, 64)


def a_meadow() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Green ground under a blue sky with a tree before it: colours, depth with the sky unknown, sky."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ground = y >= 24
    tree = (abs(x - 50) < 6) & (y > 8) & ~ground
    rgb = np.where(ground[..., None], [0.2, 0.5, 0.2], np.stack([0.4 + 0.004 * y, 0.6 + 0.004 * y, np.full(SHAPE, 0.9)], -1))
    rgb = np.where(tree[..., None], [0.25, 0.2, 0.1], rgb).astype(np.float32)
    depth = np.where(ground, 40.0 / np.maximum(y - 22, 1), np.where(tree, 15.0, 0.0)).astype(np.float32)
    return rgb, depth, ~ground & ~tree


def a_view() -> View:
    rgb, depth, _ = a_meadow()
    return View("meadow.png", camera_from_fov(torch.eye(4), 0.8, SHAPE[1], SHAPE[0]), lambda: rgb, load_depth=lambda: depth)


def test_unknown_depth_up_to_the_upper_border_is_sky_far_beyond_the_scene() -> None:
    _, depth, sky = a_meadow()
    (view,), far = with_sky([a_view()], [None])
    assert far == pytest.approx(20 * np.quantile(depth[~sky], 0.95))
    np.testing.assert_array_equal(view.depth()[~sky], depth[~sky])
    assert (view.depth()[sky] == np.float32(far)).all()
    hole = np.zeros((4, 4), bool)
    hole[2, 2] = True
    assert not joined_with_top(hole).any()


def test_new_sky_goes_on_the_layer_and_the_rest_to_the_inpainter() -> None:
    rgb, _, sky = a_meadow()
    (view,), far = with_sky([a_view()], [None])
    known = np.arange(SHAPE[1])[None, :].repeat(SHAPE[0], 0) < 30  # the tree is new
    inpainter = SkyInpainter(load_depth_inpainter("nearest"), far)
    found = inpaint_depth(inpainter, rgb, view.depth(), known)
    on_layer = found.depth > 0.9 * far
    assert (on_layer & ~sky).sum() == 0
    assert (on_layer & sky).sum() / sky.sum() > 0.9
    assert found.depth[~sky].max() <= view.depth()[~sky].max()
    np.testing.assert_array_equal(found.depth[known], view.depth()[known])
    blind = inpaint_depth(inpainter, None, view.depth(), known)
    assert (blind.depth[~known] < far / 2).all()
    assert not grow_sky(rgb, np.zeros(SHAPE, bool), ~known).any()


def test_a_sky_mask_must_fit() -> None:
    with pytest.raises(InputError, match=r"sky of 'meadow.png': size"):
        with_sky([a_view()], [np.zeros((2, 2), bool)])
    with pytest.raises(InputError, match="not sky"):
        with_sky([a_view()], [np.ones(SHAPE, bool)])


def equirectangular(height: int) -> tuple[np.ndarray, np.ndarray]:
    """The box room all around: colours, and distance along each ray."""
    row, column = (np.arange(height) + 0.5) / height, (np.arange(2 * height) + 0.5) / (2 * height)
    latitude, longitude = (row[:, None] - 0.5) * np.pi, (column[None, :] - 0.5) * 2 * np.pi
    rays = np.stack(
        [np.cos(latitude) * np.sin(longitude), np.sin(latitude) + 0 * longitude, np.cos(latitude) * np.cos(longitude)], -1
    )
    distance = (np.array([2, 1.5, 2]) / np.maximum(np.abs(rays), 1e-9)).min(-1)
    return (0.5 + 0.4 * np.sin(4 * rays * distance[..., None])).astype(np.float32), distance.astype(np.float32)


def test_a_panorama_is_six_views_of_the_room(tmp_path: Path) -> None:
    rgb, distance = equirectangular(128)
    write_depth(tmp_path / "around.npy", distance)
    views, notes = panorama_views(rgb, "around.png", tmp_path / "around.npy", None)
    assert [view.name for view in views] == [f"{face}.png" for face in FACES]
    assert notes == []
    for view in views:
        colors, depth = ROOM.seen(view.camera)
        np.testing.assert_allclose(view.depth(), depth, rtol=0.03)
        assert np.abs(view.image() - colors).mean() < 0.02


def test_a_panorama_goes_round() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32), (32, 1))
    behind = sample(ramp, face_camera(16, 180, 0), order=1)
    assert behind[:, :10].mean() > 50
    assert behind[:, 12:].mean() < 14


def test_what_a_panorama_needs(tmp_path: Path) -> None:
    rgb = np.zeros((16, 32, 3), np.float32)
    with pytest.raises(InputError, match="twice as wide"):
        panorama_views(rgb[:, :20], "square.png", None, None)
    with pytest.raises(InputError, match=r"none of the panorama 'around.png'"):
        panorama_views(rgb, "around.png", None, None)
    (tmp_path / "relative.py").write_text("def model(rgb):\n    return rgb[..., 0] + 1\n")
    with pytest.raises(InputError, match="not metric"):
        panorama_views(rgb, "around.png", None, f"{tmp_path / 'relative.py'}:model")


def test_the_command_begins_with_a_panorama(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb, distance = equirectangular(64)
    write_image(tmp_path / "around.png", rgb)
    write_depth(tmp_path / "around.npy", distance)
    given = ["--image", str(tmp_path / "around.png"), "--panorama", "--depth", str(tmp_path / "around.npy")]
    assert main(["outpaint", *given, "--trajectory", "moveright[distance=0.4,views=2]", "--dry-run", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["start_views"] == 6
    assert max(report["planned"], default=0) < 0.1, report["planned"]  # all around is known but for what things hide


def test_a_view_beside_shows_the_sky_as_far_as_before() -> None:
    (view,), far = with_sky([a_view()], [None])
    inpainter = SkyInpainter(load_depth_inpainter("solver"), far)
    config = OutpaintConfig(fit_steps=0, accept=False)
    made = outpaint(view, [turned(view.camera, 12.0)], inpainter=inpainter, color="membrane", config=config).views[1]
    assert not made.known[:, -8:].any()
    assert (made.depth[:6] > far / 2).mean() > 0.95
    assert (made.depth[-6:] < far / 2).all()


def test_the_command_takes_sky_from_depth_or_from_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb, depth, sky = a_meadow()
    write_image(tmp_path / "meadow.png", rgb)
    write_depth(tmp_path / "meadow.npy", depth)
    write_mask(tmp_path / "sky.png", sky)
    given = ["--image", str(tmp_path / "meadow.png"), "--depth", str(tmp_path / "meadow.npy"), "--dry-run", "--json"]
    planned = []
    for kind in ("unknown", str(tmp_path / "sky.png")):
        assert main(["outpaint", *given, "--trajectory", "circle[views=30]", "--sky", kind]) == 0
        planned.append(json.loads(capsys.readouterr().out)["planned"])
    assert planned[0] == planned[1]


def test_what_is_resumed_knows_the_inpainter_beside_the_sky():
    told = [parameters_of(SkyInpainter(load_depth_inpainter("solver", reach=reach), 50.0)) for reach in (100.0, 80.0)]
    assert told[0]["inpainter"]["name"] == "solver"
    assert [each["inpainter"]["reach"] for each in told] == [100.0, 80.0]
