"""Finding, reading and writing the files of a COLMAP model, binary or text."""

from __future__ import annotations

from pathlib import Path

from scene_depth.errors import InputError
from scene_depth.io.colmap_binary import (
    count_images_binary,
    read_cameras_binary,
    read_images_binary,
    read_points_binary,
    write_cameras_binary,
    write_images_binary,
    write_points_binary,
)
from scene_depth.io.colmap_model import MODEL_FILES, ColmapModel, no_points
from scene_depth.io.colmap_text import (
    read_cameras_text,
    read_images_text,
    read_points_text,
    write_cameras_text,
    write_images_text,
    write_points_text,
)
from scene_depth.io.scene_notes import SceneNotes

MODEL_FOLDERS = ("sparse", "colmap/sparse", ".")
"""Where a model may lie, or several in folders named by numbers, as COLMAP's mapper writes them."""


def has_colmap_model(path: Path) -> bool:
    """Whether a folder is, or holds in one of the usual places, a COLMAP model."""
    return any(_models_in(path / folder) for folder in MODEL_FOLDERS)


def find_colmap_model(path: Path, notes: SceneNotes) -> Path:
    """The folder of the model; of several, the one with most photos, which the notes say.

    Raises:
        InputError: If there is none.
    """
    for folder in MODEL_FOLDERS:
        models = _models_in(path / folder if folder != "." else path)
        if len(models) > 1:
            counts = {model: _count_images(model) for model in models}
            largest = max(models, key=lambda model: counts[model])  # the first of equals
            others = ", ".join(f"{model.name} with {counts[model]}" for model in models if model != largest)
            used = f"{largest.name} with {counts[largest]} photos"
            notes.say(f"the largest of {len(models)} COLMAP models is used, {used}; not {others}")
            return largest
        if models:
            return models[0]
    found = (
        "no such folder" if not path.exists() else "a file" if path.is_file() else "none in sparse/0, sparse or the folder itself"
    )
    raise InputError("COLMAP model", found, "cameras, images and points3D as .bin or .txt", file=path)


def read_colmap_model(folder: Path) -> tuple[ColmapModel, Path]:
    """Reads a model.

    Args:
        folder: Folder of the three files; a missing points3D file means no points.

    Returns:
        The model, and its images file, for errors.

    Raises:
        InputError: If a file is missing, cut short or has something that is not supported.
    """
    suffix = _suffix(folder)
    if not suffix:
        raise InputError("COLMAP model", "none", "cameras, images and points3D as .bin or .txt", file=folder)
    cameras, images, points = (folder / f"{name}{suffix}" for name in MODEL_FILES)
    if suffix == ".bin":
        found = read_points_binary(points) if points.exists() else no_points()
        return ColmapModel(read_cameras_binary(cameras), read_images_binary(images), found), images
    found = read_points_text(points) if points.exists() and points.stat().st_size else no_points()
    return ColmapModel(read_cameras_text(cameras), read_images_text(images), found), images


def write_colmap_model(folder: Path, model: ColmapModel, *, binary: bool = True) -> None:
    """Writes the three files of a model into a folder, which is made if missing."""
    cameras, images, points = (folder / f"{name}{'.bin' if binary else '.txt'}" for name in MODEL_FILES)
    if binary:
        write_cameras_binary(cameras, model.cameras)
        write_images_binary(images, model.images)
        write_points_binary(points, model.points)
    else:
        write_cameras_text(cameras, model.cameras)
        write_images_text(images, model.images)
        write_points_text(points, model.points)


def _models_in(folder: Path) -> list[Path]:
    """The models of a reconstruction: its numbered folders, else the folder itself."""
    if not folder.is_dir():
        return []
    numbered = sorted((child for child in folder.iterdir() if child.name.isdecimal()), key=lambda child: int(child.name))
    return [child for child in numbered if _suffix(child)] or ([folder] if _suffix(folder) else [])


def _count_images(folder: Path) -> int:
    suffix = _suffix(folder)
    images = folder / f"{MODEL_FILES[1]}{suffix}"
    return count_images_binary(images) if suffix == ".bin" else len(read_images_text(images))


def _suffix(folder: Path) -> str:
    for suffix in (".bin", ".txt"):
        if all((folder / f"{name}{suffix}").is_file() for name in MODEL_FILES[:2]):
            return suffix
    return ""
