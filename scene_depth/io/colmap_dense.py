"""Depth and normal maps of COLMAP's dense reconstruction: ``width&height&channels&`` and float32 rows."""

from __future__ import annotations

import re
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.input_files import check_input_file

HEADER = re.compile(rb"(\d+)&(\d+)&(\d+)&")


def colmap_map_size(path: str | PathLike[str]) -> tuple[int, int, int]:
    """Width, height and number of channels, from the header.

    Raises:
        InputError: If the file is missing or not such a map.
    """
    path = check_input_file(path, "a COLMAP depth map")
    with path.open("rb") as file:
        header = HEADER.match(file.read(64))
    if header is None:
        raise InputError("header", "no width&height&channels&", "a COLMAP depth or normal map", file=path)
    width, height, channels = (int(number) for number in header.groups())
    return width, height, channels


def read_colmap_map(path: str | PathLike[str]) -> NDArray[np.float32]:
    """Reads a one-channel map, such as ``stereo/depth_maps/NAME.geometric.bin``  # [H, W]

    Raises:
        InputError: If the file is missing, cut short or has several channels.
    """
    width, height, channels = colmap_map_size(path)
    if channels != 1:
        raise InputError("channels", channels, "1, a depth map", file=path)
    with open(path, "rb") as file:
        data = file.read()
    data = data[len(f"{width}&{height}&{channels}&") :]
    if len(data) < 4 * width * height:
        raise InputError("pixels", f"{len(data)} bytes", f"{4 * width * height} bytes for {width} x {height}", file=path)
    return np.frombuffer(data, "<f4", width * height).reshape(height, width).astype(np.float32)


def write_colmap_map(path: str | PathLike[str], values: NDArray[np.float32]) -> None:
    """Writes a one-channel map  # [H, W]"""
    height, width = values.shape
    with atomic_path(path) as temporary:
        temporary.write_bytes(f"{width}&{height}&1&".encode() + values.astype("<f4").tobytes())
