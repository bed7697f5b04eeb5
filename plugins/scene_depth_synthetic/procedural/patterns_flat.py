"""Patterns on the unrolled surface: checks, stripes, tiles, bricks, boards, cloth, cobbles, dots.

As in ``patterns_solid``, with coordinates (u, v) divided by the material's scale. Edges are averaged over the pixel in
closed form (``noise.pulse``), so that fine patterns turn grey with distance instead of flickering.
"""

from __future__ import annotations

import math

from scene_depth.kernels import EXACT, subroutine
from scene_depth_synthetic.procedural.exact_math import random_cell, sincos, smoothstep
from scene_depth_synthetic.procedural.noise import cellular, fractal_noise, pulse, value_noise
from scene_depth_synthetic.procedural.patterns_solid import wood


@subroutine(EXACT)
def checks(u, v, width, wear, seed):
    """A chess board of two colours, one field a unit."""
    a, b = pulse(0.5 * u, 0.5, 0.5 * width), pulse(0.5 * v, 0.5, 0.5 * width)
    return a + b - 2.0 * a * b, 0.0, 1.0 + wear * fractal_noise(u, v, 0.0, 4, width, seed)


@subroutine(EXACT)
def stripes(u, v, width, angle, duty, thin, seed):
    """Stripes across a direction; the third colour as a thin line in the first."""
    s, c = sincos(angle)
    along = c * u + s * v
    wide = pulse(along, duty, width)
    middle = along + 0.5 * (1.0 - duty) + 0.5 * thin
    line = pulse(middle, thin, width) * (1.0 - wide) if thin > 0.0 else 0.0
    return wide, line, 1.0 + 0.05 * fractal_noise(3.0 * u, 3.0 * v, 0.0, 2, 3.0 * width, seed)


@subroutine(EXACT)
def _unevenness(iu, iv, u, v, width, amount, seed):
    tint = (random_cell(iu, iv, 0, seed) - 0.5) * amount
    return 1.0 + tint + 0.5 * amount * fractal_noise(5.0 * u, 5.0 * v, 0.0, 3, 5.0 * width, seed + 2)


@subroutine(EXACT)
def tiles(u, v, width, joint, amount, decorated, seed):
    """Square tiles with joints of the second colour; a share of them carries the third colour."""
    line = 1.0 - (1.0 - pulse(u, joint, width)) * (1.0 - pulse(v, joint, width))
    iu, iv = math.floor(u), math.floor(v)
    visible = min(max(1.5 - width, 0.0), 1.0)
    third = 1.0 if random_cell(iu, iv, 1, seed) < decorated else 0.0
    third = visible * third + (1.0 - visible) * decorated
    return line, third * (1.0 - line), _unevenness(iu, iv, u, v, width, amount * visible, seed)


@subroutine(EXACT)
def bricks(u, v, width, joint, amount, seed):
    """Courses of bricks three times as long as high, in running bond; joints of the second colour, odd bricks of the third."""
    row = math.floor(v)
    along = u / 3.0 + 0.5 * (int(row) & 1)
    line = 1.0 - (1.0 - pulse(v, joint, width)) * (1.0 - pulse(along, joint / 3.0, width / 3.0))
    iu, iv = math.floor(along), int(row)
    visible = min(max(1.5 - width, 0.0), 1.0)
    third = visible * max(random_cell(iu, iv, 1, seed) * 1.6 - 0.8, 0.0) + (1.0 - visible) * 0.15
    return line, third * (1.0 - line), _unevenness(iu, iv, u, v, width, amount * visible, seed)


@subroutine(EXACT)
def boards(u, v, width, contrast, length, amount, seed):
    """Floor boards of width 1 along u, each cut from another piece of wood."""
    row = math.floor(v)
    shift = random_cell(int(row), 0, 7, seed)
    along = u / length + shift
    iu, iv = math.floor(along), int(row)
    piece = random_cell(iu, iv, 3, seed)
    weight, _, light = wood(
        0.35 * u + 19.0 * piece, 3.2 * (v - row) + 7.0 * piece, 31.0 * piece, 3.2 * width, contrast, 0.12, seed
    )
    line = 1.0 - (1.0 - pulse(v, 0.035, width)) * (1.0 - pulse(along, 0.02 / length, width / length))
    visible = min(max(1.5 - 0.7 * width, 0.0), 1.0)
    return weight, 0.8 * line, light * (1.0 + visible * amount * (random_cell(iu, iv, 4, seed) - 0.5))


@subroutine(EXACT)
def tartan(u, v, width, threads, seed):
    """Cloth of crossing bands in three colours with a visible weave."""
    a, b = pulse(u, 0.36, width), pulse(v, 0.36, width)
    c, d = pulse(u + 0.35, 0.07, width), pulse(v + 0.35, 0.07, width)
    twill = pulse((u + v) * threads, 0.5, 2.0 * width * threads)
    second = 0.5 * (a + b)
    third = 0.75 * max(c * twill + c * (1.0 - twill) * 0.4, d * (1.0 - twill) + d * twill * 0.4)
    return second * (1.0 - third), third, 0.94 + 0.12 * twill


@subroutine(EXACT)
def weave(u, v, width, contrast, seed):
    """Plain-woven cloth, one thread a unit, with slubs."""
    over = pulse(0.5 * u, 0.5, 0.5 * width)
    under = pulse(0.5 * v, 0.5, 0.5 * width)
    cross = over + under - 2.0 * over * under
    slub = value_noise(0.15 * u, 2.0 * v, 0.0, seed) - 0.5
    visible = min(max(1.5 - width, 0.0), 1.0)
    return 0.5 + (cross - 0.5) * contrast, 0.0, 1.0 + 0.15 * visible * slub


@subroutine(EXACT)
def dots(u, v, width, radius, seed):
    """Round dots of the second colour, offset in every other row."""
    row = math.floor(v)
    x = u + 0.5 * (int(row) & 1)
    x, y = x - math.floor(x) - 0.5, v - row - 0.5
    soft = 0.02 + 0.5 * width
    inside = smoothstep(radius + soft, radius - soft, math.sqrt(x * x + y * y))
    visible = min(max(2.0 - 1.5 * width, 0.0), 1.0)
    return visible * inside + (1.0 - visible) * 3.14159 * radius * radius, 0.0, 1.0


@subroutine(EXACT)
def cobbles(u, v, width, joint, amount, seed):
    """Irregular stones with joints of the second colour."""
    near, second, number = cellular(u, v, seed)
    line = smoothstep(joint + width, 0.3 * joint, second - near)
    visible = min(max(1.5 - width, 0.0), 1.0)
    light = 1.0 + amount * visible * (number - 0.5) + 0.3 * amount * fractal_noise(4.0 * u, 4.0 * v, 0.0, 2, 4.0 * width, seed)
    return (
        visible * line + (1.0 - visible) * 0.25,
        0.6 * visible * max(2.0 * number - 1.2, 0.0),
        light * (1.0 - 0.25 * near * visible),
    )


@subroutine(EXACT)
def chevrons(u, v, width, duty, seed):
    """Zigzag bands."""
    zig = abs(u - 2.0 * math.floor(0.5 * u) - 1.0)
    return pulse(v + 0.6 * zig, duty, 1.6 * width), 0.0, 1.0 + 0.05 * fractal_noise(3.0 * u, 3.0 * v, 0.0, 2, 3.0 * width, seed)
