"""From files to what insertion takes: views, a painted picture with its mask, a depth image, a place for other splats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.fitting.training_views import fitted_camera, resized_image
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import check_white_share, image_size, parse_mask_ids, read_image, read_mask
from scene_depth.io.input_files import check_input_file
from scene_depth.rendering import render
from scene_depth.scene import Scene, View
from scene_depth.splats import GaussianSplats
from scene_depth_heal.edit_run import PosedView
from scene_depth_heal.fill import as_array
from scene_depth_heal.object_depth import DepthImage
from scene_depth_heal.painted import PaintedView, derived_mask
from scene_depth_heal.placement import Axis, Placement, view_named
from scene_depth_heal.regions import Box, Region, Sphere, parse_region, read_region
from scene_depth_heal.surface_point import Up


@dataclass(frozen=True)
class PlacementSource:
    """Where a file of splats goes, as typed; one of at, pixel and transform. See ``Placement``."""

    part: str | None = None
    """Region of the file to insert alone: "CX CY CZ R" (sphere), "CX CY CZ SX SY SZ [QW QX QY QZ]" (box), or a JSON file."""
    at: tuple[float, float, float] | None = None
    """Point of the scene; the splats stand on the surface below it."""
    pixel: tuple[str, float, float] | None = None
    """View, column and row of its photo; the splats stand on the surface that shows there."""
    transform: Path | None = None
    """JSON file of a 4x4 similarity, rows first, from the file's to the scene's coordinates."""
    scale: float = 1.0
    """Factor of the size."""
    height: float | None = None
    """Height that the splats are to have, in scene units, in place of a factor."""
    yaw: float = 0.0
    """Turn about the vertical in degrees, counter-clockwise seen from above."""
    rotation: tuple[float, float, float, float] | None = None
    """Quaternion, w first, from the file's axes to the scene's, in place of turning up to up; yaw comes after."""
    up: Up = "auto"
    """Direction in which it stands: auto, the scene's vertical, the surface's normal, or an axis of the scene."""
    file_up: Axis = "auto"
    """Axis of the file that is to point up; by default what a comment in it says, else the axis that is up in the scene."""
    stand: Literal["auto", "yes", "no"] = "auto"
    """Put the lowest point on the surface (auto: not for a transform), or else the file's origin at the point."""

    def chosen(self, splats: GaussianSplats, file: Path) -> GaussianSplats:
        """The part of the file's splats that is to be inserted.

        Raises:
            InputError: If the region cannot be read or holds no splat.
        """
        if self.part is None:
            return splats
        inside = _region(self.part).contains(splats.means.double())
        if not inside.any():
            raise InputError("part", f"a region without any of the {len(splats)} splats", "a region with splats in it", file=file)
        return splats.select(inside)

    @property
    def given(self) -> bool:
        """Whether anything was asked for."""
        return self != PlacementSource()

    def placement(self, scene: Scene, max_size: int) -> Placement:
        """The placement, with the pixel in the working size.

        Raises:
            InputError: If not one place is named, the view is not there, the pixel lies outside its photo, or the file
                holds no 4x4 matrix.
        """
        pixel = self.pixel
        if pixel is not None:
            view = scene.views[_index(scene, pixel[0])]
            camera, (_, column, row) = view.camera, pixel
            if not (0 <= column < camera.width and 0 <= row < camera.height):
                found = f"({column:g}, {row:g})"
                raise InputError("pixel", found, f"column and row of the photo, {camera.width} x {camera.height}")
            small = fitted_camera(camera, max_size)
            pixel = (view.name, (column + 0.5) * small.width / camera.width, (row + 0.5) * small.height / camera.height)
        return Placement(
            at=self.at,
            pixel=pixel,
            transform=None if self.transform is None else read_matrix(self.transform),
            scale=self.scale,
            height=self.height,
            yaw=self.yaw,
            rotation=self.rotation,
            up=self.up,
            file_up=self.file_up,
            stand=self.stand,
        )


