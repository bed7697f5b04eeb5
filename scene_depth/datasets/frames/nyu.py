"""NYU Depth v2: the labelled MATLAB file, the HDF5 files of its raw sequences, and folders of exported pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.datasets.frames.frame import DepthFrame, FileFrame, FrameSource, only_valid, pinhole
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


def scene_frames(folder: Path, split: str | None = None) -> list[FrameSource]:
    """The frames of ``<split>/<scene>/<number>.h5``, the layout in which most completion papers train on NYUv2.

    Args:
        folder: Folder of ``train`` (47,584 frames of 249 scenes) and ``val`` (654 frames), or of one of them.
        split: "train" or "val"; by default ``val`` where both are there. A folder without splits is taken whole.
    """
    names = ("val", "train") if split is None else (split,)
    place = next((folder / name for name in names if (folder / name).is_dir()), folder)
    paths = sorted(place.glob("*/*.h5"))
    return [FileFrame(f"{path.parent.name}_{path.stem}", partial(_read_scene, path=path)) for path in paths]


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
    indices = _split_indices(file_path.parent / SPLITS, count, split)
    return [FileFrame(f"nyu_{index + 1:04d}", partial(_read_labeled, path=file_path, index=index)) for index in indices]


def exported_frames(folder: Path) -> list[FrameSource]:
    """Pairs such as ``rgb_00045.jpg`` and ``sync_depth_00045.png`` (or ``depth_00045.png``) in the folder and below it."""
    found: list[FrameSource] = []
    for rgb in sorted([*folder.rglob("rgb_*.jpg"), *folder.rglob("rgb_*.png")]):
        match = EXPORTED.match(rgb.stem)
        depths = [rgb.with_name(f"{prefix}{match[1]}.png") for prefix in DEPTH_PREFIXES] if match else []
        depths = [depth for depth in depths if depth.is_file()]
        if match and depths:
            name = "_".join([*rgb.parent.relative_to(folder).parts, match[1]])
            found.append(FileFrame(name, partial(_read_exported, rgb=rgb, depth=depths[0])))
    return found


def _read_labeled(name: str, path: Path, index: int) -> DepthFrame:
    """One frame of the labelled file, by its place from 0; its name has the number that the published splits use, from 1.

    Truth is ``depths`` where ``rawDepths`` has a reading: the rest was filled in by an algorithm. MATLAB's arrays are
    column-major, so the file holds pictures as [N, 3, W, H], depth and class labels as [N, W, H].
    """
    with _opened(path) as file:
        rgb = np.asarray(file["images"][index], np.float32).transpose(2, 1, 0)
        rgb /= np.float32(255)
        truth = only_valid(np.asarray(file["depths"][index]).T)
        if "rawDepths" in file:
            raw = np.asarray(file["rawDepths"][index]).T
            truth[~((raw > 0) & (raw < SATURATION))] = 0
        classes = np.asarray(file["labels"][index]).T.astype(np.int32) if "labels" in file else None
    return _frame(name, truth, rgb, classes, () if classes is None else _class_names(path))


def _read_exported(name: str, rgb: Path, depth: Path) -> DepthFrame:
    """A picture and a 16-bit millimetre depth image of the same view; readings at the sensor's end of range are dropped."""
    truth = read_depth(depth, format="nyu")
    truth[truth >= SATURATION] = 0
    return _frame(name, truth, read_image(rgb))


def _read_scene(name: str, path: Path) -> DepthFrame:
    """One frame of the HDF5 files that Ma and Karaman (2018) made of the raw sequences.

    They hold ``rgb`` [3, H, W] of 8 bits and ``depth`` [H, W] in metres, filled in by the toolbox.
    """
    rgb = read_hdf5(path, "rgb", 3).astype(np.float32).transpose(1, 2, 0) / np.float32(255)
    return _frame(name, only_valid(read_hdf5(path, "depth", 2)), rgb)


def _frame(
    name: str,
    truth: NDArray[np.float32],
    rgb: NDArray[np.float32],
    classes: NDArray[np.int32] | None = None,
    class_names: tuple[str, ...] = (),
) -> DepthFrame:
    height, width = truth.shape
    camera = pinhole(**RGB_CALIBRATION, width=width, height=height, first_center=0.0) if (width, height) == SIZE else None
    return DepthFrame(name, truth, rgb, camera, classes=classes, class_names=class_names, dataset="NYUv2")


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
