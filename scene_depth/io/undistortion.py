"""Undoing lens distortion: which pinhole camera to show, and where each of its pixels comes from.

The choice of the camera and the sampling follow COLMAP's image_undistorter with its default options (no blank pixels,
at most twice and at least a fifth of the size), so that a folder read here equals one undistorted by COLMAP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.distortion import LENS_MODELS, LensCamera
from scene_depth.scene import Loader

MIN_SCALE, MAX_SCALE = 0.2, 2.0
BLOCK_PIXELS = 1 << 18  # bounds the float64 work space of the sampling positions


def undistorted_camera(camera: LensCamera, *, file: str | PathLike[str] | None = None, name: str = "camera") -> LensCamera:
    """The pinhole camera that shows what a distorted one sees, as large as possible without blank pixels.

    Raises:
        InputError: If the lens model cannot be inverted at the image border.
    """
    if camera.is_pinhole:
        return camera
    x, y = np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5
    left = _straight(camera, np.full_like(y, 0.5), y)[:, 0]
    right = _straight(camera, np.full_like(y, camera.width - 0.5), y)[:, 0]
    top = _straight(camera, x, np.full_like(x, 0.5))[:, 1]
    bottom = _straight(camera, x, np.full_like(x, camera.height - 0.5))[:, 1]
    if not all(len(side) for side in (left, right, top, bottom)):
        raise InputError(
            f"{name}: {camera.model.name} coefficients", camera.coefficients, "a lens whose distortion can be undone", file=file
        )
    scale_x = _scale(camera.cx, camera.width, left, right)
    scale_y = _scale(camera.cy, camera.height, top, bottom)
    width, height = max(1, int(scale_x * camera.width)), max(1, int(scale_y * camera.height))
    cx, cy = camera.cx * width / camera.width, camera.cy * height / camera.height
    return LensCamera(LENS_MODELS["PINHOLE"], camera.fx, camera.fy, cx, cy, (), width, height)


def _straight(camera: LensCamera, x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Where border pixels would lie without distortion; those that the model cannot undo are left out."""
    points, converged = camera.unproject(np.stack([x, y], axis=-1))
    return points[converged] * [camera.fx, camera.fy] + [camera.cx, camera.cy]


def _scale(center: float, size: int, low: NDArray[Any], high: NDArray[Any]) -> float:
    """Size of the undistorted image relative to the distorted one such that its border falls inside what was seen."""
    with np.errstate(divide="ignore"):
        widest = np.maximum(center / (center - low.max()), (size - 0.5 - center) / (high.min() - center))
    return float(np.clip(1 / widest, MIN_SCALE, MAX_SCALE))


def sampling_positions(camera: LensCamera, pinhole: LensCamera) -> NDArray[np.float32]:
    """Where each pixel of the undistorted image lies in the distorted one, first pixel centre at 0.5  # [h, w, 2]"""
    positions = np.empty((pinhole.height, pinhole.width, 2), np.float32)
    rows = max(1, BLOCK_PIXELS // pinhole.width)
    x = (np.arange(pinhole.width) + 0.5 - pinhole.cx) / pinhole.fx
    for start in range(0, pinhole.height, rows):
        block = positions[start : start + rows]
        y = (np.arange(start, start + len(block)) + 0.5 - pinhole.cy) / pinhole.fy
        grid = np.stack(np.meshgrid(x, y), axis=-1)
        block[:] = camera.project(grid.reshape(-1, 2)).reshape(grid.shape)
    return positions


def sample_bilinear(image: NDArray[Any], positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Image values between pixel centres; 0 outside the image  # [H, W, 3], [h, w, 2] -> [h, w, 3]"""
    height, width = image.shape[:2]
    grid = torch.from_numpy(np.nan_to_num(positions, nan=-1e6) / np.array([width, height], np.float32) * 2 - 1)[None]
    source = torch.from_numpy(np.ascontiguousarray(image, np.float32)).permute(2, 0, 1)[None]
    sampled = torch.nn.functional.grid_sample(source, grid, mode="bilinear", padding_mode="border", align_corners=False)[0]
    values = sampled.permute(1, 2, 0).contiguous().numpy()
    values[~_inside(positions, width, height)] = 0
    return values


def sample_nearest(image: NDArray[Any], positions: NDArray[np.float32]) -> NDArray[Any]:
    """The pixel that a position falls into; 0 or False outside the image  # [H, W], [h, w, 2] -> [h, w]"""
    height, width = image.shape[:2]
    inside = _inside(positions, width, height)
    values = np.zeros(positions.shape[:2], image.dtype)
    x, y = positions[inside].astype(np.intp).T
    values[inside] = image[np.minimum(y, height - 1), np.minimum(x, width - 1)]
    return values


def _inside(positions: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    x, y = positions[..., 0], positions[..., 1]
    return (x >= 0) & (x <= width) & (y >= 0) & (y <= height)


class Undistorter:
    """Undistorted cameras and sampling positions for the views of a scene.

    Remembers every camera, and the positions of the last one: the usual scene has one camera for many photos.
    """

    def __init__(self) -> None:
        self._cameras: dict[LensCamera, LensCamera] = {}
        self._last: tuple[LensCamera, LensCamera, NDArray[np.float32]] | None = None

    def camera(self, camera: LensCamera, *, file: str | PathLike[str], name: str) -> LensCamera:
        """As ``undistorted_camera``."""
        if camera not in self._cameras:
            self._cameras[camera] = undistorted_camera(camera, file=file, name=name)
        return self._cameras[camera]

    def positions(self, camera: LensCamera, pinhole: LensCamera) -> NDArray[np.float32]:
        """As ``sampling_positions``. Safe to call from several threads."""
        last = self._last
        if last is not None and last[:2] == (camera, pinhole):
            return last[2]
        positions = sampling_positions(camera, pinhole)
        self._last = (camera, pinhole, positions)
        return positions

    def __getstate__(self) -> dict[str, object]:
        return {"_cameras": self._cameras, "_last": None}  # other processes compute their own positions


@dataclass(frozen=True)
class UndistortedLoader:
    """Loads a distorted picture, mask or depth and shows it through a pinhole camera.

    Attributes:
        load: Loader of the distorted array  # [H, W, 3] or [H, W]
        camera: Distorted camera of that array.
        pinhole: Camera to show.
        undistorter: Shared by the views of a scene.

    Colours are interpolated; masks and depths are taken from the nearest pixel. z-depth does not change, since both
    cameras look along the same axis.
    """

    load: Loader
    camera: LensCamera
    pinhole: LensCamera
    undistorter: Undistorter = field(default_factory=Undistorter, compare=False, repr=False)

    def __call__(self) -> NDArray[Any]:
        values = self.load()
        expected = (self.camera.height, self.camera.width)
        if values.shape[:2] != expected:
            raise InputError("picture", f"shape {values.shape[:2]}", f"{expected}, the size of its camera")
        positions = self.undistorter.positions(self.camera, self.pinhole)
        return sample_bilinear(values, positions) if values.ndim == 3 else sample_nearest(values, positions)
