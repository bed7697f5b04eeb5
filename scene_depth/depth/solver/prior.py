"""Monocular priors: fitted to the known depth, then corrected by a smooth ratio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene_depth.depth.alignment import GlobalFit, Space, apply_fit, fit_globally
from scene_depth.errors import InputError

Prior = ArrayLike | Callable[[NDArray[np.float32]], ArrayLike]


def prior_values(prior: Prior, rgb: NDArray[np.float32] | None, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The prior as an array; pixels where it is not finite take its median.

    Raises:
        InputError: If it has another size, holds no finite value, or is a function and there is no picture.
    """
    if callable(prior):
        if rgb is None:
            raise InputError("rgb", "None", "a picture, which the prior is predicted from")
        prior = prior(rgb)
    values: NDArray[Any] = np.asarray(prior)
    if values.shape != shape or values.dtype.kind not in "fiu":
        raise InputError("prior", f"shape {values.shape} of {values.dtype}", f"real values of shape {shape}")
    values = values.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError("prior", "no finite value", "relative depth or inverse depth")
    return np.where(finite, values, np.median(values[finite]))


def fitted_inverse(
    values: NDArray[np.float64], depth: NDArray[np.floating], known: NDArray[np.bool_], space: Space | Literal["auto"]
) -> tuple[NDArray[np.float64], GlobalFit]:
    """The prior brought onto the known depth by a robust scale and shift.

    Returns:
        Inverse depth, within 0.3 to 3 times the known depth's range  # [H, W]
        The fit.
    """
    fit = fit_globally(values, depth, known, space)
    return 1.0 / apply_fit(fit, values, depth[known]), fit
