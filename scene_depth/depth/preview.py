"""Pictures of depth for people to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask

LONGEST_SIDE = 960  # of one panel
LARGEST_UNCERTAINTY = 0.3  # relative; the last colour
UNKNOWN = np.array([0.13, 0.13, 0.13], dtype=np.float32)

TURBO = np.array(  # coefficients of t^0 .. t^5 for red, green, blue
    [
        [0.13572138, 0.09140261, 0.10667330],
        [4.61539260, 2.19418839, 12.64194608],
        [-42.66032258, 4.84296658, -60.58204836],
        [132.13108234, -14.18503333, 110.36276771],
        [-152.94239396, 4.27729857, -89.90310912],
        [59.28637943, 2.82956604, 27.34824973],
    ]
)
"""Turbo (Mikhailov 2019, "Turbo, an improved rainbow colormap for visualization"), the polynomial fit of Ruofei Du."""


def turbo(values: Array) -> NDArray[np.float32]:
    """Colours of values in [0, 1], dark blue over green to dark red; values outside are clipped  # [...] -> [..., 3]"""
    t = np.clip(np.nan_to_num(values), 0.0, 1.0)[..., None]
    powers = t ** np.arange(6)
    colors: NDArray[np.float32] = np.clip(powers @ TURBO, 0.0, 1.0).astype(np.float32)
    return colors


def depth_range(depth: Array, known: Mask) -> tuple[float, float]:
    """Near and far end of the colours: the 2 % and 98 % quantile of known and completed depth together."""
    near = min(np.quantile(depth[known], 0.02), np.quantile(depth, 0.02))
    far = max(np.quantile(depth[known], 0.98), np.quantile(depth, 0.98))
    return float(near), float(far) if far > near else float(near) * 1.001


def color_depth(depth: Array, near: float, far: float) -> NDArray[np.float32]:
    """Colours of depth, even steps of inverse depth: near red, far blue; 0 is dark grey  # [H, W] -> [H, W, 3]"""
    positive = depth > 0
    inverse = np.divide(1.0, depth, out=np.zeros(depth.shape), where=positive, dtype=np.float64)
    colors = turbo((inverse - 1 / far) / (1 / near - 1 / far))
    return np.where(positive[..., None], colors, UNKNOWN)


def preview(rgb: NDArray[np.float32] | None, depth: Array, known: Mask, uncertainty: Array | None) -> NDArray[np.float32]:
    """Four panels: picture and completed depth above, known depth and uncertainty below.

    Depth has one colour scale in both panels; uncertainty goes from 0 (blue) to 30 % and more (red). What is not there
    stays grey. Large frames are shown at every n-th pixel, known depth by the nearest of n x n.

    Args:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        depth: Completed z-depth  # [H, W]
        known: True = measured  # [H, W]
        uncertainty: Relative standard deviation  # [H, W]

    Returns:
        sRGB in [0, 1]  # [2 H', 2 W', 3]
    """
    stride = -(-max(depth.shape) // LONGEST_SIDE)
    near, far = depth_range(depth, known)
    shown, measured = depth[::stride, ::stride], _thinned(np.where(known, depth, 0), stride)
    empty = np.broadcast_to(UNKNOWN, (*shown.shape, 3))
    picture = empty if rgb is None else rgb[::stride, ::stride]
    doubt = empty if uncertainty is None else turbo(uncertainty[::stride, ::stride] / LARGEST_UNCERTAINTY)
    above = np.concatenate([picture, color_depth(shown, near, far)], axis=1)
    below = np.concatenate([color_depth(measured, near, far), doubt], axis=1)
    return np.concatenate([above, below]).astype(np.float32)


def _thinned(depth: Array, stride: int) -> Array:
    """Every n-th pixel, or the nearest depth of its block, so that scattered points are not lost; 0 = none."""
    height, width = (-(-size // stride) for size in depth.shape)
    padded = np.pad(depth, ((0, height * stride - depth.shape[0]), (0, width * stride - depth.shape[1])))
    blocks = padded.reshape(height, stride, width, stride)
    nearest = np.where(blocks > 0, blocks, np.inf).min(axis=(1, 3))
    return np.where(np.isfinite(nearest), nearest, 0.0)
