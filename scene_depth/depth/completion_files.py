"""The files of a completion: which picture, depth or scan, mask, prior and calibration belong together.

Depth images are checked by their headers alone; LiDAR scans become depth images when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.arrays import Mask
from scene_depth.cameras import Cameras, camera_from_fov
from scene_depth.depth.masks.drawn import NOMINAL_FOV_X
from scene_depth.errors import InputError
from scene_depth.geometry.scan_projection import scan_depth, shining_through
from scene_depth.io.depth_images import DEPTH_FORMATS, depth_format, depth_size
from scene_depth.io.depth_units import DepthUnit
from scene_depth.io.distortion import LensCamera
from scene_depth.io.images import IMAGE_SUFFIXES, image_size
from scene_depth.io.intrinsics_files import read_intrinsics
from scene_depth.io.json_files import read_json_object
from scene_depth.io.photo_files import PhotoFinder
from scene_depth.io.rgbd_folder import COLOR_INTRINSICS
from scene_depth.io.scene_notes import SceneNotes
from scene_depth.io.transforms_json import DEPTH_KEYS, transforms_depth_unit
from scene_depth.io.transforms_json import frame_camera as transforms_camera
from scene_depth.io.velodyne import calibration_file, check_scan, read_scan_calibration, read_velodyne

DEPTH_SUFFIXES = tuple(dict.fromkeys(suffix for entry in DEPTH_FORMATS.values() for suffix in entry.suffixes))
STORED_FORMAT = "kitti"
"""Format of completed scans: 16-bit PNG of 1/256 m, as the KITTI server takes them."""
SAME_SHAPE = 0.01  # relative difference of the two scales at which intrinsics of another size still fit


@dataclass(frozen=True)
class FrameFiles:
    """The files of one frame.

    Attributes:
        name: Name of its outputs.
        depth: Depth image.
        rgb: Picture of the same size, or None.
        mask: Mask of the picture's size or the depth's, or None: then depth is known where the file has any.
        prior: Monocular prediction of the size of the result, or None.
        size: Width and height of the result: those of the picture, else of the depth image.
        calibration: File that places the camera beside the scanner; then ``depth`` is a LiDAR scan.
    """

    name: str
    depth: Path
    rgb: Path | None
    mask: Path | None
    prior: Path | None
    size: tuple[int, int]
    calibration: Path | None = None

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All files that are read."""
        paths = (self.depth, self.rgb, self.mask, self.prior, self.calibration)
        return tuple(path for path in paths if path is not None)

    @property
    def stored_name(self) -> str:
        """File name of the completed depth."""
        return self.depth.name if self.calibration is None else f"{self.name}.png"


def find_frame_files(
    rgb: Path | None, depth: Path, mask: Path | None = None, prior: Path | None = None, format: str | None = None
) -> list[FrameFiles]:
    """One frame if ``depth`` is a file, else the frames of a folder, paired by name without ending.

    Args:
        rgb: Picture or folder of pictures, or None.
        depth: Depth image or folder of depth images.
        mask, prior: File or folder, or None.
        format: Key of ``DEPTH_FORMATS``, as in ``read_depth``.

    Returns:
        Frames by name, at least one. Depth with fewer or more pixels than its picture, but of its shape, is one of them.

    Raises:
        InputError: If a file is missing or of an unknown kind, files and folders are mixed, a frame has no picture, mask
            or prior, or sizes do not go together.
    """
    for what, path in (("RGB", rgb), ("depth", depth), ("mask", mask), ("prior", prior)):
        if path is not None and not path.exists():
            raise InputError(what, "no such file or folder", "an existing one", file=path)
    others = {"RGB": (rgb, IMAGE_SUFFIXES), "mask": (mask, IMAGE_SUFFIXES), "prior": (prior, DEPTH_SUFFIXES)}
    for what, (path, _) in others.items():
        if path is not None and path.is_dir() != depth.is_dir():
            found = "a folder" if path.is_dir() else "a file"
            raise InputError(what, found, f"a {'folder' if depth.is_dir() else 'file'} like the depth", file=path)
    if not depth.is_dir():
        return [_frame(depth.stem, depth, rgb, mask, prior, format)]
    suffixes = DEPTH_SUFFIXES if format is None else DEPTH_FORMATS[depth_format(depth / _any_name(format), format).name].suffixes
    depths = _by_stem(depth, suffixes, "depth")
    if not depths:
        raise InputError("depth folder", "no depth image", f"files that end in {', '.join(suffixes)}", file=depth)
    partners = {what: {} if path is None else _by_stem(path, endings, what) for what, (path, endings) in others.items()}
    for what, (path, _) in others.items():
        lacking = [] if path is None else [stem for stem in depths if stem not in partners[what]]
        if lacking:
            found = f"no {what} named {lacking[0]} ({len(lacking)} of {len(depths)} frames have none)"
            raise InputError(f"{what} folder", found, "a file of the same name for every depth image", file=path)
    get = [partners[what].get for what in others]
    return [_frame(stem, path, get[0](stem), get[1](stem), get[2](stem), format) for stem, path in depths.items()]


