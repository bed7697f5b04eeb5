"""Opening input files: every way in which a path can be wrong is one clear error."""

from __future__ import annotations

import os
import stat
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
        kind = path.stat().st_mode  # before it is opened: a pipe would wait for its writer
        if not stat.S_ISREG(kind):
            raise InputError("path", "a folder" if stat.S_ISDIR(kind) else "a pipe or device", what, file=path)
        with path.open("rb") as file:
            empty = not file.read(1)
    except InputError:
        raise
    except (OSError, ValueError) as error:  # a name that no disk has, such as one with a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("path", reason, f"{what} that can be read", file=path) from error
    if empty:
        raise InputError("size", "0 bytes", what, file=path)
    return path


def read_lines(path: str | os.PathLike[str], what: str) -> list[str]:
    """Lines of a text file in UTF-8.

    Raises:
        InputError: As ``check_input_file``; or if it is no such text.
    """
    path = check_input_file(path, what)
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        found = f"bytes that are no UTF-8 at {error.start}"
        raise InputError("text", found, f"{what}, saved as UTF-8", file=path) from error


def path_in_file(text: str, *, file: str | os.PathLike[str], field: str) -> str:
    """A path that stands in a file, if it can be one.

    Raises:
        InputError: If no file can have this name.
    """
    if not text.strip() or len(text) > 4096 or not text.isprintable():
        raise InputError(field, repr(text[:80]), "the name of a file", file=file)
    return text
