"""The shell of a room: floor, ceiling, walls with openings, windows, doors, curtains, skirting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import Palette, cloth, metal, paint
from scene_depth_synthetic.procedural.lighting import RECTANGLE, Light
from scene_depth_synthetic.procedural.materials import Material, blend, scaled
from scene_depth_synthetic.procedural.shapes import Part, box, cylinder, height_field, moved, rod, sphere
from scene_depth_synthetic.procedural.transforms import Matrix, apply, compose, shift, sine_cosine, turn_z

WALL_THICKNESS = 0.16


@dataclass(frozen=True)
class Opening:
    """A hole in a wall, in the wall's frame: x along it, z up, metres."""

    left: float  # its edges
    right: float
    bottom: float
    top: float
    window: bool  # whether it is a window; else a doorway


def wall(length: float, height: float, openings: Sequence[Opening], material: Material, number: int) -> list[Part]:
    """A wall along x from -length / 2, whose face is y = 0 and looks towards -y; one texture over all pieces."""
    parts = []

    def piece(left: float, right: float, bottom: float, top: float) -> None:
        if right - left > 1e-6 and top - bottom > 1e-6:
            center = (0.5 * (left + right), 0.5 * WALL_THICKNESS, 0.5 * (bottom + top))
            board = box((right - left, WALL_THICKNESS, top - bottom), center, material)
            parts.append(replace(board, frame=shift(), number=number))

    edge = -0.5 * length
    for opening in sorted(openings, key=lambda o: o.left):
        piece(edge, opening.left, 0.0, height)
        piece(opening.left, opening.right, 0.0, opening.bottom)
        piece(opening.left, opening.right, opening.top, height)
        edge = opening.right
    piece(edge, 0.5 * length, 0.0, height)
    return parts


def skirting(length: float, openings: Sequence[Opening], height: float, material: Material) -> list[Part]:
    """A board along the foot of a wall, interrupted by doorways."""
    parts, edge = [], -0.5 * length
    doors = sorted((o for o in openings if not o.window), key=lambda o: o.left)
    for left, right in [(d.left - 0.07, d.right + 0.07) for d in doors] + [(0.5 * length, 0.5 * length)]:
        if left > edge:
            parts.append(box((left - edge, 0.015, height), (0.5 * (edge + left), -0.0075, 0.5 * height), material))
        edge = right
    return parts


def _surround(o: Opening, width: float, material: Material) -> list[Part]:
    """Boards around an opening, on the wall's face."""
    y, middle = -0.01, 0.5 * (o.bottom + o.top)
    parts = [
        box((width, 0.03, o.top - o.bottom + (width if o.bottom == 0.0 else 2 * width)), (x, y, middle), material)
        for x in (o.left - 0.5 * width, o.right + 0.5 * width)
    ]
    parts.append(box((o.right - o.left, 0.03, width), (0.5 * (o.left + o.right), y, o.top + 0.5 * width), material))
    return parts


def window_frame(o: Opening, bars_across: int, bars_up: int, material: Material) -> list[Part]:
    """Frame, glazing bars and sill of a window; no pane, as clear glass has no depth of its own."""
    width, height = o.right - o.left, o.top - o.bottom
    x, z, y = 0.5 * (o.left + o.right), 0.5 * (o.bottom + o.top), 0.45 * WALL_THICKNESS
    parts = _surround(o, 0.06, material)
    for side in (-1.0, 1.0):
        parts.append(box((0.05, 0.06, height), (x + side * (0.5 * width - 0.025), y, z), material))
        parts.append(box((width, 0.06, 0.05), (x, y, z + side * (0.5 * height - 0.025)), material))
    for i in range(1, bars_across):
        parts.append(box((0.03, 0.04, height), (o.left + width * i / bars_across, y, z), material))
    for i in range(1, bars_up):
        parts.append(box((width, 0.04, 0.03), (x, y, o.bottom + height * i / bars_up), material))
    parts.append(box((width + 0.2, 0.24, 0.035), (x, -0.03, o.bottom - 0.0175), material))
    return parts


