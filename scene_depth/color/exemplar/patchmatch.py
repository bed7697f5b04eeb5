"""Nearest-neighbour fields between patches, and the vote that turns one into a picture (Barnes et al. 2009)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion

from scene_depth.arrays import Mask, Places
from scene_depth.kernels import EXACT, FAST, inlined, kernel

RADIUS = 3  # patches of 7 x 7: smaller ones lose the pattern, larger ones seldom repeat
FAR = np.float32(3.4e38)


@inlined(FAST)
def _distance(features, trust, ty, tx, sy, sx, limit):
    """Sum over the patch of trust-weighted squared differences; stops where it exceeds ``limit``."""
    height, width, channels = features.shape
    total = np.float32(0)
    for dy in range(-RADIUS, RADIUS + 1):
        y = ty + dy
        if y < 0 or y >= height:
            continue
        for dx in range(-RADIUS, RADIUS + 1):
            x = tx + dx
            if x < 0 or x >= width:
                continue
            pixel = np.float32(0)
            for c in range(channels):
                difference = features[y, x, c] - features[sy + dy, sx + dx, c]
                pixel += difference * difference
            total += trust[y, x] * pixel
        if total > limit:
            return FAR
    return total


@inlined(EXACT)
def _random(state):
    """One step of a 64-bit linear congruential generator (Knuth's MMIX constants); gives [0, 1)."""
    state[0] = state[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return np.float64(state[0] >> np.uint64(11)) / 9007199254740992.0


@kernel(EXACT)
def improve_field(features, trust, targets, usable, sources, field, costs, state, backward):
    """One pass of propagation and random search over all target patches, in scan order or against it.

    Args:
        features: What patches are compared by, current estimate inside the hole  # [H, W, F]
        trust: Weight of each pixel of a target patch  # [H, W]
        targets: Rows and columns of target patch centres, in scan order  # [T, 2]
        usable: True where a source patch may be centred  # [H, W]
        sources: All usable centres, for jumps anywhere  # [S, 2]
        field: Source centre of every pixel, improved in place  # [H, W, 2]
        costs: Patch distance of the field, updated in place  # [H, W]
        state: State of the random generator  # [1]
        backward: Scan from the last target to the first.
    """
    height, width = usable.shape
    count = targets.shape[0]
    step = 1 if backward else -1
    for k in range(count):
        index = count - 1 - k if backward else k
        ty, tx = targets[index, 0], targets[index, 1]
        best_y, best_x, best = field[ty, tx, 0], field[ty, tx, 1], costs[ty, tx]
        for axis in range(2):
            ny, nx = (ty + step, tx) if axis == 0 else (ty, tx + step)
            if ny < 0 or ny >= height or nx < 0 or nx >= width or costs[ny, nx] >= FAR:
                continue
            sy, sx = field[ny, nx, 0] - (ny - ty), field[ny, nx, 1] - (nx - tx)
            if 0 <= sy < height and 0 <= sx < width and usable[sy, sx]:
                cost = _distance(features, trust, ty, tx, sy, sx, best)
                if cost < best:
                    best_y, best_x, best = sy, sx, cost
        jump = int(_random(state) * sources.shape[0])
        cost = _distance(features, trust, ty, tx, sources[jump, 0], sources[jump, 1], best)
        if cost < best:
            best_y, best_x, best = sources[jump, 0], sources[jump, 1], cost
        reach = max(height, width) // 2
        while reach >= 1:
            sy = best_y + int((2 * _random(state) - 1) * reach)
            sx = best_x + int((2 * _random(state) - 1) * reach)
            if 0 <= sy < height and 0 <= sx < width and usable[sy, sx]:
                cost = _distance(features, trust, ty, tx, sy, sx, best)
                if cost < best:
                    best_y, best_x, best = sy, sx, cost
            reach //= 2
        field[ty, tx, 0], field[ty, tx, 1], costs[ty, tx] = best_y, best_x, best


@kernel(EXACT)
def measure_field(features, trust, targets, field, costs):
    """Patch distances of a field after the picture has changed."""
    for index in range(targets.shape[0]):
        ty, tx = targets[index, 0], targets[index, 1]
        costs[ty, tx] = _distance(features, trust, ty, tx, field[ty, tx, 0], field[ty, tx, 1], FAR)


@kernel(EXACT)
def vote(values, hole, targets, trust, field, costs, bandwidth):
    """Each pixel of the hole becomes the weighted mean of what the patches over it say (Wexler et al. 2007, eq. 5).

    Args:
        values: Channels to fill  # [H, W, C]
        hole: Pixels to fill  # [H, W]
        targets, trust, field, costs: As in improve_field.
        bandwidth: Patch distance at which a vote's weight has fallen to exp(-1/2).

    Returns:
        The filled channels  # [H, W, C]
    """
    height, width, channels = values.shape
    total = np.zeros((height, width, channels), np.float32)
    weights = np.zeros((height, width), np.float32)
    for index in range(targets.shape[0]):
        ty, tx = targets[index, 0], targets[index, 1]
        weight = trust[ty, tx] * np.exp(-costs[ty, tx] / (2 * bandwidth)) + np.float32(1e-9)
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                y, x = ty + dy, tx + dx
                if 0 <= y < height and 0 <= x < width and hole[y, x]:
                    weights[y, x] += weight
                    for c in range(channels):
                        total[y, x, c] += weight * values[field[ty, tx, 0] + dy, field[ty, tx, 1] + dx, c]
    filled = values.copy()
    for y in range(height):
        for x in range(width):
            if hole[y, x] and weights[y, x] > 0:
                for c in range(channels):
                    filled[y, x, c] = total[y, x, c] / weights[y, x]
    return filled


def usable_centres(known: Mask) -> Mask:
    """Where a source patch may be centred: all its pixels are known and inside the picture."""
    return np.asarray(binary_erosion(known, structure=np.ones((2 * RADIUS + 1,) * 2), border_value=0), dtype=bool)


def target_centres(hole: Mask) -> Places:
    """Centres of all patches that touch the hole, in scan order  # [T, 2]"""
    return np.argwhere(binary_dilation(hole, structure=np.ones((2 * RADIUS + 1,) * 2)))
