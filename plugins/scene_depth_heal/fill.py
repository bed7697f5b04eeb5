"""One reference view: its hole is given depth and colour, and the filled pixels become splats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_opening, distance_transform_edt, label, maximum
from torch import Tensor

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth.cameras import Cameras
from scene_depth.color.protocol import ImageInpainter, inpaint_image
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.depth.seam import measure_seam
from scene_depth.errors import InputError
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.geometry.normals import normals_from_depth
from scene_depth.geometry.planes import Plane, camera_points, fitted_plane, plane_depth, planes_of
from scene_depth.rendering import Region
from scene_depth.rendering.bounds import region_around, window_of
from scene_depth.splats import GaussianSplats
from scene_depth_heal.free_space import FreeSpace
from scene_depth_heal.hole import ViewState, as_array

REACH = 1.5  # sizes of the hole by which what is looked at for its fill reaches beyond it
LEAST_REACH = 32  # pixels of that
ENOUGH_KNOWN = 0.3  # share of known depth in that part of the picture below which the whole picture is looked at
LEAST_KNOWN = 0.01  # share of the picture whose depth must be known for a fill to mean anything
EVEN = 0.008  # largest distance of known pixels from a plane, relative to the depth, as a robust standard deviation
FRONT = 0.02  # of the depth behind the object's front up to which a new surface is that front
PATCH = 5  # pixels along a side of the smallest patch of it
SLIVER = 1 / 80  # of the focal length: how deep a part of the hole is at most that is little more than a line
TUKEY = 4.7  # standard deviations beyond which a pixel has no weight: 95 % efficiency for normal errors
ROUNDS = 10


@dataclass(frozen=True)
class Filled:
    """A reference with its hole filled.

    Attributes:
        view: What was filled: the part of the reference around its hole.
        rgb: Complete picture of that part, with the shadow where new splats were not made  # [H, W, 3]
        prediction: Complete depth with its uncertainty and seam.
        splats: The new splats.
    """

    view: ViewState
    rgb: Tensor
    prediction: DepthPrediction
    splats: GaussianSplats


def region_to_fill(state: ViewState) -> Region:
    """The part of a view, around its hole and the object, that a fill looks at; all of it where that part knows little depth."""
    box, whole = region_around(state.hole), (0, 0, state.camera.width, state.camera.height)
    if box is None:
        return whole
    reach = int(REACH * _width(as_array(state.hole[window_of(box)]))) + LEAST_REACH
    shown = region_around(state.object_pixels) or box
    left, top = (max(0, min(box[i] - reach, shown[i] - LEAST_REACH)) for i in (0, 1))
    right, bottom = (min(whole[i], max(box[i] + reach, shown[i] + LEAST_REACH)) for i in (2, 3))
    region = left, top, right, bottom
    known = (state.depth_after > 0) & ~state.hole
    return region if float(known[window_of(region)].float().mean()) >= ENOUGH_KNOWN else whole


def _width(hole: NDArray[np.bool_]) -> float:
    """Pixels across the hole where it is widest: scattered rims need no more surroundings than one of them."""
    return 2 * float(distance_transform_edt(np.pad(hole, 1)).max())


def guess_color(reference: ViewState) -> NDArray[np.float32]:
    """The picture with what the hole is painted with, or a smooth continuation of its border  # [H, W, 3]

    Colour inside the hole is unknown when the depth is made, and a guess with texture would put edges where there are none.
    """
    if reference.view.painted is not None:
        return as_array(reference.view.painted)
    return smooth_guess(as_array(reference.picture), as_array(reference.hole))


def fill_depth(
    reference: ViewState,
    guess: NDArray[np.float32],
    depth_inpainter: DepthInpainter,
    free: FreeSpace | None = None,
    *,
    seed: int = 0,
) -> DepthPrediction:
    """Completes the depth from the surfaces around the hole, and puts it on planes that are known where it lies close to them.

    What would be the front of the removed object again is left to the solver; what would stand where other views look through
    goes back along its ray until that ends.

    Args:
        reference: The view.
        guess: Its colours, see ``guess_color``  # [H, W, 3]
        depth_inpainter: Invents the depth; it is asked once.
        free: What the views look through.
        seed: Seed of all random choices.

    Raises:
        InputError: If too little depth is known.
    """
    depth, hole = as_array(reference.depth_after), as_array(reference.hole)
    known = known_depth(reference.name, depth, hole)
    prediction = inpaint_depth(depth_inpainter, guess, depth, known, camera=reference.camera, seed=seed)
    where_it_was = _where_the_object_was(prediction.depth, reference)
    if where_it_was.any() and prediction.details.get("inpainter") != "solver":
        instead = inpaint_depth("solver", guess, depth, known, camera=reference.camera, seed=seed).depth
        prediction = replace(prediction, depth=np.where(where_it_was, instead, prediction.depth))
    prediction = on_planes(prediction, known, reference.camera, seed)
    details = {**prediction.details, "put_where_the_object_was": int(where_it_was.sum())}
    if free is None:
        return replace(prediction, details=details)
    behind = free.behind(prediction.depth, hole, reference.camera)
    details["moved_out_of_free_space"] = int((behind != prediction.depth).sum())
    if not details["moved_out_of_free_space"]:
        return replace(prediction, details=details)
    return _with_depth(prediction, behind, known, reference.camera, details)


def _where_the_object_was(depth: NDArray[Any], reference: ViewState) -> NDArray[np.bool_]:
    """Pixels of the hole whose new surface would be the front of the object that is gone  # [H, W]

    The solver fills them, as for an object that is as flat as a picture on a wall both are the same surface.
    """
    front = as_array(reference.depth_before)
    stands = as_array(reference.hole & reference.object_pixels) & (front > 0) & (depth < front * (1 + FRONT))
    return np.asarray(binary_opening(stands, np.ones((PATCH, PATCH))), dtype=bool)


def fill_color(
    reference: ViewState, prediction: DepthPrediction, image_inpainter: ImageInpainter, *, is_first: bool = True, seed: int = 0
) -> NDArray[np.float32]:
    """Completes the picture, in the light without the object's shadow, so that it follows the completed depth  # [H, W, 3]

    Args:
        reference: The view.
        prediction: Its depth; see ``fill_depth``.
        image_inpainter: Invents the colour.
        is_first: Whether it is the first reference. What is left for others are mostly slivers beside what it filled, which are
            continued smoothly: so near to what is known hardly anything is better, and it costs a hundredth.
        seed: Seed of all random choices.
    """
    rgb = as_array(reference.picture if reference.unshaded is None else reference.unshaded)
    hole, painted = as_array(reference.hole), reference.view.painted
    if painted is not None:
        return np.where(hole[..., None], as_array(painted), rgb)
    known = np.where(hole[..., None], np.float32(0), rgb)
    wide = hole if is_first else without_slivers(hole, SLIVER * float(reference.camera.K[0, 0, 0]))
    if (wide != hole).any():
        known = np.where(wide[..., None], np.float32(0), smooth_guess(known, hole))
        if not wide.any():
            return known
    retouched = None if reference.resurface is None else as_array(reference.resurface)
    camera, depth = reference.camera, prediction.depth
    guides: dict[str, Any] = {"depth": depth, "camera": camera, "source": ~hole, "retouched": retouched}
    return inpaint_image(image_inpainter, known, wide, **guides, soft_rim=True, seed=seed)


def without_slivers(hole: NDArray[np.bool_], most: float) -> NDArray[np.bool_]:
    """The connected parts of a hole that are somewhere deeper than so many pixels  # [H, W]"""
    parts, count = label(hole)
    depth = maximum(distance_transform_edt(hole), parts, np.arange(count + 1))
    is_wide = np.asarray(depth) > most
    is_wide[0] = False
    return np.asarray(is_wide[parts])


