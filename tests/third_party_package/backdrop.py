"""A depth inpainter and an image inpainter by a third party."""

from dataclasses import dataclass

import numpy as np

import scene_depth as sd


@dataclass(frozen=True)
class BackdropInpainter(sd.DepthModel):
    """Fills the hole with one plane that faces the camera, as far as most of what is known.

    Attributes:
        quantile: Share of the known depth that is nearer than the plane.
    """

    quantile: float = 0.75
    name = "backdrop"

    def predict(self, view, *, seed):
        known = view.depth[view.known]
        depth = np.full(view.shape, np.quantile(known, self.quantile), dtype=view.depth.dtype)
        uncertainty = np.full(view.shape, known.std() / known.mean(), dtype=np.float32)
        return sd.DepthPrediction(depth, uncertainty)


def fill_with_mean(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The hole in the mean colour of the rest."""
    return np.where(hole[..., None], rgb[~hole].mean(axis=0), rgb)
