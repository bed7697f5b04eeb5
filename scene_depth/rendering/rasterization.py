"""The call that renders splats, and what it returns."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.showing import Shown
from scene_depth.splats import GaussianSplats

Drawn = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor]
"""What a backend draws: colour  # [C, H, W, 3], alpha, mean depth, median depth or None  # [C, H, W], radii  # [C, N]"""
Region = tuple[int, int, int, int]
"""A part of a picture: left, top, right, bottom in pixels, the last two beyond it."""
REGION_STEP = 32  # pixels at whose multiples the drawn part begins: the tiles of the CPU
_BACKENDS = {"cpu": "scene_depth.rendering.cpu.autograd", "cuda": "scene_depth.rendering.cuda"}


@dataclass(frozen=True)
class Render(Shown):
    """Images of splats from C cameras, and what density control reads.

    Attributes:
        rgb: Colour over the background, not clipped above 1  # [C, H, W, 3]
        alpha: Opacity accumulated along the pixel's ray, 0 to 1  # [C, H, W]
        depth: Expected z-depth in scene units: blended depth divided by alpha; 0 where alpha is 0  # [C, H, W]
        depth_valid: Whether alpha reaches the threshold, so that the depth means something  # [C, H, W] bool
        radii: Largest reach of each splat's footprint in whole pixels; 0 for one that is not drawn  # [C, N] int32
        median_depth: z-depth of the splat at which the transmittance falls to 1/2, 0 where it does not; not
            differentiable; None if it was not asked for  # [C, H, W]
        median_valid: Whether there is a median depth; None if it was not asked for  # [C, H, W] bool
        means2d: The tensor that was given as ``means2d``: after ``backward``, its ``grad`` holds the loss's gradient by
            the splats' projected means in 1/px and, with ``absgrad``, its attribute ``absgrad`` the sum over pixels of
            the gradient's absolute value  # [C, N, 2]

    Example:
        >>> import scene_depth as sd
        >>> camera = sd.read_scene("scenes/table").views[0].camera
        >>> sd.render(sd.read_splats("scenes/table/splats.spz"), camera)
        Render(1 view of 320 x 240, depth ... to ..., ... % opaque)
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    depth_valid: Tensor
    radii: Tensor
    median_depth: Tensor | None = None
    median_valid: Tensor | None = None
    means2d: Tensor | None = None

    def __repr__(self) -> str:
        count, height, width = self.alpha.shape
        views = "1 view" if count == 1 else f"{count} views"
        there = self.depth[self.depth_valid].detach()
        reach = f"depth {float(there.min()):.4g} to {float(there.max()):.4g}" if there.numel() else "no depth"
        opaque = 100 * float(self.depth_valid.float().mean())
        return f"Render({views} of {width} x {height}, {reach}, {opaque:.0f} % opaque)"

    def picture(self) -> NDArray[np.float32]:
        """The colours, views beside each other  # [H, C W, 3]"""
        rows = self.rgb.detach().cpu().clamp(0, 1).unbind(0)
        return torch.cat(rows, dim=1).numpy()


@dataclass(frozen=True)
class RenderOptions:
    """The options of ``render`` with every default settled; backends read nothing else."""

    sh_degree: int
    background: Tensor  # [C, 3]
    near: float
    far: float
    antialiased: bool
    median_depth: bool
    absgrad: bool
    region: Region | None = None  # the part of the picture that is drawn; begins at whole tiles


