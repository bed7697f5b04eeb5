"""The pattern of a plane: continued by a few translations, and asked what it says of known cells that it did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, label, map_coordinates

from scene_depth.arrays import Array, Mask, Picture, Places
from scene_depth.color.exemplar.labelling import label_offsets
from scene_depth.color.exemplar.offsets import dominant_offsets, known_at, refined_offsets, shifted
from scene_depth.color.exemplar.shadows import shadow_gain
from scene_depth.color.exemplar.straight_view import StraightView
from scene_depth.color.exemplar.texture import any_of_four, fill_texture, halved, spread_inwards

RING = 4  # cells around the hole that are hidden, so that what a pattern says of them is a prediction
TAINTED = 2.0  # pixels from the hole nearer than which a known one may show something of what was removed, and is not held out
LEAST_HELD_OUT = 12  # pixels beside a part of the hole from which its pattern can be judged
UNDECIDED = 1.2  # squared error beside the hole, in that of a smooth continuation, up to which a pattern is asked elsewhere
DEEP_ERROR = 0.7  # the same where the hole would lie elsewhere, up to which it is right
RIVAL_ERROR = 0.8  # the same from which kriging is to be preferred
LEAST_ASKED = 100  # pixels of a part that is worth it
COVERED = 0.3  # share of a part that must be known where the hole lies elsewhere
NOISE = 0.005  # of colours, which nothing predicts: where nothing else is to be seen, a pattern is as right as can be
OFFSETS = 40  # translations that the hole is copied by, at most
MOST_CELLS = 14_000  # of the hole, at the scale at which the translations are chosen


@dataclass(frozen=True)
class Prediction:
    """What the cells that are left say of others that are hidden, and of the hole.

    Attributes:
        texture: Hidden cells and hole filled by translations  # [h, w, 3]
        sources: Rows and columns that each cell is copied from  # [h, w, 2]
        hidden: Known cells that were hidden  # [h, w]
        error: Squared error in them, sum over the channels  # [h, w]
        smooth_error: That of a smooth continuation  # [h, w]
    """

    texture: Picture
    sources: Places
    hidden: Mask
    error: Array
    smooth_error: Array

    def mended(self, texture: Picture, known: Mask, hole: Mask, *, seed: int = 0) -> Picture:
        """The texture with the hole filled as predicted, its seams mended patch by patch; see ``continue_pattern``."""
        guess = np.where(hole[..., None], self.texture, texture)
        return fill_texture(guess, hole, known, start=self.sources, seed=seed)


@dataclass(frozen=True)
class PlaneTexture:
    """A plane seen straight on, taken apart: colour = (texture + shade) x gain.

    Attributes:
        texture: Without light and shadow, a smooth guess where it is not known  # [h, w, 3]
        shade: Light that changes slowly  # [h, w, 3]
        gain: Of the shadow of what was there  # [h, w]
    """

    texture: Picture
    shade: NDArray[np.float64]
    gain: Picture

    def colors(self, texture: Picture, view: StraightView, pixels: Mask) -> Picture:
        """Colours of pixels that show a texture on the plane  # [P, 3]"""
        seen = np.clip(texture + self.shade, 0, 1)
        return np.stack([seen_in_picture(seen[..., c], view, pixels) for c in range(3)], axis=-1).astype(np.float32)


def plane_texture(view: StraightView) -> PlaneTexture:
    """Takes a plane apart into texture, light and shadow."""
    gain = shadow_gain(view.rgb, view.known, view.hole)
    lit = view.rgb / gain[..., None]
    shade = smooth_shade(lit, view.known, view.hole)
    return PlaneTexture(spread_inwards(lit - shade, view.known), shade, gain)


def seen_in_picture(values: Array, view: StraightView, pixels: Mask) -> Array:
    """Values of a straight view at pixels of the picture, in scan order  # [P]"""
    return np.asarray(map_coordinates(values, [view.rows[pixels], view.columns[pixels]], order=1, mode="nearest"))


def held_out_ring(known: Mask, hole: Mask) -> Mask:
    """Known pixels beside the hole, but those next to it  # [H, W] bool"""
    distance = distance_transform_edt(~hole)
    near: Mask = (distance >= TAINTED) & (distance < RING + 1)
    return known & near


