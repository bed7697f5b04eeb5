"""Views, the hole that a deletion leaves in each, the splats that go with the object, and what no view has ever seen behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.membrane import solve_membrane
from scene_depth.geometry.view_graph import ViewGraph
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import Region, Render, render
from scene_depth.rendering.bounds import (
    Footprints,
    bounding_region,
    common_region,
    footprints_of,
    touching_splats,
    window_of,
)
from scene_depth.spherical_harmonics import C0
from scene_depth.splats import GaussianSplats
from scene_depth_heal.drawings import Drawings, redraw_region
from scene_depth_heal.strays import unsupported_splats

SHARE_OF_OBJECT = 0.1  # blending weight of the removed splats from which a pixel shows the object
TOLERANCE = 0.03  # relative depth difference between views on one surface: rendered depth of fitted splats varies that much
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


Values = Tensor | Callable[[], Tensor | NDArray[Any]]


@dataclass(frozen=True)
class HealView:
    """A view to heal in. It takes arrays too; they become tensors.

    Photo and depth may be functions that load them, called each time that they are wanted: most views of a large scene show
    nothing of a hole.

    Attributes:
        name: Name of the view.
        camera: Camera at the working size.
        photo: The photo, float32 in [0, 1] or uint8 up to 255, or what loads it  # [H, W, 3]
        mask: Object mask if there is one  # [H, W] bool
        painted: The user's own picture of the healed view, if this is a reference that was edited elsewhere  # [H, W, 3]
        measured: z-depth of a sensor, 0 where it measured none, or what loads it  # [H, W]
        alpha: Of a view whose picture is what the splats show, for want of photos: how opaque they are; its holes end where the
            surfaces around them end  # [H, W]
        vicinity: Of such a view: the ball around the object beyond which what the splats show counts as seen, as few other such
            views show it.

    Raises:
        InputError: If a picture or mask is not of the camera's size; where it is loaded, then.
    """

    name: str
    camera: Cameras
    photo: Values
    mask: Tensor | None = None
    painted: Tensor | None = None
    measured: Values | None = None
    alpha: Tensor | None = None
    vicinity: Vicinity | None = None

    def __post_init__(self) -> None:
        for what in ("photo", "mask", "painted", "measured", "alpha"):
            values = getattr(self, what)
            if values is not None and not callable(values):
                object.__setattr__(self, what, self._sized(what, values))

    @property
    def rgb(self) -> Tensor:
        """The photo, float32 in [0, 1]  # [H, W, 3]"""
        values = self._sized("photo", self.photo() if callable(self.photo) else self.photo)
        return values.float().div_(255) if values.dtype == torch.uint8 else values

    @property
    def depth(self) -> Tensor | None:
        """z-depth that a sensor measured, 0 where it did not  # [H, W]"""
        return self._sized("measured", self.measured()) if callable(self.measured) else self.measured

    def _sized(self, what: str, values: Any) -> Tensor:
        found = torch.as_tensor(values)
        kept = (torch.uint8, torch.float32) if what == "photo" else (torch.bool if what == "mask" else torch.float32,)
        found = found if found.dtype in kept else found.to(kept[-1])
        size = (self.camera.height, self.camera.width)
        if found.shape[:2] != size:
            raise InputError(f"view {self.name!r}: {what}", f"size {tuple(found.shape[:2])}", f"{size}")
        return found


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

        camera = view.camera.cropped(left, top, right - left, bottom - top)
        photo, mask, alpha = view.rgb[window].contiguous(), cut(view.mask), cut(view.alpha)
        painted, measured = cut(view.painted), cut(view.depth)
        view = replace(view, camera=camera, photo=photo, mask=mask, painted=painted, measured=measured, alpha=alpha)
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
        states: What each view that shows the object shows before and after, in the order of the views.
        views: All views, also those that do not show the object: they may have seen what is behind it.
        drawings: What the views show of the scene with the object.
    """

    splats: GaussianSplats
    removed: Tensor
    kept: GaussianSplats
    states: tuple[ViewState, ...]
    views: tuple[HealView, ...] = ()
    drawings: Drawings = field(default_factory=Drawings)

    @cached_property
    def graph(self) -> ViewGraph:
        """Which views may see a part of space."""
        return ViewGraph([view.camera for view in self.views])

    @cached_property
    def by_name(self) -> dict[str, ViewState]:
        """The states by the names of their views."""
        return {state.name: state for state in self.states}

    def before(self, place: int) -> tuple[Tensor, Tensor | None]:
        """z-depth of one of all views with the object, and where the object stands in it, if it does  # [H, W], [H, W] bool"""
        view = self.views[place]
        state = self.by_name.get(view.name)
        return (self.drawings.of(view.camera)[1], None) if state is None else (state.depth_before, state.object_pixels)

    @cached_property
    def _beside(self) -> dict[str, Tensor]:
        return {state.name: torch.where(state.object_pixels, 0.0, state.depth_before) for state in self.states}

    def surface(self, place: int) -> Tensor:
        """z-depth of the surfaces that stay and that one of all views has shown beside the object, 0 elsewhere  # [H, W]"""
        beside = self._beside.get(self.views[place].name)
        return self.before(place)[0] if beside is None else beside

    def witnesses(self, points: Tensor) -> list[int]:
        """Places of the views whose pictures may hold some of the points, those first that show the object and so are drawn."""
        return sorted(self.graph.views_holding(points), key=lambda place: self.views[place].name not in self.by_name)

    def can_tell(self, place: int, points: Tensor) -> bool:
        """Whether one of all views is worth asking of points: it is drawn, or its picture holds some, be they hidden or not."""
        view = self.views[place]
        if view.name in self.by_name:
            return True
        pixels, z = view.camera.project(points)
        size = pixels.new_tensor([view.camera.width, view.camera.height])
        return bool(((z[0] > 0) & (pixels[0] >= 0).all(1) & (pixels[0] < size).all(1)).any())

    def state_of(self, view: HealView) -> ViewState:
        """What a view that does not show the object shows before and after."""
        rgb, depth = self.drawings.of(view.camera)
        nothing = torch.zeros_like(depth, dtype=torch.bool)
        gone = footprints_of(self.splats.select(self.removed))
        after = _redrawn(self.kept, footprints_of(self.kept), gone, view.camera, rgb, depth)
        return ViewState(view, depth, *after, object_pixels=nothing, unseen=nothing)


