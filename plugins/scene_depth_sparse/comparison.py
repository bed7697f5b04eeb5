"""Depth of one view against that of another: the question of ``scene_depth.geometry.visibility``, for whole maps at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.kernels import EXACT, kernel

ALL_PAIRS = 20  # views up to which every one is compared with every other
NEIGHBOURS = 8  # others that a view is compared with in larger runs
COARSE = 24  # points along each side of a view that its neighbours are found by
SAME_PLACE = 0.25  # relative difference of depth up to which a coarse point may be what the other view sees
Pairs = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class PosedDepth:
    """Depth of one view with its camera as plain arrays.

    Attributes:
        depth: z-depth, 0 = none  # [H, W] float32
        pose: Camera-to-world  # [4, 4]
        K: Intrinsics  # [3, 3]
    """

    depth: NDArray[np.float32]
    pose: NDArray[np.float64]
    K: NDArray[np.float64]

    @classmethod
    def of(cls, depth: NDArray[np.float32], camera: Cameras) -> PosedDepth:
        """The depth of one camera."""
        return cls(depth, camera.camera_to_world[0].double().numpy(), camera.K[0].double().numpy())


def compare_depth(view: PosedDepth, other: PosedDepth, stride: int = 1) -> NDArray[np.float32]:
    """How far the surface of each pixel lies behind the one that another view sees there, relative to its distance.

    As in ``sight``, the nearest of the four pixels around the projection counts.

    Args:
        view: View whose pixels are asked for.
        other: View that they are compared with.
        stride: Only every n-th row and column is asked for.

    Returns:
        (z - surface) / z, negative in front of the other view's surface; NaN outside its picture, behind it, and where
        either depth is unknown  # [H, W]
    """
    depth = np.ascontiguousarray(view.depth[::stride, ::stride])
    found = np.full(depth.shape, np.nan, np.float32)
    relative = np.linalg.inv(other.pose) @ view.pose
    _compare(depth, relative, view.K, np.ascontiguousarray(other.depth), other.K, stride, found)
    return found


@kernel(EXACT)
def _compare(
    depth: NDArray[np.float32],
    relative: NDArray[np.float64],
    K: NDArray[np.float64],
    other: NDArray[np.float32],
    other_K: NDArray[np.float64],
    stride: int,
    found: NDArray[np.float32],
) -> None:
    height, width = other.shape
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            z = np.float64(depth[row, column])
            if z <= 0:
                continue
            x = (column * stride + 0.5 - K[0, 2]) / K[0, 0] * z
            y = (row * stride + 0.5 - K[1, 2]) / K[1, 1] * z
            far = relative[2, 0] * x + relative[2, 1] * y + relative[2, 2] * z + relative[2, 3]
            if far <= 0:
                continue
            u = (relative[0, 0] * x + relative[0, 1] * y + relative[0, 2] * z + relative[0, 3]) / far * other_K[0, 0]
            v = (relative[1, 0] * x + relative[1, 1] * y + relative[1, 2] * z + relative[1, 3]) / far * other_K[1, 1]
            u, v = u + other_K[0, 2], v + other_K[1, 2]
            if not (0 <= u < width and 0 <= v < height):
                continue
            left, top = int(np.floor(u - 0.5)), int(np.floor(v - 0.5))
            nearest = 0.0
            for dy in range(2):
                for dx in range(2):
                    near = other[min(max(top + dy, 0), height - 1), min(max(left + dx, 0), width - 1)]
                    if near > 0 and (nearest == 0 or abs(near - far) < abs(nearest - far)):
                        nearest = near
            if nearest > 0:
                found[row, column] = (far - nearest) / far


def find_neighbours(views: Sequence[PosedDepth], all_pairs: int = ALL_PAIRS, most: int = NEIGHBOURS) -> Pairs:
    """Which views each one is compared with: all others in small runs, else those that see most of what it sees.

    Args:
        views: All views of a run.
        all_pairs: Number of views up to which all are taken.
        most: Number of neighbours in larger runs.

    Returns:
        Indices of the others for each view, those that see most of it first.
    """
    if len(views) <= all_pairs:
        return tuple(tuple(j for j in range(len(views)) if j != i) for i in range(len(views)))
    chosen = []
    for i, view in enumerate(views):
        stride = max(1, max(view.depth.shape) // COARSE)
        shares = np.zeros(len(views))
        for j, other in enumerate(views):
            if j != i:
                shares[j] = np.mean(np.abs(compare_depth(view, other, stride)) < SAME_PLACE)
        chosen.append(tuple(int(j) for j in np.argsort(-shares, kind="stable")[:most] if shares[j] > 0))
    return tuple(chosen)
