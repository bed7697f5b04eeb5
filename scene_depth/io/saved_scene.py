"""The scene folder of this package: ``scene.json`` with images, masks, depths and points beside it.

``scene.json``, version 1::

    {
      "format": "scene_depth.scene", "version": 1,
      "unit": "metre" or "scene unit",
      "mask_white": "object", "keep" or null,    what white in masks is, null if nobody knows
      "points": "points.npz" or null,            arrays as in io.tracked_points, xyz in float64
      "views": [{
        "name": "a.jpg", "width": 640, "height": 480,
        "K": 3 x 3 in pixels, first pixel centre at (0.5, 0.5),
        "camera_to_world": 4 x 4, OpenCV axes,
        "image": "images/a.jpg" or null,         8-bit colours, or a copy of the source file
        "mask": "masks/a.png" or null,           255 where True
        "depth": "depths/a.npy" or null          float32 z-depth, 0 = unknown
      }]
    }

Paths are relative to the folder, with forward slashes, or absolute. Numbers are written so that reading gives the same
bits; so do depths, masks and points. A newer version than this program knows is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder
from scene_depth.io.depth_images import DepthFile, write_depth
from scene_depth.io.distortion import LENS_MODELS, LensCamera, check_lens_camera
from scene_depth.io.images import ImageFile, MaskFile, MaskWhite
from scene_depth.io.intrinsics_files import check_intrinsics
from scene_depth.io.json_files import is_number, read_json_object
from scene_depth.io.posed_views import ViewFiles, check_names, posed_view, say_mask_meaning, stated_mask_white
from scene_depth.io.scene_notes import SceneNotes
from scene_depth.io.scene_output import image_names, put_image, put_mask
from scene_depth.io.tracked_points import read_tracked_points, write_tracked_points
from scene_depth.io.undistortion import Undistorter
from scene_depth.scene import Scene, View

FILE_NAME = "scene.json"
FORMAT = "scene_depth.scene"
VERSION = 1
UNITS = {True: "metre", False: "scene unit"}
REFERENCES = (None, "relative", "absolute")


def read_saved_scene(path: str | PathLike[str]) -> Scene:
    """Reads a scene written by ``write_saved_scene``.

    Args:
        path: The folder or its ``scene.json``.

    Raises:
        InputError: If a file is missing or broken, the version is newer, a field is wrong, or a photo has another size
            than its camera.
    """
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    content = read_json_object(file)
    if content.get("format") != FORMAT:
        raise InputError("format", repr(content.get("format")), repr(FORMAT), file=file)
    if content.get("version") != VERSION:
        raise InputError("version", repr(content.get("version")), f"{VERSION}; a newer scene needs a newer program", file=file)
    if content.get("unit") not in UNITS.values():
        raise InputError("unit", repr(content.get("unit")), " or ".join(map(repr, UNITS.values())), file=file)
    records = content.get("views")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise InputError("views", type(records).__name__, "a list of views", file=file)
    undistorter, notes = Undistorter(), SceneNotes()
    white = stated_mask_white(content, file)
    views = tuple(_read_view(record, index, file, white, undistorter, notes) for index, record in enumerate(records))
    check_names([view.name for view in views], source=file)
    points = _file(content, "points", file, "points")
    cloud = None if points is None else read_tracked_points(points)
    known = all(view.load_mask is None for view in views) or say_mask_meaning({white}, f"says {FILE_NAME}", notes)
    return Scene(views, cloud, content["unit"] == UNITS[True], path, notes.sentences(len(views)), masks_are_objects=known)


def write_saved_scene(path: str | PathLike[str], scene: Scene, *, reference_images: str | None = None) -> None:
    """Saves a scene so that it comes back: cameras, depths, masks and points bit for bit, photos as files or 8-bit.

    Args:
        path: New or empty folder.
        scene: Scene to save.
        reference_images: "relative" or "absolute": photos and masks whose files are used as they are stay where they
            are and are named by such a path; None copies them.

    Raises:
        InputError: If the folder is not empty or cannot be written, or if a name climbs out of it.
    """
    if reference_images not in REFERENCES:
        raise InputError("reference_images", reference_images, ", ".join(map(str, REFERENCES)))
    scene = scene.about_origin((0.0, 0.0, 0.0))
    names = image_names(scene.views, file=path)
    target = Path(path).absolute()

    def refer(source: Path) -> str:
        source = source.absolute()
        return (source if reference_images == "absolute" else Path(os.path.relpath(source, target))).as_posix()

    with atomic_folder(path) as folder:
        if scene.points is not None:
            write_tracked_points(folder / "points.npz", scene.points)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "unit": scene.unit,
            "mask_white": "object" if scene.masks_are_objects else None,
            "points": "points.npz" if scene.points is not None else None,
            "views": [
                _put_view(folder, view, name, refer if reference_images else None)
                for view, name in zip(scene.views, names, strict=True)
            ],
        }
        (folder / FILE_NAME).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def is_saved_scene(path: Path) -> bool:
    """Whether a path is such a folder, or its JSON file."""
    if path.is_dir():
        return (path / FILE_NAME).is_file()
    return path.suffix == ".json" and path.is_file() and read_json_object(path).get("format") == FORMAT


def _put_view(folder: Path, view: View, name: PurePosixPath, refer: Callable[[Path], str] | None) -> dict[str, Any]:
    image = mask = depth = None
    if view.load_image is not None:
        image = f"images/{name}"
        if refer is not None and isinstance(view.load_image, ImageFile):
            image = refer(view.load_image.path)
        else:
            put_image(view, folder / image)
    if view.load_mask is not None:
        mask = f"masks/{name}.png"
        if refer is not None and isinstance(view.load_mask, MaskFile) and view.load_mask == MaskFile(view.load_mask.path):
            mask = refer(view.load_mask.path)
        else:
            put_mask(view, folder / mask, inverted=False)
    if view.load_depth is not None:
        depth = f"depths/{name}.npy"
        (folder / depth).parent.mkdir(parents=True, exist_ok=True)
        write_depth(folder / depth, view.depth())
    return {
        "name": view.name,
        "width": view.camera.width,
        "height": view.camera.height,
        "K": view.camera.K[0].double().tolist(),
        "camera_to_world": view.camera.camera_to_world[0].double().tolist(),
        "image": image,
        "mask": mask,
        "depth": depth,
    }


def _read_view(
    record: Mapping[str, Any], index: int, file: Path, white: MaskWhite | None, undistorter: Undistorter, notes: SceneNotes
) -> View:
    name = record.get("name")
    if not isinstance(name, str) or not name:
        raise InputError(f"views[{index}]: name", repr(name), "a name", file=file)
    field = f"view {name!r}"
    size = record.get("width"), record.get("height")
    if not all(isinstance(value, int) and is_number(value) for value in size):
        raise InputError(f"{field}: width, height", repr(size), "two integers", file=file)
    K, pose = _matrix(record, "K", (3, 3), file, field), _matrix(record, "camera_to_world", (4, 4), file, field)
    check_intrinsics(K, file)
    values = (float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]))
    lens = LensCamera(LENS_MODELS["PINHOLE"], *values, (), *size)  # type: ignore[arg-type]
    check_lens_camera(lens, file=file, field=field)
    depth = _file(record, "depth", file, field)
    mask = _file(record, "mask", file, field)
    files = ViewFiles(_file(record, "image", file, field), mask, white, None if depth is None else DepthFile(depth))
    return posed_view(name, lens, pose, files, source=file, undistorter=undistorter, notes=notes, turned_photos=False)


def _matrix(record: Mapping[str, Any], key: str, shape: tuple[int, int], file: Path, field: str) -> NDArray[np.float64]:
    try:
        matrix = np.array(record.get(key), np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != shape:
        raise InputError(f"{field}: {key}", f"shape {matrix.shape}", f"{shape[0]} x {shape[1]} numbers", file=file)
    return matrix


def _file(record: Mapping[str, Any], key: str, file: Path, field: str) -> Path | None:
    value = record.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InputError(f"{field}: {key}", repr(value), "a path or null", file=file)
    return file.parent / value
