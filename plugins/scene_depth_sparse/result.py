"""What the refinement of a pointmap result gives: depth, uncertainty and flags of each view, cameras, and the report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.io.json_reports import JsonReport, versions
from scene_depth.pointmaps import PointmapRun, PointmapView


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
