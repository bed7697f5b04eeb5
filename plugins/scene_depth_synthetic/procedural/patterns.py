"""Patterns of surfaces: noise, patterns that fill space, patterns on the unrolled surface, pictures.

A pattern gives the weights of a material's second and third colour and a brightness. Arguments: the metric point in the
texture's frame divided by the material's scale, (x, y, z) in space or (u, v) on the surface; the width of a pixel in the same
unit; the material's parameters p0 to p3; a seed. Noise comes from hashed lattices, in the coordinates of the object that
carries it, so that all views agree. Whatever a pixel cannot resolve fades out or is averaged over it in closed form
(``pulse``), so that fine patterns turn grey with distance instead of flickering. Pictures fill the square |u|, |v| <= 0.5;
v points up.
"""

from __future__ import annotations

import math

from scene_depth.kernels import EXACT, subroutine

from scene_depth_synthetic.procedural.exact_math import (  # isort: skip
    hash_cell, lerp, quick_cell, random_cell, sincos, smoothstep, unit_from_bits,
)  # fmt: skip


@subroutine(EXACT)
def _square_noise(ix, iy, iz, u, v, seed):
    """Random values at the corners of a lattice square, blended with weights u and v."""
    low = lerp(quick_cell(ix, iy, iz, seed), quick_cell(ix + 1, iy, iz, seed), u)
    return lerp(low, lerp(quick_cell(ix, iy + 1, iz, seed), quick_cell(ix + 1, iy + 1, iz, seed), u), v)


@subroutine(EXACT)
def value_noise(x, y, z, seed):
    """Smooth noise in [0, 1] with features of size 1."""
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    ix, iy, iz = int(fx), int(fy), int(fz)
    u, v, w = x - fx, y - fy, z - fz
    u = u * u * u * (u * (u * 6.0 - 15.0) + 10.0)
    v = v * v * v * (v * (v * 6.0 - 15.0) + 10.0)
    w = w * w * w * (w * (w * 6.0 - 15.0) + 10.0)
    return lerp(_square_noise(ix, iy, iz, u, v, seed), _square_noise(ix, iy, iz + 1, u, v, seed), w)


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


@subroutine(EXACT)
def plain(x, y, z, width, amount, seed):
    """One colour with faint unevenness of relative strength ``amount``."""
    return 0.0, 0.0, 1.0 + amount * fractal_noise(x, y, z, 3, width, seed)


@subroutine(EXACT)
def wood(x, y, z, width, contrast, fibre, seed):
    """Boards cut lengthwise along x: growth rings bent by noise, fine fibres, a few dark streaks."""
    bend = fractal_noise(0.25 * x, 0.7 * y, 0.7 * z, 2, 0.5 * width, seed)
    wander = 0.35 * fractal_noise(0.9 * x, 2.0 * y, 2.0 * z, 2, 2.0 * width, seed + 7)
    ring = y + 0.6 * z + 2.2 * bend + wander
    phase = ring - math.floor(ring)
    # early wood darkens slowly towards the ring's edge, then starts light again
    late = phase * phase * smoothstep(1.0, 0.86, phase)
    visible = min(max(1.6 - 2.0 * width, 0.0), 1.0)
    weight = contrast * (visible * late + (1.0 - visible) * 0.3)
    lines = fractal_noise(0.8 * x, 22.0 * y, 22.0 * z, 2, 22.0 * width, seed + 3)
    streak = smoothstep(0.12, 0.42, fractal_noise(0.15 * x, 1.7 * y, 1.7 * z, 2, 1.7 * width, seed + 5))
    return min(weight + 0.25 * contrast * streak, 1.0), 0.0, 1.0 + fibre * lines + 0.3 * fibre * bend


@subroutine(EXACT)
def marble(x, y, z, width, contrast, veins, seed):
    """Veins where a disturbed plane crosses, over soft clouds."""
    turbulence = fractal_noise(x, y, z, 4, width, seed)
    across = 0.9 * x + 0.45 * y + 0.3 * z + veins * turbulence
    ridge = abs(2.0 * (across - math.floor(across)) - 1.0)
    thick = smoothstep(0.16 + 2.0 * width, 0.0, ridge)
    clouds = smoothstep(-0.35, 0.45, fractal_noise(0.6 * x, 0.6 * y, 0.6 * z, 3, 0.6 * width, seed + 11))
    return contrast * thick, 0.35 * contrast * clouds * (1.0 - thick), 1.0


@subroutine(EXACT)
def mottled(x, y, z, width, edge, amount, seed):
    """Two colours in cloudy patches; ``edge`` is the softness of their border. Plaster, soil, rust, stone."""
    n = fractal_noise(x, y, z, 4, width, seed)
    fine = fractal_noise(9.0 * x, 9.0 * y, 9.0 * z, 2, 9.0 * width, seed + 5)
    return smoothstep(-edge, edge, n), 0.0, 1.0 + amount * fine


@subroutine(EXACT)
def speckled(x, y, z, width, share, amount, seed):
    """Chips of the second and third colour in the first: terrazzo, granite."""
    along = 0.73 * z
    near, second, number = cellular(x + along, y - along, seed)
    chip = smoothstep(0.02, 0.1 + 2.0 * width, second - near) if number < share else 0.0
    visible = min(max(1.5 - width, 0.0), 1.0)
    chip = visible * chip + (1.0 - visible) * 0.6 * share
    kind = 1.0 if number < 0.5 * share else 0.0
    return chip * kind, chip * (1.0 - kind), 1.0 + amount * fractal_noise(x, y, z, 2, width, seed + 3)


@subroutine(EXACT)
def foliage(x, y, z, width, contrast, seed):
    """Clumps, leaves and gaps: grass, hedges, tree crowns, carpets."""
    clump = fractal_noise(0.3 * x, 0.3 * y, 0.3 * z, 2, 0.3 * width, seed)
    blade = fractal_noise(2.0 * x, 2.0 * y, 2.0 * z, 3, 2.0 * width, seed + 3)
    weight = smoothstep(-0.35, 0.35, 0.7 * clump + 0.5 * blade)
    return weight, 0.5 * smoothstep(0.1, 0.5, clump), 1.0 + contrast * (0.8 * blade + 0.6 * clump)


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
