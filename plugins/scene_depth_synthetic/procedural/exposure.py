"""From radiance to a picture: noise of few samples smoothed away, exposure, a soft shoulder, sRGB."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, kernel, subroutine
from scene_depth_synthetic.procedural.exact_math import srgb_from_linear
from scene_depth_synthetic.procedural.renderer import Rendering

BRIGHT = 0.48  # linear value of the brightest tenth of a picture
SHOULDER = 0.7  # linear values above are compressed, so that highlights keep some shape


@subroutine(EXACT)
def _shoulder(x):
    if x <= SHOULDER:
        return x
    over = (x - SHOULDER) / (1.0 - SHOULDER)
    return SHOULDER + (1.0 - SHOULDER) * over / (1.0 + over)


@kernel(EXACT)
def _develop_rows(radiance, exposure, out):
    for y in range(radiance.shape[0]):
        for x in range(radiance.shape[1]):
            for k in range(3):
                out[y, x, k] = srgb_from_linear(_shoulder(float(radiance[y, x, k]) * exposure[k]))


@kernel(EXACT)
def _despeckle(light, out):
    """Cuts each channel to the second largest value among the eight neighbours."""
    height, width, _channels = light.shape
    for y in range(height):
        for x in range(width):
            for k in range(3):
                first, second = 0.0, 0.0
                for dy in range(-1, 2):
                    for dx in range(-1, 2):
                        v, u = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                        if v == y and u == x:
                            continue
                        value = light[v, u, k]
                        if value > first:
                            first, second = value, first
                        elif value > second:
                            second = value
                out[y, x, k] = min(light[y, x, k], second)


@kernel(EXACT)
def _smooth_rows(light, depth, normals, step, strength, out):
    height, width = depth.shape
    for y in range(height):
        for x in range(width):
            z = depth[y, x]
            if z == 0.0:
                for k in range(3):
                    out[y, x, k] = light[y, x, k]
                continue
            r, g, b, total = 0.0, 0.0, 0.0, 0.0
            center = light[y, x, 0] + light[y, x, 1] + light[y, x, 2]
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    v, u = y + dy * step, x + dx * step
                    if v < 0 or v >= height or u < 0 or u >= width or depth[v, u] == 0.0:
                        continue
                    cosine = normals[y, x, 0] * normals[v, u, 0] + normals[y, x, 1] * normals[v, u, 1]
                    cosine += normals[y, x, 2] * normals[v, u, 2]
                    near = 1.0 - abs(depth[v, u] - z) / (0.03 * z * step)
                    if cosine <= 0.85 or near <= 0.0:
                        continue
                    there = light[v, u, 0] + light[v, u, 1] + light[v, u, 2]
                    contrast = abs(there - center) / (strength * (there + center) + 1e-4)
                    weight = (3.0 - abs(dx)) * (3.0 - abs(dy)) * near / (1.0 + contrast * contrast)
                    total += weight
                    r, g, b = r + weight * light[v, u, 0], g + weight * light[v, u, 1], b + weight * light[v, u, 2]
            out[y, x, 0], out[y, x, 1], out[y, x, 2] = r / total, g / total, b / total


def smoothed_radiance(rendering: Rendering) -> NDArray[np.float32]:
    """Radiance with the noise of the lighting smoothed along surfaces; textures and edges stay (a-trous wavelet filter,
    Dammertz et al. 2010, on irradiance and gloss alone). Linear  # [H, W, 3]
    """
    irradiance, gloss = (_smoothed(light, rendering) for light in (rendering.irradiance, rendering.gloss))
    return rendering.radiance + rendering.albedo * (irradiance - rendering.irradiance) + (gloss - rendering.gloss)


def _smoothed(light: NDArray[np.float32], rendering: Rendering) -> NDArray[np.float32]:
    if not light.any():
        return light
    result = np.empty_like(light)
    _despeckle(light, result)
    # the first pass removes noise, the second reaches twice as far and heeds what edges of shadows have become visible
    for step, strength in ((1, 1.5), (2, 0.25)):
        out = np.empty_like(light)
        _smooth_rows(result, rendering.depth, rendering.normals, step, strength, out)
        result = out
    return result


def fitting_exposure(radiance: NDArray[np.float32], depth: NDArray[np.float32]) -> float:
    """The factor that brings the brightest tenth of what is not sky to ``BRIGHT``."""
    seen = radiance[depth > 0] if (depth > 0).any() else radiance.reshape(-1, 3)
    luminance = np.sort(0.25 * (seen[:, 0] + 2.0 * seen[:, 1] + seen[:, 2]))
    return BRIGHT / max(float(luminance[int(0.9 * (len(luminance) - 1))]), 1e-6)


def develop(
    radiance: NDArray[np.float32], exposure: float, white: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> NDArray[np.float32]:
    """A picture as a camera stores it.

    Args:
        radiance: Linear  # [H, W, 3]
        exposure: Factor on the radiance.
        white: Factor on each channel: the white balance.

    Returns:
        sRGB in [0, 1]  # [H, W, 3]
    """
    if not (math.isfinite(exposure) and exposure > 0.0):
        raise ValueError(f"exposure is {exposure}; expected a positive number")
    out = np.empty(radiance.shape, np.float32)
    _develop_rows(np.ascontiguousarray(radiance), exposure * np.array(white), out)
    return out
