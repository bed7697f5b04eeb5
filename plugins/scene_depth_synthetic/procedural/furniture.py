"""Furniture: tables, chairs, sofas, beds, shelves, cabinets, standing and hanging lamps. Fronts towards -y, on z = 0."""

from __future__ import annotations

import math
from dataclasses import replace

from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.materials import RUG, Material, blend, colors, scaled
from scene_depth_synthetic.procedural.small_things import monitor, shade_material
from scene_depth_synthetic.procedural.transforms import compose, shift, sine_cosine, turn_x, turn_y, turn_z

from scene_depth_synthetic.procedural.finishes import (  # isort: skip
    Palette, carpet, cloth, furniture_finish, glowing, metal, paint, painted, wooden,
)  # fmt: skip
from scene_depth_synthetic.procedural.shapes import (  # isort: skip
    ORIGIN, Part, Piece, Shelf, block, box, cushion, cylinder, ellipsoid, frustum, moved, rod, round_piece, sphere, torus,
)  # fmt: skip

SIDES = (-1.0, 1.0)
STEELS = colors("#b08d45 #9a9da0 #2e2e30")  # brass, steel, iron


def along_z(part: Part) -> Part:
    """A part whose wood grain runs upwards instead of along x."""
    return replace(part, frame=compose(part.frame, turn_y(0.5 * math.pi)))


def legs(width: float, depth: float, height: float, thickness: float, material: Material, style: int) -> list[Part]:
    """Four legs: square (0), round (1), tapered and splayed (2), thin steel (3)."""
    parts = []
    for sx in SIDES:
        for sy in SIDES:
            x, y = sx * (0.5 * width - thickness), sy * (0.5 * depth - thickness)
            if style == 0:
                parts.append(along_z(block((1.6 * thickness, 1.6 * thickness, height), (x, y, 0), material)))
            elif style == 1:
                parts.append(along_z(cylinder(0.8 * thickness, height, (x, y, 0), material)))
            elif style == 2:
                out = 1.8 * thickness
                parts.append(rod((x + sx * out, y + sy * out, 0), (x, y, height), 0.5 * thickness, material, thickness))
            else:
                parts.append(cylinder(0.4 * thickness, height, (x, y, 0), metal("#3a3b3d", mirror=0.1)))
    return parts


def table(dice: Dice, palette: Palette, width: float, depth: float, height: float) -> Piece:
    """A table: four legs with or without apron, or a pedestal under a round top, or trestle sides."""
    finish = furniture_finish(dice, palette)
    thick = dice.uniform(0.018, 0.05)
    style, under = dice.below(6), height - thick
    if style == 4:
        radius = 0.5 * min(width, depth)
        parts = [cylinder(radius, thick, (0, 0, under), finish), frustum(0.55 * radius, 0.08 * radius, 0.08, ORIGIN, finish)]
        parts.append(cylinder(0.05, under, ORIGIN, finish))
        return round_piece("table", parts, radius, height, Shelf(0, 0, height, 1.3 * radius, 1.3 * radius))
    parts = [block((width, depth, thick), (0, 0, under), finish)]
    if style == 5:
        parts += [along_z(block((0.03, 0.85 * depth, under), (side * 0.42 * width, 0, 0), finish)) for side in SIDES]
        parts.append(block((0.84 * width, 0.02, 0.2 * height), (0, 0.3 * depth, 0.55 * height), finish))
    else:
        leg_finish = finish if dice.chance(0.7) else painted(dice, palette)
        parts += legs(width, depth, under, dice.uniform(0.02, 0.035), leg_finish, style)
        if dice.chance(0.6):
            inset, apron = 0.06, dice.uniform(0.05, 0.1)
            for side in SIDES:
                z = under - apron
                parts += [
                    block((width - inset, 0.018, apron), (0, side * 0.5 * (depth - inset), z), leg_finish),
                    block((0.018, depth - inset, apron), (side * 0.5 * (width - inset), 0, z), leg_finish),
                ]
    return Piece("table", parts, width, depth, height, [Shelf(0, 0, height, 0.94 * width, 0.92 * depth)])


