"""Camera paths as nerfstudio's viewer saves them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch

from scene_depth.cameras import Cameras, camera_from_fov, concatenate_cameras
from scene_depth.errors import InputError
from scene_depth.io.json_files import read_json_object

OPENGL_TO_OPENCV = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))


def read_camera_path(path: str | os.PathLike[str]) -> tuple[Cameras, float]:
    """Reads a camera path: ``camera_path`` of poses (OpenGL axes) and vertical fields of view in degrees.

    Args:
        path: JSON file with ``render_width``, ``render_height``, ``camera_path`` and ``fps`` (30 if missing).

    Returns:
        Cameras in the order of the path, float64, and frames a second.

    Raises:
        InputError: If the file is no such path, or a pose or field of view cannot be.
    """
    path = Path(path)
    content = read_json_object(path)
    if content.get("camera_type", "perspective") != "perspective":
        raise InputError("camera_type", content["camera_type"], "perspective", file=path)
    width, height = (_number(content, key, path) for key in ("render_width", "render_height"))
    frames = content.get("camera_path")
    if not isinstance(frames, list) or not frames:
        raise InputError(
            "camera_path", "none" if not frames else type(frames).__name__, "a list of one or more cameras", file=path
        )
    cameras = [_camera(frame, index, int(width), int(height), path) for index, frame in enumerate(frames)]
    return concatenate_cameras(cameras), _number(content, "fps", path) if "fps" in content else 30.0


def _camera(frame: Any, index: int, width: int, height: int, path: Path) -> Cameras:
    field = f"camera_path[{index}]"
    try:
        pose = torch.tensor(frame["camera_to_world"], dtype=torch.float64).reshape(4, 4)
        fov = float(frame["fov"])
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(field, f"unusable ({error})", "camera_to_world of 16 numbers and fov in degrees", file=path) from error
    if not 0 < fov < 180:
        raise InputError(f"{field}: fov", fov, "degrees between 0 and 180", file=path)
    try:
        return camera_from_fov(pose @ OPENGL_TO_OPENCV, math.radians(fov), width, height)
    except InputError as error:
        raise InputError(f"{field}: {error.field}", error.found, error.accepted, file=path) from None


def _number(content: dict[str, Any], key: str, path: Path) -> float:
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < 1e5:
        raise InputError(key, value, "a number of 1 or more", file=path)
    return float(value)
