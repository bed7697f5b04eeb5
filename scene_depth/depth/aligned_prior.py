"""Depth inpainters that bring a monocular prior onto known depth as other systems do, to compare with.

The solver with a prior continues known depth along it. These here align the prior as a whole, or in two steps, and put known
depth over it; none of them looks at the picture. All need a prior (``with_prior``, ``--prior``, or the option itself).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import griddata

from scene_depth.arrays import Array, Mask
from scene_depth.depth.alignment import Fit, Space, apply_fit, fit_globally
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.prior import MonocularMap, Prior, check_fit, read_prior
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.errors import InputError

RATE, ITERATIONS = 1e-3, 100  # of Adam in LucidDreamer's first step
CLOSED, SHRUNK = 9, 11  # pixels: its maximum and minimum filters of the mask


NEEDS_PRIOR = "a monocular prior, which this inpainter aligns (--prior NAME, prior=)"


@dataclass(frozen=True)
class AlignedPrior(DepthModel):
    """What the inpainters of this module share.

    Attributes:
        prior: The prior: values of the view's size, a map, or a monocular model.
        prior_space: What the prior is: "inverse" depth, "depth", "log" depth, or "auto" for what a map says of itself.
    """

    prior: Prior | None = None
    prior_space: Space | Literal["auto"] = "auto"

    @property
    def harmonize(self) -> bool | None:
        return False  # the seam is part of what is compared

    @staticmethod
    def find_weights() -> None:
        """The weights of the prior, which nothing names by default.

        Raises:
            InputError: Always, for lists of what is ready.
        """
        raise InputError("prior", "none", NEEDS_PRIOR)

    def read(self, view: InpaintingInput, seed: int) -> MonocularMap:
        """The prior of a view.

        Raises:
            InputError: If there is none, or it does not fit the view.
        """
        if self.prior is None:
            raise InputError("prior", "none", NEEDS_PRIOR)
        return read_prior(self.prior, view, self.prior_space, seed)


@dataclass(frozen=True)
class ScaleAndShift(AlignedPrior):
    """The prior under one robust scale and shift, or one scale, over the whole view; the usual baseline of depth completion.

    Attributes:
        fit: "affine", "scale", or "auto", as in ``fit_globally``.
    """

    name: ClassVar[str] = "scale_and_shift"

    fit: Fit = "affine"

    def __post_init__(self) -> None:
        check_fit(self.fit)

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        prior = self.read(view, seed)
        fit = fit_globally(prior.values, view.depth, view.known, prior.space, prior.resolve_fit(self.fit))
        details = {"scale": fit.scale, "shift": fit.shift, "space": fit.space}
        return DepthPrediction(apply_fit(fit, prior.values, view.depth[view.known]), details=details)


@dataclass(frozen=True)
class Text2Room(AlignedPrior):
    """The disparity fit of Text2Room (Höllein et al., ICCV 2023, section 3.2): scale and shift of inverse depth by plain least
    squares over all known pixels, known depth put over it. The blur that its code lays over the seam is left out, since it
    changes known depth."""

    name: ClassVar[str] = "text2room"

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        disparity = 1.0 / _as_depth(self.read(view, seed))
        x, y = disparity[view.known], 1.0 / view.depth[view.known].astype(np.float64)
        (scale, shift), *_ = np.linalg.lstsq(np.stack([x, np.ones_like(x)], axis=1), y, rcond=None)
        fitted = scale * disparity + shift
        usable = fitted > 0
        depth = np.where(usable, 1.0 / np.where(usable, fitted, 1.0), np.nan)  # the nearest usable depth replaces it
        return DepthPrediction(depth, details={"scale": float(scale), "shift": float(shift)})


@dataclass(frozen=True)
class LucidDreamer(AlignedPrior):
    """The two steps by which LucidDreamer (Chung et al., 2023, section 3.2) aligns metric depth, as its published code does.

    Step one scales the new points about the origin of the world, where its first camera stands; Adam with rate 0.001 takes 100
    steps from 1, so that the scale moves by a tenth at most. Step two measures at the border of the known area how much farther
    the known point lies along the ray, and adds it to the depth of new pixels, interpolated linearly over the border and four
    corners where it is 0; what comes out is scaled again. The border is that of the area closed over cracks up to eight pixels
    wide and shrunk by one.
    """

    name: ClassVar[str] = "lucid_dreamer"

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Aligns the prior of one view.

        Raises:
            InputError: Without a camera, from whose points the scale is found.
        """
        if view.camera is None:
            raise InputError("camera", "none", "a camera, the scale is found between points in space")
        depth, known = _as_depth(self.read(view, seed)), view.known
        pose = view.camera.camera_to_world[0].numpy().astype(np.float64)
        origin, axis = pose[:3, 3], pose[:3, 2]
        rays = view.camera.ray_directions()[0].numpy().astype(np.float64)  # z of 1
        scale = adam_scale(origin + depth[known][:, None] * rays[known], origin + view.depth[known][:, None] * rays[known])
        border = _border(known)
        there = origin + view.depth[border].astype(np.float64)[:, None] * rays[border]
        here = scale * (origin + depth[border][:, None] * rays[border]) - origin
        along = ((there - origin) * here).sum(axis=1) / (here * here).sum(axis=1)
        farther = _interpolate(border, (along - 1.0) * (here @ axis))
        new = scale * (origin + (depth + farther)[..., None] * rays) - origin
        return DepthPrediction(new @ axis, details={"scale": scale, "border_pixels": int(border.sum())})