def find_hole(
    splats: GaussianSplats, selected: Tensor, views: Sequence[HealView], *, widen: int = 2, drawings: Drawings | None = None
) -> Hole:
    """Deletes the selected splats, and those that no photo supports, and finds what is unseen; see ``open_hole``."""
    prints, cameras = footprints_of(splats), [view.camera for view in views]
    shows = _shown(splats, prints, selected, views)
    unsupported = unsupported_splats(splats, selected, cameras, [shows.get(place) for place in range(len(views))], prints)
    for vicinity in {view.vicinity for view in views if view.vicinity is not None}:
        unsupported &= vicinity.holds(splats.means)
    if unsupported.any():
        selected = selected | unsupported
        shows = _shown(splats, prints, selected, views)
    return _open(splats, prints, selected, views, shows, widen, drawings)


def open_hole(
    splats: GaussianSplats, removed: Tensor, views: Sequence[HealView], *, widen: int = 2, drawings: Drawings | None = None
) -> Hole:
    """Draws the views that show the object before and after the deletion and finds what is truly unseen.

    A pixel of the object is seen if what remains shows an opaque surface there, and another view sees that very point
    past the object. All other pixels of the object are unseen: nothing is there, or only what the fit left behind an
    object that it never had to explain. A view that does not show the object is drawn if it is the one to tell.

    Args:
        splats: The scene with the object.
        removed: The splats to delete  # [N] bool
        views: The views; their object masks, if there are any, add to where the splats show.
        widen: Pixels by which the object's pixels are widened.
        drawings: What was drawn of a scene before, which may be another one.
    """
    prints = footprints_of(splats)
    return _open(splats, prints, removed, views, _shown(splats, prints, removed, views), widen, drawings)


