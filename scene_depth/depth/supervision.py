"""Measured depth of a view completed once, as what a fit is held to: every pixel with a weight that falls with its doubt."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import ExactInpainter
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path
from scene_depth.io.numpy_files import read_arrays
from scene_depth.io.user_cache import user_cache

TRUSTED = 0.02
"""Relative standard deviation at which a pixel counts half as much as a measured one: about that of a sensor in a room."""


def complete_for_supervision(
    rgb: NDArray[np.uint8], depth: NDArray[np.float32], inpainter: ExactInpainter, *, key: str, cache: Path | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Completes the depth of a view, or finds it completed before.

    Args:
        rgb: Picture  # [H, W, 3]
        depth: Measured z-depth, 0 = unknown  # [H, W]
        inpainter: Who completes it; its uncertainty, as a share of the depth, decides the weights. Without any, what it fills
            counts a quarter.
        key: What names the inpainter with its options, for the cache.
        cache: Folder of completed depth; by default in the user's cache folder.

    Returns:
        Depth of every pixel, measured ones bit for bit; all 0 where nothing is measured  # [H, W]
        Weights: 1 where measured, TRUSTED^2 / (TRUSTED^2 + u^2) elsewhere  # [H, W]
    """
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        return np.zeros_like(depth), np.zeros_like(depth)
    digest = hashlib.sha256(f"{key} {depth.shape} {TRUSTED}".encode())
    digest.update(rgb.tobytes())
    digest.update(depth.tobytes())
    file = (cache or user_cache() / "completed") / f"{digest.hexdigest()[:32]}.npz"
    if file.is_file():
        try:
            arrays = read_arrays(file)
            if {"depth", "weight"} <= set(arrays) and arrays["depth"].shape == arrays["weight"].shape == depth.shape:
                return arrays["depth"], arrays["weight"]
        except InputError:  # broken: made anew
            pass
    found = inpaint_depth(inpainter, rgb.astype(np.float32) / np.float32(255), np.where(known, depth, np.float32(0)), known)
    if found.uncertainty is None:
        weight = np.where(known, 1.0, 0.25).astype(np.float32)
    else:
        weight = (TRUSTED**2 / (TRUSTED**2 + np.square(found.uncertainty, dtype=np.float64))).astype(np.float32)
    completed = found.depth.astype(np.float32)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, depth=completed, weight=weight)
    return completed, weight
