"""RGB-D folders: each layout that people have, pixel centres, sizes, and what can be wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scene_samples import assert_same_cameras, random_pose, sample_scene, smooth_image

from scene_depth.errors import InputError
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import write_image
from scene_depth.io.rgbd_folder import read_rgbd_folder, write_rgbd_folder
from scene_depth.io.rgbd_layouts import match_times
from scene_depth.io.scenes import detect_format, read_scene
from scene_depth.rotations import matrices_to_quaternions

COUNT, WIDTH, HEIGHT = 4, 24, 18
K_TEXT = "20 0 11\n0 21 9\n0 0 1\n"
SINGULAR = "1 0 0 0\n0 1 0 0\n0 0 0 0\n0 0 0 1\n"


class Frames:
    """The frames that every layout is made of."""

    def __init__(self) -> None:
        random = np.random.default_rng(3)
        self.poses = [random_pose(random) for _ in range(COUNT)]
        self.photos = [smooth_image(HEIGHT, WIDTH, seed) / 255 for seed in range(COUNT)]
        self.depths = [np.round(random.uniform(1, 6, (HEIGHT, WIDTH)), 3).astype(np.float32) for _ in range(COUNT)]
        for depth in self.depths:
            depth[2:4, 5:9] = 0


def matrix_text(matrix: np.ndarray) -> str:
    return "\n".join(" ".join(repr(float(value)) for value in row) for row in matrix) + "\n"


def seven_scenes(folder: Path, frames: Frames) -> None:
    for index in range(COUNT):
        write_image(folder / f"frame-{index:06d}.color.png", frames.photos[index])
        write_depth(folder / f"frame-{index:06d}.depth.png", frames.depths[index])
        (folder / f"frame-{index:06d}.pose.txt").write_text(matrix_text(frames.poses[index]).replace(" ", "\t"))
    (folder / "camera-intrinsics.txt").write_text(K_TEXT)


def tsdf_fusion(folder: Path, frames: Frames) -> None:
    (folder / "rgbd-frames").mkdir(parents=True)
    seven_scenes(folder / "rgbd-frames", frames)
    (folder / "rgbd-frames" / "camera-intrinsics.txt").rename(folder / "camera-intrinsics.txt")


def tum(folder: Path, frames: Frames, start: float = 1305031102.0) -> None:
    names = {"rgb": [], "depth": []}
    for index in range(COUNT):
        times = {"rgb": start + 0.1 * index, "depth": start + 0.1 * index + 0.008}
        write_image(folder / "rgb" / f"{times['rgb']:.6f}.png", frames.photos[index])
        write_depth(folder / "depth" / f"{times['depth']:.6f}.png", frames.depths[index], format="tum")
        for kind, time in times.items():
            names[kind].append(f"{time:.6f} {kind}/{time:.6f}.png")
    names["rgb"].append(f"{start + 9:.6f} rgb/without_depth.png")
    for kind, lines in names.items():
        (folder / f"{kind}.txt").write_text("# timestamp filename\n" + "\n".join(lines) + "\n")
    (folder / "groundtruth.txt").write_text(tum_poses(frames, start + 0.004))
    (folder / "intrinsics.txt").write_text("20 21 11 9\n")


def tum_poses(frames: Frames, start: float) -> str:
    import torch

    lines = ["# timestamp tx ty tz qx qy qz qw"]
    for index, pose in enumerate(frames.poses):
        w, x, y, z = matrices_to_quaternions(torch.from_numpy(pose[:3, :3])).tolist()
        lines.append(f"{start + 0.1 * index:.6f} " + " ".join(repr(float(v)) for v in (*pose[:3, 3], x, y, z, w)))
        lines.append(f"{start + 0.1 * index + 0.05:.6f} 9 9 9 0 0 0 1")  # the tracker is faster than the camera
    return "\n".join(lines) + "\n"


def tum_without_lists(folder: Path, frames: Frames) -> None:
    tum(folder, frames)
    for kind in ("rgb", "depth"):
        (folder / f"{kind}.txt").unlink()


def tum_associations(folder: Path, frames: Frames) -> None:
    tum(folder, frames)
    rows = []
    for color, depth in zip(*(sorted((folder / kind).iterdir()) for kind in ("rgb", "depth")), strict=True):
        rows.append(f"{color.stem} rgb/{color.name} {depth.stem} depth/{depth.name}")
    (folder / "associations.txt").write_text("\n".join(rows))


def scannet(folder: Path, frames: Frames) -> None:
    for index in range(COUNT):
        write_image(folder / "color" / f"{10 * index}.jpg", frames.photos[index])
        write_depth(folder / "depth" / f"{10 * index}.png", frames.depths[index])
        (folder / "pose").mkdir(exist_ok=True)
        (folder / "pose" / f"{10 * index}.txt").write_text(matrix_text(frames.poses[index]))
    (folder / "intrinsic").mkdir()
    K = np.eye(4)
    K[:2, :3] = [[20, 0, 11], [0, 21, 9]]
    for kind in ("color", "depth"):
        (folder / "intrinsic" / f"intrinsic_{kind}.txt").write_text(matrix_text(K))


def redwood(folder: Path, frames: Frames) -> None:
    for index in range(COUNT):
        write_image(folder / "image" / f"{index:05d}.png", frames.photos[index])
        write_depth(folder / "depth" / f"{index:05d}.png", frames.depths[index])
    blocks = [f"{index} {index} {index + 1}\n{matrix_text(pose)}" for index, pose in enumerate(frames.poses)]
    (folder / "trajectory.log").write_text("".join(blocks))
    intrinsics = {"width": WIDTH, "height": HEIGHT, "intrinsic_matrix": [20, 0, 0, 0, 21, 0, 11, 9, 1]}
    (folder / "camera_intrinsic.json").write_text(json.dumps(intrinsics))


def matrices_in_lines(folder: Path, frames: Frames) -> None:
    redwood(folder, frames)
    (folder / "trajectory.log").unlink()
    (folder / "camera_intrinsic.json").unlink()
    (folder / "poses.txt").write_text("".join(" ".join(map(repr, pose.flatten().tolist())) + "\n" for pose in frames.poses))
    (folder / "K.json").write_text(json.dumps({"fx": 20, "fy": 21, "cx": 11, "cy": 9, "width": WIDTH, "height": HEIGHT}))


LAYOUTS: list[Callable[[Path, Frames], None]] = [
    seven_scenes, tsdf_fusion, tum, tum_without_lists, tum_associations, scannet, redwood, matrices_in_lines,
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_every_layout_gives_the_same_scene(layout: Callable[[Path, Frames], None], tmp_path: Path) -> None:
    frames, folder = Frames(), tmp_path / "a folder é"
    layout(folder, frames)
    assert detect_format(folder).name == "rgbd"
    scene = read_scene(folder, **({"depth_format": "tum"} if layout is tum_without_lists else {}))
    assert len(scene) == COUNT
    assert scene.metric
    for index, view in enumerate(scene.views):
        np.testing.assert_allclose(view.camera.camera_to_world[0], frames.poses[index], atol=1e-12)
        np.testing.assert_allclose(view.camera.K[0], [[20, 0, 11.5], [0, 21, 9.5], [0, 0, 1]])  # centres at 0 become 0.5
        np.testing.assert_allclose(view.depth(), frames.depths[index], atol=1e-6)
        tolerance = 0.08 if view.name.endswith("jpg") else 0.003
        np.testing.assert_allclose(view.image(), frames.photos[index], atol=tolerance)


def test_pixel_centres_can_be_declared(tmp_path: Path) -> None:
    matrices_in_lines(tmp_path, Frames())
    assert read_rgbd_folder(tmp_path, pixel_center=0.5).views[0].camera.K[0, 0, 2] == 11
    fields = {**json.loads((tmp_path / "K.json").read_text()), "pixel_center": 0.5}
    (tmp_path / "K.json").write_text(json.dumps(fields))
    assert read_rgbd_folder(tmp_path).views[0].camera.K[0, 0, 2] == 11
    given = read_rgbd_folder(tmp_path, intrinsics=np.array([[30.0, 0, 11], [0, 31, 9], [0, 0, 1]])).views[0].camera.K[0]
    np.testing.assert_array_equal(given, [[30, 0, 11.5], [0, 31, 9.5], [0, 0, 1]])


def test_photos_and_depth_of_two_sizes(tmp_path: Path) -> None:
    frames = Frames()
    scannet(tmp_path, frames)
    wide = smooth_image(2 * HEIGHT, 2 * WIDTH + 2) / 255  # as in ScanNet, the two do not even have one shape
    for index in range(COUNT):
        write_image(tmp_path / "color" / f"{10 * index}.jpg", wide)
    color = np.array([[40.0, 0, 23.5], [0, 42, 18.5], [0, 0, 1]])
    (tmp_path / "intrinsic" / "intrinsic_color.txt").write_text(matrix_text(color))
    view = read_rgbd_folder(tmp_path).views[0]
    assert (view.camera.width, view.camera.height) == (2 * WIDTH + 2, 2 * HEIGHT)
    depth = view.depth()
    assert (depth > 0).sum() == (frames.depths[0] > 0).sum()  # each point moved, none invented
    row, column = np.argwhere(frames.depths[0] > 0)[100]
    x, y = (column + 0.5 - 11.5) / 20 * 40 + 24, (row + 0.5 - 9.5) / 21 * 42 + 19
    assert depth[int(y), int(x)] == frames.depths[0][row, column]
    small = read_rgbd_folder(tmp_path, size="depth").views[0]
    np.testing.assert_array_equal(small.camera.K[0], [[20, 0, 11.5], [0, 21, 9.5], [0, 0, 1]])
    np.testing.assert_array_equal(small.depth(), frames.depths[0])
    reduced = wide[: 2 * HEIGHT, : 2 * WIDTH].reshape(HEIGHT, 2, WIDTH, 2, 3).mean(axis=(1, 3))
    shown, expected = small.image()[2:-2, 2:-2], reduced[2:-2, 2:-2]
    assert np.abs(shown - expected).mean() < 0.05  # a quarter pixel of shift and a jpg apart
    assert np.abs(shown - np.roll(expected, 3, axis=1)).mean() > 0.1


def test_small_depth_without_a_camera_of_its_own(tmp_path: Path) -> None:
    frames = Frames()
    redwood(tmp_path, frames)
    halves = [depth[::2, ::2] for depth in frames.depths]
    for index, half in enumerate(halves):
        write_depth(tmp_path / "depth" / f"{index:05d}.png", half)
    view = read_rgbd_folder(tmp_path).views[2]
    np.testing.assert_allclose(view.depth()[1::2, 1::2], halves[2], atol=1e-6)
    assert (view.depth() > 0).sum() == (halves[2] > 0).sum()
    small = read_rgbd_folder(tmp_path, size="depth").views[2]
    np.testing.assert_allclose(small.depth(), halves[2], atol=1e-6)
    np.testing.assert_allclose(small.camera.K[0], [[10, 0, 5.75], [0, 10.5, 4.75], [0, 0, 1]])
    mean = frames.photos[2].reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small.image(), mean, atol=0.006)
    write_depth(tmp_path / "depth" / "00001.png", halves[1][:, :7])
    with pytest.raises(InputError, match=r"00001\.png: depth size is 7 x 9; expected 24 x 18 or a uniform rescale"):
        read_rgbd_folder(tmp_path)
    with pytest.raises(InputError, match="size: both; expected color, depth"):
        read_rgbd_folder(tmp_path, size="both")
    with pytest.raises(InputError, match="depth_kind: disparity; expected z, ray"):
        read_rgbd_folder(tmp_path, depth_kind="disparity")


def test_ray_distances(tmp_path: Path) -> None:
    frames = Frames()
    matrices_in_lines(tmp_path, frames)
    K = np.array([[20.0, 0, 11.5], [0, 21, 9.5], [0, 0, 1]])
    for index, depth in enumerate(frames.depths):
        (tmp_path / "depth" / f"{index:05d}.png").unlink()
        write_depth(tmp_path / "depth" / f"{index:05d}.npy", depth, kind="ray", K=K)
    np.testing.assert_allclose(read_rgbd_folder(tmp_path, depth_kind="ray").views[1].depth(), frames.depths[1], rtol=1e-6)


def test_lost_frames(tmp_path: Path) -> None:
    scannet(tmp_path, Frames())
    (tmp_path / "pose" / "10.txt").write_text("-inf -inf -inf -inf\n" * 4)
    with pytest.raises(InputError, match=r"pose: 10\.jpg: camera_to_world is .*-inf.*; expected a finite rigid pose"):
        read_rgbd_folder(tmp_path, skip_lost=False)
    scene = read_rgbd_folder(tmp_path)
    assert [view.name for view in scene.views] == ["0.jpg", "20.jpg", "30.jpg"]
    assert scene.notes[0] == "3 of 4 photos used; 1 left out: no finite pose (10.jpg)"
    (tmp_path / "pose" / "10.txt").write_text("-1.#IND 1.#QNAN00 1.#INF 0\n" * 4)
    assert len(read_rgbd_folder(tmp_path)) == 3


def test_times_are_matched_as_by_tums_script() -> None:
    assert match_times([1.0, 2.0, 3.0], [3.005, 0.99, 2.5], 0.02) == [(0, 1), (2, 0)]
    assert match_times([1.0, 1.01], [1.011, 1.03], 0.02) == [(1, 0)]  # the closest pair first; then 1.03 is too far from 1.0
    assert match_times([], [1.0], 0.02) == []


def remove(pattern: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        next(iter(sorted(folder.glob(pattern)))).unlink()

    return act


def replace_text(pattern: str, text: str) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        next(iter(sorted(folder.glob(pattern)))).write_text(text)

    return act


@pytest.mark.parametrize(
    ("layout", "damage", "message"),
    [
        (seven_scenes, remove("*.pose.txt"), r"frame-000000\.pose\.txt: path: No such file"),
        (seven_scenes, remove("*.depth.png"), r"frame-000000\.depth\.png: depth: no such file; expected the depth of"),
        (seven_scenes, remove("camera-intrinsics.txt"), "intrinsics: none; expected one of K.json, .*or intrinsics=FILE"),
        (seven_scenes, replace_text("*.pose.txt", "1 0 0\n"), r"frame-000000\.pose\.txt: pose: 3 numbers"),
        (seven_scenes, replace_text("camera-intrinsics.txt", "1 2\n"), r"camera-intrinsics\.txt: intrinsics: 2 numbers"),
        (seven_scenes, replace_text("camera-intrinsics.txt", K_TEXT.replace("20", "-20")), "positive focal lengths"),
        (seven_scenes, replace_text("camera-intrinsics.txt", "f = 20\n"), r"line 1 is 'f = 20'; expected numbers"),
        (seven_scenes, replace_text("*.pose.txt", SINGULAR), r"frame-000000\.color\.png: camera_to_world"),
        (tum, replace_text("groundtruth.txt", "# nothing\n"), "trajectory: no poses"),
        (tum, replace_text("groundtruth.txt", "1 0 0 0 0 0 0 1\n"), "time stamps: 4 images, none with a pose"),
        (tum, replace_text("groundtruth.txt", "1 0 0 0 0 0 0 0\n"), "pose 0: quaternion is "),
        (tum, replace_text("groundtruth.txt", "1 0 0\n"), r"lines of \[3\] numbers"),
        (tum, replace_text("rgb.txt", "one rgb/a.png\n"), r"rgb\.txt: line 1 is 'one rgb/a.png'"),
        (redwood, remove("image/*.png"), "trajectory: 4 poses; expected 3, one for each photo"),
        (redwood, replace_text("*.json", '{"width": 3}'), "intrinsics: the fields width"),
        (redwood, remove("trajectory.log"), "RGB-D folder: no poses"),
    ],
)  # fmt: skip
def test_what_is_missing_or_wrong_is_named(
    layout: Callable[[Path, Frames], None], damage: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    layout(tmp_path, Frames())
    damage(tmp_path)
    with pytest.raises(InputError, match=message):
        read_rgbd_folder(tmp_path)


@pytest.mark.parametrize("depth_format", [None, "npy", "tum"])
def test_round_trip(depth_format: str | None, tmp_path: Path) -> None:
    scene = sample_scene(tmp_path)
    write_rgbd_folder(tmp_path / "out", scene, depth_format=depth_format)
    back = read_rgbd_folder(tmp_path / "out", depth_format=depth_format)
    assert_same_cameras(scene, back, tolerance=1e-14)
    for view, other in zip(scene.views, back.views, strict=True):
        np.testing.assert_array_equal(view.image(), other.image())
        np.testing.assert_allclose(other.depth(), view.depth(), atol={None: 5.1e-4, "tum": 1.1e-4, "npy": 0}[depth_format])
        np.testing.assert_array_equal(other.depth() > 0, view.depth() > 0)


def test_open3d_reads_the_intrinsics(tmp_path: Path) -> None:
    write_rgbd_folder(tmp_path / "out", sample_scene(tmp_path))
    try:
        import open3d
    except ImportError:
        pytest.skip("open3d is not installed or lacks a system library")
    camera = open3d.io.read_pinhole_camera_intrinsic(str(tmp_path / "out" / "camera_intrinsic.json"))
    np.testing.assert_allclose(camera.intrinsic_matrix, [[20, 0, 10.8], [0, 21.5, 8.9], [0, 0, 1]])
    assert (camera.width, camera.height) == (24, 18)


def test_scenes_that_this_layout_cannot_hold(tmp_path: Path) -> None:
    from dataclasses import replace

    scene = sample_scene(tmp_path)
    with pytest.raises(InputError, match="views with depth: 0 of 3"):
        write_rgbd_folder(tmp_path / "out", sample_scene(tmp_path, depth=False))
    other = replace(scene.views[0], camera=scene.views[0].camera.resized(48, 36), name="other.png")
    with pytest.raises(InputError, match="intrinsics: 2 different ones"):
        write_rgbd_folder(tmp_path / "out", replace(scene, views=(*scene.views, other)))
    far = replace(scene, views=tuple(replace(view, load_depth=lambda: np.full((18, 24), 80, np.float32)) for view in scene.views))
    with pytest.raises(InputError, match="largest value 80"):
        write_rgbd_folder(tmp_path / "out", far)
    assert not (tmp_path / "out").exists()
