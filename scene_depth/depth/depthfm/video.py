"""Depth of a video from a model of single pictures: every frame is fitted to the one before.

Gui et al. 2024 (supplement): scale and shift of each frame's prediction are fitted to the depth of the previous frame. Drift
is what that cannot see; known pixels, where there are some, hold the whole in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.depth.alignment import GlobalFit, fit_globally
from scene_depth.depth.prior import MonocularMap, MonocularModel, predict
from scene_depth.errors import InputError

SAMPLES = 10000  # pixels of the previous frame, and as many of known depth
STILL = 0.02  # largest change of colour of a pixel that counts as unchanged


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video.

    Attributes:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        depth: z-depth, read where known, or None  # [H, W]
        known: True = measured, or None  # [H, W]
    """

    rgb: NDArray[np.float32]
    depth: Array | None = None
    known: Mask | None = None


@dataclass(frozen=True)
class VideoDepth:
    """Depth of one frame.

    Attributes:
        depth: z-depth; of free scale and a free power until the first known depth, then in its unit  # [H, W]
        uncertainty: Relative standard deviation, if the model tells  # [H, W]
        fit: Of the logarithm; scale 1 and shift 0 for a first frame without known depth.
    """

    depth: NDArray[np.float64]
    uncertainty: NDArray[np.float32] | None
    fit: GlobalFit


def video_depth(model: MonocularModel, frames: Iterable[VideoFrame], *, seed: int = 0) -> Iterator[VideoDepth]:
    """Predicts frame by frame, each fitted to the one before and to its own known pixels.

    All frames get the same noise, since that too keeps them alike.

    Args:
        model: A monocular model that predicts log depth, such as ``DepthFMModel``.
        frames: The frames in order, all of one size.
        seed: Seed of everything random.

    Raises:
        InputError: If the model predicts another quantity, or a frame has another size than the first.
    """
    previous: VideoDepth | None = None
    for index, frame in enumerate(frames):
        predicted = predict(model, frame.rgb, seed)
        if predicted.space != "log":
            raise InputError("model", f"predictions of space {predicted.space!r}", "log depth")
        if previous is not None and previous.depth.shape != predicted.values.shape:
            found = f"{predicted.values.shape} in frame {index}"
            raise InputError("frames", found, f"{previous.depth.shape}, the size of the first")
        previous = fitted_frame(predicted, None if previous is None else previous.depth, frame.depth, frame.known)
        yield previous


def fitted_frame(
    predicted: MonocularMap, previous: Array | None, depth: Array | None = None, known: Mask | None = None
) -> VideoDepth:
    """Scale and shift of log depth by a robust fit to the previous frame's depth and to known pixels.

    Both count the same however many pixels they have. Things that move are outliers of the fit.

    Args:
        predicted: Log depth  # [H, W]
        previous: z-depth of the frame before, positive, or None  # [H, W]
        depth, known: z-depth and where it is measured, or None  # [H, W]
    """
    values = predicted.values.astype(np.float64)
    targets = [] if previous is None else [(values.ravel(), np.asarray(previous, dtype=np.float64).ravel())]
    if depth is not None:
        measured = np.isfinite(depth) & (depth > 0) & (True if known is None else known)
        if measured.any():
            targets.append((values[measured], depth[measured].astype(np.float64)))
    if targets:
        x, y = (np.concatenate(parts) for parts in zip(*(_as_many(*target) for target in targets), strict=True))
        fit = fit_globally(x, y, np.ones(x.shape, dtype=bool), "log")
    else:
        fit = GlobalFit("log", 1.0, 0.0, 0.0, True)
    spread = None if predicted.uncertainty is None else (fit.scale * predicted.uncertainty).astype(np.float32)
    return VideoDepth(np.exp(fit.scale * values + fit.shift), spread, fit)


def _as_many(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``SAMPLES`` pairs, evenly taken, with repetition where there are fewer."""
    chosen = np.linspace(0, len(x) - 1, SAMPLES).round().astype(np.intp)
    return x[chosen], y[chosen]


@dataclass(frozen=True)
class Flicker:
    """How depth changes where the picture does not.

    Attributes:
        change: Mean |ln d(t) - ln d(t-1)| over pixels whose colour stays, over all pairs of frames; None if there is none.
        pixels: Number of such pixels in all.
    """

    change: float | None
    pixels: int


def measure_flicker(depths: Sequence[Array], pictures: Sequence[Array] | None = None, still: float = STILL) -> Flicker:
    """Measures the flicker of a video.

    A relative measure: 0.01 is a change of 1 % from frame to frame. The scale of the whole does not matter.

    Args:
        depths: z-depth of each frame, positive  # T x [H, W]
        pictures: sRGB in [0, 1]; without them all pixels count, as for a camera and a scene that stand still  # T x [H, W, 3]
        still: Largest change of any channel that counts as unchanged.

    Raises:
        InputError: If there are fewer than two frames or the numbers of frames differ.
    """
    if len(depths) < 2 or (pictures is not None and len(pictures) != len(depths)):
        found = f"{len(depths)} depth maps" + ("" if pictures is None else f" and {len(pictures)} pictures")
        raise InputError("frames", found, "two or more, as many pictures as depth maps")
    total, count = 0.0, 0
    for index in range(1, len(depths)):
        before, after = (np.log(np.asarray(depth, dtype=np.float64)) for depth in depths[index - 1 : index + 1])
        stays = np.ones(after.shape, dtype=bool)
        if pictures is not None:
            stays = np.abs(pictures[index] - pictures[index - 1]).max(axis=-1) <= still
        total += float(np.abs(after - before)[stays].sum())
        count += int(stays.sum())
    return Flicker(total / count if count else None, count)
