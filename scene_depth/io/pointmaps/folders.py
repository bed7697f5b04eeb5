"""Layouts of pointmap results in folders: CUT3R, MonST3R, InstantSplat, COLMAP models with depth maps, exports beside an npz."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.colmap_files import find_colmap_model, has_colmap_model, read_colmap_model
from scene_depth.io.colmap_model import ColmapImage
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import natural_key, read_image
from scene_depth.io.numpy_files import read_array, read_numpy_map
from scene_depth.io.pointmaps.arrays import picture, read_array_file
from scene_depth.io.pointmaps.conventions import Conventions, StoredRun, StoredView, centered_K, cross_view_agreement
from scene_depth.io.scene_notes import SceneNotes
from scene_depth.io.trajectories import read_number_rows
from scene_depth.rotations import quaternions_to_matrices

DEPTH_FOLDERS = ("depth", "depths", "depth_maps", "stereo/depth_maps")
DEPTH_ENDINGS = (".npy", ".npz", ".exr", ".pfm", ".png", ".tif", ".geometric.bin", ".photometric.bin", ".bin")
ARRAY_FILES = ("predictions.npz", "results.npz", "npz/results.npz", "exports/npz/results.npz", "results_mini.npz")
"""Where the array file of a run lies below its folder; exports of Depth Anything 3 have one folder a format."""


def read_folder(path: Path, model: str | None) -> StoredRun:
    """Reads a run in a folder.

    Args:
        path: The folder.
        model: Model that wrote it, None to see it from the files.

    Raises:
        InputError: If the folder is no such run.
    """
    for name, is_one, read in FOLDERS:
        if (model is None or model == name) and is_one(path):
            return read(path)
    file = _array_file(path)
    if file is not None:
        run = read_array_file(file, model)
        return _named_by_colmap(run, path) if has_colmap_model(path) else run
    if has_colmap_model(path):
        accepted = "results.npz in it, or depth maps named like the photos in depth/ or stereo/depth_maps/"
        hint = "exports of Depth Anything 3: export_format='npz-colmap' saves depth too"
        raise InputError("depth", "none beside the COLMAP model", accepted, file=path, hint=hint)
    accepted = "an .npz file, or a folder that CUT3R, MonST3R or InstantSplat wrote, or a COLMAP model with depth maps"
    if model is not None:
        accepted = f"a folder as {model} writes it"
    raise InputError("path", "no run of a pointmap model", accepted, file=path)


def _array_file(path: Path) -> Path | None:
    named = next((path / name for name in ARRAY_FILES if (path / name).is_file()), None)
    others = sorted(path.glob("*.npz")) if path.is_dir() else []
    return named or (others[0] if len(others) == 1 else None)


def _numbered(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern), key=lambda file: natural_key(file.name))


def _is_cut3r(path: Path) -> bool:
    return (path / "camera").is_dir() and (path / "depth").is_dir() and any((path / "camera").glob("*.npz"))


def _read_cut3r(path: Path) -> StoredRun:
    """Folders ``depth``, ``conf``, ``color`` and ``camera`` with one file a view."""
    views = []
    for file in _numbered(path / "camera", "*.npz"):
        map_file = path / "depth" / f"{file.stem}.npy"
        pose, K = _matrix(file, "pose", 4), _matrix(file, "intrinsics", 3)
        view = StoredView(read_numpy_map(map_file), pose, K)
        conf, color = path / "conf" / map_file.name, path / "color" / f"{file.stem}.png"
        view.confidence = _map_like(conf, view) if conf.is_file() else None
        view.image = _image_like(color, view) if color.is_file() else None
        views.append(view)
    return StoredRun("cut3r", views, Conventions(), metric=True)


def _matrix(file: Path, key: str, size: int) -> NDArray[np.float64]:
    matrix = read_array(file, key)
    if matrix.shape != (size, size):
        raise InputError(key, f"shape {matrix.shape}", f"({size}, {size})", file=file)
    return matrix.astype(np.float64)


def _map_like(file: Path, view: StoredView) -> NDArray[np.floating]:
    values = read_numpy_map(file)
    if values.shape[::-1] != view.size:
        found, wanted = ("{} x {}".format(*size) for size in (values.shape[::-1], view.size))
        raise InputError("map", found, f"{wanted}, as the depth of its view", file=file)
    return values


def _image_like(file: Path, view: StoredView) -> NDArray[np.float32]:
    image = read_image(file)
    if image.shape[1::-1] != view.size:
        found = f"{image.shape[1]} x {image.shape[0]}"
        raise InputError("image size", found, "{} x {}, as the depth of its view".format(*view.size), file=file)
    return image


def _is_monst3r(path: Path) -> bool:
    return (path / "pred_traj.txt").is_file() and any(path.glob("frame_*.npy"))


def _read_monst3r(path: Path) -> StoredRun:
    """``frame_NNNN.npy``, ``conf_N.npy``, ``pred_intrinsics.txt`` with nine numbers a line and ``pred_traj.txt``."""
    files = _numbered(path, "frame_*.npy")
    intrinsics = path / "pred_intrinsics.txt"
    Ks, rows = read_number_rows(intrinsics), read_number_rows(path / "pred_traj.txt")
    if any(len(row) != 9 for row in Ks) or any(len(row) != 8 for row in rows) or not len(Ks) == len(rows) == len(files):
        found = f"{len(rows)} poses, {len(Ks)} intrinsics and {len(files)} depth maps"
        raise InputError("views", found, "as many of each, with 8 and 9 numbers a line", file=path)
    table = np.array(rows)
    views = []
    for index, file in enumerate(files):
        view = StoredView(read_numpy_map(file), np.eye(4), np.array(Ks[index]).reshape(3, 3))
        conf, color = path / f"conf_{index}.npy", file.with_suffix(".png")
        view.confidence = _map_like(conf, view) if conf.is_file() else None
        view.image = _image_like(color, view) if color.is_file() else None
        views.append(view)
    run = StoredRun("monst3r", views, Conventions())
    poses = {order: _tum_poses(table, columns) for order, columns in {"w first": (4, 5, 6, 7), "w last": (7, 4, 5, 6)}.items()}
    shares = {order: _agreement(run, stack) for order, stack in poses.items()}
    order = "w last" if shares["w last"] > 2.5 * shares["w first"] and shares["w last"] > 0.1 else "w first"
    for view, pose in zip(views, poses[order], strict=True):
        view.pose = pose
    figures = ", ".join(f"{share:.0%} {name}" for name, share in shares.items())
    run.notes.append(f"quaternions of pred_traj.txt taken {order}, as MonST3R writes them w first; views agree by {figures}")
    return run


def _tum_poses(table: NDArray[np.float64], columns: tuple[int, ...]) -> NDArray[np.float64]:
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, 3] = table[:, 1:4]
    quaternions = torch.from_numpy(table[:, list(columns)])
    lengths = quaternions.norm(dim=1, keepdim=True)
    poses[:, :3, :3] = quaternions_to_matrices(quaternions / lengths).numpy()  # NaN of a zero quaternion is refused as a pose
    return poses


def _agreement(run: StoredRun, poses: NDArray[np.float64]) -> float:
    maps = [(view.depth, view.K) for view in run.views if view.depth is not None and view.K is not None]
    if not np.isfinite(poses).all():
        return 0.0
    Ks = [centered_K(K, run.declared) for _, K in maps]
    return cross_view_agreement([depth for depth, _ in maps], poses, Ks, samples=500).seen


def _instantsplat_folder(path: Path) -> Path | None:
    places = [path, path / "0", *(folder / "0" for folder in sorted(path.glob("sparse_*")))] if path.is_dir() else []
    found = [place for place in places if (place / "points3D_all.npy").is_file()]
    return found[0] if len(found) == 1 else None


def _read_instantsplat(path: Path) -> StoredRun:
    """``sparse_N/0``: a COLMAP model whose intrinsics forget the crop, and the points of every pixel of every view."""
    folder = _instantsplat_folder(path)
    assert folder is not None
    model, _ = read_colmap_model(folder)
    points = read_array(folder / "points3D_all.npy", "")
    images = sorted(model.images, key=lambda image: image.id)
    if points.ndim != 4 or points.shape[-1] != 3 or len(points) != len(images):
        accepted = f"({len(images)}, H, W, 3): a point for every pixel of the {len(images)} photos of the model"
        raise InputError("points3D_all.npy", f"shape {points.shape}", accepted, file=folder)
    maps = points.shape[:3]
    confidence = _whole_maps(folder / "confidence.npy", maps)
    colors = _whole_maps(folder / "pointsColor_all.npy", (*maps, 3))
    views = []
    for index, image in enumerate(images):
        view = StoredView(None, _world_to_camera(image), name=image.name, points=points[index])
        view.confidence = None if confidence is None else confidence[index]
        view.image = None if colors is None else picture(colors[index])
        views.append(view)
    run = StoredRun("instantsplat", views, Conventions(poses="world-to-camera"))
    run.notes.append("intrinsics of the COLMAP model are passed over: they forget what was cut from the photos")
    return run


def _whole_maps(file: Path, shape: tuple[int, ...]) -> NDArray[np.floating] | None:
    if not file.is_file():
        return None
    array = read_array(file, "")
    if array.size != np.prod(shape):
        raise InputError("array", f"shape {array.shape}", f"{shape}, as the points", file=file)
    return array.reshape(shape)


def _world_to_camera(image: ColmapImage) -> NDArray[np.float64]:
    pose = np.eye(4)
    pose[:3, :3] = quaternions_to_matrices(torch.from_numpy(image.quat)).numpy()
    pose[:3, 3] = image.translation
    return pose


def _is_colmap(path: Path) -> bool:
    return has_colmap_model(path) and any(_depth_folders(path))


def _depth_folders(path: Path) -> list[Path]:
    return [path / name for name in DEPTH_FOLDERS if (path / name).is_dir()]


def _read_colmap(path: Path) -> StoredRun:
    """A COLMAP model whose photos have depth maps of their names; depth may be smaller than the photo, never of another shape."""
    notes = SceneNotes()
    model, source = read_colmap_model(find_colmap_model(path, notes))
    run = StoredRun("colmap", [], Conventions(poses="world-to-camera", centers="half"), photo_sizes=[])
    assert run.photo_sizes is not None
    missing = []
    for image in sorted(model.images, key=lambda image: natural_key(image.name)):
        file = _depth_file(path, image.name)
        lens = model.cameras.get(image.camera_id)
        if lens is None:
            raise InputError(f"image {image.name!r}: camera", image.camera_id, f"one of {sorted(model.cameras)}", file=source)
        if file is None:
            missing.append(image.name)
            continue
        if not lens.is_pinhole:
            accepted = "a pinhole camera: undistort the model first (colmap image_undistorter)"
            raise InputError(f"image {image.name!r}: camera", lens.model.name, accepted, file=source)
        depth = read_depth(file)
        height, width = depth.shape
        if abs(width / height * lens.height / lens.width - 1) > 0.02:
            found, wanted = f"{width} x {height}", f"the shape of its photo of {lens.width} x {lens.height}"
            raise InputError(f"view {image.name!r}: depth", found, wanted, file=file)
        run.views.append(StoredView(depth, _world_to_camera(image), lens.resized(width, height).K, name=image.name))
        run.photo_sizes.append((lens.width, lens.height))
    if missing:
        notes.say(f"{len(missing)} photos of the model have no depth map and are left out, such as {missing[0]}")
    run.notes += notes.sentences(len(run.views))[1:]
    return run


def _depth_file(path: Path, name: str) -> Path | None:
    for folder in _depth_folders(path):
        for stem in (name, str(Path(name).with_suffix("")), Path(name).name, Path(name).stem):
            for ending in DEPTH_ENDINGS:
                if (folder / f"{stem}{ending}").is_file():
                    return folder / f"{stem}{ending}"
    return None


def _named_by_colmap(run: StoredRun, path: Path) -> StoredRun:
    """An export of Depth Anything 3: the COLMAP model beside the arrays knows the names and sizes of the photos."""
    model, _ = read_colmap_model(find_colmap_model(path, SceneNotes()))
    images = sorted(model.images, key=lambda image: image.id)
    if len(images) != len(run.views):
        run.notes.append(f"the COLMAP model beside it is passed over: {len(images)} photos for {len(run.views)} views")
        return run
    for view, image in zip(run.views, images, strict=True):
        if np.abs(_world_to_camera(image)[:3] - view.pose[:3]).max() > 1e-3 * max(1.0, float(np.abs(view.pose).max())):
            run.notes.append(f"the COLMAP model beside it is passed over: its pose of {image.name} is another")
            return run
    for view, image in zip(run.views, images, strict=True):
        view.name = image.name
    return run


FOLDERS: tuple[tuple[str, Callable[[Path], bool], Callable[[Path], StoredRun]], ...] = (
    ("instantsplat", lambda path: _instantsplat_folder(path) is not None, _read_instantsplat),
    ("monst3r", _is_monst3r, _read_monst3r),
    ("cut3r", _is_cut3r, _read_cut3r),
    ("colmap", _is_colmap, _read_colmap),
)
