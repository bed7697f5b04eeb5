"""Surface normals of depth maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.kernels import EXACT, inlined, kernel, run_rows

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
    middle = float(np.median(depth[valid]))
    K = camera.K[0].double().cpu().numpy()
    depth = np.ascontiguousarray(depth, np.float32 if depth.dtype == np.float32 else np.float64)
    normals = np.empty((height, width, 3), dtype=np.float32)
    valid = np.ascontiguousarray(valid)
    run_rows(_normal_rows, 0, height, width, depth, valid, middle, K[0, 0], K[1, 1], K[0, 2], K[1, 2], normals)
    return normals


@kernel(EXACT)
def _normal_rows(first, end, depth, valid, middle, fx, fy, cx, cy, normals):
    """Normals of some rows, with inverse depth relative to ``middle``."""
    width = depth.shape[1]
    for y in range(first, end):
        for x in range(width):
            if not valid[y, x]:
                normals[y, x] = 0
                continue
            u = middle / np.float64(depth[y, x])
            slope_x = _slope(depth, valid, middle, u, y, x - 1, y, x + 1)
            slope_y = _slope(depth, valid, middle, u, y - 1, x, y + 1, x)
            a, b = -fx * slope_x, -fy * slope_y
            c = (x + 0.5 - cx) * slope_x + (y + 0.5 - cy) * slope_y - u
            length = max(np.sqrt(a * a + b * b + c * c), 1e-30)
            normals[y, x, 0], normals[y, x, 1], normals[y, x, 2] = a / length, b / length, c / length


@inlined(EXACT)
def _slope(depth, valid, middle, u, back_y, back_x, ahead_y, ahead_x):
    """Change of inverse depth per pixel; one-sided where one side is missing or much steeper, 0 where both are missing."""
    has_back = back_y >= 0 and back_x >= 0 and valid[back_y, back_x]
    has_ahead = ahead_y < depth.shape[0] and ahead_x < depth.shape[1] and valid[ahead_y, ahead_x]
    backward = u - middle / np.float64(depth[back_y, back_x]) if has_back else 0.0
    forward = middle / np.float64(depth[ahead_y, ahead_x]) - u if has_ahead else 0.0
    if has_back and has_ahead:
        if abs(forward - backward) <= CREASE * u:
            return 0.5 * (forward + backward)
        return forward if abs(forward) <= abs(backward) else backward
    return forward if has_ahead else backward
