"""Where a photographer would stand in a random world."""

from __future__ import annotations

import math

import numpy as np
import torch

from scene_depth.cameras import Cameras, look_at
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.transforms import sine_cosine
from scene_depth_synthetic.procedural.world import World

Vector = tuple[float, float, float]
DIGITS = 9  # of poses: what torch computes may differ in the last bits from machine to machine


def room_viewpoint(dice: Dice, world: World) -> tuple[Vector, Vector]:
    """Somewhere in the room at the height of a hand or an eye, looking across it and mostly a little down."""
    half_x, half_y = room_size(world)
    x, y = dice.uniform(-0.85, 0.85) * half_x, dice.uniform(-0.85, 0.85) * half_y
    z = dice.uniform(0.7, 1.9)
    target = (dice.uniform(-0.6, 0.6) * half_x, dice.uniform(-0.6, 0.6) * half_y, dice.uniform(0.2, 1.4))
    return (x, y, z), target


def room_size(world: World) -> tuple[float, float]:
    """Half width and half depth of a room's floor, which is its first thing."""
    matrix = world.things[0].parts[0].matrix
    return float(matrix[0, 0]) - 0.2, float(matrix[1, 1]) - 0.2


def table_viewpoint(dice: Dice, world: World) -> tuple[Vector, Vector]:
    """In front of the table, near, looking down at what stands on it."""
    sine, cosine = sine_cosine(dice.around(0.0, 0.45))
    distance, rise = dice.uniform(0.45, 1.5), dice.uniform(0.15, 0.95)
    flat = distance * math.sqrt(1.0 - rise * rise)
    target = (dice.uniform(-0.25, 0.25), dice.uniform(-0.15, 0.2), 0.75 + dice.uniform(0.0, 0.15))
    return (target[0] + flat * sine, target[1] - flat * cosine, target[2] + distance * rise), target


def street_viewpoint(dice: Dice, world: World) -> tuple[Vector, Vector]:
    """On the road or the pavement, looking along it or across it."""
    x, y, z = dice.uniform(-5.0, 5.0), dice.uniform(-1.0, 12.0), dice.uniform(1.2, 2.2)
    angle = dice.around(0.0, 0.25) if dice.chance(0.7) else dice.uniform(-1.3, 1.3)
    sine, cosine = sine_cosine(angle)
    return (x, y, z), (x + 10.0 * sine, y + 10.0 * cosine, z + dice.uniform(-2.2, 1.0))


def photographer_camera(dice: Dice, eye: Vector, target: Vector, width: int, height: int) -> Cameras:
    """A camera with a random lens, a little roll and an optical axis near the middle, for any image size.

    The field of view is chosen for the longer side, so the same seed shows the same view at every size of that shape.
    """
    focal, stretch = dice.uniform(0.6, 1.2) * max(width, height), 1.0 + dice.around(0.0, 0.004)
    cx, cy = (0.5 + dice.around(0.0, 0.012)) * width, (0.5 + dice.around(0.0, 0.012)) * height
    sine, cosine = sine_cosine(dice.around(0.0, 0.035))
    forward = [b - a for a, b in zip(eye, target, strict=True)]
    flat = math.sqrt(forward[0] ** 2 + forward[1] ** 2)
    up = (sine * forward[1] / flat, -sine * forward[0] / flat, cosine)
    pose = look_at(*(torch.tensor(v, dtype=torch.float64) for v in (eye, target, up)))
    pose = torch.from_numpy(np.round(pose.numpy(), DIGITS))
    K = torch.tensor([[focal, 0.0, cx], [0.0, focal * stretch, cy], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Cameras(pose[None], K[None], width, height)
