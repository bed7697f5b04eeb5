"""Writing ``transforms.json`` for nerfstudio; see ``transforms_json`` for the conventions."""

from __future__ import annotations

import json
from collections.abc import Collection
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder
from scene_depth.io.depth_images import write_depth
from scene_depth.io.point_ply import write_point_ply
from scene_depth.io.posed_views import OPENGL_AXES
from scene_depth.io.scene_output import check_distinct, image_names, put_image, put_mask
from scene_depth.io.transforms_json import DEFAULT_DEPTH_UNIT
from scene_depth.scene import Scene, View

INTRINSICS = ("fl_x", "fl_y", "cx", "cy", "w", "h")


def write_transforms(
    path: str | PathLike[str],
    scene: Scene,
    *,
    masks: bool = True,
    depth: bool = True,
    object_masks: bool = False,
    held_out: Collection[str] = (),
) -> None:
    """Writes a folder with ``transforms.json``, ``images``, ``masks``, ``depths`` and ``sparse_pc.ply``.

    Intrinsics common to all views stand once, others with each frame. Depth is written as float32 npy in thousandths of
    the scene's unit, which nerfstudio's default factor 0.001 undoes; ``depth_unit_scale_factor`` is stated only where
    the unit is the metre. Masks are black on the object, as nerfstudio means ``mask_path``, and the file says so
    (``mask_white``); where it is not known what white is, they stay as they are. Points keep positions and colours in
    float32; which view sees which is lost.

    Args:
        path: New or empty folder.
        scene: Scene whose views all have photos.
        masks, depth: Write them, if the views have them.
        object_masks: Write masks white on the object and name them ``object_mask_path``: they say what to remove, and
            nerfstudio trains on the whole pictures.
        held_out: Names of views that are not for training; they become the validation and test views of the file, all
            others its training views. Without any the file names no split.

    Raises:
        InputError: If a view has no photo, if only some views have a mask or depth (nerfstudio takes all or none), if a
            held-out view is not in the scene, or if the folder is not empty or cannot be written.
    """
    unknown = sorted(set(held_out) - {view.name for view in scene.views})
    if unknown:
        raise InputError("held_out", repr(unknown[0]), "names of views of the scene", file=path)
    for what, load in (("photo", "load_image"), ("mask", "load_mask"), ("depth", "load_depth")):
        count = sum(getattr(view, load) is not None for view in scene.views)
        if count < len(scene) and (what == "photo" or (count and {"mask": masks, "depth": depth}[what])):
            option = {"photo": "", "mask": "masks", "depth": "depth"}[what]
            accepted = f"all views or none; {option}=false (--to-options) leaves them out" if option else "all views"
            raise InputError(f"views with a {what}", f"{count} of {len(scene)}", accepted, file=path)
    scene = scene.about_origin((0.0, 0.0, 0.0))
    names = image_names(scene.views, file=path)
    mask_key = None if not masks or scene.views[0].load_mask is None else "object_mask_path" if object_masks else "mask_path"
    inverted = scene.masks_are_objects and not object_masks
    depth = depth and scene.views[0].load_depth is not None
    stems = [name.with_suffix("") for name in names] if mask_key or depth else []
    check_distinct(stems, file=path)
    with atomic_folder(path) as folder:
        meta = _intrinsics(scene.views)
        if depth and scene.metric:
            meta["depth_unit_scale_factor"] = DEFAULT_DEPTH_UNIT
        if mask_key and inverted:
            meta["mask_white"] = "keep"
        if scene.points is not None:
            write_point_ply(folder / "sparse_pc.ply", scene.points)
            meta["ply_file_path"] = "sparse_pc.ply"
        if held_out:
            files = {view.name: f"images/{name}" for view, name in zip(scene.views, names, strict=True)}
            meta["train_filenames"] = [file for view, file in files.items() if view not in held_out]
            meta["val_filenames"] = meta["test_filenames"] = [file for view, file in files.items() if view in held_out]
        meta["frames"] = [
            _put_frame(folder, view, name, shared=set(meta), mask_key=mask_key, inverted=inverted, depth=depth)
            for view, name in zip(scene.views, names, strict=True)
        ]
        (folder / "transforms.json").write_text(json.dumps(meta, indent=2, ensure_ascii=False), encoding="utf-8")


def _intrinsics(views: tuple[View, ...]) -> dict[str, Any]:
    """Camera model and all intrinsics that every view has in common."""
    first, *others = (_camera_fields(view) for view in views)
    shared = {key: value for key, value in first.items() if all(fields[key] == value for fields in others)}
    return {"camera_model": "PINHOLE", **shared}


def _camera_fields(view: View) -> dict[str, float | int]:
    K = view.camera.K[0].double()
    values = (float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]), view.camera.width, view.camera.height)
    return dict(zip(INTRINSICS, values, strict=True))


def _put_frame(
    folder: Path, view: View, name: PurePosixPath, *, shared: set[str], mask_key: str | None, inverted: bool, depth: bool
) -> dict[str, Any]:
    frame: dict[str, Any] = {"file_path": f"images/{name}"}
    put_image(view, folder / "images" / name)
    if mask_key is not None:
        frame[mask_key] = f"masks/{name.with_suffix('.png')}"
        put_mask(view, folder / frame[mask_key], inverted=inverted)
    if depth:
        frame["depth_file_path"] = f"depths/{name.with_suffix('.npy')}"
        (folder / frame["depth_file_path"]).parent.mkdir(parents=True, exist_ok=True)
        write_depth(folder / frame["depth_file_path"], view.depth(), unit=DEFAULT_DEPTH_UNIT)
    frame.update({key: value for key, value in _camera_fields(view).items() if key not in shared})
    pose = view.camera.camera_to_world[0].double().cpu().numpy() @ OPENGL_AXES
    frame["transform_matrix"] = (pose + np.zeros_like(pose)).tolist()  # without minus zeros
    return frame
