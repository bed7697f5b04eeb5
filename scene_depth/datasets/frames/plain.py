"""Any folder of pictures and depth images of the same names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scene_depth.datasets.frames.frame import DepthFrame, FrameSource
from scene_depth.datasets.frames.shared_layout import read_intrinsics
from scene_depth.io.depth_images import DEPTH_FORMATS, read_depth
from scene_depth.io.images import IMAGE_SUFFIXES, read_image

RGB_FOLDERS = ("rgb", "color", "images", "image")
DEPTH_FOLDERS = ("depth", "depths", "depth_images")
DEPTH_SUFFIXES = tuple(dict.fromkeys(suffix for entry in DEPTH_FORMATS.values() for suffix in entry.suffixes))


@dataclass(frozen=True)
class PlainFrame:
    """A depth image and, where there is one, the picture of the same name."""

    name: str
    depth: Path
    rgb: Path | None = None
    intrinsics: Path | None = None
    format: str | None = None
    role: str = "eval"

    def load(self) -> DepthFrame:
        """Reads the frame; integer depth images are millimetres unless a format was given."""
        truth = read_depth(self.depth, format=self.format)
        height, width = truth.shape
        rgb = None if self.rgb is None else read_image(self.rgb)
        camera = None if self.intrinsics is None else read_intrinsics(self.intrinsics, width, height)
        return DepthFrame(self.name, truth, rgb, camera)


def plain_frames(folder: Path, format: str | None = None) -> list[FrameSource]:
    """Pairs of ``rgb/NAME.*`` and ``depth/NAME.*``; a ``K.json`` in the folder is the camera of all.

    Args:
        folder: Folder with a folder of depth images; pictures in ``rgb``, ``color``, ``images`` or ``image`` are optional.
        format: A key of ``scene_depth.io.depth_images.DEPTH_FORMATS``; None goes by the file name.
    """
    depths = next((folder / name for name in DEPTH_FOLDERS if (folder / name).is_dir()), None)
    if depths is None:
        return []
    rgb_folder = next((folder / name for name in RGB_FOLDERS if (folder / name).is_dir()), None)
    pictures: dict[str, Path] = {}
    if rgb_folder is not None:
        pictures = {path.stem: path for path in sorted(rgb_folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}
    intrinsics = folder / "K.json" if (folder / "K.json").is_file() else None
    return [
        PlainFrame(path.stem, path, pictures.get(path.stem), intrinsics, format)
        for path in sorted(depths.iterdir())
        if path.suffix.lower() in DEPTH_SUFFIXES
    ]
