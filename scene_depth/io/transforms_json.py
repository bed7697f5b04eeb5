"""Reading ``transforms.json``: nerfstudio, instant-ngp and the synthetic NeRF (Blender) scenes.

Conventions, as nerfstudio 1.1's own data parser has them:

- ``transform_matrix`` is camera to world with OpenGL camera axes; it is turned into OpenCV's here, in one place. The world
  frame of the scene is that of the matrices in the file; ``applied_transform`` (already applied to them) is left alone.
- ``cx``, ``cy`` count from the image corner, the centre of the first pixel is at (0.5, 0.5).
- The points of ``ply_file_path`` live in the frame of the matrices (ns-process-data applies ``applied_transform`` to them
  too) but without ``applied_scale``, by which nerfstudio, and this reader, multiplies points and depths.
- ``depth_file_path`` (instant-ngp: ``depth_path``) holds z-depth times 1 / ``depth_unit_scale_factor`` (instant-ngp:
  ``integer_depth_scale``); the factor is 0.001 unless the file says otherwise.
- Any of k1, k2, k3, k4, p1, p2 distorts, whatever ``camera_model`` says; undone as for COLMAP scenes.

Other than in nerfstudio, an intrinsic given for a frame wins over the same one given for the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError
from scene_depth.io.depth_images import DepthFile, read_stored_depth
from scene_depth.io.depth_units import (
    EITHER,
    METRES_OF_A_STEP,
    DepthUnit,
    checked_unit,
    stated_unit,
    stored_depth_notes,
    unit_sentence,
)
from scene_depth.io.distortion import LENS_MODELS, POLYNOMIAL, LensCamera, LensModel, check_lens_camera
from scene_depth.io.images import IMAGE_SUFFIXES, MaskWhite, image_size
from scene_depth.io.json_files import is_number, read_json_object
from scene_depth.io.photo_files import LOST, MISSING, PhotoFinder, missing_photo
from scene_depth.io.ply_header import read_ply_header
from scene_depth.io.point_ply import read_point_ply
from scene_depth.io.posed_views import (
    OPENGL_AXES,
    ViewFiles,
    check_names,
    one_camera,
    posed_view,
    say_mask_meaning,
    stated_mask_white,
)
from scene_depth.io.scene_notes import SceneNotes
from scene_depth.io.tracked_points import read_tracked_points
from scene_depth.io.undistortion import Undistorter
from scene_depth.scene import PointCloud, Scene, View

PERSPECTIVE_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
FISHEYE_MODELS = {"OPENCV_FISHEYE": "OPENCV_FISHEYE", "FISHEYE624": "RAD_TAN_THIN_PRISM_FISHEYE"}
DEFAULT_DEPTH_UNIT = 0.001
LONGEST_NAME = 255  # bytes of the name of a file
DEPTH_KEYS = ("depth_file_path", "depth_path")
LENS_FIELDS = {"fl_x", "fl_y", "cx", "cy", "w", "h", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov", "camera_model"}
LENS_FIELDS |= {"is_fisheye", "distortion_params", "k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2"}
KNOWN_FIELDS = {*LENS_FIELDS, *METRES_OF_A_STEP, EITHER, "frames", "ply_file_path", "applied_scale", "applied_transform"}
KNOWN_FIELDS |= {f"{split}_filenames" for split in ("train", "val", "test")} | {"enable_depth_loading", "mask_white"}
KNOWN_FIELDS |= {"aabb_scale", "scale", "offset", "from_na", "orientation_override", "auto_scale_poses_override", "fps"}
KNOWN_IN_FRAMES = {*LENS_FIELDS, *DEPTH_KEYS, "file_path", "transform_matrix", "mask_path", "object_mask_path"}
KNOWN_IN_FRAMES |= {"colmap_im_id", "sharpness", "rotation", "time", "timestamp", "name", "frame_id", "id"}
"""Fields that are read, and such as change nothing here: of the box that instant-ngp trains in, of nerfstudio's own frame."""
SPLITS = ("train", "val", "test")
Json = Mapping[str, Any]


