"""NYU Depth v2: the labelled MATLAB file, and folders of exported pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from scene_depth.datasets.frames.frame import DepthFrame, FrameSource, only_valid, pinhole
from scene_depth.datasets.frames.hdf5 import opened_hdf5, read_hdf5
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

        MATLAB's arrays are column-major, so the file holds pictures as [N, 3, W, H], depth and class labels as [N, W, H].
        """
        with _opened(self.path) as file:
            rgb = np.asarray(file["images"][self.index], np.float32).transpose(2, 1, 0) / np.float32(255)
            truth = only_valid(np.asarray(file["depths"][self.index]).T)
            if "rawDepths" in file:
                raw = np.asarray(file["rawDepths"][self.index]).T
                truth[~((raw > 0) & (raw < SATURATION))] = 0
            classes = np.asarray(file["labels"][self.index]).T.astype(np.int32) if "labels" in file else None
        height, width = truth.shape
        camera = pinhole(**RGB_CALIBRATION, width=width, height=height, first_center=0.0) if (width, height) == SIZE else None
        names = () if classes is None else _class_names(self.path)
        return DepthFrame(self.name, truth, rgb, camera, classes=classes, class_names=names, dataset="NYUv2")


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


@dataclass(frozen=True)
class SceneFrame:
    """One frame of the HDF5 files that Ma and Karaman (2018) made of the raw sequences: ``rgb`` and ``depth`` in metres."""

    name: str
    path: Path
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the frame: ``rgb`` [3, H, W] of 8 bits, ``depth`` [H, W] in metres, filled in by the toolbox."""
        rgb = read_hdf5(self.path, "rgb", 3).astype(np.float32).transpose(1, 2, 0) / np.float32(255)
        truth = only_valid(read_hdf5(self.path, "depth", 2))
        height, width = truth.shape
        camera = pinhole(**RGB_CALIBRATION, width=width, height=height, first_center=0.0) if (width, height) == SIZE else None
        return DepthFrame(self.name, truth, rgb, camera, dataset="NYUv2")


def scene_frames(folder: Path, split: str | None = None) -> list[FrameSource]:
    """The frames of ``<split>/<scene>/<number>.h5``, the layout in which most completion papers train on NYUv2.

    Args:
        folder: Folder of ``train`` (47,584 frames of 249 scenes) and ``val`` (654 frames), or of one of them.
        split: "train" or "val"; by default ``val`` where both are there. A folder without splits is taken whole.
    """
    names = ("val", "train") if split is None else (split,)
    place = next((folder / name for name in names if (folder / name).is_dir()), folder)
    paths = sorted(place.glob("*/*.h5"))
    return [SceneFrame(f"{path.parent.name}_{path.stem}", path) for path in paths]


def labeled_frames(path: Path, split: str = "test") -> list[FrameSource]:
    """The frames of ``nyu_depth_v2_labeled.mat``, named itself or by its folder. None if there is no such file.

    Args:
        path: The file or its folder.
        split: "test" (654 frames) or "train" (795) where ``splits.mat`` lies beside it, else all 1449 are taken.

    Raises:
        InputError: If the file cannot be read or lacks a field, or h5py is not installed.
    """
    file_path = path if path.suffix == ".mat" else path / LABELED
    if not file_path.is_file():
        return []
    with _opened(file_path) as file:
        count = file["depths"].shape[0]
    return [LabeledFrame(file_path, index) for index in _split_indices(file_path.parent / SPLITS, count, split)]


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


def _split_indices(path: Path, count: int, split: str) -> list[int]:
    if not path.is_file():
        return list(range(count))
    from scipy.io import loadmat

    try:
        numbers = np.ravel(loadmat(path)[f"{split}Ndxs"]).astype(int)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:  # the last for MATLAB 7.3, which scipy cannot read
        raise InputError(f"{split}Ndxs", str(error), "the splits.mat of NYUv2", file=path) from error
    if not len(numbers) or numbers.min() < 1 or numbers.max() > count:
        raise InputError(f"{split}Ndxs", f"{len(numbers)} numbers", f"frame numbers from 1 to {count}", file=path)
    return [int(number) - 1 for number in numbers]


@lru_cache(maxsize=4)
def _class_names(path: Path) -> tuple[str, ...]:
    """Names of the labels, from ``names``: MATLAB's cell array, references to texts of 16-bit characters [length, 1]."""
    with opened_hdf5(path) as file:
        if "names" not in file:
            return ()
        try:
            texts = [np.ravel(file[reference]) for reference in np.ravel(file["names"])]
            return ("unlabeled", *("".join(chr(code) for code in text) for text in texts))
        except (TypeError, ValueError, KeyError) as error:
            raise InputError("names", str(error), "a cell array of texts", file=path) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with opened_hdf5(path, "a MATLAB 7.3 (HDF5) file") as file:
        for name, dimensions in (("images", 4), ("depths", 3)):
            if name not in file or file[name].ndim != dimensions:
                raise InputError(name, "missing or of another shape", f"an array of {dimensions} dimensions", file=path)
        yield file
