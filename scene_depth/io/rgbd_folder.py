"""Folders of RGB-D frames with poses, in the layouts of ``rgbd_layouts``."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder
from scene_depth.io.depth_images import DEPTH_FORMATS, DepthFile, Kind, depth_size, read_stored_depth, write_depth
from scene_depth.io.depth_images import depth_format as depth_format_of
from scene_depth.io.depth_units import DepthUnit, checked_unit, stored_depth_notes, unit_sentence
from scene_depth.io.distortion import LensCamera
from scene_depth.io.images import image_size
from scene_depth.io.intrinsics_files import Intrinsics, check_intrinsics, read_intrinsics
from scene_depth.io.photo_files import LOST
from scene_depth.io.posed_views import ViewFiles, check_names, check_uniform_rescale, posed_view
from scene_depth.io.rgbd_layouts import find_frames
from scene_depth.io.scene_notes import SceneNotes
from scene_depth.io.scene_output import check_distinct, image_names, put_image
from scene_depth.io.undistortion import Undistorter
from scene_depth.scene import Scene

COLOR_INTRINSICS = (
    "K.json", "intrinsics.json", "intrinsic.json", "camera_intrinsic.json", "camera_intrinsics.json", "cam_params.json",
    "camera-intrinsics.txt", "camera_intrinsics.txt", "intrinsics.txt", "intrinsic.txt", "K.txt", "intrinsic_color.txt",
    "intrinsic/intrinsic_color.txt", "intrinsics/intrinsic_color.txt",
)  # fmt: skip
DEPTH_INTRINSICS = ("K_depth.json", "intrinsic_depth.txt", "intrinsic/intrinsic_depth.txt", "intrinsics/intrinsic_depth.txt")


def read_rgbd_folder(
    path: str | PathLike[str],
    *,
    intrinsics: str | PathLike[str] | NDArray[Any] | None = None,
    depth_intrinsics: str | PathLike[str] | NDArray[Any] | None = None,
    pixel_center: float = 0.0,
    depth_format: str | None = None,
    depth_unit: float | None = None,
    depth_kind: Kind = "z",
    size: str = "color",
    skip_lost: bool = True,
    max_time_difference: float = 0.02,
) -> Scene:
    """Reads posed RGB-D frames: 7-Scenes and tsdf-fusion, TUM, ScanNet exports, Redwood, and their like.

    Args:
        path: Folder; its layout is detected, see ``rgbd_layouts.find_frames``. Poses are camera to world, OpenCV axes.
        intrinsics: Matrix (3, 3) or file of the colour camera; by default a file of a usual name in the folder or beside it.
        depth_intrinsics: The same for the depth camera, if it is another (both in one place, as registered sensors).
        pixel_center: Coordinate of the first pixel's centre in the intrinsics. RGB-D tools use 0; a file may say
            otherwise in the field ``pixel_center``.
        depth_format: Key of ``DEPTH_FORMATS``; by default TUM's in TUM's layout, else by file name, millimetres for PNG.
        depth_unit: Metres of a stored 1; by default what the file of intrinsics states, else the format's.
        depth_kind: "z" or "ray".
        size: "color": views have the size of the photos, smaller depth keeps its points, with gaps between them.
            "depth": photos are reduced to the size of the depth images.
        skip_lost: Leave out frames whose pose is not finite, as trackers mark lost frames; else they are an error.
        max_time_difference: Seconds between files that belong together, where they are paired by time.

    Returns:
        Views by name or time. The unit is the metre.

    Raises:
        InputError: If no layout fits, a file is missing or broken, there are no intrinsics, a pose is singular, or sizes
            do not go together.
    """
    path = Path(path)
    if size not in ("color", "depth"):
        raise InputError("size", size, "color, depth")
    if depth_kind not in ("z", "ray"):
        raise InputError("depth_kind", depth_kind, "z, ray")
    depth_unit = None if depth_unit is None else checked_unit(depth_unit)
    notes = SceneNotes()
    layout = find_frames(path, notes, max_time_difference=max_time_difference)
    frames = [frame for frame in layout.frames if not skip_lost or np.isfinite(frame.camera_to_world).all()]
    for frame in layout.frames:
        if skip_lost and not np.isfinite(frame.camera_to_world).all():
            notes.leave_out(frame.name, LOST)
    check_names([frame.name for frame in frames], source=layout.source, notes=notes)
    color = _intrinsics(path, intrinsics, COLOR_INTRINSICS)
    if color is None:
        accepted = f"one of {', '.join(COLOR_INTRINSICS)}, or intrinsics=FILE (--scene-options)"
        raise InputError("intrinsics", "none", accepted, file=path)
    depth_camera = _intrinsics(path, depth_intrinsics, DEPTH_INTRINSICS)
    for camera in (color, depth_camera):
        for sentence in () if camera is None else camera.notes:
            notes.say(sentence)
    stated = next((camera.depth_unit for camera in (depth_camera, color) if camera is not None and camera.depth_unit), None)
    stated = None if depth_format is not None or depth_unit is not None else stated
    stored_format = depth_format or layout.depth_format
    first = next((frame.depth for frame in frames if frame.depth is not None), None)
    if first is not None:
        _say_unit(notes, first, stored_format, depth_unit, stated, layout.depth_format is not None and depth_format is None)
    view_of = partial(posed_view, source=layout.source, undistorter=Undistorter(), notes=notes, turned_photos=False)
    views = []
    for frame in frames:
        photo = _camera(color, pixel_center, image_size(frame.image), frame.image)
        depth, depth_K, target = None, None, None
        if frame.depth is not None:
            integer_unit = None if stated is None else stated.unit
            depth = DepthFile(frame.depth, stored_format, depth_unit, depth_kind, integer_unit=integer_unit)
            sensor = _depth_camera(depth, depth_camera, photo, pixel_center)
            depth = replace(depth, K=sensor.K if depth_kind == "ray" else None)
            target = sensor if size == "depth" else None
            depth_K = None if depth_camera is None or _is_registered(sensor, target or photo) else sensor.K
        files = ViewFiles(frame.image, depth=depth, depth_K=depth_K)
        views.append(view_of(frame.name, photo, frame.camera_to_world, files, target=target))
    return Scene(tuple(views), None, metric=True, source=path, notes=notes.sentences(len(views)))


def write_rgbd_folder(path: str | PathLike[str], scene: Scene, *, depth_format: str | None = None) -> None:
    """Writes ``color``, ``depth``, ``pose`` (4 x 4 camera to world) and ``camera_intrinsic.json`` (as Open3D has it).

    Masks and points have no place here and are left out.

    Args:
        path: New or empty folder.
        scene: Scene whose views all have photos and depth, and one size and intrinsics.
        depth_format: Key of ``DEPTH_FORMATS``; by default 16-bit millimetres in metric scenes, else npy.

    Raises:
        InputError: If photos or depths are missing, intrinsics differ, a depth does not fit, or the folder cannot be
            written.
    """
    path = Path(path)
    for what, load in (("a photo", "load_image"), ("depth", "load_depth")):
        count = sum(getattr(view, load) is not None for view in scene.views)
        if count < len(scene):
            raise InputError(f"views with {what}", f"{count} of {len(scene)}", "all views", file=path)
    cameras = {(view.camera.width, view.camera.height, *view.camera.K.double().flatten().tolist()) for view in scene.views}
    if len(cameras) > 1:
        raise InputError("intrinsics", f"{len(cameras)} different ones", "the same size and intrinsics for all views", file=path)
    format_name = depth_format or ("millimeters" if scene.metric else "npy")
    if format_name not in DEPTH_FORMATS:
        raise InputError("depth format", format_name, ", ".join(DEPTH_FORMATS), file=path)
    scene = scene.about_origin((0.0, 0.0, 0.0))
    names = image_names(scene.views, file=path)
    stems = [name.with_suffix("") for name in names]
    check_distinct(stems, file=path)
    flat = [str(stem) for stem in stems if len(stem.parts) > 1]
    if flat:
        raise InputError("view name", repr(flat[0]), "names without folders", file=path)
    with atomic_folder(path) as folder:
        for part in ("color", "depth", "pose"):
            (folder / part).mkdir()
        _write_intrinsics(folder / "camera_intrinsic.json", scene)
        for view, name, stem in zip(scene.views, names, stems, strict=True):
            put_image(view, folder / "color" / name)
            write_depth(folder / "depth" / f"{stem}{DEPTH_FORMATS[format_name].suffixes[0]}", view.depth(), format=format_name)
            rows = view.camera.camera_to_world[0].double().tolist()
            (folder / "pose" / f"{stem}.txt").write_text("\n".join(" ".join(map(repr, row)) for row in rows) + "\n")


def _intrinsics(path: Path, given: str | PathLike[str] | NDArray[Any] | None, names: tuple[str, ...]) -> Intrinsics | None:
    if isinstance(given, np.ndarray):
        matrix = given.astype(np.float64)
        check_intrinsics(matrix, None)
        return Intrinsics(matrix)
    if given is not None:
        return read_intrinsics(given)
    for folder in (path, path.absolute().parent):
        for name in names:
            if (folder / name).is_file():
                return read_intrinsics(folder / name)
    return None


def _say_unit(
    notes: SceneNotes, file: Path, format: str | None, asked: float | None, stated: DepthUnit | None, by_layout: bool
) -> None:
    """Says what a step of depth is and where that comes from, and what looks odd in the first depth image."""
    stored = read_stored_depth(file, format)
    entry = depth_format_of(file, format)
    unit = DepthUnit(entry.unit, "as TUM's layout has it" if by_layout else f"assumed for {file.suffix} files")
    if asked is not None:
        unit = DepthUnit(asked, "as asked")
    elif stored.dtype.kind in "iu" and stated is not None:
        unit = stated
    elif format is not None and not by_layout:
        unit = DepthUnit(entry.unit, f"as asked by the format {format}")
    notes.say(unit_sentence(unit, "m"))
    for sentence in stored_depth_notes(stored):
        notes.say(f"{file.name}: {sentence}")


def _camera(intrinsics: Intrinsics, pixel_center: float, size: tuple[int, int], file: Path) -> LensCamera:
    """The camera at the size of an image; intrinsics of another size are scaled."""
    lens = intrinsics.camera(pixel_center, size)
    if (lens.width, lens.height) == size:
        return lens
    check_uniform_rescale(*size, lens, what="image size", file=file)
    return lens.resized(*size)


def _depth_camera(depth: DepthFile, intrinsics: Intrinsics | None, photo: LensCamera, pixel_center: float) -> LensCamera:
    """The camera of a depth image: its own, else the photo's field of view."""
    size = depth_size(depth.path, depth.format)
    if intrinsics is not None:
        return _camera(intrinsics, pixel_center, size, depth.path)
    check_uniform_rescale(*size, photo, what="depth size", file=depth.path)
    return photo.resized(*size)


def _is_registered(sensor: LensCamera, view: LensCamera) -> bool:
    """Whether depth and view share their pixels: one size, and matrices that differ by less than half a pixel."""
    return (sensor.width, sensor.height) == (view.width, view.height) and bool(np.abs(sensor.K - view.K).max() < 0.5)


def _write_intrinsics(path: Path, scene: Scene) -> None:
    camera = scene.views[0].camera
    K = camera.K[0].double().cpu().numpy() - np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    fields = {
        "width": camera.width,
        "height": camera.height,
        "intrinsic_matrix": K.flatten(order="F").tolist(),
        "pixel_center": 0.0,
    }
    path.write_text(json.dumps(fields, indent=2), encoding="utf-8")
