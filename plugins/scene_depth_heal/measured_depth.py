"""Depth that a sensor measured is known depth too, where it lies in register with what the splats show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth_heal.hole import Hole, ViewState, as_array

AGREED = 0.05  # median relative difference to the rendered depth up to which measured depth is that of the same scene
SHIFT = 6  # pixels by which measured depth is moved, to see whether it fits better elsewhere
BETTER = 0.85  # of the difference in place; below it the depth belongs elsewhere
MOST = 0.2  # relative difference that one pixel counts for at most
SPREADS = 3.0  # robust standard deviations from which a difference is an error of the render, not of both
LEAST = 0.02  # and its least value
LEAST_PIXELS = 500  # that both know beside the object


@dataclass(frozen=True)
class MeasuredDepth:
    """How measured depth relates to what the splats show beside the object.

    Attributes:
        used: Whether it counts in the fills.
        views: Views that show the object and have some.
        median: Median of measured over rendered depth; None where too little is known of both.
        spread: Robust standard deviation of their relative difference.
        problem: Why it is not used, or None.
    """

    used: bool
    views: int
    median: float | None = None
    spread: float | None = None
    problem: str | None = None


def check_measured(hole: Hole) -> MeasuredDepth | None:
    """Compares measured with rendered depth beside the object, in the views that show it; None where none of these has any."""
    states = [state for state in hole.states if state.view.measured is not None]
    if not states:
        return None
    pairs = [_both(state) for state in states]
    ratios = np.concatenate([np.log(measured[both] / rendered[both]) for measured, rendered, both in pairs])
    if len(ratios) < LEAST_PIXELS:
        return MeasuredDepth(False, len(states), problem="too little of it lies beside the object")
    middle = float(np.median(ratios))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(ratios - middle)))
    factor = float(np.exp(middle))
    if abs(middle) > AGREED or spread > AGREED * MAD_TO_SIGMA:
        found = f"it is {factor:.3g} times the depth that the splats show, give or take {spread:.0%}"
        return MeasuredDepth(False, len(states), factor, spread, found)
    if _fits_better_elsewhere(pairs):
        return MeasuredDepth(False, len(states), factor, spread, "it fits the splats better when it is moved by some pixels")
    return MeasuredDepth(True, len(states), factor, spread)


def describe_measured(found: MeasuredDepth | None) -> str | None:
    """One line where the scene's depth is not used; None where it is, or there is none."""
    if found is None or found.used:
        return None
    return f"the depth of {found.views} photos is not used: {found.problem}; check its unit and that it is of the photos' pixels"


def with_measured(state: ViewState, found: MeasuredDepth | None) -> ViewState:
    """The view with measured depth in its known depth, where nothing is rendered, or something else than was measured.

    Splats of surfaces without texture stand where their fit left them. Where both agree the rendered depth stays, as the new
    splats are to meet the old ones without a step.
    """
    if found is None or not found.used or found.spread is None or found.median is None:
        return state
    rendered, depth = state.depth_after, state.view.depth
    if depth is None:
        return state
    measured = depth.to(rendered) / found.median
    differs = (rendered / measured.clamp_min(1e-12) - 1).abs() > max(SPREADS * found.spread, LEAST)
    return replace(state, depth_after=torch.where((measured > 0) & ~state.object_pixels & differs, measured, rendered))


Pair = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.bool_]]


def _both(state: ViewState) -> Pair:
    """Measured and rendered depth, and where both are known beside the object."""
    depth, rendered = state.view.depth, as_array(state.depth_after)
    measured = np.zeros(0) if depth is None else as_array(depth)
    return measured, rendered, (measured > 0) & (rendered > 0) & ~as_array(state.object_pixels)


def _fits_better_elsewhere(pairs: Sequence[Pair]) -> bool:
    """Whether measured depth that is moved to one side lies closer to the rendered one."""
    moves = [(0, 0), (0, SHIFT), (0, -SHIFT), (SHIFT, 0), (-SHIFT, 0)]
    differences: list[list[float]] = [[] for _ in moves]
    for measured, rendered, both in pairs:
        for place, (down, right) in enumerate(moves):
            moved = np.roll(measured, (down, right), (0, 1))
            valid = both & (moved > 0)
            if valid.any():
                differences[place].append(float(np.minimum(np.abs(moved[valid] / rendered[valid] - 1), MOST).mean()))
    means = [float(np.mean(found)) if found else np.inf for found in differences]
    return min(means[1:]) < BETTER * means[0]
