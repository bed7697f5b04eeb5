"""Sample scene: a corner of a living room; the armchair is the object to remove."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural import books, clutter, finishes, furniture, interior, lamps, tableware
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import paint, timber
from scene_depth_synthetic.procedural.lighting import BALL, RECTANGLE, Light, Sky
from scene_depth_synthetic.procedural.materials import LANDSCAPE, POSTER, STRIPES, WEAVE, Material, rgb, scaled
from scene_depth_synthetic.procedural.piece import Shelf
from scene_depth_synthetic.procedural.plants import potted_plant
from scene_depth_synthetic.procedural.shapes import Part, block, box, cushion, cylinder, moved, panel
from scene_depth_synthetic.procedural.transforms import Matrix, compose, shift, turn_x, turn_y, turn_z
from scene_depth_synthetic.procedural.world import World, WorldBuilder
from scene_depth_synthetic.samples.paths import arc_cameras
from scene_depth_synthetic.samples.recipe import SampleScene

BACK, LEFT, HEIGHT = 1.9, -2.3, 2.6  # y of the back wall, x of the left wall, height of the room
PALETTE = finishes.PALETTES[2]
WINDOW = interior.Opening(-0.75, 0.85, 0.85, 2.1, True)


def room_scene() -> SampleScene:
    """Bookcase, sofa, plant, lamp and rug behind an armchair."""
    builder = WorldBuilder()
    left_wall = _shell(builder)
    chair = _armchair(builder)
    _along_the_back(builder)
    _around(builder)
    world = World(
        tuple(builder.things),
        (
            interior.daylight(WINDOW, left_wall, 15.0),
            Light(RECTANGLE, (1.6, -2.4, 2.4), (2.6, 2.5, 2.3), (0.0, 0.7, 0.0), (0.7, 0.0, -0.5)),
            Light(BALL, (1.62, 1.45, 1.42), (42.0, 30.0, 16.0), radius=0.06),
        ),
        Sky((1.4, 1.9, 2.6), (2.2, 2.35, 2.5), (0.8, 0.85, 0.7), 0.4, 3, False),
        (0.34, 0.32, 0.28),
    )
    cameras = arc_cameras(
        target=(0.05, 0.5, 0.72), center=(0.0, 0.3, 0.75), radius=(2.7, 3.05), azimuth=(-27.0, 33.0), elevation=(8.0, 24.0),
        size=(320, 240), focal=(296.5, 292.0), principal=(152.3, 124.6),
    )  # fmt: skip
    return SampleScene(
        "room", world, (chair,), "the striped armchair", cameras, exposure=0.85, depth_unit=4e-4, samples=16, lit_samples=8
    )


def _shell(builder: WorldBuilder) -> Matrix:
    """Floor, ceiling, walls and the window; returns the place of the left wall."""
    light, dark = finishes.WOODS[0]
    builder.add(
        "floor", [block((11.0, 8.0, 0.1), (2.5, -1.0, -0.1), finishes.parquet(light, dark, width=0.13, polish=0.25, seed=4))]
    )
    builder.add("ceiling", [block((11.0, 8.0, 0.1), (2.5, -1.0, HEIGHT), paint(rgb("#ece8df")))])
    plaster, trim = finishes.plaster(rgb("#93a79b"), seed=6), paint(rgb("#ece8df"), sheen=0.2)
    pale = finishes.plaster(rgb("#ddd3bf"), seed=7)
    back, left = shift(2.5, BACK, 0.0), compose(shift(LEFT, -0.6, 0.0), turn_z(0.5 * math.pi))
    builder.add("wall", moved(interior.wall(11.0, HEIGHT, [], plaster, -1), back))
    builder.add("wall", moved(interior.wall(6.5, HEIGHT, [WINDOW], pale, -2), left))
    builder.add(
        "wall", moved(interior.skirting(11.0, [], 0.11, trim), back) + moved(interior.skirting(6.5, [], 0.11, trim), left)
    )
    builder.add("window", moved(interior.window_frame(WINDOW, 2, 2, trim), left))
    linen = Material(WEAVE, scaled(rgb("#d9c8a9"), 1.05), rgb("#bfa982"), rgb("#d9c8a9"), (0.008, 0.008), (0.5,), 3)
    for x in (-0.98, 1.06):
        builder.add("curtain", moved([interior.curtain(Dice(5), 0.42, 2.25, linen)], left, shift(x, -0.1, 0.04)))
    return left


def _armchair(builder: WorldBuilder) -> int:
    fabric = Material(STRIPES, rgb("#c5502f"), rgb("#eadbb9"), rgb("#7a2f22"), (0.11, 0.11), (0.0, 0.35, 0.06), 8)
    legs = furniture.legs(0.74, 0.7, 0.14, 0.025, timber(*finishes.WOODS[1], seed=3), 2)
    parts = [*legs, cushion((0.78, 0.74, 0.26), (0, 0, 0.25), fabric), cushion((0.56, 0.6, 0.18), (0, -0.06, 0.42), fabric)]
    parts += moved([cushion((0.72, 0.2, 0.62), (0, 0, 0), fabric)], shift(0, 0.3, 0.62), turn_x(-0.18))
    parts += [cushion((0.15, 0.7, 0.26), (side * 0.35, -0.02, 0.5), fabric) for side in (-1.0, 1.0)]
    pillow = cushion(
        (0.38, 0.13, 0.36), (0, 0, 0), Material(WEAVE, rgb("#2b5f7e"), rgb("#4f86a3"), rgb("#2b5f7e"), (0.012, 0.012), (0.8,), 2)
    )
    parts += moved([pillow], shift(0.03, 0.13, 0.66), turn_x(-0.4), turn_y(0.12))
    return builder.add("sofa", moved(parts, shift(0.12, 0.28, 0.0), turn_z(0.35)))


def _along_the_back(builder: WorldBuilder) -> None:
    case = furniture.bookcase(Dice(21), PALETTE, 1.25, 1.85, 0.3)
    place = shift(-0.25, BACK - 0.17, 0.0)
    builder.add("shelf", moved(case.parts, place))
    for i, board in enumerate(case.shelves):
        _fill(builder, board, place, i)
    low = furniture.cabinet(Dice(9), PALETTE, 0.95, 0.62, 0.38)
    spot = shift(1.15, BACK - 0.22, 0.0)
    builder.add("cabinet", moved(low.parts, spot))
    _on_the_cabinet(builder, low.height)
    pictures = (
        (0.95, 1.62, 0.52, 0.4, Material(LANDSCAPE, rgb("#e7cfa2"), rgb("#2f5a6e"), rgb("#d0663c"), (0.52, 0.4), (-0.05,), 12)),
        (1.55, 1.75, 0.34, 0.46, Material(POSTER, rgb("#e9dfc9"), rgb("#2b6a8e"), rgb("#c8553d"), (0.34, 0.46), (7.0, 0.06), 31)),
    )
    for x, z, w, h, art in pictures:
        frame = paint(rgb("#3a2c22"), sheen=0.3)
        parts = [box((w + 0.06, 0.02, h + 0.06), (x, BACK - 0.012, z), frame), panel(w, h, (x, BACK - 0.0225, z), art, "y")]
        builder.add("picture", parts)


def _fill(builder: WorldBuilder, board: Shelf, place: Matrix, level: int) -> None:
    """Books on one side of a board and something else on the other; the lowest carries boxes, the top a globe and a plant."""
    if level >= 5:
        globe, plant = clutter.globe(Dice(3), 0.1), potted_plant(Dice(12), 0.06, 0.3, paint(rgb("#e8dcc4"), sheen=0.3))
        builder.add("other", moved(globe.parts, place, shift(-0.42, 0.0, board.z)))
        builder.add("plant", moved(plant.parts, place, shift(0.4, 0.0, board.z)))
        return
    side = -1.0 if level % 2 else 1.0
    length = board.width * (0.5, 0.62, 0.55, 0.68, 0.45)[level]
    row = books.book_row(Dice(50 + level), PALETTE, length, min(board.clearance, 0.32))
    builder.add("book", moved(row.parts, place, shift(side * 0.5 * (board.width - length), -0.02, board.z)))
    thing = (
        clutter.carton(Dice(61), PALETTE, 0.2),
        tableware.vase(0.07, 0.22, finishes.ceramic(Dice(64), PALETTE), 1),
        clutter.bear(Dice(66), 0.24),
        tableware.bowl(0.12, 0.09, paint(rgb("#c8553d"), sheen=0.6, gloss=6)),
        clutter.standing_frame(Dice(68), PALETTE),
    )[level]
    builder.add(thing.category, moved(thing.parts, place, shift(-side * 0.36, -0.02, board.z)))


def _on_the_cabinet(builder: WorldBuilder, top: float) -> None:
    lamp = lamps.table_lamp(Dice(4), PALETTE, 0.46, lit=True)
    builder.add("lamp", moved(lamp.parts, shift(1.42, BACK - 0.22, top)))
    stack = books.book_stack(Dice(6), PALETTE, 3)
    builder.add("book", moved(stack.parts, shift(0.86, BACK - 0.2, top), turn_z(0.3)))
    vase = tableware.vase(0.06, 0.2, paint(rgb("#d7b98a"), sheen=0.5, gloss=6), style=2)
    builder.add("container", moved(vase.parts, shift(1.12, BACK - 0.2, top)))


def _around(builder: WorldBuilder) -> None:
    plant = potted_plant(
        Dice(8),
        0.17,
        1.25,
        Material(STRIPES, rgb("#e6dcc6"), rgb("#8b6f53"), rgb("#e6dcc6"), (0.07, 0.07), (0.5 * math.pi, 0.4, 0.0)),
    )
    builder.add("plant", moved(plant.parts, shift(-1.25, BACK - 0.42, 0.0)))
    rug = Material(STRIPES, rgb("#e7d6ad"), rgb("#274d63"), rgb("#b9492f"), (0.26, 0.26), (0.0, 0.4, 0.12), 5)
    builder.add("rug", moved([block((2.1, 1.5, 0.012), (0, 0, 0), rug)], shift(0.1, 0.1, 0.0), turn_z(0.06)))
    _coffee_table(builder)
    basket = [
        cylinder(
            0.19, 0.3, (0, 0, 0), Material(WEAVE, rgb("#b08a57"), rgb("#7e5c34"), rgb("#b08a57"), (0.03, 0.03), (0.8,)), caps=1
        )
    ]
    builder.add("container", moved(basket, shift(-1.05, 0.85, 0.0)))
    ball = clutter.ball(Dice(2), PALETTE, 0.13)
    builder.add("toy", moved(ball.parts, shift(1.25, 0.75, 0.0)))


def _coffee_table(builder: WorldBuilder) -> None:
    wood = timber(*finishes.WOODS[1], ring=0.03, polish=0.3, seed=12)
    parts: list[Part] = [cylinder(0.34, 0.03, (0, 0, 0.4), wood), *furniture.legs(0.5, 0.5, 0.4, 0.022, wood, 2)]
    place = shift(-0.78, 0.05, 0.0)
    builder.add("table", moved(parts, place))
    mug = tableware.mug(0.042, 0.09, paint(rgb("#e4b363"), sheen=0.7, gloss=6))
    builder.add("tableware", moved(mug.parts, place, shift(0.1, -0.12, 0.43), turn_z(-1.2)))
    book = books.lying_book(Dice(31), PALETTE)
    builder.add("book", moved(book.parts, place, shift(-0.08, 0.05, 0.43), turn_z(0.5)))
