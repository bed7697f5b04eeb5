"""The removed object's shadow beside its hole: which splats carry it, and the picture without it.

What one view takes for a shadow may be a pattern that fades towards the hole, so another view is asked before it is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scene_depth.color.exemplar.shadows import picture_gain
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import Region
from scene_depth.splats import GaussianSplats
from scene_depth_heal.fill import fill_depth, guess_color, region_to_fill
from scene_depth_heal.hole import TOLERANCE, Hole, ViewState, as_array, widen_hole

DARKENED = 0.96  # factor of the light below which a splat counts as shadowed
WITNESSED = 0.5  # share of a shadow's splats that another view must see for its word to count
AGREED = 0.5  # share of those it sees that must be shadowed there too


@dataclass(frozen=True)
class Shadow:
    """The shadow of an object as one view shows it.

    Attributes:
        view: The view with its picture without the shadow.
        pixels: Where it was clearly darker, the hole left out  # [H, W] bool
        shade: Mean factor by which the picture was darker there.
    """

    view: ViewState
    pixels: Tensor
    shade: float


def take_shadow(
    hole: Hole,
    name: str,
    region: Region,
    reference: ViewState,
    prediction: DepthPrediction,
    depth_inpainter: DepthInpainter,
    *,
    widen: int,
    seed: int = 0,
) -> tuple[Hole, Shadow] | None:
    """Looks for the object's shadow in a view and removes the splats that carry it, if another view shows it too.

    Args:
        hole: The deletion.
        name: Name of the view.
        region: The part of that view that is filled.
        reference: That part before anything is filled.
        prediction: Its completed depth.
        depth_inpainter: Completes the depth of the view that is asked too.
        widen: Pixels by which the object's pixels are widened.
        seed: Seed of all random choices.

    Returns:
        The hole with those splats removed too, and the shadow, its view made anew where they went; None where no shadow is found.
    """
    shadow = find_shadow(reference, prediction, seed=seed)
    if shadow is None:
        return None
    darkened = torch.zeros_like(hole.removed)
    darkened[~hole.removed] = _ask_witness(hole, hole.by_name[name], shadow, depth_inpainter, seed)
    if not darkened.any() or (darkened | hole.removed).all():
        return None
    wider = widen_hole(hole, darkened, widen=widen)
    resurface = wider.by_name[name].part(region).hole & ~reference.hole & (reference.depth_after > 0)
    return wider, replace(shadow, view=replace(shadow.view, resurface=resurface))


def _ask_witness(hole: Hole, first: ViewState, shadow: Shadow, depth_inpainter: DepthInpainter, seed: int) -> Tensor:
    """Those of the kept splats in a view's shadow that another view does not contradict  # [N] bool"""
    shadowed = shadowed_splats(hole.kept, shadow)
    found = hole.kept.select(shadowed)
    witness = find_witness(found, first, hole.states) if len(found) else None
    if witness is not None:
        part = witness.part(region_to_fill(witness))
        other = find_shadow(part, fill_depth(part, guess_color(part), depth_inpainter, seed=seed), seed=seed)
        shadowed[shadowed.clone()] = confirm_shadow(found, witness, other)
    return shadowed


def find_shadow(view: ViewState, prediction: DepthPrediction, *, seed: int = 0) -> Shadow | None:
    """The shadow that touches the hole, on the planes that the hole lies on; None where there is none.

    Args:
        view: The view before anything is filled.
        prediction: Its completed depth.
        seed: Seed of the search for planes.
    """
    rgb, hole, depth = as_array(view.picture), as_array(view.hole), as_array(view.depth_after)
    gain = picture_gain(rgb, hole, prediction.depth, view.camera, seed, prediction.normals)
    pixels = (gain < DARKENED) & ~hole & (depth > 0)
    if not pixels.any():
        return None
    unshaded = np.clip(rgb / gain[..., None], 0, 1).astype(np.float32)
    device = view.rgb_after.device
    view = replace(view, unshaded=torch.from_numpy(unshaded).to(device))
    return Shadow(view, torch.from_numpy(pixels).to(device), float(gain[pixels].mean()))


def shadowed_splats(splats: GaussianSplats, shadow: Shadow) -> Tensor:
    """Splats on the surface that the shadow lies on, within its pixels  # [N] bool"""
    return _seen(splats, shadow.view, shadow.pixels)


def _seen(splats: GaussianSplats, view: ViewState, pixels: Tensor) -> Tensor:
    """Splats on the surface that a view shows in some of its pixels  # [N] bool"""
    depth = torch.where(pixels, view.depth_after, 0.0).to(splats.device)
    return sight(splats.means, view.camera, depth, None, TOLERANCE).seen


def find_witness(found: GaussianSplats, first: ViewState, states: Sequence[ViewState]) -> ViewState | None:
    """The view farthest away from the first that can tell whether splats are in shadow; None if there is none.

    It must have a hole for the shadow to touch, and see most of the splats beside it.

    Args:
        found: Splats that the first view shows in shadow.
        first: That view.
        states: All views after the deletion.
    """

    def tells(state: ViewState) -> bool:
        if state.name == first.name or not state.unseen.any():
            return False
        depth = torch.where(state.unseen, 0.0, state.depth_after)
        return float(sight(found.means, state.camera, depth, None, TOLERANCE).seen.float().mean()) >= WITNESSED

    def distance(state: ViewState) -> float:
        return float((state.camera.centers[0] - first.camera.centers[0]).norm())

    return max(filter(tells, states), key=distance, default=None)


def confirm_shadow(found: GaussianSplats, witness: ViewState, shadow: Shadow | None) -> Tensor:
    """Which splats another view shows in shadow too, or does not see; none if it contradicts the first  # [N] bool

    Args:
        found: Splats that the first view shows in shadow.
        witness: The other view before anything is filled.
        shadow: Its shadow.
    """
    seen = _seen(found, witness, ~witness.hole)
    both = torch.zeros_like(seen) if shadow is None else shadowed_splats(found, shadow)
    if both.sum() < AGREED * seen.sum():
        return torch.zeros_like(seen)
    return both | ~seen
