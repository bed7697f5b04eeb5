"""Refinement of the depth of one view: what to keep, what to inpaint anew, and how to mix two uncertain depths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import Mask
from scene_depth.cameras import Cameras
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import ExactInpainter
from scene_depth_sparse.flags import BORDER, CONTRADICTED, EDGE, MATCHED, SINGLE_VIEW, ViewFlags
from scene_depth_sparse.surfaces import snap_to_surfaces

RAMP = 3.0  # pixels over which a correction grows from the border to matched depth, so that there is no step
LEAST_HELD_OUT = 300  # pixels of matched depth that are hidden to measure an inpainter by
LEAST_HELD_OUT_SHARE = 0.25  # and in those that the view is alone with: the few that a matched corner gives all lie near it
SHARE = 0.5  # of the disagreement beyond what an inpainter was measured by that is its own: places seen by one view are harder
OUTLYING = 2.0  # times what both were measured to differ by, from which a view's inpainted depth counts less
LEAST_WEIGHT = 0.02  # of an inpainter, below which its depth is not mixed in
UNTOLD = 0.1  # relative standard deviation of an inpainter that tells none
SNAPPED = 0.03  # relative standard deviation of depth taken from the surface beside an edge
MEAN_TO_SIGMA = float(np.sqrt(np.pi / 2))  # of the mean absolute value of normal errors


@dataclass(frozen=True)
class RefinedDepth:
    """Refined depth of one view.

    Attributes:
        depth: z-depth, 0 = none  # [H, W] float32
        sigma: Relative standard deviation, 0 where there is none  # [H, W] float32
        notes: What the inpainter said.
    """

    depth: NDArray[np.float32]
    sigma: NDArray[np.float32]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ViewInput:
    """One view to be refined.

    Attributes:
        depth: Raw z-depth, 0 = none  # [H, W] float32
        picture: sRGB in [0, 1], or None  # [H, W, 3]
        camera: Aligned camera.
        found: Its flags.
        inpainter: What inpaints, made for this view.
    """

    depth: NDArray[np.float32]
    picture: NDArray[np.float32] | None
    camera: Cameras
    found: ViewFlags
    inpainter: ExactInpainter

    @property
    def alone(self) -> Mask:
        """Pixels whose depth no other view says anything of  # [H, W]"""
        flags = self.found.flags
        alone: Mask = (flags == SINGLE_VIEW) | ((flags == CONTRADICTED) & (self.found.seeing == 0))
        return alone

    @property
    def disputed(self) -> Mask:
        """Pixels whose surface other views see at another depth  # [H, W]"""
        disputed: Mask = (self.found.flags == CONTRADICTED) & (self.found.seeing > 0)
        return disputed


@dataclass(frozen=True)
class Calibration:
    """What was measured of the depth of pixels that one view alone sees; relative standard deviations.

    Attributes:
        matched: Of one view's depth where others see the same.
        raw: Of the model's depth where no other view sees the surface.
        inpainted: Of inpainted depth there.
        held_out: Matched pixels that were hidden to measure the inpainter.
        disagreement: Between both in pixels seen by one view.
    """

    matched: float
    raw: float
    inpainted: float
    held_out: int = 0
    disagreement: float = 0.0

    @property
    def weight(self) -> float:
        """Of inpainted depth in the mean of both, by inverse variances."""
        return self.weight_in(0.0)

    def weight_in(self, difference: float) -> float:
        """The weight in one view, less where both differ by far more than was measured: that is the inpainter's.

        A model is about as good in all views. An inpainter is not: what it goes by may be a corner of the view.

        Args:
            difference: Mean absolute difference of the logarithms of both depths in the view.
        """
        inpainted = max(self.inpainted**2, (MEAN_TO_SIGMA * difference / OUTLYING) ** 2 - self.raw**2)
        return self.raw**2 / (self.raw**2 + inpainted)