def render(
    splats: GaussianSplats,
    cameras: Cameras,
    *,
    sh_degree: int | None = None,
    background: Tensor | None = None,  # [3] or [C, 3]
    near: float = 0.01,
    far: float = 1e10,
    antialiased: bool | None = None,
    median_depth: bool = False,
    absgrad: bool = False,
    means2d: Tensor | None = None,  # [C, N, 2]
    depth_alpha_threshold: float = 0.5,
    region: Region | None = None,
    backend: Literal["cpu", "cuda"] | None = None,
) -> Render:
    """Renders colour, alpha and depth of splats from every camera.

    Follows gsplat's ``rasterization`` (Kerbl et al. 2023; Ye et al. 2024): footprints are blurred by 0.3 px^2, splats
    that cover a pixel by less than 1/255 are skipped, a ray ends when its transmittance falls to 1e-4, negative colours
    are clamped to 0. Differentiable, once, in the five parameters of the splats and in ``cameras.camera_to_world`` and
    ``cameras.K`` (focal lengths and principal point).

    A splat with a parameter that is not a number, a quaternion of zero length, or a footprint wider than about 1e9
    pixels is not drawn on the CPU: its radius is 0 and so is its gradient.

    Args:
        splats: The splats; other precisions than float32 are converted.
        cameras: The cameras, of one image size, on any device.
        sh_degree: Highest degree of spherical harmonics to use; None uses all.
        background: Colour behind the splats; None is black.
        near: z-depth in scene units up to which nothing is drawn.
        far: z-depth in scene units from which nothing is drawn.
        antialiased: Lower opacities as the blur widens the footprint (Mip-Splatting, Yu et al. 2024); None does what
            the splats were trained for.
        median_depth: Also find the median depth.
        absgrad: Also sum the absolute gradients of the projected means (AbsGS, Ye et al. 2024) into ``means2d.absgrad``.
        means2d: Zeros that require a gradient, to receive the gradient of the projected means.
        depth_alpha_threshold: Least alpha of a pixel whose depth counts as valid.
        region: Part of the picture to draw: left, top, right, bottom in pixels. Images are of its size, and on the CPU hold the
            bits that the whole picture has there; radii are 0 for splats that do not reach it. None draws the whole.
        backend: ``"cpu"`` or ``"cuda"``; None chooses by where the splats are.

    Returns:
        The images.

    Raises:
        InputError: If an option is out of range or tensors do not fit together.

    Example:
        >>> import scene_depth as sd
        >>> camera = sd.read_scene("scenes/table").views[0].camera
        >>> image = sd.render(sd.read_splats("scenes/table/splats.spz"), camera)
        >>> tuple(image.rgb.shape), tuple(image.depth.shape)
        ((1, 240, 320, 3), (1, 240, 320))
        >>> part = sd.render(sd.read_splats("scenes/table/splats.spz"), camera, region=(100, 50, 220, 170))
        >>> bool((part.rgb == image.rgb[:, 50:170, 100:220]).all())
        True
    """
    chosen = _choose_backend(splats, backend)
    options = _settle(splats, cameras, sh_degree, background, near, far, antialiased, median_depth, absgrad)
    options = options if region is None else replace(options, region=_whole_tiles(region, cameras))
    _check_probe(splats, cameras, means2d, absgrad)
    if not 0 <= depth_alpha_threshold <= 1:
        raise InputError("depth_alpha_threshold", depth_alpha_threshold, "0 to 1")
    backend_module = importlib.import_module(_BACKENDS[chosen])  # gsplat and numba are imported when they are needed
    rgb, alpha, depth, median, radii = backend_module.draw_splats(splats, _intrinsics_in_poses(cameras), options, means2d)
    if region is not None and options.region is not None:
        rows, columns = (slice(region[i] - options.region[i], region[i + 2] - options.region[i]) for i in (1, 0))
        rgb, alpha, depth = rgb[:, rows, columns], alpha[:, rows, columns], depth[:, rows, columns]
        median = None if median is None else median[:, rows, columns]
    return Render(
        rgb=rgb,
        alpha=alpha,
        depth=depth,
        depth_valid=alpha.detach() >= depth_alpha_threshold,
        radii=radii,
        median_depth=median,
        median_valid=None if median is None else median > 0,
        means2d=means2d,
    )


