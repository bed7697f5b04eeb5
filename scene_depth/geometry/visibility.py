"""What a view has seen: points against the depth maps of other views."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError


@dataclass(frozen=True)
class Sighting:
    """How one view relates to a set of points. At most one of the three holds for a point.

    Attributes:
        seen: On the surface that the view sees there  # [P] bool
        occluded: Behind that surface, or where the view is blocked  # [P] bool
        floating: In front of that surface: the view looks through the point  # [P] bool
    """

    seen: Tensor
    occluded: Tensor
    floating: Tensor


def sight(points: Tensor, camera: Cameras, depth: Tensor, blocked: Tensor | None = None, tolerance: float = 0.02) -> Sighting:
    """Compares world points with what one view sees.

    Points outside the image, behind the camera or on pixels of unknown depth belong to none of the three classes. The
    depth is compared with the nearest of the four pixels around the projection, so that a surface seen at a slant is not
    lost to rounding. Points, camera and maps may lie on different devices; the result lies where the points do.

    Args:
        points: World points in scene units  # [P, 3]
        camera: One camera.
        depth: z-depth of that view, 0 = unknown  # [H, W]
        blocked: Pixels where something that is to be removed stands before the scene  # [H, W] bool
        tolerance: Relative depth difference that still counts as the same surface.

    Raises:
        InputError: If the depth map is not of the camera's size.
    """
    if len(camera) != 1 or depth.shape != (camera.height, camera.width):
        raise InputError("depth", f"shape {tuple(depth.shape)}", f"({camera.height}, {camera.width}) and one camera")
    pixels, z = camera.project(points)
    pixels, z = pixels[0], z[0]
    inside = (z > 0) & (pixels >= 0).all(1) & (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    chosen, hidden = inside.nonzero()[:, 0], torch.zeros_like(inside)
    pixels, z = pixels[chosen], z[chosen]
    if blocked is not None:
        stands_before = blocked.to(z.device).reshape(-1)[pixels[:, 1].long() * camera.width + pixels[:, 0].long()]
        hidden[chosen] = stands_before
        free = (~stands_before).nonzero()[:, 0]
        chosen, pixels, z = chosen[free], pixels[free], z[free]
    surface = _closest_of_four(depth.to(z.device), pixels, z)
    known = surface > 0
    difference = (z - surface) / z.clamp_min(1e-12)
    seen, occluded, floating = torch.zeros_like(inside), hidden, torch.zeros_like(inside)
    seen[chosen] = known & (difference.abs() <= tolerance)
    occluded[chosen] = known & (difference > tolerance)
    floating[chosen] = known & (difference < -tolerance)
    return Sighting(*(part.to(points.device) for part in (seen, occluded, floating)))


def count_sightings(
    points: Tensor, cameras: list[Cameras], depths: list[Tensor], blocked: list[Tensor], tolerance: float = 0.02
) -> Tensor:
    """In how many views each point is seen; arguments as for ``sight``, one of each a view.

    Returns:
        Counts  # [P] int64
    """
    count = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    for camera, depth, mask in zip(cameras, depths, blocked, strict=True):
        count += sight(points, camera, depth, mask, tolerance).seen
    return count


def _closest_of_four(depth: Tensor, pixels: Tensor, z: Tensor) -> Tensor:
    """Of the known depths at the four pixels around each position, the one nearest to ``z``; 0 if none is known  # [P]"""
    (height, width), flat = depth.shape, depth.reshape(-1)
    corner = (pixels - 0.5).floor().long()
    columns = [(corner[:, 0] + dx).clamp(0, width - 1) for dx in (0, 1)]
    best = torch.zeros_like(z)
    for dy in (0, 1):
        row = (corner[:, 1] + dy).clamp(0, height - 1) * width
        for column in columns:
            candidate = flat[row + column].to(z)
            better = (candidate > 0) & ((best == 0) | ((candidate - z).abs() < (best - z).abs()))
            best = torch.where(better, candidate, best)
    return best
