"""Views, the hole that a deletion leaves in each, the splats that go with the object, and what no view has ever seen behind."""

from __future__ import annotations

import math
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
from scene_depth.rendering import Region, Render, blending_weights_by_mask, render
from scene_depth.rendering.bounds import (
    bounding_region,
    footprint_bounds,
    region_around,
    render_region,
    touching_splats,
    window_of,
)
from scene_depth.spherical_harmonics import C0
from scene_depth.splats import GaussianSplats

SHARE_OF_OBJECT = 0.1  # blending weight of the removed splats from which a pixel shows the object
OPAQUE = 0.8  # alpha from which what remains counts as a surface
TOLERANCE = 0.03  # relative depth difference between views on one surface: rendered depth of fitted splats varies that much
WITNESSES = 2  # photos beside the object that must show a splat: one alone says nothing of its depth
SHARE_SHOWN = 0.2  # of what the hole will show of a splat, that those photos must show
FAINT = 0.05  # pixels of blending weight up to which a splat does no harm in the hole
GOLDEN = (math.sqrt(5) - 1) / 2
UNSEEN_COLOR = (1.0, 0.0, 1.0)


@dataclass(frozen=True)
class Vicinity:
    """A ball around an object, in the frame and unit of the splats.

    Attributes:
        center, radius: Of the ball.
    """

    center: tuple[float, float, float]
    radius: float

    def holds(self, points: Tensor) -> Tensor:
        """Which points lie inside  # [P, 3] -> [P] bool"""
        inside: Tensor = (points.double() - points.new_tensor(self.center, dtype=torch.float64)).norm(dim=1) <= self.radius
        return inside


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
        alpha: Of a view whose picture is what the splats show, for want of photos: how opaque they are; its holes end where the
            surfaces around them end  # [H, W]
        vicinity: Of such a view: the ball around the object beyond which what the splats show counts as seen, as few other such
            views show it.

    Raises:
        InputError: If a picture or mask is not of the camera's size.
    """

    name: str
    camera: Cameras
    rgb: Tensor
    mask: Tensor | None = None
    painted: Tensor | None = None
    depth: Tensor | None = None
    alpha: Tensor | None = None
    vicinity: Vicinity | None = None

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for what in ("rgb", "mask", "painted", "depth", "alpha"):
            if getattr(self, what) is not None:
                values = torch.as_tensor(getattr(self, what), dtype=torch.bool if what == "mask" else torch.float32)
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

    def part(self, region: Region) -> ViewState:
        """A part of the view as a view of its own, with a cropped camera."""
        left, top, right, bottom = region
        view, window = self.view, window_of(region)

        def cut(values: Tensor | None) -> Tensor | None:
            return None if values is None else values[window].contiguous()

        camera, rgb = view.camera.cropped(left, top, right - left, bottom - top), view.rgb[window].contiguous()
        mask, alpha = cut(view.mask), cut(view.alpha)
        view = replace(view, camera=camera, rgb=rgb, mask=mask, painted=cut(view.painted), depth=cut(view.depth), alpha=alpha)
        return replace(
            self,
            view=view,
            **{name: value[window].contiguous() for name, value in vars(self).items() if isinstance(value, Tensor)},
        )

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
    """One view of the scene with the object, and where the chosen splats show in it."""

    rgb: Tensor
    depth: Tensor
    shows: Tensor


def find_hole(splats: GaussianSplats, selected: Tensor, views: Sequence[HealView], *, widen: int = 2) -> Hole:
    """Deletes the selected splats, and those that no photo supports, and finds what is unseen; see ``open_hole``."""
    drawings = [_draw(splats, selected, view) for view in views]
    cameras, shows = [view.camera for view in views], [drawing.shows for drawing in drawings]
    unsupported = unsupported_splats(splats, selected, cameras, shows)
    for vicinity in {view.vicinity for view in views if view.vicinity is not None}:
        unsupported &= vicinity.holds(splats.means)
    if unsupported.any():
        selected = selected | unsupported
        drawings = [replace(drawing, shows=_shows(splats, selected, view)) for drawing, view in zip(drawings, views, strict=True)]
    return _open(splats, selected, views, drawings, widen)


def open_hole(splats: GaussianSplats, removed: Tensor, views: Sequence[HealView], *, widen: int = 2) -> Hole:
    """Draws every view before and after the deletion and finds what is truly unseen.

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