def chair(dice: Dice, palette: Palette) -> Piece:
    """A chair with slats, a board or an upholstered back; the back is at +y."""
    finish = furniture_finish(dice, palette)
    width, depth, seat, top = dice.uniform(0.38, 0.48), dice.uniform(0.38, 0.46), dice.uniform(0.43, 0.48), dice.uniform(0.8, 1.0)
    thick, style, rise = 0.025, dice.below(3), top - seat
    parts = legs(width, depth, seat - thick, 0.02, finish, dice.below(3))
    parts.append(block((width, depth, thick), (0, 0, seat - thick), finish))
    if dice.chance(0.45):
        parts.append(cushion((0.95 * width, 0.95 * depth, 0.07), (0, 0, seat + 0.025), cloth(dice, palette)))
    back = [along_z(block((0.035, 0.025, rise), (side * (0.5 * width - 0.02), 0, 0), finish)) for side in SIDES]
    if style == 0:
        count = dice.between(2, 4)
        size = (width - 0.07, 0.016, 0.28 * rise / count + 0.03)
        back += [box(size, (0, 0, rise * (0.35 + 0.6 * i / count)), finish) for i in range(count)]
        back.append(box((width - 0.05, 0.02, 0.05), (0, 0, rise - 0.025), finish))
    elif style == 1:
        count = dice.between(3, 6)
        back.append(box((width - 0.05, 0.022, 0.06), (0, 0, rise - 0.03), finish))
        for i in range(count):
            x = (i + 0.5) / count - 0.5
            back.append(rod((x * (width - 0.08), 0, 0), (x * (width - 0.06), 0, rise - 0.05), 0.008, finish))
    else:
        back.append(cushion((width - 0.02, 0.06, 0.62 * rise), (0, -0.01, 0.6 * rise), cloth(dice, palette)))
    parts += moved(back, shift(0, 0.5 * depth - 0.015, seat), turn_x(-dice.uniform(0.03, 0.2)))
    return Piece("chair", parts, width, depth + 0.08, top)


def stool(dice: Dice, palette: Palette) -> Piece:
    """A round stool."""
    finish, height, radius = furniture_finish(dice, palette), dice.uniform(0.42, 0.7), dice.uniform(0.15, 0.2)
    parts = [cylinder(radius, 0.035, (0, 0, height - 0.035), finish)]
    for i in range(3 + dice.below(2)):
        sine, cosine = sine_cosine(6.2831853 * i / 3.0)
        foot = (1.1 * radius * cosine, 1.1 * radius * sine, 0)
        parts.append(rod(foot, (0.65 * radius * cosine, 0.65 * radius * sine, height - 0.03), 0.016, finish))
    parts.append(torus(0.92 * radius, 0.01, (0, 0, 0.35 * height), finish))
    return Piece("chair", parts, 2.2 * radius, 2.2 * radius, height, [Shelf(0, 0, height, 1.2 * radius, 1.2 * radius, 0.4)])


def sofa(dice: Dice, palette: Palette, width: float) -> Piece:
    """A sofa or an armchair with seat cushions, arms and loose pillows."""
    fabric = cloth(dice, palette)
    depth, seat, back, arm = dice.uniform(0.78, 0.95), dice.uniform(0.38, 0.45), dice.uniform(0.72, 0.92), dice.uniform(0.1, 0.22)
    base, low, inner = wooden(dice), 0.1, width - 2 * arm
    parts = legs(width, depth, low, 0.025, base, 1)
    parts.append(block((width, depth, seat - low - 0.13), (0, 0, low), fabric))
    count = max(1, round(inner / 0.7))
    each = inner / count
    for i in range(count):
        x = (i + 0.5) * each - 0.5 * inner
        parts.append(cushion((each * 1.01, depth - 0.14, 0.2), (x, -0.06, seat - 0.07), fabric))
        upright = cushion((each * 1.0, 0.24, back - seat + 0.14), ORIGIN, fabric)
        parts += moved(upright, shift(x, 0.5 * depth - 0.19, 0.5 * (seat + back)), turn_x(-0.15))
    parts.append(cushion((width, 0.2, back - low), (0, 0.5 * depth - 0.09, 0.5 * (back + low)), fabric))
    for side in SIDES:
        center = (side * 0.5 * (width - arm), 0, 0.5 * (seat + 0.22 + low))
        parts.append(cushion((arm * 1.15, depth, seat + 0.22 - low), center, fabric))
    for _ in range(dice.below(2 + count)):
        size, x = dice.uniform(0.34, 0.46), dice.uniform(-0.5, 0.5) * (inner - 0.4)
        place = shift(x, 0.5 * depth - 0.38, seat + 0.03 + 0.5 * size), turn_x(-0.35)
        soft = cushion((size, 0.16, size), ORIGIN, cloth(dice, palette))
        parts += moved(soft, *place, turn_y(dice.uniform(-0.3, 0.3)))
    return Piece("sofa", parts, width, depth, back)


