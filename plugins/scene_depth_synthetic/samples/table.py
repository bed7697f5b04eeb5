"""Sample scene: a wooden table in afternoon light; the striped vase is the object to remove."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural import books, finishes, lamps, tableware
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import paint, timber
from scene_depth_synthetic.procedural.lighting import BALL, RECTANGLE, Light, Sky
from scene_depth_synthetic.procedural.materials import BOOK, LANDSCAPE, PLAIN, STRIPES, TARTAN, Material, rgb
from scene_depth_synthetic.procedural.plants import potted_plant
from scene_depth_synthetic.procedural.shapes import Part, block, box, moved, panel
from scene_depth_synthetic.procedural.transforms import shift, turn_x, turn_y, turn_z
from scene_depth_synthetic.procedural.world import World, WorldBuilder
from scene_depth_synthetic.samples.paths import arc_cameras
from scene_depth_synthetic.samples.recipe import SampleScene

TOP = 0.75  # height of the table
OAK = timber(rgb("#b98a56"), rgb("#74491f"), ring=0.035, contrast=0.8, polish=0.25, seed=11)
WALL_Y = 0.78


def table_scene() -> SampleScene:
    """Books, a mug, a fruit bowl, a plant and a lamp around a striped vase, before a wall with a picture."""
    builder = WorldBuilder()
    _surroundings(builder)
    vase = _vase(builder)
    _left_group(builder)
    _right_group(builder)
    world = World(
        tuple(builder.things),
        (
            Light(RECTANGLE, (-1.5, -0.9, 1.9), (10.5, 9.0, 6.7), (0.0, 0.5, 0.0), (0.36, 0.0, 0.36)),
            Light(RECTANGLE, (1.6, -1.5, 2.0), (2.2, 2.3, 2.6), (0.0, 0.5, 0.0), (0.4, 0.0, -0.4)),
            Light(BALL, (0.57, 0.4, TOP + 0.31), (30.0, 22.0, 12.0), radius=0.04),
        ),
        Sky((0.25, 0.23, 0.2), (0.3, 0.27, 0.23), (0.12, 0.1, 0.08)),
        (0.17, 0.15, 0.125),
    )
    cameras = arc_cameras(
        target=(0.02, 0.02, 0.9), center=(0.0, 0.05, 0.85), radius=(1.1, 1.28), azimuth=(-40.0, 40.0), elevation=(10.0, 32.0),
        size=(320, 240), focal=(318.0, 322.5), principal=(166.4, 114.7),
    )  # fmt: skip
    return SampleScene("table", world, (vase,), "the striped vase", cameras, exposure=1.25, depth_unit=2e-4)


def _surroundings(builder: WorldBuilder) -> None:
    builder.add("table", [block((1.7, 0.95, 0.04), (0, 0.02, TOP - 0.04), OAK)])
    builder.add("floor", [block((9.0, 7.0, 0.1), (0, 0, -0.1), finishes.parquet(*finishes.WOODS[1], width=0.14, seed=2))])
    plaster = finishes.plaster(rgb("#cdbfa4"), amount=0.05, seed=3)
    builder.add("wall", [block((9.0, 0.1, 3.0), (0, WALL_Y + 0.05, 0), plaster)])
    rail = paint(rgb("#e4dccb"), sheen=0.15)
    boards = Material(STRIPES, rgb("#7f8d80"), rgb("#5d6b61"), rgb("#7f8d80"), (0.11, 0.11), (0.0, 0.07, 0.0), 5)
    builder.add(
        "wall",
        [box((9.0, 0.02, 0.93), (0, WALL_Y - 0.01, 0.465), boards), box((9.0, 0.05, 0.045), (0, WALL_Y - 0.02, 0.95), rail)],
    )
    view = Material(LANDSCAPE, rgb("#e9cf9b"), rgb("#3c5f73"), rgb("#cf6a3f"), (0.5, 0.36), (0.05,), 77)
    edge, x, z = timber(*finishes.WOODS[1], ring=0.02, polish=0.3, seed=8), 0.1, 1.3
    frame = [panel(0.5, 0.36, (x, WALL_Y - 0.012, z), view, "y"), box((0.5, 0.008, 0.36), (x, WALL_Y - 0.006, z), rail)]
    for side in (-1.0, 1.0):
        frame.append(box((0.58, 0.025, 0.04), (x, WALL_Y - 0.013, z + side * 0.2), edge))
        frame += moved(
            [box((0.36, 0.025, 0.04), (0, 0, 0), edge)], shift(x + side * 0.27, WALL_Y - 0.013, z), turn_y(0.5 * math.pi)
        )
    builder.add("picture", frame)
    tartan = Material(TARTAN, rgb("#8f2f2a"), rgb("#2c3f5c"), rgb("#e3d3a8"), (0.075, 0.075), (10.0,), 4)
    builder.add("cloth", moved([block((0.62, 0.42, 0.003), (0, 0, 0), tartan)], shift(0.2, -0.14, TOP), turn_z(0.28)))


def _vase(builder: WorldBuilder) -> int:
    glaze = Material(
        STRIPES, rgb("#ead9b7"), rgb("#275a78"), rgb("#bf6236"), (0.058, 0.058), (0.5 * math.pi, 0.42, 0.1), 6, 0.35, 6, 0.04
    )
    vase = tableware.vase(0.1, 0.36, glaze, style=0)
    return builder.add("container", moved(vase.parts, shift(0.02, 0.03, TOP)))


def _left_group(builder: WorldBuilder) -> None:
    palette = finishes.PALETTES[8]
    stack = books.book_stack(Dice(40), palette, 4)
    builder.add("book", moved(stack.parts, shift(-0.34, 0.14, TOP), turn_z(0.35)))
    mug = tableware.mug(0.042, 0.09, paint(rgb("#c98a2b"), sheen=0.7, gloss=6))
    builder.add("tableware", moved(mug.parts, shift(-0.2, -0.2, TOP), turn_z(-2.3)))
    plant = potted_plant(Dice(5), 0.065, 0.34, paint(rgb("#b3603c"), unevenness=0.2, seed=4))
    builder.add("plant", moved(plant.parts, shift(-0.52, 0.3, TOP)))
    cover = Material(BOOK, rgb("#2f4d46"), rgb("#d9c58f"), rgb("#d9c58f"), (0.15, 0.22), (0.0,), 21, 0.1)
    book = moved(books.book(0.15, 0.22, 0.028, cover), shift(0.0, 0.11, 0.014), turn_x(0.5 * math.pi), turn_z(0.5 * math.pi))
    builder.add("book", moved(book, shift(-0.42, -0.16, TOP), turn_z(-0.35)))


def _right_group(builder: WorldBuilder) -> None:
    bowl = tableware.fruit_bowl(
        Dice(14), 0.12, Material(PLAIN, rgb("#dfe2dc"), scale=(0.1, 0.1), parameters=(0.03,), specular=0.4, gloss=6, mirror=0.03)
    )
    builder.add("food", moved(bowl.parts, shift(0.33, 0.2, TOP)))
    candle = tableware.candle(0.012, 0.17, paint(rgb("#efe3c8"), sheen=0.2), finishes.metal(rgb("#b08d45"), mirror=0.2))
    builder.add("other", moved(candle.parts, shift(0.13, 0.34, TOP)))
    apple = tableware.apple(0.036, paint(rgb("#a3342b"), sheen=0.4, unevenness=0.25, seed=9))
    builder.add("food", moved(apple.parts, shift(0.2, -0.13, TOP + 0.003), turn_z(1.0)))
    pot = tableware.teapot(0.075, paint(rgb("#5f8187"), sheen=0.7, gloss=6))
    builder.add("tableware", moved(pot.parts, shift(0.5, -0.03, TOP), turn_z(2.5)))
    lamp = _lamp()
    builder.add("lamp", moved(lamp, shift(0.57, 0.4, TOP)))


def _lamp() -> list[Part]:
    """The lamp at the right end of the table."""
    return lamps.table_lamp(Dice(7), finishes.PALETTES[9], 0.42, lit=True).parts
