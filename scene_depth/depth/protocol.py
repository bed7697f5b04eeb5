"""What every depth inpainter takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scene_depth.arrays import Array, Mask
from scene_depth.cameras import Cameras
from scene_depth.depth.preview import color_depth, depth_range
from scene_depth.showing import Shown

LAPLACE = 2**0.5
"""Standard deviation of a Laplace distribution whose mean absolute value is 1: turns expected errors into uncertainties."""


@dataclass(frozen=True)
class SeamReport:
    """The step across the border of the hole, to be compared with the surface's own roughness beside it.

    Attributes:
        depth_jump: Mean of |d_in - d_out| / d_out over pairs of neighbours with one pixel known and one filled, each
            extrapolated along the known side's slope where that is known.
        depth_jump_beside: The same statistic between pairs of known pixels next to the border.
        normal_jump: Mean angle between the normals on both sides in radians; None without a camera.
        pairs: Number of neighbour pairs measured.
    """

    depth_jump: float
    depth_jump_beside: float
    normal_jump: float | None
    pairs: int


@dataclass(frozen=True)
class DepthPrediction(Shown):
    """Completed depth of one view.

    Attributes:
        depth: z-depth in the unit of the input, finite and positive everywhere, known pixels bit for bit  # [H, W]
        uncertainty: Relative standard deviation of ``depth`` (0.1 = 10 %), 0 at known pixels  # [H, W]
        normals: Unit surface normals in the camera's OpenCV frame, towards the camera; None without a camera  # [H, W, 3]
        seam: The step at the hole's border; None where nothing is known beside something filled.
        details: What was done: inpainter, parameters, timings, notes, as plain JSON-able values.

    Example:
        >>> import scene_depth as sd
        >>> view = sd.read_scene("scenes/table").views[0]
        >>> sd.inpaint_depth("nearest", None, view.depth(), ~view.mask())
        DepthPrediction(320 x 240, depth ... to ..., step at the seam ...%)
    """

    depth: Array
    uncertainty: NDArray[np.float32] | None = None
    normals: NDArray[np.float32] | None = None
    seam: SeamReport | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        height, width = self.depth.shape
        step = "" if self.seam is None else f", step at the seam {self.seam.depth_jump:.2%}"
        doubt = "" if self.uncertainty is None else f", uncertainty up to {self.uncertainty.max():.1%}"
        return f"DepthPrediction({width} x {height}, depth {self.depth.min():.4g} to {self.depth.max():.4g}{step}{doubt})"

    def picture(self) -> Array:
        """The depth in colours, near red, far blue  # [H, W, 3]"""
        return color_depth(self.depth, *depth_range(self.depth, self.depth > 0))


@runtime_checkable
class DepthInpainter(Protocol):
    """Predicts depth where it is not known. Every depth model of this package is called like this."""

    def __call__(
        self, rgb: NDArray[np.float32] | None, depth: Array, known: Mask, *, camera: Cameras | None = None, seed: int = 0
    ) -> DepthPrediction:
        """Fills one view.

        Args:
            rgb: sRGB in [0, 1], or None if there is no picture  # [H, W, 3]
            depth: z-depth in any unit; values at unknown pixels are not read  # [H, W]
            known: True = measured, False = to be predicted  # [H, W]
            camera: The pinhole camera, one, of the same size, if known.
            seed: Seed of all random choices.

        Raises:
            InputError: If the arrays do not fit together or nothing is known.
        """
        ...
