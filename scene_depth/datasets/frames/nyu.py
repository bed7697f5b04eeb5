"""NYU Depth v2: the labelled MATLAB file, and folders of exported pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scene_depth.datasets.frames.frame import DepthFrame, FrameSource, only_valid, pinhole
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import read_image

LABELED = "nyu_depth_v2_labeled.mat"
SPLITS = "splits.mat"
SATURATION = 9.99
"""Metres; raw readings at the end of the sensor's range, 10 m, are no measurements."""
RGB_CALIBRATION = {"fx": 518.857901, "fy": 519.469611, "cx": 325.582449, "cy": 253.736166}
"""The toolbox's ``camera_params.m`` for 640x480; counts from the first pixel's centre."""
SIZE = (640, 480)
EXPORTED = re.compile(r"^(?:rgb|image)_?(\w+)$")
DEPTH_PREFIXES = ("sync_depth_", "depth_", "depth")


@dataclass(frozen=True)
class LabeledFrame:
    """One frame of the labelled file.

    Attributes:
        path: The MATLAB 7.3 file, which is HDF5.
        index: Position in the file, from 0.
    """

    path: Path
    index: int
    role: str = "eval"

    @property
    def name(self) -> str:
        """Name by the number that the published splits use, from 1."""
        return f"nyu_{self.index + 1:04d}"

    def load(self) -> DepthFrame:
        """Reads the frame. Truth is ``depths`` where ``rawDepths`` has a reading: the rest was filled in by an algorithm.

        MATLAB's arrays are column-major, so the file holds pictures as [N, 3, W, H] and depth as [N, W, H].
        """
        with _opened(self.path) as file:
            rgb = np.asarray(file["images"][self.index], np.float32).transpose(2, 1, 0) / np.float32(255)
            truth = only_valid(np.asarray(file["depths"][self.index]).T)
            if "rawDepths" in file:
                raw = np.asarray(file["rawDepths"][self.index]).T
                truth[~((raw > 0) & (raw < SATURATION))] = 0
        height, width = truth.shape
        camera = pinhole(**RGB_CALIBRATION, width=width, height=height, first_center=0.0) if (width, height) == SIZE else None
        return DepthFrame(self.name, truth, rgb, camera, dataset="NYUv2")


@dataclass(frozen=True)
class ExportedFrame:
    """A picture and a 16-bit millimetre depth image of the same view."""

    name: str
    rgb: Path
    depth: Path
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the frame; readings at the sensor's end of range are dropped."""
        truth = read_depth(self.depth, format="nyu")
        truth[truth >= SATURATION] = 0
        height, width = truth.shape
        camera = pinhole(**RGB_CALIBRATION, width=width, height=height, first_center=0.0) if (width, height) == SIZE else None
        return DepthFrame(self.name, truth, read_image(self.rgb), camera, dataset="NYUv2")


def labeled_frames(path: Path) -> list[FrameSource]:
    """The frames of ``nyu_depth_v2_labeled.mat``, named itself or by its folder: the 654 of the test split where ``splits.mat``
    lies beside it, else all 1449. None if there is no such file.

    Raises:
        InputError: If the file cannot be read or lacks a field, or h5py is not installed.
    """
    file_path = path if path.suffix == ".mat" else path / LABELED
    if not file_path.is_file():
        return []
    with _opened(file_path) as file:
        count = file["depths"].shape[0]
    return [LabeledFrame(file_path, index) for index in _test_indices(file_path.parent / SPLITS, count)]


def exported_frames(folder: Path) -> list[FrameSource]:
    """Pairs such as ``rgb_00045.jpg`` and ``sync_depth_00045.png`` (or ``depth_00045.png``) in the folder and below it."""
    found: list[FrameSource] = []
    for rgb in sorted([*folder.rglob("rgb_*.jpg"), *folder.rglob("rgb_*.png")]):
        match = EXPORTED.match(rgb.stem)
        depths = [rgb.with_name(f"{prefix}{match[1]}.png") for prefix in DEPTH_PREFIXES] if match else []
        depths = [depth for depth in depths if depth.is_file()]
        if match and depths:
            name = "_".join([*rgb.parent.relative_to(folder).parts, match[1]])
            found.append(ExportedFrame(name, rgb, depths[0]))
    return found


def _test_indices(path: Path, count: int) -> list[int]:
    if not path.is_file():
        return list(range(count))
    from scipy.io import loadmat

    try:
        numbers = np.ravel(loadmat(path)["testNdxs"]).astype(int)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise InputError("testNdxs", str(error), "the splits.mat of NYUv2", file=path) from error
    if not len(numbers) or numbers.min() < 1 or numbers.max() > count:
        raise InputError("testNdxs", f"{len(numbers)} numbers", f"frame numbers from 1 to {count}", file=path)
    return [int(number) - 1 for number in numbers]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise InputError(
            "h5py", "not installed", "the package h5py (pip install h5py), which reads this file", file=path
        ) from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError("content", str(error), "a MATLAB 7.3 (HDF5) file", file=path) from error
    with file:
        for name, dimensions in (("images", 4), ("depths", 3)):
            if name not in file or file[name].ndim != dimensions:
                raise InputError(name, "missing or of another shape", f"an array of {dimensions} dimensions", file=path)
        yield file
