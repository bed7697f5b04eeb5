"""A refined pointmap result as what splat trainers read: a scene of the original photos, with thinned points and depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.config import CameraRefinement, FitConfig
from scene_depth.fitting.fit import FitReport, FitResult, fit
from scene_depth.io.colmap import write_colmap
from scene_depth.io.point_ply import write_point_ply
from scene_depth.io.saved_scene import write_saved_scene
from scene_depth.io.splat_files import write_splats
from scene_depth.io.transforms_json_output import write_transforms
from scene_depth.pointmaps import PointmapView
from scene_depth.scene import Scene, View
from scene_depth.work import OnProgress
from scene_depth_sparse.flags import SHELL
from scene_depth_sparse.photos import photo_of
from scene_depth_sparse.points import LARGEST_SIGMA, refined_points, sure_pixels
from scene_depth_sparse.result import RefinedPointmaps, RefinedView

COLMAP, TRANSFORMS, POINTS, SPLATS, FIT_REPORT, REFINED = (
    "colmap", "nerfstudio", "points.ply", "splats.ply", "fit.json", "refined_scene",
)  # fmt: skip
LOOSE = 0.03  # spread of mutual depth after the alignment from which cameras are refined as those of any scene
LEAST_SHARE = 0.1  # of the usual learning rates, where views agree well
OUTPUTS = (COLMAP, TRANSFORMS, POINTS, SPLATS, FIT_REPORT, REFINED)
"""Folders and files that ``hand_over`` writes."""
Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class HandOver:
    """What splat trainers get."""

    budget: int = 100_000
    """Number of points, at most; the surest one of each voxel."""
    largest_sigma: float = LARGEST_SIGMA
    """Relative standard deviation above which depth and points are left out."""
    sky_masks: bool = False
    """Also write masks, black on the sky that the model put onto a shell."""
    colmap_text: bool = False
    """Write COLMAP's text files in place of binary ones."""
    fit: bool = False
    """Also fit splats, into splats.ply, with fit.json and refined_scene, the scene with the refined cameras."""
    fit_steps: int | None = None
    """Steps of that fit; by default 3500 on a CPU and 30000 on CUDA."""
    fit_size: int | None = None
    """Longer side of its pictures in pixels, at most; by default 480 on a CPU and 1600 on CUDA."""
    keep_cameras: bool = False
    """Do not refine poses and focal lengths in that fit."""


@dataclass(frozen=True)
class _FromProcessed:
    """Loader of values of the processed picture at the pixels of the photo: the nearest one's, 0 outside of it."""

    values: NDArray[Any]
    source: PointmapView

    def __call__(self) -> NDArray[Any]:
        width, height = self.source.photo_size or self.values.shape[1::-1]
        (columns, across), (rows, down) = (
            _nearest(size, self.values.shape[1 - axis], self.source.scale[axis], self.source.offset[axis])
            for axis, size in enumerate((width, height))
        )
        shown = self.values[rows[:, None], columns]
        shown[~(down[:, None] & across)] = 0
        return shown


def refined_scene(
    result: RefinedPointmaps, *, budget: int = 100_000, largest_sigma: float = LARGEST_SIGMA, sky_masks: bool = False
) -> Scene:
    """The photos at their original size with the aligned cameras, the points and the depth of a refined result.

    A view whose photo is not known gets the picture that the model saw, and its camera at that size. The frame is that of the
    run, the unit the metre where the result's scale leads to it.

    Args:
        result: The refined result.
        budget: Number of points, at most; see ``refined_points``.
        largest_sigma: Relative standard deviation above which depth is left out.
        sky_masks: Views get masks that are True on shells (sky), which writers make black: no trainer looks for a surface there.

    Raises:
        InputError: If no pixel of any view has depth that is sure enough.
    """
    points = refined_points(result, budget=budget, largest_sigma=largest_sigma)
    views = tuple(_scene_view(view, result.scale, largest_sigma, sky_masks) for view in result.views)
    return Scene(views, points, result.metric, result.run.path, result.run.notes)


