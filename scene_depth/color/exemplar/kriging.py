"""A plane's colours continued by how they vary together: stripes, kerbs and boards go on, and all else fades smoothly.

Kriging is the best linear prediction of what is hidden if the plane is of one kind everywhere; its covariance is that of the
known cells (Galerne and Leclaire 2017, section 3). Where that is wrong it is worse than a smooth continuation, so it is asked
first what it says of known cells that it did not see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fftshift, irfft2, next_fast_len, rfft2
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import binary_dilation, distance_transform_edt

from scene_depth.arrays import Mask, Picture, Places
from scene_depth.color.exemplar.offsets import shifted
from scene_depth.color.exemplar.texture import spread_inwards

REACH = 10  # cells from the hole within which known ones predict it
MOST_CELLS = 1000  # of them, the nearest rather than others
NUGGET = 0.01  # share of the variance that no other cell tells
NOISE = 0.005  # of colours, which nothing predicts
BESIDE = 4  # cells from the hole within which a prediction across it is judged
PARTS = 10  # of the rim, each predicted by the others across the hole
LEAST_RIM = 30  # cells that there must be for that
LEAST_SURROUNDED = 0.45  # share of the hole's surroundings on the plane that must be known
LEAST_HIDDEN = 12  # cells of a hole elsewhere by which it is judged
BLOCK = 4000  # cells that are predicted at a time
RIM = 3  # cells beside the hole that surround it

Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Rim:
    """Known cells around a hole.

    Attributes:
        cells: Rows and columns  # [P, 2]
        distance: To the hole, in cells  # [P]
        values: Of the texture  # [P, 3]
        covariance: Of two cells by their offset, that of none in the middle, relative to the variance  # [h', w']
        nugget: What is added for a cell with itself.
    """

    cells: Places
    distance: Values
    values: Values
    covariance: Values
    nugget: float

    def covariance_to(self, cells: Places) -> Values:
        """Covariances of some cells with those of the rim  # [Q, P]"""
        height, width = self.covariance.shape
        here, there = (places[:, 0] * width + places[:, 1] for places in (cells, self.cells))
        middle = height // 2 * width + width // 2
        found: Values = self.covariance.ravel()[here[:, None] - there[None] + middle]
        return found

    def own_covariance(self) -> Values:
        """Covariances of the cells of the rim with one another  # [P, P]"""
        return self.covariance_to(self.cells) + self.nugget * np.eye(len(self.cells))


def krige(texture: Picture, known: Mask, hole: Mask, *, seed: int = 0) -> Picture | None:
    """The texture with the hole predicted from the known cells around it  # [h, w, 3]

    Args:
        texture: Without its light, around zero; of meaning where known  # [h, w, 3]
        known: Cells that may serve as an example  # [h, w]
        hole: Cells to fill  # [h, w]
        seed: Of the choice of cells where there are many.

    Returns:
        The filled texture; None if nothing known is near the hole, or nothing varies.
    """
    rim = _rim_of(texture, known, hole, seed)
    if rim is None:
        return None
    weights = cho_solve(cho_factor(rim.own_covariance(), lower=True), rim.values)
    filled, cells = texture.copy(), np.argwhere(hole)
    low, high = np.percentile(texture[known], [1, 99], axis=0)
    for start in range(0, len(cells), BLOCK):
        block = cells[start : start + BLOCK]
        filled[tuple(block.T)] = np.clip(rim.covariance_to(block) @ weights, low, high)
    return filled


def kriging_error(texture: Picture, known: Mask, hole: Mask, elsewhere: list[Places], *, seed: int = 0) -> float:
    """How kriging predicts what is known, in what a smooth continuation does; from 1 on it is not to be used.

    The product of two ratios of squared errors, divided by the share of the hole's surroundings that is known: one of the rim,
    each part predicted by the others across the hole, and one of holes of the same shape elsewhere on the plane.

    Args:
        texture, known, hole, seed: As for ``krige``.
        elsewhere: Moves that take the hole to where most of it is known  # [2] each

    Returns:
        The error; infinite where it cannot be told.
    """
    around = binary_dilation(hole, iterations=RIM) & ~hole
    surrounded = float((around & known).sum() / max(1, around.sum()))
    if surrounded < LEAST_SURROUNDED or not elsewhere:
        return np.inf
    across = _error_across(texture, known, hole, seed)
    ratios = [_error_elsewhere(texture, known, hole, known & shifted(hole, -shift, False), seed) for shift in elsewhere]
    told = [ratio for ratio in ratios if np.isfinite(ratio)]
    return across * float(np.exp(np.mean(np.log(told)))) / surrounded if told else np.inf


