"""Reading the result of a pointmap model into a ``PointmapRun``."""

from __future__ import annotations

import os
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.pointmaps.arrays import read_array_file
from scene_depth.io.pointmaps.conventions import (
    StoredRun,
    StoredView,
    as_dict,
    camera_to_world,
    centered_K,
    detect_by_agreement,
    detect_by_points,
    detect_by_rays,
    fit_intrinsics,
    rigid_pose,
    z_depth,
)
from scene_depth.io.pointmaps.folders import read_folder
from scene_depth.io.pointmaps.glb import read_glb
from scene_depth.io.pointmaps.photos import Mapping, Photos, map_photos, whole_photo
from scene_depth.pointmaps import PointmapRun, PointmapView

DUST3R = ("dust3r 512", "dust3r 512 square_ok", "dust3r 224")
MODELS: dict[str, tuple[str, ...]] = {
    "dust3r": DUST3R,
    "mast3r": DUST3R,
    "vggt": ("vggt crop", "vggt pad", "vggt square"),
    "vggt_omega": ("omega balanced", "omega max_size"),
    "depth_anything_3": tuple(f"da3 {kind}_bound_{cut}" for kind in ("upper", "lower") for cut in ("resize", "crop")),
    "mapanything": ("mapanything fixed_mapping", "mapanything longest_side"),
    "pi3": ("pi3",),
    "pi3x": ("pi3",),
    "cut3r": DUST3R,
    "monst3r": (*DUST3R, "monst3r without crop"),
    "instantsplat": DUST3R,
    "colmap": ("not resized",),
}
"""Models by name, with the rules of their loaders."""
ALIASES = {"da3": "depth_anything_3", "omega": "vggt_omega", "map_anything": "mapanything"}
SAYING = {"poses": "", "axes": " axes", "depth": " depth", "centers": " pixel centres"}


def read_pointmaps(
    path: str | PathLike[str],
    photos: Photos | None = None,
    model: str | None = None,
    *,
    trust_file: bool = False,
    metric: bool | None = None,
) -> PointmapRun:
    """Reads depth and cameras that a feed-forward model gave for a few photos.

    Poses become camera to world with OpenCV axes, depth z-depth, and the first pixel's centre lies at 0.5, whatever the file
    has; where it stores world points beside depth, its conventions are found from the numbers and held against those of the
    model. Nothing is unpickled: arrays of Python objects are passed over.

    Args:
        path: ``predictions.npz`` of VGGT, VGGT-Omega, MapAnything or Pi3, ``results.npz`` of Depth Anything 3, the ``.npz`` of
            the converter for DUSt3R and MASt3R or the ``.glb`` of their demos; the folder that CUT3R, MonST3R, InstantSplat
            (``sparse_N/0``) or an export of Depth Anything 3 wrote; a folder with a COLMAP model and depth maps.
        photos: Folder of the photos that the model saw, or a list of files in the order of the views. Without it cameras are
            known at the processed size alone.
        model: A key of ``MODELS``; by default what the file looks like.
        trust_file: Takes what the numbers say where it differs from the model's rules, in place of an error.
        metric: Whether the unit is the metre, which no file says; by default whether the model's is.

    Returns:
        The run, in its own frame and unit. Padded borders have no depth.

    Raises:
        InputError: If the path holds no such run, one of another model, fewer than two views or a pose that is not one; if its
            numbers contradict the model's rules; or if the photos are not those of the run.

    Example:
        >>> import numpy as np, tempfile, pathlib
        >>> import scene_depth as sd
        >>> arrays = dict(depth=np.ones((2, 28, 42)), extrinsics=np.tile(np.eye(4)[:3], (2, 1, 1)))
        >>> arrays["intrinsics"] = np.tile([[40.0, 0, 21], [0, 40, 14], [0, 0, 1]], (2, 1, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(pathlib.Path(folder) / "results.npz", **arrays)
        ...     sd.read_pointmaps(pathlib.Path(folder) / "results.npz")
        PointmapRun(2 views of depth_anything_3, 42 x 28)
    """
    path = Path(path)
    model = ALIASES.get(model or "", model)
    if model is not None and model not in MODELS:
        raise InputError("model", model, ", ".join(MODELS))
    run = _read_stored(path, model)
    if len(run.views) < 2:
        raise InputError("views", len(run.views), "two or more: one view says nothing of another", file=path)
    names = [view.name or str(index) for index, view in enumerate(run.views)]
    try:
        for view, name in zip(run.views, names, strict=True):
            view.pose = rigid_pose(view.pose, f"pose of view {name!r}")
            if view.K is not None and not (np.isfinite(view.K).all() and view.K[0, 0] > 0 and view.K[1, 1] > 0):
                found = f"fx {view.K[0, 0]:.4g}, fy {view.K[1, 1]:.4g}, cx {view.K[0, 2]:.4g}, cy {view.K[1, 2]:.4g}"
                raise InputError(f"intrinsics of view {name!r}", found, "finite numbers and positive focal lengths")
        detected = _settle_conventions(run, names, trust_file)
    except InputError as error:
        raise InputError(error.field, error.found, error.accepted, file=path, hint=error.hint) from error
    mapping = None if photos is None else map_photos(run, MODELS[run.model], photos, path, trust_file)
    views = [_view(run, index, names[index], mapping, path) for index in range(len(names))]
    if mapping is None:
        known = run.photo_sizes is not None
        run.notes.append("no photos given" + ("" if known else ": cameras are known at the processed size alone"))
    else:
        run.notes.append(f"photos mapped by the rule {mapping.rule!r}")
        sideways = [photo.name for photo in mapping.photos if photo.turn != 1]
        if sideways:
            how = "turned so" if mapping.turned else "not turned: cameras are those of the pixels as stored"
            run.notes.append(f"{len(sideways)} photos have an EXIF entry that turns them, such as {sideways[0]}; {how}")
    is_metric = run.metric if metric is None else metric
    return PointmapRun(tuple(views), run.model, path, is_metric, as_dict(run.declared), detected, tuple(run.notes))


