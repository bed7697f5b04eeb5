"""What commands read: splats, with a word on what is wrong with them."""

from __future__ import annotations

from pathlib import Path

from scene_depth.evaluation.splat_lint import find_errors
from scene_depth.io.scene_notes import note
from scene_depth.io.splat_files import read_splats
from scene_depth.splats import GaussianSplats


def open_splats(path: Path, *, axes: str | None = None, double: bool = False) -> GaussianSplats:
    """Reads splats as ``read_splats`` does, and says what the linter calls an error in them."""
    splats = read_splats(path, axes=axes, double=double)
    for sentence in find_errors(splats):
        note(path, f"{sentence} (scene-depth inspect --fix)")
    return splats
