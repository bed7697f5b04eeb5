"""Boxes around the footprints of splats, one pass over them."""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import EXACT, kernel

ONE = np.float32(1)


@kernel(EXACT)
def bound_rows(
    first, end, rotation, center, means, scale, reach, drawn, lens, size, beyond, blur, rounding, near, nearest, bounds
):
    """Boxes of the splats ``first <= i < end``; see ``rendering.bounds.Footprints.bounds``, which says what is what.

    Args:
        rotation, center: Of the camera, axes as columns  # [3, 3], [3]
        means, scale, reach, drawn: The footprints  # [N, 3], [N], [N], [N]
        lens: Focal length and principal point along x, and along y  # [2, 2]
        size: Width and height  # [2]
        beyond, blur, rounding: Constants of that module.
        near: z-depth that is divided by at least.
        nearest: z-depth from which a splat is drawn.
        bounds: The result: left, top, right, bottom  # [4, N]
    """
    for i in range(first, end):
        x, y, z = means[i, 0] - center[0], means[i, 1] - center[1], means[i, 2] - center[2]
        depth = rotation[0, 2] * x + rotation[1, 2] * y + rotation[2, 2] * z
        seen = drawn[i] and depth > nearest
        inverse = ONE / max(depth, near)
        for axis in range(2):
            slope = (rotation[0, axis] * x + rotation[1, axis] * y + rotation[2, axis] * z) * inverse
            focal, principal = lens[axis, 0], lens[axis, 1]
            low = (-principal - beyond * size[axis]) / focal
            high = (size[axis] - principal + beyond * size[axis]) / focal
            limited = min(max(slope, low), high)
            deviation = scale[i] * inverse * focal
            radius = np.sqrt(deviation * deviation * (limited * limited + ONE) + blur) * reach[i] + rounding
            pixel = slope * focal + principal
            bounds[axis, i] = pixel - radius if seen else np.float32(np.inf)
            bounds[axis + 2, i] = pixel + radius if seen else np.float32(-np.inf)
