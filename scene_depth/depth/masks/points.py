"""Masks of scattered measurements: random pixels, feature points, LiDAR scan lines, patches. True = known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError

NOMINAL_FOV_X = math.radians(60.0)  # used where no intrinsics are given; a common RGB-D camera
HDL64_AZIMUTH_STEP = math.radians(0.2)  # a 64-beam scanner at about 10 turns a second


def random_share(shape: tuple[int, int], seed: int, share: float = 0.1) -> NDArray[np.bool_]:
    """Independent random pixels; exactly ``round(share * pixels)`` of them, at least one.

    Args:
        shape: (H, W).
        seed: Seed of the choice.
        share: Share of pixels that are known, in (0, 1].

    Returns:
        True = known  # [H, W]
    """
    _check_share("share", share)
    return random_points(shape, seed, max(1, round(share * shape[0] * shape[1])))


def random_points(
    shape: tuple[int, int], seed: int, count: int = 500, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """A number of random pixels, as in the 500-point protocol of NYUv2 (Ma and Karaman 2018).

    Args:
        shape: (H, W).
        seed: Seed of the choice.
        count: Number of known pixels; all eligible ones if there are fewer.
        valid: Pixels that may be chosen; all by default  # [H, W]

    Returns:
        True = known  # [H, W]
    """
    if count < 1:
        raise InputError("count", count, "at least 1")
    eligible = np.arange(shape[0] * shape[1]) if valid is None else np.flatnonzero(valid)
    chosen = np.random.default_rng(seed).permutation(eligible)[:count]
    known = np.zeros(shape, dtype=bool)
    known.flat[chosen] = True
    return known


def sparse_points(shape: tuple[int, int], seed: int, lowest: float = 0.001, highest: float = 0.02) -> NDArray[np.bool_]:
    """Random pixels of a random share, by default the 0.1 to 2 % of DepthLab's training masks.

    Args:
        shape: (H, W).
        seed: Seed of share and choice.
        lowest, highest: Range of the share.

    Returns:
        True = known  # [H, W]
    """
    _check_share("lowest", lowest)
    _check_share("highest", highest)
    rng = np.random.default_rng(seed)
    return random_share(shape, int(rng.integers(2**31)), float(rng.uniform(lowest, highest)))


def lidar_lines(
    shape: tuple[int, int],
    seed: int,
    beams: int = 64,
    camera: Cameras | None = None,
    azimuth_step: float = HDL64_AZIMUTH_STEP,
    largest_roll: float = math.radians(2.0),
    dropout: float = 0.1,
) -> NDArray[np.bool_]:
    """The pixels that a spinning LiDAR beside the camera would hit: ``beams`` lines in equal steps of elevation.

    The lines cover the whole height of the picture. Away from the optical axis they bend, as real scan lines do, since
    a beam sweeps a cone and not a plane.

    Args:
        shape: (H, W).
        seed: Seed of roll, phase and dropout.
        beams: Number of scan lines.
        camera: Intrinsics; a centred camera of 60 degrees horizontal field of view by default.
        azimuth_step: Angle between two measurements of one line in radians.
        largest_roll: Largest rotation about the optical axis in radians.
        dropout: Share of beams that return nothing.

    Returns:
        True = known  # [H, W]
    """
    if beams < 1 or azimuth_step <= 0 or not 0 <= dropout < 1:
        raise InputError(
            "lidar_lines",
            f"beams {beams}, azimuth_step {azimuth_step}, dropout {dropout}",
            "beams >= 1, step > 0, dropout in [0, 1)",
        )
    rng = np.random.default_rng(seed)
    fx, fy, cx, cy = intrinsics(shape, camera)
    roll = rng.uniform(-largest_roll, largest_roll)
    half_x = max(cx, shape[1] - cx) / fx
    half_y = max(cy, shape[0] - cy) / fy
    reach = math.atan(math.hypot(half_x, half_y))  # lines must still fill the corners after the roll
    top, bottom = math.atan(cy / fy), -math.atan((shape[0] - cy) / fy)
    step = (top - bottom) / beams
    first = bottom + step * rng.uniform(0.2, 0.8)
    outside = math.ceil(half_x * math.tan(abs(roll)) / step) + beams  # bent and rolled lines enter from beyond the picture
    elevation = first + step * np.arange(-outside, beams + outside)
    elevation = elevation[np.abs(elevation) < math.radians(89.0)]
    azimuth = np.arange(-reach, reach, azimuth_step) + rng.uniform(0, azimuth_step)
    azimuth, elevation = np.meshgrid(azimuth, elevation)
    ray = np.stack([np.tan(azimuth), -np.tan(elevation) / np.cos(azimuth)])
    turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    x, y = np.einsum("ij,jbn->ibn", turn, ray)
    column, row = np.floor(x * fx + cx).ravel(), np.floor(y * fy + cy).ravel()
    inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0]) & (rng.random(column.size) >= dropout)
    known = np.zeros(shape, dtype=bool)
    known[row[inside].astype(int), column[inside].astype(int)] = True
    return known


def patches(
    shape: tuple[int, int], seed: int, share: float = 0.05, smallest: float = 0.04, largest: float = 0.1
) -> NDArray[np.bool_]:
    """Known squares at random places until a share of the image is known: the contiguous reading of "known ratio".

    Args:
        shape: (H, W).
        seed: Seed of places and sizes.
        share: Share of known pixels to reach, in (0, 1]; the last square may pass it.
        smallest, largest: Side of a square relative to the height.

    Returns:
        True = known  # [H, W]
    """
    _check_share("share", share)
    rng = np.random.default_rng(seed)
    known = np.zeros(shape, dtype=bool)
    while known.mean() < share:
        side = max(1, round(rng.uniform(smallest, largest) * shape[0]))
        row = int(rng.integers(0, max(1, shape[0] - side + 1)))
        column = int(rng.integers(0, max(1, shape[1] - side + 1)))
        known[row : row + side, column : column + side] = True
    return known


def intrinsics(shape: tuple[int, int], camera: Cameras | None) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels; nominal ones without a camera."""
    if camera is None:
        focal = 0.5 * shape[1] / math.tan(0.5 * NOMINAL_FOV_X)
        return focal, focal, 0.5 * shape[1], 0.5 * shape[0]
    if len(camera) != 1 or (camera.height, camera.width) != tuple(shape):
        raise InputError(
            "camera", f"{len(camera)} cameras of {camera.width} x {camera.height}", f"one of {shape[1]} x {shape[0]}"
        )
    K = camera.K[0].tolist()
    return K[0][0], K[1][1], K[0][2], K[1][2]


def _check_share(name: str, share: float) -> None:
    if not 0 < share <= 1:
        raise InputError(name, share, "a share in (0, 1]")
