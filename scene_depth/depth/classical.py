"""Classical ways to fill depth: the yardstick for everything else, and a choice where nothing may be learned.

Each is a dataclass of its parameters. All but IP-Basic work on inverse depth,
in which a plane seen by a pinhole camera is exactly affine in the pixel. Their uncertainty is a rule of thumb: relative
error grows with the distance to known depth, to 100 % at the length of the image's longer side.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.arrays import Array, Mask, Picture
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.levin import colorize
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import DepthPrediction
from scene_depth.depth.scan_fill import ip_basic
from scene_depth.depth.scattered import linear_fill, nearest_fill
from scene_depth.depth.solver.geodesic import geodesic_map
from scene_depth.depth.solver.problem import color_guide
from scene_depth.errors import InputError
from scene_depth.geometry.membrane import solve_membrane


class _Classical(DepthModel):
    """Fills without learning; known depth is continued as it is, so that there is no seam to take out."""

    @property
    def harmonize(self) -> bool | None:
        return False

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        distance = ndimage.distance_transform_edt(~view.known)
        return DepthPrediction(self.fill(view.rgb, view.depth, view.known), (distance / max(view.known.shape)).astype(np.float32))

    @abstractmethod
    def fill(self, rgb: Picture | None, depth: Array, known: Mask) -> Array:
        """z-depth of every pixel  # [H, W]"""


@dataclass(frozen=True)
class NearestInpainter(_Classical):
    """Each pixel takes the depth of the nearest known pixel in the image."""

    name: ClassVar[str] = "nearest"

    def fill(self, rgb: Picture | None, depth: Array, known: Mask) -> Array:
        return nearest_fill(depth, known)


@dataclass(frozen=True)
class LinearInpainter(_Classical):
    """Linear interpolation of inverse depth on the Delaunay triangles of the known pixels, nearest outside their hull."""

    name: ClassVar[str] = "linear"

    def fill(self, rgb: Picture | None, depth: Array, known: Mask) -> Array:
        inverse, scale = _inverse(depth, known)
        return scale / linear_fill(inverse, known)


@dataclass(frozen=True)
class HarmonicInpainter(_Classical):
    """Harmonic filling of inverse depth: each pixel is the weighted mean of its four neighbours.

    Attributes:
        color_scale: Colour difference over which neighbours let go of each other, mean of the channels in [0, 1]; None
            for equal weights. Without a picture weights are equal.
        least_weight: Weight that remains across the strongest colour edge.
        tolerance: Relative residual at which the solver stops.
    """

    color_scale: float | None = None
    least_weight: float = 0.01
    tolerance: float = 1e-5
    name: ClassVar[str] = "harmonic"

    def __post_init__(self) -> None:
        if (self.color_scale is not None and not self.color_scale > 0) or not self.least_weight > 0 or not self.tolerance > 0:
            raise InputError("harmonic", asdict(self), "positive parameters")

    def fill(self, rgb: Picture | None, depth: Array, known: Mask) -> Array:
        inverse, scale = _inverse(depth, known)
        right, down = np.ones(depth.shape), np.ones(depth.shape)
        if rgb is not None and self.color_scale is not None:
            right[:, :-1] = self.least_weight + np.exp(-np.abs(np.diff(rgb, axis=1)).mean(axis=2) / self.color_scale)
            down[:-1] = self.least_weight + np.exp(-np.abs(np.diff(rgb, axis=0)).mean(axis=2) / self.color_scale)
        start = nearest_fill(inverse, known)
        return scale / solve_membrane(right, down, inverse, known, start, self.tolerance).values


def harmonic_color(color_scale: float = 0.05, least_weight: float = 0.01, tolerance: float = 1e-5) -> HarmonicInpainter:
    """Harmonic filling whose neighbours let go of each other across colour edges."""
    return HarmonicInpainter(color_scale, least_weight, tolerance)


@dataclass(frozen=True)
class ColorizationInpainter(_Classical):
    """Levin et al. 2004, "Colorization using optimization", on inverse depth: the fill of the NYUv2 toolbox.

    Each unknown pixel is the mean of its eight neighbours, weighted by how similar their grey value is. Without a
    picture it is harmonic filling with eight neighbours.
    """

    name: ClassVar[str] = "colorization"

    def fill(self, rgb: Picture | None, depth: Array, known: Mask) -> Array:
        inverse, scale = _inverse(depth, known)
        gray = np.zeros(depth.shape) if rgb is None else rgb.astype(np.float64) @ (0.2989, 0.587, 0.114)  # Rec. 601, as there
        return scale / colorize(gray, inverse, known)


@dataclass(frozen=True)
class GeodesicInpainter(_Classical):
    """Each pixel takes the depth of the known pixel that is cheapest to reach over similar colours.

    Attributes:
        color_price: Pixels of length that the step from black to white costs.
    """

    color_price: float = 500.0
    name: ClassVar[str] = "geodesic"

    def __post_init__(self) -> None:
        if not self.color_price >= 0:
            raise InputError("color_price", self.color_price, "a number not below 0")

    def fill(self, rgb: Picture | None, depth: Array, known: Mask) -> Array:
        inverse, _ = _inverse(depth, known)
        paths = geodesic_map(color_guide(rgb, depth.shape), known, inverse.astype(np.float32), self.color_price)
        return depth.ravel()[paths.source]


@dataclass(frozen=True)
class IPBasicInpainter(_Classical):
    """Ku et al. 2018, "In defense of classical image processing": dilations, closings and blurs made for LiDAR.

    The paper's steps with its kernels, on depth subtracted from a ceiling so that near wins. What the largest kernel
    does not reach takes the nearest value.

    Attributes:
        diamond: Side of the first dilation's diamond kernel, odd.
        extend_to_top: Whether the highest value of each column is continued to the upper border, as for road scenes.
        ceiling: Depth to subtract from, relative to the largest known depth (100 m against 80 m of KITTI).
    """

    diamond: int = 5
    extend_to_top: bool = False
    ceiling: float = 1.25
    name: ClassVar[str] = "ip_basic"

    def __post_init__(self) -> None:
        if self.diamond < 1 or self.diamond % 2 == 0 or not self.ceiling > 1:
            raise InputError("ip_basic", asdict(self), "an odd diamond and a ceiling above 1")

    def fill(self, rgb: Picture | None, depth: Array, known: Mask) -> Array:
        ceiling = self.ceiling * float(depth[known].max())
        filled: Array = ip_basic(depth, known, ceiling, self.diamond, self.extend_to_top)
        return filled


def _inverse(depth: Array, known: Mask) -> tuple[NDArray[np.float64], float]:
    """Inverse depth in units of its own size, 1 at unknown pixels, and the depth that it is 1 at."""
    scale = float(np.median(depth[known]))
    return np.divide(scale, depth, out=np.ones(depth.shape), where=known, dtype=np.float64), scale
