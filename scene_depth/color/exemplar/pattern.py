"""A surface seen straight on, continued into a hole in step with its own pattern."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from scene_depth.color.exemplar.labelling import label_offsets
from scene_depth.color.exemplar.offsets import dominant_offsets, known_at, refined_offsets
from scene_depth.color.exemplar.texture import any_of_four, fill_texture, halved, spread_inwards

OFFSETS = 40  # translations that the hole is copied by, at most
MOST_CELLS = 7000  # of the hole, at the scale at which the translations are chosen


def continue_pattern(
    texture: NDArray[np.float32], known: NDArray[np.bool_], hole: NDArray[np.bool_], *, seed: int = 0
) -> NDArray[np.float32]:
    """Fills the hole by a few translations of what is known, their seams mended patch by patch.

    The translations are those by which the surface repeats itself (He and Sun 2012): which one a cell is copied by is
    decided for the whole hole at once, so that stripes and tiles go on in step and straight edges stay straight.

    Args:
        texture: Values, a first guess where they are not known  # [H, W, 3]
        known: Cells that may serve as an example  # [H, W]
        hole: Cells to fill  # [H, W]
        seed: Of everything random.

    Returns:
        The texture with the hole filled  # [H, W, 3]
    """
    values, few, target, scale = texture, known, hole, 1
    while target.sum() > MOST_CELLS:
        smaller = ~any_of_four(~few)
        values, few, target, scale = halved(values, few), smaller, any_of_four(target) & ~smaller, 2 * scale
    offsets = dominant_offsets(values, few, target, OFFSETS)
    if len(offsets) == 0:
        return fill_texture(texture, hole, known, seed=seed)
    labels = label_offsets(values, few, target, offsets)
    if scale > 1:
        labels = np.kron(labels, np.ones((scale, scale), dtype=np.int64))[: hole.shape[0], : hole.shape[1]]
        offsets = refined_offsets(texture, known, hole, scale * offsets, scale)
    start = sources_of(labels, offsets)
    guess, copied = copy_from(texture, known, hole, start)
    guess = np.where(hole[..., None], spread_inwards(guess, copied | known), texture)
    return fill_texture(guess.astype(np.float32), hole, known, start=start, seed=seed)


def sources_of(labels: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each cell is copied from, cells without a label as the nearest one with a label  # [H, W, 2]"""
    nearest = distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
    filled = labels[tuple(nearest)]
    return np.moveaxis(np.asarray(np.indices(labels.shape)), 0, -1) + offsets[np.maximum(filled, 0)]


def copy_from(
    values: NDArray[np.float32], known: NDArray[np.bool_], hole: NDArray[np.bool_], sources: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The values with those cells of the hole copied whose source is known, and which cells that were  # [H, W, 3], [H, W]"""
    copied = hole & known_at(known, sources)
    safe = np.where(copied[..., None], sources, 0)
    return np.where(copied[..., None], values[safe[..., 0], safe[..., 1]], values), copied
