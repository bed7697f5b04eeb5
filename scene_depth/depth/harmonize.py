"""Takes the seam out of a filled hole by a smooth correction that never touches known pixels.

The offset between known and predicted log depth is measured at the hole's border and continued into the hole as a
membrane (Laplace's equation with the offsets as Dirichlet data). Two things keep true discontinuities apart:

- The membrane is cut where the prediction itself has a depth edge, so an object inside the hole does not take over the
  offset of the background that happens to touch the border beside it.
- A border pixel gives no offset where the known depth has an edge, or where its offset is far from the median of the
  border around it. Where known depth was pasted over the prediction, a step may as well be the border of an object that
  ends there; then offsets that are far from most of the border are left out too, however many agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from scene_depth.arrays import MAD_TO_SIGMA, Array, Mask
from scene_depth.depth.scattered import linear_fill
from scene_depth.depth.seam import DIRECTIONS, continued, shifted
from scene_depth.geometry.membrane import solve_membrane

EDGE = 0.05  # step of log depth between neighbours that counts as a depth edge
OUTLIER = 0.1  # deviation of an offset from its surroundings beyond which the border is an occlusion
SURROUNDINGS = 25  # border pixels in the median
LEAST_CONDUCTANCE = 1e-4  # islands behind depth edges still take the offset of what surrounds them
SCATTERED = 0.5  # share of border pixels without known neighbour from which the known depth counts as points
REPASTED = 1e-3  # largest relative difference at the border that counts as already pasted


@dataclass(frozen=True)
class BorderOffsets:
    """What the border of the hole says about the prediction.

    Attributes:
        values: log known depth - log predicted depth, read at the border  # [H, W]
        border: Pixels whose offset can be told: known ones beside the hole, or filled ones beside known ones  # [H, W]
        moved: True where the prediction differs from known depth at known pixels; False if it had them pasted.
        median: Median of |values| over the border, 0 if there is none.
    """

    values: Array
    border: Mask
    moved: bool
    median: float


def border_offsets(prediction: Array, depth: Array, known: Mask) -> BorderOffsets:
    """Offsets at the border of the hole.

    Where the prediction differs from known depth, the offset is taken at the known border pixels. Where it had known
    depth pasted, the only trace is the step behind the border: there known depth is continued by its slope into the
    first filled pixels.

    Args:
        prediction: Predicted z-depth, finite and positive everywhere  # [H, W]
        depth: z-depth, read where known  # [H, W]
        known: True = measured  # [H, W]
    """
    log_prediction = np.log(np.asarray(prediction, dtype=np.float64))
    log_known = np.log(np.where(known, depth, 1.0).astype(np.float64))
    border = known & _beside(~known)
    offset = np.where(border, log_known - log_prediction, 0.0)
    moved = bool(border.any()) and float(np.median(np.abs(offset[border]))) > REPASTED
    if not moved:
        expected, border = continued(np.where(known, np.exp(-log_known), 0.0), known)
        offset = np.where(border, -np.log(np.where(border, expected, 1.0)) - log_prediction, 0.0)
    median = float(np.median(np.abs(offset[border]))) if border.any() else 0.0
    return BorderOffsets(offset, border, moved, median)


def harmonize(prediction: Array, depth: Array, known: Mask, offsets: BorderOffsets) -> Array:
    """The prediction with the offsets of the border continued into the hole.

    Known depth given as scattered points has no border that a membrane could hang on (harmonic functions have spikes at
    isolated points); there offsets are interpolated linearly over the triangles of the points.

    Args:
        prediction: Predicted z-depth, finite and positive  # [H, W]
        depth: z-depth, read where known  # [H, W]
        known: True = measured  # [H, W]
        offsets: From ``border_offsets`` of the same arrays.

    Returns:
        Corrected z-depth in the hole; known pixels are those of the prediction  # [H, W]
    """
    trusted = offsets.border & ~_at_edge(depth, known, offsets.border)
    trusted &= _agrees(offsets.values, trusted)
    if not offsets.moved:
        trusted &= _is_common(offsets.values, trusted)
    if not trusted.any():
        return np.array(prediction)
    if offsets.moved and is_scattered(known):
        correction = linear_fill(offsets.values, trusted)
    else:
        right, down = _conductance(np.log(np.asarray(prediction, dtype=np.float64)))
        passable = ~known | trusted
        right[:, :-1] *= passable[:, :-1] & passable[:, 1:]
        down[:-1] *= passable[:-1] & passable[1:]
        start = np.where(passable, np.median(offsets.values[trusted]), 0.0)
        correction = solve_membrane(right, down, offsets.values, trusted, start, tolerance=1e-4).values
    return np.where(known, prediction, prediction * np.exp(correction)).astype(prediction.dtype)


def is_scattered(known: Mask) -> bool:
    """Whether known depth comes as isolated points rather than areas or lines."""
    border = known & _beside(~known)
    return bool(border.any()) and float((~_beside(known))[border].mean()) > SCATTERED


def _beside(mask: Mask) -> Mask:
    """Pixels with a 4-neighbour in the mask."""
    result = np.zeros_like(mask)
    for axis, way in DIRECTIONS:
        result |= shifted(mask, axis, way)
    return result


def _at_edge(depth: Array, known: Mask, border: Mask) -> Mask:
    """Border pixels beside a depth edge of the known side."""
    log_known = np.log(np.where(known, depth, 1.0).astype(np.float64))
    edge = np.zeros_like(known)
    for axis, way in DIRECTIONS:
        both = known & shifted(known, axis, way)
        edge |= both & (np.abs(log_known - shifted(log_known, axis, way)) > EDGE)
    return border & (edge | (~known & _beside(edge)))


def _agrees(offset: Array, candidates: Mask) -> Mask:
    """Candidates whose offset is near the median of the candidates around them."""
    result = np.zeros_like(candidates)
    points = np.argwhere(candidates)
    if len(points) == 0:
        return result
    count = min(SURROUNDINGS, len(points))
    values = offset[candidates]
    neighbours = cKDTree(points).query(points, k=count)[1].reshape(len(points), count)
    result[candidates] = np.abs(values - np.median(values[neighbours], axis=1)) <= OUTLIER
    return result


def _is_common(offset: Array, candidates: Mask) -> Mask:
    """Candidates within three robust standard deviations of the median of all."""
    if not candidates.any():
        return candidates
    deviation = np.abs(offset - np.median(offset[candidates]))
    spread = MAD_TO_SIGMA * float(np.median(deviation[candidates]))
    return candidates & (deviation <= max(3.0 * spread, OUTLIER))


def _conductance(log_prediction: Array) -> tuple[Array, Array]:
    right, down = np.zeros(log_prediction.shape), np.zeros(log_prediction.shape)
    right[:, :-1] = np.diff(log_prediction, axis=1)
    down[:-1] = np.diff(log_prediction, axis=0)
    right, down = (1.0 / (1.0 + (step / EDGE) ** 2) ** 2 for step in (right, down))
    return np.maximum(right, LEAST_CONDUCTANCE), np.maximum(down, LEAST_CONDUCTANCE)
