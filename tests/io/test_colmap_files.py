"""COLMAP folders: where things are looked for, options, and every way in which files can be wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from scene_samples import sample_scene, write_test_images, write_test_mask

from scene_depth.errors import InputError
from scene_depth.io.colmap import read_colmap, write_colmap
from scene_depth.io.colmap_dense import write_colmap_map
from scene_depth.io.images import ImageFile, read_image

CAMERAS = "# a comment\n\n1 PINHOLE 24 18 20 21.5 11.3 9.4\n7 SIMPLE_RADIAL 48 36 40 24 18 -0.05\n"
IMAGES = "# a comment\n2 1 0 0 0 0.5 -1 2 1 b/two.png\n1.5 2.5 9 3 4 -1\n1 0.6 0.8 0 0 0 0 1 7 one.png\n\n"
POINTS = "# a comment\n9 0.1 0.2 3 255 0 17 0.4 2 0 1 3\n12 -1 0 4 1 2 3 0.25 1 5\n"


def text_model(folder: Path, cameras: str = CAMERAS, images: str = IMAGES, points: str = POINTS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("cameras", cameras), ("images", images), ("points3D", points)):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_a_text_model_by_hand(tmp_path: Path) -> None:
    text_model(tmp_path / "sparse" / "0")
    write_test_images(tmp_path / "images", ["b/two.png"], 24, 18)
    write_test_images(tmp_path / "images", ["one.png"], 48, 36)
    scene = read_colmap(tmp_path)
    assert [view.name for view in scene.views] == ["b/two.png", "one.png"]
    two, one = scene.views
    np.testing.assert_array_equal(two.camera.world_to_camera[0].numpy()[:3], np.c_[np.eye(3), [0.5, -1, 2]])
    np.testing.assert_allclose(
        one.camera.world_to_camera[0, :3, :3], [[1, 0, 0], [0, -0.28, -0.96], [0, 0.96, -0.28]], atol=1e-12
    )
    assert isinstance(two.load_image, ImageFile)
    assert one.image().shape == (one.camera.height, one.camera.width, 3)  # undistorted, of another size than the file
    assert (one.camera.width, one.camera.height) != (48, 36)
    assert scene.points is not None
    np.testing.assert_array_equal(scene.points.xyz, [[0.1, 0.2, 3], [-1, 0, 4]])
    np.testing.assert_array_equal(scene.points.rgb, [[255, 0, 17], [1, 2, 3]])
    np.testing.assert_array_equal(scene.points.errors, [0.4, 0.25])
    assert {name: seen.tolist() for name, seen in scene.points.observations.items()} == {"b/two.png": [0], "one.png": [0, 1]}
    assert not scene.metric


@pytest.mark.parametrize("place", ["sparse/0", "sparse", "colmap/sparse/0", "."])
def test_the_model_is_found_where_people_have_it(place: str, tmp_path: Path) -> None:
    text_model(tmp_path / place)
    assert len(read_colmap(tmp_path, images=None)) == 2


def test_the_model_folder_itself_finds_its_images(tmp_path: Path) -> None:
    model = text_model(tmp_path / "sparse" / "0")
    write_test_images(tmp_path / "images", ["b/two.png"], 24, 18)
    write_test_images(tmp_path / "images", ["one.png"], 48, 36)
    assert read_colmap(model).views[0].image_path == tmp_path.absolute() / "images" / "b" / "two.png"


def test_binary_is_preferred_to_text(tmp_path: Path) -> None:
    write_colmap(tmp_path / "out", sample_scene(tmp_path))
    text_model(tmp_path / "out" / "sparse" / "0")
    assert len(read_colmap(tmp_path / "out")) == 3


@pytest.mark.parametrize("file", ["one.png.png", "one.png"])
def test_masks_by_each_naming_rule(file: str, tmp_path: Path) -> None:
    text_model(tmp_path / "sparse")
    mask = write_test_mask(tmp_path / "masks" / file, 48, 36)
    write_test_images(tmp_path / "images", ["b/two.png"], 24, 18)
    write_test_images(tmp_path / "images", ["one.png"], 48, 36)
    two, one = read_colmap(tmp_path).views
    assert two.load_mask is None
    assert one.mask().shape == (one.camera.height, one.camera.width)
    assert abs(one.mask().mean() - mask.mean()) < 0.02


def test_reduced_images_bring_their_camera_along(tmp_path: Path) -> None:
    cameras = "1 PINHOLE 4946 3286 4000 4010 2470 1640\n7 SIMPLE_RADIAL 4946 3286 4000 2473 1643 -0.05\n"
    text_model(tmp_path / "sparse", cameras)
    write_test_images(tmp_path / "images_4", ["b/two.png", "one.png"], 1237, 822)  # rounded up, as in Mip-NeRF 360
    two, one = read_colmap(tmp_path, images="images_4").views
    assert (two.camera.width, two.camera.height) == (1237, 822)
    np.testing.assert_allclose(two.camera.K[0, 0, 0], 4000 * 1237 / 4946)
    np.testing.assert_allclose(two.camera.K[0, 1, 2], 1640 * 822 / 3286)
    assert one.image().shape == (one.camera.height, one.camera.width, 3)
    with pytest.raises(InputError, match=r"two\.png: image size is 1237 x 822; expected 4946 x 3286, which b/two\.png in"):
        read_colmap(tmp_path, images="images_4", rescale_cameras=False)


def test_an_image_of_another_shape_is_no_rescale(tmp_path: Path) -> None:
    text_model(tmp_path / "sparse")
    write_test_images(tmp_path / "images", ["b/two.png", "one.png"], 30, 18)
    with pytest.raises(InputError, match="30 x 18; expected 24 x 18 or a uniform rescale of it"):
        read_colmap(tmp_path, rescale_cameras=True)


def test_dense_depth_maps(tmp_path: Path) -> None:
    text_model(tmp_path / "sparse", images="1 1 0 0 0 0 0 0 1 a.png\n\n")
    write_test_images(tmp_path / "images", ["a.png"], 24, 18)
    depth = np.random.default_rng(0).uniform(1, 5, (18, 24)).astype(np.float32)
    depth[3, 4] = 0
    (tmp_path / "stereo" / "depth_maps").mkdir(parents=True)
    write_colmap_map(tmp_path / "stereo" / "depth_maps" / "a.png.geometric.bin", depth)
    np.testing.assert_array_equal(read_colmap(tmp_path, depth_maps="geometric").views[0].depth(), depth)
    with pytest.raises(InputError, match=r"a\.png\.photometric\.bin"):
        read_colmap(tmp_path, depth_maps="photometric")


def test_round_trip_keeps_photos_masks_and_points(tmp_path: Path) -> None:
    scene = sample_scene(tmp_path)
    write_colmap(tmp_path / "out", scene)
    back = read_colmap(tmp_path / "out")
    for view, other in zip(scene.views, back.views, strict=True):
        assert view.name == other.name
        np.testing.assert_array_equal(view.image(), other.image())
        np.testing.assert_array_equal(view.mask(), other.mask())
        np.testing.assert_allclose(view.camera.camera_to_world, other.camera.camera_to_world, atol=1e-14)
        np.testing.assert_array_equal(view.camera.K, other.camera.K)
    np.testing.assert_array_equal(scene.points.xyz, back.points.xyz)
    np.testing.assert_array_equal(scene.points.errors, back.points.errors)


def test_no_points_is_none(tmp_path: Path) -> None:
    write_colmap(tmp_path / "out", sample_scene(tmp_path, points=0))
    assert read_colmap(tmp_path / "out").points is None
    text_model(tmp_path / "text", points="# Number of points: 0\n")
    (tmp_path / "text" / "points3D.txt").write_text("")
    assert read_colmap(tmp_path / "text", images=None).points is None


def test_photos_that_are_undistorted_are_written_as_they_show(tmp_path: Path) -> None:
    text_model(tmp_path / "in" / "sparse", images="1 1 0 0 0 0 0 0 7 a.jpg\n\n")
    write_test_images(tmp_path / "in" / "images", ["a.jpg"], 48, 36)
    scene = read_colmap(tmp_path / "in")
    write_colmap(tmp_path / "out", scene)
    written = read_image(tmp_path / "out" / "images" / "a.png")
    assert np.abs(written - scene.views[0].image()).max() <= 0.5 / 255 + 1e-6
    assert read_colmap(tmp_path / "out").views[0].name == "a.png"


def binary_model(tmp_path: Path) -> Path:
    write_colmap(tmp_path / "out", sample_scene(tmp_path))
    return tmp_path / "out" / "sparse" / "0"


@pytest.mark.parametrize("name", ["cameras.bin", "images.bin", "points3D.bin"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.99])
def test_a_file_cut_short(name: str, kept: float, tmp_path: Path) -> None:
    file = binary_model(tmp_path) / name
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    with pytest.raises(InputError, match=f"{name}: .* (cut short|bytes)"):
        read_colmap(tmp_path / "out")


def test_an_empty_file(tmp_path: Path) -> None:
    file = binary_model(tmp_path) / "images.bin"
    file.write_bytes(b"")
    with pytest.raises(InputError, match=r"images\.bin: size: 0 bytes"):
        read_colmap(tmp_path / "out")


@pytest.mark.parametrize(("number", "found"), [(17, "17 EQUIRECTANGULAR"), (99, "99")])
def test_a_camera_model_that_is_not_supported(number: int, found: str, tmp_path: Path) -> None:
    file = binary_model(tmp_path) / "cameras.bin"
    data = bytearray(file.read_bytes())
    data[12:16] = struct.pack("<i", number)
    file.write_bytes(bytes(data))
    with pytest.raises(InputError, match=rf"cameras\.bin: camera 1 of 1: camera model(: | is ){found}; expected SIMPLE_PINHOLE"):
        read_colmap(tmp_path / "out")


@pytest.mark.parametrize(
    ("cameras", "images", "points", "message"),
    [
        ("1 OMNI 24 18 20\n", IMAGES, POINTS, r"cameras\.txt: line 1: camera model: OMNI"),
        ("1 PINHOLE 24 18 20 20 x 9\n", IMAGES, POINTS, r"cameras\.txt: line 1 is '20 20 x 9'; expected numbers"),
        ("1 PINHOLE 24 18\n", IMAGES, POINTS, r"cameras\.txt: line 1 is .*CAMERA_ID MODEL"),
        ("1 PINHOLE 0 18 20 20 12 9\n", IMAGES, POINTS, r"size is 0 x 18"),
        (CAMERAS, "1 1 0 0 0 0 0 0 5 a.png\n\n", POINTS, r"image 'a\.png': camera is 5; expected one of \[1, 7\]"),
        (CAMERAS, "1 0 0 0 0 0 0 0 1 a.png\n\n", POINTS, r"image 'a\.png': pose is .*quaternion of length 1"),
        (CAMERAS, "1 1 0 0 0 nan 0 0 1 a.png\n\n", POINTS, r"frames: none; 1 left out: no finite pose \(a\.png\)"),
        (CAMERAS, "1 1 0 0 0 0 0 0 1 a.png\n2 3 4 5\n", POINTS, r"line 2 is .*key points"),
        (CAMERAS, "1 1 0 0 0 0 0 0 1 a.png\n\n2 1 0 0 0 0 0 0 1 a.png\n\n", POINTS, r"'a\.png' more than once"),
        (CAMERAS, "1 1 0 0 0 0\n", POINTS, r"images\.txt: line 1 is .*IMAGE_ID QW"),
        (CAMERAS, "# nothing\n", POINTS, r"frames: none"),
        (CAMERAS, IMAGES, "1 0 0 0 0 0 300 1\n", r"points3D\.txt: line 1: colour"),
        (CAMERAS, IMAGES, "1 0 0 0 0 0 0\n", r"points3D\.txt: line 1 is .*POINT3D_ID"),
    ],
)
def test_text_files_that_are_wrong(cameras: str, images: str, points: str, message: str, tmp_path: Path) -> None:
    text_model(tmp_path / "sparse", cameras, images, points)
    with pytest.raises(InputError, match=message):
        read_colmap(tmp_path, images=None)


def test_missing_photos(tmp_path: Path) -> None:
    text_model(tmp_path / "sparse")
    with pytest.raises(InputError, match="image folder: no images"):
        read_colmap(tmp_path)
    write_test_images(tmp_path / "images", ["one.png"], 48, 36)
    with pytest.raises(InputError, match=r"two\.png: path: No such file"):
        read_colmap(tmp_path)
    only = read_colmap(tmp_path, skip_missing=True)
    assert [view.name for view in only.views] == ["one.png"]
    assert list(only.points.observations) == ["one.png"]


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"COLMAP model: none in sparse/0"):
        read_colmap(tmp_path)


def test_names_with_spaces_need_binary(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names without spaces; or write the binary files"):
        write_colmap(tmp_path / "out", sample_scene(tmp_path), binary=False)
    assert not (tmp_path / "out").exists()
