"""Splats and cameras in, images out, on the CPU, as a function that torch can differentiate."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from scene_depth.cameras import Cameras
from scene_depth.rendering.cpu.frame import Gradients, Images, SplatArrays, draw, draw_adjoint
from scene_depth.rendering.cpu.geometry import pack_camera
from scene_depth.rendering.rasterization import Drawn, RenderOptions
from scene_depth.splats import PARAMETERS, GaussianSplats

Floats = NDArray[np.float32]


def draw_splats(splats: GaussianSplats, cameras: Cameras, options: RenderOptions, means2d: Tensor | None) -> Drawn:
    """Colour, alpha, mean depth, median depth or None, and radii, as ``render`` returns them."""
    parameters = [getattr(splats, name).to(torch.float32) for name in PARAMETERS]
    poses = cameras.camera_to_world.to("cpu")
    kept = torch.is_grad_enabled() and any(it.requires_grad for it in (*parameters, poses, means2d) if it is not None)
    left, top, right, bottom = options.region or (0, 0, cameras.width, cameras.height)
    packed = [
        pack_camera(
            pose[:3, :3].T,
            pose[:3, 3],
            K,
            (cameras.width, cameras.height),
            options.near,
            options.far,
            (left, top, right, bottom),
        )
        for pose, K in zip(*(it.detach().to("cpu", torch.float64).numpy() for it in (poses, cameras.K)), strict=True)
    ]
    size = (len(packed), bottom - top, right - left)
    drawn: Drawn = _Rasterize.apply(*parameters, poses, means2d, packed, size, options, kept)
    return drawn


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Drawn:
        parameters, (camera_to_world, means2d, cameras, size, options, kept) = inputs[:5], inputs[5:]
        rgb, alpha, depth = torch.empty(*size, 3), torch.empty(size), torch.empty(size)
        median = torch.empty(size) if options.median_depth else None
        radii = torch.empty(size[0], len(parameters[0]), dtype=torch.int32)
        splats, frames = _arrays(*parameters), []
        for index, camera in enumerate(cameras):
            images = Images(*(_flat(image[index]) for image in (rgb, alpha, depth, median) if image is not None))
            frame = draw(splats, camera, options, index, images, radii[index].numpy())
            if kept:  # a backward pass may follow
                frames.append(frame)
        ctx.cameras, ctx.frames, ctx.options, ctx.probe = cameras, frames, options, means2d
        # the frames hold the memory of alpha and depth; saved here, a change of them in place is noticed
        ctx.save_for_backward(*parameters, camera_to_world, alpha, depth)
        ctx.mark_non_differentiable(*(radii,) if median is None else (median, radii))
        ctx.set_materialize_grads(False)
        return rgb, alpha, depth, median, radii

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outer: Any) -> tuple[Tensor | None, ...]:
        parameters, camera_to_world, alpha = ctx.saved_tensors[:5], ctx.saved_tensors[5], ctx.saved_tensors[6]
        splats = _arrays(*parameters)
        results = tuple(_new(parameter.shape) for parameter in parameters)
        by_camera = torch.zeros(camera_to_world.shape, dtype=torch.float64)
        padded = (splats.count + 15) // 16 * 16
        by_means2d = torch.empty(len(alpha), padded, 2)
        absolute = torch.empty(len(alpha), padded, 2) if ctx.options.absgrad else None
        for index, (camera, frame) in enumerate(zip(ctx.cameras, ctx.frames, strict=True)):
            count = alpha[index].numel()
            by_images = Images(*(_gradient(outer[i], index, size) for i, size in enumerate((3 * count, count, count))))
            gradients = Gradients(
                _arrays(*results), _flat(by_means2d[index]), None if absolute is None else _flat(absolute[index])
            )
            by_rotation, by_position = draw_adjoint(splats, camera, ctx.options, index, frame, by_images, gradients)
            by_camera[index, :3, :3] = torch.from_numpy(by_rotation.T.copy())
            by_camera[index, :3, 3] = torch.from_numpy(by_position)
        if absolute is not None:
            ctx.probe.absgrad = absolute[:, : splats.count]
        by_probe = by_means2d[:, : splats.count] if ctx.probe is not None else None
        return *results, by_camera.to(camera_to_world.dtype), by_probe, None, None, None, None


def _new(shape: torch.Size) -> Tensor:
    """Memory from numpy, which asks for huge pages: a step on 200,000 splats spends 20 ms less on page faults."""
    size = shape.numel()
    memory = np.empty(size + 16, np.float32)
    start = -memory.ctypes.data % 64 // 4  # cache lines
    return torch.from_numpy(memory[start : start + size]).view(shape)


def _flat(values: Tensor) -> NDArray[Any]:
    return values.detach().contiguous().reshape(-1).numpy()


def _arrays(*parameters: Tensor) -> SplatArrays:
    return SplatArrays(*(_flat(parameter) for parameter in parameters))


def _gradient(outer: Tensor | None, index: int, count: int) -> Floats:
    return np.zeros(count, np.float32) if outer is None else _flat(outer[index])
