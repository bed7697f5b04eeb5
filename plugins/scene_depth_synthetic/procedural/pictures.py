"""Pictures that fill the square |u|, |v| <= 0.5 of a surface: posters, landscapes, printed pages, rugs, book covers.

They give the weights of a material's second and third colour and a brightness, like the other patterns, so that every
picture keeps to the three colours of its material. v points up.
"""

from __future__ import annotations

import math

from scene_depth.kernels import EXACT, subroutine
from scene_depth_synthetic.procedural.exact_math import hash_cell, random_cell, sincos, smoothstep, unit_from_bits
from scene_depth_synthetic.procedural.noise import fractal_noise, pulse, value_noise, window


@subroutine(EXACT)
def _shape(u, v, width, kind, cx, cy, size, turn):
    """Coverage by one disc, ring, bar or triangle."""
    s, c = sincos(turn)
    x, y = (c * (u - cx) + s * (v - cy)) / size, (c * (v - cy) - s * (u - cx)) / size
    soft = max(0.5 * width / size, 0.01)
    if kind == 0:
        return smoothstep(1.0 + soft, 1.0 - soft, math.sqrt(x * x + y * y))
    if kind == 1:
        return smoothstep(0.22 + soft, 0.22 - soft, abs(math.sqrt(x * x + y * y) - 0.8))
    if kind == 2:
        return smoothstep(1.3 + soft, 1.3 - soft, abs(x)) * smoothstep(0.35 + soft, 0.35 - soft, abs(y))
    inside = max(-y - 0.6, max(0.866 * x + 0.5 * y - 0.5, -0.866 * x + 0.5 * y - 0.5))
    return smoothstep(soft, -soft, inside)


@subroutine(EXACT)
def poster(u, v, width, shapes, border, seed):
    """Overlapping discs, rings, bars and triangles in three colours, within a border of the first."""
    second, third = 0.0, 0.0
    if random_cell(3, 0, 0, seed) < 0.5:
        second = smoothstep(-0.5, 0.5, v) * 0.8
    for i in range(int(shapes)):
        bits = hash_cell(i, 1, 0, seed)
        kind = int(unit_from_bits(bits) * 4.0)
        cx, cy = random_cell(i, 2, 0, seed) - 0.5, random_cell(i, 3, 0, seed) - 0.5
        size = 0.06 + 0.22 * random_cell(i, 4, 0, seed)
        cover = _shape(u, v, width, kind, cx, cy, size, 6.2831853 * random_cell(i, 5, 0, seed))
        color = random_cell(i, 6, 0, seed)
        to_second = 1.0 if color < 0.42 else 0.0
        to_third = 1.0 if color > 0.58 else 0.0
        second += (to_second - second) * cover
        third += (to_third - third) * cover
    lines = _lines_of_text(u, v + 0.43, width, 0.035, 0.32, 0.035, seed)
    third, second = third + (1.0 - third) * lines * 0.9, second * (1.0 - lines)
    inside = window(u, -0.5 + border, 0.5 - border, width) * window(v, -0.5 + border, 0.5 - border, width)
    return second * inside, third * inside, 1.0


@subroutine(EXACT)
def _lines_of_text(u, v, width, pitch, half_width, half_height, seed):
    """Word-like marks in lines ``pitch`` apart, in the window |u| < half_width, |v| < half_height."""
    inside = window(u, -half_width, half_width, width) * window(v, -half_height, half_height, width)
    if inside <= 0.0:
        return 0.0
    line = math.floor(v / pitch)
    across = window(v / pitch - line, 0.22, 0.72, width / pitch)
    letters = u / (0.42 * pitch)
    word = value_noise(0.24 * letters, 5.0 * line, 0.0, seed + 1)
    ink = 0.35 + 0.65 * pulse(letters, 0.62, width / (0.42 * pitch))
    return inside * across * (ink if word > 0.34 else 0.0)


