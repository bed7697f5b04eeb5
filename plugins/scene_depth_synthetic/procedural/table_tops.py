"""Random tables seen from close by: things standing and lying on a table, a wall or shelves behind."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural import furniture as f
from scene_depth_synthetic.procedural.clutter import framed_picture
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import PALETTES, Palette, cloth, floor_finish, wall_finish
from scene_depth_synthetic.procedural.interior import skirting, trim_material
from scene_depth_synthetic.procedural.lighting import BALL, RECTANGLE, Light, Sky
from scene_depth_synthetic.procedural.piece import Shelf
from scene_depth_synthetic.procedural.room_layout import fill_shelves, scatter
from scene_depth_synthetic.procedural.shapes import block, moved
from scene_depth_synthetic.procedural.transforms import compose, shift, turn_z
from scene_depth_synthetic.procedural.world import World, WorldBuilder

TINTS = ((1.0, 0.82, 0.6), (1.0, 0.94, 0.86), (0.9, 0.96, 1.06))


def random_table_top(dice: Dice) -> World:
    """A table with things on it near the origin, its top at z = 0.75; a wall behind at y > 0."""
    palette, builder = dice.choice(PALETTES), WorldBuilder()
    wall_y = dice.uniform(0.45, 2.0)
    builder.add("floor", [block((8.0, 8.0, 0.1), (0, wall_y - 4.0, -0.1), floor_finish(dice, palette))])
    builder.add("wall", [block((8.0, 0.1, 3.0), (0, wall_y + 0.05, 0), wall_finish(dice, palette))])
    if dice.chance(0.5):
        builder.add("wall", moved(skirting(8.0, [], 0.1, trim_material(dice, palette)), shift(0, wall_y, 0)))
    table = f.table(dice, palette, dice.uniform(1.0, 1.8), dice.uniform(0.7, 1.0), 0.75)
    builder.add("table", table.parts)
    surface = table.shelves[0]
    if dice.chance(0.25):
        top = dice.uniform(0.002, 0.006)
        surface = Shelf(0, 0, 0.75 + top, surface.width, surface.depth)
        builder.add("cloth", [block((1.02 * table.width, 1.02 * table.depth, top), (0, 0, 0.75), cloth(dice, palette))])
    scatter(builder, dice, palette, surface, shift(), dice.between(5, 26))
    _background(builder, dice, palette, wall_y, 0.5 * table.depth)
    lights, level = _lights(dice)
    sky = Sky((1.5 * level,) * 3, (1.5 * level,) * 3, (level,) * 3)
    return World(tuple(builder.things), lights, sky, (1.05 * level, level, 0.94 * level))


def _background(builder: WorldBuilder, dice: Dice, palette: Palette, wall_y: float, table_end: float) -> None:
    """Pictures on the wall, and furniture where there is room between table and wall."""
    room = wall_y - table_end
    for _ in range(dice.between(0, 3)):
        w, h = dice.uniform(0.25, 0.8), dice.uniform(0.25, 0.6)
        builder.add(
            "picture",
            moved(framed_picture(dice, palette, w, h), shift(dice.uniform(-1.5, 1.5), wall_y - 0.025, dice.uniform(1.2, 1.7))),
        )
    x = -2.2
    while room > 0.55 and x < 2.2:
        width = dice.uniform(0.6, 1.4)
        kind = dice.unit()
        if kind < 0.7:
            if kind < 0.3:
                piece = f.bookcase(dice, palette, width, dice.uniform(0.9, 2.1))
            elif kind < 0.5:
                piece = f.cabinet(dice, palette, width, dice.uniform(0.5, 1.2), 0.4)
            else:
                piece = f.chair(dice, palette)
            place = compose(shift(x + 0.5 * width, wall_y - 0.5 * piece.depth - 0.02, 0.0), turn_z(0.0))
            builder.add(piece.category, moved(piece.parts, place))
            fill_shelves(builder, dice, palette, piece, place)
        x += width + dice.uniform(0.05, 0.8)
    if dice.chance(0.4):
        chair = f.chair(dice, palette)
        place = compose(shift(dice.uniform(-0.6, 0.6), -table_end - 0.1, 0), turn_z(math.pi + dice.around(0.0, 0.3)))
        builder.add("chair", moved(chair.parts, place))


def _lights(dice: Dice) -> tuple[tuple[Light, ...], float]:
    """One to three lights above and beside the table, and the level of the ambient light."""
    lights, level = [], 0.0
    for i in range(dice.weighted([(1, 1.0), (2, 1.5), (3, 0.5)])):
        tint, power = dice.choice(TINTS), dice.uniform(0.5, 1.0) if i else 1.0
        x, y, z = dice.uniform(-1.6, 1.6), dice.uniform(-1.8, 0.2), dice.uniform(1.7, 2.6)
        if dice.chance(0.5):
            half = dice.uniform(0.1, 0.5)
            strength = 0.6 * power / (half * half)
            lights.append(Light(RECTANGLE, (x, y, z), _times(tint, strength), (0.0, half, 0.0), (half, 0.0, 0.0)))
        else:
            radius = dice.uniform(0.03, 0.12)
            lights.append(Light(BALL, (x, y, z), _times(tint, 0.7 * power / (radius * radius)), radius=radius))
        level += dice.uniform(0.08, 0.16) * power
    return tuple(lights), level


def _times(tint: tuple[float, float, float], strength: float) -> tuple[float, float, float]:
    return tint[0] * strength, tint[1] * strength, tint[2] * strength
