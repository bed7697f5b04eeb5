"""Patterns that fill space: wood, marble, plaster, stone, leaves.

A pattern gives the weights of a material's second and third colour and a brightness. Arguments: the metric point in
the texture's frame divided by the material's scale, the width of a pixel in the same unit, the material's parameters
p0 to p3, and a seed.
"""

from __future__ import annotations

import math

from scene_depth.kernels import EXACT, subroutine
from scene_depth_synthetic.procedural.exact_math import smoothstep
from scene_depth_synthetic.procedural.noise import cellular, fractal_noise


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
