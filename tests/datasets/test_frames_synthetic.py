"""Hypersim, Virtual KITTI 2 and the NYUv2 training files, on small folders in the published layout."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scene_depth.datasets.frames import find_frames
from scene_depth.datasets.frames.hypersim import tone_mapped
from scene_depth.errors import InputError

h5py = pytest.importorskip("h5py")
SIZE = (12, 16)  # rows, columns


def hdf5(path: Path, **arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def image(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def table(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def distances(z: float, tan_x: float, tan_y: float, shift_x: float = 0.0) -> np.ndarray:
    """Distances of a wall at depth z, pixel by pixel with plain trigonometry."""
    found = np.zeros(SIZE)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            x = tan_x * ((column + 0.5) / SIZE[1] * 2 - 1) + shift_x
            y = tan_y * ((row + 0.5) / SIZE[0] * 2 - 1)
            found[row, column] = z * math.sqrt(1 + x * x + y * y)
    return found


def hypersim_scene(root: Path, name: str, distance: np.ndarray, radiance: bool = True) -> None:
    images = root / name / "images"
    for number in ("0000", "0003"):
        frame = images / "scene_cam_00_geometry_hdf5" / f"frame.{number}"
        hdf5(Path(f"{frame}.depth_meters.hdf5"), dataset=distance.astype(np.float16))
        labels = np.full(SIZE, -1, np.int32)
        labels[:4, :4] = 7
        hdf5(Path(f"{frame}.semantic_instance.hdf5"), dataset=labels)
        if number == "0000":
            hdf5(Path(f"{frame}.semantic.hdf5"), dataset=np.where(labels == 7, 5, -1).astype(np.int16))
        hdf5(Path(f"{frame}.render_entity_id.hdf5"), dataset=np.ones(SIZE, np.int32))
        if radiance:
            path = images / "scene_cam_00_final_hdf5" / f"frame.{number}.color.hdf5"
            hdf5(path, dataset=np.full((*SIZE, 3), 0.25, np.float16))
        else:
            image(images / "scene_cam_00_final_preview" / f"frame.{number}.tonemap.jpg", np.full((*SIZE, 3), 200, np.uint8))


TAN_X = math.tan(math.radians(30))
TAN_Y = TAN_X * SIZE[0] / SIZE[1]


def test_hypersim_distances_become_z_depth(tmp_path: Path) -> None:
    distance = distances(4.0, TAN_X, TAN_Y)
    distance[2, 3], distance[5, 6] = np.nan, np.inf
    hypersim_scene(tmp_path, "ai_001_001", distance)
    sources = find_frames(tmp_path)
    assert [source.name for source in sources] == ["ai_001_001_cam_00_0000", "ai_001_001_cam_00_0003"]
    frame = sources[0].load()
    assert np.allclose(frame.truth[frame.valid], 4.0, atol=0.005)  # stored as float16
    assert (~frame.valid).sum() == 2
    assert frame.instances is not None
    assert set(np.unique(frame.instances)) == {0, 7}
    assert frame.classes is not None
    assert (frame.classes[:4, :4] == 5).all()
    assert np.count_nonzero(frame.classes) == 16  # -1 became 0
    assert [frame.class_names[number] for number in (0, 1, 5, 40)] == ["none", "wall", "chair", "other prop"]
    assert len(frame.class_names) == 41
    assert sources[1].load().classes is None  # no file
    assert frame.camera is not None
    assert float(frame.camera.K[0, 0, 0]) == pytest.approx(SIZE[1] / (2 * TAN_X))
    assert float(frame.camera.K[0, 1, 1]) == pytest.approx(float(frame.camera.K[0, 0, 0]))
    assert frame.rgb is not None
    assert np.allclose(frame.rgb, 0.8, atol=1e-3)  # the 90 % percentile becomes 0.8


def test_hypersim_uses_the_rays_of_each_scene(tmp_path: Path) -> None:
    """A shifted lens keeps a pinhole with another centre; a tilted one has no intrinsics, but still its true z-depth."""
    hypersim_scene(tmp_path, "ai_001_001", distances(3.0, TAN_X, TAN_Y, shift_x=0.1), radiance=False)
    hypersim_scene(tmp_path, "ai_001_002", np.full(SIZE, 3.0))
    zeros = {f"M_cam_from_uv_{i}{j}": 0.0 for i in range(3) for j in range(3)}
    shifted = zeros | {"M_cam_from_uv_00": TAN_X, "M_cam_from_uv_11": TAN_Y, "M_cam_from_uv_22": -1.0, "M_cam_from_uv_02": 0.1}
    tilted = shifted | {"M_cam_from_uv_21": 0.2}
    path = tmp_path / "evermotion_dataset" / "analysis" / "metadata_camera_parameters.csv"
    table(path, [{"scene_name": "ai_001_001", **shifted}, {"scene_name": "ai_001_002", **tilted}])
    first, _, second, _ = (source.load() for source in find_frames(tmp_path, "hypersim"))
    assert np.allclose(first.truth, 3.0, atol=0.005)
    assert first.camera is not None
    expected = SIZE[1] / 2 - 0.1 * SIZE[1] / (2 * TAN_X)
    assert float(first.camera.K[0, 0, 2]) == pytest.approx(expected)
    assert second.camera is None
    v = 1 - 0.5 / SIZE[0] * 2
    ray = np.array([TAN_X * (0.5 / SIZE[1] * 2 - 1) + 0.1, TAN_Y * v, 0.2 * v - 1.0])
    assert second.truth[0, 0] == pytest.approx(3.0 * -ray[2] / np.linalg.norm(ray), rel=1e-5)


def test_hypersim_split_is_the_published_one(tmp_path: Path) -> None:
    hypersim_scene(tmp_path / "scenes", "ai_001_001", distances(4.0, TAN_X, TAN_Y))
    with pytest.raises(InputError, match="metadata_images_split_scene_v1"):
        find_frames(tmp_path, "hypersim", "train")
    rows = [
        {"scene_name": "ai_001_001", "camera_name": "cam_00", "frame_id": number, "split_partition_name": split}
        for number, split in ((0, "test"), (3, "train"))
    ]
    table(tmp_path / "metadata_images_split_scene_v1.csv", rows)
    (source,) = find_frames(tmp_path, "hypersim", "train")
    assert source.name == "ai_001_001_cam_00_0003"


def test_tone_mapping_leaves_black_pictures_black() -> None:
    assert not tone_mapped(np.zeros((4, 4, 3), np.float32)).any()
    values = np.linspace(0, 1, 101, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    mapped = tone_mapped(values)
    assert mapped[0, 90, 0] == pytest.approx(0.8, abs=1e-3)
    assert mapped.max() <= 1


def virtual_kitti(root: dict[str, Path], scene: str) -> None:
    depth = np.full(SIZE, 1234, np.uint16)  # centimetres
    depth[0] = 65535
    instances = np.zeros(SIZE, np.uint8)
    instances[4:, 4:] = 3
    classes = np.full((*SIZE, 3), (100, 60, 100), np.uint8)  # road
    classes[0], classes[1, 0], classes[2, 0] = (90, 200, 255), (0, 0, 0), (1, 2, 3)  # sky, undefined, no colour of the list
    classes[4:, 4:] = 255, 127, 80  # car
    for camera in (0, 1):
        for family, name, array in (
            ("depth", "depth_00001.png", depth),
            ("rgb", "rgb_00001.jpg", np.full((*SIZE, 3), 90, np.uint8)),
            ("instanceSegmentation", "instancegt_00001.png", instances),
            ("classSegmentation", "classgt_00001.png", classes),
        ):
            path = root[family] / scene / "clone" / "frames" / family / f"Camera_{camera}" / name
            if family == "instanceSegmentation":
                path.parent.mkdir(parents=True, exist_ok=True)
                indexed = Image.fromarray(array).convert("P")
                indexed.putdata(array.ravel().tolist())
                indexed.putpalette([7, 8, 9] * 256)  # colours must not matter
                indexed.save(path)
            else:
                image(path, array)
    text = "frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]\n1 0 725.0087 725.0087 620.5 187\n1 1 700 700 620.5 187\n"
    path = root["textgt"] / scene / "clone" / "intrinsic.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    colors = "Category r g b\nTerrain 210 0 200\nSky 90 200 255\nRoad 100 60 100\nCar 255 127 80\nUndefined 0 0 0\n"
    path.with_name("colors.txt").write_text(colors)


@pytest.mark.parametrize("archives", [False, True])
def test_virtual_kitti_in_one_folder_or_in_its_archives(tmp_path: Path, archives: bool) -> None:
    families = ("depth", "rgb", "instanceSegmentation", "classSegmentation", "textgt")
    root = {family: tmp_path / f"vkitti_2.0.3_{family}" if archives else tmp_path for family in families}
    for scene in ("Scene01", "Scene18"):
        virtual_kitti(root, scene)
    assert len(find_frames(tmp_path)) == 4
    assert [source.name for source in find_frames(tmp_path, "vkitti2", "test")] == [
        "Scene18_clone_Camera_0_00001",
        "Scene18_clone_Camera_1_00001",
    ]
    left, right = (source.load() for source in find_frames(tmp_path, "vkitti2", "train"))
    assert left.truth[1:].min() == left.truth.max() == np.float32(12.34)
    assert not left.valid[0].any()  # the sky
    assert left.instances is not None
    assert set(np.unique(left.instances)) == {0, 3}
    assert left.classes is not None
    shown = np.array(left.class_names)[left.classes]
    assert (shown[0] == "Sky").all()
    assert list(shown[1:5, 0]) == ["Undefined", "Undefined", "Road", "Road"]
    assert (shown[4:, 4:] == "Car").all()
    assert left.classes[1, 0] == left.classes[2, 0] == 0
    assert left.camera is not None
    assert left.camera.K[0, 0].tolist() == pytest.approx([725.0087, 0, 621.0])
    assert right.camera is not None
    assert float(right.camera.K[0, 0, 0]) == 700
    colors = root["textgt"] / "Scene01" / "clone" / "colors.txt"
    colors.unlink()
    assert find_frames(tmp_path, "vkitti2", "train")[0].load().classes is None
    path = root["rgb"] / "Scene01" / "clone" / "frames" / "rgb" / "Camera_0" / "rgb_00001.jpg"
    path.unlink()
    with pytest.raises(InputError, match=r"rgb_00001\.jpg"):
        find_frames(tmp_path, "vkitti2")


def test_virtual_kitti_colours_that_are_not(tmp_path: Path) -> None:
    virtual_kitti(dict.fromkeys(("depth", "rgb", "instanceSegmentation", "classSegmentation", "textgt"), tmp_path), "Scene01")
    for text in ("Category r g b\nRoad 100 60\n", "Category r g b\nRoad 100 60 256\n", "Category r g b\n"):
        folder = tmp_path / "Scene01" / f"other{len(text)}"
        (tmp_path / "Scene01" / "clone").rename(folder)
        (folder / "colors.txt").write_text(text)
        with pytest.raises(InputError, match=r"colors\.txt"):
            find_frames(tmp_path, "vkitti2")[0].load()
        folder.rename(tmp_path / "Scene01" / "clone")


def test_nyu_training_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (3, 480, 640), dtype=np.uint8)
    depth = np.full((480, 640), 2.5, np.float32)
    depth[0] = 0
    for split, scene in (("train", "basement_0001a"), ("val", "official")):
        hdf5(tmp_path / split / scene / "00001.h5", rgb=rgb, depth=depth)
    assert [source.name for source in find_frames(tmp_path)] == ["official_00001"]
    (source,) = find_frames(tmp_path, "nyu-scenes", "train")
    frame = source.load()
    assert frame.rgb is not None
    assert np.array_equal(np.rint(frame.rgb * 255).astype(np.uint8), rgb.transpose(1, 2, 0))
    assert frame.truth[1:].min() == frame.truth.max() == 2.5
    assert not frame.valid[0].any()
    hdf5(tmp_path / "train" / "basement_0001a" / "00001.h5", rgb=rgb)
    with pytest.raises(InputError, match="depth: missing"):
        source.load()
    (tmp_path / "train" / "basement_0001a" / "00001.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match="HDF5"):
        source.load()


def test_kitti_tree_gives_the_training_split_when_asked(tmp_path: Path) -> None:
    for split, drive in (("train", "2011_09_26_drive_0001_sync"), ("val", "2011_09_26_drive_0002_sync")):
        path = tmp_path / split / drive / "proj_depth" / "groundtruth" / "image_02" / "0000000005.png"
        image(path, np.full(SIZE, 512, np.uint16))
    assert [source.name[:21] for source in find_frames(tmp_path, "kitti-tree", "train")] == ["2011_09_26_drive_0001"]
    assert [source.name[:21] for source in find_frames(tmp_path, "kitti-tree", "val")] == ["2011_09_26_drive_0002"]
