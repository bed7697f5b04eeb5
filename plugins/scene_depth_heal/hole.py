"""Views, the hole that a deletion leaves in each, the splats that go with the object, and what no view has ever seen behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.membrane import solve_membrane
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import Render, blending_weights, render
from scene_depth.spherical_harmonics import C0
from scene_depth.splats import GaussianSplats

SHARE_OF_OBJECT = 0.1  # blending weight of the removed splats from which a pixel shows the object
OPAQUE = 0.8  # alpha from which what remains counts as a surface
TOLERANCE = 0.03  # relative depth difference between views on one surface: rendered depth of fitted splats varies that much
WITNESSES = 2  # photos beside the object that must show a splat: one alone says nothing of its depth
SHARE_SHOWN = 0.2  # of what the hole will show of a splat, that those photos must show
FAINT = 0.05  # pixels of blending weight up to which a splat does no harm in the hole
UNSEEN_COLOR = (1.0, 0.0, 1.0)


@dataclass(frozen=True)
class HealView:
    """A view to heal in. It takes arrays too; they become tensors.

    Attributes:
        name: Name of the view.
        camera: Camera at the working size.
        rgb: The photo, float32  # [H, W, 3]
        mask: Object mask if there is one  # [H, W] bool
        painted: The user's own picture of the healed view, if this is a reference that was edited elsewhere  # [H, W, 3]
        depth: z-depth that a sensor measured, 0 where it did not  # [H, W]
        is_virtual: Whether the picture is what the splats show, for want of photos; its holes then end where surfaces end.

    Raises:
        InputError: If a picture or mask is not of the camera's size.
    """

    name: str
    camera: Cameras
    rgb: Tensor
    mask: Tensor | None = None
    painted: Tensor | None = None
    depth: Tensor | None = None
    is_virtual: bool = False

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for what, kind in (("rgb", torch.float32), ("mask", torch.bool), ("painted", torch.float32), ("depth", torch.float32)):
            if getattr(self, what) is not None:
                values = torch.as_tensor(getattr(self, what), dtype=kind)
                if values.shape[:2] != size:
                    raise InputError(f"view {self.name!r}: {what}", f"size {tuple(values.shape[:2])}", f"{size}")
                object.__setattr__(self, what, values)


@dataclass(frozen=True)
class ViewState:
    """What one view shows before and after the deletion; of a reference, what is known of it by now.

    Attributes:
        view: The view.
        depth_before: Rendered z-depth with the object, 0 where alpha is low  # [H, W]
        rgb_after: Rendered colour of what remains, and of new splats made so far  # [H, W, 3]
        depth_after: Its z-depth, 0 where alpha is low; of a reference, what a sensor measured where that differs  # [H, W]
        object_pixels: Where the object shows, its mask included and widened by the filter's reach  # [H, W] bool
        unseen: The part of the object's pixels behind which no view has seen anything  # [H, W] bool
        unshaded: The picture without the object's shadow, where one was found  # [H, W, 3]
        resurface: Pixels beside the hole whose colour and depth are known and become new splats all the same  # [H, W] bool
    """

    view: HealView
    depth_before: Tensor
    rgb_after: Tensor
    depth_after: Tensor
    object_pixels: Tensor
    unseen: Tensor
    unshaded: Tensor | None = None
    resurface: Tensor | None = None

    @property
    def name(self) -> str:
        """Name of the view."""
        return self.view.name

    @property
    def camera(self) -> Cameras:
        """Camera of the view at the working size."""
        return self.view.camera

    @property
    def unseen_share(self) -> float:
        """Unseen pixels as a share of the picture."""
        return share_of(self.unseen)

    @property
    def hole(self) -> Tensor:
        """What is to be invented: the unseen pixels and one around them  # [H, W] bool"""
        return dilate(self.unseen, 1)

    @property
    def new_pixels(self) -> Tensor:
        """Pixels that become new splats  # [H, W] bool"""
        return self.hole if self.resurface is None else self.hole | self.resurface

    @property
    def picture(self) -> Tensor:
        """The photo outside the object, and what other views saw inside; means nothing in the hole  # [H, W, 3]"""
        return torch.where(self.object_pixels[..., None], self.rgb_after, self.view.rgb.to(self.rgb_after.device))

    def marked(self) -> NDArray[np.float32]:
        """The view after the deletion with its unseen pixels marked  # [H, W, 3]"""
        return as_array(torch.where(self.unseen[..., None], self.rgb_after.new_tensor(UNSEEN_COLOR), self.rgb_after))


