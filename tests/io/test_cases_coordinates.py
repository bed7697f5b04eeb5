"""Scenes in the coordinates of a national grid: nothing is rounded before it is moved, and what is moved is written back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scene_samples import sample_scene
from splat_samples import random_splats

from scene_depth.cli.app import main
from scene_depth.cli.inputs import open_scene, open_splats
from scene_depth.io.ply import read_ply, write_ply
from scene_depth.io.ply_header import read_ply_header
from scene_depth.io.point_ply import read_point_ply, write_point_ply
from scene_depth.io.scenes import read_scene, write_scene
from scene_depth.io.splat_files import lost_in, read_splats, splat_origin, splats_about_origin, with_origin
from scene_depth.scene import PointCloud, Scene
from scene_depth.splat_transforms import similarity_matrix, transform_splats

UTM = (448262.0, 5411932.0, 120.0)


def far(folder: Path, origin: tuple[float, float, float] = UTM) -> tuple[Scene, Scene]:
    """A scene at the origin, and the same at the other end of the country."""
    near = sample_scene(folder, masks=False, size=(24, 18))
    return near, replace(near.about_origin(tuple(-value for value in origin)), origin=(0.0, 0.0, 0.0))


def centers(scene: Scene) -> np.ndarray:
    return np.stack([view.camera.camera_to_world[0, :3, 3].numpy() for view in scene.views])


@pytest.mark.parametrize("kind", ["colmap", "transforms", "scene", "rgbd"])
def test_every_format_keeps_far_scenes(kind: str, tmp_path: Path) -> None:
    near, there = far(tmp_path)
    write_scene(tmp_path / "out", there, format=kind)
    read = read_scene(tmp_path / "out")
    np.testing.assert_allclose(centers(read) - UTM, centers(near), atol=1e-8)
    if kind != "rgbd":
        assert read.points is not None
        np.testing.assert_allclose(read.points.xyz - UTM, near.points.xyz, atol=1e-8)
    local = open_scene(tmp_path / "out")
    assert np.abs(centers(local)).max() < 10
    np.testing.assert_array_equal(np.round(local.origin), local.origin)
    np.testing.assert_allclose(centers(local) + local.origin - UTM, centers(near), atol=1e-8)
    write_scene(tmp_path / "again", local, format=kind)  # writers put it back into the frame of the files
    np.testing.assert_allclose(centers(read_scene(tmp_path / "again")), centers(read), atol=1e-8)


@pytest.mark.parametrize("distance", [0.0, 5.0, 100.0])
def test_scenes_near_their_zero_stay_where_they_are(distance: float, tmp_path: Path) -> None:
    _, there = far(tmp_path, (distance, 0.0, 0.0))
    write_scene(tmp_path / "out", there, format="colmap")
    scene = open_scene(tmp_path / "out")
    assert scene.origin == (0.0, 0.0, 0.0)
    assert there.about_origin() is there


def test_points_are_doubles_only_where_they_must_be(tmp_path: Path) -> None:
    xyz = np.random.default_rng(0).normal(size=(50, 3))
    for name, offset, code in (("near", 0.0, "f4"), ("far", np.array(UTM), "f8")):
        write_point_ply(tmp_path / f"{name}.ply", PointCloud(xyz + offset, np.zeros((50, 3), np.uint8)))
        assert dict(read_ply_header(tmp_path / f"{name}.ply").element("vertex").properties)["x"] == code
        np.testing.assert_allclose(read_point_ply(tmp_path / f"{name}.ply").xyz - offset, xyz, atol=1e-6)


def test_splats_say_what_their_zero_is(tmp_path: Path) -> None:
    splats = random_splats(50)
    assert splat_origin(splats) == (0.0, 0.0, 0.0)
    placed = with_origin(splats, UTM)
    for name in ("a.ply", "a.compressed.ply"):
        from scene_depth.io.splat_files import write_splats

        write_splats(tmp_path / name, placed)
        assert splat_origin(read_splats(tmp_path / name)) == UTM
    assert torch.equal(read_splats(tmp_path / "a.ply").means, splats.means)
    other = (UTM[0] + 1, UTM[1] - 2, UTM[2])
    moved = splats_about_origin(placed, other)
    assert splat_origin(moved) == other
    torch.testing.assert_close(moved.means, splats.means - torch.tensor([1.0, -2.0, 0.0]), rtol=0, atol=1e-6)
    assert "cannot say that the zero of the splats" in " ".join(lost_in(".spz", placed))
    turned = transform_splats(placed, similarity_matrix(translation=(1.0, 0.0, 0.0)))
    assert splat_origin(turned) == (0.0, 0.0, 0.0)  # it is a frame of its own now
    assert with_origin(placed, (0.0, 0.0, 0.0)).comments == splats.comments


@pytest.mark.parametrize("double", [False, True])
def test_splats_of_a_far_scene_meet_its_cameras(double: bool, tmp_path: Path) -> None:
    """From another trainer, in the frame of the files; exact where the file has doubles."""
    _, there = far(tmp_path)
    write_scene(tmp_path / "scene", there, format="colmap")
    scene, splats = open_scene(tmp_path / "scene"), random_splats(50, degree=0)
    import plyfile

    write_ply(tmp_path / "near.ply", splats)
    rows = plyfile.PlyData.read(tmp_path / "near.ply")["vertex"].data
    rows = rows.astype([(name, "f8" if double and name in "xyz" else code[1:]) for name, code in rows.dtype.descr])
    for axis, name in enumerate("xyz"):
        rows[name] = splats.means[:, axis].double().numpy() + UTM[axis]
    plyfile.PlyData([plyfile.PlyElement.describe(rows, "vertex")]).write(tmp_path / "far.ply")
    opened = open_splats(tmp_path / "far.ply", scene=scene)
    assert opened.means.dtype == torch.float32
    expected = splats.means.double() + torch.tensor(UTM).double() - torch.tensor(scene.origin).double()
    assert (opened.means - expected).abs().max() < (1e-6 if double else 0.3)


def test_fit_and_render_of_a_far_scene_equal_those_of_a_near_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    near, there = far(tmp_path)
    options = ["--steps", "8", "--test-every", "0", "--start-splats", "40", "--max-splats", "60"]
    options = [option for option in options if option not in ("--start-splats", "40")]
    fitted = {}
    for name, scene in (("near", near.about_origin((0.0, 0.0, 0.0))), ("far", there)):
        write_scene(tmp_path / name, scene, format="colmap")
        assert main(["fit", str(tmp_path / name), "--output", str(tmp_path / f"{name}-fit"), *options]) == 0
        fitted[name] = read_ply(tmp_path / f"{name}-fit" / "splats.ply")
    assert "coordinates are too large for float32" in capsys.readouterr().err
    origin = torch.tensor(splat_origin(fitted["far"])).double()
    assert torch.allclose(origin, torch.tensor(UTM).double(), atol=10)
    moved = fitted["far"].means.double() + origin - torch.tensor(UTM).double()
    torch.testing.assert_close(moved, fitted["near"].means.double(), rtol=0, atol=2e-3)
    for name in ("near", "far"):
        arguments = [str(tmp_path / f"{name}-fit" / "splats.ply"), "--cameras", str(tmp_path / name)]
        assert main(["render", *arguments, "--output", str(tmp_path / f"{name}-render"), "--what", "depth"]) == 0
    for file in (tmp_path / "near-render" / "depth").iterdir():
        depths = [np.load(tmp_path / f"{name}-render" / "depth" / file.name) for name in ("near", "far")]
        assert np.median(np.abs(depths[0] - depths[1])) < 1e-2
        assert (depths[1] > 0).any()


def test_convert_keeps_the_points_of_the_shared_case(shared, tmp_path: Path) -> None:
    folder = shared("cases/utm_coordinates/input")
    assert main(["convert", str(folder), str(tmp_path / "out"), "--to", "transforms"]) == 0
    before, after = read_scene(folder).points, read_scene(tmp_path / "out").points
    np.testing.assert_allclose(after.xyz, before.xyz, rtol=0, atol=1e-8)
    frames = json.loads((tmp_path / "out" / "transforms.json").read_text())["frames"]
    positions = [np.array(frame["transform_matrix"])[:3, 3] for frame in frames]
    np.testing.assert_allclose(positions, centers(read_scene(folder)), rtol=0, atol=1e-8)