def bed(dice: Dice, palette: Palette, width: float) -> Piece:
    """A bed with its head at +y."""
    frame, length, top = furniture_finish(dice, palette), 2.05, dice.uniform(0.42, 0.58)
    sheet, quilt = paint(blend("#ece8df", dice.choice(palette), 0.1), unevenness=0.08), cloth(dice, palette)
    parts = [block((width, length, top - 0.2), (0, 0, 0.06), frame)]
    parts.append(cushion((width * 0.99, length * 0.98, 0.26), (0, 0, top - 0.06), sheet))
    parts.append(cushion((width * 1.04, length * 0.72, 0.22), (0, -0.14 * length, top - 0.01), quilt))
    parts.append(block((width + 0.04, 0.05, dice.uniform(0.8, 1.2)), (0, 0.5 * length + 0.02, 0), frame))
    for x in (0.0,) if width < 1.2 else (-0.24 * width, 0.24 * width):
        pillow = cushion((0.62, 0.42, 0.17), ORIGIN, sheet if dice.chance(0.5) else cloth(dice, palette))
        parts += moved(pillow, shift(x, 0.37 * length, top + 0.11), turn_x(0.25), turn_z(dice.uniform(-0.1, 0.1)))
    return Piece("bed", parts, width + 0.04, length + 0.1, 1.0)


def bookcase(dice: Dice, palette: Palette, width: float, height: float, depth: float = 0.3) -> Piece:
    """Open shelves with a back, to be filled with books and things."""
    finish, thick = furniture_finish(dice, palette), dice.uniform(0.018, 0.03)
    parts = [along_z(block((thick, depth, height), (side * 0.5 * (width - thick), 0, 0), finish)) for side in SIDES]
    count = max(2, round(height / dice.uniform(0.3, 0.42)))
    gap, inner = (height - thick) / count, width - 2 * thick
    parts += [block((inner, depth, thick), (0, 0, i * gap), finish) for i in range(count + 1)]
    if dice.chance(0.85):
        back = finish if dice.chance(0.6) else painted(dice, palette)
        parts.append(along_z(block((width, 0.008, height), (0, 0.5 * depth, 0), back)))
    shelves = [Shelf(0, 0, i * gap + thick, inner, depth - 0.03, gap - thick) for i in range(count)]
    return Piece("shelf", parts, width, depth, height, [*shelves, Shelf(0, 0, height, inner, depth - 0.03, 0.35)])


