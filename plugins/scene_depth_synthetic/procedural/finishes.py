"""Materials by the names people use for them, and random ones that suit a palette."""

from __future__ import annotations

import math

from scene_depth_synthetic.procedural import materials as m
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.materials import Color, Material, blend, colors, rgb, scaled

Palette = tuple[Color, ...]
UPRIGHT = 0.5 * math.pi  # angle of stripes that run around

PALETTES: tuple[Palette, ...] = tuple(
    colors(codes)
    for codes in (
        "#d98c3f #2f5d62 #e8dcc4 #8c3b2a #3b3a36",
        "#7d93a1 #c9b79c #3f4a52 #d9a384 #e3e4e0",
        "#2b6a8e #f0e3cb #c8553d #e4b363 #588b8b",
        "#51624a #a9a578 #d9cfae #7c4f34 #2e3a33",
        "#c7a5a8 #9fb3b5 #efe5d8 #8d7f93 #d8b98f",
        "#8f8f8c #d6d4cf #55585a #b6a48d #2c2d2f",
        "#a2432f #d9a441 #3f5a5a #ead9b8 #6b4a6e",
        "#d64545 #3d7ebf #f2c14e #4f9d69 #f3efe6",
        "#5a2a35 #27405f #c5a15a #e6dac3 #3d4b3a",
        "#cf9b6b #e9d3b0 #a65e44 #6f7f72 #4a3b32",
        "#4a6fa5 #c0d6df #dd6e42 #e8dab2 #4f6d7a",
        "#6d597a #b56576 #e8a87c #eaccb2 #355070",
    )
)
WOODS: tuple[tuple[Color, Color], ...] = (
    (rgb("#c79a63"), rgb("#8a5a2c")), (rgb("#7a5234"), rgb("#40281a")), (rgb("#d9b27c"), rgb("#b07d45")),
    (rgb("#a5613a"), rgb("#6e351f")), (rgb("#e0c59a"), rgb("#c09a66")), (rgb("#4e3d32"), rgb("#281d17")),
    (rgb("#a79c8e"), rgb("#766a5e")), (rgb("#80402a"), rgb("#4c2115")),
)  # fmt: skip


def timber(
    light: Color | str, dark: Color | str, *, ring: float = 0.04, contrast: float = 0.75, polish: float = 0.1, seed: int = 0
) -> Material:
    """Wood with its grain along x; ``ring`` is the distance of growth rings in metres, ``polish`` from 0 to 1."""
    parameters = (contrast, 0.13)
    return Material(m.WOOD, light, dark, scale=ring, parameters=parameters, seed=seed, specular=polish, mirror=0.06 * polish)


def paint(color: Color | str, *, sheen: float = 0.0, gloss: int = 5, unevenness: float = 0.05, seed: int = 0) -> Material:
    """An even coat; ``sheen`` from 0 for chalk to 1 for lacquer."""
    specular, mirror = 0.6 * sheen, 0.05 * sheen
    return Material(m.PLAIN, color, scale=0.3, parameters=(unevenness,), seed=seed, specular=specular, gloss=gloss, mirror=mirror)


def metal(color: Color | str, *, mirror: float = 0.35) -> Material:
    """Brushed or polished metal."""
    return Material(m.PLAIN, scaled(color, 0.5), scale=0.05, parameters=(0.06,), specular=0.7, gloss=6, mirror=mirror)


def glowing(color: Color | str, radiance: float, *, casts_shadow: bool = False) -> Material:
    """A lamp shade, a screen, a lit window: sends out ``radiance`` times its colour."""
    return Material(m.PLAIN, color, parameters=(0.03,), emission=radiance, casts_shadow=casts_shadow)


def glass(tint: Color | str) -> Material:
    """Glass of a window seen from outside: dark, and reflects its surroundings."""
    return Material(m.PLAIN, scaled(tint, 0.25), parameters=(0.02,), specular=0.3, gloss=8, mirror=0.28)


def plaster(color: Color | str, *, amount: float = 0.06, seed: int = 0) -> Material:
    """A rendered or papered wall with faint clouds."""
    return Material(m.MOTTLED, color, scaled(color, 0.93), scale=0.35, parameters=(0.5, amount), seed=seed)


