"""Photos in the exposure of the splats: a gain a channel and view, from what both show beside the object.

A camera with automatic exposure gives every photo another brightness; a fit averages them. A photo then is neither known
colour at the border of a hole nor supervision for new splats before it looks as the splats do, which are never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth.errors import one_line
from scene_depth_heal.hole import HealView, Hole, ViewState, as_array

DARKEST, BRIGHTEST = 0.06, 0.97  # values between which a channel counts: neither noise nor clipped
CELL = 8  # pixels of a square whose median is one observation: errors of neighbouring pixels are not independent
LEAST_CELLS = 12  # observations from which a gain can be told
OF_A_MEDIAN = 1.2533  # standard error of a median of normal errors over that of their mean
CERTAIN = 3.0  # standard errors by which a gain must differ from 1
VISIBLE = 0.02  # and by how much: at reduced size, splats of even photos come out 1 to 3 % brighter
TOLD = 0.05  # gain of a channel from which a person should know


@dataclass(frozen=True)
class Exposure:
    """How a photo differs in exposure from the splats.

    Attributes:
        gain: Factor of each channel by which the photo looks as the splats do; 1 where none could be told.
        error: Its standard error, relative.
        matched: Whether the photo was multiplied by it.
    """

    gain: tuple[float, float, float]
    error: tuple[float, float, float]
    matched: bool


def match_exposure(
    hole: Hole, known: Mapping[str, Exposure] | None = None, before: Hole | None = None
) -> tuple[Hole, dict[str, Exposure]]:
    """The photos of the views that show the object, and their edited pictures, in the exposure of the splats.

    Args:
        hole: A deletion.
        known: What was found of views that are matched already.
        before: A smaller deletion, in which the other views did not show what is removed; they are compared as they were then.

    Returns:
        The hole with views whose pictures look as the splats do beside the object
        What was found of each view, by name
    """
    found, states = dict(known or {}), []
    for state in hole.states:
        if state.name not in found:
            shown = state if before is None else before.state_of(state.view)
            found[state.name] = find_exposure(state.view.rgb, shown)
            state = replace(state, view=_matched(shown, found[state.name]))
        states.append(state)
    return replace(hole, states=tuple(states)), found


def find_exposure(picture: Tensor, state: ViewState) -> Exposure:
    """The gain of each channel that makes a picture look as the splats do beside the object.

    It is the median over small squares of the median ratio in each, of pixels on an opaque surface that are well lit in both.
    Half of the squares may be wrong, as where the splats lack detail, or something moved.

    Args:
        picture: The photo, or an edited one  # [H, W, 3]
        state: What the splats show of its view.
    """
    usable = as_array((state.depth_after > 0) & ~state.object_pixels)
    shown, wanted = (np.ascontiguousarray(as_array(image).transpose(2, 0, 1)) for image in (picture, state.rgb_after))
    observed = [_observe(shown[channel], wanted[channel], usable) for channel in range(3)]
    gains, errors = zip(*(_median(cells) for cells in observed), strict=True)
    differs = [abs(np.log(gain)) > max(CERTAIN * error, VISIBLE) for gain, error in zip(gains, errors, strict=True)]
    return Exposure((gains[0], gains[1], gains[2]), (errors[0], errors[1], errors[2]), any(differs))


def describe_exposure(found: dict[str, Exposure]) -> str | None:
    """One line on the photos that clearly differ and were matched; None where all are exposed as the splats are."""
    matched = {name: max(each.gain, key=lambda gain: abs(np.log(gain))) for name, each in found.items() if each.matched}
    matched = {name: gain for name, gain in matched.items() if abs(np.log(gain)) > TOLD}
    if not matched:
        return None
    name = max(matched, key=lambda key: abs(np.log(matched[key])))
    count = f"{len(matched)} of {len(found)}, most {one_line(name)}, times {matched[name]:.2f} in a channel"
    return f"photos of another exposure than the splats, matched to them: {count}"


def _matched(state: ViewState, exposure: Exposure) -> HealView:
    """The view with its pictures in the exposure of the splats."""
    view = state.view
    if exposure.matched:
        view = replace(view, photo=partial(_matched_photo, view, exposure))
    if view.painted is not None and (edited := find_exposure(view.painted, state)).matched:
        view = replace(view, painted=_brightened(view.painted, edited))
    return view


def _matched_photo(view: HealView, exposure: Exposure) -> Tensor:
    return _brightened(view.rgb, exposure)


def _brightened(picture: Tensor, exposure: Exposure) -> Tensor:
    return (picture * picture.new_tensor(exposure.gain)).clamp(0, 1)


def _observe(shown: NDArray[np.float32], wanted: NDArray[np.float32], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Median log ratio in each square that is at least half usable  # [cells]"""
    lit = usable & (shown > DARKEST) & (shown < BRIGHTEST) & (wanted > DARKEST) & (wanted < BRIGHTEST)
    height, width = (size // CELL * CELL for size in lit.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(lit, np.log(wanted) - np.log(shown), np.float32(np.nan))
    cells = ratio[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL).swapaxes(1, 2).reshape(-1, CELL * CELL)
    count = np.isfinite(cells).sum(axis=1)
    enough = 2 * count >= CELL * CELL
    cells, count = np.sort(cells[enough], axis=1), count[enough]  # unusable ones stand last
    middle = [np.take_along_axis(cells, place[:, None], axis=1)[:, 0] for place in ((count - 1) // 2, count // 2)]
    medians: NDArray[np.float64] = 0.5 * (middle[0].astype(np.float64) + middle[1])
    return medians


def _median(cells: NDArray[np.float64]) -> tuple[float, float]:
    """A gain and its relative standard error; 1 and infinity where too few squares tell."""
    if len(cells) < LEAST_CELLS:
        return 1.0, float("inf")
    middle = float(np.median(cells))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(cells - middle)))
    return float(np.exp(middle)), OF_A_MEDIAN * spread / len(cells) ** 0.5
