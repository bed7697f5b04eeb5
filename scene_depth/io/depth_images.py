"""Depth images of many makers, all read as float32 z-depth in metres (or scene units) with 0 = unknown.

A depth file says neither its unit nor whether it holds z-depth, distances along the ray or disparities: whoever reads or
writes it declares both.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.colmap_dense import colmap_map_size, read_colmap_map, write_colmap_map
from scene_depth.io.exr import exr_size, read_exr, write_exr
from scene_depth.io.images import image_size, opened_image
from scene_depth.io.numpy_files import numpy_size, read_numpy_map
from scene_depth.io.pfm import pfm_size, read_pfm, write_pfm

Kind = Literal["z", "ray", "disparity"]
BACKGROUND = 1e9  # render programs write about 1e10 where a ray hits nothing
INTEGER_MAX = 65535


@dataclass(frozen=True)
class DepthFormat:
    """How depth is stored in a file.

    Attributes:
        name: Key in ``DEPTH_FORMATS``.
        suffixes: File name endings; the first is the one to write.
        unit: Metres (or scene units) of a stored 1.
        sixteen_bit: Whether values are unsigned 16-bit integers; else float32.
        unknown: A stored value that means unknown, beside 0.
        rotated_bits: Whether the 16 bits are rotated to the left by three, as SUN RGB-D stores them.
    """

    name: str
    suffixes: tuple[str, ...]
    unit: float = 1.0
    sixteen_bit: bool = False
    unknown: int | None = None
    rotated_bits: bool = False

    @property
    def largest(self) -> float:
        """Largest depth that fits."""
        if not self.sixteen_bit:
            return float(np.finfo(np.float32).max)
        return self.unit * (INTEGER_MAX - (self.unknown == INTEGER_MAX))


INTEGER_SUFFIXES = (".png", ".tif", ".tiff", ".pgm")
DEPTH_FORMATS = {
    entry.name: entry
    for entry in (
        DepthFormat("millimeters", INTEGER_SUFFIXES, 0.001, True, 65535),  # Kinect, RealSense, ARKit, 7-Scenes
        DepthFormat("kitti", INTEGER_SUFFIXES, 1 / 256, True),
        DepthFormat("tum", INTEGER_SUFFIXES, 1 / 5000, True),
        DepthFormat("nyu", INTEGER_SUFFIXES, 0.001, True),
        DepthFormat("scannet", INTEGER_SUFFIXES, 0.001, True),
        DepthFormat("sunrgbd", INTEGER_SUFFIXES, 0.001, True, rotated_bits=True),
        DepthFormat("npy", (".npy",)),
        DepthFormat("npz", (".npz",)),
        DepthFormat("exr", (".exr",)),
        DepthFormat("pfm", (".pfm",)),
        DepthFormat("colmap", (".bin",)),
    )
}


@dataclass(frozen=True)
class StereoCalibration:
    """What turns disparity into depth: z = focal * baseline / (disparity + offset).

    Attributes:
        focal: Focal length in pixels.
        baseline: Distance of the two cameras in metres.
        offset: Difference of the principal points (right minus left) in pixels, ``doffs`` of Middlebury.
    """

    focal: float
    baseline: float
    offset: float = 0.0


def depth_format(path: str | PathLike[str], name: str | None = None) -> DepthFormat:
    """The format of that name, or the one that a file name suggests; integer images are taken as millimetres.

    Raises:
        InputError: If there is no such format, or the file name does not fit it.
    """
    suffix = Path(path).suffix.lower()
    if name is None:
        for entry in DEPTH_FORMATS.values():
            if suffix in entry.suffixes:
                return entry
        endings = dict.fromkeys(suffix for entry in DEPTH_FORMATS.values() for suffix in entry.suffixes)
        raise InputError("depth file name", Path(path).name, f"a name that ends in {', '.join(endings)}", file=path)
    if name not in DEPTH_FORMATS:
        raise InputError("depth format", name, ", ".join(DEPTH_FORMATS), file=path)
    if suffix not in DEPTH_FORMATS[name].suffixes:
        raise InputError(f"file name of depth format {name}", suffix, ", ".join(DEPTH_FORMATS[name].suffixes), file=path)
    return DEPTH_FORMATS[name]


def read_depth(
    path: str | PathLike[str],
    *,
    format: str | None = None,
    unit: float | None = None,
    kind: Kind = "z",
    K: NDArray[Any] | None = None,
    stereo: StereoCalibration | None = None,
    integer_unit: float | None = None,
) -> NDArray[np.float32]:
    """Reads a depth image.

    Args:
        path: 16-bit PNG, TIFF or PGM, npy, npz (array ``depth`` or the only one), EXR, PFM or a COLMAP depth map.
        format: A key of ``DEPTH_FORMATS``; by default what the file name suggests, millimetres for integer images.
        unit: Metres of a stored 1, in place of the format's. Integer npy and npz files have no unit of their own.
        kind: What is stored: z-depth, distances along the "ray", or a "disparity" in pixels (then ``unit`` is the
            pixels of a stored 1).
        K: Intrinsics, first pixel centre at (0.5, 0.5); needed for rays  # [3, 3]
        stereo: Needed for disparities.
        integer_unit: As ``unit``, but for files of integers alone, if ``unit`` is None; floats stay as they are.

    Returns:
        z-depth; 0 where the file has 0, a negative or not finite value, more than 1e9 or the format's own mark of
        unknown  # [H, W]

    Raises:
        InputError: If the file is missing, cut short or of another type or shape, or if a declaration is missing.
    """
    path = Path(path)
    kind_arguments(kind, K, stereo, path)
    entry = depth_format(path, format)
    stored = read_stored_depth(path, format)
    if unit is None and stored.dtype.kind in "iu":
        unit = integer_unit
    if unit is None and stored.dtype.kind in "iu" and not entry.sixteen_bit:
        raise InputError("unit", f"none, with {stored.dtype} values", "a unit, such as 0.001 for millimetres", file=path)
    scale = unit if unit is not None else 1.0 if kind == "disparity" and not entry.sixteen_bit else entry.unit
    values = stored if scale == 1 else stored.astype(np.float64) * scale
    known = known_depth(values)
    if entry.unknown is not None:
        known &= stored != entry.unknown
    if kind == "disparity" and stereo is not None:
        values = stereo.focal * stereo.baseline / np.where(known, values.astype(np.float64) + stereo.offset, 1.0)
        known &= values > 0
    elif kind == "ray" and K is not None:
        values = values / ray_lengths(K, values.shape[1], values.shape[0])
    return np.where(known, values, 0).astype(np.float32)


def write_depth(
    path: str | PathLike[str],
    depth: NDArray[Any],
    *,
    format: str | None = None,
    unit: float | None = None,
    kind: Kind = "z",
    K: NDArray[Any] | None = None,
    stereo: StereoCalibration | None = None,
) -> None:
    """Writes z-depth; unknown pixels (0, negative, not finite) become 0.

    Float formats keep every bit of float32 z-depth. Integer formats round to the nearest step, never to 0.

    Args:
        path: File to write.
        depth: z-depth in metres  # [H, W]
        format, unit, kind, K, stereo: As in ``read_depth``.

    Raises:
        InputError: If a depth does not fit the format (nothing is written), the shape is wrong, a declaration is missing.
    """
    path = Path(path)
    kind_arguments(kind, K, stereo, path)
    entry = depth_format(path, format)
    values = np.asarray(depth)
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiu":
        raise InputError("depth", f"shape {values.shape}, {values.dtype}", "numbers (H, W)", file=path)
    known = known_depth(values)
    values = np.where(known, values, 0)
    if kind == "ray" and K is not None:
        values = values * ray_lengths(K, values.shape[1], values.shape[0])
    elif kind == "disparity" and stereo is not None:
        values = np.where(known, stereo.focal * stereo.baseline / np.where(known, values, 1.0) - stereo.offset, 0)
    scale = unit if unit is not None else 1.0 if kind == "disparity" and not entry.sixteen_bit else entry.unit
    if scale != 1:
        values = values / np.float64(scale)
    _write_stored(path, entry, _integers(values, known, entry, scale, path) if entry.sixteen_bit else values.astype(np.float32))


def known_depth(depth: NDArray[Any]) -> NDArray[np.bool_]:
    """True where a depth is measured: finite, positive and below the 1e9 that stands for the background."""
    with np.errstate(invalid="ignore"):
        result: NDArray[np.bool_] = np.isfinite(depth) & (depth > 0) & (depth < BACKGROUND)
        return result


def ray_lengths(K: NDArray[Any], width: int, height: int) -> NDArray[np.float64]:
    """Length of the ray that reaches z = 1, for every pixel centre  # [3, 3] -> [H, W]"""
    x = (np.arange(width) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(height) + 0.5 - K[1, 2]) / K[1, 1]
    result: NDArray[np.float64] = np.sqrt(1 + x**2 + y[:, None] ** 2)
    return result


