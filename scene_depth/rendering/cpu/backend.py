"""Splats and cameras in, images out, on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rendering.cpu.autograd import Options, rasterize
from scene_depth.rendering.rasterization import RenderOptions
from scene_depth.splats import PARAMETERS, GaussianSplats


def draw_splats(
    splats: GaussianSplats, cameras: Cameras, options: RenderOptions, means2d: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]:
    """Colour, alpha, mean depth, median depth or None, and radii, as ``render`` returns them."""
    parameters = [getattr(splats, name).to(torch.float32) for name in PARAMETERS]
    poses = cameras.camera_to_world.to("cpu")
    inputs = [*parameters, poses] if means2d is None else [*parameters, poses, means2d]
    settled = Options(
        K=cameras.K.detach().to("cpu", torch.float64).numpy(),
        width=cameras.width,
        height=cameras.height,
        degree=options.sh_degree,
        background=np.ascontiguousarray(options.background.numpy()),
        near=options.near,
        far=options.far,
        antialiased=options.antialiased,
        median=options.median_depth,
        absgrad=options.absgrad,
        keep=torch.is_grad_enabled() and any(values.requires_grad for values in inputs),
    )
    means, quats, log_scales, logit_opacities, sh = parameters
    rgb, alpha, depth, median, radii = rasterize(means, quats, log_scales, logit_opacities, sh, poses, means2d, settled)
    return rgb, alpha, depth, median if options.median_depth else None, radii
