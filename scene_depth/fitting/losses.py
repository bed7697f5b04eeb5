"""What fitting minimises: L1 + SSIM of the picture, distance to known depth, and regularisers of the splats."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from scene_depth.errors import InputError
from scene_depth.fitting.ssim_kernel import C1, C2, RADIUS, WINDOW, l1_ssim_with_gradient


def photometric_loss(rendered: Tensor, target: Tensor, *, weight: Tensor | None = None, ssim_weight: float = 0.2) -> Tensor:
    """Loss of the reference 3DGS trainer: (1 - s) * mean |x - y| + s * (1 - mean SSIM(x, y)) (Kerbl et al. 2023, eq. 7).

    SSIM has an 11 x 11 Gaussian window with standard deviation 1.5 and zeros beyond the border. float32 on the CPU goes
    through a compiled kernel that gives value and gradient together; anything else goes through torch convolutions.

    Args:
        rendered: sRGB, gradient wanted  # [C, H, W, 3]
        target: sRGB in [0, 1]  # [C, H, W, 3]
        weight: 1 where a pixel counts, 0 where it does not; neither its colour nor its neighbours' windows see it. None
            counts all  # [C, H, W]
        ssim_weight: s, between 0 and 1.

    Returns:
        Scalar; 0 where no pixel counts.
    """
    if rendered.shape != target.shape or rendered.ndim != 4 or rendered.shape[-1] != 3:
        raise InputError(
            "target", f"shape {tuple(target.shape)} for a render of {tuple(rendered.shape)}", "equal shapes [C, H, W, 3]"
        )
    if weight is not None and weight.shape != rendered.shape[:3]:
        raise InputError("weight", f"shape {tuple(weight.shape)}", f"{tuple(rendered.shape[:3])}, one a pixel")
    if weight is not None:
        weight = weight.to(rendered.dtype)
    if rendered.device.type == "cpu" and rendered.dtype == target.dtype == torch.float32:
        loss: Tensor = _FusedL1SSIM.apply(rendered, target, weight, ssim_weight)
        return loss
    return l1_ssim_in_torch(rendered, target, weight=weight, ssim_weight=ssim_weight)


class _FusedL1SSIM(torch.autograd.Function):
    """The compiled kernel as an operation of torch; the gradient is formed with the value and kept."""

    @staticmethod
    def forward(ctx: Any, rendered: Tensor, target: Tensor, weight: Tensor | None, ssim_weight: float) -> Tensor:
        total = float(rendered.numel()) if weight is None else 3.0 * float(weight.sum(dtype=torch.float64))
        images, targets = rendered.detach().contiguous().numpy(), target.detach().contiguous().numpy()
        weights = [None] * len(images) if weight is None else weight.contiguous().numpy()
        gradient, loss = torch.zeros_like(rendered, memory_format=torch.contiguous_format), 0.0
        if total > 0:
            for i in range(len(images)):
                part, values = l1_ssim_with_gradient(images[i], targets[i], weights[i], ssim_weight, total)
                loss += part
                gradient[i] = torch.from_numpy(values)
        ctx.save_for_backward(gradient)
        return rendered.new_tensor(loss)

    @staticmethod
    def backward(ctx: Any, *outer: Any) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0], None, None, None


def l1_ssim_in_torch(rendered: Tensor, target: Tensor, *, weight: Tensor | None = None, ssim_weight: float = 0.2) -> Tensor:
    """:func:`photometric_loss` in torch operations, for any device and precision; the truth of the compiled kernel."""
    if weight is not None:
        rendered, target = rendered * weight[..., None], target * weight[..., None]
    share = torch.ones_like(rendered[..., :1]) if weight is None else weight[..., None]
    total = (3 * share.sum()).clamp_min(1)
    loss = (1 - ssim_weight) * (rendered - target).abs().sum() / total
    if ssim_weight:
        loss = loss + ssim_weight * ((1 - ssim_map(rendered, target)) * share).sum() / total
    return loss


def ssim_map(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of every pixel and channel (Wang et al. 2004, eq. 13), zeros beyond the border.

    Args:
        x, y: Images in [0, 1]  # [C, H, W, 3]

    Returns:
        Values up to 1  # [C, H, W, 3]
    """
    line = torch.as_tensor(WINDOW, dtype=x.dtype, device=x.device)
    x, y = x.permute(0, 3, 1, 2), y.permute(0, 3, 1, 2)
    moments = torch.cat([x, y, x * x, y * y, x * y]).flatten(0, 1)[:, None]
    moments = conv2d(moments, line.view(1, 1, -1, 1), padding=(RADIUS, 0))
    moments = conv2d(moments, line.view(1, 1, 1, -1), padding=(0, RADIUS))
    u, v, xx, yy, xy = moments.view(5, *x.shape)
    values: Tensor = ((2 * u * v + C1) * (2 * (xy - u * v) + C2)) / ((u * u + v * v + C1) * (xx - u * u + yy - v * v + C2))
    return values.permute(0, 2, 3, 1)


def depth_loss(depth: Tensor, target: Tensor, known: Tensor, *, unit: float = 1.0, weight: Tensor | None = None) -> Tensor:
    """Mean absolute distance to known depth, free of the scene's unit.

    Args:
        depth: Rendered z-depth, gradient wanted  # [C, H, W]
        target: Known z-depth in the same unit  # [C, H, W]
        known: Where the target is known and the render is valid  # [C, H, W]
        unit: Length that counts as 1, such as the median depth of the scene.
        weight: How much each pixel counts, 0 or more; None counts all alike  # [C, H, W]

    Returns:
        Scalar; 0 where nothing is known.
    """
    distance = torch.where(known, depth - torch.where(known, target, depth.detach()), torch.zeros_like(depth))
    if weight is not None:
        counted = torch.where(known, weight, torch.zeros_like(weight))
        total = counted.sum()
        return (distance.abs() * counted).sum() / (unit * torch.where(total > 0, total, torch.ones_like(total)))
    return distance.abs().sum() / (unit * known.sum().clamp_min(1))


def opacity_and_scale_penalty(
    logit_opacities: Tensor, log_scales: Tensor, *, opacity_weight: float, scale_weight: float, unit: float = 1.0
) -> Tensor:
    """Mean opacity and mean scale, which let splats that do no good fade (Kheradmand et al. 2024, eq. 10).

    Args:
        logit_opacities: Before the sigmoid  # [N]
        log_scales: Natural logarithms in scene units  # [N, 3]
        opacity_weight, scale_weight: Weights of the two means.
        unit: Length that counts as 1 for the scales.

    Returns:
        Scalar.
    """
    return opacity_weight * logit_opacities.sigmoid().mean() + (scale_weight / unit) * log_scales.exp().mean()
