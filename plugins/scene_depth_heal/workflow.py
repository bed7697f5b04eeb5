"""Heal: find the hole; for each reference fill depth, take the shadow, fill colour, make splats; refine them and check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.color.protocol import ImageInpainter
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction, SeamReport
from scene_depth.errors import InputError
from scene_depth.geometry.visibility import sight
from scene_depth.rendering.bounds import bounding_region, common_region, footprints_of, region_around, window_of
from scene_depth.showing import Shown
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import OnProgress, Progress, Work
from scene_depth_heal.drawings import Drawings
from scene_depth_heal.edit import ChangeReport
from scene_depth_heal.exposure import Exposure, describe_exposure, match_exposure
from scene_depth_heal.fill import Filled, fill_color, fill_depth, guess_color, make_splats, region_to_fill
from scene_depth_heal.free_space import free_space_of
from scene_depth_heal.hole import (
    TOLERANCE,
    HealView,
    Hole,
    ViewState,
    as_array,
    filled_so_far,
    find_hole,
    picture_of,
    share_of,
    weight_of,
)
from scene_depth_heal.measured_depth import MeasuredDepth, check_measured, describe_measured, with_measured
from scene_depth_heal.refine import refine, views_to_fit
from scene_depth_heal.selection import check_selection
from scene_depth_heal.shadow import Shadow, take_shadow
from scene_depth_heal.virtual_views import VirtualViews, find_virtual_views

COVERED = 0.5  # blending weight of new splats from which a pixel is no longer unseen


@dataclass(frozen=True)
class HealConfig:
    """How a hole is healed.

    Example:
        >>> import scene_depth as sd
        >>> sd.HealConfig(steps=100, most_references=2).steps
        100
    """

    references: tuple[str, ...] = ()
    """Names of the views to fill from, in order; by default those with the largest unseen area."""
    most_references: int = 4
    """Largest number of references."""
    enough: float = 0.0005
    """Unseen share of a picture below which a view needs no fill."""
    widen: int = 2
    """Pixels by which the object's pixels are widened, for its blurred rim."""
    steps: int = 300
    """Optimisation steps of the new splats, at most: they end when they win hardly anything; 0 leaves them as they are made."""
    shadow: bool = True
    """Take away the object's shadow on the surface around the hole too: its splats are deleted and made anew, lit as that
    surface is farther away. On by default, since it looks and measures better where a shadow is found; it is looked for in
    one view, believed if another far away shows it too, and missed where the surface does not repeat itself nearby. No effect
    if the first reference is painted."""
    seed: int = 0
    """Seed of all random choices."""


@dataclass(frozen=True)
class ReferenceReport:
    """One reference that was filled.

    Attributes:
        view: Its name.
        invented_pixels: Pixels whose depth and colour were invented.
        splats: Splats made of them.
        seam: Depth and normal jump at the border of the hole, beside the surface's own roughness.
        depth_details: What the depth inpainter says of its work.
    """

    view: str
    invented_pixels: int
    splats: int
    seam: SeamReport | None
    depth_details: Mapping[str, object]


@dataclass(kw_only=True)
class HealReport(ChangeReport):
    """Record of a heal; see ``ChangeReport`` for what all changes of a scene tell.

    Attributes:
        parameters: All parameters, the seed among them.
        stray_splats: Splats besides the selected ones that went with them, because no photo supports them.
        shadow_splats: Splats that were removed besides because they carry the object's shadow.
        shadow_share_of_picture: Share of the first reference's picture that this shadow covers beside the hole.
        shadow_shade: Mean factor by which the picture is darker there; 1 where no shadow was found.
        floating_splats: New splats taken out because they stood before surfaces that other views know.
        unseen_before: Truly unseen share of each view's picture after the deletion, by view name.
        unseen_after: The same at the end: what no reference filled.
        unseen_share_of_hole: Share of all object pixels of all views that are truly unseen, before anything is invented.
        references: The fills, in order.
        exposure: How the photo of each view that shows the object differs from the splats in exposure, by view name; it is
            matched before it is used.
        measured_depth: How the depth of the scene's sensor relates to the splats; None where it has none.
        likeness: Of renders and photos outside the object, at most 1; None where nothing was compared.
        virtual_views: What stood in for photos; None where there are photos.
        part_seconds: Seconds of the parts of the stages "hole" and "fill".
        notes: What a person should know.
    """

    parameters: HealConfig
    shadow_splats: int = 0
    shadow_share_of_picture: float = 0.0
    shadow_shade: float = 1.0
    floating_splats: int = 0
    unseen_before: dict[str, float] = field(default_factory=dict)
    unseen_after: dict[str, float] = field(default_factory=dict)
    unseen_share_of_hole: float = 0.0
    references: list[ReferenceReport] = field(default_factory=list)
    exposure: dict[str, Exposure] = field(default_factory=dict)
    measured_depth: MeasuredDepth | None = None
    likeness: float | None = None
    virtual_views: VirtualViews | None = None
    part_seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False)
