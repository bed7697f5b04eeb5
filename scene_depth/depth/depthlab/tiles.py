"""Overlapping tiles of a large view, and the weights with which they are joined."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scene_depth.depth.depthlab.preparation import PreparedView

OVERLAP = 0.25  # of the side of a tile, at least


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels or cells."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def divided(self, cell: int) -> Window:
        """The same rectangle in latent cells."""
        return Window(self.top // cell, self.left // cell, self.height // cell, self.width // cell)


def windows(height: int, width: int, side: int, cell: int) -> list[Window]:
    """Tiles that cover an area, evenly spread, with corners on latent cells.

    Args:
        height, width: Of the area, multiples of ``cell``.
        side: Largest side of a tile.
        cell: Pixels of the side of a latent cell.
    """
    rows, columns = _starts(height, side, cell), _starts(width, side, cell)
    tall, wide = (min(size, side // cell * cell) for size in (height, width))
    return [Window(top, left, tall, wide) for top in rows for left in columns]


def _starts(length: int, side: int, cell: int) -> list[int]:
    side = side // cell * cell
    if length <= side:
        return [0]
    count = 1 + -(-(length - side) // max(cell, int(side * (1 - OVERLAP))))
    return [round(index * (length - side) / (count - 1) / cell) * cell for index in range(count)]


def crop(view: PreparedView, place: Window, cell: int) -> PreparedView:
    """The part of a prepared view in a window; the normalisation and the picture stay those of the whole."""
    rows, columns = place.slices
    down, right = place.divided(cell).slices
    parts = {name: getattr(view, name)[..., rows, columns] for name in ("rgb", "mask", "masked_depth", "start")}
    return replace(view, **parts, holes=view.holes[..., down, right], size=(place.height, place.width))


def tile_weights(place: Window, height: int, width: int) -> Tensor:
    """Weights that fall off linearly towards sides at which other tiles join, never to 0  # [h, w]"""
    down = _ramp(place.height, place.top > 0, place.top + place.height < height)
    right = _ramp(place.width, place.left > 0, place.left + place.width < width)
    return down[:, None] * right


def _ramp(length: int, before: bool, after: bool) -> Tensor:
    width = max(1, int(length * OVERLAP))
    position = torch.arange(length, dtype=torch.float32) + 0.5
    weights = torch.ones(length)
    if before:
        weights = torch.minimum(weights, position / width)
    if after:
        weights = torch.minimum(weights, (length - position) / width)
    return weights
