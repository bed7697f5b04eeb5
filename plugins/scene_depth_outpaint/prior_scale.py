"""The scale of a metric prior, told once by the measured depth of the start and held from then on.

At every step known depth tells the scale, too, but it comes from the step before with all that was wrong there: round a room the
errors add up. A model's own scale is about the same in all views of a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.alignment import Space, fit_globally
from scene_depth.depth.model import ExactInpainter
from scene_depth.depth.prior import MonocularMap, MonocularModel, model_name, predict
from scene_depth.depth.solver import SolverInpainter
from scene_depth.depth.solver.prior_error import error_along
from scene_depth_outpaint.state import OutpaintedView


@dataclass(frozen=True)
class ScaledModel:
    """A monocular model whose depth is multiplied by a factor, so that its scale is the scene's.

    Attributes:
        model: The model.
        factor: Of its depth.
        space: What its values are.
    """

    model: MonocularModel
    factor: float
    space: Space

    @property
    def name(self) -> str:
        """That of the model."""
        return model_name(self.model)

    @property
    def takes_seed(self) -> bool:
        """As the model."""
        return bool(getattr(self.model, "takes_seed", False))

    @property
    def takes_prompt(self) -> bool:
        """As the model."""
        return bool(getattr(self.model, "takes_prompt", False))

    def __call__(self, rgb: NDArray[np.float32], **options: Any) -> MonocularMap:
        """What the model says of a picture, of the scene's scale."""
        found = self.model(rgb, **options)
        if not isinstance(found, MonocularMap):
            found = MonocularMap(np.asarray(found, np.float32), self.space)
        found = replace(found, scaled=True)
        if self.space == "log":
            return replace(found, values=found.values + np.float32(np.log(self.factor)), space=self.space)
        factor = np.float32(self.factor if self.space == "depth" else 1 / self.factor)
        sigma = None if found.uncertainty is None else found.uncertainty * factor
        return replace(found, values=found.values * factor, uncertainty=sigma, space=self.space)


def scaled_to_start(inpainter: ExactInpainter, start: Sequence[OutpaintedView], seed: int) -> tuple[ExactInpainter, float]:
    """The inpainter with its prior at the scale of the start, and the factor; 1 where there is nothing to correct.

    Nothing is where no model leads the solver, where its shift is free as well, where the start has no depth, or where that does
    not contradict the model's own scale, which is held then.

    Args:
        inpainter: Depth inpainter.
        start: Views of the start.
        seed: Seed, for models that take one.
    """
    solver = inpainter.inpainter
    if not isinstance(solver, SolverInpainter) or not callable(solver.prior):
        return inpainter, 1.0
    found: list[tuple[float, Space]] = []
    for view in start:
        if not view.known.any():
            continue
        stated = None if solver.prior_space == "auto" else solver.prior_space
        picture = (view.image / np.float32(255)).astype(np.float32)
        said = predict(solver.prior, picture, seed, stated, np.where(view.known, view.depth, np.float32(0)))
        values = said.values.astype(np.float64)
        fit = fit_globally(values, view.depth, view.known, said.space, said.resolve_fit(solver.fit))
        if fit.bounded:  # a shift was fitted
            return inpainter, 1.0
        found.append((error_along(fit, values, view.depth, view.known)[1].log_scale, fit.space))
    if len({space for _, space in found}) != 1:
        return inpainter, 1.0
    factor = float(np.exp(np.mean([scale for scale, _ in found])))
    scaled = replace(solver, prior=ScaledModel(solver.prior, factor, found[0][1]), prior_space=found[0][1])
    return ExactInpainter(scaled, inpainter.name), factor
