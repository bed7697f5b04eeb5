"""How pointmap models bring photos to the size that they work at: one rule a loader, none of which a result file stores.

Coordinates are continuous, the first pixel's centre at 0.5: ``photo = offset + scale * processed``, along x and y. The scales
of the two axes differ where a loader rounds each side to a multiple of its patches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Size = tuple[int, int]
"""Width and height."""


@dataclass(frozen=True)
class Resizing:
    """What a loader did to one photo.

    Attributes:
        photo: Size of the photo, turned as the loader turned it.
        size: Size of the processed picture.
        scale: Pixels of the photo per processed pixel, along x and y.
        offset: Coordinates in the photo of the left and the top edge of the processed picture; negative where it is padded.
    """

    photo: Size
    size: Size
    scale: tuple[float, float]
    offset: tuple[float, float]

    @property
    def image_box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of the processed pixels that lie wholly on the photo; the rest is padding."""
        left, top = (max(0, math.ceil(-self.offset[i] / self.scale[i] - 1e-3)) for i in (0, 1))
        edges = ((self.photo[i] - self.offset[i]) / self.scale[i] for i in (0, 1))
        right, bottom = (min(self.size[i], math.floor(edge + 1e-3)) for i, edge in enumerate(edges))
        return left, top, max(right, left), max(bottom, top)


@dataclass(frozen=True)
class ResizeRule:
    """The rule of one loader.

    Attributes:
        name: What it is called in messages.
        resize: Gives what becomes of the photos of a run, whose sizes may depend on one another, at a target size.
        targets: Usual target sizes.
        turns: Whether a photo is turned first as its EXIF entry asks.
    """

    name: str
    resize: Callable[[Sequence[Size], int], list[Resizing]]
    targets: tuple[int, ...]
    turns: bool


def matching_resizings(rule: ResizeRule, photos: Sequence[Size], processed: Sequence[Size]) -> list[Resizing] | None:
    """What a rule does to the photos at the target size that gives the processed sizes, or None if it cannot give them."""
    for target in dict.fromkeys((*rule.targets, *_other_targets(processed))):
        try:
            found = rule.resize(photos, target)
        except ValueError:  # a target that is too small for the photos
            continue
        if [entry.size for entry in found] == list(processed):
            return found
    return None


def _other_targets(processed: Sequence[Size]) -> Iterator[int]:
    for width, height in dict.fromkeys(processed):
        yield from (max(width, height), min(width, height), width, width * height)
        side = round(math.sqrt(width * height) / 16) * 16
        yield from (side, side - 16, side + 16)


def _map(photo: Size, resized: Size, size: Size, corner: tuple[int, int] = (0, 0), box: Sequence[int] | None = None) -> Resizing:
    """A box of the photo (left, top, right, bottom; by default all of it) resized, then a window of that cut or padded.

    Raises:
        ValueError: If nothing is left of a strip that is too thin.
    """
    if min(resized) < 1:
        raise ValueError(f"{photo} is too thin to be {resized}")
    left, top, right, bottom = box or (0, 0, *photo)
    scale = (right - left) / resized[0], (bottom - top) / resized[1]
    return Resizing(photo, size, scale, (left + corner[0] * scale[0], top + corner[1] * scale[1]))


