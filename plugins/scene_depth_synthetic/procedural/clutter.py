"""Things that lie about: boxes, toys, screens, frames, cushions."""

from __future__ import annotations

import math

import numpy as np

from scene_depth_synthetic.procedural.books import PAPER
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import (
    Palette,
    cloth,
    metal,
    paint,
    painted,
    picture,
    wooden,
)
from scene_depth_synthetic.procedural.materials import CHECKS, DOTS, PAGE, STRIPES, Material, rgb, scaled
from scene_depth_synthetic.procedural.piece import Piece
from scene_depth_synthetic.procedural.shapes import (
    Part,
    block,
    box,
    cushion,
    cylinder,
    ellipsoid,
    frustum,
    height_field,
    moved,
    panel,
    rod,
    torus,
)
from scene_depth_synthetic.procedural.transforms import shift, sine_cosine, turn_x, turn_y, turn_z


def carton(dice: Dice, palette: Palette, size: float) -> Piece:
    """A box: cardboard with tape, a gift with ribbon, or painted."""
    w, d, h = size * dice.factor(0.4), size * dice.factor(0.4), size * dice.factor(0.5)
    kind = dice.below(3)
    if kind == 0:
        card = paint(scaled(rgb("#b08a5f"), dice.uniform(0.8, 1.1)), unevenness=0.12, seed=dice.seed())
        tape = paint(rgb("#c9b38c"), sheen=0.3)
        return Piece("box", [block((w, d, h), (0, 0, 0), card), block((0.1 * w, 1.002 * d, 1.002 * h), (0, 0, 0), tape)], w, d, h)
    body = block((w, d, h), (0, 0, 0), cloth(dice, palette) if kind == 1 else painted(dice, palette))
    ribbon = painted(dice, palette)
    parts = [
        body,
        block((0.12 * w, 1.01 * d, 1.01 * h), (0, 0, 0), ribbon),
        block((1.01 * w, 0.12 * d, 1.01 * h), (0, 0, 0), ribbon),
    ]
    return Piece("box", parts if kind == 1 else [body], w, d, h)


def building_blocks(dice: Dice, palette: Palette) -> Piece:
    """A tower or heap of toy blocks, balls and cones."""
    parts: list[Part] = []
    size, z = dice.uniform(0.03, 0.05), 0.0
    for _ in range(dice.between(2, 5)):
        parts += moved(
            [block((size * 1.3, size, size), (0, 0, 0), painted(dice, palette))],
            shift(dice.uniform(-0.2, 0.2) * size, 0, z),
            turn_z(dice.uniform(-0.5, 0.5)),
        )
        z += size
    top = dice.below(3)
    if top == 0:
        parts.append(frustum(0.6 * size, 0.0, 1.2 * size, (0, 0, z), painted(dice, palette)))
    elif top == 1:
        parts.append(ellipsoid((0.5 * size, 0.5 * size, 0.5 * size), (0, 0, z + 0.5 * size), painted(dice, palette)))
    return Piece("toy", parts, 1.6 * size, 1.4 * size, z + 1.2 * size)


def ball(dice: Dice, palette: Palette, radius: float) -> Piece:
    """A ball with stripes, checks or dots."""
    a, b, c = dice.shuffled(palette)[:3]
    kind, parameters = dice.choice(((STRIPES, (1.57, 0.5, 0.0)), (CHECKS, (0.05,)), (DOTS, (0.3,))))
    skin = Material(kind, a, b, c, (0.5 * radius, 0.5 * radius), parameters, dice.seed(), specular=0.3, mirror=0.03)
    parts = moved(
        [ellipsoid((radius, radius, radius), (0, 0, 0), skin)],
        shift(0, 0, radius),
        turn_x(dice.uniform(-1, 1)),
        turn_y(dice.uniform(-1, 1)),
    )
    return Piece("toy", parts, 2 * radius, 2 * radius, 2 * radius)