@dataclass(frozen=True)
class Hole:
    """A deletion and what it leaves.

    Attributes:
        splats: The scene with the object.
        removed: The deleted splats  # [N] bool
        kept: All others; they stay as they are.
        states: What each view shows before and after, in the order of the views.
    """

    splats: GaussianSplats
    removed: Tensor
    kept: GaussianSplats
    states: tuple[ViewState, ...]


@dataclass(frozen=True)
class _Drawing:
    """One rendering of the scene with the object: its depth, and where the chosen splats show."""

    depth: Tensor
    shows: Tensor


def find_hole(splats: GaussianSplats, selected: Tensor, views: Sequence[HealView], *, widen: int = 2) -> Hole:
    """Deletes the selected splats, and those that no photo supports, and finds what is unseen; see ``open_hole``."""
    drawings = [_draw(splats, selected, view) for view in views]
    cameras, shows = [view.camera for view in views], [drawing.shows for drawing in drawings]
    unsupported = unsupported_splats(splats, selected, cameras, shows)
    if unsupported.any():
        selected = selected | unsupported
        drawings = [_draw(splats, selected, view) for view in views]
    return _open(splats, selected, views, drawings, widen)


def open_hole(splats: GaussianSplats, removed: Tensor, views: Sequence[HealView], *, widen: int = 2) -> Hole:
    """Renders every view before and after the deletion and finds what is truly unseen.

    A pixel of the object is seen if what remains shows an opaque surface there, and another view sees that very point
    past the object. All other pixels of the object are unseen: nothing is there, or only what the fit left behind an
    object that it never had to explain.

    Args:
        splats: The scene with the object.
        removed: The splats to delete  # [N] bool
        views: The views; their object masks, if there are any, add to where the splats show.
        widen: Pixels by which the object's pixels are widened.
    """
    return _open(splats, removed, views, [_draw(splats, removed, view) for view in views], widen)


def _open(splats: GaussianSplats, removed: Tensor, views: Sequence[HealView], drawings: Sequence[_Drawing], widen: int) -> Hole:
    kept = splats.select(~removed)
    states = []
    for view, drawing in zip(views, drawings, strict=True):
        after = render(kept, view.camera)
        states.append(
            ViewState(
                view=view,
                depth_before=drawing.depth,
                rgb_after=after.rgb[0].clamp(0, 1),
                depth_after=opaque_depth(after),
                object_pixels=dilate(drawing.shows, widen),
                unseen=drawing.shows,
            )
        )
    return Hole(splats, removed, kept, tuple(replace(state, unseen=find_unseen(state, states)) for state in states))


def _draw(splats: GaussianSplats, removed: Tensor, view: HealView) -> _Drawing:
    image = render_weight(splats, removed, view.camera)
    shows = image.rgb[0, ..., 0] > SHARE_OF_OBJECT
    if view.mask is not None:
        shows = shows | view.mask.to(shows.device)
    return _Drawing(opaque_depth(image), shows)


def unsupported_splats(splats: GaussianSplats, removed: Tensor, cameras: Sequence[Cameras], blocked: Sequence[Tensor]) -> Tensor:
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
        if hidden.any():
            in_hole = torch.maximum(in_hole, blending_weights(kept, camera, hidden[None])[0])
        beside = blending_weights(kept, camera, ~hidden[None])
        shown = torch.cat([shown, beside]).topk(WITNESSES, dim=0).values
    found = torch.zeros(len(splats), dtype=torch.bool, device=splats.device)
    found[index] = (in_hole > FAINT) & (shown[-1] < SHARE_SHOWN * in_hole)
    return found


