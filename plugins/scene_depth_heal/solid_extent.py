"""How far splats reach along a direction, by their solid part."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splats import GaussianSplats

Vector = NDArray[np.float64]
SOLID = 0.5  # opacity from which a splat has a solid part
STRAYS = 0.001  # share of the solid splats that may lie beyond either end


def extent_along(splats: GaussianSplats, direction: Vector) -> tuple[float, float]:
    """Lowest and highest point of the solid part along a direction, from the origin, in scene units.

    A splat of opacity o is solid where o exp(-d^2 / 2) is at least one half, d in standard deviations: it reaches
    sqrt(2 ln(2 o)) of them. One splat in a thousand may lie beyond either end, so that no stray holds up the rest.

    Args:
        splats: One or more; if none has a solid part, their centres count.
        direction: Unit vector  # [3]
    """
    opacity = splats.opacities.detach().cpu().double().numpy()
    solid = opacity > SOLID if (opacity > SOLID).any() else np.ones(len(opacity), dtype=bool)
    reach = np.sqrt(2 * np.log(np.maximum(2 * opacity[solid], 1.0))) * _deviation(splats, direction)[solid]
    place = splats.means.detach().cpu().double().numpy()[solid] @ direction
    skip = int(STRAYS * solid.sum())
    return float(np.sort(place - reach)[skip]), float(np.sort(place + reach)[len(place) - 1 - skip])


def middle_seen_from(splats: GaussianSplats, up: Vector) -> Vector:
    """The middle of the outline seen from above, at height 0 along ``up``  # [3]"""
    return sum((0.5 * sum(extent_along(splats, axis)) * axis for axis in across(up)), start=np.zeros(3))


def width_across(splats: GaussianSplats, up: Vector) -> float:
    """The larger of the extents along two directions across ``up``, in scene units."""
    return max(high - low for low, high in (extent_along(splats, axis) for axis in across(up)))


def across(direction: Vector) -> tuple[Vector, Vector]:
    """Two unit vectors across a unit vector and each other  # [3] each"""
    first = np.cross(direction, np.eye(3)[int(np.abs(direction).argmin())])
    first /= np.linalg.norm(first)
    return first, np.cross(direction, first)


def _deviation(splats: GaussianSplats, direction: Vector) -> NDArray[np.float64]:
    """Standard deviation of each splat along a direction  # [N]"""
    axes = quaternions_to_matrices(splats.quats.detach().cpu().double())
    along = torch.einsum("nij,i->nj", axes, torch.from_numpy(direction)) * splats.scales.detach().cpu().double()
    return along.norm(dim=1).numpy()
