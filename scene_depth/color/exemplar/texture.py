"""Texture copied into a hole from the best matching patches, from coarse to fine."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from scene_depth.arrays import Array, Mask, Picture, Places
from scene_depth.color.exemplar.offsets import known_at
from scene_depth.color.exemplar.patchmatch import FAR, RADIUS, improve_field, measure_field, target_centres, usable_centres, vote

T = TypeVar("T", bound=np.generic)

SMALLEST_SIDE = 6 * (2 * RADIUS + 1)
NEAR_THE_RIM = 1.1  # factor by which a pixel of the hole is trusted less than its neighbour on the side of the rim
LEAST_TRUST = 0.05
ROUNDS_FROM_START = 3  # of matching and voting where the sources are given: they only mend seams


def fill_texture(
    texture: Picture,
    hole: Mask,
    known: Mask,
    guides: Picture | None = None,
    *,
    start: Places | None = None,
    iterations: int = 10,
    seed: int = 0,
) -> Picture:
    """The texture with the hole filled (Wexler et al. 2007 with the nearest-neighbour field of Barnes et al. 2009).

    Pixels that are neither hole nor known are void: they are no example and no patch is compared by them.

    Args:
        texture: Array, a first guess inside the hole  # [H, W, 3]
        hole: Pixels to fill  # [H, W]
        known: Pixels that may serve as an example  # [H, W]
        guides: What patches are compared by besides the texture, already weighted, known everywhere  # [H, W, G]
        start: Sources to start from, rows and columns, negative where there is none; the guess inside the hole is then
            taken as it is and improved at full size alone  # [H, W, 2]
        iterations: Rounds of matching and voting at the coarsest level, two fewer at each finer level, at least two.
        seed: Of the random search.
    """
    if guides is None:
        guides = np.zeros((*hole.shape, 0), np.float32)
    levels = _pyramid(texture, guides, hole, known) if start is None else [(texture, guides, hole, known)]
    state = np.array([2 * seed + 1], dtype=np.uint64)
    field = start
    filled = levels[-1][0]
    for number, (values, beside, target, source) in reversed(list(enumerate(levels))):
        usable = usable_centres(source)
        current = values
        if filled.shape != values.shape:
            current = np.where(target[..., None], _doubled(filled, target.shape), values)
        if not usable.any():  # nothing to copy at this level
            filled = current
            continue
        sources, targets = np.argwhere(usable), target_centres(target)
        if field is None:
            field = _random_field(target.shape, sources, state)
        elif field.shape[:2] == target.shape:
            field = _usable_field(field, usable, sources, state)
        else:
            field = _finer_field(field, target.shape, usable, sources, state)
        trust = np.maximum(NEAR_THE_RIM ** -distance_transform_edt(target), LEAST_TRUST)
        trust = np.where(target, trust, source).astype(np.float32)
        costs = np.full(target.shape, FAR, np.float32)
        rounds = max(2, iterations - 2 * (len(levels) - 1 - number)) if start is None else ROUNDS_FROM_START
        for _ in range(rounds):
            features = np.concatenate([current, beside], axis=-1)
            measure_field(features, trust, targets, field, costs)
            for backward in (False, True):
                improve_field(features, trust, targets, usable, sources, field, costs, state, backward)
            bandwidth = max(float(np.percentile(costs[tuple(targets.T)], 75)), 1e-6)
            current = vote(current, target, targets, trust, field, costs, np.float32(bandwidth))
        filled = current
    return filled


def spread_inwards(values: Array, known: Mask) -> Picture:
    """Known values, and a smooth continuation of them everywhere else (pull-push, Gortler et al. 1996, section 3.3).

    Args:
        values: Of meaning where known  # [H, W, C]
        known: Where that is; somewhere at least  # [H, W]
    """
    if known.all() or min(known.shape) < 2:
        mean = values[known].mean(axis=0)
        return np.where(known[..., None], values, mean).astype(np.float32)
    smaller = halved(np.where(known[..., None], values, 0), known)
    coarse = spread_inwards(smaller, any_of_four(known))
    smooth = _between(_between(coarse, known.shape[0], 0), known.shape[1], 1)
    return np.where(known[..., None], values, smooth).astype(np.float32)


def _between(coarse: Array, size: int, axis: int) -> Array:
    """Values that have half of a size along an axis, interpolated linearly to all of it."""
    place = np.clip((np.arange(size) + 0.5) / 2 - 0.5, 0, coarse.shape[axis] - 1)
    first = place.astype(np.int64)
    share = (place - first).astype(np.float32).reshape(-1, *[1] * (coarse.ndim - 1 - axis))
    one, other = (coarse.take(np.minimum(first + more, coarse.shape[axis] - 1), axis) for more in (0, 1))
    mixed: Array = one + share * (other - one)
    return mixed


def _pyramid(texture: Picture, guides: Picture, hole: Mask, known: Mask) -> list[tuple[Picture, Picture, Mask, Mask]]:
    """Levels of half the size until the hole is a few patches wide or the picture is small."""
    levels = [(texture, guides, hole, known)]
    while min(hole.shape) >= 2 * SMALLEST_SIDE and distance_transform_edt(hole).max() > 2 * RADIUS:
        smaller = halved(texture, known) if known.any() else halved(texture, ~hole)
        smaller = np.where(any_of_four(hole)[..., None], halved(texture, hole), smaller)
        texture, guides = smaller, halved(guides, np.ones_like(hole))
        hole, known = any_of_four(hole), ~any_of_four(~known)
        levels.append((texture, guides, hole, known))
    return levels


def _blocks(values: NDArray[T]) -> NDArray[T]:
    """View of 2 x 2 blocks, the last row and column repeated where the size is odd  # [h, 2, w, 2, ...]"""
    padding = [(0, values.shape[0] % 2), (0, values.shape[1] % 2)] + [(0, 0)] * (values.ndim - 2)
    values = np.pad(values, padding, mode="edge")
    return values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2, *values.shape[2:])


