"""Insert: an object that was painted into one view gets depth from the scene around it and becomes splats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.errors import InputError
from scene_depth.evaluation.images import psnr
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.geometry.visibility import sight
from scene_depth.rendering import Render, render
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress
from scene_depth_heal.edit_run import EditConfig, EditReport, EditResult, EditRun, PosedView
from scene_depth_heal.fill import LEAST_KNOWN, as_array
from scene_depth_heal.hole import OPAQUE, dilate, opaque_depth
from scene_depth_heal.painted import PaintedView
from scene_depth_heal.raising import DOMINATES, in_the_way, new_weight, raised_until_shown
from scene_depth_heal.refine import Supervision, refine

TOUCHED = 0.02  # blending weight of new splats from which another view's pixel is theirs
COMPARED = 6  # views whose pixels beside the new splats are compared
STRAY = 0.05  # relative depth by which a splat may leave the painted surface


@dataclass(frozen=True)
class Shape:
    """The depth of a painted object, before the scene behind it bounds it.

    Attributes:
        prediction: Complete depth of the view, known depth bit for bit, with its seam.
        scene_depth: Rendered z-depth without the object, 0 where there is no surface  # [H, W]
        scene_rgb: Rendered colour without the object  # [H, W, 3]
    """

    prediction: DepthPrediction
    scene_depth: NDArray[np.float32]
    scene_rgb: NDArray[np.float32]


def insert_painted(
    splats: GaussianSplats,
    views: Sequence[PosedView],
    painted: PaintedView,
    depth_inpainter: DepthInpainter,
    config: EditConfig | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> EditResult:
    """Turns what was painted into a view into splats that stand in front of, or on, the scene's surfaces.

    The depth under the mask is inpainted from the rendered depth around it, which stays exact, and brought in front of
    the surfaces that the scene already has there. Only the new splats are optimised: in the painted view to its picture
    and to that depth, in the others to change nothing beside their own outline. What other views should see of the
    object nobody knows, and it may well stand before surfaces that they know; so a new splat is taken out if it leaves the
    painted surface, or would cover much of a picture because it lies at a camera.

    Args:
        splats: The scene; all of it is kept bit for bit.
        views: All views of the scene.
        painted: The edited view.
        depth_inpainter: Gives the object its shape; see ``load_depth_inpainter``, ``DepthImage``, ``Upright``.
        config: Parameters.
        on_progress: Called between steps; False stops, and the result holds what is done so far.

    Raises:
        InputError: If too little of the view shows a surface, or no pixel of the mask can become a splat.
    """
    config = config or EditConfig()
    report = EditReport("painted", parameters=asdict(config))
    run = EditRun(splats, report, on_progress)
    mask = painted.mask
    report.edit = {
        "view": painted.name,
        "mask": painted.mask_source,
        "mask_pixels": int(mask.sum()),
        "mask_share": float(mask.mean()),
    }
    shape = None
    with run.work.stage("shape"):
        shape = shape_of(run.kept, painted, depth_inpainter, config.seed)
        report.seam = None if shape.prediction.seam is None else asdict(shape.prediction.seam)
        report.depth_details = shape.prediction.details
        run.announce("shape", f"depth of {int(mask.sum())} painted pixels")
    if shape is None or run.work.stopped:
        return run.result()
    picture = np.where(mask[..., None], painted.picture, shape.scene_rgb).astype(np.float32)

    def make(part: float) -> GaussianSplats:
        depth = in_front(shape.prediction.depth, shape.scene_depth, mask, part)
        made = splats_on_depth(picture, depth, mask, painted.camera).to(run.kept.device)
        return replace(made, antialiased=run.kept.antialiased)

    with run.work.stage("raise"):
        raised = raised_until_shown(make, run.kept, painted.camera, torch.from_numpy(mask).to(run.kept.device))
        run.new = raised.splats
        depth = in_front(shape.prediction.depth, shape.scene_depth, mask, raised.raise_)
        report.checks.update(raised_by=raised.raise_, weight_in_mask_before_fit=raised.shown)
        run.announce("raise", f"{len(raised.splats)} splats")
    if run.new is None:
        return run.result()
    if config.steps and not run.work.stopped:
        with run.work.stage("fit"):
            _fit(run, views, painted, picture, depth, config)
    with run.work.stage("check"):
        _clean(run, views, painted, depth)
        _check(run, views, painted, picture, depth)
    return run.result()


def shape_of(kept: GaussianSplats, painted: PaintedView, depth_inpainter: DepthInpainter, seed: int = 0) -> Shape:
    """Inpaints the depth under the mask from the rendered depth around it.

    Raises:
        InputError: If too little of the view shows a surface.
    """
    image = render(kept, painted.camera)
    depth = as_array(opaque_depth(image))
    known = (depth > 0) & ~painted.mask
    if known.mean() < LEAST_KNOWN:
        found = f"{100 * known.mean():.2g} % of the pixels with an opaque surface"
        accepted = f"at least {100 * LEAST_KNOWN:g} %: a scene that is seen here"
        raise InputError(f"view {painted.name!r}: rendered depth", found, accepted)
    rgb = as_array(image.rgb[0].clamp(0, 1))
    guide = np.where(painted.mask[..., None], painted.picture, rgb).astype(np.float32)
    bind = getattr(depth_inpainter, "bound_to", None)  # an upright object needs the depth under the mask too
    inpainter = depth_inpainter if bind is None else bind(depth, painted.mask)
    prediction = inpaint_depth(inpainter, guide, depth, known, camera=painted.camera, seed=seed)
    return Shape(prediction, depth, rgb)


def in_front(
    depth: NDArray[np.floating], scene_depth: NDArray[np.floating], mask: NDArray[np.bool_], part: float = 0.0
) -> NDArray[np.float32]:
    """Depth whose masked pixels are nearer than the scene's surface there by at least a part of its depth  # [H, W]"""
    bounded = np.where(scene_depth > 0, np.minimum(depth, scene_depth * (1 - part)), depth)
    return np.where(mask, bounded, depth).astype(np.float32)