def _open(
    splats: GaussianSplats,
    prints: Footprints,
    removed: Tensor,
    views: Sequence[HealView],
    shown: dict[int, Tensor],
    widen: int,
    drawings: Drawings | None,
) -> Hole:
    drawings = Drawings() if drawings is None else drawings
    drawings.follow(splats)
    kept, after_prints, gone, states = splats.select(~removed), prints.select(~removed), prints.select(removed), []
    for place, shows in shown.items():
        rgb, depth = drawings.of(views[place].camera)
        after = _redrawn(kept, after_prints, gone, views[place].camera, rgb, depth)
        states.append(ViewState(views[place], depth, *after, object_pixels=dilate(shows, widen), unseen=shows))
    return _with_unseen(Hole(splats, removed, kept, tuple(states), tuple(views), drawings))


def widen_hole(hole: Hole, more: Tensor, *, widen: int = 2) -> Hole:
    """The hole with further splats deleted: as ``open_hole`` finds it, but only what they change is drawn.

    Args:
        hole: A deletion.
        more: Splats that go too  # [N] bool
        widen: Pixels by which the object's pixels are widened.
    """
    removed, prints, states = hole.removed | more, footprints_of(hole.splats), []
    kept, after_prints, gone = hole.splats.select(~removed), prints.select(~removed), prints.select(more)
    for place, shows in _shown(hole.splats, prints, removed, hole.views).items():
        state = hole.by_name.get(hole.views[place].name) or hole.state_of(hole.views[place])
        rgb, depth = _redrawn(kept, after_prints, gone, state.camera, state.rgb_after, state.depth_after)
        states.append(replace(state, rgb_after=rgb, depth_after=depth, object_pixels=dilate(shows, widen)))
    return _with_unseen(replace(hole, removed=removed, kept=kept, states=tuple(states)))


def _shown(splats: GaussianSplats, prints: Footprints, removed: Tensor, views: Sequence[HealView]) -> dict[int, Tensor]:
    """Where the removed splats, or the view's mask, show, for each view in which they do, by its place  # [H, W] bool each"""
    gone, found = prints.select(removed), {}
    near = set(ViewGraph([view.camera for view in views]).views_holding(gone.means, gone.radii))
    for place, view in enumerate(views):
        if place not in near and view.mask is None:
            continue
        shows = weight_of(splats, removed, view.camera, footprints=prints) > SHARE_OF_OBJECT
        shows = shows if view.mask is None else shows | view.mask.to(shows.device)
        if shows.any():
            found[place] = shows
    return found


def _redrawn(
    kept: GaussianSplats, prints: Footprints, gone: Footprints, camera: Cameras, rgb: Tensor, depth: Tensor
) -> tuple[Tensor, Tensor]:
    """Colour and depth of a view after a deletion: drawn anew where splats that are gone reached, and as before elsewhere.

    Args:
        kept: The splats that are left.
        prints: Their footprints.
        gone: Those of the splats that were there before.
        camera: Of the view.
        rgb, depth: What it showed before  # [H, W, 3], [H, W]
    """
    region = bounding_region(gone.bounds(camera), camera)
    return (rgb, depth) if region is None else redraw_region(kept, prints, camera, region, rgb, depth)


def _with_unseen(hole: Hole) -> Hole:
    """The hole with the pixels of the object behind which no other view sees the remaining surface.

    The points of all views are asked together, first of the views that show the object, which are drawn, and then of those
    others whose pictures hold some that nobody saw yet.
    """
    if not hole.states:
        return hole
    candidates = [state.object_pixels & (state.depth_after > 0) for state in hole.states]
    parts, device = list[Tensor](), hole.states[0].depth_after.device
    for state, pixels in zip(hole.states, candidates, strict=True):
        row, column = pixels.nonzero(as_tuple=True)
        places = torch.stack([column, row], dim=1) + 0.5
        parts.append(state.camera.unproject_pixels(places, state.depth_after[pixels])[0].to(device))
    points, counts = torch.cat(parts), [len(part) for part in parts]
    place_of = {view.name: place for place, view in enumerate(hole.views)}
    owners = torch.tensor([place_of[state.name] for state in hole.states], device=device)
    owners = owners.repeat_interleave(torch.tensor(counts, device=device))
    near = [state.view.vicinity for state in hole.states]
    beyond = [torch.zeros(len(p), dtype=torch.bool) if v is None else ~v.holds(p) for v, p in zip(near, parts, strict=True)]
    seen = torch.cat([part.to(device) for part in beyond])
    left = (~seen).nonzero()[:, 0]
    waiting = points[left]  # those that nobody saw yet
    for place in hole.witnesses(waiting):
        if len(left) and hole.can_tell(place, waiting):
            now = sight(waiting, hole.views[place].camera, *hole.before(place), TOLERANCE).seen & (owners[left] != place)
            if now.any():
                seen[left[now]] = True
                left = left[~now]
                waiting = points[left]
    states = []
    for state, pixels, was_seen in zip(hole.states, candidates, torch.split(seen, counts), strict=True):
        states.append(replace(state, unseen=_unseen_pixels(state, pixels, was_seen)))
    return replace(hole, states=tuple(states))


