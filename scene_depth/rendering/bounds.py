"""Which part of a picture splats may touch, from their projected bounds: what needs no drawing is not drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.kernels import run_rows
from scene_depth.rendering.cpu.footprints import bound_rows
from scene_depth.rendering.rasterization import Region, Render, render
from scene_depth.splats import GaussianSplats

BLUR = 0.3  # px^2, of every footprint
LEAST_ALPHA = 1 / 255  # below which a splat is skipped
BEYOND = 0.15  # of the picture's size, beyond which the slope of a footprint stays constant
WIDER = 3.0  # footprint beyond the border, of the ellipsoid's outline
ROUNDING = 1.0  # px, and the same share of a footprint's reach, against float32


@dataclass(frozen=True)
class Footprints:
    """What of the footprints of splats is the same in every view, for bounds in many.

    Attributes:
        means: Centres, in scene units  # [N, 3]
        scale: Largest standard deviation, in scene units  # [N]
        reach: Standard deviations from which a splat is not drawn, or a little more  # [N]
        drawn: Whether it is opaque enough to be drawn anywhere  # [N] bool
    """

    means: Tensor
    scale: Tensor
    reach: Tensor
    drawn: Tensor

    def select(self, which: Tensor) -> Footprints:
        """Those of the chosen splats; see ``GaussianSplats.select``."""
        index = which.nonzero()[:, 0] if which.dtype == torch.bool else which
        return Footprints(*(values.index_select(0, index) for values in (self.means, self.scale, self.reach, self.drawn)))

    @property
    def radii(self) -> Tensor:
        """Radii of balls that hold all that any view draws of the splats, but for its blur of some pixels  # [N]

        Beyond the picture's border the slope of a footprint stays constant, which makes it wider than the ellipsoid's outline: by
        less than ``WIDER`` for pictures of up to 160 degrees.
        """
        return WIDER * self.reach * self.scale

    def bounds(self, camera: Cameras, *, near: float = 0.01) -> Tensor:
        """Boxes around the footprints in a view; see ``footprint_bounds``  # [N, 4]"""
        if self.means.device.type == "cpu":
            return self._bounds_on_cpu(camera, near)
        rotation = camera.camera_to_world[0, :3, :3].to(self.means)
        x, y, z = (rotation.T @ (self.means - camera.centers[0].to(self.means)).T).contiguous()
        K, inverse_z, bounds = camera.K[0].tolist(), 1 / z.clamp_min(near), self.means.new_empty(4, len(z))
        squared = (self.scale * inverse_z) ** 2
        for axis, offset, size in ((0, x, camera.width), (1, y, camera.height)):
            focal, center, slope = K[axis][axis], K[axis][2], offset * inverse_z
            low, high = (-center - BEYOND * size) / focal, (size - center + BEYOND * size) / focal
            deviation = (squared * focal**2).mul_(slope.clamp(low, high).square_().add_(1)).add_(BLUR).sqrt_()
            radius, pixel = deviation.mul_(self.reach).add_(ROUNDING), slope.mul_(focal).add_(center)
            torch.sub(pixel, radius, out=bounds[axis])
            torch.add(pixel, radius, out=bounds[axis + 2])
        hidden = ~(self.drawn & (z > near * (1 - 1e-4)))
        bounds[:2, hidden], bounds[2:, hidden] = math.inf, -math.inf
        return bounds.T

    def _bounds_on_cpu(self, camera: Cameras, near: float) -> Tensor:
        pose, K, f = camera.camera_to_world[0].float().cpu().numpy(), camera.K[0].float().cpu().numpy(), np.float32
        lens = np.array([[K[0, 0], K[0, 2]], [K[1, 1], K[1, 2]]])
        size, bounds = np.array([camera.width, camera.height], np.float32), self.means.new_empty(4, len(self.means))
        prints = (values.contiguous().numpy() for values in (self.means, self.scale, self.reach, self.drawn))
        run_rows(
            bound_rows, 0, len(self.means), 1, pose[:3, :3].copy(), pose[:3, 3].copy(), *prints, lens, size,
            f(BEYOND), f(BLUR), f(ROUNDING), f(near), f(near * (1 - 1e-4)), bounds.numpy(),
        )  # fmt: skip
        return bounds.T


def footprints_of(splats: GaussianSplats) -> Footprints:
    """What of the footprints is the same in every view."""
    opacity, longest = splats.opacities.detach().float(), splats.log_scales.detach().float().unbind(-1)
    scale = torch.maximum(torch.maximum(longest[0], longest[1]), longest[2]).exp()
    reach = torch.sqrt(2 * (opacity / LEAST_ALPHA).log().clamp_min(0)) * (1 + ROUNDING / 100)
    return Footprints(splats.means.detach().float(), scale, reach, opacity >= LEAST_ALPHA * (1 - 1e-4))


def footprint_bounds(splats: GaussianSplats, camera: Cameras, *, near: float = 0.01) -> Tensor:
    """Boxes around the footprints of splats in a view, never smaller than what ``render`` draws.

    A footprint's standard deviation along x is at most the splat's largest one times f / z * sqrt(1 + slope^2).

    Args:
        splats: The splats.
        camera: One camera.
        near: z-depth in scene units up to which nothing is drawn.

    Returns:
        Left, top, right, bottom in pixels; left > right for splats that are not drawn  # [N, 4]
    """
    return footprints_of(splats).bounds(camera, near=near)


def touching_splats(bounds: Tensor, region: Region) -> Tensor:
    """Splats whose bounds reach a part of the picture  # [N] bool"""
    left, top, right, bottom = region
    return (bounds[:, 0] < right) & (bounds[:, 1] < bottom) & (bounds[:, 2] > left) & (bounds[:, 3] > top)


def bounding_region(bounds: Tensor, camera: Cameras) -> Region | None:
    """The smallest part of the picture that holds all bounds; None if they all lie beside it."""
    whole = (0, 0, camera.width, camera.height)
    inside = bounds[touching_splats(bounds, whole)]
    if not len(inside):
        return None
    low, high = inside[:, :2].amin(dim=0).tolist(), inside[:, 2:].amax(dim=0).tolist()
    left, top = (max(0, math.floor(value)) for value in low)
    right, bottom = (min(size, math.ceil(value)) for value, size in zip(high, whole[2:], strict=True))
    return left, top, right, bottom


def region_around(mask: Tensor) -> Region | None:
    """The smallest part of the picture that holds all pixels of a mask; None if there are none  # [H, W] bool"""
    rows, columns = (mask.any(dim=axis).nonzero()[:, 0].tolist() for axis in (1, 0))
    return (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else None


def common_region(first: Region | None, second: Region | None) -> Region | None:
    """The part of the picture that two regions have in common; None if there is none."""
    if first is None or second is None:
        return None
    left, top = (max(first[i], second[i]) for i in (0, 1))
    right, bottom = (min(first[i], second[i]) for i in (2, 3))
    return (left, top, right, bottom) if left < right and top < bottom else None


def window_of(region: Region) -> tuple[slice, slice]:
    """Rows and columns of a part of the picture."""
    left, top, right, bottom = region
    return slice(top, bottom), slice(left, right)


def render_region(splats: GaussianSplats, camera: Cameras, region: Region, footprints: Footprints | None = None) -> Render:
    """A part of a picture: as ``render`` draws it, from the splats alone that may touch it; radii are those of these.

    Args:
        splats: The splats.
        camera: One camera.
        region: The part.
        footprints: Of the splats, if they are known.
    """
    bounds = (footprints_of(splats) if footprints is None else footprints).bounds(camera)
    return render(splats.select(touching_splats(bounds, region)), camera, region=region)