def carpet(color: Color, seed: int) -> Material:
    """Fitted carpet."""
    return Material(m.FOLIAGE, color, scaled(color, 0.8), scaled(color, 1.1), 0.05, (0.25,), seed)


def parquet(light: Color, dark: Color, *, width: float, polish: float = 0.2, seed: int = 0) -> Material:
    """A floor of boards along x."""
    parameters = (0.55, 7.0, 0.22)
    return Material(m.BOARDS, light, dark, scaled(dark, 0.35), width, parameters, seed, specular=polish, mirror=0.05 * polish)


def bricks(color: Color, *, height: float = 0.075, seed: int) -> Material:
    """A brick wall with pale joints."""
    return Material(m.BRICKS, color, blend("#b5ada0", color, 0.2), scaled(color, 0.6), height, (0.14, 0.3), seed)


def cloth(dice: Dice, palette: Palette) -> Material:
    """Plain, woven, striped, checked, dotted or tartan cloth."""
    a, b, c = dice.shuffled(palette)[:3]
    size, seed = dice.uniform(0.03, 0.12), dice.seed()
    kind = dice.weighted(
        [(m.PLAIN, 3.0), (m.WEAVE, 2.0), (m.STRIPES, 1.5), (m.TARTAN, 1.0), (m.DOTS, 0.7), (m.CHECKS, 0.5), (m.CHEVRONS, 0.6)]
    )
    if kind == m.PLAIN:
        return paint(a, unevenness=0.12, seed=seed)
    if kind == m.WEAVE:
        return Material(m.WEAVE, scaled(a, 1.1), scaled(a, 0.75), a, 0.006, (0.6,), seed)
    if kind == m.STRIPES:
        parameters = (dice.choice((0.0, UPRIGHT)), dice.uniform(0.2, 0.6), dice.choice((0.0, 0.08)))
        return Material(m.STRIPES, a, b, c, size, parameters, seed)
    factor, parameter = {m.TARTAN: (1.3, 9.0), m.DOTS: (0.7, 0.28), m.CHECKS: (0.7, 0.06), m.CHEVRONS: (0.7, 0.5)}[kind]
    return Material(kind, a, b, c, factor * size, (parameter,), seed)


def wooden(dice: Dice) -> Material:
    """Some wood."""
    light, dark = dice.choice(WOODS)
    tone = dice.uniform(0.85, 1.15)
    ring, contrast, polish = dice.uniform(0.02, 0.06), dice.uniform(0.4, 0.9), dice.uniform(0.0, 0.4)
    return timber(scaled(light, tone), scaled(dark, tone), ring=ring, contrast=contrast, polish=polish, seed=dice.seed())


def painted(dice: Dice, palette: Palette) -> Material:
    """A colour of the palette, chalky or lacquered."""
    return paint(scaled(dice.choice(palette), dice.uniform(0.8, 1.15)), sheen=dice.choice((0.0, 0.1, 0.3, 0.8)), seed=dice.seed())


def furniture_finish(dice: Dice, palette: Palette) -> Material:
    """Wood, paint, or white lacquer."""
    kind = dice.unit()
    if kind < 0.62:
        return wooden(dice)
    if kind < 0.85:
        return painted(dice, palette)
    return paint(blend("#e9e7e2", dice.choice(palette), 0.1), sheen=dice.uniform(0.1, 0.6), seed=dice.seed())


def ceramic(dice: Dice, palette: Palette) -> Material:
    """Glazed pottery, plain or with bands and dots."""
    a, b, c = dice.shuffled(palette)[:3]
    kind = dice.weighted([(m.PLAIN, 3.0), (m.STRIPES, 1.5), (m.DOTS, 0.5), (m.MOTTLED, 0.8), (m.CHEVRONS, 0.4)])
    size, bands = dice.uniform(0.02, 0.06), (UPRIGHT, dice.uniform(0.2, 0.6), 0.1)
    parameters = {m.PLAIN: (0.04,), m.STRIPES: bands, m.DOTS: (0.3,), m.MOTTLED: (0.3, 0.1), m.CHEVRONS: (0.4,)}[kind]
    return Material(kind, a, b, c, size, parameters, dice.seed(), specular=dice.uniform(0.1, 0.6), gloss=6, mirror=0.04)