def _centered(outer: Size, inner: Size) -> tuple[int, int]:
    return (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2


def _to_long_side(photo: Size, target: int) -> Size:
    longest = max(photo)
    return round(photo[0] * target / longest), round(photo[1] * target / longest)


def _dust3r_one(photo: Size, target: int, square_ok: bool, stretched: bool) -> Resizing:
    resized = _to_long_side(photo, target)
    x, y = resized[0] // 2, resized[1] // 2
    half_x, half_y = 2 * x // 16 * 8, 2 * y // 16 * 8
    if resized[0] == resized[1] and not square_ok:
        half_y = 3 * half_x // 4
    size = 2 * half_x, 2 * half_y
    return _map(photo, size, size) if stretched else _map(photo, resized, size, (x - half_x, y - half_y))


def _dust3r(square_ok: bool = False, stretched: bool = False) -> Callable[[Sequence[Size], int], list[Resizing]]:
    """Long side to the target, centre cut to multiples of 16, an exact square to 4:3; MonST3R can stretch in place of cutting."""
    return lambda photos, target: [_dust3r_one(photo, target, square_ok, stretched) for photo in photos]


def _dust3r_square(photos: Sequence[Size], target: int) -> list[Resizing]:
    """Short side to the target, centre square: the models of 224."""
    found = []
    for photo in photos:
        resized = _to_long_side(photo, round(target * max(photo[0] / photo[1], photo[1] / photo[0])))
        half = min(resized[0] // 2, resized[1] // 2)
        found.append(_map(photo, resized, (2 * half, 2 * half), (resized[0] // 2 - half, resized[1] // 2 - half)))
    return found


def _vggt_crop(photos: Sequence[Size], target: int) -> list[Resizing]:
    """Width to the target, what is higher than it cut in the middle; pictures of other shapes padded to the largest."""
    found = []
    for photo in photos:
        resized = target, round(photo[1] * (target / photo[0]) / 14) * 14
        size = target, min(resized[1], target)
        found.append(_map(photo, resized, size, (0, _centered(resized, size)[1])))
    height = max(entry.size[1] for entry in found)
    return [_padded(entry, (target, height)) for entry in found]


def _padded(entry: Resizing, size: Size) -> Resizing:
    corner = _centered(size, entry.size)
    offset = entry.offset[0] - corner[0] * entry.scale[0], entry.offset[1] - corner[1] * entry.scale[1]
    return Resizing(entry.photo, size, entry.scale, offset)


def _vggt_pad(photos: Sequence[Size], target: int) -> list[Resizing]:
    """Long side to the target, the other to a multiple of 14, padded to a square."""
    found = []
    for width, height in photos:
        if width >= height:
            resized = target, round(height * (target / width) / 14) * 14
        else:
            resized = round(width * (target / height) / 14) * 14, target
        found.append(_padded(_map((width, height), resized, resized), (target, target)))
    return found


def _vggt_square(photos: Sequence[Size], target: int) -> list[Resizing]:
    """Padded to a square first, then resized: the COLMAP demo of VGGT."""
    found = []
    for photo in photos:
        side = max(photo)
        left, top = _centered((side, side), photo)
        found.append(_map(photo, (target, target), (target, target), box=(-left, -top, side - left, side - top)))
    return found


def _omega(balanced: bool) -> Callable[[Sequence[Size], int], list[Resizing]]:
    """Aspect cut into 1:2 to 2:1, then stretched to multiples of 16: as many tokens as a square has, or by the long side."""

    def one(photo: Size, target: int) -> Resizing:
        kept = min(photo[0], 2 * photo[1]), min(photo[1], 2 * photo[0])
        left, top = _centered(photo, kept)
        aspect = kept[0] / kept[1]
        if balanced:
            tokens = (target / 16) ** 2
            size = round(math.sqrt(tokens * aspect)) * 16, round(math.sqrt(tokens / aspect)) * 16
        else:
            size = round(target * min(1, aspect) / 16) * 16, round(target * min(1, 1 / aspect) / 16) * 16
        return _map(photo, size, size, box=(left, top, left + kept[0], top + kept[1]))

    return lambda photos, target: [one(photo, target) for photo in photos]


def _depth_anything(longest: bool, cut: bool) -> Callable[[Sequence[Size], int], list[Resizing]]:
    """A side to the target, then each to the nearest multiple of 14 (or cut to the next below); the smallest for all."""

    def one(photo: Size, target: int) -> Resizing:
        factor = target / (max(photo) if longest else min(photo))
        resized = max(1, round(photo[0] * factor)), max(1, round(photo[1] * factor))
        if cut:
            size = resized[0] // 14 * 14, resized[1] // 14 * 14
            return _map(photo, resized, size, _centered(resized, size))
        size = (resized[0] + 7) // 14 * 14, (resized[1] + 7) // 14 * 14
        return _map(photo, size, size)

    def resize(photos: Sequence[Size], target: int) -> list[Resizing]:
        found = [one(photo, target) for photo in photos]
        smallest = min(entry.size[0] for entry in found), min(entry.size[1] for entry in found)
        return [_padded(entry, smallest) for entry in found]

    return resize


MAP_ANYTHING_SIZES = {
    518: (518, 392, 336, 294, 252, 168),
    512: (512, 384, 336, 288, 256, 160),
    504: (504, 378, 322, 280, 238, 154),
}
"""Shorter sides that go with the longer one."""


def _map_anything(by_table: bool) -> Callable[[Sequence[Size], int], list[Resizing]]:
    """One size for the run by the mean aspect of its photos, which are enlarged to cover it and cut in the middle."""

    def resize(photos: Sequence[Size], target: int) -> list[Resizing]:
        aspect = sum(width / height for width, height in photos) / len(photos)
        if by_table:
            shorter = MAP_ANYTHING_SIZES.get(target, (target,))
            sizes = [*((target, side) for side in shorter), *((side, target) for side in shorter)]
            size = min(sizes, key=lambda size: abs(round(size[0] / size[1], 3) - aspect))
        elif aspect >= 1:
            size = target, round(target / aspect / 14) * 14
        else:
            size = round(target * aspect / 14) * 14, target
        found = []
        for photo in photos:
            factor = max(size[0] / photo[0], size[1] / photo[1]) + 1e-8
            resized = math.floor(photo[0] * factor), math.floor(photo[1] * factor)
            found.append(_map(photo, resized, size, _centered(resized, size)))
        return found

    return resize


def _pi3(photos: Sequence[Size], target: int) -> list[Resizing]:
    """All photos stretched to the size of the first, in multiples of 14, with at most as many pixels as the target."""
    factor = math.sqrt(target / (photos[0][0] * photos[0][1]))
    width, height = photos[0][0] * factor, photos[0][1] * factor
    columns, rows = round(width / 14), round(height / 14)
    while columns * rows * 196 > target:
        if columns / rows > width / height:
            columns -= 1
        else:
            rows -= 1
    size = max(1, columns) * 14, max(1, rows) * 14
    return [_map(photo, size, size) for photo in photos]


MUST3R_SIZES = {224: (224,), 512: (384, 336, 288, 256, 160), 768: (576, 512, 432, 384, 240)}


def _must3r(photos: Sequence[Size], target: int) -> list[Resizing]:
    """Centre cut to the nearest of five aspects, then stretched."""
    found = []
    for photo in photos:
        aspect = max(photo) / min(photo)
        shorter = min(MUST3R_SIZES.get(target, (target,)), key=lambda side: abs(target / side - aspect))
        size = (target, shorter) if photo[0] >= photo[1] else (shorter, target)
        kept = min(photo[0], int(photo[1] * size[0] / size[1])), min(photo[1], int(photo[0] * size[1] / size[0]))
        left, top = round((photo[0] - kept[0]) / 2), round((photo[1] - kept[1]) / 2)
        found.append(_map(photo, size, size, box=(left, top, left + kept[0], top + kept[1])))
    return found


def _whole(photos: Sequence[Size], target: int) -> list[Resizing]:
    """The photos as they are."""
    return [_map(photo, photo, photo) for photo in photos]


RULES = {
    rule.name: rule
    for rule in (
        ResizeRule("dust3r 512", _dust3r(), (512,), True),
        ResizeRule("dust3r 512 square_ok", _dust3r(square_ok=True), (512,), True),
        ResizeRule("dust3r 224", _dust3r_square, (224,), True),
        ResizeRule("monst3r without crop", _dust3r(stretched=True), (512,), True),
        ResizeRule("vggt crop", _vggt_crop, (518,), False),
        ResizeRule("vggt pad", _vggt_pad, (518,), False),
        ResizeRule("vggt square", _vggt_square, (518,), False),
        ResizeRule("omega balanced", _omega(balanced=True), (512,), False),
        ResizeRule("omega max_size", _omega(balanced=False), (512,), False),
        ResizeRule("da3 upper_bound_resize", _depth_anything(longest=True, cut=False), (504,), False),
        ResizeRule("da3 upper_bound_crop", _depth_anything(longest=True, cut=True), (504,), False),
        ResizeRule("da3 lower_bound_resize", _depth_anything(longest=False, cut=False), (504,), False),
        ResizeRule("da3 lower_bound_crop", _depth_anything(longest=False, cut=True), (504,), False),
        ResizeRule("mapanything fixed_mapping", _map_anything(by_table=True), (518, 512, 504), True),
        ResizeRule("mapanything longest_side", _map_anything(by_table=False), (518, 512, 504), True),
        ResizeRule("pi3", _pi3, (255_000,), False),
        ResizeRule("must3r", _must3r, (512, 224, 768), False),
        ResizeRule("not resized", _whole, (), False),
    )
}
