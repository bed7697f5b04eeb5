"""What commands read: scenes and splats in one frame, with a word on what is odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from scene_depth.evaluation.splat_lint import find_errors
from scene_depth.io.scene_notes import note
from scene_depth.io.scenes import detect_format, read_scene
from scene_depth.io.splat_files import read_splats, splats_about_origin
from scene_depth.options import split_pairs
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats

SceneOptions = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        name="scene-options",
        aliases=["--scene"],
        metavar="KEY=VALUE [KEY=VALUE ...]",
        help="How the scene is read: images=FOLDER, skip_missing=false, rescale_cameras=true, turned_photos=true, split=train, "
        "depth_unit=METRES, intrinsics=FILE, skip_lost=false, max_time_difference=SECONDS, format=colmap, and what else the "
        "reader of its format takes; a wrong KEY is answered with all of them.",
    ),
]
"""The option of every command that reads a scene."""


def read_found(path: Path, options: Sequence[str] = ()) -> Scene:
    """Reads a scene with the photos that there are; which are missing is said, and an error if that is all of them.

    Args:
        path: The scene.
        options: Keywords of ``read_scene`` as ``KEY=VALUE``.
    """
    given: dict[str, Any] = {**split_pairs(options, "scene options")}
    if path.exists() and (given.get("format") or detect_format(path).name) in ("colmap", "transforms"):
        given.setdefault("skip_missing", True)
    return read_scene(path, **given)


def open_scene(path: Path, options: Sequence[str] = ()) -> Scene:
    """``read_found`` to work on: about a point near the cameras where coordinates are too large for float32."""
    read = read_found(path, options)
    scene = read.about_origin()
    if scene is not read:
        place = ", ".join(f"{value:g}" if abs(value) < 1e5 else f"{value:.0f}" for value in scene.origin)
        sentence = f"coordinates are too large for float32; work is done about the point ({place}), which written splats name"
        note(path, f"{sentence}; regions and points given as options are in the coordinates of the files")
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
