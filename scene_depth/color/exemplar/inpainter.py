"""The embedded image inpainter: planes are filled as they look straight on, the rest patch by patch in the picture."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, distance_transform_edt, find_objects, gaussian_filter, label, map_coordinates

from scene_depth.arrays import Array, Mask, Picture, Places
from scene_depth.cameras import Cameras
from scene_depth.color.exemplar.base import Weights, base_layer, surface_weights
from scene_depth.color.exemplar.labelling import label_offsets
from scene_depth.color.exemplar.offsets import dominant_offsets, known_at, refined_offsets
from scene_depth.color.exemplar.shadows import shadow_gain
from scene_depth.color.exemplar.straight_view import StraightView, straight_view
from scene_depth.color.exemplar.texture import any_of_four, fill_texture, halved, spread_inwards
from scene_depth.geometry.median import median_of_25
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.geometry.planes import Plane, around, planes_of
from scene_depth.kernels import thread_count

RIM_STEP = 1.35  # step of a finished pattern over the rim, in those between known neighbours, up to which it is right
RIM_WIDTH = 6  # pixels around the hole whose own steps are the measure
LEAST_STEP = 0.004  # of colours, what 8-bit pictures and noise make
EXAMPLES = 3.0  # known pixels of a plane, in those to be filled, from which it is known well enough to be continued
LEAST_RIM = 8  # pairs of pixels over the rim that can judge a pattern
DETAIL = 0.45  # amplitude of the copied detail, in that of the known pixels around; votes alone leave less
MOST_GAIN = 2.0
FINE = 2.0  # pixels of the blur above which a picture has no detail
NEAR = 6.0  # pixels from the rim within which the base follows what is known there, and copied detail gives way to it

OFFSETS = 40  # translations that the hole is copied by, at most
MOST_CELLS = 7000  # of the hole, at the scale at which the translations are chosen


@dataclass(frozen=True)
class _Surfaces:
    """What the depth says: it without its noise, which would cut colours apart, its normals, and the weights of edges."""

    depth: Array | None
    normals: Picture | None
    weights: Weights


@dataclass(frozen=True)
class ExemplarInpainter:
    """Patch-based inpainting without weights, guided by geometry where there is some.

    Where the depth says that the hole lies on planes, each plane is turned to be seen straight on and its texture is
    copied by translations in it, so that boards, tiles and weaves go on in step and in perspective (Huang et al. 2014,
    section 4, with planes from depth instead of vanishing points). A shadow on the plane that touches the hole is taken
    for that of what was there, and neither continued nor copied. A pattern stays only where it meets the known pixels of
    its plane without a step: two surfaces that lie in one plane by accident are not one surface. Everything else is filled
    in the picture: a smooth base is continued as a membrane whose edges are cut at depth jumps and creases, and texture is
    copied onto it from patches that match by texture, base colour, surface normal and depth, less of it next to the rim.

    Attributes:
        base_weight: Weight of the base colour in the distance of patches in the picture; texture has 1.
        normal_weight: Weight of the surface normal.
        depth_weight: Weight of the logarithm of the depth, which keeps the scale of a pattern.
        iterations: Rounds of matching and voting at the coarsest level.
        rim_step: Step over the rim, in those between known neighbours, up to which the pattern of a plane is kept.
        detail: Amplitude of the detail that is copied in the picture, relative to that of the known pixels around the hole.
    """

    base_weight: float = 1.0
    normal_weight: float = 0.3
    depth_weight: float = 0.15
    iterations: int = 12
    rim_step: float = RIM_STEP
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
        filled, rest = rgb.copy(), hole.copy()
        if depth is not None and camera is not None:
            planes = planes_of(depth, hole, camera, seed, normals_from_depth(depth, camera))
            on_plane = functools.partial(self._on_plane, rgb, hole, known, measured, camera, seed)
            with ThreadPoolExecutor(thread_count()) as pool:
                for kept, pattern in pool.map(on_plane, planes):
                    filled[kept] = pattern[kept]
                    rest &= ~kept
        return self._in_picture(filled, rest, known, _surfaces(hole, depth, camera), seed, soft_rim) if rest.any() else filled

    def _on_plane(
        self, rgb: Picture, hole: Mask, known: Mask, measured: Mask, camera: Cameras, seed: int, plane: Plane
    ) -> tuple[Mask, Picture]:
        """The pixels whose colours the pattern of a plane gives, and those colours  # [H, W], [H, W, 3]"""
        view = straight_view(plane, rgb, known, hole, camera)
        wanted = plane.pixels & hole & np.isfinite(view.rows)
        same = plane.pixels & known & np.isfinite(view.rows)
        if not view.known.any() or not wanted.any() or same.sum() < EXAMPLES * wanted.sum():
            return np.zeros_like(hole), rgb
        pattern = _with_pattern(rgb, view, wanted, same, seed)
        return _without_steps(pattern, wanted, same & measured, measured, self.rim_step), pattern

    def _in_picture(self, rgb: Picture, hole: Mask, known: Mask, surfaces: _Surfaces, seed: int, soft_rim: bool) -> Picture:
        guided = surfaces.normals is not None
        smooth = base_layer(np.where(hole[..., None], 0, rgb), hole, surfaces.weights, soft_rim=soft_rim)
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


