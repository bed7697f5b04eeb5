"""Small things with round shapes: mugs, bowls, vases, bottles, fruit, teapots."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import paint
from scene_depth_synthetic.procedural.materials import Material, rgb
from scene_depth_synthetic.procedural.piece import Piece
from scene_depth_synthetic.procedural.shapes import curve, cylinder, ellipsoid, moved, rod, torus, turned
from scene_depth_synthetic.procedural.transforms import shift, sine_cosine, turn_x, turn_z


def circle(angle: float) -> tuple[float, float]:
    """Cosine and sine of an angle in radians."""
    sine, cosine = sine_cosine(angle)
    return cosine, sine


def hollow(outline: list[tuple[float, float]], wall: float) -> list[tuple[float, float]]:
    """A profile that goes up an outline and down again inside it, ``wall`` metres apart."""
    bottom = outline[0][1] + wall
    inner = [(max(r - wall, 0.0), max(z, bottom)) for r, z in reversed(outline)]
    return [(0.0, outline[0][1]), *outline, *inner, (0.0, bottom)]


def mug(radius: float, height: float, material: Material) -> Piece:
    """A mug with a round handle towards +x."""
    outline = [(0.86 * radius, 0.0), (0.97 * radius, 0.06 * height), (radius, 0.15 * height), (radius, height)]
    handle = moved(
        [torus(0.29 * height, 0.055 * height, (0.0, 0.0, 0.0), material)],
        shift(radius, 0.0, 0.52 * height),
        turn_x(0.5 * math.pi),
    )
    coffee = cylinder(0.9 * radius, 0.001, (0.0, 0.0, 0.8 * height), paint(rgb("#3a2114"), sheen=0.5))
    parts = [turned(hollow(outline, 0.07 * radius), (0.0, 0.0, 0.0), material), coffee, *handle]
    return Piece("tableware", parts, 2.0 * radius + 0.3 * height, 2.0 * radius, height)


def bowl(radius: float, height: float, material: Material) -> Piece:
    """A bowl on a small foot."""
    outline = curve([(0.38 * radius, 0.0), (0.4 * radius, 0.1 * height), (0.8 * radius, 0.45 * height), (radius, height)], 5)
    return Piece("tableware", [turned(hollow(outline, 0.05 * radius), (0.0, 0.0, 0.0), material)], 2 * radius, 2 * radius, height)


def plate(radius: float, material: Material) -> Piece:
    """A plate with a raised rim."""
    profile = [
        (0.0, 0.0),
        (0.6 * radius, 0.0),
        (radius, 0.16 * radius),
        (0.99 * radius, 0.18 * radius),
        (0.62 * radius, 0.05 * radius),
        (0.0, 0.04 * radius),
    ]
    return Piece("tableware", [turned(profile, (0.0, 0.0, 0.0), material)], 2 * radius, 2 * radius, 0.18 * radius)


def vase(radius: float, height: float, material: Material, style: int = 0) -> Piece:
    """A vase: bellied (0), slender (1), jar (2)."""
    shapes = (
        [(0.5, 0.0), (0.9, 0.22), (1.0, 0.42), (0.72, 0.7), (0.36, 0.86), (0.48, 1.0)],
        [(0.6, 0.0), (0.8, 0.1), (1.0, 0.3), (0.6, 0.55), (0.42, 0.8), (0.6, 1.0)],
        [(0.75, 0.0), (0.98, 0.12), (1.0, 0.6), (0.85, 0.8), (0.55, 0.9), (0.6, 1.0)],
    )
    outline = curve([(r * radius, z * height) for r, z in shapes[style % 3]], 5)
    return Piece("container", [turned(hollow(outline, 0.06 * radius), (0.0, 0.0, 0.0), material)], 2 * radius, 2 * radius, height)


def bottle(radius: float, height: float, material: Material, label: Material | None = None) -> Piece:
    """A bottle with a neck and perhaps a label."""
    outline = [(0.0, 0.0), (0.92 * radius, 0.0), (radius, 0.03 * height), (radius, 0.56 * height)]
    outline += curve(
        [(radius, 0.56 * height), (0.8 * radius, 0.68 * height), (0.33 * radius, 0.77 * height), (0.3 * radius, height)], 3
    )[1:]
    outline.append((0.0, height))
    parts = [turned(outline, (0.0, 0.0, 0.0), material)]
    if label is not None:
        parts.append(cylinder(1.012 * radius, 0.26 * height, (0.0, 0.0, 0.17 * height), label, caps=0))
    return Piece("container", parts, 2 * radius, 2 * radius, height)


def candle(radius: float, height: float, wax: Material, holder: Material) -> Piece:
    """A candle in a holder."""
    profile = [
        (0.0, 0.0),
        (1.9 * radius, 0.0),
        (1.8 * radius, 0.15 * radius),
        (0.5 * radius, 0.5 * radius),
        (0.5 * radius, 1.6 * radius),
        (1.2 * radius, 2.0 * radius),
        (1.2 * radius, 2.5 * radius),
        (0.0, 2.5 * radius),
    ]
    base = 2.5 * radius
    wick = cylinder(0.08 * radius, 0.7 * radius, (0.0, 0.0, base + height), paint(rgb("#2b2624")))
    parts = [turned(profile, (0.0, 0.0, 0.0), holder), cylinder(radius, height, (0.0, 0.0, base), wax), wick]
    return Piece("other", parts, 3.8 * radius, 3.8 * radius, base + height)


def apple(radius: float, material: Material) -> Piece:
    """An apple with a stalk."""
    profile = curve([(0.0, 0.06), (0.35, 0.0), (0.85, 0.4), (1.0, 1.0), (0.75, 1.55), (0.3, 1.66), (0.0, 1.45)], 4)
    parts = [turned([(r * radius, z * radius) for r, z in profile], (0.0, 0.0, 0.0), material)]
    parts.append(rod((0.0, 0.0, 1.4 * radius), (0.15 * radius, 0.0, 1.9 * radius), 0.05 * radius, paint(rgb("#4b3621"))))
    return Piece("food", parts, 2 * radius, 2 * radius, 1.7 * radius)


def fruit_bowl(dice: Dice, radius: float, material: Material) -> Piece:
    """A bowl of apples and oranges."""
    parts = list(bowl(radius, 0.5 * radius, material).parts)
    start = dice.uniform(0.0, 6.28)
    for i in range(6):
        cosine, sine = circle(start + 1.2566370614 * i)
        reach = 0.48 * radius if i < 5 else 0.0
        size = 0.27 * radius * dice.uniform(0.9, 1.1)
        color = dice.choice((rgb("#b3372b"), rgb("#8fa33a"), rgb("#d98324"), rgb("#c9a227")))
        skin = Material(0, color, scale=(0.02, 0.02), parameters=(0.15,), seed=dice.seed(), specular=0.25, gloss=5)
        fruit = apple(size, skin).parts if dice.chance(0.5) else [ellipsoid((size, size, size), (0.0, 0.0, size), skin)]
        parts += moved(
            fruit, shift(reach * cosine, reach * sine, 0.2 * radius if i < 5 else 0.42 * radius), turn_z(dice.uniform(0, 6))
        )
    return Piece("food", parts, 2 * radius, 2 * radius, 0.8 * radius)


def teapot(radius: float, material: Material) -> Piece:
    """A round teapot with a spout towards +x and a handle towards -x."""
    body = (
        curve([(0.55, 0.0), (0.95, 0.3), (1.0, 0.7), (0.75, 1.2), (0.4, 1.38)], 4)
        + curve([(0.4, 1.38), (0.2, 1.48), (0.1, 1.5)], 2)[1:]
    )
    knob = ellipsoid((0.14 * radius, 0.14 * radius, 0.14 * radius), (0.0, 0.0, 1.6 * radius), material)
    spout = rod((0.75 * radius, 0.0, 0.5 * radius), (1.6 * radius, 0.0, 1.25 * radius), 0.24 * radius, material, 0.1 * radius)
    handle = moved(
        [torus(0.45 * radius, 0.09 * radius, (0.0, 0.0, 0.0), material)],
        shift(-1.0 * radius, 0.0, 0.8 * radius),
        turn_x(0.5 * math.pi),
    )
    profile = [(0.0, 0.0), *[(r * radius, z * radius) for r, z in body], (0.0, 1.5 * radius)]
    return Piece(
        "tableware", [turned(profile, (0.0, 0.0, 0.0), material), knob, spout, *handle], 3.2 * radius, 2 * radius, 1.75 * radius
    )
