"""KITTI depth completion: the cropped selection, and the train/val tree with or without the raw pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame, FileFrame, FrameSource, pinhole
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import read_image

SELECTIONS = (".", "val_selection_cropped", "depth_selection/val_selection_cropped")
DRIVE = re.compile(r"^\d{4}_\d{2}_\d{2}_drive_\d{4}_sync$")


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
    drives = sorted(path for path in place.iterdir() if path.is_dir() and DRIVE.match(path.name))
    return [
        _from_tree(folder, drive, truth)
        for drive in drives
        for truth in sorted(drive.glob("proj_depth/groundtruth/image_0[23]/*.png"))
    ]


def _read(
    name: str, truth: Path, lidar: Path | None, rgb: Path | None, intrinsics: Path | None, camera: str = "02"
) -> DepthFrame:
    """Reads depth images in 1/256 m (Uhrig et al. 2017, development kit), 0 = no reading.

    Args:
        name: Drive, frame number and camera.
        truth: Accumulated truth of 11 scans.
        lidar: One scan, the input of the benchmark.
        rgb: Picture, None where the raw data are not there.
        intrinsics: File of 9 numbers (K, row-major) or a ``calib_cam_to_cam.txt``.
        camera: Which camera's calibration to take from the latter: "02" or "03".
    """
    depth = read_depth(truth, format="kitti")
    height, width = depth.shape
    return DepthFrame(
        name=name,
        truth=depth,
        rgb=None if rgb is None else read_image(rgb),
        camera=None if intrinsics is None else _read_camera(intrinsics, camera, width, height),
        measured={} if lidar is None else {"lidar": read_depth(lidar, format="kitti")},
        dataset="KITTI",
    )


def _selected(root: Path, truth: Path) -> FileFrame:
    def partner(place: str, word: str, suffix: str) -> Path | None:
        return _first([root / place / truth.name.replace("groundtruth_depth", word).replace(".png", suffix)])

    lidar, rgb = partner("velodyne_raw", "velodyne_raw", ".png"), partner("image", "image", ".png")
    read = partial(_read, truth=truth, lidar=lidar, rgb=rgb, intrinsics=partner("intrinsics", "image", ".txt"))
    return FileFrame(truth.stem.replace("_groundtruth_depth", ""), read)


def _from_tree(folder: Path, drive: Path, truth: Path) -> FileFrame:
    camera, date = truth.parent.name, drive.name[:10]
    raw = [root / date for root in (folder, folder / "raw", folder.parent / "raw")]
    places = [*(root / drive.name for root in raw), drive]
    read = partial(
        _read,
        truth=truth,
        lidar=_first([drive / "proj_depth" / "velodyne_raw" / camera / truth.name]),
        rgb=_first(place / camera / "data" / truth.name for place in places),
        intrinsics=_first(root / "calib_cam_to_cam.txt" for root in raw),
        camera=camera[-2:],
    )
    return FileFrame(f"{drive.name}_{truth.stem}_{camera}", read)


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


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
