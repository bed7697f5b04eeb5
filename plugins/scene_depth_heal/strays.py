"""Splats that no photo supports, and that a deletion brings to light."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.geometry.view_graph import ViewGraph
from scene_depth.rendering import Region, blending_weights_by_mask
from scene_depth.rendering.bounds import (
    Footprints,
    bounding_region,
    footprints_of,
    region_around,
    touching_splats,
    window_of,
)
from scene_depth.splats import GaussianSplats

WITNESSES = 2  # photos beside the object that must show a splat: one alone says nothing of its depth
SHARE_SHOWN = 0.2  # of what the hole will show of a splat, that those photos must show
FAINT = 0.05  # pixels of blending weight up to which a splat does no harm in the hole


def unsupported_splats(
    splats: GaussianSplats,
    removed: Tensor,
    cameras: Sequence[Cameras],
    blocked: Sequence[Tensor | None],
    footprints: Footprints | None = None,
) -> Tensor:
    """Splats that the hole brings to light and that the photos have hardly shown.

    A fit has no reason to give the inside of an object, or the air close behind it, any particular colour. Such splats
    would float in the hole and hide the surface that is to be repaired, so they go with the object.

    Args:
        splats: The scene with the object.
        removed: The object  # [N] bool
        cameras: One camera a photo.
        blocked: Where the object hides the scene in each photo; None where it hides nothing  # [H, W] bool each
        footprints: Of the splats, if they are known.

    Returns:
        Splats besides the object's  # [N] bool
    """
    index = (~removed).nonzero()[:, 0]
    kept, prints = splats.with_sh_degree(0).select(index), (footprints or footprints_of(splats)).select(index)
    in_hole = torch.zeros(len(kept), device=splats.device)
    for camera, hidden in zip(cameras, blocked, strict=True):
        if hidden is not None and (region := region_around(hidden)) is not None:
            in_hole = torch.maximum(in_hole, _weights_in(kept, prints, camera, hidden, region))
    waiting = (in_hole > FAINT).nonzero()[:, 0]  # until enough photos have shown them
    witnesses = torch.zeros(len(kept), dtype=torch.int64, device=splats.device)
    for place in ViewGraph(cameras).views_holding(prints.means[waiting], prints.radii[waiting]):
        camera, hidden = cameras[place], blocked[place]
        region = bounding_region(prints.select(waiting).bounds(camera), camera)
        if region is not None:
            free = torch.ones(camera.height, camera.width, device=splats.device) if hidden is None else ~hidden
            beside = _weights_in(kept, prints, camera, free, region)
            witnesses[waiting] += (beside >= SHARE_SHOWN * in_hole)[waiting]
            waiting = waiting[witnesses[waiting] < WITNESSES]
            if not len(waiting):
                break
    found = torch.zeros(len(splats), dtype=torch.bool, device=splats.device)
    found[index[waiting]] = True
    return found


def _weights_in(splats: GaussianSplats, prints: Footprints, camera: Cameras, mask: Tensor, region: Region) -> Tensor:
    """Blending weight of each splat in those pixels of a mask that lie in a part of the picture  # [N]"""
    near, sums = touching_splats(prints.bounds(camera), region), torch.zeros(len(splats), device=splats.device)
    sums[near] = blending_weights_by_mask(splats.select(near), camera, mask[window_of(region)][None], region=region)[0]
    return sums
