"""What surfaces are made of: a pattern of up to three colours, gloss, mirror, glow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.kernels import EXACT, kernel, subroutine
from scene_depth_synthetic.procedural import patterns
from scene_depth_synthetic.procedural.exact_math import linear_from_srgb

Color = tuple[float, float, float]

PLAIN, WOOD, MARBLE, MOTTLED, SPECKLED, FOLIAGE = range(6)
CHECKS, STRIPES, TILES, BRICKS, BOARDS, TARTAN, WEAVE, DOTS, COBBLES, CHEVRONS = range(6, 16)
POSTER, PAGE, LANDSCAPE, RUG, BOOK = range(16, 21)

# columns of a material's row
PATTERN, COLOR_A, COLOR_B, COLOR_C, SCALE_U, SCALE_V, P0, P1, P2, P3, SEED, SPECULAR, GLOSS, MIRROR, EMISSION, MEAN = (
    0, 1, 4, 7, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
)  # fmt: skip
ROW = 24
MEAN_SAMPLES = 24


def rgb(color: Color | str) -> Color:
    """Linear colour of an sRGB code such as "#c08040"; a linear colour stays as it is."""
    return _from_code(color) if isinstance(color, str) else color


def colors(codes: str) -> tuple[Color, ...]:
    """Linear colours of sRGB codes with spaces between them."""
    return tuple(_from_code(code) for code in codes.split())


@lru_cache(maxsize=4096)
def _from_code(code: str) -> Color:
    if len(code) != 7 or code[0] != "#":
        raise InputError("color", repr(code), "a code such as '#c08040'")
    r, g, b = (linear_from_srgb.py_func(int(code[i : i + 2], 16) / 255.0) for i in (1, 3, 5))
    return r, g, b


def scaled(color: Color | str, factor: float) -> Color:
    """A lighter or darker colour, at most 0.95: no surface reflects all light."""
    r, g, b = (min(channel * factor, 0.95) for channel in rgb(color))
    return r, g, b


def blend(first: Color | str, second: Color, share: float) -> Color:
    """A colour between two."""
    r, g, b = (x + (y - x) * share for x, y in zip(rgb(first), second, strict=True))
    return r, g, b


@dataclass(frozen=True)
class Material:
    """A pattern and how it reflects.

    Attributes:
        pattern: One of the constants of this module.
        a, b, c: Linear colours or sRGB codes; what the second and third mean is up to the pattern.
        scale: Metres a unit of the pattern, along u and v if they differ.
        parameters: p0 to p3 of the pattern.
        seed: Of the pattern's random numbers; that of the surface is added.
        specular: Strength of highlights of the lights.
        gloss: Sharpness of highlights: the exponent is 2 ** gloss.
        mirror: Reflectance of the surroundings at normal incidence; by Schlick's approximation it grows towards grazing.
        emission: Radiance per unit of colour that the surface sends out by itself.
        casts_shadow: Whether it stops light; false for lamp shades and glass.
    """

    pattern: int
    a: Color | str
    b: Color | str = (0.0, 0.0, 0.0)
    c: Color | str = (0.0, 0.0, 0.0)
    scale: float | tuple[float, float] = 1.0
    parameters: tuple[float, ...] = ()
    seed: int = 0
    specular: float = 0.0
    gloss: int = 5
    mirror: float = 0.0
    emission: float = 0.0
    casts_shadow: bool = True

    def row(self) -> NDArray[np.float64]:
        """The material as numbers for the kernels, all but its mean colour  # [ROW]"""
        row = np.zeros(ROW)
        row[PATTERN] = self.pattern
        row[COLOR_A:SCALE_U] = np.concatenate([rgb(self.a), rgb(self.b), rgb(self.c)])
        row[SCALE_U : SCALE_V + 1] = self.scale
        row[P0 : P0 + len(self.parameters)] = self.parameters
        row[SEED : EMISSION + 1] = self.seed, self.specular, self.gloss, self.mirror, self.emission
        return row


