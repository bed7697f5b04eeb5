"""What sensors would make of a frame: structured light like the first Kinect, rotating LiDAR, a small camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.errors import InputError
from scene_depth_synthetic.procedural.frames import RGBDFrame

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class StructuredLight:
    """A camera with a projector of infrared dots beside it, like the first Kinect.

    The model is that of Handa et al. (ICRA 2014) after Barron and Malik (CVPR 2013): pixels are read a little beside
    where they are, disparity has noise and is rounded; added are the projector's shadow and lost returns.

    Attributes:
        baseline: Distance of the projector, to the left of the camera  # metres
        focal: Focal length of the sensor in its own pixels; with the baseline it sets the size of a disparity step.
        step: Disparity is rounded to this part of a sensor's pixel.
        disparity_noise: Standard deviation  # sensor's pixels
        shift_noise: Standard deviation of where a pixel is read  # pixels of the frame
        nearest, farthest: Range  # metres
        dark: Luma below which infrared rarely comes back.
        grazing: Cosine of the angle of incidence below which it rarely comes back.
        shiny: Luma above which a highlight blinds the sensor.
    """

    baseline: float = 0.075
    focal: float = 580.0
    step: float = 0.125
    disparity_noise: float = 0.08
    shift_noise: float = 0.5
    nearest: float = 0.4
    farthest: float = 8.0
    dark: float = 0.06
    grazing: float = 0.18
    shiny: float = 0.97

    def __call__(self, frame: RGBDFrame, seed: int) -> NDArray[np.float32]:
        """Sensor depth of a frame.

        Args:
            frame: Frame with metric depth.
            seed: Of the noise.

        Returns:
            z-depth in metres, 0 = no measurement  # [H, W]
        """
        rng = np.random.default_rng(seed)
        depth = _read_beside(frame.depth, self.shift_noise, rng)
        constant = self.baseline * self.focal
        disparity = constant / np.where(depth > 0, depth, np.inf) + rng.normal(0.0, self.disparity_noise, depth.shape)
        disparity = np.round(disparity / self.step) * self.step
        measured = constant / np.maximum(disparity, 1e-6)
        luma = frame.rgb @ LUMA
        weak = (luma < self.dark) | (luma > self.shiny) | (incidence_cosine(frame) < self.grazing)
        lost = ndimage.gaussian_filter(weak.astype(np.float32), 1.0) + 0.15 * rng.normal(size=depth.shape) > 0.5
        lost |= self.shadow(frame) | ~frame.known
        good = (depth > 0) & ~lost & (measured >= self.nearest) & (measured <= self.farthest)
        return np.where(good, measured, 0.0).astype(np.float32)

    def shadow(self, frame: RGBDFrame) -> NDArray[np.bool_]:
        """Pixels that the projector does not reach because something nearer stands between  # [H, W]"""
        fx = float(frame.camera.K[0, 0, 0])
        inverse = np.where(frame.known, 1.0 / np.maximum(frame.depth, 1e-6), 0.0)
        column = np.arange(frame.depth.shape[1]) + fx * self.baseline * inverse  # seen from the projector
        # seen from the left, what lies behind a nearer pixel to its left appears before it
        return column < np.maximum.accumulate(column, axis=1) - 0.5


