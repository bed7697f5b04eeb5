"""One deletion, healed in several ways, so that each can be measured against the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.rendering import render
from scene_depth.splats import GaussianSplats
from scene_depth.work import Progress
from scene_depth_heal.fill import as_array
from scene_depth_heal.hole import ViewState
from scene_depth_heal.workflow import HealConfig, HealResult, HealView, heal_views

DELETE_ONLY, NEAREST, HEAL = "delete only", "nearest depth", "heal"
WAYS: dict[str, tuple[str, bool]] = {DELETE_ONLY: ("nearest", True), NEAREST: ("nearest", False), HEAL: ("solver", False)}
"""For each way the depth inpainter, and whether nothing is repaired."""
UNSEEN_COLOR = np.array([1, 0, 1], dtype=np.float32)


def heal_each_way(
    splats: GaussianSplats,
    removed: Tensor,
    views: Sequence[HealView],
    config: HealConfig | None = None,
    *,
    color: str = "exemplar",
    on_progress: Callable[[str, Progress], bool | None] | None = None,
) -> dict[str, HealResult]:
    """The scene with the object's splats only deleted, healed with the nearest known depth, and healed with the solver.

    The workflow, planes that depth is put on among it, the colour inpainter, the parameters and the seed are the same, so that
    differences are those of depth.

    Args:
        splats: The scene with the object.
        removed: The splats to delete  # [N] bool
        views: Posed photos.
        config: Parameters of all three.
        color: Image inpainter by name.
        on_progress: Called with the way and how far it is; False stops that way and the rest, which are then left out.

    Returns:
        Results by way, in the order of WAYS.

    Raises:
        InputError: As ``heal``.
    """
    config = config or HealConfig()
    image_inpainter = load_image_inpainter(color)
    found: dict[str, HealResult] = {}
    stopped: list[bool] = []
    for way, (inpainter, dry_run) in WAYS.items():

        def watch(now: Progress, way: str = way) -> bool:
            if on_progress is not None and on_progress(way, now) is False:
                stopped.append(True)
            return not stopped

        depth_inpainter = load_depth_inpainter(inpainter)
        result = heal_views(splats, removed, views, depth_inpainter, image_inpainter, config, on_progress=watch, dry_run=dry_run)
        if stopped:
            break
        found[way] = replace(result, splats=splats.detach().select(~removed)) if dry_run else result
    return found


def marked_hole(state: ViewState) -> NDArray[np.float32]:
    """A view after the deletion with its unseen pixels marked  # [H, W, 3]"""
    return np.where(as_array(state.unseen)[..., None], UNSEEN_COLOR, as_array(state.rgb_after)).astype(np.float32)


def shown(splats: GaussianSplats, state: ViewState) -> NDArray[np.float32]:
    """Splats as the camera of a view sees them, sRGB  # [H, W, 3]"""
    return as_array(render(splats.detach(), state.camera).rgb[0].clamp(0, 1))


def most_unseen(result: HealResult) -> ViewState:
    """The view with the most to repair."""
    return max(result.states, key=lambda state: state.unseen_share)
