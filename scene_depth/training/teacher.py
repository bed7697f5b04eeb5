"""Depth of photos by a teacher model, as further training frames (Gui et al. 2024, section 3.4: Metric3D v2 on Unsplash).

Real photos without depth make a model robust that was trained on rendered ones; too many of them make it blurry. The paper mixes
them in a ratio k of 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scene_depth.datasets.frames import DepthFrame, FrameSource
from scene_depth.datasets.frames.frame import FileFrame
from scene_depth.depth.monocular import load_monocular_model
from scene_depth.depth.prior import MonocularMap, MonocularModel, predict
from scene_depth.errors import InputError
from scene_depth.io.atomic import atomic_path, check_writable, clear_strays
from scene_depth.io.depth_images import read_depth
from scene_depth.io.images import IMAGE_SUFFIXES, read_image
from scene_depth.io.json_files import read_json_object
from scene_depth.training.config import write_config

DATASET = "teacher"
NOTE = "teacher.json"
LARGEST_LOG = 50.0  # beyond it, log depth is centred before its exponential is stored
FARTHEST = 50.0  # times the nearest depth, of maps that say depth up to scale and shift


@dataclass(frozen=True)
class TeacherConfig:
    """Where further frames come from.

    Attributes:
        model: Monocular model, as in ``load_monocular_model``; "" for none.
        pictures: Folder of photos.
        folder: Folder of the teacher's depth, written at the first use and read afterwards.
        share: Ratio k of these frames to the others.
        metric: Whether the model says metres; else every frame is normalised by its own quantiles.
    """

    model: str = ""
    pictures: str = ""
    folder: str = ""
    share: float = 0.1
    metric: bool = False

    def __post_init__(self) -> None:
        if self.model and not (self.pictures and self.folder):
            raise InputError("teacher", "a model without folders", "pictures and folder")
        if not self.share > 0:
            raise InputError("teacher share", self.share, "a number above 0")


def teacher_frames(config: TeacherConfig, model: MonocularModel | None = None) -> list[FrameSource]:
    """The photos with the teacher's depth; what is not there yet is predicted and written.

    Args:
        config: Where they are.
        model: A loaded model in place of the named one.

    Raises:
        InputError: If there is no photo, the folder belongs to another teacher, or the model cannot be loaded.
    """
    pictures = _pictures(Path(config.pictures))
    folder = check_writable(config.folder)
    clear_strays(folder)
    note = folder / NOTE
    depths = {picture: folder / f"{picture.stem}.npz" for picture in pictures}
    if note.is_file():
        before = read_json_object(note).get("model")
        if before != config.model:
            raise InputError("teacher folder", f"depth by {before!r}", f"depth by {config.model!r}, or a new folder", file=folder)
    elif found := [path.name for path in depths.values() if path.exists()]:
        raise InputError("teacher folder", f"{found[0]} of something else", "a new folder", file=folder)
    else:
        write_config(note, config)
    missing = [picture for picture in pictures if not depths[picture].is_file()]
    if missing:
        teacher = model or load_monocular_model(config.model)
        for picture in missing:
            depth = depth_of_map(predict(teacher, read_image(picture)))
            with atomic_path(depths[picture]) as path:
                np.savez_compressed(path, depth=depth)
    return [FileFrame(picture.stem, partial(_read, picture=picture, depth=depths[picture]), "train") for picture in pictures]


def _read(name: str, picture: Path, depth: Path) -> DepthFrame:
    """A photo with the depth that the teacher gave it."""
    return DepthFrame(name, read_depth(depth), read_image(picture), dataset=DATASET, role="train")


def depth_of_map(predicted: MonocularMap) -> NDArray[np.float32]:
    """Positive depth of what a model says  # [H, W]

    Log depth and positive depth are taken as they are. Inverse depth, which most models give up to a shift, and depth that
    reaches 0 are shifted so that the farthest point is ``FARTHEST`` times as far as the nearest.
    """
    values = predicted.values.astype(np.float64)
    if predicted.space == "log":
        return np.exp(values - values.mean() if np.abs(values).max() > LARGEST_LOG else values).astype(np.float32)
    low, high = float(values.min()), float(values.max())
    is_inverse = predicted.space == "inverse"
    if not (low > 0 and (high < FARTHEST * low or not is_inverse)):
        values = values - low + max(high - low, 1e-6) / (FARTHEST - 1)
    return (1 / values if is_inverse else values).astype(np.float32)


def _pictures(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        raise InputError("teacher pictures", "no such folder", "a folder of photos", file=folder)
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    stems = [path.stem for path in paths]
    if not paths or len(set(stems)) < len(stems):
        found = "no photo" if not paths else "two photos of one name"
        raise InputError(
            "teacher pictures", found, f"photos of different names that end in {', '.join(IMAGE_SUFFIXES)}", file=folder
        )
    return paths
