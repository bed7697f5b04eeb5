"""Solved examples kept on disk, since solving a view takes longer than learning from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.numpy_files import read_arrays
from scene_depth.io.user_cache import user_cache

Arrays = dict[str, NDArray[np.float32]]
NONE = "none"


class SolvedCache:
    """A folder of examples, each a few arrays in half precision.

    Args:
        folder: Where they are; "" for the user's cache folder, "none" to keep nothing.
        kind: Of the examples, and the version of whatever makes them: a sub-folder.
    """

    def __init__(self, folder: str, kind: str):
        base = Path(folder) if folder else user_cache() / "solved"
        self.folder = None if folder == NONE else base / kind

    def get(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """The example of that name, from disk or made; the same values either way."""
        path = None if self.folder is None else self.folder / f"{name}.npz"
        kept = None if path is None else _read(path)
        if kept is None:
            halves = {key: value.astype(np.float16) for key, value in make().items()}
            if path is not None:
                with atomic_path(path) as temporary, open(temporary, "wb") as file:
                    np.savez(file, allow_pickle=False, **halves)
            kept = {key: value.astype(np.float32) for key, value in halves.items()}
        return kept


def _read(path: Path) -> Arrays | None:
    """None if it is not there or damaged, then it is made again."""
    try:
        return {key: values.astype(np.float32) for key, values in read_arrays(path).items()}
    except InputError:
        return None
