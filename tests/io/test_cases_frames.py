"""Which photo belongs to which pose and depth, and which of them are used: nothing is paired wrongly or dropped in silence."""

from __future__ import annotations

import json
import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_samples import smooth_image

from scene_depth.cli.app import main
from scene_depth.io.colmap import read_colmap
from scene_depth.io.depth_images import read_depth, write_depth
from scene_depth.io.point_ply import read_point_ply
from scene_depth.io.rgbd_folder import read_rgbd_folder
from scene_depth.io.scenes import read_scene
from scene_depth.scene import Scene

WIDTH, HEIGHT = 24, 18
CAMERA = f"1 PINHOLE {WIDTH} {HEIGHT} 20 21 12 9\n"
QUAT = "0.6 0.8 0 0"


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT), **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(smooth_image(size[1], size[0], seed)).save(path, **options)


def colmap(folder: Path, names: list[str], *, lines: str = "\n", points: str = "") -> Path:
    """A text model whose image number i stands at x = i; ``lines`` follows each image line."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.txt").write_text(CAMERA)
    rows = [f"{index + 1} {QUAT} {-index} 0 0 1 {name}\n{lines}" for index, name in enumerate(names)]
    (folder / "images.txt").write_text("".join(rows))
    (folder / "points3D.txt").write_text(points)
    return folder


def positions(scene: Scene) -> dict[str, float]:
    """x of the camera of each view."""
    return {view.name: round(float(view.camera.camera_to_world[0, 0, 3]), 6) for view in scene.views}


def rgbd(folder: Path, photos: list[str], depths: list[str] | None = None, poses: list[str] | None = None) -> Path:
    """Frames whose depth is 1 + their number, at x = their number; poses in files of these names."""
    for index, name in enumerate(photos):
        photo(folder / "color" / name, index)
    for index, name in enumerate(depths or ()):
        write_depth(folder / "depth" / name, np.full((HEIGHT, WIDTH), 1.0 + index, np.float32))
    for index, name in enumerate(poses or ()):
        (folder / "pose").mkdir(exist_ok=True)
        (folder / "pose" / name).write_text(f"1 0 0 {index}\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    (folder / "K.json").write_text(json.dumps({"fx": 20, "fy": 21, "cx": 11, "cy": 9, "w": WIDTH, "h": HEIGHT}))
    return folder


def trajectory(file: Path, times: list[float | str]) -> None:
    file.write_text("".join(f"{time} {index} 0 0 0 0 0 1\n" for index, time in enumerate(times)))


def first_depths(scene: Scene) -> dict[str, float]:
    return {view.name: float(view.depth()[0, 0]) for view in scene.views}


# --- names with blanks, and no lines of key points


@pytest.mark.parametrize("lines", ["\n", "", "1 2 -1 3 4 7\n"], ids=["empty line", "no line", "key points"])
@pytest.mark.parametrize("name", ["my photo {}.jpg", "a b c d {}.jpg", "IMG{}.jpg", "2024 01 {}.jpg"])
def test_every_image_line_is_an_image(name: str, lines: str, tmp_path: Path) -> None:
    names = [name.format(index) for index in range(6)]
    colmap(tmp_path, names, lines=lines)
    assert positions(read_colmap(tmp_path, images=None)) == {name: float(index) for index, name in enumerate(names)}


def test_blank_names_of_the_shared_case(shared) -> None:
    scene = read_scene(shared("cases/blank_names_no_keypoint_lines/input"))
    assert [view.name for view in scene.views] == [f"my photo {index}.jpg" for index in range(1, 7)]
    assert scene.notes[0] == "6 of 6 photos used"


def test_blank_names_in_the_lists_of_tum(tmp_path: Path) -> None:
    photo(tmp_path / "rgb" / "my photo.png")
    write_depth(tmp_path / "depth" / "my depth.png", np.full((HEIGHT, WIDTH), 2, np.float32), format="tum")
    (tmp_path / "rgb.txt").write_text("# time, file\n1.5, rgb/my photo.png\n9.5 rgb/gone.png\n")
    (tmp_path / "depth.txt").write_text("1.5 depth/my depth.png\n9.5 depth/gone.png\n")
    trajectory(tmp_path / "groundtruth.txt", [1.5])
    (tmp_path / "K.txt").write_text("20 21 11 9\n")
    scene = read_rgbd_folder(tmp_path)
    assert first_depths(scene) == {"my photo.png": 2.0}
    assert scene.notes[0] == "1 of 2 photos used; 1 left out: no pose within 0.02 s (gone.png)"


# --- depth and poses of other names


def test_depth_goes_to_the_photo_of_its_name(tmp_path: Path) -> None:
    photos = [f"{index:04d}.jpg" for index in range(6)]
    depths = [f"{index:04d}.png" for index in range(1, 7)]
    rgbd(tmp_path, photos, depths, [f"{index:04d}.txt" for index in range(6)])
    scene = read_scene(tmp_path)
    assert first_depths(scene) == {f"{index:04d}.jpg": float(index) for index in range(1, 6)}  # depth of 0001 is 1.0
    assert scene.notes[0] == "5 of 6 photos used; 1 left out: no depth of its name (0000.jpg)"
    assert any("1 depth files belong to no photo (0006.png)" in sentence for sentence in scene.notes)


@pytest.mark.parametrize(
    ("photos", "depths"),
    [("frame{:06d}.jpg", "depth{:06d}.png"), ("rgb_{}.png", "{:04d}.png"), ("{:05d}.color.png", "{:05d}.depth.png")],
)
def test_depth_goes_to_the_photo_of_its_number(photos: str, depths: str, tmp_path: Path) -> None:
    rgbd(tmp_path, [photos.format(i) for i in range(6)], [depths.format(i) for i in range(1, 7)])
    (tmp_path / "poses.txt").write_text("".join(f"1 0 0 {i} 0 1 0 0 0 0 1 0\n" for i in range(6)))
    scene = read_rgbd_folder(tmp_path)
    assert first_depths(scene) == {photos.format(i): float(i) for i in range(1, 6)}
    assert positions(scene) == {photos.format(i): float(i) for i in range(1, 6)}  # poses stay with all six photos


def test_poses_go_to_the_photo_of_their_name(tmp_path: Path) -> None:
    rgbd(tmp_path, [f"{i}.jpg" for i in range(4)], None, [f"{i}.txt" for i in range(1, 5)])
    scene = read_rgbd_folder(tmp_path)
    assert positions(scene) == {f"{i}.jpg": i - 1.0 for i in range(1, 4)}
    assert "1 left out: no pose of its name (0.jpg)" in scene.notes[0]


def test_names_that_have_nothing_in_common_are_paired_in_order_and_said(tmp_path: Path) -> None:
    rgbd(tmp_path, ["a.jpg", "b.jpg", "c.jpg"], ["x.png", "y.png", "z.png"], ["a.txt", "b.txt", "c.txt"])
    scene = read_rgbd_folder(tmp_path)
    assert first_depths(scene) == {"a.jpg": 1.0, "b.jpg": 2.0, "c.jpg": 3.0}
    assert any("paired in order" in sentence for sentence in scene.notes)


def test_shifted_depth_of_the_shared_case(shared) -> None:
    folder = shared("cases/depth_names_shifted_by_one/input")
    scene = read_scene(folder)
    assert [view.name for view in scene.views] == [f"{index:04d}.jpg" for index in range(1, 6)]
    for view in scene.views:
        np.testing.assert_array_equal(view.depth(), read_depth(folder / "depth" / view.name.replace("jpg", "png")))


# --- times only where they are times


@pytest.mark.parametrize("times", [[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [100.0, 100.1, 100.2, 100.3, 100.4, 100.5]])
def test_frame_numbers_are_no_seconds(times: list[float], tmp_path: Path) -> None:
    rgbd(tmp_path, [f"{i}.jpg" for i in range(6)])
    trajectory(tmp_path / "traj.txt", times)
    scene = read_rgbd_folder(tmp_path)
    assert positions(scene) == {f"{i}.jpg": float(i) for i in range(6)}
    assert any("as many poses, which go to them in order" in sentence for sentence in scene.notes)


def test_numbers_in_place_of_times_are_numbers_of_photos(tmp_path: Path) -> None:
    rgbd(tmp_path, [f"{i:06d}.jpg" for i in (2, 4, 6)])
    trajectory(tmp_path / "traj.txt", [0, 2, 4, 6, 8])
    assert positions(read_rgbd_folder(tmp_path)) == {"000002.jpg": 1.0, "000004.jpg": 2.0, "000006.jpg": 3.0}


@pytest.mark.parametrize("digits", [3, 6, 9])
def test_long_numbers_are_times_in_small_units(digits: int, tmp_path: Path) -> None:
    seconds = [1403636579.7635555, 1403636579.8135555, 1403636579.8635555]
    rgbd(tmp_path, [f"{int(time * 10**digits)}.png" for time in seconds])
    trajectory(tmp_path / "groundtruth.txt", [f"{time:.9f}" for time in [seconds[0] - 3, *seconds]])
    assert list(positions(read_rgbd_folder(tmp_path)).values()) == [1.0, 2.0, 3.0]


def test_decimal_names_are_times(tmp_path: Path) -> None:
    rgbd(tmp_path, ["10.100000.png", "10.200000.png", "30.000000.png"])
    trajectory(tmp_path / "groundtruth.txt", [10.0, 10.101, 10.199])
    scene = read_rgbd_folder(tmp_path)
    assert positions(scene) == {"10.100000.png": 1.0, "10.200000.png": 2.0}
    assert scene.notes[0] == "2 of 3 photos used; 1 left out: no pose of its name (30.000000.png)"


def test_frame_numbers_of_the_shared_case(shared) -> None:
    folder = shared("cases/frame_numbers_read_as_seconds/input")
    rows = np.loadtxt(folder / "traj.txt")
    scene = read_scene(folder)
    assert [view.name for view in scene.views] == [f"{index}.jpg" for index in range(6)]
    np.testing.assert_allclose([view.camera.camera_to_world[0, :3, 3].tolist() for view in scene.views], rows[:, 1:4])


# --- several models


@pytest.mark.parametrize("place", ["sparse", "colmap/sparse", "."])
def test_the_largest_of_several_models_is_used_and_the_others_named(place: str, tmp_path: Path) -> None:
    colmap(tmp_path / place / "0", ["a.jpg"])
    colmap(tmp_path / place / "1", ["a.jpg", "b.jpg", "c.jpg"])
    colmap(tmp_path / place / "10", ["a.jpg", "b.jpg"])
    scene = read_colmap(tmp_path, images=None)
    assert len(scene) == 3
    assert scene.notes[1] == "the largest of 3 COLMAP models is used, 1 with 3 photos; not 0 with 1, 10 with 2"
    assert len(read_colmap(tmp_path / place / "10", images=None)) == 2  # a model that is named is the one that is read


def test_binary_models_are_counted_too(tmp_path: Path) -> None:
    colmap(tmp_path / "sparse" / "0", ["a.jpg"])
    folder = tmp_path / "sparse" / "1"
    folder.mkdir()
    (folder / "cameras.bin").write_bytes(struct.pack("<QIiQQ4d", 1, 1, 1, WIDTH, HEIGHT, 20, 21, 12, 9))
    images = [struct.pack("<I7dI", i, 1, 0, 0, 0, i, 0, 0, 1) + f"{i}.jpg\0".encode() + struct.pack("<Q", 0) for i in (1, 2)]
    (folder / "images.bin").write_bytes(struct.pack("<Q", 2) + b"".join(images))
    assert len(read_colmap(tmp_path, images=None)) == 2


def test_two_models_of_the_shared_case(shared) -> None:
    scene = read_scene(shared("cases/two_colmap_models/input"))
    assert len(scene) == 6
    assert "1 with 6 photos; not 0 with 1" in scene.notes[1]


# --- single bad records


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_points_and_poses_that_are_not_finite_are_left_out(value: str, tmp_path: Path) -> None:
    points = f"1 0 0 1 9 9 9 0.5 1 0 2 0\n2 0 {value} 1 9 9 9 0.5 1 1\n3 5 6 7 1 2 3 nan 2 1\n"
    colmap(tmp_path, ["a.jpg", "b.jpg", "c.jpg"], points=points)
    text = (tmp_path / "images.txt").read_text().replace(" -2 0 0 1 c.jpg", f" {value} 0 0 1 c.jpg")
    (tmp_path / "images.txt").write_text(text)
    scene = read_colmap(tmp_path, images=None)
    assert [view.name for view in scene.views] == ["a.jpg", "b.jpg"]
    assert scene.notes[:2] == (
        "2 of 3 photos used; 1 left out: no finite pose (c.jpg)",
        "1 of 3 points left out: their positions are not finite",
    )
    assert scene.points is not None
    np.testing.assert_array_equal(scene.points.xyz, [[0, 0, 1], [5, 6, 7]])
    assert {name: seen.tolist() for name, seen in scene.points.observations.items()} == {"a.jpg": [0], "b.jpg": [0, 1]}


def test_a_lost_pose_in_transforms_json(tmp_path: Path) -> None:
    frames = [{"file_path": f"images/{i}.png", "transform_matrix": np.eye(4).tolist()} for i in range(3)]
    frames[1]["transform_matrix"][0][3] = float("nan")
    for index in range(3):
        photo(tmp_path / "images" / f"{index}.png")
    (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 20, "frames": frames}))
    scene = read_scene(tmp_path)
    assert [view.name for view in scene.views] == ["0.png", "2.png"]
    assert scene.notes[0] == "2 of 3 photos used; 1 left out: no finite pose (1.png)"


def test_points_of_a_ply_that_are_not_finite(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    header = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    (tmp_path / "p.ply").write_text(header + "0 0 1\nnan 0 0\n1 2 3\n")
    np.testing.assert_array_equal(read_point_ply(tmp_path / "p.ply").xyz, [[0, 0, 1], [1, 2, 3]])
    assert "1 of 3 points left out" in caplog.text


def test_bad_records_of_the_shared_case(shared) -> None:
    points = read_scene(shared("cases/one_bad_record/colmap_one_nan_point")).points
    assert points is not None
    assert len(points) == 299
    lost = read_scene(shared("cases/one_bad_record/rgbd_lost_pose_nan"))
    assert lost.notes[0] == "2 of 3 photos used; 1 left out: no finite pose (frame_08.jpg)"


# --- photos of other names


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("IMG_1.JPG", "IMG_1.jpg"),
        ("img_1.jpg", "IMG_1.JPG"),
        ("a.jpg", "a.png"),
        ("sub/a.jpeg", "sub/a.jpg"),
        ("\u00e9.jpg", "e\u0301.jpg"),  # the accent as a letter of its own, as macOS writes it
        ("images\\a.png", "a.png"),
        ("C:\\Users\\me\\scene\\images\\sub\\a.png", "sub/a.png"),
        ("/home/me/scene/images/a.png", "a.png"),
        ("images/a.JPG", "a.png"),
    ],
)
def test_photos_are_found_by_other_endings_and_paths(named: str, there: str, tmp_path: Path) -> None:
    colmap(tmp_path / "sparse" / "0", [named], points="1 0 0 1 9 9 9 0.5 1 0\n")
    photo(tmp_path / "images" / there)
    scene = read_colmap(tmp_path)
    (view,) = scene.views
    assert view.image_path == tmp_path / "images" / there
    assert view.name == there
    assert scene.points is not None
    assert scene.points.observations[there].tolist() == [0]
    assert len(scene.notes) == 2
    assert scene.notes[1].startswith("1 photos found ")


def test_an_ending_that_could_be_two_files_is_no_guess(tmp_path: Path) -> None:
    colmap(tmp_path / "sparse" / "0", ["a.jpg"])
    photo(tmp_path / "images" / "a.png")
    photo(tmp_path / "images" / "a.tif")
    with pytest.raises(ValueError, match=r"a\.jpg: path: No such file"):
        read_colmap(tmp_path)


@pytest.mark.parametrize("named", ["images/a.JPG", "D:\\data\\images\\a.png", "/data/images/a.png", "./images/a.jpeg"])
def test_photos_of_transforms_json_by_other_names(named: str, tmp_path: Path) -> None:
    photo(tmp_path / "images" / "a.png")
    meta = {"fl_x": 20, "frames": [{"file_path": named, "transform_matrix": np.eye(4).tolist()}]}
    (tmp_path / "transforms.json").write_text(json.dumps(meta))
    scene = read_scene(tmp_path)
    assert scene.views[0].image_path == tmp_path / "images" / "a.png"
    assert any(sentence.startswith("1 photos found ") for sentence in scene.notes)


def test_another_ending_in_the_shared_case(shared) -> None:
    scene = read_scene(shared("cases/photo_ending_differs/input"))
    assert len(scene) == 6
    assert "6 photos found under another ending (frame_00.jpg for frame_00.JPG" in scene.notes[1]


@pytest.mark.parametrize("folder", ["images_2", "images_8", "input", "rgb", "."])
def test_photos_in_another_folder(folder: str, tmp_path: Path) -> None:
    colmap(tmp_path / "sparse" / "0", ["a.png"])
    photo(tmp_path / folder / "a.png", size=(12, 9) if folder == "images_2" else (WIDTH, HEIGHT))
    scene = read_scene(tmp_path)
    assert scene.views[0].camera.width == (12 if folder == "images_2" else WIDTH)
    assert scene.notes[1] == f"there is no folder images; the photos are those of {folder}"


def test_images_2_of_the_shared_case(shared) -> None:
    assert len(read_scene(shared("cases/photos_in_images_2/input"))) == 6


def test_a_photo_that_fits_as_its_exif_entry_turns_it(tmp_path: Path) -> None:
    colmap(tmp_path / "sparse" / "0", ["a.jpg"])
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(tmp_path / "images" / "a.jpg", size=(HEIGHT, WIDTH), exif=exif, quality=100)
    scene = read_scene(tmp_path)
    stored = smooth_image(WIDTH, HEIGHT, 0) / 255
    np.testing.assert_allclose(scene.views[0].image(), np.rot90(stored, -1), atol=0.06)
    assert "1 photos fit their cameras as their EXIF entries turn them" in scene.notes[1]


# --- every command says it


def test_commands_say_how_many_photos_are_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgbd(tmp_path / "in", ["1.jpg", "2.jpg", "3.jpg"], ["2.png", "3.png"], ["1.txt", "2.txt", "3.txt"])
    assert main(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "transforms"]) == 0
    printed = capsys.readouterr()
    assert "2 of 3 photos used; 1 left out: no depth of its name (1.jpg)" in printed.err
    assert "photos used" not in printed.out
    assert main(["convert", str(tmp_path / "out"), str(tmp_path / "again"), "--to", "colmap"]) == 0
    assert "2 of 2 photos used" in capsys.readouterr().err


def test_commands_leave_out_photos_that_are_missing_and_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colmap(tmp_path / "in" / "sparse" / "0", ["a.png", "b.png", "c.png"])
    for name in ("a.png", "c.png"):
        photo(tmp_path / "in" / "images" / name)
    assert main(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "transforms"]) == 0
    assert "2 of 3 photos used; 1 left out: no such photo (b.png)" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"b\.png: path: No such file"):
        read_colmap(tmp_path / "in")
    for name in ("a.png", "c.png"):
        (tmp_path / "in" / "images" / name).unlink()
    assert main(["convert", str(tmp_path / "in"), str(tmp_path / "none"), "--to", "transforms"]) == 2
    assert "frames: none; 3 left out: no such photo (a.png, b.png, c.png)" in capsys.readouterr().err


def test_notes_are_one_line_without_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgbd(tmp_path / "in", ["1.jpg", "2\x1b[31m.jpg"], ["1.png"], ["1.txt"])
    assert main(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "transforms"]) == 0
    assert "\x1b" not in capsys.readouterr().err


def test_complete_scenes_warn_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rgbd(tmp_path, ["1.jpg"], ["1.png"], ["1.txt"])
    with caplog.at_level(logging.WARNING):
        read_scene(tmp_path)
    assert not [record for record in caplog.records if "photos used" in record.getMessage()]


# --- colours of points


@pytest.mark.parametrize(("rgb", "expected"), [("0.2 1 0", (51, 255, 0)), ("51 255 0", (51, 255, 0)), ("1 1 0", (1, 1, 0))])
def test_colours_of_points_are_bytes_or_shares(rgb: str, expected: tuple[int, ...], tmp_path: Path) -> None:
    colmap(tmp_path, ["a.jpg"], points=f"1 0 0 1 {rgb} 0.5\n")
    points = read_colmap(tmp_path, images=None).points
    assert points is not None
    assert tuple(points.rgb[0]) == expected


def test_colours_of_the_shared_case(shared) -> None:
    folder = shared("cases/points_rgb_0_to_1/input")
    points = read_scene(folder).points
    assert points is not None
    rows = [line.split() for line in (folder / "sparse/0/points3D.txt").read_text().splitlines() if line[0] != "#"]
    stored = np.array([row[4:7] for row in rows], float)
    np.testing.assert_array_equal(points.rgb, np.round(stored * 255))