def _unseen_pixels(state: ViewState, candidates: Tensor, seen: Tensor) -> Tensor:
    """The unseen pixels of a view, from which of the candidates, those with a surface, another view saw  # [H, W] bool"""
    unseen = state.object_pixels.clone()
    if state.view.alpha is not None:
        unseen &= ~continues_empty(state, state.view.alpha)
    if not candidates.any():
        return unseen
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


def filled_so_far(state: ViewState, unseen: Tensor, scene: GaussianSplats, new: GaussianSplats) -> ViewState:
    """A view with what is known of it by now.

    Args:
        state: What it shows before and after the deletion.
        unseen: What is still to be invented in it  # [H, W] bool
        scene: The kept splats and those that were made so far.
        new: Those that were made so far.
    """
    prints, gone = footprints_of(scene), footprints_of(new)
    rgb, depth = _redrawn(scene, prints, gone, state.camera, state.rgb_after, state.depth_after)
    return replace(state, unseen=unseen, rgb_after=rgb, depth_after=depth)


def weight_of(
    splats: GaussianSplats,
    chosen: Tensor,
    camera: Cameras,
    within: Region | None = None,
    footprints: Footprints | None = None,
) -> Tensor:
    """Blending weight of the chosen splats in every pixel, 0 to 1; only where they reach is drawn  # [H, W]

    Args:
        splats: The scene.
        chosen: Some of its splats  # [N] bool
        camera: One camera.
        within: The part of the picture that is wanted; by default all of it.
        footprints: Of the splats, if they are known.
    """
    weight, chosen = torch.zeros(camera.height, camera.width, device=splats.device), chosen.to(splats.device)
    bounds = (footprints or footprints_of(splats)).bounds(camera)
    region = common_region(bounding_region(bounds[chosen], camera), within or (0, 0, camera.width, camera.height))
    if region is not None:
        near = touching_splats(bounds, region)
        sh = torch.where(chosen[near][:, None, None], 0.5 / C0, -0.5 / C0).expand(-1, 1, 3).to(splats.sh)
        plain = replace(splats.detach(), sh=splats.sh[:, :1])
        seen = replace(plain.select(near), sh=sh.contiguous())  # white on black
        weight[window_of(region)] = render(seen, camera, region=region).rgb[0, ..., 0]
    return weight


def render_weight(splats: GaussianSplats, chosen: Tensor, camera: Cameras) -> Render:
    """Draws the scene with the chosen splats white and all others black; its depth is that of the scene."""
    white, black = 0.5 / C0, -0.5 / C0
    sh = torch.where(chosen.to(splats.device)[:, None, None], white, black).expand(len(splats), 1, 3).to(splats.sh)
    return render(replace(splats.detach(), sh=sh.contiguous()), camera)


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
    for axis in (0, 1):
        size, wider = mask.shape[axis], mask.clone()
        for step in range(1, min(pixels, size - 1) + 1):
            wider.narrow(axis, step, size - step).logical_or_(mask.narrow(axis, 0, size - step))
            wider.narrow(axis, 0, size - step).logical_or_(mask.narrow(axis, step, size - step))
        mask = wider
    return mask


def without_rims(mask: Tensor) -> Tensor:
    """The mask with one pixel off the rim of wide parts, where the depth test wavers; thin parts stay whole  # [H, W] bool"""
    return ~dilate(~dilate(~mask, 1), 1) & mask | ~dilate(~mask, 1)
