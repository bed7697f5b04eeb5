"""The smooth part of a picture, carried into the hole along surfaces and not across their edges."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.geometry.membrane import solve_membrane
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.kernels import EXACT, kernel

PLANE_TOLERANCE = 0.01  # distance of a neighbour from the local plane, relative to the depth, that halves an edge's weight
NORMAL_TOLERANCE = 0.1  # 1 - cos of the angle between neighbouring normals that halves it
LEAST_WEIGHT = 0.2  # ties every pixel to the rim of its hole: a wrong crease of completed depth must not cut off the right one
SMOOTHING_STEPS = 15  # explicit diffusion steps of 0.2: a blur of about two and a half pixels
RIM_STEPS = 2  # of those, the ones before the rim is continued: a blur of one pixel, so that the fill meets what is known

Weights = tuple[NDArray[np.float64], NDArray[np.float64]]


def surface_weights(shape: tuple[int, int], depth: Array | None, camera: Cameras | None, normals: Array | None = None) -> Weights:
    """Weights of the edges to the right and lower neighbour: near 1 on one smooth surface, small across its edges.

    Args:
        shape: Height and width.
        depth: z-depth, or None for weights of 1; where it is 0 (sky, unknown) a surface of its own  # [H, W]
        camera: The camera of the view; without one depth is not used.
        normals: Those of ``normals_from_depth``, if they are there already  # [H, W, 3]
    """
    if depth is None or camera is None:
        return np.ones(shape), np.ones(shape)
    facing = (normals_from_depth(depth, camera) if normals is None else normals).astype(np.float64)
    exact = torch.from_numpy(np.ascontiguousarray(depth, dtype=np.float64))[None]
    points = camera.unproject(exact)[0].numpy() - camera.centers[0].numpy()
    points = points @ camera.camera_to_world[0, :3, :3].numpy()
    return _weights_along(1, depth, points, facing), _weights_along(0, depth, points, facing)


def _weights_along(axis: int, depth: Array, points: NDArray[np.float64], normals: NDArray[np.float64]) -> NDArray[np.float64]:
    step = np.roll(points, -1, axis) - points
    other_normals = np.roll(normals, -1, axis)
    nearest = np.minimum(depth, np.roll(depth, -1, axis))
    off_plane = np.maximum(np.abs((step * normals).sum(-1)), np.abs((step * other_normals).sum(-1)))
    bend = 1 - (normals * other_normals).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = 1 / (1 + (off_plane / nearest / PLANE_TOLERANCE) ** 2) / (1 + (bend / NORMAL_TOLERANCE) ** 2)
    known, other_known = depth > 0, np.roll(depth, -1, axis) > 0
    weights = np.where(known & other_known, weights, np.where(known ^ other_known, 0.0, 1.0))
    return np.maximum(weights, LEAST_WEIGHT)


def base_layer(rgb: Picture, hole: Mask, weights: Weights, *, soft_rim: bool = False) -> Picture:
    """Smoothed colour where it is known, and inside the hole the harmonic continuation of the rim.

    Args:
        rgb: sRGB  # [H, W, 3]
        hole: True = to be filled  # [H, W]
        weights: Edge weights of ``surface_weights``.
        soft_rim: Whether something of a removed object may be left at the rim, which is smoothed as all else then, and hardly if
            not, so that the fill meets it.

    Returns:
        Base colour everywhere  # [H, W, 3]
    """
    right, down = weights
    known_right = right * ~hole * ~np.roll(hole, -1, 1)
    known_down = down * ~hole * ~np.roll(hole, -1, 0)
    rim = _diffuse(rgb.astype(np.float64), known_right, known_down, RIM_STEPS)
    smooth = _diffuse(rim, known_right, known_down, SMOOTHING_STEPS - RIM_STEPS)
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    if len(rows):  # beyond the next pixel nothing bears on the hole
        near = slice(max(0, rows[0] - 1), rows[-1] + 2), slice(max(0, columns[0] - 1), columns[-1] + 2)
        part, inside, continued = smooth[near], hole[near], smooth if soft_rim else rim
        for c in range(3):
            part[inside, c] = solve_membrane(right[near], down[near], continued[near][..., c], ~inside).values[inside]
    filled: Picture = smooth.astype(np.float32)
    return filled


@kernel(EXACT)
def _diffuse(values, right, down, steps):
    height, width, channels = values.shape
    now, then = np.empty((channels, height, width)), np.empty((channels, height, width))
    for c in range(channels):
        now[c] = values[:, :, c]
    for _ in range(steps):
        for c in range(channels):
            for y in range(height):
                here, out = now[c, y], then[c, y]
                for x in range(width):
                    out[x] = here[x]
                if y > 0:
                    for x in range(width):
                        out[x] -= 0.2 * down[y - 1, x] * (here[x] - now[c, y - 1, x])
                for x in range(1, width):
                    out[x] -= 0.2 * right[y, x - 1] * (here[x] - here[x - 1])
                for x in range(width - 1):
                    out[x] += 0.2 * right[y, x] * (here[x + 1] - here[x])
                if y + 1 < height:
                    for x in range(width):
                        out[x] += 0.2 * down[y, x] * (now[c, y + 1, x] - here[x])
        now, then = then, now
    found = np.empty(values.shape)
    for c in range(channels):
        found[:, :, c] = now[c]
    return found
