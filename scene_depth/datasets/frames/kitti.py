"""KITTI depth completion: the cropped selection, and the train/val tree with or without the raw pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame, FrameSource, pinhole
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import read_image

SELECTIONS = (".", "val_selection_cropped", "depth_selection/val_selection_cropped")
DRIVE = re.compile(r"^\d{4}_\d{2}_\d{2}_drive_\d{4}_sync$")


@dataclass(frozen=True)
class KittiFrame:
    """One frame: depth images in 1/256 m (Uhrig et al. 2017, development kit), 0 = no reading.

    Attributes:
        name: Drive, frame number and camera.
        truth: Accumulated truth of 11 scans.
        lidar: One scan, the input of the benchmark.
        rgb: Picture, None where the raw data are not there.
        intrinsics: File of 9 numbers (K, row-major) or a ``calib_cam_to_cam.txt``.
        camera: Which camera's calibration to take from the latter: "02" or "03".
    """

    name: str
    truth: Path
    lidar: Path | None
    rgb: Path | None
    intrinsics: Path | None
    camera: str = "02"
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the frame."""
        truth = self._depth(self.truth)
        height, width = truth.shape
        return DepthFrame(
            name=self.name,
            truth=truth,
            rgb=None if self.rgb is None else read_image(self.rgb),
            camera=None if self.intrinsics is None else _read_camera(self.intrinsics, self.camera, width, height),
            measured={} if self.lidar is None else {"lidar": self._depth(self.lidar)},
            dataset="KITTI",
        )

    @staticmethod
    def _depth(path: Path) -> NDArray[np.float32]:
        return read_depth(path, format="kitti")


def selected_frames(folder: Path) -> list[FrameSource]:
    """The frames of ``val_selection_cropped`` (image, velodyne_raw, groundtruth_depth, intrinsics): the 1,000 of most papers."""
    for relative in SELECTIONS:
        root = folder / relative
        if (root / "groundtruth_depth").is_dir():
            return [_selected(root, path) for path in sorted((root / "groundtruth_depth").glob("*.png"))]
    return []


def tree_frames(folder: Path, split: str | None = None) -> list[FrameSource]:
    """The frames of ``<split>/<drive>/proj_depth/groundtruth/image_0x``.

    Pictures are looked for as in the raw data, ``<date>/<drive>/image_0x/data`` (with ``<date>/calib_cam_to_cam.txt``), in the
    folder itself, in its ``raw`` or beside the depth.

    Args:
        folder: Folder of the splits, or of one.
        split: "train" or "val"; by default ``val`` alone where both are there. A folder without splits is taken whole.
    """
    names = ("val", "train") if split is None else (split,)
    place = next((folder / name for name in names if (folder / name).is_dir()), folder)
    found: list[FrameSource] = []
    for drive in sorted(path for path in place.iterdir() if path.is_dir() and DRIVE.match(path.name)):
        for truth in sorted(drive.glob("proj_depth/groundtruth/image_0[23]/*.png")):
            found.append(_from_tree(folder, drive, truth))
    return found


def _selected(root: Path, truth: Path) -> KittiFrame:
    def partner(place: str, word: str, suffix: str) -> Path | None:
        path = root / place / truth.name.replace("groundtruth_depth", word).replace(".png", suffix)
        return path if path.is_file() else None

    return KittiFrame(
        name=truth.stem.replace("_groundtruth_depth", ""),
        truth=truth,
        lidar=partner("velodyne_raw", "velodyne_raw", ".png"),
        rgb=partner("image", "image", ".png"),
        intrinsics=partner("intrinsics", "image", ".txt"),
    )


def _from_tree(folder: Path, drive: Path, truth: Path) -> KittiFrame:
    camera = truth.parent.name
    lidar = drive / "proj_depth" / "velodyne_raw" / camera / truth.name
    date = drive.name[:10]
    pictures = [
        root / date / drive.name / camera / "data" / truth.name for root in (folder, folder / "raw", folder.parent / "raw")
    ]
    pictures.append(drive / camera / "data" / truth.name)
    rgb = next((path for path in pictures if path.is_file()), None)
    calibrations = [root / date / "calib_cam_to_cam.txt" for root in (folder, folder / "raw", folder.parent / "raw")]
    return KittiFrame(
        name=f"{drive.name}_{truth.stem}_{camera}",
        truth=truth,
        lidar=lidar if lidar.is_file() else None,
        rgb=rgb,
        intrinsics=next((path for path in calibrations if path.is_file()), None),
        camera=camera[-2:],
    )


def _read_camera(path: Path, camera: str, width: int, height: int) -> Cameras:
    text = path.read_text(encoding="utf-8")
    try:
        if path.name == "calib_cam_to_cam.txt":
            line = next(line for line in text.splitlines() if line.startswith(f"P_rect_{camera}:"))
            numbers = [float(number) for number in line.split(":")[1].split()]
            fx, cx, fy, cy = numbers[0], numbers[2], numbers[5], numbers[6]
        else:
            numbers = [float(number) for number in text.split()]
            fx, cx, fy, cy = numbers[0], numbers[2], numbers[4], numbers[5]
    except (ValueError, IndexError, StopIteration) as error:
        raise InputError("intrinsics", str(error) or "no such line", f"9 numbers of K, or P_rect_{camera}", file=path) from error
    return pinhole(fx, fy, cx, cy, width, height, first_center=0.0)
