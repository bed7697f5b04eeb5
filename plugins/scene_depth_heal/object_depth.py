"""Depth of a painted object by other means than continuing the scene: the user's own depth image, or an upright plane."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.alignment import Space, apply_fit, fit_globally
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.scattered import nearest_fill
from scene_depth.depth.solver import SolverInpainter
from scene_depth.errors import InputError

Array = NDArray[np.floating]
LEAST_OVERLAP = 50  # known pixels with a value in the depth image, from which a scale and a shift can be told
FOOT_SHARE = 0.01  # lowest part of a painted object that stands on the surface; what is still lower lies on it


@dataclass(frozen=True)
class DepthImage(DepthModel):
    """A depth inpainter that follows a depth image of free scale and shift.

    The image is fitted to the known depth by a robust scale and shift in the space (depth, inverse depth, log depth)
    that fits best, then the embedded solver takes it as its prior, so that no seam is left.

    Attributes:
        values: Depth, inverse depth or log depth up to scale and shift, NaN where unknown  # [H, W]
        space: What the values are; "auto" takes what fits best.
    """

    name: ClassVar[str] = "depth_image"

    values: Array
    space: Space | str = "auto"

    @property
    def harmonize(self) -> bool | None:
        return False  # the solver continues known depth

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        depth, known = view.depth, view.known
        if self.values.shape != depth.shape:
            raise InputError("depth image", f"size {self.values.shape}", f"{depth.shape}, the size of its view")
        valid = np.isfinite(self.values)
        overlap = valid & known
        if int(overlap.sum()) < LEAST_OVERLAP or bool((valid & ~known).sum() == 0):
            found = f"{int(overlap.sum())} values where the scene's depth is known, {int((valid & ~known).sum())} under the mask"
            raise InputError("depth image", found, f"{LEAST_OVERLAP} or more around the mask, and some under it")
        fit = fit_globally(self.values, depth, overlap, self.space)  # type: ignore[arg-type]
        fitted = np.where(valid, apply_fit(fit, np.where(valid, self.values, 0), depth[known]), np.where(known, depth, 0))
        complete = nearest_fill(fitted, valid | known)
        solved = SolverInpainter(prior=complete, prior_space="depth").predict(view, seed=seed)
        return replace(solved, details={**solved.details, "image_fit": asdict(fit)})


@dataclass(frozen=True)
class Upright(DepthModel):
    """An upright plane that stands where the painted object touches the scene.

    For objects that stand: continuing the surfaces around them would lay them flat on the floor and the wall behind. The
    plane holds the vertical through the object's foot, the lowest painted pixels, and faces the camera.

    Attributes:
        up: Vertical of the scene, in the world  # (3,)
        scene_depth: Depth of the scene without the object, where the foot's depth is read; bound by the workflow  # [H, W]
        mask: Where the object was painted; bound by the workflow, else all that is unknown  # [H, W] bool
    """

    name: ClassVar[str] = "upright"

    up: tuple[float, float, float]
    scene_depth: Array | None = None
    mask: NDArray[np.bool_] | None = None

    def bound_to(self, scene_depth: Array, mask: NDArray[np.bool_]) -> Upright:
        """The same for a scene of that rendered depth and an object painted there."""
        return Upright(self.up, scene_depth, mask)

    @property
    def harmonize(self) -> bool | None:
        return False  # the object ends at the mask: the step there is meant

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        camera = view.camera
        if camera is None:
            raise InputError("camera", None, "the camera of the view, which the plane faces")
        scene = view.depth if self.scene_depth is None else self.scene_depth
        painted = ~view.known if self.mask is None else self.mask
        up = np.asarray(self.up, dtype=np.float64) / np.linalg.norm(self.up)
        foot = _foot(painted, np.asarray(scene), camera, up)
        center = camera.centers[0].double().cpu().numpy()
        normal = center - foot - ((center - foot) @ up) * up
        rays = camera.ray_directions()[0].double().cpu().numpy()
        slope = rays @ normal
        if not np.linalg.norm(normal) > 0 or not (slope[painted] < 0).all():
            raise InputError("shape", "upright, seen from above", "a view from the side, or another shape of the painted object")
        plane = ((foot - center) @ normal) / np.minimum(slope, -1e-12)
        details = {"foot": foot.tolist(), "up": up.tolist()}
        return DepthPrediction(plane.astype(view.depth.dtype), details=details)


def _foot(painted: NDArray[np.bool_], scene: Array, camera: Cameras, up: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point of the scene's surface behind the middle of the lowest painted pixels  # [3]"""
    rotation = camera.camera_to_world[0, :3, :3].double().cpu().numpy()
    down = -(rotation.T @ up)[:2]
    rows, columns = np.nonzero(painted & (scene > 0))
    if len(rows) == 0 or np.linalg.norm(down) < 1e-6:
        found = "no surface behind the painted part" if len(rows) == 0 else "a view straight down"
        raise InputError("shape", f"upright, {found}", "an object that stands on a surface; or another shape")
    height = columns * down[0] + rows * down[1]
    lowest = height >= np.quantile(height, 1 - FOOT_SHARE)
    column, row = np.median(columns[lowest]) + 0.5, np.median(rows[lowest]) + 0.5
    z = float(np.median(scene[rows[lowest], columns[lowest]]))
    K = camera.K[0].double().cpu().numpy()
    local = np.array([(column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1], 1.0]) * z
    return camera.centers[0].double().cpu().numpy() + rotation @ local
