"""Flat splats on the surface that a depth map shows: one a pixel, as large as the pixel is there."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.rotations import matrices_to_quaternions
from scene_depth.spherical_harmonics import C0 as SH_C0
from scene_depth.splats import GaussianSplats

STEEPEST = 0.2  # cosine between normal and ray from which on a splat is no longer drawn out along the slope


def splats_on_depth(
    rgb: NDArray[np.floating],
    depth: NDArray[np.floating],
    where: NDArray[np.bool_],
    camera: Cameras,
    *,
    spread: float = 0.6,
    thickness: float = 0.1,
    opacity: float = 0.95,
    largest_jump: float = 0.05,
    normals: NDArray[np.float32] | None = None,
) -> GaussianSplats:
    """Splats of SH degree 0 at the chosen pixels of a view.

    A splat's standard deviations are ``spread`` pixel footprints across the line of sight, drawn out along the slope of
    the surface so that steep surfaces stay closed, and ``thickness`` times that along the normal. Pixels on a depth
    jump get none: their depth may lie in the air between two surfaces.

    Args:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        depth: z-depth in scene units  # [H, W]
        where: Pixels that become splats; those of unknown depth are left out  # [H, W]
        camera: The one camera of the view.
        spread: Standard deviation in pixels.
        thickness: Standard deviation along the normal, relative to that across the line of sight.
        opacity: Opacity of all, between 0 and 1.
        largest_jump: Largest distance of a pixel from the tangent planes of its neighbours, relative to its depth, on
            both of two opposite sides.
        normals: Those of ``normals_from_depth``, if they are there already  # [H, W, 3]

    Returns:
        Splats, float32, on the CPU, in scan order.

    Raises:
        InputError: If sizes do not fit or no pixel remains.
    """
    if rgb.shape != (*depth.shape, 3) or where.shape != depth.shape:
        raise InputError("rgb, where", f"shapes {rgb.shape}, {where.shape}", f"{(*depth.shape, 3)} and {depth.shape}")
    normals = normals_from_depth(depth, camera) if normals is None else normals
    chosen = where & np.isfinite(depth) & (depth > 0) & ~jumping_pixels(depth, normals, camera, largest_jump)
    if not chosen.any():
        raise InputError("where", "no pixel of known depth away from depth jumps", "one or more pixels to place splats at")
    z = torch.from_numpy(depth[chosen].astype(np.float64))
    rays = _rays(camera)[torch.from_numpy(chosen)]
    normal = torch.from_numpy(normals[chosen].astype(np.float64))
    rotation = camera.camera_to_world[0, :3, :3].double()
    frames, slant = _tangent_frames(normal, rays)
    footprint = spread * z / _mean_focal(camera)
    scales = torch.stack([footprint / slant, footprint, thickness * footprint], dim=-1)
    points = camera.centers[0].double() + (rays * z[:, None]) @ rotation.T
    return GaussianSplats(
        means=points.float(),
        quats=matrices_to_quaternions(rotation @ frames).float(),
        log_scales=scales.log().float(),
        logit_opacities=torch.full((len(z),), math.log(opacity / (1 - opacity))),
        sh=torch.from_numpy(((rgb[chosen] - 0.5) / SH_C0).astype(np.float32))[:, None],
    )


def jumping_pixels(
    depth: NDArray[np.floating], normals: NDArray[np.floating], camera: Cameras, largest: float
) -> NDArray[np.bool_]:
    """Pixels that lie far off the tangent planes of both neighbours in a row or column: on no surface  # [H, W]

    Args:
        depth: z-depth  # [H, W]
        normals: Unit normals in the camera frame  # [H, W, 3]
        camera: The one camera of the view.
        largest: Distance from a tangent plane relative to the depth.
    """
    points = _rays(camera).numpy() * depth[..., None]
    jumping = np.zeros(depth.shape, dtype=bool)
    for axis in (0, 1):
        off = []
        for step in (1, -1):
            to_neighbour = np.roll(points, step, axis) - points
            distance = np.abs((to_neighbour * np.roll(normals, step, axis)).sum(-1)) > largest * depth
            edge = [slice(None), slice(None)]
            edge[axis] = slice(0, 1) if step == 1 else slice(-1, None)
            distance[tuple(edge)] = False  # np.roll wraps around
            off.append(distance)
        jumping |= off[0] & off[1]
    return jumping


def _rays(camera: Cameras) -> Tensor:
    """Directions of unit z in the camera frame  # [H, W, 3]"""
    focal = torch.stack([camera.K[0, 0, 0], camera.K[0, 1, 1]])
    xy = (camera.pixel_centers() - camera.K[0, :2, 2]) / focal
    return torch.nn.functional.pad(xy, (0, 1), value=1.0).double()


def _mean_focal(camera: Cameras) -> float:
    return math.sqrt(float(camera.K[0, 0, 0]) * float(camera.K[0, 1, 1]))


def _tangent_frames(normals: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Right-handed frames with columns (down the slope, across it, normal), and the cosine of the slant.

    Args:
        normals: Unit normals in the camera frame, zero where unknown (taken as facing the camera)  # [N, 3]
        rays: Lines of sight in the camera frame  # [N, 3]

    Returns:
        Frames in the camera frame  # [N, 3, 3]
        Cosine between normal and line of sight, at least STEEPEST  # [N]
    """
    rays = torch.nn.functional.normalize(rays, dim=-1)
    normals = torch.where(normals.norm(dim=-1, keepdim=True) > 0.5, normals, -rays)
    cosine = -(normals * rays).sum(-1)
    slope = rays + cosine[:, None] * normals
    flat = slope.norm(dim=-1, keepdim=True) < 1e-6
    sideways = torch.linalg.cross(normals, torch.tensor([0.0, 1.0, 0.0], dtype=normals.dtype).expand_as(normals))
    sideways = torch.where(sideways.norm(dim=-1, keepdim=True) < 1e-6, normals.roll(1, dims=-1), sideways)
    first = torch.nn.functional.normalize(torch.where(flat, sideways, slope), dim=-1)
    second = torch.linalg.cross(normals, first)
    return torch.stack([first, second, normals], dim=-1), cosine.clamp_min(STEEPEST)
