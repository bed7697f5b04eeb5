"""Which views may see a part of space, from where their cameras stand alone: nothing is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from scene_depth.cameras import Cameras

MARGIN = 8.0  # px by which pictures count as larger: more than the blur of a footprint
ROUNDING = 1e-5  # of the distances, against cameras in single precision
GOLDEN = (math.sqrt(5) - 1) / 2


class ViewGraph:
    """The frusta of all views, to ask which of them points lie in.

    Args:
        cameras: One camera a view; image sizes may differ.
    """

    def __init__(self, cameras: Sequence[Cameras]):
        poses = torch.cat([camera.camera_to_world.detach().cpu().double() for camera in cameras])
        K = torch.cat([camera.K.detach().cpu().double() for camera in cameras])
        sizes = torch.tensor([(camera.width, camera.height) for camera in cameras], dtype=torch.float64)
        focal, center = torch.stack([K[:, 0, 0], K[:, 1, 1]], dim=1), K[:, :2, 2]
        normals = torch.zeros(len(poses), 5, 3, dtype=torch.float64)  # of planes, inward: left, top, right, bottom, before
        normals[:, [0, 1], [0, 1]], normals[:, :2, 2] = focal, center + MARGIN
        normals[:, [2, 3], [0, 1]], normals[:, 2:4, 2] = -focal, sizes - center + MARGIN
        normals[:, 4, 2] = 1.0
        self._centers = poses[:, :3, 3]
        self._normals = torch.nn.functional.normalize(normals, dim=2) @ poses[:, :3, :3].transpose(1, 2)

    def views_holding(self, points: Tensor, radii: Tensor | None = None) -> list[int]:
        """Views whose pictures may show some of the points: none that shows one is left out, some that show none may be in.

        Asked is the box around all points, so that the work does not grow with their number times that of the views.

        Args:
            points: In the frame and unit of the poses  # [P, 3]
            radii: Of balls around them, if these count  # [P]

        Returns:
            Places of the views, in an order in which neighbours stand far apart; see ``spread_order``.
        """
        where = points.detach().double()
        radius = torch.zeros_like(where[:, 0]) if radii is None else radii.detach().to(where)
        usable = torch.isfinite(where).all(dim=1) & torch.isfinite(radius)
        where, radius = where[usable], radius[usable, None]
        if not len(where):
            return []
        low, high = (where - radius).amin(dim=0).cpu(), (where + radius).amax(dim=0).cpu()
        low, high = low - self._centers[:, None], high - self._centers[:, None]  # [V, 1, 3]
        inward = (torch.where(self._normals > 0, high, low) * self._normals).sum(dim=2)  # of the corner farthest inside
        slack = ROUNDING * torch.maximum(low.abs(), high.abs()).sum(dim=2)
        holds = (inward >= -slack).all(dim=1)
        return [place for place in spread_order(len(holds)) if holds[place]]


def spread_order(count: int) -> list[int]:
    """Places in an order in which neighbours stand far apart, as views that lie near each other show much the same."""
    return sorted(range(count), key=lambda place: place * GOLDEN % 1)