def _without_steps(pattern: Picture, filled: Mask, same: Mask, known: Mask, most: float) -> Mask:
    """The connected parts of a finished pattern that meet the known pixels of their plane without a step.

    Args:
        pattern: Colours  # [H, W, 3]
        filled: What the pattern filled  # [H, W]
        same: Known pixels of the same plane  # [H, W]
        known: All known pixels  # [H, W]
        most: Mean step over the rim, in those between known neighbours around it or on the plane, up to which a part is kept.

    Returns:
        The parts that are kept. Parts that hardly touch known pixels of their plane cannot be judged and are not among them: on
        real frames with completed depth, nine in ten of them are planes that are not there  # [H, W]
    """
    parts, _ = label(filled)
    kept, on_plane = np.zeros_like(filled), _mean_step(pattern, same)
    for number, box in enumerate(find_objects(parts), start=1):
        window = tuple(slice(max(0, side.start - RIM_WIDTH - 1), side.stop + RIM_WIDTH + 1) for side in box)
        part, colours = parts[window] == number, pattern[window]
        over_rim = _steps(colours, part, same[window])
        if len(over_rim) < LEAST_RIM:
            continue
        near = binary_dilation(part, iterations=RIM_WIDTH) & known[window]
        # What lies around the hole may be rendered, and smoother than the photo beside it.
        usual = max(_mean_step(colours, near), on_plane)
        kept[window] |= part & bool(over_rim.mean() < most * (usual + LEAST_STEP))
    return kept


def _mean_step(rgb: Picture, pixels: Mask) -> float:
    """Mean absolute difference of neighbouring pixels of a mask; 0 if there are none."""
    steps = _steps(rgb, pixels, pixels)
    return float(steps.mean()) if len(steps) else 0.0


def _steps(rgb: Picture, first: Mask, second: Mask) -> Picture:
    """Absolute differences of neighbours of which one lies in each of two masks, mean over the channels  # [P]"""
    found = []
    for axis in (0, 1):
        a, b = (tuple(slice(*(ends if i == axis else (None, None))) for i in (0, 1)) for ends in ((None, -1), (1, None)))
        pairs = (first[a] & second[b]) | (second[a] & first[b])
        found.append(np.abs(rgb[a][pairs] - rgb[b][pairs]).mean(axis=-1))
    return np.concatenate(found)


def _with_detail(texture: Picture, hole: Mask, known: Mask, wanted: float) -> Picture:
    """The texture with the detail inside the hole raised to a share of that around it: votes average it away."""
    fine = texture - gaussian_filter(texture, (FINE, FINE, 0))
    ring = known & binary_dilation(hole, iterations=4 * RIM_WIDTH) & ~binary_dilation(hole, iterations=int(FINE))
    inside = hole & ~binary_dilation(~hole, iterations=int(FINE))
    if not ring.any() or not inside.any():
        return texture
    around_it, in_it = (float(np.sqrt(np.mean(fine[mask] ** 2))) for mask in (ring, inside))
    gain = np.clip(wanted * around_it / (in_it + 1e-6), 1, MOST_GAIN)
    return np.where(hole[..., None], texture + np.float32(gain - 1) * fine, texture)


