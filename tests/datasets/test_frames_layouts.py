"""Readers of RGB-D data sets, on small folders written in the layout and encoding of each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scene_depth.datasets.frames import find_frames
from scene_depth.errors import InputError

RNG = np.random.default_rng(11)


def photo(path: Path, width: int, height: int) -> np.ndarray:
    pixels = RNG.integers(0, 255, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def png16(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint16)).save(path)


def labeled_file(path: Path, count: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays as MATLAB shows them, H x W x N, written the way MATLAB 7.3 stores them: transposed."""
    h5py = pytest.importorskip("h5py")
    images = RNG.integers(0, 255, (480, 640, 3, count), dtype=np.uint8)
    depths = RNG.uniform(0.7, 9.0, (480, 640, count)).astype(np.float32)
    raw = depths.copy()
    raw[:20], raw[-5:] = 0, 10.0
    with h5py.File(path, "w") as file:
        file["images"], file["depths"], file["rawDepths"] = images.T, depths.T, raw.T
    return images, depths, raw


def test_nyu_labelled_file(tmp_path: Path) -> None:
    images, depths, _ = labeled_file(tmp_path / "nyu_depth_v2_labeled.mat")
    sources = find_frames(tmp_path)
    assert [source.name for source in sources] == [f"nyu_{number:04d}" for number in range(1, 6)]
    frame = sources[3].load()
    np.testing.assert_array_equal(np.rint((frame.rgb if frame.rgb is not None else np.zeros(0)) * 255), images[..., 3])
    assert (frame.truth[:20] == 0).all()  # filled in by an algorithm, not measured
    assert (frame.truth[-5:] == 0).all()  # the sensor's end of range
    np.testing.assert_array_equal(frame.truth[20:-5], depths[20:-5, :, 3])
    assert frame.camera is not None
    assert frame.camera.K[0, 0, 2] == pytest.approx(325.582449 + 0.5)
    assert len(find_frames(tmp_path / "nyu_depth_v2_labeled.mat")) == 5


def test_nyu_classes(tmp_path: Path) -> None:
    """Labels are stored transposed like depth; names as MATLAB 7.3 stores a cell array, by references to 16-bit texts."""
    h5py = pytest.importorskip("h5py")
    labeled_file(tmp_path / "nyu_depth_v2_labeled.mat", 2)
    assert find_frames(tmp_path)[0].load().classes is None
    labels = np.zeros((480, 640, 2), np.uint16)
    labels[100:200, 300:, 1] = 2
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "a") as file:
        file["labels"] = labels.T
        file.create_dataset("names", (1, 2), h5py.ref_dtype)
        for index, name in enumerate(("book", "air duct")):
            file[f"#refs#/{index}"] = np.array([[ord(letter)] for letter in name], np.uint16)
            file["names"][0, index] = file[f"#refs#/{index}"].ref
    frame = find_frames(tmp_path)[1].load()
    assert frame.classes is not None
    np.testing.assert_array_equal(frame.classes, labels[..., 1])
    assert frame.class_names == ("unlabeled", "book", "air duct")
    other = tmp_path / "other" / "nyu_depth_v2_labeled.mat"
    other.parent.mkdir()
    labeled_file(other, 2)
    with h5py.File(other, "a") as file:
        file["labels"], file["names"] = labels.T, np.ones((1, 2))
    with pytest.raises(InputError, match="names"):
        find_frames(other)[0].load()


def test_nyu_test_split(tmp_path: Path) -> None:
    from scipy.io import savemat

    labeled_file(tmp_path / "nyu_depth_v2_labeled.mat")
    savemat(tmp_path / "splits.mat", {"testNdxs": np.array([[2], [5]], np.uint16), "trainNdxs": np.array([[1], [3], [4]])})
    assert [source.name for source in find_frames(tmp_path)] == ["nyu_0002", "nyu_0005"]
    savemat(tmp_path / "splits.mat", {"testNdxs": np.array([[6]])})
    with pytest.raises(InputError, match="testNdxs"):
        find_frames(tmp_path)
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"  # a version that scipy does not read
    (tmp_path / "splits.mat").write_bytes(header + bytes(512))
    with pytest.raises(InputError, match=r"splits\.mat: testNdxs.*expected the splits\.mat of NYUv2"):
        find_frames(tmp_path)


