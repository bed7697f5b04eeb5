"""Visible splats in the order of their depth."""

from __future__ import annotations

import numpy as np

from scene_depth.kernels import FUSED, kernel
from scene_depth.rendering.cpu.projection import HIDDEN

_DIGIT_BITS = 11
_DIGITS = 1 << _DIGIT_BITS
_DIGIT_MASK = np.uint32(_DIGITS - 1)


@kernel(FUSED)
def sort_by_depth(keys, count, sorted_keys, sorted_splats, other_keys, other_splats):
    """Stable radix sort of the splats whose key is not HIDDEN.

    Args:
        keys: Bits of positive floats, or HIDDEN  # [>= N]
        count: Number of splats N.
        sorted_keys, sorted_splats, other_keys, other_splats: Work space, each with room for all visible splats. The
            splats in order end up in ``other_splats``.
    """
    histogram = np.zeros((3, _DIGITS), np.int64)
    visible = 0
    for splat in range(count):
        key = keys[splat]
        if key != HIDDEN:
            sorted_keys[visible], sorted_splats[visible] = key, splat
            visible += 1
            histogram[0, key & _DIGIT_MASK] += 1
            histogram[1, (key >> np.uint32(_DIGIT_BITS)) & _DIGIT_MASK] += 1
            histogram[2, key >> np.uint32(2 * _DIGIT_BITS)] += 1
    from_keys, from_splats, to_keys, to_splats = sorted_keys, sorted_splats, other_keys, other_splats
    for digit in range(3):
        before = 0
        for value in range(_DIGITS):
            amount = histogram[digit, value]
            histogram[digit, value] = before
            before += amount
        shift = np.uint32(digit * _DIGIT_BITS)
        for index in range(visible):
            key = from_keys[index]
            bucket = np.uint64((key >> shift) & _DIGIT_MASK)
            place = histogram[digit, bucket]
            histogram[digit, bucket] = place + 1
            to_keys[place], to_splats[place] = key, from_splats[index]
        from_keys, from_splats, to_keys, to_splats = to_keys, to_splats, from_keys, from_splats
