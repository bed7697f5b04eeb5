"""How much each splat contributes to chosen pixels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.rendering.rasterization import Region, render
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats

_CHANNELS = 3  # masks that one rendering serves: one a colour


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
    sums = torch.zeros(len(cameras), len(splats), device=splats.device)
    for index in range(len(cameras)):
        one = masks[index : index + 1]
        sums[index] = blending_weights_by_mask(splats, cameras[index], one, near=near, far=far, antialiased=antialiased)[0]
    return sums


def blending_weights_by_mask(
    splats: GaussianSplats,
    camera: Cameras,
    masks: Tensor,  # [M, H, W]
    *,
    region: Region | None = None,
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool | None = None,
) -> Tensor:
    """The blending weights of splats in several masks of one view; three masks cost as much as one.

    Args:
        splats: The splats.
        camera: One camera.
        masks: Pixels that count: booleans, or weights of the pixels; of the region's size if there is one.
        region: The part of the picture that counts; see ``render``.
        near, far, antialiased: As for ``render``.

    Returns:
        Sums, in pixels  # [M, N]
    """
    plain = replace(splats.detach(), sh=splats.sh.new_zeros(len(splats), 1, 3))  # grey: the clamp at 0 lets gradients pass
    found = []
    for first in range(0, len(masks), _CHANNELS):
        some = masks[first : first + _CHANNELS]
        with torch.enable_grad():
            grey = replace(plain, sh=plain.sh.clone().requires_grad_())
            rgb = render(grey, camera, near=near, far=far, antialiased=antialiased, region=region).rgb[0]
            wanted = torch.zeros_like(rgb)
            wanted[..., : len(some)] = some.permute(1, 2, 0).to(rgb)
            (gradient,) = torch.autograd.grad(rgb, grey.sh, wanted)
        found.append(gradient[:, 0, : len(some)].T / SH_C0)
    return torch.cat(found)
