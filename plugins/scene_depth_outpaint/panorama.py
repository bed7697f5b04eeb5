"""An equirectangular panorama as six views of 90 degrees about one centre."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.depth.monocular import load_prior
from scene_depth.depth.prior import model_name, predict
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.scene import View
from scene_depth_outpaint.trajectory import turned

FACES = {"front": (0, 0), "right": (90, 0), "back": (180, 0), "left": (270, 0), "up": (0, 90), "down": (0, -90)}  # yaw, pitch

OVERLAP = 3  # pixels by which a view goes beyond its 90 degrees: known surfaces lose their outermost ones in other views

SAME_SURFACE = 0.1  # step of depth to the nearest pixel up to which depth is interpolated


def panorama_views(
    rgb: NDArray[np.float32], name: str, depth: Path | None, prior: str | None, seed: int = 0
) -> tuple[list[View], list[str]]:
    """The six views, the front first, which looks at the middle of the picture, and what a person should know about them.

    Args:
        rgb: Panorama, sRGB in [0, 1]; twice as wide as high  # [H, 2 H, 3]
        name: Of the panorama.
        depth: Image of the distance along each ray, of the same shape, of any size; 0 = unknown.
        prior: Metric monocular model that predicts depth of each view where there is no image of it.
        seed: Of the model.

    Raises:
        InputError: If the picture or the depth is not twice as wide as high, there is neither depth nor a model, or the model's
            depth is not metric, so that its six predictions would not fit together.
    """
    _check_shape(rgb, name, "panorama")
    size = max(16, round(rgb.shape[0] / 2))
    distance = None
    if depth is not None:
        distance = read_depth(depth)
        _check_shape(distance, str(depth), "depth of the panorama")
    elif prior is None:
        raise InputError("depth", f"none of the panorama {name!r}, and no model to make one", "--depth FILE, or --prior MODEL")
    views, notes = [], []
    for face, (yaw, pitch) in FACES.items():
        camera = face_camera(size, yaw, pitch)
        picture = np.clip(sample(rgb, camera, order=1), 0, 1).astype(np.float32)
        if distance is not None:
            z = sample_distance(distance, camera) / np.linalg.norm(camera.ray_directions()[0].numpy(), axis=-1)
        else:
            assert prior is not None
            model, _ = load_prior(prior)
            found = predict(model, picture, seed)
            if found.metric is False or found.space != "depth":
                accepted = "a model of metric depth, whose six predictions fit together; or --depth FILE"
                raise InputError("prior", f"{model_name(model)}, whose depth is not metric", accepted)
            z = found.values
            notes = [f"the depth of the panorama is that of {model_name(model)}, view by view"]
        views.append(
            View(f"{face}.png", camera, load_image=partial(_same, picture), load_depth=partial(_same, z.astype(np.float32)))
        )
    return views, notes


def face_camera(size: int, yaw: float, pitch: float) -> Cameras:
    """A square camera at the origin of 90 degrees and a few pixels more, so that neighbours overlap.

    Args:
        size: Pixels that 90 degrees have.
        yaw, pitch: To the right and upward, in degrees.
    """
    side = size + 2 * OVERLAP
    fov = 2 * math.atan(side / size)
    return turned(camera_from_fov(torch.eye(4, dtype=torch.float64), fov, side, side), yaw, pitch)


def sample(panorama: NDArray[np.float32], camera: Cameras, *, order: int) -> NDArray[np.float32]:
    """What a camera at the panorama's centre sees of it.

    Args:
        panorama: Equirectangular, the camera's z axis at yaw 0 in the middle, up at the top  # [H, W] or [H, W, C]
        camera: One camera, its axes in the panorama's frame (x right, y down, z ahead).
        order: 1 interpolates, 0 takes the nearest pixel.

    Returns:
        Values of the camera's pixels  # [h, w] or [h, w, C]
    """
    height, width = panorama.shape[:2]
    x, y, z = np.moveaxis(camera.ray_directions()[0].double().numpy(), -1, 0)
    column = (np.arctan2(x, z) / (2 * np.pi) + 0.5) * width - 0.5
    row = (np.arctan2(y, np.hypot(x, z)) / np.pi + 0.5) * height - 0.5
    padded = np.concatenate([panorama[:, -1:], panorama, panorama[:, :1]], axis=1)  # it goes round
    planes = padded[..., None] if panorama.ndim == 2 else padded
    places = np.stack([row, column + 1])
    seen = np.stack(
        [map_coordinates(plane, places, order=order, mode="nearest") for plane in np.moveaxis(planes, -1, 0)], axis=-1
    )
    result: NDArray[np.float32] = (seen[..., 0] if panorama.ndim == 2 else seen).astype(np.float32)
    return result


def sample_distance(panorama: NDArray[np.float32], camera: Cameras) -> NDArray[np.float32]:
    """Distances that a camera sees: interpolated on surfaces, the nearest pixel's at edges and beside unknown ones, 0 = unknown.

    Args:
        panorama: Equirectangular distance along each ray, 0 = unknown  # [H, W]
        camera: As in ``sample``.
    """
    known = panorama > 0
    nearest = sample(panorama, camera, order=0)
    inverse = sample(np.where(known, 1 / np.where(known, panorama, 1), 0).astype(np.float32), camera, order=1)
    smooth = (sample(known.astype(np.float32), camera, order=1) > 0.999) & (np.abs(nearest * inverse - 1) < SAME_SURFACE)
    return np.where(smooth, 1 / np.where(smooth, inverse, 1), nearest).astype(np.float32)


def _check_shape(values: NDArray[np.float32], name: str, what: str) -> None:
    height, width = values.shape[:2]
    if abs(width - 2 * height) > 2:
        raise InputError(
            f"{what} size", f"{width} x {height}", "twice as wide as high, all around and from pole to pole", file=name
        )


def _same(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values