def write_outputs(
    folder: str | PathLike[str],
    result: RefinedPointmaps,
    *,
    budget: int = 100_000,
    largest_sigma: float = LARGEST_SIGMA,
    sky_masks: bool = False,
    text: bool = False,
) -> Scene:
    """Writes ``colmap`` (sparse/0, images), ``nerfstudio`` (transforms.json, images, depths, masks) and ``points.ply``.

    Both have one PINHOLE camera a view at the size of its photo, under the photo's name.

    Args:
        folder: Folder for the three, which must not be there.
        result: The refined result.
        budget, largest_sigma, sky_masks: As for ``refined_scene``.
        text: COLMAP's text files in place of binary ones.

    Returns:
        What was written, as a scene.

    Raises:
        InputError: If a photo is not known and the run has no pictures, or nothing can be written.
    """
    folder = Path(folder)
    scene = refined_scene(result, budget=budget, largest_sigma=largest_sigma, sky_masks=sky_masks)
    for view in scene.views:
        if view.load_image is None:
            raise InputError(
                f"view {view.name!r}: photo", "none, and the run holds no pictures", "the photos (--photos)", file=scene.source
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_colmap(folder / COLMAP, scene, binary=not text, camera_per_view=True)
    write_transforms(folder / TRANSFORMS, scene)
    if scene.points is not None:
        write_point_ply(folder / POINTS, scene.points)
    return scene


def hand_over(
    result: RefinedPointmaps,
    folder: Path,
    options: HandOver,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> FitReport | None:
    """Writes what splat trainers get, and splats if they are asked for; nothing where there are neither photos nor pictures.

    Args:
        result: The refined result; its report notes what could not be written.
        folder: Folder for ``OUTPUTS``.
        options: What is written.
        seed: Of the fit.
        on_progress: Of the fit.

    Returns:
        The report of the fit, if there was one.
    """
    if any(view.source.photo_path is None and view.source.image is None for view in result.views):
        result.report.notes.append("no photos and no pictures in the run: nothing is written for splat trainers (--photos DIR)")
        return None
    scene = write_outputs(
        folder,
        result,
        budget=options.budget,
        largest_sigma=options.largest_sigma,
        sky_masks=options.sky_masks,
        text=options.colmap_text,
    )
    if not options.fit:
        return None
    cameras = None if options.keep_cameras else camera_refinement(result)
    config = FitConfig(steps=options.fit_steps, max_size=options.fit_size, cameras=cameras)
    fitted = fit_splats(scene, config=config, refine_cameras=False, seed=seed, on_progress=on_progress)
    write_splats(folder / SPLATS, fitted.splats)
    fitted.report.save(folder / FIT_REPORT)
    if fitted.cameras:
        views = tuple(replace(view, load_depth=None) for view in scene.with_cameras(fitted.cameras).views)
        write_saved_scene(folder / REFINED, replace(scene, views=views), reference_images="absolute")
    return fitted.report


def camera_refinement(result: RefinedPointmaps) -> CameraRefinement:
    """How far a fit may move the cameras: the less, the better the aligned views agree, as few photos say little of cameras.

    Args:
        result: The refined result.
    """
    spread = float(result.report.alignment.get("spread_after", 0.0))
    share = float(np.clip((spread / LOOSE) ** 3, LEAST_SHARE, 1)) if spread > 0 else 1.0
    usual = CameraRefinement(focal="each")
    return replace(usual, camera_lr=share * usual.camera_lr, focal_lr=share * usual.focal_lr)


def fit_splats(scene: Scene, *, config: FitConfig | None = None, refine_cameras: bool = True, **options: Any) -> FitResult:
    """Splats of a scene that ``refined_scene`` made, from its points, held to its depth.

    Args:
        scene: The scene.
        config: Of the fit; None takes the defaults.
        refine_cameras: Whether poses and the focal length of each view are refined, where ``config`` says nothing of it;
            ``camera_refinement`` says how far they should be.
        options: Of ``scene_depth.fit``: on_progress, seed, device and others.
    """
    config = replace(config or FitConfig(), start="points")
    if refine_cameras and config.cameras is None:
        config = replace(config, cameras=CameraRefinement(focal="each"))
    return fit(scene, config=config, **options)


def _scene_view(view: RefinedView, scale: float, largest_sigma: float, sky_mask: bool) -> View:
    source, camera, image = view.source, view.photo_camera(), photo_of(view.source)
    if image is None:  # the picture that the model saw, with its camera
        source = replace(source, scale=(1.0, 1.0), offset=(0.0, 0.0), photo_size=None, photo_path=None)
        camera = view.camera
        image = None if source.image is None else _FromProcessed(source.image, source)
    pose = camera.camera_to_world.double().clone()
    pose[:, :3, 3] *= scale
    depth = np.where(sure_pixels(view, largest_sigma), view.aligned_depth() * np.float32(scale), np.float32(0))
    sky = _FromProcessed(view.flags == SHELL, source) if sky_mask else None
    camera = Cameras(pose, camera.K.double(), camera.width, camera.height)
    return View(view.name, camera, image, sky, _FromProcessed(depth, source), source.photo_path)


def _nearest(size: int, processed: int, scale: float, offset: float) -> tuple[NDArray[np.intp], Mask]:
    """Processed pixel under each pixel of the photo along one axis, and whether there is one."""
    place = np.floor((np.arange(size) + 0.5 - offset) / scale)
    return np.clip(place, 0, processed - 1).astype(np.intp), (place >= 0) & (place < processed)
