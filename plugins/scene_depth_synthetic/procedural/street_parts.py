"""What stands in streets: cars, lamps, signs, benches, bins, fences, people, houses. Fronts towards -y, standing on z = 0."""

from __future__ import annotations

import math

import numpy as np

from scene_depth_synthetic.procedural import materials as m
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.materials import Color, Material, blend, colors, scaled
from scene_depth_synthetic.procedural.transforms import shift, turn_x, turn_y, turn_z

from scene_depth_synthetic.procedural.finishes import (  # isort: skip
    UPRIGHT, Palette, bricks, cloth, glass, glowing, metal, paint, painted, plaster, timber,
)  # fmt: skip
from scene_depth_synthetic.procedural.shapes import (  # isort: skip
    ORIGIN, Part, Piece, block, box, cushion, cylinder, ellipsoid, frustum, mesh, moved, panel, rod, torus,
)  # fmt: skip

SIDES = (-1.0, 1.0)
CAR_COLORS = colors("#9b2226 #1f3a5f #c9ccd0 #f0efe9 #2b2d30 #6b7c72 #d7a13b #486a8c #7a8088 #274c3a")
WHITE = "#eeeeea"


def wheel(radius: float, width: float) -> list[Part]:
    """A wheel around the x axis through the origin."""
    rubber, rim = paint("#1b1b1d", sheen=0.1), metal("#b9bcc0", mirror=0.2)
    tyre = torus(0.76 * radius, 0.24 * radius, ORIGIN, rubber)
    disc = cylinder(0.6 * radius, 0.74 * width, (0, 0, -0.37 * width), rim)
    return moved([tyre, disc, cylinder(0.9 * radius, 0.3 * width, (0, 0, -0.15 * width), rubber)], turn_y(0.5 * math.pi))


def _prism(
    outline: list[tuple[float, float]], width: float, top_width: float, base: float, top: float, material: Material
) -> Part:
    """A solid with a polygon (y, z) as its side view; its half width narrows from ``base`` to ``top``."""
    count = len(outline)
    halves = [width + (top_width - width) * min(max((z - base) / (top - base), 0.0), 1.0) for _, z in outline]
    corners = [(side * h, y, z) for side in SIDES for (y, z), h in zip(outline, halves, strict=True)]
    faces = [(0, i, i + 1) for i in range(1, count - 1)] + [(count, count + i + 1, count + i) for i in range(1, count - 1)]
    for i in range(count):
        j = (i + 1) % count
        faces += [(i, count + i, j), (j, count + i, count + j)]
    return mesh(np.array(corners), np.array(faces), material, smooth=False)


