"""Things for tables, shelves and walls: books, boxes, toys, screens, lamps, pictures, cloth; and random ones put on a shelf."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from scene_depth_synthetic.procedural import tableware
from scene_depth_synthetic.procedural.dice import Dice
from scene_depth_synthetic.procedural.plants import cactus, potted_plant
from scene_depth_synthetic.procedural.transforms import Matrix, shift, sine_cosine, turn_x, turn_y, turn_z
from scene_depth_synthetic.procedural.world import WorldBuilder

from scene_depth_synthetic.procedural.finishes import (  # isort: skip
    Palette, ceramic, cloth, glowing, metal, paint, painted, picture, wooden,
)  # fmt: skip
from scene_depth_synthetic.procedural.materials import (  # isort: skip
    BOOK, CHECKS, DOTS, FOLIAGE, MOTTLED, PAGE, STRIPES, Material, blend, colors, rgb, scaled,
)  # fmt: skip
from scene_depth_synthetic.procedural.shapes import (  # isort: skip
    ORIGIN, Part, Piece, Shelf, block, box, curve, cylinder, ellipsoid, frustum, height_field, moved, panel, rod, round_piece,
    sphere, torus, turned,
)  # fmt: skip

PAPER = rgb("#e9e2d2")
BRASS = metal("#b08d45", mirror=0.2)


def book(width: float, height: float, thickness: float, cover: Material) -> list[Part]:
    """A book that stands with its spine towards -y: width across the covers (y), height z, thickness along x."""
    board = min(0.003, 0.15 * thickness)
    size = (thickness - 2 * board, 0.94 * width, 0.95 * height)
    pages = box(size, (0.0, 0.02 * width, 0.5 * height), paint(PAPER, unevenness=0.2))
    sides = [box((board, width, height), (side * 0.5 * (thickness - board), 0.0, 0.5 * height), cover) for side in (-1, 1)]
    spine = box((thickness, board, height), (0.0, -0.5 * (width - board), 0.5 * height), cover)
    return [pages, *sides, spine]


def cover_material(dice: Dice, palette: Palette, width: float, height: float) -> Material:
    """A printed cover in two colours of the palette."""
    a, b, c = dice.shuffled(palette)[:3]
    return Material(BOOK, a, b, blend(c, PAPER, 0.5), (width, height), (float(dice.below(2)),), dice.seed(), specular=0.1)


def lying_book(dice: Dice, palette: Palette) -> Piece:
    """A book lying on its back."""
    width, height, thickness = dice.uniform(0.11, 0.2), dice.uniform(0.17, 0.28), dice.uniform(0.012, 0.045)
    standing = book(width, height, thickness, cover_material(dice, palette, width, height))
    parts = moved(standing, shift(0, 0.5 * height, 0.5 * thickness), turn_x(0.5 * math.pi), turn_z(0.5 * math.pi))
    return Piece("book", parts, width, height, thickness)


def book_stack(dice: Dice, palette: Palette, count: int) -> Piece:
    """Books lying one on another."""
    parts: list[Part] = []
    z, width = 0.0, 0.0
    for _ in range(count):
        piece = lying_book(dice, palette)
        parts += moved(piece.parts, shift(0.0, 0.0, z), turn_z(dice.uniform(-0.25, 0.25)))
        z, width = z + piece.height, max(width, piece.depth)
    return Piece("book", parts, width, width, z)


def book_row(dice: Dice, palette: Palette, length: float, height: float) -> Piece:
    """Standing books of which one sees spine and top, spines towards -y, side by side along x."""
    parts: list[Part] = []
    x, depth, board = -0.5 * length, 0.15, 0.002
    while True:
        thickness, tall = dice.uniform(0.014, 0.05), height * dice.uniform(0.62, 0.95)
        if x + thickness > 0.5 * length:
            break
        cover = cover_material(dice, palette, thickness, tall) if dice.chance(0.5) else painted(dice, palette)
        width = dice.uniform(0.12, depth)
        place = shift(x + 0.5 * thickness, 0.5 * (width - depth) + dice.uniform(0.0, 0.012), 0.0)
        inside = (thickness - 2 * board, width - board, 0.002)
        parts += moved(box((thickness, width, tall - 0.001), (0.0, 0.0, 0.5 * tall), cover), place)
        parts += moved(box(inside, (0.0, 0.5 * board, tall), paint(PAPER, unevenness=0.3)), place)
        x += thickness + (0.0008 if dice.chance(0.9) else dice.uniform(0.0, 0.04))
    return Piece("book", parts or [block((0.03, depth, 0.6 * height), ORIGIN, painted(dice, palette))], length, depth, height)


def carton(dice: Dice, palette: Palette, size: float) -> Piece:
    """A box: cardboard with tape, a gift with ribbon, or painted."""
    w, d, h = size * dice.factor(0.4), size * dice.factor(0.4), size * dice.factor(0.5)
    kind = dice.below(3)
    if kind == 0:
        skin = paint(scaled("#b08a5f", dice.uniform(0.8, 1.1)), unevenness=0.12, seed=dice.seed())
        bands = [block((0.1 * w, 1.002 * d, 1.002 * h), ORIGIN, paint("#c9b38c", sheen=0.3))]
    else:
        skin = cloth(dice, palette) if kind == 1 else painted(dice, palette)
        ribbon = painted(dice, palette)
        sizes = ((0.12 * w, 1.01 * d, 1.01 * h), (1.01 * w, 0.12 * d, 1.01 * h)) if kind == 1 else ()
        bands = [block(each, ORIGIN, ribbon) for each in sizes]
    return Piece("box", [block((w, d, h), ORIGIN, skin), *bands], w, d, h)


def building_blocks(dice: Dice, palette: Palette) -> Piece:
    """A tower of toy blocks, perhaps with a cone or a ball on top."""
    parts: list[Part] = []
    size, z = dice.uniform(0.03, 0.05), 0.0
    for _ in range(dice.between(2, 5)):
        brick = block((size * 1.3, size, size), ORIGIN, painted(dice, palette))
        parts += moved(brick, shift(dice.uniform(-0.2, 0.2) * size, 0, z), turn_z(dice.uniform(-0.5, 0.5)))
        z += size
    top = dice.below(3)
    if top == 0:
        parts.append(frustum(0.6 * size, 0.0, 1.2 * size, (0, 0, z), painted(dice, palette)))
    elif top == 1:
        parts.append(sphere(0.5 * size, (0, 0, z + 0.5 * size), painted(dice, palette)))
    return Piece("toy", parts, 1.6 * size, 1.4 * size, z + 1.2 * size)


def ball(dice: Dice, palette: Palette, radius: float) -> Piece:
    """A ball with stripes, checks or dots."""
    a, b, c = dice.shuffled(palette)[:3]
    kind, parameters = dice.choice(((STRIPES, (1.57, 0.5, 0.0)), (CHECKS, (0.05,)), (DOTS, (0.3,))))
    skin = Material(kind, a, b, c, 0.5 * radius, parameters, dice.seed(), specular=0.3, mirror=0.03)
    turn = turn_x(dice.uniform(-1, 1)), turn_y(dice.uniform(-1, 1))
    return round_piece("toy", moved(sphere(radius, ORIGIN, skin), shift(0, 0, radius), *turn), radius, 2 * radius)


def bear(dice: Dice, size: float) -> Piece:
    """A sitting soft toy."""
    color = dice.choice(colors("#8a5a34 #c49a6c #5f4a3c #b9a9a0"))
    fur = Material(FOLIAGE, color, scaled(color, 1.25), scaled(color, 0.8), 0.012, (0.35,), dice.seed())
    pale = paint(scaled(color, 1.6), unevenness=0.2)
    dark = paint("#1d1815", sheen=0.8)

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return x * size, y * size, z * size

    def lump(x: float, y: float, z: float, r: float, material: Material, flat: float = 1.0) -> Part:
        return ellipsoid((r * size, r * size * flat, r * size), at(x, y, z), material)

    parts = [lump(0, 0, 0.27, 0.27, fur, 0.85), lump(0, 0, 0.68, 0.22, fur)]
    parts += [lump(0, -0.19, 0.63, 0.1, pale, 0.8), lump(0, -0.27, 0.66, 0.035, dark)]
    for side in (-1, 1):
        parts += [
            lump(0.17 * side, 0, 0.86, 0.085, fur, 0.5),
            lump(0.09 * side, -0.19, 0.74, 0.024, dark),
            rod(at(0.2 * side, 0, 0.42), at(0.33 * side, -0.12, 0.22), 0.085 * size, fur),
            lump(0.33 * side, -0.12, 0.22, 0.09, fur),
            lump(0.19 * side, -0.3, 0.1, 0.1, fur),
            lump(0.19 * side, -0.39, 0.11, 0.06, pale, 0.4),
            rod(at(0.14 * side, -0.05, 0.12), at(0.19 * side, -0.3, 0.1), 0.1 * size, fur),
        ]
    return Piece("toy", parts, 0.8 * size, 0.8 * size, 0.95 * size)


def laptop(dice: Dice, palette: Palette) -> Piece:
    """An open laptop, screen towards -y."""
    shell = metal("#a9acb0", mirror=0.08)
    keys = Material(CHECKS, "#2b2c2e", "#3c3d40", scale=0.02, parameters=(0.0,))
    a, b, c = dice.shuffled(palette)[:3]
    screen = Material(PAGE, scaled(a, 1.2), b, c, (0.3, 0.19), (0.045, 0.5), dice.seed(), emission=0.35)
    lid = [box((0.33, 0.006, 0.22), (0, 0, 0.11), shell), panel(0.31, 0.2, (0, -0.0035, 0.11), screen, "y")]
    parts = [block((0.33, 0.23, 0.014), ORIGIN, shell), panel(0.29, 0.11, (0, 0.03, 0.0145), keys)]
    return Piece("electronics", parts + moved(lid, shift(0, 0.115, 0.012), turn_x(-0.3)), 0.33, 0.3, 0.23)


def monitor(dice: Dice, palette: Palette, width: float) -> Piece:
    """A flat screen on a foot, towards -y."""
    case, height = paint("#202124", sheen=0.4), 0.58 * width
    a, b, c = dice.choice(palette), dice.choice(palette), dice.choice(palette)
    seed, emission = dice.seed(), dice.choice((0.0, 0.4))
    screen = Material(PAGE, a, b, c, (width, height), (0.05, 0.8), seed, emission=emission, specular=0.2, mirror=0.04)
    parts = [
        box((width, 0.03, height), (0, 0, 0.12 + 0.5 * height), case),
        panel(0.96 * width, 0.93 * height, (0, -0.0155, 0.12 + 0.5 * height), screen, "y"),
        cylinder(0.025, 0.14, (0, 0.03, 0), case),
        block((0.4 * width, 0.18, 0.012), (0, 0.02, 0), case),
    ]
    return Piece("electronics", parts, width, 0.2, 0.12 + height)


def pen_cup(dice: Dice, palette: Palette) -> Piece:
    """Pencils in a cup."""
    radius, height = dice.uniform(0.03, 0.045), dice.uniform(0.08, 0.11)
    parts = [cylinder(radius, height, ORIGIN, painted(dice, palette), caps=1)]
    for i in range(dice.between(3, 7)):
        sine, cosine = sine_cosine(2.4 * i)
        foot, top = 0.5 * radius, radius * dice.uniform(0.8, 1.3)
        end = (top * cosine, top * sine, height * dice.uniform(1.3, 1.9))
        parts.append(rod((-foot * cosine, -foot * sine, 0.005), end, 0.0035, painted(dice, palette)))
    return round_piece("other", parts, radius, height)


def framed_picture(dice: Dice, palette: Palette, width: float, height: float) -> list[Part]:
    """A framed picture around the origin that faces -y."""
    edge = 0.03 + 0.04 * min(width, height)
    frame = wooden(dice) if dice.chance(0.6) else painted(dice, palette)
    inner = picture(dice, palette, width, height)
    parts = [panel(width, height, (0.0, -0.004, 0.0), inner, "y"), box((width, 0.006, height), ORIGIN, paint(PAPER))]
    for side in (-1, 1):
        parts.append(box((width + 2 * edge, 0.025, edge), (0, -0.008, side * 0.5 * (height + edge)), frame))
        upright = box((height, 0.025, edge), ORIGIN, frame)
        parts += moved(upright, shift(side * 0.5 * (width + edge), -0.008, 0), turn_y(0.5 * math.pi))
    return parts


def standing_frame(dice: Dice, palette: Palette) -> Piece:
    """A small framed picture that leans back."""
    w, h = dice.choice(((0.13, 0.18), (0.18, 0.13), (0.2, 0.25)))
    parts = framed_picture(dice, palette, w, h)
    return Piece("picture", moved(parts, shift(0, 0, 0.5 * h * 0.98 + 0.01), turn_x(-0.2)), w + 0.03, 0.25 * h, h)


def clock(dice: Dice, radius: float) -> list[Part]:
    """A wall clock around the origin that faces -y."""
    rim, face, dark = painted(dice, colors("#8c3b2a #2d2d2d #c9a227")), paint("#f1ede3"), paint("#1c1c1c")
    parts = [cylinder(radius, 0.03, ORIGIN, rim), cylinder(0.88 * radius, 0.004, (0, 0, 0.03), face)]
    for angle, length in ((dice.uniform(0, 6.28), 0.5), (dice.uniform(0, 6.28), 0.75)):
        sine, cosine = sine_cosine(angle)
        parts.append(rod((0, 0, 0.037), (length * radius * cosine, length * radius * sine, 0.037), 0.03 * radius, dark))
    for i in range(12):
        sine, cosine = sine_cosine(i * math.pi / 6.0)
        center = (0.76 * radius * cosine, 0.76 * radius * sine, 0.035)
        parts.append(ellipsoid((0.03 * radius, 0.03 * radius, 0.004), center, dark))
    return moved(parts, turn_x(0.5 * math.pi))


def globe(dice: Dice, radius: float) -> Piece:
    """A globe on a stand."""
    black = (0.0, 0.0, 0.0)
    sea = Material(MOTTLED, "#3c6f8f", "#b59a5b", black, 1.1 * radius, (0.06, 0.1), dice.seed(), specular=0.4, mirror=0.03)
    parts = [sphere(radius, (0, 0, 1.5 * radius), sea), frustum(0.6 * radius, 0.1 * radius, 0.35 * radius, ORIGIN, BRASS)]
    ring = torus(1.1 * radius, 0.04 * radius, ORIGIN, BRASS)
    parts += moved(ring, shift(0, 0, 1.5 * radius), turn_y(0.4), turn_x(0.5 * math.pi))
    return Piece("other", parts, 2.2 * radius, 2.2 * radius, 2.6 * radius)


def crumpled_cloth(dice: Dice, palette: Palette, size: float) -> Piece:
    """A cloth thrown down in folds."""
    n = 17
    grid = np.linspace(-0.5, 0.5, n)
    x, y = np.meshgrid(grid * size, grid * size * dice.uniform(0.6, 1.0), indexing="xy")
    z = np.zeros((n, n))
    for _ in range(4):
        angle, wave, phase = dice.uniform(0, 3.1), dice.uniform(4.0, 13.0) / size, dice.uniform(0, 6.28)
        sine, cosine = sine_cosine(angle)
        along = (x * cosine + y * sine) * wave + phase
        z += np.array([[sine_cosine(float(v))[0] for v in row] for row in along])
    z = 0.004 + 0.014 * size * (z + 4.0) * 0.5
    bend = 0.06 * size * dice.uniform(-1, 1)
    return Piece("cloth", [height_field(x + bend * (y / size) ** 2 * 4.0, y, z, cloth(dice, palette))], size, size, 0.06 * size)


def bottle(dice: Dice, palette: Palette) -> Piece:
    """A bottle with a neck and perhaps a label."""
    tint = dice.choice((*colors("#2f4a33 #5a3620 #a8b8b4 #23303c"), dice.choice(palette)))
    label = cover_material(dice, palette, 0.12, 0.1) if dice.chance(0.7) else None
    r, h = dice.uniform(0.03, 0.045), dice.uniform(0.2, 0.33)
    neck = curve([(r, 0.56 * h), (0.8 * r, 0.68 * h), (0.33 * r, 0.77 * h), (0.3 * r, h)], 3)
    profile = [(0.0, 0.0), (0.92 * r, 0.0), (r, 0.03 * h), *neck, (0.0, h)]
    parts = [turned(profile, paint(tint, sheen=1.0, gloss=7))]
    if label is not None:
        parts.append(cylinder(1.012 * r, 0.26 * h, (0.0, 0.0, 0.17 * h), label, caps=0))
    return round_piece("container", parts, r, h)


def desk_lamp(dice: Dice, palette: Palette) -> Piece:
    """A reading lamp with a bent arm."""
    enamel, steel = painted(dice, palette), metal("#8d9093")
    elbow, head = (0.06, 0.0, 0.28), (-0.12, -0.02, 0.4)
    parts = [cylinder(0.075, 0.02, ORIGIN, enamel), rod((0, 0, 0.02), elbow, 0.008, steel), rod(elbow, head, 0.008, steel)]
    parts += moved(frustum(0.075, 0.025, 0.11, (0, 0, -0.09), enamel, caps=2), shift(*head), turn_y(0.5))
    return Piece("lamp", parts, 0.3, 0.16, 0.45)


def shade_material(dice: Dice, palette: Palette, radiance: float, *, lit: bool) -> Material:
    """A lamp's cloth shade."""
    color = blend("#f1e3c4", dice.choice(palette), 0.15)
    return glowing(color, radiance) if lit else paint(color, unevenness=0.1)