def cabinet(dice: Dice, palette: Palette, width: float, height: float, depth: float) -> Piece:
    """Drawers or doors with knobs."""
    finish, knob = furniture_finish(dice, palette), metal(dice.choice(STEELS), mirror=0.2)
    parts = [
        block((width, depth, height - 0.06), (0, 0, 0.06), finish),
        block((0.94 * width, 0.9 * depth, 0.06), ORIGIN, paint("#2a2624")),
        block((width + 0.02, depth + 0.02, 0.022), (0, 0, height - 0.02), finish),
    ]
    columns, rows = max(1, round(width / 0.5)), max(1, round(height / 0.25)) if dice.chance(0.6) else 1
    fronts = finish if dice.chance(0.6) else painted(dice, palette)
    w, h = width / columns, (height - 0.09) / rows
    for i in range(columns):
        for j in range(rows):
            x, z = (i + 0.5) * w - 0.5 * width, 0.07 + (j + 0.5) * h
            parts.append(box((w - 0.012, 0.018, h - 0.012), (x, -0.5 * depth - 0.005, z), fronts))
            offset = 0.0 if rows > 1 else (0.4 * w if i % 2 == 0 else -0.4 * w)
            parts.append(sphere(0.014, (x + offset, -0.5 * depth - 0.026, z), knob))
    return Piece("cabinet", parts, width, depth + 0.03, height, [Shelf(0, 0, height, 0.92 * width, 0.85 * depth)])


def desk(dice: Dice, palette: Palette, width: float) -> Piece:
    """A desk with a screen."""
    piece = table(dice, palette, width, dice.uniform(0.55, 0.75), dice.uniform(0.71, 0.76))
    screen = monitor(dice, palette, dice.uniform(0.45, 0.65))
    x = dice.uniform(-0.2, 0.2) * width
    parts = piece.parts + moved(screen.parts, shift(x, 0.25 * piece.depth, piece.height))
    front = Shelf(0, -0.15 * piece.depth, piece.height, 0.9 * piece.width, 0.45 * piece.depth, 0.35)
    return replace(piece, parts=parts, shelves=[front])


def rug(dice: Dice, palette: Palette, width: float, depth: float) -> Piece:
    """A rug on the floor: woven with a medallion, round, or of cloth."""
    a, b, c = dice.shuffled(palette)[:3]
    pattern = Material(RUG, a, b, c, (width, depth), (float(dice.between(4, 9)),), dice.seed())
    kind = dice.below(4)
    if kind == 0:
        radius = 0.5 * min(width, depth)
        return round_piece("rug", [cylinder(radius, 0.012, ORIGIN, cloth(dice, palette))], radius, 0.012)
    finish = pattern if kind < 3 else (cloth(dice, palette) if dice.chance(0.5) else carpet(scaled(a, 0.9), dice.seed()))
    return Piece("rug", [block((width, depth, 0.012), ORIGIN, finish)], width, depth, 0.012)


def waste_bin(dice: Dice, palette: Palette) -> Piece:
    """A basket."""
    height = dice.uniform(0.25, 0.4)
    return round_piece("container", [frustum(0.11, 0.14, height, ORIGIN, painted(dice, palette), caps=1)], 0.14, height)


def floor_lamp(dice: Dice, palette: Palette, *, lit: bool) -> Piece:
    """A standing lamp with a shade."""
    height, radius = dice.uniform(1.3, 1.75), dice.uniform(0.15, 0.24)
    pole = metal(dice.choice(STEELS), mirror=0.15)
    shade = shade_material(dice, palette, 1.0, lit=lit)
    parts = [cylinder(0.14, 0.02, ORIGIN, pole), cylinder(0.012, height - 0.1, ORIGIN, pole)]
    parts.append(frustum(radius, dice.uniform(0.55, 0.95) * radius, 0.28, (0, 0, height - 0.28), shade, caps=0))
    return round_piece("lamp", parts, radius, height)


def pendant_lamp(dice: Dice, palette: Palette, drop: float) -> list[Part]:
    """A lamp on a cord that hangs ``drop`` metres down from the origin."""
    radius, color = dice.uniform(0.12, 0.25), dice.choice(palette)
    outside = glowing(blend("#f6e8cc", color, 0.2), 1.8) if dice.chance(0.6) else paint(color, sheen=0.3)
    cord = rod(ORIGIN, (0, 0, -drop), 0.004, paint("#222222"))
    center = (0, 0, -drop - 0.8 * radius)
    if dice.chance(0.5):
        return [cord, ellipsoid((radius, radius, 0.8 * radius), center, outside)]
    return [cord, frustum(radius, 0.25 * radius, 0.8 * radius, center, outside, caps=2)]
