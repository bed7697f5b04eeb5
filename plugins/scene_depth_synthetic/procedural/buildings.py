"""Houses: facades with rows of windows, shops, doors, balconies, roofs."""

from __future__ import annotations

import numpy as np

from scene_depth_synthetic.procedural import materials as m
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import Palette, bricks, glass, glowing, paint, painted, plaster
from scene_depth_synthetic.procedural.materials import Material, blend, rgb, scaled
from scene_depth_synthetic.procedural.shapes import Part, block, box, mesh, moved, panel
from scene_depth_synthetic.procedural.transforms import shift, turn_x


def facade_material(dice: Dice, palette: Palette) -> Material:
    """Bricks, render, stone blocks or boards."""
    kind = dice.weighted([("bricks", 3.0), ("render", 4.0), ("stone", 1.0), ("boards", 0.7)])
    tone = dice.choice((rgb("#a5533c"), rgb("#8a4a36"), rgb("#b98a5e"), rgb("#c9b79a"), dice.choice(palette)))
    if kind == "bricks":
        return bricks(tone, height=dice.uniform(0.075, 0.11), seed=dice.seed())
    if kind == "stone":
        base = blend(rgb("#b7ab96"), tone, 0.2)
        size = dice.uniform(0.25, 0.5)
        return Material(m.BRICKS, base, scaled(base, 0.6), scaled(base, 0.8), (size, size), (0.05, 0.15), dice.seed())
    if kind == "boards":
        pale = blend(rgb("#dcd8cc"), tone, 0.5)
        return Material(m.STRIPES, pale, scaled(pale, 0.55), pale, (0.16, 0.16), (1.5707963267948966, 0.1, 0.0), dice.seed())
    return plaster(blend(rgb("#ddd2bd"), dice.choice(palette), dice.uniform(0.1, 0.7)), amount=0.1, seed=dice.seed())


def building(dice: Dice, palette: Palette, width: float, depth: float) -> tuple[list[Part], float]:
    """A house whose facade is the plane y = 0, facing -y, with its body behind; and its height."""
    floors, storey = dice.between(1, 5), dice.uniform(2.8, 3.5)
    height = floors * storey + 0.5
    wall, trim = facade_material(dice, palette), paint(blend(rgb("#e8e4da"), dice.choice(palette), dice.choice((0.0, 0.3))))
    parts = [block((width, depth, height), (0, 0.5 * depth, 0), wall)]
    parts.append(
        box(
            (width + 0.1, 0.12, 0.5),
            (0, -0.03, 0.25),
            Material(m.MOTTLED, rgb("#6f6a63"), rgb("#58544e"), scale=(0.5, 0.5), parameters=(0.4, 0.1)),
        )
    )
    shop = dice.chance(0.35) and width > 5.0
    columns = max(1, int(width / dice.uniform(1.6, 2.6)))
    pitch, w, h = width / columns, dice.uniform(0.8, 1.2), dice.uniform(1.2, 1.7)
    pane = glass(rgb("#9fb4c0"))
    lit = glowing(rgb("#e8c98a"), 0.7, casts_shadow=True)
    door_column, bars, sills, shutters = dice.below(columns), dice.chance(0.7), dice.chance(0.6), dice.chance(0.25)
    shutter = painted(dice, palette)
    for floor in range(floors):
        z = floor * storey + 0.55 * storey + 0.15
        if floor == 0 and shop:
            parts += _shop(dice, palette, width, storey)
            continue
        for column in range(columns):
            x = (column + 0.5) * pitch - 0.5 * width
            if floor == 0 and column == door_column:
                parts += _front_door(dice, palette, x, trim)
                continue
            parts += _window(x, z, w, h, lit if dice.chance(0.05) else pane, trim, bars, sills)
            if shutters:
                parts += [box((0.42 * w, 0.04, h), (x + side * 0.78 * w, -0.025, z), shutter) for side in (-1.0, 1.0)]
    if floors > 1 and dice.chance(0.35):
        parts.append(box((width + 0.06, 0.14, 0.18), (0, -0.03, storey + 0.1), trim))
    parts.append(box((width + 0.3, 0.4, 0.25), (0, -0.08, height), trim))
    if dice.chance(0.55):
        parts.append(roof(width + 0.3, depth, height + 0.1, dice.uniform(1.2, 3.0), dice))
    return parts, height


