"""Masks that follow the content of a frame: whole segments, instances, the failures of a depth sensor.

Each function takes the seed of all its random choices and gives the known pixels as True  # [H, W].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from scene_depth.arrays import Array, Mask
from scene_depth.depth.scattered import nearest_fill
from scene_depth.errors import InputError

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # Rec. 709
BREAKS = (0.05, 0.03, 0.02, 0.012, 0.007, 0.004)  # relative depth steps that part two segments, tried from large to small


def segment(depth: Array, seed: int, smallest: float = 0.015, largest: float = 0.4, grow: int | None = None) -> Mask:
    """Everything but one whole object: a real depth-connected segment, grown by some pixels so that no rim is left over.

    Neighbours belong together unless their depth differs by more than a relative step; the step is lowered until a
    segment of the wanted size appears. A scene that never parts (one smooth surface) is cut into bands of depth.

    Args:
        depth: z-depth, 0 or not finite = invalid  # [H, W]
        smallest, largest: Range of the segment's share of the image before it grows.
        grow: Pixels to grow by; one in 120 of the height by default, at least 1.
    """
    filled = fill_nearest(depth)
    valid = np.isfinite(depth) & (depth > 0)
    rng = np.random.default_rng(seed)
    grow = max(1, round(depth.shape[0] / 120)) if grow is None else grow
    for step in BREAKS:
        labels = _connected(filled, step)
        candidates = _of_size(labels, valid, smallest, largest)
        if len(candidates):
            return _without(labels == rng.choice(candidates), grow)
    bands = np.digitize(filled, np.quantile(filled, [0.25, 0.5, 0.75]))
    labels = _connected(bands.astype(float) + 1.0, 0.1)
    candidates = _of_size(labels, valid, smallest, largest)
    chosen = rng.choice(candidates) if len(candidates) else labels.flat[int(rng.integers(labels.size))]
    return _without(labels == chosen, grow)


def instances(labels: NDArray[np.integer], seed: int, smallest: float = 0.005, largest: float = 0.5, grow: int = 2) -> Mask:
    """Everything but one labelled object, DepthLab's object masks where a data set has instance labels.

    Args:
        labels: Instance of each pixel, 0 and below = no object  # [H, W]
        smallest, largest: Range of the object's share of the image.
        grow: Pixels to grow the object by.

    Raises:
        InputError: If no object has a size in that range.
    """
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    fits = (counts >= smallest * labels.size) & (counts <= largest * labels.size)
    if not fits.any():
        raise InputError(
            "labels", f"{len(values)} objects", f"an object that covers {smallest:.3g} to {largest:.3g} of the image"
        )
    return _without(labels == np.random.default_rng(seed).choice(values[fits]), grow)


def sensor_failures(
    rgb: NDArray[np.float32] | None,
    depth: Array,
    seed: int,
    darkest: float = 0.08,
    brightest: float = 0.03,
    blotches: float = 0.05,
    edge_step: float = 0.05,
    disparity: float = 0.04,
) -> Mask:
    """What a structured-light or stereo sensor loses: depth edges and their shadow, dark and bright surfaces, blotches.

    Shadow: a pixel is not seen by the second eye if some pixel s columns beside it, on one side, has a disparity larger
    by at least s.

    Args:
        rgb: sRGB in [0, 1]; without it no surface is lost for its brightness  # [H, W, 3]
        depth: z-depth, 0 or not finite = invalid  # [H, W]
        darkest, brightest: Shares of the pixels lost for being dark or overexposed.
        blotches: Share of the pixels lost in random blotches.
        edge_step: Relative depth step between neighbours that counts as an edge.
        disparity: Disparity of the median depth relative to the width.
    """
    rng = np.random.default_rng(seed)
    height, width = depth.shape
    filled = fill_nearest(depth)
    lost = _edge_band(filled, edge_step, max(1, round(width / 320)))
    lost |= _shadow(filled, disparity * width, toward_right=bool(rng.integers(2)))
    if rgb is not None:
        luma = ndimage.gaussian_filter(np.asarray(rgb, dtype=np.float32) @ LUMA, max(width / 640, 0.5))
        lost |= _lowest(luma, darkest) | _lowest(-luma, brightest)
    noise = ndimage.gaussian_filter(rng.standard_normal(depth.shape), max(min(height, width) / 60, 0.5), mode="wrap")
    lost |= _lowest(noise, blotches)
    return ~lost


def fill_nearest(depth: Array) -> NDArray[np.float64]:
    """Depth with each invalid pixel replaced by the nearest valid one.

    Raises:
        InputError: If no pixel is valid.
    """
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        raise InputError("depth", "no valid pixel", "at least one finite positive value")
    return nearest_fill(np.asarray(depth, dtype=np.float64), valid)


def _connected(depth: NDArray[np.float64], step: float) -> NDArray[np.int32]:
    """Labels of the 4-connected pixels whose depth differs by at most a relative step between neighbours."""
    index = np.arange(depth.size).reshape(depth.shape)
    right = np.abs(np.diff(depth, axis=1)) <= step * np.minimum(depth[:, 1:], depth[:, :-1])
    down = np.abs(np.diff(depth, axis=0)) <= step * np.minimum(depth[1:], depth[:-1])
    start = np.concatenate([index[:, :-1][right], index[:-1][down]])
    end = np.concatenate([index[:, 1:][right], index[1:][down]])
    graph = coo_matrix((np.ones(len(start), dtype=np.int8), (start, end)), shape=(depth.size, depth.size))
    labels: NDArray[np.int32] = connected_components(graph, directed=False)[1].reshape(depth.shape)
    return labels


def _of_size(labels: NDArray[np.int32], valid: Mask, smallest: float, largest: float) -> NDArray[np.intp]:
    """Labels by their share of the image, of which only pixels with truth count."""
    counts = np.bincount(labels[valid], minlength=labels.max() + 1)
    return np.flatnonzero((counts >= max(1, smallest * labels.size)) & (counts <= largest * labels.size))


def _without(thing: Mask, grow: int) -> Mask:
    """All but the thing with its holes filled and its rim widened, but never nothing."""
    whole = ndimage.binary_fill_holes(thing)
    if grow > 0:
        whole = ndimage.distance_transform_edt(~whole) <= grow
    return ~whole if not whole.all() else ~thing


def _edge_band(depth: NDArray[np.float64], step: float, reach: int) -> Mask:
    highest, lowest = ndimage.maximum_filter(depth, 3), ndimage.minimum_filter(depth, 3)
    band: Mask = ndimage.binary_dilation(highest > (1 + step) * lowest, iterations=reach)
    return band


def _shadow(depth: NDArray[np.float64], disparity: float, toward_right: bool) -> Mask:
    shift = disparity * np.median(depth) / depth
    if toward_right:
        shift = shift[:, ::-1]
    hidden = np.zeros(depth.shape, dtype=bool)
    longest = min(depth.shape[1] - 1, int(np.ceil(shift.max() - shift.min())))
    for columns in range(1, longest + 1):
        hidden[:, :-columns] |= shift[:, columns:] - shift[:, :-columns] >= columns
    return hidden[:, ::-1] if toward_right else hidden


def _lowest(values: Array, share: float) -> Mask:
    chosen = np.zeros(values.shape, dtype=bool)
    chosen.flat[np.argsort(values, axis=None, kind="stable")[: round(share * values.size)]] = True
    return chosen
