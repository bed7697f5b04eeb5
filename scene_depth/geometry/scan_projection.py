"""LiDAR points in the picture of a camera that stands beside the scanner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.cameras import Cameras

REACH = (9, 7)  # columns and rows to look for nearer points on each side, at the spacing of 64 beams in a picture 375 pixels high
REFERENCE_HEIGHT = 375
STRIP = (1, 3)  # rows beside a point that count as left and right of it, columns that count as above and below
FARTHER = 0.12


def project_scan(points: NDArray[np.floating], camera: Cameras, *, hide_behind: bool = True) -> NDArray[np.float32]:
    """The depth of scanned points in a camera's picture: of the nearest in every pixel, 0 where there is none  # [H, W]

    Args:
        points: In the frame of the camera's pose  # [N, 3]
        camera: One camera.
        hide_behind: Leave out points of surfaces behind what the camera sees, which the scanner saw from beside it.

    Example:
        >>> import scene_depth as sd
        >>> scene = sd.read_scene("scenes/table")
        >>> depth = sd.project_scan(scene.points.xyz, scene.views[0].camera)
        >>> depth.shape, bool(0.01 < (depth > 0).mean() < 0.06)
        ((240, 320), True)
    """
    pose, K = (matrices[0].double().cpu().numpy() for matrices in (camera.world_to_camera, camera.K))
    depth = scan_depth(points, pose, K, camera.width, camera.height)
    return np.where(shining_through(depth), np.float32(0), depth) if hide_behind else depth


def scan_depth(
    points: NDArray[np.floating], camera_from_scanner: NDArray[np.float64], K: NDArray[np.float64], width: int, height: int
) -> NDArray[np.float32]:
    """z-depth of the nearest point in every pixel, 0 where there is none  # [H, W]

    Args:
        points: In the scanner's frame, metres  # [N, 3]
        camera_from_scanner: Rigid  # [4, 4]
        K: Intrinsics, the centre of the first pixel at (0.5, 0.5)  # [3, 3]
        width, height: Of the picture.
    """
    seen = points.astype(np.float64) @ camera_from_scanner[:3, :3].T + camera_from_scanner[:3, 3]
    seen = seen[seen[:, 2] > 0]
    projected = seen @ K.T
    column = np.floor(projected[:, 0] / seen[:, 2])
    row = np.floor(projected[:, 1] / seen[:, 2])
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = (row[inside] * width + column[inside]).astype(np.int64)
    nearest = np.full(height * width, np.inf, np.float32)
    np.minimum.at(nearest, place, seen[inside, 2].astype(np.float32))
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32).reshape(height, width)


def shining_through(
    depth: NDArray[np.float32], farther: float = FARTHER, reach: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Points of surfaces that the camera cannot see: the scanner looks past a near object from another place, and what it sees
    there falls between the points of the object.

    A point is taken for hidden if nearer points stand on two opposite sides of it, left and right or above and below, so that a
    surface must run through in front of it. A background beside an object's outline has nearer points on one side only and stays,
    but for the three columns along an upright outline.

    Args:
        depth: Sparse z-depth, 0 = none  # [H, W]
        farther: Share by which a point must be farther than those on both sides.
        reach: Columns and rows to look on each side; by default scaled with the height of the picture.

    Returns:
        True = hidden  # [H, W]
    """
    scale = depth.shape[0] / REFERENCE_HEIGHT
    across, along = reach or (max(1, round(REACH[0] * scale)), max(1, round(REACH[1] * scale)))
    near = np.where(depth > 0, depth, np.inf).astype(np.float32)
    left, right = _beside(near, across, STRIP[0], axis=1)
    above, below = _beside(near, along, STRIP[1], axis=0)
    front = np.minimum(np.maximum(left, right), np.maximum(above, below))
    return (depth > 0) & (depth > (1 + farther) * front)


def _beside(near: NDArray[np.float32], reach: int, half: int, axis: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smallest depth in the ``reach`` pixels before and after each one along an axis, in a strip 2 half + 1 wide."""
    strip = ndimage.minimum_filter1d(near, 2 * half + 1, axis=1 - axis, mode="constant", cval=np.inf)
    padding = [(0, 0), (0, 0)]
    padding[axis] = (reach, reach)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(strip, padding, constant_values=np.inf), reach, axis=axis)
    lowest = windows.min(axis=-1)  # at j: of the padded pixels j to j + reach - 1
    length = near.shape[axis]
    return lowest.take(range(length), axis), lowest.take(range(reach + 1, reach + 1 + length), axis)
