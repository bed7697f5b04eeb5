"""Camera paths of the sample scenes: a hand-held walk around an object."""

from __future__ import annotations

import math

import numpy as np
import torch

from scene_depth.cameras import Cameras, look_at
from scene_depth_synthetic.procedural.transforms import sine_cosine

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
