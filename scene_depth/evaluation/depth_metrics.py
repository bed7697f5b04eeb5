"""Errors of a depth map against truth, with the definitions of the benchmarks that report them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from scene_depth.errors import InputError

DISTANCES = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0, float("inf"))
"""Borders of the distance ranges, in metres, that reports use."""

SEAM_WIDTH = 2
"""Hidden pixels at most this many pixels (8-connected) from a known one belong to the seam."""


@dataclass(frozen=True)
class DepthErrors:
    """Errors over one set of pixels; d is the prediction, g the truth. Every field but ``pixels`` is None for an empty set.

    Attributes:
        pixels: Number of pixels.
        abs_rel: mean |d - g| / g, a ratio (0.1 = 10 %) (Eigen et al. 2014, section 4.1).
        sq_rel: mean (d - g)^2 / g, in the unit of depth (Eigen et al. 2014; the KITTI benchmark divides by g^2 instead).
        delta1: Share of pixels with max(d / g, g / d) < 1.25 (Ladicky et al. 2014).
        delta2: The same with 1.25^2.
        delta3: The same with 1.25^3.
        rmse: sqrt mean (d - g)^2, in the unit of depth.
        mae: mean |d - g|, in the unit of depth.
        irmse: 1000 sqrt mean (1/d - 1/g)^2: 1/km for depth in metres (Uhrig et al. 2017, KITTI depth completion).
        imae: 1000 mean |1/d - 1/g|: 1/km for depth in metres (Uhrig et al. 2017).
        log10: mean |log10 d - log10 g| (Saxena et al. 2008).
        rmse_log: sqrt mean (ln d - ln g)^2 (Eigen et al. 2014).
        silog: 100 sqrt(mean e^2 - (mean e)^2) with e = ln d - ln g (KITTI depth prediction; Eigen et al. 2014, equation 1, has
            the square of it).
    """

    pixels: int
    abs_rel: float | None = None
    sq_rel: float | None = None
    delta1: float | None = None
    delta2: float | None = None
    delta3: float | None = None
    rmse: float | None = None
    mae: float | None = None
    irmse: float | None = None
    imae: float | None = None
    log10: float | None = None
    rmse_log: float | None = None
    silog: float | None = None


@dataclass(frozen=True)
class DistanceErrors:
    """Errors of the pixels whose true depth lies in [near, far)."""

    near: float
    far: float | None  # None = no upper border, so that JSON stays valid
    errors: DepthErrors


@dataclass(frozen=True)
class ClassErrors:
    """Errors of the pixels that show one semantic class."""

    name: str
    errors: DepthErrors


@dataclass(frozen=True)
class Regions:
    """The pixels with truth, split by what the inpainter was given.

    Attributes:
        hidden: Not given: what depth inpainting is measured on  # [H, W]
        known: Given  # [H, W]
        seam: The hidden ones within ``SEAM_WIDTH`` pixels of a given one  # [H, W]
        all: All pixels with truth: what KITTI and NYU 500 points are measured on  # [H, W]
    """

    hidden: NDArray[np.bool_]
    known: NDArray[np.bool_]
    seam: NDArray[np.bool_]
    all: NDArray[np.bool_]


def depth_errors(prediction: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> DepthErrors:
    """Measures a depth map, in float64.

    Args:
        prediction: z-depth  # [...]
        truth: z-depth in the same unit  # [...]
        valid: Pixels to measure; None takes all with finite positive truth  # [...]

    Raises:
        InputError: If shapes differ, or if a measured pixel has no finite positive truth or prediction.
    """
    d, g = measured_pairs(prediction, truth, valid)
    if d.size == 0:
        return DepthErrors(pixels=0)
    error, inverse = d - g, 1000.0 * (1.0 / d - 1.0 / g)
    logarithm = np.log(d) - np.log(g)
    ratio = np.maximum(d / g, g / d)
    return DepthErrors(
        pixels=int(d.size),
        abs_rel=_mean(np.abs(error) / g),
        sq_rel=_mean(error**2 / g),
        delta1=_mean(ratio < 1.25),
        delta2=_mean(ratio < 1.25**2),
        delta3=_mean(ratio < 1.25**3),
        rmse=_root_mean(error**2),
        mae=_mean(np.abs(error)),
        irmse=_root_mean(inverse**2),
        imae=_mean(np.abs(inverse)),
        log10=_mean(np.abs(logarithm)) / float(np.log(10.0)),
        rmse_log=_root_mean(logarithm**2),
        silog=100.0 * float(np.std(logarithm)),
    )


def errors_by_distance(
    prediction: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None, *, borders: Sequence[float] = DISTANCES
) -> list[DistanceErrors]:
    """The same errors for every range of true depth that has pixels.

    Args:
        prediction, truth, valid: As in ``depth_errors``.
        borders: Rising borders of the ranges, in the unit of depth.
    """
    if len(borders) < 2 or not all(near < far for near, far in pairwise(borders)):
        raise InputError("borders", tuple(borders), "two or more rising distances")
    d, g = measured_pairs(prediction, truth, valid)
    found = []
    for near, far in pairwise(borders):
        inside = (g >= near) & (g < far)
        if inside.any():
            found.append(DistanceErrors(near, None if np.isinf(far) else far, depth_errors(d[inside], g[inside])))
    return found


def errors_by_class(
    prediction: ArrayLike, truth: ArrayLike, classes: ArrayLike, names: Sequence[str] = (), *, valid: NDArray[np.bool_]
) -> list[ClassErrors]:
    """The same errors for every semantic class that has pixels, by rising number; pixels without a class are left out.

    Args:
        prediction, truth, valid: As in ``depth_errors``.
        classes: Number of the class, 0 = none  # [...]
        names: Names by number; a class beyond them is called by its number.
    """
    d, g = measured_pairs(prediction, truth, valid)
    labels = np.asarray(classes)
    if labels.shape != valid.shape:
        raise InputError("classes", f"shape {labels.shape}", f"{valid.shape}, the shape of the truth")
    labels = labels[valid]
    return [
        ClassErrors(
            names[number] if number < len(names) else f"class {number}", depth_errors(d[labels == number], g[labels == number])
        )
        for number in np.unique(labels[labels > 0]).tolist()
    ]


def split_regions(truth_valid: NDArray[np.bool_], known: NDArray[np.bool_], *, seam_width: int = SEAM_WIDTH) -> Regions:
    """Splits the pixels with truth by what was given.

    Args:
        truth_valid: Pixels whose truth can be trusted  # [H, W]
        known: Pixels whose depth the inpainter was given  # [H, W]
        seam_width: Widest distance of a seam pixel from a known one, in pixels, diagonals count one.
    """
    near = ndimage.binary_dilation(known, np.ones((3, 3), bool), iterations=seam_width) if known.any() else known
    hidden = truth_valid & ~known
    return Regions(hidden=hidden, known=truth_valid & known, seam=hidden & near, all=truth_valid)


def measured_pairs(
    prediction: ArrayLike, truth: ArrayLike, valid: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The measured pixels of both maps as float64 vectors, checked.

    Raises:
        InputError: If shapes differ, or if a measured pixel has no finite positive truth or prediction.
    """
    d, g = np.asarray(prediction, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if d.shape != g.shape:
        raise InputError("prediction", f"shape {d.shape}", f"{g.shape}, the shape of the truth")
    mask = np.isfinite(g) & (g > 0) if valid is None else np.asarray(valid)
    if mask.shape != g.shape or mask.dtype != np.bool_:
        raise InputError("valid", f"shape {mask.shape} of {mask.dtype}", f"{g.shape} of bool")
    d, g = d[mask], g[mask]
    for name, values in (("truth", g), ("prediction", d)):
        bad = int(np.count_nonzero(~(np.isfinite(values) & (values > 0))))
        if bad:
            raise InputError(
                name, f"{bad} of {values.size} measured pixels without a finite positive depth", "finite positive depth there"
            )
    return d, g


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(np.mean(values, dtype=np.float64))


def _root_mean(squares: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(squares)))
