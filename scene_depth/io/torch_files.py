"""Files of ``torch.save``: tensors and plain values, whole by the check sums of their archive, and no code."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from os import PathLike
from typing import Any

import numpy as np
import torch

from scene_depth.errors import InputError, first_line
from scene_depth.io.atomic import atomic_path
from scene_depth.io.claims import OpenedFile
from scene_depth.io.input_files import check_input_file

BROKEN = (RuntimeError, ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, pickle.UnpicklingError)
"""What torch, and reading what it gave, raise on files cut short, altered or of something else."""


def write_torch(path: str | PathLike[str], content: dict[str, Any]) -> None:
    """Writes tensors and plain values, whole or not at all.

    Raises:
        InputError: If the disk is full.
    """
    with atomic_path(path) as temporary:
        try:
            with temporary.open("wb") as file:
                torch.save(content, file)
        except RuntimeError as error:  # of torch's archive, which says nothing of its cause
            if isinstance(error.__context__, OSError | KeyboardInterrupt):
                raise error.__context__ from error
            raise


def read_torch(path: str | PathLike[str], what: str, *, device: torch.device | str = "cpu", allowed: Sequence[Any] = ()) -> Any:
    """Reads what ``write_torch`` wrote.

    Args:
        path: File to read.
        what: What it should be, for messages, such as "checkpoint of a fit".
        device: Where the tensors go.
        allowed: Plain objects of other kinds that the file may hold, as ``torch.serialization.safe_globals`` takes them.

    Raises:
        InputError: If the file is missing, cut short, altered, or holds other objects than tensors and plain values.
    """
    path = check_input_file(path, f"a {what}")
    check_archive(path, f"a whole {what}")
    try:
        with _allowing(allowed):
            return torch.load(path, map_location=device, weights_only=True)
    except BROKEN as error:
        raise InputError("file", f"unreadable ({first_line(error)})", f"a whole {what}", file=path) from error


def _allowing(objects: Sequence[Any]) -> AbstractContextManager[Any]:
    known = objects and hasattr(torch.serialization, "safe_globals")
    return torch.serialization.safe_globals(list(objects)) if known else nullcontext()


def numpy_numbers() -> list[Any]:
    """What makes single numbers of NumPy 1 and 2, under both names; other programs leave them in their learning rates."""
    make = np.float64(0).__reduce__()[0]
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    dtypes = [type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)]
    return [*((make, name) for name in names), np.dtype, *dtypes]


def check_archive(path: str | PathLike[str], accepted: str) -> None:
    """Holds the content of an archive against its check sums, which ``torch.load`` does not do.

    Raises:
        InputError: If the file is no archive, is cut short or was altered.
    """
    try:
        with OpenedFile(path) as file, zipfile.ZipFile(file) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise InputError("file", f"unreadable ({first_line(error)})", accepted, file=path) from error
    if broken is not None:
        raise InputError("file", f"{broken}, which does not fit its check sum", accepted, file=path)
