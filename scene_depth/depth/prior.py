"""What a monocular model says of a picture: values that grow with depth, its inverse or its logarithm; a prior of depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scene_depth.depth.alignment import FITS, Fit, Space
from scene_depth.depth.checks import InpaintingInput
from scene_depth.errors import InputError


@dataclass(frozen=True)
class MonocularMap:
    """What a monocular model says about one picture.

    Attributes:
        values: Growing with the quantity of ``space``, scale and shift free, finite  # [H, W]
        space: Whether ``values`` are inverse depth, depth or log depth up to scale and shift; "auto" if not known, then
            the space that fits known depth best is taken.
        uncertainty: In the unit of ``values``, if the model tells  # [H, W]
        metric: True if only the scale is free, as that of metric depth is over a scene of unknown unit; False if a shift is too;
            None if not known.
        scaled: Whether the values have the scale of the scene, which known depth bends but does not move; of values whose scale
            alone is free.
    """

    values: NDArray[np.float32]
    space: Space | Literal["auto"]
    uncertainty: NDArray[np.float32] | None = None
    metric: bool | None = None
    scaled: bool = False

    def resolve_fit(self, fit: Fit | None) -> Fit:
        """What is free of the values: as asked; for "auto" and None as the model says, if it does; for None else both."""
        if fit in ("scale", "affine") or (fit == "auto" and self.metric is None):
            return fit
        return "scale" if self.metric else "affine"


MonocularModel = Callable[..., Any]
"""(rgb [H, W, 3]) -> MonocularMap, or a plain function f(rgb) -> values [H, W]. One whose ``takes_seed`` is True is also given
``seed=``, one whose ``takes_prompt`` is True ``prompt=``, the known depth."""


def predict(
    model: MonocularModel,
    rgb: NDArray[np.float32],
    seed: int = 0,
    space: Space | Literal["auto"] | None = None,
    depth: NDArray[Any] | None = None,
) -> MonocularMap:
    """Runs a model or plain function and checks what it returns.

    Args:
        model: A monocular model.
        rgb: sRGB in [0, 1]  # [H, W, 3]
        seed: Seed, for models that take one.
        space: Overrides the model's own statement; "auto" for a plain function by default.
        depth: Known depth, 0 = unknown, for models that are prompted with it  # [H, W]

    Raises:
        InputError: If the model needs a prompt and there is no depth, or the result has another size than the picture or no
            finite value.
    """
    asked = {"seed": seed, "prompt": depth}
    result = model(rgb, **{name: value for name, value in asked.items() if getattr(model, f"takes_{name}", False)})
    if not isinstance(result, MonocularMap):
        result = MonocularMap(np.asarray(result), "auto")
    values = np.asarray(result.values, dtype=np.float32)
    finite = np.isfinite(values)
    if values.shape != rgb.shape[:2] or not finite.any():
        found = f"shape {values.shape}" if values.shape != rgb.shape[:2] else "no finite value"
        raise InputError(f"prediction of {model_name(model)}", found, f"finite values of shape {rgb.shape[:2]}")
    if not finite.all():
        values = np.where(finite, values, np.median(values[finite]))
    return replace(result, values=values, space=space or result.space)


Prior = ArrayLike | MonocularMap | MonocularModel
"""A monocular prediction of a view, or what makes one from its picture."""


def read_prior(prior: Prior, view: InpaintingInput, space: Space | Literal["auto"] = "auto", seed: int = 0) -> MonocularMap:
    """The prior of a view as a map; values that are not finite take the median.

    Args:
        prior: Values of the view's size, a map, or a monocular model.
        view: The view.
        space: What the values are; "auto" leaves it to the map or the model.
        seed: Seed, for models that take one.

    Raises:
        InputError: If it has another size, holds no finite value, or is a model and there is no picture.
    """
    stated = None if space == "auto" else space
    if callable(prior):
        if view.rgb is None:
            raise InputError("rgb", "None", "a picture, which the prior is predicted from")
        return predict(prior, view.rgb, seed, stated, view.depth)
    given = prior if isinstance(prior, MonocularMap) else MonocularMap(np.asarray(prior), "auto")
    values: NDArray[Any] = given.values
    if values.shape != view.shape or values.dtype.kind not in "fiu":
        raise InputError("prior", f"shape {values.shape} of {values.dtype}", f"real values of shape {view.shape}")
    finite = np.isfinite(values)
    if not finite.any():
        raise InputError("prior", "no finite value", "relative depth or inverse depth")
    values = values if finite.all() else np.where(finite, values, np.median(values[finite]))
    return replace(given, values=values, space=stated or given.space)


def check_fit(fit: str | None) -> None:
    """Raises InputError if there is no such fit."""
    if fit is not None and fit not in FITS:
        raise InputError("fit", repr(fit), f"one of {', '.join(FITS)}")


def model_name(model: MonocularModel) -> str:
    """The name that reports give a model."""
    return getattr(model, "name", None) or getattr(model, "__name__", None) or type(model).__name__
