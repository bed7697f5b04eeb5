"""Random places indoors: furnished rooms of many kinds, and tables seen from close by."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from scene_depth_synthetic.procedural import furniture as f
from scene_depth_synthetic.procedural import interior
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.interior import Opening, skirting, trim_material, wall_place
from scene_depth_synthetic.procedural.lighting import BALL, SUN, Light, Sky, ceiling_light, tinted
from scene_depth_synthetic.procedural.materials import blend
from scene_depth_synthetic.procedural.plants import potted_plant
from scene_depth_synthetic.procedural.shapes import ORIGIN, Piece, Shelf, block, panel
from scene_depth_synthetic.procedural.transforms import Matrix, apply, compose, shift, turn_z
from scene_depth_synthetic.procedural.world import World, WorldBuilder

from scene_depth_synthetic.procedural.finishes import (  # isort: skip
    PALETTES, Palette, ceramic, cloth, floor_finish, furniture_finish, glowing, plaster, wall_finish,
)  # fmt: skip
from scene_depth_synthetic.procedural.small_things import (  # isort: skip
    carton, clock, fill_shelves, framed_picture, scatter, small_thing,
)  # fmt: skip

QUARTER = 0.5 * math.pi
LAMP_TINTS = ((1.0, 0.84, 0.62), (1.0, 0.95, 0.88), (0.92, 0.97, 1.05))  # warm, neutral, cool
TABLE_TINTS = ((1.0, 0.82, 0.6), (1.0, 0.94, 0.86), (0.9, 0.96, 1.06))


@dataclass
class Room:
    """A room while it is being furnished."""

    dice: Dice
    palette: Palette
    width: float  # along x, y, z; the origin is the middle of the floor
    depth: float
    height: float
    builder: WorldBuilder = field(default_factory=WorldBuilder)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)  # rectangles (x0, x1, y0, y1) of the floor
    openings: list[list[Opening]] = field(default_factory=lambda: [[], [], [], []])  # of the four walls (``wall_place``)
    lights: list[Light] = field(default_factory=list)
    flux: float = 0.0  # light that enters, of any unit, for the estimate of the ambient light
    day: bool = False  # whether the windows are lights

    def side_length(self, side: int) -> float:
        """Length of a wall."""
        return self.width if side % 2 == 0 else self.depth

    def wall_place(self, side: int) -> Matrix:
        """Where a wall stands."""
        return wall_place(side, self.width, self.depth)

    def is_free(self, x0: float, x1: float, y0: float, y1: float) -> bool:
        """Whether a rectangle of the floor lies in the room and nothing stands there."""
        if x0 < -0.5 * self.width or x1 > 0.5 * self.width or y0 < -0.5 * self.depth or y1 > 0.5 * self.depth:
            return False
        return not any(x0 < b and a < x1 and y0 < d and c < y1 for a, b, c, d in self.taken)

    def put(self, piece: Piece, place: Matrix) -> None:
        """Adds a piece at a place, and things on its shelves."""
        self.builder.put(piece, place)
        fill_shelves(self.builder, self.dice, self.palette, piece, place)

    def put_at_wall(self, piece: Piece, sides: tuple[int, ...] = (0, 1, 2, 3), gap: float = 0.02) -> None:
        """Puts a piece with its back to a wall, if there is room, with no door or low window behind it."""
        half, deep = 0.5 * piece.width, 0.5 * piece.depth
        for _ in range(8):
            side = self.dice.choice(sides)
            free = 0.5 * (self.side_length(side) - piece.width) - 0.02
            if free < 0.0:
                continue
            x = self.dice.uniform(-free, free)
            low = [o for o in self.openings[side] if o.bottom < piece.height]
            if any(x - half < o.right + 0.1 and o.left - 0.1 < x + half for o in low):
                continue
            place = compose(self.wall_place(side), shift(x, -deep - gap, 0.0))
            corners = apply(place, np.array([[-half, -deep, 0.0], [half, deep, 0.0]]))
            (x0, y0), (x1, y1) = corners.min(axis=0)[:2].tolist(), corners.max(axis=0)[:2].tolist()
            if self.is_free(x0, x1, y0, y1):
                self.taken.append((x0, x1, y0, y1))
                self.put(piece, place)
                return

    def put_freely(self, piece: Piece, spread: float = 0.35, turned: bool = True) -> None:
        """Puts a piece somewhere around the middle, if there is room."""
        for _ in range(8):
            x, y = self.dice.uniform(-spread, spread) * self.width, self.dice.uniform(-spread, spread) * self.depth
            angle = self.dice.uniform(0.0, 6.28) if turned else QUARTER * self.dice.below(4)
            reach = 0.5 * math.sqrt(piece.width**2 + piece.depth**2) if turned else 0.5 * max(piece.width, piece.depth)
            if self.is_free(x - reach, x + reach, y - reach, y + reach):
                self.taken.append((x - reach, x + reach, y - reach, y + reach))
                self.put(piece, compose(shift(x, y), turn_z(angle)))
                return


def random_room(dice: Dice) -> World:
    """A furnished room with lights."""
    palette = dice.choice(PALETTES)
    style = dice.weighted(
        [("living", 3.0), ("bedroom", 2.0), ("dining", 2.0), ("office", 1.5), ("kitchen", 1.5), ("store", 0.7), ("corridor", 0.9)]
    )
    across, along = ((1.5, 2.8), (6.0, 16.0)) if style == "corridor" else ((2.8, 6.5), (2.8, 6.5))
    room = Room(dice, palette, dice.uniform(*across), dice.uniform(*along), dice.uniform(2.3, 3.2))
    _build_shell(room)
    _furnish(room, style)
    _decorate(room)
    _light(room)
    return _finished_world(room)


def _build_shell(room: Room) -> None:
    dice, palette, add = room.dice, room.palette, room.builder.add
    w, d, h = room.width, room.depth, room.height
    add("floor", block((w + 0.4, d + 0.4, 0.1), (0, 0, -0.1), floor_finish(dice, palette)))
    ceiling = plaster(blend("#efece5", dice.choice(palette), 0.05), amount=0.03, seed=dice.seed())
    add("ceiling", block((w + 0.4, d + 0.4, 0.1), (0, 0, h), ceiling))
    finish, trim = wall_finish(dice, palette), trim_material(dice, palette)
    accent = wall_finish(dice, palette) if dice.chance(0.35) else finish
    door_side = dice.below(4)
    for side in range(4):
        length = room.side_length(side)
        _add_openings(room, side, length, door_side)
        openings, place = room.openings[side], room.wall_place(side)
        add("wall", interior.wall(length + 2 * 0.16, h, openings, finish if side else accent, number=-1 - side), place)
        if dice.chance(0.8):
            add("wall", skirting(length, openings, dice.uniform(0.06, 0.14), trim), place)
        for o in openings:
            if not o.window:
                add("door", interior.door(o, dice, palette, trim), place)
                continue
            add("window", interior.window_frame(o, dice.between(1, 3), dice.between(1, 2), trim), place)
            if dice.chance(0.55):
                add("curtain", interior.curtains(dice, palette, o, h), place)
            if o.bottom > 0.6 and dice.chance(0.4):
                ribs = interior.radiator(0.8 * (o.right - o.left), o.bottom - 0.3)
                add("other", ribs, place, shift(0.5 * (o.left + o.right)))


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
        top = min(bottom + dice.uniform(1.0, 1.4), room.height - 0.15)
        room.openings[side].append(Opening(left, left + width, bottom, top, True))
        free = left + width + 0.5


def _furnish(room: Room, style: str) -> None:
    dice, palette = room.dice, room.palette
    if style == "living":
        sofa = f.sofa(dice, palette, dice.uniform(1.5, 2.3))
        room.put_at_wall(sofa)
        if dice.chance(0.7):
            _put_flat(room, f.rug(dice, palette, dice.uniform(1.4, 2.4), dice.uniform(1.2, 2.0)))
        low = f.table(dice, palette, dice.uniform(0.7, 1.2), dice.uniform(0.5, 0.7), dice.uniform(0.35, 0.5))
        room.put_freely(low, 0.15, turned=False)
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
    # things found in any room
    for _ in range(dice.between(0, 2)):
        room.put_at_wall(potted_plant(dice, dice.uniform(0.12, 0.2), dice.uniform(0.6, 1.6), ceramic(dice, palette)))
    if dice.chance(0.5):
        room.put_at_wall(f.floor_lamp(dice, palette, lit=dice.chance(0.5)))
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
    """Pictures, clocks and shelves on the walls."""
    dice, palette = room.dice, room.palette
    for side in range(4):
        place, length = room.wall_place(side), room.side_length(side)
        spans = [(o.left - 0.15, o.right + 0.15) for o in room.openings[side]]
        for _ in range(dice.weighted([(0, 1.0), (1, 2.0), (2, 1.0), (3, 0.5)])):
            width, height = dice.uniform(0.25, 0.9), dice.uniform(0.25, 0.8)
            x, z = dice.uniform(-0.45, 0.45) * length, dice.uniform(1.35, 1.75)
            if any(x - 0.6 * width < b and a < x + 0.6 * width for a, b in spans) or abs(x) + 0.5 * width > 0.5 * length - 0.05:
                continue
            spans.append((x - 0.6 * width, x + 0.6 * width))
            kind = dice.unit()
            if kind < 0.75:
                parts = framed_picture(dice, palette, width, min(height, 2 * (room.height - z - 0.1)))
                room.builder.add("picture", parts, place, shift(x, -0.02, z))
            elif kind < 0.85:
                room.builder.add("other", clock(dice, 0.2 * width + 0.06), place, shift(x, -0.002, z + 0.2))
            else:
                board, top = (
                    block((width, 0.2, 0.025), ORIGIN, furniture_finish(dice, palette)),
                    Shelf(0, 0, 0.025, width, 0.19, 0.35),
                )
                room.put(Piece("shelf", [board], width, 0.2, 0.025, [top]), compose(place, shift(x, -0.1, z - 0.1)))


def _light(room: Room) -> None:
    """Ceiling light, daylight, lamps; at least one of them."""
    dice, h = room.dice, room.height
    tint = dice.choice(LAMP_TINTS)
    windows = [(side, o) for side in range(4) for o in room.openings[side] if o.window]
    room.day = bool(windows) and dice.chance(0.75)
    if room.day:
        for side, o in windows[:2]:
            radiance = dice.uniform(3.0, 7.0)
            room.lights.append(interior.daylight(o, room.wall_place(side), radiance))
            room.flux += math.pi * radiance * (o.right - o.left) * (o.top - o.bottom)
        if dice.chance(0.5):
            _add_sun(room, *dice.choice(windows))
    if not room.day or dice.chance(0.5):
        strength = dice.uniform(4.0, 12.0)
        x, y = dice.uniform(-0.2, 0.2) * room.width, dice.uniform(-0.2, 0.2) * room.depth
        if dice.chance(0.5):
            drop, lamp = dice.uniform(0.3, 0.7), dice.seed()
            room.builder.add("lamp", f.pendant_lamp(Dice(lamp), room.palette, drop), shift(x, y, h))
            room.lights.append(Light(BALL, (x, y, h - drop - 0.12), tinted(tint, 4.0 * strength), radius=0.08))
            room.flux += 4.0 * math.pi**2 * 0.08**2 * 4.0 * strength
        else:
            half = dice.uniform(0.15, 0.4)
            glow = glowing((0.9 * tint[0], 0.9 * tint[1], min(0.9 * tint[2], 0.95)), 3.0)
            room.builder.add("lamp", panel(2 * half, 2 * half, (x, y, h - 0.02), glow))
            room.lights.append(ceiling_light((x, y, h - 0.025), tinted(tint, strength), half))
            room.flux += math.pi * strength * 4 * half * half


def _add_sun(room: Room, side: int, o: Opening) -> None:
    """The sun, somewhere before a window."""
    dice = room.dice
    ends = np.array([[dice.uniform(-0.7, 0.7), 1.0, dice.uniform(0.35, 0.9)], [0.0, 0.0, 0.0]])
    outward = apply(room.wall_place(side), ends)
    x, y, z = (outward[0] - outward[1]).tolist()
    length = math.sqrt(x**2 + y**2 + z**2)
    strength = dice.uniform(12.0, 30.0)
    room.lights.append(Light(SUN, (x / length, y / length, z / length), tinted((1.0, 0.86, 0.66), strength), radius=0.006))
    room.flux += 0.5 * strength * (o.right - o.left) * (o.top - o.bottom)


def _finished_world(room: Room) -> World:
    """The world, with the ambient light that the flux of all lights leads to after many reflections."""
    area = 2.0 * (room.width * room.depth + (room.width + room.depth) * room.height)
    reflected = 0.7  # rho / (1 - rho) for a mean reflectance of 0.41
    level = reflected * room.flux / (math.pi * area)
    outside = room.dice.uniform(2.0, 5.0) if room.day else room.dice.uniform(0.02, 0.1)
    zenith, horizon = (0.5 * outside, 0.7 * outside, outside), (0.9 * outside, 0.95 * outside, outside)
    sky = Sky(zenith, horizon, (0.3 * outside, 0.32 * outside, 0.25 * outside), 0.4, room.dice.seed(), False)
    return World(tuple(room.builder.things), tuple(room.lights), sky, (1.05 * level, level, 0.93 * level))


def random_table_top(dice: Dice) -> World:
    """A table with things on it near the origin, its top at z = 0.75; a wall behind at y > 0."""
    palette, builder = dice.choice(PALETTES), WorldBuilder()
    wall_y = dice.uniform(0.45, 2.0)
    builder.add("floor", block((8.0, 8.0, 0.1), (0, wall_y - 4.0, -0.1), floor_finish(dice, palette)))
    builder.add("wall", block((8.0, 0.1, 3.0), (0, wall_y + 0.05, 0), wall_finish(dice, palette)))
    if dice.chance(0.5):
        builder.add("wall", skirting(8.0, [], 0.1, trim_material(dice, palette)), shift(0, wall_y, 0))
    table = f.table(dice, palette, dice.uniform(1.0, 1.8), dice.uniform(0.7, 1.0), 0.75)
    builder.put(table)
    surface = table.shelves[0]
    if dice.chance(0.25):
        top = dice.uniform(0.002, 0.006)
        surface = Shelf(0, 0, 0.75 + top, surface.width, surface.depth)
        builder.add("cloth", block((1.02 * table.width, 1.02 * table.depth, top), (0, 0, 0.75), cloth(dice, palette)))
    scatter(builder, dice, palette, surface, shift(), dice.between(5, 26))
    _furnish_background(builder, dice, palette, wall_y, 0.5 * table.depth)
    lights, level = _table_lights(dice)
    sky = Sky((1.5 * level,) * 3, (1.5 * level,) * 3, (level,) * 3)
    return World(tuple(builder.things), lights, sky, (1.05 * level, level, 0.94 * level))


def _furnish_background(builder: WorldBuilder, dice: Dice, palette: Palette, wall_y: float, table_end: float) -> None:
    """Pictures on the wall, and furniture where there is room between table and wall."""
    for _ in range(dice.between(0, 3)):
        parts = framed_picture(dice, palette, dice.uniform(0.25, 0.8), dice.uniform(0.25, 0.6))
        builder.add("picture", parts, shift(dice.uniform(-1.5, 1.5), wall_y - 0.025, dice.uniform(1.2, 1.7)))
    x = -2.2
    while wall_y - table_end > 0.55 and x < 2.2:
        width = dice.uniform(0.6, 1.4)
        kind = dice.unit()
        if kind < 0.7:
            if kind < 0.3:
                piece = f.bookcase(dice, palette, width, dice.uniform(0.9, 2.1))
            elif kind < 0.5:
                piece = f.cabinet(dice, palette, width, dice.uniform(0.5, 1.2), 0.4)
            else:
                piece = f.chair(dice, palette)
            place = shift(x + 0.5 * width, wall_y - 0.5 * piece.depth - 0.02, 0.0)
            builder.put(piece, place)
            fill_shelves(builder, dice, palette, piece, place)
        x += width + dice.uniform(0.05, 0.8)
    if dice.chance(0.4):
        chair = f.chair(dice, palette)
        builder.put(chair, shift(dice.uniform(-0.6, 0.6), -table_end - 0.1, 0), turn_z(math.pi + dice.around(0.0, 0.3)))


def _table_lights(dice: Dice) -> tuple[tuple[Light, ...], float]:
    """One to three lights above and beside the table, and the level of the ambient light."""
    lights, level = [], 0.0
    for i in range(dice.weighted([(1, 1.0), (2, 1.5), (3, 0.5)])):
        tint, power = dice.choice(TABLE_TINTS), dice.uniform(0.5, 1.0) if i else 1.0
        position = dice.uniform(-1.6, 1.6), dice.uniform(-1.8, 0.2), dice.uniform(1.7, 2.6)
        if dice.chance(0.5):
            half = dice.uniform(0.1, 0.5)
            lights.append(ceiling_light(position, tinted(tint, 0.6 * power / (half * half)), half))
        else:
            radius = dice.uniform(0.03, 0.12)
            lights.append(Light(BALL, position, tinted(tint, 0.7 * power / (radius * radius)), radius=radius))
        level += dice.uniform(0.08, 0.16) * power
    return tuple(lights), level
