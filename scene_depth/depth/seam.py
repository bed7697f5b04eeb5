"""The step across the border of a hole, measured against the surface's own roughness beside it."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.cameras import Cameras
from scene_depth.depth.protocol import SeamReport
from scene_depth.geometry.normals import normals_from_depth

T = TypeVar("T", bound=np.generic)
DIRECTIONS = ((0, 1), (0, -1), (1, 1), (1, -1))  # axis, step
FARTHEST = 2.0  # an extrapolated inverse depth stays within this factor of the value that it starts from


def measure_seam(depth: Array, known: Mask, camera: Cameras | None = None) -> SeamReport | None:
    """Measures the step between known and filled neighbours (four directions).

    The known side is continued across the border by its own slope in inverse depth, in which planes are straight; the
    step is |d_in - d_out| / d_out. The same statistic one pixel inside the known side is the roughness to compare with.

    Args:
        depth: Completed z-depth, finite and positive  # [H, W]
        known: True = measured  # [H, W]
        camera: Intrinsics for the jump of normals.

    Returns:
        The report; None if no known pixel lies beside a filled one.
    """
    jump, rough = steps_at_border(depth, known)
    if jump.size == 0:
        return None
    normal_jump = _normal_jump(depth, known, camera) if camera is not None else None
    return SeamReport(float(jump.mean()), float(rough.mean()) if rough.size else 0.0, normal_jump, int(jump.size))


def steps_at_border(depth: Array, known: Mask, apart: Mask | None = None) -> tuple[Array, Array]:
    """The single steps that ``measure_seam`` takes the mean of.

    Args:
        depth, known: As in ``measure_seam``.
        apart: Known pixels beside which another surface begins; steps from them are left out  # [H, W]

    Returns:
        Relative steps from known to filled neighbours  # [N]
        The same between known pixels beside the border  # [M]
    """
    jumps, beside = [], []
    for axis, way in DIRECTIONS:
        from_known = shifted(known, axis, way)
        if apart is not None:
            from_known &= ~shifted(apart, axis, way)
        jumps.append(_steps(depth, known, from_known & ~known, axis, way))
        beside.append(_steps(depth, known, from_known & known & shifted(~known, axis, -way), axis, way))
    return np.concatenate(jumps), np.concatenate(beside)


def _steps(depth: Array, known: Mask, to: Mask, axis: int, way: int) -> Array:
    """|d_in - d_out| / d_out at some pixels whose neighbours against ``way`` are known: only these are looked at  # [N]"""
    place = np.nonzero(to)
    before = (place[0] - way, place[1]) if axis == 0 else (place[0], place[1] - way)
    further = (place[0] - 2 * way, place[1]) if axis == 0 else (place[0], place[1] - 2 * way)
    inside = (further[axis] >= 0) & (further[axis] < depth.shape[axis])
    further[axis][~inside] = 0
    last = 1.0 / depth[before].astype(np.float64)
    slope = np.where(inside & known[further], last - 1.0 / depth[further].astype(np.float64), 0.0)
    expected = np.clip(last + slope, last / FARTHEST, last * FARTHEST)
    steps: Array = np.abs(expected / (1.0 / depth[place].astype(np.float64)) - 1.0)  # as 1 / u = d
    return steps


def continued(u: Array, known: Mask) -> tuple[Array, Mask]:
    """Inverse depth of the known surface continued into the filled pixels beside it, the mean over the sides it comes from.

    Args:
        u: Inverse depth, read at known pixels  # [H, W]
        known: True = measured  # [H, W]

    Returns:
        Continued inverse depth, 0 where there is none  # [H, W]
        Filled pixels with a known neighbour  # [H, W]
    """
    total, count = np.zeros(u.shape), np.zeros(u.shape)
    for axis, way in DIRECTIONS:
        expected, from_known = _continue(u, known, axis, way)
        total += np.where(from_known & ~known, expected, 0.0)
        count += from_known & ~known
    return np.divide(total, count, out=np.zeros_like(total), where=count > 0), count > 0


def shifted(values: NDArray[T], axis: int, steps: int) -> NDArray[T]:
    """``values`` moved by some pixels along an axis; what comes in from outside is 0 or False."""
    result = np.zeros_like(values)
    source, target = np.moveaxis(values, axis, 0), np.moveaxis(result, axis, 0)
    if abs(steps) < len(source):
        if steps >= 0:
            target[steps:] = source[: len(source) - steps]
        else:
            target[:steps] = source[-steps:]
    return result


def _continue(u: Array, known: Mask, axis: int, way: int) -> tuple[Array, Mask]:
    """For every pixel: its neighbour against ``way``, continued by that side's slope, and whether the neighbour is known."""
    last, from_known = shifted(u, axis, way), shifted(known, axis, way)
    slope = np.where(shifted(known, axis, 2 * way), last - shifted(u, axis, 2 * way), 0.0)
    return np.clip(last + slope, last / FARTHEST, last * FARTHEST), from_known


def _normal_jump(depth: Array, known: Mask, camera: Cameras) -> float | None:
    """Mean angle between the normals of the two sides, each from its own pixels only."""
    outside, inside = normals_from_depth(depth, camera, known), normals_from_depth(depth, camera, ~known)
    supported = _has_both_slopes(known) | _has_both_slopes(~known)
    angles = []
    for axis in (0, 1):
        first, second = _pairs(known, axis)
        both = (first != second) & np.logical_and(*_pairs(supported, axis))
        known_first = first[both][:, None]
        sides = [tuple(side[both] for side in _pairs(normals, axis)) for normals in (outside, inside)]
        known_side = np.where(known_first, *sides[0])
        filled_side = np.where(known_first, sides[1][1], sides[1][0])
        cosine = (known_side * filled_side).sum(axis=-1)
        angles.append(np.arccos(np.clip(cosine.astype(np.float64), -1.0, 1.0)))
    angle = np.concatenate(angles)
    return float(angle.mean()) if angle.size else None


def _has_both_slopes(mask: Mask) -> Mask:
    """Pixels of the mask with neighbours of the mask along both axes."""
    vertical = shifted(mask, 0, 1) | shifted(mask, 0, -1)
    horizontal = shifted(mask, 1, 1) | shifted(mask, 1, -1)
    return mask & vertical & horizontal


def _pairs(values: NDArray[T], axis: int) -> tuple[NDArray[T], NDArray[T]]:
    return (values[:-1], values[1:]) if axis == 0 else (values[:, :-1], values[:, 1:])
