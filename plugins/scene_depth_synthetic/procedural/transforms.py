"""Affine maps as 3 x 4 matrices, from IEEE operations only (no BLAS), so that scenes have the same bits on every machine.

The world is right-handed with z up, in metres; angles are in radians.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scene_depth_synthetic.procedural.exact_math import sincos

Matrix = NDArray[np.float64]  # [3, 4]
Vector = Sequence[float]


def sine_cosine(angle: float) -> tuple[float, float]:
    """Sine and cosine of an angle in radians, with the same bits as in the kernels."""
    sine, cosine = sincos.py_func(angle)
    return float(sine), float(cosine)


def shift(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Matrix:
    """Translation."""
    return np.array([[1, 0, 0, x], [0, 1, 0, y], [0, 0, 1, z]], np.float64)


def stretch(x: float, y: float, z: float) -> Matrix:
    """Scaling along the axes."""
    return np.array([[x, 0, 0, 0], [0, y, 0, 0], [0, 0, z, 0]], np.float64)


def turn_x(angle: float) -> Matrix:
    """Rotation about x, from y to z."""
    s, c = sine_cosine(angle)
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0]], np.float64)


def turn_y(angle: float) -> Matrix:
    """Rotation about y, from z to x."""
    s, c = sine_cosine(angle)
    return np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 0]], np.float64)


def turn_z(angle: float) -> Matrix:
    """Rotation about z, from x to y: a yaw seen from above, counter-clockwise."""
    s, c = sine_cosine(angle)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0]], np.float64)


def compose(*matrices: Matrix) -> Matrix:
    """The map that applies the last matrix first."""
    result = matrices[0]
    for matrix in matrices[1:]:
        product = result[:, 0:1] * matrix[0] + result[:, 1:2] * matrix[1] + result[:, 2:3] * matrix[2]
        product[:, 3] += result[:, 3]
        result = product
    return result


def apply(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Maps points  # [..., 3]"""
    x, y, z = points[..., 0:1], points[..., 1:2], points[..., 2:3]
    return x * matrix[:, 0] + y * matrix[:, 1] + z * matrix[:, 2] + matrix[:, 3]


def invert(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse maps by cofactors  # [N, 3, 4]"""
    a, b, c, t = (matrices[:, :, k] for k in range(4))
    bc, ca, ab = cross(b, c), cross(c, a), cross(a, b)
    determinant = a[:, 0] * bc[:, 0] + a[:, 1] * bc[:, 1] + a[:, 2] * bc[:, 2]
    inverse = np.empty_like(matrices)
    for row, cofactors in enumerate((bc, ca, ab)):
        inverse[:, row, :3] = cofactors / determinant[:, None]
        inverse[:, row, 3] = -(inverse[:, row, 0] * t[:, 0] + inverse[:, row, 1] * t[:, 1] + inverse[:, row, 2] * t[:, 2])
    return inverse


def cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cross products  # [N, 3]"""
    return np.stack([a[:, i] * b[:, j] - a[:, j] * b[:, i] for i, j in ((1, 2), (2, 0), (0, 1))], axis=1)


def upright_along(start: Vector, end: Vector) -> tuple[Matrix, float]:
    """A rigid map that takes the origin to ``start`` and the z axis towards ``end``, and the distance of the two."""
    dx, dy, dz = (float(e) - float(s) for s, e in zip(start, end, strict=True))
    length = math.sqrt(dx * dx + dy * dy + dz * dz)
    z = (dx / length, dy / length, dz / length)
    across = (-z[1], z[0], 0.0) if abs(z[2]) < 0.9 else (0.0, -z[2], z[1])
    norm = math.sqrt(sum(v * v for v in across))
    x = [v / norm for v in across]
    y = (z[1] * x[2] - z[2] * x[1], z[2] * x[0] - z[0] * x[2], z[0] * x[1] - z[1] * x[0])
    return np.array([[x[k], y[k], z[k], float(start[k])] for k in range(3)], np.float64), length
