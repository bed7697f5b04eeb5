"""From a coarse level to the next finer one: every pixel takes the planes of the coarse cells around that look like it."""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import REORDERED, inlined, kernel


@inlined(REORDERED)
def _cells(i, size):
    """The two coarse cells nearest to fine pixel i of an axis: index, weight and offset of the pixel from each."""
    f = np.float32
    if size == 1:
        return 0, 0, f(1), f(0), f(0), f(0)
    last = (size + 1) // 2 - 1
    if size % 2 == 1:
        if i % 2 == 0:
            return i // 2, i // 2, f(1), f(0), f(0), f(0)
        return i // 2, i // 2 + 1, f(0.5), f(0.5), f(0.5), f(-0.5)
    near = i // 2
    if i % 2 == 0:
        return near, max(near - 1, 0), f(0.75), f(0.25) if near > 0 else f(0), f(-0.25), f(0.75)
    return near, min(near + 1, last), f(0.75), f(0.25) if near < last else f(0), f(0.25), f(-0.75)


@kernel(REORDERED)
def prolong_rows(first, end, coarse, coarse_guide, coarse_hint, guide, hint, sigma, tau, low, high, fine):
    """Planes of a level from those of the next coarser one.

    Each of the four nearest coarse planes is continued to the pixel and weighted by its bilinear weight and by how
    well guide and hint of the cell agree with the pixel's.

    Args:
        coarse: (u, a, b) of the coarser level, slopes per coarse pixel  # [3, h, w]
        coarse_guide, guide: Guidance of both levels  # [channels, h, w], [channels, H, W]
        coarse_hint, hint: Inverse depth of the geodesic map  # [h, w], [H, W]
        sigma, tau: Scales of the agreement.
        low, high: Limits of the inverse depth.
        fine: The result, slopes per fine pixel  # [3, H, W]
    """
    channels, height, width = guide.shape
    half_x = np.float32(0.5) if width > 1 else np.float32(1)
    half_y = np.float32(0.5) if height > 1 else np.float32(1)
    one = np.float32(1)
    for y in range(first, end):
        y0, y1, wy0, wy1, dy0, dy1 = _cells(y, height)
        for x in range(width):
            x0, x1, wx0, wx1, dx0, dx1 = _cells(x, width)
            total, u, a, b = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for k in range(4):
                yy, wy, dy = (y0, wy0, dy0) if k < 2 else (y1, wy1, dy1)
                xx, wx, dx = (x0, wx0, dx0) if k % 2 == 0 else (x1, wx1, dx1)
                weight = wx * wy
                if weight == 0:
                    continue
                difference = np.float32(0)
                for c in range(channels):
                    d = guide[c, y, x] - coarse_guide[c, yy, xx]
                    difference += d * d
                ratio = (hint[y, x] - coarse_hint[yy, xx]) / (tau * min(hint[y, x], coarse_hint[yy, xx]))
                weight /= (one + difference / (sigma * sigma)) * (one + ratio * ratio)
                total += weight
                u += weight * (coarse[0, yy, xx] + coarse[1, yy, xx] * dx + coarse[2, yy, xx] * dy)
                a += weight * coarse[1, yy, xx]
                b += weight * coarse[2, yy, xx]
            fine[0, y, x] = min(max(u / total, low), high)
            fine[1, y, x] = a / total * half_x
            fine[2, y, x] = b / total * half_y
