"""The embedded image inpainter: planes are filled as they look straight on, the rest patch by patch in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.base import base_layer, surface_weights
from scene_depth.color.exemplar.pattern import continue_pattern
from scene_depth.color.exemplar.shadows import shadow_gain
from scene_depth.color.exemplar.straight_view import StraightView, straight_view
from scene_depth.color.exemplar.texture import fill_texture, spread_inwards
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.geometry.planes import planes_of


@dataclass(frozen=True)
class ExemplarInpainter:
    """Patch-based inpainting without weights, guided by geometry where there is some.

    Where the depth says that the hole lies on planes, each plane is turned to be seen straight on and its texture is
    copied by translations in it, so that boards, tiles and weaves go on in step and in perspective (Huang et al. 2014,
    section 4, with planes from depth instead of vanishing points). A shadow on the plane that touches the hole is taken
    for that of what was there, and neither continued nor copied. What lies on no plane is filled in the picture: a
    smooth base is continued as a membrane whose edges are cut at depth jumps and creases, and texture is copied onto it
    from patches that match by texture, base colour, surface normal and depth.

    Attributes:
        base_weight: Weight of the base colour in the distance of patches in the picture; texture has 1.
        normal_weight: Weight of the surface normal.
        depth_weight: Weight of the logarithm of the depth, which keeps the scale of a pattern.
        iterations: Rounds of matching and voting at the coarsest level.
    """

    base_weight: float = 1.0
    normal_weight: float = 0.3
    depth_weight: float = 0.15
    iterations: int = 12

    def __call__(
        self,
        rgb: NDArray[np.float32],
        hole: NDArray[np.bool_],
        *,
        depth: NDArray[np.floating] | None = None,
        camera: Cameras | None = None,
        source: NDArray[np.bool_] | None = None,
        seed: int = 0,
    ) -> NDArray[np.float32]:
        """Fills one picture; arguments as for every ImageInpainter."""
        known = ~hole if source is None else ~hole & source
        filled, rest = np.where(hole[..., None], np.float32(0), rgb), hole.copy()
        if depth is not None and camera is not None:
            for plane in planes_of(depth, hole, camera, seed):
                view = straight_view(plane, rgb, known, hole, camera)
                wanted = plane.pixels & hole & np.isfinite(view.rows)
                if view.known.any() and wanted.any():
                    filled[wanted] = _on_plane(view, wanted, seed)
                    rest &= ~wanted
        return self._in_picture(filled, rest, known, depth, camera, seed) if rest.any() else filled

    def _in_picture(
        self,
        rgb: NDArray[np.float32],
        hole: NDArray[np.bool_],
        known: NDArray[np.bool_],
        depth: NDArray[np.floating] | None,
        camera: Cameras | None,
        seed: int,
    ) -> NDArray[np.float32]:
        smooth = base_layer(np.where(hole[..., None], 0, rgb), hole, surface_weights(hole.shape, depth, camera))
        guided = depth is not None and camera is not None
        # Without geometry the membrane knows no edges, so it serves as a first guess only and the patches carry all colour.
        base = smooth if guided else np.zeros_like(smooth)
        texture = np.where(hole[..., None], smooth - base, rgb - base).astype(np.float32)
        guides = self._guides(base, depth, camera)
        return base + fill_texture(texture, hole, known, guides, iterations=self.iterations, seed=seed)

    def _guides(self, base: NDArray, depth: NDArray | None, camera: Cameras | None) -> NDArray[np.float32]:
        """What patches are compared by besides texture, already weighted  # [H, W, G]"""
        guides: list[NDArray] = [self.base_weight * base]
        if depth is not None:
            guides.append(self.depth_weight * np.log(np.maximum(depth, 1e-6))[..., None])
            if camera is not None:
                guides.append(self.normal_weight * normals_from_depth(depth, camera))
        return np.concatenate(guides, axis=-1).astype(np.float32)


def _on_plane(view: StraightView, wanted: NDArray[np.bool_], seed: int) -> NDArray[np.float32]:
    """Colours of the wanted pixels of the picture, in scan order  # [P, 3]"""
    rgb = view.rgb / shadow_gain(view.rgb, view.known, view.hole)[..., None]
    shade = smooth_shade(rgb, view.known, view.hole)
    texture = continue_pattern(spread_inwards(rgb - shade, view.known), view.known, view.hole, seed=seed)
    colours = np.clip(texture + shade, 0, 1)
    cells = [view.rows[wanted], view.columns[wanted]]
    return np.stack([map_coordinates(colours[..., c], cells, order=1, mode="nearest") for c in range(3)], axis=-1)


def smooth_shade(rgb: NDArray[np.floating], known: NDArray[np.bool_], hole: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Light on a plane: the linear function of the place that fits the known cells best, near ones more.

    Its slope counts by the share of the variance that it explains, since the slope of a pattern is no light, and its
    values stay among those of the known cells.

    Returns:
        Colour everywhere  # [H, W, 3]
    """
    y, x = (axis / max(hole.shape) for axis in np.indices(hole.shape))
    terms = np.stack([np.ones_like(x), x, y], axis=-1)
    weights = 1 / (1 + distance_transform_edt(~hole)[known] / (0.1 * max(hole.shape))) ** 2
    design, values = terms[known], rgb[known].astype(np.float64)
    normal = (design * weights[:, None]).T @ design + weights.sum() * np.diag([1e-9, 1e-3, 1e-3])
    fitted = terms @ np.linalg.solve(normal, (design * weights[:, None]).T @ values)
    mean = np.average(values, axis=0, weights=weights)
    left = np.average((values - fitted[known]) ** 2, axis=0, weights=weights)
    explained = np.clip(1 - left / (np.average((values - mean) ** 2, axis=0, weights=weights) + 1e-12), 0, 1)
    low, high = np.percentile(values, [2, 98], axis=0)
    return np.clip(mean + explained * (fitted - mean), low, high)
