"""One number a pixel in ``.npy`` and ``.npz`` files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from tokenize import TokenError
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.input_files import check_input_file

# What NumPy and zipfile raise on files cut short or altered; a header is parsed as Python text.
BROKEN = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,  # zipfile, for a way of packing that it does not know
    SyntaxError,
    TokenError,
    BadZipFile,
    zlib.error,
)


def read_numpy_map(path: str | PathLike[str], name: str = "depth") -> NDArray[Any]:
    """Reads a map, in an npz the array of that name or the only one; a third dimension of length 1 is dropped.

    Returns:
        Floats or integers as stored  # [H, W]

    Raises:
        InputError: If the file is missing, cut short, holds Python objects, or no array that could be a map.
    """
    with _array_file(path, name) as file:
        values = np.lib.format.read_array(file, allow_pickle=False)
    return values.reshape(_map_shape(values.shape, values.dtype, path))


def numpy_size(path: str | PathLike[str], name: str = "depth") -> tuple[int, int]:
    """Width and height of a map from the header of its array.

    Raises:
        InputError: As ``read_numpy_map``.
    """
    with _array_file(path, name) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    height, width = _map_shape(shape, dtype, path)
    return width, height


@contextmanager
def _array_file(path: str | PathLike[str], name: str) -> Iterator[IO[bytes]]:
    path = check_input_file(path, "a NumPy file")
    try:
        if path.suffix.lower() != ".npz":
            with path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(path) as archive:
            names = [member.removesuffix(".npy") for member in archive.namelist()]
            chosen = name if name in names else names[0] if len(names) == 1 else None
            if chosen is None:
                raise InputError("arrays", ", ".join(names) or "none", f"one named {name}, or a single one", file=path)
            with archive.open(f"{chosen}.npy") as member:
                yield member
    except InputError:
        raise
    except BROKEN as error:
        raise InputError("file", str(error), "a whole NumPy file of plain numbers", file=path) from error


def _map_shape(shape: tuple[int, ...], dtype: np.dtype, path: str | PathLike[str]) -> tuple[int, int]:
    flat = shape[:2] if len(shape) == 3 and shape[2] == 1 else shape[1:] if len(shape) == 3 and shape[0] == 1 else shape
    if len(flat) != 2 or 0 in flat or dtype.kind not in "fiu":
        raise InputError("array", f"shape {shape}, {dtype}", "numbers (H, W)", file=path)
    return flat[0], flat[1]
