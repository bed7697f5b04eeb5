"""The embedded image inpainter: planes are filled as they look straight on, the rest patch by patch in the picture."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

from scene_depth.arrays import Array, Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.base import Weights, base_layer, surface_weights
from scene_depth.color.exemplar.kriging import krige, kriging_error
from scene_depth.color.exemplar.pattern import (
    LEAST_ASKED,
    PlaneTexture,
    accepted_parts,
    continue_pattern,
    held_out_ring,
    plane_texture,
    predict,
    seen_in_picture,
)
from scene_depth.color.exemplar.straight_view import StraightView, straight_view
from scene_depth.color.exemplar.texture import fill_texture
from scene_depth.geometry.median import median_of_25
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.geometry.planes import Plane, around, planes_of
from scene_depth.kernels import thread_count

PATTERN_ERROR = 0.6  # squared error of a pattern beside the hole, in that of a smooth continuation, up to which it is right
KRIGING_ERROR = 1.0  # error of kriging where it can be told, in that of a smooth continuation, up to which it is right
EXAMPLES = 2.0  # known pixels of a plane, in those to be filled, from which it is known well enough to be continued
DETAIL = 0.45  # amplitude of the copied detail, in that of the known pixels around; votes alone leave less
DETAIL_WIDTH = 24  # pixels around the hole whose detail is the measure
MOST_GAIN = 2.0
FINE = 2.0  # pixels of the blur above which a picture has no detail
NEAR = 6.0  # pixels from the rim within which the base follows what is known there, and copied detail gives way to it


@dataclass(frozen=True)
class _Surfaces:
    """What the depth says: it without its noise, which would cut colours apart, its normals, and the weights of edges."""

    depth: Array | None
    normals: Picture | None
    weights: Weights


@dataclass(frozen=True)
class _Continued:
    """What a plane says.

    Attributes:
        pixels: Those of it that have a colour now: of the hole, and known ones without the shadow  # [H, W]
        colors: Of them, in scan order  # [P, 3]
        kriged: Those of the hole whose colour is only the base of what is to be seen there  # [H, W]
    """

    pixels: Mask
    colors: Picture
    kriged: Mask


@dataclass(frozen=True)
class ExemplarInpainter:
    """Patch-based inpainting without weights, guided by geometry where there is some.

    Where the depth says that the hole lies on planes, each plane is turned to be seen straight on and its texture is
    copied by translations in it, so that boards, tiles and weaves go on in step and in perspective (Huang et al. 2014,
    section 4, with planes from depth instead of vanishing points). A shadow on the plane that touches the hole is taken
    for that of what was there, and neither continued nor copied. A pattern counts only where it predicts known pixels that
    are hidden from it: two surfaces that lie in one plane by accident are not one surface. All else is filled
    in the picture: a smooth base is continued as a membrane whose edges are cut at depth jumps and creases, and texture is
    copied onto it from patches that match by texture, base colour, surface normal and depth, less of it next to the rim.

    Attributes:
        base_weight: Weight of the base colour in the distance of patches in the picture; texture has 1.
        normal_weight: Weight of the surface normal.
        depth_weight: Weight of the logarithm of the depth, which keeps the scale of a pattern.
        iterations: Rounds of matching and voting at the coarsest level.
        pattern_error: Squared error of a pattern in the pixels beside the hole, in that of a smooth continuation, up to which
            it is kept; up to 1.2, it must be right where the hole would lie elsewhere on the plane. 0: no patterns.
        kriging_error: Error of kriging on a plane where it can be told, in that of a smooth continuation, up to which it is used
            where no pattern is. 0: never.
        detail: Amplitude of the detail that is copied in the picture, relative to that of the known pixels around the hole.
    """

    base_weight: float = 1.0
    normal_weight: float = 0.3
    depth_weight: float = 0.15
    iterations: int = 12
    pattern_error: float = PATTERN_ERROR
    kriging_error: float = KRIGING_ERROR
    detail: float = DETAIL

    def __call__(
        self,
        rgb: Picture,
        hole: Mask,
        *,
        depth: Array | None = None,
        camera: Cameras | None = None,
        source: Mask | None = None,
        retouched: Mask | None = None,
        soft_rim: bool = False,
        seed: int = 0,
    ) -> Picture:
        """Fills one picture; arguments as for every ImageInpainter, and ``soft_rim`` as for ``inpaint_image``."""
        known = ~hole if source is None else ~hole & source
        measured = known if retouched is None else known & ~retouched
        filled = np.where(hole[..., None], np.float32(0), rgb)
        window = window_around(hole, known)
        near = None if depth is None else depth[window]
        if camera is not None:
            rows, columns = window
            camera = camera.cropped(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        filled[window] = self._in_window(
            filled[window], hole[window], known[window], measured[window], near, camera, seed, soft_rim
        )
        return filled

    def _in_window(
        self,
        rgb: Picture,
        hole: Mask,
        known: Mask,
        measured: Mask,
        depth: Array | None,
        camera: Cameras | None,
        seed: int,
        soft_rim: bool,
    ) -> Picture:
        lit, rest, based = rgb.copy(), hole.copy(), np.zeros_like(hole)
        if depth is not None and camera is not None:
            planes = planes_of(depth, hole, camera, seed, normals_from_depth(depth, camera))
            beside = held_out_ring(measured, hole)
            on_plane = functools.partial(self._on_plane, rgb, hole, known, measured, beside, camera, seed, soft_rim)
            with ThreadPoolExecutor(thread_count()) as pool:
                for found in pool.map(on_plane, planes):
                    lit[found.pixels] = found.colors
                    rest &= ~found.pixels | found.kriged
                    based |= found.kriged
        filled = self._in_picture(lit, rest, based, known, _surfaces(hole, depth, camera), seed, soft_rim) if rest.any() else lit
        return np.where(hole[..., None], filled, rgb)

    def _on_plane(
        self,
        rgb: Picture,
        hole: Mask,
        known: Mask,
        measured: Mask,
        held_out: Mask,
        camera: Cameras,
        seed: int,
        soft_rim: bool,
        plane: Plane,
    ) -> _Continued:
        """What the pattern of a plane fills, or what is known of it tells, and its known pixels without shadow."""
        view = straight_view(plane, rgb, known, hole, camera)
        wanted = plane.pixels & hole & np.isfinite(view.rows)
        same = plane.pixels & known & np.isfinite(view.rows)
        nothing = np.zeros_like(hole)
        if not view.known.any() or not wanted.any() or same.sum() < wanted.sum():
            return _Continued(nothing, rgb[:0, 0], nothing)
        surface = plane_texture(view)
        lit: Picture = rgb.copy()
        kept, kriged = nothing, nothing
        # What was retouched beside the hole, as a shadow, would go on into it.
        retouched = view.cells_of(plane.pixels & known & ~measured & np.isfinite(view.rows))
        sure = view.known & ~binary_dilation(retouched)
        is_kriged = wanted.sum() >= LEAST_ASKED and self._kriging_is_right(surface.texture, view, sure, seed)
        if same.sum() >= EXAMPLES * wanted.sum():
            lit[same] /= seen_in_picture(surface.gain, view, same)[:, None]
            kept = self._by_pattern(lit, surface, view, wanted, same & held_out, is_kriged, seed, soft_rim)
        else:
            same = nothing
        left = wanted & ~kept
        if is_kriged and left.sum() >= max(LEAST_ASKED, 0.5 * wanted.sum()):
            filled = krige(surface.texture, sure, view.hole, seed=seed)
            if filled is not None:
                lit[left], kriged = surface.colors(filled, view, left), left
        pixels = kept | same | kriged
        return _Continued(pixels, lit[pixels], kriged)

    def _by_pattern(
        self,
        lit: Picture,
        surface: PlaneTexture,
        view: StraightView,
        wanted: Mask,
        held_out: Mask,
        is_kriged: bool,
        seed: int,
        soft_rim: bool,
    ) -> Mask:
        """Pixels that the pattern of a plane fills, and their colours in ``lit``  # [H, W] bool"""
        prediction = predict(surface.texture, view.known, view.hole)
        if prediction is None:
            return np.zeros_like(wanted)
        kept = accepted_parts(view, surface.texture, prediction, wanted, held_out, self.pattern_error, is_kriged)
        if kept.any():
            # At a soft rim what is left of an object would choose the translations.
            finish = prediction.mended if soft_rim else continue_pattern
            lit[kept] = surface.colors(finish(surface.texture, view.known, view.hole, seed=seed), view, kept)
        return kept

    def _kriging_is_right(self, texture: Picture, view: StraightView, known: Mask, seed: int) -> bool:
        if self.kriging_error <= 0:
            return False
        return kriging_error(texture, known, view.hole, view.elsewhere, seed=seed) < self.kriging_error

    def _in_picture(
        self, rgb: Picture, hole: Mask, based: Mask, known: Mask, surfaces: _Surfaces, seed: int, soft_rim: bool
    ) -> Picture:
        guided, unknown = surfaces.normals is not None, hole & ~based
        smooth = base_layer(np.where(unknown[..., None], 0, rgb), unknown, surfaces.weights, soft_rim=soft_rim)
        smooth[based] = rgb[based]
        # Without geometry the membrane knows no edges, so it serves as a first guess only and the patches carry all colour.
        base = smooth if guided else np.zeros_like(smooth)
        texture = np.where(hole[..., None], smooth - base, rgb - base).astype(np.float32)
        guides = self._guides(base, surfaces)
        copied = fill_texture(texture, hole, known, guides, iterations=self.iterations, seed=seed)
        if not guided:
            return base + copied
        share = np.sqrt(1 - np.exp(-2 / NEAR * distance_transform_edt(hole)))
        return base + (_with_detail(copied, hole, known, self.detail) * np.where(hole, share, 1)[..., None]).astype(np.float32)

    def _guides(self, base: Picture, surfaces: _Surfaces) -> Picture:
        """What patches are compared by besides texture, already weighted  # [H, W, G]"""
        guides: list[Array] = [self.base_weight * base]
        if surfaces.depth is not None:
            guides.append(self.depth_weight * np.log(np.maximum(surfaces.depth, 1e-6))[..., None])
        if surfaces.normals is not None:
            guides.append(self.normal_weight * surfaces.normals)
        return np.concatenate(guides, axis=-1).astype(np.float32)


