"""Reading and writing scenes of every format by one call each."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from scene_depth.errors import InputError
from scene_depth.io.colmap import read_colmap, write_colmap
from scene_depth.io.colmap_files import has_colmap_model
from scene_depth.io.nerfstudio_run import NerfstudioRun, is_nerfstudio_run, read_nerfstudio_run
from scene_depth.io.rgbd_folder import read_rgbd_folder, write_rgbd_folder
from scene_depth.io.rgbd_layouts import is_rgbd_folder
from scene_depth.io.saved_scene import is_saved_scene, read_saved_scene, write_saved_scene
from scene_depth.io.scene_notes import LOGGER
from scene_depth.io.transforms_json import SPLITS, read_transforms
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth.options import bind_options, split_pairs
from scene_depth.scene import Scene


@dataclass(frozen=True)
class SceneFormat:
    """A way to keep a scene on disk.

    Attributes:
        name: Key in ``FORMATS``.
        description: What it looks like, for messages.
        detect: Whether a path looks like it.
        read: Reads it; takes the path and the format's own options.
        write: Writes it; takes the path, the scene and the format's own options.
    """

    name: str
    description: str
    detect: Callable[[Path], bool]
    read: Callable[..., Scene]
    write: Callable[..., None]


SPLATS = (".ply", ".spz", ".splat", ".sog", ".glb", ".gltf")


def _is_transforms(path: Path) -> bool:
    if path.is_dir():
        return any((path / f"transforms{end}.json").is_file() for end in ("", *(f"_{split}" for split in SPLITS)))
    return path.suffix == ".json" and path.is_file()


# In the order of detection: a folder processed by nerfstudio has a COLMAP model beside its transforms.json.
FORMATS = {
    entry.name: entry
    for entry in (
        SceneFormat("scene", "a saved scene with scene.json", is_saved_scene, read_saved_scene, write_saved_scene),
        SceneFormat(
            "transforms", "transforms.json (nerfstudio, instant-ngp, Blender)", _is_transforms, read_transforms, write_transforms
        ),
        SceneFormat("colmap", "a COLMAP folder with sparse/0", has_colmap_model, read_colmap, write_colmap),
        SceneFormat("rgbd", "a folder of RGB-D frames with poses", is_rgbd_folder, read_rgbd_folder, write_rgbd_folder),
    )
}


def read_scene(path: str | PathLike[str], *, format: str | None = None, **options: Any) -> Scene:
    """Reads a scene; photos stay on disk until a view is asked for them.

    Args:
        path: Folder, or the JSON file that describes the scene; or a run of nerfstudio (its folder, ``config.yml`` or a
            checkpoint), whose photos are then read from where it says, or from the folder of the option ``data``.
        format: A key of ``FORMATS``; by default what the folder looks like.
        options: Options of the format's reader: ``read_colmap``, ``read_transforms``, ``read_rgbd_folder``. Text stands for
            numbers and the like too, as on the command line (``--scene-options KEY=VALUE``).

    Returns:
        The scene in the frame and unit of its files. Its ``notes`` are logged too: photos left out, units assumed.

    Raises:
        InputError: If there is nothing at the path, no format fits, its reader does not take an option, or finds a fault.

    Example:
        >>> import scene_depth as sd
        >>> scene = sd.read_scene("scenes/table")
        >>> len(scene), scene.views[0].name
        (32, 'frame_00.jpg')
    """
    path = Path(path)
    if not path.exists():
        raise InputError("scene", "nothing at this path", "a folder or JSON file", file=path)
    if is_nerfstudio_run(path):
        return _read_photos_of_run(path, format, options)
    entry = _format(format, path) if format is not None else detect_format(path)
    scene = entry.read(path, **bind_options(entry.read, options, "scene options", file=path))
    for index, sentence in enumerate(scene.notes):
        complete = index == 0 and "left out" not in sentence
        LOGGER.log(logging.INFO if complete else logging.WARNING, "%s: %s", path, sentence)
    return scene


def write_scene(path: str | PathLike[str], scene: Scene, *, format: str, **options: Any) -> None:
    """Writes a scene into a new or empty folder, which appears whole or not at all.

    Args:
        path: The folder.
        scene: Scene to write.
        format: A key of ``FORMATS``.
        options: Options of the format's writer; text stands for numbers and the like too.

    Raises:
        InputError: If the format does not exist or cannot hold the scene, its writer does not take an option, or the folder
            cannot be written.

    Example:
        >>> import tempfile
        >>> import scene_depth as sd
        >>> scene = sd.read_scene("scenes/table").select([0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sd.write_scene(f"{folder}/colmap", scene, format="colmap")
        ...     len(sd.read_scene(f"{folder}/colmap"))
        2
    """
    write = _format(format, path).write
    write(path, scene, **bind_options(write, options, f"options of {format}", file=path))


def detect_format(path: str | PathLike[str]) -> SceneFormat:
    """The format that a path looks like.

    Raises:
        InputError: If none does; the message lists what was looked for.
    """
    if is_nerfstudio_run(path):
        run = read_nerfstudio_run(path)
        return _format(run.format, path) if run.format is not None else detect_format(_data_of(run))
    for entry in FORMATS.values():
        if entry.detect(Path(path)):
            return entry
    accepted = "; ".join(entry.description for entry in FORMATS.values())
    if Path(path).is_dir():
        raise InputError("scene", "a folder of another kind", accepted, file=path)
    if Path(path).suffix.lower() not in SPLATS:
        raise InputError("scene", "a file of another kind", accepted, file=path)
    hint = f"name the scene of posed photos, and the splats with --splats; scene-depth view {Path(path).name} needs no photos"
    raise InputError("scene", "a file of splats", accepted, file=path, hint=hint)


def _read_photos_of_run(path: Path, format: str | None, options: dict[str, Any]) -> Scene:
    run = read_nerfstudio_run(path)
    data = Path(options.pop("data")) if "data" in options else _data_of(run)
    own = split_pairs(run.scene_options, "scene_options of the run")
    scene = read_scene(data, format=own.pop("format", None) or format or run.format, **{**own, **options})
    return replace(scene, source=path, notes=(*scene.notes, f"the photos of this run of {run.method} are those of {data}"))


def _data_of(run: NerfstudioRun) -> Path:
    if run.data is None:
        hint = "--scene-options data=FOLDER, which says where they are now"
        raise InputError("data", "photos that are not where the run says", "", file=run.config, hint=hint)
    return run.data


def _format(name: str, path: str | PathLike[str]) -> SceneFormat:
    if name not in FORMATS:
        raise InputError("scene format", name, ", ".join(FORMATS), file=path)
    return FORMATS[name]