def predict(texture: Picture, known: Mask, hole: Mask) -> Prediction | None:
    """Hides a ring around the hole and fills both by translations of what is known beyond.

    Args:
        texture: Array, a first guess where they are not known  # [h, w, 3]
        known: Cells that may serve as an example  # [h, w]
        hole: Cells to fill  # [h, w]

    Returns:
        The prediction; None if nothing is known beyond the ring, or repeats there.
    """
    return _predicted(texture, known, hole, known & binary_dilation(hole, iterations=RING))


def _predicted(texture: Picture, known: Mask, hole: Mask, hidden: Mask) -> Prediction | None:
    left = known & ~hidden
    found = _translated(texture, left, hole | hidden) if left.any() else None
    if found is None:
        return None
    filled, sources = found
    smooth = spread_inwards(texture, left)
    error, smooth_error = (np.where(hidden, ((of - texture) ** 2).sum(axis=-1), 0) for of in (filled, smooth))
    return Prediction(filled, sources, hidden, error, smooth_error)


def accepted_parts(
    view: StraightView, texture: Picture, beside: Prediction, filled: Mask, held_out: Mask, most: float, rivalled: bool = False
) -> Mask:
    """The connected parts of what a plane fills in which its pattern is right where a smooth continuation is wrong.

    Two surfaces that lie in one plane by accident, and planes that are there only because completed depth says so, have
    patterns that say nothing of what is known beside the hole. But so near to what is known a smooth continuation errs little.
    A pattern that is hardly worse there is kept if it is right where the hole would lie elsewhere on the plane, which is then
    hidden: as deep in it as in the hole, a smooth continuation knows nothing.

    Args:
        view: The plane seen straight on.
        texture: Of its cells, without light and shadow  # [h, w, 3]
        beside: From ``predict``.
        filled: Pixels of the hole on the plane  # [H, W]
        held_out: Known pixels of the plane in the ring; see ``held_out_ring``  # [H, W]
        most: Squared error of the pattern beside the hole, in that of the smooth continuation, up to which a part is kept
            without being asked elsewhere; 0 keeps none, infinity all.
        rivalled: Whether kriging is right on the plane: then a pattern must be right elsewhere, too, where that can be told.

    Returns:
        The parts that are kept; not those beside fewer than ``LEAST_HELD_OUT`` held-out pixels  # [H, W] bool
    """
    parts, _ = label(filled)
    kept = np.zeros_like(filled)
    elsewhere: list[tuple[Places, Prediction]] | None = None
    for number, box in enumerate(find_objects(parts), start=1):
        window = tuple(slice(max(0, side.start - RING - 1), side.stop + RING + 1) for side in box)
        part = parts[window] == number
        near = np.zeros_like(filled)
        near[window] = held_out[window] & binary_dilation(part, iterations=RING + 1)
        if np.count_nonzero(near) < LEAST_HELD_OUT:
            continue
        ratio = _ratio(*(seen_in_picture(of, view, near) for of in (beside.error, beside.smooth_error)))
        right = ratio < most
        asked = rivalled if right else ratio < UNDECIDED
        if asked and 0 < most < np.inf and part.sum() >= LEAST_ASKED:
            if elsewhere is None:
                elsewhere = _predicted_elsewhere(view, texture)
            found = _ratio_elsewhere(elsewhere, view.cells_of(parts == number) & view.hole)
            right = not RIVAL_ERROR < found < np.inf if right else found < DEEP_ERROR
        if right:
            kept[window] |= part
    return kept


def _ratio(error: Array, smooth_error: Array) -> float:
    """Error of a pattern in that of a smooth continuation, both as sure as noise lets them be."""
    return float(error.sum()) / (float(smooth_error.sum()) + 3 * error.size * NOISE**2)


def _predicted_elsewhere(view: StraightView, texture: Picture) -> list[tuple[Places, Prediction]]:
    """The plane's whole hole, moved to where most of it is known: what is left says of it there, with each move."""
    found = []
    for shift in view.elsewhere:
        prediction = _predicted(texture, view.known, view.hole, view.known & shifted(view.hole, -shift, False))
        if prediction is not None:
            found.append((shift, prediction))
    return found


def _ratio_elsewhere(elsewhere: list[tuple[Places, Prediction]], cells: Mask) -> float:
    """Geometric mean over the places at which enough of a part's cells are known; infinite if there are none."""
    ratios = []
    for shift, prediction in elsewhere:
        there = shifted(cells, -shift, False) & prediction.hidden
        if there.sum() >= max(LEAST_HELD_OUT, COVERED * cells.sum()):
            ratios.append(_ratio(prediction.error[there], prediction.smooth_error[there]))
    return float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-3))))) if ratios else np.inf