def stone(dice: Dice, palette: Palette) -> Material:
    """Marble, terrazzo or concrete."""
    base = dice.choice((*colors("#e6e2da #b9b4ab #5b5a58 #cdbfa9"), dice.choice(palette)))
    kind = dice.below(3)
    if kind == 0:
        return Material(m.MARBLE, base, scaled(base, 0.45), scaled(base, 0.8), 0.3, (0.8, 1.6), dice.seed(), 0.3, 6, 0.03)
    if kind == 1:
        return Material(m.SPECKLED, base, dice.choice(palette), scaled(base, 0.5), 0.025, (0.6, 0.05), dice.seed(), 0.15)
    return Material(m.MOTTLED, base, scaled(base, 0.85), scale=0.3, parameters=(0.4, 0.12), seed=dice.seed())


def wall_finish(dice: Dice, palette: Palette) -> Material:
    """Paint, wallpaper, bricks, panels or tiles."""
    pale = blend("#e6e1d6", dice.choice(palette), dice.uniform(0.05, 0.6))
    kind = dice.weighted(
        [("plaster", 6.0), ("stripes", 0.8), ("bricks", 0.8), ("dots", 0.3), ("tiles", 0.4), ("wood", 0.5), ("bold", 0.7)]
    )
    if kind == "stripes":
        size, darker = dice.uniform(0.08, 0.4), scaled(pale, dice.uniform(0.75, 0.93))
        return Material(m.STRIPES, pale, darker, dice.choice(palette), size, (0.0, 0.5, 0.0), dice.seed())
    if kind == "bricks":
        return bricks(blend("#9a5a44", pale, dice.uniform(0.0, 0.8)), seed=dice.seed())
    if kind == "dots":
        return Material(m.DOTS, pale, blend(pale, dice.choice(palette), 0.5), pale, 0.12, (0.2,), dice.seed())
    if kind == "tiles":
        size, accent = dice.uniform(0.1, 0.3), dice.choice(palette)
        return Material(m.TILES, pale, scaled(pale, 0.6), accent, size, (0.03, 0.06, 0.1), dice.seed(), 0.2, mirror=0.02)
    if kind == "wood":
        return parquet(*dice.choice(WOODS), width=dice.uniform(0.08, 0.2), polish=0.1, seed=dice.seed())
    return plaster(dice.choice(palette) if kind == "bold" else pale, seed=dice.seed())


def floor_finish(dice: Dice, palette: Palette) -> Material:
    """Boards, tiles, carpet, stone or linoleum."""
    kind = dice.weighted([("boards", 5.0), ("tiles", 2.0), ("carpet", 1.5), ("stone", 1.0), ("checks", 0.5)])
    if kind == "boards":
        return parquet(*dice.choice(WOODS), width=dice.uniform(0.06, 0.2), polish=dice.uniform(0.0, 0.6), seed=dice.seed())
    if kind == "tiles":
        base, size = blend("#c9c2b4", dice.choice(palette), dice.uniform(0.0, 0.5)), dice.uniform(0.2, 0.6)
        accent, parameters = dice.choice(palette), (0.02, 0.12, dice.choice((0.0, 0.0, 0.2)))
        return Material(m.TILES, base, scaled(base, 0.6), accent, size, parameters, dice.seed(), 0.25, mirror=0.03)
    if kind == "carpet":
        return carpet(dice.choice(palette), dice.seed())
    if kind == "stone":
        return stone(dice, palette)
    a, b = dice.shuffled(palette)[:2]
    size = dice.uniform(0.2, 0.5)
    return Material(m.CHECKS, a, b, scale=size, parameters=(0.08,), seed=dice.seed(), specular=0.2, mirror=0.03)


def picture(dice: Dice, palette: Palette, width: float, height: float) -> Material:
    """A poster or a landscape that fills a panel of that size."""
    a, b, c = dice.shuffled(palette)[:3]
    if dice.chance(0.5):
        parameters: tuple[float, ...] = (float(dice.between(3, 12)), dice.choice((0.0, 0.03, 0.08)))
        return Material(m.POSTER, a, b, c, (width, height), parameters, dice.seed())
    return Material(m.LANDSCAPE, a, b, c, (width, height), (dice.uniform(-0.15, 0.15),), dice.seed())
