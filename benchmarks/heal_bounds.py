"""What bounds a heal where the truth is known: the same heal with the true colours in its fill, the true depth, or both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scene_depth_heal.hole import HealView, as_array
from scene_depth_heal.inputs import load_views
from scene_depth_heal.workflow import HealConfig, heal_views
from torch import Tensor

from scene_depth.arrays import Array, Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.color.registry import load_image_inpainter
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.scene import Scene
from scene_depth.splats import GaussianSplats

TRUE_COLOR, TRUE_DEPTH, BOTH = "heal, true colour", "heal, true depth", "heal, both true"
BOUNDS = (TRUE_COLOR, TRUE_DEPTH, BOTH)


class Truth:
    """The views without the object, found by the camera of a view or of a part of it."""

    def __init__(self, scene: Scene, max_size: int) -> None:
        self._views = load_views(scene, max_size, None)

    def cropped(self, values: str, camera: Cameras) -> Array:
        """Colours or depth where a camera looks  # [H, W, ...]"""
        pose = camera.camera_to_world
        view = min(self._views, key=lambda each: float((each.camera.camera_to_world - pose).abs().sum()))
        left, top = (round(float(view.camera.K[0, axis, 2] - camera.K[0, axis, 2])) for axis in (0, 1))
        whole: Array = as_array(getattr(view, values))
        return whole[top : top + camera.height, left : left + camera.width]


@dataclass(frozen=True)
class TrueColors:
    """An image inpainter that knows."""

    truth: Truth

    def __call__(self, rgb: Picture, hole: Mask, *, camera: Cameras | None = None, **_: Any) -> Picture:
        """The true picture."""
        assert camera is not None
        return self.truth.cropped("rgb", camera).astype(np.float32)


@dataclass(frozen=True)
class TrueDepth:
    """A depth inpainter that knows; what the truth does not know either is the solver's."""

    truth: Truth
    harmonize: bool = False

    def __call__(
        self, rgb: NDArray[np.float32] | None, depth: Array, known: Mask, *, camera: Cameras | None = None, seed: int = 0
    ) -> DepthPrediction:
        """The true depth."""
        assert camera is not None
        guess = load_depth_inpainter("solver")(rgb, depth, known, camera=camera, seed=seed).depth
        true = self.truth.cropped("depth", camera)
        return DepthPrediction(np.where(true > 0, true, guess).astype(depth.dtype))


def bounded_heals(
    splats: GaussianSplats, removed: Tensor, views: list[HealView], config: HealConfig, truth: Truth
) -> Iterator[tuple[str, GaussianSplats]]:
    """The heals that know more than any fill can."""
    solver, exemplar = load_depth_inpainter("solver"), load_image_inpainter("exemplar")
    colors, depth = TrueColors(truth), TrueDepth(truth)
    for name, of_depth, of_color in (
        (TRUE_COLOR, solver, colors),
        (TRUE_DEPTH, depth, exemplar),
        (BOTH, depth, colors),
    ):
        yield name, heal_views(splats, removed, views, of_depth, of_color, config).splats