def test_nyu_files_that_are_not(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "nyu_depth_v2_labeled.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(InputError, match="HDF5"):
        find_frames(tmp_path)
    with h5py.File(tmp_path / "nyu_depth_v2_labeled.mat", "w") as file:
        file["depths"] = np.zeros((2, 3, 4))
    with pytest.raises(InputError, match="images"):
        find_frames(tmp_path)


def test_nyu_exported_pictures(tmp_path: Path) -> None:
    for number in ("00045", "00046"):
        photo(tmp_path / "test" / "bathroom" / f"rgb_{number}.jpg", 640, 480)
        png16(tmp_path / "test" / "bathroom" / f"sync_depth_{number}.png", np.full((480, 640), 2500))
    photo(tmp_path / "test" / "kitchen" / "rgb_0001.png", 640, 480)
    png16(tmp_path / "test" / "kitchen" / "depth_0001.png", np.full((480, 640), 10000))
    sources = find_frames(tmp_path)
    assert [source.name for source in sources] == ["test_bathroom_00045", "test_bathroom_00046", "test_kitchen_0001"]
    assert sources[0].load().truth.max() == np.float32(2.5)
    assert not sources[2].load().valid.any()


def test_kitti_cropped_selection(tmp_path: Path) -> None:
    root = tmp_path / "depth_selection" / "val_selection_cropped"
    drive, number = "2011_09_26_drive_0002_sync", "0000000005_image_02"
    truth, lidar = np.zeros((352, 1216)), np.zeros((352, 1216))
    truth[100:, ::3], lidar[200, ::9] = 256 * 20 + 128, 256 * 33
    png16(root / "groundtruth_depth" / f"{drive}_groundtruth_depth_{number}.png", truth)
    png16(root / "velodyne_raw" / f"{drive}_velodyne_raw_{number}.png", lidar)
    photo(root / "image" / f"{drive}_image_{number}.png", 1216, 352)
    (root / "intrinsics").mkdir()
    text = "721.5377 0.0 596.5593 0.0 721.5377 149.854 0.0 0.0 1.0"
    (root / "intrinsics" / f"{drive}_image_{number}.txt").write_text(text)
    for data in (tmp_path, root):
        (source,) = find_frames(data)
        assert source.name == f"{drive}_{number}"
        frame = source.load()
        assert frame.truth.max() == np.float32(20.5)
        assert frame.valid.sum() == (truth > 0).sum()
        assert frame.measured["lidar"].max() == 33
        assert frame.camera is not None
        assert frame.camera.K[0, :2, 2].tolist() == pytest.approx([597.0593, 150.354])
        assert frame.rgb is not None
    (root / "intrinsics" / f"{drive}_image_{number}.txt").write_text("721.5377 0.0")
    with pytest.raises(InputError, match="intrinsics"):
        find_frames(root)[0].load()


def test_kitti_tree(tmp_path: Path) -> None:
    drive = "2011_09_26_drive_0002_sync"
    for split in ("train", "val"):
        place = tmp_path / split / drive / "proj_depth"
        for camera in ("image_02", "image_03"):
            png16(place / "groundtruth" / camera / "0000000005.png", np.full((375, 1242), 512))
            png16(place / "velodyne_raw" / camera / "0000000005.png", np.full((375, 1242), 256))
    photo(tmp_path / "raw" / "2011_09_26" / drive / "image_02" / "data" / "0000000005.png", 1242, 375)
    lines = ["calib_time: 09-Jan-2012 13:57:47"]
    lines += [f"P_rect_0{camera}: 721.5 0 609.5 {camera} 0 721.5 172.8 0 0 0 1 0" for camera in (2, 3)]
    (tmp_path / "raw" / "2011_09_26" / "calib_cam_to_cam.txt").write_text("\n".join(lines))
    sources = find_frames(tmp_path)
    assert [source.name for source in sources] == [f"{drive}_0000000005_image_02", f"{drive}_0000000005_image_03"]
    left, right = (source.load() for source in sources)
    assert left.rgb is not None
    assert right.rgb is None
    assert left.truth.max() == 2
    assert left.measured["lidar"].max() == 1
    assert left.camera is not None
    assert left.camera.K[0, 0].tolist() == [721.5, 0, 610.0]


def test_diode(tmp_path: Path) -> None:
    place = tmp_path / "val" / "indoors" / "scene_00019" / "scan_00183"
    stem = "00019_00183_indoors_000_010"
    photo(place / f"{stem}.png", 1024, 768)
    depth = RNG.uniform(0.6, 30, (768, 1024, 1)).astype(np.float32)
    valid = (RNG.random((768, 1024)) < 0.8).astype(np.float64)
    np.save(place / f"{stem}_depth.npy", depth)
    np.save(place / f"{stem}_depth_mask.npy", valid)
    (source,) = find_frames(tmp_path)
    frame = source.load()
    assert source.name == stem
    np.testing.assert_array_equal(frame.truth, np.where(valid > 0, depth[..., 0], 0))
    assert frame.camera is not None
    assert frame.camera.K[0, 1].tolist() == [0, 927.06, 384.0]
    np.save(place / f"{stem}_depth_mask.npy", valid[:5])
    with pytest.raises(InputError, match="depth mask"):
        source.load()
    (place / f"{stem}_depth_mask.npy").write_bytes(b"no")
    with pytest.raises(InputError, match="depth mask"):
        source.load()


@pytest.mark.parametrize("split_trees", [False, True])
def test_eth3d(tmp_path: Path, split_trees: bool) -> None:
    depth_root, rgb_root = (tmp_path / "depth", tmp_path / "rgb") if split_trees else (tmp_path, tmp_path)
    photo(rgb_root / "courtyard" / "images" / "dslr_images" / "DSC_0286.JPG", 60, 40)
    place = depth_root / "courtyard" / "ground_truth_depth" / "dslr_images" / "DSC_0286.JPG"
    place.parent.mkdir(parents=True)
    depth = RNG.uniform(2, 20, (40, 60)).astype("<f4")
    depth[:10] = np.inf
    depth.tofile(place)
    (source,) = find_frames(tmp_path)
    assert source.name == "courtyard_DSC_0286"
    frame = source.load()
    np.testing.assert_array_equal(frame.truth, np.where(np.isfinite(depth), depth, 0))
    assert frame.camera is None  # the photos are not undistorted
    place.write_bytes(place.read_bytes()[:-4])
    with pytest.raises(InputError, match="9596 bytes"):
        source.load()


def test_scannet(tmp_path: Path) -> None:
    for scene in ("scene0000_00", "scene0011_01"):
        for number in (0, 2, 10):
            png16(tmp_path / scene / "depth" / f"{number}.png", np.full((48, 64), 1234))
            photo(tmp_path / scene / "color" / f"{number}.jpg", 130, 97)
        (tmp_path / scene / "intrinsic").mkdir()
        for kind, numbers in (("color", (117.0, 117.0, 64.7, 48.3)), ("depth", (57.7, 57.8, 31.9, 23.9))):
            matrix = np.eye(4)
            matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2] = numbers
            np.savetxt(tmp_path / scene / "intrinsic" / f"intrinsic_{kind}.txt", matrix, fmt="%.6f")
    sources = find_frames(tmp_path)
    assert [source.name for source in sources][:4] == ["scene0000_00_0", "scene0000_00_2", "scene0000_00_10", "scene0011_01_0"]
    assert len(find_frames(tmp_path / "scene0011_01")) == 3
    frame = sources[0].load()
    assert frame.truth.shape == (48, 64)
    assert frame.truth.max() == np.float32(1.234)
    assert frame.camera is not None
    assert frame.camera.K[0, 0].tolist() == pytest.approx([57.7, 0, 32.4])


