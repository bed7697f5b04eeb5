"""What commands read: scenes and splats in one frame, with a word on what is odd about them."""

from __future__ import annotations

from pathlib import Path

from scene_depth.evaluation.splat_lint import find_errors
from scene_depth.io.scene_notes import note
from scene_depth.io.scenes import detect_format, read_scene
from scene_depth.io.splat_files import read_splats, splats_about_origin
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats


def read_found(path: Path) -> Scene:
    """Reads a scene with the photos that there are; which are missing is said, and an error if that is all of them."""
    leaves_out = path.exists() and detect_format(path).name in ("colmap", "transforms")
    return read_scene(path, skip_missing=True) if leaves_out else read_scene(path)


def open_scene(path: Path) -> Scene:
    """``read_found`` to work on: about a point near the cameras where coordinates are too large for float32."""
    read = read_found(path)
    scene = read.about_origin()
    if scene is not read:
        place = ", ".join(f"{value:g}" if abs(value) < 1e5 else f"{value:.0f}" for value in scene.origin)
        sentence = f"coordinates are too large for float32; work is done about the point ({place}), which written splats name"
        note(path, f"{sentence}; points given as options are relative to it too")
    return scene


def open_splats(path: Path, *, axes: str | None = None, double: bool = False, scene: Scene | None = None) -> GaussianSplats:
    """Reads splats as ``read_splats`` does, and says what the linter calls an error in them.

    Args:
        path, axes, double: As in ``read_splats``.
        scene: Scene that they belong to: they are moved to its origin, in float64 if the file has that.
    """
    splats = read_splats(path, axes=axes, double=double or scene is not None)
    if scene is not None:
        splats = splats_about_origin(splats, scene.origin)
    for sentence in find_errors(splats):
        note(path, f"{sentence} (scene-depth inspect --fix)")
    return splats