def bear(dice: Dice, size: float) -> Piece:
    """A sitting soft toy."""
    color = dice.choice((rgb("#8a5a34"), rgb("#c49a6c"), rgb("#5f4a3c"), rgb("#b9a9a0")))
    fur = Material(5, color, scaled(color, 1.25), scaled(color, 0.8), (0.012, 0.012), (0.35,), dice.seed())
    pale = paint(scaled(color, 1.6), unevenness=0.2)
    dark = paint(rgb("#1d1815"), sheen=0.8)

    def lump(x: float, y: float, z: float, r: float, material: Material, flat: float = 1.0) -> Part:
        return ellipsoid((r * size, r * size * flat, r * size), (x * size, y * size, z * size), material)

    parts = [
        lump(0, 0, 0.27, 0.27, fur, 0.85),
        lump(0, 0, 0.68, 0.22, fur),
        lump(0, -0.19, 0.63, 0.1, pale, 0.8),
        lump(0, -0.27, 0.66, 0.035, dark),
    ]
    for side in (-1, 1):
        parts += [lump(0.17 * side, 0, 0.86, 0.085, fur, 0.5), lump(0.09 * side, -0.19, 0.74, 0.024, dark)]
        parts += [rod((0.2 * size * side, 0, 0.42 * size), (0.33 * size * side, -0.12 * size, 0.22 * size), 0.085 * size, fur)]
        parts += [
            lump(0.33 * side, -0.12, 0.22, 0.09, fur),
            lump(0.19 * side, -0.3, 0.1, 0.1, fur),
            lump(0.19 * side, -0.39, 0.11, 0.06, pale, 0.4),
        ]
        parts += [
            rod((0.14 * size * side, -0.05 * size, 0.12 * size), (0.19 * size * side, -0.3 * size, 0.1 * size), 0.1 * size, fur)
        ]
    return Piece("toy", parts, 0.8 * size, 0.8 * size, 0.95 * size)


def laptop(dice: Dice, palette: Palette) -> Piece:
    """An open laptop, screen towards -y."""
    shell = metal(rgb("#a9acb0"), mirror=0.08)
    keys = Material(CHECKS, rgb("#2b2c2e"), rgb("#3c3d40"), scale=(0.02, 0.02), parameters=(0.0,))
    a, b, c = dice.shuffled(palette)[:3]
    screen = Material(PAGE, scaled(a, 1.2), b, c, (0.3, 0.19), (0.045, 0.5), dice.seed(), emission=0.35)
    lid = [box((0.33, 0.006, 0.22), (0, 0, 0.11), shell), panel(0.31, 0.2, (0, -0.0035, 0.11), screen, "y")]
    parts = [block((0.33, 0.23, 0.014), (0, 0, 0), shell), panel(0.29, 0.11, (0, 0.03, 0.0145), keys)]
    return Piece("electronics", parts + moved(lid, shift(0, 0.115, 0.012), turn_x(-0.3)), 0.33, 0.3, 0.23)


def monitor(dice: Dice, palette: Palette, width: float) -> Piece:
    """A flat screen on a foot, towards -y."""
    case, height = paint(rgb("#202124"), sheen=0.4), 0.58 * width
    screen = Material(
        PAGE,
        dice.choice(palette),
        dice.choice(palette),
        dice.choice(palette),
        (width, height),
        (0.05, 0.8),
        dice.seed(),
        emission=dice.choice((0.0, 0.4)),
        specular=0.2,
        mirror=0.04,
    )
    parts = [
        box((width, 0.03, height), (0, 0, 0.12 + 0.5 * height), case),
        panel(0.96 * width, 0.93 * height, (0, -0.0155, 0.12 + 0.5 * height), screen, "y"),
    ]
    parts += [cylinder(0.025, 0.14, (0, 0.03, 0), case), block((0.4 * width, 0.18, 0.012), (0, 0.02, 0), case)]
    return Piece("electronics", parts, width, 0.2, 0.12 + height)


def pen_cup(dice: Dice, palette: Palette) -> Piece:
    """Pencils in a cup."""
    radius, height = dice.uniform(0.03, 0.045), dice.uniform(0.08, 0.11)
    parts = [cylinder(radius, height, (0, 0, 0), painted(dice, palette), caps=1)]
    for i in range(dice.between(3, 7)):
        sine, cosine = sine_cosine(2.4 * i)
        foot, top = 0.5 * radius, radius * dice.uniform(0.8, 1.3)
        parts.append(
            rod(
                (-foot * cosine, -foot * sine, 0.005),
                (top * cosine, top * sine, height * dice.uniform(1.3, 1.9)),
                0.0035,
                painted(dice, palette),
            )
        )
    return Piece("other", parts, 2 * radius, 2 * radius, height)


def standing_frame(dice: Dice, palette: Palette) -> Piece:
    """A small framed picture that leans back."""
    w, h = dice.choice(((0.13, 0.18), (0.18, 0.13), (0.2, 0.25)))
    parts = framed_picture(dice, palette, w, h)
    return Piece("picture", moved(parts, shift(0, 0, 0.5 * h * 0.98 + 0.01), turn_x(-0.2)), w + 0.03, 0.25 * h, h)


