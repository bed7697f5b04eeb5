"""COLMAP scenes: a folder with ``sparse/0`` and ``images``.

Poses in files are world to camera with quaternions w first; axes and pixel centres are those of this package. Lens
distortion is removed on reading, as COLMAP's image_undistorter does it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_folder
from scene_depth.io.colmap_files import find_colmap_model, read_colmap_model, write_colmap_model
from scene_depth.io.colmap_model import ColmapImage, ColmapModel, ColmapPoints, no_points
from scene_depth.io.depth_images import DepthFile
from scene_depth.io.distortion import LENS_MODELS, LensCamera
from scene_depth.io.images import MaskWhite
from scene_depth.io.json_files import read_json_object
from scene_depth.io.photo_files import LOST, MISSING, PhotoFinder, missing_photo
from scene_depth.io.posed_views import ViewFiles, check_names, posed_view, say_mask_meaning, stated_mask_white
from scene_depth.io.scene_notes import SceneNotes
from scene_depth.io.scene_output import image_names, put_image, put_mask
from scene_depth.io.undistortion import Undistorter
from scene_depth.rotations import matrices_to_quaternions, quaternions_to_matrices
from scene_depth.scene import PointCloud, Scene, View

IMAGES = "images"
MASK_MEANING = "meaning.json"
OTHER_IMAGES = ("input", "image", "photos", "rgb", "color", ".")
"""Where photos lie that are not in ``images`` or a reduced copy of it."""


def read_colmap(
    path: str | PathLike[str],
    *,
    images: str | None = "images",
    masks: str = "masks",
    mask_white: MaskWhite | None = None,
    depth_maps: str | None = None,
    rescale_cameras: bool | None = None,
    skip_missing: bool = False,
    turned_photos: bool | None = None,
) -> Scene:
    """Reads a COLMAP scene.

    The model is looked for in ``sparse/0`` and its like, ``sparse``, ``colmap/sparse/0`` and the folder itself; of several
    numbered ones the one with most photos is taken. Binary files are preferred to text. Rigs and frames of newer versions
    need no reading: the images file has the composed poses.

    Args:
        path: Folder of the scene, or of the model itself.
        images: Folder of the photos below the scene, such as "images_4"; None for cameras and points alone. Where there is no
            "images", other usual folders with the photos are taken.
        masks: Folder of masks, if there is one: for images/a/b.jpg it is asked for a/b.jpg.png, a/b.png and a/b.jpg.
        mask_white: What white in masks is: the "object", or what to "keep", as COLMAP means it; by default what the folder of
            masks says (``meaning.json``, which ``write_colmap`` writes), else it is not known.
        depth_maps: "geometric" or "photometric" for the depth maps of ``stereo/depth_maps`` in an undistorted dense
            workspace; None for no depth.
        rescale_cameras: Let cameras follow photos that are uniformly rescaled; by default only for folders whose name
            ends in a number after an underscore (images_4).
        skip_missing: Leave out views whose photo is missing, in place of an error.
        turned_photos: Show photos as their EXIF entries turn them (True) or as stored (False); by default turned where a photo
            fits its camera only thus.

    Returns:
        Views in the order of their names and the points with the views that see them (None if the model has none).
        The unit is not known to be the metre. Views whose pose and points whose position is not finite are left out.

    Raises:
        InputError: If a file is missing or cut short, a camera model is not supported, a quaternion is none, or a photo is
            missing or of another size than its camera.
    """
    path, notes = Path(path), SceneNotes()
    folder = find_colmap_model(path, notes)
    model, source = read_colmap_model(folder)
    records = sorted(model.images, key=lambda image: image.name)
    root, images = _image_folder(path, folder, images, [image.name for image in records], notes)
    if rescale_cameras is None:
        rescale_cameras = images is not None and images.rpartition("_")[2].isdigit()
    view_of = partial(
        posed_view,
        source=source,
        undistorter=Undistorter(),
        notes=notes,
        rescale_cameras=rescale_cameras,
        turned_photos=turned_photos,
    )
    finder = None if images is None else PhotoFinder(root / images, notes)
    names: dict[int, str] = {}
    white, said_by = _mask_white(root / masks, mask_white)
    whites: set[MaskWhite | None] = set()
    views = []
    check_names([image.name for image in records], source=source)
    for image in records:
        if image.camera_id not in model.cameras:
            raise InputError(f"image {image.name!r}: camera", image.camera_id, f"one of {sorted(model.cameras)}", file=source)
        pose = _camera_to_world(image, source)
        if pose is None:
            notes.leave_out(image.name, LOST)
            continue
        photo = None if finder is None else finder.find(image.name)
        if finder is not None and photo is None:
            if not skip_missing:
                raise missing_photo(finder.folder / image.name)
            notes.leave_out(image.name, MISSING)
            continue
        name = image.name if finder is None or photo is None else finder.name_of(image.name, photo)
        depth = _depth_file(root, image.name, depth_maps) if depth_maps is not None else None
        files = ViewFiles(photo, _mask_file(root / masks, name), white, depth)
        whites |= {white} if files.mask is not None else set()
        views.append(view_of(name, model.cameras[image.camera_id], pose, files))
        names[image.id] = name
    check_names([view.name for view in views], source=source, notes=notes)
    points = _point_cloud(model.points, names, notes)
    known = say_mask_meaning(whites, said_by, notes)
    return Scene(tuple(views), points, source=path, notes=notes.sentences(len(views)), masks_are_objects=known)


def write_colmap(path: str | PathLike[str], scene: Scene, *, binary: bool = True, camera_per_view: bool = False) -> None:
    """Writes ``sparse/0``, ``images`` and ``masks`` (NAME.png) that COLMAP and splat trainers read.

    Masks are black on the object, which COLMAP ignores; where it is not known what white is, they stay as they are.

    Cameras become PINHOLE, one for all views of equal intrinsics. Each observed point gets a key point where the view
    projects it. Depth has no place in this format and is left out.

    Args:
        path: New or empty folder.
        scene: Scene to write.
        binary: Binary files, else text (names must then be free of spaces).
        camera_per_view: A camera for each view, also where intrinsics are equal.

    Raises:
        InputError: If the folder is not empty or cannot be written, or if a name climbs out of it.
    """
    scene = scene.about_origin((0.0, 0.0, 0.0))
    names = image_names(scene.views, file=path)
    cameras, camera_ids = _distinct_cameras(scene.views, camera_per_view)
    images, points = _with_observations(scene, names, camera_ids)
    with atomic_folder(path) as folder:
        write_colmap_model(folder / "sparse" / "0", ColmapModel(cameras, images, points), binary=binary)
        for view, name in zip(scene.views, names, strict=True):
            if view.load_image is not None:
                put_image(view, folder / "images" / name)
            if view.load_mask is not None:
                put_mask(view, folder / "masks" / f"{name}.png", inverted=scene.masks_are_objects)
        if scene.masks_are_objects and (folder / "masks").is_dir():
            (folder / "masks" / MASK_MEANING).write_text(json.dumps({"mask_white": "keep"}) + "\n")


def _image_folder(
    path: Path, folder: Path, images: str | None, names: Sequence[str], notes: SceneNotes
) -> tuple[Path, str | None]:
    """The scene's folder, which for a folder of models is one above them, and the folder of photos in it.

    Raises:
        InputError: If there is no folder with photos of the model.
    """
    if images is None:
        return path, None
    roots = (path, *(folder.absolute().parents[:2] if folder == path or folder.parent == path else ()))
    for root in roots:
        if (root / images).is_dir():
            return root, images
    for root in roots if images == IMAGES else ():
        for other in (*sorted(child.name for child in root.glob(f"{IMAGES}_*")), *OTHER_IMAGES):
            if names and PhotoFinder(root / other, SceneNotes()).find(names[0]) is not None:
                notes.say(f"there is no folder {IMAGES}; the photos are those of {other}")
                return root, other
    accepted = f"a folder {images} with the photos, or {IMAGES}_2 and the like; images=NAME (--scene-options) names another"
    raise InputError("image folder", f"no {images}", accepted, file=path)


def _mask_white(folder: Path, asked: MaskWhite | None) -> tuple[MaskWhite | None, str]:
    """What white in masks is, and who says so."""
    file = folder / MASK_MEANING
    if asked is not None or not file.is_file():
        return asked, "as asked"
    return stated_mask_white(read_json_object(file), file), f"says {MASK_MEANING}"


def _mask_file(folder: Path, name: str) -> Path | None:
    for candidate in (f"{name}.png", str(PurePosixPath(name).with_suffix(".png")), name):
        if (folder / candidate).is_file():
            return folder / candidate
    return None


def _depth_file(root: Path, name: str, kind: str) -> DepthFile:
    return DepthFile(root / "stereo" / "depth_maps" / f"{name}.{kind}.bin", "colmap")


def _camera_to_world(image: ColmapImage, source: Path) -> NDArray[np.float64] | None:
    """The pose  # [4, 4]; None if it is not finite."""
    pose = np.concatenate([image.quat, image.translation])
    if not np.isfinite(pose).all():
        return None
    if not math.isclose(float(np.linalg.norm(image.quat)), 1.0, abs_tol=0.01):
        accepted = "a finite translation and a quaternion of length 1"
        raise InputError(f"image {image.name!r}: pose", pose.tolist(), accepted, file=source)
    rotation = quaternions_to_matrices(torch.from_numpy(image.quat)).numpy().T
    camera_to_world = np.eye(4)
    camera_to_world[:3, :3] = rotation
    camera_to_world[:3, 3] = -rotation @ image.translation
    return camera_to_world


