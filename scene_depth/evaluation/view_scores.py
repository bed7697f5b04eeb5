"""How well splats show views that they were not fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.evaluation.images import psnr, ssim
from scene_depth.fitting.training_views import MaskUse, TrainingViews
from scene_depth.rendering import render
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats


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