def table_lamp(dice: Dice, palette: Palette, height: float, *, lit: bool) -> Piece:
    """A lamp with a cloth shade on a pottery foot."""
    foot = tableware.vase(0.24 * height, 0.55 * height, ceramic(dice, palette), dice.below(3))
    shade = shade_material(dice, palette, 0.75, lit=lit)
    top = frustum(0.36 * height, 0.24 * height, 0.42 * height, (0, 0, 0.58 * height), shade, caps=0)
    pole = cylinder(0.012, 0.2 * height, (0, 0, 0.5 * height), metal("#b08d45"))
    return Piece("lamp", [*foot.parts, pole, top], 0.72 * height, 0.72 * height, height)


def random_candle(dice: Dice, palette: Palette) -> Piece:
    """A candle of any size, pale or tinted."""
    wax = paint(blend("#f0e6d0", dice.choice(palette), 0.3), sheen=0.2)
    return tableware.candle(dice.uniform(0.01, 0.03), dice.uniform(0.06, 0.22), wax, BRASS)


def random_apple(dice: Dice) -> Piece:
    """A red, green or yellow apple."""
    radius, color = dice.uniform(0.03, 0.042), dice.choice(colors("#b3372b #8fa33a #c9a227"))
    return tableware.apple(radius, paint(color, sheen=0.4, unevenness=0.2, seed=dice.seed()))


