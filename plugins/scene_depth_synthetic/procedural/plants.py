"""Plants: leaves in a pot, trees, bushes."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import paint, timber
from scene_depth_synthetic.procedural.materials import FOLIAGE, Material, colors, scaled
from scene_depth_synthetic.procedural.tableware import stretched, vessel
from scene_depth_synthetic.procedural.transforms import shift, sine_cosine, turn_x, turn_z, upright_along

from scene_depth_synthetic.procedural.shapes import (  # isort: skip
    ORIGIN, Part, Piece, cylinder, ellipsoid, frustum, moved, rod, round_piece,
)  # fmt: skip

GREENS = colors("#57713f #6d7f45 #46604a #7c8a58 #5a6b42 #858a52")
TURN, GOLDEN = 2.0 * math.pi, 0.38196601  # a full turn in radians; the golden section of one
POT = ((0.72, 0.0), (0.95, 0.85), (1.0, 0.86), (1.0, 1.0))


def leaf_material(dice: Dice) -> Material:
    """A green of leaves."""
    return paint(scaled(dice.choice(GREENS), dice.uniform(0.8, 1.2)), sheen=0.25, unevenness=0.3, seed=dice.seed())


def crown_material(dice: Dice, low: float, high: float, size: float) -> Material:
    """Many leaves, seen from afar, of a brightness between two; ``size`` is that of a clump."""
    color = scaled(dice.choice(GREENS), dice.uniform(low, high))
    return Material(FOLIAGE, color, scaled(color, 1.5), scaled(color, 0.5), size, (1.3,), dice.seed())


def leaves(dice: Dice, count: int, reach: float, height: float, width: float, material: Material) -> list[Part]:
    """Leaves on stalks that rise from the origin and bend outwards."""
    parts = []
    for i in range(count):
        sine, cosine = sine_cosine(TURN * (i + dice.uniform(0.0, 0.8)) / count)
        top, out = height * dice.uniform(0.5, 0.9), reach * dice.uniform(0.55, 0.9)
        bend = (0.4 * out * cosine, 0.4 * out * sine, top)
        tip = (out * cosine, out * sine, top + (height - top) * dice.uniform(-0.6, 0.8))
        parts.append(rod(ORIGIN, bend, 0.003 + 0.02 * width, material))
        place, length = upright_along(bend, tip)
        radii = (width * dice.uniform(0.35, 0.5), 0.03 * width + 0.001, 0.6 * length)
        parts += moved(ellipsoid(radii, (0.0, 0.0, 0.4 * length), material), place)
    return parts


def potted_plant(dice: Dice, radius: float, height: float, pot: Material) -> Piece:
    """Leaves in a pot; ``height`` is that of the whole."""
    tall = min(1.6 * radius, 0.4 * height)
    soil = cylinder(0.9 * radius, 0.002, (0.0, 0.0, 0.85 * tall), paint("#3b2c22", unevenness=0.5))
    parts = [vessel(stretched(POT, radius, tall), 0.08 * radius, pot), soil]
    rest = height - tall
    reach = dice.uniform(0.35, 0.75) * rest + 0.5 * radius
    count, width = dice.between(7, 15), dice.uniform(0.12, 0.35) * rest
    parts += moved(leaves(dice, count, reach, rest, width, leaf_material(dice)), shift(0.0, 0.0, 0.85 * tall))
    return round_piece("plant", parts, radius, height)


def cactus(dice: Dice, radius: float, pot: Material) -> Piece:
    """A round cactus in a small pot."""
    skin = Material(FOLIAGE, "#5f8a55", "#7fa36b", "#3e6b45", 0.15 * radius, (0.5,), dice.seed())
    parts = [vessel([(0.8 * radius, 0.0), (radius, 1.1 * radius)], 0.1 * radius, pot)]
    parts.append(ellipsoid((0.75 * radius, 0.75 * radius, radius), (0.0, 0.0, 1.7 * radius), skin))
    return round_piece("plant", parts, radius, 2.7 * radius)


def tree(dice: Dice, height: float, *, conifer: bool = False) -> Piece:
    """A tree with a crown of leafy balls, or of cones."""
    bark = timber("#6e5a48", "#42352b", ring=0.12, contrast=0.9, polish=0.0, seed=dice.seed())
    crown, trunk = crown_material(dice, 0.45, 0.8, 0.05 * height), 0.03 * height
    if conifer:
        parts = [frustum(trunk, 0.6 * trunk, 0.25 * height, ORIGIN, bark)]
        for i in range(4):
            bottom = 0.15 + 0.19 * i
            parts.append(frustum((0.24 - 0.045 * i) * height, 0.02 * height, 0.36 * height, (0, 0, bottom * height), crown))
        return Piece("tree", parts, 0.5 * height, 0.5 * height, height)
    parts = [frustum(trunk, 0.55 * trunk, 0.55 * height, ORIGIN, bark)]
    for i in range(dice.between(6, 10)):
        sine, cosine = sine_cosine(TURN * (GOLDEN * i + 0.2 * dice.unit()))
        out, size = height * dice.uniform(0.05, 0.2), height * dice.uniform(0.11, 0.2)
        center = (out * cosine, out * sine, height * dice.uniform(0.52, 0.85))
        radii = (size * dice.uniform(0.9, 1.2), size * dice.uniform(0.9, 1.2), size * dice.uniform(0.75, 1.0))
        turn = turn_z(TURN * dice.unit()), turn_x(dice.uniform(-0.4, 0.4))
        parts += moved(ellipsoid(radii, ORIGIN, crown), shift(*center), *turn)
        parts.append(rod((0, 0, 0.42 * height), center, 0.4 * trunk, bark, 0.15 * trunk))
    return Piece("tree", parts, 0.6 * height, 0.6 * height, height)


def bush(dice: Dice, size: float) -> Piece:
    """A bush of a few leafy balls."""
    crown = crown_material(dice, 0.5, 0.9, 0.12 * size)
    parts = []
    for i in range(dice.between(3, 6)):
        sine, cosine = sine_cosine(TURN * GOLDEN * i)
        radius, out = size * dice.uniform(0.25, 0.4), 0.3 * size * dice.unit()
        parts.append(ellipsoid((radius, radius, 0.9 * radius), (out * cosine, out * sine, 0.8 * radius), crown))
    return Piece("plant", parts, size, size, 0.7 * size)
