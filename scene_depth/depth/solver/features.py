"""Guidance images: what makes two neighbouring pixels look like one surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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


def lab(rgb: NDArray[np.floating]) -> NDArray[np.float32]:
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


def color_guide(rgb: NDArray[np.floating] | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Smoothed L*a*b* planes, or one empty plane without a picture  # [channels, H, W]"""
    if rgb is None:
        return np.zeros((1, *shape), dtype=np.float32)
    return np.stack([ndimage.gaussian_filter(plane, BLUR) for plane in lab(rgb)])