def depth_size(path: str | PathLike[str], format: str | None = None) -> tuple[int, int]:
    """Width and height from the file's header; its values are not read.

    Raises:
        InputError: If the file is missing or not of that format.
    """
    entry = depth_format(path, format)
    if entry.sixteen_bit:
        return image_size(path)
    if entry.name in ("npy", "npz"):
        return numpy_size(path)
    if entry.name == "colmap":
        return colmap_map_size(path)[:2]
    return exr_size(path) if entry.name == "exr" else pfm_size(path)


def kind_arguments(kind: str, K: NDArray[Any] | None, stereo: StereoCalibration | None, path: Path) -> None:
    """Raises InputError unless the declarations that ``kind`` needs are there."""
    if kind not in ("z", "ray", "disparity"):
        raise InputError("kind", kind, "z, ray, disparity", file=path)
    if kind == "ray" and (K is None or np.shape(K) != (3, 3)):
        raise InputError("K", None if K is None else f"shape {np.shape(K)}", "intrinsics (3, 3), for ray distances", file=path)
    if kind == "disparity" and stereo is None:
        raise InputError("stereo", None, "a StereoCalibration, for disparities", file=path)


@dataclass(frozen=True, eq=False)
class DepthFile:
    """Loader of a depth image; its fields are the arguments of ``read_depth``."""

    path: Path
    format: str | None = None
    unit: float | None = None
    kind: Kind = "z"
    K: NDArray[Any] | None = None
    integer_unit: float | None = None

    def __call__(self) -> NDArray[np.float32]:
        return read_depth(self.path, format=self.format, unit=self.unit, kind=self.kind, K=self.K, integer_unit=self.integer_unit)


