"""Heal: delete the object, find what is truly unseen, fill it reference by reference, fit the new splats, check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.color.protocol import ImageInpainter
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.errors import InputError
from scene_depth.rendering import render
from scene_depth.showing import Shown
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import OnProgress, Progress, Work
from scene_depth_heal.fill import Filled, Reference, as_array, fill_depth, fill_reference
from scene_depth_heal.hole import HealView, Hole, ViewState, dilate, find_hole, opaque_depth, open_hole, weight_of
from scene_depth_heal.refine import floating, refine, supervision_of
from scene_depth_heal.report import HealReport, ReferenceReport
from scene_depth_heal.selection import check_selection
from scene_depth_heal.shadow import Shadow, confirm_shadow, find_shadow, find_witness, shadowed_splats

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
    """Optimisation steps of the new splats; 0 leaves them as they are made."""
    shadow: bool = True
    """Take away the object's shadow on the surface around the hole too: its splats are deleted and made anew, lit as that
    surface is farther away. On by default, since it looks and measures better where a shadow is found; it is looked for in
    one view, believed if another far away shows it too, and missed where the surface does not repeat itself nearby. No effect
    if the first reference is painted."""
    seed: int = 0
    """Seed of all random choices."""


@dataclass(frozen=True, repr=False)
class HealResult(Shown):
    """Outcome of a heal.

    Attributes:
        splats: Kept splats, bit for bit and first, then the new ones.
        new: How many of them are new.
        fills: The filled references.
        states: Every view before and after the deletion.
        report: What was done.

    Example:
        >>> import scene_depth as sd
        >>> scene, splats = sd.read_scene("scenes/table"), sd.read_splats("scenes/table/splats.spz")
        >>> sd.heal(scene, splats, sd.Sphere((0, 0, 0.9), 0.2), max_size=64, dry_run=True)
        HealResult(... splats removed, 0 new, ... % of the hole was never seen, ... s, finished)
    """

    splats: GaussianSplats
    new: int
    fills: tuple[Filled, ...]
    states: tuple[ViewState, ...]
    report: HealReport

    def __repr__(self) -> str:
        report = self.report
        parts = [f"{report.removed_splats:,} splats removed", f"{self.new:,} new"]
        parts.append(f"{100 * report.unseen_share_of_hole:.0f} % of the hole was never seen")
        parts.append(f"{sum(report.seconds.values()):.1f} s")
        return f"HealResult({', '.join(parts)}, {'finished' if report.finished else 'stopped'})"

    def picture(self) -> NDArray[np.float32]:
        """The view with the most to repair: its photo, the hole with the unseen part marked, healed  # [H, 3 W, 3]"""
        from scene_depth_heal.comparison import marked_hole, most_unseen, shown

        state = most_unseen(self)
        return np.concatenate([state.view.rgb, marked_hole(state), shown(self.splats, state)], axis=1)


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

    Raises:
        InputError: If the selection is empty or everything, there is no view, a named reference is not there, or no view
            shows the object.
    """
    config = config or HealConfig()
    _check(removed, views, config)
    splats, removed = splats.detach(), removed.to(splats.device)
    report = HealReport(removed_splats=int(removed.sum()), parameters=asdict(config))
    work = Work(on_progress, seconds=report.seconds)
    hole = Hole(splats, torch.zeros_like(removed), splats, ())
    fills: list[Filled] = []
    new: GaussianSplats | None = None
    with work.stage("hole"):
        hole = find_hole(splats, removed, views, widen=config.widen)
        _report_hole(report, hole)
        message = f"{100 * report.unseen_share_of_hole:.0f} % of the hole was never seen"
        work.report(Progress("hole", 1, 1, message, snapshot=partial(_join, hole.kept, None)))
    if not dry_run and not work.stopped:
        with work.stage("fill"):
            hole = _fill(hole, fills, depth_inpainter, image_inpainter, config, report, work)
        new = _join_new(hole, fills)
        if new is not None and config.steps and not work.stopped:
            with work.stage("fit"):
                new = _fit(hole, fills, new, config, report, work)
    healed = _join(hole.kept, new)
    report.new_splats = len(healed) - len(hole.kept)
    report.kept_splats = len(hole.kept)
    report.frozen_sha256_after = healed.select(slice(0, len(hole.kept))).with_sh_degree(hole.kept.sh_degree).sha256()
    report.finished = not work.stopped
    return HealResult(healed, report.new_splats, tuple(fills), hole.states, report)


def _check(removed: Tensor, views: Sequence[HealView], config: HealConfig) -> None:
    check_selection(removed, "selection")
    if not views:
        raise InputError("views", "none", "one or more posed photos of the scene")
    names = {view.name for view in views}
    for name in config.references:
        if name not in names:
            raise InputError("references", repr(name), f"names of views: {', '.join(sorted(names)[:5])}, …")
    for view in views:
        for what, values in (("mask", view.mask), ("painted", view.painted)):
            if values is not None and values.shape[:2] != (view.camera.height, view.camera.width):
                raise InputError(
                    f"view {view.name!r}: {what}", f"size {values.shape[:2]}", f"({view.camera.height}, {view.camera.width})"
                )


def _report_hole(report: HealReport, hole: Hole) -> None:
    showing = sum(int(state.object_pixels.sum()) for state in hole.states)
    if showing == 0:
        raise InputError("selection", "splats that show in no view", "an object that at least one view shows")
    report.stray_splats = int(hole.removed.sum()) - report.removed_splats
    report.unseen_before = {state.name: state.unseen_share for state in hole.states}
    report.unseen_after = dict(report.unseen_before)
    report.unseen_share_of_hole = sum(int(state.unseen.sum()) for state in hole.states) / showing
    report.frozen_sha256_before = hole.kept.sha256()


def _fill(
    hole: Hole,
    fills: list[Filled],
    depth_inpainter: DepthInpainter,
    image_inpainter: ImageInpainter,
    config: HealConfig,
    report: HealReport,
    work: Work,
) -> Hole:
    """Fills reference after reference until little is unseen, and appends them to ``fills``.

    Returns:
        The hole, with the shadow taken away if one was found.
    """
    place = {state.name: index for index, state in enumerate(hole.states)}
    waiting = [place[name] for name in config.references] or list(place.values())
    limit = len(config.references) or config.most_references
    unseen = [state.unseen for state in hole.states]
    looks_for_shadow = config.shadow
    while waiting and len(fills) < limit and not work.stopped:
        index = waiting[0] if config.references else max(waiting, key=lambda i: float(unseen[i].float().mean()))
        waiting.remove(index)
        state = hole.states[index]
        looks_for_shadow = looks_for_shadow and state.view.painted is None and bool(unseen[index].any())
        if not looks_for_shadow and float(unseen[index].float().mean()) < config.enough:
            continue
        reference = make_reference(hole, state, unseen[index], _join_new(hole, fills))
        prediction = fill_depth(reference, depth_inpainter, seed=config.seed)
        if looks_for_shadow:
            hole, reference = take_shadow(hole, index, reference, prediction, depth_inpainter, config, report)
            unseen, looks_for_shadow = [state.unseen for state in hole.states], False
            if float(unseen[index].float().mean()) < config.enough:
                continue
        filled = fill_reference(reference, prediction, image_inpainter, seed=config.seed)
        fills.append(filled)
        report.references.append(_report_of(filled))
        scene = _join(hole.kept, _join_new(hole, fills))
        unseen = [_uncovered(scene, len(hole.kept), state) for state in hole.states]
        report.unseen_after = {state.name: float(left.float().mean()) for state, left in zip(hole.states, unseen, strict=True)}
        message = f"{len(filled.splats)} splats from {state.name}"
        work.report(Progress("fill", len(fills), limit, message, snapshot=partial(_join, scene, None)))
    return hole


def make_reference(hole: Hole, state: ViewState, unseen: Tensor, new: GaussianSplats | None) -> Reference:
    """A view with what is known of it now.

    Args:
        hole: The deletion.
        state: What the view shows before and after it.
        unseen: What is still to be invented in the view  # [H, W] bool
        new: New splats of the references that are filled already, if there are any.
    """
    rgb, depth = state.rgb_after, state.depth_after
    if new is not None:
        now = render(_join(hole.kept, new), state.camera)
        rgb, depth = now.rgb[0].clamp(0, 1), opaque_depth(now)
    return Reference(
        name=state.name,
        camera=state.camera,
        rgb=np.where(as_array(state.object_pixels)[..., None], as_array(rgb), state.view.rgb).astype(np.float32),
        depth=as_array(depth),
        hole=as_array(dilate(unseen, 1)),
        painted=state.view.painted,
    )


def take_shadow(
    hole: Hole,
    index: int,
    reference: Reference,
    prediction: DepthPrediction,
    depth_inpainter: DepthInpainter,
    config: HealConfig,
    report: HealReport,
) -> tuple[Hole, Reference]:
    """Looks for the object's shadow in a view and removes the splats that carry it, if another view shows it too.

    Args:
        hole: The deletion.
        index: Place of the view among the hole's states.
        reference: The view before anything is filled.
        prediction: Its completed depth.
        depth_inpainter: Completes the depth of the view that is asked too.
        config: Parameters.
        report: Gets what was found.

    Returns:
        The hole with those splats removed too, and the reference in the light of its surroundings; both as they were
        where no shadow is found.
    """
    shadow = find_shadow(reference, prediction, seed=config.seed)
    if shadow is None:
        return hole, reference
    darkened = torch.zeros_like(hole.removed)
    darkened[~hole.removed] = _ask_witness(hole, index, shadow, depth_inpainter, config.seed)
    if not darkened.any() or (darkened | hole.removed).all():
        return hole, reference
    views = [state.view for state in hole.states]
    wider = open_hole(hole.splats, hole.removed | darkened, views, widen=config.widen)
    report.shadow_splats = int(darkened.sum())
    report.shadow_share_of_picture = float(shadow.pixels.mean())
    report.shadow_shade = float(shadow.shade[shadow.pixels].mean())
    report.frozen_sha256_before = wider.kept.sha256()
    resurface = as_array(dilate(wider.states[index].unseen, 1)) & ~reference.hole & (reference.depth > 0)
    return wider, replace(shadow.reference, resurface=resurface)


def _ask_witness(hole: Hole, index: int, shadow: Shadow, depth_inpainter: DepthInpainter, seed: int) -> Tensor:
    """Those of the kept splats in a view's shadow that another view does not contradict  # [N] bool"""
    shadowed = shadowed_splats(hole.kept, shadow)
    found = hole.kept.select(shadowed)
    witness = find_witness(found, hole.states[index], hole.states) if len(found) else None
    if witness is None:
        return shadowed
    reference = make_reference(hole, witness, witness.unseen, None)
    other = find_shadow(reference, fill_depth(reference, depth_inpainter, seed=seed), seed=seed)
    shadowed[shadowed.clone()] = confirm_shadow(found, reference, other)
    return shadowed


