"""Colorization using optimization (Levin, Lischinski and Weiss 2004), as a sparse linear system."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import splu

from scene_depth.arrays import Array, Mask

NEIGHBOURS = [(di, dj) for di in (-1, 0, 1) for dj in (-1, 0, 1) if (di, dj) != (0, 0)]
VARIANCE_FACTOR = 0.6  # this and the two constants below are those of the authors' code
LEAST_SIMILARITY = 0.01
LEAST_VARIANCE = 2e-6


def colorize(gray: Array, values: Array, known: Mask) -> Array:
    """Solves u_r = sum_s w_rs u_s over the 3 x 3 neighbours s of every unknown pixel r, with u given at known pixels.

    w_rs is exp(-(Y_r - Y_s)^2 / s_r), divided by its sum over s; s_r is 0.6 times the variance of the 3 x 3 window, at
    least so large that the most similar neighbour has weight 0.01 (section 2 of the paper and its code).

    A sparse direct solver, as in the original: the matrix is not symmetric and its weights span orders of magnitude,
    at which preconditioned BiCGSTAB was slower.

    Args:
        gray: Grey values Y in [0, 1]  # [H, W]
        values: u, read where known  # [H, W]
        known: At least one True  # [H, W]
    """
    result = np.where(known, values, 0.0)
    if known.all():
        return result
    number = np.full(known.shape, -1)
    number[~known] = np.argsort(np.argsort(_dissection_order(known.shape)[~known]))
    matrix, right_side = _system(_weights(gray), values, known, number)
    factors = splu(matrix, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    result[~known] = factors.solve(right_side)[number[~known]]
    return result


def _dissection_order(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Place of each pixel in a nested dissection (George 1973): halves first, the line between them last.

    On a grid this keeps the factors sparse; the orderings that SuperLU brings took five times as long.
    """
    order = np.zeros(shape, dtype=np.intp)
    pending = [(0, shape[0], 0, shape[1])]
    place = order.size
    while pending:  # places are given out from the last to the first, so separators come before what they separate
        top, bottom, left, right = pending.pop()
        if bottom - top >= right - left:
            middle = (top + bottom) // 2
            separator = order[middle, left:right]
            halves = ((top, middle, left, right), (middle + 1, bottom, left, right))
        else:
            middle = (left + right) // 2
            separator = order[top:bottom, middle]
            halves = ((top, bottom, left, middle), (top, bottom, middle + 1, right))
        place -= separator.size
        separator[:] = place + np.arange(separator.size)
        pending.extend(half for half in halves if half[1] > half[0] and half[3] > half[2])
    return order


def _weights(gray: Array) -> dict[tuple[int, int], Array]:
    """Normalised weight of each of the eight neighbours, 0 outside the image."""
    neighbours = {step: _neighbour(gray, step) for step in NEIGHBOURS}
    inside = {step: _neighbour(np.ones_like(gray), step) for step in NEIGHBOURS}
    count = 1.0 + sum(inside.values())
    mean = (gray + sum(neighbours.values())) / count
    squares = (gray - mean) ** 2 + sum(inside[step] * (neighbours[step] - mean) ** 2 for step in NEIGHBOURS)
    distance = {step: np.where(inside[step] > 0, (neighbours[step] - gray) ** 2, np.inf) for step in NEIGHBOURS}
    closest = np.minimum.reduce(list(distance.values()))
    closest = np.where(np.isfinite(closest), closest, 0.0)  # an image of one pixel
    spread = np.maximum(VARIANCE_FACTOR * squares / count, -closest / np.log(LEAST_SIMILARITY))
    spread = np.maximum(spread, LEAST_VARIANCE)
    weights = {step: np.exp(-distance[step] / spread) for step in NEIGHBOURS}
    total = np.maximum(sum(weights.values()), 1e-300)
    return {step: weight / total for step, weight in weights.items()}


def _neighbour(values: Array, step: tuple[int, int]) -> Array:
    """Value of the neighbour at an offset, 0 outside."""
    height, width = values.shape
    padded = np.pad(values, 1)
    return padded[1 + step[0] : 1 + step[0] + height, 1 + step[1] : 1 + step[1] + width]


def _system(
    weights: dict[tuple[int, int], Array], values: Array, known: Mask, number: NDArray[np.intp]
) -> tuple[csc_matrix, Array]:
    count = int(number.max()) + 1
    rows, columns = [np.arange(count)], [np.arange(count)]
    entries: list[Array] = [np.ones(count)]
    right_side = np.zeros(count)
    for step, weight in weights.items():
        other_number = _neighbour(number + 1.0, step).astype(np.intp) - 1
        other_value = _neighbour(np.where(known, values, 0.0), step)
        to_unknown = ~known & (other_number >= 0)
        rows.append(number[to_unknown])
        columns.append(other_number[to_unknown])
        entries.append(-weight[to_unknown])
        right_side[number[~known]] += (weight * other_value)[~known]
    matrix = coo_matrix((np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))), shape=(count, count))
    return matrix.tocsc(), right_side
