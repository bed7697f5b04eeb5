"""What views show of a scene: drawn when it is asked for, kept, and drawn anew only where the scene has changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.rendering import Region, Render, render
from scene_depth.rendering.bounds import Footprints, bounding_region, footprint_bounds, render_region, window_of
from scene_depth.splats import GaussianSplats, changed_splats

OPAQUE = 0.8  # alpha from which what is there counts as a surface
DRAWING_BYTES = 1 << 29  # memory for what views show of a scene, kept in case it is asked for again


class Drawings:
    """What views show of a scene before a deletion, drawn when it is asked for and kept in a bound of memory.

    Args:
        limit_bytes: Memory of what is kept; beyond it, what was not asked for longest is drawn again when it is needed.
    """

    def __init__(self, limit_bytes: int = DRAWING_BYTES):
        self._limit = limit_bytes
        self._splats: GaussianSplats | None = None
        self._kept: dict[int, _Drawing] = {}  # by the camera, the last one asked for last

    def follow(self, splats: GaussianSplats) -> None:
        """Makes it the drawings of another scene; of one that shares splats with the last, only what differs is drawn anew."""
        changed = None if self._splats is None else changed_splats(self._splats, splats)
        self._kept = {} if changed is None else {key: drawing.without(changed) for key, drawing in self._kept.items()}
        self._splats = splats

    def of(self, camera: Cameras) -> tuple[Tensor, Tensor]:
        """Colour, and z-depth where it is opaque, of a view  # [H, W, 3], [H, W]"""
        assert self._splats is not None, "follow() says of which scene"
        drawing = self._kept.pop(id(camera), None)
        if drawing is None:
            image = render(self._splats, camera)
            drawing = _Drawing(camera, image.rgb[0].clamp(0, 1), opaque_depth(image))
        elif drawing.stale is not None:
            drawing = _Drawing(camera, *redraw_region(self._splats, None, camera, drawing.stale, drawing.rgb, drawing.depth))
        self._kept[id(camera)] = drawing
        total = self._bytes
        for key in list(self._kept)[:-1]:
            if total <= self._limit:
                break
            oldest = self._kept.pop(key)
            total -= oldest.rgb.nbytes + oldest.depth.nbytes
        return drawing.rgb, drawing.depth

    def has_room(self, camera: Cameras) -> bool:
        """Whether a drawing of a view can be kept beside all others."""
        return self._bytes + 16 * camera.width * camera.height <= self._limit  # four float32 a pixel

    @property
    def _bytes(self) -> int:
        return sum(each.rgb.nbytes + each.depth.nbytes for each in self._kept.values())


@dataclass(frozen=True)
class _Drawing:
    """What one view shows, and the part of it that has changed since."""

    camera: Cameras
    rgb: Tensor
    depth: Tensor
    stale: Region | None = None

    def without(self, changed: GaussianSplats) -> _Drawing:
        """The drawing with what some splats reach, which came or went, to be drawn anew."""
        region, old = bounding_region(footprint_bounds(changed, self.camera), self.camera), self.stale
        if region is not None and old is not None:
            region = min(region[0], old[0]), min(region[1], old[1]), max(region[2], old[2]), max(region[3], old[3])
        return replace(self, stale=region or old)


def redraw_region(
    splats: GaussianSplats, prints: Footprints | None, camera: Cameras, region: Region, rgb: Tensor, depth: Tensor
) -> tuple[Tensor, Tensor]:
    """Colour and depth of a view with a part of it drawn anew."""
    image = render_region(splats, camera, region, prints)
    rgb, depth, (rows, columns) = rgb.clone(), depth.clone(), window_of(region)
    rgb[rows, columns], depth[rows, columns] = image.rgb[0].clamp(0, 1), opaque_depth(image)
    return rgb, depth


def opaque_depth(image: Render) -> Tensor:
    """z-depth where alpha makes it a surface, 0 elsewhere  # [H, W]"""
    return torch.where(image.alpha[0] >= OPAQUE, image.depth[0], 0.0)
