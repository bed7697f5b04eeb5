"""One channel of an OpenEXR file. Needs the package OpenEXR, the extra ``scene-depth[exr]``."""

from __future__ import annotations

from os import PathLike
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.claims import check_pixels
from scene_depth.io.input_files import check_input_file

DEPTH_CHANNELS = ("Z", "V", "Y", "R")  # in the order of trust; Blender writes View Layer.Depth.Z or .V
HALF_MAX = 65504.0


def read_exr(path: str | PathLike[str], channel: str | None = None) -> NDArray[np.float32]:
    """Reads one channel, placed in the display window.

    Args:
        path: OpenEXR file, scan lines or tiles, half or float.
        channel: Its name; by default the only channel, or the one whose name (or whose last part, after a dot) is
            Z, V, Y or R, the first of these that there is.

    Returns:
        Values; 0 where the data window does not cover the display window, and where a half is at its limit, as render
        programs write a miss  # [H, W]

    Raises:
        InputError: If the file is missing, cut short or has no such channel, or if OpenEXR is not installed.
    """
    path = check_input_file(path, "an OpenEXR file")
    openexr = _openexr(path)
    try:
        with openexr.File(str(path), separate_channels=True) as file:
            header, channels = dict(file.header()), file.channels()  # the dictionary is emptied with the file
            name = channel or _depth_channel(list(channels), path)
            if name not in channels:
                raise InputError("channel", name, f"one of {', '.join(channels)}", file=path)
            (left, top), (right, bottom) = header["displayWindow"]
            check_pixels(path, int(right - left) + 1, int(bottom - top) + 1, 4, ratio=None)
            pixels = np.array(channels[name].pixels)
    except InputError:
        raise
    except Exception as error:  # the binding raises plain RuntimeError, and others for files cut short
        raise InputError("file", str(error) or type(error).__name__, "a whole OpenEXR file", file=path) from error
    if pixels.dtype == np.float16:
        pixels = np.where(pixels.astype(np.float32) >= HALF_MAX, 0, pixels)
    return _in_display_window(header, pixels.astype(np.float32), path)


def exr_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Width and height of the display window, from the header.

    Raises:
        InputError: If the file is missing or cannot be read, or if OpenEXR is not installed.
    """
    path = check_input_file(path, "an OpenEXR file")
    openexr = _openexr(path)
    try:
        with openexr.File(str(path), header_only=True) as file:
            (left, top), (right, bottom) = dict(file.header())["displayWindow"]
    except Exception as error:
        raise InputError("file", str(error) or type(error).__name__, "a whole OpenEXR file", file=path) from error
    return int(right - left) + 1, int(bottom - top) + 1


def write_exr(path: str | PathLike[str], values: NDArray[np.float32], channel: str = "Z") -> None:
    """Writes one float32 channel, compressed without loss  # [H, W]"""
    openexr = _openexr(path)
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    with atomic_path(path) as temporary:
        openexr.File(header, {channel: np.ascontiguousarray(values, np.float32)}).write(str(temporary))


def _depth_channel(names: list[str], path: str | PathLike[str]) -> str:
    if len(names) == 1:
        return names[0]
    for wanted in DEPTH_CHANNELS:
        for name in names:
            if name.rsplit(".", 1)[-1] == wanted:
                return name
    raise InputError("channels", ", ".join(names), f"one channel, or one named {', '.join(DEPTH_CHANNELS)}", file=path)


def _in_display_window(header: dict[str, Any], pixels: NDArray[np.float32], path: str | PathLike[str]) -> NDArray[np.float32]:
    (data_x, data_y), _ = header["dataWindow"]
    (left, top), (right, bottom) = header["displayWindow"]
    width, height = int(right - left) + 1, int(bottom - top) + 1
    x, y = int(data_x - left), int(data_y - top)
    if (x, y) == (0, 0) and pixels.shape == (height, width):
        return pixels
    placed = np.zeros((height, width), np.float32)
    rows, columns = slice(max(y, 0), min(y + pixels.shape[0], height)), slice(max(x, 0), min(x + pixels.shape[1], width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise InputError("dataWindow", "outside the displayWindow", "windows that overlap", file=path)
    placed[rows, columns] = pixels[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    return placed


def _openexr(path: str | PathLike[str]) -> ModuleType:
    try:
        import OpenEXR
    except ImportError as error:
        raise InputError("OpenEXR", "not installed", "", file=path, hint="pip install 'scene-depth[exr]'") from error
    module: ModuleType = OpenEXR
    return module