def widen_hole(hole: Hole, more: Tensor, *, widen: int = 2) -> Hole:
    """The hole with further splats deleted: as ``open_hole`` finds it, but only what they change is drawn.

    Args:
        hole: A deletion.
        more: Splats that go too  # [N] bool
        widen: Pixels by which the object's pixels are widened.
    """
    removed = hole.removed | more
    kept, states = hole.splats.select(~removed), []
    for state in hole.states:
        rgb, depth = _redrawn(kept, hole.splats.select(more), state.camera, state.rgb_after, state.depth_after)
        shows = _shows(hole.splats, removed, state.view)
        states.append(replace(state, rgb_after=rgb, depth_after=depth, object_pixels=dilate(shows, widen)))
    return Hole(hole.splats, removed, kept, _with_unseen(states))


def _open(splats: GaussianSplats, removed: Tensor, views: Sequence[HealView], drawings: Sequence[_Drawing], widen: int) -> Hole:
    kept, gone = splats.select(~removed), splats.select(removed)
    states = []
    for view, drawing in zip(views, drawings, strict=True):
        rgb, depth = _redrawn(kept, gone, view.camera, drawing.rgb, drawing.depth)
        pixels = dilate(drawing.shows, widen)
        states.append(ViewState(view, drawing.depth, rgb, depth, object_pixels=pixels, unseen=drawing.shows))
    return Hole(splats, removed, kept, _with_unseen(states))


def _with_unseen(states: Sequence[ViewState]) -> tuple[ViewState, ...]:
    return tuple(replace(state, unseen=find_unseen(state, states)) for state in states)


def _draw(splats: GaussianSplats, removed: Tensor, view: HealView) -> _Drawing:
    image = render(splats, view.camera)
    return _Drawing(image.rgb[0].clamp(0, 1), opaque_depth(image), _shows(splats, removed, view))


def _shows(splats: GaussianSplats, removed: Tensor, view: HealView) -> Tensor:
    """Where the removed splats, or the view's mask, show  # [H, W] bool"""
    shows = weight_of(splats, removed, view.camera) > SHARE_OF_OBJECT
    return shows if view.mask is None else shows | view.mask.to(shows.device)


