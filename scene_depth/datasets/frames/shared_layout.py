"""Frames in folders, listed in a ``frames.json``: rgb, depth and what else was measured, one folder a frame.

``K.json`` of this layout counts from the centre of the first pixel; the reader shifts it by half a pixel to this package's
convention.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame, FrameSource, pinhole
from scene_depth.datasets.frames.resize import resized_depth
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import read_image, read_mask

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


@dataclass(frozen=True)
class FolderFrame:
    """A frame whose files lie in one folder.

    Attributes:
        folder: Folder of the files.
        files: File names by field: rgb, depth, K, mask, mono_prior, sensor_depth, lidar, ...
        name: Name of the frame.
        role: What the frame is for.
        dataset: Name of the data set.
    """

    folder: Path
    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    role: str = "eval"
    dataset: str = ""

    def load(self) -> DepthFrame:
        """Reads the frame. Without true depth, the known depth that came with a region to fill is the truth."""
        truth_field = "depth" if "depth" in self.files else "known_depth"
        if truth_field not in self.files:
            raise InputError(
                "depth", "no true depth", f"a frame with depth; this one has the role {self.role!r}", file=self.folder
            )
        truth = self._depth(truth_field)
        height, width = truth.shape
        measured = {}
        for name in MEASURED:
            if name in self.files and name != truth_field:
                depth = self._depth(name)
                measured[name] = depth if depth.shape == truth.shape else resized_depth(depth, width, height)
        mask = read_mask(self.folder / self.files["mask"]) if "mask" in self.files else None
        return DepthFrame(
            name=self.name,
            truth=truth,
            rgb=read_image(self.folder / self.files["rgb"]) if "rgb" in self.files else None,
            camera=read_intrinsics(self.folder / self.files["K"], width, height) if "K" in self.files else None,
            measured=measured,
            object_mask=mask,
            score_mask=mask if "sensor_depth" in measured else None,
            prior=self._depth("mono_prior") if "mono_prior" in self.files else None,
            dataset=self.dataset,
            role=self.role,
        )

    def _depth(self, name: str) -> NDArray[np.float32]:
        return read_depth(self.folder / self.files[name])


def listed_frames(folder: Path) -> list[FrameSource]:
    """The frames of a folder with a ``frames.json``; none without that file.

    Raises:
        InputError: If the list is not what it should be.
    """
    path = folder / LIST
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("content", str(error), "JSON", file=path) from error
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
    return [FolderFrame(folder, folder.resolve().name, files)]


def read_intrinsics(path: Path, width: int, height: int) -> Cameras:
    """The camera of a ``K.json``: fx, fy, cx, cy of an image of width x height; (0, 0) is the centre of the first pixel.

    Args:
        path: The file.
        width, height: Size of the frame; a calibration of another size of the same view is scaled.

    Raises:
        InputError: If a number is missing or the calibration is of another aspect ratio.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        fx, fy, cx, cy = (float(content[name]) for name in ("fx", "fy", "cx", "cy"))
        own_width, own_height = int(content.get("width", width)), int(content.get("height", height))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("intrinsics", f"{type(error).__name__}: {error}", "numbers fx, fy, cx, cy", file=path) from error
    camera = pinhole(fx, fy, cx, cy, own_width, own_height, first_center=0.0)
    if (own_width, own_height) == (width, height):
        return camera
    if abs(own_width * height / own_height - width) > max(0.5, 0.01 * width):
        raise InputError("width, height", f"{own_width} x {own_height}", f"{width} x {height} or its multiple", file=path)
    return camera.resized(width, height)


def _listed(folder: Path, path: Path, index: int, entry: Any) -> FolderFrame:
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
    return FolderFrame(folder / entry["name"], entry["name"], files, role, dataset)
