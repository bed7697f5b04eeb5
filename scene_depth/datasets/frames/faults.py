"""What real frames have and rendered ones lack: edges of the depth beside those of the picture, blur, grain, waves, other
resolutions, and the many soft pixels of a camera.

Whoever learns from exact depth alone trusts the edges of the picture too much. Each fault comes with a chance and a
strength of its own, so that a data set holds everything from exact depth to the output of a rough sensor pipeline.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.depth.scattered import nearest_fill

LARGEST_GRAIN = 0.02  # of the picture, in units of its range
Array = NDArray[np.float64]
Fault = Callable[[Array, np.random.Generator], Array]


def imperfect_depth(depth: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """Depth with random faults.

    Args:
        depth: z-depth, 0 = unknown; unknown pixels stay unknown  # [H, W]
        seed: Of the faults and their strengths.

    Returns:
        z-depth in the same unit, 0 = unknown  # [H, W]
    """
    rng = np.random.default_rng(seed)
    known = depth > 0
    if not known.any():
        return np.zeros(depth.shape, dtype=np.float32)
    inverse: Array = 1.0 / nearest_fill(depth, known).astype(np.float64)
    for chance, fault in FAULTS:
        if rng.random() < chance:
            inverse = fault(inverse, rng)
    return np.where(known, 1.0 / inverse, 0).astype(np.float32)


def _wobble(inverse: Array, rng: np.random.Generator) -> Array:
    """Edges beside those of the picture, by up to some pixels: a baseline between the cameras, a matching window."""
    length, wave = rng.uniform(0, 2), rng.uniform(2, 10)
    apart = rng.uniform(-1, 1, 2) * rng.uniform(0, 1.5)
    offset = [length * _waves(inverse.shape, wave, rng) + apart[axis] for axis in (0, 1)]
    places = np.indices(inverse.shape) + np.stack(offset)
    return _sampled(inverse, places, rng)


def _blur(inverse: Array, rng: np.random.Generator) -> Array:
    return np.asarray(ndimage.gaussian_filter(inverse, rng.uniform(0.4, 1.5)), np.float64)


def _median(inverse: Array, rng: np.random.Generator) -> Array:
    """Thin things are lost and corners cut."""
    return np.asarray(ndimage.median_filter(inverse, size=int(rng.choice([3, 5]))), np.float64)


def _resample(inverse: Array, rng: np.random.Generator) -> Array:
    """A sensor of lower resolution than the picture."""
    factor = rng.uniform(1.2, 3)
    rows, columns = (np.arange(0, size, factor).astype(int) for size in inverse.shape)
    places = np.indices(inverse.shape) / factor
    return _sampled(inverse[np.ix_(rows, columns)], places, rng)


def _wave(inverse: Array, rng: np.random.Generator) -> Array:
    """Smooth relative error of 0.05 to 2 %."""
    return inverse * np.exp(10 ** rng.uniform(-3.3, -1.7) * _waves(inverse.shape, rng.uniform(2, 20), rng))


def _grain(inverse: Array, rng: np.random.Generator) -> Array:
    """Relative noise of each pixel of 0.01 to 0.6 %."""
    return inverse * np.exp(10 ** rng.uniform(-4, -2.2) * rng.standard_normal(inverse.shape))


def _waves(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> Array:
    """Smooth noise of variance 1."""
    waves = np.asarray(ndimage.gaussian_filter(rng.standard_normal(shape), length), np.float64)
    return waves / max(float(waves.std()), 1e-12)


def _sampled(inverse: Array, places: Array, rng: np.random.Generator) -> Array:
    """Values at other places, interpolated for some draws and the nearest for others."""
    return np.asarray(ndimage.map_coordinates(inverse, places, order=int(rng.integers(2)), mode="nearest"), np.float64)


FAULTS: tuple[tuple[float, Fault], ...] = (
    (0.8, _wobble),
    (0.4, _blur),
    (0.3, _median),
    (0.3, _resample),
    (0.6, _wave),
    (0.5, _grain),
)
"""Each with its chance, in the order in which they are put in."""


def enlarged_frame(frame: DepthFrame, factor: float, seed: int) -> DepthFrame:
    """Picture, depth and camera with more pixels: soft and with grain, as pictures of cameras are at their full size.

    Depth is interpolated for some seeds, which leaves slopes where it jumps, and takes the nearest sample for others.

    Args:
        frame: Any frame; unknown depth stays unknown, masks, instances and measurements that it holds are dropped.
        factor: Of both sides, 1 or more.
        seed: Of the grain and the kind of interpolation.
    """
    if factor <= 1:
        return frame
    rng = np.random.default_rng(seed)
    height, width = (round(factor * side) for side in frame.truth.shape)
    rows, columns = (
        (np.arange(new) + 0.5) * old / new - 0.5 for new, old in zip((height, width), frame.truth.shape, strict=True)
    )
    places = np.meshgrid(rows, columns, indexing="ij")
    known = frame.valid
    whole = nearest_fill(frame.truth, known) if known.any() else frame.truth
    depth = ndimage.map_coordinates(whole, places, order=int(rng.integers(2)), mode="nearest")
    depth[ndimage.map_coordinates(known, places, order=0, mode="nearest") == 0] = 0
    camera = None if frame.camera is None else frame.camera.resized(width, height)
    rgb = None
    if frame.rgb is not None:
        planes = (Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(frame.rgb, -1, 0))
        larger = [np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC)) for plane in planes]
        grain = rng.uniform(0, LARGEST_GRAIN) * rng.standard_normal((height, width, 3))
        rgb = np.clip(np.stack(larger, axis=-1) + grain, 0, 1).astype(np.float32)
    return DepthFrame(frame.name, depth, rgb, camera, dataset=frame.dataset, role=frame.role)