def calibrate(views: list[ViewInput], matched: float, informed: bool, seed: int) -> Calibration:
    """Measures, by hiding matched depth in places of the same shape, how well the inpainter does where one view is alone.

    What the inpainter and the model disagree by there is the sum of both variances. An inpainter that the picture tells nothing
    of surfaces is not asked: it is worse there than any model.

    Args:
        views: Views to measure on.
        matched: Relative standard deviation of matched depth.
        informed: Whether the inpainter knows of hidden surfaces, from a monocular prior or from training.
        seed: Seed of the inpainter.
    """
    unknown = Calibration(matched, 2 * matched, float("inf") if not informed else UNTOLD)
    hidden_errors, disagreements = [np.empty(0)], [np.empty(0)]
    for view in views if informed else ():
        known = view.found.flags == MATCHED
        hidden = max((mirrored(view.alone) & known for mirrored in MIRRORS), key=lambda mask: int(mask.sum()))
        wanted = max(LEAST_HELD_OUT, LEAST_HELD_OUT_SHARE * view.alone.sum())
        if hidden.sum() < wanted or (known & ~hidden).sum() < LEAST_HELD_OUT:
            continue
        predicted = inpaint_depth(view.inpainter, view.picture, view.depth, known & ~hidden, camera=view.camera, seed=seed).depth
        for errors, mask in ((hidden_errors, hidden), (disagreements, view.alone)):
            errors.append(np.abs(np.log(predicted[mask] / view.depth[mask])))
    held_out = sum(map(len, hidden_errors))
    if held_out == 0:
        return unknown
    measured, disagreement = (MEAN_TO_SIGMA * float(np.mean(np.concatenate(e))) for e in (hidden_errors, disagreements))
    beyond = max(disagreement**2 - measured**2, 0.0)
    inpainted = max(measured, min(float(np.sqrt(measured**2 + SHARE * beyond)), UNTOLD))
    raw = max(float(np.sqrt(max(disagreement**2 - inpainted**2, 0.0))), 2 * matched)
    return Calibration(matched, raw, inpainted, held_out, disagreement)


def refine_view(view: ViewInput, calibration: Calibration, informed: bool, seed: int) -> RefinedDepth:
    """Refines the depth of one view; matched pixels stay bit for bit.

    Disputed depth moves to the mean of the views that see the surface, depth that the view is alone with is mixed with the
    inpainter's, and edges, shells and what is missing are made anew from all that. A pixel on an edge gets the depth of the
    surface beside it that fits its own depth, or, with an inpainter that knows of surfaces, the mean of its own and the
    inpainter's.

    Args:
        view: The view.
        calibration: From ``calibrate``.
        informed: Whether the inpainter knows of hidden surfaces, as in ``calibrate``.
        seed: Seed of the inpainter.
    """
    flags, seeing = view.found.flags, view.found.seeing.astype(np.float32)
    matched, alone, disputed = flags == MATCHED, view.alone, view.disputed
    depth, notes = view.depth.copy(), []
    ramp = 1 - np.exp(-ndimage.distance_transform_edt(~matched) / RAMP) if matched.any() else np.ones(flags.shape)
    pull = view.found.offset * seeing / (seeing + 1) * ramp
    depth[disputed] = (view.depth * (1 - pull))[disputed].astype(np.float32)
    sigma = calibration.matched * np.sqrt((1 + 1 / np.maximum(seeing, 1)) / 2)
    sigma[alone], sigma[flags == EDGE] = calibration.raw, UNTOLD
    trusted = matched | disputed
    if calibration.weight > LEAST_WEIGHT and trusted.any() and alone.any():
        found = inpaint_depth(view.inpainter, view.picture, depth, trusted, camera=view.camera, seed=seed)
        difference = np.log(found.depth[alone] / depth[alone])
        weight = calibration.weight_in(float(np.mean(np.abs(difference))))
        depth[alone] = (depth[alone] * np.exp(weight * difference)).astype(np.float32)
        sigma[alone] = calibration.raw * np.sqrt(1 - weight)
    kept = trusted | alone
    snapped = snap_to_surfaces(depth, kept, flags == EDGE, view.picture)
    anew = ~kept & (flags != BORDER) & ((flags != EDGE) | informed)
    if kept.any() and anew.any():
        found = inpaint_depth(view.inpainter, view.picture, depth, kept, camera=view.camera, seed=seed)
        uncertainty = np.full(flags.shape, UNTOLD) if found.uncertainty is None else found.uncertainty
        sigma[anew] = np.hypot(uncertainty, calibration.matched)[anew]
        notes += found.details["notes"]
        if informed:
            snapped = snap_to_surfaces(depth, kept, flags == EDGE, view.picture, np.sqrt(depth * found.depth))
        depth[anew] = found.depth[anew]
    depth[snapped > 0] = snapped[snapped > 0]
    sigma[snapped > 0] = np.hypot(SNAPPED, calibration.matched)
    depth[flags == BORDER], sigma[depth <= 0] = 0, 0
    return RefinedDepth(depth, sigma.astype(np.float32), tuple(notes))


def _left_right(mask: Mask) -> Mask:
    return mask[:, ::-1]


def _up_down(mask: Mask) -> Mask:
    return mask[::-1]


def _both(mask: Mask) -> Mask:
    return mask[::-1, ::-1]


MIRRORS: tuple[Callable[[Mask], Mask], ...] = (_left_right, _up_down, _both)