def test_scannet_colour_lies_where_its_camera_says(tmp_path: Path) -> None:
    """A picture whose red is the column's ray slope: after warping it must be the depth camera's ray slope."""
    of_color, of_depth = np.eye(3), np.eye(3)
    of_color[[0, 1], [0, 1]], of_color[:2, 2] = (240.0, 250.0), (130.0, 97.0)
    of_depth[[0, 1], [0, 1]], of_depth[:2, 2] = (117.0, 118.0), (62.0, 50.0)
    slopes = (np.arange(260) - of_color[0, 2]) / of_color[0, 0]
    pixels = np.zeros((200, 260, 3), np.uint8)
    pixels[..., 0] = np.rint(127 + 180 * slopes)
    (tmp_path / "color").mkdir()
    Image.fromarray(pixels).save(tmp_path / "color" / "0.png")
    png16(tmp_path / "depth" / "0.png", np.full((100, 124), 1000))
    (tmp_path / "intrinsic").mkdir()
    np.savetxt(tmp_path / "intrinsic" / "intrinsic_color.txt", of_color)
    np.savetxt(tmp_path / "intrinsic" / "intrinsic_depth.txt", of_depth)
    rgb = find_frames(tmp_path)[0].load().rgb
    assert rgb is not None
    expected = (127 + 180 * (np.arange(124) - of_depth[0, 2]) / of_depth[0, 0]) / 255
    np.testing.assert_allclose(rgb[50, 3:-3, 0], expected[3:-3], atol=1.5 / 255)


