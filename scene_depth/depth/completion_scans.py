"""LiDAR scans as the input of a completion: which scan, picture and calibration belong together, and their depth image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.completion_files import FrameFiles
from scene_depth.errors import InputError
from scene_depth.geometry.scan_projection import scan_depth, shining_through
from scene_depth.io.images import IMAGE_SUFFIXES, image_size
from scene_depth.io.velodyne import calibration_file, check_scan, read_scan_calibration, read_velodyne

STORED_FORMAT = "kitti"
"""Format of completed scans: 16-bit PNG of 1/256 m, as the KITTI server takes them."""


@dataclass(frozen=True)
class ScanSettings:
    """How scans become depth images.

    Attributes:
        camera: Which of KITTI's cameras, "0" to "3".
        unit: Metres of a stored 1; None for metres.
        hide: Whether points of surfaces that the camera cannot see are left out.
    """

    camera: str = "2"
    unit: float | None = None
    hide: bool = True


@dataclass(frozen=True)
class ScanImage:
    """A scan in a camera.

    Attributes:
        depth: z-depth in metres, 0 = none  # [H, W]
        camera: The rectified camera.
        points: Number of returns in the scan.
        hidden: Number of pixels left out, since their points are behind what the camera sees.
    """

    depth: NDArray[np.float32]
    camera: Cameras
    points: int
    hidden: int


def find_scan_files(rgb: Path | None, scans: Path, calibration: Path, camera: str = "2") -> list[FrameFiles]:
    """One frame if ``scans`` is a file, else the frames of a folder, each with the picture and calibration of its name.

    Args:
        rgb: Picture or folder of pictures; None if the calibration says the size.
        scans: ``.bin`` file or folder of them.
        calibration: As in ``read_scan_calibration``.
        camera: "0" to "3".

    Raises:
        InputError: If a file is missing or no scan, a frame has no picture or calibration, or the calibration does not fit.
    """
    for what, path in (("RGB", rgb), ("scan", scans), ("calibration", calibration)):
        if path is not None and not path.exists():
            raise InputError(what, "no such file or folder", "an existing one", file=path)
    paths = sorted(scans.glob("*.bin")) if scans.is_dir() else [scans]
    if not paths:
        raise InputError("scan folder", "no scan", "files that end in .bin", file=scans)
    if rgb is not None and rgb.is_dir() != scans.is_dir():
        found = "a folder" if rgb.is_dir() else "a file"
        raise InputError("RGB", found, f"a {'folder' if scans.is_dir() else 'file'} like the scan", file=rgb)
    pictures = {}
    if rgb is not None and rgb.is_dir():
        pictures = {path.stem: path for path in sorted(rgb.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
    frames = []
    for path in paths:
        check_scan(path)
        picture = rgb if rgb is None or not rgb.is_dir() else pictures.get(path.stem)
        if rgb is not None and picture is None:
            raise InputError("RGB folder", f"no RGB named {path.stem}", "a file of the same name for every scan", file=rgb)
        frames.append(_frame(path, picture, calibration_file(calibration, path), camera))
    return frames


def read_scan_image(frame: FrameFiles, settings: ScanSettings) -> ScanImage:
    """The scan of a frame in its camera.

    Raises:
        InputError: If the scan is empty, its unit is unknown, or no point falls into the picture.
    """
    assert frame.calibration is not None
    calibration = read_scan_calibration(frame.calibration, settings.camera)
    points = read_velodyne(frame.depth, settings.unit)
    depth = scan_depth(points[:, :3], calibration.camera_from_scanner, calibration.K, *frame.size)
    if not depth.any():
        found = f"none of {len(points)} points inside {frame.size[0]} x {frame.size[1]} pixels"
        raise InputError("calibration", found, "one that belongs to scan and picture", file=frame.calibration)
    hidden = shining_through(depth) if settings.hide else np.zeros(depth.shape, dtype=bool)
    camera = Cameras(torch.eye(4, dtype=torch.float64)[None], torch.from_numpy(calibration.K)[None], *frame.size)
    return ScanImage(np.where(hidden, 0, depth).astype(np.float32), camera, len(points), int(hidden.sum()))


def _frame(scan: Path, picture: Path | None, file: Path, camera: str) -> FrameFiles:
    calibration = read_scan_calibration(file, camera)
    size = calibration.size if picture is None else image_size(picture)
    if size is None:
        accepted = f"a picture, or a calibration that says S_rect_0{camera}"
        raise InputError("RGB", "none, and the calibration does not say the size", accepted, file=scan)
    calibration.check_size(*size)
    return FrameFiles(scan.stem, scan, picture, None, None, size, file)
