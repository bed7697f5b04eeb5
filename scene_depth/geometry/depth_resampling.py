"""Resizing measured depth: its points move, values are never mixed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]


def resize_sparse_depth(depth: Depth, width: int, height: int) -> Depth:
    """The same view with another number of pixels: each known pixel moves to where its centre falls.

    Where several fall into one pixel, the nearest to the camera wins; where none does, depth is unknown. Interpolation
    would invent surfaces between foreground and background, and between measured and unknown pixels.

    Args:
        depth: z-depth, 0 = unknown  # [H, W]
        width, height: New size.

    Returns:
        z-depth, 0 = unknown; every value is one of the input's  # [height, width]
    """
    scale = np.diag([width / depth.shape[1], height / depth.shape[0], 1.0])
    return move_sparse_depth(depth, np.eye(3), scale, width, height)


def move_sparse_depth(depth: Depth, K: NDArray[np.floating], target_K: NDArray[np.floating], width: int, height: int) -> Depth:
    """Depth as seen by a camera at the same place with other intrinsics; the nearest point of a pixel wins.

    Args:
        depth: z-depth, 0 = unknown  # [H, W]
        K: NDArray[np.floating] of ``depth``, first pixel centre at (0.5, 0.5)  # [3, 3]
        target_K: NDArray[np.floating] of the result  # [3, 3]
        width, height: Size of the result.

    Returns:
        z-depth, 0 = unknown; every value is one of the input's  # [height, width]
    """
    row, column = np.nonzero(depth > 0)
    z = depth[row, column]
    x = (column + 0.5 - K[0, 2]) / K[0, 0] * target_K[0, 0] + target_K[0, 2]
    y = (row + 0.5 - K[1, 2]) / K[1, 1] * target_K[1, 1] + target_K[1, 2]
    x, y = np.floor(x + 1e-9), np.floor(y + 1e-9)  # a centre on a pixel border falls to the right, whatever the rounding
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    pixel, z = (y * width + x)[inside].astype(np.intp), z[inside]
    moved = np.zeros(width * height, depth.dtype)
    order = np.argsort(-z, kind="stable")
    moved[pixel[order]] = z[order]  # the last of repeated indices stays: the nearest
    return moved.reshape(height, width)
