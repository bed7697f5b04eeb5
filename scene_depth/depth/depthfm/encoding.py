"""Known depth as a condition of the completion model: two maps that the autoencoder encodes.

The paper (Gui et al. 2024, supplement on depth completion) says: sparse depth made dense by the nearest value, the mask by its
Euclidean distance transform, both through the autoencoder. It leaves the range of depth, the scale of distance and the
order of channels open; those here are choices of this package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from scene_depth.arrays import Array, Mask
from scene_depth.depth.scattered import nearest_fill
from scene_depth.errors import InputError
from scene_depth.geometry.depth_resampling import resize_sparse_depth

QUANTILES = (0.02, 0.98)
LEAST_RATIO = 1.5  # of the far to the near end of the range, where known depth is nearly constant
BEYOND = 2.0  # normalised depth is cut off at +- this


@dataclass(frozen=True)
class ConditionEncoding:
    """How depth and mask become maps in about [-1, 1].

    Attributes:
        depth_range: Depths that become -1 and 1, in the unit of the training data; None takes the 2 % and 98 % quantiles
            of each view's known depth, which makes the model independent of the unit.
        distance_scale: Distance to the nearest known pixel that becomes 0, in pixels at which the network works.
    """

    depth_range: tuple[float, float] | None = None
    distance_scale: float = 16.0

    def __post_init__(self) -> None:
        ends = self.depth_range
        if ends is not None and (len(ends) != 2 or not 0 < ends[0] < ends[1] < float("inf")):
            raise InputError("depth_range", repr(ends), "two rising positive depths, or None")
        if not 0 < self.distance_scale < float("inf"):
            raise InputError("distance_scale", self.distance_scale, "a positive number of pixels")

    @classmethod
    def from_plain(cls, values: Any, file: Path | None = None) -> ConditionEncoding:
        """From the dictionary that JSON holds.

        Raises:
            InputError: If it has other fields or values.
        """
        try:
            ends = values.get("depth_range")
            return cls(None if ends is None else (float(ends[0]), float(ends[1])), float(values["distance_scale"]))
        except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError("encoding", repr(values), "depth_range and distance_scale", file=file) from error


def depth_range(depth: Array, encoding: ConditionEncoding) -> tuple[float, float]:
    """Depths that normalise to -1 and 1.

    Args:
        depth: Known z-depth, at least one value  # [N]
        encoding: The encoding.
    """
    if encoding.depth_range is not None:
        return encoding.depth_range
    near, far = (float(end) for end in np.quantile(np.asarray(depth, dtype=np.float64), QUANTILES))
    if far < LEAST_RATIO * near:
        middle = np.sqrt(near * far)
        near, far = middle / np.sqrt(LEAST_RATIO), middle * np.sqrt(LEAST_RATIO)
    return near, far


def normalized_log_depth(depth: Array, ends: tuple[float, float]) -> NDArray[np.float64]:
    """2 (ln d - ln near) / (ln far - ln near) - 1 (Gui et al. 2024, section 3.3).

    Args:
        depth: Positive z-depth  # [...]
        ends: Depths that become -1 and 1.
    """
    near, far = np.log(ends[0]), np.log(ends[1])
    values: NDArray[np.float64] = 2.0 * (np.log(np.asarray(depth, dtype=np.float64)) - near) / (far - near) - 1.0
    return values


def condition_maps(depth: Array, known: Mask, size: tuple[int, int], encoding: ConditionEncoding) -> Tensor:
    """Depth filled by the nearest known value, and the distance to it.

    Args:
        depth: z-depth, read where known  # [H, W]
        known: True = measured, at least one  # [H, W]
        size: Height and width at which the network works; known points move there, nothing is interpolated.
        encoding: The encoding.

    Returns:
        Normalised log depth and 2 d / (d + distance_scale) - 1  # [2, 1, height, width]
    """
    ends = depth_range(depth[known], encoding)
    # The range of float32 is that of the checks of input; scaling by a depth of this view keeps its precision.
    relative = np.where(known, depth / ends[0], 0).astype(np.float32)
    moved = resize_sparse_depth(relative, size[1], size[0])
    there = moved > 0
    filled = nearest_fill(moved.astype(np.float64), there) * ends[0]
    values = np.clip(normalized_log_depth(filled, ends), -BEYOND, BEYOND)
    distance = ndimage.distance_transform_edt(~there)
    nearness = 2.0 * distance / (distance + encoding.distance_scale) - 1.0
    return torch.from_numpy(np.stack([values, nearness])[:, None].astype(np.float32))
