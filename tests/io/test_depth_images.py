"""Depth images: round trips of every format, declared units and kinds, and geometry of rays and disparities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.depth_images import (
    DEPTH_FORMATS,
    DepthFile,
    StereoCalibration,
    depth_size,
    known_depth,
    ray_lengths,
    read_depth,
    write_depth,
)

FLOAT_FORMATS = [name for name, entry in DEPTH_FORMATS.items() if not entry.sixteen_bit and name != "exr"]
INTEGER_FORMATS = [name for name, entry in DEPTH_FORMATS.items() if entry.sixteen_bit]
K = np.array([[30.0, 0.0, 11.0], [0.0, 33.0, 6.0], [0.0, 0.0, 1.0]])
ANY_FLOAT = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=7)


def file_for(folder: Path, name: str, suffix: int = 0) -> Path:
    return folder / f"é depth of {name}{DEPTH_FORMATS[name].suffixes[suffix]}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("depth")


@pytest.mark.parametrize("name", FLOAT_FORMATS)
@settings(max_examples=25)
@given(depth=hnp.arrays(np.float32, SHAPES, elements=ANY_FLOAT))
def test_float_formats_keep_every_bit(name: str, folder: Path, depth: np.ndarray) -> None:
    path = file_for(folder, name)
    write_depth(path, depth, format=name)
    back = read_depth(path, format=name)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, np.where(known_depth(depth), depth, 0))
    assert depth_size(path, name) == depth.shape[::-1]


@pytest.mark.parametrize("name", INTEGER_FORMATS)
@settings(max_examples=25)
@given(data=st.data())
def test_integer_formats_round_to_a_step_and_keep_what_is_known(name: str, folder: Path, data: st.DataObject) -> None:
    entry = DEPTH_FORMATS[name]
    values = st.floats(0, float(np.float32(entry.largest * 0.9999)), width=32) | st.just(0.0)
    depth = data.draw(hnp.arrays(np.float32, SHAPES, elements=values))
    path = file_for(folder, name, data.draw(st.integers(0, len(entry.suffixes) - 1)))
    write_depth(path, depth, format=name)
    back = read_depth(path, format=name)
    np.testing.assert_array_equal(back > 0, depth > 0)
    assert (
        np.abs(back.astype(float) - depth)[depth > 0.5 * entry.unit].max(initial=0)
        <= 0.5 * entry.unit * 1.0001 + 4e-7 * entry.largest
    )
    write_depth(path, back, format=name)  # a second round changes nothing
    np.testing.assert_array_equal(read_depth(path, format=name), back)
    assert depth_size(path, name) == depth.shape[::-1]


def test_exr(tmp_path: Path) -> None:
    openexr = pytest.importorskip("OpenEXR")
    depth = np.random.default_rng(0).uniform(0, 9, (5, 8)).astype(np.float32)
    depth[2, 3] = 0
    write_depth(tmp_path / "a.exr", depth)
    np.testing.assert_array_equal(read_depth(tmp_path / "a.exr"), depth)
    assert depth_size(tmp_path / "a.exr") == (8, 5)
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    blender = depth.copy()
    blender[0, 0] = 1e10  # what Blender writes for the background
    others = {"View Layer.Combined.R": depth + 1, "View Layer.Depth.V": blender}
    openexr.File(header, others).write(str(tmp_path / "blender.exr"))
    blender[0, 0] = 0
    np.testing.assert_array_equal(read_depth(tmp_path / "blender.exr"), blender)
    half = depth.astype(np.float16)
    half[1, 1] = 65504
    openexr.File(header, {"Z": half}).write(str(tmp_path / "half.exr"))
    half[1, 1] = 0
    np.testing.assert_array_equal(read_depth(tmp_path / "half.exr"), half.astype(np.float32))
    window = {**header, "displayWindow": ((0, 0), (11, 7)), "dataWindow": ((2, 1), (9, 5))}
    openexr.File(window, {"Z": depth}).write(str(tmp_path / "window.exr"))
    expected = np.zeros((8, 12), np.float32)
    expected[1:6, 2:10] = depth
    np.testing.assert_array_equal(read_depth(tmp_path / "window.exr"), expected)
    openexr.File(header, {"A": depth, "B": depth}).write(str(tmp_path / "ab.exr"))
    with pytest.raises(InputError, match=r"ab\.exr: channels: A, B; expected one channel, or one named Z, V, Y, R"):
        read_depth(tmp_path / "ab.exr")
    (tmp_path / "short.exr").write_bytes((tmp_path / "a.exr").read_bytes()[:200])
    with pytest.raises(InputError, match=r"short\.exr: file: .*expected a whole OpenEXR file"):
        read_depth(tmp_path / "short.exr")


@pytest.mark.parametrize(
    ("name", "stored", "metres"),
    [("millimeters", 1500, 1.5), ("kitti", 2560, 10.0), ("tum", 5000, 1.0), ("nyu", 800, 0.8), ("scannet", 999, 0.999)],
)
def test_units_of_sixteen_bit_files(name: str, stored: int, metres: float, tmp_path: Path) -> None:
    Image.fromarray(np.array([[stored, 0]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_depth(tmp_path / "a.png", format=name), np.array([[metres, 0]], np.float32))


def test_the_kinects_mark_of_unknown() -> None:
    assert DEPTH_FORMATS["millimeters"].largest == pytest.approx(65.534)


def test_65535_is_unknown_in_millimetres_only(tmp_path: Path) -> None:
    Image.fromarray(np.array([[65535, 7]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_depth(tmp_path / "a.png"), np.array([[0, 0.007]], np.float32))
    np.testing.assert_array_equal(read_depth(tmp_path / "a.png", format="kitti"), np.array([[65535 / 256, 7 / 256]], np.float32))


def test_what_does_not_fit_is_an_error_that_says_where_it_would(tmp_path: Path) -> None:
    depth = np.array([[1.0, 70.25]], np.float32)
    with pytest.raises(
        InputError, match=r"largest value 70\.25; expected at most 65\.534 in millimeters; kitti or npy holds more"
    ):
        write_depth(tmp_path / "a.png", depth)
    with pytest.raises(InputError, match=r"largest value 300; expected at most 255\.996 in kitti; npy holds more"):
        write_depth(tmp_path / "a.png", np.array([[300.0]]), format="kitti")
    assert not list(tmp_path.iterdir())
    write_depth(tmp_path / "a.png", depth, format="kitti")
    assert read_depth(tmp_path / "a.png", format="kitti")[0, 1] == 70.25


def test_rays_are_lengths_to_the_pixel_centres(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    camera = Cameras(torch.eye(4, dtype=torch.float64)[None], torch.from_numpy(K)[None], 24, 14)
    z = random.uniform(1, 5, (14, 24)).astype(np.float32)
    z[3, 4] = 0
    distance = np.linalg.norm(camera.unproject(torch.from_numpy(z)[None].double())[0].numpy(), axis=-1)
    np.testing.assert_allclose(z * ray_lengths(K, 24, 14), distance, rtol=1e-6)
    np.save(tmp_path / "ray.npy", distance.astype(np.float32))
    np.testing.assert_allclose(read_depth(tmp_path / "ray.npy", kind="ray", K=K), z, rtol=1e-6)
    write_depth(tmp_path / "b.npy", z, kind="ray", K=K)
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), distance, rtol=1e-6)
    np.testing.assert_allclose(DepthFile(tmp_path / "b.npy", kind="ray", K=K)(), z, rtol=1e-6)
    with pytest.raises(InputError, match="K is None; expected intrinsics"):
        read_depth(tmp_path / "ray.npy", kind="ray")


def test_middlebury_disparities(tmp_path: Path) -> None:
    stereo = StereoCalibration(focal=3979.911, baseline=0.193001, offset=124.343)
    rows = np.array([[10.0, 20.0], [np.inf, 200.0]], np.float32)
    (tmp_path / "disp0.pfm").write_bytes(b"Pf\n2 2\n-0.003922\n" + rows[::-1].astype("<f4").tobytes())
    depth = read_depth(tmp_path / "disp0.pfm", kind="disparity", stereo=stereo)
    expected = 3979.911 * 0.193001 / (np.array([[10, 20], [1, 200]]) + 124.343)
    expected[1, 0] = 0
    np.testing.assert_allclose(depth, expected, rtol=1e-6)
    write_depth(tmp_path / "b.pfm", depth, kind="disparity", stereo=stereo)
    np.testing.assert_allclose(read_depth(tmp_path / "b.pfm", kind="disparity", stereo=stereo), depth, rtol=1e-5)
    with pytest.raises(InputError, match="stereo is None"):
        read_depth(tmp_path / "disp0.pfm", kind="disparity")
    with pytest.raises(InputError, match="kind: inverse; expected z, ray, disparity"):
        read_depth(tmp_path / "disp0.pfm", kind="inverse")  # type: ignore[arg-type]


def test_pfm_of_either_byte_order_and_header(tmp_path: Path) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    (tmp_path / "big.pfm").write_bytes(b"Pf\n3 2\n1.0\n" + rows[::-1].astype(">f4").tobytes())
    (tmp_path / "one_line.pfm").write_bytes(b"Pf 3 2 -1\n" + rows[::-1].astype("<f4").tobytes())
    for name in ("big", "one_line"):
        np.testing.assert_array_equal(read_depth(tmp_path / f"{name}.pfm"), rows)
    (tmp_path / "color.pfm").write_bytes(b"PF\n3 2\n1.0\n" + bytes(72))
    with pytest.raises(InputError, match=r"color\.pfm: channels: 3"):
        read_depth(tmp_path / "color.pfm")


def test_pfm_and_png_as_another_program_sees_them(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    depth = np.random.default_rng(0).uniform(1, 5, (6, 9)).astype(np.float32)
    write_depth(tmp_path / "a.pfm", depth)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.pfm"), cv2.IMREAD_UNCHANGED), depth)
    write_depth(tmp_path / "a.png", depth)
    stored = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, np.rint(depth.astype(np.float64) * 1000))


def test_colmap_maps_as_their_script_reads_them(tmp_path: Path) -> None:
    depth = np.random.default_rng(0).uniform(1, 5, (6, 9)).astype(np.float32)
    write_depth(tmp_path / "a.geometric.bin", depth)
    data = (tmp_path / "a.geometric.bin").read_bytes()
    width, height, channels = (int(word) for word in data.split(b"&", 3)[:3])
    body = data.split(b"&", 3)[3]
    theirs = np.frombuffer(body, np.float32).reshape((width, height, channels), order="F")
    np.testing.assert_array_equal(np.transpose(theirs, (1, 0, 2))[..., 0], depth)


def test_numpy_files(tmp_path: Path) -> None:
    depth = np.random.default_rng(0).uniform(1, 5, (6, 9))
    np.savez(tmp_path / "two.npz", depth=depth, other=depth)
    np.savez(tmp_path / "one.npz", z=depth[..., None])
    np.savez(tmp_path / "none.npz", a=depth, b=depth)
    packed = (tmp_path / "one.npz").read_bytes()
    central = packed.index(b"PK\x01\x02")
    unknown = (99).to_bytes(2, "little")  # a compression that zipfile does not know
    packed = packed[:8] + unknown + packed[10 : central + 10] + unknown + packed[central + 12 :]
    (tmp_path / "packed.npz").write_bytes(packed)
    np.save(tmp_path / "channels.npy", depth[None])
    np.save(tmp_path / "steps.npy", np.full((6, 9), 1500, np.int32))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "cube.npy", np.zeros((6, 9, 3)))
    for name in ("two.npz", "one.npz", "channels.npy"):
        np.testing.assert_array_equal(read_depth(tmp_path / name), depth.astype(np.float32))
        assert depth_size(tmp_path / name) == (9, 6)
    np.testing.assert_array_equal(read_depth(tmp_path / "steps.npy", unit=0.001), np.full((6, 9), 1.5, np.float32))
    for name, message in [
        ("none.npz", "arrays: a, b; expected one named depth, or a single one"),
        ("steps.npy", "unit: none, with int32 values"),
        ("objects.npy", "expected a whole NumPy file of plain numbers"),
        ("packed.npz", "expected a whole NumPy file of plain numbers"),
        ("cube.npy", r"array: shape \(6, 9, 3\)"),
    ]:
        with pytest.raises(InputError, match=message):
            read_depth(tmp_path / name)


@pytest.mark.parametrize("name", [*INTEGER_FORMATS[:1], *FLOAT_FORMATS])
def test_files_cut_short(name: str, tmp_path: Path) -> None:
    path = file_for(tmp_path, name)
    write_depth(path, np.random.default_rng(0).uniform(1, 5, (40, 50)), format=name)
    data = path.read_bytes()
    for kept in (0, 10, len(data) // 2, len(data) - 60):
        path.write_bytes(data[:kept])
        with pytest.raises(InputError, match="depth of") as error:
            read_depth(path, format=name)
        assert error.value.file == path


def test_wrong_files(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "eight.png")
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "color.png")
    (tmp_path / "text.png").write_text("no image")
    for name, message in [
        ("eight.png", "image mode: L; expected 16-bit grey"),
        ("color.png", "image mode: RGB"),
        ("text.png", "not an image"),
        ("missing.png", "No such file"),
        ("a.jpg", "depth file name: a.jpg; expected a name that ends in .png"),
    ]:
        with pytest.raises(InputError, match=message):
            read_depth(tmp_path / name)
    with pytest.raises(InputError, match="depth format: inches; expected millimeters, kitti"):
        read_depth(tmp_path / "eight.png", format="inches")
    with pytest.raises(InputError, match=r"file name of depth format kitti: \.npy; expected \.png"):
        write_depth(tmp_path / "a.npy", np.ones((2, 2)), format="kitti")
    with pytest.raises(InputError, match=r"depth: shape \(2, 2, 1\)"):
        write_depth(tmp_path / "a.npy", np.ones((2, 2, 1)))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="output folder"):
        write_depth(tmp_path / "file" / "a.npy", np.ones((2, 2)))


def test_real_files(shared) -> None:
    depth = read_depth(shared("data/nyu_basement_a/depth.png"))
    assert depth.shape == (480, 640)
    assert depth[depth > 0].min() == pytest.approx(1.39, abs=1e-3)
    assert depth.max() == pytest.approx(6.625, abs=1e-3)
    assert (depth > 0).mean() == pytest.approx(0.7328, abs=1e-4)
    lidar = read_depth(shared("data/kitti_obj_000001/depth.npz"))
    assert lidar.shape == (375, 1242)
    assert (lidar > 0).mean() == pytest.approx(0.0399, abs=1e-4)
