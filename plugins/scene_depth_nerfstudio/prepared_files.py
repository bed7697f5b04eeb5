"""Pictures, masks and depth of views as files that nerfstudio's datasets read: undistorted, of the camera's size.

A file of the scene that is so already is used in its place. The others are written once into the user's cache folder, under
a name that changes with the files that they come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

from scene_depth.cameras import Cameras
from scene_depth.fitting.training_views import MaskUse, TrainingViews, fitted_camera
from scene_depth.io.depth_images import write_depth
from scene_depth.io.images import ImageFile, write_image, write_mask
from scene_depth.io.user_cache import user_cache
from scene_depth.scene import PointCloud, View

NEAR, HIDDEN = 0.05, 1.15
"""Share of a picture around a point, and factor of the least depth there from which it is taken for hidden."""


@dataclass(frozen=True)
class Prepared:
    """Files of views, in their order.

    Attributes:
        images: Pictures of the size of their cameras.
        masks: White where pixels count; None if no view has one.
        depths: ``.npy`` of z-depth in units of the scene, 0 = unknown; None if no view has any.
        cameras: One camera a view, of the size of its files.
    """

    images: list[Path]
    masks: list[Path] | None
    depths: list[Path] | None
    cameras: list[Cameras]


def prepare_files(
    views: Sequence[View],
    points: PointCloud | None,
    *,
    max_size: int,
    mask_use: MaskUse,
    depth: Literal["auto", "sensor", "points", "none"],
) -> Prepared:
    """Finds or writes the files of views.

    Args:
        views: Views with images.
        points: Points of the scene, which give sparse depth to views that see them.
        max_size: Longer side at most, in pixels.
        mask_use: As in ``TrainingViews``.
        depth: What gives depth.
    """
    sensor = depth in ("auto", "sensor") and any(view.load_depth is not None for view in views)
    tracked = points is not None and bool(points.observations)
    sparse = points is not None and not sensor and (depth == "points" or (depth == "auto" and tracked))
    masked = mask_use != "none" and any(view.load_mask is not None for view in views)
    sized = TrainingViews(views, max_size, mask_use, with_depth=sensor, cache_bytes=0)
    images, masks, depths = [], [], []
    for index, view in enumerate(views):
        camera, folder = sized.camera(index), _folder_of(view, max_size, f"{mask_use} {depth}")
        image, mask, deep = folder / f"{Path(view.name).stem}.png", folder / "mask.png", folder / "depth.npy"
        as_it_is = isinstance(view.load_image, ImageFile) and camera.width == view.camera.width
        missing = not as_it_is and not image.is_file()
        missing |= (masked and not mask.is_file()) or ((sensor or sparse) and not deep.is_file())
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            target = sized.target(index)
            if not as_it_is:
                write_image(image, target.image.numpy())
            if masked:
                everywhere = np.ones((camera.height, camera.width), bool)
                write_mask(mask, everywhere if target.counts is None else target.counts.numpy())
            if sensor:
                nothing = torch.zeros(camera.height, camera.width)
                write_depth(deep, (nothing if target.depth is None else target.depth).numpy())
            elif sparse and points is not None:
                write_depth(deep, depth_of_points(points, view.name, camera))
        images.append(view.load_image.path if as_it_is and isinstance(view.load_image, ImageFile) else image)
        masks.append(mask)
        depths.append(deep)
    cameras = [replace(sized.camera(index), camera_to_world=view.camera.camera_to_world) for index, view in enumerate(views)]
    return Prepared(images, masks if masked else None, depths if sensor or sparse else None, cameras)


def depth_of_points(points: PointCloud, name: str, camera: Cameras) -> NDArray[np.float32]:
    """z-depth of the points that a view sees, the nearest of a pixel; 0 elsewhere.

    Where nothing says which view sees which point, points far behind the nearest one around them count as hidden.

    Returns:
        In units of the scene  # [H, W]
    """
    seen = points.observations.get(name, np.zeros(0, np.int64)) if points.observations else np.arange(len(points))
    projected, distance = camera.project(torch.from_numpy(points.xyz[seen]).to(camera.K))
    place, z = projected[0].floor().long().numpy(), distance[0].numpy()
    inside = (z > 0) & (place >= 0).all(axis=1) & (place[:, 0] < camera.width) & (place[:, 1] < camera.height)
    (column, row), z = place[inside].T, z[inside]
    depth = np.full((camera.height, camera.width), np.inf)
    np.minimum.at(depth, (row, column), z)
    if not points.observations:
        side = max(1, round(NEAR * max(depth.shape)))
        depth[depth > HIDDEN * minimum_filter(depth, size=side, mode="nearest")] = np.inf
    return np.where(np.isfinite(depth), depth, 0).astype(np.float32)


def _folder_of(view: View, max_size: int, how: str) -> Path:
    """Folder of a view's files, another one when the scene's files or what is made of them change."""
    camera = fitted_camera(view.camera, max_size)
    said = [view.name, how, str(camera.width), str(camera.height), str(view.camera.K.tolist())]
    for source in (view.image_path, *(getattr(load, "path", None) for load in (view.load_mask, view.load_depth))):
        if isinstance(source, Path) and source.is_file():
            state = source.stat()
            said += [str(source.resolve()), str(state.st_mtime_ns), str(state.st_size)]
        else:
            said.append(repr(source))
    key = hashlib.sha256("\n".join(said).encode()).hexdigest()[:24]
    return user_cache() / "nerfstudio" / key[:2] / key
