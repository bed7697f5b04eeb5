"""Laser-scanned sets of photos: DIODE and ETH3D."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.datasets.frames.frame import DepthFrame, FrameSource, only_valid, pinhole
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import image_size, read_image

DIODE_CALIBRATION = {"fx": 886.81, "fy": 927.06, "cx": 512.0, "cy": 384.0}
"""The development kit's ``intrinsics.txt`` for 1024x768; (cx, cy) is the middle of the picture from its corner."""
DIODE_SIZE = (1024, 768)


@dataclass(frozen=True)
class DiodeFrame:
    """A frame of DIODE (Vasiljevic et al. 2019): ``X.png``, ``X_depth.npy`` in metres, ``X_depth_mask.npy`` (1 = valid)."""

    name: str
    rgb: Path
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the frame."""
        rgb = read_image(self.rgb)
        depth = read_depth(self.rgb.with_name(f"{self.rgb.stem}_depth.npy"))
        height, width = depth.shape
        valid = self._mask(depth.shape)
        fits = (width, height) == DIODE_SIZE
        camera = pinhole(**DIODE_CALIBRATION, width=width, height=height, first_center=0.5) if fits else None
        return DepthFrame(self.name, only_valid(np.where(valid, depth, 0)), rgb, camera, dataset="DIODE")

    def _mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        path = self.rgb.with_name(f"{self.rgb.stem}_depth_mask.npy")
        try:
            mask = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError("depth mask", str(error), "a whole NumPy file", file=path) from error
        if mask.size != shape[0] * shape[1] or mask.shape[:2] != shape:
            raise InputError("depth mask", f"shape {mask.shape}", f"{shape}, the shape of the depth", file=path)
        return mask.reshape(shape) > 0


@dataclass(frozen=True)
class Eth3dFrame:
    """A photo of ETH3D's high-resolution multi-view training set and its depth: raw float32, row by row, inf = no reading.

    The depth belongs to the original photos, whose lens distortion makes them no pinhole views: the frame has no camera.
    """

    name: str
    rgb: Path
    depth: Path
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the frame."""
        width, height = image_size(self.rgb)
        size = self.depth.stat().st_size
        if size != 4 * width * height:
            raise InputError("size", f"{size} bytes", f"{4 * width * height}: {width} x {height} float32", file=self.depth)
        depth = np.fromfile(self.depth, dtype="<f4").reshape(height, width)
        return DepthFrame(self.name, only_valid(depth), read_image(self.rgb), dataset="ETH3D")


def diode_frames(folder: Path) -> list[FrameSource]:
    """All frames of DIODE in the folder and below it, such as ``val/indoors/scene_00019/scan_00183/*``."""
    found: list[FrameSource] = []
    for mask in sorted(folder.rglob("*_depth_mask.npy")):
        stem = mask.name.removesuffix("_depth_mask.npy")
        rgb = mask.with_name(stem + ".png")
        if rgb.is_file() and mask.with_name(stem + "_depth.npy").is_file():
            found.append(DiodeFrame(stem, rgb))
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
                found.append(Eth3dFrame(f"{name}_{depth.stem}", rgb, depth))
    return found