def find_unseen(state: ViewState, states: Sequence[ViewState]) -> Tensor:
    """Pixels of the object behind which no other view sees the remaining surface  # [H, W] bool"""
    unseen = state.object_pixels.clone()
    if state.view.is_virtual:
        unseen &= ~continues_empty(state)
    candidates = state.object_pixels & (state.depth_after > 0)
    if not candidates.any():
        return unseen
    points = state.camera.unproject(state.depth_after[None])[0].to(candidates.device)[candidates]
    seen = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for other in states:
        if other is not state:
            seen |= sight(points, other.camera, other.depth_before, other.object_pixels, TOLERANCE).seen
    unseen[candidates] = ~seen
    return remove_specks(unseen)


def continues_empty(state: ViewState) -> Tensor:
    """Pixels of the object behind which, by what surrounds them, there is no surface at all  # [H, W] bool"""
    beside, there = as_array(~state.object_pixels), as_array(state.depth_before > 0)
    if not beside.any() or there[beside].all():
        return torch.zeros_like(state.object_pixels)
    even = np.ones(there.shape)
    continued = solve_membrane(even, even, there.astype(np.float64), beside, tolerance=1e-3).values
    empty = torch.from_numpy(continued < 0.5).to(state.object_pixels.device)
    return empty & state.object_pixels & (state.depth_after == 0)


def filled_so_far(state: ViewState, unseen: Tensor, scene: GaussianSplats) -> ViewState:
    """A view with what is known of it by now.

    Args:
        state: What it shows before and after the deletion.
        unseen: What is still to be invented in it  # [H, W] bool
        scene: The kept splats and those that were made so far.
    """
    now = render(scene, state.camera)
    return replace(state, unseen=unseen, rgb_after=now.rgb[0].clamp(0, 1), depth_after=opaque_depth(now))


def weight_of(splats: GaussianSplats, chosen: Tensor, camera: Cameras) -> Tensor:
    """Blending weight of the chosen splats in every pixel, 0 to 1  # [H, W]"""
    return render_weight(splats, chosen, camera).rgb[0, ..., 0]


def render_weight(splats: GaussianSplats, chosen: Tensor, camera: Cameras) -> Render:
    """Draws the scene with the chosen splats white and all others black; its depth is that of the scene."""
    white, black = 0.5 / C0, -0.5 / C0
    sh = torch.where(chosen.to(splats.device)[:, None, None], white, black).expand(len(splats), 1, 3).to(splats.sh)
    return render(replace(splats.detach(), sh=sh.contiguous()), camera)


def opaque_depth(image: Render) -> Tensor:
    """z-depth where alpha makes it a surface, 0 elsewhere  # [H, W]"""
    return torch.where(image.alpha[0] >= OPAQUE, image.depth[0], 0.0)


def picture_of(splats: GaussianSplats, camera: Cameras) -> NDArray[np.float32]:
    """Splats as a camera sees them, sRGB  # [H, W, 3]"""
    return as_array(render(splats.detach(), camera).rgb[0].clamp(0, 1))


def as_array(values: Tensor) -> NDArray[Any]:
    """NumPy copy of a tensor on any device."""
    return values.detach().cpu().numpy()


def share_of(mask: Tensor) -> float:
    """Share of a mask's pixels that are True."""
    return float(mask.float().mean())


def dilate(mask: Tensor, pixels: int) -> Tensor:
    """The mask widened by a square of the given radius  # [H, W] bool"""
    if pixels == 0:
        return mask
    size = 2 * pixels + 1
    return torch.nn.functional.max_pool2d(mask[None, None].float(), size, stride=1, padding=pixels)[0, 0] > 0


def remove_specks(mask: Tensor) -> Tensor:
    """The mask without specks of one or two pixels: they are noise of the depth test, not holes  # [H, W] bool"""
    return ~dilate(~dilate(~mask, 1), 1) & mask | ~dilate(~mask, 1)
