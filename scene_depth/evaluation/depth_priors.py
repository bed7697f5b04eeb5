"""Priors for the evaluation of inpainters that take one: simulated from the truth, or as they came with a frame."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.datasets.frames.frame import DepthFrame
from scene_depth.depth.masks.content import fill_nearest

PriorKind = Literal["none", "simulated", "frame"]

ERROR = 0.06
"""Mean of |factor - 1| of a simulated prior."""
BLUR = 1 / 320
"""Standard deviation of the blur relative to the width: 2 pixels of 640."""
WAVE = 1 / 12
"""Standard deviation of the noise's smoothing relative to the shorter side: errors of the size of furniture."""


def simulated_prior(
    truth: NDArray[np.floating], seed: int, *, error: float = ERROR, blur: float = BLUR, wave: float = WAVE
) -> NDArray[np.float32]:
    """Relative inverse depth as a good monocular model might give it.

    It is made from the truth, so objects and edges are right: what it gains is an upper bound for real models. True
    inverse depth (gaps filled with the nearest truth), blurred, times smooth noise whose mean error is ``error``, under a
    random affine map with positive scale.

    Args:
        truth: z-depth, 0 = none, some of it known  # [H, W]
        seed: Seed of noise and affine map.
        error: Mean of |factor - 1|.
        blur: Standard deviation of the blur relative to the width.
        wave: Standard deviation of the noise's smoothing relative to the shorter side.

    Returns:
        Inverse depth up to scale and shift, positive  # [H, W]
    """
    rng = np.random.default_rng(seed)
    inverse = ndimage.gaussian_filter(1.0 / fill_nearest(truth), blur * truth.shape[1], mode="nearest")
    noise = ndimage.gaussian_filter(rng.standard_normal(truth.shape), wave * min(truth.shape), mode="reflect")
    noise -= noise.mean()
    factor = np.exp(noise * (error / max(float(np.abs(noise).mean()), 1e-30)))
    factor = 1.0 + (factor - 1.0) * (error / max(float(np.abs(factor - 1.0).mean()), 1e-30))
    distorted = inverse * np.maximum(factor, 0.1)
    scale, shift = float(np.exp(rng.uniform(-1.5, 1.5))), float(rng.uniform(0.0, 0.5))
    result: NDArray[np.float32] = (scale * (distorted + shift * np.median(distorted))).astype(np.float32)
    return result


def frame_prior(frame: DepthFrame) -> NDArray[np.float32] | None:
    """The inverse of the monocular prediction that came with a frame; None if none did  # [H, W]"""
    if frame.prior is None:
        return None
    positive = frame.prior[frame.prior > 0]
    if not positive.size:
        return None
    return (1.0 / np.maximum(frame.prior, 0.01 * float(np.median(positive)))).astype(np.float32)


def prior_of(kind: PriorKind, frame: DepthFrame, seed: int) -> NDArray[np.float32] | None:
    """The prior of that kind, relative inverse depth; None if there is none  # [H, W]"""
    if kind == "simulated":
        return simulated_prior(frame.truth, seed)
    return frame_prior(frame) if kind == "frame" else None
