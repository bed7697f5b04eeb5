"""The shadow that an object leaves around its hole: where a surface looks like itself farther away, only darker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, label, map_coordinates

from scene_depth.arrays import Array, Mask, Picture, Places
from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.offsets import LEAST_STEP, descriptors, thinned
from scene_depth.color.exemplar.patchmatch import usable_centres
from scene_depth.color.exemplar.straight_view import straight_view
from scene_depth.color.exemplar.texture import any_of_four, halved
from scene_depth.geometry.planes import planes_of

LEAST_SHARE = 0.2  # of the hole that lies on a plane which the object may have stood on
MOST_CELLS = 2500  # of the hole, at the scale at which light is judged
NEAR = 1.0  # sizes of the hole up to which its shadow may reach
CHOSEN = 1000  # patches that are judged
SOURCES = 3000  # patches that they are compared with
DARK = 0.02  # added before logarithms: below it the ratio of two colours says nothing
PREFERS_EQUAL = 0.1  # how much a difference in brightness counts beside one in pattern: enough that tiles match like tiles
SPREAD = 0.1  # standard deviation, in sizes of the hole, of the smoothing of gains
ROUGH = 0.05  # difference of logarithms that never speaks against a match
DOUBT = 0.1  # share of trusted matches below which a smoothed gain is drawn towards 1
LEAST_SHADOW = 0.06  # logarithm of the gain from which a darkening is a shadow
DEEPEST = 1.6  # logarithm of the gain below which it is no longer believed
SIGNIFICANT = 2.5  # by how many times a shadow must exceed what the method finds where there is none


def picture_gain(rgb: Array, hole: Mask, depth: Array, camera: Cameras, seed: int = 0, normals: Picture | None = None) -> Picture:
    """The shadow's gain in a picture, on the planes that much of the hole lies on; 1 where there is none  # [H, W]

    Args:
        rgb: sRGB; not read inside the hole  # [H, W, 3]
        hole: Where the object was and nothing is known  # [H, W]
        depth: Complete z-depth  # [H, W]
        camera: The one camera of the view.
        seed: Of the search for planes.
        normals: Those of ``normals_from_depth``, if they are there already  # [H, W, 3]
    """
    gain = np.ones(hole.shape, dtype=np.float32)
    for plane in planes_of(depth, hole, camera, seed, normals):
        if (plane.pixels & hole).sum() < LEAST_SHARE * hole.sum():
            continue
        view = straight_view(plane, rgb, ~hole, hole, camera)
        if view.known.any():
            here = plane.pixels & ~hole & np.isfinite(view.rows)
            cells = [view.rows[here], view.columns[here]]
            found = shadow_gain(view.rgb, view.known, view.hole)
            gain[here] = map_coordinates(found, cells, order=1, mode="constant", cval=1.0)
    return gain


def shadow_gain(rgb: Array, known: Mask, hole: Mask) -> Picture:
    """By what factor the surface around a hole is darker than where no shadow of the object reaches.

    Patches near the hole are matched to patches farther away on the same surface up to a common factor, after the even
    change of light over the surface has been taken out, which is fitted to matches among the far ones. The factor of a
    match is that of the light if the pattern is the same; smoothed, and kept only where it is clearly below 1, in one
    piece with the hole, and clearly larger than what the same comparison finds among far patches.

    Args:
        rgb: sRGB of the surface seen straight on, of meaning where known  # [H, W, 3]
        known: Cells that show the surface  # [H, W]
        hole: Where the object stood  # [H, W]

    Returns:
        Factor of the sRGB values, 1 outside the shadow  # [H, W]
    """
    values, few, target, scale = np.asarray(rgb, dtype=np.float32), known, hole, 1
    while target.sum() > MOST_CELLS:
        smaller = ~any_of_four(~few)
        values, few, target, scale = halved(values, few), smaller, any_of_four(target) & ~smaller, 2 * scale
    log_gain = _log_gain(values, few, target)
    if log_gain is None:
        return np.ones(known.shape, dtype=np.float32)
    place = np.meshgrid(*((np.arange(size) + 0.5) / scale - 0.5 for size in known.shape), indexing="ij")
    gain: Picture = np.exp(map_coordinates(log_gain, place, order=1, mode="nearest")).astype(np.float32)
    return gain


def _log_gain(rgb: Picture, known: Mask, hole: Mask) -> NDArray[np.float64] | None:
    """Logarithm of the gain, 0 outside the shadow; None where too little is known to tell  # [H, W]"""
    size = np.sqrt(hole.sum())
    distance = distance_transform_edt(~hole)
    centres = np.argwhere(usable_centres(known))
    away = distance[tuple(centres.T)] / size
    far = centres[away > max(0.5, min(NEAR, float(np.median(away)) if len(away) else NEAR))]
    near = thinned(centres[away <= NEAR], CHOSEN)
    if len(near) < 20 or len(far) < 100:
        return None
    sources, judged = thinned(far, SOURCES), thinned(far, CHOSEN)
    logs = np.log(np.maximum(rgb, 0) + DARK)
    slope = _even_light(logs, judged, sources)
    logs = logs - (np.argwhere(np.ones(known.shape, bool)) @ slope).reshape(*known.shape, 1).astype(np.float32)
    centres = np.concatenate([near, judged])
    gains, trust = _gains(logs, centres, sources, size, len(near))
    smooth = _smoothed(gains, trust, centres, known.shape, SPREAD * size)
    reached = distance / size <= NEAR
    beyond = known & ~reached
    noise = float(np.sqrt(np.mean(smooth[beyond] ** 2))) if beyond.any() else 0.0
    dark = (smooth < -max(LEAST_SHADOW, SIGNIFICANT * noise)) & reached & (known | hole)
    pieces, _ = label(dark | hole)
    touching = np.unique(pieces[binary_dilation(hole, iterations=2) & (pieces > 0)])
    shadow = dark & np.isin(pieces, touching) & known
    if not shadow.any():
        return None
    edge = np.clip(gaussian_filter(binary_dilation(shadow, iterations=2).astype(np.float64), 1.5), 0, 1)
    shadowed: NDArray[np.float64] = np.clip(smooth, -DEEPEST, 0) * edge * known
    return shadowed


