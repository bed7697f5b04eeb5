"""What a linter needs to know of splats as a whole: where they lie, how large the scene is, which way is up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rotations import quaternions_to_matrices
from scene_depth.splats import PARAMETERS, GaussianSplats

UpSource = Literal["comment", "cameras", "geometry", "unknown"]
VISIBLE_OPACITY = 1 / 255  # renderers skip what is fainter
EXTENT_SHARE = 0.9
HISTOGRAM_BINS = 64
CERTAINTY = 3.0  # by which factor a floor must outweigh the layers in the other directions
LEAST_FLOOR = 0.03  # of the area of all splats that a floor must have


def rows_with(found: Tensor) -> NDArray[np.bool_]:
    """Rows with any true value  # [N, ...] -> [N]"""
    return (found if found.ndim == 1 else found.flatten(1).any(dim=1)).numpy()


@dataclass(frozen=True)
class SplatMeasures:
    """Splats with what several checks ask for, each computed once.

    Attributes:
        splats: On the CPU.
        ignored: Splats that are left out of all measures, as they will be removed  # [N]
        cameras: Cameras of the scene, if they are known.
    """

    splats: GaussianSplats
    ignored: NDArray[np.bool_]
    cameras: Cameras | None = None

    @cached_property
    def means(self) -> NDArray[np.float32]:
        return self.splats.means.numpy()

    @cached_property
    def sizes(self) -> NDArray[np.float32]:
        """Largest standard deviation of each splat  # [N]"""
        return self.splats.log_scales.amax(dim=1).clamp(max=80).exp().numpy()

    @cached_property
    def opacities(self) -> NDArray[np.float32]:
        return self.splats.opacities.numpy()

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Splats whose values are all finite and that are not ignored  # [N]"""
        wrong = [rows_with(~torch.isfinite(getattr(self.splats, name))) for name in PARAMETERS]
        result: NDArray[np.bool_] = ~np.logical_or.reduce([*wrong, self.ignored])
        return result

    @cached_property
    def center(self) -> NDArray[np.float64]:
        """Median of the centres of usable splats; NaN without any  # [3]"""
        return np.median(self.means[self.usable], axis=0).astype(np.float64) if self.usable.any() else np.full(3, np.nan)

    @cached_property
    def distances(self) -> NDArray[np.float64]:
        """Distances of all splats from the centre of the scene  # [N]"""
        result: NDArray[np.float64] = np.linalg.norm(self.means - self.center, axis=1)
        return result

    @cached_property
    def radius(self) -> float:
        """Distance from the centre within which 90 % of the visible splats lie: a size of the scene that a few strays do
        not change. NaN without a splat, 0 if they coincide."""
        chosen = self.usable & (self.opacities >= VISIBLE_OPACITY)
        chosen = chosen if chosen.any() else self.usable
        return float(np.quantile(self.distances[chosen], EXTENT_SHARE)) if chosen.any() else float("nan")


def up_axis(measures: SplatMeasures) -> tuple[str | None, UpSource]:
    """Which axis of the world points up, such as "-y", and what says so.

    Asked in turn: a comment of the file ("Vertical Axis: z", as nerfstudio writes); the cameras, which people hold
    upright; the geometry. The last is a guess: floors, table-tops and lawns are flat and lie at an end of the scene, so
    for each of the six directions the splats are weighed that are flat across it and form the densest layer at the end
    that would be the bottom.

    Returns:
        The axis with its sign, None if nothing says it clearly
        What says so
    """
    for line in measures.splats.comments:
        if match := re.fullmatch(r"vertical axis:?\s*([+-]?)([xyz])", line.strip().lower()):
            return ("-" if match[1] == "-" else "+") + match[2], "comment"
    if measures.cameras is not None:
        mean = -measures.cameras.camera_to_world[:, :3, 1].double().mean(dim=0).numpy()
        axis = int(np.abs(mean).argmax())
        if abs(mean[axis]) > 0.7 * np.linalg.norm(mean) and np.linalg.norm(mean) > 0.3:
            return "-+"[int(mean[axis] > 0)] + "xyz"[axis], "cameras"
        return None, "unknown"
    scores = _floor_scores(measures)
    best = max(scores, key=lambda key: scores[key])
    second = max(score for direction, score in scores.items() if direction != best)
    if scores[best] > max(CERTAINTY * second, LEAST_FLOOR):
        return best, "geometry"
    return None, "unknown"


def _floor_scores(measures: SplatMeasures) -> dict[str, float]:
    """Share of the area of the densest flat layer in the lower third of the scene, for each direction that could be up."""
    scores = {sign + axis: 0.0 for axis in "xyz" for sign in "+-"}
    chosen = measures.usable & (measures.opacities > 0.1) & (measures.distances <= 1.5 * measures.radius)
    if chosen.sum() < 100:
        return scores
    index = torch.from_numpy(np.flatnonzero(chosen))
    log_scales = measures.splats.log_scales[index]
    order = log_scales.argsort(dim=1)
    sorted_scales = log_scales.gather(1, order).double()
    flat = (sorted_scales[:, 1] - sorted_scales[:, 0] > np.log(2)).numpy()
    matrices = quaternions_to_matrices(measures.splats.quats[index])
    normals = matrices.gather(2, order[:, :1, None].expand(-1, 3, 1))[:, :, 0].numpy()
    area = (sorted_scales[:, 1] + sorted_scales[:, 2]).exp().numpy()
    area = np.minimum(area, np.quantile(area, 0.95)) * measures.opacities[chosen]
    area /= area.sum()
    for i, axis in enumerate("xyz"):
        height = measures.means[chosen, i].astype(np.float64)
        low, high = np.quantile(height, [0.01, 0.99])
        lying = flat & (np.abs(normals[:, i]) > 0.9)
        layers, _ = np.histogram(height[lying], HISTOGRAM_BINS, (low, high + 1e-12), weights=area[lying])
        thick = layers + np.roll(layers, 1)
        thick[0] = layers[0]
        third = HISTOGRAM_BINS // 3
        scores["+" + axis], scores["-" + axis] = float(thick[:third].max()), float(thick[-third:].max())
    return scores