def _fit(
    hole: Hole, fills: Sequence[Filled], new: GaussianSplats, config: HealConfig, report: HealReport, work: Work
) -> GaussianSplats:
    """Optimises the new splats and takes out what floats."""
    supervision = supervision_of(hole.states, fills)
    fitted = refine(new, hole.kept, supervision, steps=config.steps, seed=config.seed, work=work)
    is_floating = floating(fitted, hole.states)
    report.floating_splats = int(is_floating.sum())
    return fitted.select(~is_floating)


def _report_of(filled: Filled) -> ReferenceReport:
    prediction = filled.prediction
    return ReferenceReport(
        view=filled.reference.name,
        invented_pixels=int(filled.reference.hole.sum()),
        splats=len(filled.splats),
        seam=None if prediction.seam is None else asdict(prediction.seam),
        depth_details=prediction.details,
    )


def _uncovered(scene: GaussianSplats, kept: int, state: ViewState) -> Tensor:
    """Unseen pixels that the new splats, those after the kept ones, do not cover yet  # [H, W] bool"""
    if not state.unseen.any():
        return state.unseen
    chosen = torch.arange(len(scene), device=scene.device) >= kept
    return state.unseen & (weight_of(scene, chosen, state.camera) < COVERED)


def _join_new(hole: Hole, fills: Sequence[Filled]) -> GaussianSplats | None:
    """The new splats of all filled references."""
    made = [replace(fill.splats.to(hole.kept.device), antialiased=hole.kept.antialiased) for fill in fills]
    return concatenate_splats(made) if made else None


def _join(kept: GaussianSplats, new: GaussianSplats | None) -> GaussianSplats:
    """Kept splats, then the new ones."""
    return kept if new is None else concatenate_splats([kept, new])
