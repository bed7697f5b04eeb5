"""The rasteriser as a function that torch can differentiate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from scene_depth.rendering.cpu.frame import Gradients, Images, SplatArrays, View, draw, draw_adjoint
from scene_depth.rendering.cpu.geometry import pack_camera


@dataclass(frozen=True)
class Options:
    """What of a rendering is not differentiated.

    Attributes:
        K: Intrinsics in pixels, float64  # [C, 3, 3]
        width: In pixels.
        height: In pixels.
        degree: SH degree to use.
        background: RGB behind the splats, float32  # [C, 3]
        near: z-depth in front of which nothing is drawn.
        far: z-depth behind which nothing is drawn.
        antialiased: Whether opacities are lowered as the blur widens the footprint.
        median: Whether to find the median depth.
        absgrad: Whether the backward pass sums absolute gradients of the projected means, into ``means2d.absgrad``.
        keep: Whether a backward pass may follow.
    """

    K: np.ndarray
    width: int
    height: int
    degree: int
    background: np.ndarray
    near: float
    far: float
    antialiased: bool
    median: bool
    absgrad: bool
    keep: bool


def rasterize(
    means: Tensor,  # [N, 3]
    quats: Tensor,  # [N, 4]
    log_scales: Tensor,  # [N, 3]
    logit_opacities: Tensor,  # [N]
    sh: Tensor,  # [N, K, 3]
    camera_to_world: Tensor,  # [C, 4, 4]
    means2d: Tensor | None,  # [C, N, 2]
    options: Options,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Draws float32 splats on the CPU.

    Returns:
        rgb  # [C, H, W, 3]
        alpha  # [C, H, W]
        mean z-depth, 0 where alpha is 0  # [C, H, W]
        median z-depth, 0 where there is none; of no size if not asked for  # [C, H, W]
        largest reach of each splat in whole pixels, 0 if hidden, int32  # [C, N]
    """
    return _Rasterize.apply(means, quats, log_scales, logit_opacities, sh, camera_to_world, means2d, options)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        means, quats, log_scales, logit_opacities, sh, camera_to_world, means2d, options = inputs
        cameras, pixels = len(camera_to_world), (options.height, options.width)
        rgb, alpha, depth = torch.empty(cameras, *pixels, 3), torch.empty(cameras, *pixels), torch.empty(cameras, *pixels)
        median = torch.empty(cameras, *pixels) if options.median else torch.empty(0)
        radii = torch.empty(cameras, len(means), dtype=torch.int32)
        splats = _arrays(means, quats, log_scales, logit_opacities, sh)
        views = [_view(camera_to_world, index, options) for index in range(cameras)]
        frames = []
        for index, view in enumerate(views):
            images = Images(_flat(rgb[index]), _flat(alpha[index]), _flat(depth[index]), None)
            if options.median:
                images = Images(images.rgb, images.alpha, images.depth, _flat(median[index]))
            frame = draw(splats, view, images, radii[index].numpy())
            if options.keep:
                frames.append(frame)
        ctx.views, ctx.frames, ctx.options, ctx.probe = views, frames, options, means2d
        # the frames hold the memory of alpha and depth; saved here, a change of them in place is noticed
        ctx.save_for_backward(means, quats, log_scales, logit_opacities, sh, camera_to_world, alpha, depth)
        ctx.mark_non_differentiable(median, radii)
        ctx.set_materialize_grads(False)
        return rgb, alpha, depth, median, radii

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_rgb: Tensor | None, grad_alpha: Tensor | None, grad_depth: Tensor | None, *_: Any) -> tuple:
        parameters, camera_to_world = ctx.saved_tensors[:5], ctx.saved_tensors[5]
        splats = _arrays(*parameters)
        results = tuple(_new(parameter.shape) for parameter in parameters)
        by_camera = torch.zeros(camera_to_world.shape, dtype=torch.float64)
        padded = (splats.count + 15) // 16 * 16
        by_means2d = torch.empty(len(ctx.views), padded, 2)
        absolute = torch.empty(len(ctx.views), padded, 2) if ctx.options.absgrad else None
        pixels = ctx.options.width * ctx.options.height
        for index, (view, frame) in enumerate(zip(ctx.views, ctx.frames, strict=True)):
            by_images = Images(
                _grad(grad_rgb, index, 3 * pixels), _grad(grad_alpha, index, pixels), _grad(grad_depth, index, pixels), None
            )
            gradients = Gradients(
                _arrays(*results), _flat(by_means2d[index]), None if absolute is None else _flat(absolute[index])
            )
            by_rotation, by_position = draw_adjoint(splats, view, frame, by_images, gradients, accumulate=index > 0)
            by_camera[index, :3, :3] = torch.from_numpy(by_rotation.T.copy())
            by_camera[index, :3, 3] = torch.from_numpy(by_position)
        if absolute is not None:
            ctx.probe.absgrad = absolute[:, : splats.count]
        by_probe = by_means2d[:, : splats.count] if ctx.probe is not None else None
        return *results, by_camera.to(camera_to_world.dtype), by_probe, None


def _new(shape: torch.Size) -> Tensor:
    """Memory from numpy, which asks for huge pages: a step on 200,000 splats spends 20 ms less on page faults."""
    size = shape.numel()
    memory = np.empty(size + 16, np.float32)
    start = -memory.ctypes.data % 64 // 4  # cache lines
    return torch.from_numpy(memory[start : start + size]).view(shape)


def _flat(values: Tensor) -> np.ndarray:
    return values.detach().contiguous().reshape(-1).numpy()


def _arrays(*parameters: Tensor) -> SplatArrays:
    return SplatArrays(*(_flat(parameter) for parameter in parameters))


def _view(camera_to_world: Tensor, index: int, options: Options) -> View:
    pose = camera_to_world[index].detach().numpy().astype(np.float64)
    size = (options.width, options.height)
    camera = pack_camera(pose[:3, :3].T, pose[:3, 3], options.K[index], size, options.near, options.far)
    return View(camera, *size, options.degree, options.antialiased, options.background[index])


def _grad(grad: Tensor | None, index: int, count: int) -> np.ndarray:
    if grad is None:
        return np.zeros(count, np.float32)
    return _flat(grad[index].contiguous())
