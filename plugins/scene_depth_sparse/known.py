"""What a user knows of a pointmap result: photos, cameras, and a distance that gives its scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.spatial.transform import Rotation

from scene_depth.arrays import Mask, Picture
from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.images import opened_image
from scene_depth.pointmaps import PointmapRun, PointmapView
from scene_depth.scene import Scene
from scene_depth_sparse.comparison import PosedDepth, compare_depth, find_neighbours
from scene_depth_sparse.result import RefinedView

SCALES = np.exp(np.linspace(-0.3, 0.3, 31))  # factors tried on the scale that the positions of cameras give
SAME = 0.05  # relative difference of depth that counts as agreement while they are tried
COARSE = 6  # of the rows and columns


@dataclass(frozen=True)
class KnownDistance:
    """A distance between two places in one photo.

    Attributes:
        view: Name of the photo.
        first, second: Pixels (x, y) in it, the first pixel's centre at 0.5.
        metres: Distance between the surfaces there.
    """

    view: str
    first: tuple[float, float]
    second: tuple[float, float]
    metres: float


def processed_pictures(run: PointmapRun) -> list[Picture | None]:
    """The pictures at processed size: what the model saw where the run has it, else its part of the photo  # [H, W, 3] each"""
    return [view.image if view.image is not None else _from_photo(view) for view in run.views]


def _from_photo(view: PointmapView) -> Picture | None:
    if view.photo_path is None or view.photo_size is None:
        return None
    (ax, ay), (left, top) = view.scale, view.offset
    width, height = view.camera.width, view.camera.height
    with opened_image(view.photo_path) as image:
        turned = ImageOps.exif_transpose(image) if image.size != view.photo_size else image
        box = [round(place) for place in (left, top, left + ax * width, top + ay * height)]
        part = turned.convert("RGB").crop((box[0], box[1], box[2], box[3])).resize((width, height), Image.Resampling.BOX)
    picture: Picture = np.asarray(part).astype(np.float32) / np.float32(255)
    return picture


def known_cameras(run: PointmapRun, scene: Scene) -> list[Cameras | None]:
    """Cameras of a scene (transforms.json, COLMAP) for the views of a run, by the names of the photos.

    Raises:
        InputError: If none of the photos is in the scene.
    """
    by_name = {PurePath(view.name).name: view.camera for view in scene.views}
    by_stem = {PurePath(view.name).stem: view.camera for view in scene.views}
    found = [by_name.get(PurePath(v.name).name, by_stem.get(PurePath(v.name).stem)) for v in run.views]
    if all(camera is None for camera in found):
        names = ", ".join(list(by_name)[:3])
        raise InputError("cameras", f"of {names}, ...", f"those of {run.views[0].name}, ...", file=scene.source)
    return found


