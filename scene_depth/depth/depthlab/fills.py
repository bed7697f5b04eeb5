"""Fills of the hole that the model starts from and is conditioned on.

The official code triangulates all known pixels, which takes tens of seconds. Triangles that lie in a hole have corners at
its rim alone, so that the rim is enough; only ties of points on one circle, many on a grid, may be resolved otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.spatial import QhullError

from scene_depth.depth.scattered import linear_fill, nearest_fill

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]


def nearest(values: Array, known: Mask, official: bool = False) -> Array:
    """The nearest known value.

    Args:
        values: Values, read where known  # [H, W]
        known: At least one True  # [H, W]
        official: By a tree of all known pixels as the official code does it; differs at equal distances alone.
    """
    if not official:
        return nearest_fill(values, known)
    found = NearestNDInterpolator(np.argwhere(known)[:, ::-1], values[known])(np.argwhere(~known)[:, ::-1])  # x, y
    return _with_holes(values, known, found)


def linear(values: Array, known: Mask, outside: float = 0.0, official: bool = False) -> Array:
    """Linear on the Delaunay triangles of the known pixels, a constant outside their convex hull.

    Args:
        values: Values, read where known  # [H, W]
        known: At least one True  # [H, W]
        outside: Value outside the hull; 0, the middle of the normalised range, in the official code.
        official: Triangulate all known pixels.
    """
    if not official:
        return linear_fill(values, known, outside).astype(values.dtype)
    try:
        found = LinearNDInterpolator(np.argwhere(known), values[known], fill_value=outside)(np.argwhere(~known))  # row, column
    except QhullError:  # fewer than three points, or all on one line: there is no triangle
        found = np.full(int((~known).sum()), outside)
    return _with_holes(values, known, found)


def _with_holes(values: Array, known: Mask, found: Array) -> Array:
    filled = np.array(values)
    filled[~known] = found
    return filled
