"""Procedural frames at the sizes of cameras, without rendering that many pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

from scene_depth.datasets.frames import DepthFrame
from scene_depth.depth.scattered import nearest_fill

LARGEST_GRAIN = 0.02  # of the picture, in units of its range


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
