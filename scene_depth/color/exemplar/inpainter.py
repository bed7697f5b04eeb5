"""The embedded image inpainter: a smooth base that follows the surfaces, and texture from elsewhere in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.base import base_layer, surface_weights
from scene_depth.color.exemplar.patchmatch import FAR, RADIUS, improve_field, measure_field, target_centres, usable_centres, vote
from scene_depth.geometry.normals import normals_from_depth

SMALLEST_SIDE = 6 * (2 * RADIUS + 1)


@dataclass(frozen=True)
class ExemplarInpainter:
    """Patch-based inpainting without weights, guided by geometry where there is some.

    The picture is split into a smooth base and the texture on it. The base is continued into the hole as a membrane
    whose edges are cut at depth jumps and creases, so planes keep their shade as planes. The texture is copied from the
    best matching patches, from coarse to fine (Wexler et al. 2007 with the field of Barnes et al. 2009); patches match
    by texture, base colour, surface normal and depth, so that a wall is not filled with floor.

    Attributes:
        base_weight: Weight of the base colour in a patch's distance; texture has 1.
        normal_weight: Weight of the surface normal.
        depth_weight: Weight of the logarithm of the depth, which keeps the scale of a pattern under perspective.
        iterations: Rounds of matching and voting at the coarsest level; one fewer at each finer level, at least two.
    """

    base_weight: float = 0.5
    normal_weight: float = 0.3
    depth_weight: float = 0.15
    iterations: int = 8

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
        smooth = base_layer(np.where(hole[..., None], 0, rgb), hole, surface_weights(hole.shape, depth, camera))
        guided = depth is not None and camera is not None
        # Without geometry the membrane knows no edges, so it serves as a first guess only and the patches carry all colour.
        base = smooth if guided else np.zeros_like(smooth)
        texture = np.where(hole[..., None], smooth - base, rgb - base).astype(np.float32)
        return base + self._fill(texture, self._guides(base, depth, camera), hole, known, seed)

    def _guides(self, base: NDArray, depth: NDArray | None, camera: Cameras | None) -> NDArray[np.float32]:
        """What patches are compared by besides texture, already weighted  # [H, W, G]"""
        guides: list[NDArray] = [self.base_weight * base]
        if depth is not None:
            guides.append(self.depth_weight * np.log(np.maximum(depth, 1e-6))[..., None])
            if camera is not None:
                guides.append(self.normal_weight * normals_from_depth(depth, camera))
        return np.concatenate(guides, axis=-1).astype(np.float32)

    def _fill(self, texture: NDArray, guides: NDArray, hole: NDArray, known: NDArray, seed: int) -> NDArray[np.float32]:
        """Texture with the hole filled, from the coarsest level to the finest  # [H, W, 3]"""
        levels = _pyramid(texture, guides, hole, known)
        state = np.array([2 * seed + 1], dtype=np.uint64)
        field: NDArray | None = None
        filled = levels[-1][0]
        for number, (texture, guides, hole, known) in reversed(list(enumerate(levels))):
            usable = usable_centres(known)
            if not usable.any():
                continue
            sources, targets = np.argwhere(usable), target_centres(hole)
            field = (
                _random_field(hole.shape, sources, state)
                if field is None
                else _finer_field(field, hole.shape, usable, sources, state)
            )
            trust = np.where(hole, np.maximum(1.1 ** -distance_transform_edt(hole), 0.05), 1).astype(np.float32)
            current = texture
            if filled.shape != texture.shape:
                current = np.where(hole[..., None], _doubled(filled, hole.shape), texture)
            costs = np.full(hole.shape, FAR, np.float32)
            for round_ in range(max(2, self.iterations - (len(levels) - 1 - number))):
                features = np.concatenate([current, guides], axis=-1)
                measure_field(features, trust, targets, field, costs)
                for backward in (False, True):
                    improve_field(features, trust, targets, usable, sources, field, costs, state, backward)
                bandwidth = max(float(np.percentile(costs[tuple(targets.T)], 75)) / max(1, round_), 1e-6)
                current = vote(current, hole, targets, trust, field, costs, np.float32(bandwidth))
            filled = current
        return filled


def _pyramid(texture: NDArray, guides: NDArray, hole: NDArray, known: NDArray) -> list[tuple[NDArray, NDArray, NDArray, NDArray]]:
    """Levels of half the size until the hole is a few patches wide or the picture is small."""
    levels = [(texture, guides, hole, known)]
    while min(hole.shape) >= 2 * SMALLEST_SIDE and distance_transform_edt(hole).max() > 2 * RADIUS:
        texture, guides = _halved(texture, hole), _halved(guides, np.zeros_like(hole))
        hole, known = _any_of_four(hole), ~_any_of_four(~known)
        levels.append((texture, guides, hole, known))
    return levels


def _blocks(values: NDArray) -> NDArray:
    """View of 2 x 2 blocks, the last row and column repeated where the size is odd  # [h, 2, w, 2, ...]"""
    padding = [(0, values.shape[0] % 2), (0, values.shape[1] % 2)] + [(0, 0)] * (values.ndim - 2)
    values = np.pad(values, padding, mode="edge")
    return values.reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2, *values.shape[2:])


def _any_of_four(mask: NDArray) -> NDArray:
    return np.asarray(_blocks(mask).any(axis=(1, 3)))


def _halved(values: NDArray, hole: NDArray) -> NDArray[np.float32]:
    """Mean of the known pixels of each block, of the first guess where none is known  # [h, w, C]"""
    weight = np.maximum(_blocks((~hole).astype(np.float32)), 1e-6)[..., None]
    return ((_blocks(values) * weight).sum(axis=(1, 3)) / weight.sum(axis=(1, 3))).astype(np.float32)


def _doubled(values: NDArray, shape: tuple[int, int]) -> NDArray:
    return np.repeat(np.repeat(values, 2, axis=0), 2, axis=1)[: shape[0], : shape[1]]


def _random_field(shape: tuple[int, int], sources: NDArray, state: NDArray) -> NDArray[np.int64]:
    choice = np.random.default_rng(int(state[0])).integers(len(sources), size=shape)
    return sources[choice]


def _finer_field(field: NDArray, shape: tuple[int, int], usable: NDArray, sources: NDArray, state: NDArray) -> NDArray[np.int64]:
    """The field of the coarser level at twice the coordinates, random where that is no usable source."""
    rows, columns = np.arange(shape[0])[:, None] % 2, np.arange(shape[1])[None] % 2
    finer = 2 * _doubled(field, shape)
    finer[..., 0] = np.minimum(finer[..., 0] + rows, shape[0] - 1)
    finer[..., 1] = np.minimum(finer[..., 1] + columns, shape[1] - 1)
    bad = ~usable[finer[..., 0], finer[..., 1]]
    finer[bad] = _random_field(shape, sources, state)[bad]
    return finer