def door(o: Opening, dice: Dice, palette: Palette, material: Material) -> list[Part]:
    """A closed door with panels and a handle, and its surround."""
    width, height = o.right - o.left, o.top - o.bottom
    x, y = 0.5 * (o.left + o.right), 0.06
    parts = _surround(o, 0.07, material)
    leaf = paint(dice.choice(palette), sheen=0.2) if dice.chance(0.3) else material
    parts.append(box((width, 0.04, height), (x, y, 0.5 * height), leaf))
    rows, columns = dice.between(1, 4), dice.between(1, 2)
    for i in range(columns):
        for j in range(rows):
            w, h = width / columns, height / rows
            center = (o.left + (i + 0.5) * w, y - 0.022, (j + 0.5) * h)
            parts.append(box((w - 0.16, 0.014, h - 0.16), center, leaf))
    brass = metal("#b08d45", mirror=0.25)
    hand = o.right - 0.07
    parts.append(rod((hand, y - 0.02, 1.02), (hand, y - 0.075, 1.02), 0.01, brass))
    parts.append(rod((hand, y - 0.07, 1.02), (hand - 0.11, y - 0.07, 1.02), 0.009, brass))
    return parts


def curtain(dice: Dice, width: float, height: float, material: Material) -> Part:
    """Hanging cloth in folds around the origin's z axis, from z = 0 to ``height``."""
    columns, rows = 29, 4
    u, v = np.meshgrid(np.linspace(-0.5, 0.5, columns), np.linspace(0.0, 1.0, rows), indexing="xy")
    folds, phase = dice.uniform(3.0, 6.0), dice.uniform(0.0, 6.28)
    wave = np.array([sine_cosine(2 * math.pi * folds * float(x) + phase)[0] for x in u[0]])
    y = wave[None, :] * (0.025 + 0.02 * (1.0 - v))
    return height_field(u * width * (1.0 + 0.1 * (1.0 - v)), y, v * height, material)


def curtains(dice: Dice, palette: Palette, o: Opening, ceiling: float) -> list[Part]:
    """A rail with a curtain on both sides of a window."""
    fabric, steel = cloth(dice, palette), metal("#77797c", mirror=0.1)
    top = min(o.top + dice.uniform(0.1, 0.25), ceiling - 0.06)
    bottom = 0.03 if dice.chance(0.6) else max(o.bottom - 0.15, 0.03)
    width, parts = dice.uniform(0.25, 0.5), []
    for x in (o.left - 0.05, o.right + 0.05):
        parts += moved(curtain(dice, width, top - bottom, fabric), shift(x, -0.11, bottom))
    parts.append(rod((o.left - 0.4, -0.11, top + 0.01), (o.right + 0.4, -0.11, top + 0.01), 0.012, steel))
    parts += [sphere(0.025, (x, -0.11, top + 0.01), steel) for x in (o.left - 0.4, o.right + 0.4)]
    return parts


def radiator(width: float, height: float) -> list[Part]:
    """A ribbed radiator that stands at a wall, facing -y."""
    enamel = paint("#e9e6df", sheen=0.4)
    count = max(4, int(width / 0.08))
    places = [(width * ((i + 0.5) / count - 0.5), -0.07, 0.14 + 0.5 * height) for i in range(count)]
    ribs = [box((0.05, 0.08, height), place, enamel) for place in places]
    return [*ribs, *(cylinder(0.012, 0.14, (side * 0.45 * width, -0.07, 0), enamel) for side in (-1.0, 1.0))]


def daylight(o: Opening, place: Matrix, radiance: float) -> Light:
    """The sky's light through a window of a wall at ``place``, shining into the room."""
    middle = [0.5 * (o.left + o.right), 0.02, 0.5 * (o.bottom + o.top)]
    center, start, end = apply(place, np.array([middle, [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    cx, cy, cz = center.tolist()
    ux, uy, uz = (float(v) * 0.5 * (o.right - o.left) for v in end - start)
    color = (0.88 * radiance, 0.96 * radiance, 1.06 * radiance)
    return Light(RECTANGLE, (cx, cy, cz), color, (ux, uy, uz), (0.0, 0.0, 0.5 * (o.top - o.bottom)))


def wall_place(side: int, width: float, depth: float) -> Matrix:
    """Where wall 0 (y = +depth / 2), 1 (x = -width / 2), 2 (y = -depth / 2) or 3 (x = +width / 2) stands, facing inwards."""
    x, y = 0.5 * width, 0.5 * depth
    position = ((0.0, y), (-x, 0.0), (0.0, -y), (x, 0.0))[side]
    turn = (0.0, 0.5 * math.pi, math.pi, -0.5 * math.pi)[side]
    return compose(shift(*position), turn_z(turn))


def trim_material(dice: Dice, palette: Palette) -> Material:
    """Paint of doors, windows and skirting."""
    base = blend("#ebe8e1", dice.choice(palette), dice.choice((0.0, 0.1, 0.8)))
    return paint(scaled(base, 0.95), sheen=0.25)
