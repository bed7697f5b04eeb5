"""The objects that are put into scenes: matt or glazed, patterned, none of them mirrors its surroundings."""

from __future__ import annotations

import math
from collections.abc import Callable

from scene_depth_synthetic.procedural import tableware
from scene_depth_synthetic.procedural.clutter import bear
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import PALETTES, Palette, paint
from scene_depth_synthetic.procedural.materials import CHECKS, DOTS, STRIPES, Material
from scene_depth_synthetic.procedural.piece import Piece
from scene_depth_synthetic.procedural.shapes import Part, block, ellipsoid, moved
from scene_depth_synthetic.procedural.transforms import shift, turn_z


def object_for(seed: int) -> tuple[str, Piece]:
    """An object and its name; the same seed gives the same object, and the kinds take turns.

    Args:
        seed: Whole number from 0.
    """
    dice = Dice(seed, 301)
    names = list(KINDS)
    name = names[seed % len(names)]
    return name, KINDS[name](dice, dice.choice(PALETTES))


def _striped_vase(dice: Dice, palette: Palette) -> Piece:
    a, b, c = dice.shuffled(palette)[:3]
    glaze = Material(STRIPES, a, b, c, (0.05, 0.05), (0.5 * math.pi, 0.42, 0.1), dice.seed(), 0.1, 5)
    return tableware.vase(0.1, 0.32, glaze, dice.below(3))


def _stack_of_boxes(dice: Dice, palette: Palette) -> Piece:
    parts: list[Part] = []
    side, height = 0.2, 0.0
    for level in range(3):
        rise = dice.uniform(0.08, 0.12)
        skin = _patterned(dice, palette, (CHECKS, STRIPES, DOTS)[level])
        box = block((side, dice.uniform(0.75, 1.0) * side, rise), (0.0, 0.0, 0.0), skin)
        parts += moved([box], shift(0.0, 0.0, height), turn_z(dice.uniform(-0.5, 0.5)))
        side, height = 0.8 * side, height + rise
    return Piece("box", parts, 0.28, 0.28, height)


def _ball_on_a_drum(dice: Dice, palette: Palette) -> Piece:
    drum = tableware.vase(0.11, 0.14, _patterned(dice, palette, STRIPES), 2)
    ball = ellipsoid((0.09, 0.09, 0.09), (0.0, 0.0, 0.21), _patterned(dice, palette, CHECKS))
    return Piece("toy", [*drum.parts, ball], 0.22, 0.22, 0.3)


def _soft_toy(dice: Dice, palette: Palette) -> Piece:
    toy = bear(dice, 0.34)
    scarf = ellipsoid((0.075, 0.075, 0.022), (0.0, 0.0, 0.17), paint(dice.choice(palette), unevenness=0.2))
    return Piece("toy", [*toy.parts, scarf], toy.width, toy.depth, toy.height)


def _patterned(dice: Dice, palette: Palette, pattern: int) -> Material:
    a, b, c = dice.shuffled(palette)[:3]
    parameters = {STRIPES: (0.5 * math.pi, 0.45, 0.1), CHECKS: (0.06,), DOTS: (0.28,)}[pattern]
    return Material(pattern, a, b, c, (0.06, 0.06), parameters, dice.seed(), 0.06, 4)


KINDS: dict[str, Callable[[Dice, Palette], Piece]] = {
    "striped vase": _striped_vase,
    "stack of boxes": _stack_of_boxes,
    "ball on a drum": _ball_on_a_drum,
    "soft toy": _soft_toy,
}
