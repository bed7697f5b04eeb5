"""The surface that a pixel on an edge belongs to, where a network blended near and far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Mask, Picture
from scene_depth.kernels import EXACT, inlined, kernel

REACH = 53  # a pixel looks for its surface within this part of the longer side
COLOR = 0.4  # difference of log depth that counts as much as a difference of 1 in colour
APART = 0.12  # difference of log depth that counts as much as being a whole reach away
SAME = 0.06  # standard deviation of log depth on one surface, for the mean of what is seen of it
NEAR = 1.2 / 320  # of the longer side: standard deviation of the distance that this mean is taken over
SAME_COLOR = 3.0  # by how much pixels of other colours count less in it


def snap_to_surfaces(
    depth: NDArray[np.float32], kept: Mask, edges: Mask, picture: Picture | None = None, goal: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Gives each pixel on an edge the depth of the surface beside it that it belongs to, so that none floats between.

    That is the surface which is nearest to the pixel's own depth, which is a blend of both sides, to its colour and in the
    picture; its depth is the mean of what is seen of it there. A pixel nearer or farther than all surfaces beside it is no blend
    of them, but thin itself, and keeps its depth.

    Args:
        depth: Depth, blended on edges  # [H, W]
        kept: Pixels on surfaces  # [H, W] bool
        edges: Pixels to be snapped  # [H, W] bool
        picture: Colour in [0, 1]; without it colour is not asked  # [H, W, 3]
        goal: What the depth of the surface is nearest to; by default the pixel's own  # [H, W]

    Returns:
        Depth of the snapped pixels; 0 elsewhere, and where no surface is near  # [H, W]
    """
    side = max(depth.shape)
    places = np.argwhere(edges)
    surfaces = np.where(kept & (depth > 0), np.log(np.maximum(depth, 1e-30)), np.nan)
    rows, columns = places.T
    own, wanted = (np.log(np.maximum(values[rows, columns], 1e-30)) for values in (depth, depth if goal is None else goal))
    colors = np.zeros((*depth.shape, 1), np.float32) if picture is None else np.ascontiguousarray(picture, np.float32)
    found = np.full(len(places), np.nan)
    _snap(surfaces, colors, places, own.astype(float), wanted.astype(float), max(2, round(side / REACH)), NEAR * side, found)
    snapped = np.zeros(depth.shape, np.float32)
    snapped[rows, columns] = np.where(np.isfinite(found), np.exp(found), 0)
    return snapped


@inlined(EXACT)
def _difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    total = 0.0
    for channel in range(len(first)):
        total += abs(first[channel] - second[channel])
    return total / len(first)


@kernel(EXACT)
def _snap(
    surfaces: NDArray[np.float64],
    colors: NDArray[np.float32],
    places: NDArray[np.int64],
    own: NDArray[np.float64],
    wanted: NDArray[np.float64],
    reach: int,
    near: float,
    found: NDArray[np.float64],
) -> None:
    height, width = surfaces.shape
    most = (2 * reach + 1) ** 2
    seen, distances, differences = np.empty(most), np.empty(most), np.empty(most)
    for i in range(len(places)):
        row, column = places[i]
        count, best, least = 0, 0.0, np.inf
        for y in range(max(row - reach, 0), min(row + reach, height - 1) + 1):
            for x in range(max(column - reach, 0), min(column + reach, width - 1) + 1):
                squared = (y - row) ** 2 + (x - column) ** 2
                if squared > reach * reach + 1 or np.isnan(surfaces[y, x]):
                    continue
                color = _difference(colors[y, x], colors[row, column])
                cost = abs(surfaces[y, x] - wanted[i]) + COLOR * color + APART * np.sqrt(squared) / reach
                if cost < least:
                    best, least = surfaces[y, x], cost
                seen[count], distances[count], differences[count] = surfaces[y, x], squared, color
                count += 1
        if count == 0:
            continue
        if own[i] < seen[:count].min() or own[i] > seen[:count].max():
            found[i] = own[i]
            continue
        total, weights = 0.0, 0.0
        for k in range(count):
            same, beside = (seen[k] - best) / SAME, distances[k] / (near * near)
            weight = np.exp(-(same * same + beside) / 2 - SAME_COLOR * differences[k])
            total, weights = total + weight * seen[k], weights + weight
        found[i] = total / weights
