"""From a view to what the networks take: size, normalisation, hole fills, masks.

Two ways. The default keeps the picture's shape (pads, never stretches), never enlarges, and moves measured depth to another
size instead of mixing it. The official way is that of the released script, for parity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.spatial import QhullError
from torch import Tensor

from scene_depth.arrays import Array, Mask
from scene_depth.depth.scattered import linear_fill, nearest_fill
from scene_depth.errors import InputError
from scene_depth.geometry.depth_resampling import resize_sparse_depth

LEAST_SIDE = 64  # pixels to which thin pictures are padded, so that the deepest level of the UNet has a whole cell
RANGE_GUARD = 1e-6  # added to the known range, so that constant depth stays finite


@dataclass(frozen=True)
class Preparation:
    """How views are prepared.

    Attributes:
        processing_resolution: Longest side at which the networks work, in pixels; 0 for the picture's own. Larger pictures are
            reduced; smaller ones stay, but are enlarged the official way.
        normalize_scale: beta of the paper: known depth takes the middle share beta of the network's range, so that a
            value below 1 leaves room for depth in holes beyond the known range.
        official: Resize, fill and blend exactly as the released script.
    """

    processing_resolution: int = 768
    normalize_scale: float = 1.0
    official: bool = False

    def __post_init__(self) -> None:
        if self.processing_resolution and self.processing_resolution < LEAST_SIDE:
            raise InputError("processing_resolution", self.processing_resolution, f"0, or at least {LEAST_SIDE} pixels")
        if not 0 < self.normalize_scale <= 1:
            raise InputError("normalize_scale", self.normalize_scale, "above 0, at most 1")


@dataclass(frozen=True)
class DepthRange:
    """Affine map between depth and the network's range, from the known depth.

    Attributes:
        lowest, highest: Of the known depth, in its unit.
        scale: beta.
        guard: Added to the range: 1e-6 in the official code whatever the unit, else that times the highest depth.
    """

    lowest: float
    highest: float
    scale: float
    guard: float = RANGE_GUARD

    def normalized(self, depth: Array) -> NDArray[np.float32]:
        """((d - lowest) / (highest - lowest + guard) - 0.5) 2 beta."""
        lowest, highest = np.float32(self.lowest), np.float32(self.highest)
        share = (depth.astype(np.float32) - lowest) / (highest - lowest + np.float32(self.guard))
        normalized: NDArray[np.float32] = ((share - np.float32(0.5)) * np.float32(2 * self.scale)).astype(np.float32)
        return normalized

    def depth(self, values: Tensor) -> Tensor:
        """(y + beta) / (2 beta) (highest - lowest) + lowest, not clipped."""
        return (values + self.scale) / (2 * self.scale) * (self.highest - self.lowest) + self.lowest


@dataclass(frozen=True)
class PreparedView:
    """One view as the networks take it; tensors are fp32 on the CPU and of one size (H', W').

    Attributes:
        rgb: In [-1, 1]  # [1, 3, H', W']
        mask: 1 in holes  # [1, 1, H', W']
        masked_depth: Normalised known depth, holes interpolated  # [1, 1, H', W']
        start: Normalised depth to start from  # [1, 1, H', W']
        holes: 1 in latent cells that are predicted, for blending  # [1, 1, h, w]
        depth_range: The normalisation.
        size: Height and width before padding.
        full_size: Height and width of the view.
        picture: The view's picture, for the image encoder  # [H, W, 3]
    """

    rgb: Tensor
    mask: Tensor
    masked_depth: Tensor
    start: Tensor
    holes: Tensor
    depth_range: DepthRange
    size: tuple[int, int]
    full_size: tuple[int, int]
    picture: NDArray[np.uint8]


def fill_nearest(values: Array, known: Mask, official: bool = False) -> Array:
    """Fills the hole with the nearest known value.

    Args:
        values: Values, read where known  # [H, W]
        known: At least one True  # [H, W]
        official: By a tree of all known pixels as the official code does it; differs at equal distances alone, where SciPy 1.18
            takes other pixels than the versions before it.
    """
    if not official:
        return nearest_fill(values, known)
    found = NearestNDInterpolator(np.argwhere(known)[:, ::-1], values[known])(np.argwhere(~known)[:, ::-1])  # x, y
    return _with_holes(values, known, found)


def fill_linear(values: Array, known: Mask, outside: float = 0.0, official: bool = False) -> Array:
    """Fills linearly on the Delaunay triangles of the known pixels, with a constant outside their convex hull.

    The official code triangulates all known pixels, which takes tens of seconds. Triangles that lie in a hole have corners at
    its rim alone, so that the rim is enough; only ties of points on one circle, many on a grid, may be resolved otherwise.

    Args:
        values: Values, read where known  # [H, W]
        known: At least one True  # [H, W]
        outside: Value outside the hull; 0, the middle of the normalised range, in the official code.
        official: Triangulate all known pixels.
    """
    if not official:
        return linear_fill(values, known, outside).astype(values.dtype)
    try:
        found = LinearNDInterpolator(np.argwhere(known), values[known], fill_value=outside)(np.argwhere(~known))  # row, column
    except QhullError:  # fewer than three points, or all on one line: there is no triangle
        found = np.full(int((~known).sum()), outside)
    return _with_holes(values, known, found)


def _with_holes(values: Array, known: Mask, found: Array) -> Array:
    filled = np.array(values)
    filled[~known] = found
    return filled


def processing_size(height: int, width: int, resolution: int, enlarge: bool = False) -> tuple[int, int]:
    """Height and width with the longer side at the resolution, rounded down as in the official code."""
    factor = min(resolution / width, resolution / height) if resolution else 1.0
    if factor >= 1 and not enlarge:
        return height, width
    return max(1, int(height * factor)), max(1, int(width * factor))


def prepare(
    rgb: NDArray[np.float32], depth: Array, known: Mask, start: Array | None, options: Preparation, cell: int
) -> PreparedView:
    """Prepares one checked view.

    Args:
        rgb: sRGB in [0, 1]  # [H, W, 3]
        depth: z-depth, read where known  # [H, W]
        known: At least one True  # [H, W]
        start: Full depth to start from in the unit of the depth; None for the nearest known  # [H, W]
        options: How.
        cell: Pixels of the side of a latent cell.
    """
    picture = np.rint(rgb * 255).astype(np.uint8)
    if options.official:
        return _prepare_officially(picture, depth, known, start, options, cell)
    height, width = known.shape
    size = processing_size(height, width, options.processing_resolution)
    small_depth, small_known = depth.astype(np.float32), known
    if size != (height, width):
        small_depth = resize_sparse_depth(np.where(known, depth, 0).astype(np.float32), size[1], size[0])
        small_known = small_depth > 0
    full_start = None if start is None else _tensor(start)
    small_start = (
        fill_nearest(small_depth, small_known) if full_start is None else _array(_resized(full_start, size, smooth=True))
    )
    lowest, highest = float(depth[known].min()), float(depth[known].max())
    depth_range = DepthRange(lowest, highest, options.normalize_scale, RANGE_GUARD * highest)
    masked = fill_linear(depth_range.normalized(small_depth), small_known)
    # Known pixels also start from what is known, wherever the starting depth comes from.
    small_start = np.where(small_known, small_depth, small_start)
    mask = _tensor(~small_known)
    rgb_small = np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    padded = [
        _padded(value, cell)
        for value in (_rgb_tensor(rgb_small), mask, _tensor(masked), _tensor(depth_range.normalized(small_start)))
    ]
    holes = F.max_pool2d(padded[1], cell)  # a cell is blended only if all of it is known
    return PreparedView(padded[0], padded[1], padded[2], padded[3], holes, depth_range, size, (height, width), picture)


def _prepare_officially(
    picture: NDArray[np.uint8], depth: Array, known: Mask, start: Array | None, options: Preparation, cell: int
) -> PreparedView:
    """As the released script: nearest fill at full size, stretched, the latent size rounded down."""
    height, width = known.shape
    filled = fill_nearest(depth.astype(np.float32), known, official=True) if start is None else start
    size = processing_size(height, width, options.processing_resolution, enlarge=True)
    small = _resized(_tensor(filled), size)
    mask = F.interpolate(_tensor(~known), size=size, mode="nearest")
    small_known = ~(_array(mask) > 0.5)
    if not small_known.any():
        raise InputError("known", "no pixel left at the processing size", "more known pixels, or a larger processing_resolution")
    small_depth = _array(small)
    depth_range = DepthRange(
        float(small_depth[small_known].min()), float(small_depth[small_known].max()), options.normalize_scale
    )
    normalized = depth_range.normalized(small_depth)
    masked = fill_linear(normalized, small_known, official=True)
    rgb = np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BICUBIC))
    latent_size = (size[0] // cell, size[1] // cell)
    holes = F.interpolate(mask, size=latent_size, mode="nearest")
    return PreparedView(
        _rgb_tensor(rgb), mask, _tensor(masked), _tensor(normalized), holes, depth_range, size, (height, width), picture
    )


def restore(values: Tensor, view: PreparedView, official: bool) -> Tensor:
    """Decoded maps in the unit and at the size of the view, not clipped.

    Args:
        values: Decoded, normalised  # [E, 1, H', W']
        view: What they were made from.
        official: Stretch the whole map instead of taking the padding off.

    Returns:
        z-depth  # [E, H, W]
    """
    depth = view.depth_range.depth(values.float())
    inner = depth if official else depth[..., : view.size[0], : view.size[1]]
    return _resized(inner, view.full_size)[:, 0]


def _padded(values: Tensor, cell: int) -> Tensor:
    """The last row and column repeated until the sides are whole cells and long enough."""
    rows, columns = (-(-max(side, LEAST_SIDE) // cell) * cell - side for side in values.shape[-2:])
    return F.pad(values, (0, columns, 0, rows), mode="replicate") if rows or columns else values


def _resized(values: Tensor, size: tuple[int, int], smooth: bool = False) -> Tensor:
    """Bilinear between pixel centres; without smoothing as OpenCV does it."""
    if tuple(values.shape[-2:]) == size:
        return values
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False, antialias=smooth)


def _tensor(values: Array | Mask) -> Tensor:
    """# [H, W] -> [1, 1, H, W]"""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None, None]


def _array(values: Tensor) -> NDArray[np.float32]:
    """# [1, 1, H, W] -> [H, W]"""
    array: NDArray[np.float32] = values[0, 0].numpy()
    return array


def _rgb_tensor(picture: NDArray[np.uint8]) -> Tensor:
    """# [H, W, 3] -> [1, 3, H, W] in [-1, 1]"""
    return torch.from_numpy(picture.astype(np.float32)).permute(2, 0, 1)[None] / 255 * 2 - 1
