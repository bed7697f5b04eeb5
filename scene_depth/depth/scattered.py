"""Filling from scattered samples on the pixel grid: nearest and linear."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay, QhullError

from scene_depth.arrays import Array, Mask

T = TypeVar("T", bound=np.generic)

EIGHT = np.ones((3, 3), dtype=bool)


def nearest_fill(values: NDArray[T], known: Mask) -> NDArray[T]:
    """Each unknown pixel takes the value of the nearest known one (Euclidean, exact).

    Args:
        values: Values, read where known  # [H, W]
        known: At least one True  # [H, W]
    """
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled: NDArray[T] = values[tuple(nearest)]
    return filled


def linear_fill(values: Array, known: Mask, outside: float | None = None) -> NDArray[np.float64]:
    """Linear on the Delaunay triangles of the known pixels, nearest or a constant outside their convex hull.

    Only known pixels that touch an unknown one are triangulated: triangles that lie in a hole have no other corners.
    Known pixels on one straight line are interpolated along it and continued at right angles.

    Args:
        values: Values, read where known  # [H, W]
        known: At least one True  # [H, W]
        outside: Value outside the hull; by default the nearest known one. Points on one line have no hull.
    """
    filled = np.where(known, values, 0).astype(np.float64)
    holes = np.argwhere(~known)
    if len(holes) == 0:
        return filled
    rim = known & ndimage.binary_dilation(~known, EIGHT)
    points = np.argwhere(rim)
    samples = filled[rim]
    direction = _common_line(points)
    if direction is not None:
        filled[~known] = _along_line(points, samples, holes, direction) if outside is None else outside
        return filled
    found = LinearNDInterpolator(_triangles(points), samples)(holes)
    beyond = np.isnan(found)
    if beyond.any():
        found[beyond] = nearest_fill(filled, known)[tuple(holes[beyond].T)] if outside is None else outside
    filled[~known] = found
    return filled


def _triangles(points: NDArray[np.intp]) -> Delaunay:
    try:
        return Delaunay(points)
    except QhullError:  # nearly degenerate sets need their points joggled
        return Delaunay(points, qhull_options="QJ Qbb Q12")


def _common_line(points: NDArray[np.intp]) -> NDArray[np.float64] | None:
    """Direction of the line that all points lie on; None if they span the plane. Integers, so the test is exact."""
    offsets = points - points[0]
    if len(points) == 1:
        return np.array([0.0, 1.0])
    far = offsets[np.argmax((offsets**2).sum(axis=1))]
    if (offsets[:, 0] * far[1] - offsets[:, 1] * far[0]).any():
        return None
    direction: NDArray[np.float64] = far / np.linalg.norm(far)
    return direction


def _along_line(
    points: NDArray[np.intp], samples: NDArray[np.float64], holes: NDArray[np.intp], direction: NDArray[np.float64]
) -> NDArray[np.float64]:
    position = (points - points[0]) @ direction
    order = np.argsort(position, kind="stable")
    values: NDArray[np.float64] = np.interp((holes - points[0]) @ direction, position[order], samples[order])
    return values