def _redrawn(kept: GaussianSplats, gone: GaussianSplats, camera: Cameras, rgb: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Colour and depth of a view after a deletion: drawn anew where splats that are gone reached, and as before elsewhere.

    Args:
        kept: The splats that are left.
        gone: Those that were there before.
        camera: Of the view.
        rgb, depth: What it showed before  # [H, W, 3], [H, W]
    """
    region = bounding_region(footprint_bounds(gone, camera), camera)
    if region is None:
        return rgb, depth
    image = render_region(kept, camera, region)
    rgb, depth, (rows, columns) = rgb.clone(), depth.clone(), window_of(region)
    rgb[rows, columns], depth[rows, columns] = image.rgb[0].clamp(0, 1), opaque_depth(image)
    return rgb, depth


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
    kept = splats.with_sh_degree(0).select(index)
    in_hole = torch.zeros(len(kept), device=splats.device)
    for camera, hidden in zip(cameras, blocked, strict=True):
        if (region := region_around(hidden)) is not None:
            in_hole = torch.maximum(in_hole, _weights_in(kept, camera, hidden, region))
    waiting = (in_hole > FAINT).nonzero()[:, 0]  # until enough photos have shown them
    witnesses = torch.zeros(len(kept), dtype=torch.int64, device=splats.device)
    for place in spread_order(len(cameras)):
        camera = cameras[place]
        region = bounding_region(footprint_bounds(kept.select(waiting), camera), camera)
        if region is not None:
            beside = _weights_in(kept, camera, ~blocked[place], region)
            witnesses[waiting] += (beside >= SHARE_SHOWN * in_hole)[waiting]
            waiting = waiting[witnesses[waiting] < WITNESSES]
    found = torch.zeros(len(splats), dtype=torch.bool, device=splats.device)
    found[index[waiting]] = True
    return found


def _weights_in(splats: GaussianSplats, camera: Cameras, mask: Tensor, region: Region) -> Tensor:
    """Blending weight of each splat in those pixels of a mask that lie in a part of the picture  # [N]"""
    near, sums = touching_splats(footprint_bounds(splats, camera), region), torch.zeros(len(splats), device=splats.device)
    sums[near] = blending_weights_by_mask(splats.select(near), camera, mask[window_of(region)][None], region=region)[0]
    return sums


def find_unseen(state: ViewState, states: Sequence[ViewState]) -> Tensor:
    """Pixels of the object behind which no other view sees the remaining surface  # [H, W] bool"""
    unseen = state.object_pixels.clone()
    if state.view.alpha is not None:
        unseen &= ~continues_empty(state, state.view.alpha)
    candidates = state.object_pixels & (state.depth_after > 0)
    if not candidates.any():
        return unseen
    points = state.camera.unproject(state.depth_after[None])[0].to(candidates.device)[candidates]
    seen = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    if state.view.vicinity is not None:
        seen |= ~state.view.vicinity.holds(points)
    left = (~seen).nonzero()[:, 0]  # points that nobody saw yet
    for other in (states[place] for place in spread_order(len(states))):
        if other is not state and len(left):
            now = sight(points[left], other.camera, other.depth_before, other.object_pixels, TOLERANCE).seen
            seen[left[now]] = True
            left = left[~now]
    unseen[candidates] = ~seen
    if state.view.vicinity is not None:  # lines of faint pixels on a surface that stays are no holes
        return dilate(~dilate(~unseen, 1), 1)
    return without_rims(unseen)


def continues_empty(state: ViewState, alpha: Tensor) -> Tensor:
    """Pixels of the object behind which, by how opaque its surroundings are, there is no surface at all  # [H, W] bool"""
    beside, values = as_array(~state.object_pixels), as_array(alpha).astype(np.float64)
    if not beside.any() or values[beside].min() >= 0.5:
        return torch.zeros_like(state.object_pixels)
    even = np.ones(values.shape)
    continued = solve_membrane(even, even, values, beside, tolerance=1e-3).values
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
    """Blending weight of the chosen splats in every pixel, 0 to 1; only where they reach is drawn  # [H, W]"""
    weight, chosen = torch.zeros(camera.height, camera.width, device=splats.device), chosen.to(splats.device)
    bounds = footprint_bounds(splats, camera)
    region = bounding_region(bounds[chosen], camera)
    if region is not None:
        near = touching_splats(bounds, region)
        sh = torch.where(chosen[near][:, None, None], 0.5 / C0, -0.5 / C0).expand(-1, 1, 3).to(splats.sh)
        seen = replace(splats.with_sh_degree(0).select(near).detach(), sh=sh.contiguous())  # white on black
        weight[window_of(region)] = render(seen, camera, region=region).rgb[0, ..., 0]
    return weight


def render_weight(splats: GaussianSplats, chosen: Tensor, camera: Cameras) -> Render:
    """Draws the scene with the chosen splats white and all others black; its depth is that of the scene."""
    white, black = 0.5 / C0, -0.5 / C0
    sh = torch.where(chosen.to(splats.device)[:, None, None], white, black).expand(len(splats), 1, 3).to(splats.sh)
    return render(replace(splats.detach(), sh=sh.contiguous()), camera)


def spread_order(count: int) -> list[int]:
    """Places in an order in which neighbours stand far apart, as views that lie near each other show much the same."""
    return sorted(range(count), key=lambda place: place * GOLDEN % 1)


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


def without_rims(mask: Tensor) -> Tensor:
    """The mask with one pixel off the rim of wide parts, where the depth test wavers; thin parts stay whole  # [H, W] bool"""
    return ~dilate(~dilate(~mask, 1), 1) & mask | ~dilate(~mask, 1)