def _choose_backend(splats: GaussianSplats, backend: str | None) -> str:
    kind = splats.device.type
    if kind not in ("cpu", "cuda"):
        raise InputError("splats", f"tensors on {splats.device}", "splats on a CPU or CUDA device")
    if backend not in (None, "cpu", "cuda"):
        raise InputError("backend", repr(backend), "'cpu', 'cuda' or None")
    if backend is not None and backend != kind:
        raise InputError(
            "backend", f"{backend!r} for splats on {splats.device}", f"{kind!r}, or splats moved with .to({backend!r})"
        )
    return kind


def _intrinsics_in_poses(cameras: Cameras) -> Cameras:
    """The same cameras, in which the gradient by ``K`` goes through the poses, for which backends have one.

    Where splats are seen depends on K [R | t] alone, so that a change of K is one of the pose by K^-1 dK (which leaves the centre
    of the camera, the depth and thus all else as they are). Its value is 0, and so all numbers but the gradient stay.
    """
    if not cameras.K.requires_grad:
        return cameras
    poses, fixed = cameras.camera_to_world, cameras.K.detach()
    change = torch.linalg.solve(fixed, cameras.K - fixed).to(poses)
    turned = poses[:, :3, :3] @ (torch.eye(3).to(poses) + change.transpose(1, 2))
    moved = torch.cat([torch.cat([turned, poses[:, :3, 3:]], dim=2), poses[:, 3:]], dim=1)
    return replace(cameras, camera_to_world=moved, K=fixed)


def _settle(
    splats: GaussianSplats,
    cameras: Cameras,
    sh_degree: int | None,
    background: Tensor | None,
    near: float,
    far: float,
    antialiased: bool | None,
    median_depth: bool,
    absgrad: bool,
) -> RenderOptions:
    degree = splats.sh_degree if sh_degree is None else sh_degree
    if not 0 <= degree <= splats.sh_degree:
        raise InputError("sh_degree", sh_degree, f"0 to {splats.sh_degree}, the degree of the splats")
    if not (0 < near < far and math.isfinite(near) and not math.isnan(far)):
        raise InputError("near, far", f"{near}, {far}", "0 < near < far")
    behind = torch.zeros(3) if background is None else background
    if behind.shape not in {(3,), (len(cameras), 3)} or not behind.is_floating_point():
        found = f"{behind.dtype} {tuple(behind.shape)}"
        raise InputError("background", found, f"floating point (3,) or ({len(cameras)}, 3)")
    behind = behind.detach().to(splats.device, torch.float32).expand(len(cameras), 3)
    return RenderOptions(
        sh_degree=degree,
        background=behind,
        near=near,
        far=far,
        antialiased=splats.antialiased if antialiased is None else antialiased,
        median_depth=median_depth,
        absgrad=absgrad,
    )


def _whole_tiles(region: Region, cameras: Cameras) -> Region:
    """The region, begun at whole tiles."""
    left, top, right, bottom = region
    if not (0 <= left < right <= cameras.width and 0 <= top < bottom <= cameras.height):
        raise InputError("region", region, f"left < right and top < bottom within {cameras.width} x {cameras.height} pixels")
    return left // REGION_STEP * REGION_STEP, top // REGION_STEP * REGION_STEP, right, bottom


def _check_probe(splats: GaussianSplats, cameras: Cameras, means2d: Tensor | None, absgrad: bool) -> None:
    if means2d is None:
        if absgrad:
            raise InputError("absgrad", "True without means2d", "means2d, the tensor that receives the gradients")
        return
    shape = (len(cameras), len(splats), 2)
    if means2d.shape != shape or means2d.dtype != torch.float32 or means2d.device != splats.device or not means2d.requires_grad:
        found = f"{means2d.dtype} {tuple(means2d.shape)} on {means2d.device}, requires_grad {means2d.requires_grad}"
        raise InputError("means2d", found, f"torch.float32 {shape} on {splats.device} that requires a gradient")