def any_of_four(mask: Mask) -> Mask:
    """Which blocks of 2 x 2 pixels hold a pixel of the mask  # [H, W] -> [h, w] bool"""
    return np.asarray(_blocks(mask).any(axis=(1, 3)))


def halved(values: Array, counts: Mask) -> Picture:
    """Mean of the pixels of each block that count, of all where none does  # [h, w, C]"""
    weight = np.maximum(_blocks(counts.astype(np.float32)), 1e-6)[..., None]
    mean: Picture = ((_blocks(values) * weight).sum(axis=(1, 3)) / weight.sum(axis=(1, 3))).astype(np.float32)
    return mean


def _doubled(values: NDArray[T], shape: tuple[int, ...]) -> NDArray[T]:
    return np.repeat(np.repeat(values, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]


def _random_field(shape: tuple[int, ...], sources: Places, state: NDArray[np.uint64]) -> Places:
    choice = np.random.default_rng(int(state[0])).integers(len(sources), size=shape)
    return sources[choice]


def _finer_field(field: Places, shape: tuple[int, ...], usable: Mask, sources: Places, state: NDArray[np.uint64]) -> Places:
    """The field of the coarser level at twice the coordinates, random where that is no usable source."""
    rows, columns = np.arange(shape[0])[:, None] % 2, np.arange(shape[1])[None] % 2
    finer = 2 * _doubled(field, shape)
    finer[..., 0] = np.minimum(finer[..., 0] + rows, shape[0] - 1)
    finer[..., 1] = np.minimum(finer[..., 1] + columns, shape[1] - 1)
    return _usable_field(finer, usable, sources, state)


def _usable_field(field: Places, usable: Mask, sources: Places, state: NDArray[np.uint64]) -> Places:
    """The field, random where it leads out of the grid or to no usable source."""
    good = known_at(usable, field)
    return np.where(good[..., None], field, _random_field(usable.shape, sources, state))
