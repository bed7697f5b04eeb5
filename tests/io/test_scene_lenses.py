"""Lens models and undistortion, against COLMAP's own program and against geometry."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_samples import DISTORTING, LENSES, lens_parameters, smooth_image

from scene_depth.errors import InputError
from scene_depth.io.distortion import LENS_MODELS, POLYNOMIAL, LensCamera, lens_camera
from scene_depth.io.undistortion import (
    UndistortedLoader,
    Undistorter,
    sample_bilinear,
    sample_nearest,
    sampling_positions,
    undistorted_camera,
)

WIDTH, HEIGHT = 640, 480


def camera(name: str, focal: float = 500.0) -> LensCamera:
    return lens_camera(name, lens_parameters(name, focal), WIDTH, HEIGHT, file="cameras.bin", field="camera 1")


def colmap_camera(pycolmap, name: str, focal: float = 500.0):
    return pycolmap.Camera(model=name, width=WIDTH, height=HEIGHT, params=lens_parameters(name, focal))


@pytest.mark.parametrize("name", LENSES)
def test_projection_and_its_inverse_are_colmaps(name: str) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    random = np.random.default_rng(0)
    points, pixels = random.uniform(-0.6, 0.6, (200, 2)), random.uniform([0, 0], [WIDTH, HEIGHT], (200, 2))
    theirs = colmap_camera(pycolmap, name)
    np.testing.assert_allclose(camera(name).project(points), theirs.img_from_cam(np.c_[points, np.ones(200)]), atol=1e-9)
    ours, converged = camera(name).unproject(pixels)
    assert converged.all()
    np.testing.assert_allclose(ours, theirs.cam_from_img(pixels), atol=1e-9)


@settings(max_examples=40)
@given(name=st.sampled_from(DISTORTING), x=st.floats(0, WIDTH), y=st.floats(0, HEIGHT))
def test_unprojecting_and_projecting_gives_the_pixel_back(name: str, x: float, y: float) -> None:
    points, converged = camera(name).unproject(np.array([[x, y]]))
    assert converged.all()
    np.testing.assert_allclose(camera(name).project(points), [[x, y]], atol=1e-6)


@pytest.mark.parametrize("focal", [500.0, 300.0])
@pytest.mark.parametrize("name", DISTORTING)
def test_the_undistorted_camera_is_that_of_image_undistorter(name: str, focal: float) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    theirs = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(), colmap_camera(pycolmap, name, focal))
    ours = undistorted_camera(camera(name, focal))
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    np.testing.assert_allclose([ours.fx, ours.fy, ours.cx, ours.cy], theirs.params, rtol=1e-12)


@pytest.mark.parametrize("name", ["SIMPLE_RADIAL", "OPENCV", "FULL_OPENCV", "OPENCV_FISHEYE", "THIN_PRISM_FISHEYE", "FOV"])
def test_the_undistorted_image_is_that_of_image_undistorter(name: str) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    image = smooth_image(HEIGHT, WIDTH)
    options = pycolmap.UndistortCameraOptions()
    theirs = pycolmap.undistort_image(options, pycolmap.Bitmap.from_array(image), colmap_camera(pycolmap, name))[0].to_array()
    pinhole = undistorted_camera(camera(name))
    ours = sample_bilinear(image, sampling_positions(camera(name), pinhole))
    assert ours.shape == theirs.shape
    assert (theirs.sum(axis=-1) > 0).mean() > 0.999
    assert np.abs(ours - theirs)[theirs.sum(axis=-1) > 0].max() < 0.51  # COLMAP rounds to bytes


def test_straight_lines_become_straight() -> None:
    lens = camera("OPENCV")
    pinhole = undistorted_camera(lens)
    along = np.stack([np.linspace(-0.5, 0.5, 50), 0.3 + 0.2 * np.linspace(-0.5, 0.5, 50)], axis=-1)
    bent = lens.project(along)
    assert np.abs(np.polyval(np.polyfit(*bent.T, 1), bent[:, 0]) - bent[:, 1]).max() > 1  # the lens bends the line
    positions = sampling_positions(lens, pinhole)
    straight = along * [pinhole.fx, pinhole.fy] + [pinhole.cx, pinhole.cy]
    column, row = (straight - 0.5).round().astype(int).T
    expected = lens.project((np.stack([column, row], axis=-1) + 0.5 - [pinhole.cx, pinhole.cy]) / [pinhole.fx, pinhole.fy])
    np.testing.assert_allclose(positions[row, column], expected, atol=1e-3)


def test_a_lens_without_distortion_is_left_alone() -> None:
    for name in ("PINHOLE", "OPENCV", "FULL_OPENCV", "FOV"):
        zeros = [500.0, 510.0, 322.0, 237.0] + [0.0] * len(LENS_MODELS[name].coefficients)
        plain = lens_camera(name, zeros, WIDTH, HEIGHT, file="f", field="c")
        assert plain.is_pinhole
        assert undistorted_camera(plain) is plain
    assert not camera("FISHEYE").is_pinhole
    assert lens_camera("EUCM", [500, 500, 320, 240, 0.0, 1.1], 640, 480, file="f", field="c").is_pinhole


def test_nerfstudios_polynomial_is_opencvs_where_both_have_it() -> None:
    ours = LensCamera(POLYNOMIAL, 500, 510, 322, 237, (-0.1, 0.02, 0.01, 0.0, 1e-3, -2e-3), WIDTH, HEIGHT)
    points = np.random.default_rng(0).uniform(-0.6, 0.6, (100, 2))
    rational = lens_camera(
        "FULL_OPENCV", [500, 510, 322, 237, -0.1, 0.02, 1e-3, -2e-3, 0.01, 0, 0, 0], WIDTH, HEIGHT, file="f", field="c"
    )
    np.testing.assert_allclose(ours.project(points), rational.project(points), rtol=1e-14)


def test_masks_and_depth_are_taken_from_the_nearest_pixel() -> None:
    lens = camera("SIMPLE_RADIAL")
    pinhole = undistorted_camera(lens)
    positions = sampling_positions(lens, pinhole)
    numbers = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH) + 1
    nearest = sample_nearest(numbers, positions)
    row, column = np.mgrid[0 : pinhole.height : 37, 0 : pinhole.width : 41].reshape(2, -1)
    x, y = positions[row, column].astype(int).T
    np.testing.assert_array_equal(nearest[row, column], numbers[y, x])
    assert set(np.unique(sample_nearest(numbers > 1000, positions))) <= {False, True}


def test_outside_of_the_picture_there_is_nothing() -> None:
    positions = np.array([[[-0.1, 1.0], [0.0, 0.0], [2.0, 2.0], [2.1, 1.0], [np.nan, 1.0]]], np.float32)
    ones = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(sample_nearest(ones, positions), [[0, 1, 1, 0, 0]])
    np.testing.assert_array_equal(sample_bilinear(ones[..., None].repeat(3, 2), positions)[..., 0], [[0, 1, 1, 0, 0]])


def test_loaders_go_to_other_processes_and_share_positions() -> None:
    lens, undistorter = camera("OPENCV"), Undistorter()
    pinhole = undistorted_camera(lens)
    assert undistorter.positions(lens, pinhole) is undistorter.positions(lens, pinhole)
    loader = pickle.loads(pickle.dumps(UndistortedLoader(_grey, lens, pinhole, undistorter)))
    assert loader().shape == (pinhole.height, pinhole.width)


def _grey() -> np.ndarray:
    return np.full((HEIGHT, WIDTH), 0.5, np.float32)


@pytest.mark.parametrize(
    ("model", "parameters", "message"),
    [
        ("EQUIRECTANGULAR", [640, 480], "camera model: EQUIRECTANGULAR"),
        ("OPENCV", [500, 500, 320, 240], "4 numbers; expected 8: fx, fy, cx, cy, k1, k2, p1, p2"),
        ("PINHOLE", [500, float("nan"), 320, 240], "finite numbers"),
        ("PINHOLE", [500, 0, 320, 240], "focal length: 500, 0"),
    ],
)
def test_wrong_cameras_are_named(model: str, parameters: list[float], message: str) -> None:
    with pytest.raises(InputError, match=r"cameras\.txt: line 3") as error:
        lens_camera(model, parameters, 640, 480, file="cameras.txt", field="line 3")
    assert message in str(error.value)


def test_a_lens_that_cannot_be_undone_is_an_error() -> None:
    wild = lens_camera("SIMPLE_RADIAL", [150, 322, 237, -0.4], WIDTH, HEIGHT, file="f", field="c")
    with pytest.raises(InputError, match="a lens whose distortion can be undone"):
        undistorted_camera(wild, file="cameras.bin", name="camera 1")
