"""Hypersim (Roberts et al. 2021) on its published layout.

``ai_VVV_NNN/images/scene_cam_XX_geometry_hdf5/frame.IIII.depth_meters.hdf5`` holds distances to the optical centre, not z;
``frame.IIII.semantic_instance.hdf5`` beside it the objects, ``frame.IIII.semantic.hdf5`` their NYU40 classes;
``scene_cam_XX_final_hdf5/frame.IIII.color.hdf5`` radiance, ``scene_cam_XX_final_preview/frame.IIII.tonemap.jpg`` a preview.
Every HDF5 file has one array named "dataset". The project's repository adds ``metadata_images_split_scene_v1.csv`` (splits) and
``metadata_camera_parameters.csv`` (rays of every scene, some of which are tilt-shift cameras); without the latter the nominal
camera is taken, 60 degrees wide.
"""

from __future__ import annotations

import csv
import math
import re
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.datasets.frames.frame import DepthFrame, FileFrame, FrameSource, only_valid
from scene_depth.datasets.frames.hdf5 import read_hdf5
from scene_depth.errors import InputError
from scene_depth.io.images import read_image

SCENE = re.compile(r"^ai_\d{3}_\d{3}$")
SPLITS, CAMERAS = "metadata_images_split_scene_v1.csv", "metadata_camera_parameters.csv"
PLACES = (".", "..", "evermotion_dataset/analysis", "../evermotion_dataset/analysis", "../analysis", "contrib/mikeroberts3000")
HALF_FOV = math.radians(30.0)
GAMMA = 2.2
BRIGHT_PERCENTILE, BRIGHT_VALUE = 90.0, 0.8  # the project's tone mapping: this percentile becomes this bright
DARKEST = 1e-4
NYU40 = (
    "none", "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes", "ceiling", "books",
    "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "night stand", "toilet",
    "sink", "lamp", "bathtub", "bag", "other structure", "other furniture", "other prop",
)  # fmt: skip
"""The 40 classes of Gupta et al. (2013) for NYUv2, by number."""


def hypersim_frames(folder: Path, split: str | None = None) -> list[FrameSource]:
    """The frames of a folder of scenes (or with a folder ``scenes`` of them, or one scene).

    Args:
        folder: The folder.
        split: "train", "val" or "test" of the published split; None takes every frame that is there.

    Raises:
        InputError: If a split is asked for and its file is not there.
    """
    roots = [folder] if SCENE.match(folder.resolve().name) else [folder, folder / "scenes"]
    scenes = roots[:1] if SCENE.match(folder.resolve().name) else []
    for root in roots:
        scenes += sorted(path for path in root.glob("ai_*_*") if SCENE.match(path.name) and path.is_dir())
    if not scenes:
        return []
    cameras = _metadata(folder, CAMERAS)
    wanted = None if split is None else _split(folder, split)
    found: list[FrameSource] = []
    for scene in scenes:
        for path in sorted(scene.glob("images/scene_cam_*_geometry_hdf5/frame.*.depth_meters.hdf5")):
            trajectory = path.parent.name.removeprefix("scene_").removesuffix("_geometry_hdf5")
            number = path.name.split(".")[1]
            if wanted is None or (scene.name, trajectory, int(number)) in wanted:
                read = partial(_read, scene=scene, trajectory=trajectory, number=number, cameras=cameras)
                found.append(FileFrame(f"{scene.name}_{trajectory}_{number}", read))
    return found


def _read(name: str, scene: Path, trajectory: str, number: str, cameras: Path | None) -> DepthFrame:
    """Reads a frame. z = distance / |ray|, with the ray through the pixel scaled to z = 1.

    Args:
        name: Scene, trajectory and number.
        scene: Folder ``ai_VVV_NNN``.
        trajectory: "cam_00" and so on.
        number: Four digits.
        cameras: File of camera parameters, or None for the nominal camera.
    """

    def file(place: str, ending: str) -> Path:
        return scene / "images" / f"scene_{trajectory}_{place}" / f"frame.{number}.{ending}"

    def labels(ending: str) -> NDArray[np.int32] | None:
        """Numbers with 0 for none, which the file has as -1; None if there is no such file  # [H, W]"""
        path = file("geometry_hdf5", ending)
        return np.maximum(read_hdf5(path, "dataset", 2), 0).astype(np.int32) if path.is_file() else None

    distance = read_hdf5(file("geometry_hdf5", "depth_meters.hdf5"), "dataset", 2).astype(np.float64)
    height, width = distance.shape
    matrix = _camera_from_uv(cameras, scene.name, width, height)
    radiance, entities = file("final_hdf5", "color.hdf5"), file("geometry_hdf5", "render_entity_id.hdf5")
    if radiance.is_file():
        seen = read_hdf5(entities, "dataset", 2) != -1 if entities.is_file() else None
        rgb = tone_mapped(read_hdf5(radiance, "dataset", 3).astype(np.float32), seen)
    else:
        rgb = read_image(file("final_preview", "tonemap.jpg"))
    return DepthFrame(
        name=name,
        truth=only_valid(distance / _ray_lengths(matrix, width, height)),
        rgb=rgb,
        camera=_pinhole(matrix, width, height),
        instances=labels("semantic_instance.hdf5"),
        classes=labels("semantic.hdf5"),
        class_names=NYU40,
        dataset="Hypersim",
    )