def continue_pattern(texture: Picture, known: Mask, hole: Mask, *, seed: int = 0) -> Picture:
    """Fills the hole by a few translations of what is known, their seams mended patch by patch.

    Args:
        texture: Array, a first guess where they are not known  # [H, W, 3]
        known: Cells that may serve as an example  # [H, W]
        hole: Cells to fill  # [H, W]
        seed: Of everything random.

    Returns:
        The texture with the hole filled  # [H, W, 3]
    """
    found = _translated(texture, known, hole)
    if found is None:
        return fill_texture(texture, hole, known, seed=seed)
    filled, sources = found
    return fill_texture(filled, hole, known, start=sources, seed=seed)


def _translated(texture: Picture, known: Mask, hole: Mask) -> tuple[Picture, Places] | None:
    """The hole filled by translations, and where each cell is copied from  # [H, W, 3], [H, W, 2]

    They are those by which the surface repeats itself (He and Sun 2012): which one a cell is copied by is decided for the
    whole hole at once, so that stripes and tiles go on in step and straight edges stay straight. None if there are none.
    """
    values, few, target, scale = texture, known, hole, 1
    while target.sum() > MOST_CELLS:
        smaller = ~any_of_four(~few)
        values, few, target, scale = halved(values, few), smaller, any_of_four(target) & ~smaller, 2 * scale
    offsets = dominant_offsets(values, few, target, OFFSETS)
    if len(offsets) == 0:
        return None
    labels = label_offsets(values, few, target, offsets)
    if scale > 1:
        labels = np.kron(labels, np.ones((scale, scale), dtype=np.int64))[: hole.shape[0], : hole.shape[1]]
        offsets = refined_offsets(texture, known, hole, scale * offsets, scale)
    sources = sources_of(labels, offsets)
    guess, copied = copy_from(texture, known, hole, sources)
    filled = np.where(hole[..., None], spread_inwards(guess, copied | known), texture)
    return filled.astype(np.float32), sources


def sources_of(labels: Places, offsets: Places) -> Places:
    """Where each cell is copied from, cells without a label as the nearest one with a label  # [H, W, 2]"""
    nearest = distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
    filled = labels[tuple(nearest)]
    places: Places = np.moveaxis(np.asarray(np.indices(labels.shape)), 0, -1) + offsets[np.maximum(filled, 0)]
    return places


def copy_from(values: Picture, known: Mask, hole: Mask, sources: Places) -> tuple[Picture, Mask]:
    """The values with those cells of the hole copied whose source is known, and which cells that were  # [H, W, 3], [H, W]"""
    copied = hole & known_at(known, sources)
    safe = np.where(copied[..., None], sources, 0)
    return np.where(copied[..., None], values[safe[..., 0], safe[..., 1]], values), copied


def smooth_shade(rgb: Array, known: Mask, hole: Mask) -> NDArray[np.float64]:
    """Light on a plane: the linear function of the place that fits the known cells best, near ones more.

    Its slope counts by the share of the variance that it explains, since the slope of a pattern is no light, and its
    values stay among those of the known cells.

    Returns:
        Colour everywhere  # [H, W, 3]
    """
    y, x = (axis / max(hole.shape) for axis in np.indices(hole.shape))
    terms = np.stack([np.ones_like(x), x, y], axis=-1)
    weights = 1 / (1 + distance_transform_edt(~hole)[known] / (0.1 * max(hole.shape))) ** 2
    design, values = terms[known], rgb[known].astype(np.float64)
    normal = (design * weights[:, None]).T @ design + weights.sum() * np.diag([1e-9, 1e-3, 1e-3])
    fitted = terms @ np.linalg.solve(normal, (design * weights[:, None]).T @ values)
    mean = np.average(values, axis=0, weights=weights)
    left = np.average((values - fitted[known]) ** 2, axis=0, weights=weights)
    explained = np.clip(1 - left / (np.average((values - mean) ** 2, axis=0, weights=weights) + 1e-12), 0, 1)
    low, high = np.percentile(values, [2, 98], axis=0)
    return np.clip(mean + explained * (fitted - mean), low, high)