def random_lamp(dice: Dice, palette: Palette) -> Piece:
    """A lamp for a desk or a table."""
    if dice.chance(0.5):
        return desk_lamp(dice, palette)
    return table_lamp(dice, palette, dice.uniform(0.3, 0.45), lit=dice.chance(0.3))


SMALL_THINGS: tuple[tuple[Callable[[Dice, Palette, Material], Piece], float], ...] = (
    (lambda dice, palette, glaze: lying_book(dice, palette), 2.0),
    (lambda dice, palette, glaze: book_stack(dice, palette, dice.between(2, 5)), 1.2),
    (lambda dice, palette, glaze: tableware.mug(dice.uniform(0.035, 0.05), dice.uniform(0.08, 0.11), glaze), 2.0),
    (lambda dice, palette, glaze: tableware.bowl(dice.uniform(0.06, 0.14), dice.uniform(0.05, 0.1), glaze), 1.0),
    (lambda dice, palette, glaze: tableware.plate(dice.uniform(0.08, 0.14), glaze), 0.6),
    (lambda dice, palette, glaze: tableware.vase(dice.uniform(0.04, 0.1), dice.uniform(0.12, 0.35), glaze, dice.below(3)), 1.6),
    (lambda dice, palette, glaze: bottle(dice, palette), 1.3),
    (lambda dice, palette, glaze: random_candle(dice, palette), 0.7),
    (lambda dice, palette, glaze: tableware.fruit_bowl(dice, dice.uniform(0.1, 0.15), glaze), 0.7),
    (lambda dice, palette, glaze: random_apple(dice), 0.8),
    (lambda dice, palette, glaze: tableware.teapot(dice.uniform(0.06, 0.08), glaze), 0.6),
    (lambda dice, palette, glaze: potted_plant(dice, dice.uniform(0.04, 0.08), dice.uniform(0.18, 0.4), glaze), 1.2),
    (lambda dice, palette, glaze: cactus(dice, dice.uniform(0.03, 0.05), glaze), 0.6),
    (lambda dice, palette, glaze: carton(dice, palette, dice.uniform(0.06, 0.2)), 1.4),
    (lambda dice, palette, glaze: building_blocks(dice, palette), 0.9),
    (lambda dice, palette, glaze: ball(dice, palette, dice.uniform(0.03, 0.11)), 0.6),
    (lambda dice, palette, glaze: bear(dice, dice.uniform(0.15, 0.3)), 0.6),
    (lambda dice, palette, glaze: laptop(dice, palette), 0.5),
    (lambda dice, palette, glaze: pen_cup(dice, palette), 0.7),
    (lambda dice, palette, glaze: standing_frame(dice, palette), 0.9),
    (lambda dice, palette, glaze: globe(dice, dice.uniform(0.07, 0.12)), 0.4),
    (lambda dice, palette, glaze: random_lamp(dice, palette), 0.5),
    (lambda dice, palette, glaze: crumpled_cloth(dice, palette, dice.uniform(0.2, 0.4)), 0.4),
)
"""What a random thing is made by, from dice, a palette and a glaze for pottery; and how often it comes."""


