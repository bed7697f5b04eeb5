"""What a removal left behind: of the object in colour and depth, against what lies behind it, and of its shadow beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.evaluation.images import psnr
from scene_depth.geometry.visibility import sight

DIFFERENT = 0.1  # mean difference of colour between object and what is behind, from which they can be told apart
LIKE_OBJECT = 1 / 3  # part of the way from the object's colour to that behind it, up to which the object shows
FREE_SPACE = 0.03  # relative depth by which a point stands before a surface: rendered depth varies that much
SEEN_PAST = 2  # other views that must see past a point
SHADOWED = 0.94  # brightness before over the true one, below which a pixel lay in shadow
BLUR = 2.0  # pixels over which brightness is compared
LEAST = 30  # pixels that a measure needs


@dataclass(frozen=True)
class Picture:
    """A view of a scene: colour and z-depth, 0 where nothing is opaque, and where the object was in it.

    Attributes:
        camera: One camera.
        rgb: sRGB  # [H, W, 3]
        depth: In scene units  # [H, W]
        hole: Where the object was; None if it is not known to have shown  # [H, W] bool
    """

    camera: Cameras
    rgb: NDArray[np.float32]
    depth: Tensor
    hole: NDArray[np.bool_] | None


def object_left(after: Picture, before: Picture, truth: NDArray[np.float32]) -> float | None:
    """Share of the hole, where object and background differ in colour, that still has the object's; None if they do not."""
    assert after.hole is not None
    apart = np.abs(before.rgb - truth).mean(axis=-1)
    told = after.hole & (apart > DIFFERENT)
    if told.sum() < LEAST:
        return None
    return float((np.abs(after.rgb - before.rgb).mean(axis=-1) < LIKE_OBJECT * apart)[told].mean())


def behind(after: Picture, before: Iterable[Picture]) -> tuple[float | None, float | None]:
    """The hole against what other views, before the edit, saw past the object.

    Returns:
        Share of its surface points that stand before what two or more of them saw, of all that one of them can judge
        PSNR of its colour against theirs where they saw the same surface
    """
    assert after.hole is not None
    inside = torch.from_numpy(after.hole) & (after.depth > 0)
    points = after.camera.unproject(after.depth[None])[0][inside]
    drawn = torch.from_numpy(after.rgb)[inside]
    floating, judged = torch.zeros(len(points)), torch.zeros(len(points))
    seen_rgb, times = torch.zeros(len(points), 3), torch.zeros(len(points))
    for other in before:
        depth = other.depth if other.hole is None else torch.where(torch.from_numpy(other.hole), 0.0, other.depth)
        sighting = sight(points, other.camera, depth, None, FREE_SPACE)
        floating += sighting.floating
        judged += sighting.floating | sighting.seen
        pixels = other.camera.project(points)[0][0][sighting.seen].long()
        seen_rgb[sighting.seen] += torch.from_numpy(other.rgb)[pixels[:, 1], pixels[:, 0]]
        times += sighting.seen
    blocked = float((floating >= SEEN_PAST)[judged > 0].float().mean()) if int((judged > 0).sum()) >= LEAST else None
    shown = (times > 0) & (floating < SEEN_PAST)
    if int(shown.sum()) < LEAST:
        return blocked, None
    return blocked, psnr(drawn[shown][None].numpy(), (seen_rgb[shown] / times[shown, None])[None].numpy())


def shadow_left(after: Picture, before: Picture, truth: NDArray[np.float32]) -> float | None:
    """How much of the object's shadow beside the hole is left: 1 as before, 0 gone, negative if too bright; None without one."""
    assert after.hole is not None
    light = [gaussian_filter(rgb.mean(axis=-1), BLUR) + 1e-3 for rgb in (after.rgb, before.rgb, truth)]
    shadow = ~after.hole & (light[1] < SHADOWED * light[2]) & (after.depth.numpy() > 0)
    if shadow.sum() < LEAST:
        return None
    darkness = [float(np.log(light[2][shadow] / each[shadow]).mean()) for each in light[:2]]
    return darkness[0] / darkness[1]
