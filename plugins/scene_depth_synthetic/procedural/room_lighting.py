"""Light in a random room: daylight and sun through the windows, a lamp under the ceiling."""

from __future__ import annotations

import math

import numpy as np

from scene_depth_synthetic.procedural import lamps
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import glowing
from scene_depth_synthetic.procedural.interior import (
    Opening,
    daylight,
    wall_place,
)
from scene_depth_synthetic.procedural.lighting import BALL, RECTANGLE, SUN, Light, Sky
from scene_depth_synthetic.procedural.room_layout import Room
from scene_depth_synthetic.procedural.shapes import moved, panel
from scene_depth_synthetic.procedural.transforms import apply, shift
from scene_depth_synthetic.procedural.world import World

WARM, NEUTRAL, COOL = (1.0, 0.84, 0.62), (1.0, 0.95, 0.88), (0.92, 0.97, 1.05)


def light_room(room: Room) -> None:
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
            room.builder.add("lamp", moved(lamps.pendant_lamp(Dice(lamp), room.palette, drop, lit=True), shift(x, y, h)))
            room.lights.append(Light(BALL, (x, y, h - drop - 0.12), _tinted(tint, 4.0 * strength), radius=0.08))
            room.flux += 4.0 * math.pi**2 * 0.08**2 * 4.0 * strength
        else:
            half = dice.uniform(0.15, 0.4)
            glow = glowing((0.9 * tint[0], 0.9 * tint[1], min(0.9 * tint[2], 0.95)), 3.0)
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


def finished_world(room: Room) -> World:
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
