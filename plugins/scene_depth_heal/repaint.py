"""Retexture: what was painted over a surface in one view becomes the surface's colour in all views; its shape stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import blending_weights, render
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import OnProgress
from scene_depth_heal.edit_run import EditConfig, EditReport, EditResult, EditRun, PosedView
from scene_depth_heal.fill import as_array
from scene_depth_heal.hole import TOLERANCE, dilate, opaque_depth, weight_of
from scene_depth_heal.insert_painted import reference_checks, shown_in
from scene_depth_heal.painted import PaintedView, bilinear
from scene_depth_heal.raising import Raised, raised_until_shown
from scene_depth_heal.refine import FLOATING_VIEWS, Supervision, refine

SHARE = 0.5  # part of a splat's blending weight that must lie on the painted surface for it to be replaced
FAINT = 1e-4  # pixels of blending weight below which a splat is hidden: it stays
BEHIND = 0.05  # relative depth behind or before the visible surface from which a splat is not part of it
LEFT_BARE = 0.1  # blending weight of replaced splats beside the mask from which their place must be filled again
LEAST_BARE = 20  # such pixels in another view that are worth splats of their own
RIM = 1  # pixels around the texture's border that do not count in other views


@dataclass(frozen=True)
class Surface:
    """One view's share of the painted surface.

    Attributes:
        view: The view.
        depth: Rendered z-depth before the edit, 0 where there is no surface  # [H, W]
        rgb: Rendered colour before the edit  # [H, W, 3]
        textured: Pixels whose surface was painted and is seen by the painted view  # [H, W] bool
        target: The colour that they should have; beside them the colour from before  # [H, W, 3]
    """

    view: PosedView
    depth: NDArray[np.float32]
    rgb: NDArray[np.float32]
    textured: NDArray[np.bool_]
    target: NDArray[np.float32]


def retexture(
    splats: GaussianSplats,
    views: Sequence[PosedView],
    painted: PaintedView,
    config: EditConfig | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> EditResult:
    """Gives the surface that shows under the mask the painted colour.

    The painted colours are carried to all views along the rendered depth, which is what the edit should look like from
    everywhere. Splats whose blending weight over all views lies mostly on the painted surface are replaced by pixel-sized
    ones on the same depth, so that the texture may be finer than the splats were; where a replaced splat reached beyond
    the mask its place gets splats of the old colour. All others stay bit for bit. The new splats are fitted to the
    carried colours and to the old depth in all views, so the shape stays what it was.

    Args:
        splats: The scene; never changed.
        views: All views of the scene.
        painted: The edited view.
        config: Parameters.
        on_progress: Called between steps; False stops, and the result holds what is done so far.

    Raises:
        InputError: If no surface shows under the mask.
    """
    config = config or EditConfig()
    splats, mask = splats.detach(), painted.mask
    surfaces = carried(splats, views, painted)
    reference = next(surface for surface in surfaces if surface.view.name == painted.name)
    chosen = replaced_splats(splats, surfaces, reference)
    report = EditReport("retexture", parameters=asdict(config), removed_splats=int(chosen.sum()))
    run = EditRun(splats.select(~chosen), report, on_progress)
    report.edit = {
        "view": painted.name,
        "mask": painted.mask_source,
        "mask_pixels": int(mask.sum()),
        "mask_share": float(mask.mean()),
        "mask_without_surface": float(1 - reference.textured.sum() / mask.sum()),
    }
    if not run.announce("surface", f"{int(chosen.sum())} splats of the surface"):
        return _unchanged(splats, report)
    with run.work.stage("make"):
        raised = _new_splats(run, splats, chosen, surfaces, reference)
        run.new = raised.splats
        report.checks.update(raised_by=raised.raise_, weight_in_mask_before_fit=raised.shown)
        run.announce("make", f"{len(raised.splats)} splats")
    if run.new is None:
        return _unchanged(splats, report)
    if config.steps and not run.work.stopped:
        with run.work.stage("fit"):
            _fit(run, surfaces, config)
    with run.work.stage("check"):
        _clean(run, surfaces)
        _check(run, surfaces, reference)
    return run.result()


def _unchanged(splats: GaussianSplats, report: EditReport) -> EditResult:
    """The scene as it was: an edit that was stopped before it had anything to put in the place of what it takes."""
    report.removed_splats = 0
    run = EditRun(splats, report)
    run.work.stopped = True
    return run.result()


def carried(splats: GaussianSplats, views: Sequence[PosedView], painted: PaintedView) -> list[Surface]:
    """What every view should look like: painted colours carried along the rendered depth of both views.

    Raises:
        InputError: If no surface shows under the mask.
    """
    depth = opaque_depth(render(splats, painted.camera)).cpu()
    if not (as_array(depth) > 0)[painted.mask].any():
        raise InputError(f"mask of {painted.name!r}", "no opaque surface under it", "a mask on a surface of the scene")
    return [_carried_to(splats, view, painted, depth) for view in views]


def replaced_splats(splats: GaussianSplats, surfaces: Sequence[Surface], reference: Surface) -> Tensor:
    """Splats of the front surface most of whose weight, over all views, lies on what was painted  # [N] bool

    Raises:
        InputError: If there is none, or nothing else would remain.
    """
    inside, total = torch.zeros(len(splats)), torch.zeros(len(splats))
    for surface in surfaces:
        if surface.textured.any():
            masks = torch.from_numpy(surface.textured).to(splats.device)
            here = blending_weights(splats, surface.view.camera, masks[None])[0].cpu()
            inside += here
            total += here + blending_weights(splats, surface.view.camera, ~masks[None])[0].cpu()
    behind = sight(splats.means.cpu(), reference.view.camera, torch.from_numpy(reference.depth), None, BEHIND).occluded
    chosen = (total > FAINT) & (inside >= SHARE * total) & ~behind
    if not chosen.any() or bool(chosen.all()):
        found = "splats of which none lies mostly under it" if not chosen.any() else "all splats of the scene under it"
        raise InputError("mask", found, "a mask that covers whole splats of a surface and leaves others")
    return chosen.to(splats.device)


def _carried_to(splats: GaussianSplats, view: PosedView, painted: PaintedView, painted_depth: Tensor) -> Surface:
    before = render(splats, view.camera)
    depth, rgb = opaque_depth(before).cpu(), as_array(before.rgb[0].clamp(0, 1))
    textured, target = np.zeros(depth.shape, dtype=bool), rgb.copy()
    if view.name == painted.name:
        textured = painted.mask & as_array(depth > 0)
        target[textured] = painted.picture[textured]
        return Surface(view, as_array(depth), rgb, textured, target)
    valid = as_array(depth > 0)
    points = view.camera.unproject(depth[None])[0][torch.from_numpy(valid)]
    seen = sight(points, painted.camera, painted_depth, None, TOLERANCE).seen
    pixels = painted.camera.project(points)[0][0]
    column = pixels[:, 0].long().clamp(0, painted.camera.width - 1)
    row = pixels[:, 1].long().clamp(0, painted.camera.height - 1)
    on_it = seen & torch.from_numpy(painted.mask)[row, column]
    textured[valid] = on_it.numpy()
    target[textured] = bilinear(painted.picture, pixels[on_it]).numpy()
    return Surface(view, as_array(depth), rgb, textured, target)


def _new_splats(run: EditRun, splats: GaussianSplats, chosen: Tensor, surfaces: Sequence[Surface], reference: Surface) -> Raised:
    """Splats of the painted view first; then of other views, most bare one first, where replaced splats left gaps."""

    def make(part: float) -> GaussianSplats:
        return _splats_of(run, reference, _bare(splats, chosen, reference) | reference.textured, part)

    device = run.kept.device
    raised = raised_until_shown(make, run.kept, reference.view.camera, torch.from_numpy(reference.textured).to(device))
    new = raised.splats
    for surface in surfaces:
        if surface is reference:
            continue
        open_ = _bare(splats, chosen, surface) & _open(run.kept, new, surface)
        if int(open_.sum()) >= LEAST_BARE:
            new = concatenate_splats([new, _splats_of(run, surface, open_, raised.raise_)])
    return replace(raised, splats=new)


def _bare(splats: GaussianSplats, chosen: Tensor, surface: Surface) -> NDArray[np.bool_]:
    """Pixels of a known surface that the replaced splats helped to cover  # [H, W] bool"""
    return as_array(weight_of(splats, chosen, surface.view.camera) > LEFT_BARE) & (surface.depth > 0)


