"""Borders of one colour around pictures, as undistortion and registration leave them: no surface has that colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Mask

ALIKE = 12  # levels of 255 by which colours of a border differ at most
WHOLE, HALF = 0.98, 0.5  # shares of a line in the border's colour: of one in it, and below which one is not of it
BENT = 3  # lines over which a border ends, as its inner edge may be curved
WIDEST = 0.04  # of a side; what goes on farther is a plain surface
BLENDED = 1  # pixels more, which were mixed with the border's colour


def plain_border(image: NDArray[np.uint8]) -> Mask:
    """Pixels of a border of one colour; none where the picture itself begins with that colour.

    Args:
        image: sRGB  # [H, W, 3]

    Returns:
        # [H, W]
    """
    border = np.zeros(image.shape[:2], dtype=bool)
    values = image.astype(np.int64)
    for lines, marked in ((values, border), (values[::-1], border[::-1])):
        marked[: _width(lines)] = True
    for columns, marked in ((values.swapaxes(0, 1), border.T), (values.swapaxes(0, 1)[::-1], border.T[::-1])):
        marked[: _width(columns)] = True
    return border


def _width(lines: NDArray[np.int64]) -> int:
    """Lines from the first one on that are of its colour, those blended with it too  # [L, P, 3]"""
    color = np.median(lines[0], axis=0)
    shares = [float((np.abs(line - color) <= ALIKE).all(axis=-1).mean()) for line in lines[: int(WIDEST * len(lines)) + BENT]]
    whole = next((number for number, share in enumerate(shares) if share < WHOLE), len(shares))
    width = next((number for number, share in enumerate(shares) if share < HALF), len(shares))
    ends = whole > 0 and width - whole <= BENT and width + BLENDED < len(shares) and shares[width + BLENDED] < HALF
    return width + BLENDED if ends else 0


def border_notes(pictures: Sequence[tuple[str, NDArray[np.uint8]]]) -> list[str]:
    """What a person should know of borders of pictures with names."""
    return [
        f"{name}: its border of one colour, {share:.1%} of it, is taken for no surface"
        for name, image in pictures
        if (share := float(plain_border(image).mean())) > 0
    ]
