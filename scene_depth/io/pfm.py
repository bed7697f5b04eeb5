"""Portable float maps: a text header, then float32 rows from the bottom of the image to its top."""

from __future__ import annotations

import re
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.input_files import check_input_file

HEADER = re.compile(rb"(P[Ff])\s+(\d+)\s+(\d+)\s+([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s")
HEADER_BYTES = 256


def read_pfm(path: str | PathLike[str]) -> NDArray[np.float32]:
    """Reads a one-channel PFM.

    Returns:
        Values, first row at the top, float32, as stored: the header's scale says the byte order and is not applied
        (as in Middlebury's own reader)  # [H, W]

    Raises:
        InputError: If the file is missing, cut short, in colour or not a PFM.
    """
    header, data = _header(path)
    width, height, scale = int(header[2]), int(header[3]), float(header[4])
    expected, found = 4 * width * height, len(data) - header.end()
    if found < expected or expected == 0:
        raise InputError("pixels", f"{found} bytes", f"{expected} bytes for {width} x {height}", file=path)
    values = np.frombuffer(data, "<f4" if scale < 0 else ">f4", width * height, header.end())
    return np.ascontiguousarray(values.reshape(height, width)[::-1], np.float32)


def pfm_size(path: str | PathLike[str]) -> tuple[int, int]:
    """Width and height, from the header.

    Raises:
        InputError: If the file is missing, in colour or not a PFM.
    """
    header, _ = _header(path, HEADER_BYTES)
    return int(header[2]), int(header[3])


def _header(path: str | PathLike[str], limit: int = -1) -> tuple[re.Match[bytes], bytes]:
    path = check_input_file(path, "a PFM file")
    with path.open("rb") as file:
        data = file.read(limit)
    header = HEADER.match(data[:HEADER_BYTES])
    if header is None:
        raise InputError("header", repr(data[:16]), "'Pf', width, height, scale", file=path)
    if header[1] == b"PF":
        raise InputError("channels", "3 (PF)", "one channel (Pf)", file=path)
    return header, data


def write_pfm(path: str | PathLike[str], values: NDArray[np.float32]) -> None:
    """Writes a one-channel little-endian PFM  # [H, W]"""
    height, width = values.shape
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"Pf\n%d %d\n-1.0\n" % (width, height) + values[::-1].astype("<f4").tobytes())
