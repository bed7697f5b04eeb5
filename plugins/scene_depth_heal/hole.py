"""The hole that a deletion leaves in each view, and the part of it that no view has ever seen behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import Render, render
from scene_depth.splats import SH_C0, GaussianSplats

SHARE_OF_OBJECT = 0.1  # blending weight of the removed splats from which a pixel shows the object
OPAQUE = 0.8  # alpha from which what remains counts as a surface
TOLERANCE = 0.03  # relative depth difference between views on one surface: rendered depth of fitted splats varies that much


@dataclass(frozen=True)
class ViewState:
    """What one view shows before and after the deletion.

    Attributes:
        name: Of the view.
        camera: At the working size.
        depth_before: Rendered z-depth with the object, 0 where alpha is low  # [H, W]
        rgb_after: Rendered colour of what remains  # [H, W, 3]
        alpha_after: Its alpha  # [H, W]
        depth_after: Its z-depth, 0 where alpha is low  # [H, W]
        object_pixels: Where the object shows, its mask included and widened by the filter's reach  # [H, W] bool
        unseen: The part of the object's pixels behind which no view has seen anything  # [H, W] bool
    """

    name: str
    camera: Cameras
    depth_before: Tensor
    rgb_after: Tensor
    alpha_after: Tensor
    depth_after: Tensor
    object_pixels: Tensor
    unseen: Tensor

    @property
    def unseen_share(self) -> float:
        """Unseen pixels as a share of the picture."""
        return float(self.unseen.float().mean())


def open_hole(
    splats: GaussianSplats,
    removed: Tensor,
    names: Sequence[str],
    cameras: Sequence[Cameras],
    masks: Sequence[Tensor | None],
    *,
    widen: int = 2,
) -> list[ViewState]:
    """Renders every view before and after the deletion and finds what is truly unseen.

    A pixel of the object is seen if what remains shows an opaque surface there, and another view sees that very point
    past the object. All other pixels of the object are unseen: nothing is there, or only what the fit left behind an
    object that it never had to explain.

    Args:
        splats: The scene with the object.
        removed: The splats to delete  # [N] bool
        names: Names of the views.
        cameras: One camera a view, at the working size.
        masks: Object masks of the views if there are any; they add to where the splats show  # [H, W] bool
        widen: Pixels by which the object's pixels are widened.

    Returns:
        One state a view.
    """
    kept = splats.select(~removed)
    states = []
    for name, camera, mask in zip(names, cameras, masks, strict=True):
        before, after = render(splats, camera), render(kept, camera)
        shows = object_pixels(splats, removed, camera, mask)
        states.append(
            ViewState(
                name=name,
                camera=camera,
                depth_before=opaque_depth(before),
                rgb_after=after.rgb[0].clamp(0, 1),
                alpha_after=after.alpha[0],
                depth_after=opaque_depth(after),
                object_pixels=dilate(shows, widen),
                unseen=shows,
            )
        )
    return [replace(state, unseen=find_unseen(state, states)) for state in states]


def object_pixels(splats: GaussianSplats, removed: Tensor, camera: Cameras, mask: Tensor | None) -> Tensor:
    """Where the splats to remove show in a view, and its mask  # [H, W] bool"""
    shows = weight_of(splats, removed, camera) > SHARE_OF_OBJECT
    return shows if mask is None else shows | mask.to(shows.device)


def find_unseen(state: ViewState, states: Sequence[ViewState]) -> Tensor:
    """Pixels of the object behind which no other view sees the remaining surface  # [H, W] bool"""
    unseen = state.object_pixels.clone()
    candidates = state.object_pixels & (state.depth_after > 0)
    if not candidates.any():
        return unseen
    points = state.camera.unproject(state.depth_after[None])[0].to(candidates.device)[candidates]
    seen = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for other in states:
        if other is not state:
            seen |= sight(points, other.camera, other.depth_before, other.object_pixels, TOLERANCE).seen
    unseen[candidates] = ~seen
    return opened(unseen)


def weight_of(splats: GaussianSplats, chosen: Tensor, camera: Cameras) -> Tensor:
    """Blending weight of the chosen splats in every pixel, 0 to 1  # [H, W]"""
    white, black = 0.5 / SH_C0, -0.5 / SH_C0
    sh = torch.where(chosen.to(splats.device)[:, None, None], white, black).expand(len(splats), 1, 3).to(splats.sh)
    return render(replace(splats.detach(), sh=sh.contiguous()), camera).rgb[0, ..., 0]


def opaque_depth(image: Render) -> Tensor:
    """z-depth where alpha makes it a surface, 0 elsewhere  # [H, W]"""
    return torch.where(image.alpha[0] >= OPAQUE, image.depth[0], 0.0)


def dilate(mask: Tensor, pixels: int) -> Tensor:
    """The mask widened by a square of the given radius  # [H, W] bool"""
    if pixels == 0:
        return mask
    size = 2 * pixels + 1
    return torch.nn.functional.max_pool2d(mask[None, None].float(), size, stride=1, padding=pixels)[0, 0] > 0


def opened(mask: Tensor) -> Tensor:
    """The mask without specks of one or two pixels: they are noise of the depth test, not holes  # [H, W] bool"""
    return ~dilate(~dilate(~mask, 1), 1) & mask | ~dilate(~mask, 1)
