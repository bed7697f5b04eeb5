"""Lights: rectangles, spheres and a sun, with soft shadows; the sky behind everything."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.kernels import EXACT, subroutine
from scene_depth_synthetic.procedural.exact_math import sincos, smoothstep
from scene_depth_synthetic.procedural.patterns import fractal_noise

Vector = tuple[float, float, float]
RECTANGLE, BALL, SUN = 0.0, 1.0, 2.0
LIGHT_ROW = 14
FAR_AWAY = 1e4


@dataclass(frozen=True)
class Light:
    """A light that is itself invisible; lamps and windows that are seen have a glowing material beside it."""

    kind: float  # RECTANGLE, BALL or SUN
    position: Vector  # centre; for the sun the direction towards it, metres
    color: Vector  # radiance of a rectangle or ball, irradiance of the sun on a surface that faces it
    u: Vector = (0.0, 0.0, 0.0)  # half sides of a rectangle, which shines to u x v, metres
    v: Vector = (0.0, 0.0, 0.0)
    radius: float = 0.0  # of a ball in metres; of the sun as the tangent of its angular radius

    def row(self) -> NDArray[np.float64]:
        """The light as numbers for the kernels  # [LIGHT_ROW]"""
        return np.array([self.kind, *self.position, *self.color, *self.u, *self.v, self.radius], dtype=np.float64)


def ceiling_light(position: Vector, color: Vector, half: float) -> Light:
    """A square light that shines downwards; ``half`` is half its side."""
    return Light(RECTANGLE, position, color, (0.0, half, 0.0), (half, 0.0, 0.0))


def tinted(tint: Vector, strength: float) -> Vector:
    """A colour of light times its strength."""
    return tint[0] * strength, tint[1] * strength, tint[2] * strength


@dataclass(frozen=True)
class Sky:
    """What rays meet that leave the scene; its depth is unknown."""

    zenith: Vector = (0.25, 0.42, 0.75)  # radiance above, at eye level, and below
    horizon: Vector = (0.75, 0.82, 0.9)
    ground: Vector = (0.25, 0.24, 0.22)
    clouds: float = 0.0  # share of the sky that is covered, 0 to 1
    seed: int = 0  # of the clouds
    lights: bool = True  # whether it lights surfaces; not in a room whose windows are lights already

    def row(self) -> NDArray[np.float64]:
        """The sky as numbers for the kernels  # [12]"""
        return np.array([*self.zenith, *self.horizon, *self.ground, self.clouds, self.seed, self.lights], dtype=np.float64)


@subroutine(EXACT)
def sample_light(lights, k, px, py, pz, s, t):
    """A point on light k for random numbers s, t.

    Returns:
        Unit direction to it, distance, and radiance times solid angle over pi for each channel: times the cosine at the
        surface and its reflectance this is the radiance it reflects.
    """
    kind, r, g, b = lights[k, 0], lights[k, 4], lights[k, 5], lights[k, 6]
    if kind == SUN:
        x, y, z = _around(lights[k, 1], lights[k, 2], lights[k, 3], lights[k, 13], s, t)
        return x, y, z, FAR_AWAY, r / math.pi, g / math.pi, b / math.pi
    if kind == RECTANGLE:
        s, t = 2.0 * s - 1.0, 2.0 * t - 1.0
        x = lights[k, 1] + s * lights[k, 7] + t * lights[k, 10] - px
        y = lights[k, 2] + s * lights[k, 8] + t * lights[k, 11] - py
        z = lights[k, 3] + s * lights[k, 9] + t * lights[k, 12] - pz
        square = x * x + y * y + z * z
        distance = math.sqrt(square)
        # u x v has the length of a quarter of the area
        nx = lights[k, 8] * lights[k, 12] - lights[k, 9] * lights[k, 11]
        ny = lights[k, 9] * lights[k, 10] - lights[k, 7] * lights[k, 12]
        nz = lights[k, 7] * lights[k, 11] - lights[k, 8] * lights[k, 10]
        facing = max(-(nx * x + ny * y + nz * z) / distance, 0.0)
        # irradiance over pi cannot exceed the radiance; without the bound a corner beside the light is all noise
        weight = min(4.0 * facing / (math.pi * max(square, 1e-6)), 1.5)
        return x / distance, y / distance, z / distance, distance, r * weight, g * weight, b * weight
    x, y, z = lights[k, 1] - px, lights[k, 2] - py, lights[k, 3] - pz
    square = max(x * x + y * y + z * z, 1.0001 * lights[k, 13] * lights[k, 13])
    distance = math.sqrt(square)
    sine = lights[k, 13] / distance
    dx, dy, dz = _around(x / distance, y / distance, z / distance, sine / math.sqrt(1.0 - sine * sine), s, t)
    weight = 2.0 * (1.0 - math.sqrt(1.0 - sine * sine))  # solid angle over pi
    return dx, dy, dz, distance - lights[k, 13], r * weight, g * weight, b * weight