def _ray_lengths(camera_from_uv: NDArray[np.float64], width: int, height: int) -> NDArray[np.float64]:
    """Length of the ray that reaches z = 1 at every pixel centre  # [H, W]

    Args:
        camera_from_uv: Ray in OpenGL axes (x right, y up, z backward) of (u, v, 1), u to the right and v up in [-1, 1]  # [3, 3]
        width, height: Size in pixels.
    """
    u = (np.arange(width) + 0.5) / width * 2 - 1
    v = 1 - (np.arange(height) + 0.5) / height * 2
    grid = np.stack([*np.meshgrid(u, v), np.ones((height, width))], axis=-1)
    rays = grid @ camera_from_uv.T
    lengths: NDArray[np.float64] = np.linalg.norm(rays, axis=-1) / np.maximum(-rays[..., 2], 1e-9)
    return lengths


def _pinhole(camera_from_uv: NDArray[np.float64], width: int, height: int) -> Cameras | None:
    """The pinhole camera of those rays, or None for a tilted image plane, which no intrinsics describe."""
    scaled = camera_from_uv / -camera_from_uv[2, 2]
    off = np.array([scaled[0, 1], scaled[1, 0], scaled[2, 0], scaled[2, 1]])
    if np.abs(off).max() > 1e-5:
        return None
    fx, fy = width / (2 * scaled[0, 0]), height / (2 * scaled[1, 1])
    cx = width / 2 - scaled[0, 2] * fx  # the ray along the axis has u = -m02 / m00
    cy = height / 2 + scaled[1, 2] * fy
    K = torch.tensor([[[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]], dtype=torch.float64)
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K, width, height)


def tone_mapped(radiance: NDArray[np.float32], seen: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """sRGB-like picture of linear radiance, with the exposure rule of the project's tone mapping.

    Args:
        radiance: Linear colours  # [H, W, 3]
        seen: Pixels that show a surface; all by default  # [H, W]
    """
    radiance = np.nan_to_num(radiance, nan=0.0, posinf=0.0, neginf=0.0)
    brightness = radiance @ np.array([0.3, 0.59, 0.11], np.float32)
    values = brightness if seen is None or not seen.any() else brightness[seen]
    bright = float(np.percentile(values, BRIGHT_PERCENTILE))
    scale = BRIGHT_VALUE**GAMMA / bright if bright >= DARKEST else 0.0
    picture: NDArray[np.float32] = np.clip(np.maximum(scale * radiance, 0) ** (1 / GAMMA), 0, 1).astype(np.float32)
    return picture


def _camera_from_uv(path: Path | None, scene: str, width: int, height: int) -> NDArray[np.float64]:
    nominal = np.diag([math.tan(HALF_FOV), math.tan(HALF_FOV) * height / width, -1.0])
    return nominal if path is None else _matrices(path).get(scene, nominal)


@lru_cache(maxsize=4)
def _matrices(path: Path) -> dict[str, NDArray[np.float64]]:
    names = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]
    found = {}
    for row in _rows(path):
        try:
            found[row["scene_name"]] = np.array([float(row[name]) for name in names]).reshape(3, 3)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError("M_cam_from_uv", str(error), "nine numbers for every scene_name", file=path) from error
    return found


def _split(folder: Path, split: str) -> set[tuple[str, str, int]]:
    path = _metadata(folder, SPLITS)
    if path is None:
        raise InputError("split", f"{split!r} without {SPLITS}", "that file in the folder, or no split", file=folder)
    try:
        return {
            (row["scene_name"], row["camera_name"], int(row["frame_id"]))
            for row in _rows(path)
            if row["split_partition_name"] == split
        }
    except (KeyError, ValueError) as error:
        accepted = "columns scene_name, camera_name, frame_id, split_partition_name"
        raise InputError("columns", str(error), accepted, file=path) from error


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _metadata(folder: Path, name: str) -> Path | None:
    paths = (folder / place / name for place in PLACES)
    return next((path.resolve() for path in paths if path.is_file()), None)
