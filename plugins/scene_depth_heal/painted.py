"""Insert: an object that was painted into one view gets depth from the scene around it and becomes splats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from scene_depth.arrays import MAD_TO_SIGMA
from scene_depth.cameras import Cameras
from scene_depth.depth.alignment import Space, apply_fit, fit_globally
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.depth.scattered import nearest_fill
from scene_depth.depth.solver import SolverInpainter
from scene_depth.errors import InputError
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.fitting.training_views import fitted_camera
from scene_depth.geometry.visibility import sight
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import check_white_share, parse_mask_ids, read_image, read_mask
from scene_depth.rendering import render
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats
from scene_depth.work import OnProgress
from scene_depth_heal.drawings import opaque_depth
from scene_depth_heal.edit import (
    DOMINATES,
    EditConfig,
    EditReport,
    EditResult,
    EditRun,
    PaintedPart,
    in_the_way,
    new_weight,
)
from scene_depth_heal.fill import known_depth
from scene_depth_heal.hole import as_array, dilate, picture_of, share_of
from scene_depth_heal.inputs import check_image_size, resized, resized_mask, view_named
from scene_depth_heal.refine import refine, window_around

LEAST_DIFFERENCE = 0.06  # colour difference, of 1, below which nothing counts as painted: what saving as JPEG does
NOISE_FACTOR = 6.0  # robust standard deviations of the unpainted difference above which a pixel is painted
LEAST_PIXELS = 9  # smaller patches are noise
UNLIKE = 0.25  # median difference from which a picture does not show this view
MOST_PAINTED = 0.9  # share of the picture from which it is not an edit of this view

TOUCHED = 0.02  # blending weight of new splats from which another view's pixel is theirs
STRAY = 0.05  # relative depth by which a splat may leave the painted surface
LEAST_OVERLAP = 50  # known pixels with a value in the depth image, from which a scale and a shift can be told
FOOT_SHARE = 0.01  # lowest part of a painted object that stands on the surface; what is still lower lies on it

Array = NDArray[np.floating]


@dataclass(frozen=True)
class PaintedView:
    """An edited reference. It takes arrays too; they become tensors.

    Attributes:
        name: Name of the view that was edited.
        camera: At the working size.
        picture: The edited picture, float32, read where ``mask``  # [H, W, 3]
        mask: Where it was painted  # [H, W] bool
        mask_source: Where the mask comes from, for the report.
        notes: What a person should know of it.

    Raises:
        InputError: If sizes do not fit, or the mask is empty or nearly full.
    """

    name: str
    camera: Cameras
    picture: Tensor
    mask: Tensor
    mask_source: str = "given"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for what, kind in (("picture", torch.float32), ("mask", torch.bool)):
            values = torch.as_tensor(getattr(self, what), dtype=kind)
            if values.shape[:2] != size:
                raise InputError(f"{what} of {self.name!r}", f"size {tuple(values.shape[:2])}", f"{size}, the size of its view")
            object.__setattr__(self, what, values)
        share = int(self.mask.sum()) / self.mask.numel()
        if share == 0:
            raise InputError(f"mask of {self.name!r}", "no white pixel", "a mask that is white where the picture was painted")
        if share > MOST_PAINTED:
            accepted = "a painted part with known surroundings in the picture"
            raise InputError(f"mask of {self.name!r}", f"{100 * share:.0f} % of the pixels", accepted)

    def described(self) -> PaintedPart:
        """What reports say of it."""
        pixels = int(self.mask.sum())
        return PaintedPart(self.name, self.mask_source, pixels, pixels / self.mask.numel())


@dataclass(frozen=True)
class PaintedFiles:
    """A painted picture, checked but without what only the trained scene can tell.

    Attributes:
        view: The view of the scene.
        camera: Its camera at the working size.
        picture: At the working size  # [H, W, 3]
        mask: At the working size; None if it is to be derived  # [H, W] bool
    """

    view: View
    camera: Cameras
    picture: Tensor
    mask: Tensor | None

    def against(self, splats: GaussianSplats) -> PaintedView:
        """The painted view; where no mask was given it is what differs from the photo, or from the render.

        Raises:
            InputError: If nothing was painted, or so much differs that it is no edit of this view.
        """
        if self.mask is not None:
            return PaintedView(self.view.name, self.camera, self.picture, self.mask)
        originals = {"render": picture_of(splats, self.camera)}
        if self.view.load_image is not None:
            originals["photo"] = as_array(resized(self.view.image(), self.camera))
        mask, original, threshold = derived_mask(as_array(self.picture), originals)
        source = f"derived: what differs from the {original} by more than {threshold:.3f}"
        note = f"no mask was given; {100 * mask.mean():.1f} % of the picture differs from the {original} and counts as painted"
        return PaintedView(self.view.name, self.camera, self.picture, torch.from_numpy(mask), source, (note,))


def read_painted(
    scene: Scene,
    name: str,
    picture: Path,
    mask: Path | None,
    max_size: int,
    *,
    mask_white: Literal["object", "keep"] | None = None,
    mask_id: Sequence[str] = (),
) -> PaintedFiles:
    """Reads a painted picture and its mask, in which white is what was painted, unless ``mask_white`` is "keep".

    Raises:
        InputError: If the view is not there, a file has neither the size of the view nor the working size, or the mask
            is empty or full.
    """
    view = view_named(scene.views, name)
    camera = fitted_camera(view.camera, max_size)
    check_image_size("painted picture", picture, view.camera, camera)
    pixels = resized(read_image(picture), camera)
    if mask is None:
        return PaintedFiles(view, camera, pixels, None)
    check_image_size("mask", mask, view.camera, camera)
    white = read_mask(mask, parse_mask_ids(mask_id))
    if white.any() and not white.all():
        check_white_share({view.name: float(white.mean())}, mask_white, file=mask)
    where = resized_mask(white, camera)
    where = ~where if mask_white == "keep" else where
    return PaintedFiles(view, camera, pixels, PaintedView(view.name, camera, pixels, where).mask)


def derived_mask(picture: Array, originals: Mapping[str, Array]) -> tuple[NDArray[np.bool_], str, float]:
    """Finds what was painted by comparing with what the view showed before.

    The original is the one whose median difference is smallest. A pixel is painted if its largest channel difference, as
    a mean over 3 x 3 pixels, exceeds the noise of the rest; specks go, enclosed holes belong to it.

    Args:
        picture: The edited picture  # [H, W, 3]
        originals: What may have been edited, such as the photo and the render, by name  # [H, W, 3] each

    Returns:
        Mask  # [H, W] bool
        Name of the original
        The difference above which a pixel counts as painted

    Raises:
        InputError: If nothing was painted, or so much differs that it is no edit of this view.
    """
    differences = {name: np.abs(picture - original).max(axis=-1).astype(np.float64) for name, original in originals.items()}
    name = min(differences, key=lambda key: float(np.median(differences[key])))
    difference = differences[name]
    middle = float(np.median(difference))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(difference - middle)))
    threshold = max(LEAST_DIFFERENCE, middle + NOISE_FACTOR * noise)
    changed = ndimage.uniform_filter(difference, 3, mode="nearest") > threshold
    labels, count = ndimage.label(ndimage.binary_fill_holes(changed))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    mask: NDArray[np.bool_] = (sizes >= LEAST_PIXELS)[labels]
    if mask.mean() > MOST_PAINTED or middle > UNLIKE:
        found = f"it differs from the {name} by {middle:.2f} in the median"
        raise InputError("painted picture", found, "an edit of this view in place, of its size; or --mask")
    if not mask.any():
        found = f"nothing differs from the {name} by more than {threshold:.2f}"
        raise InputError("painted picture", found, "a picture with something painted in, or --mask")
    return mask, name, threshold


def read_depth_image(path: Path, files: PaintedFiles) -> DepthImage:
    """The user's own depth of the painted view, of any scale and shift.

    Raises:
        InputError: If it has another size, or holds no positive value.
    """
    values = read_depth(path, unit=1.0)
    height, width = files.camera.height, files.camera.width
    native = (files.view.camera.height, files.view.camera.width)
    if values.shape not in (native, (height, width)):
        found = f"{values.shape[1]} x {values.shape[0]}"
        raise InputError("depth image size", found, f"{native[1]} x {native[0]}, the size of its view", file=path)
    rows = np.minimum(((np.arange(height) + 0.5) * values.shape[0] / height).astype(int), values.shape[0] - 1)
    columns = np.minimum(((np.arange(width) + 0.5) * values.shape[1] / width).astype(int), values.shape[1] - 1)
    nearest = values[np.ix_(rows, columns)]
    if not (nearest > 0).any():
        raise InputError("depth image", "no positive value", "depth or inverse depth of the painted picture", file=path)
    return DepthImage(np.where(nearest > 0, nearest, np.nan))


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
    space: Space | Literal["auto"] = "auto"

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
        fit = fit_globally(self.values, depth, overlap, self.space)
        fitted = np.where(valid, apply_fit(fit, np.where(valid, self.values, 0), depth[known]), np.where(known, depth, 0))
        complete = nearest_fill(fitted, valid | known)
        solved = SolverInpainter(prior=complete, prior_space="depth", fit="affine").predict(view, seed=seed)
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


def insert_painted(
    splats: GaussianSplats,
    views: Sequence[View],
    painted: PaintedView,
    depth_inpainter: DepthInpainter,
    config: EditConfig | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> EditResult:
    """Turns what was painted into a view into splats that stand in front of, or on, the scene's surfaces.

    The depth under the mask is inpainted from the rendered depth around it, which stays exact, and brought in front of
    the surfaces that the scene already has there. Only the new splats are optimised: in the painted view to its picture
    and to that depth, in the others to change nothing beside their own outline. What other views should see of the
    object nobody knows, and it may well stand before surfaces that they know; so a new splat is taken out if it leaves the
    painted surface, or would cover much of a picture because it lies at a camera.

    Args:
        splats: The scene; all of it is kept bit for bit.
        views: All views of the scene.
        painted: The edited view.
        depth_inpainter: Gives the object its shape; see ``load_depth_inpainter``, ``DepthImage``, ``Upright``.
        config: Parameters.
        on_progress: Called between steps; False stops, and the result holds what is done so far.

    Raises:
        InputError: If too little of the view shows a surface, or no pixel of the mask can become a splat.
    """
    config = config or EditConfig()
    report = EditReport(kind="painted", parameters=config, edit=painted.described(), notes=list(painted.notes))
    run = EditRun(splats, splats, views, report, on_progress)
    mask = painted.mask
    prediction: DepthPrediction | None = None
    with run.work.stage("shape"):
        image = render(run.kept, painted.camera)
        behind, rgb = opaque_depth(image).cpu(), image.rgb[0].clamp(0, 1).cpu()
        picture = torch.where(mask[..., None], painted.picture, rgb)
        prediction = inpaint_shape(painted, picture, behind, depth_inpainter, config.seed)
        report.seam, report.depth_details = prediction.seam, prediction.details
        run.announce("shape", f"depth of {int(mask.sum())} painted pixels")
    if prediction is None or run.work.stopped:
        return run.result()
    shape = depth = torch.from_numpy(prediction.depth)

    def make(part: float) -> GaussianSplats:
        nearer = in_front(shape, behind, mask, part)
        made = splats_on_depth(as_array(picture), as_array(nearer), as_array(mask), painted.camera).to(run.kept.device)
        return replace(made, antialiased=run.kept.antialiased)

    with run.work.stage("raise"):
        part = run.add_until_shown(make, painted.camera, mask.to(run.kept.device))
        depth = in_front(shape, behind, mask, part)
        run.announce("raise", f"{len(run.new)} splats")
    if not len(run.new):
        return run.result()
    if config.steps and not run.work.stopped:
        with run.work.stage("fit"):
            windows = _windows(run, painted, picture, depth)
            run.new = refine(run.new, run.kept, windows, steps=config.steps, seed=config.seed, work=run.work)
    with run.work.stage("check"):
        astray, blocking = strays(run.new, painted, depth), in_the_way(run.new, [view.camera for view in views])
        report.stray_splats, report.near_camera_splats = int(astray.sum()), int((blocking & ~astray).sum())
        run.new = run.new.select(~(astray | blocking).to(run.new.device))
        if len(run.new):
            run.check_edited_view(render(run.scene(), painted.camera), mask, picture, depth)
            run.check_views()
            shown = new_weight(run.kept, run.new, painted.camera)[mask.to(run.kept.device)] > DOMINATES
            report.checks.hidden_share_of_mask = 1 - share_of(shown)
        else:
            report.notes.append("no new splat is left; is the painted part at a camera?")
    return run.result()


def inpaint_shape(
    painted: PaintedView, picture: Tensor, behind: Tensor, depth_inpainter: DepthInpainter, seed: int = 0
) -> DepthPrediction:
    """Inpaints the depth under the mask from the rendered depth around it, before the scene behind it bounds it.

    Args:
        painted: The edited view.
        picture: The view with what was painted  # [H, W, 3]
        behind: Rendered z-depth without the object, 0 where there is no surface  # [H, W]
        depth_inpainter: Gives the object its shape.
        seed: Seed of all random choices.

    Raises:
        InputError: If too little of the view shows a surface.
    """
    depth, mask = as_array(behind), as_array(painted.mask)
    known = known_depth(painted.name, depth, mask)
    bind = getattr(depth_inpainter, "bound_to", None)  # an upright object needs the depth under the mask too
    inpainter = depth_inpainter if bind is None else bind(depth, mask)
    return inpaint_depth(inpainter, as_array(picture), depth, known, camera=painted.camera, seed=seed)


def in_front(depth: Tensor, scene_depth: Tensor, mask: Tensor, part: float = 0.0) -> Tensor:
    """Depth whose masked pixels are nearer than the scene's surface there by at least a part of its depth  # [H, W]"""
    bounded = torch.where(scene_depth > 0, torch.minimum(depth, scene_depth * (1 - part)), depth)
    return torch.where(mask, bounded, depth).float()


def _windows(run: EditRun, painted: PaintedView, picture: Tensor, depth: Tensor) -> list[View]:
    """What the new splats are fitted to: the painted view, and in the others what they showed before beside them."""
    mask = painted.mask
    surface = torch.where(mask, depth, 0.0)
    windows = window_around(mask, painted.name, painted.camera, picture, torch.ones_like(mask), surface)
    weights = run.new_weights()
    for view in run.views:
        if view.name != painted.name and view.name in weights:
            theirs = weights[view.name] > TOUCHED
            before = render(run.kept, view.camera).rgb[0].clamp(0, 1)
            windows += window_around(theirs, view.name, view.camera, before, ~dilate(theirs, 2))
    return windows


def strays(new: GaussianSplats, painted: PaintedView, depth: Tensor) -> Tensor:
    """New splats that are not on the painted surface, as the painted view sees it  # [N] bool

    Args:
        new: New splats.
        painted: The edited view.
        depth: z-depth of the painted surface, read under the mask  # [H, W]
    """
    surface = torch.where(painted.mask, depth, 0.0)
    return ~sight(new.means.cpu(), painted.camera, surface, None, STRAY).seen
