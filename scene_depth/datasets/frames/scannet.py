"""ScanNet scenes as exported by its SensReader: color, depth and intrinsic folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.datasets.frames.frame import DepthFrame, FrameSource, pinhole
from scene_depth.errors import InputError
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import read_image

COLOR_SUFFIXES = (".jpg", ".png")


@dataclass(frozen=True)
class ScannetFrame:
    """One frame; depth is 16-bit millimetres on the depth camera's grid, the picture larger and of another camera.

    The picture is brought onto the depth grid by the two intrinsic matrices. The two cameras are taken to stand at one place, as
    the export's identity ``extrinsic_*.txt`` say.
    """

    scene: Path
    number: str
    color: Path
    name: str
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the frame."""
        truth = read_depth(self.scene / "depth" / f"{self.number}.png", format="scannet")
        height, width = truth.shape
        picture = read_image(self.color)
        of_color, of_depth = (_read_matrix(self.scene / "intrinsic" / f"intrinsic_{kind}.txt") for kind in ("color", "depth"))
        camera = None
        if of_depth is not None:
            fx, fy, cx, cy = of_depth[0, 0], of_depth[1, 1], of_depth[0, 2], of_depth[1, 2]
            camera = pinhole(fx, fy, cx, cy, width, height, first_center=0.0)
        rgb = _onto_grid(picture, (height, width), of_color, of_depth)
        return DepthFrame(self.name, truth, rgb, camera, dataset="ScanNet")


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
                found.append(ScannetFrame(scene, depth.stem, color, f"{scene.resolve().name}_{depth.stem}"))
    return found


def _read_matrix(path: Path) -> NDArray[np.float64] | None:
    if not path.is_file():
        return None
    try:
        matrix = np.loadtxt(path)
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
    return np.clip(np.stack(channels, axis=-1), 0.0, 1.0).astype(np.float32)


def _box(channel: NDArray[np.float32], window: tuple[int, int]) -> NDArray[np.float32]:
    """Mean over a window of about one new pixel, centred: an even width takes half of the outer two samples."""
    for axis, size in ((1, window[0]), (0, window[1])):
        weights = np.ones(size) if size % 2 else np.concatenate([[0.5], np.ones(size - 1), [0.5]])
        if size > 1:
            channel = ndimage.correlate1d(channel, weights / weights.sum(), axis=axis, mode="nearest")
    return channel
