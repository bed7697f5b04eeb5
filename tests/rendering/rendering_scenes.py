"""Splats and cameras for rendering tests, and the comparison with gsplat's reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rendering import Render, render
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.spherical_harmonics import sh_basis
from scene_depth.splats import PARAMETERS, SH_C0, GaussianSplats


def pinhole(width: int, height: int, *, fx: float, fy: float, cx: float | None = None, cy: float | None = None) -> Cameras:
    """One camera at the origin that looks along z."""
    K = torch.eye(3, dtype=torch.float64)
    K[0, 0], K[1, 1] = fx, fy
    K[0, 2], K[1, 2] = width / 2 if cx is None else cx, height / 2 if cy is None else cy
    return Cameras(torch.eye(4, dtype=torch.float64)[None], K[None], width, height)


def splats_in_view(count: int, seed: int = 0, degree: int = 3, depth: tuple[float, float] = (2.0, 6.0)) -> GaussianSplats:
    """Random splats in front of a camera at the origin, some beside the image, of every opacity and shape."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    z = torch.rand(count, generator=generator) * (depth[1] - depth[0]) + depth[0]
    means = torch.stack([normal(count) * 0.4 * z, normal(count) * 0.4 * z, z], dim=1)
    sh = normal(count, (degree + 1) ** 2, 3) * 0.15
    sh[:, 0] = normal(count, 3)
    return GaussianSplats(means, normal(count, 4), normal(count, 3) * 0.7 - 3, normal(count) * 2, sh)


def garden(path: Path, count: int, width: int, height: int) -> tuple[GaussianSplats, Cameras]:
    """Splats of the sizes that training starts with, at the points of gsplat's test scene, and its first camera."""
    data = np.load(path)
    generator = np.random.default_rng(0)
    chosen = generator.permutation(len(data["means3d"]))[:count]
    means = data["means3d"][chosen]
    spacing = cKDTree(means).query(means, k=4)[0][:, 1:].mean(1, keepdims=True)
    scales = (spacing * np.exp(generator.normal(0, 0.5, (count, 3)))).clip(1e-4, 2)
    sh = generator.normal(0, 0.1, (count, 16, 3))
    sh[:, 0] = (data["colors"][chosen] / 255 - 0.5) / SH_C0
    arrays = (means, generator.normal(size=(count, 4)), np.log(scales), generator.normal(0, 2, count), sh)
    splats = GaussianSplats(*(torch.from_numpy(values.astype(np.float32)) for values in arrays))
    K = torch.from_numpy(data["Ks"][:1].astype(np.float64))
    poses = torch.linalg.inv(torch.from_numpy(data["viewmats"][:1].astype(np.float64)))
    poses[:, 3] = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    return splats, Cameras(poses, K, int(data["width"]), int(data["height"])).resized(width, height)


@dataclass(frozen=True)
class Comparison:
    """Errors against the reference in float64.

    Attributes:
        colors: Largest error of each pixel over the channels  # [C, H, W]
        alpha: Error of each pixel  # [C, H, W]
        depth: Error of each pixel relative to the scene's depth  # [C, H, W]
        gradients: Error of each splat's gradient relative to the gradient's length, by parameter, where it is not 0.
        pose: Relative error of the gradient by the poses.
    """

    colors: Tensor
    alpha: Tensor
    depth: Tensor
    gradients: dict[str, Tensor]
    pose: float