def _open(kept: GaussianSplats, new: GaussianSplats, surface: Surface) -> NDArray[np.bool_]:
    """Pixels where a view now sees nothing, or something behind the surface that was there  # [H, W] bool"""
    depth = as_array(opaque_depth(render(concatenate_splats([kept, new]), surface.view.camera)))
    return (depth == 0) | (depth > surface.depth * (1 + BEHIND))


def _splats_of(run: EditRun, surface: Surface, where: NDArray[np.bool_], part: float) -> GaussianSplats:
    nearer = np.where(where, surface.depth * (1 - part), surface.depth).astype(np.float32)
    made = splats_on_depth(surface.target, nearer, where, surface.view.camera).to(run.kept.device)
    return replace(made, antialiased=run.kept.antialiased)


def _fit(run: EditRun, surfaces: Sequence[Surface], config: EditConfig) -> None:
    assert run.new is not None

    items = []
    for number, surface in enumerate(surfaces):
        texture = torch.from_numpy(surface.textured)
        rim = dilate(texture, RIM) & dilate(~texture, RIM)
        items.append(
            Supervision(
                name=surface.view.name or str(number),
                camera=surface.view.camera,
                rgb=surface.target,
                trusted=~as_array(rim),
                depth=surface.depth,
                around=surface.textured,
            )
        )
    run.new = refine(run.new, run.kept, items, steps=config.steps, seed=config.seed, work=run.work)


