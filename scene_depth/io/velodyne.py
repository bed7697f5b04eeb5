"""LiDAR scans as KITTI stores them, and their calibrations.

Scans are ``.bin`` files of float32 rows: x, y, z, reflectance in KITTI; without the reflectance, or with a ring (nuScenes), or a
ring and a time, in other data sets. No file says how wide its rows are, so that is told from the values.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.input_files import check_input_file, read_lines
from scene_depth.io.scene_notes import note

FLOAT_BYTES = 4
WIDTHS = (4, 5, 3, 6)  # floats of a row, KITTI's first
DISTINCT, MIXED = 0.2, 0.1  # distances of the columns' distributions that rows have, and that rows of a wrong width have not
ENOUGH_POINTS, SAMPLES = 64, 4096
PLAUSIBLE_RANGE = (0.5, 200.0)  # metres, of the median point; scanners of cars see 120 m
CAMERA_TO_CAMERA, VELODYNE_TO_CAMERA = "calib_cam_to_cam.txt", "calib_velo_to_cam.txt"
TO_CAMERA = (("Tr_velo_to_cam", "R0_rect"), ("Tr_velo_cam", "R_rect"))  # of the object and the tracking benchmark
ACCEPTED = (
    "an object or tracking calibration (P2, R0_rect, Tr_velo_to_cam), an odometry calib.txt (P2, Tr), or a folder with "
    f"{CAMERA_TO_CAMERA} and {VELODYNE_TO_CAMERA}"
)


@dataclass(frozen=True)
class ScanCalibration:
    """Where a rectified camera is and what it sees, seen from the scanner.

    Attributes:
        camera_from_scanner: Rigid; scanner axes are x forward, y left, z up, the camera's are OpenCV's, both in metres  # [4, 4]
        K: Intrinsics in pixels, the centre of the first pixel at (0.5, 0.5)  # [3, 3]
        size: Width and height of the rectified pictures, if the file says.
        file: Where it was read.
    """

    camera_from_scanner: NDArray[np.float64]
    K: NDArray[np.float64]
    size: tuple[int, int] | None
    file: Path

    def check_size(self, width: int, height: int) -> None:
        """Raises InputError if this calibration cannot be that of pictures of such a size."""
        if self.size is not None and self.size != (width, height):
            found = f"for {self.size[0]} x {self.size[1]} pixels"
            raise InputError("calibration", found, f"one for {width} x {height} pixels", file=self.file)
        x, y = self.K[0, 2] / width, self.K[1, 2] / height
        if not (0.25 < x < 0.75 and 0.25 < y < 0.75):
            found = f"a principal point at {self.K[0, 2]:.0f}, {self.K[1, 2]:.0f}"
            raise InputError("calibration", found, f"one in the middle half of {width} x {height} pixels", file=self.file)


def read_velodyne(path: str | PathLike[str], unit: float | None = None) -> NDArray[np.float32]:
    """Reads a scan; points at the origin and such that are not finite are no returns and left out.

    Args:
        path: ``.bin`` file of float32 x, y, z, and perhaps reflectance, ring and time.
        unit: Metres of a stored 1; None for metres, which the file must then look like.

    Returns:
        x forward, y left, z up in metres, and reflectance, NaN where the file has none  # [N, 4]

    Raises:
        InputError: If the file holds no rows of 3 to 6 floats, there is no point, or the unit is evidently another one.
    """
    path = _checked_size(Path(path))
    values = np.fromfile(path, dtype="<f4").astype(np.float32)
    width = row_width(values, path)
    points: NDArray[np.float32] = np.full((len(values) // width, 4), np.nan, np.float32)
    points[:, : min(width, 4)] = values.reshape(-1, width)[:, :4]
    points = points[np.isfinite(points[:, :3]).all(axis=1) & (points[:, :3] != 0).any(axis=1)]
    if not len(points):
        raise InputError("scan", "no point", "at least one finite point", file=path)
    if unit is not None:
        if not 0 < unit < float("inf"):
            raise InputError("unit", unit, "metres of a stored 1, a finite number above 0", file=path)
        points[:, :3] *= np.float32(unit)
        return points
    median = float(np.median(np.linalg.norm(points[:, :3].astype(np.float64), axis=1)))
    if not PLAUSIBLE_RANGE[0] <= median <= PLAUSIBLE_RANGE[1]:
        raise InputError(
            "unit",
            f"the median distance would be {median:.4g}",
            "metres, or the unit declared (0.001 for millimetres)",
            file=path,
        )
    return points


def row_width(values: NDArray[np.float32], path: str | PathLike[str]) -> int:
    """How many floats a row has: the width at which columns differ, as x, heights and reflectances do.

    Read at a wrong width, every column is a mixture of all of them, and their distributions are alike. KITTI's four are taken
    unless others are clearly better, which is said.

    Raises:
        InputError: If no width fits the size, or all are clearly wrong.
    """
    differences = {width: _column_difference(values.reshape(-1, width)) for width in WIDTHS if len(values) % width == 0}
    if len(values) < ENOUGH_POINTS * max(WIDTHS) or not differences:
        if 4 in differences:
            return 4
        raise InputError("size", f"{values.nbytes} bytes", "a multiple of 16: float32 x, y, z, reflectance", file=path)
    best = max(differences, key=lambda width: differences[width])
    if differences.get(4, 0.0) >= max(MIXED, 0.8 * differences[best]):
        return 4
    if differences[best] >= DISTINCT:
        note(path, f"rows of {best} floats were recognised, of which the first three are x, y, z")
        return best
    found = f"{values.nbytes} bytes that are no rows of {', '.join(map(str, sorted(differences)))} floats"
    raise InputError("scan", found, "float32 x, y, z, reflectance (3, 5 and 6 floats are recognised too)", file=path)


def _column_difference(rows: NDArray[np.float32]) -> float:
    """Mean over pairs of columns of the largest difference of their distributions (Kolmogorov and Smirnov's), 0 to 1."""
    columns = [np.sort(column[np.isfinite(column)]) for column in rows[:: max(1, len(rows) // SAMPLES)].T]
    distances = []
    for first, second in itertools.combinations(columns, 2):
        if not len(first) or not len(second):
            distances.append(float(len(first) != len(second)))
            continue
        both = np.concatenate([first, second])
        shares = [np.searchsorted(column, both, side="right") / len(column) for column in (first, second)]
        distances.append(float(np.abs(shares[0] - shares[1]).max()))
    return float(np.mean(distances))


def check_scan(path: str | PathLike[str]) -> None:
    """Raises InputError unless the file's size is that of a scan with points; nothing is read."""
    _checked_size(Path(path))


def read_scan_calibration(path: str | PathLike[str], camera: str = "2", scan: Path | None = None) -> ScanCalibration:
    """Reads the calibration of a camera and the scanner.

    Args:
        path: A file of the object, odometry or tracking benchmark, ``calib_cam_to_cam.txt`` of the raw data with
            ``calib_velo_to_cam.txt`` beside it, the folder of these two, or a folder with a file for each scan or for each
            folder of scans.
        camera: "0" to "3"; "2" is the left colour camera.
        scan: The scan, where the folder has a file for each.

    Raises:
        InputError: If files or fields are missing, or a rotation is none.
    """
    file = calibration_file(path, scan)
    fields = _fields(file)
    if file.name == CAMERA_TO_CAMERA:
        other = file.with_name(VELODYNE_TO_CAMERA)
        velodyne = _fields(check_input_file(other, VELODYNE_TO_CAMERA))
        scanner = np.hstack([_matrix(velodyne, "R", (3, 3), other), _matrix(velodyne, "T", (3, 1), other)])
        rectify = _matrix(fields, "R_rect_00", (3, 3), file)
        projection = _matrix(fields, f"P_rect_0{camera}", (3, 4), file)
        size = None
        if (name := f"S_rect_0{camera}") in fields:
            if len(fields[name]) != 2 or not all(1 <= value < 1e6 for value in fields[name]):
                raise InputError(name, fields[name], "width and height in pixels", file=file)
            size = (int(fields[name][0]), int(fields[name][1]))
        return _calibration(scanner, rectify, projection, size, file)
    projection = _matrix(fields, f"P{camera}", (3, 4), file)
    names = next((pair for pair in TO_CAMERA if pair[0] in fields), None)
    if names is not None:
        scanner, rectify = _matrix(fields, names[0], (3, 4), file), _matrix(fields, names[1], (3, 3), file)
    else:
        scanner, rectify = _matrix(fields, "Tr", (3, 4), file), np.eye(3)
    return _calibration(scanner, rectify, projection, None, file)


def calibration_file(path: str | PathLike[str], scan: Path | None = None) -> Path:
    """The file to read of a calibration given by file or folder.

    Raises:
        InputError: If there is none.
    """
    path = Path(path)
    if not path.is_dir():
        return check_input_file(path, ACCEPTED)
    of_scan = [] if scan is None else [f"{scan.stem}.txt", f"{scan.absolute().parent.name}.txt"]
    names = [CAMERA_TO_CAMERA, *of_scan, "calib.txt"]
    found = next((path / name for name in names if (path / name).is_file()), None)
    if found is None:
        raise InputError("calibration", f"no {' or '.join(names)}", ACCEPTED, file=path)
    return found


def _calibration(
    scanner: NDArray[np.float64],
    rectify: NDArray[np.float64],
    projection: NDArray[np.float64],
    size: tuple[int, int] | None,
    file: Path,
) -> ScanCalibration:
    """KITTI's chain P (R_rect | 0) Tr, P = K (I | t) (Geiger et al. 2013, section 4); P counts from the first pixel's centre."""
    for name, rotation in (("rotation of the scanner", scanner[:, :3]), ("rectification", rectify)):
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-2 or np.linalg.det(rotation) < 0:
            raise InputError(name, np.round(rotation, 3).tolist(), "a rotation matrix", file=file)
    K = projection[:, :3].copy()
    plain = K[0, 0] > 0 and K[1, 1] > 0 and not K[1, 0] and K[2].tolist() == [0.0, 0.0, 1.0]
    if not plain:
        raise InputError("projection", np.round(K, 3).tolist(), "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]", file=file)
    to_rectified, shift = np.eye(4), np.eye(4)
    to_rectified[:3] = rectify @ scanner
    shift[:3, 3] = np.linalg.solve(K, projection[:, 3])
    K[:2, 2] += 0.5
    return ScanCalibration(shift @ to_rectified, K, size, file)


def _checked_size(path: Path) -> Path:
    path = check_input_file(path, "a scan of float32 x, y, z, reflectance")
    size = path.stat().st_size
    if not any(size % (FLOAT_BYTES * width) == 0 for width in WIDTHS):
        accepted = "a multiple of 16: float32 x, y, z, reflectance (or of 12, 20 or 24, for rows of 3, 5 or 6)"
        raise InputError("size", f"{size} bytes", accepted, file=path)
    return path


def _fields(path: Path) -> dict[str, list[float]]:
    """Lines of ``name: numbers``, of which the tracking benchmark leaves out some colons; others, such as dates, are left out."""
    found = {}
    for line in read_lines(path, ACCEPTED):
        name, _, numbers = line.strip().replace(":", " ", 1).partition(" ")
        try:
            values = [float(number) for number in numbers.split()]
        except ValueError:
            continue
        if values:
            found[name] = values
    return found


def _matrix(fields: dict[str, list[float]], name: str, shape: tuple[int, int], path: Path) -> NDArray[np.float64]:
    values = fields.get(name)
    if values is None or len(values) != shape[0] * shape[1] or not np.isfinite(values).all():
        found = "missing" if values is None else f"{len(values)} values"
        raise InputError(name, found, f"{shape[0] * shape[1]} numbers; {ACCEPTED}", file=path)
    return np.array(values).reshape(shape)
