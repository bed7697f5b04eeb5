"""Splats and cameras in, images out, on CUDA: gsplat 1.4 or 1.5 does the work.

gsplat compiles its kernels when they are first used, which takes minutes, once.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rendering.rasterization import Drawn, RenderOptions
from scene_depth.splats import GaussianSplats

_BATCHES_A_STEP = 8  # of 256 splats a tile, when the lists of splats a pixel are made: bounds their memory


def draw_splats(splats: GaussianSplats, cameras: Cameras, options: RenderOptions, means2d: Tensor | None) -> Drawn:
    """Colour, alpha, mean depth, median depth or None, and radii, as ``render`` returns them.

    The gradient of the projected means reaches ``means2d`` when ``backward`` is called, not through
    ``torch.autograd.grad``.
    """
    from gsplat.rendering import rasterization

    if len(splats) == 0:
        return _draw_nothing(cameras, options)
    device, number = splats.device, torch.float32
    if options.region is not None:
        left, top, right, bottom = options.region
        cameras = cameras.cropped(left, top, right - left, bottom - top)
    images, alpha, info = rasterization(
        splats.means.to(number),
        splats.quats.to(number),
        splats.scales.to(number),
        splats.opacities.to(number),
        splats.sh.to(number),
        cameras.world_to_camera.to(device, number),
        cameras.K.detach().to(device, number),
        cameras.width,
        cameras.height,
        near_plane=options.near,
        far_plane=options.far,
        sh_degree=options.sh_degree,
        packed=False,
        backgrounds=options.background,
        render_mode="RGB+ED",
        absgrad=options.absgrad,
        rasterize_mode="antialiased" if options.antialiased else "classic",
    )
    if means2d is not None:
        _send_gradient(info["means2d"], means2d, options.absgrad)
    radii = info["radii"]
    radii = radii.amax(dim=-1) if radii.ndim == 3 else radii  # gsplat 1.5 gives the reach along x and y
    median = _median_depth(info, alpha) if options.median_depth else None
    return images[..., :3], alpha[..., 0], images[..., 3], median, radii.to(torch.int32)


def _draw_nothing(cameras: Cameras, options: RenderOptions) -> Drawn:
    """Images without any splat, for which gsplat cannot launch its kernels."""
    shape = (len(cameras), cameras.height, cameras.width)
    rgb = options.background[:, None, None].expand(*shape, 3).clone()
    alpha, depth = rgb.new_zeros(shape), rgb.new_zeros(shape)
    median = rgb.new_zeros(shape) if options.median_depth else None
    return rgb, alpha, depth, median, torch.zeros(len(cameras), 0, dtype=torch.int32, device=rgb.device)


def _send_gradient(projected: Tensor, probe: Tensor, absgrad: bool) -> None:
    """Lets the gradient of gsplat's projected means arrive in another tensor's ``grad`` and ``absgrad``."""
    if not projected.requires_grad:
        return
    # gsplat sets ``absgrad`` on the Python object, so something must hold it until then: the receiver, which is in the
    # caller's hands, and not the hook, which would keep the whole graph alive in a cycle
    key, receiver = object(), weakref.ref(probe)
    probe.__dict__.setdefault("projected", {})[key] = projected

    def receive(gradient: Tensor) -> None:
        tensor: Any = receiver()
        if tensor is None:
            return
        tensor.grad = gradient.detach().clone() if tensor.grad is None else tensor.grad + gradient.detach()
        held = tensor.projected.pop(key, None)
        if absgrad and held is not None:
            tensor.absgrad = held.absgrad

    hook: Callable[[Callable[[Tensor], None]], object] = projected.register_hook  # torch gives it no types
    hook(receive)


@torch.no_grad()
def _median_depth(info: dict[str, Any], alpha: Tensor) -> Tensor:
    """z-depth of the splat at which the transmittance falls to 1/2, 0 where it does not.

    Args:
        info: What gsplat's rasterisation returned beside the images, not packed.
        alpha: Accumulated opacity, for its shape  # [C, H, W, 1]

    Returns:
        Depth in scene units  # [C, H, W]
    """
    from gsplat import rasterize_to_indices_in_range

    cameras, height, width = alpha.shape[:3]
    means2d, conics, opacities, depths = (info[name].detach() for name in ("means2d", "conics", "opacities", "depths"))
    opacities = opacities.contiguous()
    offsets, flatten_ids, tile_size = info["isect_offsets"], info["flatten_ids"], info["tile_size"]
    ends = torch.cat([offsets.flatten()[1:], offsets.new_tensor([len(flatten_ids)])])
    longest = int((ends - offsets.flatten()).max())
    transmittance = torch.ones(cameras * height * width, dtype=torch.float64, device=alpha.device)
    median = torch.zeros(cameras * height * width, device=alpha.device)
    for start in range(0, -(-longest // tile_size**2), _BATCHES_A_STEP):
        splat, pixel, camera = rasterize_to_indices_in_range(
            start,
            start + _BATCHES_A_STEP,
            transmittance.float().reshape(cameras, height, width),
            means2d,
            conics,
            opacities,
            width,
            height,
            tile_size,
            offsets,
            flatten_ids,
        )
        if len(splat) == 0:
            continue
        place = camera * (height * width) + pixel
        centers = torch.stack([pixel % width, pixel // width], dim=-1) + 0.5
        dx, dy = (centers - means2d[camera, splat]).unbind(-1)
        xx, xy, yy = conics[camera, splat].unbind(-1)
        density = opacities[camera, splat] * torch.exp(-0.5 * (xx * dx * dx + yy * dy * dy) - xy * dx * dy)
        passed = torch.log1p(-density.clamp(max=0.999).double())
        total = torch.cumsum(passed, 0)
        first = torch.ones_like(place, dtype=torch.bool)
        first[1:] = place[1:] != place[:-1]  # the lists hold a pixel's splats side by side, front to back
        begin = torch.cummax(torch.where(first, torch.arange(len(place), device=place.device), 0), 0).values
        below = transmittance[place] * torch.exp(total - (total - passed)[begin]) <= 0.5
        crossing = below & (transmittance[place] > 0.5)
        crossing[1:] &= first[1:] | ~below[:-1]
        median[place[crossing]] = depths[camera, splat][crossing].float()
        transmittance *= torch.exp(torch.zeros_like(transmittance).index_add_(0, place, passed))
    return median.reshape(cameras, height, width)