def small_thing(dice: Dice, palette: Palette) -> Piece:
    """A random thing for a table or a shelf, 5 to 40 cm."""
    make = dice.weighted(SMALL_THINGS)
    return make(dice, palette, ceramic(dice, palette))


def fill_shelves(builder: WorldBuilder, dice: Dice, palette: Palette, piece: Piece, place: Matrix) -> None:
    """Puts books and small things on the shelves of a piece; some shelves stay empty."""
    for shelf in piece.shelves:
        if dice.chance(0.2 if piece.category == "shelf" else 0.12):
            continue
        if piece.category == "shelf" and shelf.clearance > 0.2 and dice.chance(0.55):
            length = shelf.width * dice.uniform(0.3, 0.98)
            row = book_row(dice, palette, length, min(shelf.clearance, 0.34))
            x = dice.choice((-1.0, 1.0)) * 0.5 * (shelf.width - length)
            builder.put(row, place, shift(shelf.x + x, shelf.y - 0.02, shelf.z))
            continue
        scatter(builder, dice, palette, shelf, place, dice.between(1, 2 + int(3.0 * shelf.width)))


def scatter(builder: WorldBuilder, dice: Dice, palette: Palette, shelf: Shelf, place: Matrix, count: int) -> None:
    """Puts up to ``count`` small things on a shelf so that none touches another."""
    taken: list[tuple[float, float, float]] = []
    for _ in range(count):
        thing = small_thing(dice, palette)
        radius = 0.5 * max(thing.width, thing.depth)
        reach_x, reach_y = 0.5 * shelf.width - 0.8 * radius, 0.5 * shelf.depth - 0.8 * radius
        if thing.height > shelf.clearance or reach_x <= 0.0 or reach_y <= 0.0:
            continue
        for _try in range(6):
            x, y = dice.uniform(-reach_x, reach_x), dice.uniform(-reach_y, reach_y)
            if all((x - a) ** 2 + (y - b) ** 2 > (radius + r) ** 2 for a, b, r in taken):
                taken.append((x, y, radius))
                faces_us = thing.category in ("electronics", "picture")
                turn = turn_z(dice.uniform(-0.6, 0.6) if faces_us else dice.uniform(0.0, 6.28))
                builder.put(thing, place, shift(shelf.x + x, shelf.y + y, shelf.z), turn)
                break