def _window(x: float, z: float, w: float, h: float, pane: Material, trim: Material, bars: bool, sill: bool) -> list[Part]:
    parts = [panel(w, h, (x, -0.02, z), pane, "y")]
    for side in (-1.0, 1.0):
        parts.append(box((0.08, 0.09, h + 0.16), (x + side * (0.5 * w + 0.04), -0.02, z), trim))
        parts.append(box((w, 0.09, 0.08), (x, -0.02, z + side * (0.5 * h + 0.04)), trim))
    if bars:
        parts.append(box((0.05, 0.05, h), (x, -0.025, z), trim))
        parts.append(box((w, 0.05, 0.05), (x, -0.025, z + 0.15 * h), trim))
    if sill:
        parts.append(box((w + 0.3, 0.22, 0.07), (x, -0.09, z - 0.5 * h - 0.1), trim))
    return parts


def _front_door(dice: Dice, palette: Palette, x: float, trim: Material) -> list[Part]:
    leaf = painted(dice, palette)
    parts = [box((1.0, 0.06, 2.15), (x, -0.01, 1.2), leaf), block((1.5, 0.5, 0.14), (x, -0.2, 0.0), trim)]
    parts += [box((0.12, 0.14, 2.35), (x + side * 0.57, -0.03, 1.2), trim) for side in (-1.0, 1.0)]
    parts.append(box((1.5, 0.3, 0.12), (x, -0.1, 2.42), trim))
    parts += [
        box((0.36, 0.02, 0.7), (x + side * 0.22, -0.045, z), scaled_leaf)
        for side in (-1.0, 1.0)
        for z, scaled_leaf in ((0.75, leaf), (1.65, leaf))
    ]
    return parts


def _shop(dice: Dice, palette: Palette, width: float, storey: float) -> list[Part]:
    """A shop window with a sign and an awning."""
    a, b, c = dice.shuffled(palette)[:3]
    inside = Material(m.POSTER, scaled(a, 0.5), b, c, (width, 2.0), (9.0, 0.0), dice.seed(), specular=0.2, mirror=0.07)
    sign = Material(m.BOOK, c, a, rgb("#f0ece2"), (width - 0.4, 0.9), (0.0,), dice.seed())
    frame = painted(dice, palette)
    parts = [panel(width - 0.6, 2.0, (0, -0.02, 1.5), inside, "y"), box((width - 0.3, 0.15, 0.6), (0, -0.06, storey - 0.1), sign)]
    count = max(2, int(width / 1.6))
    parts += [box((0.1, 0.1, 2.2), (((i / count) - 0.5) * (width - 0.6), -0.03, 1.5), frame) for i in range(count + 1)]
    if dice.chance(0.6):
        canvas = Material(m.STRIPES, rgb("#eee9dc"), dice.choice(palette), a, (0.5, 0.5), (0.0, 0.5, 0.0), dice.seed())
        parts += moved([box((width - 0.5, 1.2, 0.03), (0, -0.6, 0), canvas)], shift(0, 0, storey - 0.45), turn_x(0.4))
    return parts


def roof(width: float, depth: float, base: float, rise: float, dice: Dice) -> Part:
    """A ridge roof along x over a house whose facade is y = 0."""
    x, y0, y1, middle = 0.5 * width, -0.35, depth + 0.35, 0.5 * depth
    corners = [(-x, y0, base), (x, y0, base), (x, y1, base), (-x, y1, base), (-x, middle, base + rise), (x, middle, base + rise)]
    faces = [(0, 1, 5), (0, 5, 4), (2, 3, 4), (2, 4, 5), (0, 4, 3), (1, 2, 5), (0, 2, 1), (0, 3, 2)]
    color = dice.choice((rgb("#7a3b2c"), rgb("#4b4a4c"), rgb("#8a5a40"), rgb("#5d564c")))
    tile = Material(m.BRICKS, color, scaled(color, 0.5), scaled(color, 0.7), (0.18, 0.18), (0.15, 0.3), dice.seed())
    return mesh(np.array(corners), np.array(faces), tile, smooth=False)
