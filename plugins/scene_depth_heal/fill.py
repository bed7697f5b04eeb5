"""One reference view: its hole is given depth and colour, and the filled pixels become splats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scene_depth.cameras import Cameras
from scene_depth.color.protocol import ImageInpainter, inpaint_image
from scene_depth.depth.inpaint import inpaint_depth
from scene_depth.depth.protocol import DepthInpainter, DepthPrediction
from scene_depth.errors import InputError
from scene_depth.fitting.surface_splats import splats_on_depth
from scene_depth.splats import GaussianSplats
from scene_depth_heal.planes import on_planes

LEAST_KNOWN = 0.01  # share of the picture whose depth must be known for a fill to mean anything


@dataclass(frozen=True)
class Reference:
    """A view as the fill sees it, arrays at the working size.

    Attributes:
        name: Of the view.
        camera: Of the arrays.
        rgb: The photo outside the object, and what other views saw inside; not read where ``hole``  # [H, W, 3]
        depth: Rendered z-depth of what remains, 0 where there is no surface  # [H, W]
        hole: What is to be invented  # [H, W] bool
        painted: A picture that the user edited elsewhere, used for the colour of the hole  # [H, W, 3]
        renew: Pixels beside the hole whose colour and depth are known and become new splats all the same  # [H, W] bool
        beside: The photo where ``rgb`` is changed beside both, as the fit is to see it  # [H, W, 3]
    """

    name: str
    camera: Cameras
    rgb: NDArray[np.float32]
    depth: NDArray[np.float32]
    hole: NDArray[np.bool_]
    painted: NDArray[np.float32] | None = None
    renew: NDArray[np.bool_] | None = None
    beside: NDArray[np.float32] | None = None

    @property
    def made(self) -> NDArray[np.bool_]:
        """Pixels that become new splats  # [H, W] bool"""
        return self.hole if self.renew is None else self.hole | self.renew


@dataclass(frozen=True)
class Filled:
    """A reference with its hole filled.

    Attributes:
        reference: What was filled.
        rgb: Complete picture  # [H, W, 3]
        prediction: Complete depth with its uncertainty and seam.
        splats: The new splats.
    """

    reference: Reference
    rgb: NDArray[np.float32]
    prediction: DepthPrediction
    splats: GaussianSplats


def fill_reference(
    reference: Reference, depth_inpainter: DepthInpainter, image_inpainter: ImageInpainter, *, seed: int = 0
) -> Filled:
    """Depth first, from the surfaces around the hole alone; then colour, which follows those surfaces; then splats.

    Colour inside the hole is unknown when the depth is made, and a guess of it would put edges where there are none, so
    the depth inpainter gets the colours of the hole as a smooth continuation of its border.

    Args:
        reference: The view.
        depth_inpainter, image_inpainter: What invents.
        seed: Of everything random.

    Raises:
        InputError: If too little depth is known.
    """
    prediction = fill_depth(reference, depth_inpainter, seed=seed)
    if reference.painted is not None:
        rgb = np.where(reference.hole[..., None], reference.painted, reference.rgb)
    else:
        rgb = inpaint_image(
            image_inpainter,
            np.where(reference.hole[..., None], np.float32(0), reference.rgb),
            reference.hole,
            depth=prediction.depth,
            camera=reference.camera,
            seed=seed,
        )
    splats = splats_on_depth(rgb, prediction.depth, reference.made, reference.camera)
    if reference.beside is not None:
        rgb = np.where(reference.made[..., None], rgb, reference.beside)
    return Filled(reference, rgb, prediction, splats)


def fill_depth(reference: Reference, depth_inpainter: DepthInpainter, *, seed: int = 0) -> DepthPrediction:
    """The depth of ``fill_reference``: completed, then put on planes that are known where it lies close to them.

    Raises:
        InputError: If too little depth is known.
    """
    known = (reference.depth > 0) & ~reference.hole
    if known.mean() < LEAST_KNOWN:
        found = f"{100 * known.mean():.2g} % of the pixels with an opaque surface"
        raise InputError(
            f"view {reference.name!r}: rendered depth", found, f"at least {100 * LEAST_KNOWN:g} %: a scene that is seen here"
        )
    guess = reference.painted if reference.painted is not None else smooth_guess(reference.rgb, reference.hole)
    prediction = inpaint_depth(depth_inpainter, guess, reference.depth, known, camera=reference.camera, seed=seed)
    return on_planes(prediction, known, reference.camera, seed)


def smooth_guess(rgb: NDArray[np.float32], hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The picture with a membrane in the hole  # [H, W, 3]"""
    from scene_depth.color.exemplar.base import base_layer, surface_weights

    clean = np.where(hole[..., None], np.float32(0), rgb)
    smooth = base_layer(clean, hole, surface_weights(hole.shape, None, None))
    return np.where(hole[..., None], np.clip(smooth, 0, 1), clean).astype(np.float32)


def as_array(values: torch.Tensor) -> NDArray:
    """NumPy copy of a tensor on any device."""
    return values.detach().cpu().numpy()
