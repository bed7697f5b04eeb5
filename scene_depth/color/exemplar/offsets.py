"""The few steps by which a surface repeats itself, from the statistics of its patches (He and Sun 2012, section 3)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_gradient_magnitude, maximum_filter

from scene_depth.arrays import Array, Mask, Picture, Places
from scene_depth.color.exemplar.patchmatch import RADIUS, usable_centres

T = TypeVar("T", bound=np.generic)

TARGETS = 1200  # patches near the hole that are matched
SOURCES = 12000  # patches that they may match
COMPONENTS = 20  # principal components that patches are compared by
LEAST_STEP = 2 * RADIUS + 1  # cells: shorter steps only say that neighbours are alike
PEAK = 1.5  # standard deviation, in cells, of the smoothing of the histogram
PEAKS, REPEATED, MOST_TIMES = 60, 12, 8  # peaks considered; how many of them also as multiples, and up to which
FLOORED = 0.1  # squared difference at which two cells simply differ, so that other surfaces do not move an offset


def dominant_offsets(values: Array, known: Mask, hole: Mask, count: int) -> Places:
    """Translations that take many patches near the hole to their best match elsewhere, and multiples of those.

    After those come steps, if there are any, that reach known cells from parts of the hole that no such one serves.

    Args:
        values: Colours, of meaning where known  # [H, W, 3]
        known: Cells that may serve as an example  # [H, W]
        hole: Cells to fill  # [H, W]
        count: Largest number of offsets.

    Returns:
        Rows and columns  # [K, 2]
    """
    usable = usable_centres(known)
    distance = distance_transform_edt(~hole)
    sources = np.argwhere(usable)
    near = np.argwhere(usable & (distance < np.sqrt(hole.sum()) + 2 * RADIUS))
    nothing = np.zeros((0, 2), np.int64)
    if len(sources) < 2 or len(near) == 0:
        return _serving(nothing, known, hole, count)
    steps = best_matches(values, thinned(near, TARGETS), thinned(sources, SOURCES)) - thinned(near, TARGETS)
    votes = np.zeros((2 * known.shape[0] + 1, 2 * known.shape[1] + 1))
    np.add.at(votes, tuple((steps + known.shape).T), 1.0)
    smooth = gaussian_filter(votes, PEAK, mode="constant")
    peaks = np.argwhere((smooth == maximum_filter(smooth, size=5)) & (smooth > 1e-3))
    peaks = peaks[np.argsort(-smooth[tuple(peaks.T)], kind="stable")] - np.array(known.shape)
    candidates = [*peaks[:PEAKS], *(times * peak for peak in peaks[:REPEATED] for times in range(2, MOST_TIMES + 1))]
    candidates = [step for step in candidates if (np.abs(step) < known.shape).all()]
    distinct = np.unique(np.array(candidates, dtype=np.int64).reshape(-1, 2), axis=0)
    chosen = _best_served(values, known, hole, distinct, near, count - count // 4) if len(distinct) else nothing
    return _serving(chosen, known, hole, count)


def _best_served(values: Array, known: Mask, hole: Mask, candidates: Places, near: Places, count: int) -> Places:
    """Offsets that repeat the known pattern well and together give every cell of the hole several to choose from.

    Each step takes the offset with the largest sum of what it adds to the cells that it serves: its likeness, halved for
    every offset that already serves the cell.
    """
    near = thinned(near, 4000)
    contrast = gaussian_gradient_magnitude(np.where(known, values.mean(axis=-1), 0), 1.0)[tuple(near.T)] + 1e-3
    mismatch = np.array([_mismatch(values, known, near, step, contrast) for step in candidates])
    scale = max(float(np.median(mismatch[np.isfinite(mismatch)])), 1e-6) if np.isfinite(mismatch).any() else 1.0
    likeness = np.where(np.isfinite(mismatch), 0.5 ** (2 * mismatch / scale), 0.02)
    cells = thinned(np.argwhere(hole), 500)
    serves = np.stack([known_at(known, cells + step) for step in candidates])
    worth = np.ones(len(cells))
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        gains = likeness * (serves @ worth)
        gains[chosen] = 0
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        chosen.append(best)
        worth[serves[best]] *= 0.5
    return candidates[chosen]


def best_matches(values: Array, near: Places, sources: Places) -> Places:
    """For each patch the source, at least LEAST_STEP away, whose principal components are closest  # [T, 2]

    Args:
        values: Colours  # [H, W, 3]
        near, sources: Centres of patches  # [T, 2], [S, 2]
    """
    described = descriptors(values, np.concatenate([near, sources]))
    wanted, offered = described[: len(near)], described[len(near) :]
    squared = (offered**2).sum(axis=1)
    found = np.empty_like(near)
    for first in range(0, len(near), 200):
        part = slice(first, first + 200)
        costs = squared - 2 * wanted[part] @ offered.T
        close = [np.abs(near[part, axis, None] - sources[None, :, axis]) < LEAST_STEP for axis in (0, 1)]
        costs[close[0] & close[1]] = np.inf
        found[part] = sources[costs.argmin(axis=1)]
    return found


def descriptors(values: Array, centres: Places, less: Array | None = None) -> Picture:
    """Principal components of the patches around centres that lie RADIUS or more inside the grid  # [P, COMPONENTS]

    Args:
        values: Colours  # [H, W, 3]
        centres: Rows and columns  # [P, 2]
        less: What is first taken from all channels of each patch  # [P, 2 RADIUS + 1, 2 RADIUS + 1]
    """
    windows = sliding_window_view(values.astype(np.float32), (2 * RADIUS + 1,) * 2, axis=(0, 1))
    patches = windows[tuple((centres - RADIUS).T)]  # [P, 3, 2 RADIUS + 1, 2 RADIUS + 1]
    if less is not None:
        patches = patches - less[:, None].astype(np.float32)
    patches = patches.reshape(len(centres), -1)
    patches = patches - patches.mean(axis=0)
    _, axes = np.linalg.eigh(patches.T @ patches)
    components: Picture = patches @ axes[:, -COMPONENTS:]
    return components


def refined_offsets(values: Array, known: Mask, hole: Mask, offsets: Places, reach: int) -> Places:
    """Each offset moved by up to ``reach`` cells to where it repeats the known cells near the hole best  # [K, 2]"""
    near = np.argwhere(known & (distance_transform_edt(~hole) < np.sqrt(hole.sum()) + 2 * RADIUS))
    near = thinned(near, 4000)
    moves = np.array([(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)])
    moves = moves[np.argsort(np.abs(moves).sum(axis=1), kind="stable")]
    best: Places = offsets.copy()
    for index, offset in enumerate(offsets):
        scores = [_mismatch(values, known, near, offset + move) for move in moves]
        best[index] = offset + moves[int(np.argmin(scores))]
    return best


