"""Noise from hashed lattices, in the coordinates of the object that carries it, so that all views agree.

Every function fades out what a pixel cannot resolve: ``footprint`` is the width of a pixel on the surface, in the unit
of the coordinates.
"""

from __future__ import annotations

import math

from scene_depth.kernels import EXACT, subroutine
from scene_depth_synthetic.procedural.exact_math import hash_cell, lerp, quick_cell, random_cell, unit_from_bits


@subroutine(EXACT)
def value_noise(x, y, z, seed):
    """Smooth noise in [0, 1] with features of size 1."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    ix, iy, iz = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u = u * u * u * (u * (u * 6.0 - 15.0) + 10.0)
    v = v * v * v * (v * (v * 6.0 - 15.0) + 10.0)
    w = w * w * w * (w * (w * 6.0 - 15.0) + 10.0)
    low = lerp(
        lerp(quick_cell(ix, iy, iz, seed), quick_cell(ix + 1, iy, iz, seed), u),
        lerp(quick_cell(ix, iy + 1, iz, seed), quick_cell(ix + 1, iy + 1, iz, seed), u),
        v,
    )
    high = lerp(
        lerp(quick_cell(ix, iy, iz + 1, seed), quick_cell(ix + 1, iy, iz + 1, seed), u),
        lerp(quick_cell(ix, iy + 1, iz + 1, seed), quick_cell(ix + 1, iy + 1, iz + 1, seed), u),
        v,
    )
    return lerp(low, high, w)


@subroutine(EXACT)
def fractal_noise(x, y, z, octaves, footprint, seed):
    """Sum of octaves of value noise (fBm), mean 0, mostly within [-0.5, 0.5]."""
    total, amplitude = 0.0, 0.5
    for octave in range(octaves):
        visible = min(max(1.5 - 2.0 * footprint, 0.0), 1.0)
        if visible <= 0.0:
            break
        total += amplitude * visible * (value_noise(x, y, z, seed + octave) - 0.5) * 2.0
        # a turn between octaves hides the lattice's axes
        x, y, z = 2.0 * (0.8 * x - 0.6 * y) + 3.7, 2.0 * (0.6 * x + 0.8 * y) + 1.3, 2.03 * z + 5.1
        amplitude *= 0.5
        footprint *= 2.0
    return total


@subroutine(EXACT)
def cellular(u, v, seed):
    """Distance to the nearest and second nearest of points scattered one to a cell, and the nearest one's number in [0, 1)."""
    iu, iv = math.floor(u), math.floor(v)
    first, second, number = 9.0, 9.0, 0.0
    for dv in range(-1, 2):
        for du in range(-1, 2):
            bits = hash_cell(iu + du, iv + dv, 0, seed)
            pu = iu + du + 0.15 + 0.7 * unit_from_bits(bits) - u
            pv = iv + dv + 0.15 + 0.7 * random_cell(iu + du, iv + dv, 1, seed) - v
            distance = pu * pu + pv * pv
            if distance < first:
                first, second = distance, first
                number = random_cell(iu + du, iv + dv, 2, seed)
            elif distance < second:
                second = distance
    return math.sqrt(first), math.sqrt(second), number


@subroutine(EXACT)
def pulse(x, duty, width):
    """Square wave of period 1 that is 1 for the first ``duty`` of it, averaged over a window of ``width`` around x."""
    if width < 1e-9:
        return 1.0 if x - math.floor(x) < duty else 0.0
    low, high = x - 0.5 * width, x + 0.5 * width
    floor_low, floor_high = math.floor(low), math.floor(high)
    area = (floor_high - floor_low) * duty + min(high - floor_high, duty) - min(low - floor_low, duty)
    return min(max(area / width, 0.0), 1.0)


@subroutine(EXACT)
def window(x, low, high, width):
    """1 between low and high, averaged over a window of ``width`` around x."""
    width = max(width, 1e-9)
    inside = min(x + 0.5 * width, high) - max(x - 0.5 * width, low)
    return min(max(inside / width, 0.0), 1.0)