def _fit(
    run: EditRun,
    views: Sequence[PosedView],
    painted: PaintedView,
    picture: NDArray[np.float32],
    depth: NDArray[np.float32],
    config: EditConfig,
) -> None:
    assert run.new is not None

    items = [
        Supervision(
            name=painted.name,
            camera=painted.camera,
            rgb=picture,
            trusted=np.ones_like(painted.mask),
            depth=np.where(painted.mask, depth, 0).astype(np.float32),
            around=painted.mask,
        )
    ]
    for view in views:
        if view.name != painted.name:
            items.append(_outline(run, view))
    run.new = refine(run.new, run.kept, items, steps=config.steps, seed=config.seed, work=run.work)


def _outline(run: EditRun, view: PosedView) -> Supervision:
    """Another view: beside the new splats it shows what it showed before; what it sees of them is free."""
    assert run.new is not None
    theirs = new_weight(run.kept, run.new, view.camera) > TOUCHED
    return Supervision(
        name=view.name,
        camera=view.camera,
        rgb=as_array(render(run.kept, view.camera).rgb[0].clamp(0, 1)),
        trusted=~as_array(dilate(theirs, 2)),
        depth=None,
        around=as_array(theirs),
    )


def strays(new: GaussianSplats, painted: PaintedView, depth: NDArray[np.float32]) -> Tensor:
    """New splats that are not on the painted surface, as the painted view sees it  # [N] bool

    Args:
        new: New splats.
        painted: The edited view.
        depth: z-depth of the painted surface, read under the mask  # [H, W]
    """
    surface = torch.from_numpy(np.where(painted.mask, depth, 0))
    return ~sight(new.means.cpu(), painted.camera, surface, None, STRAY).seen


def _clean(run: EditRun, views: Sequence[PosedView], painted: PaintedView, depth: NDArray[np.float32]) -> None:
    """Takes out strays and what lies at a camera."""
    assert run.new is not None
    astray, blocking = strays(run.new, painted, depth), in_the_way(run.new, [view.camera for view in views])
    run.report.stray_splats = int(astray.sum())
    run.report.near_camera_splats = int((blocking & ~astray).sum())
    run.new = run.new.select(~(astray | blocking).to(run.new.device))


def _check(
    run: EditRun, views: Sequence[PosedView], painted: PaintedView, picture: NDArray[np.float32], depth: NDArray[np.float32]
) -> None:
    """Measures of the painted view, and where the object shows."""
    if run.new is None or len(run.new) == 0:
        run.report.notes.append("no new splat is left; is the painted part at a camera?")
        return
    after = render(run.scene(), painted.camera)
    run.report.checks.update(reference_checks(after, painted.mask, picture, depth))
    shares, outside = shown_in(run, views)
    run.report.shows_in = shares
    run.report.checks["views_that_show_it"] = sum(share > 0 for share in shares.values())
    run.report.checks["changed_beside_it"] = outside
    hidden = 1 - float((new_weight(run.kept, run.new, painted.camera)[_like(painted.mask, run)] > DOMINATES).float().mean())
    run.report.checks["hidden_share_of_mask"] = hidden


def reference_checks(
    after: Render, mask: NDArray[np.bool_], picture: NDArray[np.float32], depth: NDArray[np.float32]
) -> dict[str, float]:
    """How well the edited view shows the picture and the depth that it was made from.

    Returns:
        PSNR in dB under the mask, mean relative difference of opaque depth there, and the share that is opaque.
    """
    rgb, drawn = as_array(after.rgb[0].clamp(0, 1)), as_array(after.depth[0])
    opaque = mask & (as_array(after.alpha[0]) >= OPAQUE) & (depth > 0)
    difference = np.abs(drawn[opaque] - depth[opaque]) / depth[opaque]
    return {
        "psnr_in_mask": psnr(rgb, picture, mask),
        "depth_abs_rel_in_mask": float(difference.mean()) if opaque.any() else float("nan"),
        "opaque_share_of_mask": float(opaque.sum() / mask.sum()),
    }


def shown_in(run: EditRun, views: Sequence[PosedView]) -> tuple[dict[str, float], float]:
    """Where the new splats show, and whether they change anything else.

    Returns:
        Share of each view's picture that they dominate, largest first
        Largest mean absolute colour difference of the pixels beside them, over the views that show them most
    """
    assert run.new is not None
    weights = {view.name: new_weight(run.kept, run.new, view.camera) for view in views}
    shares = {name: float((weight > DOMINATES).float().mean()) for name, weight in weights.items()}
    ordered = dict(sorted(shares.items(), key=lambda item: -item[1]))
    compared = {name for name in list(ordered)[:COMPARED] if ordered[name] > 0}
    worst = 0.0
    for view in views:
        beside = ~dilate(weights[view.name] > DOMINATES, 2)
        if view.name in compared and bool(beside.any()):
            before, after = render(run.kept, view.camera).rgb[0], render(run.scene(), view.camera).rgb[0]
            worst = max(worst, float((before - after).abs().mean(-1)[beside].mean()))
    return ordered, worst


def _like(mask: NDArray[np.bool_], run: EditRun) -> Tensor:
    return torch.from_numpy(mask).to(run.kept.device)
