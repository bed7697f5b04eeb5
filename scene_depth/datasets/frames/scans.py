"""Scanned scenes: DIODE, ETH3D, iBims-1 and ARKitScenes with depth of a laser scanner, and ScanNet, of a hand-held sensor."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.datasets.frames.frame import DepthFrame, FileFrame, FrameSource, only_valid, pinhole
from scene_depth.datasets.frames.resize import resized_depth
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import image_size, read_image
from scene_depth.io.numpy_files import read_array

DIODE_CALIBRATION = {"fx": 886.81, "fy": 927.06, "cx": 512.0, "cy": 384.0}
"""The development kit's ``intrinsics.txt`` for 1024x768; (cx, cy) is the middle of the picture from its corner."""
DIODE_SIZE = (1024, 768)
COLOR_SUFFIXES = (".jpg", ".png")
IBIMS_FOLDERS, IBIMS_UNIT = ("rgb", "depth", "calib", "mask_invalid"), 50 / 65535


def diode_frames(folder: Path) -> list[FrameSource]:
    """All frames of DIODE in the folder and below it, such as ``val/indoors/scene_00019/scan_00183/*``."""
    found: list[FrameSource] = []
    for mask in sorted(folder.rglob("*_depth_mask.npy")):
        stem = mask.name.removesuffix("_depth_mask.npy")
        rgb = mask.with_name(stem + ".png")
        if rgb.is_file() and mask.with_name(stem + "_depth.npy").is_file():
            found.append(FileFrame(stem, partial(_read_diode, rgb=rgb)))
    return found


def eth3d_frames(folder: Path) -> list[FrameSource]:
    """All frames of ``<scene>/ground_truth_depth/dslr_images`` with their photos in ``<scene>/images/dslr_images``.

    The two may also lie in trees of their own, ``depth/<scene>/...`` and ``rgb/<scene>/...``.
    """
    found: list[FrameSource] = []
    for place in sorted(folder.rglob("ground_truth_depth")):
        scene = place.parent
        relative = scene.relative_to(folder)
        photos = [scene / "images"]
        if relative.parts[:1] == ("depth",):
            photos.append(folder / "rgb" / Path(*relative.parts[1:]) / "images")
        name = scene.resolve().name
        for depth in sorted(path for path in place.rglob("*") if path.is_file()):
            candidates = [photo / depth.relative_to(place) for photo in photos]
            rgb = next((path for path in candidates if path.is_file()), None)
            if rgb is not None:
                found.append(FileFrame(f"{name}_{depth.stem}", partial(_read_eth3d, rgb=rgb, depth=depth)))
    return found


def scannet_frames(folder: Path) -> list[FrameSource]:
    """The frames of one scene (``color/``, ``depth/``, ``intrinsic/``) or of all scenes in a folder, by their numbers."""
    scenes = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found: list[FrameSource] = []
    for scene in scenes:
        if not all((scene / place).is_dir() for place in ("color", "depth", "intrinsic")):
            continue
        for depth in sorted((scene / "depth").glob("*.png"), key=lambda path: (len(path.stem), path.stem)):
            colors = [scene / "color" / (depth.stem + suffix) for suffix in COLOR_SUFFIXES]
            color = next((path for path in colors if path.is_file()), None)
            if color is not None:
                read = partial(_read_scannet, scene=scene, number=depth.stem, color=color)
                found.append(FileFrame(f"{scene.resolve().name}_{depth.stem}", read))
    return found


def ibims_frames(folder: Path) -> list[FrameSource]:
    """The frames of iBims-1's ``ibims1_core_raw``: ``rgb``, ``depth``, ``calib``, ``mask_invalid`` and ``mask_transp``."""
    places = (folder, folder / "ibims1_core_raw")
    root = next((place for place in places if all((place / part).is_dir() for part in IBIMS_FOLDERS)), None)
    if root is None:
        return []
    depths = sorted((root / "depth").glob("*.png"))
    return [FileFrame(path.stem, partial(_read_ibims, root=root)) for path in depths if (root / "rgb" / path.name).is_file()]