def _point_cloud(points: ColmapPoints, names: dict[int, str], notes: SceneNotes) -> PointCloud | None:
    finite = np.asarray(np.isfinite(points.xyz).all(axis=1))
    if not finite.any():
        return None
    if not finite.all():
        notes.say(f"{int((~finite).sum())} of {len(points)} points left out: their positions are not finite")
    track_points = np.repeat(np.arange(len(points)), np.diff(points.track_ends, prepend=0))
    in_tracks = finite[track_points]
    track_points = (np.cumsum(finite) - 1)[track_points[in_tracks]]
    track_images = points.track_images[in_tracks]
    order = np.argsort(track_images, kind="stable")
    image_ids, starts = np.unique(track_images[order], return_index=True)
    groups = np.split(track_points[order], starts[1:])
    seen = {int(number): np.unique(group) for number, group in zip(image_ids, groups, strict=False)}
    observations = {name: seen[number].astype(np.int64) for number, name in names.items() if number in seen}
    errors = np.nan_to_num(points.errors, nan=0.0, posinf=0.0, neginf=0.0)
    return PointCloud(points.xyz[finite], points.rgb[finite], errors[finite], observations)


def _distinct_cameras(views: tuple[View, ...], camera_per_view: bool) -> tuple[dict[int, LensCamera], list[int]]:
    numbers: dict[tuple[LensCamera, int], int] = {}
    ids = []
    for index, view in enumerate(views):
        K = view.camera.K[0].double()
        values = (float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]))
        lens = LensCamera(LENS_MODELS["PINHOLE"], *values, (), view.camera.width, view.camera.height)
        ids.append(numbers.setdefault((lens, index if camera_per_view else 0), len(numbers) + 1))
    return {number: lens for (lens, _), number in numbers.items()}, ids


