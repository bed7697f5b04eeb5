"""The removed object's shadow beside its hole: which splats carry it, and the picture without it.

What one view takes for a shadow may be a pattern that fades towards the hole, so another view is asked before it is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.color.exemplar.shadows import picture_gain
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.geometry.visibility import sight
from scene_depth.splats import GaussianSplats
from scene_depth_heal.fill import Reference
from scene_depth_heal.hole import TOLERANCE, ViewState

DARKENED = 0.96  # factor of the light below which a splat counts as shadowed
WITNESSED = 0.5  # share of a shadow's splats that another view must see for its word to count
AGREED = 0.5  # share of those it sees that must be shadowed there too


@dataclass(frozen=True)
class Shadow:
    """The shadow of an object as one reference shows it.

    Attributes:
        reference: The view with the shadow taken out of its picture and depth known wherever there was a surface.
        shade: By what factor the picture was darker, 1 outside the shadow  # [H, W]
        pixels: Where it was clearly darker, the hole left out  # [H, W] bool
    """

    reference: Reference
    shade: NDArray[np.float32]
    pixels: NDArray[np.bool_]


def find_shadow(reference: Reference, prediction: DepthPrediction, *, seed: int = 0) -> Shadow | None:
    """The shadow that touches the hole, on the planes that the hole lies on; None where there is none.

    Args:
        reference: The view before anything is filled.
        prediction: Its completed depth.
        seed: Seed of the search for planes.
    """
    shade = picture_gain(reference.rgb, reference.hole, prediction.depth, reference.camera, seed)
    pixels = (shade < DARKENED) & ~reference.hole & (reference.depth > 0)
    if not pixels.any():
        return None
    relit = np.clip(reference.rgb / shade[..., None], 0, 1).astype(np.float32)
    return Shadow(replace(reference, rgb=relit, photo=reference.rgb), shade, pixels)


def shadowed_splats(splats: GaussianSplats, shadow: Shadow) -> Tensor:
    """Splats on the surface that the shadow lies on, within its pixels  # [N] bool

    Args:
        splats: The scene.
        shadow: The shadow; see ``find_shadow``.
    """
    return _seen(splats, shadow.reference, shadow.pixels)


def _seen(splats: GaussianSplats, reference: Reference, pixels: NDArray[np.bool_]) -> Tensor:
    """Splats on the surface that a view shows in some of its pixels  # [N] bool"""
    depth = torch.from_numpy(np.where(pixels, reference.depth, 0)).to(splats.device)
    return sight(splats.means, reference.camera, depth, None, TOLERANCE).seen


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


def confirm_shadow(found: GaussianSplats, witness: Reference, shadow: Shadow | None) -> Tensor:
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