def make_splats(
    reference: ViewState, prediction: DepthPrediction, rgb: NDArray[np.float32], free: FreeSpace | None = None
) -> Filled:
    """Makes splats of the completed depth and picture, where there was a hole or a shadow.

    None stand where views look through: what ``fill_depth`` could not move from there is left for another reference.
    """
    wanted, complete = reference.new_pixels, torch.from_numpy(rgb).to(reference.rgb_after.device)
    splats = splats_on_depth(rgb, prediction.depth, as_array(wanted), reference.camera, normals=prediction.normals)
    if free is not None:
        stray = free.looks_through(splats.means)
        splats = splats.select(~stray)
        prediction = replace(prediction, details={**prediction.details, "left_out_of_free_space": int(stray.sum())})
    if reference.unshaded is not None:
        complete = torch.where(wanted[..., None], complete, reference.picture)
    return Filled(reference, complete, prediction, splats)


def known_depth(name: str, depth: NDArray[np.floating], hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a view whose rendered depth is known  # [H, W] bool

    Raises:
        InputError: If they are too few for a fill to mean anything.
    """
    known: NDArray[np.bool_] = (depth > 0) & ~hole
    if known.mean() < LEAST_KNOWN:
        found = f"{100 * known.mean():.2g} % of the pixels with an opaque surface"
        accepted = f"at least {100 * LEAST_KNOWN:g} %: a scene that is seen here"
        raise InputError(f"view {name!r}: rendered depth", found, accepted)
    return known


def on_planes(prediction: DepthPrediction, known: NDArray[np.bool_], camera: Cameras, seed: int = 0) -> DepthPrediction:
    """The prediction with those parts of the hole put onto planes that lie close to them.

    Completed depth hangs on the pixels at the border of the hole, where rendered splats are thick and blurred. A floor that is
    one per cent off there looks right in its own view, and out of step with its pattern in every other. The same floor is known
    in thousands of other pixels: the plane fitted to those is several times more accurate.

    Only planes count that are known in at least as many pixels as they have in the hole, and are even there.

    Args:
        prediction: Of ``inpaint_depth``.
        known: Pixels whose depth stays as it is, bit for bit  # [H, W]
        camera: The one camera of the view.
        seed: Of the search for planes.

    Returns:
        The prediction with normals and seam of the new depth; ``details["planes"]`` has the pixels that each plane moved and
        the deviation of its known ones, relative to the depth.
    """
    depth = prediction.depth.copy()
    points, rays = camera_points(depth, camera), camera_points(np.ones(known.shape), camera)
    used = []
    for plane in planes_of(prediction.depth, ~known, camera, seed, prediction.normals):
        inside = plane.pixels & known
        if inside.sum() < (plane.pixels & ~known).sum():
            continue
        normal, offset, deviation = robust_plane(plane, points[inside])
        if deviation > EVEN:
            continue
        exact = plane_depth(normal, offset, rays)
        moved = plane.pixels & ~known & np.isfinite(exact)
        depth[moved] = exact[moved]
        used.append({"pixels": int(moved.sum()), "deviation": deviation})
    details = {**prediction.details, "planes": used}
    if not used:  # normals and seam are those of this very depth
        return replace(prediction, details=details)
    return _with_depth(prediction, depth, known, camera, details)


def _with_depth(
    prediction: DepthPrediction, depth: NDArray[Any], known: NDArray[np.bool_], camera: Cameras, details: dict[str, Any]
) -> DepthPrediction:
    normals, seam = normals_from_depth(depth, camera), measure_seam(depth, known, camera)
    return replace(prediction, depth=depth, normals=normals, seam=seam, details=details)


def robust_plane(plane: Plane, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float, float]:
    """A plane fitted to points with outliers, by iteratively reweighted least squares (Tukey's biweight).

    Args:
        plane: A first guess.
        points: In the camera frame  # [N, 3]

    Returns:
        Unit normal  # [3]; offset; robust standard deviation of the points' distance, relative to their depth
    """
    trust = np.ones(len(points))
    normal, offset, deviation = plane.normal, plane.offset, np.inf
    for _ in range(ROUNDS):
        normal, offset = fitted_plane(points, points[:, 2], plane.normal, trust)
        off = (points @ normal - offset) / points[:, 2]
        deviation = MAD_TO_SIGMA * float(np.median(np.abs(off))) + 1e-9
        trust = np.clip(1 - (off / (TUKEY * deviation)) ** 2, 0, 1) ** 2
    return normal, offset, deviation


def smooth_guess(rgb: NDArray[np.float32], hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The picture with a membrane in the hole  # [H, W, 3]"""
    from scene_depth.color.exemplar.base import SMOOTHING_STEPS, base_layer, surface_weights

    clean = np.where(hole[..., None], np.float32(0), rgb)
    places = np.argwhere(hole)
    if not len(places):
        return clean
    reach = SMOOTHING_STEPS + 2  # beyond which nothing bears on the hole
    near = tuple(slice(max(0, side.min() - reach), side.max() + reach + 1) for side in places.T)
    smooth = base_layer(clean[near], hole[near], surface_weights(hole[near].shape, None, None), soft_rim=True)
    clean[near] = np.where(hole[near][..., None], np.clip(smooth, 0, 1), clean[near])
    return clean
