"""The one folder of this machine that the page reads and writes files in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scene_depth.errors import InputError

LONGEST_NAME = 200  # bytes


class ExportFolder:
    """Names of files that come from the page, as paths in the folder that was chosen when the viewer was started.

    Args:
        path: The folder; it is made when the first file is written.
    """

    def __init__(self, path: Path):
        self.path = path.expanduser().absolute()

    def file(self, name: str, suffixes: Sequence[str]) -> Path:
        """Path of a file of the folder.

        Args:
            name: What was typed on the page.
            suffixes: Accepted endings; "" stands for a name without one.

        Raises:
            InputError: If it is no plain name, ends otherwise, or is a link.
        """
        plain = bool(name) and name.isprintable() and not name.startswith(".") and not set(name) & set("/\\:")
        if not plain or len(name.encode("utf-8", "replace")) > LONGEST_NAME:
            raise InputError("file", repr(name[:80]), f"a plain name such as scene{suffixes[0]}; it lies in {self.path}")
        endings = tuple(suffix for suffix in suffixes if suffix)
        if not name.lower().endswith(endings) and not ("" in suffixes and "." not in name):
            raise InputError("file", repr(name), f"a name that ends with {' or '.join(endings)}")
        path = self.path / name
        if path.is_symlink():
            raise InputError("file", "a link to another place", "a file of the folder itself", file=path)
        return path
