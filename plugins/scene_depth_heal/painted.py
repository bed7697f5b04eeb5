"""A view that somebody painted in: the picture, and where it was painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from scene_depth.cameras import Cameras
from scene_depth.errors import InputError

LEAST_DIFFERENCE = 0.06  # colour difference, of 1, below which nothing counts as painted: what saving as JPEG does
NOISE_FACTOR = 6.0  # robust standard deviations of the unpainted difference above which a pixel is painted
LEAST_PIXELS = 9  # smaller patches are noise
UNLIKE = 0.25  # median difference from which a picture does not show this view
MOST_PAINTED = 0.9  # share of the picture from which it is not an edit of this view


@dataclass(frozen=True)
class PaintedView:
    """An edited reference.

    Attributes:
        name: Name of the view that was edited.
        camera: At the working size.
        picture: The edited picture, read where ``mask``  # [H, W, 3]
        mask: Where it was painted  # [H, W] bool
        mask_source: Where the mask comes from, for the report.
    """

    name: str
    camera: Cameras
    picture: NDArray[np.float32]
    mask: NDArray[np.bool_]
    mask_source: str = "given"

    def __post_init__(self) -> None:
        size = (self.camera.height, self.camera.width)
        for what, values in (("picture", self.picture), ("mask", self.mask)):
            if values.shape[:2] != size:
                raise InputError(f"{what} of {self.name!r}", f"size {values.shape[:2]}", f"{size}, the size of its view")
        count = int(self.mask.sum())
        if count == 0:
            raise InputError(f"mask of {self.name!r}", "no white pixel", "a mask that is white where the picture was painted")
        if count > MOST_PAINTED * self.mask.size:
            found = f"{100 * count / self.mask.size:.0f} % of the pixels"
            raise InputError(f"mask of {self.name!r}", found, "a painted part with known surroundings in the picture")


def derived_mask(
    picture: NDArray[np.floating], originals: dict[str, NDArray[np.floating]]
) -> tuple[NDArray[np.bool_], str, dict[str, float]]:
    """Finds what was painted by comparing with what the view showed before.

    The original is the one whose median difference is smallest. A pixel is painted if its largest channel difference, as
    a mean over 3 x 3 pixels, exceeds the noise of the rest; specks go, enclosed holes belong to it.

    Args:
        picture: The edited picture  # [H, W, 3]
        originals: What may have been edited, such as the photo and the render, by name  # [H, W, 3] each

    Returns:
        Mask  # [H, W] bool
        Name of the original
        Its median difference and the threshold

    Raises:
        InputError: If nothing was painted, or so much differs that it is no edit of this view.
    """
    differences = {name: np.abs(picture - original).max(axis=-1).astype(np.float64) for name, original in originals.items()}
    name = min(differences, key=lambda key: float(np.median(differences[key])))
    difference = differences[name]
    middle = float(np.median(difference))
    noise = 1.4826 * float(np.median(np.abs(difference - middle)))
    threshold = max(LEAST_DIFFERENCE, middle + NOISE_FACTOR * noise)
    changed = ndimage.uniform_filter(difference, 3, mode="nearest") > threshold
    labels, count = ndimage.label(ndimage.binary_fill_holes(changed))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    mask = (sizes >= LEAST_PIXELS)[labels]
    if mask.mean() > MOST_PAINTED or middle > UNLIKE:
        found = f"a median difference of {middle:.2f} from the {name}"
        raise InputError("painted picture", found, "an edit of this view in place, of its size; or --mask")
    if not mask.any():
        found = f"a picture that equals the {name} within {threshold:.2f}"
        raise InputError("painted picture", found, "a picture with something painted in, or --mask")
    return mask, name, {"median_difference": middle, "threshold": threshold}


def bilinear(picture: NDArray[np.floating], pixels: Tensor) -> Tensor:
    """Colours at continuous pixel coordinates, the first pixel's centre at (0.5, 0.5)  # [N, 3] float32

    Args:
        picture: Colours  # [H, W, 3]
        pixels: Coordinates (x, y); outside, the nearest edge counts  # [N, 2]
    """
    height, width = picture.shape[:2]
    image = torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32)).permute(2, 0, 1)[None]
    grid = 2 * pixels.float() / torch.tensor([width, height]) - 1
    sampled = torch.nn.functional.grid_sample(image, grid[None, None], padding_mode="border", align_corners=False)
    return sampled[0, :, 0].T.contiguous()