def car(dice: Dice, color: Color | None = None) -> Piece:
    """A saloon, hatchback or van, along y with its front towards -y."""
    chosen = scaled(dice.choice(CAR_COLORS), dice.uniform(0.8, 1.1))
    lacquer = paint(chosen if color is None else color, sheen=0.9, gloss=7, unevenness=0.0)
    pane, dark = glass("#8fa3ad"), paint("#26282b")
    length, half, radius = dice.uniform(3.9, 4.7), dice.uniform(0.84, 0.92), dice.uniform(0.31, 0.35)
    van = dice.chance(0.2)
    belt, roof = (1.05, dice.uniform(1.8, 2.0)) if van else (0.92, dice.uniform(1.38, 1.5))
    front, rear, screen = -0.5 * length, 0.5 * length, -0.24 * length
    body = [
        *((front, 0.35), (front + 0.05, 0.68), (front + 0.25, 0.78), (-0.22 * length, belt), (rear - 0.3, belt)),
        *((rear - 0.04, 0.85), (rear, 0.4), (rear - 0.1, 0.22), (front + 0.1, 0.22)),
    ]
    back = rear - (0.7 if dice.chance(0.5) and not van else 0.25)
    cabin = [(screen, belt - 0.01), (screen + 0.65, roof), (back - 0.45, roof), (back, belt - 0.01)]
    parts = [_prism(body, half, half - 0.04, 0.3, belt, lacquer), _prism(cabin, half - 0.05, half - 0.2, belt, roof, pane)]
    size = (2 * half - 0.34, back - 0.45 + 0.24 * length - 0.55, 0.07)
    parts.append(cushion(size, (0, 0.5 * (back - 0.45 - 0.24 * length + 0.65), roof), lacquer))
    for y in (screen + 0.68, back - 0.5, 0.5 * (back - 0.24 * length)):
        parts += [rod((side * (half - 0.055), y, belt), (side * (half - 0.2), y, roof), 0.022, lacquer) for side in SIDES]
    for y in (front + 0.8, rear - 0.85):
        for side in SIDES:
            parts += moved(wheel(radius, 0.22), shift(side * (half - 0.06), y, radius))
            parts.append(ellipsoid((0.02, 1.16 * radius, 1.16 * radius), (side * (half - 0.015), y, radius + 0.02), dark))
    for side in SIDES:
        light, tail = glowing("#e8eaec", 0.3, casts_shadow=True), paint("#8a1c1c", sheen=0.8)
        parts.append(ellipsoid((0.15, 0.08, 0.07), (side * (half - 0.2), front + 0.06, 0.65), light))
        parts.append(box((0.25, 0.05, 0.12), (side * (half - 0.2), rear - 0.03, 0.72), tail))
        parts.append(ellipsoid((0.09, 0.06, 0.07), (side * (half + 0.06), screen + 0.55, belt + 0.06), lacquer))
    plate = Material(m.BOOK, "#e8e8e0", "#22252a", "#22252a", (0.5, 0.3), (0.0,), dice.seed())
    parts.append(panel(0.5, 0.11, (0, front - 0.002, 0.45), plate, "y"))
    parts += [box((1.7 * half, 0.12, 0.16), (0, y, 0.38), dark) for y in (front + 0.02, rear - 0.05)]
    return Piece("car", parts, 2 * half + 0.1, length, roof)


def street_lamp(dice: Dice, height: float) -> Piece:
    """A lamp post with an arm towards -y, or a lantern on top."""
    iron = paint(dice.choice(colors("#3b4248 #23352e #8a8f93")), sheen=0.3)
    parts = [frustum(0.1, 0.05, height, ORIGIN, iron), cylinder(0.14, 0.4, ORIGIN, iron)]
    if dice.chance(0.5):
        parts.append(rod((0, 0, height - 0.1), (0, -1.2, height + 0.15), 0.035, iron))
        parts.append(cushion((0.25, 0.6, 0.12), (0, -1.4, height + 0.13), iron))
    else:
        parts.append(frustum(0.12, 0.2, 0.4, (0, 0, height), glowing("#e6dfc8", 0.4)))
        parts.append(frustum(0.26, 0.02, 0.2, (0, 0, height + 0.4), iron))
    return Piece("pole", parts, 0.4, 0.4, height + 0.6)


def traffic_sign(dice: Dice, palette: Palette) -> Piece:
    """A round, square or oblong sign on a pole, facing -y."""
    height, kind = dice.uniform(2.1, 2.7), dice.below(3)
    parts = [cylinder(0.035, height, ORIGIN, metal("#9a9da0", mirror=0.1))]
    if kind == 0:
        disc = cylinder(0.32, 0.02, ORIGIN, paint("#b3262a", sheen=0.4))
        face = cylinder(0.25, 0.004, (0, 0, 0.02), paint(WHITE, sheen=0.3))
        parts += moved([disc, face], shift(0, -0.04, height - 0.35), turn_x(0.5 * math.pi))
    elif kind == 1:
        checks = Material(m.CHECKS, "#e9e9e4", "#a3262a", scale=0.34, parameters=(0.0,))
        parts.append(box((0.55, 0.02, 0.55), (0, -0.045, height - 0.3), paint("#1f4e8c", sheen=0.4)))
        parts.append(box((0.2, 0.022, 0.35), (0, -0.047, height - 0.3), checks))
    else:
        title = Material(m.BOOK, "#2e6b4f", dice.choice(palette), WHITE, (1.0, 0.4), (0.0,), dice.seed())
        parts.append(box((1.0, 0.02, 0.4), (0, -0.045, height - 0.25), title))
    return Piece("sign", parts, 0.6, 0.1, height)


