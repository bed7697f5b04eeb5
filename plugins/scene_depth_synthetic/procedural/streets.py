"""Random places outdoors: town streets, suburbs, parks; the sun and a sky with clouds. The road runs along y."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from scene_depth_synthetic.procedural import materials as m
from scene_depth_synthetic.procedural import street_parts as s
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import PALETTES, Palette, paint
from scene_depth_synthetic.procedural.lighting import SUN, Light, Sky
from scene_depth_synthetic.procedural.materials import Material, colors, scaled
from scene_depth_synthetic.procedural.plants import bush, tree
from scene_depth_synthetic.procedural.shapes import Part, Piece, block, height_field, panel
from scene_depth_synthetic.procedural.transforms import shift, sine_cosine, turn_z
from scene_depth_synthetic.procedural.world import World, WorldBuilder

LENGTH = 80.0  # metres; nothing is farther
KERB = 0.12
SIDES = (-1.0, 1.0)
QUARTER = 0.5 * math.pi


@dataclass
class Street:
    """A street while it is being filled."""

    dice: Dice
    palette: Palette
    road: float  # half width of the road and width of each pavement, metres
    pavement: float
    suburb: bool  # whether its houses stand in gardens
    builder: WorldBuilder = field(default_factory=WorldBuilder)
    taken: list[tuple[float, float, float]] = field(default_factory=list)  # circles (x, y, radius) that are occupied

    @property
    def edge(self) -> float:
        """Distance of the pavements' outer edges from the middle of the road."""
        return self.road + self.pavement

    def put(self, piece: Piece, x: float, y: float, turn: float, z: float = 0.0) -> None:
        """Puts a piece unless something stands there."""
        radius = 0.5 * max(piece.width, 0.6 * piece.depth)
        if not any((x - a) ** 2 + (y - b) ** 2 < (radius + r) ** 2 for a, b, r in self.taken):
            self.taken.append((x, y, radius))
            self.builder.put(piece, shift(x, y, z), turn_z(turn))


def random_street(dice: Dice) -> World:
    """A street, a suburb or a park with light."""
    palette = dice.choice(PALETTES)
    road, pavement = dice.uniform(2.6, 5.5), dice.uniform(1.6, 3.5)
    style = dice.weighted([("town", 3.0), ("suburb", 2.0), ("park", 1.4)])
    street = Street(dice, palette, road, pavement, style == "suburb")
    if style == "park":
        _park(street)
    else:
        _ground(street)
        _houses(street)
        _traffic(street)
        _furniture(street)
    light, sky = _daylight(dice)
    return World(tuple(street.builder.things), light, sky, (0.1, 0.1, 0.1))


def _daylight(dice: Dice) -> tuple[tuple[Light, ...], Sky]:
    """Sun and sky."""
    sine, cosine = sine_cosine(dice.uniform(0.0, 2.0 * math.pi))
    rise, overcast = dice.uniform(0.25, 1.6), dice.chance(0.25)
    length = math.sqrt(1.0 + rise * rise)
    low = max(0.0, 1.0 - rise)
    strength = 0.0 if overcast else dice.uniform(2.0, 3.6)
    blue = dice.uniform(0.6, 1.2)
    if overcast:
        return (), Sky((0.62, 0.66, 0.7), (0.75, 0.77, 0.79), (0.3, 0.3, 0.3), 0.0, dice.seed())
    color = (strength, (0.93 - 0.1 * low) * strength, (0.8 - 0.25 * low) * strength)
    sun = Light(SUN, (cosine / length, sine / length, rise / length), color, radius=0.006)
    zenith, clouds = (0.18 * blue, 0.34 * blue, 0.68 * blue), dice.uniform(0.0, 0.9)
    return (sun,), Sky(zenith, (0.62, 0.72, 0.84), (0.3, 0.29, 0.27), clouds, dice.seed())


def _asphalt(dice: Dice) -> Material:
    base = scaled("#6e6d6b", dice.uniform(0.6, 1.0))
    return Material(m.MOTTLED, base, scaled(base, 0.78), scale=0.9, parameters=(0.5, 0.25), seed=dice.seed())


def _paving(dice: Dice) -> Material:
    """Slabs or cobbles."""
    base = scaled("#9a948a", dice.uniform(0.7, 1.1))
    if dice.chance(0.35):
        return Material(m.COBBLES, base, scaled(base, 0.5), scaled(base, 0.75), 0.14, (0.12, 0.35), dice.seed())
    size = dice.uniform(0.3, 0.6)
    return Material(m.TILES, base, scaled(base, 0.6), scaled(base, 0.8), size, (0.03, 0.16, 0.2), dice.seed())