def _read_stored(path: Path, model: str | None) -> StoredRun:
    if path.suffix.lower() == ".glb":
        if model not in (None, "dust3r", "mast3r"):
            raise InputError("model", model, "dust3r or mast3r, whose demos write .glb files with cameras", file=path)
        return replace(read_glb(path), model=model or "dust3r")
    if path.suffix.lower() in (".pkl", ".pth", ".pt", ".npy"):
        accepted = "an .npz file or a folder of a run; pickles can run code and are never opened"
        raise InputError("path", f"a {path.suffix} file", accepted, file=path, hint="the converter of the page on sparse views")
    if not os.path.exists(path):  # where Path.exists raises for a name that no disk has
        accepted = "an .npz or .glb file, or the folder of a run of a pointmap model"
        raise InputError("path", "nothing there", accepted, file=path)
    return read_array_file(path, model) if path.is_file() else read_folder(path, model)


def _settle_conventions(run: StoredRun, names: list[str], trust_file: bool) -> dict[str, str]:
    """Holds the model's conventions against the numbers, and gives every view depth and intrinsics.

    Returns:
        What the numbers say, as far as they do.
    """
    _settle_intrinsics_size(run)
    if any(view.depth is None for view in run.views):
        detected, _ = detect_by_rays(run.views)
        by = "points seen through a pinhole"
    elif all(view.points is not None for view in run.views):
        detected, _ = detect_by_points(run.views)
        by = "unprojected depth against stored points"
    else:
        detected, _ = detect_by_agreement(run)
        by = "agreement of views"
    wrong = {key: answer for key, answer in detected.items() if key not in run.open and answer != getattr(run.declared, key)}
    if wrong:
        said = ", ".join(f"{answer}{SAYING[key]}" for key, answer in wrong.items())
        ruled = ", ".join(f"{getattr(run.declared, key)}{SAYING[key]}" for key in wrong)
        if not trust_file:
            hint = "trust_file (--trust-file) to take what the numbers say, or the right model"
            raise InputError("conventions", f"{said} by {by}", f"{ruled}, as {run.model} saves them", hint=hint)
        run.notes.append(f"taken as the numbers say ({by}): {said}; {run.model} saves {ruled}")
    run.declared = replace(run.declared, **{**{key: detected[key] for key in run.open if key in detected}, **wrong})
    open_ = [key for key in run.open if key not in detected]
    if open_:
        run.notes.append(f"{', '.join(open_)}: the numbers do not tell; {getattr(run.declared, open_[0])} is assumed")
    if any(view.depth is None for view in run.views):
        _depth_from_points(run, names)
    return detected