def _mismatch(values: Array, known: Mask, cells: Places, offset: Places, weights: Array | None = None) -> float:
    """Mean squared difference, limited to FLOORED, between the cells and those at the offset; infinite if few are known."""
    there = cells + offset
    inside = ((there >= 0) & (there < known.shape)).all(axis=1)
    there, here = there[inside], cells[inside]
    weights = np.ones(len(here)) if weights is None else weights[inside]
    both = known[tuple(there.T)]
    if both.sum() < 30:
        return np.inf
    squared = ((values[tuple(there[both].T)] - values[tuple(here[both].T)]) ** 2).sum(axis=-1)
    return float(np.average(np.minimum(squared, FLOORED), weights=weights[both]))


def _serving(offsets: Places, known: Mask, hole: Mask, count: int) -> Places:
    """The offsets and, while parts of the hole have no known cell at any of them, the one that serves most of those."""
    chosen = list(offsets)
    served = np.zeros_like(hole)
    for offset in chosen:
        served |= shifted(known, offset, False) & hole
    step = max(2, min(known.shape) // 24)
    rows, columns = (np.arange(-(size // step) * step, size, step) for size in known.shape)
    candidates = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    candidates = candidates[np.argsort(np.abs(candidates).sum(axis=1), kind="stable")]
    beyond = np.pad(known, [(size, size) for size in known.shape]).ravel()  # so that every step from a cell stays inside
    moves = candidates @ (3 * known.shape[1], 1)
    while len(chosen) < count and (hole & ~served).any():
        left = (thinned(np.argwhere(hole & ~served), 300) + known.shape) @ (3 * known.shape[1], 1)
        gains = np.count_nonzero(beyond[moves[:, None] + left], axis=1)
        if gains.max() == 0:
            break
        chosen.append(candidates[int(gains.argmax())])
        served |= shifted(known, chosen[-1], False) & hole
    return np.array(chosen, dtype=np.int64).reshape(-1, 2)


def known_at(known: Mask, places: Places) -> Mask:
    """Whether places lie in the grid and are known there  # [..., 2] -> [...]"""
    rows, columns = places[..., 0], places[..., 1]
    inside: Mask = (rows >= 0) & (rows < known.shape[0]) & (columns >= 0) & (columns < known.shape[1])
    return inside & known[np.where(inside, rows, 0), np.where(inside, columns, 0)]


def shifted(values: NDArray[T], offset: Places, outside: object) -> NDArray[T]:
    """Array at x + offset, ``outside`` where that is beyond the grid  # [H, W, ...]"""
    moved = np.full_like(values, outside)
    source, target = [], []
    for size, step in zip(values.shape[:2], offset, strict=True):
        source.append(slice(max(0, step), min(size, size + step)))
        target.append(slice(max(0, -step), min(size, size - step)))
    if source[0].start < source[0].stop and source[1].start < source[1].stop:
        moved[tuple(target)] = values[tuple(source)]
    return moved


def thinned(places: Places, most: int) -> Places:
    """At most so many of the places, evenly spread over their order  # [P, 2] -> [min(P, most), 2]"""
    if len(places) <= most:
        return places
    some: Places = places[np.linspace(0, len(places) - 1, most).astype(np.int64)]
    return some
