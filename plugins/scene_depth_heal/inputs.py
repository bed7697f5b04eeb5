"""From what a user names to what the edits take: views at the working size, trained splats, a depth inpainter."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.cli.inputs import SceneOptions, open_splats
from scene_depth.cli.progress import end_if_stopped, watch_progress
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.monocular import with_prior
from scene_depth.depth.registry import load_depth_inpainter
from scene_depth.errors import InputError
from scene_depth.evaluation.placement import Photo, compared_places
from scene_depth.fitting.config import FitConfig
from scene_depth.fitting.fit import fit
from scene_depth.fitting.training_views import TrainingViews, fitted_camera, resized_image
from scene_depth.io.images import check_white_share, image_size, images_named_like, parse_mask_ids, read_image, read_mask
from scene_depth.io.posed_views import with_mask_ids
from scene_depth.io.splat_files import ONLY_READ, WRITERS, splats_beside, write_splats
from scene_depth.options import with_options
from scene_depth.scene import Scene, View
from scene_depth.splats import PARAMETERS, GaussianSplats
from scene_depth_heal.hole import HealView, share_of
from scene_depth_heal.selection import SelectionSource

SPLATS = "splats.ply"
KEPT_BYTES = 1 << 29  # of photos and depth that were read


@dataclass(frozen=True)
class SceneSource:
    """The scene and its splats."""

    scene_options: SceneOptions = ()
    splats: Path | None = None
    """Trained splats of the scene; without them the scene's own splats.ply is taken, or one is fitted first."""
    fit_steps: int = 4000
    """Steps of the first fit, where there are no splats."""
    max_size: int = 640
    """Longer side of the pictures that are worked on, in pixels."""
    device: str | None = None
    """"cpu" or "cuda"; by default CUDA if it is there."""
    check_placement: bool = True
    """Stop where the splats do not look like the photos from their cameras, as at another scale or turned."""

    def trained_splats(self, scene: Scene, folder: Path, seed: int) -> GaussianSplats:
        """The splats named, else those that lie with the scene, else a fit of it, which is kept in a folder.

        Raises:
            InputError: If a file cannot be read or holds values that are not finite.
            KeyboardInterrupt: If the fit was stopped; what it reached is in the folder.
        """
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        path = self.splats or splats_beside(scene.source)
        if path is not None:
            return check_finite(open_splats(path, scene=scene), path).to(device)
        print("no splats given: fitting the scene first", file=sys.stderr)
        size = min(self.max_size, 480) if device == "cpu" else self.max_size
        config = FitConfig(steps=self.fit_steps, max_size=size)
        with watch_progress("fit") as on_progress:
            result = fit(scene, config=config, seed=seed, device=device, on_progress=on_progress)
        write_splats(folder / SPLATS, result.splats)
        end_if_stopped(result.report)
        return result.splats

    def splats_alone(self, path: Path, selection: SelectionSource, painted: Sequence[str] = ()) -> GaussianSplats:
        """The splats of a file without photos.

        Args:
            path: The file.
            selection: What selects, which cannot be masks.
            painted: Views with edited pictures, which there cannot be.

        Raises:
            InputError: If something is given that belongs to photos, or the file cannot be read.
        """
        photos = "a scene of posed photos in its place, and the file with --splats"
        if selection.by_masks:
            found = "none, as a file of splats has no photos that they could belong to"
            raise InputError("masks", found, "--box, --sphere or --indices", file=path, hint=photos)
        for name, given in (("splats", self.splats), ("scene-options", self.scene_options), ("painted", painted)):
            if given:
                raise InputError(name, "given beside a file of splats alone", "neither", file=path, hint=photos)
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        return check_finite(open_splats(path), path).to(device)


@dataclass(frozen=True)
class DepthSource:
    """What invents depth."""

    inpainter: str = "solver"
    """Depth inpainter by name, or module:attribute."""
    inpainter_options: tuple[str, ...] = ()
    """Parameters of the depth inpainter as KEY=VALUE, such as weights=FOLDER for depthlab."""
    prior: str | None = None
    """Monocular depth model that guides the solver, also with options behind it: NAME[fit=scale] for metric depth."""

    def depth_inpainter(self) -> ExactInpainter:
        """The inpainter; with a prior, the solver along that monocular model's prediction.

        Raises:
            InputError: If there is no such inpainter or model, or the inpainter takes no prior.
        """
        inpainter = load_depth_inpainter(with_options(self.inpainter, self.inpainter_options))
        return inpainter if self.prior is None else with_prior(inpainter, self.prior)


def is_splats_alone(path: Path) -> bool:
    """Whether a path is a file of splats, not a scene of photos."""
    return path.is_file() and path.name.lower().endswith((*WRITERS, *ONLY_READ))


