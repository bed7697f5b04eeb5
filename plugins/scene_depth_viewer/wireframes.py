"""Meshes of thin bars that show a box or a sphere on the page; plain meshes, since every viser version has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scene_depth_heal.regions import Box, Region

SEGMENTS = 48
THICKNESS = 0.006  # of the region's size

Mesh = tuple[NDArray[np.float32], NDArray[np.uint32]]

_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_FACES = np.array(
    [
        [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5]],
        [[0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6]],
        [[0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]],
    ]
).reshape(12, 3)


def region_mesh(region: Region, ratio: float) -> Mesh:
    """Vertices and triangles of a region's outline, around its own centre and along its own axes.

    Args:
        region: Box or sphere in scene units.
        ratio: Page units a scene unit.

    Returns:
        Vertices in page units  # [V, 3]
        Triangles  # [T, 3]
    """
    if isinstance(region, Box):
        return _box_edges(np.array(region.size) * ratio)
    return _rings(region.radius * ratio)


def _box_edges(size: NDArray) -> Mesh:
    thick = THICKNESS * float(size.mean())
    bars = []
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        for signs in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)):
            center, extent = np.zeros(3), np.full(3, thick)
            extent[axis] = size[axis] + thick
            center[others] = np.array(signs) * size[others]
            bars.append(_CORNERS * extent + center)
    return _joined(bars, _FACES)


def _rings(radius: float) -> Mesh:
    angles = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    bars = []
    for axis in range(3):
        for angle in angles:
            along, out = np.zeros(3), np.zeros(3)
            out[(axis + 1) % 3], out[(axis + 2) % 3] = np.cos(angle), np.sin(angle)
            along[(axis + 1) % 3], along[(axis + 2) % 3] = -np.sin(angle), np.cos(angle)
            normal = np.eye(3)[axis]
            thick = 2 * THICKNESS * radius
            basis = np.stack([along * 2 * np.pi * radius / SEGMENTS * 1.05, out * thick, normal * thick])
            bars.append(_CORNERS @ basis + radius * out)
    return _joined(bars, _FACES)


def _joined(bars: list[NDArray], faces: NDArray) -> Mesh:
    vertices = np.concatenate(bars).astype(np.float32)
    offsets = (np.arange(len(bars)) * len(_CORNERS))[:, None, None]
    return vertices, (faces[None] + offsets).reshape(-1, 3).astype(np.uint32)
