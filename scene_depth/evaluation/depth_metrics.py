"""Measures of a depth map against truth, with the definitions of the benchmarks that report them: errors, edges, uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, stats

from scene_depth.depth.protocol import LAPLACE
from scene_depth.errors import InputError

DISTANCES = (0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0, 80.0, float("inf"))
"""Borders of the distance ranges, in metres, that reports use."""

RIM = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, float("inf"))
"""Borders of the distances to the nearest known pixel, in pixels, that reports use."""

SEAM_WIDTH = 2
"""Hidden pixels at most this many pixels (8-connected) from a known one belong to the seam."""

SOBEL_THRESHOLDS = (0.25, 0.5, 1.0)
"""Gradient magnitudes in metres of Hu et al. 2019, table 3; the Sobel kernel is not normalised."""

RATIO_THRESHOLDS = tuple(np.linspace(1.05, 1.25, 10))
"""Depth ratios of neighbours of Depth Pro."""

SPARSIFICATION_STEPS = 100


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
    """Errors of the pixels whose distance lies in [near, far): true depth in metres, or pixels from the nearest known one."""

    near: float
    far: float | None  # None = no upper border, so that JSON stays valid
    errors: DepthErrors


@dataclass(frozen=True)
class ClassErrors:
    """Errors of the pixels that show one semantic class."""

    name: str
    errors: DepthErrors


@dataclass(frozen=True)
class EdgeScores:
    """Agreement of edges. None where there is nothing to divide by.

    Attributes:
        precision: Share of predicted edge pixels that are true ones.
        recall: Share of true edge pixels that are predicted.
        f1: Harmonic mean of both.
    """

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class UncertaintyScores:
    """Quality of an uncertainty as a ranking of errors. None where it cannot be told (no pixel, no spread).

    Attributes:
        pixels: Number of pixels.
        spearman: Rank correlation of uncertainty and error.
        ause: Area under the sparsification error, normalised by the mean error: 0 = as good as the true error (Ilg et al. 2018,
            "Uncertainty Estimates and Multi-Hypotheses Networks for Optical Flow", section 5).
        error_most_uncertain_third: Mean error of the third of pixels with the largest uncertainty.
        error_least_uncertain_third: Mean error of the third with the smallest.
        ratio_of_thirds: The first over the second (DepthFM reports 3.21, Gui et al. 2024).
        within_one_sigma: Share of pixels with error <= uncertainty; meaningful if both are in the same unit.
        within_50, within_90: Share of pixels whose error is at most what the uncertainty says of half of them, and of 90 %, as a
            Laplace distribution: 0.5 and 0.9 of an uncertainty that means what it says.
    """

    pixels: int
    spearman: float | None = None
    ause: float | None = None
    error_most_uncertain_third: float | None = None
    error_least_uncertain_third: float | None = None
    ratio_of_thirds: float | None = None
    within_one_sigma: float | None = None
    within_50: float | None = None
    within_90: float | None = None


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


def errors_by_rim(
    prediction: ArrayLike, truth: ArrayLike, known: NDArray[np.bool_], region: NDArray[np.bool_], borders: Sequence[float] = RIM
) -> list[DistanceErrors]:
    """The same errors by the distance to the nearest known pixel; ranges without pixels are left out.

    Args:
        prediction, truth: As in ``depth_errors``  # [H, W]
        known: Given pixels, at least one  # [H, W]
        region: Pixels to count  # [H, W]
        borders: Rising borders of the ranges, in pixels.
    """
    distance = ndimage.distance_transform_edt(~known)
    found = []
    for near, far in pairwise(borders):
        inside = region & (distance >= near) & (distance < far)
        if inside.any():
            found.append(DistanceErrors(near, None if np.isinf(far) else far, depth_errors(prediction, truth, inside)))
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


def sobel_edge_scores(
    prediction: NDArray[np.floating],
    truth: NDArray[np.floating],
    valid: NDArray[np.bool_],
    region: NDArray[np.bool_] | None = None,
    *,
    thresholds: Sequence[float] = SOBEL_THRESHOLDS,
) -> EdgeScores:
    """Edge precision and recall by Sobel gradients (Hu et al. 2019, "Revisiting Single Image Depth Estimation", section 4.2).

    An edge is a pixel where sqrt(gx^2 + gy^2) exceeds the threshold, gx and gy by the 3x3 Sobel kernel (1 2 1) on depth in
    metres. Edges must fall on the same pixel. Scores are means over those thresholds that have edges, as in the paper;
    DepthFM (Gui et al. 2024, Middlebury) and DiverseDepth report the same kind of score, without saying which thresholds.

    Args:
        prediction, truth: z-depth in metres  # [H, W]
        valid: Pixels with truth; an edge is looked for where the whole 3x3 window is valid  # [H, W]
        region: Pixels to count, for instance the hole; None counts all  # [H, W]
        thresholds: Gradient magnitudes, in metres.
    """
    countable = ndimage.binary_erosion(valid, np.ones((3, 3), bool), border_value=0)
    if region is not None:
        countable = countable & region
    true_gradient, predicted_gradient = (_sobel(np.where(valid, depth, 0.0))[countable] for depth in (truth, prediction))
    return _mean_scores([_scores(predicted_gradient > limit, true_gradient > limit) for limit in thresholds])


def boundary_scores(
    prediction: NDArray[np.floating],
    truth: NDArray[np.floating],
    valid: NDArray[np.bool_],
    region: NDArray[np.bool_] | None = None,
    *,
    thresholds: Sequence[float] = RATIO_THRESHOLDS,
) -> EdgeScores:
    """Occluding contours by depth ratios, free of scale (Depth Pro, Bochkovskii et al. 2024, section 3.3).

    Of two neighbours one occludes the other where the ratio of their depths exceeds t; the direction counts. Precision and recall
    of these relations, then the mean over thresholds weighted by t.

    Args:
        prediction, truth: z-depth in any unit  # [H, W]
        valid: Pixels with truth; both neighbours must be valid  # [H, W]
        region: Pixels of which at least one neighbour must be part; None counts all pairs  # [H, W]
        thresholds: Ratios above 1.
    """
    true_ratio, predicted_ratio = (_neighbour_log_ratios(depth, valid, region) for depth in (truth, prediction))
    scores = []
    for bound in np.log(thresholds):
        predicted = np.concatenate([predicted_ratio > bound, predicted_ratio < -bound])
        scores.append(_scores(predicted, np.concatenate([true_ratio > bound, true_ratio < -bound])))
    return _mean_scores(scores, thresholds)


def uncertainty_scores(uncertainty: ArrayLike, error: ArrayLike) -> UncertaintyScores:
    """Compares a predicted uncertainty with the true error of the same pixels.

    Args:
        uncertainty: Relative standard deviation, not negative  # [N]
        error: True error |d - g| / g, not negative  # [N]

    Raises:
        InputError: If the shapes differ or a value is negative or not finite.
    """
    u, e = _checked_ranking(uncertainty, error)
    if u.size == 0:
        return UncertaintyScores(pixels=0)
    most, least = _thirds(u, e)
    return UncertaintyScores(
        pixels=int(u.size),
        spearman=spearman(u, e),
        ause=area_under_sparsification_error(u, e),
        error_most_uncertain_third=most,
        error_least_uncertain_third=least,
        ratio_of_thirds=most / least if most is not None and least else None,
        within_one_sigma=float(np.mean(e <= u)),
        within_50=float(np.mean(e <= np.log(2) / LAPLACE * u)),
        within_90=float(np.mean(e <= np.log(10) / LAPLACE * u)),
    )


def spearman(first: ArrayLike, second: ArrayLike) -> float | None:
    """Spearman's rank correlation, ties share their mean rank; None if one of both is constant."""
    ranks = [stats.rankdata(np.asarray(values, dtype=np.float64)) for values in (first, second)]
    centred = [rank - rank.mean() if rank.size else rank for rank in ranks]
    norm = float(np.sqrt(np.sum(centred[0] ** 2) * np.sum(centred[1] ** 2)))
    return float(np.sum(centred[0] * centred[1]) / norm) if norm > 0 else None


