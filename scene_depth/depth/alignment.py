"""Brings a monocular prediction of free scale, or of free scale and shift, onto known depth, once for the whole view or pixel by
pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from scene_depth.arrays import MAD_TO_SIGMA, Array, Mask
from scene_depth.errors import InputError

Space = Literal["inverse", "depth", "log"]
SPACES: tuple[Space, ...] = ("inverse", "depth", "log")
Fit = Literal["scale", "affine", "auto"]
"""What of a prediction is free: its scale, its scale and shift, or whichever carries farther over the known depth."""
FITS: tuple[Fit, ...] = ("scale", "affine", "auto")

MOST_SAMPLES = 20000  # more pixels do not change two numbers
PAIRS = 300  # lines through two random pixels that the robust fit starts from
JUDGES = 2000  # pixels that choose among them
STEPS = 25
CAUCHY = 2.385  # 95 % efficiency for normal errors, in units of their standard deviation
NEAREST, FARTHEST = 0.3, 3.0  # aligned depth stays within these factors of the known range
NEIGHBOURS = 5  # of Prior Depth Anything
LEAST_TO_CHOOSE = 50  # known pixels from which halves of them can tell what of a prediction is free
RIDGE = 0.01  # pull of a local scale towards the global one, relative to the variance of the whole prediction


@dataclass(frozen=True)
class GlobalFit:
    """``scale * prediction + shift`` is the depth, the inverse depth or the logarithm of the depth.

    Attributes:
        space: Which of the three.
        scale: Positive factor, in the unit of the space.
        shift: Offset in the same unit.
        residual: Median of |fitted / known depth - 1| over known pixels.
        two_parameters: False if only the scale (in log space the shift) was free, or could be told from the known depth.
        bounded: Whether fitted depth is kept near the known range; what a scale alone gives needs no bounds.
    """

    space: Space
    scale: float
    shift: float
    residual: float
    two_parameters: bool
    bounded: bool = True


def fit_globally(
    prediction: Array, depth: Array, known: Mask, space: Space | Literal["auto"] = "inverse", fit: Fit = "affine"
) -> GlobalFit:
    """Robust scale, or scale and shift, over all known pixels, by residuals relative to the known depth.

    A scale alone is the median ratio. For a scale and shift, least median of squares (Rousseeuw 1984) over lines through
    random pairs of pixels withstands predictions that are wrong on nearly half of the view; iteratively reweighted least
    squares with Cauchy weights then uses all pixels.

    Args:
        prediction: Monocular values, growing with the quantity of ``space``  # [H, W]
        depth: z-depth, read where known  # [H, W]
        known: True = measured, at least one  # [H, W]
        space: What the prediction is up to scale and shift. "auto" takes the one that fits best.
        fit: "scale" for a metric prediction, whose shift is right: a second parameter, fitted to a part of the view, carries
            badly over the rest. "auto" takes what tells one half of the known pixels better from the other half.

    Raises:
        InputError: If the space or fit is unknown, the prediction is not finite at any known pixel, or, for a scale alone of
            depth or inverse depth, not positive at most of them.
    """
    if fit not in FITS:
        raise InputError("fit", repr(fit), f"one of {', '.join(FITS)}")
    if space not in (*SPACES, "auto"):
        raise InputError("space", repr(space), f"one of {', '.join(SPACES)}, auto")
    usable = known & np.isfinite(prediction)
    if not usable.any():
        raise InputError("prediction", "no finite value at known pixels", "finite values")
    if fit == "auto":
        fit = _carrying_fit(prediction, depth, known, space)
    if space == "auto":
        spaces = [each for each in SPACES if fit != "scale" or each == "log" or _is_positive(prediction, known)]
        return min((fit_globally(prediction, depth, known, each, fit) for each in spaces), key=lambda found: found.residual)
    if fit == "scale" and space != "log" and not _is_positive(prediction, known):
        accepted = "positive values, which a scale alone can bring onto depth; or fit=affine"
        raise InputError("prediction", "not positive at most known pixels", accepted)
    stride = -(-int(usable.sum()) // MOST_SAMPLES)
    x = prediction[usable][::stride].astype(np.float64)
    y = _into(depth[usable][::stride].astype(np.float64), space)
    if fit == "scale":
        scale, shift = _median_ratio(x, y, space)
        return _with_residual(GlobalFit(space, scale, shift, 0.0, False, bounded=False), x, y)
    precision = np.ones_like(y) if space == "log" else 1.0 / y
    starts = [_least_squares(x, y, precision**2), _least_median(x, y, precision)]
    scale, shift = min(
        (_reweighted(x, y, precision, start) for start in starts), key=lambda ab: _median_residual(x, y, precision, *ab)
    )
    two = bool(np.isfinite(scale) and scale > 0)
    if not two:
        scale, shift = _one_parameter(x, y, space)
    return _with_residual(GlobalFit(space, scale, shift, 0.0, two), x, y)


def _with_residual(fit: GlobalFit, x: Array, y: Array) -> GlobalFit:
    known_depth = _out_of(y, fit.space)
    return replace(fit, residual=float(np.median(np.abs(apply_fit(fit, x, known_depth) / known_depth - 1.0))))


def _is_positive(prediction: Array, known: Mask) -> bool:
    return bool(np.median(prediction[known & np.isfinite(prediction)]) > 0)


def _median_ratio(x: Array, y: Array, space: Space) -> tuple[float, float]:
    """Scale and shift of which one is free: the median of the ratios y / x; in log space the shift."""
    if space == "log":
        return 1.0, float(np.median(y - x))
    return float(np.exp(np.median(np.log(y[x > 0] / x[x > 0])))), 0.0


def _carrying_fit(prediction: Array, depth: Array, known: Mask, space: Space | Literal["auto"]) -> Fit:
    """The fit that, made on the left, right, upper or lower half of the known pixels, is nearer to the depth of the other."""
    usable = known & np.isfinite(prediction)
    places = np.argwhere(usable)
    if len(places) < LEAST_TO_CHOOSE or not _is_positive(prediction, known):
        return "affine"
    errors: dict[Fit, float] = {"affine": 0.0, "scale": 0.0}
    for axis in (0, 1):
        first = np.zeros_like(usable)
        first[tuple(places.T)] = places[:, axis] < np.median(places[:, axis])
        for here in (first, usable & ~first):
            there = usable & ~here
            if not here.any() or not there.any() or not _is_positive(prediction, here):
                return "affine"
            for fit in errors:
                found = fit_globally(prediction, depth, here, space, fit)
                fitted = apply_fit(found, prediction[there], depth[usable])
                errors[fit] += float(np.median(np.abs(fitted / depth[there] - 1.0)))
    return "scale" if errors["scale"] <= errors["affine"] else "affine"


def apply_fit(fit: GlobalFit, prediction: Array, known_depth: Array) -> NDArray[np.float64]:
    """Depth of a prediction under a fit, within 0.3 to 3 times the range of the known depth unless only its scale was free.

    Args:
        fit: From ``fit_globally``.
        prediction: Monocular values  # [...]
        known_depth: The known values  # [N]
    """
    values = fit.scale * prediction.astype(np.float64) + fit.shift
    if fit.bounded:
        return _bounded(values, fit.space, known_depth)
    if fit.space != "log":  # what is not positive is no depth
        positive = values > 0
        values = values if positive.all() else np.where(positive, values, np.median(values[positive]))
    return _out_of(values, fit.space).astype(np.float64)


def align_locally(
    prediction: Array, depth: Array, known: Mask, fit: GlobalFit, neighbours: int = NEIGHBOURS, ridge: float = RIDGE
) -> NDArray[np.float64]:
    """Scale and shift for every unknown pixel from its nearest known pixels.

    The coarse alignment of Prior Depth Anything (Wang et al., section 3.1): weighted least squares over the five nearest
    known pixels, weight 1 / distance^2. Five neighbours on one surface say little about the scale, which the paper's
    code leaves to chance; here a ridge pulls it towards the global one.

    Args:
        prediction: Monocular values  # [H, W]
        depth: z-depth, read where known  # [H, W]
        known: True = measured, at least one  # [H, W]
        fit: The global fit, which also gives the space.
        neighbours: Number of known pixels for each unknown one.
        ridge: Strength of the pull, relative to the variance of the prediction.

    Returns:
        Aligned depth, known pixels as given  # [H, W]
    """
    if neighbours < 1 or not ridge > 0:
        raise InputError("neighbours, ridge", f"{neighbours}, {ridge}", "at least one neighbour and a positive ridge")
    points, holes = np.argwhere(known), np.argwhere(~known)
    result = depth.astype(np.float64)
    if len(holes) == 0:
        return result
    count = min(neighbours, len(points))
    distance, index = cKDTree(points).query(holes, k=count)
    distance, index = distance.reshape(-1, count), index.reshape(-1, count)
    weight = 1.0 / distance**2
    weight /= weight.sum(axis=1, keepdims=True)
    x = prediction[known].astype(np.float64)[index]
    y = _into(depth[known].astype(np.float64), fit.space)[index]
    mean_x, mean_y = (weight * x).sum(axis=1), (weight * y).sum(axis=1)
    dx, dy = x - mean_x[:, None], y - mean_y[:, None]
    pull = ridge * max(float(np.var(prediction[known])), 1e-30)
    scale = ((weight * dx * dy).sum(axis=1) + pull * fit.scale) / ((weight * dx * dx).sum(axis=1) + pull)
    aligned = scale * (prediction[~known].astype(np.float64) - mean_x) + mean_y
    result[~known] = _bounded(aligned, fit.space, depth[known])
    return result


def _into(depth: Array, space: Space) -> Array:
    return 1.0 / depth if space == "inverse" else np.log(depth) if space == "log" else depth


def _out_of(values: Array, space: Space) -> Array:
    return 1.0 / values if space == "inverse" else np.exp(values) if space == "log" else values


def _bounded(values: Array, space: Space, known_depth: Array) -> NDArray[np.float64]:
    lowest, highest = NEAREST * float(known_depth.min()), FARTHEST * float(known_depth.max())
    ends = sorted(float(end) for end in _into(np.array([lowest, highest], dtype=np.float64), space))
    return _out_of(np.clip(values, ends[0], ends[1]), space).astype(np.float64)


def _least_squares(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
    variance = np.average((x - mean_x) ** 2, weights=weight)
    if variance <= 1e-20 * float(np.maximum(mean_x**2, 1e-30)):
        return float("nan"), float("nan")  # a constant prediction says nothing about its scale
    scale = np.average((x - mean_x) * (y - mean_y), weights=weight) / variance
    return float(scale), float(mean_y - scale * mean_x)


def _least_median(x: Array, y: Array, precision: Array) -> tuple[float, float]:
    """The one of the rising lines through random pairs whose median residual is least."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(len(x), size=(2, PAIRS))
    rise, run = y[first] - y[second], x[first] - x[second]
    rising = rise * run > 0
    if not rising.any():
        return float("nan"), float("nan")
    scale = rise[rising] / run[rising]
    shift = y[first][rising] - scale * x[first][rising]
    judges = rng.integers(len(x), size=min(len(x), JUDGES))
    residual = np.abs(scale[:, None] * x[judges] + shift[:, None] - y[judges]) * precision[judges]
    best = int(np.argmin(np.median(residual, axis=1)))
    return float(scale[best]), float(shift[best])


def _reweighted(x: Array, y: Array, precision: Array, start: tuple[float, float]) -> tuple[float, float]:
    scale, shift = start
    for _ in range(STEPS):
        residual = np.abs(scale * x + shift - y) * precision
        spread = CAUCHY * MAD_TO_SIGMA * float(np.median(residual))
        if not np.isfinite(spread) or spread <= 1e-12:
            break
        scale, shift = _least_squares(x, y, precision**2 / (1.0 + (residual / spread) ** 2))
    return scale, shift


def _median_residual(x: Array, y: Array, precision: Array, scale: float, shift: float) -> float:
    residual = float(np.median(np.abs(scale * x + shift - y) * precision))
    return residual if np.isfinite(residual) else float("inf")


def _one_parameter(x: Array, y: Array, space: Space) -> tuple[float, float]:
    """The ratio of the medians; where the prediction is not positive, the known depth's median alone."""
    if space == "log":
        return 1.0, float(np.median(y - x))
    middle = float(np.median(x))
    return (float(np.median(y)) / middle, 0.0) if middle > 0 else (0.0, float(np.median(y)))