def posed_views(scene: Scene, max_size: int) -> list[PosedView]:
    """The scene's cameras at the working size."""
    return [PosedView(view.name, fitted_camera(view.camera, max_size)) for view in scene.views]


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
    picture: NDArray[np.float32]
    mask: NDArray[np.bool_] | None


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
    view = scene.views[_index(scene, name)]
    camera = fitted_camera(view.camera, max_size)
    _check_size("painted picture", picture, view.camera, camera)
    pixels = _resized(read_image(picture), camera)
    if mask is None:
        return PaintedFiles(view, camera, pixels, None)
    _check_size("mask", mask, view.camera, camera)
    white = read_mask(mask, parse_mask_ids(mask_id))
    if white.any() and not white.all():
        check_white_share({view.name: float(white.mean())}, mask_white, file=mask)
    where = _resized(np.repeat(white[..., None], 3, axis=2).astype(np.float32), camera)[..., 0] >= 0.5
    where = ~where if mask_white == "keep" else where
    PaintedView(view.name, camera, pixels, where)
    return PaintedFiles(view, camera, pixels, where)


def painted_view(files: PaintedFiles, splats: GaussianSplats) -> tuple[PaintedView, list[str]]:
    """The painted view; where no mask was given it is what differs from the photo, or from the render.

    Returns:
        The view
        What to say about the mask in the report

    Raises:
        InputError: If nothing was painted, or so much differs that it is no edit of this view.
    """
    if files.mask is not None:
        return PaintedView(files.view.name, files.camera, files.picture, files.mask), []
    originals = {"render": as_array(render(splats, files.camera).rgb[0].clamp(0, 1))}
    if files.view.load_image is not None:
        originals["photo"] = _resized(files.view.image(), files.camera)
    mask, original, numbers = derived_mask(files.picture, originals)
    source = f"derived: what differs from the {original} by more than {numbers['threshold']:.3f}"
    note = f"no mask was given; {100 * mask.mean():.1f} % of the picture differs from the {original} and counts as painted"
    return PaintedView(files.view.name, files.camera, files.picture, mask, source), [note]


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


def read_matrix(path: Path) -> tuple[tuple[float, ...], ...]:
    """A 4x4 matrix from JSON: four rows of four numbers, 16 numbers row by row, or either under "matrix" or "transform".

    Raises:
        InputError: If the file holds anything else.
    """
    accepted = "a 4x4 matrix: four rows of four numbers, or the same under the name matrix"
    path = check_input_file(path, "a JSON file with a 4x4 matrix")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError("transform", f"no JSON ({error})", accepted, file=path) from error
    if isinstance(content, dict):
        content = next((content[name] for name in ("matrix", "transform") if name in content), None)
    try:
        values = np.array(content, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("transform", json.dumps(content)[:80], accepted, file=path) from error
    if values.shape not in ((4, 4), (16,)) or not np.isfinite(values).all():
        raise InputError("transform", f"shape {values.shape}", accepted + ", all finite", file=path)
    return tuple(tuple(float(value) for value in row) for row in values.reshape(4, 4))


def _region(text: str) -> Region:
    try:
        numbers = [float(number) for number in text.replace(",", " ").split()]
    except ValueError:
        return read_region(text)
    return parse_region(Sphere if len(numbers) == 4 else Box, numbers)


def _index(scene: Scene, name: str) -> int:
    views: Sequence[PosedView] = [PosedView(view.name, view.camera) for view in scene.views]
    return [view.name for view in views].index(view_named(views, name).name)


def _check_size(what: str, path: Path, native: Cameras, working: Cameras) -> None:
    size = image_size(path)
    if size not in ((native.width, native.height), (working.width, working.height)):
        accepted = f"{native.width} x {native.height}, the size of its view"
        raise InputError(f"{what} size", f"{size[0]} x {size[1]}", accepted, file=path)


def _resized(picture: NDArray[np.float32], camera: Cameras) -> NDArray[np.float32]:
    pixels = np.rint(255 * picture).astype(np.uint8)
    return resized_image(pixels, camera.width, camera.height).astype(np.float32) / np.float32(255)