def read_stored_depth(path: Path, format: str | None = None) -> NDArray[Any]:
    """The values of a depth image as they stand in the file, before any unit  # [H, W]

    Raises:
        InputError: As ``read_depth``.
    """
    entry = depth_format(path, format)
    if entry.sixteen_bit:
        with opened_image(path) as image:
            if image.mode not in ("I;16", "I;16B", "I;16L", "I"):
                raise InputError("image mode", image.mode, "16-bit grey", file=path)
            stored = np.asarray(image)
            return _rotated(stored.astype(np.uint16), -3) if entry.rotated_bits else stored
    if entry.name in ("npy", "npz"):
        return read_numpy_map(path)
    return {"exr": read_exr, "pfm": read_pfm, "colmap": read_colmap_map}[entry.name](path)


def _rotated(values: NDArray[np.uint16], bits: int) -> NDArray[np.uint16]:
    """The 16 bits rotated to the left, or to the right if negative."""
    rotated: NDArray[np.uint16] = (values << np.uint16(bits % 16)) | (values >> np.uint16(-bits % 16))
    return rotated


def _integers(values: NDArray[Any], known: NDArray[np.bool_], entry: DepthFormat, scale: float, path: Path) -> NDArray[np.uint16]:
    limit = INTEGER_MAX - (entry.unknown == INTEGER_MAX)
    steps = np.rint(values)
    if steps.max() > limit:
        largest = float(values.max()) * scale
        wider = [other.name for other in DEPTH_FORMATS.values() if other.sixteen_bit and other.largest >= largest]
        accepted = f"at most {limit * scale:g} in {entry.name}; {' or '.join([*wider[:1], 'npy'])} holds more"
        raise InputError("depth", f"largest value {largest:g}", accepted, file=path)
    stored = np.where(known, np.maximum(steps, 1), 0).astype(np.uint16)
    return _rotated(stored, 3) if entry.rotated_bits else stored


def _write_stored(path: Path, entry: DepthFormat, values: NDArray[Any]) -> None:
    if entry.name in ("exr", "pfm", "colmap"):
        {"exr": write_exr, "pfm": write_pfm, "colmap": write_colmap_map}[entry.name](path, values)
        return
    with atomic_path(path) as temporary:
        if entry.sixteen_bit:
            Image.fromarray(values).save(temporary)
        elif entry.name == "npy":
            np.save(temporary, values)
        else:
            np.savez_compressed(temporary, depth=values)
