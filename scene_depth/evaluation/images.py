"""Likeness of pictures: PSNR and SSIM, whole or inside a mask, in double precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.fitting.losses import ssim_map


def psnr(image: NDArray[Any], reference: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio for the range 0 to 1: -10 log10 of the mean squared difference of all values.

    Args:
        image, reference: sRGB; ``image`` is clipped to [0, 1], as it would be in a file  # [H, W, 3]
        mask: Pixels that count; None for all  # [H, W]

    Returns:
        Decibels; infinite for equal pictures, NaN where no pixel counts.
    """
    image, reference = _checked(image, reference, mask)
    squares = (image - reference) ** 2
    error = _mean(squares, mask)
    return math.inf if error == 0 else -10 * math.log10(error) if error == error else math.nan


def ssim(image: NDArray[Any], reference: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (Wang et al. 2004) as the 3DGS papers measure it.

    Gaussian window 11 x 11, standard deviation 1.5, zeros beyond the border, mean over pixels and channels. Inside a
    mask the windows see the whole pictures and the mean is over the pixels that count.

    Args:
        image, reference: sRGB; ``image`` is clipped to [0, 1]  # [H, W, 3]
        mask: Pixels that count; None for all  # [H, W]

    Returns:
        Up to 1; NaN where no pixel counts.
    """
    x, y = _checked(image, reference, mask)
    return _mean(ssim_map(torch.from_numpy(x)[None], torch.from_numpy(y)[None])[0].numpy(), mask)


def _checked(
    image: NDArray[Any], reference: NDArray[Any], mask: NDArray[Any] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if image.shape != reference.shape or image.ndim != 3 or image.shape[-1] != 3:
        raise InputError(
            "image", f"shape {image.shape} beside a reference of {reference.shape}", "two pictures of one shape [H, W, 3]"
        )
    for name, values in (("image", image), ("reference", reference)):
        if not np.issubdtype(values.dtype, np.floating):
            raise InputError(name, f"type {values.dtype}", "floating point in [0, 1]")
    if mask is not None and (mask.shape != image.shape[:2] or mask.dtype != np.bool_):
        raise InputError("mask", f"{mask.dtype} of shape {mask.shape}", f"bool of shape {image.shape[:2]}")
    return np.clip(image.astype(np.float64), 0, 1), reference.astype(np.float64)


def _mean(values: NDArray[np.float64], mask: NDArray[np.bool_] | None) -> float:
    chosen = values if mask is None else values[mask]
    return float(chosen.mean()) if chosen.size else math.nan
