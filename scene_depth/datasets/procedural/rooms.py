"""Random furnished rooms: living rooms, bedrooms, dining rooms, offices, kitchens, stores, corridors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from scene_depth.datasets.procedural import furniture as f
from scene_depth.datasets.procedural.clutter import book_row, carton, clock, framed_picture, small_thing
from scene_depth.datasets.procedural.dice import Dice
from scene_depth.datasets.procedural.finishes import PALETTES, Palette, ceramic, floor_finish, plaster, wall_finish
from scene_depth.datasets.procedural.interior import (
    Opening,
    curtains,
    daylight,
    door,
    radiator,
    skirting,
    trim_material,
    wall,
    wall_place,
    window_frame,
)
from scene_depth.datasets.procedural.lighting import BALL, RECTANGLE, SUN, Light, Sky
from scene_depth.datasets.procedural.materials import blend, rgb
from scene_depth.datasets.procedural.piece import Piece, Shelf
from scene_depth.datasets.procedural.plants import potted_plant
from scene_depth.datasets.procedural.shapes import block, moved, panel
from scene_depth.datasets.procedural.transforms import Matrix, apply, compose, shift, turn_z
from scene_depth.datasets.procedural.world import World, WorldBuilder

QUARTER = 0.5 * math.pi
WARM, NEUTRAL, COOL = (1.0, 0.84, 0.62), (1.0, 0.95, 0.88), (0.92, 0.97, 1.05)


@dataclass
class Room:
    """A room while it is being furnished.

    Attributes:
        width, depth, height: Along x, y, z; the origin is the middle of the floor.
        taken: Rectangles (x0, x1, y0, y1) of the floor that are occupied.
        openings: Of the four walls (``wall_place``).
        flux: Light that enters, of any unit, for the estimate of the ambient light.
        day: Whether the windows are lights.
    """

    dice: Dice
    palette: Palette
    width: float
    depth: float
    height: float
    builder: WorldBuilder = field(default_factory=WorldBuilder)
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    openings: list[list[Opening]] = field(default_factory=lambda: [[], [], [], []])
    lights: list[Light] = field(default_factory=list)
    flux: float = 0.0
    day: bool = False

    def side_length(self, side: int) -> float:
        """Length of a wall."""
        return self.width if side % 2 == 0 else self.depth

    def is_free(self, x0: float, x1: float, y0: float, y1: float) -> bool:
        """Whether a rectangle of the floor lies in the room and nothing stands there."""
        if x0 < -0.5 * self.width or x1 > 0.5 * self.width or y0 < -0.5 * self.depth or y1 > 0.5 * self.depth:
            return False
        return not any(x0 < b and a < x1 and y0 < d and c < y1 for a, b, c, d in self.taken)

    def put(self, piece: Piece, place: Matrix) -> None:
        """Adds a piece at a place, and things on its shelves."""
        self.builder.add(piece.category, moved(piece.parts, place))
        fill_shelves(self.builder, self.dice, self.palette, piece, place)

    def put_at_wall(self, piece: Piece, sides: tuple[int, ...] = (0, 1, 2, 3), gap: float = 0.02) -> bool:
        """Puts a piece with its back to a wall, where there is room and no door or low window; False if there is none."""
        for _ in range(8):
            side = self.dice.choice(sides)
            free = 0.5 * (self.side_length(side) - piece.width) - 0.02
            if free < 0.0:
                continue
            along = self.dice.uniform(-free, free)
            blocked = any(
                along - 0.5 * piece.width < o.right + 0.1 and o.left - 0.1 < along + 0.5 * piece.width and o.bottom < piece.height
                for o in self.openings[side]
            )
            if not blocked and self.put_if_free(piece, side, along, gap):
                return True
        return False

    def put_if_free(self, piece: Piece, side: int, along: float, gap: float) -> bool:
        """Puts a piece at a position along a wall unless something stands there."""
        place = compose(wall_place(side, self.width, self.depth), shift(along, -0.5 * piece.depth - gap, 0.0))
        corners = apply(
            place, np.array([[-0.5 * piece.width, -0.5 * piece.depth, 0.0], [0.5 * piece.width, 0.5 * piece.depth, 0.0]])
        )
        (x0, y0), (x1, y1) = corners.min(axis=0)[:2].tolist(), corners.max(axis=0)[:2].tolist()
        if not self.is_free(x0, x1, y0, y1):
            return False
        self.taken.append((x0, x1, y0, y1))
        self.put(piece, place)
        return True

    def put_freely(self, piece: Piece, spread: float = 0.35, turned: bool = True) -> bool:
        """Puts a piece somewhere around the middle; False if there is no room."""
        for _ in range(8):
            x, y = self.dice.uniform(-spread, spread) * self.width, self.dice.uniform(-spread, spread) * self.depth
            angle = self.dice.uniform(0.0, 6.28) if turned else QUARTER * self.dice.below(4)
            reach = 0.5 * math.sqrt(piece.width**2 + piece.depth**2) if turned else 0.5 * max(piece.width, piece.depth)
            if self.is_free(x - reach, x + reach, y - reach, y + reach):
                self.taken.append((x - reach, x + reach, y - reach, y + reach))
                self.put(piece, compose(shift(x, y), turn_z(angle)))
                return True
        return False


def fill_shelves(builder: WorldBuilder, dice: Dice, palette: Palette, piece: Piece, place: Matrix) -> None:
    """Puts books and small things on the shelves of a piece; some shelves stay empty."""
    for shelf in piece.shelves:
        if dice.chance(0.2 if piece.category == "shelf" else 0.12):
            continue
        if piece.category == "shelf" and shelf.clearance > 0.2 and dice.chance(0.55):
            length = shelf.width * dice.uniform(0.3, 0.98)
            row = book_row(dice, palette, length, min(shelf.clearance, 0.34))
            x = dice.choice((-1.0, 1.0)) * 0.5 * (shelf.width - length)
            builder.add("book", moved(row.parts, place, shift(shelf.x + x, shelf.y - 0.02, shelf.z)))
            continue
        scatter(builder, dice, palette, shelf, place, dice.between(1, 2 + int(3.0 * shelf.width)))


def scatter(builder: WorldBuilder, dice: Dice, palette: Palette, shelf: Shelf, place: Matrix, count: int) -> list[int]:
    """Puts up to ``count`` small things on a shelf so that none touches another; returns their numbers."""
    taken: list[tuple[float, float, float]] = []
    numbers = []
    for _ in range(count):
        thing = small_thing(dice, palette)
        radius = 0.5 * max(thing.width, thing.depth)
        reach_x, reach_y = 0.5 * shelf.width - 0.8 * radius, 0.5 * shelf.depth - 0.8 * radius
        if thing.height > shelf.clearance or reach_x <= 0.0 or reach_y <= 0.0:
            continue
        for _try in range(6):
            x, y = dice.uniform(-reach_x, reach_x), dice.uniform(-reach_y, reach_y)
            if all((x - a) ** 2 + (y - b) ** 2 > (radius + r) ** 2 for a, b, r in taken):
                taken.append((x, y, radius))
                turn = turn_z(
                    dice.uniform(-0.6, 0.6) if thing.category in ("electronics", "picture") else dice.uniform(0.0, 6.28)
                )
                numbers.append(
                    builder.add(thing.category, moved(thing.parts, place, shift(shelf.x + x, shelf.y + y, shelf.z), turn))
                )
                break
    return numbers


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
    _light(room)
    return _finished(room)


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
        lamp = f.floor_lamp(dice, palette, lit=dice.chance(0.5))
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


def _light(room: Room) -> None:
    """Ceiling light, daylight, lamps; at least one of them."""
    dice, h = room.dice, room.height
    tint = dice.choice((WARM, NEUTRAL, COOL))
    windows = [(side, o) for side in range(4) for o in room.openings[side] if o.window]
    room.day = bool(windows) and dice.chance(0.75)
    if room.day:
        for side, o in windows[:2]:
            radiance = dice.uniform(3.0, 7.0)
            room.lights.append(daylight(o, wall_place(side, room.width, room.depth), radiance))
            room.flux += math.pi * radiance * (o.right - o.left) * (o.top - o.bottom)
        if dice.chance(0.5):
            side, o = dice.choice(windows)
            _sun(room, side, o)
    if not room.day or dice.chance(0.5):
        strength = dice.uniform(4.0, 12.0)
        x, y = dice.uniform(-0.2, 0.2) * room.width, dice.uniform(-0.2, 0.2) * room.depth
        if dice.chance(0.5):
            drop, lamp = dice.uniform(0.3, 0.7), dice.seed()
            room.builder.add("lamp", moved(f.pendant_lamp(Dice(lamp), room.palette, drop, lit=True), shift(x, y, h)))
            room.lights.append(Light(BALL, (x, y, h - drop - 0.12), _tinted(tint, 4.0 * strength), radius=0.08))
            room.flux += 4.0 * math.pi**2 * 0.08**2 * 4.0 * strength
        else:
            half = dice.uniform(0.15, 0.4)
            glow = f.glowing((0.9 * tint[0], 0.9 * tint[1], min(0.9 * tint[2], 0.95)), 3.0)
            room.builder.add("lamp", [panel(2 * half, 2 * half, (x, y, h - 0.02), glow)])
            room.lights.append(Light(RECTANGLE, (x, y, h - 0.025), _tinted(tint, strength), (0.0, half, 0.0), (half, 0.0, 0.0)))
            room.flux += math.pi * strength * 4 * half * half


def _sun(room: Room, side: int, o: Opening) -> None:
    dice = room.dice
    place = wall_place(side, room.width, room.depth)
    outward = apply(place, np.array([[dice.uniform(-0.7, 0.7), 1.0, dice.uniform(0.35, 0.9)], [0.0, 0.0, 0.0]]))
    direction = outward[0] - outward[1]
    length = math.sqrt(float(direction[0] ** 2 + direction[1] ** 2 + direction[2] ** 2))
    towards = (float(direction[0]) / length, float(direction[1]) / length, float(direction[2]) / length)
    strength = dice.uniform(12.0, 30.0)
    room.lights.append(Light(SUN, towards, _tinted((1.0, 0.86, 0.66), strength), radius=0.006))
    room.flux += 0.5 * strength * (o.right - o.left) * (o.top - o.bottom)


def _tinted(tint: tuple[float, float, float], strength: float) -> tuple[float, float, float]:
    return tint[0] * strength, tint[1] * strength, tint[2] * strength


def _finished(room: Room) -> World:
    """The world, with the ambient light that the flux of all lights leads to after many reflections."""
    area = 2.0 * (room.width * room.depth + (room.width + room.depth) * room.height)
    reflected = 0.7  # rho / (1 - rho) for a mean reflectance of 0.41
    level = reflected * room.flux / (math.pi * area)
    ambient = (1.05 * level, level, 0.93 * level)
    outside = room.dice.uniform(2.0, 5.0) if room.day else room.dice.uniform(0.02, 0.1)
    zenith, horizon = (0.5 * outside, 0.7 * outside, outside), (0.9 * outside, 0.95 * outside, outside)
    ground = (0.3 * outside, 0.32 * outside, 0.25 * outside)
    return World(
        tuple(room.builder.things), tuple(room.lights), Sky(zenith, horizon, ground, 0.4, room.dice.seed(), False), ambient
    )