def sparsification_curve(
    uncertainty: ArrayLike, error: ArrayLike, *, steps: int = SPARSIFICATION_STEPS
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Mean error of what is left when the most uncertain pixels are dropped (Ilg et al. 2018, section 5).

    Args:
        uncertainty, error: As in ``uncertainty_scores``  # [N]
        steps: Number of fractions.

    Returns:
        Dropped fractions 0, 1/steps, ... (steps - 1)/steps  # [steps]
        Mean error of the rest over the mean error of all, dropping by uncertainty  # [steps]
        The same dropping by the error itself, the best possible  # [steps]
    """
    u, e = _checked_ranking(uncertainty, error)
    fractions = np.arange(steps) / steps
    left = np.maximum(u.size - np.floor(fractions * u.size).astype(int), 1)
    curves = []
    for key in (u, e):
        means = np.cumsum(e[np.argsort(key, kind="stable")]) / np.arange(1, e.size + 1)
        curves.append(means[left - 1] / means[-1] if e.size and means[-1] > 0 else np.ones(steps))
    return fractions, curves[0], curves[1]


def area_under_sparsification_error(uncertainty: ArrayLike, error: ArrayLike) -> float | None:
    """AUSE: area between the curve by uncertainty and the best possible curve; None without error or without spread."""
    if not np.any(np.asarray(error) > 0) or np.ptp(np.asarray(uncertainty)) == 0:
        return None
    fractions, curve, oracle = sparsification_curve(uncertainty, error)
    return float(np.sum(np.diff(fractions) * 0.5 * ((curve - oracle)[1:] + (curve - oracle)[:-1])))


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


def _sobel(depth: NDArray[np.floating]) -> NDArray[np.float64]:
    across, down = (ndimage.sobel(depth.astype(np.float64), axis=axis, mode="nearest") for axis in (0, 1))
    magnitude: NDArray[np.float64] = np.hypot(across, down)
    return magnitude


def _neighbour_log_ratios(
    depth: NDArray[np.floating], valid: NDArray[np.bool_], region: NDArray[np.bool_] | None
) -> NDArray[np.float64]:
    logarithm = np.log(np.where(valid, depth, 1.0).astype(np.float64))
    ratios = []
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1, :], np.s_[1:, :])):
        pairs = valid[first] & valid[second]
        if region is not None:
            pairs &= region[first] | region[second]
        ratios.append((logarithm[second] - logarithm[first])[pairs])
    return np.concatenate(ratios)


def _scores(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> EdgeScores:
    hits, found, wanted = (int(np.count_nonzero(edges)) for edges in (predicted & true, predicted, true))
    precision = hits / found if found else None
    recall = hits / wanted if wanted else None
    f1 = 2.0 * hits / (found + wanted) if found + wanted else None
    return EdgeScores(precision, recall, f1)


def _mean_scores(scores: Sequence[EdgeScores], weights: Sequence[float] | None = None) -> EdgeScores:
    """Means over those that are there."""

    def mean(values: Sequence[float | None]) -> float | None:
        present = [i for i, value in enumerate(values) if value is not None]
        if not present:
            return None
        chosen = None if weights is None else [weights[i] for i in present]
        return float(np.average([values[i] or 0.0 for i in present], weights=chosen))

    names = ("precision", "recall", "f1")
    return EdgeScores(*(mean([getattr(score, name) for score in scores]) for name in names))


def _thirds(u: NDArray[np.float64], e: NDArray[np.float64]) -> tuple[float | None, float | None]:
    third = u.size // 3
    if third == 0 or np.ptp(u) == 0:  # an uncertainty without spread ranks nothing
        return None, None
    ordered = e[np.argsort(u, kind="stable")]
    return float(np.mean(ordered[-third:])), float(np.mean(ordered[:third]))


def _checked_ranking(uncertainty: ArrayLike, error: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    u, e = np.asarray(uncertainty, dtype=np.float64).ravel(), np.asarray(error, dtype=np.float64).ravel()
    if u.shape != e.shape:
        raise InputError("uncertainty", f"{u.size} values", f"{e.size}, as many as errors")
    for name, values in (("uncertainty", u), ("error", e)):
        bad = int(np.count_nonzero(~(np.isfinite(values) & (values >= 0))))
        if bad:
            raise InputError(name, f"{bad} of {values.size} values negative or not finite", "finite values of at least 0")
    return u, e