def framed_picture(dice: Dice, palette: Palette, width: float, height: float) -> list[Part]:
    """A framed picture around the origin that faces -y."""
    edge = 0.03 + 0.04 * min(width, height)
    frame = wooden(dice) if dice.chance(0.6) else painted(dice, palette)
    inner = picture(dice, palette, width, height)
    parts = [panel(width, height, (0.0, -0.004, 0.0), inner, "y"), box((width, 0.006, height), (0, 0.0, 0), paint(PAPER))]
    for side in (-1, 1):
        parts.append(box((width + 2 * edge, 0.025, edge), (0, -0.008, side * 0.5 * (height + edge)), frame))
        parts += moved(
            [box((height, 0.025, edge), (0, 0, 0), frame)], shift(side * 0.5 * (width + edge), -0.008, 0), turn_y(0.5 * math.pi)
        )
    return parts


def clock(dice: Dice, radius: float) -> list[Part]:
    """A wall clock around the origin that faces -y."""
    rim, face, dark = (
        painted(dice, (rgb("#8c3b2a"), rgb("#2d2d2d"), rgb("#c9a227"))),
        paint(rgb("#f1ede3")),
        paint(rgb("#1c1c1c")),
    )
    parts = [cylinder(radius, 0.03, (0, 0, 0), rim), cylinder(0.88 * radius, 0.004, (0, 0, 0.03), face)]
    for angle, length in ((dice.uniform(0, 6.28), 0.5), (dice.uniform(0, 6.28), 0.75)):
        sine, cosine = sine_cosine(angle)
        parts.append(rod((0, 0, 0.037), (length * radius * cosine, length * radius * sine, 0.037), 0.03 * radius, dark))
    for i in range(12):
        sine, cosine = sine_cosine(i * math.pi / 6.0)
        parts.append(
            ellipsoid((0.03 * radius, 0.03 * radius, 0.004), (0.76 * radius * cosine, 0.76 * radius * sine, 0.035), dark)
        )
    return moved(parts, turn_x(0.5 * math.pi))


def globe(dice: Dice, radius: float) -> Piece:
    """A globe on a stand."""
    sea = Material(
        3,
        rgb("#3c6f8f"),
        rgb("#b59a5b"),
        scale=(1.1 * radius, 1.1 * radius),
        parameters=(0.06, 0.1),
        seed=dice.seed(),
        specular=0.4,
        mirror=0.03,
    )
    brass = metal(rgb("#b08d45"), mirror=0.2)
    parts = [
        ellipsoid((radius, radius, radius), (0, 0, 1.5 * radius), sea),
        frustum(0.6 * radius, 0.1 * radius, 0.35 * radius, (0, 0, 0), brass),
    ]
    parts += moved(
        [torus(1.1 * radius, 0.04 * radius, (0, 0, 0), brass)], shift(0, 0, 1.5 * radius), turn_y(0.4), turn_x(0.5 * math.pi)
    )
    return Piece("other", parts, 2.2 * radius, 2.2 * radius, 2.6 * radius)


def pillow(dice: Dice, palette: Palette, size: float) -> Piece:
    """A cushion lying flat."""
    return Piece(
        "cloth", [cushion((size, size, 0.32 * size), (0, 0, 0.16 * size), cloth(dice, palette))], size, size, 0.32 * size
    )


def crumpled_cloth(dice: Dice, palette: Palette, size: float) -> Piece:
    """A cloth thrown down in folds."""
    n = 17
    grid = np.linspace(-0.5, 0.5, n)
    x, y = np.meshgrid(grid * size, grid * size * dice.uniform(0.6, 1.0), indexing="xy")
    z = np.zeros((n, n))
    for _ in range(4):
        angle, wave, phase = dice.uniform(0, 3.1), dice.uniform(4.0, 13.0) / size, dice.uniform(0, 6.28)
        sine, cosine = sine_cosine(angle)
        along = (x * cosine + y * sine) * wave + phase
        z += np.array([[sine_cosine(float(v))[0] for v in row] for row in along])
    z = 0.004 + 0.014 * size * (z + 4.0) * 0.5
    bend = 0.06 * size * dice.uniform(-1, 1)
    cloth_part = height_field(x + bend * (y / size) ** 2 * 4.0, y, z, cloth(dice, palette))
    return Piece("cloth", [cloth_part], size, size, 0.06 * size)
