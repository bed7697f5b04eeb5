"""Says in words when a view is one that DepthLab is known to do badly on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scene_depth.depth.depthlab.preparation import Preparation, processing_size
from scene_depth.depth.depthlab.sampler import Sampling
from scene_depth.depth.harmonize import is_scattered

SPARSE = 0.02  # known share below which the VAE carries little of the known depth
DEEP = 0.2  # radius of a hole in longer sides from which the start shines through a strength below 0.95
WIDE_RANGE = 30.0  # ratio of known depths from which a linear range leaves little for the near part
STRAY = 0.5  # share of the range that the outermost 0.5 % of known depth may take
THIN = 4.0  # ratio of sides from which CLIP sees less than a quarter of the picture


def warnings_for(
    depth: NDArray[np.floating], known: NDArray[np.bool_], sampling: Sampling, preparation: Preparation
) -> list[str]:
    """Warnings about one view, for the notes of a report.

    Args:
        depth: z-depth, read where known  # [H, W]
        known: At least one True  # [H, W]
        sampling, preparation: As it will be completed.
    """
    said = []
    values = depth[known].astype(np.float64)
    lowest, highest = float(values.min()), float(values.max())
    share = float(known.mean())
    if share < SPARSE or is_scattered(known):
        said.append(
            f"known depth is sparse ({100 * share:.2g} % of the pixels): DepthLab's autoencoder carries points badly; "
            "the solver or marigold fit points better"
        )
    if highest > WIDE_RANGE * lowest:
        said.append(
            f"known depth spans a factor of {highest / lowest:.3g}: "
            "the model works on linear depth and resolves the near part badly"
        )
    inner = np.percentile(values, [0.5, 99.5])
    if inner[1] - inner[0] < STRAY * (highest - lowest):
        said.append("a few known pixels take most of the depth range; are they outliers or zeros inside the known area?")
    radius = float(ndimage.distance_transform_edt(~known).max()) / max(known.shape)
    if radius > DEEP and sampling.strength < 0.95 and not is_scattered(known):
        said.append(f"the hole is large: strength {sampling.strength:g} keeps much of the starting depth; try 0.95 to 1")
    height, width = known.shape
    if max(height, width) > THIN * min(height, width):
        said.append("the picture is very elongated: the image encoder sees only its middle")
    size = processing_size(height, width, preparation.processing_resolution)
    if size != (height, width):
        said.append(f"processed at {size[1]} x {size[0]} pixels; a larger processing_resolution keeps finer detail")
    return said
