"""transforms.json: the dialects of nerfstudio, instant-ngp and Blender, and every way in which a file can be wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scene_samples import assert_same_cameras, sample_scene, write_test_images, write_test_mask

from scene_depth.errors import InputError
from scene_depth.io.depth_images import write_depth
from scene_depth.io.point_ply import write_point_ply
from scene_depth.io.transforms_json import read_transforms
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth.scene import PointCloud

POSE = [[1.0, 0.0, 0.0, 0.5], [0.0, 0.6, -0.8, 2.0], [0.0, 0.8, 0.6, -1.0], [0.0, 0.0, 0.0, 1.0]]
INTRINSICS = {"fl_x": 20.0, "fl_y": 21.0, "cx": 11.0, "cy": 9.5, "w": 24, "h": 18}


def frame(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"file_path": f"images/{name}.png", "transform_matrix": POSE, **fields}


def write_file(folder: Path, meta: dict[str, Any], name: str = "transforms.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(meta), encoding="utf-8")
    return folder


def scene_folder(folder: Path, *frames: dict[str, Any], size: tuple[int, int] = (24, 18), **meta: Any) -> Path:
    """A scene with a smooth photo for every frame."""
    write_test_images(folder, [entry["file_path"] for entry in frames], *size)
    return write_file(folder, {**INTRINSICS, **meta, "frames": list(frames)})


def test_opengl_axes_become_opencv_axes(tmp_path: Path) -> None:
    view = read_transforms(scene_folder(tmp_path, frame())).views[0]
    pose = view.camera.camera_to_world[0].numpy()
    np.testing.assert_array_equal(pose[:, 0], np.array(POSE)[:, 0])  # x right stays
    np.testing.assert_array_equal(pose[:, 1], -np.array(POSE)[:, 1])  # y up becomes y down
    np.testing.assert_array_equal(pose[:, 2], -np.array(POSE)[:, 2])  # z back becomes z forward
    np.testing.assert_array_equal(pose[:, 3], np.array(POSE)[:, 3])
    np.testing.assert_array_equal(view.camera.K[0], [[20, 0, 11], [0, 21, 9.5], [0, 0, 1]])
    assert view.name == "a.png"


def test_frames_override_the_file(tmp_path: Path) -> None:
    scene = read_transforms(scene_folder(tmp_path, frame("a", fl_x=30.0, cx=10.0), frame("b")))
    assert scene.views[0].camera.K[0, 0].tolist() == [30, 0, 10]
    assert scene.views[1].camera.K[0, 0].tolist() == [20, 0, 11]


def test_a_matrix_of_three_rows(tmp_path: Path) -> None:
    scene = read_transforms(scene_folder(tmp_path, frame(transform_matrix=POSE[:3])))
    assert scene.views[0].camera.camera_to_world[0, 3].tolist() == [0, 0, 0, 1]


def test_blender_scenes(tmp_path: Path) -> None:
    rgba = np.zeros((50, 100, 4), np.uint8)
    rgba[:, :50] = [255, 0, 0, 255]
    rgba[:, 50:] = [0, 0, 0, 51]
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        Image.fromarray(rgba).save(tmp_path / split / "r_0.png")
        meta = {"camera_angle_x": 0.8, "frames": [{"file_path": f"./{split}/r_0", "rotation": 0.01, "transform_matrix": POSE}]}
        write_file(tmp_path, meta, f"transforms_{split}.json")
    scene = read_transforms(tmp_path)
    view = scene.views[0]
    assert view.image_path == tmp_path / "train" / "r_0.png"
    assert view.name == "r_0.png"
    focal = 50 / math.tan(0.4)
    np.testing.assert_allclose(view.camera.K[0], [[focal, 0, 50], [0, focal, 25], [0, 0, 1]])
    np.testing.assert_allclose(view.image()[0, 0], [1, 0, 0])
    np.testing.assert_allclose(view.image()[0, 99], [0.8, 0.8, 0.8], atol=1e-6)  # a fifth of black over white
    assert read_transforms(tmp_path, split="test").views[0].image_path == tmp_path / "test" / "r_0.png"
    with pytest.raises(InputError, match=r"expected transforms\.json or transforms_val\.json"):
        read_transforms(tmp_path, split="val")


def test_split_lists(tmp_path: Path) -> None:
    lists = {"train_filenames": ["images/a.png", "./images/c.png"], "test_filenames": ["images/b.png"]}
    scene_folder(tmp_path, frame("a"), frame("b"), frame("c"), **lists)
    assert [view.name for view in read_transforms(tmp_path).views] == ["a.png", "b.png", "c.png"]
    assert [view.name for view in read_transforms(tmp_path, split="train").views] == ["a.png", "c.png"]
    assert [view.name for view in read_transforms(tmp_path, split="test").views] == ["b.png"]
    with pytest.raises(InputError, match="val_filenames: none"):
        read_transforms(tmp_path, split="val")
    with pytest.raises(InputError, match="split: eval; expected train, val, test"):
        read_transforms(tmp_path, split="eval")


def test_masks_depth_and_scale(tmp_path: Path) -> None:
    meta = {"applied_scale": 2.0, "depth_unit_scale_factor": 0.002, "ply_file_path": "sparse_pc.ply"}
    scene_folder(tmp_path, frame(mask_path="masks/a.png", depth_file_path="depth/a.png"), frame("b"), **meta)
    mask = write_test_mask(tmp_path / "masks" / "a.png", 24, 18)
    (tmp_path / "depth").mkdir()
    depth = np.full((18, 24), 1.5, np.float32)
    depth[0, 0] = 0
    write_depth(tmp_path / "depth" / "a.png", depth)  # stores 1500
    points = PointCloud(np.array([[1.0, 2, 3]]), np.array([[9, 8, 7]], np.uint8))
    write_point_ply(tmp_path / "sparse_pc.ply", points)
    scene = read_transforms(tmp_path)
    first, second = scene.views
    np.testing.assert_array_equal(first.mask(), mask)
    assert second.load_mask is None
    assert second.load_depth is None
    np.testing.assert_allclose(first.depth(), depth * 2 * 2)  # 1500 steps of 0.002, then applied_scale
    np.testing.assert_array_equal(scene.points.xyz, [[2, 4, 6]])
    np.testing.assert_array_equal(scene.points.rgb, [[9, 8, 7]])
    np.testing.assert_array_equal(first.camera.centers[0], [0.5, 2, -1])  # poses have the scale already
    assert scene.metric


def test_npy_depth_has_the_same_unit_as_png(tmp_path: Path) -> None:
    scene_folder(tmp_path, frame(depth_file_path="a.npy"))
    np.save(tmp_path / "a.npy", np.full((18, 24), 2500, np.float32))
    scene = read_transforms(tmp_path)
    np.testing.assert_allclose(scene.views[0].depth(), 2.5)
    assert not scene.metric  # the file does not state the unit


def test_smaller_depth_keeps_its_points(tmp_path: Path) -> None:
    scene_folder(tmp_path, frame(depth_file_path="a.png"))
    small = np.random.default_rng(0).uniform(1, 2, (9, 12)).astype(np.float32)
    write_depth(tmp_path / "a.png", small)
    depth = read_transforms(tmp_path).views[0].depth()
    assert (depth > 0).sum() == small.size
    np.testing.assert_allclose(np.sort(depth[depth > 0]), np.sort(small.ravel()), atol=5e-4)
    write_depth(tmp_path / "a.png", small[:, :6])
    with pytest.raises(InputError, match=r"a\.png: depth size is 6 x 9; expected 24 x 18 or a uniform rescale"):
        read_transforms(tmp_path)


def test_points_with_tracks(tmp_path: Path) -> None:
    scene_folder(tmp_path, frame("a"), frame("b"))
    arrays = {
        "xyz": np.arange(9, dtype=np.float32).reshape(3, 3),
        "rgb": np.arange(9, dtype=np.uint8).reshape(3, 3),
        "error": np.ones(3, np.float32),
        "track_ptr": np.array([0, 2, 3, 4], np.int32),
        "track_image": np.array([0, 2, 1, 2], np.int16),
        "image_names": np.array(["images/a.png", "images/held_out.png", "images/b.png"]),
    }
    np.savez(tmp_path / "points3d.npz", **arrays)
    points = read_transforms(tmp_path).points
    assert {name: seen.tolist() for name, seen in points.observations.items()} == {"a.png": [0], "b.png": [0, 2]}
    np.savez(tmp_path / "points3d.npz", **{**arrays, "track_image": np.array([0, 3, 1, 2])})
    with pytest.raises(InputError, match=r"points3d\.npz: track_image: up to 3"):
        read_transforms(tmp_path)
    np.savez(tmp_path / "points3d.npz", **{**arrays, "xyz": np.full((3, 3), np.nan, np.float32)})
    with pytest.raises(InputError, match=r"points3d\.npz: xyz\[0\] is \[nan, nan, nan\]"):
        read_transforms(tmp_path)


def test_a_ply_without_points_is_none(tmp_path: Path) -> None:
    scene_folder(tmp_path, frame(), ply_file_path="empty.ply")
    header = "ply\nformat ascii 1.0\nelement vertex 0\n" + "".join(f"property float {axis}\n" for axis in "xyz") + "end_header\n"
    (tmp_path / "empty.ply").write_text(header)
    assert read_transforms(tmp_path).points is None


@pytest.mark.parametrize(
    "lens",
    [
        {"camera_model": "OPENCV", "k1": -0.1, "k2": 0.02, "p1": 1e-3, "p2": -1e-3},
        {"k1": -0.1, "k2": 0.02, "p1": 1e-3, "p2": -1e-3},
        {"camera_model": "PINHOLE", "distortion_params": [-0.1, 0.02, 0.0, 0.0, 1e-3, -1e-3]},
    ],
)
def test_distortion_is_undone_whatever_the_model_is_called(lens: dict[str, Any], tmp_path: Path) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    intrinsics = {"fl_x": 200.0, "fl_y": 204.0, "cx": 122.0, "cy": 87.0, "w": 240, "h": 180}
    view = read_transforms(scene_folder(tmp_path, frame(), size=(240, 180), **intrinsics, **lens)).views[0]
    distorted = pycolmap.Camera(model="OPENCV", width=240, height=180, params=[200, 204, 122, 87, -0.1, 0.02, 1e-3, -1e-3])
    theirs = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), distorted)
    np.testing.assert_allclose(view.camera.K[0].numpy(), theirs.calibration_matrix())
    assert view.image().shape == (theirs.height, theirs.width, 3)


@pytest.mark.parametrize("factor", [1, 2])
def test_masks_and_depth_are_undistorted_with_the_photo(factor: int, tmp_path: Path) -> None:
    """Depth that counts pixels tells from where each pixel of the undistorted view was taken."""
    lens = {"fl_x": 200.0, "fl_y": 204.0, "cx": 122.0, "cy": 87.0, "w": 240, "h": 180, "k1": -0.2, "camera_model": "OPENCV"}
    scene_folder(tmp_path, frame(mask_path="mask.png", depth_file_path="depth.npy"), size=(240, 180), **lens)
    mask = write_test_mask(tmp_path / "mask.png", 240, 180)
    height, width = 180 // factor, 240 // factor
    np.save(tmp_path / "depth.npy", (np.arange(height * width).reshape(height, width) + 1).astype(np.float32) * 1000)
    view = read_transforms(tmp_path).views[0]
    row, column = np.mgrid[5 : view.camera.height : 13, 5 : view.camera.width : 17].reshape(2, -1)
    camera = view.camera.K[0].numpy()
    x, y = (column + 0.5 - camera[0, 2]) / camera[0, 0], (row + 0.5 - camera[1, 2]) / camera[1, 1]
    bend = 1 - 0.2 * (x * x + y * y)
    source_x, source_y = (200 * x * bend + 122).astype(int), (204 * y * bend + 87).astype(int)
    np.testing.assert_array_equal(view.mask()[row, column], mask[source_y, source_x])
    depth = view.depth()[row, column]
    known = depth > 0
    assert known.mean() == (1 if factor == 1 else pytest.approx(1 / factor**2, abs=0.15))
    expected = source_y // factor * width + source_x // factor + 1
    np.testing.assert_array_equal(depth[known], expected[known])


def test_fisheyes(tmp_path: Path) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    intrinsics = {"fl_x": 200.0, "fl_y": 204.0, "cx": 122.0, "cy": 87.0, "w": 240, "h": 180}
    params = [0.02, -0.01, 3e-3, -1e-3, 2e-4, 1e-4, 1e-3, -2e-3, 1e-3, -1e-3, 2e-3, 1e-4]
    cases = [
        ({"camera_model": "OPENCV_FISHEYE", "k1": 0.02, "k2": -0.01, "k3": 0.003}, "OPENCV_FISHEYE", [0.02, -0.01, 0.003, 0]),
        ({"is_fisheye": True, "k1": 0.02}, "OPENCV_FISHEYE", [0.02, 0, 0, 0]),
        ({"camera_model": "FISHEYE624", "distortion_params": params}, "RAD_TAN_THIN_PRISM_FISHEYE", params),
    ]
    for index, (lens, model, coefficients) in enumerate(cases):
        folder = scene_folder(tmp_path / str(index), frame(), size=(240, 180), **intrinsics, **lens)
        camera = read_transforms(folder).views[0].camera
        distorted = pycolmap.Camera(model=model, width=240, height=180, params=[200, 204, 122, 87, *coefficients])
        theirs = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), distorted)
        np.testing.assert_allclose(camera.K[0].numpy(), theirs.calibration_matrix())
        assert (camera.width, camera.height) == (theirs.width, theirs.height)


def test_other_image_folders(tmp_path: Path) -> None:
    scene_folder(tmp_path, frame())
    write_test_images(tmp_path / "images_2", ["a.png"], 12, 9)
    camera = read_transforms(tmp_path, images="images_2").views[0].camera
    assert (camera.width, camera.height, float(camera.K[0, 0, 0])) == (12, 9, 10)


def test_view_names(tmp_path: Path) -> None:
    nested = [{"file_path": f"images/{name}", "transform_matrix": POSE} for name in ("cam 0/é.png", "cam1/a.png")]
    assert [view.name for view in read_transforms(scene_folder(tmp_path / "a", *nested)).views] == ["cam 0/é.png", "cam1/a.png"]
    mixed = [{"file_path": name, "transform_matrix": POSE} for name in ("left/a.png", "right/a.png")]
    assert [view.name for view in read_transforms(scene_folder(tmp_path / "b", *mixed)).views] == ["left/a.png", "right/a.png"]
    write_test_images(tmp_path / "photos", ["x.png", "y.png"], 24, 18)
    absolute = [{"file_path": str(tmp_path / "photos" / name), "transform_matrix": POSE} for name in ("x.png", "y.png")]
    folder = write_file(tmp_path / "c", {**INTRINSICS, "frames": absolute})
    assert [view.name for view in read_transforms(folder).views] == ["x.png", "y.png"]


def test_skipping_missing_photos(tmp_path: Path) -> None:
    scene_folder(tmp_path, frame("a"), frame("b"))
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(InputError, match=r"a\.png: path: No such file"):
        read_transforms(tmp_path)
    assert [view.name for view in read_transforms(tmp_path, skip_missing=True).views] == ["b.png"]


SINGULAR = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("entry", "meta", "message"),
    [
        (
            {"transform_matrix": SINGULAR},
            {},
            r"transforms\.json: a\.png: camera_to_world is .*; expected a finite rigid pose",
        ),
        ({"transform_matrix": (2 * np.array(POSE)).tolist()}, {}, "rotation without scale"),
        ({"transform_matrix": np.full((4, 4), np.nan).tolist()}, {}, "frames: none; 1 left out: no finite pose"),
        ({"transform_matrix": [[1, 2], [3, 4]]}, {}, r"frames\[0\] 'a\.png': transform_matrix: shape \(2, 2\)"),
        ({"transform_matrix": "identity"}, {}, "4 x 4"),
        ({"transform_matrix": None}, {}, "4 x 4"),
        ({"fl_x": "wide"}, {}, r"frames\[0\] 'a\.png': fl_x is 'wide'; expected a number"),
        ({"fl_x": -3.0}, {}, "focal length: -3, 21"),
        ({"w": 25}, {}, r"a\.png: image size is 24 x 18; expected 25 x 18"),
        ({"camera_model": "EQUIRECTANGULAR"}, {}, "camera_model is 'EQUIRECTANGULAR'; expected PINHOLE"),
        ({"camera_model": "FISHEYE624"}, {}, "distortion_params: none"),
        ({"distortion_params": [0.1]}, {}, r"distortion_params: \[0\.1\]; expected 6 numbers"),
        ({"mask_path": 3}, {}, "mask_path is 3"),
        ({"mask_path": "none.png"}, {}, r"none\.png: path: No such file"),
        ({"depth_file_path": "none.png"}, {}, r"none\.png: path: No such file"),
        ({"file_path": None}, {}, r"frames\[0\]: file_path is None"),
        ({}, {"applied_scale": 0}, "applied_scale is 0"),
        ({}, {"ply_file_path": "none.ply"}, r"none\.ply"),
        ({}, {"depth_unit_scale_factor": "mm"}, "depth_unit_scale_factor is 'mm'; expected a positive number"),
    ],
)
def test_wrong_fields_are_named(entry: dict[str, Any], meta: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_test_images(tmp_path / "images", ["a.png"], 24, 18)
    write_file(tmp_path, {**INTRINSICS, **meta, "frames": [{**frame(), **entry}]})
    with pytest.raises(InputError, match=message):
        read_transforms(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"frames": [', r"line 1, column 13: .*; expected valid JSON"),
        ("[]", "JSON: list; expected an object"),
        ('{"fl_x": 3}', "frames: NoneType; expected a list of frames"),
        ('{"frames": []}', "frames: none; expected one or more posed images"),
        ("", "size: 0 bytes"),
    ],
)
def test_broken_files(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_transforms(tmp_path)


def test_no_focal_length(tmp_path: Path) -> None:
    write_test_images(tmp_path / "images", ["a.png"], 24, 18)
    write_file(tmp_path, {"frames": [frame()]})
    with pytest.raises(InputError, match=r"focal length: none; expected fl_x \(and fl_y\) or camera_angle_x"):
        read_transforms(tmp_path)


def test_repeated_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frames: 'a\.png' more than once"):
        read_transforms(scene_folder(tmp_path, frame("a"), frame("a")))


def test_round_trip(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path)
    write_transforms(tmp_path / "out", scene)
    back = read_transforms(tmp_path / "out")
    assert_same_cameras(scene, back)
    for view, other in zip(scene.views, back.views, strict=True):
        assert view.name == other.name
        np.testing.assert_array_equal(view.image(), other.image())
        np.testing.assert_array_equal(view.mask(), other.mask())
        np.testing.assert_allclose(view.depth(), other.depth(), rtol=3e-7)
        np.testing.assert_array_equal(view.depth() > 0, other.depth() > 0)
    np.testing.assert_array_equal(scene.points.xyz.astype(np.float32), back.points.xyz.astype(np.float32))
    np.testing.assert_array_equal(scene.points.rgb, back.points.rgb)
    assert back.metric


def test_masks_of_some_views_only(tmp_path: Path) -> None:
    from dataclasses import replace

    scene = sample_scene(tmp_path)
    partial = replace(scene, views=(replace(scene.views[0], load_mask=None), *scene.views[1:]))
    with pytest.raises(InputError, match="views with a mask: 2 of 3; expected all views or none; masks=false"):
        write_transforms(tmp_path / "out", partial)
    write_transforms(tmp_path / "out", partial, masks=False)
    assert all(view.load_mask is None for view in read_transforms(tmp_path / "out").views)
