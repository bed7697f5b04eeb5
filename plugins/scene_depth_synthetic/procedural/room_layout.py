"""A room while it is being furnished: what stands where, and shelves that are filled."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from scene_depth_synthetic.procedural.books import book_row
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import Palette
from scene_depth_synthetic.procedural.interior import (
    Opening,
    wall_place,
)
from scene_depth_synthetic.procedural.lighting import Light
from scene_depth_synthetic.procedural.piece import Piece, Shelf
from scene_depth_synthetic.procedural.shapes import moved
from scene_depth_synthetic.procedural.small_things import small_thing
from scene_depth_synthetic.procedural.transforms import Matrix, apply, compose, shift, turn_z
from scene_depth_synthetic.procedural.world import WorldBuilder

QUARTER = 0.5 * math.pi


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
