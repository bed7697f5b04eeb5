"""Splats against pictures: an edited scene against truth (hole, border, between views), and a fit against its photos."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.seam import measure_seam
from scene_depth.errors import InputError
from scene_depth.evaluation.depth_metrics import depth_errors
from scene_depth.evaluation.images import psnr, ssim
from scene_depth.evaluation.residue import Picture, behind, object_left, shadow_left
from scene_depth.fitting.training_views import MaskUse, TrainingViews
from scene_depth.geometry.visibility import sight
from scene_depth.io.images import images_named_like, read_mask
from scene_depth.rendering import render
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats

SURFACE = 0.5  # alpha from which a rendered depth counts
SAME_SURFACE = 0.02  # relative depth difference between views on one surface
NEIGHBOURS = 3  # nearest views that the consistency is measured with


@dataclass(frozen=True)
class SceneScore:
    """Measures of one view; None where there is nothing to measure.

    Attributes:
        name: Of the view.
        hole_pixels: Pixels of the hole.
        psnr_hole, ssim_hole: Render against truth inside the hole.
        psnr_outside, ssim_outside: The same outside it.
        depth_abs_rel: Mean of ``|d - g| / g`` of rendered depth inside the hole; pixels without an opaque surface count as 1.
        depth_delta1: Share of the hole's pixels with max(d / g, g / d) < 1.25; those without a surface count as wrong.
        seam_jump: Mean relative step of rendered depth across the hole's border.
        seam_jump_beside: The same statistic beside the border.
        consistency: Share of the hole's surface points that the nearest other views show at the same place, of those that
            they could show.
        floating: Share of those points that stand before what the other view shows.
        preservation: PSNR outside the hole of the render after the edit against that before it.
        object_left: Of the hole's pixels where object and truth differ in colour, the share that still has the object's.
        object_left_depth: Share of the hole's surface points that stand before what two or more other views saw past the object.
        psnr_behind: The hole against what other views saw of the same surface past the object.
        shadow_left: How much of the object's shadow beside the hole is left: 1 as before, 0 gone.

    The last five need the splats before the edit, and the fields on the object and its shadow a reference without it.

    Example:
        >>> import scene_depth as sd
        >>> sd.SceneScore("frame_03.jpg", hole_pixels=812, psnr_hole=28.04, depth_abs_rel=0.0093)
        SceneScore('frame_03.jpg', hole_pixels 812, psnr_hole 28.04, depth_abs_rel 0.0093)
    """

    name: str
    hole_pixels: int
    psnr_hole: float | None = None
    ssim_hole: float | None = None
    psnr_outside: float | None = None
    ssim_outside: float | None = None
    depth_abs_rel: float | None = None
    depth_delta1: float | None = None
    seam_jump: float | None = None
    seam_jump_beside: float | None = None
    consistency: float | None = None
    floating: float | None = None
    preservation: float | None = None
    object_left: float | None = None
    object_left_depth: float | None = None
    psnr_behind: float | None = None
    shadow_left: float | None = None

    def __repr__(self) -> str:
        values = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name != "name"}
        words = (f"{name} {value:.4g}" for name, value in values.items() if value is not None)
        return f"SceneScore({self.name!r}, {', '.join(words)})"


def evaluate_scene(
    splats: GaussianSplats,
    truth: Scene,
    masks: str | PathLike[str] | Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    max_size: int = 640,
    before: GaussianSplats | None = None,
) -> list[SceneScore]:
    """Measures edited splats on views whose truth is known: inside the hole, outside it, at its border, between views.

    Args:
        splats: The edited scene.
        truth: Views as they should look, with depth where it is known.
        masks: Where the object was: a folder of masks named like the views, white where it was, or masks by view name, each
            [H, W]; by default the masks of ``truth``.
        max_size: Longer side of the pictures that are compared, in pixels.
        before: The scene before the edit, to measure what the edit changed elsewhere and left of the object.

    Returns:
        One score a view that has a hole; ``mean_scores`` gives their means.

    Raises:
        InputError: If there are no masks, no view has a hole, or a mask is not of its view's size.

    Example:
        >>> import scene_depth as sd
        >>> truth = sd.read_scene("scenes/table/removed", split="test")
        >>> scores = sd.evaluate_scene(sd.read_splats("scenes/table/splats.spz"), truth, "scenes/table/masks", max_size=64)
        >>> len(scores), all(score.psnr_outside > score.psnr_hole for score in scores)
        (8, True)
    """
    holes = masks if isinstance(masks, Mapping) else find_holes(truth, masks)
    chosen = [index for index, view in enumerate(truth.views) if view.name in holes and holes[view.name].any()]
    if not chosen:
        raise InputError("masks", "no hole in any view", "masks of the removed object for some of the views", file=truth.source)
    views = TrainingViews(truth.views, max_size, with_depth=True)
    sized = [
        _resized_hole(holes[view.name], view, views.camera(i)) if view.name in holes else None
        for i, view in enumerate(truth.views)
    ]
    shown = [_draw(splats, views, index, hole) for index, hole in enumerate(sized)]
    drawn = [] if before is None else [_draw(before, views, index, hole) for index, hole in enumerate(sized)]
    scores = []
    for index in chosen:
        others = [shown[i] for i in _nearest(views, index, NEIGHBOURS)]
        score = _score(truth.views[index].name, shown[index], others, views, index)
        scores.append(
            score if before is None else _with_residue(score, shown[index], index, drawn, views.target(index).image.numpy())
        )
    return scores


def find_holes(truth: Scene, masks: str | PathLike[str] | None) -> dict[str, NDArray[np.bool_]]:
    """Where the object was, by view name  # [H, W] each

    Raises:
        InputError: If there are no masks.
    """
    if masks is None:
        holes = {view.name: view.mask() for view in truth.views if view.load_mask is not None}
        if not holes:
            raise InputError("masks", "a reference without masks", "a folder of masks (--masks DIR)", file=truth.source)
        return holes
    files = images_named_like(Path(masks), [view.name for view in truth.views], what="masks")
    return {name: read_mask(file) for name, file in files.items()}


def mean_scores(scores: Sequence[SceneScore]) -> dict[str, float]:
    """Mean of every measure over the views that have it; PSNR as the mean of decibels, as the field reports it.

    Example:
        >>> import scene_depth as sd
        >>> sd.mean_scores([sd.SceneScore("a", hole_pixels=8, psnr_hole=27.0), sd.SceneScore("b", hole_pixels=6, psnr_hole=29.0)])
        {'hole_pixels': 7.0, 'psnr_hole': 28.0}
    """
    means = {}
    for entry in fields(SceneScore):
        values = [getattr(score, entry.name) for score in scores]
        present = [value for value in values if isinstance(value, int | float) and math.isfinite(value)]
        if present:
            means[entry.name] = float(np.mean(present))
    return means


@dataclass(frozen=True)
class ViewScore:
    """Likeness of one render to its photo.

    Attributes:
        name: Of the view.
        psnr: Decibels; of the pixels that count, if the view has a mask that is used.
        ssim: Likewise.
        rendered: The render, sRGB clipped to [0, 1]  # [H, W, 3]
        photo: The photo at the same size  # [H, W, 3]
    """

    name: str
    psnr: float
    ssim: float
    rendered: NDArray[np.float32]
    photo: NDArray[np.float32]


def score_views(splats: GaussianSplats, scene: Scene, *, max_size: int, mask_use: MaskUse = "none") -> Iterator[ViewScore]:
    """Renders each view of a scene and compares, without fitting anything to the view.

    Args:
        splats: Splats in the frame of the scene.
        scene: Views with images.
        max_size: Longer side of the pictures in pixels, at most; photos are reduced by area averages.
        mask_use: Which pixels count, as in fitting.

    Yields:
        One score a view, in the order of the scene.
    """
    views = TrainingViews(scene.views, max_size, mask_use, cache_bytes=0)
    splats = splats.detach()
    for index, view in enumerate(scene.views):
        target = views.target(index)
        with torch.no_grad():
            rendered = render(splats, target.camera).rgb[0].clamp(0, 1).cpu().numpy()
        photo, counts = target.image.numpy(), None if target.counts is None else target.counts.numpy()
        yield ViewScore(view.name, psnr(rendered, photo, counts), ssim(rendered, photo, counts), rendered, photo)


def _draw(splats: GaussianSplats, views: TrainingViews, index: int, hole: NDArray[np.bool_] | None) -> Picture:
    camera = views.camera(index)
    with torch.no_grad():
        image = render(splats.detach(), camera)
    depth = torch.where(image.alpha[0] >= SURFACE, image.depth[0], 0.0).cpu()
    return Picture(camera, image.rgb[0].clamp(0, 1).cpu().numpy(), depth, hole)


def _score(name: str, shown: Picture, others: Sequence[Picture], views: TrainingViews, index: int) -> SceneScore:
    target, hole = views.target(index), shown.hole
    assert hole is not None
    photo = target.image.numpy()
    depth = shown.depth.numpy()
    abs_rel, delta1 = _depth_in_hole(depth, None if target.depth is None else target.depth.numpy(), hole)
    seam = measure_seam(np.where(depth > 0, depth, np.nanmax(depth)), ~hole) if (depth > 0).any() else None
    consistency, floating = _agreement(shown, others, hole)
    return SceneScore(
        name=name,
        hole_pixels=int(hole.sum()),
        psnr_hole=_finite(psnr(shown.rgb, photo, hole)),
        ssim_hole=_finite(ssim(shown.rgb, photo, hole)),
        psnr_outside=_finite(psnr(shown.rgb, photo, ~hole)),
        ssim_outside=_finite(ssim(shown.rgb, photo, ~hole)),
        depth_abs_rel=abs_rel,
        depth_delta1=delta1,
        seam_jump=None if seam is None else seam.depth_jump,
        seam_jump_beside=None if seam is None else seam.depth_jump_beside,
        consistency=consistency,
        floating=floating,
    )


def _with_residue(
    score: SceneScore, shown: Picture, index: int, before: Sequence[Picture], truth: NDArray[np.float32]
) -> SceneScore:
    """The score with what the edit changed elsewhere and what it left of the object."""
    assert shown.hole is not None
    blocked, psnr_behind = behind(shown, [picture for place, picture in enumerate(before) if place != index])
    return replace(
        score,
        preservation=_finite(psnr(shown.rgb, before[index].rgb, ~shown.hole)),
        object_left=object_left(shown, before[index], truth),
        object_left_depth=blocked,
        psnr_behind=None if psnr_behind is None else _finite(psnr_behind),
        shadow_left=shadow_left(shown, before[index], truth),
    )


def _depth_in_hole(depth: NDArray[Any], truth: NDArray[Any] | None, hole: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    """AbsRel and delta1 over the hole's pixels with truth, those without a rendered surface counted as fully wrong."""
    if truth is None or not (hole & (truth > 0)).any():
        return None, None
    wanted = hole & (truth > 0)
    shown = wanted & (depth > 0)
    share = shown.sum() / wanted.sum()
    errors = depth_errors(depth, truth, shown)
    if errors.abs_rel is None or errors.delta1 is None:
        return 1.0, 0.0
    return float(share * errors.abs_rel + (1 - share)), float(share * errors.delta1)


