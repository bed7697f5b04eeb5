"""The auxiliary network as a depth inpainter."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from scene_depth.depth.auxiliary.network import AuxiliaryNetwork, find_network, load_network
from scene_depth.depth.checks import InpaintingInput
from scene_depth.depth.model import DepthModel
from scene_depth.depth.protocol import LAPLACE, DepthPrediction
from scene_depth.errors import InputError


@dataclass(frozen=True)
class AuxiliaryInpainter(DepthModel):
    """Completes sparse depth without looking at the picture (Lu et al., CVPR 2020).

    Made for points all over the view, such as LiDAR lines; large holes are not what it was trained for.

    Attributes:
        weights: File, or folder with ``auxiliary.pt``; None looks in the default places.
        device: "cpu", "cuda", ...; None takes CUDA where it is.
        network: A loaded network in place of ``weights``.
    """

    weights: str | os.PathLike[str] | None = None
    device: str | None = None
    network: AuxiliaryNetwork | None = field(default=None, repr=False)
    name: ClassVar[str] = "auxiliary"
    find_weights = staticmethod(find_network)

    def __post_init__(self) -> None:
        network = self.network.without_image() if self.network is not None else load_network(self.weights)
        device = self.device or ("cuda" if torch.cuda.is_available() else "cpu")
        try:
            placed = network.to(device).eval()
        except RuntimeError as error:
            raise InputError("device", repr(device), "cpu, or a device that torch has") from error
        object.__setattr__(self, "network", placed)

    def predict(self, view: InpaintingInput, *, seed: int) -> DepthPrediction:
        """Predicts one view; nothing is random."""
        assert self.network is not None
        config = self.network.config
        sparse = np.where(view.known, view.depth, 0).astype(np.float32)
        device = next(self.network.parameters()).device
        with torch.no_grad():
            output = self.network(torch.from_numpy(sparse)[None, None].to(device))
        predicted = output.depth[0, 0].cpu().numpy()
        uncertainty = None
        if output.error is not None:
            uncertainty = (LAPLACE * output.error[0, 0].cpu().numpy() / np.maximum(predicted, 1e-9)).astype(np.float32)
        details = {"variant": config.variant, "width": config.width, "image": "not used"}
        return DepthPrediction(predicted, uncertainty, details=details)
