"""The files of a completion: which picture, depth, mask and prior belong together, checked by their headers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.depth.masks.points import NOMINAL_FOV_X
from scene_depth.errors import InputError
from scene_depth.io.depth_images import DEPTH_FORMATS, depth_format, depth_size
from scene_depth.io.images import IMAGE_SUFFIXES, image_size
from scene_depth.io.intrinsics_files import read_intrinsics
from scene_depth.io.rgbd_folder import COLOR_INTRINSICS

DEPTH_SUFFIXES = tuple(dict.fromkeys(suffix for entry in DEPTH_FORMATS.values() for suffix in entry.suffixes))
SAME_SHAPE = 0.01  # relative difference of the two scales at which intrinsics of another size still fit


@dataclass(frozen=True)
class FrameFiles:
    """The files of one frame.

    Attributes:
        name: Name of its outputs.
        depth: Depth image.
        rgb: Picture of the same size, or None.
        mask: Mask of the same size, or None: then depth is known where the file has any.
        prior: Monocular prediction of the same size, or None.
        size: Width and height.
        calibration: File that places the camera beside the scanner; then ``depth`` is a LiDAR scan.
    """

    name: str
    depth: Path
    rgb: Path | None
    mask: Path | None
    prior: Path | None
    size: tuple[int, int]
    calibration: Path | None = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All files that are read."""
        paths = (self.depth, self.rgb, self.mask, self.prior, self.calibration)
        return tuple(path for path in paths if path is not None)

    @property
    def stored_name(self) -> str:
        """File name of the completed depth."""
        return self.depth.name if self.calibration is None else f"{self.name}.png"


def find_frame_files(
    rgb: Path | None, depth: Path, mask: Path | None = None, prior: Path | None = None, format: str | None = None
) -> list[FrameFiles]:
    """One frame if ``depth`` is a file, else the frames of a folder, paired by name without ending.

    Args:
        rgb: Picture or folder of pictures, or None.
        depth: Depth image or folder of depth images.
        mask, prior: File or folder, or None.
        format: Key of ``DEPTH_FORMATS``, as in ``read_depth``.

    Returns:
        Frames by name, at least one.

    Raises:
        InputError: If a file is missing or of an unknown kind, files and folders are mixed, a frame has no picture, mask
            or prior, or sizes differ.
    """
    for what, path in (("RGB", rgb), ("depth", depth), ("mask", mask), ("prior", prior)):
        if path is not None and not path.exists():
            raise InputError(what, "no such file or folder", "an existing one", file=path)
    others = {"RGB": (rgb, IMAGE_SUFFIXES), "mask": (mask, IMAGE_SUFFIXES), "prior": (prior, DEPTH_SUFFIXES)}
    for what, (path, _) in others.items():
        if path is not None and path.is_dir() != depth.is_dir():
            found = "a folder" if path.is_dir() else "a file"
            raise InputError(what, found, f"a {'folder' if depth.is_dir() else 'file'} like the depth", file=path)
    if not depth.is_dir():
        return [_frame(depth.stem, depth, rgb, mask, prior, format)]
    suffixes = DEPTH_SUFFIXES if format is None else DEPTH_FORMATS[depth_format(depth / _any_name(format), format).name].suffixes
    depths = _by_stem(depth, suffixes, "depth")
    if not depths:
        raise InputError("depth folder", "no depth image", f"files that end in {', '.join(suffixes)}", file=depth)
    partners = {what: {} if path is None else _by_stem(path, endings, what) for what, (path, endings) in others.items()}
    for what, (path, _) in others.items():
        lacking = [] if path is None else [stem for stem in depths if stem not in partners[what]]
        if lacking:
            found = f"no {what} named {lacking[0]} ({len(lacking)} of {len(depths)} frames have none)"
            raise InputError(f"{what} folder", found, "a file of the same name for every depth image", file=path)
    get = [partners[what].get for what in others]
    return [_frame(stem, path, get[0](stem), get[1](stem), get[2](stem), format) for stem, path in depths.items()]


def frame_camera(size: tuple[int, int], depth: Path, intrinsics: Path | None, pixel_center: float) -> tuple[Cameras, str]:
    """The camera of a frame and where it comes from.

    Args:
        size: Width and height.
        depth: Depth image; a file of a usual name such as K.json in its folder or the one above is taken.
        intrinsics: File of intrinsics, overrides that.
        pixel_center: Coordinate of the first pixel's centre in that file, if the file does not say. RGB-D tools use 0.

    Returns:
        The camera at the origin, and the file's path or "nominal, 60 degrees horizontal field of view".

    Raises:
        InputError: If the file cannot be read, or belongs to images of another shape.
    """
    width, height = size
    if intrinsics is None:
        folders = (depth.absolute().parent, depth.absolute().parent.parent)
        intrinsics = next((folder / name for folder in folders for name in COLOR_INTRINSICS if (folder / name).is_file()), None)
    pose = torch.eye(4, dtype=torch.float64)
    if intrinsics is None:
        fov_y = 2 * np.arctan(np.tan(0.5 * NOMINAL_FOV_X) * height / width)
        return camera_from_fov(pose, float(fov_y), width, height), "nominal, 60 degrees horizontal field of view"
    read = read_intrinsics(intrinsics)
    own = read.size or size
    if abs((width / own[0]) / (height / own[1]) - 1.0) > SAME_SHAPE:
        found = f"for {own[0]} x {own[1]} pixels"
        raise InputError("intrinsics", found, f"for {width} x {height} or another size of that shape", file=intrinsics)
    K = torch.from_numpy(np.ascontiguousarray(read.corner_matrix(pixel_center)))[None]
    camera = Cameras(pose[None], K, *own)
    return camera.resized(width, height), str(intrinsics)


def _by_stem(folder: Path, suffixes: tuple[str, ...], what: str) -> dict[str, Path]:
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise InputError(f"{what} folder", f"{found[path.stem].name} and {path.name}", "one file of each name", file=folder)
        found[path.stem] = path
    return found


def _any_name(format: str) -> str:
    return "any" + (DEPTH_FORMATS[format].suffixes[0] if format in DEPTH_FORMATS else "")


def _frame(name: str, depth: Path, rgb: Path | None, mask: Path | None, prior: Path | None, format: str | None) -> FrameFiles:
    size = depth_size(depth, format)
    sizes: list[tuple[str, Path | None, Callable[[Path], tuple[int, int]]]] = [
        ("RGB", rgb, image_size),
        ("mask", mask, image_size),
        ("prior", prior, depth_size),
    ]
    for what, path, measure in sizes:
        if path is not None and measure(path) != size:
            found = "{} x {} pixels".format(*measure(path))
            accepted = f"{size[0]} x {size[1]}, the size of {depth.name}; sparse depth is never resized, resize the {what} to it"
            raise InputError(f"{what} size", found, accepted, file=path)
    return FrameFiles(name, depth, rgb, mask, prior, size)


def known_pixels(depth: NDArray[np.float32], mask: NDArray[np.bool_] | None, white: str) -> NDArray[np.bool_]:
    """What is known: where depth is, but not where the mask says that it is to be filled  # [H, W]

    Args:
        depth: z-depth, 0 = none  # [H, W]
        mask: True = white  # [H, W]
        white: Meaning of white, "known" or "fill".
    """
    measured = depth > 0
    return measured if mask is None else measured & (mask if white == "known" else ~mask)