def _agreement(shown: Picture, others: Sequence[Picture], hole: NDArray[np.bool_]) -> tuple[float | None, float | None]:
    wanted = torch.from_numpy(hole) & (shown.depth > 0)
    if not wanted.any() or not others:
        return None, None
    points = shown.camera.unproject(shown.depth[None])[0][wanted]
    seen = before = compared = 0
    for other in others:
        sighting = sight(points, other.camera, other.depth, None, SAME_SURFACE)
        seen += int(sighting.seen.sum())
        before += int(sighting.floating.sum())
        compared += int((sighting.seen | sighting.floating).sum())
    return (None, None) if compared == 0 else (seen / compared, before / compared)


def _nearest(views: TrainingViews, index: int, count: int) -> list[int]:
    centers = torch.stack([views.camera(i).centers[0] for i in range(len(views))])
    order = (centers - centers[index]).norm(dim=1).argsort().tolist()
    return [i for i in order if i != index][:count]


def _resized_hole(hole: NDArray[np.bool_], view: View, camera: Cameras) -> NDArray[np.bool_]:
    """The hole at the size of comparison: pixels that touch it."""
    native, size = (view.camera.height, view.camera.width), (camera.height, camera.width)
    if hole.shape != native:
        raise InputError(f"hole of view {view.name!r}", f"size {hole.shape}", f"{native}, the size of the view")
    if hole.shape == size:
        return hole
    covered = torch.nn.functional.adaptive_max_pool2d(torch.from_numpy(hole)[None, None].float(), size)
    return covered[0, 0].numpy() > 0


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