def standing_before(new: GaussianSplats, surfaces: Sequence[Surface]) -> Tensor:
    """New splats before surfaces that several views know  # [N] bool

    The shape was to stay, so what every view saw before the edit is still where the surface is.
    """
    count = torch.zeros(len(new), dtype=torch.int64)
    for surface in surfaces:
        count += sight(new.means.cpu(), surface.view.camera, torch.from_numpy(surface.depth), None, BEHIND).floating
    return count >= FLOATING_VIEWS


def _clean(run: EditRun, surfaces: Sequence[Surface]) -> None:
    assert run.new is not None
    before = standing_before(run.new, surfaces)
    run.report.stray_splats = int(before.sum())
    run.new = run.new.select(~before.to(run.new.device))


def _check(run: EditRun, surfaces: Sequence[Surface], reference: Surface) -> None:
    """Measures: the picture in the painted view and the others, and what the edit did to the depth."""
    whole, errors, moved = run.scene(), [], []
    for surface in surfaces:
        if not surface.textured.any():
            continue
        after = render(whole, surface.view.camera)
        depth = as_array(opaque_depth(after))
        both = surface.textured & (depth > 0)
        moved.append(float(np.median(np.abs(depth[both] / surface.depth[both] - 1))) if both.any() else float("nan"))
        if surface is reference:
            checks = reference_checks(after, surface.textured, surface.target, surface.depth)
            run.report.checks.update(checks)
        else:
            difference = as_array(after.rgb[0].clamp(0, 1)) - surface.target
            errors.append(float(np.mean(difference[surface.textured] ** 2)))
    others = [-10 * np.log10(max(error, 1e-10)) for error in errors]
    run.report.checks["median_depth_change"] = max(moved)
    run.report.checks["psnr_of_texture_in_other_views"] = float(np.mean(others)) if others else None
    run.report.checks["views_that_show_it"] = len(others) + 1
    shares, outside = shown_in(run, [surface.view for surface in surfaces])
    run.report.shows_in = shares
    run.report.checks["changed_beside_it"] = outside
