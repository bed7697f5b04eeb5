"""Filled depth brought onto the planes that the known depth around the hole lies on.

Completed depth hangs on the pixels at the border of the hole, where rendered splats are thick and blurred. A floor that is
one per cent off there looks right in its own view, and out of step with its pattern in every other. The same floor is known
in thousands of other pixels: the plane fitted to those is several times more accurate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.surfaces import Plane, camera_points, planes_of
from scene_depth.depth.inpaint import inpaint_depth, inpainter_name
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction

EVEN = 0.008  # largest distance of known pixels from a plane, relative to the depth, as a robust standard deviation
TUKEY = 4.7  # standard deviations beyond which a pixel has no weight (biweight of 95 % efficiency)
ROUNDS = 10


@dataclass(frozen=True)
class OnPlanes:
    """A depth inpainter whose result is put onto planes where it lies close to them; itself a ``DepthInpainter``.

    Only planes count that are known in at least as many pixels as they have in the hole, and are even there.

    Attributes:
        inpainter: What completes the depth.
    """

    inpainter: DepthInpainter

    @property
    def name(self) -> str:
        """As reports give it."""
        return f"{inpainter_name(self.inpainter)} on planes"

    def __call__(
        self,
        rgb: NDArray[np.float32] | None,
        depth: NDArray[np.floating],
        known: NDArray[np.bool_],
        *,
        camera: Cameras | None = None,
        seed: int = 0,
    ) -> DepthPrediction:
        """Completes one view, see ``DepthInpainter``; without a camera the result stays as it is."""
        made = inpaint_depth(self.inpainter, rgb, depth, known, camera=camera, seed=seed)
        hole = ~known
        if camera is None or not hole.any():
            return made
        filled, used = made.depth.copy(), []
        points, rays = camera_points(made.depth, camera), camera_points(np.ones(known.shape), camera)
        for plane in planes_of(made.depth, hole, camera, seed):
            told = _told(plane, points, made.depth, known)
            if told is not None:
                normal, offset, deviation = told
                inside = plane.pixels & hole
                with np.errstate(divide="ignore", invalid="ignore"):
                    exact = offset / (rays @ normal)
                inside &= np.isfinite(exact) & (exact > 0)
                filled[inside] = exact[inside]
                used.append({"pixels": int(inside.sum()), "deviation": deviation})
        details: dict[str, Any] = {**made.details, "planes": used}
        return replace(made, depth=filled, details=details)


def _told(
    plane: Plane, points: NDArray, depth: NDArray, known: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float, float] | None:
    """The plane as its known pixels tell it, by reweighted least squares: normal, offset and relative deviation."""
    inside = plane.pixels & known
    if inside.sum() < (plane.pixels & ~known).sum():
        return None
    places, per_depth = points[inside], 1 / depth[inside].astype(np.float64)
    trust, normal, offset, deviation = np.ones(len(places)), plane.normal, plane.offset, np.inf
    for _ in range(ROUNDS):
        centre = np.average(places, axis=0, weights=per_depth**2 * trust)
        scaled = (places - centre) * (per_depth * np.sqrt(trust))[:, None]
        normal = np.linalg.svd(scaled, full_matrices=False)[2][2]
        normal = normal if normal @ plane.normal > 0 else -normal
        offset = float(normal @ centre)
        off = (places @ normal - offset) * per_depth
        deviation = 1.4826 * float(np.median(np.abs(off))) + 1e-9
        trust = np.clip(1 - (off / (TUKEY * deviation)) ** 2, 0, 1) ** 2
    return (normal, offset, deviation) if deviation <= EVEN else None