def _even_light(logs: Picture, judged: Places, sources: Places) -> Array:
    """Slope of the logarithm of light over the surface, from patches that match up to a factor  # [2], a cell"""
    described, mean = _described(logs, np.concatenate([judged, sources]), 0.0)
    match, cost = _matches(described[: len(judged)], described[len(judged) :], judged, sources, LEAST_STEP)
    trust = 1 / (1 + (cost / (np.median(cost) + 1e-9)) ** 2)
    step = (judged - sources[match]).astype(np.float64)
    difference = mean[: len(judged)] - mean[len(judged) :][match]
    slope: Array = np.zeros(2)
    for _ in range(8):  # iteratively reweighted towards least absolute differences
        weight = trust / np.maximum(np.abs(difference - step @ slope), 0.02)
        slope = np.linalg.solve((step * weight[:, None]).T @ step + 1e-6 * np.eye(2), (step * weight[:, None]).T @ difference)
    return slope


def _gains(
    logs: Picture, centres: Places, sources: Places, size: float, near: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithm of the factor between each patch and its match, and how far the match can be trusted  # [P] each

    A match is trusted by how well its pattern agrees, beside what is usual among the patches after the first ``near``.
    """
    described, mean = _described(logs, np.concatenate([centres, sources]), PREFERS_EQUAL)
    apart = max(LEAST_STEP, 0.5 * size)
    match, cost = _matches(described[: len(centres)], described[len(centres) :], centres, sources, apart)
    gains = mean[: len(centres)] - mean[len(centres) :][match]
    in_brightness = PREFERS_EQUAL**2 * gains**2 * logs.shape[-1] * LEAST_STEP**2
    rest = np.maximum(cost - in_brightness, 0)
    usual = np.median(rest[near:]) + ROUGH**2 * logs.shape[-1] * LEAST_STEP**2
    return gains, 1 / (1 + (rest / usual) ** 2)


def _described(logs: Picture, centres: Places, brightness: float) -> tuple[Picture, NDArray[np.float64]]:
    """Patches without the even slope of their brightness and with its mean scaled, as components; and that mean.

    Args:
        logs: Logarithms of colours  # [H, W, 3]
        centres: Rows and columns  # [P, 2]
        brightness: What remains of the mean.

    Returns:
        Components  # [P, D]
        Means  # [P]
    """
    radius = LEAST_STEP // 2
    windows = np.lib.stride_tricks.sliding_window_view(logs.mean(axis=-1), (LEAST_STEP, LEAST_STEP))
    patches = windows[tuple((centres - radius).T)].astype(np.float64)
    along = np.arange(-radius, radius + 1) / (LEAST_STEP * np.sum(np.arange(-radius, radius + 1) ** 2))
    mean = patches.mean(axis=(1, 2))
    y, x = np.einsum("pij,i->p", patches, along), np.einsum("pij,j->p", patches, along)
    steps = np.arange(-radius, radius + 1)
    slope = y[:, None, None] * steps[:, None] + x[:, None, None] * steps
    return descriptors(logs, centres, (1 - brightness) * mean[:, None, None] + slope), mean


def _matches(
    wanted: Picture, offered: Picture, centres: Places, sources: Places, apart: float
) -> tuple[Places, NDArray[np.float64]]:
    """Index of the closest source at least ``apart`` cells away, and its squared distance  # [P] each"""
    squared = (offered**2).sum(axis=1)
    index, cost = np.empty(len(wanted), dtype=np.int64), np.empty(len(wanted))
    for first in range(0, len(wanted), 200):
        part = slice(first, first + 200)
        costs = squared - 2 * wanted[part] @ offered.T + (wanted[part] ** 2).sum(axis=1)[:, None]
        close = [np.abs(centres[part, axis, None] - sources[None, :, axis]) < apart for axis in (0, 1)]
        costs[close[0] & close[1]] = np.inf
        index[part] = costs.argmin(axis=1)
        cost[part] = costs.min(axis=1)
    return index, np.where(np.isfinite(cost), cost, 1e6)


def _smoothed(gains: Array, trust: Array, centres: Places, shape: tuple[int, ...], spread: float) -> NDArray[np.float64]:
    """The gains as a smooth field, matches that disagree with their surroundings counting less  # [H, W]"""
    count = np.zeros(shape)
    np.add.at(count, tuple(centres.T), 1.0)
    doubt = DOUBT * gaussian_filter(count, spread) + 1e-9
    field = np.zeros(shape)
    agreement = np.ones_like(gains)
    for _ in range(4):
        total, weights = np.zeros(shape), np.zeros(shape)
        np.add.at(total, tuple(centres.T), gains * trust * agreement)
        np.add.at(weights, tuple(centres.T), trust * agreement)
        field = gaussian_filter(total, spread) / (gaussian_filter(weights, spread) + doubt)
        agreement = np.minimum(1.0, 0.1 / np.maximum(np.abs(gains - field[tuple(centres.T)]), 1e-3))
    return field
