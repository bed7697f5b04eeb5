"""Surface normals of depth maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError

BAND_PIXELS = 1 << 20  # of the rows that are worked on at a time, so that memory stays small
CREASE = 0.01  # relative change of the slope per pixel beyond which a pixel takes the smoother of its two sides


def normals_from_depth(
    depth: NDArray[np.floating], camera: Cameras, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Unit normals in the camera's OpenCV frame, towards the camera.

    On a plane n . X = d the inverse depth u is affine in the pixel: n / d = (fx u_x, fy u_y, u - (x - cx) u_x - (y - cy) u_y).
    So planes come out exactly, whatever the differences u_x, u_y are taken over. Central differences are used; where
    both sides disagree (creases, occlusions) the flatter side alone.

    Args:
        depth: z-depth in any unit  # [H, W]
        camera: One camera of the same size.
        valid: Pixels that may be looked at; finite positive depth by default  # [H, W]

    Returns:
        Normals; zero vectors where not valid  # [H, W, 3]

    Raises:
        InputError: If the sizes differ or there is not one camera.
    """
    height, width = depth.shape
    if len(camera) != 1 or (camera.height, camera.width) != (height, width):
        raise InputError("camera", f"{len(camera)} cameras of {camera.width} x {camera.height}", f"one of {width} x {height}")
    usable = np.isfinite(depth) & (depth > 0)
    valid = usable if valid is None else valid & usable
    if not valid.any():
        return np.zeros((height, width, 3), dtype=np.float32)
    middle = np.median(depth[valid])
    K = camera.K[0].double().cpu().numpy()
    normals = np.empty((height, width, 3), dtype=np.float32)
    rows = max(BAND_PIXELS // width, 1)
    for top in range(0, height, rows):
        bottom, first = min(top + rows, height), max(top - 1, 0)
        around = slice(first, bottom + 1)
        found = _normals(depth[around], valid[around], middle, K, first)
        normals[top:bottom] = found[top - first : bottom - first]
    return normals


def _normals(
    depth: NDArray[np.floating], valid: NDArray[np.bool_], middle: np.floating, K: NDArray[np.float64], first: int
) -> NDArray[np.float32]:
    """Normals of rows from the row ``first`` on, with inverse depth relative to ``middle``."""
    u = np.zeros(depth.shape)
    u[valid] = middle / depth[valid].astype(np.float64)
    slope_x = _slope(u, valid)
    slope_y = _slope(u.T, valid.T).T
    x = np.arange(depth.shape[1]) + 0.5 - K[0, 2]
    y = np.arange(first, first + len(depth))[:, None] + 0.5 - K[1, 2]
    normals = np.stack([-K[0, 0] * slope_x, -K[1, 1] * slope_y, x * slope_x + y * slope_y - u], axis=-1)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(valid[..., None], normals / np.maximum(length, 1e-30), 0.0).astype(np.float32)


def _slope(u: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Derivative along the columns' direction; one-sided where one side is missing or much steeper, 0 where both are."""
    step = np.diff(u, axis=1)
    usable = valid[:, 1:] & valid[:, :-1]
    forward, backward = np.zeros_like(u), np.zeros_like(u)
    forward[:, :-1], backward[:, 1:] = step, step
    has_forward, has_backward = np.zeros_like(valid), np.zeros_like(valid)
    has_forward[:, :-1], has_backward[:, 1:] = usable, usable
    both = has_forward & has_backward
    flatter = np.where(np.abs(forward) <= np.abs(backward), forward, backward)
    smooth = np.abs(forward - backward) <= CREASE * u
    two_sided = np.where(smooth, 0.5 * (forward + backward), flatter)
    return np.where(both, two_sided, np.where(has_forward, forward, np.where(has_backward, backward, 0.0)))
