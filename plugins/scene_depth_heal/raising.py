"""New splats on top of old ones: raised towards the camera by as little as it takes to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth_heal.hole import dilate, weight_of

RAISES = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.03)  # of the depth; fitted surfaces are up to some percent thick
DOMINATES = 0.5  # blending weight of new splats from which a pixel shows them
ENOUGH = 0.95  # mean weight of the new splats, the rim left out, that is enough
WORTH = 0.02  # mean weight that a further raise must win


@dataclass(frozen=True)
class Raised:
    """New splats with what it took to make them show.

    Attributes:
        splats: The new splats.
        raise_: By which part of the depth they were brought nearer.
        shown: Their mean blending weight where they are wanted, the rim left out.
    """

    splats: GaussianSplats
    raise_: float
    shown: float


def raised_until_shown(make: Callable[[float], GaussianSplats], kept: GaussianSplats, camera: Cameras, wanted: Tensor) -> Raised:
    """Makes splats nearer and nearer until they cover what is wanted, or nothing more is won by it.

    Splats at the mean depth of an old surface lie inside it: half of the old splats are drawn over them.

    Args:
        make: Gives the new splats for a part of the depth by which they are to be nearer.
        kept: All other splats.
        camera: The view that they are made for.
        wanted: Pixels that should show them  # [H, W] bool
    """
    inner = ~dilate(~wanted, 1)
    inner = inner if bool(inner.any()) else wanted
    best: Raised | None = None
    for part in RAISES:
        new = make(part)
        shown = float(new_weight(kept, new, camera)[inner].mean())
        if best is None or shown > best.shown + WORTH:
            best = Raised(new, part, shown)
        if best.shown >= ENOUGH:
            break
    assert best is not None
    return best


def new_weight(kept: GaussianSplats, new: GaussianSplats, camera: Cameras) -> Tensor:
    """Blending weight of the new splats in every pixel, 0 to 1  # [H, W]"""
    whole = concatenate_splats([kept, new])
    return weight_of(whole, torch.arange(len(whole), device=whole.device) >= len(kept), camera)


def in_the_way(splats: GaussianSplats, cameras: list[Cameras], largest: float = 0.25) -> Tensor:
    """Splats that would cover much of a picture because they lie at a camera  # [N] bool

    Args:
        splats: New splats.
        cameras: All cameras of the scene.
        largest: Radius of three standard deviations, relative to the longer side of the picture, from which on it is so.
    """
    means, radius = splats.means.cpu().double(), 3 * splats.scales.amax(dim=1).cpu().double()
    found = torch.zeros(len(splats), dtype=torch.bool)
    for camera in cameras:
        pixels, z = camera.project(means)
        size = torch.tensor([camera.width, camera.height], dtype=torch.float64)
        reach = radius * float(camera.K[0, 0, 0]) / z[0].clamp_min(1e-9)
        near = (pixels[0] > -reach[:, None]).all(1) & (pixels[0] < size + reach[:, None]).all(1)
        found |= near & (z[0] > 0) & (reach > largest * max(camera.width, camera.height))
        found |= (means - camera.centers[0].double()).norm(dim=1) < radius
    return found
