"""The rasteriser's images and gradients against gsplat's torch reference in float64.

Almost all pixels differ by rounding alone. Now and then a splat's alpha lies so near to 1/255, a pixel's transmittance so
near to 1e-4, or two splats so near to one depth, that rounding decides: that pixel is flipped, and so it is in the
reference when it computes in float32. So errors are judged by quantiles, and flipped pixels are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.gsplat_reference import rasterize_reference
from scene_depth.cameras import Cameras
from scene_depth.rendering import render
from scene_depth.splats import PARAMETERS, GaussianSplats

FLIPPED = 1e-5  # error of a colour in [0, 1] that rounding alone does not make

Images = tuple[Tensor, Tensor, Tensor]  # rgb [C, H, W, 3], alpha and mean depth [C, H, W]


@dataclass(frozen=True)
class Comparison:
    """Errors against the reference in float64.

    Attributes:
        colors: Largest error of each pixel over the channels  # [C, H, W]
        alpha: Error of each pixel  # [C, H, W]
        depth: Error of each pixel relative to the scene's median depth  # [C, H, W]
        gradients: Error of each splat's gradient relative to the gradient's length, by parameter, where it is not 0.
        spurious: Number of gradients that are not 0, or not finite, where the reference's is 0.
        pose: Relative error of the gradient by the poses.
    """

    colors: Tensor
    alpha: Tensor
    depth: Tensor
    gradients: dict[str, Tensor]
    spurious: int
    pose: float

    @property
    def flipped(self) -> int:
        """Number of pixels whose colour differs by more than rounding."""
        return int((self.colors > FLIPPED).sum())

    def gradient_quantile(self, level: float) -> float:
        """That quantile over splats of the gradient's relative error, of the parameter where it is largest."""
        return max(float(errors.quantile(level)) for errors in self.gradients.values() if len(errors))


def compare_with_reference(splats: GaussianSplats, cameras: Cameras, **options: Any) -> Comparison:
    """Renders and differentiates a loss of random weights on colour, alpha and depth, here and in float64.

    Args:
        splats: The splats.
        cameras: The cameras.
        options: Of ``render``: ``sh_degree``, ``background``, ``near``, ``far``, ``antialiased``.

    Raises:
        ReferenceMissing: If gsplat 1.5.3 is not there.
    """
    truth = _differentiate(draw_reference, splats, cameras, torch.float64, options)
    return _compare(_differentiate(draw_here, splats, cameras, torch.float32, options), truth)


def compare_both_with_reference(splats: GaussianSplats, cameras: Cameras) -> tuple[Comparison, Comparison]:
    """Errors of this rasteriser, and those of gsplat's torch reference in float32."""
    truth = _differentiate(draw_reference, splats, cameras, torch.float64, {})
    here = _differentiate(draw_here, splats, cameras, torch.float32, {})
    return _compare(here, truth), _compare(_differentiate(draw_reference, splats, cameras, torch.float32, {}), truth)


def draw_here(splats: GaussianSplats, cameras: Cameras, options: dict[str, Any]) -> Images:
    """This rasteriser."""
    drawn = render(splats, cameras, **options)
    return drawn.rgb, drawn.alpha, drawn.depth


def draw_reference(splats: GaussianSplats, cameras: Cameras, options: dict[str, Any]) -> Images:
    """gsplat's torch reference, in the precision of the splats."""
    settled = {"sh_degree": splats.sh_degree, **options}
    if settled.get("background") is not None:
        settled["background"] = settled["background"].to(splats.means).expand(len(cameras), 3)
    return rasterize_reference(
        splats.means, splats.quats, splats.scales, splats.opacities, splats.sh,
        cameras.world_to_camera.to(splats.means), cameras.K.to(splats.means), cameras.width, cameras.height, **settled,
    )[:3]  # fmt: skip


def with_gradients(splats: GaussianSplats, cameras: Cameras, dtype: torch.dtype) -> tuple[GaussianSplats, Cameras]:
    """Copies whose parameters and poses require gradients; the poses stay float64."""
    poses = cameras.camera_to_world.detach().double().clone().requires_grad_()
    copied = splats.map(lambda values: values.detach().to(dtype).clone().requires_grad_())
    return copied, Cameras(poses, cameras.K.double(), cameras.width, cameras.height)


def _differentiate(
    draw: Callable[[GaussianSplats, Cameras, dict[str, Any]], Images],
    splats: GaussianSplats,
    cameras: Cameras,
    dtype: torch.dtype,
    options: dict[str, Any],
) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
    """Images, gradients by each parameter  # [N, -1], and gradient by the poses; all float64."""
    generator = torch.Generator().manual_seed(1)
    shape = (len(cameras), cameras.height, cameras.width)
    weights = [torch.randn(*shape, *channels, generator=generator) for channels in ((3,), (), ())]
    leaf, views = with_gradients(splats, cameras, dtype)
    images = draw(leaf, views, options)
    torch.autograd.backward(images, [weight.to(image) for weight, image in zip(weights, images, strict=True)])
    gradients = {name: getattr(leaf, name).grad.double().reshape(len(splats), -1) for name in PARAMETERS}
    assert views.camera_to_world.grad is not None
    return [image.detach().double() for image in images], gradients, views.camera_to_world.grad


def _compare(
    found: tuple[list[Tensor], dict[str, Tensor], Tensor], truth: tuple[list[Tensor], dict[str, Tensor], Tensor]
) -> Comparison:
    (images, gradients, pose), (true_images, true_gradients, true_pose) = found, truth
    errors, spurious = {}, 0
    for name, expected in true_gradients.items():
        length = expected.norm(dim=1)
        errors[name] = ((gradients[name] - expected).norm(dim=1) / length)[length > 0]
        spurious += int((gradients[name] != 0).any(1)[length == 0].sum())
    return Comparison(
        colors=(images[0] - true_images[0]).abs().amax(-1),
        alpha=(images[1] - true_images[1]).abs(),
        depth=(images[2] - true_images[2]).abs() / true_images[2].median(),
        gradients=errors,
        spurious=spurious,
        pose=float((pose - true_pose).norm() / true_pose.norm()),
    )
