"""Units and lenses: what a file states about its depth and its camera is used, what is assumed is said, what looks odd is too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scene_samples import smooth_image

from scene_depth.cli.app import main
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth, write_depth
from scene_depth.io.depth_units import stated_unit, stored_depth_notes
from scene_depth.io.intrinsics_files import read_intrinsics
from scene_depth.io.point_ply import write_point_ply
from scene_depth.io.rgbd_folder import read_rgbd_folder
from scene_depth.io.scenes import read_scene
from scene_depth.scene import PointCloud

WIDTH, HEIGHT = 24, 18
POSE = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"


def slope(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.float64]:
    """Depth in metres, no two pixels alike."""
    return np.linspace(1.0, 6.0, width * height).reshape(height, width)


def save_png(path: Path, values: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(values).astype(np.uint16)).save(path)
    return path


def photo(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(smooth_image(height, width)).save(path)
    return path


def rgbd(folder: Path, fields: dict[str, Any], steps: float = 1000, name: str = "K.json") -> Path:
    """One frame whose depth has so many steps in a metre, with intrinsics in a file of that name."""
    photo(folder / "color" / "0.png")
    save_png(folder / "depth" / "0.png", slope() * steps)
    (folder / "pose").mkdir()
    (folder / "pose" / "0.txt").write_text(POSE)
    (folder / name).write_text(json.dumps(fields))
    return folder


K = {"fx": 20.0, "fy": 21.0, "cx": 11.0, "cy": 9.0, "w": WIDTH, "h": HEIGHT}


# --- the unit of depth that stands beside the intrinsics


@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        ({"camera": {**K, "scale": 6553.5}}, 6553.5),  # Replica
        ({**K, "depth_scale": 5000}, 5000),  # TUM, Open3D
        ({**K, "depth_scale": 1000.0}, 1000),
        ({**K, "depth_scale": 0.00025}, 4000),  # RealSense, metres of a step
        ({**K, "depth_scale": 0.1}, 10000),  # BOP, millimetres of a step
        ({**K, "depth_scale": 1.0}, 1000),
        ({"cam": K, "png_depth_scale": 6553.5}, 6553.5),  # NICE-SLAM
        ({**K, "depth_factor": 5000}, 5000),
        ({**K, "factor": 5000}, 5000),
        ({**K, "depth_unit_scale_factor": 0.0005}, 2000),
        ({**K, "integer_depth_scale": 0.0002}, 5000),
        ({**K, "depth_unit": "mm"}, 1000),
        ({**K, "depth_unit": "cm"}, 100),
        (K, 1000),
    ],
)
def test_a_stated_unit_is_used(fields: dict[str, Any], steps: float, tmp_path: Path) -> None:
    scene = read_scene(rgbd(tmp_path, fields, steps))
    np.testing.assert_allclose(scene.views[0].depth(), slope(), atol=0.6 / steps)
    (said,) = [sentence for sentence in scene.notes if sentence.startswith("a stored 1 of depth is ")]
    assert f"is {1 / steps:.6g} " in said
    assert ("assumed for .png files; depth_unit=" if fields is K else " in K.json") in said


@pytest.mark.parametrize("value", [1.0, 0.5, 2])
def test_a_scale_near_one_is_that_of_something_else(value: float, tmp_path: Path) -> None:
    scene = read_scene(rgbd(tmp_path, {**K, "scale": value}))
    np.testing.assert_allclose(scene.views[0].depth(), slope(), atol=6e-4)
    assert "fields of K.json that are not used: scale" in scene.notes


def test_unknown_fields_beside_known_ones_are_named(tmp_path: Path) -> None:
    scene = read_scene(rgbd(tmp_path, {**K, "z_multiplier": 3, "fps": 30}))
    assert "fields of K.json that are not used: z_multiplier" in scene.notes


def test_options_win_over_what_a_file_states(tmp_path: Path) -> None:
    rgbd(tmp_path, {**K, "depth_scale": 5000})
    np.testing.assert_allclose(read_rgbd_folder(tmp_path, depth_unit=0.001).views[0].depth(), slope(), atol=6e-4)
    scene = read_rgbd_folder(tmp_path, depth_format="millimeters")
    np.testing.assert_allclose(scene.views[0].depth(), slope(), atol=6e-4)
    assert "a stored 1 of depth is 0.001 (1/1000) m, as asked by the format millimeters" in scene.notes


def test_floats_are_metres_whatever_integers_would_be(tmp_path: Path) -> None:
    rgbd(tmp_path, {**K, "depth_scale": 5000})
    (tmp_path / "depth" / "0.png").unlink()
    np.save(tmp_path / "depth" / "0.npy", slope().astype(np.float32))
    np.testing.assert_allclose(read_scene(tmp_path).views[0].depth(), slope(), rtol=1e-6)
    np.save(tmp_path / "depth" / "0.npy", np.rint(slope() * 5000).astype(np.uint16))
    np.testing.assert_allclose(read_scene(tmp_path).views[0].depth(), slope(), atol=2e-4)


@pytest.mark.parametrize("value", [0, -1, "x", None, True])
def test_a_unit_that_is_none(value: object) -> None:
    if value is None:
        assert stated_unit({"depth_scale": value}, Path("K.json")) is None
        return
    with pytest.raises(InputError, match=r"K\.json: depth_scale is .*; expected a positive number"):
        stated_unit({"depth_scale": value}, Path("K.json"))


def test_the_layout_of_replica(tmp_path: Path) -> None:
    scene = tmp_path / "room0"
    for index in range(3):
        photo(scene / "results" / f"frame{index:06d}.jpg")
        save_png(scene / "results" / f"depth{index:06d}.png", (slope() + index) * 6553.5)
    (scene / "traj.txt").write_text(POSE.replace("\n", " ").strip() + "\n" + (POSE.replace("\n", " ").strip() + "\n") * 2)
    (tmp_path / "cam_params.json").write_text(json.dumps({"camera": {**K, "scale": 6553.5}}))
    read = read_scene(scene)
    assert [view.name for view in read.views] == [f"frame{index:06d}.jpg" for index in range(3)]
    np.testing.assert_allclose(read.views[2].depth(), slope() + 2, atol=1e-4)


def test_replica_of_the_shared_case(shared) -> None:
    folder = shared("cases/replica_depth_scale/input")
    view = read_scene(folder).views[0]
    stored = np.asarray(Image.open(folder / "depth" / "frame000000.png"))
    np.testing.assert_allclose(view.depth(), np.where(stored == 65535, 0, stored / 6553.5), rtol=1e-6)


# --- transforms.json of instant-ngp, and its like


def transforms(folder: Path, steps: float, frame: dict[str, Any] | None = None, **meta: Any) -> Path:
    photo(folder / "images" / "0.png")
    save_png(folder / "depth" / "0.png", slope() * steps)
    frames = [{"file_path": "images/0.png", "transform_matrix": np.eye(4).tolist(), **(frame or {"depth_path": "depth/0.png"})}]
    lens = {"fl_x": 20, "fl_y": 21, "cx": 12, "cy": 9, "w": WIDTH, "h": HEIGHT}
    (folder / "transforms.json").write_text(json.dumps({**lens, **meta, "frames": frames}))
    return folder


@pytest.mark.parametrize("key", ["depth_path", "depth_file_path"])
@pytest.mark.parametrize(
    ("meta", "steps"),
    [
        ({"integer_depth_scale": 0.0002, "enable_depth_loading": True}, 5000),
        ({"depth_unit_scale_factor": 0.0005}, 2000),
        ({"depth_scale": 5000}, 5000),
        ({}, 1000),
    ],
)
def test_depth_of_transforms_json(key: str, meta: dict[str, Any], steps: float, tmp_path: Path) -> None:
    scene = read_scene(transforms(tmp_path, steps, {key: "depth/0.png"}, **meta))
    np.testing.assert_allclose(scene.views[0].depth(), slope(), atol=0.6 / steps)
    assert any(f"a stored 1 of depth is {1 / steps:.6g} " in sentence for sentence in scene.notes)
    assert any("assumed" in sentence for sentence in scene.notes) == (not meta)


def test_unknown_fields_of_transforms_json_are_named(tmp_path: Path) -> None:
    frame = {"depth_file": "depth/0.png"}
    scene = read_scene(transforms(tmp_path, 1000, frame, aabb_scale=4, near_plane=0.1))
    assert scene.views[0].load_depth is None
    assert "fields of transforms.json that are not used: near_plane, depth_file" in scene.notes


def test_fields_of_view_in_degrees(tmp_path: Path) -> None:
    folder = transforms(tmp_path, 1000, x_fov=60.0)
    meta = json.loads((folder / "transforms.json").read_text())
    (folder / "transforms.json").write_text(json.dumps({key: meta[key] for key in meta if key not in ("fl_x", "fl_y")}))
    assert float(read_scene(folder).views[0].camera.K[0, 0, 0]) == pytest.approx(12 / np.tan(np.radians(30)))


def test_instant_ngp_of_the_shared_case(shared) -> None:
    folder = shared("cases/ngp_depth/input")
    scene = read_scene(folder)
    stored = np.asarray(Image.open(folder / "depth" / "frame_04.png"))
    np.testing.assert_allclose(scene.views[1].depth(), stored * 0.0002, rtol=1e-6)


# --- intrinsics of many makers


@pytest.mark.parametrize(
    "fields",
    [
        {"fx": 20, "fy": 21, "ppx": 11, "ppy": 9},  # RealSense
        {"fl_x": 20, "fl_y": 21, "cx": 11, "cy": 9},
        {"K": [[20, 0, 11], [0, 21, 9], [0, 0, 1]]},
        {"K": [20, 0, 11, 0, 21, 9, 0, 0, 1]},
        {"K": [20, 0, 0, 0, 21, 0, 11, 9, 1]},  # Record3D, column by column
        {"intrinsic_matrix": [20, 0, 0, 0, 21, 0, 11, 9, 1]},  # Open3D
        {"intrinsics": [20, 21, 11, 9]},
        {"intrinsics": [[20, 0, 11, 0], [0, 21, 9, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
        {"camera_matrix": {"rows": 3, "cols": 3, "data": [20, 0, 11, 0, 21, 9, 0, 0, 1]}},  # OpenCV, ROS
        {"intrinsics": {"fx": 20, "fy": 21, "cx": 11, "cy": 9}},
        {"color": {"fx": 20, "fy": 21, "ppx": 11, "ppy": 9}},
    ],
)
def test_intrinsics_of_many_makers(fields: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "K.json").write_text(json.dumps(fields))
    intrinsics = read_intrinsics(tmp_path / "K.json")
    np.testing.assert_array_equal(intrinsics.K, [[20, 0, 11], [0, 21, 9], [0, 0, 1]])
    assert intrinsics.unused == ()


@pytest.mark.parametrize(
    "text", ["fx: 20\nfy: 21\ncx: 11.0\ncy: 9", "Camera.fx = 20\nCamera.fy = 21\nCamera.cx=11\nCamera.cy=9  # px\n"]
)
def test_lines_of_names_and_numbers(text: str, tmp_path: Path) -> None:
    (tmp_path / "camera.yaml").write_text("%YAML:1.0\n" + text + "\nCamera.DepthMapFactor: 5000.0\n")
    intrinsics = read_intrinsics(tmp_path / "camera.yaml")
    np.testing.assert_array_equal(intrinsics.K, [[20, 0, 11], [0, 21, 9], [0, 0, 1]])
    assert intrinsics.depth_unit is not None
    assert intrinsics.depth_unit.unit == 1 / 5000


@pytest.mark.parametrize("distortion", [{"k1": -0.1, "k2": 0.02, "p1": 1e-3}, {"coeffs": [-0.1, 0.02, 1e-3, 0, 0]}])
def test_a_lens_beside_the_intrinsics_is_undone(distortion: dict[str, Any], tmp_path: Path) -> None:
    lens = read_intrinsics(rgbd(tmp_path, {**K, **distortion}) / "K.json").camera(0.0, (WIDTH, HEIGHT))
    assert not lens.is_pinhole
    assert dict(zip(lens.model.coefficients, lens.coefficients, strict=True))["k1"] == -0.1
    camera = read_scene(tmp_path).views[0].camera
    assert (camera.width, camera.height) != (WIDTH, HEIGHT)  # cropped to what has no blank pixel


@pytest.mark.parametrize("distortion", [{"k1": 0.0, "p2": 0}, {"coeffs": [0, 0, 0, 0, 0], "model": "distortion.none"}])
def test_no_distortion_is_a_pinhole(distortion: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "K.json").write_text(json.dumps({**K, **distortion}))
    assert read_intrinsics(tmp_path / "K.json").camera(0.0, (WIDTH, HEIGHT)).is_pinhole


# --- what stored values tell


def test_a_plateau_at_the_largest_value_is_said() -> None:
    stored = np.rint(slope(64, 48) * 1000).astype(np.uint16)
    assert stored_depth_notes(stored) == []
    (note,) = stored_depth_notes(np.minimum(stored, 5000))
    assert note.startswith("20.0 % of the depth has exactly the largest value, 5000 as stored")
    (note,) = stored_depth_notes(np.minimum(slope(64, 48), 5).astype(np.float32))
    assert "the largest value, 5 as stored" in note
    assert stored_depth_notes(np.full((4, 4), 2.0)) == []  # a wall, or an example


def test_rotated_bits_are_said_and_read(tmp_path: Path) -> None:
    millimeters = np.rint(slope(64, 48) * 2000).astype(np.uint16)  # to 12 m, more than 13 bits
    rotated = (millimeters << 3) | (millimeters >> 13)
    near = np.where(millimeters < 8192, rotated, 0)
    (note,) = stored_depth_notes(near)
    assert "multiples of 8" in note
    assert "sunrgbd" in note
    save_png(tmp_path / "d.png", rotated)
    np.testing.assert_allclose(read_depth(tmp_path / "d.png", format="sunrgbd"), millimeters / 1000, rtol=1e-6)
    write_depth(tmp_path / "again.png", read_depth(tmp_path / "d.png", format="sunrgbd"), format="sunrgbd")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "again.png")), rotated)


# --- complete


def complete(*arguments: object) -> dict[str, Any]:
    *inputs, output = map(str, arguments)
    assert main(["complete", *inputs, "--output", output, "--no-points", "--inpainter", "nearest"]) == 0
    frame: dict[str, Any] = json.loads((Path(output) / "report.json").read_text())["frames"][0]
    return frame


def test_complete_says_the_unit_it_assumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = complete("-", save_png(tmp_path / "d.png", slope() * 1000), tmp_path / "out")
    assert (frame["unit"], frame["unit_source"]) == (0.001, "assumed for .png files")
    assert "a stored 1 of depth is 0.001 (1/1000) m, assumed for .png files" in capsys.readouterr().out


@pytest.mark.parametrize("fields", [{**K, "depth_scale": 5000}, {"camera": {**K, "scale": 5000}}])
def test_complete_uses_the_unit_beside_the_depth(fields: dict[str, Any], tmp_path: Path) -> None:
    stored = slope() * 5000
    stored[5:9, 5:9] = 0
    depth = save_png(tmp_path / "depth" / "0.png", stored)
    (tmp_path / "K.json").write_text(json.dumps(fields))
    frame = complete("-", depth, tmp_path / "out")
    assert frame["unit"] == pytest.approx(0.0002)
    assert 0.9 < frame["depth_range"][0] < 1.1
    before, after = np.asarray(Image.open(depth)), np.asarray(Image.open(tmp_path / "out" / "depth" / "0.png"))
    np.testing.assert_array_equal(after[before > 0], before[before > 0])
    asked = complete("-", depth, "--unit", 0.001, tmp_path / "asked")
    assert (asked["unit"], asked["unit_source"]) == (0.001, "as asked")


@pytest.mark.parametrize("meta", [{"integer_depth_scale": 0.0002}, {"depth_unit_scale_factor": 0.0002}])
def test_complete_uses_the_transforms_json_that_names_its_files(meta: dict[str, Any], tmp_path: Path) -> None:
    transforms(tmp_path, 5000, **meta)
    frame = complete(tmp_path / "images" / "0.png", tmp_path / "depth" / "0.png", tmp_path / "out")
    assert frame["intrinsics"] == str(tmp_path / "transforms.json")
    assert frame["unit"] == 0.0002
    assert frame["depth_range"] == pytest.approx([1, 6], abs=1e-3)
    save_png(tmp_path / "other" / "1.png", slope() * 1000)
    assert complete("-", tmp_path / "other" / "1.png", tmp_path / "out2")["intrinsics"].startswith("nominal")
    named = complete("-", tmp_path / "depth" / "0.png", "--K", tmp_path / "transforms.json", tmp_path / "out3")
    assert named["intrinsics"] == str(tmp_path / "transforms.json")


@pytest.mark.parametrize("named", ["C:\\scan\\depth\\0.png", "/home/me/scan/depth/0.png", "depth/0.PNG"])
def test_complete_finds_its_files_by_the_paths_of_another_machine(named: str, tmp_path: Path) -> None:
    frame = {"file_path": named.replace("depth", "images"), "depth_file_path": named}
    transforms(tmp_path, 5000, frame, depth_unit_scale_factor=0.0002)
    assert complete("-", tmp_path / "depth" / "0.png", tmp_path / "out")["intrinsics"] == str(tmp_path / "transforms.json")
    view = read_scene(tmp_path).views[0]
    np.testing.assert_allclose(view.depth(), slope(), atol=2e-4)


@pytest.mark.parametrize("named", ["D:\\scan\\sparse_pc.ply", "/home/me/scan/sparse_pc.ply", ".\\sparse_pc.ply"])
def test_points_are_found_by_the_paths_of_another_machine(named: str, tmp_path: Path) -> None:
    transforms(tmp_path, 1000, ply_file_path=named)
    write_point_ply(tmp_path / "sparse_pc.ply", PointCloud(np.ones((5, 3)), np.zeros((5, 3), np.uint8)))
    points = read_scene(tmp_path).points
    assert points is not None
    assert len(points) == 5


@pytest.mark.parametrize("size", [(96, 72), (95, 71), (24, 18), (12, 9)])
def test_depth_of_another_size_moves_to_the_pixels_of_the_photo(size: tuple[int, int], tmp_path: Path) -> None:
    depth = save_png(tmp_path / "depth.png", slope() * 1000)
    frame = complete(photo(tmp_path / "rgb.png", *size), depth, tmp_path / "out")
    assert (frame["width"], frame["height"]) == size
    completed = read_depth(tmp_path / "out" / "depth" / "depth.png")
    assert completed.shape == size[::-1]
    rows = ((np.arange(HEIGHT) + 0.5) * size[1] / HEIGHT).astype(int)
    columns = ((np.arange(WIDTH) + 0.5) * size[0] / WIDTH).astype(int)
    if size[0] >= WIDTH:
        np.testing.assert_allclose(completed[np.ix_(rows, columns)], slope(), atol=6e-4)
    moved = any("24 x 18 pixels was moved" in note for note in frame["details"]["notes"])
    assert moved == (size != (WIDTH, HEIGHT))


def test_depth_of_another_shape_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    depth = save_png(tmp_path / "depth.png", slope() * 1000)
    rgb = photo(tmp_path / "rgb.png", 96, 54)
    assert main(["complete", str(rgb), str(depth), "--output", str(tmp_path / "out")]) == 2
    assert "RGB size: 96 x 54 pixels; expected 24 x 18, the size of depth.png" in capsys.readouterr().err


@pytest.mark.parametrize("mask_size", [(WIDTH, HEIGHT), (96, 72)])
def test_a_mask_of_either_size_will_do(mask_size: tuple[int, int], tmp_path: Path) -> None:
    depth = save_png(tmp_path / "depth.png", slope() * 1000)
    mask = np.zeros(mask_size[::-1], np.uint8)
    mask[: mask_size[1] // 2] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    rgb = photo(tmp_path / "rgb.png", 96, 72)
    frame = complete(rgb, depth, "--mask", tmp_path / "mask.png", tmp_path / "out")
    assert frame["known_share"] == pytest.approx(0.5 * WIDTH * HEIGHT / (96 * 72))


def test_odd_depth_of_the_shared_case_is_said(shared, tmp_path: Path) -> None:
    folder = shared("cases/saturated_depth")
    plateau = complete(folder / "rgb.jpg", folder / "mm_saturated_10000.png", tmp_path / "a")
    assert any("6.2 % of the depth has exactly the largest value, 10000" in note for note in plateau["details"]["notes"])
    rotated = complete(folder / "rgb.jpg", folder / "sunrgbd_rotated.png", tmp_path / "b")
    assert any("multiples of 8" in note for note in rotated["details"]["notes"])
    right = complete(folder / "rgb.jpg", folder / "sunrgbd_rotated.png", "--format", "sunrgbd", tmp_path / "c")
    np.testing.assert_allclose(np.array(right["depth_range"]) * 8, rotated["depth_range"], rtol=0.01)


def test_phone_depth_of_the_shared_case(shared, tmp_path: Path) -> None:
    folder = shared("cases/phone_depth/input")
    frame = complete(folder / "rgb.jpg", folder / "depth.png", tmp_path / "out")
    assert (frame["width"], frame["height"]) == (960, 720)
    assert frame["known_share"] == pytest.approx(256 * 192 / (960 * 720), rel=0.2)
