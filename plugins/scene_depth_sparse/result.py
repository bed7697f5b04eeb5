"""What the refinement of a pointmap result gives: depth, uncertainty and flags of each view, cameras, and the report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.depth.preview import color_depth, depth_range
from scene_depth.io.atomic import atomic_path
from scene_depth.io.images import write_image
from scene_depth.io.json_reports import JsonReport, versions
from scene_depth.pointmaps import PointmapRun, PointmapView
from scene_depth_sparse.flags import BORDER, COLORS, FLAG_NAMES

REFINED, REPORT, FLAGS, DEPTH = "refined.npz", "report.json", "flags", "depth"
NAMES = (REFINED, REPORT, FLAGS, DEPTH)
"""Files and folders that ``RefinedPointmaps.save`` writes."""
SHADE = 0.6  # of the picture under the colours of flags


@dataclass(frozen=True)
class RefinedView:
    """One view of a refined pointmap result, at the size that the model worked at.

    Attributes:
        source: What the model gave.
        camera: Aligned camera at the processed size, in the unit of ``depth``.
        depth: z-depth in the unit of the run, 0 = none (border); at matched pixels bit for bit what the model gave
            # [H, W] float32
        sigma: Relative standard deviation of ``depth`` (0.1 = 10 %), 0 where there is none  # [H, W] float32
        flags: Index into ``FLAG_NAMES``  # [H, W] uint8
        depth_scale: Factor on ``depth`` with which this view agrees with the others; near 1.
    """

    source: PointmapView
    camera: Cameras
    depth: NDArray[np.float32]
    sigma: NDArray[np.float32]
    flags: NDArray[np.uint8]
    depth_scale: float = 1.0

    def __repr__(self) -> str:
        return f"RefinedView({self.name!r}, {self.camera.width} x {self.camera.height})"

    @property
    def name(self) -> str:
        """Name of the photo."""
        return self.source.name

    def aligned_depth(self) -> NDArray[np.float32]:
        """``depth`` times ``depth_scale``: what to unproject, 0 = none  # [H, W] float32"""
        aligned: NDArray[np.float32] = self.depth * np.float32(self.depth_scale)
        return aligned

    def points(self) -> NDArray[np.float64]:
        """World points in the unit of the run; the camera's centre where there is no depth  # [H, W, 3]"""
        depth = torch.from_numpy(self.aligned_depth()).double()[None]
        points: NDArray[np.float64] = self.camera.to(dtype=torch.float64).unproject(depth)[0].numpy()
        return points

    def flag_picture(self) -> NDArray[np.float32]:
        """The flags in colours (``COLORS``), over what the model saw where the run holds it  # [H, W, 3]"""
        colors: NDArray[np.float32] = COLORS[self.flags]
        if self.source.image is None:
            return colors
        gray = self.source.image.mean(axis=2, keepdims=True)
        shaded: NDArray[np.float32] = (SHADE * colors + (1 - SHADE) * gray).astype(np.float32)
        return shaded

    def depth_picture(self) -> NDArray[np.float32]:
        """Depth before and after, side by side in the same colours  # [H, 2 W, 3]"""
        both = np.concatenate([self.source.depth, self.depth], axis=1)
        return color_depth(both, *depth_range(both[both > 0], np.ones(int((both > 0).sum()), dtype=bool)))

    def photo_camera(self) -> Cameras:
        """The aligned camera of the whole photo."""
        return replace(self.source, camera=self.camera).photo_camera()


@dataclass
class SparseReport(JsonReport):
    """What was found in a pointmap result and done to it; ``report.json``."""

    model: str
    views: list[dict[str, Any]] = field(default_factory=list)
    """A row a view: name, size, shares of the flags, uncertainty, neighbours."""
    self_check: dict[str, Any] = field(default_factory=dict)
    alignment: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 0.0
    """Relative difference of depth up to which two views agree."""
    calibration: dict[str, Any] = field(default_factory=dict)
    inpainter: str = ""
    prior: str = ""
    scale: float = 1.0
    metric: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=versions)
    finished: bool = True


@dataclass(frozen=True)
class RefinedPointmaps:
    """A pointmap result after alignment, flags and refinement.

    Attributes:
        views: One a view of the run, in its order.
        run: What was read.
        scale: Metres (or the unit of the known distance) per unit of ``depth`` and of the poses; 1 where it is not known.
        metric: Whether ``scale`` leads to metres.
        report: The figures.
    """

    views: tuple[RefinedView, ...]
    run: PointmapRun
    scale: float
    metric: bool
    report: SparseReport

    def __len__(self) -> int:
        return len(self.views)

    def __repr__(self) -> str:
        return f"RefinedPointmaps({len(self)} views of {self.run.model})"

    def save(self, folder: str | PathLike[str]) -> None:
        """Writes ``refined.npz``, ``report.json``, and of each view a picture of its flags and of its depth before and after.

        The arrays have one size: that of the views, or of the largest where sizes differ, each view then at the top left and
        the rest without depth and flagged "border"; ``sizes`` holds the width and height of each.

        Args:
            folder: A folder, made if missing.
        """
        folder = Path(folder)
        with atomic_path(folder / REFINED) as path, path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **self.arrays())
        self.report.save(folder / REPORT)
        for view in self.views:
            name = re.sub(r"[^\w.-]+", "_", PurePath(view.name).stem) + ".png"
            write_image(folder / FLAGS / name, view.flag_picture())
            write_image(folder / DEPTH / name, view.depth_picture())

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What ``refined.npz`` holds; see ``save``."""
        height = max(view.camera.height for view in self.views)
        width = max(view.camera.width for view in self.views)

        def stacked(maps: Sequence[NDArray[Any]], value: int = 0) -> NDArray[Any]:
            result = np.full((len(maps), height, width), value, maps[0].dtype)
            for place, values in zip(result, maps, strict=True):
                place[: values.shape[0], : values.shape[1]] = values
            return result

        return {
            "names": np.array([view.name for view in self.views]),
            "depth": stacked([view.depth for view in self.views]),
            "sigma": stacked([view.sigma for view in self.views]),
            "flags": stacked([view.flags for view in self.views], BORDER),
            "flag_names": np.array(FLAG_NAMES),
            "camera_to_world": np.concatenate([view.camera.camera_to_world.double().numpy() for view in self.views]),
            "K": np.concatenate([view.camera.K.double().numpy() for view in self.views]),
            "sizes": np.array([(view.camera.width, view.camera.height) for view in self.views]),
            "scale": np.array(self.scale),
            "depth_scale": np.array([view.depth_scale for view in self.views]),
        }
