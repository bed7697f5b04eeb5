"""Moving, turning, scaling and duplicating splats, with everything about them that has a direction."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.rotations import matrices_to_quaternions, multiply_quaternions
from scene_depth.spherical_harmonics import rotate_sh
from scene_depth.splats import GaussianSplats

SIMILARITY_TOLERANCE = 1e-3  # relative; matrices in files are often written with five or six digits
NORMALS = ("nx", "ny", "nz")


def similarity_matrix(
    rotation: Tensor | None = None, translation: Tensor | tuple[float, float, float] = (0.0, 0.0, 0.0), scale: float = 1.0
) -> Tensor:
    """Matrix that scales, then turns, then moves.

    Args:
        rotation: Rotation matrix; None for none  # [3, 3]
        translation: In scene units  # [3]
        scale: Positive factor.

    Returns:
        float64 matrix  # [4, 4]
    """
    matrix = torch.eye(4, dtype=torch.float64)
    if rotation is not None:
        matrix[:3, :3] = rotation
    matrix[:3, :3] *= scale
    matrix[:3, 3] = torch.as_tensor(translation, dtype=torch.float64)
    return matrix


def euler_rotation(x: float, y: float, z: float) -> Tensor:
    """Rotation about the fixed axes of the world, first x, then y, then z.

    Args:
        x, y, z: Angles in degrees, right-handed.

    Returns:
        float64 rotation matrix  # [3, 3]
    """
    matrix = torch.eye(3, dtype=torch.float64)
    for axis, degrees in enumerate((x, y, z)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = torch.eye(3, dtype=torch.float64)
        turn[i, i] = turn[j, j] = math.cos(math.radians(degrees))
        turn[j, i] = math.sin(math.radians(degrees))
        turn[i, j] = -turn[j, i]
        matrix = turn @ matrix
    return matrix


def transform_splats(splats: GaussianSplats, matrix: Tensor) -> GaussianSplats:
    """The splats after a similarity of the world: centres, rotations, sizes, view-dependent colours and normals.

    A mirror is a similarity too: a Gaussian looks the same from both ends of its axes, so the turned copy of it that
    the quaternion can express is the mirrored Gaussian.

    Args:
        splats: Splats in any precision; the result has the same.
        matrix: Maps old to new world points: s R and a translation, with the last row 0 0 0 1  # [4, 4]

    Returns:
        The transformed splats; the same value if the matrix is the identity. A comment on the vertical axis is dropped
        when the splats turn, one on their origin when they move.

    Raises:
        InputError: If the matrix is not a finite similarity.
    """
    matrix = torch.as_tensor(matrix, device=splats.device).to(torch.float64)
    rotation, scale = _split_similarity(matrix)
    if torch.equal(matrix, torch.eye(4, dtype=torch.float64, device=matrix.device)):
        return splats
    means = (splats.means.to(torch.float64) @ matrix[:3, :3].T + matrix[:3, 3]).to(splats.means)
    comments = tuple(line for line in splats.comments if not line.lower().startswith("origin "))  # it is another frame now
    turned = replace(splats, means=means, log_scales=splats.log_scales + math.log(scale), comments=comments)
    if torch.equal(rotation, torch.eye(3, dtype=torch.float64, device=matrix.device)):
        return turned
    quat = matrices_to_quaternions(rotation * torch.sign(torch.linalg.det(rotation)))
    return replace(
        turned,
        quats=multiply_quaternions(quat.to(splats.quats), splats.quats),
        sh=rotate_sh(splats.sh, rotation),
        extra=_turn_normals(splats.extra, rotation),
        comments=tuple(line for line in comments if not line.lower().startswith("vertical axis")),
    )


def _split_similarity(matrix: Tensor) -> tuple[Tensor, float]:
    """Nearest orthogonal matrix (rotation or mirror) and scale of a similarity."""
    accepted = "a finite 4x4 similarity: one uniform scale, rotation, translation, last row 0 0 0 1"
    if tuple(matrix.shape) != (4, 4):
        raise InputError("matrix", f"shape {tuple(matrix.shape)}", accepted)
    bottom = matrix.new_tensor([0.0, 0.0, 0.0, 1.0])
    if not bool(torch.isfinite(matrix).all()) or not torch.allclose(matrix[3], bottom, rtol=0, atol=1e-9):
        raise InputError("matrix", matrix.tolist(), accepted)
    left, stretch, right = torch.linalg.svd(matrix[:3, :3])
    if float(stretch[2]) <= 0 or float(stretch[0] / stretch[2]) > 1 + SIMILARITY_TOLERANCE:
        raise InputError("matrix", f"stretch by {[float(f'{s:.6g}') for s in stretch]} along its axes", accepted)
    scale = float(stretch.log().mean().exp())
    exact = matrix[:3, :3] / scale
    if torch.allclose(exact @ exact.T, torch.eye(3, dtype=exact.dtype, device=exact.device), rtol=0, atol=1e-12):
        return exact, scale  # no rounding of its own for what is a rotation already
    return left @ right, scale


def _turn_normals(extra: dict[str, Tensor], rotation: Tensor) -> dict[str, Tensor]:
    if not all(name in extra for name in NORMALS):
        return extra
    normals = torch.stack([extra[name] for name in NORMALS], dim=-1)
    turned = (normals.to(torch.float64) @ rotation.T).to(normals)
    return {**extra, **dict(zip(NORMALS, turned.unbind(-1), strict=True))}
