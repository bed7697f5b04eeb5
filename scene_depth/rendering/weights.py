"""How much each splat contributes to chosen pixels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.rendering.rasterization import render
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats


def blending_weights(
    splats: GaussianSplats,
    cameras: Cameras,
    masks: Tensor,  # [C, H, W]
    *,
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool | None = None,
) -> Tensor:
    """Sum over masked pixels of each splat's blending weight, alpha times transmittance.

    The weight is the derivative of a pixel's colour by the splat's colour, so one backward pass finds all sums.

    Args:
        splats: The splats.
        cameras: The cameras.
        masks: Pixels that count: booleans, or weights of the pixels.
        near, far, antialiased: As for ``render``.

    Returns:
        Sums, in pixels  # [C, N]

    Raises:
        InputError: If the masks do not fit the cameras.
    """
    shape = (len(cameras), cameras.height, cameras.width)
    if masks.shape != shape:
        raise InputError("masks", f"shape {tuple(masks.shape)}", f"{shape}, one mask a camera")
    plain = replace(splats.detach(), sh=splats.sh.new_zeros(len(splats), 1, 3))  # grey: the clamp at 0 lets gradients pass
    sums = torch.zeros(len(cameras), len(splats), device=splats.device)
    for index in range(len(cameras)):
        with torch.enable_grad():
            grey = replace(plain, sh=plain.sh.clone().requires_grad_())
            red = render(grey, cameras[index], near=near, far=far, antialiased=antialiased).rgb[0, ..., 0]
            (gradient,) = torch.autograd.grad(red, grey.sh, masks[index].to(red))
        sums[index] = gradient[:, 0, 0] / SH_C0
    return sums
