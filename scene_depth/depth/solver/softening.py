"""Blur that grows with the distance to known depth, by sums over rectangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, kernel


def soften(values: NDArray[np.float32], radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean over a square around each pixel, cut at the border of the image.

    Args:
        values: # [H, W]
        radius: Half the side of the square, less half a pixel; rounded down to whole pixels  # [H, W]

    Returns:
        # [H, W]; a pixel with a radius below 1 keeps its value.
    """
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1))
    np.cumsum(np.cumsum(values, axis=0, dtype=np.float64), axis=1, out=sums[1:, 1:])
    softened = values.copy()
    _soften(sums, radius, softened)
    return softened


@kernel(EXACT)
def _soften(sums, radius, softened):
    height, width = softened.shape
    for y in range(height):
        for x in range(width):
            r = int(radius[y, x])
            if r < 1:
                continue
            top, bottom, left, right = max(y - r, 0), min(y + r + 1, height), max(x - r, 0), min(x + r + 1, width)
            total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
            softened[y, x] = np.float32(total / ((bottom - top) * (right - left)))