def bench(dice: Dice) -> Piece:
    """A bench of boards; its back is at +y."""
    wood = timber("#9a6b42", "#6b4526", ring=0.05, polish=0.1, seed=dice.seed())
    iron, width = paint("#2c2e30", sheen=0.2), dice.uniform(1.4, 1.9)
    parts = [block((width, 0.09, 0.03), (0, -0.16 + 0.11 * i, 0.43), wood) for i in range(4)]
    parts += [box((width, 0.03, 0.09), (0, 0.24 + 0.025 * i, 0.58 + 0.13 * i), wood) for i in range(3)]
    for side in SIDES:
        x = side * (0.5 * width - 0.15)
        parts += [rod((x, -0.2, 0), (x, -0.17, 0.43), 0.025, iron), rod((x, 0.2, 0), (x, 0.17, 0.43), 0.025, iron)]
        parts += [rod((x, 0.2, 0.4), (x, 0.32, 0.92), 0.02, iron), rod((x, -0.2, 0.41), (x, 0.22, 0.41), 0.02, iron)]
    return Piece("chair", parts, width, 0.65, 0.92)


def litter_bin(dice: Dice, palette: Palette) -> Piece:
    """A wheeled bin or a round one."""
    shell = painted(dice, (*palette, *colors("#2f4f3a #39424a")))
    if dice.chance(0.5):
        parts = [cylinder(0.25, 0.85, ORIGIN, shell), ellipsoid((0.26, 0.26, 0.16), (0, 0, 0.85), paint("#2d2f31"))]
        return Piece("container", parts, 0.52, 0.52, 1.0)
    parts = [block((0.55, 0.6, 0.85), (0, 0, 0.12), shell)]
    parts += moved(block((0.6, 0.68, 0.05), ORIGIN, shell), shift(0, 0, 0.97), turn_x(0.08))
    for side in SIDES:
        parts += moved(wheel(0.12, 0.08), shift(side * 0.22, 0.25, 0.12))
    return Piece("container", parts, 0.6, 0.7, 1.05)


def cone(dice: Dice) -> Piece:
    """A traffic cone with a white band."""
    orange = Material(m.STRIPES, "#e0601c", WHITE, WHITE, 0.24, (UPRIGHT, 0.4, 0.0), dice.seed())
    parts = [block((0.38, 0.38, 0.03), ORIGIN, paint("#c2521a")), frustum(0.14, 0.025, 0.65, (0, 0, 0.03), orange)]
    return Piece("other", parts, 0.38, 0.38, 0.68)


def fence(dice: Dice, length: float, height: float) -> list[Part]:
    """A fence along x around the origin: pickets, boards or railings."""
    boards = timber("#8b7355", "#5c4a36", ring=0.06, seed=dice.seed())
    finish = dice.choice((paint("#e6e3da"), boards, paint("#2b2f33", sheen=0.3)))
    pitch, width = dice.choice(((0.14, 0.6 * 0.14), (0.3, 0.95 * 0.3), (0.12, 0.0)))  # railings are round
    parts = [box((length, 0.04, 0.06), (0, 0.03, z), finish) for z in (0.2 * height, 0.8 * height)]
    for i in range(int(length / pitch)):
        x = (i + 0.5) * pitch - 0.5 * length
        upright = block((width, 0.02, height), (x, 0, 0.03), finish) if width else cylinder(0.012, height, (x, 0, 0), finish)
        parts.append(upright)
    return parts


