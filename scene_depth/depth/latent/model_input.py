"""What a latent depth model cannot work with, said before it runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scene_depth.cameras import Cameras
from scene_depth.depth.checks import InpaintingInput, check_input
from scene_depth.depth.model import DepthModel
from scene_depth.errors import InputError


class PictureModel(DepthModel):
    """A depth model that predicts from the picture and takes its range from known depth.

    A direct call refuses input that contradicts itself or leaves nothing to do. ``inpaint_depth`` answers these by itself: there
    a view that is known everywhere comes back as it is, and pixels that a mask wrongly calls known are predicted, with a note.
    """

    def check(self, rgb: ArrayLike | None, depth: ArrayLike, known: ArrayLike | None, camera: Cameras | None) -> InpaintingInput:
        """``check_input``; also refuses known pixels that are not finite and positive, negative depth, and views without a hole.

        Raises:
            InputError: For any of these.
        """
        view = check_input(rgb, depth, known, camera)
        negative = int((np.asarray(depth) < 0).sum())
        if negative:
            raise InputError("depth", f"{negative} negative values", "positive depth, and 0 or NaN where it is unknown")
        useless = 0 if known is None else int((np.asarray(known) > 0).sum() - view.known.sum())
        if useless:
            raise InputError("depth", f"{useless} pixels marked known that are NaN, infinite or 0", "finite positive known depth")
        if view.known.all():
            raise InputError("known", "every pixel", "at least one pixel to predict")
        return view


def check_model_input(view: InpaintingInput, *, model: str, least_values: int = 2) -> None:
    """Checks that a model has something to start from.

    Args:
        view: Checked input.
        model: Its name, for messages.
        least_values: Number of known pixels from which their depth must not be all the same.

    Raises:
        InputError: Without a picture, or if known depth is constant.
    """
    if view.rgb is None:
        raise InputError("rgb", None, f"a picture, {model} predicts from it")
    inside = view.depth[view.known]
    if inside.size >= least_values and inside.min() == inside.max():
        found = f"{inside.size} known pixels, all at {inside[0]:g}"
        raise InputError("depth", found, f"two different known depths, whose range {model} needs")
