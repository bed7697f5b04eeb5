"""Filled depth brought onto the planes that the known depth around the hole lies on.

Completed depth hangs on the pixels at the border of the hole, where rendered splats are thick and blurred. A floor that is
one per cent off there looks right in its own view, and out of step with its pattern in every other. The same floor is known
in thousands of other pixels: the plane fitted to those is several times more accurate.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.seam import measure_seam
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.geometry.planes import Plane, camera_points, fitted_plane, plane_depth, planes_of

EVEN = 0.008  # largest distance of known pixels from a plane, relative to the depth, as a robust standard deviation
MAD_TO_SIGMA = 1.4826
TUKEY = 4.7  # standard deviations beyond which a pixel has no weight: 95 % efficiency for normal errors
ROUNDS = 10


def on_planes(prediction: DepthPrediction, known: NDArray[np.bool_], camera: Cameras, seed: int = 0) -> DepthPrediction:
    """The prediction with those parts of the hole put onto planes that lie close to them.

    Only planes count that are known in at least as many pixels as they have in the hole, and are even there.

    Args:
        prediction: Of ``inpaint_depth``.
        known: Pixels whose depth stays as it is, bit for bit  # [H, W]
        camera: The one camera of the view.
        seed: Of the search for planes.

    Returns:
        The prediction with normals and seam of the new depth; ``details["planes"]`` has the pixels that each plane moved and
        the deviation of its known ones, relative to the depth.
    """
    depth = prediction.depth.copy()
    points, rays = camera_points(depth, camera), camera_points(np.ones(known.shape), camera)
    used = []
    for plane in planes_of(prediction.depth, ~known, camera, seed):
        inside = plane.pixels & known
        if inside.sum() < (plane.pixels & ~known).sum():
            continue
        normal, offset, deviation = robust_plane(plane, points[inside])
        if deviation > EVEN:
            continue
        exact = plane_depth(normal, offset, rays)
        moved = plane.pixels & ~known & np.isfinite(exact)
        depth[moved] = exact[moved]
        used.append({"pixels": int(moved.sum()), "deviation": deviation})
    return replace(
        prediction,
        depth=depth,
        normals=normals_from_depth(depth, camera),
        seam=measure_seam(depth, known, camera),
        details={**prediction.details, "planes": used},
    )


def robust_plane(plane: Plane, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """A plane fitted to points with outliers, by iteratively reweighted least squares (Tukey's biweight).

    Args:
        plane: A first guess.
        points: In the camera frame  # [N, 3]

    Returns:
        Unit normal  # [3]; offset; robust standard deviation of the points' distance, relative to their depth
    """
    trust = np.ones(len(points))
    normal, offset, deviation = plane.normal, plane.offset, np.inf
    for _ in range(ROUNDS):
        normal, offset = fitted_plane(points, points[:, 2], plane.normal, trust)
        off = (points @ normal - offset) / points[:, 2]
        deviation = MAD_TO_SIGMA * float(np.median(np.abs(off))) + 1e-9
        trust = np.clip(1 - (off / (TUKEY * deviation)) ** 2, 0, 1) ** 2
    return normal, offset, deviation
