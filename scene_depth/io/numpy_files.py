"""Arrays in ``.npy`` and ``.npz`` files: plain numbers and text, no Python objects, no larger than the file can hold."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError, one_line
from scene_depth.io.claims import DEFLATE_RATIO, OpenedFile, check_pixels
from scene_depth.io.input_files import check_input_file

# What NumPy and zipfile raise on files cut short or altered; a header is parsed as Python text.
BROKEN = (
    ValueError,
    TypeError,
    OSError,
    EOFError,
    KeyError,
    NotImplementedError,  # zipfile, for a way of packing that it does not know
    RuntimeError,  # zipfile, for encrypted members
    SyntaxError,
    TokenError,
    RecursionError,
    OverflowError,
    MemoryError,  # the parser, for brackets without end
    BadZipFile,
    zlib.error,
)
SLACK = 4096


def read_arrays(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Reads all arrays of an npz file, or the one of an npy file under the name "".

    Raises:
        InputError: If the file is missing, cut short, holds Python objects, or claims more than it can hold.
    """
    path = check_input_file(path, "a NumPy file")
    with _one_error(path):
        if not zipfile.is_zipfile(path):
            with OpenedFile(path) as file:
                _check_header(file, path.stat().st_size, path)
                file.seek(0)
                return {"": np.lib.format.read_array(file, allow_pickle=False)}
        with OpenedFile(path) as file, zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {name.removesuffix(".npy"): _read_member(archive, name, path) for name in names}


def list_arrays(path: str | PathLike[str]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of every array of an npz file, or of the one of an npy file under the name "", from the headers alone.

    Arrays of Python objects are listed too; ``read_array`` refuses them.

    Raises:
        InputError: If the file is missing, cut short, or claims more than it can hold.
    """
    path = check_input_file(path, "a NumPy file")
    with _one_error(path):
        if not zipfile.is_zipfile(path):
            with OpenedFile(path) as file:
                return {"": _check_header(file, path.stat().st_size, path)}
        found = {}
        with OpenedFile(path) as file, zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    with archive.open(info) as member:
                        header = _check_header(member, info.file_size, path, objects=True)
                    found[info.filename.removesuffix(".npy")] = header
        return found


def read_array(path: str | PathLike[str], name: str) -> NDArray[Any]:
    """Reads one array: that of an npy file, or of an npz file the one of that name, or its only one. The others stay unread.

    Raises:
        InputError: As ``read_arrays``; or if there is no such array.
    """
    path = check_input_file(path, "a NumPy file")
    with _one_error(path):
        if not zipfile.is_zipfile(path):
            return read_arrays(path)[""]
        with OpenedFile(path) as file, zipfile.ZipFile(file) as archive:
            names = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
            chosen = name if name in names else names[0] if len(names) == 1 else None
            if chosen is None:
                raise InputError("arrays", ", ".join(names) or "none", f"one named {name}, or a single one", file=path)
            return _read_member(archive, f"{chosen}.npy", path)


def read_numpy_map(path: str | PathLike[str], name: str = "depth") -> NDArray[Any]:
    """Reads a map, in an npz the array of that name or the only one; a third dimension of length 1 is dropped.

    Returns:
        Floats or integers as stored  # [H, W]

    Raises:
        InputError: If the file is missing, cut short, holds Python objects, or no array that could be a map.
    """
    width, height = numpy_size(path, name)
    return read_array(path, name).reshape(height, width)


def numpy_size(path: str | PathLike[str], name: str = "depth") -> tuple[int, int]:
    """Width and height of a map from the header of its array.

    Raises:
        InputError: As ``read_numpy_map``.
    """
    path = check_input_file(path, "a NumPy file")
    with _one_error(path):
        if not zipfile.is_zipfile(path):
            with OpenedFile(path) as file:
                shape, dtype = _check_header(file, path.stat().st_size, path)
        else:
            with OpenedFile(path) as file, zipfile.ZipFile(file) as archive:
                names = [member.removesuffix(".npy") for member in archive.namelist() if member.endswith(".npy")]
                chosen = name if name in names else names[0] if len(names) == 1 else None
                if chosen is None:
                    raise InputError("arrays", ", ".join(names) or "none", f"one named {name}, or a single one", file=path)
                with archive.open(f"{chosen}.npy") as member:
                    shape, dtype = _check_header(member, archive.getinfo(f"{chosen}.npy").file_size, path)
    flat = shape[:2] if len(shape) == 3 and shape[2] == 1 else shape[1:] if len(shape) == 3 and shape[0] == 1 else shape
    if len(flat) != 2 or 0 in flat or dtype.kind not in "fiu":
        raise InputError("array", f"shape {shape}, {dtype}", "numbers (H, W)", file=path)
    check_pixels(path, flat[1], flat[0], dtype.itemsize)
    return flat[1], flat[0]


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    info = archive.getinfo(name)
    if info.file_size > DEFLATE_RATIO * path.stat().st_size + SLACK:
        raise InputError(name, f"{info.file_size:,} bytes unpacked", "an array that the file can hold", file=path)
    with archive.open(name) as member:
        _check_header(member, info.file_size, path)
    with archive.open(name) as member:
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], size: int, path: Path, *, objects: bool = False) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, whose bytes must be there before memory is taken for them."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        if objects:
            return shape, dtype
        raise InputError("array", "Python objects", "a whole NumPy file of plain numbers", file=path)
    needed = dtype.itemsize
    for length in shape:
        needed *= int(length)
    if min(shape, default=0) < 0 or needed > size - file.tell():
        raise InputError("array", f"shape {shape} of {dtype}", f"one that fits into {size:,} bytes", file=path)
    return shape, dtype


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except BROKEN as error:
        found = one_line(error) or type(error).__name__
        raise InputError("file", found, "a whole NumPy file of plain numbers", file=path) from error