def place_at_known(run: PointmapRun, cameras: Sequence[Cameras | None], usable: Sequence[Mask]) -> tuple[list[Cameras], float]:
    """Puts the views where their known cameras stand, in the unit of the run's depth.

    The scale is the ratio of distances between cameras, then what lets the depth of the views agree best. Views without a known
    camera follow by the similarity that brings the others there.

    Args:
        run: The run.
        cameras: Cameras of the photos, None where not known.
        usable: Pixels to go by  # [H, W] bool

    Returns:
        Cameras at processed size, whose positions are the known ones divided by the scale.
        The scale: known unit per unit of the run.

    Raises:
        InputError: If fewer than two are known, or they stand at one place.
    """
    if len(cameras) != len(run):
        raise InputError("cameras", len(cameras), f"{len(run)}, one a view, None where it is not known")
    given = [index for index, camera in enumerate(cameras) if camera is not None]
    processed = [None if camera is None else _processed(view, camera) for view, camera in zip(run.views, cameras, strict=True)]
    theirs = np.stack([_pose(processed[index]) for index in given]) if given else np.empty((0, 4, 4))
    ours = np.stack([_pose(run.views[index].camera) for index in given]) if given else np.empty((0, 4, 4))
    apart = np.linalg.norm(theirs[:, None, :3, 3] - theirs[None, :, :3, 3], axis=-1)
    apart_ours = np.linalg.norm(ours[:, None, :3, 3] - ours[None, :, :3, 3], axis=-1)
    pairs = np.triu(np.ones_like(apart, dtype=bool), 1) & (apart_ours > 0) & (apart > 0)
    if len(given) < 2 or not pairs.any():
        found = f"{len(given)} known" if len(given) < 2 else "all at one place"
        raise InputError("cameras", found, "two or more at different places, which give the scale")
    turn = Rotation.from_matrix(theirs[:, :3, :3] @ ours[:, :3, :3].transpose(0, 2, 1)).mean().as_matrix()
    start = float(np.median(apart[pairs] / apart_ours[pairs]))

    def placed(scale: float) -> list[Cameras]:
        middle, middle_ours = theirs[:, :3, 3].mean(axis=0) / scale, ours[:, :3, 3].mean(axis=0)
        result = []
        for view, camera in zip(run.views, processed, strict=True):
            if camera is not None:
                pose = _pose(camera)
                pose[:3, 3] /= scale
            else:
                pose = _pose(view.camera)
                pose[:3, 3] = turn @ (pose[:3, 3] - middle_ours) + middle
                pose[:3, :3] = turn @ pose[:3, :3]
            result.append(replace(camera or view.camera, camera_to_world=torch.from_numpy(pose)[None]))
        return [replace(camera, K=camera.K.double()) for camera in result]

    best = max(SCALES, key=lambda factor: (_agreement(run, placed(start * factor), usable), -abs(np.log(factor))))
    return placed(start * float(best)), start * float(best)


def _agreement(run: PointmapRun, cameras: Sequence[Cameras], usable: Sequence[Mask]) -> float:
    views = [PosedDepth.of(np.where(m, v.depth, 0), c) for v, c, m in zip(run.views, cameras, usable, strict=True)]
    shares = [
        float(np.mean(np.abs(compare_depth(views[i], views[j], COARSE)) < SAME))
        for i, others in enumerate(find_neighbours(views))
        for j in others[:4]
    ]
    return float(np.mean(shares)) if shares else 0.0


def _pose(camera: Cameras | None) -> NDArray[np.float64]:
    assert camera is not None
    pose: NDArray[np.float64] = camera.camera_to_world[0].double().numpy().copy()
    return pose


def _processed(view: PointmapView, camera: Cameras) -> Cameras:
    """The camera of a photo at the processed size."""
    size = view.photo_size
    if size is None:
        return camera.resized(view.camera.width, view.camera.height)
    if abs(camera.width / camera.height - size[0] / size[1]) > 0.01:
        found, expected = f"{camera.width} x {camera.height}", f"the shape of the photo, {size[0]} x {size[1]}"
        raise InputError(f"camera of {view.name!r}: size", found, expected)
    K = camera.resized(*size).K.double().clone()
    for axis in (0, 1):
        K[:, axis, 2] = (K[:, axis, 2] - view.offset[axis]) / view.scale[axis]
        K[:, axis, axis] /= view.scale[axis]
    return replace(camera, K=K, width=view.camera.width, height=view.camera.height)


def scale_of_distance(views: Sequence[RefinedView], known: KnownDistance) -> float:
    """Metres per unit of the run by a known distance.

    Raises:
        InputError: If there is no such view, or no depth at one of the places.
    """
    view = next((view for view in views if view.name == known.view), None)
    if view is None:
        raise InputError("known distance", f"in {known.view!r}", f"the name of a view, such as {views[0].name!r}")
    if not known.metres > 0:
        raise InputError("known distance", known.metres, "metres above 0")
    points = view.points()
    found = []
    for place in (known.first, known.second):
        column, row = ((place[axis] - view.source.offset[axis]) / view.source.scale[axis] for axis in (0, 1))
        inside = 0 <= column < view.camera.width and 0 <= row < view.camera.height
        if not inside or view.depth[int(row), int(column)] <= 0:
            raise InputError("known distance", f"{place} in {known.view!r}", "two places with depth, in pixels of the photo")
        found.append(points[int(row), int(column)])
    distance = float(np.linalg.norm(found[0] - found[1]))
    if distance == 0:
        raise InputError("known distance", "between one place and itself", "two places")
    return known.metres / distance
