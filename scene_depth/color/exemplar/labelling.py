"""Which of a few offsets each cell of a hole is copied by: a labelling whose seams show least (Pritch et al. 2009)."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from scene_depth.arrays import Array, Mask, Places
from scene_depth.color.exemplar.offsets import shifted
from scene_depth.kernels import FAST, inlined, kernel

FORBIDDEN = np.float32(1e3)  # cost of a copy from where nothing is known; everything else is far below
SEAM = 1e-3  # cost of any change of offset, so that equal copies stay whole
BORDER = 3.0  # standard deviation, in cells, of the surroundings by which an offset is judged at the border
BORDER_WEIGHT = 30.0  # of that judgement beside one seam
GAUSSIAN_REACH = 4.0  # standard deviations after which scipy ends a Gaussian
LIGHT = 0.3  # weight of an even difference in brightness there beside one in pattern
ROUNDS = 15


def label_offsets(values: Array, known: Mask, hole: Mask, offsets: Places) -> Places:
    """The best offset of every cell of the hole.

    Minimises, by sequential tree-reweighted message passing (Kolmogorov 2006), the visible seams between cells with
    different offsets, |I(x + a) - I(x + b)|^2 at both cells, and the differences between the known surroundings of a
    cell at the border and what its offset would put there.

    Args:
        values: Colours, of meaning where known  # [H, W, 3]
        known: Cells that may be copied  # [H, W]
        hole: Cells to fill  # [H, W]
        offsets: Rows and columns  # [K, 2]

    Returns:
        Index of the offset; -1 outside the hole and where none leads to a known cell  # [H, W]
    """
    nodes = np.argwhere(hole)
    index = np.full(hole.shape, -1, dtype=np.int64)
    index[hole] = np.arange(len(nodes))
    if not len(nodes):
        return index
    copies, unary = [], []
    reach = int(GAUSSIAN_REACH * BORDER + 0.5)
    rows, columns = (slice(max(0, side.min() - reach), side.max() + reach + 1) for side in nodes.T)
    here, near, inside = values[rows, columns], known[rows, columns], hole[rows, columns]  # what bears on the hole
    surroundings = gaussian_filter(near.astype(np.float32), BORDER)
    for offset in offsets:
        there, can = shifted(values, offset, 0)[rows, columns], shifted(known, offset, False)[rows, columns]
        both = near & can
        difference = np.where(both[..., None], here - there, 0)
        share = gaussian_filter(both.astype(np.float32), BORDER)
        squared = gaussian_filter((difference**2).sum(axis=-1), BORDER)
        brightness = gaussian_filter(difference.mean(axis=-1), BORDER)
        even = 3 * brightness**2 / np.maximum(share, 1e-3)  # what of the difference is one of light alone
        cost = BORDER_WEIGHT * np.maximum(squared - (1 - LIGHT) * even, 0)
        # Where an offset leads out of the picture from the surroundings, it is not better for being unknown there.
        cost += BORDER_WEIGHT * np.maximum(surroundings - share, 0) * 0.02
        copies.append(there[inside])
        unary.append(np.where(can, cost, FORBIDDEN)[inside])
    colours = np.ascontiguousarray(np.stack(copies, axis=1), dtype=np.float32)  # [N, K, 3]
    costs = np.ascontiguousarray(np.stack(unary, axis=1), dtype=np.float32)
    possible = costs.min(axis=1) < FORBIDDEN
    right = np.full(len(nodes), -1, dtype=np.int64)
    down = np.full(len(nodes), -1, dtype=np.int64)
    right[index[:, :-1][hole[:, :-1]]] = index[:, 1:][hole[:, :-1]]
    down[index[:-1][hole[:-1]]] = index[1:][hole[:-1]]
    chosen = np.where(possible, _message_passing(costs, colours, right, down, ROUNDS, np.float32(SEAM)), -1)
    labels = np.full(hole.shape, -1, dtype=np.int64)
    labels[hole] = chosen
    return labels


@inlined(FAST)
def _seams(colours, one, other, seam, out):
    """Cost of every pair of offsets on two neighbouring cells  # [K, K]"""
    count = colours.shape[1]
    for a in range(count):
        for b in range(count):
            cost = np.float32(0)
            for c in range(3):
                first = colours[one, a, c] - colours[one, b, c]
                second = colours[other, a, c] - colours[other, b, c]
                cost += first * first + second * second
            out[a, b] = cost + (seam if a != b else np.float32(0))


@kernel(FAST)
def _message_passing(unary, colours, right, down, rounds, seam):
    nodes, count = unary.shape
    pairs = np.zeros((nodes, 2, count, count), np.float32)  # to the right and lower neighbour; symmetric
    back = np.full((nodes, 2), -1, np.int64)  # left and upper neighbour
    for node in range(nodes):
        for side in range(2):
            other = right[node] if side == 0 else down[node]
            if other >= 0:
                _seams(colours, node, other, seam, pairs[node, side])
                back[other, side] = node
    ahead = np.zeros((nodes, 2, count), np.float32)  # messages from the right and lower neighbour
    behind = np.zeros((nodes, 2, count), np.float32)  # messages from the left and upper one
    belief, sent = np.zeros(count, np.float32), np.zeros(count, np.float32)
    for _ in range(rounds):
        for forward in (True, False):
            for k in range(nodes):
                node = k if forward else nodes - 1 - k
                for a in range(count):
                    belief[a] = 0.5 * (
                        unary[node, a] + ahead[node, 0, a] + ahead[node, 1, a] + behind[node, 0, a] + behind[node, 1, a]
                    )
                for side in range(2):
                    other = (right[node] if side == 0 else down[node]) if forward else back[node, side]
                    if other < 0:
                        continue
                    pair = pairs[node, side] if forward else pairs[other, side]
                    received = ahead[node, side] if forward else behind[node, side]
                    target = behind[other, side] if forward else ahead[other, side]
                    for b in range(count):
                        sent[b] = np.float32(3e38)
                    for a in range(count):
                        start = belief[a] - received[a]
                        for b in range(count):
                            sent[b] = min(sent[b], start + pair[a, b])
                    least = sent.min()
                    for b in range(count):
                        target[b] = sent[b] - least
    labels = np.zeros(nodes, np.int64)
    for node in range(nodes):
        best = np.float32(3e38)
        for a in range(count):
            cost = unary[node, a] + ahead[node, 0, a] + ahead[node, 1, a]
            for side in range(2):
                other = back[node, side]
                if other >= 0:
                    cost += pairs[other, side, labels[other], a]
            if cost < best:
                best = cost
                labels[node] = a
    return labels
