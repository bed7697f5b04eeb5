"""New splats are fitted to their references and to what every photo shows beside the object; old ones stay frozen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.fitting.config import FitConfig, Rates
from scene_depth.fitting.fit import fit
from scene_depth.rendering.bounds import region_around
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress, Work
from scene_depth_heal.fill import Filled
from scene_depth_heal.hole import ViewState, as_array

MARGIN = 24  # pixels around the object that are optimised with it: more than the reach of the SSIM window


LEAST_ROUND = 20  # steps whose mean loss is compared with that of as many before, at least
SETTLED = 0.01  # part of the loss that such a round must win for the fit to go on


def views_to_fit(states: Sequence[ViewState], fills: Sequence[Filled]) -> list[View]:
    """References are trusted whole; of other views, the photo beside the object and what remains behind it, where that was seen.

    Args:
        states: The views.
        fills: Filled references.
    """
    filled = {fill.view.name: fill for fill in fills}
    views = []
    for state in states:
        fill = filled.get(state.name)
        if fill is None:
            views += window_around(state.object_pixels, state.name, state.camera, state.picture, ~state.unseen)
        else:
            view, depth = fill.view, torch.from_numpy(fill.prediction.depth)
            depth = torch.where(view.new_pixels.cpu(), depth, 0.0).float()
            everywhere = torch.ones_like(view.unseen)
            there = view.object_pixels | view.new_pixels
            views += window_around(there, view.name, view.camera, fill.rgb, everywhere, depth)
    return views


def window_around(
    there: Tensor, name: str, camera: Cameras, rgb: Tensor, trusted: Tensor, depth: Tensor | None = None
) -> list[View]:
    """The part of a view around an edit, as a view of its own with a cropped camera; none where the edit does not show.

    Args:
        there: Where the edit is, so that only its surroundings are drawn  # [H, W] bool
        name: Name of the view.
        camera: Camera at the working size.
        rgb: Picture that the new splats are to give  # [H, W, 3]
        trusted: Pixels of it that are to be trusted  # [H, W] bool
        depth: z-depth that they are to have, 0 where nothing is said; None for a view without any  # [H, W]
    """
    box = region_around(there)
    if box is None:
        return []
    top, left = max(0, box[1] - MARGIN), max(0, box[0] - MARGIN)
    bottom, right = min(camera.height, box[3] + MARGIN), min(camera.width, box[2] + MARGIN)
    window = (slice(top, bottom), slice(left, right))
    return [
        View(
            name=name,
            camera=camera.cropped(left, top, right - left, bottom - top),
            load_image=partial(as_array, rgb[window]),
            load_mask=partial(as_array, trusted[window]),
            load_depth=None if depth is None else partial(as_array, depth[window]),
        )
    ]


def refine(
    new: GaussianSplats,
    frozen: GaussianSplats,
    views: Sequence[View],
    *,
    steps: int,
    seed: int = 0,
    until_settled: bool = False,
    work: Work,
) -> GaussianSplats:
    """Optimises the new splats in the windows around the object, with colour, and with depth in the references.

    Args:
        new: Splats to optimise.
        frozen: All other splats; they never change.
        views: Windows around the object; see ``window_around``.
        steps: Optimisation steps, at most.
        seed: Seed of the order of the views.
        until_settled: Whether it may end earlier, when a round through the views wins hardly anything.
        work: Is told how far the fit is, and may stop it.
    """
    config = FitConfig(
        steps=steps,
        max_size=max(max(view.camera.width, view.camera.height, 16) for view in views),
        low_resolution_steps=0.0,
        sh_degree=0,
        antialiased=frozen.antialiased,
        density=None,
        mask_use="keep",
        depth_weight=0.2,
        rates=Rates(means_lr=4e-5),
    )

    losses: list[float] = []

    def on_progress(now: Progress) -> bool:
        losses.append(now.measures["loss"])
        settled = until_settled and has_settled(losses, len(views))
        if now.done % 10 and now.done != now.total and not settled:
            return not work.stopped
        return work.report(now) and not settled

    scene = Scene(tuple(views))
    result = fit(scene, initial=new, config=config, frozen=frozen, on_progress=on_progress, seed=seed, device=new.device)
    ended = result.report.finished or (until_settled and has_settled(losses, len(views)))
    work.stopped = work.stopped or not ended
    return result.splats


def has_settled(losses: Sequence[float], views: int) -> bool:
    """Whether a fit wins hardly anything any more: a round through all views is little better than the one before.

    Args:
        losses: Of all steps so far, one view each.
        views: Number of views, which are visited in rounds.
    """
    steps = views * -(-LEAST_ROUND // views)
    if len(losses) % steps or len(losses) < 3 * steps:
        return False
    return float(np.mean(losses[-steps:])) > (1 - SETTLED) * float(np.mean(losses[-2 * steps : -steps]))
