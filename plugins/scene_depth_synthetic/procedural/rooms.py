"""Random furnished rooms: living rooms, bedrooms, dining rooms, offices, kitchens, stores, corridors."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural import furniture as f
from scene_depth_synthetic.procedural import lamps
from scene_depth_synthetic.procedural.clutter import carton, clock, framed_picture
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import PALETTES, ceramic, floor_finish, plaster, wall_finish
from scene_depth_synthetic.procedural.interior import (
    Opening,
    curtains,
    door,
    radiator,
    skirting,
    trim_material,
    wall,
    wall_place,
    window_frame,
)
from scene_depth_synthetic.procedural.materials import blend, rgb
from scene_depth_synthetic.procedural.piece import Piece, Shelf
from scene_depth_synthetic.procedural.plants import potted_plant
from scene_depth_synthetic.procedural.room_layout import Room
from scene_depth_synthetic.procedural.room_lighting import finished_world, light_room
from scene_depth_synthetic.procedural.shapes import block, moved
from scene_depth_synthetic.procedural.small_things import small_thing
from scene_depth_synthetic.procedural.transforms import compose, shift, turn_z
from scene_depth_synthetic.procedural.world import World

QUARTER = 0.5 * math.pi


def random_room(dice: Dice) -> World:
    """A furnished room with lights."""
    palette = dice.choice(PALETTES)
    style = dice.weighted(
        [("living", 3.0), ("bedroom", 2.0), ("dining", 2.0), ("office", 1.5), ("kitchen", 1.5), ("store", 0.7), ("corridor", 0.9)]
    )
    if style == "corridor":
        width, depth = dice.uniform(1.5, 2.8), dice.uniform(6.0, 16.0)
    else:
        width, depth = dice.uniform(2.8, 6.5), dice.uniform(2.8, 6.5)
    room = Room(dice, palette, width, depth, dice.uniform(2.3, 3.2))
    _build_shell(room)
    _furnish(room, style)
    _decorate(room)
    light_room(room)
    return finished_world(room)


def _build_shell(room: Room) -> None:
    dice, palette = room.dice, room.palette
    w, d, h = room.width, room.depth, room.height
    room.builder.add("floor", [block((w + 0.4, d + 0.4, 0.1), (0, 0, -0.1), floor_finish(dice, palette))])
    ceiling = plaster(blend(rgb("#efece5"), dice.choice(palette), 0.05), amount=0.03, seed=dice.seed())
    room.builder.add("ceiling", [block((w + 0.4, d + 0.4, 0.1), (0, 0, h), ceiling)])
    finish, trim = wall_finish(dice, palette), trim_material(dice, palette)
    accent = wall_finish(dice, palette) if dice.chance(0.35) else finish
    door_side = dice.below(4)
    for side in range(4):
        length = room.side_length(side)
        _add_openings(room, side, length, door_side)
        openings, place = room.openings[side], wall_place(side, w, d)
        material = accent if side == 0 else finish
        parts = wall(length + 2 * 0.16, h, openings, material, number=-1 - side)
        room.builder.add("wall", moved(parts, place))
        if dice.chance(0.8):
            room.builder.add("wall", moved(skirting(length, openings, dice.uniform(0.06, 0.14), trim), place))
        for o in openings:
            if not o.window:
                room.builder.add("door", moved(door(o, dice, palette, trim), place))
                continue
            room.builder.add("window", moved(window_frame(o, dice.between(1, 3), dice.between(1, 2), trim), place))
            if dice.chance(0.55):
                room.builder.add("curtain", moved(curtains(dice, palette, o, h), place))
            if o.bottom > 0.6 and dice.chance(0.4):
                middle = shift(0.5 * (o.left + o.right))
                room.builder.add("other", moved(radiator(0.8 * (o.right - o.left), o.bottom - 0.3), place, middle))


def _add_openings(room: Room, side: int, length: float, door_side: int) -> None:
    dice, free = room.dice, -0.5 * length + 0.3
    if side == door_side and length > 1.6:
        width = dice.uniform(0.8, 0.95)
        left = dice.uniform(-0.5 * length + 0.2, 0.5 * length - 0.2 - width)
        room.openings[side].append(Opening(left, left + width, 0.0, dice.uniform(1.98, 2.1), False))
        return
    for _ in range(dice.weighted([(0, 1.3), (1, 1.0), (2, 0.5)])):
        width = dice.uniform(0.7, 1.8)
        if free + width + 0.3 > 0.5 * length:
            return
        left = dice.uniform(free, min(free + 0.8, 0.5 * length - 0.3 - width))
        bottom = dice.uniform(0.75, 1.0)
        room.openings[side].append(
            Opening(left, left + width, bottom, min(bottom + dice.uniform(1.0, 1.4), room.height - 0.15), True)
        )
        free = left + width + 0.5


def _furnish(room: Room, style: str) -> None:
    dice, palette = room.dice, room.palette
    if style == "living":
        sofa = f.sofa(dice, palette, dice.uniform(1.5, 2.3))
        room.put_at_wall(sofa)
        if dice.chance(0.7):
            _put_flat(room, f.rug(dice, palette, dice.uniform(1.4, 2.4), dice.uniform(1.2, 2.0)))
        room.put_freely(
            f.table(dice, palette, dice.uniform(0.7, 1.2), dice.uniform(0.5, 0.7), dice.uniform(0.35, 0.5)), 0.15, turned=False
        )
        room.put_at_wall(f.bookcase(dice, palette, dice.uniform(0.7, 1.4), dice.uniform(1.0, 2.1)))
        room.put_at_wall(f.cabinet(dice, palette, dice.uniform(1.0, 1.8), dice.uniform(0.4, 0.9), dice.uniform(0.35, 0.45)))
        for _ in range(dice.between(0, 2)):
            room.put_freely(f.sofa(dice, palette, dice.uniform(0.75, 0.95)))
    elif style == "bedroom":
        room.put_at_wall(f.bed(dice, palette, dice.choice((0.9, 1.4, 1.6))))
        for _ in range(2):
            room.put_at_wall(f.cabinet(dice, palette, dice.uniform(0.4, 0.55), dice.uniform(0.4, 0.6), 0.4))
        room.put_at_wall(f.cabinet(dice, palette, dice.uniform(0.9, 1.6), dice.uniform(0.8, 2.0), dice.uniform(0.45, 0.6)))
        room.put_at_wall(f.chair(dice, palette))
        _put_flat(room, f.rug(dice, palette, dice.uniform(1.0, 2.0), dice.uniform(0.8, 1.6)))
    elif style == "dining":
        _dining_group(room)
        room.put_at_wall(f.cabinet(dice, palette, dice.uniform(1.0, 1.8), dice.uniform(0.7, 1.1), 0.45))
        room.put_at_wall(f.bookcase(dice, palette, dice.uniform(0.7, 1.2), dice.uniform(1.4, 2.0)))
    elif style == "office":
        for _ in range(dice.between(1, 3)):
            room.put_at_wall(f.desk(dice, palette, dice.uniform(1.1, 1.7)), gap=0.04)
            room.put_freely(f.chair(dice, palette))
        for _ in range(dice.between(1, 3)):
            room.put_at_wall(f.bookcase(dice, palette, dice.uniform(0.6, 1.3), dice.uniform(1.2, 2.2)))
        room.put_at_wall(f.waste_bin(dice, palette))
    elif style == "kitchen":
        for _ in range(dice.between(3, 5)):
            room.put_at_wall(f.cabinet(dice, palette, dice.uniform(0.6, 1.8), dice.uniform(0.85, 0.92), 0.6), (0, 1))
        room.put_at_wall(f.cabinet(dice, palette, 0.6, dice.uniform(1.6, 2.0), 0.62))
        _dining_group(room)
    elif style == "store":
        for _ in range(dice.between(2, 4)):
            room.put_at_wall(f.bookcase(dice, palette, dice.uniform(0.8, 1.6), dice.uniform(1.5, 2.2), 0.4))
        for _ in range(dice.between(4, 12)):
            room.put_freely(carton(dice, palette, dice.uniform(0.25, 0.6)), 0.45)
    else:
        for _ in range(dice.between(2, 6)):
            room.put_at_wall(f.cabinet(dice, palette, dice.uniform(0.5, 1.2), dice.uniform(0.7, 1.8), 0.35), (1, 3))
    _fill_up(room)


def _fill_up(room: Room) -> None:
    """Things found in any room."""
    dice, palette = room.dice, room.palette
    for _ in range(dice.between(0, 2)):
        room.put_at_wall(potted_plant(dice, dice.uniform(0.12, 0.2), dice.uniform(0.6, 1.6), ceramic(dice, palette)))
    if dice.chance(0.5):
        lamp = lamps.floor_lamp(dice, palette, lit=dice.chance(0.5))
        room.put_at_wall(lamp)
    for _ in range(dice.between(0, 3)):
        room.put_freely(dice.choice((f.chair, f.stool))(dice, palette), 0.45)
    for _ in range(dice.between(0, 3)):
        room.put_freely(small_thing(dice, palette), 0.45)
    if dice.chance(0.3):
        room.put_freely(carton(dice, palette, dice.uniform(0.2, 0.5)), 0.45)


def _put_flat(room: Room, piece: Piece) -> None:
    """A rug: nothing has to make way for it."""
    x, y = room.dice.uniform(-0.15, 0.15) * room.width, room.dice.uniform(-0.15, 0.15) * room.depth
    room.put(piece, compose(shift(x, y), turn_z(room.dice.around(0.0, 0.1))))


def _dining_group(room: Room) -> None:
    dice, palette = room.dice, room.palette
    width, depth = dice.uniform(0.9, 1.8), dice.uniform(0.75, 1.0)
    dining = f.table(dice, palette, width, depth, dice.uniform(0.71, 0.77))
    x, y = dice.uniform(-0.12, 0.12) * room.width, dice.uniform(-0.12, 0.12) * room.depth
    angle = QUARTER * dice.below(2)
    reach_x, reach_y = (0.5 * dining.width, 0.5 * dining.depth) if angle == 0.0 else (0.5 * dining.depth, 0.5 * dining.width)
    if not room.is_free(x - reach_x, x + reach_x, y - reach_y, y + reach_y):
        return
    if dice.chance(0.4):
        _put_flat(room, f.rug(dice, palette, width + 0.8, depth + 0.9))
    place = compose(shift(x, y), turn_z(angle))
    room.put(dining, place)
    seats = max(1, int(dining.width / 0.6))
    model = dice.seed()
    for side in (-1.0, 1.0):
        for i in range(seats):
            if dice.chance(0.15):
                continue
            chair = f.chair(Dice(model), palette)  # one model around the table
            along, out = dining.width * ((i + 0.5) / seats - 0.5), 0.5 * dining.depth + dice.uniform(0.0, 0.25)
            turn = turn_z((0.0 if side > 0 else math.pi) + dice.around(0.0, 0.12))
            room.put(chair, compose(place, shift(along, side * out, 0.0), turn))
    room.taken.append((x - reach_x - 0.5, x + reach_x + 0.5, y - reach_y - 0.5, y + reach_y + 0.5))


def _decorate(room: Room) -> None:
    """Pictures, clocks, screens and shelves on the walls."""
    dice, palette = room.dice, room.palette
    for side in range(4):
        place, length = wall_place(side, room.width, room.depth), room.side_length(side)
        spans = [(o.left - 0.15, o.right + 0.15) for o in room.openings[side]]
        for _ in range(dice.weighted([(0, 1.0), (1, 2.0), (2, 1.0), (3, 0.5)])):
            width, height = dice.uniform(0.25, 0.9), dice.uniform(0.25, 0.8)
            x, z = dice.uniform(-0.45, 0.45) * length, dice.uniform(1.35, 1.75)
            if any(x - 0.6 * width < b and a < x + 0.6 * width for a, b in spans) or abs(x) + 0.5 * width > 0.5 * length - 0.05:
                continue
            spans.append((x - 0.6 * width, x + 0.6 * width))
            kind = dice.unit()
            if kind < 0.75:
                room.builder.add(
                    "picture",
                    moved(
                        framed_picture(dice, palette, width, min(height, 2 * (room.height - z - 0.1))), place, shift(x, -0.02, z)
                    ),
                )
            elif kind < 0.85:
                room.builder.add("other", moved(clock(dice, 0.2 * width + 0.06), place, shift(x, -0.002, z + 0.2)))
            else:
                board = Piece(
                    "shelf",
                    [block((width, 0.2, 0.025), (0, 0, 0), f.furniture_finish(dice, palette))],
                    width,
                    0.2,
                    0.025,
                    [Shelf(0, 0, 0.025, width, 0.19, 0.35)],
                )
                room.put(board, compose(place, shift(x, -0.1, z - 0.1)))