def _settle_intrinsics_size(run: StoredRun) -> None:
    """Brings intrinsics that are those of the photo, as an export of Depth Anything 3 leaves them, to the processed size."""
    if run.model != "depth_anything_3" or any(view.K is None for view in run.views):
        return
    sizes = [tuple(round(float(2 * view.K[axis, 2])) for axis in (0, 1)) for view in run.views if view.K is not None]
    if all(abs(found[0] - view.size[0]) < 0.1 * view.size[0] for found, view in zip(sizes, run.views, strict=True)):
        return
    for view in run.views:
        assert view.K is not None
        view.K = np.asarray(view.K, np.float64).copy()
        for axis in (0, 1):
            view.K[axis] *= view.size[axis] / (2 * view.K[axis, 2])
    shown = ", ".join(sorted({f"{width} x {height}" for width, height in sizes}))
    run.notes.append(f"intrinsics are those of photos of {shown}, as the COLMAP export leaves them: brought to the depth's size")


def _depth_from_points(run: StoredRun, names: list[str]) -> None:
    """Gives views that hold points alone their depth, and intrinsics fitted to the rays of the points."""
    residuals = []
    for view, name in zip(run.views, names, strict=True):
        assert view.points is not None
        pose = camera_to_world(view.pose, run.declared)
        K, residual = fit_intrinsics(view.points, pose)
        if not np.isfinite(residual):
            accepted = "points before the camera of their view, which a pinhole sees"
            raise InputError(f"view {name!r}: points", "seen through no pinhole", accepted)
        camera = (view.points.astype(np.float64) - pose[:3, 3]) @ pose[:3, :3]
        known = np.isfinite(camera).all(-1) & (camera[..., 2] > 0) & (view.points != 0).any(-1)
        if view.confidence is not None:
            known &= view.confidence > 0  # the demo of Pi3 sets that of edges to 0
        view.depth, view.K = np.where(known, camera[..., 2], 0).astype(np.float32), K
        residuals.append(residual)
    run.declared = replace(run.declared, depth="z", centers="half")
    run.notes.append(f"intrinsics are fitted to the rays of the points, {max(residuals):.2g} px off in the worst view's median")


def _view(run: StoredRun, index: int, name: str, mapping: Mapping | None, path: Path) -> PointmapView:
    stored = run.views[index]
    width, height = stored.size
    assert stored.K is not None
    pose = camera_to_world(stored.pose, run.declared)
    try:
        camera = Cameras(torch.from_numpy(pose)[None], torch.from_numpy(centered_K(stored.K, run.declared))[None], width, height)
    except InputError as error:
        raise InputError(f"view {name!r}: {error.field}", error.found, error.accepted, file=path) from error
    depth = z_depth(stored, run.declared)
    photo = None if mapping is None else mapping.photos[index]
    resizing = None if mapping is None else mapping.resizings[index]
    if resizing is None and run.photo_sizes is not None:
        resizing = whole_photo(run.photo_sizes[index], stored.size)
    if resizing is not None:
        left, top, right, bottom = resizing.image_box
    else:
        left, top, right, bottom = _unpadded(stored) if run.model in ("vggt", "vggt_omega") else (0, 0, width, height)
    inside = np.zeros(depth.shape, bool)
    inside[top:bottom, left:right] = True
    view = PointmapView(
        name=name if photo is None else photo.name,
        camera=camera,
        depth=np.where(inside, depth, np.float32(0)),
        confidence=None if stored.confidence is None else np.asarray(stored.confidence, np.float32),
        image=stored.image,
        points=None if stored.points is None else np.asarray(stored.points, np.float64),
        photo_path=None if photo is None else photo.path,
        photo_turned=mapping is not None and mapping.turned and photo is not None and photo.turn != 1,
    )
    if resizing is None:
        return view
    return replace(view, scale=resizing.scale, offset=resizing.offset, photo_size=resizing.photo)


def _unpadded(view: StoredView) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is left of a picture without white borders of equal width on two sides."""
    width, height = view.size
    if view.image is None:
        return 0, 0, width, height
    white = (view.image >= 1).all(-1)
    borders = []
    for axis in (0, 1):
        lines: NDArray[np.bool_] = np.all(white, axis=axis)
        first = int(np.argmin(lines)) if not lines.all() else 0
        last = int(np.argmin(lines[::-1])) if not lines.all() else 0
        padded = first > 0 and abs(first - last) <= 1
        borders.append((first, len(lines) - last) if padded else (0, len(lines)))
    return borders[0][0], borders[1][0], borders[0][1], borders[1][1]