@dataclass(frozen=True)
class RotatingLidar:
    """A laser scanner with lines of constant elevation, placed at the camera and levelled.

    Attributes:
        lines: Number of lines.
        lowest, highest: Elevation of the first and last line  # degrees
        azimuth_step: Angle between two shots of a line  # degrees
        range_noise: Standard deviation  # metres
        farthest: Range  # metres
        dropout: Share of shots that are lost; dark surfaces lose more.
    """

    lines: int = 64
    lowest: float = -24.8
    highest: float = 2.0
    azimuth_step: float = 0.17
    range_noise: float = 0.02
    farthest: float = 80.0
    dropout: float = 0.08

    def __call__(self, frame: RGBDFrame, seed: int) -> NDArray[np.float32]:
        """Depth at the pixels that a shot hits; of several in a pixel the nearest.

        Args:
            frame: Frame with metric depth.
            seed: Of the noise.

        Returns:
            z-depth in metres, 0 = no measurement  # [H, W]

        Raises:
            InputError: If the scanner has no lines.
        """
        if self.lines < 1:
            raise InputError("lines", self.lines, "1 or more")
        rng = np.random.default_rng(seed)
        row, column = self._shots(frame)
        depth, luma = frame.depth[row, column], (frame.rgb @ LUMA)[row, column]
        K = frame.camera.K[0].numpy()
        x, y = (column + 0.5 - K[0, 2]) / K[0, 0], (row + 0.5 - K[1, 2]) / K[1, 1]
        stretch = np.sqrt(1.0 + x * x + y * y)  # range over z-depth
        distance = depth * stretch + rng.normal(0.0, self.range_noise, len(depth))
        kept = (depth > 0) & (distance > 0.1) & (distance < self.farthest)
        kept &= rng.random(len(depth)) > self.dropout + 0.3 * np.exp(-luma / 0.05)
        result = np.full(frame.depth.shape, np.inf, dtype=np.float32)
        np.minimum.at(result, (row[kept], column[kept]), (distance / stretch)[kept].astype(np.float32))
        return np.where(np.isfinite(result), result, 0.0).astype(np.float32)

    def _shots(self, frame: RGBDFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the pixels that the shots go through."""
        rotation = frame.camera.camera_to_world[0, :3, :3].numpy()
        heading = math.atan2(rotation[1, 2], rotation[0, 2])
        azimuth = heading + np.arange(-math.pi / 2, math.pi / 2, math.radians(self.azimuth_step))
        elevation = np.radians(np.linspace(self.lowest, self.highest, self.lines))
        a, e = (grid.ravel() for grid in np.meshgrid(azimuth, elevation))
        world = np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=1)
        seen = world @ rotation
        seen = seen[seen[:, 2] > 1e-3]
        K = frame.camera.K[0].numpy()
        u, v = seen[:, 0] / seen[:, 2] * K[0, 0] + K[0, 2], seen[:, 1] / seen[:, 2] * K[1, 1] + K[1, 2]
        inside = (u >= 0) & (v >= 0) & (u < frame.camera.width) & (v < frame.camera.height)
        return v[inside].astype(np.int64), u[inside].astype(np.int64)


def incidence_cosine(frame: RGBDFrame) -> NDArray[np.float32]:
    """Cosine of the angle between the normal and the direction to the camera; 0 where there is no surface  # [H, W]"""
    K, (height, width) = frame.camera.K[0].numpy(), frame.depth.shape
    x = (np.arange(width) + 0.5 - K[0, 2]) / K[0, 0]
    y = ((np.arange(height) + 0.5 - K[1, 2]) / K[1, 1])[:, None]
    along = frame.normals[..., 0] * x + frame.normals[..., 1] * y + frame.normals[..., 2]
    return np.abs(along / np.sqrt(1.0 + x * x + y * y)).astype(np.float32)


def photo_noise(rgb: NDArray[np.float32], seed: int, *, strength: float = 0.012, blur: float = 0.4) -> NDArray[np.float32]:
    """A picture as a small camera would take it: a little blur, noise that grows with brightness, 8 bits.

    Args:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        seed: Of the noise.
        strength: Standard deviation of the noise at middle grey.
        blur: Standard deviation of the lens's blur in pixels.

    Returns:
        sRGB in [0, 1], multiples of 1 / 255  # [H, W, 3]
    """
    rng = np.random.default_rng(seed)
    soft = ndimage.gaussian_filter(rgb, (blur, blur, 0.0)) if blur > 0 else rgb
    noisy = soft + strength * np.sqrt(0.25 + 1.5 * soft) * rng.normal(size=rgb.shape)
    return (np.round(np.clip(noisy, 0.0, 1.0) * 255.0) / 255.0).astype(np.float32)


def _read_beside(depth: NDArray[np.float32], deviation: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Each pixel's depth taken from a random place near it."""
    height, width = depth.shape
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    row = np.clip(np.rint(row + rng.normal(0.0, deviation, depth.shape)), 0, height - 1).astype(np.int64)
    column = np.clip(np.rint(column + rng.normal(0.0, deviation, depth.shape)), 0, width - 1).astype(np.int64)
    return depth[row, column]
