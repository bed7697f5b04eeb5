"""The geometry of a splat in a camera, 16 splats at a time: what projection and its adjoint both compute.

Zwicker et al., EWA Splatting (2002), section 6, in the form of 3D Gaussian splatting: with W the rotation into the camera,
J the Jacobian of the projection, R and S rotation and scales of the splat, the footprint's covariance is U U^T + blur,
U = J W R S, a 2 x 3 matrix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import BARE, inlined
from scene_depth.kernels.simd import maximum, minimum, square_root
from scene_depth.rendering.cpu import layout
from scene_depth.rendering.cpu.layout import COVARIANCE_BLUR, FOCAL_X, FOCAL_Y, ROTATION

Doubles = NDArray[np.float64]


@inlined(BARE)
def into_camera(x, y, z, camera):
    """World offsets from the camera's position, in the camera's axes."""
    return (
        camera[ROTATION] * x + camera[ROTATION + 1] * y + camera[ROTATION + 2] * z,
        camera[ROTATION + 3] * x + camera[ROTATION + 4] * y + camera[ROTATION + 5] * z,
        camera[ROTATION + 6] * x + camera[ROTATION + 7] * y + camera[ROTATION + 8] * z,
    )


@inlined(BARE)
def clamped_slopes(slope_x, slope_y, camera):
    """x/z and y/z as the Jacobian takes them: no further outside the image than 15 % of its size."""
    return (
        minimum(maximum(slope_x, camera[layout.LIMIT_LEFT]), camera[layout.LIMIT_RIGHT]),
        minimum(maximum(slope_y, camera[layout.LIMIT_TOP]), camera[layout.LIMIT_BOTTOM]),
    )


@inlined(BARE)
def projection_rows(inverse_z, slope_x, slope_y, camera):
    """J W, a 2 x 3 matrix row by row."""
    xx = camera[FOCAL_X] * inverse_z
    xz = -xx * slope_x
    yy = camera[FOCAL_Y] * inverse_z
    yz = -yy * slope_y
    return (
        xx * camera[ROTATION] + xz * camera[ROTATION + 6],
        xx * camera[ROTATION + 1] + xz * camera[ROTATION + 7],
        xx * camera[ROTATION + 2] + xz * camera[ROTATION + 8],
        yy * camera[ROTATION + 3] + yz * camera[ROTATION + 6],
        yy * camera[ROTATION + 4] + yz * camera[ROTATION + 7],
        yy * camera[ROTATION + 5] + yz * camera[ROTATION + 8],
    )


@inlined(BARE)
def unit_quaternion(w, x, y, z):
    """The quaternion divided by its length, and one over that length."""
    inverse_length = 1.0 / square_root(w * w + x * x + y * y + z * z)
    return w * inverse_length, x * inverse_length, y * inverse_length, z * inverse_length, inverse_length


@inlined(BARE)
def rotation_matrix(w, x, y, z):
    """Rotation of a unit quaternion, row by row."""
    return (
        1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - w * z), 2.0 * (x * z + w * y),
        2.0 * (x * y + w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - w * x),
        2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y),
    )  # fmt: skip


@inlined(BARE)
def rows_times_matrix(t, r):
    """Product of a 2 x 3 and a 3 x 3 matrix."""
    return (
        t[0] * r[0] + t[1] * r[3] + t[2] * r[6],
        t[0] * r[1] + t[1] * r[4] + t[2] * r[7],
        t[0] * r[2] + t[1] * r[5] + t[2] * r[8],
        t[3] * r[0] + t[4] * r[3] + t[5] * r[6],
        t[3] * r[1] + t[4] * r[4] + t[5] * r[7],
        t[3] * r[2] + t[4] * r[5] + t[5] * r[8],
    )


@inlined(BARE)
def footprint(u):
    """Covariance U U^T + blur as xx, yy, xy, its determinant, and the determinant without the blur.

    The determinant comes from the cross product of U's rows, not from xx * yy - xy^2, which cancels for thin splats.
    """
    xx = u[0] * u[0] + u[1] * u[1] + u[2] * u[2]
    yy = u[3] * u[3] + u[4] * u[4] + u[5] * u[5]
    xy = u[0] * u[3] + u[1] * u[4] + u[2] * u[5]
    cross_x = u[1] * u[5] - u[2] * u[4]
    cross_y = u[2] * u[3] - u[0] * u[5]
    cross_z = u[0] * u[4] - u[1] * u[3]
    sharp = cross_x * cross_x + cross_y * cross_y + cross_z * cross_z
    blurred = sharp + COVARIANCE_BLUR * (xx + yy) + COVARIANCE_BLUR * COVARIANCE_BLUR
    return xx + COVARIANCE_BLUR, yy + COVARIANCE_BLUR, xy, blurred, sharp


@inlined(BARE)
def unit_direction(x, y, z):
    """The vector divided by its length, and one over that length."""
    inverse_length = 1.0 / square_root(x * x + y * y + z * z)
    return x * inverse_length, y * inverse_length, z * inverse_length, inverse_length


def pack_camera(
    rotation: Doubles,
    position: Doubles,
    K: Doubles,
    size: tuple[int, int],
    near: float,
    far: float,
    region: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """The camera as kernels read it.

    Args:
        rotation: World to camera  # [3, 3]
        position: Of the camera in the world  # [3]
        K: Intrinsics in pixels  # [3, 3]
        size: Width and height in pixels.
        near: z-depth in front of which nothing is drawn.
        far: z-depth behind which nothing is drawn.
        region: The part of the picture that is drawn, left, top, right, bottom, in pixels.

    Returns:
        float32 numbers in the order of ``layout``  # [26]
    """
    (width, height), (fx, fy), (cx, cy) = size, (K[0, 0], K[1, 1]), (K[0, 2], K[1, 2])
    margin_x, margin_y = 0.15 * width / fx, 0.15 * height / fy
    limits = [-cx / fx - margin_x, (width - cx) / fx + margin_x, -cy / fy - margin_y, (height - cy) / fy + margin_y]
    return np.array([fx, fy, cx, cy, *rotation.ravel(), *position, *limits, near, far, *region], np.float32)