def arkit_frames(folder: Path) -> list[FrameSource]:
    """The frames of ARKitScenes' upsampling set that have laser depth: ``<video>/highres_depth`` with ``wide`` beside it.

    The folder is the data set, ``upsampling``, one of its folds ``Training`` and ``Validation``, or one video. Where both folds
    are there, the second is taken, for evaluation.
    """
    root = folder / "upsampling" if (folder / "upsampling").is_dir() else folder
    root = root / "Validation" if (root / "Validation").is_dir() else root
    return [
        FileFrame(truth.stem, partial(_read_arkit, truth=truth))
        for video in (root, *sorted(path for path in root.iterdir() if path.is_dir()))
        for truth in sorted((video / "highres_depth").glob("*.png"))
        if (video / "wide" / truth.name).is_file()
    ]


def _read_ibims(name: str, root: Path) -> DepthFrame:
    """Koch et al. (2018): depth in 50 / 65535 m; in the masks 0 is an invalid reading, or a transparent surface.

    The laser measures through or beside transparent surfaces; the benchmark leaves both kinds of pixels out.
    """
    file = f"{name}.png"
    truth = read_depth(root / "depth" / file, format="millimeters") * np.float32(IBIMS_UNIT / 0.001)
    for mask in ("mask_invalid", "mask_transp"):
        if (root / mask / file).is_file():
            truth[read_image(root / mask / file).max(axis=-1) == 0] = 0
    height, width = truth.shape
    camera = None
    if (root / "calib" / f"{name}.txt").is_file():
        fx, fy, cx, cy = _read_numbers(root / "calib" / f"{name}.txt", 4)
        camera = pinhole(fx, fy, cx, cy, width, height, first_center=0.0)
    return DepthFrame(name, only_valid(truth), read_image(root / "rgb" / file), camera, dataset="iBims-1")


def _read_arkit(name: str, truth: Path) -> DepthFrame:
    """Baruch et al. (2021): millimetres; laser depth and picture of 1920 x 1440, the tablet's own depth of 256 x 192 as input."""
    video = truth.parent.parent
    depth = read_depth(truth, format="millimeters")
    height, width = depth.shape
    camera, measured = None, {}
    calibration = video / "wide_intrinsics" / f"{name}.pincam"
    if calibration.is_file():
        own_width, own_height, fx, fy, cx, cy = _read_numbers(calibration, 6)
        camera = pinhole(fx, fy, cx, cy, round(own_width), round(own_height), first_center=0.0).resized(width, height)
    if (video / "lowres_depth" / truth.name).is_file():
        low = read_depth(video / "lowres_depth" / truth.name, format="millimeters")
        measured["lowres"] = low if low.shape == depth.shape else resized_depth(low, width, height)
    return DepthFrame(name, depth, read_image(video / "wide" / truth.name), camera, measured, dataset="ARKitScenes")


def _read_numbers(path: Path, count: int) -> list[float]:
    """The numbers of a one-line calibration, parted by spaces or commas."""
    try:
        numbers = [float(word) for word in path.read_text(encoding="utf-8").replace(",", " ").split()]
    except ValueError as error:
        raise InputError("intrinsics", str(error), f"{count} numbers", file=path) from error
    if len(numbers) < count:
        raise InputError("intrinsics", f"{len(numbers)} numbers", f"{count} numbers", file=path)
    return numbers[:count]


def _read_diode(name: str, rgb: Path) -> DepthFrame:
    """Vasiljevic et al. (2019): ``X.png``, ``X_depth.npy`` in metres, ``X_depth_mask.npy`` (1 = valid)."""
    depth = read_depth(rgb.with_name(f"{rgb.stem}_depth.npy"))
    height, width = depth.shape
    valid = _diode_mask(rgb.with_name(f"{rgb.stem}_depth_mask.npy"), depth.shape)
    fits = (width, height) == DIODE_SIZE
    camera = pinhole(**DIODE_CALIBRATION, width=width, height=height, first_center=0.5) if fits else None
    return DepthFrame(name, only_valid(np.where(valid, depth, 0)), read_image(rgb), camera, dataset="DIODE")


