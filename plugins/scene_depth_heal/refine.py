"""New splats are fitted to their references and to what every photo shows beside the object; old ones stay frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.fitting.config import FitConfig, Rates
from scene_depth.fitting.fit import fit
from scene_depth.geometry.visibility import sight
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress, Work
from scene_depth_heal.fill import Filled, as_array
from scene_depth_heal.hole import ViewState

MARGIN = 24  # pixels around the object that are optimised with it: more than the reach of the SSIM window
FLOATING_VIEWS = 2  # views that must see through a new splat before it is taken out


@dataclass(frozen=True)
class Supervision:
    """What one view says about the new splats.

    Attributes:
        name: Name of the view.
        camera: Camera at the working size.
        rgb: Picture  # [H, W, 3]
        trusted: Pixels of it that are to be trusted  # [H, W] bool
        depth: z-depth of the filled pixels, 0 elsewhere; None for a view without any  # [H, W]
        around: Where the object was, so that only its surroundings are drawn  # [H, W] bool
    """

    name: str
    camera: Cameras
    rgb: NDArray[np.float32]
    trusted: NDArray[np.bool_]
    depth: NDArray[np.float32] | None
    around: NDArray[np.bool_]


def supervision_of(states: Sequence[ViewState], fills: Sequence[Filled]) -> list[Supervision]:
    """References are trusted whole; of other views, the photo beside the object and what remains behind it, where that was seen.

    Args:
        states: The views.
        fills: Filled references.
    """
    filled = {fill.reference.name: fill for fill in fills}
    items = []
    for state in states:
        around, unseen, fill = as_array(state.object_pixels), as_array(state.unseen), filled.get(state.name)
        seen = np.where(around[..., None], as_array(state.rgb_after), state.view.rgb)
        items.append(
            Supervision(
                name=state.name,
                camera=state.camera,
                rgb=seen if fill is None else fill.rgb,
                trusted=~unseen if fill is None else np.ones_like(unseen),
                depth=None if fill is None else np.where(fill.reference.new_pixels, fill.prediction.depth, 0).astype(np.float32),
                around=around,
            )
        )
    return items


def refine(
    new: GaussianSplats,
    frozen: GaussianSplats,
    supervision: Sequence[Supervision],
    *,
    steps: int,
    seed: int = 0,
    work: Work,
) -> GaussianSplats:
    """Optimises the new splats in the windows around the object, with colour, and with depth in the references.

    Args:
        new: Splats to optimise.
        frozen: All other splats; they never change.
        supervision: The views; those without the object in sight are left out.
        steps: Optimisation steps.
        seed: Seed of the order of the views.
        work: Is told how far the fit is, and may stop it.
    """
    views = [windowed_view(item) for item in supervision if item.around.any()]
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

    def on_progress(now: Progress) -> bool:
        if now.done % 10 and now.done != now.total:
            return not work.stopped
        return work.report(now)

    scene = Scene(tuple(views))
    result = fit(scene, initial=new, config=config, frozen=frozen, on_progress=on_progress, seed=seed, device=new.device)
    work.stopped = work.stopped or not result.report.finished
    return result.splats


def windowed_view(item: Supervision) -> View:
    """The part of a view around the object, as a view of its own with a cropped camera."""
    rows, columns = np.flatnonzero(item.around.any(axis=1)), np.flatnonzero(item.around.any(axis=0))
    top, left = max(0, rows[0] - MARGIN), max(0, columns[0] - MARGIN)
    bottom = min(item.camera.height, rows[-1] + 1 + MARGIN)
    right = min(item.camera.width, columns[-1] + 1 + MARGIN)
    window = (slice(top, bottom), slice(left, right))
    return View(
        name=item.name,
        camera=item.camera.cropped(int(left), int(top), int(right - left), int(bottom - top)),
        load_image=lambda: item.rgb[window],
        load_mask=lambda: item.trusted[window],
        load_depth=None if item.depth is None else lambda: item.depth[window],  # type: ignore[index]
    )


def floating(new: GaussianSplats, states: Sequence[ViewState], tolerance: float = 0.05) -> Tensor:
    """New splats that stand in front of surfaces which several views know  # [N] bool

    Args:
        new: The new splats.
        states: The views before the deletion.
        tolerance: Relative depth by which a splat must stand before the surface.
    """
    count = torch.zeros(len(new), dtype=torch.int64, device=new.device)
    for state in states:
        outside = torch.where(state.object_pixels, 0.0, state.depth_before)
        count += sight(new.means, state.camera, outside, None, tolerance).floating
    return count >= FLOATING_VIEWS
