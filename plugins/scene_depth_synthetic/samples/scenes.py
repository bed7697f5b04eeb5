"""The sample scenes: what each of them is before it is drawn, and a hand-held walk around its object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from scene_depth.cameras import Cameras, look_at
from scene_depth_synthetic.procedural import finishes, furniture, interior, small_things, street_parts, tableware
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import paint, timber
from scene_depth_synthetic.procedural.lighting import BALL, RECTANGLE, SUN, Light, Sky
from scene_depth_synthetic.procedural.materials import (
    BOOK,
    COBBLES,
    LANDSCAPE,
    MOTTLED,
    PLAIN,
    POSTER,
    STRIPES,
    TARTAN,
    WEAVE,
    Material,
    rgb,
    scaled,
)
from scene_depth_synthetic.procedural.plants import potted_plant, tree
from scene_depth_synthetic.procedural.shapes import Part, Shelf, block, box, cushion, cylinder, moved, panel
from scene_depth_synthetic.procedural.transforms import Matrix, compose, shift, sine_cosine, turn_x, turn_y, turn_z
from scene_depth_synthetic.procedural.world import World, WorldBuilder

HELD_OUT_EVERY = 4  # of the views in order of their names


@dataclass(frozen=True)
class SampleScene:
    """A posed capture of a world with an object that is to be removed.

    Attributes:
        name: Of its folder.
        world: All things, the object among them.
        removed: Numbers of the things that make up the object.
        object_name: What the object is, in words.
        cameras: All views in order; each ``HELD_OUT_EVERY``-th is held out.
        exposure: Factor on the radiance, the same for all views.
        depth_unit: Metres a step of the depth images.
        samples: Rays a pixel for colour.
        lit_samples: How many of them look for light.
    """

    name: str
    world: World
    removed: tuple[int, ...]
    object_name: str
    cameras: Cameras
    exposure: float
    depth_unit: float
    samples: int = 32
    lit_samples: int = 16

    def view_names(self) -> list[str]:
        """Names of the views without extension, in order."""
        return [f"frame_{i:02d}" for i in range(len(self.cameras))]

    def held_out(self) -> list[int]:
        """Indices of the views that are not for training."""
        return list(range(0, len(self.cameras), HELD_OUT_EVERY))


VIEWS = 32
DIGITS = 9  # poses are rounded, so that a file holds exactly what was drawn


def arc_cameras(
    *,
    target: tuple[float, float, float],
    center: tuple[float, float, float],
    radius: tuple[float, float],
    azimuth: tuple[float, float],
    elevation: tuple[float, float],
    size: tuple[int, int],
    focal: tuple[float, float],
    principal: tuple[float, float],
    sweeps: float = 1.5,
) -> Cameras:
    """Cameras on an arc that rises and falls and comes nearer and goes away, all looking at about the same point.

    Args:
        target: What they look at, metres.
        center: Centre of the arc.
        radius: Smallest and largest distance to the centre, metres.
        azimuth: First and last angle from -y towards +x, degrees.
        elevation: Lowest and highest angle above the horizon, degrees.
        size: Width and height in pixels.
        focal: fx, fy in pixels.
        principal: cx, cy in pixels.
        sweeps: How often the path rises and falls.
    """
    poses = []
    for i in range(VIEWS):
        t = i / (VIEWS - 1)
        up_down = 0.5 - 0.5 * _cosine(2.0 * math.pi * sweeps * t)
        near_far = 0.5 - 0.5 * _cosine(2.0 * math.pi * 2.3 * t + 1.0)
        az = math.radians(azimuth[0] + (azimuth[1] - azimuth[0]) * t)
        el = math.radians(elevation[0] + (elevation[1] - elevation[0]) * up_down)
        r = radius[0] + (radius[1] - radius[0]) * near_far
        level = r * _cosine(el)
        eye = (center[0] + level * _sine(az), center[1] - level * _cosine(az), center[2] + r * _sine(el))
        sway = (0.04 * r * _sine(5.0 * t + 1.0), 0.0, 0.03 * r * _cosine(7.0 * t))
        roll = 0.03 * _sine(11.0 * t + 0.5)
        poses.append(_pose(eye, tuple(a + b for a, b in zip(target, sway, strict=True)), roll))
    K = torch.tensor([[focal[0], 0.0, principal[0]], [0.0, focal[1], principal[1]], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Cameras(torch.stack(poses), K.expand(VIEWS, 3, 3).clone(), *size)


def _pose(eye: tuple[float, ...], target: tuple[float, ...], roll: float) -> torch.Tensor:
    forward = [b - a for a, b in zip(eye, target, strict=True)]
    flat = math.sqrt(forward[0] ** 2 + forward[1] ** 2)
    up = (_sine(roll) * forward[1] / flat, -_sine(roll) * forward[0] / flat, _cosine(roll))
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in (eye, target, up)))
    return torch.from_numpy(np.round(pose.numpy(), DIGITS))


def _sine(angle: float) -> float:
    return sine_cosine(angle)[0]


def _cosine(angle: float) -> float:
    return sine_cosine(angle)[1]


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
    stack = small_things.book_stack(Dice(40), palette, 4)
    builder.add("book", moved(stack.parts, shift(-0.34, 0.14, TOP), turn_z(0.35)))
    mug = tableware.mug(0.042, 0.09, paint(rgb("#c98a2b"), sheen=0.7, gloss=6))
    builder.add("tableware", moved(mug.parts, shift(-0.2, -0.2, TOP), turn_z(-2.3)))
    plant = potted_plant(Dice(5), 0.065, 0.34, paint(rgb("#b3603c"), unevenness=0.2, seed=4))
    builder.add("plant", moved(plant.parts, shift(-0.52, 0.3, TOP)))
    cover = Material(BOOK, rgb("#2f4d46"), rgb("#d9c58f"), rgb("#d9c58f"), (0.15, 0.22), (0.0,), 21, 0.1)
    book = moved(
        small_things.book(0.15, 0.22, 0.028, cover), shift(0.0, 0.11, 0.014), turn_x(0.5 * math.pi), turn_z(0.5 * math.pi)
    )
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
    return small_things.table_lamp(Dice(7), finishes.PALETTES[9], 0.42, lit=True).parts


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
        globe, plant = small_things.globe(Dice(3), 0.1), potted_plant(Dice(12), 0.06, 0.3, paint(rgb("#e8dcc4"), sheen=0.3))
        builder.add("other", moved(globe.parts, place, shift(-0.42, 0.0, board.z)))
        builder.add("plant", moved(plant.parts, place, shift(0.4, 0.0, board.z)))
        return
    side = -1.0 if level % 2 else 1.0
    length = board.width * (0.5, 0.62, 0.55, 0.68, 0.45)[level]
    row = small_things.book_row(Dice(50 + level), PALETTE, length, min(board.clearance, 0.32))
    builder.add("book", moved(row.parts, place, shift(side * 0.5 * (board.width - length), -0.02, board.z)))
    thing = (
        small_things.carton(Dice(61), PALETTE, 0.2),
        tableware.vase(0.07, 0.22, finishes.ceramic(Dice(64), PALETTE), 1),
        small_things.bear(Dice(66), 0.24),
        tableware.bowl(0.12, 0.09, paint(rgb("#c8553d"), sheen=0.6, gloss=6)),
        small_things.standing_frame(Dice(68), PALETTE),
    )[level]
    builder.add(thing.category, moved(thing.parts, place, shift(-side * 0.36, -0.02, board.z)))


def _on_the_cabinet(builder: WorldBuilder, top: float) -> None:
    lamp = small_things.table_lamp(Dice(4), PALETTE, 0.46, lit=True)
    builder.add("lamp", moved(lamp.parts, shift(1.42, BACK - 0.22, top)))
    stack = small_things.book_stack(Dice(6), PALETTE, 3)
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
    ball = small_things.ball(Dice(2), PALETTE, 0.13)
    builder.add("toy", moved(ball.parts, shift(1.25, 0.75, 0.0)))


def _coffee_table(builder: WorldBuilder) -> None:
    wood = timber(*finishes.WOODS[1], ring=0.03, polish=0.3, seed=12)
    parts: list[Part] = [cylinder(0.34, 0.03, (0, 0, 0.4), wood), *furniture.legs(0.5, 0.5, 0.4, 0.022, wood, 2)]
    place = shift(-0.78, 0.05, 0.0)
    builder.add("table", moved(parts, place))
    mug = tableware.mug(0.042, 0.09, paint(rgb("#e4b363"), sheen=0.7, gloss=6))
    builder.add("tableware", moved(mug.parts, place, shift(0.1, -0.12, 0.43), turn_z(-1.2)))
    book = small_things.lying_book(Dice(31), PALETTE)
    builder.add("book", moved(book.parts, place, shift(-0.08, 0.05, 0.43), turn_z(0.5)))


KERB = 0.12
HOUSES = ((-20.2, 7.5, 12), (-12.7, 8.0, 26), (-4.7, 8.2, 36), (3.5, 7.0, 35), (10.5, 7.6, 38))  # left edge, width, seed


def street_scene() -> SampleScene:
    """Houses and shops, trees, lamps, people, and a car parked at the kerb."""
    builder = WorldBuilder()
    _ground(builder)
    car = builder.add("car", moved(street_parts.car(Dice(3), rgb("#a3282a")).parts, shift(0.3, 2.0, 0.0), turn_z(-0.5 * math.pi)))
    _houses(builder)
    _furniture(builder)
    rise = 0.95
    length = math.sqrt(0.5**2 + 0.75**2 + rise**2)
    sun = Light(SUN, (-0.5 / length, -0.75 / length, rise / length), (2.9, 2.5, 1.9), radius=0.03)
    world = World(
        tuple(builder.things), (sun,), Sky((0.22, 0.4, 0.75), (0.72, 0.79, 0.86), (0.3, 0.28, 0.25), 0.5, 7), (0.12, 0.12, 0.12)
    )
    cameras = arc_cameras(
        target=(0.3, 3.6, 2.15), center=(0.3, 2.5, 1.0), radius=(8.4, 9.8), azimuth=(-32.0, 30.0), elevation=(4.0, 17.0),
        size=(320, 240), focal=(301.5, 308.0), principal=(166.8, 113.6),
    )  # fmt: skip
    return SampleScene(
        "street", world, (car,), "the parked car", cameras, exposure=0.95, depth_unit=1e-3, samples=16, lit_samples=8
    )


def _ground(builder: WorldBuilder) -> None:
    asphalt = Material(MOTTLED, rgb("#77736d"), rgb("#625f5b"), scale=(0.9, 0.9), parameters=(0.5, 0.25), seed=5)
    builder.add("road", [block((60.0, 14.0, 0.4), (0, -4.0, -0.4), asphalt)])
    stone = paint(rgb("#b5afa3"), unevenness=0.3, seed=2)
    cobbles = Material(COBBLES, rgb("#a39a8b"), rgb("#5c564d"), rgb("#7f766a"), (0.3, 0.3), (0.1, 0.35), 9)
    builder.add(
        "pavement",
        [block((60.0, 0.18, 0.4), (0, 3.09, KERB - 0.39), stone), block((60.0, 9.0, 0.4), (0, 7.68, KERB - 0.4), cobbles)],
    )
    white = paint(rgb("#dcd8cc"), unevenness=0.3)
    builder.add("road", [panel(2.0, 0.12, (4.0 * i - 12.0, -0.6, 0.004), white) for i in range(8)])


def _houses(builder: WorldBuilder) -> None:
    for left, width, seed in HOUSES:
        parts, _ = street_parts.building(Dice(seed), finishes.PALETTES[seed % len(finishes.PALETTES)], width, 9.0)
        builder.add("building", moved(parts, shift(left + 0.5 * width, 5.6, KERB)))


def _furniture(builder: WorldBuilder) -> None:
    for x, seed, height in ((-4.9, 3, 4.2), (5.6, 9, 3.8)):
        builder.add("tree", moved(tree(Dice(seed), height).parts, shift(x, 3.9, KERB)))
    lamp = street_parts.street_lamp(Dice(2), 4.2)
    builder.add("pole", moved(lamp.parts, shift(2.9, 3.5, KERB)))
    bench = street_parts.bench(Dice(3))
    builder.add("chair", moved(bench.parts, shift(-1.6, 5.0, KERB)))
    bin_ = street_parts.litter_bin(Dice(6), finishes.PALETTES[3])
    builder.add("container", moved(bin_.parts, shift(0.75, 4.9, KERB), turn_z(0.2)))
    sign = street_parts.traffic_sign(Dice(12), finishes.PALETTES[7])
    builder.add("sign", moved(sign.parts, shift(-3.1, 3.4, KERB)))
    for x, y, seed, turn in ((2.0, 4.5, 4, 1.2), (-6.3, 4.6, 8, -1.4)):
        builder.add(
            "person", moved(street_parts.person(Dice(seed), finishes.PALETTES[seed]).parts, shift(x, y, KERB), turn_z(turn))
        )
    second = street_parts.car(Dice(11))
    builder.add("car", moved(second.parts, shift(7.0, 2.0, 0.0), turn_z(-0.5 * math.pi)))