def _rim_of(texture: Picture, known: Mask, hole: Mask, seed: int) -> _Rim | None:
    distance = distance_transform_edt(~hole)
    cells = np.argwhere(known & (distance <= REACH))
    seen = np.where(known[..., None], texture, 0).astype(np.float64)
    variance = float((seen**2).sum() / (3 * max(1, known.sum())))
    if len(cells) < LEAST_RIM or variance < NOISE**2:
        return None
    if len(cells) > MOST_CELLS:
        rank = distance[tuple(cells.T)] + REACH * np.random.default_rng(seed).random(len(cells))
        cells = cells[np.argsort(rank, kind="stable")[:MOST_CELLS]]
    at = tuple(cells.T)
    return _Rim(cells, distance[at], seen[at], _covariance(seen), NUGGET + NOISE**2 / variance)


def _covariance(seen: Values) -> Values:
    """Mean product of two cells by their offset, over all channels, 1 for none; zero where they are not known.

    The sum over what is known of both, divided by all that is known, is always the covariance of some texture; divided by what is
    known of both it need not be.
    """
    shape = [next_fast_len(2 * size) for size in seen.shape[:2]]
    power = sum(np.abs(rfft2(seen[..., channel], shape)) ** 2 for channel in range(3))
    covariance: Values = fftshift(irfft2(power, shape))
    covariance /= covariance.max()
    return covariance


def _error_across(texture: Picture, known: Mask, hole: Mask, seed: int) -> float:
    """Squared error of kriging beside the hole, in that of a covariance that falls alike in all directions.

    Each part of the rim is predicted by all others; the geometric mean over the parts.
    """
    rim = _rim_of(texture, known, hole, seed)
    if rim is None or not (rim.distance <= BESIDE).any():
        return np.inf
    middle = np.argwhere(hole).mean(axis=0)
    turned = np.argsort(np.arctan2(*(rim.cells - middle).T), kind="stable")
    parts = np.array_split(turned, PARTS)
    apart = np.hypot(*(rim.cells[:, None] - rim.cells[None]).transpose(2, 0, 1))
    alike = np.exp(-apart / np.sqrt(hole.sum())) + rim.nugget * np.eye(len(rim.cells))
    judged = rim.distance <= BESIDE
    errors = [
        _left_out(covariance, values, parts, judged)
        for covariance, values in ((rim.own_covariance(), rim.values), (alike, rim.values - rim.values.mean(axis=0)))
    ]
    return float(np.exp(np.mean(np.log(errors[0] / errors[1]))))


def _left_out(covariance: Values, values: Values, parts: list[Places], judged: Mask) -> Values:
    """Squared error of the judged cells of each part, predicted without the part (Dubrule 1983)  # [K]"""
    inverse = cho_solve(cho_factor(covariance, lower=True), np.eye(len(covariance)), overwrite_b=True)
    weights = inverse @ values
    found = []
    for part in parts:
        error = np.linalg.solve(inverse[np.ix_(part, part)], weights[part])[judged[part]]
        if len(error):
            found.append(float((error**2).sum()) + 9 * len(error) * NOISE**2)
    return np.array(found)


def _error_elsewhere(texture: Picture, known: Mask, hole: Mask, hidden: Mask, seed: int) -> float:
    """Squared error of kriging in cells that are hidden, in that of a smooth continuation; infinite if it cannot be told."""
    left = known & ~hidden
    if hidden.sum() < LEAST_HIDDEN or not left.any():
        return np.inf
    kriged = krige(texture, left, hidden | hole, seed=seed)
    if kriged is None:
        return np.inf
    fills = kriged, spread_inwards(texture, left)
    errors = [float(((filled - texture)[hidden] ** 2).mean()) + 3 * NOISE**2 for filled in fills]
    return errors[0] / errors[1]
