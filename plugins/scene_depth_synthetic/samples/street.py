"""Sample scene: shops across a street; the red car is the object to remove. There is sky, whose depth is unknown."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural import buildings, finishes, street_parts
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import paint
from scene_depth_synthetic.procedural.lighting import SUN, Light, Sky
from scene_depth_synthetic.procedural.materials import COBBLES, MOTTLED, Material, rgb
from scene_depth_synthetic.procedural.plants import tree
from scene_depth_synthetic.procedural.shapes import block, moved, panel
from scene_depth_synthetic.procedural.transforms import shift, turn_z
from scene_depth_synthetic.procedural.world import World, WorldBuilder
from scene_depth_synthetic.samples.paths import arc_cameras
from scene_depth_synthetic.samples.recipe import SampleScene

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
        parts, _ = buildings.building(Dice(seed), finishes.PALETTES[seed % len(finishes.PALETTES)], width, 9.0)
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
