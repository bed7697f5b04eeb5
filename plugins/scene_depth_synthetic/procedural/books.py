"""Books: single, in stacks, in rows."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import (
    Palette,
    paint,
    painted,
)
from scene_depth_synthetic.procedural.materials import BOOK, Material, blend, rgb
from scene_depth_synthetic.procedural.piece import Piece
from scene_depth_synthetic.procedural.shapes import (
    Part,
    block,
    box,
    moved,
)
from scene_depth_synthetic.procedural.transforms import shift, turn_x, turn_z

PAPER = rgb("#e9e2d2")


def book(width: float, height: float, thickness: float, cover: Material) -> list[Part]:
    """A book that stands with its spine towards -y: width across the covers (y), height z, thickness along x."""
    board = min(0.003, 0.15 * thickness)
    pages = box(
        (thickness - 2 * board, 0.94 * width, 0.95 * height), (0.0, 0.02 * width, 0.5 * height), paint(PAPER, unevenness=0.2)
    )
    sides = [box((board, width, height), (side * 0.5 * (thickness - board), 0.0, 0.5 * height), cover) for side in (-1, 1)]
    spine = box((thickness, board, height), (0.0, -0.5 * (width - board), 0.5 * height), cover)
    return [pages, *sides, spine]


def cover_material(dice: Dice, palette: Palette, width: float, height: float) -> Material:
    """A printed cover in two colours of the palette."""
    a, b, c = dice.shuffled(palette)[:3]
    return Material(BOOK, a, b, blend(c, PAPER, 0.5), (width, height), (float(dice.below(2)),), dice.seed(), specular=0.1)


def lying_book(dice: Dice, palette: Palette) -> Piece:
    """A book lying on its back."""
    width, height, thickness = dice.uniform(0.11, 0.2), dice.uniform(0.17, 0.28), dice.uniform(0.012, 0.045)
    parts = moved(
        book(width, height, thickness, cover_material(dice, palette, width, height)),
        shift(0, 0.5 * height, 0.5 * thickness),
        turn_x(0.5 * math.pi),
        turn_z(0.5 * math.pi),
    )
    return Piece("book", parts, width, height, thickness)


def book_stack(dice: Dice, palette: Palette, count: int) -> Piece:
    """Books lying one on another, the largest below."""
    parts: list[Part] = []
    z, width = 0.0, 0.0
    for _i in range(count):
        piece = lying_book(dice, palette)
        parts += moved(piece.parts, shift(0.0, 0.0, z), turn_z(dice.uniform(-0.25, 0.25)))
        z, width = z + piece.height, max(width, piece.depth)
    return Piece("book", parts, width, width, z)


def book_row(dice: Dice, palette: Palette, length: float, height: float) -> Piece:
    """Standing books, spines towards -y, side by side along x; the last may lean."""
    parts: list[Part] = []
    x, depth = -0.5 * length, 0.15
    while True:
        thickness, tall = dice.uniform(0.014, 0.05), height * dice.uniform(0.62, 0.95)
        if x + thickness > 0.5 * length:
            break
        cover = cover_material(dice, palette, thickness, tall) if dice.chance(0.5) else painted(dice, palette)
        width = dice.uniform(0.12, depth)
        y = 0.5 * (width - depth) + dice.uniform(0.0, 0.012)
        parts += moved(_spine_only(width, tall, thickness, cover), shift(x + 0.5 * thickness, y, 0.0))
        x += thickness + (0.0008 if dice.chance(0.9) else dice.uniform(0.0, 0.04))
    return Piece("book", parts or [block((0.03, depth, 0.6 * height), (0, 0, 0), painted(dice, palette))], length, depth, height)


def _spine_only(width: float, height: float, thickness: float, cover: Material) -> list[Part]:
    """A book of which one sees spine and top."""
    board = 0.002
    inside = box((thickness - 2 * board, width - board, 0.002), (0.0, 0.5 * board, height), paint(PAPER, unevenness=0.3))
    return [box((thickness, width, height - 0.001), (0.0, 0.0, 0.5 * height), cover), inside]