def compare_with_reference(splats: GaussianSplats, cameras: Cameras, **options: Any) -> Comparison:
    """Renders and differentiates a loss of random weights on colour, alpha and depth, here and with gsplat 1.5.3."""
    reference = pytest.importorskip("benchmarks.gsplat_reference")
    generator = torch.Generator().manual_seed(1)
    shape = (len(cameras), cameras.height, cameras.width)
    weights = [torch.randn(*shape, *channels, generator=generator) for channels in ((3,), (), ())]

    def differentiate(images: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        torch.autograd.backward(images, [weight.to(image) for weight, image in zip(weights, images, strict=True)])
        return tuple(image.detach().double() for image in images)

    ours, ours_cameras = with_gradients(splats, cameras, torch.float32)
    drawn = render(ours, ours_cameras, **options)
    images = differentiate((drawn.rgb, drawn.alpha, drawn.depth))

    true, true_cameras = with_gradients(splats, cameras, torch.float64)
    background = options.get("background")
    try:
        result = reference.rasterize_reference(
            true.means, true.quats, true.scales, true.opacities, true.sh,
            true_cameras.world_to_camera, true_cameras.K, cameras.width, cameras.height,
            sh_degree=options.get("sh_degree", splats.sh_degree), antialiased=options.get("antialiased", False),
            near=options.get("near", 0.01), far=options.get("far", 1e10),
            background=None if background is None else background.double().expand(len(cameras), 3),
        )  # fmt: skip
    except reference.ReferenceMissing as missing:
        pytest.skip(str(missing))
    truth = differentiate(result[:3])

    gradients = {}
    for name in PARAMETERS:
        found, expected = (getattr(values, name).grad.double().reshape(len(splats), -1) for values in (ours, true))
        length = expected.norm(dim=1)
        assert torch.isfinite(found).all()
        assert not found[length == 0].any()
        gradients[name] = ((found - expected).norm(dim=1) / length)[length > 0]
    found, expected = ours_cameras.camera_to_world.grad, true_cameras.camera_to_world.grad
    return Comparison(
        colors=(images[0] - truth[0]).abs().amax(-1),
        alpha=(images[1] - truth[1]).abs(),
        depth=(images[2] - truth[2]).abs() / truth[2].median(),
        gradients=gradients,
        pose=float((found - expected).norm() / expected.norm()),
    )


def with_gradients(splats: GaussianSplats, cameras: Cameras, dtype: torch.dtype) -> tuple[GaussianSplats, Cameras]:
    """Copies whose parameters and poses require gradients."""
    poses = cameras.camera_to_world.detach().double().clone().requires_grad_()
    copied = splats.map(lambda values: values.detach().to(dtype).clone().requires_grad_())
    return copied, Cameras(poses, cameras.K.double(), cameras.width, cameras.height)


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
    assert comparison.pose <= 1e-3


def dense_images(splats: GaussianSplats, cameras: Cameras, antialiased: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The formulas of 3D Gaussian splatting for every pair of pixel and splat of one camera, for autograd.

    Returns:
        Colour, alpha, mean depth and median depth  # [H, W, 3] and [H, W]
    """
    width, height, K = cameras.width, cameras.height, cameras.K[0]
    view = cameras.world_to_camera[0].to(splats.means)
    x, y, z = (splats.means @ view[:3, :3].T + view[:3, 3]).unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    slope_x = (x / z).clamp(-(cx + 0.15 * width) / fx, (width - cx + 0.15 * width) / fx)
    slope_y = (y / z).clamp(-(cy + 0.15 * height) / fy, (height - cy + 0.15 * height) / fy)
    nothing = torch.zeros_like(z)
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
    alpha = (opacities * torch.exp(-0.5 * distance)).clamp(max=0.999)
    alpha = torch.where(alpha >= 1 / 255, alpha, 0.0)[:, z.argsort()]
    after = torch.cumprod(1 - alpha, dim=1)
    alpha = torch.where(after > 1e-4, alpha, 0.0)
    after = torch.cumprod(1 - alpha, dim=1)
    weights = alpha * torch.nn.functional.pad(after, (1, 0), value=1.0)[:, : len(splats)]
    directions = torch.nn.functional.normalize(splats.means - cameras.centers[0].to(z), dim=-1)
    colors = (0.5 + (sh_basis(splats.sh_degree, directions)[..., None] * splats.sh).sum(1)).clamp(min=0)
    total = weights.sum(1)
    depth = torch.where(total > 0, weights @ z[z.argsort()] / total.clamp(min=1e-10), 0.0)
    crossed = after <= 0.5
    median = torch.where(crossed.any(1), z[z.argsort()][crossed.int().argmax(1)], 0.0) if len(splats) else total
    rgb = (weights @ colors[z.argsort()]).reshape(height, width, 3)
    return rgb, *(image.reshape(height, width) for image in (total, depth, median.detach()))


def images_of(result: Render) -> list[Tensor]:
    """All images that there are."""
    found = (result.rgb, result.alpha, result.depth, result.median_depth)
    return [image for image in found if image is not None]
