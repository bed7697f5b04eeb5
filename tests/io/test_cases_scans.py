"""LiDAR scans whose rows have 3 to 6 floats, with reflectances that are none, and the calibrations beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from scene_depth.cli.app import main
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.velodyne import read_scan_calibration, read_velodyne

RANDOM = np.random.default_rng(0)


def street(count: int = 5000, shuffled: bool = False) -> NDArray[np.float32]:
    """Points on the ground and on walls around a scanner 1.7 m above it, in the order of the beams  # [N, 3]"""
    azimuth = np.linspace(-np.pi, np.pi, count, endpoint=False)
    distance = np.where(np.arange(count) % 3 == 0, 6.0, 15 + 10 * np.sin(3 * azimuth))
    height = np.where(np.arange(count) % 3 == 0, -1.7, RANDOM.uniform(-1.7, 1.0, count))
    points = np.column_stack([distance * np.cos(azimuth), distance * np.sin(azimuth), height]).astype(np.float32)
    return RANDOM.permutation(points) if shuffled else points


EXTRA = {
    "reflectance": lambda n: RANDOM.uniform(0, 1, n),
    "ring": lambda n: np.arange(n) % 32,
    "time": lambda n: np.linspace(0, 0.1, n),
}


def write(path: Path, points: NDArray[np.float32], width: int, reflectance: NDArray[np.float64] | None = None) -> Path:
    columns = [EXTRA[name](len(points)) for name in list(EXTRA)[: width - 3]]
    if reflectance is not None:
        columns[0] = reflectance
    np.column_stack([points, *columns]).astype("<f4").tofile(path)
    return path


@pytest.mark.parametrize("width", [3, 4, 5, 6])
@pytest.mark.parametrize("count", [5000, 5040, 4999])
@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_of_every_width(width: int, count: int, shuffled: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    points = street(count, shuffled)
    read = read_velodyne(write(tmp_path / "0.bin", points, width))
    np.testing.assert_array_equal(read[:, :3], points)
    assert (f"rows of {width} floats were recognised" in caplog.text) == (width != 4)


@pytest.mark.parametrize("unit", [0.001, 1.0])
def test_the_width_does_not_depend_on_the_unit(unit: float, tmp_path: Path) -> None:
    points = street() / np.float32(unit)
    np.testing.assert_allclose(read_velodyne(write(tmp_path / "0.bin", points, 5), unit)[:, :3], street(), rtol=1e-6, atol=3)


@pytest.mark.parametrize("scale", [1, 255])
def test_reflectances_of_bytes(scale: float, tmp_path: Path) -> None:
    points = street()
    read = read_velodyne(write(tmp_path / "0.bin", points, 4, RANDOM.uniform(0, scale, len(points))))
    np.testing.assert_array_equal(read[:, :3], points)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_only_coordinates_must_be_finite(share: float, tmp_path: Path) -> None:
    points = street()
    reflectance = np.where(np.arange(len(points)) < share * len(points), np.nan, 0.5)
    read = read_velodyne(write(tmp_path / "0.bin", points, 4, reflectance))
    np.testing.assert_array_equal(read[:, :3], points)
    points[7, 1], points[8, 2] = np.nan, np.inf
    assert len(read_velodyne(write(tmp_path / "0.bin", points, 4))) == len(points) - 2


def test_what_is_no_scan_is_refused(tmp_path: Path) -> None:
    RANDOM.uniform(-50, 50, 60 * 500).astype("<f4").tofile(tmp_path / "noise.bin")
    with pytest.raises(InputError, match=r"noise\.bin: scan: 120000 bytes that are no rows of 3, 4, 5, 6 floats"):
        read_velodyne(tmp_path / "noise.bin")
    (tmp_path / "cut.bin").write_bytes(bytes(4 * 5 * 7 * 7 + 1))
    with pytest.raises(InputError, match=r"cut\.bin: size: 981 bytes; expected a multiple of 16"):
        read_velodyne(tmp_path / "cut.bin")


def test_the_calibration_of_the_tracking_benchmark(tmp_path: Path) -> None:
    """Without colons after two of the names, one file a sequence."""
    turn = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, -0.3]])
    P = np.array([[700.0, 0, 600, 40], [0, 700, 180, 0.2], [0, 0, 1, 0.003]])

    def row(matrix: NDArray[np.float64]) -> str:
        return " ".join(f"{value:.12e}" for value in matrix.ravel())

    lines = [*(f"P{index}: {row(P)}" for index in range(4)), f"R_rect {row(np.eye(3))}", f"Tr_velo_cam {row(turn)}"]
    (tmp_path / "calib").mkdir()
    (tmp_path / "calib" / "0003.txt").write_text("\n".join([*lines, f"Tr_imu_velo {row(turn)}"]) + "\n\n")
    scan = tmp_path / "velodyne" / "0003" / "000000.bin"
    tracked = read_scan_calibration(tmp_path / "calib", scan=scan)
    lines = [line.replace("R_rect ", "R0_rect: ").replace("Tr_velo_cam ", "Tr_velo_to_cam: ") for line in lines]
    (tmp_path / "object.txt").write_text("\n".join(lines))
    expected = read_scan_calibration(tmp_path / "object.txt")
    np.testing.assert_array_equal(tracked.camera_from_scanner, expected.camera_from_scanner)
    np.testing.assert_array_equal(tracked.K, expected.K)


@pytest.mark.parametrize("case", ["nuscenes_five_floats", "nan_reflectance"])
def test_the_scans_of_the_shared_cases(case: str, shared, tmp_path: Path) -> None:
    folder = shared(f"cases/{case}/input")
    width = 5 if case.startswith("nuscenes") else 4
    values = np.fromfile(folder / "000000.bin", "<f4").reshape(-1, width)
    np.testing.assert_array_equal(read_velodyne(folder / "000000.bin")[:, :3], values[:, :3])
    arguments = ["complete", str(folder / "000000.png"), str(folder / "000000.bin"), "--calibration", str(folder / "000000.txt")]
    assert main([*arguments, "--output", str(tmp_path / "out"), "--no-points", "--inpainter", "nearest"]) == 0
    other = np.column_stack([values[:, :3], np.zeros(len(values))]).astype("<f4")
    other.tofile(tmp_path / "000000.bin")
    arguments[2] = str(tmp_path / "000000.bin")
    assert main([*arguments, "--output", str(tmp_path / "plain"), "--no-points", "--inpainter", "nearest"]) == 0
    measured = [read_depth(tmp_path / name / "measured" / "000000.png", format="kitti") for name in ("out", "plain")]
    np.testing.assert_array_equal(*measured)
    assert Image.open(tmp_path / "out" / "measured" / "000000.png").size == Image.open(folder / "000000.png").size