def adam_scale(points: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """The scale about the origin that brings points onto their targets, as far as LucidDreamer's optimiser comes.

    Args:
        points: New points in the world  # [N, 3]
        target: Where they should be  # [N, 3]

    Returns:
        The scale that its last step was computed with; the published code applies that one.
    """
    square, product = float((points * points).mean()), float((points * target).mean())
    scale, first, second = 1.0, 0.0, 0.0
    for step in range(1, ITERATIONS):
        gradient = 2.0 * (square * scale - product)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        scale -= RATE * (first / (1.0 - 0.9**step)) / (np.sqrt(second / (1.0 - 0.999**step)) + 1e-8)
    return float(scale)


def _border(known: Mask) -> Mask:
    """Known pixels where the closed and shrunk area ends below or to the right."""
    area = ndimage.minimum_filter(ndimage.maximum_filter(known, CLOSED), SHRUNK)
    ends = np.zeros_like(known)
    ends[:-1, :-1] = (area[:-1, :-1] != area[1:, :-1]) | (area[:-1, :-1] != area[:-1, 1:])
    ends[-1], ends[:, -1] = ends[-2] if len(ends) > 1 else False, ends[:, -2] if ends.shape[1] > 1 else False
    return ends & known


def _interpolate(border: Mask, values: Array) -> NDArray[np.float64]:
    """Values at border pixels and 0 in the four corners, linearly between them, outside of their hull the nearest  # [H, W]"""
    bottom, right = border.shape[0] - 1, border.shape[1] - 1
    corners = np.array([[0, 0], [bottom, 0], [0, right], [bottom, right]])
    places, known = np.concatenate([np.argwhere(border), corners]), np.concatenate([values, np.zeros(4)])
    everywhere = tuple(np.indices(border.shape))
    nearest: NDArray[np.float64] = griddata(places, known, everywhere, method="nearest")
    if bottom == 0 or right == 0:
        return nearest  # a line has no triangles
    linear = griddata(places, known, everywhere)
    return np.where(np.isnan(linear), nearest, linear)


def _as_depth(prior: MonocularMap) -> NDArray[np.float64]:
    """Metric depth of a prior; "auto" is taken for depth.

    Raises:
        InputError: If it is not positive.
    """
    values = prior.values.astype(np.float64)
    depth = np.exp(values) if prior.space == "log" else values
    if not (depth > 0).all():
        raise InputError("prior", f"values down to {depth.min():.3g}", "positive depth or inverse depth, of a metric model")
    return 1.0 / depth if prior.space == "inverse" else depth
