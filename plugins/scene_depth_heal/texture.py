"""Retexture: what was painted over a surface in one view becomes the surface's colour in all views; its shape stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from scene_depth.errors import InputError
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.geometry.view_graph import ViewGraph
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import blending_weights, render
from scene_depth.scene import View
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import OnProgress
from scene_depth_heal.drawings import opaque_depth
from scene_depth_heal.edit import EditConfig, EditReport, EditResult, EditRun, RetexturedPart
from scene_depth_heal.free_space import LOOK_THROUGH
from scene_depth_heal.hole import TOLERANCE, as_array, dilate, weight_of
from scene_depth_heal.painted import PaintedView
from scene_depth_heal.refine import refine, window_around

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

    view: View
    depth: Tensor
    rgb: Tensor
    textured: Tensor
    target: Tensor


def retexture(
    splats: GaussianSplats,
    views: Sequence[View],
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
    bare = float(1 - int(reference.textured.sum()) / int(mask.sum()))
    part = RetexturedPart(**vars(painted.described()), mask_without_surface=bare)
    report = EditReport(kind="retexture", parameters=config, edit=part, notes=list(painted.notes))
    report.removed_splats = int(chosen.sum())
    run = EditRun(splats, splats.select(~chosen), views, report, on_progress)
    if not run.announce("surface", f"{int(chosen.sum())} splats of the surface"):
        return _unchanged(splats, views, report)
    with run.work.stage("make"):
        _make_splats(run, chosen, surfaces, reference)
        run.announce("make", f"{len(run.new)} splats")
    if not len(run.new):
        return _unchanged(splats, views, report)
    if config.steps and not run.work.stopped:
        with run.work.stage("fit"):
            windows = [window for surface in surfaces for window in _window(surface)]
            run.new = refine(run.new, run.kept, windows, steps=config.steps, seed=config.seed, work=run.work)
    with run.work.stage("check"):
        astray = standing_before(run.new, surfaces)
        report.stray_splats = int(astray.sum())
        run.new = run.new.select(~astray.to(run.new.device))
        _check(run, surfaces, reference)
    return run.result()


def _unchanged(splats: GaussianSplats, views: Sequence[View], report: EditReport) -> EditResult:
    """The scene as it was: an edit that was stopped before it had anything to put in the place of what it takes."""
    report.removed_splats = 0
    run = EditRun(splats, splats, views, report)
    run.work.stopped = True
    return run.result()


def carried(splats: GaussianSplats, views: Sequence[View], painted: PaintedView) -> list[Surface]:
    """What views that may show it should look like: painted colours carried along the rendered depth of both views.

    Raises:
        InputError: If no surface shows under the mask.
    """
    depth = opaque_depth(render(splats, painted.camera)).cpu()
    if not (depth > 0)[painted.mask].any():
        raise InputError(f"mask of {painted.name!r}", "no opaque surface under it", "a mask on a surface of the scene")
    points = painted.camera.unproject(depth[None])[0][painted.mask & (depth > 0)]
    near = {views[place].name for place in ViewGraph([view.camera for view in views]).views_holding(points)}
    shown = [view for view in views if view.name in near or view.name == painted.name]
    return [_carried_to(splats, view, painted, depth) for view in shown]


def replaced_splats(splats: GaussianSplats, surfaces: Sequence[Surface], reference: Surface) -> Tensor:
    """Splats of the front surface most of whose weight, over all views, lies on what was painted  # [N] bool

    Raises:
        InputError: If there is none, or nothing else would remain.
    """
    inside, total = torch.zeros(len(splats)), torch.zeros(len(splats))
    for surface in surfaces:
        if surface.textured.any():
            masks = surface.textured.to(splats.device)
            here = blending_weights(splats, surface.view.camera, masks[None])[0].cpu()
            inside += here
            total += here + blending_weights(splats, surface.view.camera, ~masks[None])[0].cpu()
    behind = sight(splats.means.cpu(), reference.view.camera, reference.depth, None, BEHIND).occluded
    chosen = (total > FAINT) & (inside >= SHARE * total) & ~behind
    if not chosen.any() or bool(chosen.all()):
        found = "splats of which none lies mostly under it" if not chosen.any() else "all splats of the scene under it"
        raise InputError("mask", found, "a mask that covers whole splats of a surface and leaves others")
    return chosen.to(splats.device)


def _carried_to(splats: GaussianSplats, view: View, painted: PaintedView, painted_depth: Tensor) -> Surface:
    before = render(splats, view.camera)
    depth, rgb = opaque_depth(before).cpu(), before.rgb[0].clamp(0, 1).cpu()
    valid, target = depth > 0, rgb.clone()
    if view.name == painted.name:
        textured = painted.mask & valid
        target[textured] = painted.picture[textured]
        return Surface(view, depth, rgb, textured, target)
    textured = torch.zeros_like(valid)
    points = view.camera.unproject(depth[None])[0][valid]
    seen = sight(points, painted.camera, painted_depth, None, TOLERANCE).seen
    pixels = painted.camera.project(points)[0][0]
    column = pixels[:, 0].long().clamp(0, painted.camera.width - 1)
    row = pixels[:, 1].long().clamp(0, painted.camera.height - 1)
    on_it = seen & painted.mask[row, column]
    textured[valid] = on_it
    target[textured] = bilinear(painted.picture, pixels[on_it])
    return Surface(view, depth, rgb, textured, target)


def _make_splats(run: EditRun, chosen: Tensor, surfaces: Sequence[Surface], reference: Surface) -> None:
    """Splats of the painted view first; then of other views, most bare one first, where replaced splats left gaps."""
    splats = run.before

    def make(part: float) -> GaussianSplats:
        return _splats_of(run, reference, _bare(splats, chosen, reference) | reference.textured, part)

    part = run.add_until_shown(make, reference.view.camera, reference.textured.to(run.kept.device))
    for surface in surfaces:
        if surface is reference:
            continue
        open_ = _bare(splats, chosen, surface) & _open(run.scene(), surface)
        if int(open_.sum()) >= LEAST_BARE:
            run.new = concatenate_splats([run.new, _splats_of(run, surface, open_, part)])


def _bare(splats: GaussianSplats, chosen: Tensor, surface: Surface) -> Tensor:
    """Pixels of a known surface that the replaced splats helped to cover  # [H, W] bool"""
    return (weight_of(splats, chosen, surface.view.camera) > LEFT_BARE).cpu() & (surface.depth > 0)


