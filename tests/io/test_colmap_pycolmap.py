"""COLMAP files in both directions, with COLMAP's own library as the other side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scene_samples import LENSES, assert_same_cameras, lens_parameters, sample_scene

from scene_depth.io.colmap import read_colmap, write_colmap

pycolmap = pytest.importorskip("pycolmap")


def their_reconstruction(model: str, **sizes: int):
    options = pycolmap.SyntheticDatasetOptions()
    options.camera_model_id = getattr(pycolmap.CameraModelId, model)
    options.camera_width, options.camera_height = 640, 480
    options.camera_params = lens_parameters(model)
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig, options.num_points3D = 1, 1, 4, 60
    for name, value in sizes.items():
        setattr(options, name, value)
    return pycolmap.synthesize_dataset(options)


def write_theirs(reconstruction, folder: Path, binary: bool) -> None:
    folder.mkdir(parents=True)
    (reconstruction.write_binary if binary else reconstruction.write_text)(str(folder))


def assert_read_like_theirs(scene, reconstruction) -> None:
    """Poses are theirs, and points project where their undistorted camera projects them."""
    images = {image.name: image for image in reconstruction.images.values()}
    assert [view.name for view in scene.views] == sorted(images)
    for view in scene.views:
        theirs = images[view.name]
        matrix = theirs.cam_from_world().matrix()
        np.testing.assert_allclose(view.camera.world_to_camera[0, :3].numpy(), matrix, atol=1e-12)
        pinhole = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), reconstruction.cameras[theirs.camera_id])
        xyz = scene.points.xyz[scene.points.observations[view.name]]
        assert len(xyz) == theirs.num_points3D > 20
        expected = pinhole.img_from_cam(xyz @ matrix[:, :3].T + matrix[:, 3], check_cheirality=False)
        np.testing.assert_allclose(view.camera.project(torch.from_numpy(xyz))[0][0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("model", LENSES)
def test_their_binary_files_of_every_lens(model: str, tmp_path: Path) -> None:
    reconstruction = their_reconstruction(model)
    write_theirs(reconstruction, tmp_path / "sparse" / "0", binary=True)
    assert_read_like_theirs(read_colmap(tmp_path, images=None), reconstruction)


@pytest.mark.parametrize("model", ["SIMPLE_RADIAL", "FULL_OPENCV", "RAD_TAN_THIN_PRISM_FISHEYE"])
def test_their_text_files_say_the_same_as_binary(model: str, tmp_path: Path) -> None:
    reconstruction = their_reconstruction(model)
    write_theirs(reconstruction, tmp_path / "binary" / "sparse" / "0", binary=True)
    write_theirs(reconstruction, tmp_path / "text" / "sparse", binary=False)
    binary, text = (read_colmap(tmp_path / kind, images=None) for kind in ("binary", "text"))
    assert_same_cameras(binary, text)
    np.testing.assert_array_equal(binary.points.xyz, text.points.xyz)
    np.testing.assert_array_equal(binary.points.rgb, text.points.rgb)
    for name, seen in binary.points.observations.items():
        np.testing.assert_array_equal(seen, text.points.observations[name])


@pytest.mark.parametrize("binary", [True, False])
def test_rigs_of_several_cameras(binary: bool, tmp_path: Path) -> None:
    reconstruction = their_reconstruction("OPENCV", num_rigs=2, num_cameras_per_rig=3, num_frames_per_rig=2)
    write_theirs(reconstruction, tmp_path / "sparse" / "0", binary)
    assert any((tmp_path / "sparse" / "0").glob("rigs.*"))  # the newer layout is what is tested
    scene = read_colmap(tmp_path, images=None)
    assert len(scene) == 12
    assert_read_like_theirs(scene, reconstruction)


@pytest.mark.parametrize("binary", [True, False])
def test_they_read_what_we_write(binary: bool, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path)
    if not binary:  # text cannot hold names with spaces
        scene = _renamed(scene)
    write_colmap(tmp_path / "out", scene, binary=binary)
    theirs = pycolmap.Reconstruction(str(tmp_path / "out" / "sparse" / "0"))
    assert theirs.num_images() == len(scene)
    assert theirs.num_cameras() == 1
    assert theirs.num_points3D() == len(scene.points)
    for image in theirs.images.values():
        view = next(view for view in scene.views if view.name == image.name)
        np.testing.assert_allclose(image.cam_from_world().matrix(), view.camera.world_to_camera[0, :3].numpy(), atol=1e-12)
        camera = theirs.cameras[image.camera_id]
        assert camera.model_name == "PINHOLE"
        np.testing.assert_array_equal(camera.calibration_matrix(), view.camera.K[0].numpy())
        ids = sorted(point.point3D_id - 1 for point in image.points2D if point.has_point3D())
        depth = view.camera.project(torch.from_numpy(scene.points.xyz))[1][0].numpy()
        assert ids == [i for i in scene.points.observations[view.name] if depth[i] > 0]
    theirs.update_point_3d_errors()
    assert theirs.compute_mean_reprojection_error() < 1e-9
    for number, point in theirs.points3D.items():
        np.testing.assert_array_equal(point.xyz, scene.points.xyz[number - 1])
        np.testing.assert_array_equal(point.color, scene.points.rgb[number - 1])


def _renamed(scene):
    from dataclasses import replace

    names = {view.name: view.name.replace(" ", "_") for view in scene.views}
    views = tuple(replace(view, name=names[view.name]) for view in scene.views)
    seen = {names[name]: indices for name, indices in scene.points.observations.items()}
    return replace(scene, views=views, points=replace(scene.points, observations=seen))
