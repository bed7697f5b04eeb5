"""Median of the 5 x 5 pixels around each, which takes the noise of rendered or completed depth away."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, kernel, run_rows

T = TypeVar("T", bound=np.floating)

RADIUS = 2
AT_ONCE = 64  # pixels of a row, whose candidates stay in the fastest memory


def median_of_25(values: NDArray[T]) -> NDArray[T]:
    """The median around every pixel, reflected at the border, bit for bit as ``scipy.ndimage.median_filter`` of size 5.

    Args:
        values: Without NaN  # [H, W]
    """
    padded, found = np.pad(values, RADIUS, mode="symmetric"), np.empty(values.shape, values.dtype)
    run_rows(_median_rows, 0, values.shape[0], 8 * values.shape[1], padded, found)
    return found


@kernel(EXACT)
def _median_rows(first, end, padded, found):
    """Keeps 14 candidates, of which the least and the largest cannot be the median, and puts the next value in their place."""
    side = 2 * RADIUS + 1
    most = side * side // 2 + 2
    kept = np.empty((most, AT_ONCE), padded.dtype)
    width = found.shape[1]
    for y in range(first, end):
        for left in range(0, width, AT_ONCE):
            count = min(AT_ONCE, width - left)
            for k in range(most):
                for x in range(count):
                    kept[k, x] = padded[y + k // side, left + x + k % side]
            following = most
            for start in range(most - 1):
                for k in range(start + 1, most):
                    for x in range(count):
                        a, b = kept[start, x], kept[k, x]
                        kept[start, x] = b if b < a else a
                        kept[k, x] = a if b < a else b
                for k in range(start + 1, most - 1):
                    for x in range(count):
                        a, b = kept[most - 1, x], kept[k, x]
                        kept[most - 1, x] = b if b > a else a
                        kept[k, x] = a if b > a else b
                if following < side * side:
                    for x in range(count):
                        kept[most - 1, x] = padded[y + following // side, left + x + following % side]
                    following += 1
            for x in range(count):
                found[y, left + x] = kept[most - 2, x]