def _diode_mask(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    try:
        mask = read_array(path, "mask")
    except InputError as error:
        raise InputError("depth mask", str(error), "a whole NumPy file", file=path) from error
    if mask.size != shape[0] * shape[1] or mask.shape[:2] != shape:
        raise InputError("depth mask", f"shape {mask.shape}", f"{shape}, the shape of the depth", file=path)
    valid: NDArray[np.bool_] = mask.reshape(shape) > 0
    return valid


def _read_eth3d(name: str, rgb: Path, depth: Path) -> DepthFrame:
    """A photo of the high-resolution multi-view training set and its depth: raw float32, row by row, inf = no reading.

    The depth belongs to the original photos, whose lens distortion makes them no pinhole views: the frame has no camera.
    """
    width, height = image_size(rgb)
    size = depth.stat().st_size
    if size != 4 * width * height:
        raise InputError("size", f"{size} bytes", f"{4 * width * height}: {width} x {height} float32", file=depth)
    values = np.fromfile(depth, dtype="<f4").reshape(height, width)
    return DepthFrame(name, only_valid(values), read_image(rgb), dataset="ETH3D")


def _read_scannet(name: str, scene: Path, number: str, color: Path) -> DepthFrame:
    """Depth is 16-bit millimetres on the depth camera's grid, the picture larger and of another camera.

    The picture is brought onto the depth grid by the two intrinsic matrices. The two cameras are taken to stand at one place, as
    the export's identity ``extrinsic_*.txt`` say.
    """
    truth = read_depth(scene / "depth" / f"{number}.png", format="scannet")
    height, width = truth.shape
    of_color, of_depth = (_read_matrix(scene / "intrinsic" / f"intrinsic_{kind}.txt") for kind in ("color", "depth"))
    camera = None
    if of_depth is not None:
        fx, fy, cx, cy = of_depth[0, 0], of_depth[1, 1], of_depth[0, 2], of_depth[1, 2]
        camera = pinhole(fx, fy, cx, cy, width, height, first_center=0.0)
    rgb = _onto_grid(read_image(color), (height, width), of_color, of_depth)
    return DepthFrame(name, truth, rgb, camera, dataset="ScanNet")


def _read_matrix(path: Path) -> NDArray[np.float64] | None:
    if not path.is_file():
        return None
    try:
        matrix: NDArray[np.float64] = np.loadtxt(path)
    except ValueError as error:
        raise InputError("intrinsics", str(error), "a 4x4 or 3x3 matrix of numbers", file=path) from error
    if matrix.shape not in ((3, 3), (4, 4)):
        raise InputError("intrinsics", f"shape {matrix.shape}", "a 4x4 or 3x3 matrix", file=path)
    return matrix


def _onto_grid(
    picture: NDArray[np.float32],
    shape: tuple[int, int],
    of_color: NDArray[np.float64] | None,
    of_depth: NDArray[np.float64] | None,
) -> NDArray[np.float32]:
    """The picture as the depth camera would see it, by area-like smoothing and linear sampling; edges are repeated."""
    old_height, old_width = picture.shape[:2]
    if of_color is not None and of_depth is not None:
        columns = of_color[0, 0] * (np.arange(shape[1]) - of_depth[0, 2]) / of_depth[0, 0] + of_color[0, 2]
        rows = of_color[1, 1] * (np.arange(shape[0]) - of_depth[1, 2]) / of_depth[1, 1] + of_color[1, 2]
    else:
        columns = (np.arange(shape[1]) + 0.5) * old_width / shape[1] - 0.5
        rows = (np.arange(shape[0]) + 0.5) * old_height / shape[0] - 0.5
    window = max(1, round(old_width / shape[1])), max(1, round(old_height / shape[0]))
    grid = np.meshgrid(rows, columns, indexing="ij")
    channels = [
        ndimage.map_coordinates(_box(picture[..., channel], window), grid, order=1, mode="nearest") for channel in range(3)
    ]
    picture = np.clip(np.stack(channels, axis=-1), 0.0, 1.0).astype(np.float32)
    return picture


def _box(channel: NDArray[np.float32], window: tuple[int, int]) -> NDArray[np.float32]:
    """Mean over a window of about one new pixel, centred: an even width takes half of the outer two samples."""
    for axis, size in ((1, window[0]), (0, window[1])):
        weights = np.ones(size) if size % 2 else np.concatenate([[0.5], np.ones(size - 1), [0.5]])
        if size > 1:
            channel = ndimage.correlate1d(channel, weights / weights.sum(), axis=axis, mode="nearest")
    return channel