def test_plain_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        photo(tmp_path / "rgb" / f"{name}.jpg", 32, 24)
        png16(tmp_path / "depth" / f"{name}.png", np.full((24, 32), 1500))
    np.save(tmp_path / "depth" / "c.npy", np.array([[1.0, np.nan], [np.inf, -1.0]], np.float32))
    (tmp_path / "K.json").write_text(json.dumps({"fx": 30, "fy": 31, "cx": 15.5, "cy": 11.5, "width": 32, "height": 24}))
    a, _, c = find_frames(tmp_path)
    frame = a.load()
    assert (frame.truth == np.float32(1.5)).all()
    assert frame.camera is not None
    assert frame.camera.K[0, :2, 2].tolist() == [16.0, 12.0]
    with pytest.raises(InputError, match="width, height"):
        c.load()  # the camera is not that of a 2 x 2 picture
    (tmp_path / "K.json").unlink()
    frame = find_frames(tmp_path)[2].load()
    assert frame.rgb is None
    assert frame.valid.tolist() == [[True, False], [False, False]]


def test_a_frame_whose_maps_do_not_fit(tmp_path: Path) -> None:
    photo(tmp_path / "rgb.jpg", 30, 24)
    png16(tmp_path / "depth.png", np.full((24, 32), 1500))
    with pytest.raises(InputError, match=r"rgb: size 30 x 24; expected 32 x 24"):
        find_frames(tmp_path)[0].load()


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("{", "content"),
        ('{"frames": []}', "frames"),
        ('{"frames": [3]}', r"frames\[0\]"),
        ('{"frames": [{"name": "a", "depth": 3}]}', r"frames\[0\].depth"),
        ('{"frames": [{"name": "a", "depth": "no.png"}]}', r"frames\[0\].depth"),
    ],
)
def test_bad_lists(tmp_path: Path, content: str, field: str) -> None:
    (tmp_path / "frames.json").write_text(content)
    with pytest.raises(InputError, match=field):
        find_frames(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frame"):
        find_frames(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        find_frames(tmp_path / "missing")
    with pytest.raises(InputError, match="layout"):
        find_frames(tmp_path, layout="imagenet")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(InputError, match="a file"):
        find_frames(tmp_path / "x.txt")


def test_ibims(tmp_path: Path) -> None:
    """100 images: 16-bit depth of 50 m, 1-bit masks with 0 for what does not count, four numbers of calibration."""
    root = tmp_path / "ibims1_core_raw"
    for name in ("corridor_01", "kitchen_02"):
        photo(root / "rgb" / f"{name}.png", 64, 48)
        png16(root / "depth" / f"{name}.png", np.full((48, 64), 2621))
        invalid, transparent = np.ones((48, 64), bool), np.ones((48, 64), bool)
        invalid[:10], transparent[:, :5] = False, False
        for part, mask in (("mask_invalid", invalid), ("mask_transp", transparent)):
            (root / part).mkdir(exist_ok=True)
            Image.fromarray(mask).save(root / part / f"{name}.png")
        (root / "calib").mkdir(exist_ok=True)
        (root / "calib" / f"{name}.txt").write_text("550.39,548.55,31.5,23.5")
    for data in (tmp_path, root):
        sources = find_frames(data)
        assert [source.name for source in sources] == ["corridor_01", "kitchen_02"]
    frame = sources[0].load()
    assert frame.truth[20, 30] == pytest.approx(2621 * 50 / 65535, rel=1e-6)
    assert (frame.truth[:10] == 0).all()
    assert (frame.truth[:, :5] == 0).all()
    assert frame.valid.sum() == 38 * 59
    assert frame.camera is not None
    assert frame.camera.K[0].ravel().tolist() == pytest.approx([550.39, 0, 32, 0, 548.55, 24, 0, 0, 1])
    (root / "calib" / "corridor_01.txt").write_text("550.39,548.55")
    with pytest.raises(InputError, match=r"corridor_01\.txt: intrinsics.*2 numbers"):
        sources[0].load()


def test_arkitscenes(tmp_path: Path) -> None:
    """Laser depth of a video's views with the tablet's own low resolution beside it; the fold for evaluation is taken."""
    video = tmp_path / "upsampling" / "Validation" / "41048190"
    name = "41048190_3414.116"
    photo(video / "wide" / f"{name}.png", 64, 48)
    photo(video / "wide" / "41048190_3415.000.png", 64, 48)  # without laser depth
    png16(video / "highres_depth" / f"{name}.png", np.full((48, 64), 1500))
    png16(video / "lowres_depth" / f"{name}.png", np.full((12, 16), 1520))
    png16(video / "confidence" / f"{name}.png", np.full((12, 16), 2))
    (video / "wide_intrinsics").mkdir()
    (video / "wide_intrinsics" / f"{name}.pincam").write_text("1920 1440 1600.5 1601.5 959.5 719.5")
    other = tmp_path / "upsampling" / "Training" / "40753679"
    photo(other / "wide" / "40753679_1.png", 64, 48)
    png16(other / "highres_depth" / "40753679_1.png", np.full((48, 64), 1500))
    for data in (tmp_path, tmp_path / "upsampling", video.parent, video):
        (source,) = find_frames(data)
        assert source.name == name
    frame = source.load()
    assert frame.dataset == "ARKitScenes"
    assert (frame.truth == np.float32(1.5)).all()
    assert np.count_nonzero(frame.measured["lowres"]) == 12 * 16
    assert frame.measured["lowres"].max() == np.float32(1.52)
    assert frame.camera is not None
    assert frame.camera.K[0, 0, 0].item() == pytest.approx(1600.5 / 30)
    assert frame.camera.K[0, 0, 2].item() == pytest.approx(32)
    assert [one.name for one in find_frames(other.parent)] == ["40753679_1"]