class HealResult(Shown):
    """Outcome of a heal.

    Attributes:
        splats: Kept splats, bit for bit and first, then the new ones.
        new: How many of them are new.
        removed: Which of the given splats went: the object, its strays and its shadow  # [N] bool
        fills: The filled references.
        states: Every view that shows what was removed, before and after the deletion.
        report: What was done.
        invented: Which of the new splats lie where no view has seen anything  # [new] bool

    Example:
        >>> import scene_depth as sd
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> sd.heal(scene, splats, sd.Sphere((0, 0, 0.9), 0.2), max_size=64, dry_run=True)
        HealResult(... splats removed, 0 new, ... % of the hole was never seen, ... s, finished)
    """

    splats: GaussianSplats
    new: int
    removed: Tensor
    fills: tuple[Filled, ...]
    states: tuple[ViewState, ...]
    report: HealReport
    invented: Tensor

    def __repr__(self) -> str:
        report = self.report
        parts = [f"{report.removed_splats:,} splats removed", f"{self.new:,} new"]
        parts.append(f"{100 * report.unseen_share_of_hole:.0f} % of the hole was never seen")
        parts.append(f"{sum(report.seconds.values()):.1f} s")
        return f"HealResult({', '.join(parts)}, {'finished' if report.finished else 'stopped'})"

    @property
    def most_unseen(self) -> ViewState:
        """The view with the most to repair."""
        return max(self.states, key=lambda state: state.unseen_share)

    def picture(self) -> NDArray[np.float32]:
        """The view with the most to repair: its photo, the hole with the unseen part marked, healed  # [H, 3 W, 3]"""
        state = self.most_unseen
        return np.concatenate([as_array(state.view.rgb), state.marked(), picture_of(self.splats, state.camera)], axis=1)


