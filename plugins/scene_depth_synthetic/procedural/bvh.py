"""A tree of boxes around primitives, split by the surface area heuristic (Wald, "On fast construction of SAH-based
bounding volume hierarchies", 2007)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, kernel, subroutine

BINS = 12
LEAF_SIZE = 1
FREE_LEVELS = 40  # below, halves: no tree is deeper than 40 + log2(N), which bounds the stacks of those who walk it


@subroutine(EXACT)
def _area(x0, y0, z0, x1, y1, z1):
    a, b, c = max(x1 - x0, 0.0), max(y1 - y0, 0.0), max(z1 - z0, 0.0)
    return a * b + b * c + c * a


@subroutine(EXACT)
def _enclose(lows, highs, order, first, count, bounds):
    """Writes the box around ``order[first : first + count]`` to bounds [6]."""
    for axis in range(3):
        bounds[axis], bounds[3 + axis] = np.inf, -np.inf
    for i in range(first, first + count):
        for axis in range(3):
            bounds[axis] = min(bounds[axis], lows[order[i], axis])
            bounds[3 + axis] = max(bounds[3 + axis], highs[order[i], axis])


@subroutine(EXACT)
def _best_plane(centers, lows, highs, order, first, count):
    """Axis and centre coordinate of the cheapest split; axis -1 if all centres agree."""
    best_cost, best_axis, best_plane = np.inf, -1, 0.0
    boxes, counts = np.empty((BINS, 6)), np.empty(BINS, np.int64)
    right_cost = np.empty(BINS)
    for axis in range(3):
        low, high = np.inf, -np.inf
        for i in range(first, first + count):
            low, high = min(low, centers[order[i], axis]), max(high, centers[order[i], axis])
        if high - low < 1e-9:
            continue
        scale = BINS / (high - low)
        counts[:] = 0
        boxes[:, :3], boxes[:, 3:] = np.inf, -np.inf
        for i in range(first, first + count):
            b = min(int((centers[order[i], axis] - low) * scale), BINS - 1)
            counts[b] += 1
            for k in range(3):
                boxes[b, k] = min(boxes[b, k], lows[order[i], k])
                boxes[b, 3 + k] = max(boxes[b, 3 + k], highs[order[i], k])
        grown, number = np.array([np.inf, np.inf, np.inf, -np.inf, -np.inf, -np.inf]), 0
        for b in range(BINS - 1, 0, -1):
            number += counts[b]
            for k in range(3):
                grown[k], grown[3 + k] = min(grown[k], boxes[b, k]), max(grown[3 + k], boxes[b, 3 + k])
            right_cost[b] = number * _area(grown[0], grown[1], grown[2], grown[3], grown[4], grown[5]) if number else 0.0
        grown[:3], grown[3:], number = np.inf, -np.inf, 0
        for b in range(BINS - 1):
            number += counts[b]
            for k in range(3):
                grown[k], grown[3 + k] = min(grown[k], boxes[b, k]), max(grown[3 + k], boxes[b, 3 + k])
            if number == 0 or number == count:
                continue
            cost = number * _area(grown[0], grown[1], grown[2], grown[3], grown[4], grown[5]) + right_cost[b + 1]
            if cost < best_cost:
                best_cost, best_axis, best_plane = cost, axis, low + (b + 1) / scale
    return best_axis, best_plane


@subroutine(EXACT)
def _partition(centers, order, first, count, axis, plane):
    """Moves primitives below the plane to the front; returns how many there are."""
    left, right = first, first + count - 1
    while left <= right:
        if centers[order[left], axis] < plane:
            left += 1
        else:
            order[left], order[right] = order[right], order[left]
            right -= 1
    return left - first


@kernel(EXACT)
def _build(lows, highs):
    total = lows.shape[0]
    order = np.arange(total)
    centers = 0.5 * (lows + highs)
    bounds = np.empty((max(2 * total - 1, 1), 6))
    links = np.zeros((max(2 * total - 1, 1), 2), np.int32)
    stack = np.empty((128, 4), np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2], stack[0, 3] = 0, 0, total, 0
    depth, used = 1, 1
    while depth > 0:
        depth -= 1
        node, first, count, level = stack[depth, 0], stack[depth, 1], stack[depth, 2], stack[depth, 3]
        _enclose(lows, highs, order, first, count, bounds[node])
        if count <= LEAF_SIZE:
            links[node, 0], links[node, 1] = first, -count
            continue
        left = 0
        if level < FREE_LEVELS:
            axis, plane = _best_plane(centers, lows, highs, order, first, count)
            left = _partition(centers, order, first, count, axis, plane) if axis >= 0 else 0
        if left == 0 or left == count:
            left = count // 2
        links[node, 0], links[node, 1] = used, used + 1
        # the smaller half is done first, so the stack stays below log2(count) entries
        small, large = (used, used + 1) if left < count - left else (used + 1, used)
        for child in (large, small):
            stack[depth, 0], stack[depth, 3] = child, level + 1
            stack[depth, 1], stack[depth, 2] = (first, left) if child == used else (first + left, count - left)
            depth += 1
        used += 2
    return order, bounds[:used].copy(), links[:used].copy()


def build_bvh(
    lows: NDArray[np.float64], highs: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32]]:
    """Builds the tree.

    Args:
        lows, highs: Corners of the primitives' boxes  # [N, 3] each, N >= 1

    Returns:
        Order in which the primitives are to be stored  # [N]
        Boxes of the nodes, (low, high)  # [M, 6]
        Links of the nodes: the two children, or (first primitive, -count) for a leaf  # [M, 2]
    """
    margin = 1e-9 * (1.0 + np.maximum(np.abs(lows), np.abs(highs)))
    order, bounds, links = _build(np.ascontiguousarray(lows - margin), np.ascontiguousarray(highs + margin))
    return order, bounds, links