def person(dice: Dice, palette: Palette) -> Piece:
    """A person who stands or walks, facing -y."""
    height = dice.uniform(1.55, 1.9)
    skin = paint(dice.choice(colors("#e0b394 #b98560 #8a5a3c #5c3b28")))
    hair = paint(dice.choice(colors("#2b1d14 #6b4a2f #b79a6a #8a8a88")))
    coat, trousers = cloth(dice, palette), painted(dice, palette)
    step, swing = dice.uniform(0.0, 0.22), dice.uniform(0.05, 0.2)

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return x * height, y * height, z * height

    parts = [
        ellipsoid(at(0.055, 0.065, 0.075), at(0, -0.01, 0.915), skin),
        ellipsoid(at(0.06, 0.065, 0.06), at(0, 0.012, 0.94), hair),
        rod(at(0, 0, 0.8), at(0, 0, 0.88), 0.03 * height, skin),
        cushion(at(0.24, 0.14, 0.36), at(0, 0, 0.66), coat),
    ]
    for side in SIDES:
        stride, reach = side * step, side * swing
        hip, knee, foot = at(0.05 * side, 0, 0.5), at(0.055 * side, -0.5 * stride, 0.27), at(0.06 * side, -stride + 0.02, 0.03)
        shoulder, elbow = at(0.125 * side, 0, 0.79), at(0.15 * side, reach * 0.4, 0.62)
        hand = at(0.14 * side, reach - 0.05, 0.48)
        parts += [
            rod(hip, knee, 0.05 * height, trousers, 0.038 * height),
            rod(knee, foot, 0.038 * height, trousers, 0.026 * height),
            ellipsoid(at(0.028, 0.07, 0.025), at(0.06 * side, -stride - 0.02, 0.022), paint("#241d1a")),
            ellipsoid(at(0.045, 0.05, 0.05), shoulder, coat),
            rod(shoulder, elbow, 0.035 * height, coat),
            rod(elbow, hand, 0.028 * height, coat),
            ellipsoid(at(0.022, 0.022, 0.035), hand, skin),
        ]
    return Piece("person", moved(parts, turn_z(0.0)), 0.4, 0.5, height)


def facade_material(dice: Dice, palette: Palette) -> Material:
    """Bricks, render, stone blocks or boards."""
    kind = dice.weighted([("bricks", 3.0), ("render", 4.0), ("stone", 1.0), ("boards", 0.7)])
    tone = dice.choice((*colors("#a5533c #8a4a36 #b98a5e #c9b79a"), dice.choice(palette)))
    if kind == "bricks":
        return bricks(tone, height=dice.uniform(0.075, 0.11), seed=dice.seed())
    if kind == "stone":
        base, size = blend("#b7ab96", tone, 0.2), dice.uniform(0.25, 0.5)
        return Material(m.BRICKS, base, scaled(base, 0.6), scaled(base, 0.8), size, (0.05, 0.15), dice.seed())
    if kind == "boards":
        pale = blend("#dcd8cc", tone, 0.5)
        return Material(m.STRIPES, pale, scaled(pale, 0.55), pale, 0.16, (UPRIGHT, 0.1, 0.0), dice.seed())
    return plaster(blend("#ddd2bd", dice.choice(palette), dice.uniform(0.1, 0.7)), amount=0.1, seed=dice.seed())


def building(dice: Dice, palette: Palette, width: float, depth: float) -> list[Part]:
    """A house whose facade is the plane y = 0, facing -y, with its body behind."""
    floors, storey = dice.between(1, 5), dice.uniform(2.8, 3.5)
    height = floors * storey + 0.5
    wall, trim = facade_material(dice, palette), paint(blend("#e8e4da", dice.choice(palette), dice.choice((0.0, 0.3))))
    plinth = Material(m.MOTTLED, "#6f6a63", "#58544e", scale=0.5, parameters=(0.4, 0.1))
    parts = [block((width, depth, height), (0, 0.5 * depth, 0), wall), box((width + 0.1, 0.12, 0.5), (0, -0.03, 0.25), plinth)]
    shop = dice.chance(0.35) and width > 5.0
    columns = max(1, int(width / dice.uniform(1.6, 2.6)))
    pitch, w, h = width / columns, dice.uniform(0.8, 1.2), dice.uniform(1.2, 1.7)
    pane, lit = glass("#9fb4c0"), glowing("#e8c98a", 0.7, casts_shadow=True)
    door_column, bars, sills, shutters = dice.below(columns), dice.chance(0.7), dice.chance(0.6), dice.chance(0.25)
    shutter = painted(dice, palette)
    for floor in range(floors):
        z = floor * storey + 0.55 * storey + 0.15
        if floor == 0 and shop:
            parts += _shop(dice, palette, width, storey)
            continue
        for column in range(columns):
            x = (column + 0.5) * pitch - 0.5 * width
            if floor == 0 and column == door_column:
                parts += _front_door(painted(dice, palette), x, trim)
                continue
            parts += _window(x, z, w, h, lit if dice.chance(0.05) else pane, trim, bars, sills)
            if shutters:
                parts += [box((0.42 * w, 0.04, h), (x + side * 0.78 * w, -0.025, z), shutter) for side in SIDES]
    if floors > 1 and dice.chance(0.35):
        parts.append(box((width + 0.06, 0.14, 0.18), (0, -0.03, storey + 0.1), trim))
    parts.append(box((width + 0.3, 0.4, 0.25), (0, -0.08, height), trim))
    if dice.chance(0.55):
        parts.append(_roof(width + 0.3, depth, height + 0.1, dice))
    return parts


