"""Arrays in HDF5 files; h5py is imported when one is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError


@contextmanager
def opened_hdf5(path: Path, what: str = "an HDF5 file") -> Iterator[Any]:
    """Opens a file for reading.

    Raises:
        InputError: If it cannot be read, or h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise InputError("package h5py", "not installed", "", file=path, hint="pip install 'scene-depth[hdf5]'") from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError("content", str(error), what, file=path) from error
    with file:
        yield file


def read_hdf5(path: Path, name: str, dimensions: int) -> NDArray[Any]:
    """One array of a file.

    Raises:
        InputError: If the file cannot be read, or has no array of that name and number of dimensions.
    """
    with opened_hdf5(path) as file:
        if name not in file or getattr(file[name], "ndim", None) != dimensions:
            raise InputError(name, "missing or of another shape", f"an array of {dimensions} dimensions", file=path)
        try:
            return np.asarray(file[name])
        except OSError as error:
            raise InputError(name, str(error), "an array that can be read", file=path) from error