def _with_pattern(rgb: Picture, view: StraightView, wanted: Mask, same: Mask, seed: int) -> Picture:
    """The picture with a plane's wanted pixels filled by its pattern, and its known ones without shadow  # [H, W, 3]"""
    gain = shadow_gain(view.rgb, view.known, view.hole)
    lit = view.rgb / gain[..., None]
    shade = smooth_shade(lit, view.known, view.hole)
    texture = continue_pattern(spread_inwards(lit - shade, view.known), view.known, view.hole, seed=seed)
    colours = np.clip(texture + shade, 0, 1)
    drawn: Picture = rgb.copy()
    drawn[wanted] = np.stack([_seen_in_picture(colours[..., c], view, wanted) for c in range(3)], axis=-1)
    drawn[same] /= _seen_in_picture(gain, view, same)[:, None]
    return drawn


def _seen_in_picture(values: Array, view: StraightView, pixels: Mask) -> Array:
    """Values of a straight view at pixels of the picture, in scan order  # [P]"""
    return np.asarray(map_coordinates(values, [view.rows[pixels], view.columns[pixels]], order=1, mode="nearest"))


def continue_pattern(texture: Picture, known: Mask, hole: Mask, *, seed: int = 0) -> Picture:
    """Fills the hole by a few translations of what is known, their seams mended patch by patch.

    The translations are those by which the surface repeats itself (He and Sun 2012): which one a cell is copied by is
    decided for the whole hole at once, so that stripes and tiles go on in step and straight edges stay straight.

    Args:
        texture: Array, a first guess where they are not known  # [H, W, 3]
        known: Cells that may serve as an example  # [H, W]
        hole: Cells to fill  # [H, W]
        seed: Of everything random.

    Returns:
        The texture with the hole filled  # [H, W, 3]
    """
    values, few, target, scale = texture, known, hole, 1
    while target.sum() > MOST_CELLS:
        smaller = ~any_of_four(~few)
        values, few, target, scale = halved(values, few), smaller, any_of_four(target) & ~smaller, 2 * scale
    offsets = dominant_offsets(values, few, target, OFFSETS)
    if len(offsets) == 0:
        return fill_texture(texture, hole, known, seed=seed)
    labels = label_offsets(values, few, target, offsets)
    if scale > 1:
        labels = np.kron(labels, np.ones((scale, scale), dtype=np.int64))[: hole.shape[0], : hole.shape[1]]
        offsets = refined_offsets(texture, known, hole, scale * offsets, scale)
    start = sources_of(labels, offsets)
    guess, copied = copy_from(texture, known, hole, start)
    guess = np.where(hole[..., None], spread_inwards(guess, copied | known), texture)
    return fill_texture(guess.astype(np.float32), hole, known, start=start, seed=seed)


def sources_of(labels: Places, offsets: Places) -> Places:
    """Where each cell is copied from, cells without a label as the nearest one with a label  # [H, W, 2]"""
    nearest = distance_transform_edt(labels < 0, return_distances=False, return_indices=True)
    filled = labels[tuple(nearest)]
    places: Places = np.moveaxis(np.asarray(np.indices(labels.shape)), 0, -1) + offsets[np.maximum(filled, 0)]
    return places


def copy_from(values: Picture, known: Mask, hole: Mask, sources: Places) -> tuple[Picture, Mask]:
    """The values with those cells of the hole copied whose source is known, and which cells that were  # [H, W, 3], [H, W]"""
    copied = hole & known_at(known, sources)
    safe = np.where(copied[..., None], sources, 0)
    return np.where(copied[..., None], values[safe[..., 0], safe[..., 1]], values), copied


def smooth_shade(rgb: Array, known: Mask, hole: Mask) -> NDArray[np.float64]:
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
