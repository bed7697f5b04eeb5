"""The known pixel that is cheapest to reach over similar colours, for every pixel.

A geodesic distance transform (Criminisi et al., "GeoS", ECCV 2008) on the 8-connected grid: a step costs its length
plus a price on the difference of the guide. Raster sweeps run until nothing changes, so the result is the exact
shortest path, the same for any order of the sweeps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Mask
from scene_depth.kernels import EXACT, kernel, subroutine


@dataclass(frozen=True)
class GeodesicMap:
    """Attributes:
    cost: Length of the cheapest path in pixels, colour price included  # [H, W]
    source: Flat index of the known pixel it starts from  # [H, W]
    """

    cost: NDArray[np.float32]
    source: NDArray[np.int32]


def geodesic_map(guide: NDArray[np.float32], known: Mask, order: NDArray[np.float32], price: float) -> GeodesicMap:
    """Shortest paths from the known pixels.

    Args:
        guide: Planes whose differences make a path dear  # [channels, H, W]
        known: Where paths start; at least one  # [H, W]
        order: Of two sources equally far away the one of smaller value wins: a rule that holds in mirrored images  # [H, W]
        price: Pixels of length that a difference of 1 in the guide costs.
    """
    height, width = known.shape
    cost = np.where(known, np.float32(0), np.float32(np.inf)).astype(np.float32)
    source = np.where(known, np.arange(height * width, dtype=np.int32).reshape(height, width), np.int32(-1)).astype(np.int32)
    steps = np.zeros((4, height, width), dtype=np.float32)
    _step_costs(np.ascontiguousarray(guide), np.float32(price), steps)
    _sweep_until_still(steps, np.ascontiguousarray(order, dtype=np.float32).ravel(), cost, source)
    return GeodesicMap(cost, source)


@kernel(EXACT)
def _step_costs(guide, price, steps):
    """Costs of the steps to the right, down, down-right and down-left."""
    channels, height, width = guide.shape
    diagonal = np.float32(np.sqrt(2.0))
    for y in range(height):
        for x in range(width):
            for k in range(4):
                yy = y + (k > 0)
                xx = x + (1 if k == 0 or k == 2 else (-1 if k == 3 else 0))
                if yy >= height or xx < 0 or xx >= width:
                    continue
                total = np.float32(0)
                for c in range(channels):
                    difference = guide[c, y, x] - guide[c, yy, xx]
                    total += difference * difference
                steps[k, y, x] = (np.float32(1) if k < 2 else diagonal) + price * np.sqrt(total)


@subroutine(EXACT)
def _from_beside(cost, source, other_cost, other_source, step, order):
    """Relaxes pixels from one neighbour each in another row; tells whether a path became better."""
    changed = False
    for x in range(cost.size):
        new = other_cost[x] + step[x]
        if new <= cost[x] and other_source[x] >= 0 and (new < cost[x] or order[other_source[x]] < order[source[x]]):
            cost[x], source[x] = new, other_source[x]
            changed = True
    return changed


@subroutine(EXACT)
def _along(cost, source, right, order):
    """Relaxes a row along itself, there and back: exact for one row."""
    changed = False
    width = cost.size
    for x in range(1, width):
        new = cost[x - 1] + right[x - 1]
        if new < cost[x] or (new == cost[x] and source[x - 1] >= 0 and order[source[x - 1]] < order[source[x]]):
            cost[x], source[x] = new, source[x - 1]
            changed = True
    for x in range(width - 2, -1, -1):
        new = cost[x + 1] + right[x]
        if new < cost[x] or (new == cost[x] and source[x + 1] >= 0 and order[source[x + 1]] < order[source[x]]):
            cost[x], source[x] = new, source[x + 1]
            changed = True
    return changed


@subroutine(EXACT)
def _sweep_row(y, other, steps, order, cost, source):
    """Relaxes row y from the row ``other`` beside it (or none if outside), then along itself."""
    changed = False
    if 0 <= other < cost.shape[0]:
        upper = min(y, other)
        to_left, to_right = (
            (steps[2, upper, :-1], steps[3, upper, 1:]) if other < y else (steps[3, upper, 1:], steps[2, upper, :-1])
        )
        changed |= _from_beside(cost[y], source[y], cost[other], source[other], steps[1, upper], order)
        changed |= _from_beside(cost[y, 1:], source[y, 1:], cost[other, :-1], source[other, :-1], to_left, order)
        changed |= _from_beside(cost[y, :-1], source[y, :-1], cost[other, 1:], source[other, 1:], to_right, order)
    return _along(cost[y], source[y], steps[0, y], order) or changed


@kernel(EXACT)
def _sweep_until_still(steps, order, cost, source):
    height = cost.shape[0]
    from_above = np.ones(height, dtype=np.bool_)  # rows whose upper neighbour changed since they last looked at it
    from_below = np.ones(height, dtype=np.bool_)
    busy = True
    while busy:
        busy = False
        for down in (True, False):
            for i in range(height):
                y = i if down else height - 1 - i
                pending = from_above if down else from_below
                if not pending[y]:
                    continue
                pending[y] = False
                busy = True
                if _sweep_row(y, y - 1 if down else y + 1, steps, order, cost, source):
                    if y + 1 < height:
                        from_above[y + 1] = True
                    if y > 0:
                        from_below[y - 1] = True