def read_transforms(
    path: str | PathLike[str],
    *,
    split: str | None = None,
    images: str | None = None,
    rescale_cameras: bool | None = None,
    skip_missing: bool = False,
    turned_photos: bool | None = None,
    depth_unit: float | None = None,
    mask_white: MaskWhite | None = None,
) -> Scene:
    """Reads a scene described by ``transforms.json``.

    Args:
        path: The file, or the folder with ``transforms.json`` (or ``transforms_train.json``, ``_val``, ``_test``).
        split: "train", "val" or "test": the frames of ``<split>_filenames``, or the file ``transforms_<split>.json``.
            By default all frames of ``transforms.json``, and the training frames where every split has its own file.
        images: Another folder for the photos, such as "images_4"; file names stay.
        rescale_cameras: Let cameras follow photos that are uniformly rescaled; by default only with ``images``.
        skip_missing: Leave out frames whose photo is missing, in place of an error.
        turned_photos: Show photos as their EXIF entries turn them (True) or as stored (False); by default turned where a photo
            fits its camera only thus.
        depth_unit: Units of the scene, before ``applied_scale``, of a stored 1 of depth; by default what the file states.
        mask_white: What white in masks is: the "object", or what to "keep", as nerfstudio means it; by default what the file
            states (``mask_white``), else it is not known. Masks of ``object_mask_path`` are white on the object.

    Returns:
        Views in the order of the file, named by their path below the photos' common first folder. Points of
        ``ply_file_path``, else of ``points3d.npz`` beside the file; None if there are none. The unit is known to be the
        metre where the file states its ``depth_unit_scale_factor``.

    Raises:
        InputError: If a file is missing or broken, a field is missing or wrong, a pose is singular, a camera model is not
            supported, or a photo is of another size than its camera.
    """
    file = transforms_file(Path(path), split)
    meta = read_json_object(file)
    frames = meta.get("frames")
    if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
        raise InputError("frames", type(frames).__name__, "a list of frames", file=file)
    frames = _frames_of_split(meta, frames, split, file)
    notes = SceneNotes()
    frames, photos = _used_frames(frames, file, images, skip_missing, notes)
    beside = PhotoFinder(file.parent, notes, what="masks, depth images or points")
    paths = [_relative_path(frame["file_path"], photo) for frame, photo in zip(frames, photos, strict=True)]
    names = view_names(paths)
    check_names(names, source=file, notes=notes)
    stated = transforms_depth_unit(meta, file) if depth_unit is None else DepthUnit(checked_unit(depth_unit), "as asked")
    applied_scale = _positive(meta, "applied_scale", 1.0, file)
    rescale = rescale_cameras if rescale_cameras is not None else images is not None
    view_of = partial(
        posed_view, source=file, undistorter=Undistorter(), notes=notes, rescale_cameras=rescale, turned_photos=turned_photos
    )
    stated_white, said_by = mask_white or stated_mask_white(meta, file), "as asked" if mask_white else f"says {file.name}"
    whites: set[MaskWhite | None] = set()
    views: list[View] = []
    for index, (name, frame, photo) in enumerate(zip(names, frames, photos, strict=True)):
        field = f"frames[{index}] {name!r}"
        lens = frame_camera(frame, meta, photo, file=file, field=field)
        pose = _camera_to_world(frame, file, field)
        depth = depth_of_frame(frame, file, field, beside)
        depth_file = None if depth is None else DepthFile(depth, unit=stated.unit * applied_scale)
        if depth is not None and all(view.load_depth is None for view in views):
            _say_unit(notes, depth, stated)
        white: MaskWhite | None = mask_white or "object"
        mask = _side_file(frame, "object_mask_path", file, field, beside)
        if mask is None:
            white, mask = stated_white, _side_file(frame, "mask_path", file, field, beside)
        whites |= {white} if mask is not None else set()
        files = ViewFiles(photo, mask, white, depth_file)
        views.append(view_of(name, lens, pose, files))
    points = _points(meta, file, applied_scale, beside, {str(path): name for path, name in zip(paths, names, strict=True)})
    unused = [key for key in meta if key not in KNOWN_FIELDS]
    unused += [key for key in dict.fromkeys(key for frame in frames for key in frame) if key not in KNOWN_IN_FRAMES]
    if unused:
        notes.say(f"fields of {file.name} that are not used: {', '.join(unused)}")
    metric = "depth_unit_scale_factor" in meta
    known = say_mask_meaning(whites, said_by, notes)
    return Scene(tuple(views), points, metric, Path(path), notes.sentences(len(views)), masks_are_objects=known)


