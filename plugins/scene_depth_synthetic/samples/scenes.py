"""The sample scenes: what each of them is before it is drawn, and a hand-held walk around its object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from scene_depth.cameras import Cameras
from scene_depth_synthetic.procedural import furniture, interior, small_things, street_parts, tableware
from scene_depth_synthetic.procedural import materials as m
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import PALETTES, UPRIGHT, WOODS, ceramic, paint, parquet, plaster, timber
from scene_depth_synthetic.procedural.frames import Vector, hand_held_pose
from scene_depth_synthetic.procedural.lighting import BALL, RECTANGLE, SUN, Light, Sky
from scene_depth_synthetic.procedural.materials import Material, rgb, scaled
from scene_depth_synthetic.procedural.plants import potted_plant, tree
from scene_depth_synthetic.procedural.shapes import ORIGIN, block, box, cushion, cylinder, moved, panel
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
QUARTER = 0.5 * math.pi
Range = tuple[float, float]


def arc_cameras(
    target: Vector, center: Vector, radius: Range, azimuth: Range, elevation: Range, focal: Range, principal: Range
) -> Cameras:
    """Cameras of 320 x 240 pixels on an arc that rises, falls, comes nearer and goes away, all looking at about one point.

    Args:
        target: What they look at, metres.
        center: Centre of the arc.
        radius: Smallest and largest distance to the centre, metres.
        azimuth: First and last angle from -y towards +x, degrees.
        elevation: Lowest and highest angle above the horizon, degrees.
        focal, principal: fx, fy and cx, cy in pixels.
    """

    def cosine(angle: float) -> float:
        return sine_cosine(angle)[1]

    def sine(angle: float) -> float:
        return sine_cosine(angle)[0]

    poses = []
    for i in range(VIEWS):
        t = i / (VIEWS - 1)
        up_down = 0.5 - 0.5 * cosine(2.0 * math.pi * 1.5 * t)
        near_far = 0.5 - 0.5 * cosine(2.0 * math.pi * 2.3 * t + 1.0)
        az = math.radians(azimuth[0] + (azimuth[1] - azimuth[0]) * t)
        el = math.radians(elevation[0] + (elevation[1] - elevation[0]) * up_down)
        r = radius[0] + (radius[1] - radius[0]) * near_far
        level = r * cosine(el)
        eye = (center[0] + level * sine(az), center[1] - level * cosine(az), center[2] + r * sine(el))
        sight = (target[0] + 0.04 * r * sine(5.0 * t + 1.0), target[1] + 0.0, target[2] + 0.03 * r * cosine(7.0 * t))
        poses.append(hand_held_pose(eye, sight, 0.03 * sine(11.0 * t + 0.5)))
    K = torch.tensor([[focal[0], 0.0, principal[0]], [0.0, focal[1], principal[1]], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Cameras(torch.stack(poses), K.expand(VIEWS, 3, 3).clone(), 320, 240)


TOP, WALL_Y = 0.75, 0.78  # height of the table, y of the wall behind it


def table_scene() -> SampleScene:
    """Books, a mug, a fruit bowl, a plant and a lamp around a striped vase, before a wall with a picture."""
    builder = WorldBuilder()
    _surroundings_of_the_table(builder)
    glaze = Material(m.STRIPES, "#ead9b7", "#275a78", "#bf6236", 0.058, (UPRIGHT, 0.42, 0.1), 6, 0.35, 6, 0.04)
    vase = builder.put(tableware.vase(0.1, 0.36, glaze), shift(0.02, 0.03, TOP))
    _things_on_the_table(builder)
    lights = (
        Light(RECTANGLE, (-1.5, -0.9, 1.9), (10.5, 9.0, 6.7), (0.0, 0.5, 0.0), (0.36, 0.0, 0.36)),
        Light(RECTANGLE, (1.6, -1.5, 2.0), (2.2, 2.3, 2.6), (0.0, 0.5, 0.0), (0.4, 0.0, -0.4)),
        Light(BALL, (0.57, 0.4, TOP + 0.31), (30.0, 22.0, 12.0), radius=0.04),
    )
    sky = Sky((0.25, 0.23, 0.2), (0.3, 0.27, 0.23), (0.12, 0.1, 0.08))
    cameras = arc_cameras(
        target=(0.02, 0.02, 0.9), center=(0.0, 0.05, 0.85), radius=(1.1, 1.28), azimuth=(-40.0, 40.0), elevation=(10.0, 32.0),
        focal=(318.0, 322.5), principal=(166.4, 114.7),
    )  # fmt: skip
    world = World(tuple(builder.things), lights, sky, (0.17, 0.15, 0.125))
    return SampleScene("table", world, (vase,), "the striped vase", cameras, exposure=1.25, depth_unit=2e-4)


def _surroundings_of_the_table(builder: WorldBuilder) -> None:
    oak = timber("#b98a56", "#74491f", ring=0.035, contrast=0.8, polish=0.25, seed=11)
    builder.add("table", block((1.7, 0.95, 0.04), (0, 0.02, TOP - 0.04), oak))
    builder.add("floor", block((9.0, 7.0, 0.1), (0, 0, -0.1), parquet(*WOODS[1], width=0.14, seed=2)))
    builder.add("wall", block((9.0, 0.1, 3.0), (0, WALL_Y + 0.05, 0), plaster("#cdbfa4", amount=0.05, seed=3)))
    rail = paint("#e4dccb", sheen=0.15)
    boards = Material(m.STRIPES, "#7f8d80", "#5d6b61", "#7f8d80", 0.11, (0.0, 0.07, 0.0), 5)
    panelling = box((9.0, 0.02, 0.93), (0, WALL_Y - 0.01, 0.465), boards)
    builder.add("wall", [panelling, box((9.0, 0.05, 0.045), (0, WALL_Y - 0.02, 0.95), rail)])
    view = Material(m.LANDSCAPE, "#e9cf9b", "#3c5f73", "#cf6a3f", (0.5, 0.36), (0.05,), 77)
    edge, x, y, z = timber(*WOODS[1], ring=0.02, polish=0.3, seed=8), 0.1, WALL_Y - 0.013, 1.3
    frame = [panel(0.5, 0.36, (x, WALL_Y - 0.012, z), view, "y"), box((0.5, 0.008, 0.36), (x, WALL_Y - 0.006, z), rail)]
    for side in (-1.0, 1.0):
        frame.append(box((0.58, 0.025, 0.04), (x, y, z + side * 0.2), edge))
        frame += moved(box((0.36, 0.025, 0.04), ORIGIN, edge), shift(x + side * 0.27, y, z), turn_y(QUARTER))
    builder.add("picture", frame)
    tartan = Material(m.TARTAN, "#8f2f2a", "#2c3f5c", "#e3d3a8", 0.075, (10.0,), 4)
    builder.add("cloth", block((0.62, 0.42, 0.003), ORIGIN, tartan), shift(0.2, -0.14, TOP), turn_z(0.28))


def _things_on_the_table(builder: WorldBuilder) -> None:
    put = builder.put
    put(small_things.book_stack(Dice(40), PALETTES[8], 4), shift(-0.34, 0.14, TOP), turn_z(0.35))
    put(tableware.mug(0.042, 0.09, paint("#c98a2b", sheen=0.7, gloss=6)), shift(-0.2, -0.2, TOP), turn_z(-2.3))
    pot = paint("#b3603c", unevenness=0.2, seed=4)
    put(potted_plant(Dice(5), 0.065, 0.34, pot), shift(-0.52, 0.3, TOP))
    cover = Material(m.BOOK, "#2f4d46", "#d9c58f", "#d9c58f", (0.15, 0.22), (0.0,), 21, 0.1)
    book = moved(small_things.book(0.15, 0.22, 0.028, cover), shift(0.0, 0.11, 0.014), turn_x(QUARTER), turn_z(QUARTER))
    builder.add("book", book, shift(-0.42, -0.16, TOP), turn_z(-0.35))
    china = Material(m.PLAIN, "#dfe2dc", scale=0.1, parameters=(0.03,), specular=0.4, gloss=6, mirror=0.03)
    put(tableware.fruit_bowl(Dice(14), 0.12, china), shift(0.33, 0.2, TOP))
    put(tableware.candle(0.012, 0.17, paint("#efe3c8", sheen=0.2), small_things.BRASS), shift(0.13, 0.34, TOP))
    skin = paint("#a3342b", sheen=0.4, unevenness=0.25, seed=9)
    put(tableware.apple(0.036, skin), shift(0.2, -0.13, TOP + 0.003), turn_z(1.0))
    put(tableware.teapot(0.075, paint("#5f8187", sheen=0.7, gloss=6)), shift(0.5, -0.03, TOP), turn_z(2.5))
    put(small_things.table_lamp(Dice(7), PALETTES[9], 0.42, lit=True), shift(0.57, 0.4, TOP))


BACK, LEFT, HEIGHT = 1.9, -2.3, 2.6  # y of the back wall, x of the left wall, height of the room
PALETTE = PALETTES[2]
WINDOW = interior.Opening(-0.75, 0.85, 0.85, 2.1, True)


def room_scene() -> SampleScene:
    """Bookcase, sofa, plant, lamp and rug behind an armchair."""
    builder = WorldBuilder()
    left_wall = _shell(builder)
    chair = _armchair(builder)
    _along_the_back(builder)
    _on_the_floor(builder)
    lights = (
        interior.daylight(WINDOW, left_wall, 15.0),
        Light(RECTANGLE, (1.6, -2.4, 2.4), (2.6, 2.5, 2.3), (0.0, 0.7, 0.0), (0.7, 0.0, -0.5)),
        Light(BALL, (1.62, 1.45, 1.42), (42.0, 30.0, 16.0), radius=0.06),
    )
    sky = Sky((1.4, 1.9, 2.6), (2.2, 2.35, 2.5), (0.8, 0.85, 0.7), 0.4, 3, False)
    cameras = arc_cameras(
        target=(0.05, 0.5, 0.72), center=(0.0, 0.3, 0.75), radius=(2.7, 3.05), azimuth=(-27.0, 33.0), elevation=(8.0, 24.0),
        focal=(296.5, 292.0), principal=(152.3, 124.6),
    )  # fmt: skip
    world = World(tuple(builder.things), lights, sky, (0.34, 0.32, 0.28))
    return SampleScene("room", world, (chair,), "the striped armchair", cameras, 0.85, 4e-4, samples=16, lit_samples=8)


def _shell(builder: WorldBuilder) -> Matrix:
    """Floor, ceiling, walls and the window; returns the place of the left wall."""
    add, trim = builder.add, paint("#ece8df", sheen=0.2)
    add("floor", block((11.0, 8.0, 0.1), (2.5, -1.0, -0.1), parquet(*WOODS[0], width=0.13, polish=0.25, seed=4)))
    add("ceiling", block((11.0, 8.0, 0.1), (2.5, -1.0, HEIGHT), paint("#ece8df")))
    back, left = shift(2.5, BACK, 0.0), compose(shift(LEFT, -0.6, 0.0), turn_z(QUARTER))
    add("wall", interior.wall(11.0, HEIGHT, [], plaster("#93a79b", seed=6), -1), back)
    add("wall", interior.wall(6.5, HEIGHT, [WINDOW], plaster("#ddd3bf", seed=7), -2), left)
    boards = moved(interior.skirting(11.0, [], 0.11, trim), back), moved(interior.skirting(6.5, [], 0.11, trim), left)
    add("wall", [*boards[0], *boards[1]])
    add("window", interior.window_frame(WINDOW, 2, 2, trim), left)
    linen = Material(m.WEAVE, scaled("#d9c8a9", 1.05), "#bfa982", "#d9c8a9", 0.008, (0.5,), 3)
    for x in (-0.98, 1.06):
        add("curtain", interior.curtain(Dice(5), 0.42, 2.25, linen), left, shift(x, -0.1, 0.04))
    return left


def _armchair(builder: WorldBuilder) -> int:
    fabric = Material(m.STRIPES, "#c5502f", "#eadbb9", "#7a2f22", 0.11, (0.0, 0.35, 0.06), 8)
    parts = furniture.legs(0.74, 0.7, 0.14, 0.025, timber(*WOODS[1], seed=3), 2)
    parts += [cushion((0.78, 0.74, 0.26), (0, 0, 0.25), fabric), cushion((0.56, 0.6, 0.18), (0, -0.06, 0.42), fabric)]
    parts += moved(cushion((0.72, 0.2, 0.62), ORIGIN, fabric), shift(0, 0.3, 0.62), turn_x(-0.18))
    parts += [cushion((0.15, 0.7, 0.26), (side * 0.35, -0.02, 0.5), fabric) for side in (-1.0, 1.0)]
    blue = Material(m.WEAVE, "#2b5f7e", "#4f86a3", "#2b5f7e", 0.012, (0.8,), 2)
    parts += moved(cushion((0.38, 0.13, 0.36), ORIGIN, blue), shift(0.03, 0.13, 0.66), turn_x(-0.4), turn_y(0.12))
    return builder.add("sofa", parts, shift(0.12, 0.28, 0.0), turn_z(0.35))


def _along_the_back(builder: WorldBuilder) -> None:
    """A bookcase with things in it, a cabinet with things on it, and pictures."""
    put, place = builder.put, shift(-0.25, BACK - 0.17, 0.0)
    case = furniture.bookcase(Dice(21), PALETTE, 1.25, 1.85, 0.3)
    put(case, place)
    *boards, top = case.shelves
    things = (
        small_things.carton(Dice(61), PALETTE, 0.2),
        tableware.vase(0.07, 0.22, ceramic(Dice(64), PALETTE), 1),
        small_things.bear(Dice(66), 0.24),
        tableware.bowl(0.12, 0.09, paint("#c8553d", sheen=0.6, gloss=6)),
        small_things.standing_frame(Dice(68), PALETTE),
    )
    for level, (board, thing, share) in enumerate(zip(boards, things, (0.5, 0.62, 0.55, 0.68, 0.45), strict=True)):
        side, length = -1.0 if level % 2 else 1.0, board.width * share
        row = small_things.book_row(Dice(50 + level), PALETTE, length, min(board.clearance, 0.32))
        put(row, place, shift(side * 0.5 * (board.width - length), -0.02, board.z))
        put(thing, place, shift(-side * 0.36, -0.02, board.z))
    put(small_things.globe(Dice(3), 0.1), place, shift(-0.42, 0.0, top.z))
    put(potted_plant(Dice(12), 0.06, 0.3, paint("#e8dcc4", sheen=0.3)), place, shift(0.4, 0.0, top.z))
    low = furniture.cabinet(Dice(9), PALETTE, 0.95, 0.62, 0.38)
    put(low, shift(1.15, BACK - 0.22, 0.0))
    put(small_things.table_lamp(Dice(4), PALETTE, 0.46, lit=True), shift(1.42, BACK - 0.22, low.height))
    put(small_things.book_stack(Dice(6), PALETTE, 3), shift(0.86, BACK - 0.2, low.height), turn_z(0.3))
    put(tableware.vase(0.06, 0.2, paint("#d7b98a", sheen=0.5, gloss=6), 2), shift(1.12, BACK - 0.2, low.height))
    for x, z, w, h, art in (
        (0.95, 1.62, 0.52, 0.4, Material(m.LANDSCAPE, "#e7cfa2", "#2f5a6e", "#d0663c", (0.52, 0.4), (-0.05,), 12)),
        (1.55, 1.75, 0.34, 0.46, Material(m.POSTER, "#e9dfc9", "#2b6a8e", "#c8553d", (0.34, 0.46), (7.0, 0.06), 31)),
    ):
        frame = box((w + 0.06, 0.02, h + 0.06), (x, BACK - 0.012, z), paint("#3a2c22", sheen=0.3))
        builder.add("picture", [frame, panel(w, h, (x, BACK - 0.0225, z), art, "y")])


def _on_the_floor(builder: WorldBuilder) -> None:
    """A plant, a rug, a coffee table with things on it, a basket and a ball."""
    put, add = builder.put, builder.add
    pot = Material(m.STRIPES, "#e6dcc6", "#8b6f53", "#e6dcc6", 0.07, (UPRIGHT, 0.4, 0.0))
    put(potted_plant(Dice(8), 0.17, 1.25, pot), shift(-1.25, BACK - 0.42, 0.0))
    rug = Material(m.STRIPES, "#e7d6ad", "#274d63", "#b9492f", 0.26, (0.0, 0.4, 0.12), 5)
    add("rug", block((2.1, 1.5, 0.012), ORIGIN, rug), shift(0.1, 0.1, 0.0), turn_z(0.06))
    wood, place = timber(*WOODS[1], ring=0.03, polish=0.3, seed=12), shift(-0.78, 0.05, 0.0)
    add("table", [cylinder(0.34, 0.03, (0, 0, 0.4), wood), *furniture.legs(0.5, 0.5, 0.4, 0.022, wood, 2)], place)
    put(tableware.mug(0.042, 0.09, paint("#e4b363", sheen=0.7, gloss=6)), place, shift(0.1, -0.12, 0.43), turn_z(-1.2))
    put(small_things.lying_book(Dice(31), PALETTE), place, shift(-0.08, 0.05, 0.43), turn_z(0.5))
    cane = Material(m.WEAVE, "#b08a57", "#7e5c34", "#b08a57", 0.03, (0.8,))
    add("container", cylinder(0.19, 0.3, ORIGIN, cane, caps=1), shift(-1.05, 0.85, 0.0))
    put(small_things.ball(Dice(2), PALETTE, 0.13), shift(1.25, 0.75, 0.0))


KERB = 0.12
HOUSES = ((-20.2, 7.5, 12), (-12.7, 8.0, 26), (-4.7, 8.2, 36), (3.5, 7.0, 35), (10.5, 7.6, 38))  # left edge, width, seed


def street_scene() -> SampleScene:
    """Houses and shops across a street, trees, lamps, people, and a car parked at the kerb; there is sky of no known depth."""
    builder = WorldBuilder()
    put, add = builder.put, builder.add
    asphalt = Material(m.MOTTLED, "#77736d", "#625f5b", scale=0.9, parameters=(0.5, 0.25), seed=5)
    add("road", block((60.0, 14.0, 0.4), (0, -4.0, -0.4), asphalt))
    kerb = block((60.0, 0.18, 0.4), (0, 3.09, KERB - 0.39), paint("#b5afa3", unevenness=0.3, seed=2))
    cobbles = Material(m.COBBLES, "#a39a8b", "#5c564d", "#7f766a", 0.3, (0.1, 0.35), 9)
    add("pavement", [kerb, block((60.0, 9.0, 0.4), (0, 7.68, KERB - 0.4), cobbles)])
    white = paint("#dcd8cc", unevenness=0.3)
    add("road", [panel(2.0, 0.12, (4.0 * i - 12.0, -0.6, 0.004), white) for i in range(8)])
    car = put(street_parts.car(Dice(3), rgb("#a3282a")), shift(0.3, 2.0, 0.0), turn_z(-QUARTER))
    for left, width, seed in HOUSES:
        house = street_parts.building(Dice(seed), PALETTES[seed % len(PALETTES)], width, 9.0)
        add("building", house, shift(left + 0.5 * width, 5.6, KERB))
    for x, seed, height in ((-4.9, 3, 4.2), (5.6, 9, 3.8)):
        put(tree(Dice(seed), height), shift(x, 3.9, KERB))
    put(street_parts.street_lamp(Dice(2), 4.2), shift(2.9, 3.5, KERB))
    put(street_parts.bench(Dice(3)), shift(-1.6, 5.0, KERB))
    put(street_parts.litter_bin(Dice(6), PALETTES[3]), shift(0.75, 4.9, KERB), turn_z(0.2))
    put(street_parts.traffic_sign(Dice(12), PALETTES[7]), shift(-3.1, 3.4, KERB))
    for x, y, seed, turn in ((2.0, 4.5, 4, 1.2), (-6.3, 4.6, 8, -1.4)):
        put(street_parts.person(Dice(seed), PALETTES[seed]), shift(x, y, KERB), turn_z(turn))
    put(street_parts.car(Dice(11)), shift(7.0, 2.0, 0.0), turn_z(-QUARTER))
    length = math.sqrt(0.5**2 + 0.75**2 + 0.95**2)
    sun = Light(SUN, (-0.5 / length, -0.75 / length, 0.95 / length), (2.9, 2.5, 1.9), radius=0.03)
    sky = Sky((0.22, 0.4, 0.75), (0.72, 0.79, 0.86), (0.3, 0.28, 0.25), 0.5, 7)
    cameras = arc_cameras(
        target=(0.3, 3.6, 2.15), center=(0.3, 2.5, 1.0), radius=(8.4, 9.8), azimuth=(-32.0, 30.0), elevation=(4.0, 17.0),
        focal=(301.5, 308.0), principal=(166.8, 113.6),
    )  # fmt: skip
    world = World(tuple(builder.things), (sun,), sky, (0.12, 0.12, 0.12))
    return SampleScene("street", world, (car,), "the parked car", cameras, 0.95, 1e-3, samples=16, lit_samples=8)
