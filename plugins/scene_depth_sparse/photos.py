"""The photo of a view of a pointmap run: turned as the model saw it, and its colours at the processed size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from scene_depth.io.images import ImageFile, TurnedImage, exif_turn, image_size
from scene_depth.pointmaps import PointmapView


def photo_of(view: PointmapView) -> Callable[[], NDArray[np.float32]] | None:
    """Loader of the photo, turned by its EXIF entry if the model saw it so; None if there is no photo."""
    if view.photo_path is None:
        return None
    stored, turned = ImageFile(view.photo_path), TurnedImage(view.photo_path)
    if exif_turn(view.photo_path) <= 1:
        return stored
    if image_size(view.photo_path) != view.photo_size:
        return turned
    if view.image is None or view.photo_size[0] == view.photo_size[1]:
        return stored
    seen = [np.abs(at_processed(load(), view) - view.image).mean() for load in (stored, turned)]
    return stored if seen[0] <= seen[1] else turned


def at_processed(photo: NDArray[np.float32], view: PointmapView) -> NDArray[np.float32]:
    """Colours of the photo at the middles of the processed pixels  # [H, W, 3]"""
    rows, columns = (
        np.clip((np.arange(count) + 0.5) * view.scale[axis] + view.offset[axis], 0, photo.shape[1 - axis] - 1).astype(np.intp)
        for axis, count in ((1, view.camera.height), (0, view.camera.width))
    )
    colors: NDArray[np.float32] = photo[rows[:, None], columns]
    return colors
