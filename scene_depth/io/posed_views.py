"""From what a scene file says about one frame to a view: everything checked from headers, nothing loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.geometry.depth_resampling import move_sparse_depth
from scene_depth.io.depth_images import DepthFile, depth_size
from scene_depth.io.distortion import LensCamera
from scene_depth.io.images import (
    ImageFile,
    MaskFile,
    MaskWhite,
    ResizedImage,
    TurnedImage,
    check_image_size,
    exif_turn,
    image_size,
)
from scene_depth.io.scene_notes import SceneNotes
from scene_depth.io.undistortion import UndistortedLoader, Undistorter
from scene_depth.scene import Loader, Scene, View

OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])  # turns camera axes x right, y up, z back into OpenCV's, and back


@dataclass(frozen=True)
class ViewFiles:
    """Files of one frame.

    Attributes:
        image: Photo.
        mask: Mask of the photo's size.
        mask_white: What white in it is; None if nothing says it.
        depth: Depth of the photo's field of view, of any size.
        depth_K: Intrinsics of the depth image, if they are not those of the photo  # [3, 3]
    """

    image: Path | None = None
    mask: Path | None = None
    mask_white: MaskWhite | None = None
    depth: DepthFile | None = None
    depth_K: NDArray[Any] | None = None


def one_camera(
    camera_to_world: NDArray[Any], K: NDArray[Any], width: int, height: int, *, file: str | PathLike[str] | None, frame: str
) -> Cameras:
    """One camera in float64; an error names the file and the frame.

    Raises:
        InputError: If the pose is not rigid or not finite, or the intrinsics cannot be.
    """
    try:
        return Cameras(
            torch.tensor(camera_to_world, dtype=torch.float64)[None], torch.tensor(K, dtype=torch.float64)[None], width, height
        )
    except InputError as error:
        raise InputError(f"{frame}: {error.field.replace('[0]', '')}", error.found, error.accepted, file=file) from None


def posed_view(
    name: str,
    lens: LensCamera,
    camera_to_world: NDArray[Any],
    files: ViewFiles,
    *,
    source: Path,
    undistorter: Undistorter,
    notes: SceneNotes,
    rescale_cameras: bool = False,
    turned_photos: bool | None = None,
    target: LensCamera | None = None,
) -> View:
    """A view whose loaders show the files through an undistorted pinhole camera.

    Args:
        name: Name of the view.
        lens: Camera as the scene file describes it.
        camera_to_world: Pose, OpenCV axes  # [4, 4]
        files: Files of the frame; each is checked by its header.
        source: Scene file, for errors.
        undistorter: Shared by all views of the scene.
        notes: Of the scene; a photo that fits its camera only as its EXIF entry turns it is said there, and used so.
        rescale_cameras: Let the camera follow a photo that is a uniform rescale of what the camera says.
        turned_photos: Show a photo as its EXIF entry turns it; None does so where it fits its camera only thus.
        target: Pinhole camera to show a photo without distortion through, in place of its own: the photo is resized and
            shifted when loaded.

    Raises:
        InputError: If a file is missing or of another size than the camera, or if the pose is not rigid.
    """
    turned = False
    if files.image is not None:
        what = f"{name} in {source.name}"
        turned, lens = _photo_and_camera(files.image, lens, rescale_cameras, turned_photos, what, name, notes)
    if files.mask is not None:
        check_image_size(files.mask, lens.width, lens.height, what=f"the mask of {name} in {source.name}")
    pinhole = target if target is not None else undistorter.camera(lens, file=source, name=name)
    camera = one_camera(camera_to_world, pinhole.K, pinhole.width, pinhole.height, file=source, frame=name)
    depth = _depth_loader(files, lens if target is None else target)
    image: Loader | None = None
    if target is not None:
        image = None if files.image is None else _shown_through(files.image, lens, target, undistorter)
        return View(name, camera, image, None, depth, files.image)

    def shown(load: Loader | None) -> Loader | None:
        return load if load is None or lens.is_pinhole else UndistortedLoader(load, lens, pinhole, undistorter)

    if files.image is not None:
        image = TurnedImage(files.image) if turned else ImageFile(files.image)
    mask = MaskFile(files.mask, inverted=files.mask_white == "keep") if files.mask is not None else None
    return View(name, camera, shown(image), shown(mask), shown(depth), files.image)


def with_mask_ids(scene: Scene, ids: Sequence[int] = (), white: MaskWhite | None = None) -> Scene:
    """The scene with masks that are True at these labels of their files, or where ``white`` says that the object is."""

    def chosen(load: Loader | None) -> Loader | None:
        if isinstance(load, MaskFile):
            inverted = load.inverted if white is None else white == "keep"
            return replace(load, ids=tuple(ids) or load.ids, inverted=inverted)
        return replace(load, load=chosen(load.load) or load.load) if isinstance(load, UndistortedLoader) else load

    views = tuple(replace(view, load_mask=chosen(view.load_mask)) for view in scene.views)
    return replace(scene, views=views, masks_are_objects=scene.masks_are_objects or white is not None)


def is_inverted(mask: Loader | None) -> bool:
    """Whether a loader of a mask is True where its file is black."""
    return mask.inverted if isinstance(mask, MaskFile) else isinstance(mask, UndistortedLoader) and is_inverted(mask.load)


def stated_mask_white(fields: Mapping[str, Any], file: Path) -> MaskWhite | None:
    """What white in masks is, as the field ``mask_white`` of a file says; None without it.

    Raises:
        InputError: If the field says anything else.
    """
    white: MaskWhite | None = fields.get("mask_white")
    if white not in (None, *get_args(MaskWhite)):
        raise InputError("mask_white", repr(white), "object or keep", file=file)
    return white


def say_mask_meaning(whites: Collection[MaskWhite | None], said_by: str, notes: SceneNotes) -> bool:
    """Notes what white in masks is, and gives whether that is known.

    Args:
        whites: What white is in each mask.
        said_by: Who says so.
        notes: Of the scene.
    """
    for white, words in (("object", "the object"), ("keep", "what to keep, black the object")):
        if white in whites:
            notes.say(f"white in masks is {words}, {said_by}")
    if None in whites:
        notes.say("what white in masks is, no file says; mask_white=object or mask_white=keep (--scene-options) does")
    return None not in whites


def _photo_and_camera(
    photo: Path, lens: LensCamera, rescale: bool, turn: bool | None, what: str, name: str, notes: SceneNotes
) -> tuple[bool, LensCamera]:
    """Whether a photo is shown as its EXIF entry turns it, and the camera of what is shown.

    Raises:
        InputError: If the photo has another size than the camera, and must not.
    """
    stored, entry = image_size(photo), exif_turn(photo)
    across = stored[::-1] if entry >= 5 else stored
    fits = [_is_rescaled(size, lens) if rescale else size == (lens.width, lens.height) for size in (stored, across)]
    turned = entry > 1 and (turn or (turn is None and fits == [False, True]))
    if turned:
        notes.found("fit their cameras as their EXIF entries turn them, and are used so", name)
    elif entry > 1 and turn is None:
        notes.found("have an EXIF entry that would turn them, but fit as stored (turned_photos=true of --scene-options)", name)
    size = across if turned else stored
    if size == (lens.width, lens.height):
        return turned, lens
    if rescale:
        check_uniform_rescale(*size, lens, what="image size", file=photo)
        return turned, lens.resized(*size)
    if turned:
        found = f"{size[0]} x {size[1]} as its EXIF entry turns it"
        raise InputError("image size", found, f"{lens.width} x {lens.height}, which {what} says", file=photo)
    hint = "; rescale_cameras=true (--scene-options) lets cameras follow photos of another size"
    check_image_size(photo, lens.width, lens.height, what=what, hint=hint if _is_rescaled(size, lens) else "")
    return False, lens


def _shown_through(photo: Path, lens: LensCamera, target: LensCamera, undistorter: Undistorter) -> Loader:
    """Loader of a photo as another pinhole camera at the same place sees it; averaged where it gets smaller."""
    if lens == target:
        return ImageFile(photo)
    width, height = round(lens.width * min(1, target.fx / lens.fx)), round(lens.height * min(1, target.fy / lens.fy))
    reduced = lens.resized(width, height)
    resized = ResizedImage(photo, width, height)
    if (width, height) == (target.width, target.height) and np.allclose(reduced.K, target.K, rtol=0, atol=1e-6):
        return resized
    return UndistortedLoader(resized, reduced, target, undistorter)


def check_uniform_rescale(width: int, height: int, lens: LensCamera, *, what: str, file: Path) -> None:
    """Raises InputError unless a size is that of the camera or a uniform rescale of it, to within a pixel of rounding."""
    if not _is_rescaled((width, height), lens):
        raise InputError(what, f"{width} x {height}", f"{lens.width} x {lens.height} or a uniform rescale of it", file=file)


def _is_rescaled(size: tuple[int, int], lens: LensCamera) -> bool:
    return abs(size[0] * lens.height - size[1] * lens.width) <= max(lens.width, lens.height)


def check_names(names: Sequence[str], *, source: Path, notes: SceneNotes | None = None) -> None:
    """Raises InputError unless there are views and their names are unique."""
    if not names:
        found = "none" if notes is None else "; ".join(["none", *notes.sentences(0)[0].split("; ")[1:]])
        raise InputError("frames", found, "one or more posed images", file=source)
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise InputError("frames", f"{repeated!r} more than once", "one frame an image", file=source)


@dataclass(frozen=True, eq=False)
class MovedDepth:
    """Loader of a depth image that has another size, or other intrinsics, than the view: its points move there.

    Attributes:
        load: Loader of the depth image  # [H, W]
        K: Its intrinsics, or None where it shows the same field of view  # [3, 3]
        target: Camera of the view.
    """

    load: Loader
    K: NDArray[Any] | None
    target: LensCamera

    def __call__(self) -> NDArray[np.float32]:
        depth = self.load()
        height, width = depth.shape
        K = self.K if self.K is not None else self.target.resized(width, height).K
        if (width, height) == (self.target.width, self.target.height) and np.array_equal(K, self.target.K):
            return depth
        return move_sparse_depth(depth, K, self.target.K, self.target.width, self.target.height)


def _depth_loader(files: ViewFiles, lens: LensCamera) -> Loader | None:
    if files.depth is None:
        return None
    size = depth_size(files.depth.path, files.depth.format)
    if files.depth_K is None:
        check_uniform_rescale(*size, lens, what="depth size", file=files.depth.path)
    if size == (lens.width, lens.height) and files.depth_K is None:
        return files.depth
    return MovedDepth(files.depth, files.depth_K, lens)
