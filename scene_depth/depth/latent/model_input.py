"""What a latent depth model cannot work with, said before it runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scene_depth.cameras import Cameras
from scene_depth.depth.checks import InpaintingInput, check_input
from scene_depth.errors import InputError


def check_clear_input(
    rgb: ArrayLike | None, depth: ArrayLike, known: ArrayLike | None, camera: Cameras | None
) -> InpaintingInput:
    """``check_input``, and errors for input that contradicts itself or leaves nothing to do.

    ``inpaint_depth`` answers these by itself: there a view that is known everywhere comes back as it is, and pixels that a mask
    wrongly calls known are predicted, with a note.

    Args:
        rgb, depth, known, camera: As for ``check_input``.

    Raises:
        InputError: Also if a mask calls pixels known whose depth is not finite and positive; if depth is negative anywhere; if
            every pixel is known.
    """
    view = check_input(rgb, depth, known, camera)
    negative = int((np.asarray(depth) < 0).sum())
    if negative:
        raise InputError("depth", f"{negative} negative values", "positive depth, and 0 or NaN where it is unknown")
    if known is not None:
        useless = int((np.asarray(known) > 0).sum() - view.known.sum())
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
        raise InputError(
            "depth", f"{inside.size} known pixels, all at {inside[0]:g}", f"two different known depths, whose range {model} needs"
        )