def _grass(dice: Dice) -> Material:
    base = scaled(dice.choice(colors("#5f6f40 #757a4a #525f3e")), dice.uniform(0.7, 1.0))
    return Material(m.FOLIAGE, base, scaled(base, 1.35), scaled(base, 0.7), 0.25, (0.6,), dice.seed())


def _strip(x0: float, x1: float, top: float, material: Material) -> Part:
    """A slab along the street between x0 and x1."""
    x0, x1 = sorted((x0, x1))
    return block((x1 - x0, LENGTH + 10.0, 0.6), (0.5 * (x0 + x1), 0.5 * LENGTH, top - 0.6), material)


def _ground(street: Street) -> None:
    dice, road, edge, add = street.dice, street.road, street.edge, street.builder.add
    add("road", _strip(-road, road, 0.0, _asphalt(dice)))
    stone = paint(scaled("#b3aea4", dice.uniform(0.7, 1.0)), unevenness=0.3)
    slabs = _paving(dice)
    for side in SIDES:
        kerb = _strip(side * road, side * (road + 0.18), KERB + 0.01, stone)
        add("pavement", [kerb, _strip(side * (road + 0.18), side * edge, KERB, slabs)])
        add("grass", _strip(side * edge, side * (edge + 40.0), KERB, _grass(dice) if street.suburb else slabs))
    white, marks = paint("#dcdad2", unevenness=0.3), []
    if dice.chance(0.75):
        pitch = dice.uniform(3.0, 6.0)
        marks = [panel(0.12, 0.5 * pitch, (0, pitch * i, 0.004), white) for i in range(int(LENGTH / pitch))]
    if dice.chance(0.4):
        y = dice.uniform(4.0, 14.0)
        marks += [panel(0.45, 3.0, (x * 0.9 - road + 0.6, y, 0.005), white) for x in range(int(2.0 * (road - 0.4) / 0.9))]
    if marks:
        add("road", marks)


def _houses(street: Street) -> None:
    dice, palette, add = street.dice, street.palette, street.builder.add
    for side in SIDES:
        y = dice.uniform(-9.0, -4.0)
        while y < LENGTH - 6.0:
            width = dice.uniform(5.0, 12.0)
            if street.suburb:
                back = dice.uniform(3.0, 7.0)
            elif dice.chance(0.8):
                back = dice.uniform(0.0, 0.4)
            else:
                back = 2.0
            parts = s.building(dice, palette, width, dice.uniform(7.0, 10.0))
            add("building", parts, shift(side * (street.edge + back), y + 0.5 * width, KERB), turn_z(-side * QUARTER))
            if street.suburb:
                _garden(street, side, y, width, back)
            y += width + (dice.uniform(2.0, 6.0) if street.suburb else (0.0 if dice.chance(0.8) else dice.uniform(1.0, 4.0)))
    if dice.chance(0.7):
        add("building", s.building(dice, palette, 2.0 * street.edge + 4.0, 8.0), shift(0, LENGTH - 9.0, 0))


def _garden(street: Street, side: float, y: float, width: float, back: float) -> None:
    dice = street.dice
    if dice.chance(0.6):
        place = shift(side * (street.edge + 0.15), y + 0.5 * width, KERB), turn_z(QUARTER)
        street.builder.add("fence", s.fence(dice, 0.8 * width, dice.uniform(0.7, 1.3)), *place)
    for _ in range(dice.between(1, 4)):
        x = side * (street.edge + dice.uniform(0.4, 0.9) * back)
        if dice.chance(0.4):
            piece = tree(dice, dice.uniform(2.5, 6.0), conifer=dice.chance(0.3))
        else:
            piece = bush(dice, dice.uniform(0.6, 1.5))
        street.put(piece, x, y + dice.uniform(0.0, width), dice.uniform(0.0, 6.28), KERB)


def _traffic(street: Street) -> None:
    dice = street.dice
    for side in SIDES:
        y = dice.uniform(1.5, 9.0)
        parked = dice.chance(0.8)
        while parked and y < LENGTH - 15.0:
            if dice.chance(0.6):
                street.put(s.car(dice), side * (street.road - 1.05), y, (0.0 if side > 0 else math.pi) + dice.around(0.0, 0.02))
            y += dice.uniform(5.2, 9.0)
    for _ in range(dice.between(0, 2)):
        side = dice.choice(SIDES)
        if street.road > 4.2:
            street.put(s.car(dice), side * 0.42 * (street.road - 1.8), dice.uniform(6.0, 50.0), 0.0 if side > 0 else math.pi)


