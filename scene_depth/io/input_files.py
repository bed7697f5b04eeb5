"""Opening input files: every way in which a path can be wrong is one clear error."""

from __future__ import annotations

import os
from pathlib import Path

from scene_depth.errors import InputError


def check_input_file(path: str | os.PathLike[str], what: str) -> Path:
    """Checks that a file can be read and is not empty.

    Args:
        path: File to read.
        what: What it should be, for the message, such as "a .ply file".

    Raises:
        InputError: If it is missing, a folder, unreadable or empty.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except IsADirectoryError:
        raise InputError("path", "a folder", what, file=path) from None
    except OSError as error:
        raise InputError("path", error.strerror or str(error), f"{what} that can be read", file=path) from error
    if empty:
        raise InputError("size", "0 bytes", what, file=path)
    return path
