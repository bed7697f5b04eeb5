"""DepthFM as a monocular model, and so as a prior of the solver."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from scene_depth.depth.depthfm.attention import AttentionVariant
from scene_depth.depth.depthfm.conversion import found_parts
from scene_depth.depth.depthfm.inference import predict_log_depth
from scene_depth.depth.depthfm.network import DepthFM, load_depthfm
from scene_depth.depth.monocular import MonocularMap
from scene_depth.errors import InputError

RESOLUTION = 512  # the model was trained at 384 x 512


@dataclass(frozen=True)
class DepthFMModel:
    """Predicts log depth of free scale and shift from a picture.

    Attributes:
        checkpoint, vae, attention, device, dtype: As in ``load_depthfm``.
        num_inference_steps: Euler steps, 1 to 4 for the published model.
        ensemble_size: Members that are averaged; from 2 on there is an uncertainty.
        processing_resolution: Longer side at which the network works, rounded to 64; 0 for the picture's.
        batch: Most members that go through the network at once; all by default.
    """

    checkpoint: str | Path | None = None
    vae: str | Path | None = None
    num_inference_steps: int = 2
    ensemble_size: int = 4
    processing_resolution: int = RESOLUTION
    attention: AttentionVariant = "plain"
    batch: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    name: str = field(init=False, default="depthfm")
    takes_seed: ClassVar[bool] = True
    find_weights = staticmethod(found_parts)
    _networks: DepthFM = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_options(self.num_inference_steps, self.ensemble_size, self.processing_resolution, self.batch)
        networks = load_depthfm(self.checkpoint, self.vae, attention=self.attention, device=self.device, dtype=self.dtype)
        if networks.encoding is not None:
            raise InputError(
                "checkpoint", "a completion model", "a depth model, which predicts from the picture alone", file=self.checkpoint
            )
        object.__setattr__(self, "_networks", networks)

    def __call__(self, rgb: NDArray[np.float32], *, seed: int = 0) -> MonocularMap:
        found = predict_log_depth(
            self._networks,
            rgb,
            num_inference_steps=self.num_inference_steps,
            ensemble_size=self.ensemble_size,
            processing_resolution=self.processing_resolution,
            seed=seed,
            batch=self.batch,
        )
        return MonocularMap(found.values, "log", found.uncertainty)


def check_options(num_inference_steps: int, ensemble_size: int, processing_resolution: int, batch: int | None) -> None:
    """Refuses numbers that make no sense, before weights are read.

    Raises:
        InputError: If one does.
    """
    numbers = (
        ("num_inference_steps", num_inference_steps, 1),
        ("ensemble_size", ensemble_size, 1),
        ("processing_resolution", processing_resolution, 0),
        ("batch", batch, 1),
    )
    for name, value, least in numbers:
        if value is not None and value < least:
            raise InputError(name, value, f"at least {least}")
