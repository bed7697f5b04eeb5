"""Real spherical harmonics of degree 0 to 3 in the sign convention of 3D Gaussian splatting: evaluate and rotate.

The basis is that of Kerbl et al. 2023 (and of Plenoxels before it): coefficient 1 belongs to -y, 2 to z, 3 to -x.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from scene_depth.errors import InputError

C0 = 0.5 / math.sqrt(math.pi)
C1 = math.sqrt(3 / (4 * math.pi))
C2 = (math.sqrt(15 / (4 * math.pi)), math.sqrt(5 / (16 * math.pi)), math.sqrt(15 / (16 * math.pi)))
C3 = (
    math.sqrt(35 / (32 * math.pi)),
    math.sqrt(105 / (4 * math.pi)),
    math.sqrt(21 / (32 * math.pi)),
    math.sqrt(7 / (16 * math.pi)),
    math.sqrt(105 / (16 * math.pi)),
)
SAMPLES = 64  # directions that pin down the seven functions of degree 3 with a condition number near 1


def sh_basis(degree: int, directions: Tensor) -> Tensor:
    """Values of all basis functions up to a degree.

    Args:
        degree: 0 to 3.
        directions: Unit vectors in the world, from the camera to the splat  # [..., 3]

    Returns:
        Basis values, K = (degree + 1)^2  # [..., K]

    Raises:
        InputError: If the degree is not 0 to 3.
    """
    if degree not in (0, 1, 2, 3):
        raise InputError("degree", degree, "0, 1, 2 or 3")
    x, y, z = directions.unbind(-1)
    values = [torch.full_like(x, C0)]
    if degree >= 1:
        values += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        values += [C2[0] * x * y, -C2[0] * y * z, C2[1] * (2 * zz - xx - yy), -C2[0] * x * z, C2[2] * (xx - yy)]
    if degree >= 3:
        values += [
            -C3[0] * y * (3 * xx - yy),
            C3[1] * x * y * z,
            -C3[2] * y * (4 * zz - xx - yy),
            C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            -C3[2] * x * (4 * zz - xx - yy),
            C3[4] * z * (xx - yy),
            -C3[0] * x * (xx - 3 * yy),
        ]
    return torch.stack(values, dim=-1)


def sh_rotation(degree: int, rotation: Tensor) -> Tensor:
    """Matrix that turns coefficients with the world: the colour seen along R d afterwards is that seen along d before.

    Each band is a space of its own under rotation, so the matrix is block diagonal with blocks of 1, 3, 5 and 7. A
    block follows from the values of the band's functions on fixed directions p and on R^T p; as the functions of a
    band span a finite space this is exact, for the basis as it is defined above and for mirrors too.

    Args:
        degree: 0 to 3.
        rotation: Orthogonal matrix R, rotation or mirror  # [3, 3]

    Returns:
        float64 matrix D; new coefficients are D times old ones  # [K, K]
    """
    rotation = rotation.to(torch.float64)
    points = _sample_directions().to(rotation.device)
    before, after = sh_basis(degree, points), sh_basis(degree, points @ rotation)  # rows of the second: R^T p
    matrix = rotation.new_zeros(before.shape[1], before.shape[1])
    for band in range(degree + 1):
        block = slice(band * band, (band + 1) ** 2)
        matrix[block, block] = torch.linalg.lstsq(before[:, block], after[:, block]).solution
    return matrix


def rotate_sh(sh: Tensor, rotation: Tensor) -> Tensor:
    """Coefficients of splats that turn with the world.

    Args:
        sh: Coefficients of RGB, K = 1, 4, 9 or 16  # [N, K, 3]
        rotation: Orthogonal matrix, rotation or mirror  # [3, 3]

    Returns:
        Turned coefficients; those of degree 0 are unchanged to the bit  # [N, K, 3]
    """
    degree = round(sh.shape[1] ** 0.5) - 1
    matrix = sh_rotation(degree, rotation).to(sh)
    turned = [sh[:, :1]]
    for band in range(1, degree + 1):
        block = slice(band * band, (band + 1) ** 2)
        turned.append(torch.einsum("kl,nlc->nkc", matrix[block, block], sh[:, block]))
    return torch.cat(turned, dim=1)


def _sample_directions() -> Tensor:
    """Directions spread evenly over the sphere by the golden-angle spiral  # [SAMPLES, 3]"""
    index = torch.arange(SAMPLES, dtype=torch.float64) + 0.5
    z = 1 - 2 * index / SAMPLES
    angle = index * (math.pi * (3 - math.sqrt(5)))
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], dim=-1)