def _furniture(street: Street) -> None:
    """Lamps, trees, signs, bins, benches and people on the pavements."""
    dice, palette = street.dice, street.palette
    lamp_seed, lamp_height, spacing = dice.seed(), dice.uniform(3.5, 6.0), dice.uniform(9.0, 16.0)
    trees, planted = dice.chance(0.6), dice.uniform(3.5, 8.0)
    for side in SIDES:
        inner, facing = side * (street.road + 0.5), -side * QUARTER
        y = dice.uniform(1.0, spacing)
        while y < LENGTH - 12.0:
            street.put(s.street_lamp(Dice(lamp_seed), lamp_height), inner, y, facing, KERB)
            if trees and y < 55.0:
                grown = tree(dice, planted * dice.factor(0.2))
                street.put(grown, inner + 0.2 * side, y + 0.5 * spacing, dice.uniform(0, 6.28), KERB)
            y += spacing
        for _ in range(dice.between(2, 7)):
            x = side * (street.road + dice.uniform(0.5, max(street.pavement - 0.4, 0.6)))
            piece = dice.weighted([(s.person, 2.5), (s.traffic_sign, 1.0), (s.litter_bin, 1.0)])(dice, palette)
            turn = dice.uniform(0.0, 6.28) if piece.category == "person" else (0.0 if side > 0 else math.pi)
            street.put(piece, x, dice.uniform(2.0, 35.0), turn, KERB)
        for _ in range(dice.between(0, 2)):
            piece = dice.choice((s.bench, s.cone))(dice)
            street.put(piece, side * (street.edge - 0.6), dice.uniform(2.0, 25.0), facing, KERB)


def _park(street: Street) -> None:
    """Rolling ground with a path, trees, bushes, benches and people."""
    dice, palette, add = street.dice, street.palette, street.builder.add
    lawn = _grass(dice)
    x, y = np.meshgrid(np.linspace(-60.0, 60.0, 25), np.linspace(-8.0, LENGTH + 10.0, 23), indexing="xy")
    phase, swell = dice.uniform(0.0, 6.28), dice.uniform(0.2, 1.2)

    def wave(x: float, y: float) -> float:
        return sine_cosine(0.13 * x + phase)[0] + sine_cosine(0.11 * y + 2.0 * phase)[0]

    waves = np.array([[wave(u, v) for u, v in zip(*row, strict=True)] for row in zip(x, y, strict=True)])
    away = np.clip((np.abs(x) - 3.0) / 12.0, 0.0, 1.0)
    add("grass", height_field(x, y, swell * away * waves - 0.03, lawn))
    path = Material(m.MOTTLED, "#b09a78", "#8f7c60", scale=0.5, parameters=(0.5, 0.3), seed=dice.seed())
    add("pavement", block((2.4, LENGTH, 0.2), (0, 0.5 * LENGTH, -0.19), path if dice.chance(0.6) else _paving(dice)))
    for _ in range(dice.between(14, 30)):
        side, out, far = dice.choice(SIDES), dice.uniform(2.2, 22.0), dice.uniform(1.5, LENGTH - 8.0)
        kind = dice.unit()
        ground = swell * min(max((out - 3.0) / 12.0, 0.0), 1.0) * wave(side * out, far)
        if kind < 0.65:
            piece = tree(dice, dice.uniform(3.5, 11.0), conifer=dice.chance(0.25))
        else:
            piece = bush(dice, dice.uniform(0.6, 2.0))
        street.put(piece, side * out, far, dice.uniform(0.0, 6.28), ground - 0.1)
    for _ in range(dice.between(2, 7)):
        side, far = dice.choice(SIDES), dice.uniform(2.0, 25.0)
        piece = dice.weighted([(s.person, 2.0), (s.litter_bin, 0.7), (s.traffic_sign, 0.4)])(dice, palette)
        street.put(piece, side * dice.uniform(0.2, 1.8), far, dice.uniform(0.0, 6.28))
        street.put(s.bench(dice), side * 1.7, far + dice.uniform(1.0, 4.0), -side * QUARTER)
    if dice.chance(0.5):
        place = shift(dice.choice(SIDES) * 2.6, 12.0, 0.0), turn_z(QUARTER)
        add("fence", s.fence(dice, dice.uniform(6.0, 18.0), 1.0), *place)
    for _ in range(dice.between(0, 3)):
        parts = s.building(dice, palette, dice.uniform(8.0, 14.0), 9.0)
        add("building", parts, shift(dice.uniform(-30.0, 30.0), LENGTH - dice.uniform(10.0, 16.0), -0.3))