@subroutine(EXACT)
def page(u, v, width, pitch, picture, seed):
    """A printed page: a heading, lines of text in the second colour, perhaps a picture in the third."""
    if picture > 0.0 and abs(u) < 0.36 and 0.02 < v < 0.02 + 0.36 * picture:
        n = fractal_noise(5.0 * u, 5.0 * v, 0.0, 4, 5.0 * width, seed + 4)
        return 0.3 * smoothstep(-0.1, 0.25, n), smoothstep(-0.3, 0.3, n), 1.0
    heading = _lines_of_text(u + 0.1, v - 0.42, width, 0.07, 0.26, 0.035, seed + 9)
    text = _lines_of_text(u, v, width, pitch, 0.38, 0.36, seed)
    return max(heading, 0.85 * text), 0.0, 1.0 + 0.03 * fractal_noise(3.0 * u, 3.0 * v, 0.0, 3, 3.0 * width, seed + 2)


@subroutine(EXACT)
def landscape(u, v, width, horizon, seed):
    """A painted view: sky, sun, hills one behind the other."""
    sky = smoothstep(horizon - 0.5, 0.5, v)
    second, third, light = 0.55 * sky, 0.0, 1.05 - 0.1 * sky
    sun_u, sun_v = 0.5 * (random_cell(0, 0, 0, seed) - 0.5), horizon + 0.08 + 0.2 * random_cell(1, 0, 0, seed)
    sun = _shape(u, v, width, 0, sun_u, sun_v, 0.07, 0.0)
    second, third = second * (1.0 - sun), third + sun * 0.9
    for i in range(4):
        ridge = horizon - 0.14 * i + 0.28 * fractal_noise((1.5 + i) * u + 5.0 * i, 0.5, 0.0, 4, (1.5 + i) * width, seed + i)
        cover = smoothstep(-0.5 * width - 0.004, 0.5 * width + 0.004, ridge - v)
        strength = 0.45 + 0.18 * i
        second += (strength - second) * cover
        third += (0.12 * (3 - i) - third) * cover
        light += (1.0 + 0.35 * fractal_noise(16.0 * u, 16.0 * v, 3.0 * i, 3, 16.0 * width, seed + 9) - 0.12 * i - light) * cover
    return min(second, 1.0 - third), third, light


@subroutine(EXACT)
def rug(u, v, width, petals, seed):
    """A woven rug: borders, a medallion with petals, small motifs."""
    edge = max(abs(u), abs(v))
    outer = window(edge, 0.455, 0.48, width)
    band = window(edge, 0.36, 0.43, width)
    motif = pulse(11.0 * (u + v), 0.5, 16.0 * width) * pulse(11.0 * (u - v), 0.5, 16.0 * width)
    r = math.sqrt(u * u + v * v)
    cosine, sine = (u / r, v / r) if r > 1e-9 else (1.0, 0.0)
    c, s = 1.0, 0.0
    for _ in range(int(petals)):  # cos(n * angle) by repeated turning
        c, s = c * cosine - s * sine, c * sine + s * cosine
    lobe = 0.17 + 0.05 * c
    soft = 0.5 * width + 0.004
    medallion = smoothstep(lobe + soft, lobe - soft, r)
    ring = smoothstep(0.012 + soft, 0.012, abs(r - lobe - 0.045))
    center = smoothstep(0.07 + soft, 0.07 - soft, r + 0.02 * c)
    field = (1.0 - medallion) * (1.0 if edge < 0.34 else 0.0)
    third = max(max(outer, ring * field), max(center, band * motif))
    second = max(band * (1.0 - motif), medallion * (1.0 - center)) + 0.6 * field * motif * (1.0 - ring)
    threads = 1.0 + 0.18 * fractal_noise(60.0 * u, 60.0 * v, 0.0, 2, 60.0 * width, seed)
    return min(second, 1.0 - third), third, threads


@subroutine(EXACT)
def book_cover(u, v, width, style, seed):
    """A cover or a spine: bands and a title."""
    third = window(v, 0.3, 0.34, width) + window(v, -0.36, -0.32, width)
    title = _lines_of_text(u, v - 0.08, width, 0.11, 0.36, 0.12 + 0.1 * style, seed)
    second = window(v, -0.25, -0.1, width) if style > 0.5 else 0.0
    mark = _shape(u, v, width, int(4.0 * random_cell(1, 0, 0, seed)), 0.0, -0.18, 0.1, 0.0)
    third = min(third + title + mark, 1.0)
    return second * (1.0 - third), third, 1.0 + 0.04 * fractal_noise(8.0 * u, 8.0 * v, 0.0, 3, 8.0 * width, seed)
