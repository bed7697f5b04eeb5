"""The completion problem in the solver's own unit, the picture that guides it, and what the solver finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import Array, Mask
from scene_depth.depth.solver.geodesic import GeodesicMap

RANGE = 1e6  # inverse depths this many times above or below the median are treated as at this limit (float32 squares)
BLUR = 0.7  # pixels; takes away sensor noise and JPEG speckle, keeps one-pixel edges

# linear sRGB -> CIE XYZ divided by the D65 white point (IEC 61966-2-1)
_XYZ = np.array(
    [
        [0.412453 / 0.950456, 0.357580 / 0.950456, 0.180423 / 0.950456],
        [0.212671, 0.715160, 0.072169],
        [0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754],
    ],
    dtype=np.float32,
)


@dataclass(frozen=True)
class Problem:
    """One image with some values known. Values are relative inverse depths: known ones have a median near 1.

    Attributes:
        values: Relative inverse depth, 0 where unknown  # [H, W]
        known: Where it is known; at least one pixel  # [H, W]
        guide: Planes whose differences hint at the borders of surfaces  # [channels, H, W]
        distance: Pixels to the nearest known pixel  # [H, W]
        nearest: Flat index of that pixel  # [H, W]
        unit: Inverse depth of the value 1, a power of two.
    """

    values: NDArray[np.float32]
    known: Mask
    guide: NDArray[np.float32]
    distance: NDArray[np.float32]
    nearest: NDArray[np.int64]
    unit: float

    def limits(self, below: float, above: float) -> tuple[float, float]:
        """The range of the known values, widened by factors."""
        inside = self.values[self.known]
        return below * float(inside.min()), above * float(inside.max())


def make_problem(inverse: NDArray[np.float64], known: Mask, guide: NDArray[np.float32]) -> Problem:
    """Brings inverse depth into the solver's unit.

    The unit is a power of two, so that depth times a power of two gives the same bits times that power.

    Args:
        inverse: Inverse depth, read where known  # [H, W]
        known: Known pixels, at least one  # [H, W]
        guide: Guidance planes  # [channels, H, W]
    """
    unit = power_of_two(inverse[known])
    values = np.where(known, np.clip(inverse / unit, 1.0 / RANGE, RANGE), 0.0).astype(np.float32)
    distance, nearest = ndimage.distance_transform_edt(~known, return_indices=True)
    return Problem(values, known, guide, distance.astype(np.float32), np.ravel_multi_index(nearest, known.shape), unit)


def power_of_two(values: NDArray[np.float64]) -> float:
    """The power of two nearest to the median of positive values."""
    return float(2.0 ** np.round(np.log2(np.median(values))))


@dataclass(frozen=True)
class Solution:
    """What the solver found; values in the problem's unit.

    Attributes:
        values: Relative inverse depth  # [H, W]
        first: The same after the first pass  # [H, W]
        paths: The geodesic map.
        nearest: Value of each pixel's geodesic source  # [H, W]
        expected: Scale of the error of the log of the values, if a gate has mixed them: half of the pixels err by less than ln 2
            times that, 90 % by less than ln 10 times  # [H, W]
    """

    values: NDArray[np.float32]
    first: NDArray[np.float32]
    paths: GeodesicMap
    nearest: NDArray[np.float32]
    expected: NDArray[np.float32] | None = None


def lab(rgb: Array) -> NDArray[np.float32]:
    """CIE L*a*b* (D65) of sRGB colours, divided by 100, so that a distance of 1 is black against white.

    Args:
        rgb: sRGB in [0, 1]; values outside are clipped  # [H, W, 3]

    Returns:
        L, a, b as planes  # [3, H, W]
    """
    encoded = np.clip(np.asarray(rgb, dtype=np.float32), 0.0, 1.0)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T
    threshold = (6.0 / 29.0) ** 3
    f = np.where(xyz > threshold, np.cbrt(xyz), xyz * (29.0 / 6.0) ** 2 / 3.0 + 4.0 / 29.0)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([1.16 * y - 0.16, 5.0 * (x - y), 2.0 * (y - z)]).astype(np.float32)


def color_guide(rgb: Array | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Smoothed L*a*b* planes, or one empty plane without a picture  # [channels, H, W]"""
    if rgb is None:
        return np.zeros((1, *shape), dtype=np.float32)
    return np.stack([ndimage.gaussian_filter(plane, BLUR) for plane in lab(rgb)])
