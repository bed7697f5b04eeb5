"""Small things with round shapes: mugs, bowls, vases, candles, fruit, teapots."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import paint
from scene_depth_synthetic.procedural.materials import PLAIN, Material, colors
from scene_depth_synthetic.procedural.transforms import shift, sine_cosine, turn_x, turn_z

from scene_depth_synthetic.procedural.shapes import (  # isort: skip
    ORIGIN, Part, Piece, curve, cylinder, moved, rod, round_piece, sphere, torus, turned,
)  # fmt: skip

Profile = Sequence[tuple[float, float]]  # corners (radius, height)

VASES: tuple[Profile, ...] = (  # bellied, slender, jar
    ((0.5, 0.0), (0.9, 0.22), (1.0, 0.42), (0.72, 0.7), (0.36, 0.86), (0.48, 1.0)),
    ((0.6, 0.0), (0.8, 0.1), (1.0, 0.3), (0.6, 0.55), (0.42, 0.8), (0.6, 1.0)),
    ((0.75, 0.0), (0.98, 0.12), (1.0, 0.6), (0.85, 0.8), (0.55, 0.9), (0.6, 1.0)),
)
MUG: Profile = ((0.86, 0.0), (0.97, 0.06), (1.0, 0.15), (1.0, 1.0))
BOWL: Profile = ((0.38, 0.0), (0.4, 0.1), (0.8, 0.45), (1.0, 1.0))
PLATE: Profile = ((0.0, 0.0), (0.6, 0.0), (1.0, 0.16), (0.99, 0.18), (0.62, 0.05), (0.0, 0.04))
CANDLESTICK: Profile = ((0.0, 0.0), (1.9, 0.0), (1.8, 0.15), (0.5, 0.5), (0.5, 1.6), (1.2, 2.0), (1.2, 2.5), (0.0, 2.5))
APPLE: Profile = curve(((0.0, 0.06), (0.35, 0.0), (0.85, 0.4), (1.0, 1.0), (0.75, 1.55), (0.3, 1.66), (0.0, 1.45)), 4)
TEAPOT: Profile = (
    (0.0, 0.0),
    *curve(((0.55, 0.0), (0.95, 0.3), (1.0, 0.7), (0.75, 1.2), (0.4, 1.38)), 4),
    *curve(((0.4, 1.38), (0.2, 1.48), (0.1, 1.5)), 2)[1:],
    (0.0, 1.5),
)


def stretched(profile: Profile, radius: float, height: float) -> list[tuple[float, float]]:
    """A profile of unit size in metres."""
    return [(r * radius, z * height) for r, z in profile]


def vessel(outline: Profile, wall: float, material: Material) -> Part:
    """What is turned on a wheel: its wall, ``wall`` metres thick, goes up an outline and down again inside it."""
    bottom = outline[0][1] + wall
    inner = [(max(r - wall, 0.0), max(z, bottom)) for r, z in reversed(outline)]
    return turned([(0.0, outline[0][1]), *outline, *inner, (0.0, bottom)], material)


def mug(radius: float, height: float, material: Material) -> Piece:
    """A mug with a round handle towards +x."""
    handle = torus(0.29 * height, 0.055 * height, ORIGIN, material)
    coffee = cylinder(0.9 * radius, 0.001, (0.0, 0.0, 0.8 * height), paint("#3a2114", sheen=0.5))
    parts = [vessel(stretched(MUG, radius, height), 0.07 * radius, material), coffee]
    parts += moved(handle, shift(radius, 0.0, 0.52 * height), turn_x(0.5 * math.pi))
    return Piece("tableware", parts, 2.0 * radius + 0.3 * height, 2.0 * radius, height)


def bowl(radius: float, height: float, material: Material) -> Piece:
    """A bowl on a small foot."""
    outline = curve(stretched(BOWL, radius, height), 5)
    return round_piece("tableware", [vessel(outline, 0.05 * radius, material)], radius, height)


def plate(radius: float, material: Material) -> Piece:
    """A plate with a raised rim."""
    return round_piece("tableware", [turned(stretched(PLATE, radius, radius), material)], radius, 0.18 * radius)


def vase(radius: float, height: float, material: Material, style: int = 0) -> Piece:
    """A vase: bellied (0), slender (1), jar (2)."""
    outline = curve(stretched(VASES[style], radius, height), 5)
    return round_piece("container", [vessel(outline, 0.06 * radius, material)], radius, height)


def candle(radius: float, height: float, wax: Material, holder: Material) -> Piece:
    """A candle in a holder."""
    base = 2.5 * radius
    wick = cylinder(0.08 * radius, 0.7 * radius, (0.0, 0.0, base + height), paint("#2b2624"))
    stick = turned(stretched(CANDLESTICK, radius, radius), holder)
    return Piece(
        "other", [stick, cylinder(radius, height, (0.0, 0.0, base), wax), wick], 3.8 * radius, 3.8 * radius, base + height
    )


def apple(radius: float, material: Material) -> Piece:
    """An apple with a stalk."""
    stalk = rod((0.0, 0.0, 1.4 * radius), (0.15 * radius, 0.0, 1.9 * radius), 0.05 * radius, paint("#4b3621"))
    return round_piece("food", [turned(stretched(APPLE, radius, radius), material), stalk], radius, 1.7 * radius)


def fruit_bowl(dice: Dice, radius: float, material: Material) -> Piece:
    """A bowl of apples and oranges."""
    parts = bowl(radius, 0.5 * radius, material).parts
    start = dice.uniform(0.0, 6.28)
    for i in range(6):
        sine, cosine = sine_cosine(start + 1.2566370614 * i)
        reach, rise = (0.48 * radius, 0.2 * radius) if i < 5 else (0.0, 0.42 * radius)
        size = 0.27 * radius * dice.uniform(0.9, 1.1)
        color = dice.choice(colors("#b3372b #8fa33a #d98324 #c9a227"))
        skin = Material(PLAIN, color, scale=0.02, parameters=(0.15,), seed=dice.seed(), specular=0.25)
        fruit = apple(size, skin).parts if dice.chance(0.5) else [sphere(size, (0.0, 0.0, size), skin)]
        parts += moved(fruit, shift(reach * cosine, reach * sine, rise), turn_z(dice.uniform(0, 6)))
    return round_piece("food", parts, radius, 0.8 * radius)


def teapot(radius: float, material: Material) -> Piece:
    """A round teapot with a spout towards +x and a handle towards -x."""
    spout = rod((0.75 * radius, 0.0, 0.5 * radius), (1.6 * radius, 0.0, 1.25 * radius), 0.24 * radius, material, 0.1 * radius)
    parts = [
        turned(stretched(TEAPOT, radius, radius), material),
        sphere(0.14 * radius, (0.0, 0.0, 1.6 * radius), material),
        spout,
    ]
    handle = torus(0.45 * radius, 0.09 * radius, ORIGIN, material)
    parts += moved(handle, shift(-1.0 * radius, 0.0, 0.8 * radius), turn_x(0.5 * math.pi))
    return Piece("tableware", parts, 3.2 * radius, 2 * radius, 1.75 * radius)