def read_transforms_cameras(path: str | PathLike[str], width: int, height: int) -> list[tuple[Cameras, str]]:
    """Reads the cameras of a ``transforms.json`` whose pictures need not be there, in the order of the file.

    Args:
        path: The file, or its folder.
        width, height: Of the pictures, where the file does not say.

    Returns:
        One pinhole camera a frame, its lens without distortion, and what the frame's field "prompt" says, "" if it has none.

    Raises:
        InputError: If the file is missing or broken, or a camera is.
    """
    file = transforms_file(Path(path))
    meta = read_json_object(file)
    frames = meta.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise InputError("frames", "none" if not frames else type(frames).__name__, "a list of frames", file=file)
    found = []
    for index, frame in enumerate(frames):
        field, prompt = f"frames[{index}]", frame.get("prompt", "")
        if not isinstance(prompt, str):
            raise InputError(f"{field}: prompt", repr(prompt), "text", file=file)
        lens = frame_camera(frame, {"w": width, "h": height, **meta}, file, file=file, field=field)
        pose = _camera_to_world(frame, file, field)
        found.append((one_camera(pose, lens.K, lens.width, lens.height, file=file, frame=field), prompt))
    return found


def transforms_file(path: Path, split: str | None = None) -> Path:
    """The JSON file of a scene folder.

    Raises:
        InputError: If there is none, or none for that split.
    """
    if split is not None and split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    if not path.is_dir():
        return path
    candidates = [path / "transforms.json", path / f"transforms_{split or 'train'}.json"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise InputError("scene file", "none", " or ".join(candidate.name for candidate in candidates), file=path)


def transforms_depth_unit(meta: Json, file: Path) -> DepthUnit:
    """What a stored 1 of depth is in units of the scene.

    Raises:
        InputError: If a field that says it is no positive number.
    """
    stated = stated_unit(meta, file, (*METRES_OF_A_STEP, EITHER))
    return stated or DepthUnit(DEFAULT_DEPTH_UNIT, f"assumed, as {file.name} states none")


def depth_of_frame(frame: Json, file: Path, field: str, finder: PhotoFinder | None = None) -> Path | None:
    """The depth image of a frame, as nerfstudio or instant-ngp names it; a finder looks for it under other paths too.

    Raises:
        InputError: If the field is no path.
    """
    return next((path for key in DEPTH_KEYS if (path := _side_file(frame, key, file, field, finder)) is not None), None)


def _say_unit(notes: SceneNotes, depth: Path, unit: DepthUnit) -> None:
    notes.say(unit_sentence(unit, "units of the scene"))
    for sentence in stored_depth_notes(read_stored_depth(depth)) if depth.is_file() else ():
        notes.say(f"{depth.name}: {sentence}")


def frame_camera(frame: Json, meta: Json, photo: Path, *, file: Path, field: str) -> LensCamera:
    """Intrinsics of a frame: its own fields, else those of the file; size and principal point default to the photo's.

    Raises:
        InputError: If there is no focal length, a field is not a number, or the camera model is not supported.
    """

    def number(key: str) -> float | None:
        value = frame.get(key, meta.get(key))
        if value is not None and not is_number(value):
            raise InputError(f"{field}: {key}", repr(value), "a number", file=file)
        return None if value is None else float(value)

    width, height = number("w"), number("h")
    if width is None or height is None:
        width, height = image_size(photo)
    size = (int(width), int(height))
    focal = [number("fl_x"), number("fl_y")]
    for axis, key in enumerate(("camera_angle_x", "camera_angle_y")):
        degrees = number(f"{'xy'[axis]}_fov")  # as instant-ngp has it
        angle = number(key) if degrees is None else math.radians(degrees)
        if focal[axis] is None and angle is not None:
            if not 0 < angle < math.pi:
                raise InputError(f"{field}: {key}", angle, "an angle between 0 and pi, in radians", file=file)
            focal[axis] = 0.5 * size[axis] / math.tan(0.5 * angle)
    fx, fy = focal[0] or focal[1], focal[1] or focal[0]
    if fx is None or fy is None:
        raise InputError(f"{field}: focal length", "none", "fl_x (and fl_y) or camera_angle_x", file=file)
    cx, cy = number("cx"), number("cy")
    lens, coefficients = _lens(frame, meta, number, file, field)
    center = (0.5 * width if cx is None else cx, 0.5 * height if cy is None else cy)
    camera = LensCamera(lens, fx, fy, *center, coefficients, *size)
    check_lens_camera(camera, file=file, field=field)
    return camera


def _lens(
    frame: Json, meta: Json, number: Callable[[str], float | None], file: Path, field: str
) -> tuple[LensModel, tuple[float, ...]]:
    name = frame.get("camera_model", meta.get("camera_model", "OPENCV_FISHEYE" if meta.get("is_fisheye") else "OPENCV"))
    listed = frame.get("distortion_params", meta.get("distortion_params"))
    if name not in PERSPECTIVE_MODELS and name not in FISHEYE_MODELS:
        raise InputError(f"{field}: camera_model", repr(name), ", ".join([*PERSPECTIVE_MODELS, *FISHEYE_MODELS]), file=file)
    lens = POLYNOMIAL if name in PERSPECTIVE_MODELS else LENS_MODELS[FISHEYE_MODELS[name]]
    if listed is None:
        if name == "FISHEYE624":
            raise InputError(f"{field}: distortion_params", "none", "12 numbers, for FISHEYE624", file=file)
        return lens, tuple(number(key) or 0.0 for key in lens.coefficients)
    count = len(lens.coefficients)
    accepted = len(POLYNOMIAL.coefficients) if name == "OPENCV_FISHEYE" else count  # nerfstudio pads fisheyes with p1, p2
    if not isinstance(listed, list) or len(listed) not in (count, accepted) or not all(is_number(value) for value in listed):
        raise InputError(
            f"{field}: distortion_params", repr(listed), f"{count} numbers: {', '.join(lens.coefficients)}", file=file
        )
    return lens, tuple(float(value) for value in listed[:count])


def _frames_of_split(meta: Json, frames: list[Json], split: str | None, file: Path) -> list[Json]:
    for index, frame in enumerate(frames):
        if not isinstance(frame.get("file_path"), str) or not frame["file_path"]:
            raise InputError(f"frames[{index}]: file_path", repr(frame.get("file_path")), "the path of an image", file=file)
    key = f"{split}_filenames"
    if split is None or file.name == f"transforms_{split}.json":
        return frames
    if not isinstance(meta.get(key), list):
        raise InputError(key, "none", f"a list of file names, or a file transforms_{split}.json", file=file)
    wanted = {str(PurePosixPath(name)) for name in meta[key]}
    chosen = [frame for frame in frames if str(PurePosixPath(frame["file_path"])) in wanted]
    if len(chosen) < len(wanted):
        unknown = min(wanted - {str(PurePosixPath(frame["file_path"])) for frame in frames})
        raise InputError(key, repr(unknown), "file_path of a frame", file=file)
    return chosen


def _used_frames(
    frames: list[Json], file: Path, images: str | None, skip_missing: bool, notes: SceneNotes
) -> tuple[list[Json], list[Path]]:
    """The frames that have a finite pose and a photo, and their photos.

    Raises:
        InputError: If a photo is missing, unless such frames are left out.
    """
    finder = PhotoFinder(file.parent if images is None else file.parent / images, notes)
    used, photos = [], []
    for frame in frames:
        named = PurePosixPath(frame["file_path"].replace("\\", "/"))
        photo = _photo(finder, named if images is None else PurePosixPath(named.name))
        if photo is None and not skip_missing:
            raise missing_photo(finder.folder / (named if images is None else named.name))
        if photo is None:
            notes.leave_out(named.name, MISSING)
        elif not _has_finite_pose(frame):
            notes.leave_out(named.name, LOST)
        else:
            used.append(frame)
            photos.append(photo)
    return used, photos


def _photo(finder: PhotoFinder, name: PurePosixPath) -> Path | None:
    """A photo by its path; the synthetic NeRF scenes leave its ending away."""
    path = finder.folder / name
    can_end = _longest_name(name.parts) + max(map(len, IMAGE_SUFFIXES)) <= LONGEST_NAME
    if can_end and name.suffix.lower() not in IMAGE_SUFFIXES and not path.is_file():
        endings = (path.with_name(path.name + suffix) for suffix in IMAGE_SUFFIXES)
        found = next((candidate for candidate in endings if candidate.is_file()), None)
        if found is not None:
            return found
    return finder.find(str(name))


def _has_finite_pose(frame: Json) -> bool:
    """Whether a matrix has no number that is not finite; what is no matrix at all is an error of its own."""
    rows = frame.get("transform_matrix")
    flat = [value for row in rows if isinstance(row, list) for value in row] if isinstance(rows, list) else []
    return all(math.isfinite(value) for value in flat if isinstance(value, float))


def _relative_path(file_path: str, photo: Path) -> PurePosixPath:
    """The path in the file with the photo's real ending."""
    path = PurePosixPath(file_path.replace("\\", "/"))
    if path.suffix == photo.suffix:
        return path
    return path.with_suffix(photo.suffix) if path.suffix.lower() in IMAGE_SUFFIXES else path.with_name(path.name + photo.suffix)


def view_names(paths: Sequence[PurePosixPath]) -> list[str]:
    """Names of views: paths without the first folder, if that is common to all (the image folder)."""
    parts = [tuple(part for part in path.parts if part not in ("/", "..")) for path in paths]
    if parts and all(len(path) > 1 and path[0] == parts[0][0] for path in parts):
        absolute = any(path.is_absolute() for path in paths)
        shared = 1
        while absolute and all(len(path) > shared + 1 and path[shared] == parts[0][shared] for path in parts):
            shared += 1
        parts = [path[shared:] for path in parts]
    return ["/".join(path) for path in parts]


def _camera_to_world(frame: Json, file: Path, field: str) -> NDArray[np.float64]:
    try:
        matrix = np.array(frame.get("transform_matrix"), np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape not in ((4, 4), (3, 4)):
        raise InputError(f"{field}: transform_matrix", f"shape {matrix.shape}", "4 x 4 (or 3 x 4) numbers", file=file)
    return np.vstack([matrix[:3], [0.0, 0.0, 0.0, 1.0]]) @ OPENGL_AXES


def _longest_name(parts: Sequence[str]) -> int:
    """Bytes of the longest name in a path."""
    return max((len(part.encode("utf-8", "surrogatepass")) for part in parts), default=0)


def _side_file(frame: Json, key: str, file: Path, field: str, finder: PhotoFinder | None = None) -> Path | None:
    value = frame.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InputError(f"{field}: {key}", repr(value), "a file name", file=file)
    found = None if finder is None else finder.find(value)
    if found is not None:
        return found
    parts = value.replace("\\", "/").split("/")
    if (longest := _longest_name(parts)) > LONGEST_NAME:
        raise InputError(
            f"{field}: {key}", f"a name of {longest} bytes", f"at most {LONGEST_NAME}, which a file can have", file=file
        )
    return file.parent.joinpath(*parts)


def _points(meta: Json, file: Path, applied_scale: float, finder: PhotoFinder, names: dict[str, str]) -> PointCloud | None:
    ply = meta.get("ply_file_path")
    if ply is None:
        tracked = file.parent / "points3d.npz"
        return read_tracked_points(tracked, names) if tracked.is_file() else None
    if not isinstance(ply, str) or not ply:
        raise InputError("ply_file_path", repr(ply), "a file name", file=file)
    path = finder.find(ply) or file.parent / ply
    if read_ply_header(path).element("vertex").count == 0:
        return None
    points = read_point_ply(path)
    return PointCloud(points.xyz * applied_scale, points.rgb)


def _positive(meta: Json, key: str, default: float, file: Path) -> float:
    value = meta.get(key, default)
    if not is_number(value) or not 0 < value < math.inf:
        raise InputError(key, repr(value), "a positive number", file=file)
    return float(value)