def load_views(
    scene: Scene, max_size: int, source: SelectionSource | None, painted: Mapping[str, Path] | None = None
) -> list[HealView]:
    """The scene's views at the working size, with masks where masks select, edited pictures and depth where there are any.

    Photos and depth are read when a heal wants them, and kept in 8 bits while ``KEPT_BYTES`` allow.

    Args:
        scene: Posed photos.
        max_size: Longer side of the views, at most, in pixels.
        source: What selects; None for views without masks.
        painted: Files of edited pictures by the name of their view.

    Raises:
        InputError: If masks are wanted and there are none, a mask is missing or of another size, or an edited picture
            belongs to no view.
    """
    painted, names = painted or {}, [view.name for view in scene.views]
    own_masks, masks, ids, white_is = False, dict[str, Path](), tuple[int, ...](), None
    if source is not None:
        own_masks, ids, white_is = source.by_masks and source.masks is None, parse_mask_ids(source.mask_id), source.mask_white
        if source.masks is not None:
            masks = images_named_like(source.masks, names, what="masks", in_order=source.masks_in_order)
        scene = with_mask_ids(scene, ids, white_is)
    if own_masks and all(view.load_mask is None for view in scene.views):
        raise InputError("masks", "none in this scene", "", file=scene.source, hint="--masks DIR, --box, --sphere or --indices")
    if unknown := sorted(set(painted) - set(names)):
        raise InputError("painted", f"pictures for {unknown}", "names of views of the scene")
    objects = [view if view.load_mask is None else replace(view, load_mask=view.mask) for view in scene.views]
    sized = TrainingViews(objects, max_size, mask_use="keep", with_depth=True, cache_bytes=KEPT_BYTES)
    views = []
    for index, view in enumerate(scene.views):
        camera = sized.camera(index)
        counts = sized.counts(index) if own_masks else None
        mask = None if counts is None else torch.from_numpy(counts)
        if view.name in masks:
            check_image_size("mask", masks[view.name], view.camera, camera)
            mask = resized_mask(read_mask(masks[view.name], ids), camera)
            mask = ~mask if white_is == "keep" else mask
        edited = resized(read_image(painted[view.name]), camera) if view.name in painted else None
        measured = None if view.load_depth is None else partial(sized.known_depth, index)
        views.append(HealView(view.name, camera, partial(sized.picture, index), mask, edited, measured))
    shares = {view.name: share_of(view.mask) for view in views if view.mask is not None}
    known = white_is or ("object" if own_masks and scene.masks_are_objects else None)
    check_white_share(shares, known, file=source.masks or scene.source if source is not None else None)
    return views


def photos_beside(views: Sequence[HealView]) -> list[Photo]:
    """The photos that tell whether splats stand where they should, beside the object where masks show it."""
    compared = [views[place] for place in compared_places(len(views))]
    return [Photo(view.camera, view.rgb, None if view.mask is None else ~view.mask) for view in compared]


def posed_views(scene: Scene, max_size: int) -> list[View]:
    """The scene's cameras at the working size, without photos."""
    return [View(view.name, fitted_camera(view.camera, max_size)) for view in scene.views]


def view_named(views: Sequence[View], name: str) -> View:
    """The view of that name, or of that file name without folder and extension if only one has it.

    Raises:
        InputError: If there is none.
    """
    exact = [view for view in views if view.name == name]
    close = exact or [view for view in views if name in (Path(view.name).name, Path(view.name).stem)]
    if len(close) != 1:
        some = ", ".join(sorted(view.name for view in views)[:5])
        raise InputError("view", repr(name), f"the name of a view: {some}{', …' if len(views) > 5 else ''}")
    return close[0]


def check_finite(splats: GaussianSplats, path: str | PathLike[str] | None = None) -> GaussianSplats:
    """The splats themselves.

    Raises:
        InputError: If there is none, or one has a parameter that is NaN or infinite.
    """
    if len(splats) == 0:
        raise InputError("splats", "none", "one or more splats", file=path)
    for name in PARAMETERS:
        bad = ~torch.isfinite(getattr(splats, name)).reshape(len(splats), -1).all(dim=1)
        if bool(bad.any()):
            accepted = "finite numbers; `scene-depth inspect FILE --fix OUT` repairs files"
            raise InputError(name, f"{int(bad.sum())} of {len(splats)} splats with NaN or infinity", accepted, file=path)
    return splats


def check_image_size(what: str, path: Path, native: Cameras, working: Cameras) -> None:
    """Raises an InputError if an image has neither the size of its view nor the working size."""
    size = image_size(path)
    if size not in ((native.width, native.height), (working.width, working.height)):
        accepted = f"{native.width} x {native.height}, the size of its view"
        raise InputError(f"{what} size", f"{size[0]} x {size[1]}", accepted, file=path)


def resized(picture: NDArray[np.float32], camera: Cameras) -> Tensor:
    """A picture at the size of a camera, in steps of 8 bits  # [H, W, 3]"""
    pixels = resized_image(np.rint(255 * picture).astype(np.uint8), camera.width, camera.height)
    return torch.from_numpy(pixels.astype(np.float32) / np.float32(255))


def resized_mask(mask: NDArray[np.bool_], camera: Cameras) -> Tensor:
    """A mask at the size of a camera; a pixel belongs to it where half of it does  # [H, W] bool"""
    return resized(np.repeat(mask[..., None], 3, axis=2).astype(np.float32), camera)[..., 0] >= 0.5