def heal_views(
    splats: GaussianSplats,
    removed: Tensor,
    views: Sequence[HealView],
    depth_inpainter: DepthInpainter,
    image_inpainter: ImageInpainter,
    config: HealConfig | None = None,
    *,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
    drawings: Drawings | None = None,
) -> HealResult:
    """Removes splats and repairs the hole that they leave.

    Args:
        splats: The scene with the object; never changed.
        removed: The splats to delete  # [N] bool
        views: Posed photos of the scene; they decide what is unseen and supervise the repair.
        depth_inpainter: Fills depth, once for each reference; see ``load_depth_inpainter``.
        image_inpainter: Fills colour.
        config: Parameters.
        on_progress: Called between steps; False stops, and the result holds what is done so far.
        dry_run: Only delete, and report what is unseen.
        drawings: What the views showed in an earlier heal, to draw only what has changed since.

    Raises:
        InputError: If the selection is empty or everything, there is no view, two have one name, a named reference is not
            there, or no view shows the object.
    """
    config = config or HealConfig()
    _check(removed, views, config)
    splats, removed = splats.detach(), removed.to(splats.device)
    report = HealReport(removed_splats=int(removed.sum()), parameters=config)
    work = Work(on_progress, seconds=report.seconds, part_seconds=report.part_seconds)
    hole = Hole(splats, torch.zeros_like(removed), splats, ())  # what stands if the search is interrupted
    fills: list[Filled] = []
    new: GaussianSplats | None = None
    with work.stage("hole"):
        with work.part("find"):
            hole = find_hole(splats, removed, views, widen=config.widen, drawings=drawings)
        _report_hole(report, hole)
        with work.part("exposure and sensor"):
            hole, report.exposure = match_exposure(hole)
            report.measured_depth = check_measured(hole)
        report.notes += filter(None, [describe_exposure(report.exposure), describe_measured(report.measured_depth)])
        message = f"{100 * report.unseen_share_of_hole:.0f} % of the hole was never seen"
        work.report(Progress("hole", 1, 1, message, snapshot=partial(_join, hole.kept, None)))
    if not dry_run and not work.stopped:
        with work.stage("fill"):
            unseen, scene, free = _unseen_of(hole), hole.kept, free_space_of(hole)
            waiting, limit = _waiting_views(views, config)
            seeks_shadow = config.shadow
            while waiting and len(fills) < limit and not work.stopped:
                name = waiting[0] if config.references else max(waiting, key=lambda name: _share(unseen, name))
                waiting.remove(name)
                if name not in unseen:
                    continue
                seeks_shadow = seeks_shadow and hole.by_name[name].view.painted is None and bool(unseen[name].any())
                if not seeks_shadow and _share(unseen, name) < config.enough:
                    continue
                reference = hole.by_name[name]
                made = _new_splats(hole, fills)
                if made is not None:
                    reference = filled_so_far(reference, unseen[name], scene, made)
                region = region_to_fill(reference)
                reference = with_measured(reference, report.measured_depth).part(region)
                with work.part("depth"):
                    guess = guess_color(reference)
                    prediction = fill_depth(reference, guess, depth_inpainter, free, seed=config.seed)
                first = partial(_with_guess, hole, tuple(fills), reference, prediction, guess)
                if not work.report(Progress("fill", len(fills), limit, f"depth of {reference.name}", snapshot=first)):
                    break
                if seeks_shadow:
                    seeks_shadow, options = False, {"widen": config.widen, "seed": config.seed}
                    with work.part("shadow"):
                        taken = take_shadow(hole, name, region, reference, prediction, depth_inpainter, **options)
                    if taken is not None:
                        _report_shadow(report, hole, name, *taken)
                        (hole, report.exposure), reference = match_exposure(taken[0], report.exposure, hole), taken[1].view
                        unseen, free = _unseen_of(hole), free_space_of(hole)
                    if _share(unseen, name) < config.enough:
                        continue
                with work.part("color"):
                    rgb = fill_color(reference, prediction, image_inpainter, is_first=not fills, seed=config.seed)
                fills.append(make_splats(reference, prediction, rgb, free))
                report.references.append(_report_of(fills[-1]))
                scene = _join(hole.kept, _new_splats(hole, fills))
                with work.part("covered"):
                    unseen = _still_unseen(hole, scene, len(fills[-1].splats), unseen)
                report.unseen_after = {view.name: _share(unseen, view.name) for view in views}
                message = f"{len(fills[-1].splats)} splats from {reference.name}"
                work.report(Progress("fill", len(fills), limit, message, snapshot=partial(_join, scene, None)))
        new = _new_splats(hole, fills)
        if new is not None and config.steps and not work.stopped:
            with work.stage("fit"):
                windows = views_to_fit(hole.states, fills)
                new = refine(new, hole.kept, windows, steps=config.steps, seed=config.seed, until_settled=True, work=work)
                is_floating = free.looks_through(new.means)
                report.floating_splats = int(is_floating.sum())
                new = new.select(~is_floating)
    healed = _join(hole.kept, new)
    report.close(healed, hole.kept, work)
    invented = _invented(healed.means[len(hole.kept) :], hole)
    return HealResult(healed, report.new_splats, hole.removed, tuple(fills), hole.states, report, invented)


def heal_alone(
    splats: GaussianSplats,
    removed: Tensor,
    depth_inpainter: DepthInpainter,
    image_inpainter: ImageInpainter,
    config: HealConfig | None = None,
    *,
    max_size: int = 640,
    on_progress: OnProgress | None = None,
    dry_run: bool = False,
) -> HealResult:
    """Removes splats of a scene that has no photos and repairs the hole by what the splats show from around it.

    Args:
        splats, removed, depth_inpainter, image_inpainter, config, on_progress, dry_run: As for ``heal_views``.
        max_size: Longer side of the virtual views, in pixels.

    Raises:
        InputError: If the selection is empty or everything, or as ``find_virtual_views``.
    """
    config, work, views, found = config or HealConfig(), Work(on_progress), list[HealView](), None
    check_selection(removed, "selection")
    with work.stage("views"):
        views, found = find_virtual_views(splats, removed, max_size, work)
    if work.stopped:
        report = HealReport(removed_splats=0, parameters=config, seconds=work.seconds, virtual_views=found)
        report.frozen_sha256_before = splats.sha256()
        report.close(splats, splats, work)
        none = torch.zeros_like(removed)
        return HealResult(splats, 0, none, (), (), report, none[:0])
    inpainters = depth_inpainter, image_inpainter
    result = heal_views(splats, removed, views, *inpainters, config, on_progress=on_progress, dry_run=dry_run)
    report = result.report
    report.virtual_views, report.seconds = found, {**work.seconds, **report.seconds}
    report.notes = [*([found.sentence()] if found is not None else []), *report.notes]
    return result


