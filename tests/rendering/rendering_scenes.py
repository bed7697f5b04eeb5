"""The comparison with gsplat's reference, and the formulas of rendering written densely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks import rasterizer_accuracy
from benchmarks.gsplat_reference import ReferenceMissing
from benchmarks.rasterizer_accuracy import Comparison
from scene_depth.cameras import Cameras
from scene_depth.rendering import Render
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.spherical_harmonics import sh_basis
from scene_depth.splats import GaussianSplats


def compare_with_reference(splats: GaussianSplats, cameras: Cameras, **options: Any) -> Comparison:
    """Errors of images and gradients against gsplat 1.5.3; skips the test where that is absent."""
    try:
        return rasterizer_accuracy.compare_with_reference(splats, cameras, **options)
    except ReferenceMissing as missing:
        pytest.skip(str(missing))


def assert_agrees(comparison: Comparison) -> None:
    """The tolerance of the acceptance: almost all pixels to rounding, a few may fall on the other side of a threshold."""
    assert (comparison.colors <= 1e-5).double().mean() >= 0.9999
    assert comparison.colors.max() <= 4 / 255
    assert (comparison.alpha <= 1e-5).double().mean() >= 0.9999
    assert (comparison.depth <= 1e-4).double().mean() >= 0.999
    for name, errors in comparison.gradients.items():
        middle, most = errors.quantile(0.5), errors.quantile(0.9)
        assert middle <= 1e-5, (name, middle)
        assert most <= 1e-4, (name, most)
    assert comparison.spurious == 0
    assert comparison.pose <= 1e-3


@dataclass(frozen=True)
class DenseRender:
    """What the formulas give for one camera, and where rounding decides what they give.

    Attributes:
        rgb: Colour over black  # [H, W, 3]
        alpha: Opacity  # [H, W]
        depth: Mean z-depth, 0 where alpha is 0  # [H, W]
        median_depth: z-depth of the splat at which the transmittance falls to 1/2, or 0  # [H, W]
        sure: Whether no splat's alpha and no transmittance at the pixel lies so near to a threshold, and no two of its
            splats so near to one depth, that rounding could decide  # [H, W] bool
        median_sure: The same for the threshold of the median depth  # [H, W] bool
        smooth: Whether a splat's colour is not at the clamp at 0, nor its direction at the edge beyond which the Jacobian
            stays constant  # [N] bool
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    median_depth: Tensor
    sure: Tensor
    median_sure: Tensor
    smooth: Tensor


def render_densely(splats: GaussianSplats, cameras: Cameras, antialiased: bool) -> DenseRender:
    """The formulas of 3D Gaussian splatting for every pair of pixel and splat of one camera, for autograd."""
    width, height, K = cameras.width, cameras.height, cameras.K[0]
    view = cameras.world_to_camera[0].to(splats.means)
    x, y, z = (splats.means @ view[:3, :3].T + view[:3, 3]).unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    limits_x = -(cx + 0.15 * width) / fx, (width - cx + 0.15 * width) / fx
    limits_y = -(cy + 0.15 * height) / fy, (height - cy + 0.15 * height) / fy
    slope_x, slope_y, nothing = (x / z).clamp(*limits_x), (y / z).clamp(*limits_y), torch.zeros_like(z)
    jacobian = torch.stack([fx / z, nothing, -fx * slope_x / z, nothing, fy / z, -fy * slope_y / z], -1).reshape(-1, 2, 3)
    root = jacobian @ view[:3, :3] @ quaternions_to_matrices(splats.quats) * splats.scales[:, None]
    sharp = root @ root.transpose(1, 2)
    blurred = sharp + 0.3 * torch.eye(2).to(sharp)
    opacities = splats.opacities
    if antialiased:
        opacities = opacities * (torch.det(sharp) / torch.det(blurred)).clamp(min=0).sqrt()
    pixels = cameras.pixel_centers().reshape(-1, 1, 2).to(z)  # [P, 1, 2]
    offsets = pixels - torch.stack([fx * x / z + cx, fy * y / z + cy], -1)  # [P, N, 2]
    distance = torch.einsum("pni,nij,pnj->pn", offsets, torch.linalg.inv(blurred), offsets)
    order = z.argsort()
    density = (opacities * torch.exp(-0.5 * distance))[:, order]
    alpha = torch.where(density >= 1 / 255, density.clamp(max=0.999), 0.0)
    unended = torch.cumprod(1 - alpha, dim=1)
    alpha = torch.where(unended > 1e-4, alpha, 0.0)
    after = torch.cumprod(1 - alpha, dim=1)
    weights = alpha * torch.nn.functional.pad(after, (1, 0), value=1.0)[:, : len(splats)]
    directions = torch.nn.functional.normalize(splats.means - cameras.centers[0].to(z), dim=-1)
    colors = 0.5 + (sh_basis(splats.sh_degree, directions)[..., None] * splats.sh).sum(1)
    total, depths, z = weights.sum(1), z, z[order]
    depth = torch.where(total > 0, weights @ z / total.clamp(min=1e-10), 0.0)
    crossed = after <= 0.5
    median = torch.where(crossed.any(1), z[crossed.int().argmax(1)], 0.0) if len(splats) else total
    tied = (z[1:] - z[:-1] < 1e-5 * z[1:]) & (alpha[:, 1:] > 0) & (alpha[:, :-1] > 0)
    doubtful = (((255 * density - 1).abs() < 1e-3) | ((unended / 1e-4 - 1).abs() < 1e-2) | ((density - 0.999).abs() < 1e-5)).any(
        1
    ) | tied.any(1)
    smooth = (colors.abs() > 1e-5).all(1)
    for slope, edges in ((x, limits_x), (y, limits_y)):
        smooth &= ((slope / depths - torch.stack(edges)[:, None]).abs() > 1e-5).all(0)
    return DenseRender(
        rgb=(weights @ colors.clamp(min=0)[order]).reshape(height, width, 3),
        alpha=total.reshape(height, width),
        depth=depth.reshape(height, width),
        median_depth=median.detach().reshape(height, width),
        sure=~doubtful.reshape(height, width),
        median_sure=~(doubtful | ((after - 0.5).abs() < 1e-5).any(1)).reshape(height, width),
        smooth=smooth,
    )


def images_of(result: Render) -> list[Tensor]:
    """All images that there are."""
    found = (result.rgb, result.alpha, result.depth, result.median_depth)
    return [image for image in found if image is not None]
