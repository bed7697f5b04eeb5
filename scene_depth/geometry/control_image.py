"""Depth as the picture that depth ControlNets take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError


def control_image(depth: NDArray[np.floating], cut: float = 0.0) -> NDArray[np.uint8]:
    """Inverse depth as a grey picture, near = white, the whole range used: the convention of MiDaS, on which depth
    ControlNets are trained.

    Args:
        depth: z-depth in any unit; pixels that are not finite and positive become black  # [H, W]
        cut: Share of pixels at each end of the range that is cut off, against outliers.

    Returns:
        Three equal channels; all 0 where depth is constant  # [H, W, 3]

    Raises:
        InputError: If there is no usable pixel, the array has another shape or the share is out of range.
    """
    values = np.asarray(depth, dtype=np.float64)
    usable = np.isfinite(values) & (values > 0)
    if values.ndim != 2 or not usable.any():
        raise InputError("depth", f"shape {values.shape} with {int(usable.sum())} usable pixels", "(H, W) with positive depth")
    if not 0 <= cut < 0.5:
        raise InputError("cut", cut, "a share of at least 0 and below 0.5")
    inverse = np.where(usable, 1.0 / np.where(usable, values, 1.0), 0.0)
    low, high = np.quantile(inverse[usable], [cut, 1.0 - cut])
    scaled = np.where(usable, np.clip((inverse - low) / (high - low), 0, 1), 0) if high > low else np.zeros_like(values)
    return np.repeat(np.rint(255 * scaled).astype(np.uint8)[..., None], 3, axis=2)