def _window(x: float, z: float, w: float, h: float, pane: Material, trim: Material, bars: bool, sill: bool) -> list[Part]:
    parts = [panel(w, h, (x, -0.02, z), pane, "y")]
    for side in SIDES:
        parts.append(box((0.08, 0.09, h + 0.16), (x + side * (0.5 * w + 0.04), -0.02, z), trim))
        parts.append(box((w, 0.09, 0.08), (x, -0.02, z + side * (0.5 * h + 0.04)), trim))
    if bars:
        parts.append(box((0.05, 0.05, h), (x, -0.025, z), trim))
        parts.append(box((w, 0.05, 0.05), (x, -0.025, z + 0.15 * h), trim))
    if sill:
        parts.append(box((w + 0.3, 0.22, 0.07), (x, -0.09, z - 0.5 * h - 0.1), trim))
    return parts


def _front_door(leaf: Material, x: float, trim: Material) -> list[Part]:
    parts = [box((1.0, 0.06, 2.15), (x, -0.01, 1.2), leaf), block((1.5, 0.5, 0.14), (x, -0.2, 0.0), trim)]
    parts += [box((0.12, 0.14, 2.35), (x + side * 0.57, -0.03, 1.2), trim) for side in SIDES]
    parts.append(box((1.5, 0.3, 0.12), (x, -0.1, 2.42), trim))
    return parts + [box((0.36, 0.02, 0.7), (x + side * 0.22, -0.045, z), leaf) for side in SIDES for z in (0.75, 1.65)]


def _shop(dice: Dice, palette: Palette, width: float, storey: float) -> list[Part]:
    """A shop window with a sign and an awning."""
    a, b, c = dice.shuffled(palette)[:3]
    inside = Material(m.POSTER, scaled(a, 0.5), b, c, (width, 2.0), (9.0, 0.0), dice.seed(), specular=0.2, mirror=0.07)
    sign = Material(m.BOOK, c, a, "#f0ece2", (width - 0.4, 0.9), (0.0,), dice.seed())
    frame = painted(dice, palette)
    parts = [panel(width - 0.6, 2.0, (0, -0.02, 1.5), inside, "y"), box((width - 0.3, 0.15, 0.6), (0, -0.06, storey - 0.1), sign)]
    count = max(2, int(width / 1.6))
    parts += [box((0.1, 0.1, 2.2), (((i / count) - 0.5) * (width - 0.6), -0.03, 1.5), frame) for i in range(count + 1)]
    if dice.chance(0.6):
        canvas = Material(m.STRIPES, "#eee9dc", dice.choice(palette), a, 0.5, (0.0, 0.5, 0.0), dice.seed())
        parts += moved(box((width - 0.5, 1.2, 0.03), (0, -0.6, 0), canvas), shift(0, 0, storey - 0.45), turn_x(0.4))
    return parts


def _roof(width: float, depth: float, base: float, dice: Dice) -> Part:
    """A ridge roof along x over a house whose facade is y = 0."""
    x, y0, y1, ridge = 0.5 * width, -0.35, depth + 0.35, base + dice.uniform(1.2, 3.0)
    corners = [(-x, y0, base), (x, y0, base), (x, y1, base), (-x, y1, base), (-x, 0.5 * depth, ridge), (x, 0.5 * depth, ridge)]
    faces = [(0, 1, 5), (0, 5, 4), (2, 3, 4), (2, 4, 5), (0, 4, 3), (1, 2, 5), (0, 2, 1), (0, 3, 2)]
    color = dice.choice(colors("#7a3b2c #4b4a4c #8a5a40 #5d564c"))
    tile = Material(m.BRICKS, color, scaled(color, 0.5), scaled(color, 0.7), 0.18, (0.15, 0.3), dice.seed())
    return mesh(np.array(corners), np.array(faces), tile, smooth=False)