@subroutine(EXACT)
def _around(x, y, z, tangent, s, t):
    """A unit direction within a cone around the unit direction (x, y, z)."""
    ux, uy, uz, vx, vy, vz = tangent_frame(x, y, z)
    radius = tangent * math.sqrt(s)
    sine, cosine = sincos(6.283185307179586 * t)
    a, b = radius * cosine, radius * sine
    x, y, z = x + a * ux + b * vx, y + a * uy + b * vy, z + a * uz + b * vz
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


@subroutine(EXACT)
def tangent_frame(x, y, z):
    """Two unit vectors that make a frame with the unit vector (x, y, z)."""
    if abs(z) < 0.9:
        length = math.sqrt(x * x + y * y)
        ux, uy, uz = -y / length, x / length, 0.0
    else:
        length = math.sqrt(y * y + z * z)
        ux, uy, uz = 0.0, -z / length, y / length
    return ux, uy, uz, y * uz - z * uy, z * ux - x * uz, x * uy - y * ux


@subroutine(EXACT)
def cosine_direction(nx, ny, nz, s, t):
    """A unit direction around the normal with density cosine over pi."""
    ux, uy, uz, vx, vy, vz = tangent_frame(nx, ny, nz)
    sine, cosine = sincos(6.283185307179586 * t)
    a, b, c = math.sqrt(s) * cosine, math.sqrt(s) * sine, math.sqrt(1.0 - s)
    return a * ux + b * vx + c * nx, a * uy + b * vy + c * ny, a * uz + b * vz + c * nz


@subroutine(EXACT)
def sky_radiance(sky, dx, dy, dz, detail):
    """Radiance of the sky in a unit direction; clouds only where ``detail`` is asked for, as they cost time."""
    if dz < 0.0:
        w = smoothstep(0.0, -0.08, dz)
        return sky[3] + (sky[6] - sky[3]) * w, sky[4] + (sky[7] - sky[4]) * w, sky[5] + (sky[8] - sky[5]) * w
    w = math.sqrt(dz)
    r, g, b = sky[3] + (sky[0] - sky[3]) * w, sky[4] + (sky[1] - sky[4]) * w, sky[5] + (sky[2] - sky[5]) * w
    if detail and sky[9] > 0.0:
        n = fractal_noise(1.6 * dx / (dz + 0.12), 1.6 * dy / (dz + 0.12), 0.0, 5, 0.02, int(sky[10]))
        cover = 0.85 * smoothstep(0.35 - 0.7 * sky[9], 0.6 - 0.7 * sky[9], n) * smoothstep(0.0, 0.1, dz)
        white = 1.15 * max(sky[3], max(sky[4], sky[5]))
        r, g, b = r + (white - r) * cover, g + (white - g) * cover, b + (white - b) * cover
    return r, g, b
