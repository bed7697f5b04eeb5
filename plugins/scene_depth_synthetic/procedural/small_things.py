"""A random thing for a table or a shelf."""

from __future__ import annotations

from scene_depth_synthetic.procedural.books import book_stack, cover_material, lying_book
from scene_depth_synthetic.procedural.clutter import (
    ball,
    bear,
    building_blocks,
    carton,
    crumpled_cloth,
    globe,
    laptop,
    pen_cup,
    standing_frame,
)
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.finishes import (
    Palette,
    ceramic,
    metal,
    paint,
)
from scene_depth_synthetic.procedural.lamps import desk_lamp, table_lamp
from scene_depth_synthetic.procedural.materials import blend, rgb
from scene_depth_synthetic.procedural.piece import Piece
from scene_depth_synthetic.procedural.plants import cactus, potted_plant
from scene_depth_synthetic.procedural.tableware import apple, bottle, bowl, candle, fruit_bowl, mug, plate, teapot, vase

KINDS = (
    ("book", 2.0), ("books", 1.2), ("mug", 2.0), ("bowl", 1.0), ("plate", 0.6), ("vase", 1.6), ("bottle", 1.3),
    ("candle", 0.7), ("fruit", 0.7), ("apple", 0.8), ("teapot", 0.6), ("plant", 1.2), ("cactus", 0.6), ("carton", 1.4),
    ("blocks", 0.9), ("ball", 0.6), ("bear", 0.6), ("laptop", 0.5), ("pens", 0.7), ("frame", 0.9), ("globe", 0.4),
    ("lamp", 0.5), ("cloth", 0.4),
)  # fmt: skip


def small_thing(dice: Dice, palette: Palette) -> Piece:
    """A random thing for a table or a shelf, 5 to 40 cm."""
    kind = dice.weighted(KINDS)
    pottery = ceramic(dice, palette)
    if kind == "book":
        return lying_book(dice, palette)
    if kind == "books":
        return book_stack(dice, palette, dice.between(2, 5))
    if kind == "mug":
        return mug(dice.uniform(0.035, 0.05), dice.uniform(0.08, 0.11), pottery)
    if kind == "bowl":
        return bowl(dice.uniform(0.06, 0.14), dice.uniform(0.05, 0.1), pottery)
    if kind == "plate":
        return plate(dice.uniform(0.08, 0.14), pottery)
    if kind == "vase":
        return vase(dice.uniform(0.04, 0.1), dice.uniform(0.12, 0.35), pottery, dice.below(3))
    if kind == "bottle":
        tint = dice.choice((rgb("#2f4a33"), rgb("#5a3620"), rgb("#a8b8b4"), rgb("#23303c"), dice.choice(palette)))
        label = cover_material(dice, palette, 0.12, 0.1) if dice.chance(0.7) else None
        return bottle(dice.uniform(0.03, 0.045), dice.uniform(0.2, 0.33), paint(tint, sheen=1.0, gloss=7), label)
    if kind == "candle":
        wax = paint(blend(rgb("#f0e6d0"), dice.choice(palette), 0.3), sheen=0.2)
        return candle(dice.uniform(0.01, 0.03), dice.uniform(0.06, 0.22), wax, metal(rgb("#b08d45"), mirror=0.2))
    if kind == "fruit":
        return fruit_bowl(dice, dice.uniform(0.1, 0.15), pottery)
    if kind == "apple":
        return apple(
            dice.uniform(0.03, 0.042),
            paint(dice.choice((rgb("#b3372b"), rgb("#8fa33a"), rgb("#c9a227"))), sheen=0.4, unevenness=0.2, seed=dice.seed()),
        )
    if kind == "teapot":
        return teapot(dice.uniform(0.06, 0.08), pottery)
    if kind == "plant":
        return potted_plant(dice, dice.uniform(0.04, 0.08), dice.uniform(0.18, 0.4), pottery)
    if kind == "cactus":
        return cactus(dice, dice.uniform(0.03, 0.05), pottery)
    if kind == "carton":
        return carton(dice, palette, dice.uniform(0.06, 0.2))
    if kind == "blocks":
        return building_blocks(dice, palette)
    if kind == "ball":
        return ball(dice, palette, dice.uniform(0.03, 0.11))
    if kind == "bear":
        return bear(dice, dice.uniform(0.15, 0.3))
    if kind == "laptop":
        return laptop(dice, palette)
    if kind == "pens":
        return pen_cup(dice, palette)
    if kind == "frame":
        return standing_frame(dice, palette)
    if kind == "globe":
        return globe(dice, dice.uniform(0.07, 0.12))
    if kind == "lamp":
        return (
            desk_lamp(dice, palette)
            if dice.chance(0.5)
            else table_lamp(dice, palette, dice.uniform(0.3, 0.45), lit=dice.chance(0.3))
        )
    return crumpled_cloth(dice, palette, dice.uniform(0.2, 0.4))