@subroutine(EXACT)
def _weights(pattern, p0, p1, p2, x, y, z, u, v, width, seed):
    """Weights of the second and third colour, and brightness."""
    if pattern == PLAIN:
        return patterns.plain(x, y, z, width, p0, seed)
    if pattern == WOOD:
        return patterns.wood(x, y, z, width, p0, p1, seed)
    if pattern == MARBLE:
        return patterns.marble(x, y, z, width, p0, p1, seed)
    if pattern == MOTTLED:
        return patterns.mottled(x, y, z, width, p0, p1, seed)
    if pattern == SPECKLED:
        return patterns.speckled(x, y, z, width, p0, p1, seed)
    if pattern == FOLIAGE:
        return patterns.foliage(x, y, z, width, p0, seed)
    if pattern == CHECKS:
        return patterns.checks(u, v, width, p0, seed)
    if pattern == STRIPES:
        return patterns.stripes(u, v, width, p0, p1, p2, seed)
    if pattern == TILES:
        return patterns.tiles(u, v, width, p0, p1, p2, seed)
    if pattern == BRICKS:
        return patterns.bricks(u, v, width, p0, p1, seed)
    if pattern == BOARDS:
        return patterns.boards(u, v, width, p0, p1, p2, seed)
    if pattern == TARTAN:
        return patterns.tartan(u, v, width, p0, seed)
    if pattern == WEAVE:
        return patterns.weave(u, v, width, p0, seed)
    if pattern == DOTS:
        return patterns.dots(u, v, width, p0, seed)
    if pattern == COBBLES:
        return patterns.cobbles(u, v, width, p0, p1, seed)
    if pattern == CHEVRONS:
        return patterns.chevrons(u, v, width, p0, seed)
    if pattern == POSTER:
        return patterns.poster(u, v, width, p0, p1, seed)
    if pattern == PAGE:
        return patterns.page(u, v, width, p0, p1, seed)
    if pattern == LANDSCAPE:
        return patterns.landscape(u, v, width, p0, seed)
    if pattern == RUG:
        return patterns.rug(u, v, width, p0, seed)
    return patterns.book_cover(u, v, width, p0, seed)


@subroutine(EXACT)
def surface_color(m, k, number, x, y, z, u, v, width):
    """Linear reflectance of row k of the materials at metric texture coordinates; ``number`` is that of the surface."""
    su, sv, seed = m[k, SCALE_U], m[k, SCALE_V], int(m[k, SEED]) + 131 * number
    second, third, light = _weights(
        int(m[k, PATTERN]), m[k, P0], m[k, P1], m[k, P2], x / su, y / su, z / su, u / su, v / sv, width / su, seed
    )
    first = max(1.0 - second - third, 0.0)
    r = light * (first * m[k, COLOR_A] + second * m[k, COLOR_B] + third * m[k, COLOR_C])
    g = light * (first * m[k, COLOR_A + 1] + second * m[k, COLOR_B + 1] + third * m[k, COLOR_C + 1])
    b = light * (first * m[k, COLOR_A + 2] + second * m[k, COLOR_B + 2] + third * m[k, COLOR_C + 2])
    return min(max(r, 0.0), 0.98), min(max(g, 0.0), 0.98), min(max(b, 0.0), 0.98)


@subroutine(EXACT)
def _mean_color(materials, k):
    """Colour averaged over places spread over one unit of the pattern, or one metre of solid ones."""
    solid = materials[k, PATTERN] < CHECKS
    along, across = (1.0, 1.0) if solid else (materials[k, SCALE_U], materials[k, SCALE_V])
    r, g, b = 0.0, 0.0, 0.0
    for i in range(MEAN_SAMPLES):
        x, y = 0.7548776662466927 * i, 0.5698402909980532 * i
        x, y = (x - math.floor(x) - 0.5) * along, (y - math.floor(y) - 0.5) * across
        cr, cg, cb = surface_color(materials, k, 1, x, y, x - y, x, y, 0.0)
        r, g, b = r + cr, g + cg, b + cb
    return r / MEAN_SAMPLES, g / MEAN_SAMPLES, b / MEAN_SAMPLES


@kernel(EXACT)
def _fill_means(materials):
    for k in range(materials.shape[0]):
        r, g, b = _mean_color(materials, k)
        materials[k, MEAN], materials[k, MEAN + 1], materials[k, MEAN + 2] = r, g, b


def material_table(materials: Sequence[Material]) -> NDArray[np.float64]:
    """Materials as rows for the kernels, with their mean colours  # [M, ROW]"""
    table = np.array([material.row() for material in materials])
    _fill_means(table)
    return table