@dataclass(frozen=True)
class FrameCamera:
    """The camera of a frame.

    Attributes:
        camera: At the origin, of the frame's size.
        source: The file that it comes from, or "nominal, 60 degrees horizontal field of view".
        unit: Unit of the depth that the same file states, if it does.
        notes: What is to be said about the file.
    """

    camera: Cameras
    source: str
    unit: DepthUnit | None = None
    notes: tuple[str, ...] = ()


def frame_camera(frame: FrameFiles, intrinsics: Path | None, pixel_center: float) -> FrameCamera:
    """The camera of a frame, and what the file that tells it says about the unit of depth.

    Args:
        frame: The frame. A file of a usual name such as K.json in the folder of its depth or the one above is taken, else
            the transforms.json there, or beside the picture, that names the frame.
        intrinsics: File of intrinsics, overrides that.
        pixel_center: Coordinate of the first pixel's centre in that file, if the file does not say. RGB-D tools use 0.

    Raises:
        InputError: If the file cannot be read, or belongs to images of another shape.
    """
    width, height = frame.size
    folders = [folder for path in (frame.depth, frame.rgb) if path is not None for folder in path.absolute().parents[:2]]
    if intrinsics is None:
        candidates = (folder / name for folder in folders[:2] for name in COLOR_INTRINSICS)
        intrinsics = next((file for file in candidates if file.is_file()), None)
    if intrinsics is None or (intrinsics.suffix.lower() == ".json" and "frames" in read_json_object(intrinsics)):
        files = [folder / "transforms.json" for folder in dict.fromkeys(folders)] if intrinsics is None else [intrinsics]
        named = next((found for file in files if file.is_file() and (found := _camera_in_transforms(frame, file))), None)
        if named is None and intrinsics is not None:
            raise InputError("frames", f"none with {frame.depth.name}", "a frame of this depth or picture", file=intrinsics)
        if named is not None:
            return named
    if intrinsics is None:
        fov_y = float(2 * np.arctan(np.tan(0.5 * NOMINAL_FOV_X) * height / width))
        camera = camera_from_fov(torch.eye(4, dtype=torch.float64), fov_y, width, height)
        return FrameCamera(camera, "nominal, 60 degrees horizontal field of view")
    read = read_intrinsics(intrinsics)
    return _placed(read.camera(pixel_center, frame.size), frame.size, intrinsics, read.depth_unit, read.notes)


def _placed(lens: LensCamera, size: tuple[int, int], file: Path, unit: DepthUnit | None, notes: Sequence[str]) -> FrameCamera:
    """The pinhole camera of a lens at the size of a frame."""
    width, height = size
    if abs((width / lens.width) / (height / lens.height) - 1.0) > SAME_SHAPE:
        found = f"for {lens.width} x {lens.height} pixels"
        raise InputError("intrinsics", found, f"for {width} x {height} or another size of that shape", file=file)
    K = torch.from_numpy(np.ascontiguousarray(lens.K))[None]
    camera = Cameras(torch.eye(4, dtype=torch.float64)[None], K, lens.width, lens.height)
    if not lens.is_pinhole:
        notes = [*notes, f"the lens distortion in {file.name} is not undone: depth stays in the pixels of its file"]
    return FrameCamera(camera.resized(width, height), str(file), unit, tuple(notes))


def _camera_in_transforms(frame: FrameFiles, file: Path) -> FrameCamera | None:
    """The camera of the frame of a transforms.json that names this depth image or picture; None if none does."""
    meta = read_json_object(file)
    entries, finder = meta.get("frames"), PhotoFinder(file.parent, SceneNotes())
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict):
            continue
        field = f"frames[{index}]"
        named = [entry.get("file_path"), *(entry.get(key) for key in DEPTH_KEYS)]
        paths = {found.resolve() for name in named if isinstance(name, str) and (found := finder.find(name)) is not None}
        if frame.depth.resolve() in paths or (frame.rgb is not None and frame.rgb.resolve() in paths):
            sized = {**dict(zip(("w", "h"), frame.size, strict=True)), **meta}
            lens = transforms_camera(entry, sized, frame.rgb or frame.depth, file=file, field=field)
            return _placed(lens, frame.size, file, transforms_depth_unit(meta, file), ())
    return None


def _by_stem(folder: Path, suffixes: tuple[str, ...], what: str) -> dict[str, Path]:
    paths = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise InputError(f"{what} folder", f"{found[path.stem].name} and {path.name}", "one file of each name", file=folder)
        found[path.stem] = path
    return found


def _any_name(format: str) -> str:
    return "any" + (DEPTH_FORMATS[format].suffixes[0] if format in DEPTH_FORMATS else "")