def _open(scene: GaussianSplats, surface: Surface) -> Tensor:
    """Pixels where a view now sees nothing, or something behind the surface that was there  # [H, W] bool"""
    depth = opaque_depth(render(scene, surface.view.camera)).cpu()
    return (depth == 0) | (depth > surface.depth * (1 + BEHIND))


def _splats_of(run: EditRun, surface: Surface, where: Tensor, part: float) -> GaussianSplats:
    nearer = torch.where(where, surface.depth * (1 - part), surface.depth)
    made = splats_on_depth(as_array(surface.target), as_array(nearer), as_array(where), surface.view.camera).to(run.kept.device)
    return replace(made, antialiased=run.kept.antialiased)


def _window(surface: Surface) -> list[View]:
    """What one view says to the new splats: the carried colours, their rim left out, and the depth from before."""
    rim = dilate(surface.textured, RIM) & dilate(~surface.textured, RIM)
    return window_around(surface.textured, surface.view.name, surface.view.camera, surface.target, ~rim, surface.depth)


def standing_before(new: GaussianSplats, surfaces: Sequence[Surface]) -> Tensor:
    """New splats before surfaces that several views know  # [N] bool

    The shape was to stay, so what every view saw before the edit is still where the surface is.
    """
    count = torch.zeros(len(new), dtype=torch.int64)
    for surface in surfaces:
        count += sight(new.means.cpu(), surface.view.camera, surface.depth, None, BEHIND).floating
    return count >= LOOK_THROUGH


def _check(run: EditRun, surfaces: Sequence[Surface], reference: Surface) -> None:
    """Measures: the picture in the painted view and the others, and what the edit did to the depth."""
    whole, errors, moved, checks = run.scene(), [], [], run.report.checks
    for surface in surfaces:
        textured, was = as_array(surface.textured), as_array(surface.depth)
        if not textured.any():
            continue
        after = render(whole, surface.view.camera)
        depth = as_array(opaque_depth(after))
        both = textured & (depth > 0)
        moved.append(float(np.median(np.abs(depth[both] / was[both] - 1))) if both.any() else float("nan"))
        if surface is reference:
            run.check_edited_view(after, surface.textured, surface.target, surface.depth)
        else:
            difference = as_array(after.rgb[0].clamp(0, 1)) - as_array(surface.target)
            errors.append(float(np.mean(difference[textured] ** 2)))
    run.check_views()
    others = [-10 * np.log10(max(error, 1e-10)) for error in errors]
    checks.median_depth_change = max(moved)
    checks.psnr_of_texture_in_other_views = float(np.mean(others)) if others else None
    checks.views_that_show_it = len(others) + 1


def bilinear(picture: Tensor, pixels: Tensor) -> Tensor:
    """Colours at continuous pixel coordinates, the first pixel's centre at (0.5, 0.5)  # [N, 3] float32

    Args:
        picture: Colours  # [H, W, 3]
        pixels: Coordinates (x, y); outside, the nearest edge counts  # [N, 2]
    """
    height, width = picture.shape[:2]
    image = picture.float().permute(2, 0, 1)[None]
    grid = 2 * pixels.float() / torch.tensor([width, height]) - 1
    sampled = torch.nn.functional.grid_sample(image, grid[None, None], padding_mode="border", align_corners=False)
    return sampled[0, :, 0].T.contiguous()