def _with_observations(
    scene: Scene, names: list[PurePosixPath], camera_ids: list[int]
) -> tuple[tuple[ColmapImage, ...], ColmapPoints]:
    """Images with a key point for each point that they see, and points whose tracks name those key points."""
    cloud, images, tracks = scene.points, [], []
    for index, (view, name, camera_id) in enumerate(zip(scene.views, names, camera_ids, strict=True)):
        world_to_camera = view.camera.world_to_camera[0].double()
        seen, keypoints = _key_points(view, cloud)
        quat = matrices_to_quaternions(world_to_camera[:3, :3]).numpy()
        images.append(ColmapImage(index + 1, str(name), quat, world_to_camera[:3, 3].numpy(), camera_id, keypoints, seen + 1))
        tracks.append(np.stack([seen, np.full_like(seen, index + 1), np.arange(len(seen))], axis=-1))
    if cloud is None:
        return tuple(images), no_points()
    track = np.concatenate(tracks)
    track = track[np.argsort(track[:, 0], kind="stable")]
    ends = np.searchsorted(track[:, 0], np.arange(len(cloud)), side="right")
    errors = cloud.errors if cloud.errors is not None else np.zeros(len(cloud))
    ids = np.arange(1, len(cloud) + 1)
    return tuple(images), ColmapPoints(ids, cloud.xyz, cloud.rgb, errors, ends, track[:, 1], track[:, 2])


def _key_points(view: View, cloud: PointCloud | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    seen = cloud.observations.get(view.name, np.zeros(0, np.int64)) if cloud is not None else np.zeros(0, np.int64)
    if cloud is None or not len(seen):
        return np.zeros(0, np.int64), np.zeros((0, 2))
    pixels, depth = view.camera.to("cpu", torch.float64).project(torch.from_numpy(cloud.xyz[seen]))
    in_front = (depth[0] > 0).numpy()
    return seen[in_front], pixels[0].numpy()[in_front]
