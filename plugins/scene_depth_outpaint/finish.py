"""From views to a scene: their points, and splats fitted to all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.evaluation.images import psnr
from scene_depth.fitting.config import FitConfig, Rates
from scene_depth.fitting.fit import fit
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.rendering import render
from scene_depth.scene import PointCloud, Scene, View
from scene_depth.splats import GaussianSplats, concatenate_splats
from scene_depth.work import Progress, Work
from scene_depth_outpaint.picture_border import plain_border
from scene_depth_outpaint.result import OutpaintConfig
from scene_depth_outpaint.state import OutpaintedView
from scene_depth_outpaint.step import Room

MOST_POINTS = 200_000  # in the scene's cloud; splats have all
SPREAD = 0.45  # pixels: narrower splats show the pictures sharper, and the views overlap


@dataclass(frozen=True)
class Finished:
    """What an outpainting leaves.

    Attributes:
        scene: All views with the points of their surfaces.
        splats: Those that were there before first, then the new ones.
        start_psnr: PSNR in decibels of the start's first view rendered from the splats.
    """

    scene: Scene | None
    splats: GaussianSplats | None
    start_psnr: float | None


def fit_views(room: Room, first: int, frozen: GaussianSplats | None, config: OutpaintConfig, work: Work) -> GaussianSplats | None:
    """Splats of the views from one on, fitted to these and to all earlier ones that look to where they are.

    Args:
        room: All views.
        first: Number of the first view that gets splats.
        frozen: What is there already, and stays as it is.
        config: Steps for each view, size of the pictures, seed.
        work: Is told how far the fit is, and may stop it.

    Returns:
        The new splats; None where the views brought nothing.
    """
    parts = []
    for view, kept in list(zip(room.views, room.kept, strict=True))[first:]:
        if kept.any():
            parts.append(splats_of_view(view, kept))
    if not parts:
        return None
    new = concatenate_splats(parts)
    if not config.fit_steps:
        return new
    near = {id(view) for view in room.seen_by(new.means)}
    used = [view for number, view in enumerate(room.views) if number >= first or id(view) in near]
    settings = FitConfig(
        steps=config.fit_steps * len(used),
        max_size=config.fit_size,
        low_resolution_steps=0.0,
        sh_degree=0,
        density=None,
        depth_weight=0.2,
        mask_use="ignore",
        rates=Rates(means_lr=4e-5, colors_lr=2e-2, scales_lr=2e-2),  # they begin where they belong, and end soon
    )

    def on_progress(now: Progress) -> bool:
        return work.report(Progress("splats", now.done, now.total, measures=now.measures))

    result = fit(
        Scene(tuple(map(_without_border, used))),
        initial=new,
        config=settings,
        frozen=frozen,
        seed=config.seed,
        on_progress=on_progress,
        device="cpu",
    )
    work.stopped |= not result.report.finished
    return result.splats


def splats_of_view(view: OutpaintedView, kept: NDArray[np.bool_]) -> GaussianSplats:
    """Splats of the pixels of a view that lie on surfaces, before any fit."""
    return splats_on_depth(view.image / np.float32(255), view.depth, kept, view.camera, spread=SPREAD)


def scene_of(room: Room) -> Scene:
    """All views, named after their steps, with the points of their surfaces."""
    pairs = list(zip(room.views, room.kept, strict=True))
    every = max(1, sum(int(kept.sum()) for _, kept in pairs) // MOST_POINTS)
    xyz = np.concatenate([_points(view.camera, view.depth, kept)[::every] for view, kept in pairs])
    rgb = np.concatenate([view.image[kept][::every] for view, kept in pairs])
    return Scene(tuple(map(_scene_view, room.views)), PointCloud(xyz, rgb))


def _scene_view(view: OutpaintedView) -> View:
    name = f"{view.report.index:03d}.png"
    return View(name, view.camera, load_image=partial(_picture, view), load_depth=partial(_depth, view))


def _without_border(made: OutpaintedView) -> View:
    """A view with a mask, white on a border around a picture of the start, which no splats show."""
    has_border = made.report.kind == "start" and plain_border(made.image).any()
    return replace(_scene_view(made), load_mask=partial(plain_border, made.image)) if has_border else _scene_view(made)


def _picture(view: OutpaintedView) -> NDArray[np.float32]:
    picture: NDArray[np.float32] = (view.image / np.float32(255)).astype(np.float32)
    return picture


def _depth(view: OutpaintedView) -> NDArray[np.float32]:
    return view.depth


def _points(camera: Cameras, depth: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    points: NDArray[np.float64] = camera.unproject(torch.from_numpy(depth.astype(np.float64))[None])[0].numpy()[where]
    return points


def likeness(splats: GaussianSplats, view: OutpaintedView) -> float:
    """PSNR of the splats seen from a view, but for a border around its picture."""
    return psnr(render(splats, view.camera).rgb[0].numpy(), _picture(view), ~plain_border(view.image))