def _check(removed: Tensor, views: Sequence[HealView], config: HealConfig) -> None:
    check_selection(removed, "selection")
    if not views:
        raise InputError("views", "none", "one or more posed photos of the scene")
    names = {view.name for view in views}
    if len(names) < len(views):
        twice = next(view.name for view in views if sum(other.name == view.name for other in views) > 1)
        raise InputError("views", f"two named {twice!r}", "a name of its own for each")
    for name in config.references:
        if name not in names:
            raise InputError("references", repr(name), f"names of views: {', '.join(sorted(names)[:5])}, …")


def _waiting_views(views: Sequence[HealView], config: HealConfig) -> tuple[list[str], int]:
    """Names of the views that may be filled from, and how many of them at most."""
    if not config.references:
        return [view.name for view in views], config.most_references
    return list(config.references), len(config.references)


def _unseen_of(hole: Hole) -> dict[str, Tensor]:
    """The unseen pixels of the views that show the object, by name."""
    return {state.name: state.unseen for state in hole.states}


def _share(masks: Mapping[str, Tensor], name: str) -> float:
    """Share of a picture that the mask of this name covers; 0 where there is none."""
    return share_of(masks[name]) if name in masks else 0.0


def _report_hole(report: HealReport, hole: Hole) -> None:
    showing = sum(int(state.object_pixels.sum()) for state in hole.states)
    if showing == 0:
        raise InputError("selection", "splats that show in no view", "an object that at least one view shows")
    report.stray_splats = int(hole.removed.sum()) - report.removed_splats
    report.unseen_before = {view.name: _share(_unseen_of(hole), view.name) for view in hole.views}
    report.unseen_after = dict(report.unseen_before)
    report.unseen_share_of_hole = sum(int(state.unseen.sum()) for state in hole.states) / showing
    report.frozen_sha256_before = hole.kept.sha256()


def _report_shadow(report: HealReport, before: Hole, name: str, after: Hole, shadow: Shadow) -> None:
    report.shadow_splats = int(after.removed.sum()) - int(before.removed.sum())
    report.shadow_share_of_picture = int(shadow.pixels.sum()) / after.by_name[name].unseen.numel()
    report.shadow_shade, report.frozen_sha256_before = shadow.shade, after.kept.sha256()


def _report_of(filled: Filled) -> ReferenceReport:
    invented, prediction = int(filled.view.hole.sum()), filled.prediction
    return ReferenceReport(filled.view.name, invented, len(filled.splats), prediction.seam, prediction.details)


def _still_unseen(hole: Hole, scene: GaussianSplats, newest: int, before: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The unseen pixels that the new splats do not cover yet, of all views that show the object.

    Args:
        hole: The deletion.
        scene: The kept splats, then all new ones.
        newest: How many of these are of the last reference: only where they reach has anything changed.
        before: What was not covered before it  # [H, W] bool each
    """
    prints, count = footprints_of(scene), len(scene)
    last, chosen = (torch.arange(count, device=scene.device) >= first for first in (count - newest, len(hole.kept)))
    unseen, last_prints = dict(before), prints.select(last)
    for state in hole.states:
        left = unseen[state.name]
        region = common_region(region_around(left), bounding_region(last_prints.bounds(state.camera), state.camera))
        if region is not None:
            left, window = left.clone(), window_of(region)
            left[window] &= weight_of(scene, chosen, state.camera, region, prints)[window] < COVERED
            unseen[state.name] = left
    return unseen


def _invented(points: Tensor, hole: Hole) -> Tensor:
    """Which of the points lie on no surface that a view showed before the deletion  # [P, 3] -> [P] bool"""
    seen = torch.zeros(len(points), dtype=torch.bool, device=points.device)
    for place in hole.witnesses(points) if len(points) else ():
        if not seen.all() and hole.can_tell(place, points[~seen]):
            seen[~seen] = sight(points[~seen], hole.views[place].camera, hole.before(place)[0], None, TOLERANCE).seen
    return ~seen


def _new_splats(hole: Hole, fills: Sequence[Filled]) -> GaussianSplats | None:
    """The new splats of all filled references."""
    made = [replace(fill.splats.to(hole.kept.device), antialiased=hole.kept.antialiased) for fill in fills]
    return concatenate_splats(made) if made else None


def _with_guess(
    hole: Hole, fills: Sequence[Filled], reference: ViewState, prediction: DepthPrediction, guess: NDArray[np.float32]
) -> GaussianSplats:
    """The scene with the references filled so far, and one whose colour is a guess, to be looked at meanwhile."""
    return _join(hole.kept, _new_splats(hole, [*fills, make_splats(reference, prediction, guess)]))


def _join(kept: GaussianSplats, new: GaussianSplats | None) -> GaussianSplats:
    """Kept splats, then the new ones."""
    return kept if new is None else concatenate_splats([kept, new])
