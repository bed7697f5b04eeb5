"""The plane energy: its constants, its data terms, and their coarse versions.

Every level halves both sides. An even side is paired (cell centres between pixels), an odd one keeps every second
pixel and shares the others between their neighbours, so that a mirrored image has a mirrored pyramid.

The unknown at a pixel is a plane (u, a, b): value and slopes per pixel of its level. A data term is a quadratic form
v' M v / 2 - R' v of it; a coarse pixel's form is the sum of its children's, each seen through the plane that the coarse
pixel puts there. So at coarse levels scattered samples determine slopes, not values only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.solver.problem import Problem

# order of the six entries of a symmetric 3 x 3 matrix in the planes of M
UU, UA, UB, AA, AB, BB = range(6)


@dataclass(frozen=True)
class EnergyParameters:
    """Constants of the plane energy; lengths in pixels of the finest level.

    Attributes:
        sigma: Difference of the guide at which an edge loses most of its weight.
        floor: Weight that is left across the strongest difference of the guide.
        tau_jump: Relative jump of inverse depth between neighbours at which the surface breaks.
        tau_bend: Relative change of slope per pixel at which it creases.
        tau_hint: Relative step of the hint at which edges are switched off beforehand.
        floor_hint: Weight that is left across the strongest step of the hint.
        stiffness: Length L over which the slope stays the same.
    """

    sigma: float = 0.02
    floor: float = 0.002
    tau_jump: float = 0.06
    tau_bend: float = 0.06
    tau_hint: float = 0.1
    floor_hint: float = 0.01
    stiffness: float = 10.0


@dataclass(frozen=True)
class DataParameters:
    """Constants of the data terms; lengths in pixels.

    Attributes:
        known: Weight of a known value.
        hint: Weight of the pull towards the hint, one pixel from known ones.
        hint_power: Power of the distance with which it falls.
        slope: Weight of the pull of slopes towards 0, (L / D)^2 in the dossier of the energy.
    """

    known: float = 1000.0
    hint: float = 0.002
    hint_power: float = 1.5
    slope: float = (10.0 / 400.0) ** 2


@dataclass(frozen=True)
class Effort:
    """How hard to minimise.

    Attributes:
        iterations: Steps between two updates of the robust weights, from the coarsest level on; the last holds for all finer.
        reweightings: Updates of the robust weights a level.
        smallest: Shorter side of the coarsest level in pixels.
    """

    iterations: tuple[int, ...] = (60, 40, 30, 24, 20, 16, 8)
    reweightings: int = 4
    smallest: int = 6


@dataclass(frozen=True)
class Level:
    """One resolution.

    Attributes:
        matrix: Quadratic data terms, entries uu, ua, ub, aa, ab, bb  # [6, H, W]
        linear: Their linear part  # [3, H, W]
        guide: Guidance planes  # [channels, H, W]
        hint: Inverse depth of the geodesic map, whose steps switch edges off  # [H, W]
        scale: Size of a pixel in pixels of the finest level.
    """

    matrix: NDArray[np.float32]
    linear: NDArray[np.float32]
    guide: NDArray[np.float32]
    hint: NDArray[np.float32]
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        return self.hint.shape[0], self.hint.shape[1]


def finest_level(problem: Problem, hint: NDArray[np.float32], weights: DataParameters) -> Level:
    """Data terms relative to the values: c (u - f)^2 / f^2, c_p (u - G)^2 / G^2 and slope weight times |g|^2 / G^2.

    Args:
        problem: Known values and guide.
        hint: G, a first guess of every value  # [H, W]
        weights: Constants.
    """
    height, width = problem.known.shape
    matrix, linear = np.zeros((6, height, width), dtype=np.float32), np.zeros((3, height, width), dtype=np.float32)
    squared = hint * hint
    pull = np.float32(weights.hint) / (np.maximum(problem.distance, 1) ** np.float32(weights.hint_power) * squared)
    data = np.where(problem.known, np.float32(weights.known) / np.where(problem.known, problem.values, 1) ** 2, 0)
    matrix[UU] = data + pull
    linear[0] = data * problem.values + pull * hint
    matrix[AA] = matrix[BB] = np.float32(weights.slope) / squared
    return Level(matrix, linear, problem.guide, hint, 1.0)


def build_pyramid(finest: Level, smallest: int) -> list[Level]:
    """Levels from fine to coarse, until the shorter side is at most ``smallest`` and the longer at most eight times that."""
    levels = [finest]
    while min(levels[-1].shape) > smallest or max(levels[-1].shape) > 8 * smallest:
        levels.append(_coarser(levels[-1]))
    return levels


def children(size: int) -> list[tuple[slice, slice, float, float]]:
    """How the pixels of one axis belong to coarse ones.

    Returns:
        (fine pixels, coarse pixels, weight, offset of the fine from the coarse pixel in coarse pixels)
    """
    if size == 1:
        return [(slice(None), slice(None), 1.0, 0.0)]
    if size % 2 == 0:
        return [(slice(0, None, 2), slice(None), 1.0, -0.25), (slice(1, None, 2), slice(None), 1.0, 0.25)]
    return [
        (slice(0, None, 2), slice(None), 1.0, 0.0),
        (slice(1, None, 2), slice(0, -1), 0.5, 0.5),
        (slice(1, None, 2), slice(1, None), 0.5, -0.5),
    ]


def _coarser(level: Level) -> Level:
    matrix, linear = level.matrix, level.linear
    for axis in (2, 1):
        matrix, linear = _merge_forms(matrix, linear, axis)
    guide = _mean(_mean(level.guide, 2), 1)
    hint = _mean(_mean(level.hint[None], 2), 1)[0]
    return Level(matrix, linear, guide, hint, 2.0 * level.scale)


def _merge_forms(
    matrix: NDArray[np.float32], linear: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    size = matrix.shape[axis]
    shape = list(matrix.shape[1:])
    shape[axis - 1] = (size + 1) // 2
    merged, merged_linear = np.zeros((6, *shape), dtype=np.float32), np.zeros((3, *shape), dtype=np.float32)
    # along x the slope a changes, along y the slope b; u, the slope that changes, the slope that stays
    u1, u2, s11, s12, s22, slope, stays = (UA, UB, AA, AB, BB, 1, 2) if axis == 2 else (UB, UA, BB, AB, AA, 2, 1)
    halving = 0.5 if size > 1 else 1.0
    for fine, coarse, weight, offset in children(size):
        m = [weight * _along(plane, axis, fine) for plane in matrix]
        r = [weight * _along(plane, axis, fine) for plane in linear]
        into = [_along(plane, axis, coarse) for plane in merged]
        into_r = [_along(plane, axis, coarse) for plane in merged_linear]
        into[UU] += m[UU]
        into[u1] += offset * m[UU] + halving * m[u1]
        into[u2] += m[u2]
        into[s11] += offset * offset * m[UU] + 2 * offset * halving * m[u1] + halving * halving * m[s11]
        into[s12] += offset * m[u2] + halving * m[s12]
        into[s22] += m[s22]
        into_r[0] += r[0]
        into_r[slope] += offset * r[0] + halving * r[slope]
        into_r[stays] += r[stays]
    return merged, merged_linear


def _mean(planes: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    size = planes.shape[axis]
    shape = list(planes.shape)
    shape[axis] = (size + 1) // 2
    total, weights = np.zeros(shape, dtype=np.float32), np.zeros(shape[axis], dtype=np.float32)
    for fine, coarse, weight, _ in children(size):
        _along(total, axis, coarse)[...] += np.float32(weight) * _along(planes, axis, fine)
        weights[coarse] += weight
    total /= weights.reshape([-1 if i == axis else 1 for i in range(3)])
    return total


def _along(array: NDArray[np.float32], axis: int, part: slice) -> NDArray[np.float32]:
    """A view of the part along an axis of [..., H, W]; axis 1 is y, axis 2 is x."""
    return array[..., part] if axis == 2 else array[..., part, :]