def _frame(name: str, depth: Path, rgb: Path | None, mask: Path | None, prior: Path | None, format: str | None) -> FrameFiles:
    stored = depth_size(depth, format)
    size = stored if rgb is None else image_size(rgb)
    if abs(size[0] * stored[1] - size[1] * stored[0]) > max(stored):
        accepted = f"{stored[0]} x {stored[1]}, the size of {depth.name}, or another size of that shape"
        raise InputError("RGB size", f"{size[0]} x {size[1]} pixels", accepted, file=rgb)
    sizes: list[tuple[str, Path | None, Callable[[Path], tuple[int, int]], tuple[tuple[int, int], ...]]] = [
        ("mask", mask, image_size, (size, stored)),
        ("prior", prior, depth_size, (size,)),
    ]
    for what, path, measure, fitting in sizes:
        if path is not None and (found := measure(path)) not in fitting:
            accepted = f"{size[0]} x {size[1]}, the size of the {'depth' if rgb is None else 'picture'}"
            raise InputError(f"{what} size", f"{found[0]} x {found[1]} pixels", accepted, file=path)
    return FrameFiles(name, depth, rgb, mask, prior, size)


def known_pixels(depth: NDArray[np.float32], mask: Mask | None, white: str) -> Mask:
    """What is known: where depth is, but not where the mask says that it is to be filled  # [H, W]

    Args:
        depth: z-depth, 0 = none  # [H, W]
        mask: True = white  # [H, W]
        white: Meaning of white, "known" or "fill".
    """
    measured = depth > 0
    return measured if mask is None else measured & (mask if white == "known" else ~mask)


@dataclass(frozen=True)
class ScanImage:
    """A scan in a camera.

    Attributes:
        depth: z-depth in metres, 0 = none  # [H, W]
        camera: The rectified camera.
        points: Number of returns in the scan.
        hidden: Number of pixels left out, since their points are behind what the camera sees.
    """

    depth: NDArray[np.float32]
    camera: Cameras
    points: int
    hidden: int


def find_scan_files(rgb: Path | None, scans: Path, calibration: Path, camera: str = "2") -> list[FrameFiles]:
    """One frame if ``scans`` is a file, else the frames of a folder, each with the picture and calibration of its name.

    Args:
        rgb: Picture or folder of pictures; None if the calibration says the size.
        scans: ``.bin`` file or folder of them.
        calibration: As in ``read_scan_calibration``.
        camera: "0" to "3".

    Raises:
        InputError: If a file is missing or no scan, a frame has no picture or calibration, or the calibration does not fit.
    """
    for what, path in (("RGB", rgb), ("scan", scans), ("calibration", calibration)):
        if path is not None and not path.exists():
            raise InputError(what, "no such file or folder", "an existing one", file=path)
    paths = sorted(scans.glob("*.bin")) if scans.is_dir() else [scans]
    if not paths:
        raise InputError("scan folder", "no scan", "files that end in .bin", file=scans)
    if rgb is not None and rgb.is_dir() != scans.is_dir():
        found = "a folder" if rgb.is_dir() else "a file"
        raise InputError("RGB", found, f"a {'folder' if scans.is_dir() else 'file'} like the scan", file=rgb)
    pictures = {}
    if rgb is not None and rgb.is_dir():
        pictures = {path.stem: path for path in sorted(rgb.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
    frames = []
    for path in paths:
        check_scan(path)
        picture = rgb if rgb is None or not rgb.is_dir() else pictures.get(path.stem)
        if rgb is not None and picture is None:
            raise InputError("RGB folder", f"no RGB named {path.stem}", "a file of the same name for every scan", file=rgb)
        frames.append(_scan_frame(path, picture, calibration_file(calibration, path), camera))
    return frames


def read_scan_image(frame: FrameFiles, camera: str = "2", unit: float | None = None, hide: bool = True) -> ScanImage:
    """The scan of a frame in its camera.

    Args:
        frame: From ``find_scan_files``.
        camera: Which of KITTI's cameras, "0" to "3".
        unit: Metres of a stored 1; None for metres.
        hide: Whether points of surfaces that the camera cannot see are left out.

    Raises:
        InputError: If the scan is empty, its unit is unknown, or no point falls into the picture.
    """
    assert frame.calibration is not None
    calibration = read_scan_calibration(frame.calibration, camera)
    points = read_velodyne(frame.depth, unit)
    depth = scan_depth(points[:, :3], calibration.camera_from_scanner, calibration.K, *frame.size)
    if not depth.any():
        found = f"none of {len(points)} points inside {frame.size[0]} x {frame.size[1]} pixels"
        raise InputError("calibration", found, "one that belongs to scan and picture", file=frame.calibration)
    hidden = shining_through(depth) if hide else np.zeros(depth.shape, dtype=bool)
    placed = Cameras(torch.eye(4, dtype=torch.float64)[None], torch.from_numpy(calibration.K)[None], *frame.size)
    return ScanImage(np.where(hidden, 0, depth).astype(np.float32), placed, len(points), int(hidden.sum()))


def _scan_frame(scan: Path, picture: Path | None, file: Path, camera: str) -> FrameFiles:
    calibration = read_scan_calibration(file, camera)
    size = calibration.size if picture is None else image_size(picture)
    if size is None:
        accepted = f"a picture, or a calibration that says S_rect_0{camera}"
        raise InputError("RGB", "none, and the calibration does not say the size", accepted, file=scan)
    calibration.check_size(*size)
    return FrameFiles(scan.stem, scan, picture, None, None, size, file)
