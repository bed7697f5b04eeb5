"""Quaternions (w first) and rotation matrices, batched, differentiable; single rotations about and between directions."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Vector = NDArray[np.float64]


def quaternions_to_matrices(quats: Tensor) -> Tensor:
    """Rotation matrices of quaternions.

    Args:
        quats: w-first quaternions of any length but zero  # [..., 4]

    Returns:
        Rotation matrices  # [..., 3, 3]
    """
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = (
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, dim=-1).reshape(*quats.shape[:-1], 3, 3)


def matrices_to_quaternions(matrices: Tensor) -> Tensor:
    """Unit quaternions (w first, w >= 0) of rotation matrices.

    Takes, of the four ways to divide, the one with the largest divisor (Shepperd 1978), so that no rotation angle is
    badly conditioned.

    Args:
        matrices: Rotation matrices  # [..., 3, 3]

    Returns:
        Quaternions  # [..., 4]
    """
    m = matrices
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]  # 4 w x, 4 w y, 4 w z
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]  # 4 x y, 4 x z, 4 y z
    rows = (
        (1 + xx + yy + zz, wx, wy, wz),
        (wx, 1 + xx - yy - zz, xy, xz),
        (wy, xy, 1 - xx + yy - zz, yz),
        (wz, xz, yz, 1 - xx - yy + zz),
    )
    candidates = torch.stack([torch.stack(row, -1) for row in rows], dim=-2)  # [..., 4, 4]; row k is 4 q_k q
    best = torch.stack([candidates[..., k, k] for k in range(4)], -1).argmax(-1)
    quats = torch.gather(candidates, -2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    quats = torch.nn.functional.normalize(quats, dim=-1)
    return torch.where(quats[..., :1] < 0, -quats, quats)


def multiply_quaternions(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product: first rotate by ``b``, then by ``a``.

    Args:
        a, b: w-first quaternions, broadcast against each other  # [..., 4]

    Returns:
        Products  # [..., 4]
    """
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def rotation_about(axis: Vector, angle: float) -> Tensor:
    """Rotation by an angle in radians, right-handed, about a unit vector  # [3, 3]"""
    half = torch.tensor([math.cos(angle / 2), *(math.sin(angle / 2) * axis)], dtype=torch.float64)
    return quaternions_to_matrices(half)


def rotation_between(start: Vector, end: Vector) -> Tensor:
    """The smallest rotation that takes one unit vector to another  # [3, 3]"""
    quaternion = np.array([1.0 + start @ end, *np.cross(start, end)])
    if quaternion[0] < 1e-9:  # opposite: half a turn about any axis across
        quaternion = np.array([0.0, *across(start)[0]])
    return quaternions_to_matrices(torch.from_numpy(quaternion))


def across(direction: Vector) -> tuple[Vector, Vector]:
    """Two unit vectors across a unit vector and each other  # [3] each"""
    first = np.cross(direction, np.eye(3)[int(np.abs(direction).argmin())])
    first /= np.linalg.norm(first)
    return first, np.cross(direction, first)
