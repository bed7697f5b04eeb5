"""Lamps for desks, tables, floors and ceilings."""

from __future__ import annotations

from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import (
    Palette,
    ceramic,
    glowing,
    metal,
    paint,
    painted,
)
from scene_depth_synthetic.procedural.materials import blend, rgb
from scene_depth_synthetic.procedural.piece import Piece
from scene_depth_synthetic.procedural.shapes import (
    Part,
    cylinder,
    ellipsoid,
    frustum,
    moved,
    rod,
)
from scene_depth_synthetic.procedural.tableware import vase
from scene_depth_synthetic.procedural.transforms import shift, turn_y


def desk_lamp(dice: Dice, palette: Palette) -> Piece:
    """A reading lamp with a bent arm."""
    enamel, steel = painted(dice, palette), metal(rgb("#8d9093"))
    elbow, head = (0.06, 0.0, 0.28), (-0.12, -0.02, 0.4)
    shade = moved([frustum(0.075, 0.025, 0.11, (0, 0, -0.09), enamel, caps=2)], shift(*head), turn_y(0.5))
    parts = [
        cylinder(0.075, 0.02, (0, 0, 0), enamel),
        rod((0, 0, 0.02), elbow, 0.008, steel),
        rod(elbow, head, 0.008, steel),
        *shade,
    ]
    return Piece("lamp", parts, 0.3, 0.16, 0.45)


def table_lamp(dice: Dice, palette: Palette, height: float, *, lit: bool) -> Piece:
    """A lamp with a cloth shade on a pottery foot."""
    foot = vase(0.24 * height, 0.55 * height, ceramic(dice, palette), style=dice.below(3))
    color = blend(rgb("#f1e3c4"), dice.choice(palette), 0.15)
    shade = glowing(color, 0.75) if lit else paint(color, unevenness=0.1)
    top = frustum(0.36 * height, 0.24 * height, 0.42 * height, (0, 0, 0.58 * height), shade, caps=0)
    parts = [*foot.parts, cylinder(0.012, 0.2 * height, (0, 0, 0.5 * height), metal(rgb("#b08d45"))), top]
    return Piece("lamp", parts, 0.72 * height, 0.72 * height, height)


def floor_lamp(dice: Dice, palette: Palette, *, lit: bool) -> Piece:
    """A standing lamp with a shade."""
    height, radius = dice.uniform(1.3, 1.75), dice.uniform(0.15, 0.24)
    pole = metal(dice.choice((rgb("#b08d45"), rgb("#9a9da0"), rgb("#2e2e30"))), mirror=0.15)
    color = blend(rgb("#f1e3c4"), dice.choice(palette), 0.15)
    shade = glowing(color, 1.0) if lit else paint(color, unevenness=0.1)
    parts = [cylinder(0.14, 0.02, (0, 0, 0), pole), cylinder(0.012, height - 0.1, (0, 0, 0), pole)]
    parts.append(frustum(radius, dice.uniform(0.55, 0.95) * radius, 0.28, (0, 0, height - 0.28), shade, caps=0))
    return Piece("lamp", parts, 2 * radius, 2 * radius, height)


def pendant_lamp(dice: Dice, palette: Palette, drop: float, *, lit: bool) -> list[Part]:
    """A lamp on a cord that hangs ``drop`` metres down from the origin."""
    radius = dice.uniform(0.12, 0.25)
    color = dice.choice(palette)
    outside = glowing(blend(rgb("#f6e8cc"), color, 0.2), 1.8) if lit and dice.chance(0.6) else paint(color, sheen=0.3)
    cord = rod((0, 0, 0), (0, 0, -drop), 0.004, paint(rgb("#222222")))
    if dice.chance(0.5):
        return [cord, ellipsoid((radius, radius, 0.8 * radius), (0, 0, -drop - 0.8 * radius), outside)]
    return [cord, frustum(radius, 0.25 * radius, 0.8 * radius, (0, 0, -drop - 0.8 * radius), outside, caps=2)]
