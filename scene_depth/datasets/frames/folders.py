"""Frames in folders of no data set's own: listed in a ``frames.json``, one alone, or pictures and depth of the same names.

``K.json`` of these layouts counts from the centre of the first pixel; the reader shifts it by half a pixel to this package's
convention.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame, FileFrame, FrameSource, pinhole
from scene_depth.datasets.frames.resize import resized_depth
from scene_depth.errors import InputError
from scene_depth.io.depth_images import DEPTH_FORMATS, read_depth
from scene_depth.io.images import IMAGE_SUFFIXES, read_image, read_mask
from scene_depth.io.json_files import read_json, read_json_object

LIST = "frames.json"
MEASURED = (
    "sensor_depth",
    "lidar",
    "known_depth",
    "lowres",
    "sparse_published_1000",
    "sparse_published_100",
    "sparse_published_10",
)
"""Names of measured input, the most native first."""
SINGLE = ("rgb", "depth", "mask", "mono_prior", *MEASURED)
SUFFIXES = (".png", ".jpg", ".jpeg", ".npz", ".npy", ".exr", ".tif", ".tiff")
RGB_FOLDERS = ("rgb", "color", "images", "image")
DEPTH_FOLDERS = ("depth", "depths", "depth_images")
DEPTH_SUFFIXES = tuple(dict.fromkeys(suffix for entry in DEPTH_FORMATS.values() for suffix in entry.suffixes))


def listed_frames(folder: Path) -> list[FrameSource]:
    """The frames of a folder with a ``frames.json``; none without that file.

    Raises:
        InputError: If the list is not what it should be.
    """
    path = folder / LIST
    if not path.is_file():
        return []
    content = read_json(path)
    entries = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries:
        raise InputError("frames", type(entries).__name__, "a list of frames, not empty", file=path)
    return [_listed(folder, path, index, entry) for index, entry in enumerate(entries)]


def single_frame(folder: Path) -> list[FrameSource]:
    """The one frame of a folder that holds ``rgb.*`` and ``depth.*``, or ``known_depth.*`` and ``mask.*``; else none."""
    files = {}
    for name in SINGLE:
        found = [name + suffix for suffix in SUFFIXES if (folder / (name + suffix)).is_file()]
        if found:
            files[name] = found[0]
    if (folder / "K.json").is_file():
        files["K"] = "K.json"
    if "depth" not in files and not {"known_depth", "mask"} <= set(files):
        return []
    return [_folder_frame(folder, folder.resolve().name, files)]


def plain_frames(folder: Path) -> list[FrameSource]:
    """Pairs of ``rgb/NAME.*`` and ``depth/NAME.*``; a ``K.json`` in the folder is the camera of all.

    Pictures, in ``rgb``, ``color``, ``images`` or ``image``, are optional. Integer depth images are millimetres.
    """
    depths = next((folder / name for name in DEPTH_FOLDERS if (folder / name).is_dir()), None)
    if depths is None:
        return []
    rgb_folder = next((folder / name for name in RGB_FOLDERS if (folder / name).is_dir()), None)
    pictures: dict[str, Path] = {}
    if rgb_folder is not None:
        pictures = {path.stem: path for path in sorted(rgb_folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
    intrinsics = folder / "K.json" if (folder / "K.json").is_file() else None
    return [
        FileFrame(path.stem, partial(_read_plain, depth=path, rgb=pictures.get(path.stem), intrinsics=intrinsics))
        for path in sorted(depths.iterdir())
        if path.suffix.lower() in DEPTH_SUFFIXES
    ]


def _folder_frame(folder: Path, name: str, files: Mapping[str, str], role: str = "eval", dataset: str = "") -> FileFrame:
    return FileFrame(name, partial(_read_folder, folder=folder, files=files, role=role, dataset=dataset), role)


def _read_folder(name: str, folder: Path, files: Mapping[str, str], role: str, dataset: str) -> DepthFrame:
    """Reads a frame whose files lie in one folder. Without true depth, known depth that came with a region to fill is the truth.

    Args:
        name: Name of the frame.
        folder: Folder of the files.
        files: File names by field: rgb, depth, K, mask, mono_prior, sensor_depth, lidar, ...
        role: What the frame is for.
        dataset: Name of the data set.
    """

    def depth(field: str) -> NDArray[np.float32]:
        return read_depth(folder / files[field])

    truth_field = "depth" if "depth" in files else "known_depth"
    if truth_field not in files:
        raise InputError("depth", "no true depth", f"a frame with depth; this one has the role {role!r}", file=folder)
    truth = depth(truth_field)
    height, width = truth.shape
    measured = {field: depth(field) for field in MEASURED if field in files and field != truth_field}
    mask = read_mask(folder / files["mask"]) if "mask" in files else None
    return DepthFrame(
        name=name,
        truth=truth,
        rgb=read_image(folder / files["rgb"]) if "rgb" in files else None,
        camera=_read_intrinsics(folder / files["K"], width, height) if "K" in files else None,
        measured={
            field: values if values.shape == truth.shape else resized_depth(values, width, height)
            for field, values in measured.items()
        },
        object_mask=mask,
        score_mask=mask if "sensor_depth" in measured else None,
        prior=depth("mono_prior") if "mono_prior" in files else None,
        dataset=dataset,
        role=role,
    )


def _read_plain(name: str, depth: Path, rgb: Path | None, intrinsics: Path | None) -> DepthFrame:
    """A depth image and, where there is one, the picture of the same name; integer depth images are millimetres."""
    truth = read_depth(depth)
    height, width = truth.shape
    camera = None if intrinsics is None else _read_intrinsics(intrinsics, width, height)
    return DepthFrame(name, truth, None if rgb is None else read_image(rgb), camera)


def _read_intrinsics(path: Path, width: int, height: int) -> Cameras:
    """The camera of a ``K.json``: fx, fy, cx, cy of an image of width x height; (0, 0) is the centre of the first pixel.

    Args:
        path: The file.
        width, height: Size of the frame; a calibration of another size of the same view is scaled.

    Raises:
        InputError: If a number is missing or the calibration is of another aspect ratio.
    """
    try:
        content = read_json_object(path)
        fx, fy, cx, cy = (float(content[name]) for name in ("fx", "fy", "cx", "cy"))
        own_width, own_height = int(content.get("width", width)), int(content.get("height", height))
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError("intrinsics", f"{type(error).__name__}: {error}", "numbers fx, fy, cx, cy", file=path) from error
    camera = pinhole(fx, fy, cx, cy, own_width, own_height, first_center=0.0)
    if (own_width, own_height) == (width, height):
        return camera
    if abs(own_width * height / own_height - width) > max(0.5, 0.01 * width):
        raise InputError("width, height", f"{own_width} x {own_height}", f"{width} x {height} or its multiple", file=path)
    return camera.resized(width, height)


def _listed(folder: Path, path: Path, index: int, entry: Any) -> FileFrame:
    place = f"frames[{index}]"
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise InputError(place, repr(entry)[:60], 'an object with a "name"', file=path)
    fields = ("rgb", "depth", "K", "mask", "mono_prior", *MEASURED)
    files = {name: entry[name] for name in fields if entry.get(name) is not None}
    for name, file in files.items():
        if not isinstance(file, str):
            raise InputError(f"{place}.{name}", repr(file)[:60], "a file name", file=path)
        if not (folder / entry["name"] / file).is_file():
            raise InputError(
                f"{place}.{name}", f"{file}, no such file", "a file in the frame's folder", file=folder / entry["name"]
            )
    role, dataset = str(entry.get("role", "eval")), str(entry.get("dataset", ""))
    return _folder_frame(folder / entry["name"], entry["name"], files, role, dataset)
