"""Sky as a far layer: at one distance beyond everything else, and none of the depth inpainter's business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import MAD_TO_SIGMA, Mask
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel, ExactInpainter
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.solver.problem import lab
from scene_depth.errors import InputError
from scene_depth.scene import View

FAR = 20.0  # times the scene's own reach: parallax of a step within the scene is a pixel or two there
REACH = 0.95  # quantile of the known depth that is its reach
IS_SKY = 0.5  # of the layer's depth from which a known pixel belongs to it
LIKENESS = 3.0  # robust standard deviations of the colour, ...
LEAST_LIKENESS = 0.06  # ... and at least so much of the way from black to white
RIM = 3  # pixels beside an edge, whose slope is the edge's
STEP = 0.04  # of that way between neighbours ends the sky


def with_sky(views: Sequence[View], skies: Sequence[Mask | None]) -> tuple[list[View], float]:
    """The same views with their sky on the far layer, and its depth.

    Args:
        views: Views with depth.
        skies: Mask of each view's sky; None for pixels of unknown depth that are joined with the upper border  # [H, W]

    Raises:
        InputError: If a mask has another size than its view, or no pixel is left that is not sky and has depth.
    """
    depths, masks, reaches = [], [], []
    for view, sky in zip(views, skies, strict=True):
        depth = np.asarray(view.depth(), np.float32)
        known = np.isfinite(depth) & (depth > 0)
        mask = joined_with_top(~known) if sky is None else sky
        if mask.shape != depth.shape:
            found = f"{mask.shape[1]} x {mask.shape[0]}"
            raise InputError(f"sky of {view.name!r}: size", found, f"{depth.shape[1]} x {depth.shape[0]}, as the view")
        if (known & ~mask).any():
            reaches.append(float(np.quantile(depth[known & ~mask], REACH)))
        depths.append(depth)
        masks.append(mask)
    if not reaches:
        raise InputError("sky", "everything, or what is not sky has no depth", "some pixel with depth that is not sky")
    far = FAR * max(reaches)
    made = [
        replace(view, load_depth=partial(_same, np.where(mask, np.float32(far), depth)))
        for view, depth, mask in zip(views, depths, masks, strict=True)
    ]
    return made, far


def joined_with_top(mask: Mask) -> Mask:
    """The parts of a mask that reach the upper border."""
    labels, _ = ndimage.label(mask)
    joined: Mask = mask & np.isin(labels, labels[0])
    return joined


def grow_sky(rgb: NDArray[np.float32], sky: Mask, new: Mask) -> Mask:
    """New pixels that go on from known sky without an edge and in its colours.

    Args:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        sky: Known sky  # [H, W]
        new: Pixels that may be sky  # [H, W]
    """
    if not sky.any() or not new.any():
        return np.zeros_like(sky)
    sharp = lab(rgb)
    usual = np.median(sharp[:, sky], axis=1)[:, None, None]
    distance = np.linalg.norm(sharp - usual, axis=0)
    like = distance <= max(LIKENESS * MAD_TO_SIGMA * float(np.median(distance[sky])), LEAST_LIKENESS)
    slopes = [ndimage.sobel(ndimage.gaussian_filter(plane, 1.0), axis) / 8 for plane in sharp for axis in (0, 1)]
    even = np.sqrt(np.square(slopes).sum(axis=0)) <= STEP
    labels, _ = ndimage.label(sky | (new & like & even))
    joined = np.unique(labels[sky])
    grown = np.isin(labels, joined[joined > 0])
    up_to_edge: Mask = new & ndimage.binary_dilation(grown, iterations=RIM, mask=grown | (new & like))
    return up_to_edge


@dataclass(frozen=True)
class SkyInpainter(DepthModel):
    """Another inpainter for everything but the sky, which is put on the far layer.

    Attributes:
        inpainter: Gets neither the sky's depth nor the sky's pixels to predict anything for that matters.
        far: Depth of the layer, in scene units.
    """

    inpainter: ExactInpainter
    far: float

    @property
    def prior(self) -> Any:
        """The prior of the other inpainter, if it has one."""
        return getattr(self.inpainter.inpainter, "prior", None)

    @property
    def harmonize(self) -> bool | None:
        return self.inpainter.harmonize

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts with the other inpainter and puts new sky on the layer."""
        sky = view.known & (view.depth > IS_SKY * self.far)
        new = np.zeros_like(sky) if view.rgb is None else grow_sky(view.rgb, sky, ~view.known)
        rest = view.known & ~sky
        if not rest.any():
            return DepthPrediction(np.full(view.shape, self.far))
        told = InpaintingInput(view.rgb, np.where(rest, view.depth, 0), rest, view.camera)
        found = self.inpainter.predict(told, seed=seed)
        depth = np.where(sky | new, self.far, np.where(rest, view.depth, found.depth))
        uncertainty = None if found.uncertainty is None else np.where(sky | new, 0, found.uncertainty).astype(np.float32)
        return DepthPrediction(depth, uncertainty, details={**found.details, "sky_share": float((sky | new).mean())})


def _same(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values