@dataclass(frozen=True)
class MembraneInpainter:
    """The smooth continuation of the colours around the hole: no detail, but never a wrong one, in a tenth of the time.

    The known colours are blurred by a pixel before, so that the fill meets its rim; by two and a half where the rim may hold
    something of a removed object (``soft_rim`` of ``inpaint_image``), which would be drawn into the hole.
    """

    def __call__(self, rgb: Picture, hole: Mask, *, soft_rim: bool = False, **_: object) -> Picture:
        """Fills one picture; of the arguments of ``inpaint_image``, only these count."""
        filled = np.where(hole[..., None], np.float32(0), rgb)
        window = window_around(hole, ~hole)
        weights = surface_weights(hole[window].shape, None, None)
        smooth = base_layer(filled[window], hole[window], weights, soft_rim=soft_rim)
        filled[window] = np.where(hole[window][..., None], smooth, filled[window])
        return filled


def _surfaces(hole: Mask, depth: Array | None, camera: Cameras | None) -> _Surfaces:
    clean = None if depth is None else median_of_25(depth)
    normals = None if clean is None or camera is None else normals_from_depth(clean, camera)
    return _Surfaces(clean, normals, surface_weights(hole.shape, clean, camera, normals))


def window_around(hole: Mask, known: Mask) -> tuple[slice, slice]:
    """Rows and columns around the hole in which it is filled; the whole picture if nothing is known in them."""
    near = around(hole)
    if not (near & known).any():
        return slice(0, hole.shape[0]), slice(0, hole.shape[1])
    rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _with_detail(texture: Picture, hole: Mask, known: Mask, wanted: float) -> Picture:
    """The texture with the detail inside the hole raised to a share of that around it: votes average it away."""
    fine = texture - gaussian_filter(texture, (FINE, FINE, 0))
    ring = known & binary_dilation(hole, iterations=DETAIL_WIDTH) & ~binary_dilation(hole, iterations=int(FINE))
    inside = hole & ~binary_dilation(~hole, iterations=int(FINE))
    if not ring.any() or not inside.any():
        return texture
    around_it, in_it = (float(np.sqrt(np.mean(fine[mask] ** 2))) for mask in (ring, inside))
    gain = np.clip(wanted * around_it / (in_it + 1e-6), 1, MOST_GAIN)
    return np.where(hole[..., None], texture + np.float32(gain - 1) * fine, texture)
