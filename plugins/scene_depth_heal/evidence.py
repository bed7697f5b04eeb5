"""Splats that no photo vouches for: what a fit left inside and behind an object that hid it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rendering import blending_weights
from scene_depth.splats import GaussianSplats

WITNESSES = 2  # photos beside the object that must show a splat: one alone says nothing of its depth
SHARE_SHOWN = 0.2  # of what the hole will show of a splat, that those photos must show
FAINT = 0.05  # pixels of blending weight up to which a splat does no harm in the hole


def unvouched(splats: GaussianSplats, removed: Tensor, cameras: Sequence[Cameras], blocked: Sequence[Tensor]) -> Tensor:
    """Splats that the hole brings to light and that the photos have hardly shown.

    A fit has no reason to give the inside of an object, or the air close behind it, any particular colour. Such splats
    would float in the hole and hide the surface that is to be repaired, so they go with the object.

    Args:
        splats: The scene with the object.
        removed: The object  # [N] bool
        cameras: One camera a photo.
        blocked: Where the object hides the scene in each photo  # [H, W] bool each

    Returns:
        Splats besides the object's  # [N] bool
    """
    index = (~removed).nonzero()[:, 0]
    kept = splats.select(index)
    in_hole = torch.zeros(len(kept), device=splats.device)
    shown = torch.zeros(WITNESSES, len(kept), device=splats.device)
    for camera, hidden in zip(cameras, blocked, strict=True):
        in_hole = torch.maximum(in_hole, blending_weights(kept, camera, hidden[None])[0])
        beside = blending_weights(kept, camera, ~hidden[None])
        shown = torch.cat([shown, beside]).topk(WITNESSES, dim=0).values
    found = torch.zeros(len(splats), dtype=torch.bool, device=splats.device)
    found[index] = (in_hole > FAINT) & (shown[-1] < SHARE_SHOWN * in_hole)
    return found
